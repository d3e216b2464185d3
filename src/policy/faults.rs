//! The faults in force, and what they do to a flow, a listener, a connect, an answer.
//!
//! One immutable value, swapped whole; every question is pure, so live and simulated runs ask the
//! same. Faults add up: latencies are summed, and whatever one of them silences is silent. A fault
//! on a node is one on its links, see [`Target::Node`].

use std::net::{IpAddr, Ipv4Addr};

use crate::model::fault::{Effect, End, Fault, Link, Target};
use crate::model::id::{FaultId, Name, Node};
use crate::model::time::Span;
use crate::model::topology::Topology;

/// How many faults may be in force at once: they are looked at for every flow.
pub const FAULTS_MAX: usize = 1_000;

/// The address of a node that the topology does not have.
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The faults in force, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    list: Vec<(FaultId, Fault)>,
}

/// What is done to the bytes of a flow, or of one of its two links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// From the client.
    pub up: Way,
    /// To the client.
    pub down: Way,
    /// Both sides are reset.
    pub reset: bool,
}

/// One direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// Nothing is read or written; what waits is moved when this ends.
    pub silent: bool,
    /// Bytes wait so long.
    pub latency: Span,
    /// And up to so much longer, drawn for each piece, the order kept.
    pub jitter: Span,
}

/// What a connect of a door to an instance meets before any byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connecting {
    /// It is refused at once.
    pub refused: bool,
    /// It is not answered, and ends with the connect's timeout.
    pub silent: bool,
    /// It takes so much longer.
    pub latency: Span,
    /// And up to so much longer.
    pub jitter: Span,
}

/// What a SYN meets at a listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Listening {
    /// It is answered and accepted.
    #[default]
    Open,
    /// It is answered by the kernel, and nobody accepts.
    Paused,
    /// It is answered with RST.
    Refusing,
    /// It is not answered.
    Silent,
}

/// What is done to an answer of the DNS server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answering {
    /// There is none.
    pub dropped: bool,
    /// It is SERVFAIL.
    pub servfail: bool,
    /// It is the previous generation's.
    pub stale: bool,
    /// It is another view's.
    pub flipped_to: Option<Name>,
    /// It is sent so much later.
    pub latency: Span,
    /// And up to so much later.
    pub jitter: Span,
}

/// A flow as faults see it.
#[derive(Clone, Copy, Debug)]
pub struct Flow<'a> {
    /// Where the client comes from.
    pub client: IpAddr,
    /// The door.
    pub balancer: &'a Name,
    /// The door's address that it came in at.
    pub listener: IpAddr,
    /// The instance that it goes to, once there is one.
    pub proxy: Option<&'a Name>,
}

impl Way {
    /// Tells whether bytes pass as if there were no fault.
    pub const fn is_plain(&self) -> bool {
        !self.silent && self.latency.as_us() == 0 && self.jitter.as_us() == 0
    }

    fn add(&mut self, effect: &Effect) {
        match effect {
            Effect::Blackhole | Effect::HalfOpen | Effect::Partition | Effect::Pause => {
                self.silent = true;
            }
            Effect::Jitter(span) => self.jitter = self.jitter + *span,
            Effect::Latency(span) => self.latency = self.latency + *span,
            Effect::Drop
            | Effect::Refuse
            | Effect::ResetPeer
            | Effect::ServFail
            | Effect::Stale
            | Effect::TtlFloor(_)
            | Effect::ViewFlip { .. } => {}
        }
    }
}

impl Shape {
    /// Tells whether the flow passes as if there were no fault.
    pub const fn is_plain(&self) -> bool {
        self.up.is_plain() && self.down.is_plain() && !self.reset
    }

    fn add(&mut self, effect: &Effect, up: bool, down: bool) {
        self.reset |= *effect == Effect::ResetPeer && (up || down);
        if up {
            self.up.add(effect);
        }
        if down {
            self.down.add(effect);
        }
    }
}

impl Answering {
    /// Adds what one more fault does.
    pub(super) fn add(&mut self, effect: &Effect) {
        match effect {
            Effect::Blackhole | Effect::Drop | Effect::HalfOpen | Effect::Partition => {
                self.dropped = true;
            }
            Effect::Jitter(span) => self.jitter = self.jitter + *span,
            Effect::Latency(span) => self.latency = self.latency + *span,
            Effect::ServFail => self.servfail = true,
            Effect::Stale => self.stale = true,
            Effect::ViewFlip { to } => self.flipped_to = Some(to.clone()),
            Effect::Pause | Effect::Refuse | Effect::ResetPeer | Effect::TtlFloor(_) => {}
        }
    }
}

