//! An agent in virtual time: find, dials, the handshake with the claim in it, tunnels.
//!
//! The counterpart of `live/agent` and the agent's end of `live/tunnel`.

use std::net::IpAddr;
use std::sync::Arc;

use super::dial::Manner;
use super::event::{Event, Id, Message, Side, Way};
use super::network::{ClientStage, LinkId};
use super::world::{CALENDAR_START, World};
use crate::model::addr::{HostPort, ListenAddr};
use crate::model::fact::{Act, Cause, Cut, Purpose, Stage};
use crate::model::id::{DialId, Node};
use crate::model::time::Time;
use crate::policy::agent::{Agent as Machine, Input, Output, TIMEOUT};
use crate::policy::{Context, Machine as _, Outbox, alpn};

/// An agent. At rest it has no more than its machine, and the places of its tunnels.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) machine: Machine,
    pub(super) node: Node,
    pub(super) wakes: Option<Time>,
    pub(super) address: IpAddr,
    pub(super) ports: u16,
    pub(super) links: Vec<LinkId>,
}

impl Agent {
    pub(super) fn new(machine: Machine, address: IpAddr) -> Self {
        Self {
            node: machine.node(),
            machine,
            wakes: None,
            address,
            ports: 0,
            links: Vec::new(),
        }
    }
}

