//! Until when a machine waits before it is told of something: as long as it was told of it no earlier
//! in the recorded run.
//!
//! A message waits at the end that it has reached. What did not come there at all, because its flow
//! ended before, waits for that end, so that a cut overtakes it: what broke in the recorded run breaks
//! here, and by a cause of its own. A cut in its turn waits for what was read before it.

use std::collections::BTreeMap;

use super::order::{Heard, Order, Through, Told};
use super::{Arrived, Flow};
use crate::model::fact::Act;
use crate::model::id::{FlowId, Name, Node};
use crate::model::time::{Span, Time};
use crate::policy::proxy;
use crate::sim::event::{Event, Id, Message, Side};
use crate::sim::network::{LinkId, ServerStage};
use crate::sim::world::World;

/// How long an announcement of a peer waits at most: it says not who passed it on, so that its number
/// in turn may be another's.
const ANNOUNCED_MAX: Span = Span::from_secs(1);

/// How often something has come that has a number in turn.
#[derive(Debug, Default)]
pub(in crate::sim) struct Turns {
    pub(super) told: BTreeMap<(Node, Told), u32>,
    heard: BTreeMap<(Name, Heard), u32>,
}

impl Order {
    /// Gives an instant of the recorded run on the simulation's clock.
    pub(super) fn here(&self, at: Time) -> Time {
        Time::ZERO + at.since(self.ready)
    }

    pub(super) fn told(&self, node: &Node, told: Told) -> Option<Time> {
        let at = self.told.get(&(node.clone(), told))?;
        Some(self.here(*at))
    }

    fn heard(&self, name: &Name, heard: Heard) -> Option<Time> {
        let at = self.heard.get(&(name.clone(), heard))?;
        Some(self.here(*at))
    }

    pub(super) fn ended(&self, flow: &Through) -> Option<Time> {
        self.ended.get(flow).map(|at| self.here(*at))
    }

    /// Gives before when a flow had not ended.
    fn lasted(&self, flow: &Through) -> Time {
        self.ended(flow).unwrap_or_else(|| self.here(self.last))
    }
}

