//! An agent: finds the proxy, dials, verifies, claims, and holds a tunnel to every proxy.
//!
//! The loop is that of Teleport's agent pool: take a lease, ask find (an answer is used for a while,
//! `find_cache`), dial the address that won, check the host certificate and claim the proxy inside
//! the handshake, send the first heartbeat; then wait, whatever came of it, and again. One attempt
//! at a time. With proxy peering it holds only so many tunnels and tells whom it is attached to.
//!
//! In go what the driver saw; out come the name to dial, the verdict on a certificate, heartbeats,
//! and where a stream goes. It knows no socket: the name is resolved by the driver, at each dial.
//! Silence on a tunnel is the driver's to notice, by the tunnel's own keepalives: no input tells of
//! it, so the watchdog of newer agents (reference 4.5, (unchecked)) is not here.

mod attempt;
mod message;
mod operate;
mod tunnel;

use crate::model::addr::HostPort;
use crate::model::fact::{Cause, Kind, Stage};
use crate::model::id::{DialId, Name, Node};
use crate::model::time::{Span, Time};
use crate::model::topology;
use crate::policy::address::Rule;
use crate::policy::backoff::Backoff;
use crate::policy::lease::Leases;
use crate::policy::{Context, Machine, Outbox};

pub use self::message::{Input, Output};

/// How often the pool looks for a lease while it has none (Teleport agent pool).
pub const LEASE_POLL: Span = Span::from_secs(1);

/// How long find, a dial and a handshake may each take (Teleport `DefaultIOTimeout`).
pub const TIMEOUT: Span = Span::from_secs(30);

/// The words of an agent that closes a tunnel as soon as the streams in it have ended.
pub const DRAINING: &str = "agent connection is draining";

/// The words of an agent that has closed a tunnel already.
pub const CLOSED: &str = "the tunnel is closed";

/// An agent. A fleet is a vector of these; at rest one is at most 192 bytes.
#[derive(Debug)]
pub struct Agent {
    node: Node,
    /// Its place in the topology.
    index: u32,
    admin: Work,
    phase: Phase,
    dials: u64,
    leases: Leases,
    tunnels: Vec<Tunnel>,
    backoff: Backoff,
    found: Option<Box<Found>>,
    role_noticed: bool,
    /// How many attempts in a row ended in "proxy already claimed".
    in_vain: u8,
    /// Where it roamed to.
    network: Option<Name>,
}

/// What an operator wants of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Draining,
    Running,
    Stopped,
}

/// Where the pool's loop is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Not running.
    Idle,
    /// Looks for a lease since then, once a second.
    Leasing { since: Time, next: Option<Time> },
    /// An attempt is under way.
    Trying { dial: DialId, claim: Held },
    /// Waits after an attempt.
    Waiting { until: Time },
}

/// What an attempt has of the proxy that it reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    /// It has not reached one yet.
    Nothing,
    /// The claim.
    Claim,
    /// Nothing: its host key was refused, for this.
    Refused((Stage, Cause)),
}

#[derive(Debug)]
struct Found {
    at: Time,
    address: HostPort,
    rule: Rule,
    tls_routing: bool,
}

#[derive(Debug)]
struct Tunnel {
    dial: DialId,
    proxy: Name,
    draining: bool,
    streams: u32,
    beat: Time,
}

impl Agent {
    /// Makes the agent with this place in the topology. It does nothing before `Operate(Start)`.
    pub fn new(index: u32, name: &Name) -> Self {
        Self {
            node: Node::Agent(name.clone()),
            index,
            admin: Work::Stopped,
            phase: Phase::Idle,
            dials: 0,
            leases: Leases::default(),
            tunnels: Vec::new(),
            backoff: Backoff::default(),
            found: None,
            role_noticed: false,
            in_vain: 0,
            network: None,
        }
    }

