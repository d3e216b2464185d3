//! A door in virtual time: accepts, connects, checks, joins and tears connections.
//!
//! The counterpart of `live/balancer`: what to do is `policy/balancer`'s answer to what happened.

mod connect;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::event::{Aim, Connect, Event, Id, Side};
use super::follow::{Early, Followed};
use super::network::{ClientStage, LinkId, SYN_AGAIN, ServerStage, TIMEOUT_HELLO};
use super::world::World;
use crate::model::addr::ClientAddr;
use crate::model::fact::{Act, Cut, Ended};
use crate::model::id::{FlowId, Node};
use crate::model::time::Time;
use crate::policy::balancer::{Balancer as Machine, Input, Output};
use crate::policy::faults::Listening;
use crate::policy::{Context, Machine as _, Outbox};

/// The words of a refused connect, as live shows them.
const REFUSED: &str = "connection refused";

/// A door.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) machine: Machine,
    pub(super) node: Node,
    pub(super) wakes: Option<Time>,
    pub(super) listening: bool,
    /// The clients of flows that the machine knows.
    flows: BTreeMap<FlowId, LinkId>,
    ports: u16,
    /// The order that it is held to.
    pub(super) followed: Option<Followed>,
}

/// How a relay was done with a flow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Over {
    pub(super) flow: FlowId,
    pub(super) how: Ended,
    pub(super) up: u64,
    pub(super) down: u64,
}

impl Door {
    pub(super) fn new(machine: Machine) -> Self {
        Self {
            node: machine.node(),
            machine,
            wakes: None,
            listening: true,
            flows: BTreeMap::new(),
            ports: 0,
            followed: None,
        }
    }
}