impl World<'_> {
    /// Starts an agent or a user when it was started.
    pub(in crate::sim) fn start_followed(&mut self, id: Id) {
        let at = self.options.follow.as_ref().zip(self.node(id));
        let at = at.and_then(|(order, node)| Some(order.here(*order.started.get(&node)?)));
        match at.filter(|at| self.now < *at) {
            Some(at) => self.queue.push(at, Id::Lab, Event::Start(id)),
            None => self.start_client(id),
        }
    }

    /// Starts an agent or a user.
    pub(in crate::sim) fn start_client(&mut self, id: Id) {
        match id {
            Id::Agent(index) => self.operate_agent(index, Act::Start),
            Id::User(index) => self.operate_user(index, Act::Start),
            Id::Balancer(_) | Id::Dns | Id::Lab | Id::Proxy(_) | Id::Resolver(_) => {}
        }
    }

    /// Gives until when a door, an agent or a user that is due is to wait before it is woken; `None`
    /// when it is time.
    pub(in crate::sim) fn hold_wake(&mut self, id: Id, due: Time) -> Option<Time> {
        let node = self.node(id)?;
        let order = self.options.follow.as_mut()?;
        let ready = order.ready;
        let here = |at: &Time| Time::ZERO + at.since(ready);
        let times = order.woken.get_mut(&node)?;
        while times.front().is_some_and(|at| here(at) < due) {
            times.pop_front();
        }
        let at = here(times.front()?);
        if self.now < at {
            return Some(at);
        }
        times.pop_front();
        None
    }

    /// Gives until when an end of a connection waits to hear that the other is gone: in the recorded
    /// run it had read before what it was told of until then.
    pub(in crate::sim) fn hold_cut(&self, id: LinkId, side: Side) -> Option<Time> {
        let order = self.options.follow.as_ref()?;
        let link = self.links.get(id)?;
        let at = match side {
            Side::Client => self.read_last(id),
            Side::Server => {
                let flow = self.through(id)?;
                let name = &self.proxies.get(link.proxy as usize)?.name;
                let heard = |heard: fn(Through) -> Heard| order.heard(name, heard(flow.clone()));
                let beat = |turn| order.heard(name, Heard::Beat(flow.clone(), turn));
                let known = [Heard::Hello, Heard::Login, Heard::Request].map(heard);
                known
                    .into_iter()
                    .flatten()
                    .chain((1..).map_while(beat))
                    .max()
            }
        };
        at.filter(|at| self.now < *at)
    }

    /// Gives until when a message waits at an instance's end; `None` when it is time.
    pub(in crate::sim) fn hold_at_server(&mut self, id: LinkId, message: &Message) -> Option<Time> {
        self.options.follow.as_ref()?;
        let link = self.links.get(id)?;
        let name = self.proxies.get(link.proxy as usize)?.name.clone();
        let (stage, through) = (link.server_stage, self.through(id));
        let minimal = self.is_minimal(id);
        let order = self.options.follow.as_ref()?;
        let first = |heard: Heard| order.heard(&name, heard);
        // What this flow did not come to in the recorded run waits for its end.
        let of_flow = |heard: fn(Through) -> Heard| {
            let flow = through
                .clone()
                .filter(|(door, _)| order.known.contains(door))?;
            let ended = || Some(order.lasted(&flow));
            first(heard(flow.clone())).or_else(ended)
        };
        let at = match (message, stage) {
            (Message::Hello | Message::Ssh, ServerStage::Hello) => of_flow(Heard::Hello),
            // An agent hears that it is logged in before its instance is told.
            (Message::Login, ServerStage::Ssh) => {
                let came = through.clone().map(Heard::Login);
                match came.and_then(first) {
                    Some(_) => None,
                    None => of_flow(Heard::Login),
                }
            }
            (Message::Find | Message::Request, ServerStage::Tls) if !minimal => {
                of_flow(Heard::Request)
            }
            (Message::Heartbeat(_), ServerStage::Tunnel) => {
                let flow = through?;
                let counted = (name.clone(), Heard::Beat(flow.clone(), 0));
                let turn = self.turns.heard.get(&counted).map_or(1, |turn| turn + 1);
                let at = first(Heard::Beat(flow.clone(), turn)).or_else(|| order.ended(&flow));
                if at.is_none_or(|at| at <= self.now) {
                    self.turns.heard.insert(counted, turn);
                }
                at
            }
            (Message::StreamTaken(request), ServerStage::Tunnel) => first(Heard::Broken(*request)),
            (
                Message::StreamAnswer(request, _) | Message::StreamRefused(request, _),
                ServerStage::Tunnel,
            ) => {
                let early = [Heard::Broken, Heard::Left, Heard::Refused];
                early.into_iter().find_map(|heard| first(heard(*request)))
            }
            _ => None,
        };
        at.filter(|at| self.now < *at)
    }

    /// Gives until when an instance waits before it hears of this; `None` when it is time.
    pub(in crate::sim) fn hold_heard(&self, index: u32, heard: Heard) -> Option<Time> {
        let order = self.options.follow.as_ref()?;
        let at = order.heard(&self.proxies[index as usize].name, heard)?;
        (self.now < at).then_some(at)
    }

    /// The same for what a peer passes on.
    pub(in crate::sim) fn hold_announced(
        &mut self,
        index: u32,
        input: &proxy::Input,
    ) -> Option<Time> {
        let proxy::Input::Announced { host_id, .. } = input else {
            return None;
        };
        let order = self.options.follow.as_ref()?;
        let name = &self.proxies[index as usize].name;
        let counted = (name.clone(), Heard::Announced(host_id.clone(), 0));
        let turn = self.turns.heard.get(&counted).map_or(1, |turn| turn + 1);
        let at = order.heard(name, Heard::Announced(host_id.clone(), turn));
        let at = at.filter(|at| self.now < *at && *at <= self.now + ANNOUNCED_MAX);
        if at.is_none() {
            self.turns.heard.insert(counted, turn);
        }
        at
    }

    /// Gives the flow of a connection as the order names it.
    pub(super) fn through(&self, id: LinkId) -> Option<Through> {
        self.named(self.flow_of(id)?)
    }

    /// Gives the flow that a connection came by.
    pub(in crate::sim) fn flow_of(&self, id: LinkId) -> Option<Flow> {
        let link = self.links.get(id)?;
        Some((link.door, link.flow?))
    }

    /// Gives a flow as the order names it.
    pub(in crate::sim) fn named(&self, (door, flow): Flow) -> Option<Through> {
        let door = self.topology.balancers.get(door as usize)?;
        Some((door.name.clone(), flow))
    }

    /// Gives until when a door is to wait before it learns that a flow has reached its instance; one
    /// that had not when the door was operated waits for that. `None` when it is time.
    pub(in crate::sim) fn hold_connected(&self, door: u32, flow: FlowId) -> Option<Time> {
        let order = self.options.follow.as_ref()?;
        let flow = self.named((door, flow))?;
        let known = order.connected.get(&flow).map(|at| order.here(*at));
        let arrivals = order.arrivals.get(&flow.0).into_iter().flatten();
        let mut acts = arrivals.filter(|arrival| matches!(arrival.what, Arrived::Operated { .. }));
        let mut next = || acts.find(|act| self.now < order.here(act.at));
        let at = known.or_else(|| Some(order.here(next()?.at)))?;
        (self.now < at).then_some(at)
    }

    /// Gives until when a door is to wait before it learns of a flow's end; `None` when it is time.
    pub(in crate::sim) fn hold_end(&self, door: u32, flow: FlowId) -> Option<Time> {
        let order = self.options.follow.as_ref()?;
        let at = order.lasted(&self.named((door, flow))?);
        (self.now < at).then_some(at)
    }
}
