//! An agent: finds the proxy, dials, verifies, claims, and holds a tunnel to every proxy.
//!
//! The loop is that of Teleport's agent pool: take a lease, ask find (an answer is used for 3 s),
//! dial the address that won, check the host certificate and claim the proxy inside the handshake,
//! send the first heartbeat; then wait, whatever came of it, and again. One attempt at a time.
//!
//! In go what the driver saw; out come the name to dial, the verdict on a certificate, heartbeats,
//! and where a stream goes. It knows no socket: the name is resolved by the driver, at each dial.

mod message;

use std::net::IpAddr;

use crate::model::addr::{HostPort, ListenAddr};
use crate::model::fact::{Act, Cause, Cut, Kind, Purpose, Stage};
use crate::model::id::{DialId, Name, Node};
use crate::model::time::{Span, Time};
use crate::model::topology::{self, Role};
use crate::policy::address::{self, Document, FOUND_FOR};
use crate::policy::backoff::Backoff;
use crate::policy::lease::{Claim, Leases};
use crate::policy::principals::{self, Refusal, Shown};
use crate::policy::{Context, Machine, Outbox, alpn, findings};

pub use self::message::{Input, Output};

/// From one heartbeat to the next: `keep_alive_interval` (Teleport `api-defaults`).
pub const KEEP_ALIVE: Span = Span::from_secs(300);

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
    rule: &'static str,
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
            network: None,
        }
    }

    fn config<'a>(&self, cx: &Context<'a>) -> &'a topology::Agent {
        &cx.topology.agents[self.index as usize]
    }

    fn try_lease(&mut self, cx: &Context<'_>, out: &mut Outbox<Output>) {
        if self.leases.expire(cx.now) {
            self.note_known(cx, "no gossip named it for three minutes", out);
        }
        if !self.leases.acquire(cx.now) {
            self.phase = Phase::Leasing {
                since: cx.now,
                next: None,
            };
            return;
        }
        self.dials += 1;
        let dial = DialId(self.dials);
        self.phase = Phase::Trying {
            dial,
            claim: Held::Nothing,
        };
        match &self.found {
            Some(found) if cx.now.since(found.at) < FOUND_FOR => self.dial(dial, true, out),
            _ => {
                self.found = None;
                out.push(Output::Find {
                    dial,
                    seed: self.config(cx).proxy_server.clone(),
                });
            }
        }
    }

    fn dial(&self, dial: DialId, cached: bool, out: &mut Outbox<Output>) {
        let Some(found) = &self.found else { return };
        let (address, rule) = (found.address.clone(), found.rule);
        out.fact(Kind::AddressFound {
            dial,
            address: address.clone(),
            rule,
            cached,
        });
        let alpn = &[alpn::REVERSE_TUNNEL];
        out.push(Output::Dial {
            dial,
            address,
            alpn,
        });
    }

    fn find_answered(
        &mut self,
        cx: &Context<'_>,
        dial: DialId,
        document: &Document,
        out: &mut Outbox<Output>,
    ) {
        // A drain gives the attempt up, and its answer may still come.
        if !matches!(self.phase, Phase::Trying { dial: current, .. } if current == dial) {
            return;
        }
        match address::tunnel(document) {
            Ok(found) => {
                let address::Found { address, rule } = found;
                self.found = Some(Box::new(Found {
                    at: cx.now,
                    address,
                    rule,
                }));
                self.dial(dial, false, out);
            }
            Err(error) => self.failed(cx, dial, (Stage::Find, Cause::Find), error, out),
        }
    }

    fn host_key_shown(
        &mut self,
        dial: DialId,
        shown: &Shown,
        unix_seconds: u64,
        out: &mut Outbox<Output>,
    ) {
        let verdict = self.judge_host_key(dial, shown, unix_seconds);
        if let Phase::Trying {
            dial: current,
            claim,
        } = &mut self.phase
            && *current == dial
        {
            *claim = match verdict {
                Ok(()) => Held::Claim,
                Err((refused, _)) => Held::Refused(refused),
            };
        }
        out.push(match verdict {
            Ok(()) => Output::AcceptHostKey,
            Err((_, why)) => Output::RefuseHostKey { why },
        });
    }

    fn judge_host_key(
        &mut self,
        dial: DialId,
        shown: &Shown,
        unix_seconds: u64,
    ) -> Result<(), ((Stage, Cause), String)> {
        let trying = matches!(self.phase, Phase::Trying { dial: current, .. } if current == dial);
        let Some(found) = self.found.as_ref().filter(|_| trying) else {
            let why = String::from("the attempt was given up");
            return Err(((Stage::Ssh, Cause::Ssh), why));
        };
        principals::check(shown, &found.address.host, unix_seconds)
            .map_err(|refusal| ((Stage::Ssh, cause_of(&refusal)), refusal.to_string()))?;
        let Some(id) = principals::host_id(&shown.principals) else {
            let why = String::from("the certificate names no proxy");
            return Err(((Stage::Ssh, Cause::HostCertificate), why));
        };
        match self.leases.claim(&id.into(), dial) {
            Claim::Granted => Ok(()),
            Claim::Taken => {
                let why = String::from("proxy already claimed");
                Err(((Stage::Claim, Cause::Claimed), why))
            }
        }
    }

    fn tunnel_up(
        &mut self,
        cx: &Context<'_>,
        dial: DialId,
        address: ListenAddr,
        out: &mut Outbox<Output>,
    ) {
        let held = self.leases.claimed_by(dial).cloned();
        let (Some(id), Phase::Trying { dial: current, .. }) = (held, self.phase) else {
            out.push(Output::Close { dial });
            return;
        };
        if current != dial {
            out.push(Output::Close { dial });
            return;
        }
        let gap = self.leases.lost(&id).map(|lost| cx.now.since(lost));
        let beat = cx.now + KEEP_ALIVE;
        self.tunnels.push(Tunnel {
            dial,
            proxy: id.clone(),
            draining: false,
            streams: 0,
            beat,
        });
        out.push(Output::Heartbeat { dial });
        out.fact(Kind::Claimed {
            dial,
            proxy: cx.topology.proxy_name(&id),
            balancer: cx
                .topology
                .balancer_at(address.0)
                .map(|door| door.name.clone()),
            principal: self
                .found
                .as_ref()
                .map_or_else(|| id.clone(), |f| f.address.host.clone()),
            tunnels: self.standing(),
            gap,
        });
        self.rest(cx, out);
    }

    fn failed(
        &mut self,
        cx: &Context<'_>,
        dial: DialId,
        (stage, cause): (Stage, Cause),
        error: String,
        out: &mut Outbox<Output>,
    ) {
        let Phase::Trying {
            dial: current,
            claim,
        } = self.phase
        else {
            return;
        };
        if current != dial {
            return;
        }
        let (stage, cause) = match claim {
            Held::Claim => {
                self.leases.unclaim(dial, None);
                (stage, cause)
            }
            Held::Refused(refused) => {
                self.leases.release();
                refused
            }
            Held::Nothing => {
                self.leases.release();
                (stage, cause)
            }
        };
        out.fact(Kind::DialFailed {
            dial,
            stage,
            cause,
            error,
        });
        self.rest(cx, out);
    }

    fn tunnel_closed(
        &mut self,
        cx: &Context<'_>,
        dial: DialId,
        why: String,
        out: &mut Outbox<Output>,
    ) {
        let Some(place) = self.tunnels.iter().position(|tunnel| tunnel.dial == dial) else {
            return;
        };
        let tunnel = self.tunnels.remove(place);
        self.leases.unclaim(dial, Some(cx.now));
        let (proxy, tunnels) = (cx.topology.proxy_name(&tunnel.proxy), self.standing());
        out.fact(Kind::TunnelLost {
            dial,
            proxy,
            why,
            tunnels,
        });
        self.something_happened(cx, out);
        self.note_drained(out);
    }

    fn advised(&mut self, cx: &Context<'_>, dial: DialId, out: &mut Outbox<Output>) {
        let Some(tunnel) = self.tunnels.iter_mut().find(|tunnel| tunnel.dial == dial) else {
            return;
        };
        if tunnel.draining {
            return;
        }
        tunnel.draining = true;
        let idle = tunnel.streams == 0;
        out.fact(Kind::Advised {
            proxy: cx.topology.proxy_name(&tunnel.proxy),
        });
        self.leases.unclaim(dial, Some(cx.now));
        if idle {
            out.push(Output::Close { dial });
        }
        self.something_happened(cx, out);
    }

    fn stream_asked(
        &mut self,
        cx: &Context<'_>,
        dial: DialId,
        app: &str,
        out: &mut Outbox<Output>,
    ) {
        let place = self
            .config(cx)
            .apps
            .iter()
            .position(|served| *served.name == *app);
        let why = match self.tunnels.iter_mut().find(|tunnel| tunnel.dial == dial) {
            None => String::from(CLOSED),
            Some(tunnel) if tunnel.draining => String::from(DRAINING),
            Some(tunnel) => match place {
                Some(app) => {
                    tunnel.streams += 1;
                    out.push(Output::Serve { app });
                    return;
                }
                None => format!("this agent serves no app {app:?}"),
            },
        };
        out.push(Output::RefuseStream { why });
    }

    fn stream_ended(&mut self, dial: DialId, out: &mut Outbox<Output>) {
        if let Some(tunnel) = self.tunnels.iter_mut().find(|tunnel| tunnel.dial == dial) {
            tunnel.streams = tunnel.streams.saturating_sub(1);
            if tunnel.draining && tunnel.streams == 0 {
                out.push(Output::Close { dial });
            }
        }
    }

    fn gossip(
        &mut self,
        cx: &Context<'_>,
        dial: DialId,
        proxies: &[Name],
        out: &mut Outbox<Output>,
    ) {
        if !self.tunnels.iter().any(|tunnel| tunnel.dial == dial) {
            return;
        }
        if self.leases.learn(cx.now, proxies) {
            self.note_known(cx, "gossip named a new one", out);
        }
        self.look_again(cx);
    }

    /// Does an operator's act; one that changes nothing makes no fact.
    fn operate(&mut self, cx: &Context<'_>, act: Act, out: &mut Outbox<Output>) {
        match (act, self.admin) {
            (Act::Drain, Work::Draining | Work::Stopped)
            | (Act::Start, Work::Running)
            | (Act::Kill | Act::Stop, Work::Stopped) => return,
            (Act::Drain | Act::Kill | Act::Start | Act::Stop, _) => {
                out.fact(Kind::Operated { act });
            }
        }
        match act {
            Act::Start => {
                self.admin = Work::Running;
                if self.phase == Phase::Idle {
                    self.phase = Phase::Leasing {
                        since: cx.now,
                        next: Some(cx.now),
                    };
                }
            }
            Act::Drain => {
                self.admin = Work::Draining;
                self.give_up_attempt();
                for tunnel in &mut self.tunnels {
                    tunnel.draining = true;
                    if tunnel.streams == 0 {
                        out.push(Output::Close { dial: tunnel.dial });
                    }
                }
                self.note_drained(out);
            }
            Act::Kill | Act::Stop => {
                self.admin = Work::Stopped;
                let (how, why) = match act {
                    Act::Kill => (Cut::Reset, "the agent was killed"),
                    Act::Drain | Act::Start | Act::Stop => (Cut::Finish, "the agent was stopped"),
                };
                self.lose_all(cx, how, why, out);
                // A new process knows nothing.
                self.leases.clear();
                self.found = None;
                self.backoff = Backoff::default();
            }
        }
    }

    /// Gives up the attempt and every tunnel, and has them cut.
    fn lose_all(&mut self, cx: &Context<'_>, how: Cut, why: &str, out: &mut Outbox<Output>) {
        self.give_up_attempt();
        out.push(Output::CutAll { how });
        while let Some(Tunnel { dial, proxy, .. }) = self.tunnels.pop() {
            self.leases.unclaim(dial, Some(cx.now));
            let (proxy, tunnels) = (cx.topology.proxy_name(&proxy), self.standing());
            let why = why.to_owned();
            out.fact(Kind::TunnelLost {
                dial,
                proxy,
                why,
                tunnels,
            });
        }
    }

    /// A move takes the address away, and every connection with it; the process lives on.
    fn roamed(
        &mut self,
        cx: &Context<'_>,
        (network, address): (Name, IpAddr),
        out: &mut Outbox<Output>,
    ) {
        self.network = Some(network.clone());
        out.fact(Kind::Roamed { network, address });
        let running = self.admin == Work::Running;
        self.lose_all(cx, Cut::Reset, "the agent moved to another network", out);
        if running {
            self.rest(cx, out);
        }
        self.note_drained(out);
    }

    /// Gives the network that it is in now.
    fn network(&self, cx: &Context<'_>) -> Name {
        let own = || self.config(cx).network.clone();
        self.network.clone().unwrap_or_else(own)
    }

    fn give_up_attempt(&mut self) {
        if let Phase::Trying { dial, claim } = self.phase {
            match claim {
                Held::Claim => self.leases.unclaim(dial, None),
                Held::Nothing | Held::Refused(_) => self.leases.release(),
            }
        }
        self.phase = Phase::Idle;
    }

    fn note_drained(&self, out: &mut Outbox<Output>) {
        if self.admin == Work::Draining && self.tunnels.is_empty() {
            out.fact(Kind::Drained);
        }
    }

    fn note_known(&self, cx: &Context<'_>, why: &'static str, out: &mut Outbox<Output>) {
        let known = u32::try_from(self.leases.known(cx.now)).unwrap_or(u32::MAX);
        out.fact(Kind::ProxiesKnown { known, why });
    }

    /// The wait that follows each attempt, whatever came of it.
    fn rest(&mut self, cx: &Context<'_>, out: &mut Outbox<Output>) {
        if self.admin != Work::Running {
            self.phase = Phase::Idle;
            return;
        }
        let wait = self
            .backoff
            .wait(cx.now, cx.topology.seed, &self.node.to_string());
        self.phase = Phase::Waiting {
            until: cx.now + wait,
        };
        if wait > Span::ZERO {
            out.fact(Kind::BackingOff {
                wait,
                step: self.backoff.step(),
            });
        }
    }

    /// An event of a tunnel restarts a wait, and may free a lease.
    fn something_happened(&mut self, cx: &Context<'_>, out: &mut Outbox<Output>) {
        if matches!(self.phase, Phase::Waiting { .. }) {
            self.rest(cx, out);
        }
        self.look_again(cx);
    }

    /// A lease that became free is seen at the next poll, not before.
    fn look_again(&mut self, cx: &Context<'_>) {
        if let Phase::Leasing {
            since,
            next: next @ None,
        } = &mut self.phase
            && self.leases.available(cx.now)
        {
            let polls = cx.now.since(*since).as_us().div_ceil(LEASE_POLL.as_us());
            *next = Some(*since + LEASE_POLL.times(polls));
        }
    }

    fn connected(
        &mut self,
        cx: &Context<'_>,
        dial: DialId,
        (purpose, host, address): (Purpose, &str, ListenAddr),
        out: &mut Outbox<Output>,
    ) {
        if !matches!(self.phase, Phase::Trying { dial: current, .. } if current == dial) {
            return;
        }
        let door = cx.topology.balancer_at(address.0);
        let network = self.network(cx);
        if let Some(door) = door.filter(|door| door.meant_for == Some(Role::Users))
            && !self.role_noticed
        {
            self.role_noticed = true;
            out.fact(findings::role_follows_network(
                &self.node, &network, &door.name,
            ));
        }
        out.fact(Kind::DoorUsed {
            attempt: dial.0,
            purpose,
            host: host.into(),
            address,
            balancer: door.map(|door| door.name.clone()),
            network,
        });
    }

    fn standing(&self) -> u32 {
        u32::try_from(self.tunnels.len()).unwrap_or(u32::MAX)
    }
}

/// Gives the kind of failure that a refused host key is.
fn cause_of(refusal: &Refusal) -> Cause {
    match refusal {
        Refusal::PlainKey | Refusal::UserCertificate => Cause::HostKey,
        Refusal::UnknownAuthority(_) => Cause::HostAuthority,
        Refusal::Principal { .. } => Cause::Principal,
        Refusal::CriticalOption(_)
        | Refusal::Expired
        | Refusal::NoPrincipals
        | Refusal::NotYetValid
        | Refusal::Signature => Cause::HostCertificate,
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
            Input::StreamAsked { dial, app } => self.stream_asked(cx, dial, &app, out),
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
        for tunnel in self
            .tunnels
            .iter_mut()
            .filter(|t| !t.draining && t.beat <= cx.now)
        {
            tunnel.beat = cx.now + KEEP_ALIVE;
            out.push(Output::Heartbeat { dial: tunnel.dial });
        }
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
