//! A whole lab in virtual time: its machines, and what each event does to which of them.
//!
//! The counterpart of `lab/build` and of the runner: one queue in the place of sockets, clocks and
//! tasks. Events come one at a time, so a machine is handled, its facts are observed, and what it
//! asks for is done before anything else happens.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::agent::Agent;
use super::balancer::Door;
use super::dns::Counts;
use super::event::{Event, Id};
use super::follow::{Divergence, Followed, Turns};
use super::gossip::Board;
use super::network::{Link, Links};
use super::proxy::Proxy;
use super::queue::Queue;
use super::resolver::Resolver;
use super::timeline::Play;
use super::user::User;
use super::{Observe, Options, Summary};
use crate::model::fact::{Act, Fact, Kind};
use crate::model::id::{Name, Node, Seq};
use crate::model::time::Time;
use crate::model::topology::Topology;
use crate::policy::address::{self, Document};
use crate::policy::answer::Rules;
use crate::policy::faults::Faults;
use crate::policy::principals::{self, Shown, ShownKind};
use crate::policy::{findings, machines, user};
use crate::snapshot::Snapshot;

/// The calendar at the beginning of every run, 2026-01-01T00:00:00Z, in Unix seconds.
pub const CALENDAR_START: u64 = 1_767_225_600;

/// How long before its making a certificate is valid, and after (as `live/authority`).
const VALIDITY: (u64, u64) = (3_600, 365 * 86_400);

/// A lab in virtual time.
pub(super) struct World<'a> {
    pub(super) topology: Arc<Topology>,
    pub(super) options: Options<'a>,
    pub(super) rules: Arc<Rules>,
    pub(super) faults: Faults,
    pub(super) now: Time,
    pub(super) queue: Queue<Id, Event>,
    pub(super) links: Links,
    pub(super) doors: Vec<Door>,
    pub(super) proxies: Vec<Proxy>,
    pub(super) agents: Vec<Agent>,
    pub(super) users: Vec<User>,
    pub(super) resolvers: Vec<Resolver>,
    pub(super) board: Board,
    pub(super) dns: Counts,
    pub(super) play: Play,
    /// The names of the web certificate.
    pub(super) web_names: Vec<String>,
    /// What find answers.
    pub(super) document: Arc<Document>,
    pub(super) snapshot: Snapshot,
    /// How often a jitter was drawn.
    pub(super) jitters: u64,
    /// What nodes that stand still will do later.
    frozen: Vec<(Id, Event)>,
    observe: &'a mut Observe<'a>,
    seq: u64,
    mesh: bool,
    pub(super) over: Option<&'static str>,
    pub(super) diverged: Option<Divergence>,
    /// How far the order is that is followed.
    pub(super) turns: Turns,
    counts: std::collections::BTreeMap<&'static str, u64>,
    links_most: usize,
}

impl<'a> World<'a> {
    /// Makes the nodes of a topology.
    pub(super) fn new(
        topology: &Arc<Topology>,
        rules: Rules,
        options: Options<'a>,
        observe: &'a mut Observe<'a>,
    ) -> Self {
        let mut board = Board::default();
        let proxies = (0..).zip(&topology.pool.proxies).map(|(index, config)| {
            board.join(&config.id);
            let shown = shown(topology, config);
            let machine = machines::proxy(topology, index);
            Proxy::new(machine, config.name.clone(), shown)
        });
        let proxies = proxies.collect();
        let doors = 0..topology.balancers.len();
        let agents = (0..).zip(&topology.agents);
        let users = (0..).zip(&topology.users);
        Self {
            doors: doors
                .map(|index| Door::new(machines::balancer(topology, index)))
                .collect(),
            agents: agents
                .map(|(index, config)| Agent::new(machines::agent(topology, index), config.address))
                .collect(),
            users: users
                .map(|(index, config)| User::new(machines::user(topology, index), config.address))
                .collect(),
            resolvers: (0..)
                .zip(&topology.resolvers)
                .map(|(index, config)| {
                    let address = topology.resolver_address(config);
                    Resolver::new(machines::resolver(topology, index), address)
                })
                .collect(),
            proxies,
            board,
            rules: Arc::new(rules.with_topology(Arc::clone(topology))),
            options,
            faults: Faults::default(),
            now: Time::ZERO,
            queue: Queue::new(),
            links: Links::default(),
            dns: Counts::default(),
            play: Play::new(machines::conductor(topology)),
            web_names: principals::web(&topology.pool.teleport, &topology.pool.name),
            document: address::advertise(&topology.pool.teleport, topology.cluster()).into(),
            snapshot: Snapshot::new(topology),
            jitters: 0,
            frozen: Vec::new(),
            observe,
            seq: 0,
            mesh: false,
            over: None,
            diverged: None,
            turns: Turns::default(),
            counts: std::collections::BTreeMap::new(),
            links_most: 0,
            topology: Arc::clone(topology),
        }
    }

