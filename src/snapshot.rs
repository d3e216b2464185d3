//! The state of a lab now: a fold over its facts, and nothing else.
//!
//! The page, the metrics, `status` and the expectations read this; none of them counts by itself.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use crate::model::addr::{BackendAddr, ListenAddr};
use crate::model::fact::{
    Act, DnsAnswered, Fact, Failure, Health, Kind, Purpose, Stage, VisitAnswered,
};
use crate::model::id::{DialId, Generation, Name, Node, Seq};
use crate::model::network::{Verdict, judge};
use crate::model::time::{Span, Time};
use crate::model::topology::{Role, Topology};

/// How many of the latest DNS answers are kept for the page.
pub const QUERIES_MAX: usize = 50;

/// How many findings are kept; each is made once per node and identifier, so a lab has few.
pub const FINDINGS_MAX: usize = 1_000;

/// The state of a lab.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The scenario.
    pub name: Name,
    /// The instant of the newest fact.
    pub at: Time,
    /// The newest fact.
    pub seq: Seq,
    /// When everything listened.
    pub ready: Option<Time>,
    /// The generation of the rules in force.
    pub generation: Generation,
    /// Mistakes of the last reload, when it was refused; empty after one that took.
    pub reload_mistakes: Vec<String>,
    /// The named networks, in the order of the file.
    pub networks: Vec<NetworkState>,
    /// The tunnels of all agents.
    pub mesh: Mesh,
    /// What the DNS server answered.
    pub dns: DnsState,
    /// The doors, in the order of the file.
    pub balancers: Vec<BalancerState>,
    /// The pool.
    pub proxies: Vec<ProxyState>,
    /// The agents.
    pub agents: Vec<AgentState>,
    /// The users.
    pub users: Vec<UserState>,
    /// What an operator should know, oldest first.
    pub findings: Vec<Finding>,
}

/// A named network and what the topology says of it.
#[derive(Clone, Debug)]
pub struct NetworkState {
    /// Its name.
    pub name: Name,
    /// Its ranges, as they are written.
    pub ranges: Vec<String>,
    /// The view that its first address gets; `None` when no view takes it.
    pub view: Option<Name>,
}

/// How many tunnels stand of a full mesh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mesh {
    /// Tunnels that stand.
    pub now: usize,
    /// Agents times proxies.
    pub full: usize,
    /// From ready to the first full mesh.
    pub complete_after: Option<Span>,
}

/// What the DNS server answered.
#[derive(Clone, Debug, Default)]
pub struct DnsState {
    /// The views, in the order of the file.
    pub views: Vec<Name>,
    /// The match list of each view, as it is written.
    pub rules: BTreeMap<Name, Vec<Name>>,
    /// Answers by view, rule and response code, exact.
    pub answers: BTreeMap<(Option<Name>, Option<Name>, Name), u64>,
    /// The latest answers of the sample, oldest first.
    pub queries: VecDeque<Query>,
}

/// One answer of the sample.
#[derive(Clone, Debug)]
pub struct Query {
    /// Its fact.
    pub seq: Seq,
    /// When.
    pub at: Time,
    /// The answer.
    pub answered: DnsAnswered,
}

/// What an operator wants of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Admin {
    /// It works.
    #[default]
    Ready,
    /// It takes nothing new and finishes what is open.
    Draining,
    /// It had drained: nothing is open.
    Drained,
    /// It is stopped.
    Stopped,
}

/// A door.
#[derive(Clone, Debug)]
pub struct BalancerState {
    /// Its name.
    pub name: Name,
    /// Where it listens.
    pub listen: Vec<ListenAddr>,
    /// The network that holds its first listening address.
    pub network: Option<Name>,
    /// Whom it is meant for.
    pub meant_for: Option<Role>,
    /// What the operator wants of it.
    pub admin: Admin,
    /// Flows that are open.
    pub open: u64,
    /// Bytes from clients, of flows that ended.
    pub bytes_up: u64,
    /// Bytes to clients, of flows that ended.
    pub bytes_down: u64,
    /// Flows that found no instance.
    pub no_backend: u64,
    /// By network of the client; the empty name stands for clients of no network.
    pub networks: BTreeMap<Name, NetworkCount>,
    /// Flows by what agents and users of the lab made them for, and their network.
    pub uses: BTreeMap<(Purpose, Name), u64>,
    /// The pool as this door sees it.
    pub backends: Vec<BackendState>,
}

