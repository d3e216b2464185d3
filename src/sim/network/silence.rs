//! How long ends of connections wait, and what faults do to connections that are open.

use super::{Cause, ClientStage, LinkId, ServerStage};
use crate::model::fact::Ended;
use crate::model::time::Span;
use crate::policy::faults::{Flow, Shape};
use crate::sim::event::{Event, Message, Side, Way};
use crate::sim::world::World;

impl World<'_> {
    /// Sets until when an end waits; one event looks for it, whatever the stages between.
    pub(in crate::sim) fn expect(&mut self, id: LinkId, side: Side, within: Option<Span>) {
        let now = self.now;
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        let whole = link.dialing.as_ref().and_then(|dialing| dialing.whole);
        let whole = whole.filter(|_| side == Side::Client);
        let due = whole.or_else(|| within.map(|within| now + within));
        link.due[side as usize] = due;
        let Some(due) = due else { return };
        if !std::mem::replace(&mut link.armed[side as usize], true) {
            let from = link.end_of(side);
            self.queue.push(due, from, Event::Timer(id, side));
        }
    }

    /// Looks whether an end has waited long enough.
    pub(in crate::sim) fn timer(&mut self, id: LinkId, side: Side) {
        let now = self.now;
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        link.armed[side as usize] = false;
        match link.due[side as usize] {
            None => {}
            Some(due) if due <= now => match side {
                Side::Client => self.client_timed_out(id),
                Side::Server => self.server_timed_out(id),
            },
            Some(due) => {
                link.armed[side as usize] = true;
                let from = link.end_of(side);
                self.queue.push(due, from, Event::Timer(id, side));
            }
        }
    }

    /// Looks whether an end of a silent connection has waited enough.
    pub(in crate::sim) fn liveness(&mut self, id: LinkId, side: Side) {
        let timers = self.options.timers;
        let Some(link) = self.links.get(id) else {
            return;
        };
        let from = link.end_of(side);
        let is_tunnel = match side {
            Side::Client => link.client_stage == ClientStage::Up,
            Side::Server => link.server_stage == ServerStage::Tunnel,
        };
        let unheard = link.unacknowledged[side as usize].zip(timers.unacknowledged);
        if unheard.is_some_and(|(since, limit)| since + limit <= self.now) {
            self.lose(id, side, Cause::Unacknowledged);
            return self.bury_or_tell(id, side);
        }
        if !is_tunnel || !link.is_silent(side.other().sends()) {
            return;
        }
        let due = link.heard[side as usize] + timers.liveness();
        if due <= self.now {
            self.lose(id, side, Cause::Silence);
            return self.bury_or_tell(id, side);
        }
        self.queue.push(due, from, Event::Liveness(id, side));
    }

    /// An end that gave up has closed its socket; the other hears of it when the way is open.
    fn bury_or_tell(&mut self, id: LinkId, side: Side) {
        self.send(id, side.sends(), Message::Rst);
        self.bury_silent(id);
    }

    /// Both ends gave up on their own: the door holds what is left until the way is open.
    fn bury_silent(&mut self, id: LinkId) {
        let Some(link) = self.links.get(id) else {
            return;
        };
        if !link.is_open(Side::Client) && !link.is_open(Side::Server) && link.flow.is_none() {
            self.links.end(id);
        }
    }

    /// Takes what is done to a connection's messages from its beginning on.
    pub(in crate::sim) fn shape(&mut self, id: LinkId) {
        let shape = self.shape_of(id);
        if let Some(link) = self.links.get_mut(id).filter(|_| !shape.is_plain()) {
            link.shape = Some(Box::new(shape));
        }
    }

    /// Looks at a connection again after the faults have changed, or when it has got an instance.
    pub(in crate::sim) fn look_at(&mut self, id: LinkId) {
        let shape = self.shape_of(id);
        let (now, timers) = (self.now, self.options.timers);
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        let was_silent = [Way::Up, Way::Down].map(|way| link.is_silent(way));
        let reset = shape.reset;
        link.shape = (!shape.is_plain()).then(|| Box::new(shape));
        let silent = [Way::Up, Way::Down].map(|way| link.is_silent(way));
        if silent == [false; 2] {
            link.unacknowledged = [None; 2];
        }
        for side in [Side::Client, Side::Server] {
            let hears = side.other().sends() as usize;
            if silent[hears] && !was_silent[hears] {
                // Keepalives that were answered until now were signs of life.
                let heard = &mut link.heard[side as usize];
                let answered = now.since(*heard).as_us() / timers.keepalive.as_us().max(1);
                *heard += timers.keepalive.times(answered);
                let due = *heard + timers.liveness();
                let from = link.end_of(side);
                self.queue.push(due, from, Event::Liveness(id, side));
            }
        }
        if reset {
            return self.reset(id, Ended::Cut);
        }
        self.release(id);
    }

    fn shape_of(&self, id: LinkId) -> Shape {
        let Some(link) = self.links.get(id).filter(|_| !self.faults.is_empty()) else {
            return Shape::default();
        };
        let (Some(door), Some(client)) = (
            self.topology.balancers.get(link.door as usize),
            self.node(link.client),
        ) else {
            return Shape::default();
        };
        let proxy = self.topology.pool.proxies.get(link.proxy as usize);
        let flow = Flow {
            client: link.source.ip(),
            balancer: &door.name,
            listener: link.listener.ip(),
            proxy: proxy.map(|proxy| &proxy.name),
        };
        self.faults.flow_of(&self.topology, client, &flow)
    }
}
