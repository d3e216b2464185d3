//! Counts answers exactly until the counts become facts, and picks a bounded sample of whole ones.
//!
//! Each worker has counters of its own, one for each view, rule and response code that it met, so
//! that counting costs no lock; they are added up when the facts are made.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::model::fact::{DnsAnswered, DnsTraffic, Kind};
use crate::model::id::{Name, Node};
use crate::model::time::Span;
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
    counters: Mutex<Vec<Counted>>,
    /// Each worker's, and how much of it became facts.
    traffic: Mutex<Vec<(Arc<Traffic>, DnsTraffic)>>,
    sampled: AtomicUsize,
}

/// View, rule and response code, or `dropped`.
pub(super) type Label = (Option<Name>, Option<Name>, &'static str);

/// A counter of one worker; it never goes back.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

/// How one worker's messages came and went; it never goes back.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    pub(super) udp: Counter,
    pub(super) tcp: Counter,
    pub(super) truncated: Counter,
    pub(super) malformed: Counter,
    pub(super) unlogged: Counter,
}

impl Traffic {
    fn read(&self) -> DnsTraffic {
        let read = |counter: &Counter| counter.0.load(Ordering::Relaxed);
        DnsTraffic {
            udp: read(&self.udp),
            tcp: read(&self.tcp),
            truncated: read(&self.truncated),
            malformed: read(&self.malformed),
            unlogged: read(&self.unlogged),
            ..DnsTraffic::default()
        }
    }
}

/// A counter, and how much of it became facts.
struct Counted {
    label: Label,
    counter: Arc<Counter>,
    told: u64,
}

impl Counter {
    /// Counts one answer. Only the worker that owns it calls this.
    pub(super) fn add(&self) {
        let count = self.0.load(Ordering::Relaxed);
        self.0.store(count + 1, Ordering::Relaxed);
    }
}

/// Gives the label under which an answer is counted.
pub(super) fn label(answer: &Answer<'_>) -> Label {
    let view = answer.view.map(|view| view.name.clone());
    (view, answer.rule().cloned(), answer.code())
}

impl Counts {
    pub(super) fn new(topology: &Topology) -> Self {
        let agents = topology.agents.iter();
        let agents = agents.map(|agent| (agent.address, Node::Agent(agent.name.clone())));
        let users = topology.users.iter();
        let users = users.map(|user| (user.address, Node::User(user.name.clone())));
        Self {
            askers: agents.chain(users).collect(),
            counters: Mutex::default(),
            traffic: Mutex::default(),
            sampled: AtomicUsize::new(0),
        }
    }

    /// Gives a worker a counter of its own.
    pub(super) fn counter(&self, label: Label) -> Arc<Counter> {
        let counter = Arc::<Counter>::default();
        self.lock().push(Counted {
            label,
            counter: Arc::clone(&counter),
            told: 0,
        });
        counter
    }

    /// Gives a worker counters of its own for its messages.
    pub(super) fn traffic(&self) -> Arc<Traffic> {
        let traffic = Arc::<Traffic>::default();
        let mut all = self.traffic.lock().expect("counting does not panic");
        all.push((Arc::clone(&traffic), DnsTraffic::default()));
        traffic
    }

    /// Takes how messages came and went, unless none did.
    fn take_traffic(&self) -> Option<Kind> {
        let mut sum = DnsTraffic::default();
        let mut all = self.traffic.lock().expect("counting does not panic");
        all.retain_mut(|(traffic, told)| {
            let alone = Arc::strong_count(traffic) == 1;
            let now = traffic.read();
            sum.add(now.since(*told));
            *told = now;
            !alone
        });
        (sum != DnsTraffic::default()).then_some(Kind::DnsCarried(sum))
    }

    /// Tells whether the next answer is to be shown whole.
    pub(super) fn wants_sample(&self) -> bool {
        self.sampled.load(Ordering::Relaxed) < SAMPLE_MAX
    }

    /// Gives an answer whole when it is one of the sample.
    pub(super) fn sample(
        &self,
        question: &Question,
        answer: &Answer<'_>,
        took: Option<Span>,
    ) -> Option<Kind> {
        let before = self.sampled.fetch_add(1, Ordering::Relaxed);
        (before < SAMPLE_MAX).then(|| {
            let whole = self.whole(question, answer);
            Kind::DnsAnswered(Box::new(DnsAnswered { took, ..whole }))
        })
    }

    /// Takes what was counted, as facts.
    pub(super) fn take(&self) -> Vec<Kind> {
        self.sampled.store(0, Ordering::Relaxed);
        let mut counts: BTreeMap<Label, u64> = BTreeMap::new();
        self.lock().retain_mut(|counted| {
            // A worker that counts between these lines is told of the next time.
            let alone = Arc::strong_count(&counted.counter) == 1;
            let count = counted.counter.0.load(Ordering::Relaxed);
            if count > counted.told {
                *counts.entry(counted.label.clone()).or_default() += count - counted.told;
                counted.told = count;
            }
            !alone
        });
        let kinds = counts.into_iter();
        let kinds = kinds.map(|((view, rule, rcode), count)| Kind::DnsCounted {
            view,
            rule,
            rcode: rcode.into(),
            count,
        });
        kinds.chain(self.take_traffic()).collect()
    }

    fn whole(&self, question: &Question, answer: &Answer<'_>) -> DnsAnswered {
        let subnet = question.edns.and_then(|edns| edns.subnet);
        let (view, rule, rcode) = label(answer);
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
            rcode: rcode.into(),
            answer: records.map(|shown| shown.typed_words()).collect(),
            why: answer.reason.to_string(),
            took: None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Counted>> {
        self.counters.lock().expect("counting does not panic")
    }
}