impl World<'_> {
    /// Feeds an agent, does what it asks for, and gives its answer.
    pub(super) fn feed_agent(&mut self, index: u32, input: Input) -> Option<Output> {
        self.call_agent(index, |machine, cx, out| machine.handle(cx, input, out))
    }

    /// Wakes an agent at its deadline.
    pub(super) fn wake_agent(&mut self, index: u32) {
        let agent = &mut self.agents[index as usize];
        agent.wakes = None;
        let due = agent.machine.deadline().map(|(at, _)| at);
        if let Some(due) = due.filter(|at| *at <= self.now) {
            if let Some(at) = self.hold_wake(Id::Agent(index), due) {
                self.agents[index as usize].wakes = Some(at);
                let id = Id::Agent(index);
                self.queue.push(at, id, Event::Wake(id));
                return;
            }
            self.call_agent(index, |machine, cx, out| machine.wake(cx, out));
        } else {
            self.arm_agent(index);
        }
    }

    fn arm_agent(&mut self, index: u32) {
        let agent = &mut self.agents[index as usize];
        let due = agent.machine.deadline().map(|(at, _)| at.max(self.now));
        if let Some(at) = due.filter(|at| agent.wakes.is_none_or(|wakes| *at < wakes)) {
            agent.wakes = Some(at);
            let id = Id::Agent(index);
            self.queue.push(at, id, Event::Wake(id));
        }
    }

    fn call_agent(
        &mut self,
        index: u32,
        call: impl FnOnce(&mut Machine, &Context<'_>, &mut Outbox<Output>),
    ) -> Option<Output> {
        let mut out = Outbox::default();
        let agent = &mut self.agents[index as usize];
        let cx = Context {
            now: self.now,
            topology: &self.topology,
        };
        call(&mut agent.machine, &cx, &mut out);
        if !out.facts.is_empty() {
            let node = agent.node.clone();
            self.emit(&node, out.facts);
        }
        self.arm_agent(index);
        let mut answer = None;
        for output in out.outputs {
            if Machine::is_answer(&output) {
                answer = Some(output);
            } else {
                self.act_agent(index, output);
            }
        }
        answer
    }

    fn act_agent(&mut self, index: u32, output: Output) {
        let id = Id::Agent(index);
        match output {
            Output::Close { dial } => {
                if let Some(link) = self.tunnel_of(index, dial) {
                    self.close(
                        link,
                        Side::Client,
                        Message::Goodbye("the agent closed the connection"),
                    );
                    let event = Event::TunnelClosed(index, dial, "closed by the agent");
                    self.queue.push(self.now, id, event);
                }
            }
            Output::CutAll { how } => {
                let last = match how {
                    Cut::Finish => Message::Fin,
                    Cut::Reset => Message::Rst,
                };
                let links = std::mem::take(&mut self.agents[index as usize].links);
                for link in links {
                    self.close(link, Side::Client, last.clone());
                }
            }
            Output::Dial {
                dial,
                address,
                alpn,
            } => {
                let manner = Manner {
                    alpn,
                    ..Manner::default()
                };
                self.dial(id, (Purpose::Tunnel, dial.0), address, manner);
            }
            Output::Find { dial, seed } => {
                let manner = Manner {
                    whole: Some(self.now + TIMEOUT),
                    alpn: &[alpn::HTTP],
                    head: None,
                };
                self.dial(id, (Purpose::Find, dial.0), seed, manner);
            }
            Output::Heartbeat { dial, proxies } => {
                if let Some(link) = self.tunnel_of(index, dial) {
                    self.send(link, Way::Up, Message::Heartbeat(proxies.into()));
                }
            }
            Output::AcceptHostKey
            | Output::RefuseHostKey { .. }
            | Output::RefuseStream { .. }
            | Output::Serve { .. } => {}
        }
    }

    fn tunnel_of(&self, index: u32, dial: DialId) -> Option<LinkId> {
        let mut links = self.agents[index as usize].links.iter();
        let is_tunnel = |id: &&LinkId| {
            self.links
                .get(**id)
                .is_some_and(|link| link.attempt == dial.0 && link.client_stage == ClientStage::Up)
        };
        links.find(is_tunnel).copied()
    }

    /// Passes an operator's act on.
    pub(super) fn operate_agent(&mut self, index: u32, act: Act) {
        self.feed_agent(index, Input::Operate(act));
    }

    /// A message is at a client's end.
    pub(super) fn client_heard(&mut self, id: LinkId, message: Message) {
        if let Some(at) = self.hold_at_client(id, &message) {
            let again = Event::Heard(id, Way::Down, message);
            return self.queue.push(at, Id::Lab, again);
        }
        let Some(link) = self.links.get(id) else {
            return;
        };
        let (client, stage, dial) = (link.client, link.client_stage, DialId(link.attempt));
        let agent = match client {
            Id::Agent(index) => Some(index),
            Id::Lab | Id::Dns | Id::Balancer(_) | Id::Proxy(_) | Id::Resolver(_) | Id::User(_) => {
                None
            }
        };
        match (message, agent, stage) {
            (Message::HelloDone, _, ClientStage::Tls) => self.tls_done(id),
            (Message::HelloRefused, _, ClientStage::Tls) => {
                let error = "TLS handshake: received fatal alert: NoApplicationProtocol";
                self.give_up(id, (Stage::Tls, Cause::Alpn), error.to_owned());
            }
            (Message::Document, Some(index), ClientStage::Asking) => {
                self.close(id, Side::Client, Message::Fin);
                let document = Arc::clone(&self.document);
                self.tell_outcome(index, Input::FindAnswered { dial, document });
            }
            (Message::NoDocument(status), Some(_), ClientStage::Asking) => {
                let error = format!("status {status}: the answer to find: no document");
                self.give_up(id, (Stage::Find, Cause::Find), error);
            }
            (Message::HostKey, Some(index), ClientStage::Ssh) => self.judge(id, index, dial),
            (Message::LoggedIn, Some(_), ClientStage::Ssh) => {
                self.send(id, Way::Up, Message::BeatOpen);
            }
            (Message::BeatOpened, Some(index), ClientStage::Ssh) => self.tunnel_up(id, index, dial),
            (Message::Advice, Some(index), ClientStage::Up) => {
                self.feed_agent(index, Input::Advised { dial });
            }
            (Message::Gossip(ids), Some(index), ClientStage::Up) => {
                let proxies = ids.to_vec();
                self.feed_agent(index, Input::Gossip { dial, proxies });
            }
            (Message::StreamOpen(request, asked), Some(index), ClientStage::Up) => {
                let (kind, app) = *asked;
                let answer = self.feed_agent(index, Input::StreamAsked { dial, kind, app });
                let message = match answer {
                    Some(Output::Serve { .. }) => Message::StreamTaken(request),
                    Some(Output::RefuseStream { why }) => {
                        Message::StreamRefused(request, why.into())
                    }
                    _ => return,
                };
                self.send(id, Way::Up, message);
            }
            (Message::StreamAsk(request, asked), Some(index), ClientStage::Up) => {
                let (client, host) = *asked;
                let bytes = self.app_answers(index, client, &host);
                self.send(id, Way::Up, Message::StreamAnswer(request, bytes));
            }
            (Message::StreamEnd, Some(index), ClientStage::Up) => {
                self.feed_agent(index, Input::StreamEnded { dial });
            }
            (message, None, ClientStage::Asking) => self.user_heard(id, message),
            _ => {}
        }
    }

    /// Gives the bytes of the built-in app's answer: the line that `live/resource` makes.
    fn app_answers(&self, index: u32, client: IpAddr, host: &HostPort) -> u64 {
        let agent = &self.topology.agents[index as usize].name;
        let app = host.host.split('.').next().unwrap_or_default();
        let line = format!("{app}: served by agent {agent} to {client} for {host}\n");
        line.len() as u64
    }

    /// Asks the machine what to make of a host key, inside the handshake.
    fn judge(&mut self, id: LinkId, index: u32, dial: DialId) {
        let Some(proxy) = self.links.get(id).map(|link| link.proxy) else {
            return;
        };
        let shown = self.proxies[proxy as usize].shown.clone();
        let unix_seconds = CALENDAR_START + self.now.as_us() / 1_000_000;
        let input = Input::HostKeyShown {
            dial,
            shown,
            unix_seconds,
        };
        match self.feed_agent(index, input) {
            Some(Output::AcceptHostKey) => self.send(id, Way::Up, Message::Login),
            Some(Output::RefuseHostKey { why }) => {
                let error = format!("ssh: handshake failed: {why}");
                self.give_up(id, (Stage::Ssh, Cause::Ssh), error);
            }
            _ => {}
        }
    }

    fn tunnel_up(&mut self, id: LinkId, index: u32, dial: DialId) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        link.client_stage = ClientStage::Up;
        link.dialing = None;
        let address = link.listener;
        self.expect(id, Side::Client, None);
        self.tell_outcome(index, Input::TunnelUp { dial, address });
    }

    /// Tells a client that its connection stands.
    pub(super) fn tell_connected(
        &mut self,
        client: Id,
        (purpose, attempt): (Purpose, u64),
        host: String,
        address: ListenAddr,
    ) {
        match client {
            Id::Agent(index) => {
                let dial = DialId(attempt);
                let input = Input::Connected {
                    dial,
                    purpose,
                    host,
                    address,
                };
                self.feed_agent(index, input);
            }
            Id::User(index) => {
                self.user_connected(index, (purpose, attempt), host, address);
            }
            Id::Lab | Id::Dns | Id::Balancer(_) | Id::Proxy(_) | Id::Resolver(_) => {}
        }
    }

    /// Tells a client that its attempt failed.
    pub(super) fn tell_failed(
        &mut self,
        (client, id): (Id, LinkId),
        (purpose, attempt): (Purpose, u64),
        (stage, cause): (Stage, Cause),
        error: String,
    ) {
        match client {
            Id::Agent(index) => {
                let dial = DialId(attempt);
                let input = Input::Failed {
                    dial,
                    stage,
                    cause,
                    error,
                };
                self.tell_outcome(index, input);
            }
            Id::User(index) => {
                self.user_failed((index, id), (purpose, attempt), (stage, cause), error);
            }
            Id::Lab | Id::Dns | Id::Balancer(_) | Id::Proxy(_) | Id::Resolver(_) => {}
        }
    }

    /// Tells an agent that a tunnel has ended.
    pub(super) fn tell_tunnel_closed(&mut self, client: Id, attempt: u64, why: &str) {
        if let Id::Agent(index) = client {
            let dial = DialId(attempt);
            let why = why.to_owned();
            self.tell_outcome(index, Input::TunnelClosed { dial, why });
        }
    }

    /// Moves an agent to another address.
    pub(super) fn roam_agent(&mut self, index: u32, roam: &crate::model::timeline::Roam) {
        let (network, address) = (roam.network.clone(), roam.address);
        self.agents[index as usize].address = address;
        self.feed_agent(index, Input::Roamed { network, address });
    }

    /// Notes a connection with the client whose it is.
    pub(super) fn remember_link(&mut self, client: Id, id: LinkId) {
        match client {
            Id::Agent(index) => self.agents[index as usize].links.push(id),
            Id::User(index) => self.users[index as usize].links.push(id),
            Id::Lab | Id::Dns | Id::Balancer(_) | Id::Proxy(_) | Id::Resolver(_) => {}
        }
    }

    /// Forgets a connection that its client has ended.
    pub(super) fn forget_link(&mut self, client: Id, id: LinkId) {
        match client {
            Id::Agent(index) => self.agents[index as usize].links.retain(|link| *link != id),
            Id::User(index) => self.users[index as usize].links.retain(|link| *link != id),
            Id::Lab | Id::Dns | Id::Balancer(_) | Id::Proxy(_) | Id::Resolver(_) => {}
        }
    }
}