    /// Starts every node, from the inside out, as a live lab does.
    pub(super) fn start(&mut self) {
        if let Some(order) = &self.options.follow {
            for (door, config) in self.doors.iter_mut().zip(&self.topology.balancers) {
                door.followed = Followed::new(order, &config.name);
            }
            self.begin_to_follow();
        }
        for index in places(self.resolvers.len()) {
            self.operate_resolver(index, Act::Start);
        }
        for index in places(self.proxies.len()) {
            self.operate_proxy(index, Act::Start);
        }
        for index in places(self.doors.len()) {
            self.arm_door(index);
        }
        for (node, kind) in findings::facts(&findings::all(&self.topology, Some(&self.rules))) {
            self.emit(&node, vec![kind]);
        }
        self.emit(&Node::Lab, vec![Kind::Ready]);
        self.watch_mesh();
        self.begin_timeline();
        for index in places(self.agents.len()) {
            self.start_followed(Id::Agent(index));
        }
        for index in places(self.users.len()) {
            self.start_followed(Id::User(index));
        }
    }

    /// Lets everything happen until the run is over.
    pub(super) fn run(&mut self) {
        while self.over.is_none() {
            let Some((at, source, event)) = self.queue.pop() else {
                self.over = Some("nothing more can happen");
                break;
            };
            debug_assert!(self.now <= at, "time does not go back");
            self.now = at;
            if !self.faults.is_empty()
                && let Some(owner) = self.owner(&event)
                && self.is_paused(owner)
            {
                self.frozen.push((source, event));
                continue;
            }
            *self.counts.entry(event.word()).or_default() += 1;
            self.happen(event);
            self.links_most = self.links_most.max(self.links.len());
            self.look_at_conditions();
        }
        if self.diverged.is_none() {
            self.look_at_orders_left();
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Accept(link) => self.accept(link),
            Event::Arrive(link, way, message) => self.arrive(link, way, message),
            Event::BackendSyn(connect) => self.backend_syn(connect),
            Event::BackendEnded(connect, result) => self.backend_ended(connect, result),
            Event::Connected(link) => self.connected(link),
            Event::Heard(link, way, message) => self.give(link, way.leads_to(), message),
            Event::Hears(proxy, input) => match self.hold_announced(proxy, &input) {
                Some(at) => self
                    .queue
                    .push(at, Id::Proxy(proxy), Event::Hears(proxy, input)),
                None => drop(self.feed_proxy(proxy, *input)),
            },
            Event::FlowEnded(door, over) => self.flow_ended(door, *over),
            Event::FlushDns => self.flush_dns(),
            Event::Follow(door, given, overdue) => self.look_at_order(door, given, overdue),
            Event::Forward(forward) => self.forwarded(*forward),
            Event::Forwarded(resolver, forward, reply) => {
                self.forward_ended(resolver, forward, reply.map(|reply| *reply));
            }
            Event::Gossip(links, proxies) => self.gossip_heard(&links, &proxies),
            Event::Liveness(link, side) => self.liveness(link, side),
            Event::NextPing(user, attempt, place) => self.next_ping(user, attempt, place),
            Event::Outcome(agent, input) => self.outcome(agent, *input),
            Event::RequestOver(proxy, request, how) => self.request_over(proxy, request, how),
            Event::Start(id) => self.start_client(id),
            Event::StreamOver(proxy, failed) => self.stream_over(proxy, *failed),
            Event::Told(user, input) => self.feed_user(user, *input),
            Event::TunnelGone(proxy, conn, why) => self.tunnel_gone_now(proxy, conn, why),
            Event::Peer(word) => self.peer_heard(*word),
            Event::Question(link, tried) => self.asked(link, tried),
            Event::Resolved(link, result) => self.resolved(link, *result),
            Event::Refused(link) => self.refused(link),
            Event::Served(proxy, link, job) => self.served(proxy, link, job),
            Event::Syn(link, again) => self.syn(link, again),
            Event::Timer(link, side) => self.timer(link, side),
            Event::Torn(link, side, reset) => self.torn(link, side, reset),
            Event::TunnelClosed(agent, dial, why) => {
                self.tell_tunnel_closed(Id::Agent(agent), dial.0, why);
            }
            Event::TunnelOver(proxy, conn, flow, why) => self.tunnel_gone(proxy, conn, flow, why),
            Event::Wake(Id::Agent(index)) => self.wake_agent(index),
            Event::Wake(Id::Balancer(index)) => self.wake_door(index),
            Event::Wake(Id::Lab) => self.wake_timeline(),
            Event::Wake(Id::Proxy(index)) => self.wake_proxy(index),
            Event::Wake(Id::User(index)) => self.wake_user(index),
            Event::Wake(Id::Dns | Id::Resolver(_)) => {}
        }
    }

