//! Answers questions, one after another, with what it keeps for itself: the rules in force, answers
//! that were written before, counters.
//!
//! In go a question as it was read and who asks; out come bytes, or word of what else is to be done.
//! What was answered before is copied; everything else is decided by `policy/answer` and written
//! anew, and so is every answer while a fault is in force. Both ways give the same octets.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, Cache};
use hickory_proto::op::OpCode;
use hickory_proto::rr::{DNSClass, RecordType};

use super::classes::{Class, Classes, Word};
use super::counts::{Counter, Counts, Label, Traffic, label};
use super::forwarder::Forwarders;
use super::querylog::{Entry, Logger, Malformed, QueryLog};
use super::rendered::{Counted, Rendered, Shape, Wanted};
use super::writer::{Head, limit, write};
use crate::journal::Journal;
use crate::model::addr::{ClientAddr, ListenAddr};
use crate::model::draw::Seed;
use crate::model::id::{Name, Node};
use crate::model::time::{Span, Time};
use crate::policy::answer::{Answer, Edns, Question, Rules, Transport, decide};
use crate::policy::name;

/// What all workers of a server share.
pub(super) struct Shared {
    pub(super) rules: Arc<ArcSwap<Rules>>,
    pub(super) counts: Counts,
    pub(super) journal: Journal,
    pub(super) now: Arc<dyn Fn() -> Time + Send + Sync>,
    pub(super) seed: Seed,
    /// How many delays were drawn.
    pub(super) delays: AtomicU64,
    /// Who asks other servers, once the server runs.
    pub(super) forwarders: OnceLock<Forwarders>,
    /// Where each query is written.
    pub(super) log: Option<Arc<QueryLog>>,
}

/// A question as it was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read<'q> {
    pub(super) head: Head,
    pub(super) opcode: OpCode,
    /// How many questions the message says that it holds.
    pub(super) count: usize,
    /// Name, type and class of the first, as they came; empty when there is none.
    pub(super) question: &'q [u8],
    pub(super) edns: Option<Edns>,
    /// Whether the message holds nothing but the question and a plain OPT.
    pub(super) plain: bool,
}

/// Where a question came from, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct From {
    pub(super) client: SocketAddr,
    pub(super) transport: Transport,
    pub(super) destination: SocketAddr,
}

/// What became of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The answer was copied into the room that was given, so many octets, and goes out now.
    Copied(usize),
    /// The answer is written, and goes out now.
    Now,
    /// Other servers are to be asked for this view.
    Forward(Name),
    /// It goes out so much later.
    Later(Span),
    /// A fault took it away.
    Nothing,
}

/// One worker.
pub(super) struct Worker {
    shared: Arc<Shared>,
    rules: Cache<Arc<ArcSwap<Rules>>, Arc<Rules>>,
    /// Those by which `rendered` was written.
    current: Arc<Rules>,
    rendered: Rendered,
    classes: Classes,
    /// For what `classes` does not count.
    counters: BTreeMap<Label, Arc<Counter>>,
    traffic: Arc<Traffic>,
    log: Option<Logger>,
}