/// Clients of one network at one door.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetworkCount {
    /// Flows let in.
    pub opened: u64,
    /// Clients refused.
    pub refused: u64,
}

/// An instance as one door sees it.
#[derive(Clone, Debug)]
pub struct BackendState {
    /// The instance.
    pub proxy: Name,
    /// The door's opinion.
    pub health: Health,
    /// Since when.
    pub since: Time,
    /// What made it flip.
    pub cause: String,
    /// Flows that are open.
    pub open: u64,
    /// Flows ever connected.
    pub total: u64,
    /// Connects that failed.
    pub failed: u64,
}

/// An instance of the pool.
#[derive(Clone, Debug)]
pub struct ProxyState {
    /// Its name.
    pub name: Name,
    /// Where it listens.
    pub listen: BackendAddr,
    /// What the operator wants of it.
    pub admin: Admin,
    /// Tunnels registered here.
    pub tunnels: u64,
    /// Requests given to a tunnel.
    pub routed: u64,
    /// Requests refused because no tunnel of that agent ends here.
    pub no_tunnel: u64,
    /// Requests whose answer was cut: by a stop, a broken tunnel or a user who left.
    pub cut: u64,
    /// Connections that did not get to a service.
    pub refused: u64,
}

/// An agent.
#[derive(Clone, Debug)]
pub struct AgentState {
    /// Its name.
    pub name: Name,
    /// Its network.
    pub network: Name,
    /// Its own address.
    pub address: IpAddr,
    /// The names of its apps.
    pub apps: Vec<Name>,
    /// What the operator wants of it.
    pub admin: Admin,
    /// One per proxy, in the order of the pool.
    pub tunnels: Vec<TunnelState>,
    /// Attempts that ended without a tunnel, by how far they came.
    pub failures: BTreeMap<Stage, u64>,
    /// Streams cut at their bound.
    pub cut: u64,
    /// The last attempt that failed, in words.
    pub last_error: Option<String>,
}

/// One agent's tunnel to one proxy.
#[derive(Clone, Debug)]
pub struct TunnelState {
    /// The proxy.
    pub proxy: Name,
    /// Whether it stands.
    pub up: bool,
    /// When it was made or lost; `None` when it never stood.
    pub since: Option<Time>,
    /// The door that it goes through.
    pub balancer: Option<Name>,
    /// The attempt that made it last.
    pub dial: Option<DialId>,
    /// How often it was made.
    pub made: u64,
    /// From the loss of the last one to this one.
    pub gap: Option<Span>,
    /// From the door's `up` for that proxy to this tunnel, when the door had seen it down.
    pub after_rise: Option<Span>,
}

/// A user.
#[derive(Clone, Debug)]
pub struct UserState {
    /// Their name.
    pub name: Name,
    /// Their network.
    pub network: Name,
    /// Their own address.
    pub address: IpAddr,
    /// The apps that they visit.
    pub visits: Vec<Name>,
    /// What the operator wants of them.
    pub admin: Admin,
    /// Visits answered with success.
    pub answered: u64,
    /// Visits that failed, by reason.
    pub failures: BTreeMap<Failure, u64>,
    /// Visits answered, by door.
    pub doors: BTreeMap<Name, u64>,
    /// The last visit that was answered.
    pub last: Option<VisitAnswered>,
    /// The last failure, in words.
    pub last_error: Option<String>,
}

/// Something that an operator should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its identifier.
    pub id: &'static str,
    /// Whom it is about.
    pub node: Node,
    /// The case in words.
    pub detail: String,
    /// When it was first seen.
    pub at: Time,
}

