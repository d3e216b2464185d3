//! A resolver with a cache, between clients and the DNS server.
//!
//! In go questions of clients and what the DNS server answered; out come questions to the DNS server
//! and answers, their TTLs counted down. Whoever asks what is being asked already waits for the same
//! answer. An answer lives as long as the shortest TTL in it, a negative one as RFC 2308 section 5
//! says, and is kept by name and type; TTL 0 is not kept. A failure is kept by those who are told to
//! (RFC 9520), a few seconds first and longer each time. It follows CNAMEs that
//! lead out of the answer, not referrals: a forwarder's server answers in full. A move to another
//! network flushes nothing, so that answers for the old one live on.

mod cache;
mod message;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{LowerName, Name, RData, Record, RecordType};

use crate::model::addr::ClientAddr;
use crate::model::fact::{Act, Kind, Resolved};
use crate::model::id::{self, Node};
use crate::model::time::{Span, Time};
use crate::policy::answer::{CHAIN_MAX, rcode_word};
use crate::policy::zone::{rdata_words, type_word};
use crate::policy::{Context, Machine, Outbox};

use self::cache::{Cache, Entry};

pub use self::cache::{CACHE_MAX, FAILURE_MAX, FAILURE_MIN, NEGATIVE_MAX, TTL_MAX};
pub use self::message::{
    CACHED_ERROR, ERRORS_MAX, Extended, Input, NETWORK_ERROR, NO_REACHABLE_AUTHORITY, Output,
    Reply, Source,
};

/// How long the DNS server may take for one question, before it is asked again.
///
/// All tries together end before a stub resolver's own five seconds, so that it gets SERVFAIL.
pub const FORWARD_TIMEOUT: Span = Span::from_secs(2);

/// How often it is asked.
pub const FORWARD_TRIES: u32 = 2;

/// How long one question may take with all that it leads to, before it has failed.
pub const QUESTION_MAX: Span = Span::from_ms(4_500);

/// How many different questions are asked of the DNS server at once; further ones are SERVFAIL.
pub const FLIGHTS_MAX: usize = 1_024;

/// How many questions of clients wait at once; further ones are SERVFAIL. A fleet that comes back
/// asks for one name.
pub const WAITING_MAX: usize = 16_384;

/// A resolver.
#[derive(Debug)]
pub struct Resolver {
    node: Node,
    work: Work,
    floor: Span,
    /// Whether failures are kept, too.
    keeps_failures: bool,
    cache: Cache,
    flights: BTreeMap<u64, Flight>,
    /// The flight of each question that is being asked.
    asked: BTreeMap<Question, u64>,
    waiting: usize,
    forwards: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// Answers who waits, takes nothing new.
    Draining,
    Running,
    Stopped,
}

/// What is asked: a name without regard to case, and a type.
type Question = (LowerName, RecordType);

/// A question that the DNS server is asked.
#[derive(Debug)]
struct Flight {
    question: Question,
    /// The aliases that were followed so far.
    chain: Vec<Record>,
    hops: usize,
    /// When it was asked first.
    since: Time,
    waiting: Vec<Asker>,
}

#[derive(Debug)]
struct Asker {
    ask: u64,
    client: ClientAddr,
    name: Name,
}

impl Resolver {
    /// Makes a resolver with an empty cache. It does nothing before `Operate(Start)`.
    pub fn new(name: &id::Name) -> Self {
        Self {
            node: Node::Resolver(name.clone()),
            work: Work::Stopped,
            floor: Span::ZERO,
            keeps_failures: false,
            cache: Cache::default(),
            flights: BTreeMap::new(),
            asked: BTreeMap::new(),
            waiting: 0,
            forwards: 0,
        }
    }

