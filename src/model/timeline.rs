//! What happens to a lab while it runs, and when: the steps of a scenario's `timeline`.
//!
//! Made by `scenario/resolve`, played by `policy/conductor`. Instants count from ready.

use std::net::IpAddr;

use super::fact::Act;
use super::fault::Fault;
use super::id::{Name, Node};
use super::time::Span;

/// One step. Steps without an `at` or a `when` follow one another.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// When it begins.
    pub begin: Begin,
    /// How it repeats, if it does.
    pub repeat: Option<Repeat>,
    /// What it does.
    pub what: What,
    /// How long it lasts; then a fault is lifted, a stopped node started. For ever when absent.
    pub lasts: Option<Span>,
    /// The step in words, as reports show it: `stop balancer/external for 10s`.
    pub text: Name,
}

/// When a step begins.
#[derive(Clone, Debug, PartialEq)]
pub enum Begin {
    /// So long after ready.
    At(Span),
    /// So long after the step before it has ended; the first after ready.
    Then(Span),
    /// So long after the condition held, which is looked for once the step before it has ended.
    When(Condition, Span),
}

/// A step that happens again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeat {
    /// From one beginning to the next.
    pub every: Span,
    /// The last beginning is before this instant; until the end of the run when absent.
    pub until: Option<Span>,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// An operator's act.
    Act {
        /// On whom.
        node: Node,
        /// Which.
        act: Act,
    },
    /// The pool's web certificate is replaced by one with these names.
    Certificate {
        /// DNS names; those of `public_addr` when empty.
        names: Vec<Name>,
    },
    /// A fault is set, and lifted when the step ends.
    Fault(Fault),
    /// All of these begin together; it ends when the last has ended.
    Parallel(Vec<Step>),
    /// A record set is replaced or removed.
    Record(RecordChange),
    /// Scenario and zones are read again.
    Reload,
    /// An agent or a user moves to another network.
    Roam(Roam),
    /// Nothing.
    Wait,
}

/// A record set with new data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordChange {
    /// In this view; in all that have the zone when absent.
    pub view: Option<Name>,
    /// The owner, absolute.
    pub name: Name,
    /// The type: `A`.
    pub rtype: Name,
    /// Seconds.
    pub ttl: u32,
    /// The data of each record as a zone file has it; none removes the set.
    pub data: Vec<Name>,
}

/// A move to another network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roam {
    /// Who.
    pub node: Node,
    /// Where to.
    pub network: Name,
    /// The address there.
    pub address: IpAddr,
}

/// A state of the lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `drained balancer/internal`: nothing is open at a node that drains.
    Drained(Node),
    /// `balancer/internal sees proxy/2 up` (or `down`).
    Health {
        /// Whose opinion.
        balancer: Name,
        /// Of which instance.
        proxy: Name,
        /// Whether it gets new connections.
        up: bool,
    },
    /// `mesh`: every agent that runs has a tunnel to every proxy that runs.
    Mesh,
    /// `agents have tunnels`: every agent that runs has at least one.
    Tunnels,
    /// `agents use balancer/internal`: every tunnel that stands goes through it.
    Through(Name),
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Drained(node) => write!(f, "drained {node}"),
            Self::Health {
                balancer,
                proxy,
                up,
            } => {
                let word = if *up { "up" } else { "down" };
                write!(f, "balancer/{balancer} sees proxy/{proxy} {word}")
            }
            Self::Mesh => f.write_str("mesh"),
            Self::Tunnels => f.write_str("agents have tunnels"),
            Self::Through(balancer) => write!(f, "agents use balancer/{balancer}"),
        }
    }
}