impl Snapshot {
    /// Makes the state of a lab in which nothing has happened yet.
    pub fn new(topology: &Topology) -> Self {
        let proxies = || topology.pool.proxies.iter();
        let backends = || {
            proxies().map(|proxy| BackendState {
                proxy: proxy.name.clone(),
                health: Health::Unknown,
                since: Time::ZERO,
                cause: String::from("not checked yet"),
                open: 0,
                total: 0,
                failed: 0,
            })
        };
        let tunnels = || {
            proxies().map(|proxy| TunnelState {
                proxy: proxy.name.clone(),
                up: false,
                since: None,
                balancer: None,
                dial: None,
                made: 0,
                gap: None,
                after_rise: None,
            })
        };
        Self {
            name: topology.name.clone(),
            at: Time::ZERO,
            seq: Seq(0),
            ready: None,
            generation: Generation(1),
            reload_mistakes: Vec::new(),
            networks: networks(topology),
            mesh: Mesh {
                now: 0,
                full: topology.mesh_size(),
                complete_after: None,
            },
            dns: DnsState {
                views: topology
                    .dns
                    .views
                    .iter()
                    .map(|view| view.name.clone())
                    .collect(),
                rules: topology
                    .dns
                    .views
                    .iter()
                    .map(|view| {
                        let rules = view.match_clients.iter().map(|e| e.text.clone());
                        (view.name.clone(), rules.collect())
                    })
                    .collect(),
                ..DnsState::default()
            },
            balancers: topology
                .balancers
                .iter()
                .map(|balancer| BalancerState {
                    name: balancer.name.clone(),
                    listen: balancer.listen.clone(),
                    network: balancer
                        .listen
                        .first()
                        .and_then(|listen| topology.network_of(listen.ip()))
                        .map(|network| network.name.clone()),
                    meant_for: balancer.meant_for,
                    admin: Admin::Ready,
                    open: 0,
                    bytes_up: 0,
                    bytes_down: 0,
                    no_backend: 0,
                    networks: BTreeMap::new(),
                    uses: BTreeMap::new(),
                    backends: backends().collect(),
                })
                .collect(),
            proxies: proxies()
                .map(|proxy| ProxyState {
                    name: proxy.name.clone(),
                    listen: proxy.listen,
                    admin: Admin::Ready,
                    tunnels: 0,
                    routed: 0,
                    no_tunnel: 0,
                    cut: 0,
                    refused: 0,
                })
                .collect(),
            agents: topology
                .agents
                .iter()
                .map(|agent| AgentState {
                    name: agent.name.clone(),
                    network: agent.network.clone(),
                    address: agent.address,
                    apps: agent.apps.iter().map(|app| app.name.clone()).collect(),
                    admin: Admin::Ready,
                    tunnels: tunnels().collect(),
                    failures: BTreeMap::new(),
                    cut: 0,
                    last_error: None,
                })
                .collect(),
            users: topology
                .users
                .iter()
                .map(|user| UserState {
                    name: user.name.clone(),
                    network: user.network.clone(),
                    address: user.address,
                    visits: user.visits.clone(),
                    admin: Admin::Ready,
                    answered: 0,
                    failures: BTreeMap::new(),
                    doors: BTreeMap::new(),
                    last: None,
                    last_error: None,
                })
                .collect(),
            findings: Vec::new(),
        }
    }

    /// Takes one more fact. Facts come in the order of their numbers.
    pub fn fold(&mut self, fact: &Fact) {
        self.at = fact.at;
        self.seq = fact.seq;
        if let Kind::Finding { id, detail } = &fact.kind {
            self.add_finding(id, &fact.node, detail, fact.at);
            return;
        }
        match &fact.node {
            Node::Agent(name) => self.fold_agent(&name.clone(), fact),
            Node::Balancer(name) => self.fold_balancer(&name.clone(), fact),
            Node::Dns => self.fold_dns(fact),
            Node::Lab => self.fold_lab(fact),
            Node::Proxy(name) => self.fold_proxy(&name.clone(), fact),
            Node::User(name) => self.fold_user(&name.clone(), fact),
        }
    }

