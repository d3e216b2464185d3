//! What can be done to a lab on purpose: a word, a target, a dose.
//!
//! Words are those of netem, toxiproxy and Jepsen, and some of our own. What they do to a flow or an
//! answer is worked out in `policy/faults`; here is only what can be said and how it is written.

use std::fmt;

use super::id::{Name, Node};
use super::time::Span;

/// A fault: something that is wrong with a target while it is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub target: Target,
    /// What, and how much of it.
    pub effect: Effect,
}

/// Where a fault acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Between two ends.
    Link(Link),
    /// Between all of one network and all of another, both ways: `network/a <-> network/b`.
    Networks(Name, Name),
    /// A node, and by that every link to it: of a balancer those to its clients, of a proxy those to
    /// the balancers, of an agent or user those to the balancers.
    Node(Node),
    /// The answers of a view: `view/public`.
    View(Name),
}

/// A link: `agent/orders -> balancer/internal` one way, `<->` both ways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The end that bytes come from.
    pub from: End,
    /// The end that they go to.
    pub to: End,
    /// Whether the other direction is meant too.
    pub both: bool,
}

/// One end of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Everyone in it: `network/internal`.
    Network(Name),
    /// One node.
    Node(Node),
}

/// What a fault does. What the client sees stands beside each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// SYNs are not answered; what open connections send is neither read nor acknowledged beyond the
    /// buffers. Lifted, everything goes on where it was. On a link with a door's clients the door's
    /// kernel still answers SYNs, which it cannot tell apart; then there is silence.
    Blackhole,
    /// Questions get no answer.
    Drop,
    /// One direction is silent, and no FIN says so.
    HalfOpen,
    /// Bytes take up to so much longer, drawn anew for each piece; their order is kept.
    Jitter(Span),
    /// Bytes, after the handshake, and the door's own connects take so much longer.
    Latency(Span),
    /// [`Effect::Blackhole`] both ways on the links between two networks.
    Partition,
    /// The kernel accepts, nobody answers (SIGSTOP). Its own clockwork stands still.
    Pause,
    /// SYNs are answered with RST; open connections stay.
    Refuse,
    /// Open connections are reset, and new ones as soon as they are accepted.
    ResetPeer,
    /// Questions are answered SERVFAIL.
    ServFail,
    /// Questions are answered by the generation before this one.
    Stale,
    /// A resolver keeps every answer at least so long.
    TtlFloor(Span),
    /// Clients of the view get the answers of another.
    ViewFlip {
        /// The other view.
        to: Name,
    },
}

impl Effect {
    /// Gives the word that scenarios and faces use.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Blackhole => "blackhole",
            Self::Drop => "drop",
            Self::HalfOpen => "half_open",
            Self::Jitter(_) => "jitter",
            Self::Latency(_) => "latency",
            Self::Partition => "partition",
            Self::Pause => "pause",
            Self::Refuse => "refuse",
            Self::ResetPeer => "reset_peer",
            Self::ServFail => "servfail",
            Self::Stale => "stale",
            Self::TtlFloor(_) => "ttl_floor",
            Self::ViewFlip { .. } => "view_flip",
        }
    }
}

/// `latency 50.0ms on agent/orders <-> balancer/internal`.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.effect, self.target)
    }
}

/// The word and the dose.
impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        match self {
            Self::Jitter(span) | Self::Latency(span) | Self::TtlFloor(span) => write!(f, " {span}"),
            Self::ViewFlip { to } => write!(f, " to {to}"),
            Self::Blackhole
            | Self::Drop
            | Self::HalfOpen
            | Self::Partition
            | Self::Pause
            | Self::Refuse
            | Self::ResetPeer
            | Self::ServFail
            | Self::Stale => Ok(()),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(link) => link.fmt(f),
            Self::Networks(one, other) => write!(f, "network/{one} <-> network/{other}"),
            Self::Node(node) => node.fmt(f),
            Self::View(name) => write!(f, "view/{name}"),
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrow = if self.both { "<->" } else { "->" };
        write!(f, "{} {arrow} {}", self.from, self.to)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(name) => write!(f, "network/{name}"),
            Self::Node(node) => node.fmt(f),
        }
    }
}
