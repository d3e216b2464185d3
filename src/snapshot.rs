//! The state of a lab now: a fold over its facts, and nothing else.
//!
//! The page, the metrics, `status` and the expectations read this; none of them counts by itself.

mod begin;
pub mod condition;
mod fold;
pub mod history;
pub mod journey;
pub mod measure;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::model::addr::{BackendAddr, ListenAddr};
use crate::model::fact::{
    Cause, DnsAnswered, DnsTraffic, Failure, Health, Purpose, Stage, VisitAnswered,
};
use crate::model::fault::Fault;
use crate::model::id::{DialId, FaultId, Generation, Name, Node, RequestId, Seq};
use crate::model::time::{Span, Time};
use crate::model::topology::Role;

use self::measure::{CheckState, Connecting, Connects, Minute, Spans};

/// How many of the latest DNS answers are kept for the page.
pub const QUERIES_MAX: usize = 50;

/// How many requests of an instance are known to be in progress.
pub const REQUESTS_MAX: usize = 10_000;

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
    /// When the run began, and when it is over at the latest.
    pub run: Option<(Time, Time)>,
    /// The steps of the timeline.
    pub steps: Vec<StepState>,
    /// When and why the run ended.
    pub ended: Option<(Time, &'static str)>,
    /// The generation of the rules in force.
    pub generation: Generation,
    /// Mistakes of the last reload, when it was refused; empty after one that took.
    pub reload_mistakes: Vec<String>,
    /// When rules were last put in force by a reload.
    pub reloaded: Option<Time>,
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
    /// The places of the agents in the order of their names.
    agents_by_name: Arc<[u32]>,
    /// The users.
    pub users: Vec<UserState>,
    /// The resolvers, in the order of the file.
    pub resolvers: Vec<ResolverState>,
    /// What an operator should know, oldest first.
    pub findings: Vec<Finding>,
    /// The faults in force, oldest first.
    pub faults: Vec<FaultState>,
}

/// A step of the timeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepState {
    /// When it began last.
    pub began: Option<Time>,
    /// When it ended for good.
    pub ended: Option<Time>,
}

/// A named network and what the topology says of it.
#[derive(Clone, Debug)]
pub struct NetworkState {
    /// Its name.
    pub name: Name,
    /// Its ranges.
    pub ranges: Vec<IpNet>,
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
    /// How messages came and went.
    pub traffic: DnsTraffic,
    /// Questions that were passed on to other servers, by view and result.
    pub forwarded: BTreeMap<(Name, &'static str), Forwarded>,
    /// The latest answers of the sample, oldest first.
    pub queries: VecDeque<Query>,
    /// Answers a second.
    pub rate: Minute,
}

/// Questions that were passed on and came to the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// How many.
    pub count: u64,
    /// How long their askers waited, all together.
    pub waited: Span,
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
    /// Flows let in a second.
    pub flows: Minute,
    /// Clients refused and flows that broke a second.
    pub failures: Minute,
    /// How long visits through this door took.
    pub latency: Spans,
    connecting: Connecting,
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
    /// Bytes from clients, of flows that ended.
    pub bytes_up: u64,
    /// Bytes to clients, of flows that ended.
    pub bytes_down: u64,
    /// Flows connected a second.
    pub rate: Minute,
    /// From a client's arrival to the connection with this instance, of the last ones.
    pub connects: Connects,
    /// The last checks, oldest first.
    pub checks: VecDeque<CheckState>,
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
    /// Requests refused because no tunnel of that agent ends here, or it was going or gone.
    pub no_tunnel: u64,
    /// Requests whose answer was cut: by a stop, a broken tunnel or a user who left.
    pub cut: u64,
    /// Connections that did not get to a service.
    pub refused: u64,
    requests: BTreeSet<RequestId>,
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
    /// The same, by kind of failure.
    pub causes: BTreeMap<Cause, u64>,
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
    /// The name that was verified in the proxy's host certificate.
    pub verified: Option<Name>,
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

/// A resolver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolverState {
    /// Its name.
    pub name: Name,
    /// What the operator wants of it.
    pub admin: Admin,
    /// Answers from its cache.
    pub hits: u64,
    /// Answers for which the DNS server was asked.
    pub misses: u64,
}

/// A fault in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultState {
    /// Its number.
    pub id: FaultId,
    /// What it is.
    pub what: Fault,
    /// When it was set.
    pub since: Time,
    /// When it ends by itself.
    pub until: Option<Time>,
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

impl ProxyState {
    /// Gives how many requests are being answered.
    pub fn active(&self) -> usize {
        self.requests.len()
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
}

#[cfg(test)]
mod tests;