    /// Has failures kept, as RFC 9520 asks of every resolver that faces the world: from
    /// [`FAILURE_MIN`] up to [`FAILURE_MAX`]. A lab's own resolver asks again at once, so that what
    /// is seen of a fault is the fault's.
    #[must_use]
    pub fn keeping_failures(self) -> Self {
        Self {
            keeps_failures: true,
            ..self
        }
    }

    fn ask(&mut self, now: Time, asker: Asker, record_type: RecordType, out: &mut Outbox<Output>) {
        if self.work != Work::Running {
            return;
        }
        let question = (LowerName::new(&asker.name), record_type);
        if let Some(entry) = self.cache.get(&question, now) {
            let reply = entry.reply(now);
            let source = Source::Cached;
            answer(asker, record_type, (reply, source), &entry.words, out);
            return;
        }
        let known = self.asked.get(&question).copied();
        let full = known.is_none() && self.flights.len() == FLIGHTS_MAX;
        if full || self.waiting == WAITING_MAX {
            let reply = (Reply::failure(), Source::Full);
            answer(asker, record_type, reply, &[], out);
            return;
        }
        self.waiting += 1;
        if let Some(flight) = known.and_then(|forward| self.flights.get_mut(&forward)) {
            flight.waiting.push(asker);
            return;
        }
        let name = asker.name.clone();
        let flight = Flight {
            question,
            chain: Vec::new(),
            hops: 0,
            since: now,
            waiting: vec![asker],
        };
        self.forward(flight, name, out);
    }

    fn forward(&mut self, flight: Flight, name: Name, out: &mut Outbox<Output>) {
        self.forwards += 1;
        let forward = self.forwards;
        let (record_type, since) = (flight.question.1, flight.since);
        self.asked.insert(flight.question.clone(), forward);
        self.flights.insert(forward, flight);
        out.push(Output::Forward {
            forward,
            name,
            record_type,
            since,
        });
    }

    /// Takes what the DNS server said; a chain that leads out of it is followed first.
    fn answered(&mut self, now: Time, forward: u64, mut reply: Reply, out: &mut Outbox<Output>) {
        let Some(mut flight) = self.flights.remove(&forward) else {
            return;
        };
        let target = open_end(&flight, &reply);
        flight.chain.append(&mut reply.records);
        if let Some(target) = target {
            flight.hops += 1;
            if flight.hops <= CHAIN_MAX && now.since(flight.since) < QUESTION_MAX {
                self.forward(flight, target, out);
                return;
            }
            reply = Reply::failure();
        } else {
            reply.records = std::mem::take(&mut flight.chain);
        }
        let entry = Entry::new(now, reply, self.floor);
        self.finish_flight(now, flight, entry, out);
    }

    /// Answers everyone who waits for a flight, and keeps the answer if it is to be kept.
    fn finish_flight(
        &mut self,
        now: Time,
        flight: Flight,
        mut entry: Entry,
        out: &mut Outbox<Output>,
    ) {
        if self.keeps_failures {
            let before = self.cache.before(&flight.question);
            entry.keep_failure(before);
        }
        let question = self.end(flight, now, &entry, out);
        if entry.is_kept() {
            self.cache.put(question, entry, now);
        }
    }

    /// Answers everyone who waits for a flight; gives back its question.
    fn end(
        &mut self,
        flight: Flight,
        now: Time,
        entry: &Entry,
        out: &mut Outbox<Output>,
    ) -> Question {
        let Flight {
            question, waiting, ..
        } = flight;
        self.asked.remove(&question);
        self.waiting -= waiting.len();
        for asker in waiting {
            let reply = (entry.fresh(now), Source::Asked);
            answer(asker, question.1, reply, &entry.words, out);
        }
        self.finish(out);
        question
    }

