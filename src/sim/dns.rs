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
use crate::model::fact::{DnsAnswered, Kind, Probed};
use crate::model::id::{Name, Node};
use crate::model::time::Span;
use crate::policy::answer::{self, Answer, Edns, PAYLOAD_MAX, Question, Transport, rcode_word};
use crate::policy::zone::{data_words, read_name, read_type, type_word};

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
enum Heard {
    Address(IpAddr),
    Nothing(ResponseCode),
    Silence,
}

impl World<'_> {
    /// Sends a client's question.
    pub(super) fn ask(&mut self, id: LinkId) {
        if let Some(client) = self.links.get(id).map(|link| link.client) {
            let at = self.now + self.topology.model.latency;
            self.queue.push(at, client, Event::Question(id, 0));
        }
    }

    /// A client's question is at the server.
    pub(super) fn question(&mut self, id: LinkId, tried: u8) {
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
        let asker = self.node(client);
        let source = self.asks_from(client, source);
        let Some(question) = self.question_of(source, &host, rtype) else {
            let error = format!("{host}: not a name");
            return self.hear(id, Span::ZERO, Err(error));
        };
        let (heard, delay) = self.decide(&question, asker.as_ref());
        match heard {
            Heard::Address(address) => self.hear(id, delay, Ok(address)),
            Heard::Silence if tried % IPV6 + 1 < RESOLVE_TRIES => {
                let at = self.now + RESOLVE_TIMEOUT;
                self.queue.push(at, client, Event::Question(id, tried + 1));
            }
            Heard::Silence => {
                let error = format!("{host}: request timed out");
                self.hear(id, RESOLVE_TIMEOUT, Err(error));
            }
            // IPv4 first, then IPv6.
            Heard::Nothing(_) if tried < IPV6 => {
                let at = self.now + self.topology.model.latency.times(2) + delay;
                self.queue.push(at, client, Event::Question(id, IPV6));
            }
            Heard::Nothing(rcode) => {
                let rcode = rcode_word(rcode);
                let error = format!("{host}: the answer holds no address ({rcode})");
                self.hear(id, delay, Err(error));
            }
        }
    }

    fn hear(&mut self, id: LinkId, delay: Span, result: Result<IpAddr, String>) {
        let at = self.now + self.topology.model.latency + delay;
        self.queue
            .push(at, Id::Dns, Event::Resolved(id, Box::new(result)));
    }

    /// Gives the address that the server sees: a resolver's own, unless it runs at the client.
    fn asks_from(&self, client: Id, source: ClientAddr) -> ClientAddr {
        let name = match client {
            Id::Agent(index) => &self.topology.agents[index as usize].resolver,
            Id::User(index) => &self.topology.users[index as usize].resolver,
            Id::Lab | Id::Dns | Id::Balancer(_) | Id::Proxy(_) => &None,
        };
        let resolver = name.as_ref().and_then(|name| self.topology.resolver(name));
        resolver
            .filter(|resolver| resolver.on.is_none())
            .map_or(source, |resolver| {
                ClientAddr(SocketAddr::new(resolver.listen.ip(), source.0.port()))
            })
    }

    /// Makes a question of a client to the server.
    pub(super) fn question_of(
        &self,
        source: ClientAddr,
        host: &str,
        record_type: RecordType,
    ) -> Option<Question> {
        Some(Question {
            source,
            destination: ListenAddr(self.topology.dns.listen),
            transport: Transport::Udp,
            opcode: OpCode::Query,
            count: 1,
            name: read_name(host).ok()?,
            record_type,
            class: DNSClass::IN,
            edns: Some(Edns {
                version: 0,
                payload: PAYLOAD_MAX,
                dnssec_ok: false,
                subnet: None,
                subnet_broken: false,
            }),
        })
    }

    /// Decides an answer, counts it and makes its facts; gives what the client hears, and how much
    /// later than the network alone would bring it.
    fn decide(&mut self, question: &Question, asker: Option<&Node>) -> (Heard, Span) {
        let rules = std::sync::Arc::clone(&self.rules);
        let answer = answer::decide(&rules, question);
        self.count(question, &answer, asker);
        if answer.dropped {
            return (Heard::Silence, Span::ZERO);
        }
        let delay = self.delay(answer.latency, answer.jitter);
        let mut records = answer.answer.iter();
        let address = records.find_map(|shown| shown.record.data.ip_addr());
        let heard = address.map_or(Heard::Nothing(answer.rcode), Heard::Address);
        (heard, delay)
    }

    /// Counts an answer before it is sent, and shows it whole when it is one of the sample.
    fn count(&mut self, question: &Question, answer: &Answer<'_>, asker: Option<&Node>) {
        if self.dns.counts.is_empty() {
            let at = self.now + FLUSH_EVERY;
            self.queue.push(at, Id::Dns, Event::FlushDns);
        }
        if let Some(sample) = self.dns.add(question, answer, asker) {
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
        let question = record_type.and_then(|rtype| self.question_of(source, &check.name, rtype));
        let Some(question) = question else { return };
        let rules = std::sync::Arc::clone(&self.rules);
        let answer = answer::decide(&rules, &question);
        let asker = topology.client_at(check.from);
        self.count(&question, &answer, asker.as_ref());
        let data = answer.answer.iter().map(|shown| &shown.record.data);
        let data = data.filter(|data| data.record_type() == question.record_type);
        let probed = Probed {
            expectation,
            from: check.from,
            name: check.name.clone(),
            rtype: check.rtype.clone(),
            view: answer.view.map(|view| view.name.clone()),
            rcode: (!answer.dropped).then(|| answer.code().into()),
            answer: match answer.dropped {
                true => Vec::new(),
                false => data.map(|data| data_words(data).into()).collect(),
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
        let records = answer.answer.iter().take(RECORDS_MAX);
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
            answer: records
                .map(|shown| {
                    let data = &shown.record.data;
                    format!("{} {}", type_word(data.record_type()), data_words(data))
                })
                .collect(),
            why: answer.reason.to_string(),
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