impl Faults {
    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Gives them, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &(FaultId, Fault)> {
        self.list.iter()
    }

    /// Gives these and one more.
    pub fn with(&self, id: FaultId, fault: Fault) -> Self {
        let mut list = self.list.clone();
        list.push((id, fault));
        Self { list }
    }

    /// Gives these but one.
    pub fn without(&self, id: FaultId) -> Self {
        let list = self.list.iter().filter(|(known, _)| *known != id);
        Self {
            list: list.cloned().collect(),
        }
    }

    /// Says what is done to the bytes of a flow: both its links, client to door and door to
    /// instance, together.
    pub fn flow(&self, topology: &Topology, flow: &Flow<'_>) -> Shape {
        if self.list.is_empty() {
            return Shape::default();
        }
        self.shape(topology, Party::at(topology, flow.client), flow)
    }

    /// Says the same as [`Faults::flow`] for a client that is known already: a fleet need not be
    /// searched for it.
    pub fn flow_of(&self, topology: &Topology, client: Node, flow: &Flow<'_>) -> Shape {
        self.shape(topology, Party::node(topology, client, flow.client), flow)
    }

    fn shape(&self, topology: &Topology, client: Party<'_>, flow: &Flow<'_>) -> Shape {
        let mut shape = Shape::default();
        let door = Party::node(
            topology,
            Node::Balancer(flow.balancer.clone()),
            flow.listener,
        );
        for (_, fault) in &self.list {
            let (up, down) = between(&fault.target, &client, &door);
            shape.add(&fault.effect, up, down);
            if let Some(proxy) = flow.proxy {
                let proxy = Party::proxy(topology, proxy);
                let (up, down) = between(&fault.target, &door, &proxy);
                shape.add(&fault.effect, up, down);
            }
        }
        shape
    }

    /// Says what a SYN meets at a balancer or a proxy.
    pub fn listening(&self, node: &Node) -> Listening {
        let faults = self
            .list
            .iter()
            .filter(|(_, fault)| matches!(&fault.target, Target::Node(target) if target == node));
        let states = faults.map(|(_, fault)| match fault.effect {
            Effect::Blackhole => Listening::Silent,
            Effect::Pause => Listening::Paused,
            Effect::Refuse => Listening::Refusing,
            Effect::Drop
            | Effect::HalfOpen
            | Effect::Jitter(_)
            | Effect::Latency(_)
            | Effect::Partition
            | Effect::ResetPeer
            | Effect::ServFail
            | Effect::Stale
            | Effect::TtlFloor(_)
            | Effect::ViewFlip { .. } => Listening::Open,
        });
        states.max().unwrap_or_default()
    }

    /// Tells whether a node's own clockwork stands still.
    pub fn is_paused(&self, node: &Node) -> bool {
        self.list.iter().any(|(_, fault)| {
            fault.effect == Effect::Pause
                && matches!(&fault.target, Target::Node(target) if target == node)
        })
    }

    /// Says what a door's connect to an instance meets, checks included.
    ///
    /// What the instance's own listener does to a SYN is not in it: see [`Faults::listening`].
    pub fn connecting(&self, topology: &Topology, balancer: &Name, proxy: &Name) -> Connecting {
        let mut connecting = Connecting::default();
        if self.list.is_empty() {
            return connecting;
        }
        let own = topology
            .balancers
            .iter()
            .find(|door| door.name == *balancer);
        let own = own.and_then(|door| door.listen.first());
        let own = own.map_or(NOWHERE, |listen| listen.ip());
        let door = Party::node(topology, Node::Balancer(balancer.clone()), own);
        let proxy = Party::proxy(topology, proxy);
        for (_, Fault { target, effect }) in &self.list {
            let (there, back) = between(target, &door, &proxy);
            if !there && !back {
                continue;
            }
            // An instance's own listener answers for it; here are its links.
            let whole = matches!(target, Target::Node(_));
            match effect {
                Effect::Refuse => connecting.refused |= !whole,
                // A handshake needs both ways.
                Effect::Blackhole | Effect::HalfOpen | Effect::Partition => {
                    connecting.silent |= !whole;
                }
                Effect::Jitter(span) => connecting.jitter = connecting.jitter + *span,
                Effect::Latency(span) => connecting.latency = connecting.latency + *span,
                Effect::Drop
                | Effect::Pause
                | Effect::ResetPeer
                | Effect::ServFail
                | Effect::Stale
                | Effect::TtlFloor(_)
                | Effect::ViewFlip { .. } => {}
            }
        }
        connecting
    }

