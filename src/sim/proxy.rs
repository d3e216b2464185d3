//! An instance of the pool in virtual time: handshakes with their cost, tunnels, requests.
//!
//! The counterpart of `live/proxy` and the proxy's end of `live/tunnel`. Handshakes wait in one
//! queue for `model.servers` servers; everything else costs nothing.

mod ends;
mod handshake;
mod peers;
mod requests;

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use self::peers::Passed;
pub(super) use self::peers::PeerWord;
pub(super) use self::requests::Failed;
use self::requests::Request;
use super::event::{Event, Id, Job, Message, Side, Way};
use super::network::{Cause, ClientStage, LinkId, ServerStage, TIMEOUT_HANDSHAKE};
use super::world::World;
use crate::model::addr::ClientAddr;
use crate::model::fact::{Act, Cut, Kind};
use crate::model::id::{ConnId, Name, Node, RequestId};
use crate::model::time::Time;
use crate::policy::principals::Shown;
use crate::policy::proxy::{Input, Output, Proxy as Machine, Serves};
use crate::policy::{Context, Machine as _, Outbox};

/// An instance.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) machine: Machine,
    pub(super) node: Node,
    pub(super) wakes: Option<Time>,
    pub(super) name: Name,
    /// The SSH host certificate that it shows.
    pub(super) shown: Shown,
    pub(super) listening: bool,
    /// Connections whose service is chosen.
    pub(super) conns: BTreeMap<ConnId, LinkId>,
    requests: BTreeMap<RequestId, Request>,
    /// Requests of its own users that peers are asked to take.
    passed: BTreeMap<RequestId, Passed>,
    /// Handshakes that are worked on, and those that wait.
    busy: u32,
    waiting: VecDeque<(LinkId, Job)>,
}

impl Proxy {
    pub(super) fn new(machine: Machine, name: Name, shown: Shown) -> Self {
        Self {
            node: machine.node(),
            machine,
            wakes: None,
            name,
            shown,
            listening: false,
            conns: BTreeMap::new(),
            requests: BTreeMap::new(),
            passed: BTreeMap::new(),
            busy: 0,
            waiting: VecDeque::new(),
        }
    }
}

