//! Counts what came of questions that were passed on, until the counts become facts.
//!
//! A question that is passed on waits for the network, so one lock for all costs nothing.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use crate::model::fact::{DnsTraffic, Kind};
use crate::model::id::Name;
use crate::model::time::Span;

/// The counts since the last facts: one entry for each view and result.
#[derive(Debug, Default)]
pub(in crate::live::dns) struct ForwardCounts {
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    results: BTreeMap<(Name, &'static str), (u64, Span)>,
    traffic: DnsTraffic,
}

impl ForwardCounts {
    /// Counts a question that was answered.
    pub(super) fn add(&self, view: &Name, result: &'static str, waited: Span) {
        let mut counted = self.lock();
        let sum = counted.results.entry((view.clone(), result)).or_default();
        sum.0 += 1;
        sum.1 = sum.1 + waited;
    }

    /// Counts what became of an answer beside that.
    pub(super) fn carried(&self, traffic: DnsTraffic) {
        self.lock().traffic.add(traffic);
    }

    /// Takes what was counted, as facts.
    pub(in crate::live::dns) fn take(&self) -> Vec<Kind> {
        let Counted { results, traffic } = std::mem::take(&mut *self.lock());
        let results = results.into_iter();
        let kinds = results.map(|((view, result), (count, waited))| Kind::DnsForwarded {
            view,
            result,
            count,
            waited,
        });
        let carried = (traffic != DnsTraffic::default()).then_some(Kind::DnsCarried(traffic));
        kinds.chain(carried).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().expect("counting does not panic")
    }
}