    /// Does an operator's act; one that changes nothing makes no fact.
    fn operate(&mut self, act: Act, out: &mut Outbox<Output>) {
        let work = match act {
            Act::Drain => Work::Draining,
            Act::Start => Work::Running,
            Act::Kill | Act::Stop => Work::Stopped,
        };
        if work == self.work || (work, self.work) == (Work::Draining, Work::Stopped) {
            return;
        }
        out.fact(Kind::Operated { act });
        let was = std::mem::replace(&mut self.work, work);
        match act {
            Act::Drain => self.finish(out),
            Act::Start if was == Work::Draining => {}
            Act::Start => out.push(Output::Listen),
            Act::Kill | Act::Stop => self.close(out),
        }
    }

    /// Ends a drain that has nobody left to answer.
    fn finish(&mut self, out: &mut Outbox<Output>) {
        if self.work == Work::Draining && self.flights.is_empty() {
            self.work = Work::Stopped;
            out.fact(Kind::Drained);
            self.close(out);
        }
    }

    /// A process that ends takes its cache along, and whoever waits hears nothing.
    fn close(&mut self, out: &mut Outbox<Output>) {
        self.cache = Cache::default();
        self.flights.clear();
        self.asked.clear();
        self.waiting = 0;
        out.push(Output::Close);
    }
}

impl Machine for Resolver {
    type Input = Input;
    type Output = Output;

    fn node(&self) -> Node {
        self.node.clone()
    }

    fn handle(&mut self, cx: &Context<'_>, input: Input, out: &mut Outbox<Output>) {
        match input {
            Input::Answered { forward, reply } => self.answered(cx.now, forward, reply, out),
            Input::Asked {
                ask,
                client,
                name,
                record_type,
            } => {
                let asker = Asker { ask, client, name };
                self.ask(cx.now, asker, record_type, out);
            }
            Input::Failed { forward } => {
                if let Some(flight) = self.flights.remove(&forward) {
                    let failure = Entry::new(cx.now, Reply::failure(), Span::ZERO);
                    self.finish_flight(cx.now, flight, failure, out);
                }
            }
            Input::Floor(floor) => self.floor = floor.unwrap_or_default(),
            Input::Operate(act) => self.operate(act, out),
            Input::Roamed { network, address } => roamed(network, address, out),
        }
    }

    fn is_answer(_output: &Output) -> bool {
        false
    }

    fn deadline(&self) -> Option<(Time, &'static str)> {
        None
    }

    fn wake(&mut self, _cx: &Context<'_>, _out: &mut Outbox<Output>) {}
}

fn roamed(network: id::Name, address: IpAddr, out: &mut Outbox<Output>) {
    out.fact(Kind::Roamed { network, address });
}

/// Gives the name that the answer's last alias leads to, when the answer says nothing of it.
fn open_end(flight: &Flight, reply: &Reply) -> Option<Name> {
    let wanted = flight.question.1;
    let follows = !matches!(wanted, RecordType::ANY | RecordType::CNAME);
    let last = reply.records.last().filter(|_| follows)?;
    let RData::CNAME(target) = &last.data else {
        return None;
    };
    let silent = reply.rcode == ResponseCode::NoError && reply.soa.is_none();
    silent.then(|| target.0.clone())
}

/// Answers a client and says so.
fn answer(
    asker: Asker,
    record_type: RecordType,
    (reply, source): (Reply, Source),
    words: &[id::Name],
    out: &mut Outbox<Output>,
) {
    let Asker { ask, client, name } = asker;
    out.fact(Kind::Resolved(Box::new(Resolved {
        client,
        name: name.to_ascii().into(),
        rtype: type_word(record_type).into(),
        cached: source == Source::Cached,
        rcode: rcode_word(reply.rcode).into(),
        ttl: reply.ttl(),
        answer: words.to_vec(),
    })));
    out.push(Output::Reply { ask, reply, source });
}

/// Writes records as facts show them.
fn words(records: &[Record]) -> Arc<[id::Name]> {
    let words = records.iter().map(|record| {
        let kind = type_word(record.record_type());
        format!("{kind} {}", rdata_words(&record.data)).into()
    });
    words.collect()
}
