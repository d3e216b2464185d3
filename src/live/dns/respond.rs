//! A message as it came becomes a question, and the answer a message.
//!
//! What cannot be read is answered FORMERR, with the question where that can be read; whatever else
//! is to be said is decided by `policy/answer`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use hickory_proto::op::{OpCode, ResponseCode};

use super::carry::{self, Respond, Responders};
use super::forwarder;
use super::message::{self, Malformed, Parsed, Problem, Query};
use super::querylog;
use super::worker::{From, Outcome, Read, Shared, Worker};
use super::writer::{Head, write_error};
use crate::live::clock::Clock;
use crate::model::id::Name;
use crate::policy::answer::{Edns, OwnEdns, Transport};
use crate::policy::cookie::Given;
use crate::policy::view::Subnet;

/// The family numbers of addresses (RFC 7871 section 6).
const FAMILY_IPV4: u16 = 1;
const FAMILY_IPV6: u16 = 2;

/// A worker that takes whole messages.
pub(super) struct Responder {
    worker: Worker,
    /// The answer that is being written.
    message: Vec<u8>,
    shared: Arc<Shared>,
    clock: Clock,
}

impl Responders for Arc<Shared> {
    fn responder(&self) -> Box<dyn Respond> {
        Box::new(Responder::new(self))
    }
}

impl Respond for Responder {
    fn rest(&mut self) {
        self.worker.renew();
    }

    fn respond(&mut self, asked: carry::Asked<'_>, out: &mut [u8]) -> carry::Reply {
        let from = From {
            client: asked.from,
            transport: asked.via.transport.into(),
            destination: asked.via.destination,
        };
        let delay = match self.take(asked.message, from, out) {
            Outcome::Copied(length) => return carry::Reply::Now(length),
            Outcome::Nothing => return carry::Reply::Nothing,
            Outcome::Forward(view) => {
                let Parsed::Query(query) = message::parse(asked.message) else {
                    return carry::Reply::Nothing;
                };
                let read = read(asked.message, &query, from.transport, &self.clock);
                if self.forward(&view, &asked, &read, from) {
                    return carry::Reply::Deferred;
                }
                None
            }
            Outcome::Now => None,
            Outcome::Later(delay) => Some(delay),
        };
        let length = self.message.len();
        let Some(room) = out.get_mut(..length) else {
            return carry::Reply::Nothing;
        };
        room.copy_from_slice(&self.message);
        match delay {
            Some(delay) => carry::Reply::Later(length, delay),
            None => carry::Reply::Now(length),
        }
    }
}

impl Responder {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            worker: Worker::new(shared),
            message: Vec::new(),
            shared: Arc::clone(shared),
            clock: Clock::start(),
        }
    }

    /// Gives the answer that was written last.
    pub(super) fn message(&self) -> &[u8] {
        &self.message
    }

    /// Takes a message; what was answered before is copied into `room`.
    pub(super) fn take(&mut self, message: &[u8], from: From, room: &mut [u8]) -> Outcome {
        match message::parse(message) {
            Parsed::Ignored => Outcome::Nothing,
            Parsed::Malformed(malformed) => {
                self.refuse(message, &malformed);
                self.worker.count_malformed(&querylog::Malformed {
                    client: from.client,
                    transport: from.transport,
                    problem: malformed.problem,
                    size: message.len(),
                });
                Outcome::Now
            }
            Parsed::Query(query) => {
                let read = read(message, &query, from.transport, &self.clock);
                self.worker.answer(&read, from, room, &mut self.message)
            }
        }
    }

    /// Has a view's other servers asked; `false` when the answer, a failure, is written already.
    fn forward(
        &mut self,
        view: &Name,
        asked: &carry::Asked<'_>,
        read: &Read<'_>,
        from: From,
    ) -> bool {
        let Some(forwarders) = self.shared.forwarders.get() else {
            self.fail(read);
            return false;
        };
        let asked = forwarder::Asked {
            view,
            read,
            from,
            rules: self.worker.rules(),
            answerer: asked.answerer(),
        };
        forwarders.ask(asked, &mut self.message)
    }

    /// Answers SERVFAIL, since nobody can be asked.
    fn fail(&mut self, read: &Read<'_>) {
        let edns = read.edns.map(|_| OwnEdns::default());
        let rcode = ResponseCode::ServFail;
        write_error(
            &mut self.message,
            read.head,
            read.question,
            rcode,
            edns.as_ref(),
        );
    }

    /// Answers FORMERR.
    fn refuse(&mut self, query: &[u8], malformed: &Malformed) {
        let question = malformed.question.clone();
        let question = question
            .and_then(|range| query.get(range))
            .unwrap_or_default();
        // An OPT that is itself what is wrong is not answered by one; so BIND, Knot and NSD.
        let wrong = matches!(malformed.problem, Problem::Opt | Problem::Option);
        let edns = (malformed.edns && !wrong).then(OwnEdns::default);
        let head = head(malformed.id, malformed.flags);
        let rcode = ResponseCode::FormErr;
        write_error(&mut self.message, head, question, rcode, edns.as_ref());
    }
}