impl Worker {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        let current = shared.rules.load_full();
        Self {
            rules: Cache::new(Arc::clone(&shared.rules)),
            classes: Classes::new(&current),
            current,
            shared: Arc::clone(shared),
            rendered: Rendered::new(),
            counters: BTreeMap::new(),
            traffic: shared.counts.traffic(),
            log: shared.log.as_ref().and_then(QueryLog::logger),
        }
    }

    /// Counts a message that could not be read, and logs it.
    pub(super) fn count_malformed(&mut self, malformed: &Malformed) {
        self.count_message(malformed.transport);
        if let Some(log) = &self.log
            && !log.write_malformed(malformed)
        {
            self.traffic.unlogged.add();
        }
        self.traffic.malformed.add();
        let label: Label = (None, None, "FORMERR");
        let counter = self.counters.entry(label);
        counter
            .or_insert_with_key(|label| self.shared.counts.counter(label.clone()))
            .add();
    }

    fn count_message(&self, transport: Transport) {
        match transport {
            Transport::Tcp => self.traffic.tcp.add(),
            Transport::Udp => self.traffic.udp.add(),
        }
    }

    /// Takes the rules in force, and lets go of those before.
    pub(super) fn renew(&mut self) {
        let rules = self.rules.load();
        if !Arc::ptr_eq(rules, &self.current) {
            self.current = Arc::clone(rules);
            self.rendered.clear();
            self.classes = Classes::new(&self.current);
            self.counters.clear();
        }
    }

    /// Answers a question: into `room` what was answered before, else into `out`.
    pub(super) fn answer(
        &mut self,
        asked: &Read<'_>,
        from: From,
        room: &mut [u8],
        out: &mut Vec<u8>,
    ) -> Outcome {
        self.renew();
        self.count_message(from.transport);
        let wanted = self.wanted(asked, from);
        if let Some((wanted, class)) = &wanted
            && let Some(hit) = self.rendered.get(wanted)
            && hit.message.len() <= limit(from.transport, asked.edns.as_ref())
            && !self.shared.counts.wants_sample()
            && let Some(room) = room.get_mut(..hit.message.len())
        {
            room.copy_from_slice(hit.message);
            patch(room, asked);
            let Counted { word, named } = hit.counted;
            let counted = (*class, named, word);
            self.classes
                .count(counted, &self.current, &self.shared.counts);
            return Outcome::Copied(room.len());
        }
        self.decide(asked, from, wanted.as_ref(), out)
    }

    /// Gives the rules that answered last.
    pub(super) const fn rules(&self) -> &Arc<Rules> {
        &self.current
    }

    /// Tells what a question is kept under, and the class of the client; `None` when its answer is
    /// not kept.
    fn wanted<'q>(&mut self, asked: &Read<'q>, from: From) -> Option<(Wanted<'q>, Class)> {
        let plain = asked.plain && asked.count == 1 && asked.opcode == OpCode::Query;
        // What is logged is decided anew: the log tells by which step.
        if !plain || self.log.is_some() || !self.current.faults().is_empty() {
            return None;
        }
        let edns = match asked.edns {
            None => 0,
            Some(edns) if edns.version > 0 || edns.subnet.is_some() || edns.subnet_broken => {
                return None;
            }
            Some(edns) => 1 + u8::from(edns.dnssec_ok),
        };
        let (client, at) = (from.client.ip(), from.destination.ip());
        let class = self.classes.find(&self.current, client, at)?;
        // No view is a home of its own; views have odd numbers, what they share has even ones.
        let home = match class.matched {
            None => 0,
            Some((view, _)) => {
                let shared = || shared_home(&self.current, view, asked.question);
                match class.shared.then(shared).flatten() {
                    Some(home) => home.checked_add(1)?.checked_mul(2)?,
                    None => view.checked_mul(2)? | 1,
                }
            }
        };
        // Whose questions are passed on has a list of its own, and RA tells.
        let view = class.matched.map(|(view, _)| view as usize);
        let view = view.and_then(|view| self.current.views.get(view));
        let passes = view.is_some_and(|view| view.asks_for(client));
        let edns = edns | u8::from(passes) << 2;
        let shape = Shape { home, edns };
        Some((Wanted::new(asked.question, shape), class))
    }

    /// Decides, writes, counts, and keeps what may be kept.
    fn decide(
        &mut self,
        asked: &Read<'_>,
        from: From,
        wanted: Option<&(Wanted<'_>, Class)>,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let (shared, rules) = (&*self.shared, &*self.current);
        let question = question(asked, from);
        // The clock is read for what is shown whole only.
        let began = shared.counts.wants_sample().then(|| (shared.now)());
        let answer = decide(rules, &question);
        let counted = Word::of(answer.code()).map(|word| Counted {
            word,
            named: answer.view.is_some(),
        });
        if let (Some((_, class)), Some(Counted { word, named })) = (wanted, counted) {
            let counted = (*class, named, word);
            self.classes.count(counted, rules, &shared.counts);
        } else {
            let counter = self.counters.entry(label(&answer));
            let counter = counter.or_insert_with_key(|label| shared.counts.counter(label.clone()));
            counter.add();
        }
        if answer.is_forwarded()
            && !answer.dropped
            && let Some(view) = answer.view
        {
            show(shared, (&question, &answer), began, None);
            // Written, and logged, when the answer is there.
            return Outcome::Forward(view.name.clone());
        }
        let cut = !answer.dropped && {
            let limit = limit(from.transport, asked.edns.as_ref());
            write(out, asked.head, asked.question, &answer, limit)
        };
        if cut {
            self.traffic.truncated.add();
        }
        if let Some(log) = &self.log {
            let entry = Entry {
                head: asked.head,
                question: &question,
                answer: &answer,
                size: if answer.dropped { 0 } else { out.len() },
                truncated: cut,
                told: None,
            };
            if !log.write(&entry) {
                self.traffic.unlogged.add();
            }
        }
        let delay = (!answer.dropped).then(|| delay(shared, &answer));
        show(shared, (&question, &answer), began, delay);
        let Some(delay) = delay else {
            return Outcome::Nothing;
        };
        if let (Some((wanted, _)), Some(counted)) = (wanted, counted)
            && !cut
            && answer.is_for_its_class()
            && !(wanted.is_shared() && answer.names_its_view())
        {
            self.rendered.put(wanted, out, counted);
        }
        match delay {
            Span::ZERO => Outcome::Now,
            delay => Outcome::Later(delay),
        }
    }

    /// Answers as if nothing had been answered before.
    #[cfg(test)]
    pub(super) fn fresh(&mut self, asked: &Read<'_>, from: From, out: &mut Vec<u8>) -> Outcome {
        self.decide(asked, from, None, out)
    }
}