    /// Gives the faults that act on answers to this client from this view, oldest first.
    pub fn on_answers<'a>(
        &'a self,
        topology: &'a Topology,
        client: IpAddr,
        view: Option<&'a Name>,
    ) -> impl Iterator<Item = &'a (FaultId, Fault)> {
        let server = Party::node(topology, Node::Dns, topology.dns.listen.ip());
        // Who it is costs a look through all agents, which a fault on a view does not need.
        let mut asker = None;
        self.list.iter().filter(move |(_, fault)| {
            let hit = match &fault.target {
                Target::View(name) => view == Some(name),
                target @ (Target::Link(_) | Target::Networks(..) | Target::Node(_)) => {
                    let asker = asker.get_or_insert_with(|| Party::at(topology, client));
                    let (there, back) = between(target, asker, &server);
                    // An asker that stands still asks nothing.
                    let own = matches!(target, Target::Node(node) if *node != Node::Dns);
                    (there || back) && !own
                }
            };
            hit && match fault.effect {
                Effect::Blackhole
                | Effect::Drop
                | Effect::HalfOpen
                | Effect::Jitter(_)
                | Effect::Latency(_)
                | Effect::Partition
                | Effect::ServFail
                | Effect::Stale
                | Effect::ViewFlip { .. } => true,
                Effect::Pause | Effect::Refuse | Effect::ResetPeer | Effect::TtlFloor(_) => false,
            }
        })
    }

    /// Says what is done to an answer to this client from this view.
    pub fn answering(&self, topology: &Topology, client: IpAddr, view: Option<&Name>) -> Answering {
        let mut answering = Answering::default();
        if self.list.is_empty() {
            return answering;
        }
        for (_, fault) in self.on_answers(topology, client, view) {
            answering.add(&fault.effect);
        }
        answering
    }

    /// Gives the least time that a resolver keeps an answer.
    pub fn ttl_floor(&self, resolver: &Name) -> Option<Span> {
        let floors = self.list.iter().filter_map(|(_, fault)| {
            let Effect::TtlFloor(span) = fault.effect else {
                return None;
            };
            match &fault.target {
                Target::Node(Node::Resolver(name)) if name == resolver => Some(span),
                Target::Link(_) | Target::Networks(..) | Target::Node(_) | Target::View(_) => None,
            }
        });
        floors.max()
    }
}

/// One side of a link: who it is, and where.
struct Party<'a> {
    topology: &'a Topology,
    node: Option<Node>,
    address: IpAddr,
}

impl<'a> Party<'a> {
    fn at(topology: &'a Topology, address: IpAddr) -> Self {
        Self {
            topology,
            node: topology.client_at(address),
            address,
        }
    }

    const fn node(topology: &'a Topology, node: Node, address: IpAddr) -> Self {
        Self {
            topology,
            node: Some(node),
            address,
        }
    }

    fn proxy(topology: &'a Topology, name: &Name) -> Self {
        let mut pool = topology.pool.proxies.iter();
        let proxy = pool.find(|proxy| proxy.name == *name);
        let address = proxy.map_or(NOWHERE, |proxy| proxy.listen.ip());
        Self::node(topology, Node::Proxy(name.clone()), address)
    }

    fn is(&self, end: &End) -> bool {
        match end {
            End::Network(name) => self.is_in(name),
            End::Node(node) => self.node.as_ref() == Some(node),
        }
    }

    fn is_in(&self, network: &Name) -> bool {
        let found = self.topology.network_of(self.address);
        found.is_some_and(|found| found.name == *network)
    }
}

/// Tells whether a target holds the way from `near` to `far`, and the way back.
fn between(target: &Target, near: &Party<'_>, far: &Party<'_>) -> (bool, bool) {
    match target {
        Target::Link(Link { from, to, both }) => {
            let there = near.is(from) && far.is(to);
            let back = near.is(to) && far.is(from);
            (there || (*both && back), back || (*both && there))
        }
        Target::Networks(one, other) => {
            let hit =
                (near.is_in(one) && far.is_in(other)) || (near.is_in(other) && far.is_in(one));
            (hit, hit)
        }
        Target::Node(node) => {
            // A door's own fault is on its clients' side: on both sides it would count twice.
            let near_door = matches!(near.node, Some(Node::Balancer(_)));
            let hit =
                far.node.as_ref() == Some(node) || (near.node.as_ref() == Some(node) && !near_door);
            (hit, hit)
        }
        Target::View(_) => (false, false),
    }
}
