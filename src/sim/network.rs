//! Connections in virtual time: set-up, messages in order, faults, silence, ends.
//!
//! A connection is one client's, through one door, to one instance: two links of the network, each
//! of which costs [`Model::latency`](crate::model::topology::Model). Messages travel, not bytes.
//! What a fault does is asked of `policy/faults` where live asks it: at a SYN, at a door's connect,
//! and for each message. Whatever a silent way holds waits in its order, so lifting loses nothing.

mod link;
mod silence;

use super::event::{Event, Id, Message, Side, Way};
use super::world::World;
use crate::model::fact::Ended;
use crate::model::id::Node;
use crate::model::time::Span;

pub(super) use self::link::{Cause, ClientStage, Dialing, Link, LinkId, Links, ServerStage};

/// When a SYN that got no answer is sent again, after the first: Linux doubles from 1 s.
pub const SYN_AGAIN: [Span; 6] = [
    Span::from_secs(1),
    Span::from_secs(3),
    Span::from_secs(7),
    Span::from_secs(15),
    Span::from_secs(31),
    Span::from_secs(63),
];

/// When Linux gives a connect up by itself (`tcp_syn_retries` 6). Clients of the lab do so before.
pub const SYN_GIVEN_UP: Span = Span::from_secs(127);

/// How long a client's connect may take (Teleport `DefaultIOTimeout`, as `live/dial`).
pub(super) const TIMEOUT_CONNECT: Span = Span::from_secs(30);

/// How long a TLS or an SSH handshake may take (Teleport `DefaultIOTimeout`, as `live/tls` and
/// `live/tunnel`).
pub(super) const TIMEOUT_HANDSHAKE: Span = Span::from_secs(30);

/// How long a client may take to send its ClientHello (Teleport `lib/srv/alpnproxy`, as `live/tls`).
pub(super) const TIMEOUT_HELLO: Span = Span::from_secs(15);

/// The timers of connections that outlive any TTL. The fourth is the SYN's: [`SYN_AGAIN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// An SSH keepalive is sent when nothing came for so long: Teleport's `keep_alive_interval`.
    /// Default 5 min.
    pub keepalive: Span,
    /// After so many of them without a sign of life the tunnel is lost, one interval later:
    /// Teleport's `keep_alive_count_max`. Default 3, so 20 min after the last message, as russh does.
    pub keepalive_max: u64,
    /// What was sent over a dead link is given up after so long: Linux's `tcp_retries2` of 15 is
    /// 924.6 s. Default `None`, as live: a fault is in the door's process, whose kernel acknowledges
    /// what it does not read as long as its buffers last, and heartbeats are small; so the keepalive
    /// ends a tunnel. It is for links on which nothing answers at all, as when a host is gone.
    pub unacknowledged: Option<Span>,
    /// A balancer forgets a flow that moved nothing for so long, and resets it at the next message
    /// (AWS NLB: 350 s). Default `None`, because the doors of the lab have no such limit.
    pub idle: Option<Span>,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            keepalive: Span::from_secs(300),
            keepalive_max: 3,
            unacknowledged: None,
            idle: None,
        }
    }
}

impl Timers {
    /// Gives how long an end hears nothing until it gives a tunnel up.
    pub const fn liveness(&self) -> Span {
        self.keepalive.times(self.keepalive_max + 1)
    }
}