    fn add_finding(&mut self, id: &'static str, node: &Node, detail: &str, at: Time) {
        let known = self.findings.iter().any(|f| f.id == id && f.node == *node);
        if !known && self.findings.len() < FINDINGS_MAX {
            let detail = detail.to_owned();
            self.findings.push(Finding {
                id,
                node: node.clone(),
                detail,
                at,
            });
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "each node folds its own facts"
    )]
    fn fold_lab(&mut self, fact: &Fact) {
        match &fact.kind {
            Kind::Ready => self.ready = Some(fact.at),
            Kind::Reloaded { generation, .. } => {
                self.generation = *generation;
                self.reload_mistakes.clear();
            }
            Kind::ReloadRefused { mistakes } => self.reload_mistakes.clone_from(mistakes),
            Kind::MeshComplete { after } => self.mesh.complete_after = Some(*after),
            _ => {}
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "each node folds its own facts"
    )]
    fn fold_dns(&mut self, fact: &Fact) {
        match &fact.kind {
            Kind::DnsCounted {
                view,
                rule,
                rcode,
                count,
            } => {
                let key = (view.clone(), rule.clone(), rcode.clone());
                *self.dns.answers.entry(key).or_default() += count;
            }
            Kind::DnsAnswered(answered) => {
                if self.dns.queries.len() == QUERIES_MAX {
                    self.dns.queries.pop_front();
                }
                let answered = DnsAnswered::clone(answered);
                self.dns.queries.push_back(Query {
                    seq: fact.seq,
                    at: fact.at,
                    answered,
                });
            }
            _ => {}
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "each node folds its own facts"
    )]
    fn fold_balancer(&mut self, name: &Name, fact: &Fact) {
        let Some(door) = self.balancers.iter_mut().find(|b| b.name == *name) else {
            return;
        };
        match &fact.kind {
            Kind::FlowOpened { network, .. } => {
                door.open += 1;
                door.networks
                    .entry(network_key(network.as_ref()))
                    .or_default()
                    .opened += 1;
            }
            Kind::ClientRefused { network, .. } => {
                door.networks
                    .entry(network_key(network.as_ref()))
                    .or_default()
                    .refused += 1;
            }
            Kind::FlowConnected { proxy, .. } => {
                if let Some(backend) = door.backend(proxy) {
                    backend.open += 1;
                    backend.total += 1;
                }
            }
            Kind::ConnectFailed { proxy, .. } => {
                if let Some(backend) = door.backend(proxy) {
                    backend.failed += 1;
                }
            }
            Kind::NoBackend { .. } => door.no_backend += 1,
            Kind::FlowClosed {
                proxy, up, down, ..
            } => {
                door.open = door.open.saturating_sub(1);
                door.bytes_up += up;
                door.bytes_down += down;
                if let Some(backend) = proxy.as_ref().and_then(|proxy| door.backend(proxy)) {
                    backend.open = backend.open.saturating_sub(1);
                }
            }
            Kind::HealthChanged { proxy, to, cause } => {
                if let Some(backend) = door.backend(proxy) {
                    backend.health = *to;
                    backend.since = fact.at;
                    backend.cause.clone_from(cause);
                }
            }
            kind => door.admin.fold(kind),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "each node folds its own facts"
    )]
    fn fold_proxy(&mut self, name: &Name, fact: &Fact) {
        let Some(proxy) = self.proxies.iter_mut().find(|p| p.name == *name) else {
            return;
        };
        match &fact.kind {
            Kind::TunnelRegistered { .. } => proxy.tunnels += 1,
            Kind::TunnelRemoved { .. } => proxy.tunnels = proxy.tunnels.saturating_sub(1),
            Kind::Routed { .. } => proxy.routed += 1,
            Kind::NoTunnel { .. } => proxy.no_tunnel += 1,
            Kind::RequestEnded { status: 0, .. } => proxy.cut += 1,
            Kind::ConnRefused { .. } => proxy.refused += 1,
            kind => proxy.admin.fold(kind),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "each node folds its own facts"
    )]
    fn fold_agent(&mut self, name: &Name, fact: &Fact) {
        let Some(agent) = self.agents.iter_mut().find(|a| a.name == *name) else {
            return;
        };
        match &fact.kind {
            Kind::DoorUsed { .. } => self.count_use(&fact.kind),
            Kind::Claimed {
                dial,
                proxy,
                balancer,
                gap,
                ..
            } => {
                let rose = balancer.as_ref().and_then(|door| {
                    let door = self.balancers.iter().find(|b| b.name == *door)?;
                    let backend = door.backends.iter().find(|b| b.proxy == *proxy)?;
                    (backend.health == Health::Up).then_some(backend.since)
                });
                let Some(tunnel) = agent.tunnels.iter_mut().find(|t| t.proxy == *proxy) else {
                    return;
                };
                // The rise matters only when it came after the loss.
                let lost = tunnel.since.filter(|_| tunnel.made > 0);
                tunnel.after_rise = rose
                    .filter(|rose| lost.is_some_and(|at| at < *rose))
                    .map(|r| fact.at.since(r));
                if !tunnel.up {
                    self.mesh.now += 1;
                }
                tunnel.up = true;
                tunnel.dial = Some(*dial);
                tunnel.since = Some(fact.at);
                tunnel.balancer.clone_from(balancer);
                tunnel.made += 1;
                tunnel.gap = *gap;
            }
            Kind::TunnelLost { dial, proxy, .. } => {
                let Some(tunnel) = agent.tunnels.iter_mut().find(|t| t.proxy == *proxy) else {
                    return;
                };
                // A tunnel that drained may end after its replacement stands.
                if tunnel.dial != Some(*dial) {
                    return;
                }
                if tunnel.up {
                    self.mesh.now -= 1;
                }
                tunnel.up = false;
                tunnel.since = Some(fact.at);
            }
            Kind::DialFailed { stage, error, .. } => {
                *agent.failures.entry(*stage).or_default() += 1;
                agent.last_error = Some(format!("{stage}: {error}"));
            }
            Kind::StreamCut { .. } => agent.cut += 1,
            kind => agent.admin.fold(kind),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "each node folds its own facts"
    )]
    fn fold_user(&mut self, name: &Name, fact: &Fact) {
        let Some(user) = self.users.iter_mut().find(|u| u.name == *name) else {
            return;
        };
        match &fact.kind {
            Kind::DoorUsed { .. } => self.count_use(&fact.kind),
            Kind::VisitAnswered(answered) => {
                user.answered += 1;
                if let Some(door) = &answered.balancer {
                    *user.doors.entry(door.clone()).or_default() += 1;
                }
                user.last = Some(VisitAnswered::clone(answered));
            }
            Kind::VisitFailed { reason, error, .. } => {
                *user.failures.entry(*reason).or_default() += 1;
                user.last_error = Some(format!("{reason}: {error}"));
            }
            kind => user.admin.fold(kind),
        }
    }

