//! What a scenario expects of a run, as `judge` checks it over facts.
//!
//! Made by `scenario/resolve`. An expectation with less evidence than it asks for is inconclusive,
//! which is not a pass.

use std::net::IpAddr;

use ipnet::IpNet;

use super::fact::Failure;
use super::id::{Name, Node};
use super::mistake::Place;
use super::time::Span;

/// One expectation.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// As it was written, in one line.
    pub text: Name,
    /// Where it was written.
    pub place: Place,
    /// What is checked.
    pub check: Check,
    /// Facts before this instant after ready do not count.
    pub after: Span,
    /// Facts from this instant on do not count.
    pub before: Option<Span>,
    /// How many facts must bear on it; 1 unless told.
    pub evidence: u64,
    /// Whether the run ends as soon as it has failed.
    pub abort: bool,
}

/// What is checked.
#[derive(Clone, Debug, PartialEq)]
pub enum Check {
    /// A name resolves so, whenever it is asked: `{query: NAME TYPE, from: CLIENT, answer: [...]}`.
    Answer(AnswerCheck),
    /// `agents in internal use balancer/internal`, or `never use`: every tunnel and visit of theirs
    /// goes through it.
    Door {
        /// Whose.
        who: Who,
        /// Which door.
        balancer: Name,
        /// Whether they must use it, or must not.
        uses: bool,
    },
    /// `every agent keeps a tunnel`: whoever has one is never without, while it runs.
    Keeps {
        /// Of whom.
        who: Who,
    },
    /// `{metric: reconnect_time, quantile: 0.99, below: 90s}`.
    Metric {
        /// Which.
        metric: Metric,
        /// In which range.
        bound: Bound,
    },
    /// `every agent returns` (`within: 90s`): whoever lost its last tunnel, while it ran, has one
    /// again before the run ends, and in time.
    Returns {
        /// Of whom.
        who: Who,
        /// At the latest so long after the loss.
        within: Option<Span>,
    },
}

/// Who is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// `agents`, `agents in NETWORK` (the network that they are in at that time).
    Agents(Option<Name>),
    /// `agent/orders`.
    Node(Node),
    /// `users`, `users in NETWORK`.
    Users(Option<Name>),
}

/// A question that is asked during the run, and what must come back.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerCheck {
    /// Absolute.
    pub name: Name,
    /// `A`.
    pub rtype: Name,
    /// The address that asks.
    pub from: IpAddr,
    /// Whom it stands for, as it was written: a network, a node, an address.
    pub client: Name,
    /// From one question to the next; 5 s unless told.
    pub every: Span,
    /// The data of the answer, in any order.
    pub answer: Option<Vec<Name>>,
    /// No address of the answer may be in these.
    pub not_in: Vec<IpNet>,
    /// The response code.
    pub rcode: Option<Name>,
    /// The view that answers.
    pub view: Option<Name>,
}

/// A number of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Metric {
    /// Connections at the fullest instance over the mean, of the flows that a balancer has opened.
    Balance {
        /// Of this door.
        balancer: Name,
    },
    /// Tunnel dials of all agents in the fullest second.
    DialRate,
    /// From the loss of a claimed tunnel to the next claim of the same proxy, at this quantile.
    ReconnectTime {
        /// From 0 to 1.
        quantile: f64,
    },
    /// From an agent's loss of its last tunnel to its next one, at this quantile.
    OutageTime {
        /// From 0 to 1.
        quantile: f64,
    },
    /// The share of visits that failed, 0 to 1.
    RequestsFailed {
        /// For this reason alone, or for any.
        reason: Option<Failure>,
    },
    /// How long an answered visit took, at this quantile.
    RequestTime {
        /// From 0 to 1.
        quantile: f64,
    },
}

/// Where a number must lie. Spans are in seconds, shares from 0 to 1, rates in 1/s.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// Less than this.
    pub below: Option<f64>,
    /// More than this.
    pub above: Option<f64>,
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Agents(None) => f.write_str("agents"),
            Self::Agents(Some(network)) => write!(f, "agents in {network}"),
            Self::Node(node) => node.fmt(f),
            Self::Users(None) => f.write_str("users"),
            Self::Users(Some(network)) => write!(f, "users in {network}"),
        }
    }
}