/// Shows an answer whole, if it is one of the sample: before it is sent, so that what the client does
/// with it comes after. `delay` is how much later it goes out, `None` when it does not go out yet.
fn show(
    shared: &Shared,
    (question, answer): (&Question, &Answer<'_>),
    began: Option<Time>,
    delay: Option<Span>,
) {
    let Some(began) = began else { return };
    let now = (shared.now)();
    let took = delay.map(|delay| now.since(began) + delay);
    if let Some(sample) = shared.counts.sample(question, answer, took) {
        shared.journal.add(now, &Node::Dns, [sample]);
    }
}

/// Draws how much later an answer is sent.
fn delay(shared: &Shared, answer: &Answer<'_>) -> Span {
    if answer.jitter == Span::ZERO {
        return answer.latency;
    }
    let count = shared.delays.fetch_add(1, Ordering::Relaxed);
    answer.delay(shared.seed, count)
}

/// Finds what a view shares with others for the name that is asked for.
fn shared_home(rules: &Rules, view: u32, question: &[u8]) -> Option<u32> {
    let (wire, kind) = question.split_last_chunk::<4>()?;
    let key = name::Key::new(&name::Name::from_wire(wire)?);
    let kind = u16::from_be_bytes([kind[0], kind[1]]);
    rules.home(view as usize, &key, RecordType::from(kind))
}

/// Makes a kept answer this question's: number, flags that go back as they came, and the name as it
/// was written.
fn patch(out: &mut [u8], asked: &Read<'_>) {
    use super::writer::HEAD;
    if let Some(id) = out.first_chunk_mut::<2>() {
        *id = asked.head.id.to_be_bytes();
    }
    out[2] = out[2] & !1 | u8::from(asked.head.recursion_desired);
    out[3] = out[3] & !0x10 | u8::from(asked.head.checking_disabled) << 4;
    if let Some(question) = out.get_mut(HEAD..HEAD + asked.question.len()) {
        question.copy_from_slice(asked.question);
    }
}

/// Makes of what was read what `policy/answer` is asked.
pub(super) fn question(asked: &Read<'_>, from: From) -> Question {
    let (wire, kind) = asked
        .question
        .split_at(asked.question.len().saturating_sub(4));
    let number = |at: usize| kind.get(at..at + 2).and_then(|pair| pair.try_into().ok());
    let number = |at| u16::from_be_bytes(number(at).unwrap_or([0, 0]));
    Question {
        source: ClientAddr(from.client),
        destination: ListenAddr(from.destination),
        transport: from.transport,
        opcode: asked.opcode,
        count: asked.count,
        name: name::Name::from_wire(wire).unwrap_or(name::Name::ROOT),
        record_type: RecordType::from(number(0)),
        class: match asked.question {
            [] => DNSClass::IN,
            _ => DNSClass::from(number(2)),
        },
        recursion_desired: asked.head.recursion_desired,
        edns: asked.edns,
    }
}
