//! An instance of the pool in virtual time: handshakes with their cost, tunnels, requests.
//!
//! The counterpart of `live/proxy` and the proxy's end of `live/tunnel`. Handshakes wait in one
//! queue for `model.servers` servers; everything else costs nothing.

mod requests;

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use self::requests::Request;
use super::event::{Event, Id, Job, Message, Side, Way};
use super::follow::Heard;
use super::network::{Cause, ClientStage, LinkId, ServerStage, TIMEOUT_HANDSHAKE};
use super::world::World;
use crate::model::addr::ClientAddr;
use crate::model::fact::{Act, Cut, Kind, Purpose, Service};
use crate::model::id::{ConnId, Name, Node, RequestId};
use crate::model::teleport::Port;
use crate::model::time::Time;
use crate::policy::principals::Shown;
use crate::policy::proxy::{Input, Output, Proxy as Machine, Serves};
use crate::policy::{Context, Machine as _, Outbox, alpn};

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
                    self.close(link, Side::Server, Message::Goodbye("the proxy closed it"));
                    let event = Event::TunnelOver(index, conn, "closed by the proxy");
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
        proxy.waiting.clear();
        self.board.ended(index);
    }

    /// Passes an operator's act on.
    pub(super) fn operate_proxy(&mut self, index: u32, act: Act) {
        self.feed_proxy(index, Input::Operate(act));
    }

    /// A message is at an instance's end.
    pub(super) fn server_heard(&mut self, id: LinkId, message: Message) {
        let Some(link) = self.links.get(id) else {
            return;
        };
        let (index, conn) = (link.proxy, link.conn);
        match (message, link.server_stage) {
            (Message::Hello, ServerStage::Hello) => self.hello(id, index),
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
            (Message::Heartbeat, ServerStage::Tunnel) => {
                let serves = Serves {
                    apps: self.apps_of(id),
                    ..Serves::default()
                };
                if let Some(at) = self.hold_back(index, &Heard::Heartbeat(serves.apps.clone())) {
                    let again = Event::Arrive(id, Way::Up, Message::Heartbeat);
                    return self.queue.push(at, Id::Proxy(index), again);
                }
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

    fn set_stage(&mut self, id: LinkId, stage: ServerStage) {
        if let Some(link) = self.links.get_mut(id) {
            link.server_stage = stage;
        }
    }

    fn apps_of(&self, id: LinkId) -> Vec<Name> {
        let Some(Id::Agent(agent)) = self.links.get(id).map(|link| link.client) else {
            return Vec::new();
        };
        let apps = &self.topology.agents[agent as usize].apps;
        apps.iter().map(|app| app.name.clone()).collect()
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what is no choice is acted upon"
    )]
    fn hello(&mut self, id: LinkId, index: u32) {
        let Some(link) = self.links.get(id) else {
            return;
        };
        let host = link.dialing.as_ref().map(|dialing| dialing.to.host.clone());
        let sni = host.filter(|host| host.parse::<std::net::IpAddr>().is_err());
        let offered = match link.purpose {
            Purpose::Tunnel => alpn::REVERSE_TUNNEL,
            Purpose::Find | Purpose::Launch | Purpose::Ping | Purpose::Visit => alpn::HTTP,
        };
        let input = Input::HelloRead {
            listener: Port::Web,
            client: link.source,
            sni,
            alpn: vec![offered.into()],
        };
        for output in self.feed_proxy(index, input) {
            match output {
                Output::RefuseHello { .. } => {
                    self.send(id, Way::Down, Message::HelloRefused);
                    self.close(id, Side::Server, Message::Fin);
                }
                Output::Serve { conn, service, .. } => {
                    debug_assert_eq!(service == Service::ReverseTunnel, offered != alpn::HTTP);
                    if let Some(link) = self.links.get_mut(id) {
                        link.conn = conn;
                    }
                    self.proxies[index as usize].conns.insert(conn, id);
                    self.set_stage(id, ServerStage::Tls);
                    self.expect(id, Side::Server, Some(TIMEOUT_HANDSHAKE));
                    self.work(index, id, Job::Tls);
                }
                other => self.act_proxy(index, other),
            }
        }
    }

    /// Gives a handshake to a free server, or has it wait.
    fn work(&mut self, index: u32, id: LinkId, job: Job) {
        let servers = self.topology.model.servers.max(1);
        let proxy = &mut self.proxies[index as usize];
        if proxy.busy < servers {
            proxy.busy += 1;
            self.begin_job(index, id, job);
        } else {
            proxy.waiting.push_back((id, job));
        }
    }

    fn begin_job(&mut self, index: u32, id: LinkId, job: Job) {
        let cost = match job {
            Job::Ssh => self.topology.model.ssh,
            Job::Tls => self.topology.model.tls,
        };
        let event = Event::Served(index, id, job);
        self.queue.push(self.now + cost, Id::Proxy(index), event);
    }

    /// A handshake's work is done; the server takes the next that is still wanted.
    pub(super) fn served(&mut self, index: u32, id: LinkId, job: Job) {
        let proxy = &mut self.proxies[index as usize];
        proxy.busy -= 1;
        while let Some((next, job)) = proxy.waiting.pop_front() {
            if self
                .links
                .get(next)
                .is_some_and(|link| link.is_open(Side::Server))
            {
                proxy.busy += 1;
                self.begin_job(index, next, job);
                break;
            }
        }
        if !self
            .links
            .get(id)
            .is_some_and(|link| link.is_open(Side::Server))
        {
            return;
        }
        let message = match job {
            Job::Ssh => Message::HostKey,
            Job::Tls => Message::HelloDone,
        };
        self.send(id, Way::Down, message);
    }

    fn login(&mut self, id: LinkId, index: u32, conn: ConnId) {
        let Some(Id::Agent(agent)) = self.links.get(id).map(|link| link.client) else {
            return;
        };
        let host_id = self.topology.agents[agent as usize].id.clone();
        if let Some(at) = self.hold_back(index, &Heard::Login(host_id.clone())) {
            let again = Event::Arrive(id, Way::Up, Message::Login);
            return self.queue.push(at, Id::Agent(agent), again);
        }
        self.set_stage(id, ServerStage::Tunnel);
        self.expect(id, Side::Server, None);
        self.send(id, Way::Down, Message::LoggedIn);
        self.feed_proxy(index, Input::TunnelOpened { conn, host_id });
    }

    /// An instance's end of a connection is gone, not by its own will.
    pub(super) fn server_lost(
        &mut self,
        id: LinkId,
        (index, conn, client, request): (u32, ConnId, ClientAddr, Option<RequestId>),
        stage: ServerStage,
        cause: Cause,
    ) {
        let words = cause.words();
        match stage {
            ServerStage::Nothing | ServerStage::Closed => return,
            ServerStage::Hello => {
                let why = format!("no TLS ClientHello: {words}");
                return self.refused_conn(index, ConnId(0), client, why);
            }
            ServerStage::Tls => {
                self.refused_conn(index, conn, client, format!("TLS handshake: {words}"));
            }
            ServerStage::Ssh => self.refused_conn(index, conn, client, format!("ssh: {words}")),
            ServerStage::Web => self.leave(index, request),
            ServerStage::Tunnel => {
                let why = words.to_owned();
                self.feed_proxy(index, Input::TunnelClosed { conn, why });
                self.break_streams(index, id);
            }
        }
        self.feed_proxy(index, Input::ConnClosed { conn });
    }

    /// Tells an instance that a tunnel which it closed is over.
    pub(super) fn tunnel_over(&mut self, index: u32, conn: ConnId, why: &str) {
        let why = why.to_owned();
        self.feed_proxy(index, Input::TunnelClosed { conn, why });
        self.feed_proxy(index, Input::ConnClosed { conn });
    }

    fn refused_conn(&mut self, index: u32, conn: ConnId, client: ClientAddr, why: String) {
        let node = self.proxies[index as usize].node.clone();
        let client = Some(client);
        self.emit(&node, vec![Kind::ConnRefused { conn, client, why }]);
    }

    /// An instance waited long enough.
    pub(super) fn server_timed_out(&mut self, id: LinkId) {
        let Some(link) = self.links.get(id) else {
            return;
        };
        let (index, conn, client) = (link.proxy, link.conn, link.source);
        let (stage, request) = (link.server_stage, link.request);
        self.close(id, Side::Server, Message::Fin);
        match stage {
            ServerStage::Hello => {
                let why = String::from("TLS handshake: nothing came for 15s");
                return self.refused_conn(index, ConnId(0), client, why);
            }
            ServerStage::Tls => {
                let why = String::from("TLS handshake: nothing came for 30s");
                self.refused_conn(index, conn, client, why);
            }
            ServerStage::Ssh => {
                self.refused_conn(index, conn, client, String::from("no login within 30s"));
            }
            ServerStage::Web => self.leave(index, request),
            ServerStage::Nothing | ServerStage::Tunnel | ServerStage::Closed => return,
        }
        self.feed_proxy(index, Input::ConnClosed { conn });
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
