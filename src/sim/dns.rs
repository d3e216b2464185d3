//! The DNS server in virtual time, and the stub resolvers that ask it.
//!
//! What is answered is `policy/answer::decide`'s word, as live. Answers are counted exactly and
//! become facts ten times a second while there are any, with a bounded sample of whole ones.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use hickory_proto::op::{OpCode, ResponseCode};
use hickory_proto::rr::{DNSClass, RecordType};

use super::event::{Event, Id};
use super::network::{ClientStage, LinkId};
use super::world::World;
use crate::model::addr::{ClientAddr, ListenAddr};
use crate::model::expect::Check;
use crate::model::fact::{Cause, DnsAnswered, Kind, Probed};
use crate::model::id::{Name, Node};
use crate::model::time::{Span, Time};
use crate::policy;
use crate::policy::answer::{self, Answer, Edns, PAYLOAD_MAX, Question, Transport, rcode_word};
use crate::policy::resolver::Reply;
use crate::policy::zone::{read_name, read_type, type_word};

/// How long a stub resolver waits for one answer (resolv.conf's default, as `live/dial`).
const RESOLVE_TIMEOUT: Span = Span::from_secs(5);

/// How often it asks: once, and two times again.
const RESOLVE_TRIES: u8 = 3;

/// Added to the number of a try when the question is for IPv6.
const IPV6: u8 = 128;

/// How often counts become facts (as `live/dns`).
const FLUSH_EVERY: Span = Span::from_ms(100);

/// How many answers are shown whole between two flushes (as `live/dns`).
const SAMPLE_MAX: usize = 64;

/// How many records of an answer the sample shows (as `live/dns`).
const RECORDS_MAX: usize = 16;

/// What was answered since the last flush, by view, rule and response code.
#[derive(Debug, Default)]
pub(super) struct Counts {
    counts: BTreeMap<(Option<Name>, Option<Name>, &'static str), u64>,
    sampled: usize,
}

/// What a client makes of an answer.
pub(super) enum Heard {
    Address(IpAddr),
    Nothing(ResponseCode),
    Silence,
}

impl Heard {
    /// Takes the first address of an answer.
    pub(super) fn of(reply: &Reply) -> Self {
        let mut records = reply.records.iter();
        let address = records.find_map(|record| record.data.ip_addr());
        address.map_or(Self::Nothing(reply.rcode), Self::Address)
    }
}

/// Tells what kind of failure it is that an answer holds no address, in the words of `live/dial`.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a library's list of codes, of which a few have a cure of their own"
)]
fn unresolved(rcode: ResponseCode) -> (Cause, String) {
    match rcode {
        ResponseCode::NXDomain => (Cause::NoSuchName, "no such name (NXDOMAIN)".into()),
        ResponseCode::NoError => (Cause::NoAddress, "the name has no address (NODATA)".into()),
        ResponseCode::Refused => (
            Cause::DnsRefused,
            "the DNS server refused (REFUSED): no view or zone for this source".into(),
        ),
        code => (
            Cause::DnsFailed,
            format!("the DNS server failed ({})", rcode_word(code)),
        ),
    }
}

