//! The facts of a run, in order, each with its sequence number.
//!
//! In goes what machines and measurements say; out come the facts since a number, and a signal when
//! there are more. It keeps the last [`FACTS_MAX`] facts; the [`Snapshot`] folds each fact as it is
//! made, so the bound does not touch it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::watch;

use crate::model::fact::{Fact, Kind};
use crate::model::id::{Node, Seq};
use crate::model::time::Time;
use crate::model::topology::Topology;
use crate::snapshot::Snapshot;

/// How many facts are kept for looking back; a fact is a few hundred bytes.
pub const FACTS_MAX: usize = 100_000;

/// The journal of one run. Cheap to clone; all clones are the same journal.
#[derive(Clone, Debug)]
pub struct Journal {
    inner: Arc<Mutex<Inner>>,
    last: watch::Sender<Seq>,
}

struct Inner {
    facts: VecDeque<Arc<Fact>>,
    facts_max: usize,
    snapshot: Snapshot,
    next: u64,
    observers: Vec<Observer>,
}

/// Sees each fact, in order.
type Observer = Box<dyn FnMut(&Fact) + Send>;

/// Facts since a number.
#[derive(Debug)]
pub struct Batch {
    /// The facts, oldest first.
    pub facts: Vec<Arc<Fact>>,
    /// Whether older facts than the first were asked for but are no longer kept.
    pub gap: bool,
}

impl Journal {
    /// Makes an empty journal for a lab of this topology.
    pub fn new(topology: &Topology) -> Self {
        Self::keeping(topology, FACTS_MAX)
    }

    /// Makes an empty journal that keeps fewer facts than [`FACTS_MAX`] for looking back.
    pub fn keeping(topology: &Topology, facts_max: usize) -> Self {
        let snapshot = Snapshot::new(topology);
        let inner = Inner {
            facts: VecDeque::new(),
            facts_max: facts_max.min(FACTS_MAX),
            snapshot,
            next: 1,
            observers: Vec::new(),
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
            last: watch::Sender::new(Seq(0)),
        }
    }

    /// Adds facts of one node, all of one instant, and folds them into the snapshot.
    pub fn add(&self, at: Time, node: &Node, kinds: impl IntoIterator<Item = Kind>) {
        let mut inner = self.lock();
        let before = inner.next;
        for kind in kinds {
            let fact = Fact {
                seq: Seq(inner.next),
                at,
                node: node.clone(),
                kind,
            };
            inner.next += 1;
            inner.snapshot.fold(&fact);
            for observe in &mut inner.observers {
                observe(&fact);
            }
            if inner.facts.len() >= inner.facts_max {
                inner.facts.pop_front();
            }
            inner.facts.push_back(Arc::new(fact));
        }
        let last = Seq(inner.next - 1);
        let grew = inner.next != before;
        drop(inner);
        if grew {
            self.last.send_if_modified(|seen| {
                let newer = *seen < last;
                *seen = last.max(*seen);
                newer
            });
        }
    }

    /// Has every fact seen by `observer`, each once and in order, those that were made before too.
    ///
    /// Tells whether it sees all of them: `false` when the first are no longer kept. It is called
    /// under the journal's lock, so it must be quick, and must not ask the journal anything.
    pub fn observe(&self, mut observer: impl FnMut(&Fact) + Send + 'static) -> bool {
        let mut inner = self.lock();
        let whole = inner.next - 1 == inner.facts.len() as u64;
        inner.facts.iter().for_each(|fact| observer(fact));
        inner.observers.push(Box::new(observer));
        whole
    }

    /// Gives up to `count` facts after `seq`, oldest first.
    pub fn after(&self, seq: Seq, count: usize) -> Batch {
        let inner = self.lock();
        let oldest = inner.next - inner.facts.len() as u64;
        let wanted = seq.0.saturating_add(1);
        let gap = wanted < oldest;
        let skip = usize::try_from(wanted.saturating_sub(oldest)).unwrap_or(usize::MAX);
        let facts = inner.facts.iter().skip(skip).take(count).cloned().collect();
        Batch { facts, gap }
    }

    /// Gives the state now.
    pub fn snapshot(&self) -> Snapshot {
        self.lock().snapshot.clone()
    }

    /// Asks something of the state now without a copy of the whole.
    pub fn ask<T>(&self, question: impl FnOnce(&Snapshot) -> T) -> T {
        question(&self.lock().snapshot)
    }

    /// Gives a receiver that sees the newest sequence number whenever it grows.
    pub fn watch(&self) -> watch::Receiver<Seq> {
        self.last.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("folding a fact does not panic")
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::topology;

    fn add(journal: &Journal, count: usize) {
        let kinds = std::iter::repeat_n(Kind::Ready, count);
        journal.add(Time::ZERO, &Node::Lab, kinds);
    }

    #[test]
    fn an_observer_sees_every_fact_once_also_those_before_it_came() {
        let journal = Journal::new(&topology());
        add(&journal, 2);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let seeing = Arc::clone(&seen);
        assert!(journal.observe(move |fact| seeing.lock().unwrap().push(fact.seq.0)));
        add(&journal, FACTS_MAX + 1);
        let expected: Vec<u64> = (1..=FACTS_MAX as u64 + 3).collect();
        assert_eq!(*seen.lock().unwrap(), expected);
        // Whoever comes now has missed some, and is told so.
        assert!(!journal.observe(|_| ()));
    }
}