    fn count_use(&mut self, kind: &Kind) {
        let Kind::DoorUsed {
            purpose,
            balancer: Some(name),
            network,
            ..
        } = kind
        else {
            return;
        };
        if let Some(door) = self.balancers.iter_mut().find(|b| b.name == *name) {
            *door.uses.entry((*purpose, network.clone())).or_default() += 1;
        }
    }
}

impl BalancerState {
    fn backend(&mut self, proxy: &Name) -> Option<&mut BackendState> {
        self.backends
            .iter_mut()
            .find(|backend| backend.proxy == *proxy)
    }
}

impl Admin {
    /// Gives the one word that faces show.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Drained => "drained",
            Self::Stopped => "stopped",
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other facts say nothing of it"
    )]
    fn fold(&mut self, kind: &Kind) {
        match kind {
            Kind::Operated { act: Act::Drain } => *self = Self::Draining,
            Kind::Operated { act: Act::Start } => *self = Self::Ready,
            Kind::Operated { act: Act::Stop } => *self = Self::Stopped,
            Kind::Drained => *self = Self::Drained,
            _ => {}
        }
    }
}

fn networks(topology: &Topology) -> Vec<NetworkState> {
    let views = &topology.dns.views;
    topology
        .networks
        .iter()
        .map(|network| {
            let first = network.ranges.first().map(ipnet::IpNet::addr);
            let view = first.and_then(|address| {
                views
                    .iter()
                    .find(|view| matches!(judge(&view.match_clients, address), Verdict::Allowed(_)))
            });
            NetworkState {
                name: network.name.clone(),
                ranges: network.ranges.iter().map(ToString::to_string).collect(),
                view: view.map(|view| view.name.clone()),
            }
        })
        .collect()
}

fn network_key(network: Option<&Name>) -> Name {
    network.cloned().unwrap_or_else(|| Name::from(""))
}