impl World<'_> {
    /// Sends a client's question.
    pub(super) fn ask(&mut self, id: LinkId) {
        if let Some(client) = self.links.get(id).map(|link| link.client) {
            let at = self.now + self.topology.model.latency;
            self.queue.push(at, client, Event::Question(id, 0));
        }
    }

    /// A client's question is at the server, or at its resolver.
    pub(super) fn asked(&mut self, id: LinkId, tried: u8) {
        let Some(link) = self.links.get(id) else {
            return;
        };
        if link.client_stage != ClientStage::Resolving {
            return;
        }
        let Some(dialing) = &link.dialing else { return };
        let host = dialing.to.host.clone();
        let (client, source) = (link.client, link.source);
        let rtype = if tried >= IPV6 {
            RecordType::AAAA
        } else {
            RecordType::A
        };
        let Ok(name) = read_name(&host) else {
            let error = format!("{host}: not a name");
            return self.hear(Id::Dns, id, Span::ZERO, Err((Cause::DnsFailed, error)));
        };
        if let Some(resolver) = self.resolver_of(client) {
            return self.ask_resolver(resolver, (id, tried), source, (name.to_hickory(), rtype));
        }
        let asker = self.node(client);
        let question = self.question(source, name, rtype);
        let (heard, delay) = match self.decide(&question, asker.as_ref()) {
            Some((reply, delay)) => (Heard::of(&reply), delay),
            None => (Heard::Silence, Span::ZERO),
        };
        self.heard(Id::Dns, (id, tried), heard, delay);
    }

    /// Nobody answers a question that was there at this instant: a stub resolver asks again.
    pub(super) fn ask_again(&mut self, id: LinkId, tried: u8, at: Time) {
        let waited = self.now.since(at).as_us();
        let left = Span::from_us(RESOLVE_TIMEOUT.as_us().saturating_sub(waited));
        let Some(link) = self.links.get(id) else {
            return;
        };
        if tried % IPV6 + 1 < RESOLVE_TRIES {
            let (at, client) = (self.now + left, link.client);
            self.queue.push(at, client, Event::Question(id, tried + 1));
        } else if let Some(dialing) = &link.dialing {
            let host = &dialing.to.host;
            let error = format!("{host}: the DNS server did not answer in time");
            self.hear(Id::Dns, id, left, Err((Cause::DnsTimeout, error)));
        }
    }

    /// Takes what a client is told, by whom, and how much later than the network alone brings it.
    pub(super) fn heard(&mut self, from: Id, (id, tried): (LinkId, u8), heard: Heard, delay: Span) {
        let Some(link) = self.links.get(id) else {
            return;
        };
        let Some(dialing) = &link.dialing else { return };
        match heard {
            Heard::Address(address) => self.hear(from, id, delay, Ok(address)),
            Heard::Silence => self.ask_again(id, tried, self.now),
            // IPv4 first, then IPv6.
            Heard::Nothing(_) if tried < IPV6 => {
                let client = link.client;
                let at = self.now + self.topology.model.latency.times(2) + delay;
                self.queue.push(at, client, Event::Question(id, IPV6));
            }
            Heard::Nothing(rcode) => {
                let (cause, why) = unresolved(rcode);
                let error = format!("{}: {why}", dialing.to.host);
                self.hear(from, id, delay, Err((cause, error)));
            }
        }
    }

    fn hear(&mut self, from: Id, id: LinkId, delay: Span, result: Result<IpAddr, (Cause, String)>) {
        let at = self.now + self.topology.model.latency + delay;
        self.queue
            .push(at, from, Event::Resolved(id, Box::new(result)));
    }

    /// Makes a question to the server.
    pub(super) fn question(
        &self,
        source: ClientAddr,
        name: policy::name::Name,
        record_type: RecordType,
    ) -> Question {
        Question {
            source,
            destination: ListenAddr(self.topology.dns.listen),
            transport: Transport::Udp,
            opcode: OpCode::Query,
            count: 1,
            name,
            record_type,
            class: DNSClass::IN,
            recursion_desired: false,
            edns: Some(Edns {
                version: 0,
                payload: PAYLOAD_MAX,
                dnssec_ok: false,
                subnet: None,
                subnet_broken: false,
                ..Edns::default()
            }),
        }
    }

    /// Decides an answer, counts it and makes its facts; gives the answer, and how much later than
    /// the network alone would bring it, unless it is dropped.
    pub(super) fn decide(
        &mut self,
        question: &Question,
        asker: Option<&Node>,
    ) -> Option<(Reply, Span)> {
        let rules = std::sync::Arc::clone(&self.rules);
        let answer = answer::decide(&rules, question);
        let delay = match answer.dropped {
            true => None,
            false => Some(self.delay(answer.latency, answer.jitter)),
        };
        self.count(question, &answer, asker, delay);
        Some((Reply::from(&answer), delay?))
    }

    /// Counts an answer before it is sent, and shows it whole when it is one of the sample.
    fn count(
        &mut self,
        question: &Question,
        answer: &Answer<'_>,
        asker: Option<&Node>,
        took: Option<Span>,
    ) {
        if self.dns.counts.is_empty() {
            let at = self.now + FLUSH_EVERY;
            self.queue.push(at, Id::Dns, Event::FlushDns);
        }
        if let Some(sample) = self.dns.add(question, answer, asker, took) {
            self.emit(&Node::Dns, vec![sample]);
        }
    }

    /// Asks the question of an expectation and makes a fact of the answer.
    pub(super) fn probe(&mut self, expectation: u32) {
        let topology = std::sync::Arc::clone(&self.topology);
        let Some(expected) = topology.expect.get(expectation as usize) else {
            return;
        };
        let Check::Answer(check) = &expected.check else {
            return;
        };
        let source = ClientAddr(SocketAddr::new(check.from, 0));
        let record_type = read_type(&check.rtype);
        let (Some(record_type), Ok(name)) = (record_type, read_name(&check.name)) else {
            return;
        };
        let question = self.question(source, name, record_type);
        let rules = std::sync::Arc::clone(&self.rules);
        let answer = answer::decide(&rules, &question);
        let asker = topology.client_at(check.from);
        self.count(&question, &answer, asker.as_ref(), None);
        let data = answer.records();
        let data = data.filter(|shown| shown.record_type == question.record_type);
        let probed = Probed {
            expectation,
            from: check.from,
            name: check.name.clone(),
            rtype: check.rtype.clone(),
            view: answer.view.map(|view| view.name.clone()),
            rcode: (!answer.dropped).then(|| answer.code().into()),
            answer: match answer.dropped {
                true => Vec::new(),
                false => data.map(|shown| shown.data_words().into()).collect(),
            },
        };
        self.emit(&Node::Lab, vec![Kind::Probed(Box::new(probed))]);
    }

    /// Makes facts of what was counted.
    pub(super) fn flush_dns(&mut self) {
        let kinds = self.dns.take();
        self.emit(&Node::Dns, kinds);
    }
}

impl Counts {
    fn add(
        &mut self,
        question: &Question,
        answer: &Answer<'_>,
        asker: Option<&Node>,
        took: Option<Span>,
    ) -> Option<Kind> {
        let view = answer.view.map(|view| view.name.clone());
        let rule = answer.rule().cloned();
        let rcode = answer.code();
        let label = (view.clone(), rule.clone(), rcode);
        *self.counts.entry(label).or_default() += 1;
        if self.sampled == SAMPLE_MAX {
            return None;
        }
        self.sampled += 1;
        let records = answer.records().take(RECORDS_MAX);
        Some(Kind::DnsAnswered(Box::new(DnsAnswered {
            client: question.source,
            asker: asker.cloned(),
            subnet: None,
            transport: question.transport.word(),
            name: question.name.to_ascii(),
            rtype: type_word(question.record_type),
            view,
            rule,
            rcode: rcode.into(),
            answer: records.map(|shown| shown.typed_words()).collect(),
            why: answer.reason.to_string(),
            took,
        })))
    }

    fn take(&mut self) -> Vec<Kind> {
        let Self { counts, .. } = std::mem::take(self);
        let kinds = counts.into_iter().map(|((view, rule, rcode), count)| {
            let rcode = rcode.into();
            Kind::DnsCounted {
                view,
                rule,
                rcode,
                count,
            }
        });
        kinds.collect()
    }
}