impl World<'_> {
    /// Sends a message; it arrives behind all that was sent before it.
    pub(super) fn send(&mut self, id: LinkId, way: Way, message: Message) {
        let Some(link) = self.links.get(id) else {
            return;
        };
        if link.torn {
            return;
        }
        let idle = self.options.timers.idle.filter(|_| link.relayed);
        let last = link.heard[0].max(link.heard[1]);
        if idle.is_some_and(|idle| self.now.since(last) > idle) {
            return self.reset(id, Ended::Cut);
        }
        let latency = self.topology.model.latency;
        // Before the door has joined the links, a message gets no further than to the door.
        let mut delay = latency.times(if link.relayed { 2 } else { 1 });
        let shaped = link.shape.as_ref().map(|shape| match way {
            Way::Up => shape.up,
            Way::Down => shape.down,
        });
        if let Some(shaped) = shaped {
            delay = delay + shaped.latency + self.jitter(shaped.jitter);
        }
        let unheard = self.options.timers.unacknowledged;
        let unheard = unheard.filter(|_| self.is_cut_off(id));
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        let side = way.leads_to().other();
        let place = way as usize;
        let at = (self.now + delay).max(link.free[place]);
        link.free[place] = at;
        link.moved[place] += message.bytes();
        let from = link.end_of(side);
        let waits = unheard.filter(|_| link.unacknowledged[side as usize].is_none());
        if let Some(unheard) = waits {
            link.unacknowledged[side as usize] = Some(self.now);
            let at = self.now + unheard;
            self.queue.push(at, from, Event::Liveness(id, side));
        }
        self.queue.push(at, from, Event::Arrive(id, way, message));
    }

    /// Tells whether a message to the client arrives after the plain latency, and counts it then.
    pub(super) fn sends_plainly(&mut self, id: LinkId, message: &Message) -> bool {
        let at = self.now + self.topology.model.latency.times(2);
        let Some(link) = self.links.get_mut(id) else {
            return false;
        };
        let down = Way::Down as usize;
        let plain = link.relayed && !link.torn && link.shape.is_none() && link.free[down] <= at;
        if plain {
            link.free[down] = at;
            link.moved[down] += message.bytes();
        }
        plain
    }

    /// Tells whether what an end sends is not acknowledged: a kernel acknowledges for a process that
    /// stands still, but not over a dead link.
    fn is_cut_off(&self, id: LinkId) -> bool {
        let Some(link) = self.links.get(id) else {
            return false;
        };
        let silent = link.is_silent(Way::Up) || link.is_silent(Way::Down);
        let nodes = [link.client, Id::Balancer(link.door), Id::Proxy(link.proxy)];
        silent && !nodes.into_iter().any(|node| self.is_paused(node))
    }

    /// Takes a message at its end, or keeps it where the way is silent.
    pub(super) fn arrive(&mut self, id: LinkId, way: Way, message: Message) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        if link.torn {
            return;
        }
        if !link.relayed || link.is_silent(way) || link.holds(way) {
            return link.hold(way, message);
        }
        let side = way.leads_to();
        let floor = link.floor[way as usize];
        if self.now < floor {
            let from = link.end_of(side.other());
            return self
                .queue
                .push(floor, from, Event::Arrive(id, way, message));
        }
        let from = link.end_of(side.other());
        if message.ends().is_some()
            && let Some(at) = self.hold_cut(id, side)
        {
            let again = Event::Arrive(id, way, message);
            return self.queue.push(at, from, again);
        }
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        link.heard[side as usize] = self.now;
        if let Some(cause) = message.ends() {
            let how = match (cause, way) {
                (Cause::Rst, Way::Up) => Ended::ClientError,
                (Cause::Rst, Way::Down) => Ended::BackendError,
                _ => Ended::Finished,
            };
            self.lose(id, side, cause);
            return self.finish(id, how);
        }
        self.give(id, side, message);
    }

    /// Gives a message to the node at an end, if it is there.
    pub(super) fn give(&mut self, id: LinkId, side: Side, message: Message) {
        if !self.links.get(id).is_some_and(|link| link.is_open(side)) {
            return;
        }
        match side {
            Side::Client => self.client_heard(id, message),
            Side::Server => self.server_heard(id, message),
        }
    }

    /// Lets go what waits, once the way is open.
    pub(super) fn release(&mut self, id: LinkId) {
        for way in [Way::Up, Way::Down] {
            let Some(link) = self.links.get_mut(id) else {
                return;
            };
            if !link.relayed || link.is_silent(way) {
                continue;
            }
            let Some(held) = link.held.as_mut() else {
                return;
            };
            let waiting = std::mem::take(&mut held[way as usize]);
            if waiting.is_empty() {
                continue;
            }
            let from = link.end_of(way.leads_to().other());
            let at = self.now + self.topology.model.latency;
            // What is under way already was sent after what waited.
            link.free[way as usize] = link.free[way as usize].max(at);
            link.floor[way as usize] = at;
            for message in waiting {
                self.queue.push(at, from, Event::Arrive(id, way, message));
            }
        }
    }

    /// Closes an end by its own will, with this as the last message.
    pub(super) fn close(&mut self, id: LinkId, side: Side, last: Message) {
        let Some(link) = self.links.get(id) else {
            return;
        };
        if !link.is_open(side) {
            return;
        }
        let unborn = link.client_stage < ClientStage::Tls;
        let torn = link.torn;
        self.mark_closed(id, side);
        if side == Side::Client && unborn {
            return self.links.end(id);
        }
        if torn {
            return self.bury(id);
        }
        self.send(id, side.sends(), last);
    }

    fn mark_closed(&mut self, id: LinkId, side: Side) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        link.due[side as usize] = None;
        match side {
            Side::Client => {
                link.client_stage = ClientStage::Closed;
                let client = link.client;
                self.forget_link(client, id);
            }
            Side::Server => {
                link.server_stage = ServerStage::Closed;
                let (proxy, conn) = (link.proxy, link.conn);
                self.proxies[proxy as usize].conns.remove(&conn);
            }
        }
    }

    /// Ends an end that is there, and tells its node.
    pub(super) fn lose(&mut self, id: LinkId, side: Side, cause: Cause) {
        let Some(link) = self.links.get(id) else {
            return;
        };
        if !link.is_open(side) {
            return;
        }
        match side {
            Side::Client => {
                let stage = link.client_stage;
                let (client, purpose, attempt) = (link.client, link.purpose, link.attempt);
                self.mark_closed(id, side);
                self.client_lost((client, id), (purpose, attempt), stage, cause);
            }
            Side::Server => {
                let stage = link.server_stage;
                let lost = (link.proxy, link.conn, link.client_seen(), link.request);
                self.mark_closed(id, side);
                self.server_lost(id, lost, stage, cause);
            }
        }
    }

    /// Ends a connection whose ends are both done with it.
    fn finish(&mut self, id: LinkId, how: Ended) {
        // The far end has answered in kind; nothing depends on when that arrives.
        for side in [Side::Client, Side::Server] {
            self.mark_closed(id, side);
        }
        let Some(link) = self.links.get(id) else {
            return;
        };
        if let Some(flow) = link.flow {
            let (door, (up, down)) = (link.door, link.moved());
            let over = super::balancer::Over {
                flow,
                how,
                up,
                down,
            };
            let at = match how {
                Ended::Finished => self.now + self.topology.model.latency,
                Ended::BackendError | Ended::ClientError | Ended::Cut => self.now,
            };
            let event = Event::FlowEnded(door, Box::new(over));
            self.queue.push(at, Id::Balancer(door), event);
        }
        self.links.end(id);
    }

    /// A door ends a connection on both its sides, whatever waits.
    pub(super) fn tear(&mut self, id: LinkId, reset: bool) {
        let at = self.now + self.topology.model.latency;
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        link.torn = true;
        link.held = None;
        let door = Id::Balancer(link.door);
        for side in [Side::Client, Side::Server] {
            if link.is_open(side) {
                self.queue.push(at, door, Event::Torn(id, side, reset));
            }
        }
        self.bury(id);
    }

    /// Takes the end that a door made.
    pub(super) fn torn(&mut self, id: LinkId, side: Side, reset: bool) {
        if let Some(at) = self.hold_cut(id, side) {
            let from = self
                .links
                .get(id)
                .map_or(Id::Lab, |link| Id::Balancer(link.door));
            return self.queue.push(at, from, Event::Torn(id, side, reset));
        }
        let cause = if reset { Cause::Rst } else { Cause::Fin };
        self.lose(id, side, cause);
        self.bury(id);
    }

    /// Forgets a connection that nobody is at any more.
    fn bury(&mut self, id: LinkId) {
        let over = |link: &Link| !link.is_open(Side::Client) && !link.is_open(Side::Server);
        if self.links.get(id).is_some_and(over) {
            self.links.end(id);
        }
    }

    /// A door resets both sides of a flow and says how it ended.
    pub(super) fn reset(&mut self, id: LinkId, how: Ended) {
        let Some(link) = self.links.get(id).filter(|link| !link.torn) else {
            return;
        };
        if let Some(flow) = link.flow {
            let (door, (up, down)) = (link.door, link.moved());
            let over = super::balancer::Over {
                flow,
                how,
                up,
                down,
            };
            let event = Event::FlowEnded(door, Box::new(over));
            self.queue.push(self.now, Id::Balancer(door), event);
        }
        self.tear(id, true);
    }

    fn jitter(&mut self, most: Span) -> Span {
        if most == Span::ZERO {
            return Span::ZERO;
        }
        self.jitters += 1;
        let seed = self.topology.seed;
        seed.span("lab", "jitter", self.jitters, Span::ZERO, most)
    }

    /// Draws what something takes longer.
    pub(super) fn delay(&mut self, latency: Span, jitter: Span) -> Span {
        latency + self.jitter(jitter)
    }

    /// Gives the node at an end of a connection.
    pub(super) fn end(&self, id: LinkId, side: Side) -> Option<Id> {
        Some(self.links.get(id)?.end_of(side))
    }

    /// Gives the node of an end.
    pub(super) fn node(&self, id: Id) -> Option<Node> {
        Some(match id {
            Id::Lab => Node::Lab,
            Id::Dns => Node::Dns,
            Id::Balancer(index) => self.doors.get(index as usize)?.node.clone(),
            Id::Proxy(index) => self.proxies.get(index as usize)?.node.clone(),
            Id::Agent(index) => self.agents.get(index as usize)?.node.clone(),
            Id::User(index) => self.users.get(index as usize)?.node.clone(),
            Id::Resolver(index) => self.resolvers.get(index as usize)?.node.clone(),
        })
    }
}