impl World<'_> {
    /// Feeds a door and does what it asks for; `client` is whom it was fed for, if for one.
    pub(super) fn feed_door(&mut self, index: u32, input: Input, client: Option<LinkId>) {
        self.call_door(index, client, |machine, cx, out| {
            machine.handle(cx, input, out);
        });
    }

    /// Wakes a door at its deadline.
    pub(super) fn wake_door(&mut self, index: u32) {
        let door = &mut self.doors[index as usize];
        door.wakes = None;
        let due = door.machine.deadline().map(|(at, _)| at);
        if let Some(due) = due.filter(|at| *at <= self.now) {
            let id = Id::Balancer(index);
            if let Some(at) = self.hold_wake(id, due) {
                self.doors[index as usize].wakes = Some(at);
                return self.queue.push(at, id, Event::Wake(id));
            }
            self.call_door(index, None, |machine, cx, out| machine.wake(cx, out));
        } else {
            self.arm_door(index);
        }
    }

    /// Has a door woken at its deadline.
    pub(super) fn arm_door(&mut self, index: u32) {
        let door = &mut self.doors[index as usize];
        let due = door.machine.deadline().map(|(at, _)| at.max(self.now));
        if let Some(at) = due.filter(|at| door.wakes.is_none_or(|wakes| *at < wakes)) {
            door.wakes = Some(at);
            let id = Id::Balancer(index);
            self.queue.push(at, id, Event::Wake(id));
        }
    }

    fn call_door(
        &mut self,
        index: u32,
        client: Option<LinkId>,
        call: impl FnOnce(&mut Machine, &Context<'_>, &mut Outbox<Output>),
    ) {
        let mut out = Outbox::default();
        let door = &mut self.doors[index as usize];
        let cx = Context {
            now: self.now,
            topology: &self.topology,
        };
        call(&mut door.machine, &cx, &mut out);
        let node = door.node.clone();
        self.emit(&node, out.facts);
        self.arm_door(index);
        for output in out.outputs {
            self.act_door(index, output, client);
        }
    }

    fn act_door(&mut self, index: u32, output: Output, client: Option<LinkId>) {
        let door = &mut self.doors[index as usize];
        match output {
            Output::Check { check, proxy, .. } => {
                self.connect_backend(index, proxy, Aim::Check(check));
            }
            Output::Close { flow } => {
                let link = door.flows.remove(&flow).or(client);
                if let Some(link) = link {
                    self.tear(link, false);
                }
            }
            Output::Connect { flow, proxy, .. } => {
                if let Some(link) = client {
                    door.flows.insert(flow, link);
                    if let Some(link) = self.links.get_mut(link) {
                        link.flow = Some(flow);
                    }
                }
                self.connect_backend(index, proxy, Aim::Flow(flow));
            }
            Output::CutAll { how } => self.cut_all(index, how == Cut::Reset),
            Output::Listen => door.listening = true,
            Output::Refuse { .. } => {
                if let Some(link) = client {
                    self.tear(link, true);
                }
            }
            Output::Relay { flow } => {
                if let Some(link) = door.flows.get(&flow).copied() {
                    self.join(link);
                }
            }
            Output::Unlisten => door.listening = false,
        }
    }

    /// Ends all flows. Those that are joined are reported, as a relay does; the machine has ended
    /// the others already.
    fn cut_all(&mut self, index: u32, reset: bool) {
        let flows = std::mem::take(&mut self.doors[index as usize].flows);
        for (flow, id) in flows {
            let Some(link) = self.links.get(id) else {
                continue;
            };
            if link.relayed {
                let (up, down) = link.moved();
                let how = Ended::Cut;
                let over = Over {
                    flow,
                    how,
                    up,
                    down,
                };
                let event = Event::FlowEnded(index, Box::new(over));
                self.queue.push(self.now, Id::Balancer(index), event);
            }
            self.tear(id, reset);
        }
    }

    /// Passes an operator's act on.
    pub(super) fn operate_door(&mut self, index: u32, act: Act) {
        if self.follow(index, Early::Operated(act)).is_some() {
            self.feed_door(index, Input::Operated { act }, None);
        }
    }

    /// Takes a client from the listener, when it is its turn.
    pub(super) fn accept(&mut self, id: LinkId) {
        let Some(link) = self.links.get(id) else {
            return;
        };
        let (door, client) = (link.door, link.source.ip());
        if self.follow(door, Early::Accepted(id, client)).is_some() {
            self.accept_now(id);
        }
    }

    /// Takes a client from the listener.
    pub(super) fn accept_now(&mut self, id: LinkId) {
        let Some(link) = self.links.get(id) else {
            return;
        };
        let (door, client, listener) = (link.door, link.source, link.listener);
        self.feed_door(door, Input::Accepted { client, listener }, Some(id));
        self.look_at(id);
    }

    /// Tells a door that its relay is done with a flow.
    pub(super) fn flow_ended(&mut self, index: u32, over: Over) {
        let Over {
            flow,
            how,
            up,
            down,
        } = over;
        if let Some(at) = self.hold_end(index, flow) {
            let again = Event::FlowEnded(index, Box::new(over));
            return self.queue.push(at, Id::Balancer(index), again);
        }
        self.doors[index as usize].flows.remove(&flow);
        let input = Input::FlowEnded {
            flow,
            up,
            down,
            how,
        };
        self.feed_door(index, input, None);
    }

    /// Joins a client with its instance: what the client has sent goes on.
    fn join(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        link.relayed = true;
        link.server_stage = ServerStage::Hello;
        self.look_at(id);
        self.expect(id, Side::Server, Some(TIMEOUT_HELLO));
    }

    /// A client's SYN is at a door.
    pub(super) fn syn(&mut self, id: LinkId, again: u8) {
        let Some(link) = self.links.get(id) else {
            return;
        };
        if link.client_stage != ClientStage::Connecting {
            return;
        }
        let began = link.dialing.as_ref().map_or(self.now, |d| d.began);
        let (client, at) = (link.client, self.now + self.topology.model.latency);
        let Some(door) = self.doors.get(link.door as usize) else {
            // Nobody of the lab listens there.
            return self.queue.push(at, Id::Lab, Event::Refused(id));
        };
        let from = Id::Balancer(link.door);
        match self.faults.listening(&door.node) {
            Listening::Silent => {
                if let Some(later) = SYN_AGAIN.get(usize::from(again)) {
                    let at = began + *later + self.topology.model.latency;
                    self.queue.push(at, client, Event::Syn(id, again + 1));
                }
            }
            Listening::Open | Listening::Paused if door.listening => {
                self.queue.push(at, from, Event::Connected(id));
                let at = at + self.topology.model.latency;
                self.queue.push(at, from, Event::Accept(id));
            }
            Listening::Open | Listening::Paused | Listening::Refusing => {
                self.queue.push(at, from, Event::Refused(id));
            }
        }
    }
}
