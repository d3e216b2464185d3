//! What a resolver is told and what it asks for.

use std::net::IpAddr;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::model::addr::ClientAddr;
use crate::model::fact::Act;
use crate::model::id;
use crate::model::time::Span;
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
    },
    /// Listen.
    Listen,
    /// Answer a client.
    Reply {
        /// Whose question.
        ask: u64,
        /// What.
        reply: Reply,
    },
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
}

impl Reply {
    /// Gives what a client gets when there is no answer.
    pub const fn failure() -> Self {
        Self {
            rcode: ResponseCode::ServFail,
            records: Vec::new(),
            soa: None,
        }
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