impl World<'_> {
    /// Feeds an instance, does what it asks for, and gives its answers.
    pub(super) fn feed_proxy(&mut self, index: u32, input: Input) -> Vec<Output> {
        self.call_proxy(index, |machine, cx, out| machine.handle(cx, input, out))
    }

    /// Wakes an instance at its deadline.
    pub(super) fn wake_proxy(&mut self, index: u32) {
        let proxy = &mut self.proxies[index as usize];
        proxy.wakes = None;
        if proxy
            .machine
            .deadline()
            .is_some_and(|(at, _)| at <= self.now)
        {
            self.call_proxy(index, |machine, cx, out| machine.wake(cx, out));
        } else {
            self.arm_proxy(index);
        }
    }

    fn arm_proxy(&mut self, index: u32) {
        let proxy = &mut self.proxies[index as usize];
        let due = proxy.machine.deadline().map(|(at, _)| at.max(self.now));
        if let Some(at) = due.filter(|at| proxy.wakes.is_none_or(|wakes| *at < wakes)) {
            proxy.wakes = Some(at);
            let id = Id::Proxy(index);
            self.queue.push(at, id, Event::Wake(id));
        }
    }

    fn call_proxy(
        &mut self,
        index: u32,
        call: impl FnOnce(&mut Machine, &Context<'_>, &mut Outbox<Output>),
    ) -> Vec<Output> {
        let mut out = Outbox::default();
        let proxy = &mut self.proxies[index as usize];
        let cx = Context {
            now: self.now,
            topology: &self.topology,
        };
        call(&mut proxy.machine, &cx, &mut out);
        if !out.facts.is_empty() {
            let node = proxy.node.clone();
            self.emit(&node, out.facts);
        }
        self.arm_proxy(index);
        let mut answers = Vec::new();
        for output in out.outputs {
            if Machine::is_answer(&output) {
                answers.push(output);
            } else {
                self.act_proxy(index, output);
            }
        }
        answers
    }

    fn act_proxy(&mut self, index: u32, output: Output) {
        let from = Id::Proxy(index);
        match output {
            Output::Advise { conns } => {
                for link in self.links_of(index, &conns) {
                    self.send(link, Way::Down, Message::Advice);
                }
            }
            Output::Announce { host_id, serves } => {
                let told = self.board.announce(index, &host_id, &serves);
                self.tell_proxies(from, told);
            }
            Output::BeginListening => self.proxies[index as usize].listening = true,
            Output::CloseTunnel { conn } => {
                let link = self.proxies[index as usize].conns.get(&conn).copied();
                if let Some(link) = link {
                    let flow = self.flow_of(link);
                    self.close(link, Side::Server, Message::Goodbye("the proxy closed it"));
                    let event = Event::TunnelOver(index, conn, flow, "closed by the proxy");
                    self.queue.push(self.now, from, event);
                }
            }
            Output::CutAll { how } => self.cut_proxy(index, how),
            Output::Gossip { conns, proxies } => self.gossip(index, &conns, proxies.into()),
            Output::Presence { alive } => {
                let told = self.board.presence(index, alive);
                self.tell_proxies(from, told);
            }
            Output::StopListening => self.proxies[index as usize].listening = false,
            Output::AskPeers { .. }
            | Output::Redirect { .. }
            | Output::RefuseHello { .. }
            | Output::RefuseRequest { .. }
            | Output::Route { .. }
            | Output::Serve { .. }
            | Output::ServeWebApi => {}
        }
    }

    fn links_of(&self, index: u32, conns: &[ConnId]) -> Vec<LinkId> {
        let known = &self.proxies[index as usize].conns;
        let links = conns.iter().filter_map(|conn| known.get(conn));
        links.copied().collect()
    }

    /// The network brings what an instance says to the others.
    fn tell_proxies(&mut self, from: Id, told: Vec<(u32, Input)>) {
        let at = self.now + self.topology.model.latency;
        for (proxy, input) in told {
            self.queue
                .push(at, from, Event::Hears(proxy, Box::new(input)));
        }
    }

    /// Sends one list on many tunnels: those without a fault share one event.
    fn gossip(&mut self, index: u32, conns: &[ConnId], proxies: Rc<[Name]>) {
        let mut plain = Vec::with_capacity(conns.len());
        for link in self.links_of(index, conns) {
            let message = Message::Gossip(Rc::clone(&proxies));
            if self.options.timers.idle.is_none() && self.sends_plainly(link, &message) {
                plain.push(link);
            } else {
                self.send(link, Way::Down, message);
            }
        }
        if !plain.is_empty() {
            let at = self.now + self.topology.model.latency.times(2);
            let event = Event::Gossip(plain.into(), proxies);
            self.queue.push(at, Id::Proxy(index), event);
        }
    }

    /// Cuts every connection of an instance; its process knows of none any more.
    fn cut_proxy(&mut self, index: u32, how: Cut) {
        let last = match how {
            Cut::Finish => Message::Fin,
            Cut::Reset => Message::Rst,
        };
        for id in self.links.ids() {
            if self.links.get(id).is_some_and(|link| link.proxy == index) {
                self.close(id, Side::Server, last.clone());
            }
        }
        let proxy = &mut self.proxies[index as usize];
        proxy.conns.clear();
        proxy.requests.clear();
        proxy.passed.clear();
        proxy.waiting.clear();
        self.board.ended(index);
    }

    /// Passes an operator's act on.
    pub(super) fn operate_proxy(&mut self, index: u32, act: Act) {
        self.feed_proxy(index, Input::Operate(act));
    }

    /// A message is at an instance's end.
    pub(super) fn server_heard(&mut self, id: LinkId, message: Message) {
        if let Some(at) = self.hold_at_server(id, &message) {
            let again = Event::Heard(id, Way::Up, message);
            return self.queue.push(at, Id::Lab, again);
        }
        let Some(link) = self.links.get(id) else {
            return;
        };
        let (index, conn) = (link.proxy, link.conn);
        match (message, link.server_stage) {
            (Message::Hello, ServerStage::Hello) => self.hello(id, index),
            (Message::Ssh, ServerStage::Hello) => self.raw_ssh(id, index),
            (Message::Find | Message::Request, ServerStage::Tls) => self.request(id, index),
            (Message::Ssh, ServerStage::Tls) => {
                self.set_stage(id, ServerStage::Ssh);
                self.expect(id, Side::Server, Some(TIMEOUT_HANDSHAKE));
                self.work(index, id, Job::Ssh);
            }
            (Message::Login, ServerStage::Ssh) => self.login(id, index, conn),
            (Message::BeatOpen, ServerStage::Tunnel) => {
                self.send(id, Way::Down, Message::BeatOpened);
            }
            (Message::Heartbeat(proxies), ServerStage::Tunnel) => {
                let serves = self.serves_of(id, &proxies);
                self.feed_proxy(index, Input::Heartbeat { conn, serves });
            }
            (Message::StreamTaken(request), ServerStage::Tunnel) => {
                self.stream_taken(id, index, request);
            }
            (Message::StreamRefused(request, why), ServerStage::Tunnel) => {
                self.refuse_stream(index, request, why.into(), false);
            }
            (Message::StreamAnswer(request, bytes), ServerStage::Tunnel) => {
                self.stream_answered(id, index, (request, bytes));
            }
            _ => {}
        }
    }

    /// The agents of many tunnels hear the same gossip.
    pub(super) fn gossip_heard(&mut self, links: &[LinkId], proxies: &Rc<[Name]>) {
        for id in links {
            let up = |stage| stage == ClientStage::Up;
            if self
                .links
                .get(*id)
                .is_some_and(|link| up(link.client_stage))
            {
                self.arrive(*id, Way::Down, Message::Gossip(Rc::clone(proxies)));
            }
        }
    }
}
