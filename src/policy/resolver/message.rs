//! What a resolver is told and what it asks for.

use std::net::IpAddr;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::model::addr::ClientAddr;
use crate::model::fact::Act;
use crate::model::id;
use crate::model::time::{Span, Time};
use crate::policy::answer::{Answer, records};

/// What a resolver is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The DNS server answered.
    Answered {
        /// The question, as [`Output::Forward`] numbered it.
        forward: u64,
        /// What it said.
        reply: Reply,
    },
    /// A client asks.
    Asked {
        /// To be given back with the answer; no two that wait are the same.
        ask: u64,
        /// Who.
        client: ClientAddr,
        /// The name, absolute.
        name: Name,
        /// The type.
        record_type: RecordType,
    },
    /// The DNS server did not answer in time, or could not be asked.
    Failed {
        /// The question, as [`Output::Forward`] numbered it.
        forward: u64,
    },
    /// Answers that come from now on are kept at least so long, or as long as they say.
    Floor(Option<Span>),
    /// An operator acts; the lab's own start counts as one.
    Operate(Act),
    /// The machine that it runs on is in another network now; it asks from another address.
    Roamed {
        /// The network.
        network: id::Name,
        /// The address there.
        address: IpAddr,
    },
}

/// What a resolver asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Listen no more; whoever waits hears nothing.
    Close,
    /// Ask the DNS server this.
    Forward {
        /// To be given back with the answer.
        forward: u64,
        /// The name, absolute.
        name: Name,
        /// The type.
        record_type: RecordType,
        /// When the first client asked what this is for.
        since: Time,
    },
    /// Listen.
    Listen,
    /// Answer a client.
    Reply {
        /// Whose question.
        ask: u64,
        /// What.
        reply: Reply,
        /// Where it is from.
        source: Source,
    },
}

/// Where an answer to a client is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The DNS server was asked.
    Asked,
    /// It was kept.
    Cached,
    /// Too many questions are being asked already.
    Full,
}

/// Why there is no answer, or what else is to be known of one (RFC 8914).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extended {
    /// The code (RFC 8914 section 4).
    pub code: u16,
    /// Words for people; may be empty.
    pub text: Box<str>,
}

/// An answer, from the DNS server or to a client.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The response code.
    pub rcode: ResponseCode,
    /// The answer section, aliases first.
    pub records: Vec<Record>,
    /// The SOA of a negative answer.
    pub soa: Option<Box<Record>>,
    /// Extended errors, the first with words; at most [`ERRORS_MAX`].
    pub errors: Vec<Extended>,
}

/// How many extended errors go with an answer: what went wrong, how, and that it was kept.
pub const ERRORS_MAX: usize = 3;

/// The code of a failure that was kept (RFC 8914 section 4.14).
pub const CACHED_ERROR: u16 = 13;

/// The code where no server gave an answer (RFC 8914 section 4.23).
pub const NO_REACHABLE_AUTHORITY: u16 = 22;

/// The code where the network said why (RFC 8914 section 4.24).
pub const NETWORK_ERROR: u16 = 23;

impl Reply {
    /// Gives what a client gets when there is no answer.
    pub const fn failure() -> Self {
        Self {
            rcode: ResponseCode::ServFail,
            records: Vec::new(),
            soa: None,
            errors: Vec::new(),
        }
    }

    /// Tells whether nobody learned anything by it: another server may know better, and the same
    /// one later (RFC 9520 section 2).
    pub const fn is_failure(&self) -> bool {
        matches!(
            self.rcode,
            ResponseCode::ServFail
                | ResponseCode::Refused
                | ResponseCode::NotImp
                | ResponseCode::FormErr
        )
    }

    /// Takes of sections what a resolver needs.
    pub fn from_sections(
        rcode: ResponseCode,
        records: Vec<Record>,
        authority: impl IntoIterator<Item = Record>,
    ) -> Self {
        let mut authority = authority.into_iter();
        let soa = authority.find(|record| matches!(record.data, RData::SOA(_)));
        Self {
            rcode,
            records,
            soa: soa.map(Box::new),
            errors: Vec::new(),
        }
    }

    /// Gives the seconds that the receiver may keep it.
    pub fn ttl(&self) -> u32 {
        let records = self.records.iter().chain(self.soa.as_deref());
        records.map(|record| record.ttl).min().unwrap_or(0)
    }
}

/// The DNS server's answer, for those who ask it without sockets; one that was dropped is none.
impl From<&Answer<'_>> for Reply {
    fn from(answer: &Answer<'_>) -> Self {
        // Without sockets nobody else can be asked.
        if answer.is_forwarded() {
            return Self::failure();
        }
        let hickory = |section| records(section).filter_map(|shown| shown.to_hickory());
        let (answers, authority) = (hickory(&answer.answer), hickory(&answer.authority));
        Self::from_sections(answer.rcode, answers.collect(), authority)
    }
}