    /// Gives the node whose process takes an event; `None` for what kernels and the network do.
    fn owner(&self, event: &Event) -> Option<Id> {
        let client = |link| self.links.get(link).map(|link: &Link| link.client);
        match event {
            Event::Accept(link) => {
                let door = self.links.get(*link)?.door;
                Some(Id::Balancer(door))
            }
            Event::BackendEnded(connect, _) => Some(Id::Balancer(connect.door)),
            Event::FlowEnded(door, _) => Some(Id::Balancer(*door)),
            Event::Hears(proxy, _)
            | Event::RequestOver(proxy, ..)
            | Event::Served(proxy, ..)
            | Event::StreamOver(proxy, _)
            | Event::TunnelGone(proxy, ..)
            | Event::TunnelOver(proxy, ..) => Some(Id::Proxy(*proxy)),
            Event::Connected(link) | Event::Refused(link) | Event::Resolved(link, _) => {
                client(*link)
            }
            Event::Liveness(link, side) | Event::Timer(link, side) | Event::Torn(link, side, _) => {
                self.end(*link, *side)
            }
            Event::Arrive(link, way, _) | Event::Heard(link, way, _) => {
                self.end(*link, way.leads_to())
            }
            Event::Outcome(agent, _) | Event::TunnelClosed(agent, ..) => Some(Id::Agent(*agent)),
            Event::NextPing(user, ..) | Event::Told(user, _) => Some(Id::User(*user)),
            Event::Peer(word) => Some(Id::Proxy(word.to())),
            Event::Wake(id) => Some(*id),
            // Resolvers are not paused.
            Event::BackendSyn(_)
            | Event::FlushDns
            | Event::Forward(_)
            | Event::Forwarded(..)
            | Event::Follow(..)
            | Event::Gossip(..)
            | Event::Question(..)
            | Event::Start(_)
            | Event::Syn(..) => None,
        }
    }

    /// Tells whether a node stands still.
    pub(super) fn is_paused(&self, id: Id) -> bool {
        !self.faults.is_empty()
            && self
                .node(id)
                .is_some_and(|node| self.faults.is_paused(&node))
    }

