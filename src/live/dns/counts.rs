//! Counts answers exactly until the counts become facts, and picks a bounded sample of whole ones.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard};

use crate::model::fact::{DnsAnswered, Kind};
use crate::model::id::{Name, Node};
use crate::model::topology::Topology;
use crate::policy::answer::{Answer, Question};
use crate::policy::zone::type_word;

/// How many answers are shown whole between two flushes: 640 a second is more than a page shows.
const SAMPLE_MAX: usize = 64;

/// How many records of an answer the sample shows.
const RECORDS_MAX: usize = 16;

/// The counts since the last flush.
pub(super) struct Counts {
    askers: BTreeMap<IpAddr, Node>,
    pending: Mutex<Pending>,
}

/// View, rule and response code, or `dropped`.
type Label = (Option<Name>, Option<Name>, &'static str);

#[derive(Default)]
struct Pending {
    counts: BTreeMap<Label, u64>,
    sampled: usize,
}

impl Counts {
    pub(super) fn new(topology: &Topology) -> Self {
        let agents = topology.agents.iter();
        let agents = agents.map(|agent| (agent.address, Node::Agent(agent.name.clone())));
        let users = topology.users.iter();
        let users = users.map(|user| (user.address, Node::User(user.name.clone())));
        Self {
            askers: agents.chain(users).collect(),
            pending: Mutex::default(),
        }
    }

    /// Counts an answer; gives it whole when it is one of the sample.
    pub(super) fn add(&self, question: &Question, answer: &Answer<'_>) -> Option<Kind> {
        let view = answer.view.map(|view| view.name.clone());
        let rule = answer.rule().cloned();
        let rcode = answer.code();
        let mut pending = self.lock();
        let label = (view.clone(), rule.clone(), rcode);
        *pending.counts.entry(label).or_default() += 1;
        let is_sample = pending.sampled < SAMPLE_MAX;
        pending.sampled += usize::from(is_sample);
        drop(pending);
        is_sample.then(|| Kind::DnsAnswered(Box::new(self.whole(question, answer, view, rule))))
    }

    /// Takes what was counted, as facts.
    pub(super) fn take(&self) -> Vec<Kind> {
        let Pending { counts, .. } = std::mem::take(&mut *self.lock());
        counts
            .into_iter()
            .map(|((view, rule, rcode), count)| Kind::DnsCounted {
                view,
                rule,
                rcode: rcode.into(),
                count,
            })
            .collect()
    }

    fn whole(
        &self,
        question: &Question,
        answer: &Answer<'_>,
        view: Option<Name>,
        rule: Option<Name>,
    ) -> DnsAnswered {
        let subnet = question.edns.and_then(|edns| edns.subnet);
        let records = answer.records().take(RECORDS_MAX);
        DnsAnswered {
            client: question.source,
            asker: self.askers.get(&question.source.ip()).cloned(),
            subnet: subnet.map(|subnet| subnet.to_string()),
            transport: question.transport.word(),
            name: question.name.to_ascii(),
            rtype: type_word(question.record_type),
            view,
            rule,
            rcode: answer.code().into(),
            answer: records.map(|shown| shown.typed_words()).collect(),
            why: answer.reason.to_string(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().expect("counting does not panic")
    }
}