    fn config<'a>(&self, cx: &Context<'a>) -> &'a topology::Agent {
        &cx.topology.agents[self.index as usize]
    }

    /// Gives the host ids of the proxies that it holds tunnels to, the oldest first.
    pub fn attached(&self) -> impl Iterator<Item = &Name> {
        let tunnels = self.tunnels.iter().filter(|tunnel| !tunnel.draining);
        tunnels.map(|tunnel| &tunnel.proxy)
    }
}

impl Machine for Agent {
    type Input = Input;
    type Output = Output;

    fn node(&self) -> Node {
        self.node.clone()
    }

    fn handle(&mut self, cx: &Context<'_>, input: Input, out: &mut Outbox<Output>) {
        match input {
            Input::Advised { dial } => self.advised(cx, dial, out),
            Input::Connected {
                dial,
                purpose,
                host,
                address,
            } => {
                self.connected(cx, dial, (purpose, &host, address), out);
            }
            Input::Failed {
                dial,
                stage,
                cause,
                error,
            } => self.failed(cx, dial, (stage, cause), error, out),
            Input::FindAnswered { dial, document } => {
                self.find_answered(cx, dial, &document, out);
            }
            Input::Gossip { dial, proxies } => self.gossip(cx, dial, &proxies, out),
            Input::HostKeyShown {
                dial,
                shown,
                unix_seconds,
            } => {
                self.host_key_shown(dial, &shown, unix_seconds, out);
            }
            Input::Operate(act) => self.operate(cx, act, out),
            Input::Roamed { network, address } => self.roamed(cx, (network, address), out),
            Input::StreamAsked { dial, kind, app } => {
                self.stream_asked(cx, dial, (kind, &app), out);
            }
            Input::StreamCut { dial, app, why } => {
                if self.tunnels.iter().any(|tunnel| tunnel.dial == dial) {
                    out.fact(Kind::StreamCut { app, why });
                }
            }
            Input::StreamEnded { dial } => self.stream_ended(dial, out),
            Input::TunnelClosed { dial, why } => self.tunnel_closed(cx, dial, why, out),
            Input::TunnelUp { dial, address } => self.tunnel_up(cx, dial, address, out),
        }
    }

    fn is_answer(output: &Output) -> bool {
        match output {
            Output::AcceptHostKey
            | Output::RefuseHostKey { .. }
            | Output::RefuseStream { .. }
            | Output::Serve { .. } => true,
            Output::Close { .. }
            | Output::CutAll { .. }
            | Output::Dial { .. }
            | Output::Find { .. }
            | Output::Heartbeat { .. } => false,
        }
    }

    fn deadline(&self) -> Option<(Time, &'static str)> {
        let next = match self.phase {
            Phase::Idle | Phase::Trying { .. } => None,
            // A proxy that gossip forgets may free a lease.
            Phase::Leasing { next: None, .. } => {
                self.leases.expiry().map(|at| (at, "end of gossip"))
            }
            Phase::Leasing { next: Some(at), .. } => Some((at, "lease poll")),
            Phase::Waiting { until } => Some((until, "backoff")),
        };
        let beats = self.tunnels.iter().filter(|tunnel| !tunnel.draining);
        next.into_iter()
            .chain(beats.map(|tunnel| (tunnel.beat, "heartbeat")))
            .min()
    }

    fn wake(&mut self, cx: &Context<'_>, out: &mut Outbox<Output>) {
        self.beat(cx, |tunnel| tunnel.beat <= cx.now, out);
        match self.phase {
            Phase::Waiting { until } if until <= cx.now => {
                self.backoff.elapsed();
                self.try_lease(cx, out);
            }
            Phase::Leasing { next: Some(at), .. } if at <= cx.now => self.try_lease(cx, out),
            Phase::Leasing { next: None, .. } if self.leases.expire(cx.now) => {
                self.note_known(cx, "no gossip named it for three minutes", out);
                self.look_again(cx);
            }
            Phase::Idle | Phase::Leasing { .. } | Phase::Trying { .. } | Phase::Waiting { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests;