    /// Puts other faults in force: flows look again, and who stood still goes on.
    pub(super) fn set_faults(&mut self, faults: Faults) {
        self.rules = Arc::new(self.rules.with_faults(faults.clone()));
        self.faults = faults;
        self.set_floors();
        for (source, event) in std::mem::take(&mut self.frozen) {
            // Whoever still stands still is held again when it comes up.
            self.queue.push(self.now, source, event);
        }
        for id in self.links.ids() {
            self.look_at(id);
        }
    }

    /// Numbers facts and shows them to whoever observes.
    pub(super) fn emit(&mut self, node: &Node, kinds: Vec<Kind>) {
        for kind in kinds {
            self.seq += 1;
            let fact = Fact {
                seq: Seq(self.seq),
                at: self.now,
                node: node.clone(),
                kind,
            };
            self.snapshot.fold(&fact);
            self.play.note(&fact.kind);
            if let ControlFlow::Break(why) = (self.observe)(&fact, &self.snapshot) {
                self.play.abort(why);
            }
        }
    }

    /// Tells users of the first full mesh.
    pub(super) fn watch_mesh(&mut self) {
        let mesh = self.snapshot.mesh;
        let Some(ready) = self
            .snapshot
            .ready
            .filter(|_| !self.mesh && mesh.now == mesh.full)
        else {
            return;
        };
        self.mesh = true;
        let after = self.now.since(ready);
        self.emit(&Node::Lab, vec![Kind::MeshComplete { after }]);
        for index in places(self.users.len()) {
            self.tell_user(index, user::Input::MeshComplete);
        }
    }

    /// Finds the place of a node by its name.
    pub(super) fn place(&self, node: &Node) -> Option<Id> {
        let topology = &self.topology;
        let of = |place: Option<usize>| place.and_then(|place| u32::try_from(place).ok());
        match node {
            Node::Agent(name) => {
                of(find(&topology.agents, name, |agent| &agent.name)).map(Id::Agent)
            }
            Node::Balancer(name) => {
                of(find(&topology.balancers, name, |door| &door.name)).map(Id::Balancer)
            }
            Node::Proxy(name) => {
                of(find(&topology.pool.proxies, name, |proxy| &proxy.name)).map(Id::Proxy)
            }
            Node::User(name) => of(find(&topology.users, name, |user| &user.name)).map(Id::User),
            Node::Dns => Some(Id::Dns),
            Node::Lab => Some(Id::Lab),
            Node::Resolver(name) => {
                of(find(&topology.resolvers, name, |own| &own.name)).map(Id::Resolver)
            }
        }
    }

    /// Says what came of the run.
    pub(super) fn summary(self) -> Summary {
        let agents = self.agents.len();
        let own = size_of::<Agent>() * agents + size_of::<Option<Link>>() * self.links_most;
        Summary {
            virtual_time: self.now,
            events: self.counts,
            facts: self.seq,
            agents,
            bytes_per_agent: own.checked_div(agents).and_then(|n| u64::try_from(n).ok()),
            why: self.over.unwrap_or_default(),
            diverged: self.diverged,
        }
    }
}

fn find<T>(list: &[T], name: &Name, of: impl Fn(&T) -> &Name) -> Option<usize> {
    list.iter().position(|item| of(item) == name)
}

/// Gives the places of so many nodes.
fn places(count: usize) -> std::ops::Range<u32> {
    0..u32::try_from(count).expect("a scenario has fewer nodes than 2^32")
}

/// Gives the SSH host certificate that an instance shows, as the lab's authority would make it.
fn shown(topology: &Topology, proxy: &crate::model::topology::Proxy) -> Shown {
    Shown {
        kind: ShownKind::HostCertificate,
        key_id: principals::proxy_nodename(proxy),
        principals: principals::proxy(&topology.pool, proxy, topology.cluster()),
        ca_known: true,
        signature_valid: true,
        valid_after: CALENDAR_START - VALIDITY.0,
        valid_before: CALENDAR_START + VALIDITY.1,
        critical_options: Vec::new(),
        role: Some(String::from("Proxy")),
    }
}