/// Takes from a query what is asked of `policy/answer`.
fn read<'q>(bytes: &'q [u8], query: &Query<'_>, transport: Transport, clock: &Clock) -> Read<'q> {
    let length = query.question.as_ref().map_or(0, message::Question::length);
    let edns = query.edns.map(|edns| {
        let subnet = edns.subnet.map(subnet);
        // Seconds since 1970 go round as serial numbers do (RFC 9018 section 4.3).
        let at = || u32::try_from(clock.unix_seconds() & u64::from(u32::MAX)).unwrap_or(0);
        let cookie = edns.cookie.map(|content| Given::read(content, at()));
        Edns {
            version: edns.version,
            payload: edns.payload,
            dnssec_ok: edns.wants_dnssec(),
            subnet: subnet.flatten(),
            subnet_broken: matches!(subnet, Some(None)),
            nsid: edns.nsid.is_some(),
            keepalive: edns.keepalive.is_some() && transport == Transport::Tcp,
            cookie: cookie.flatten(),
            cookie_broken: matches!(cookie, Some(None)),
        }
    });
    let start = message::HEADER;
    Read {
        head: head(query.id, query.flags),
        opcode: OpCode::from_u8(query.opcode()),
        count: usize::from(query.question.is_some()),
        question: bytes.get(start..start + length).unwrap_or_default(),
        edns,
        plain: query.edns.is_none_or(|edns| edns.options.is_empty()) && !query.tsig,
    }
}

fn head(id: u16, flags: u16) -> Head {
    Head {
        id,
        opcode: u8::try_from(flags >> 11 & 0xf).unwrap_or(0),
        recursion_desired: flags & 0x100 != 0,
        checking_disabled: flags & 0x10 != 0,
    }
}

/// Reads a client-subnet option (RFC 7871 section 6); `None` when it is none.
fn subnet(content: &[u8]) -> Option<Subnet> {
    let (fixed, octets) = content.split_first_chunk::<4>()?;
    let [high, low, source, scope] = *fixed;
    if octets.len() != usize::from(source.div_ceil(8)) {
        return None;
    }
    let address: IpAddr = match u16::from_be_bytes([high, low]) {
        FAMILY_IPV4 => Ipv4Addr::from(padded::<4>(octets)?).into(),
        FAMILY_IPV6 => Ipv6Addr::from(padded::<16>(octets)?).into(),
        _ => return None,
    };
    Some(Subnet {
        address,
        source,
        scope,
    })
}

/// Fills an address up with zeros.
fn padded<const LENGTH: usize>(octets: &[u8]) -> Option<[u8; LENGTH]> {
    let mut address = [0; LENGTH];
    address.get_mut(..octets.len())?.copy_from_slice(octets);
    Some(address)
}

impl std::convert::From<carry::Transport> for Transport {
    fn from(transport: carry::Transport) -> Self {
        match transport {
            carry::Transport::Tcp => Self::Tcp,
            carry::Transport::Udp => Self::Udp,
        }
    }
}
