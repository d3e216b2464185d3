//! A whole lab, live: built from a scenario, started, operated, reloaded and stopped.
//!
//! In goes a loaded scenario; out come bound addresses, a journal, and the acts of an operator.
//! Listeners are bound before anything starts, so a lab is whole or it is not there.

pub mod access;
pub mod client;
pub mod conduct;
pub mod dns;
pub mod found;
pub mod lead;
pub mod limits;
pub mod load;
pub mod parity;
pub mod record;
pub mod report;
pub mod stage;
pub mod trial;
pub mod whatif;

mod build;
mod reload;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use hickory_proto::op::OpCode;
use hickory_proto::rr::{DNSClass, RecordType};
use thiserror::Error;

use crate::journal::Journal;
use crate::live::agent::Agent;
use crate::live::authority::{Authority, AuthorityError, StandIn, UserCertificate};
use crate::live::balancer::Balancer;
use crate::live::proxy::Proxy;
use crate::live::resolver::Resolver;
use crate::live::runner::{Shared, Tap};
use crate::live::tasks::Tasks;
use crate::live::tls;
use crate::live::user::User;
use crate::model::addr::{ClientAddr, ListenAddr};
use crate::model::fact::{Act, Kind};
use crate::model::id::{Name, Node};
use crate::model::mistake::Files;
use crate::model::places::Places;
use crate::model::teleport::DatabaseRoute;
use crate::model::topology::Topology;
use crate::policy::answer::{self, Question, Rules, Transport};
use crate::policy::faults::Faults;
use crate::policy::{principals, zone};

use self::load::Loaded;
use self::stage::Listed;

pub use self::reload::{Preview, Reloaded};

/// What a lab is started from.
pub struct Options {
    /// The scenario, as it was named.
    pub path: PathBuf,
    /// Where its files are.
    pub files: Arc<dyn Files + Send + Sync>,
    /// The scenario and its zones, loaded.
    pub loaded: Loaded,
    /// Where DNS listens instead of where the scenario says.
    pub dns: Option<SocketAddr>,
    /// Who sees each call of each machine.
    pub tap: Option<Arc<dyn Tap>>,
}

impl Options {
    /// Tells of its scenario; `embedded` tells whether it is one of the binary.
    pub fn listed(&self, embedded: bool) -> Listed {
        Listed::of((&self.path, embedded), &*self.files, Ok(&self.loaded))
    }
}

/// A running lab.
pub struct Lab {
    shared: Shared,
    dns: SocketAddr,
    dns_all: Vec<SocketAddr>,
    rules: Arc<ArcSwap<Rules>>,
    path: PathBuf,
    files: Arc<dyn Files + Send + Sync>,
    ca_pem: String,
    authority: Authority,
    /// What every proxy shows.
    web: tls::Server,
    known_hosts: String,
    stand_in: StandIn,
    proxies: Vec<Proxy>,
    balancers: Vec<Balancer>,
    agents: Vec<Agent>,
    users: Vec<User>,
    resolvers: Vec<Resolver>,
    tasks: Tasks,
    /// Whether the seed was given beside the scenario, which a reload reads again.
    seed_given: bool,
    /// Where each key of the scenario and of its Teleport files stood at the start.
    places: Arc<Places>,
    started_unix_us: u64,
    /// One reload at a time.
    reloading: Mutex<()>,
}

/// Why a lab did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// An address could not be bound.
    #[error("{what} cannot listen on {address}: {error}; {cure}")]
    Bind {
        /// The node.
        what: Node,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
        /// What helps.
        cure: String,
    },
    /// Something else of the system.
    #[error("{what}: {error}")]
    System {
        /// What was attempted.
        what: &'static str,
        /// In words.
        error: String,
    },
}

/// Why an operator's act was not done.
#[derive(Debug, Error)]
pub enum OperateError {
    /// The lab has no such node.
    #[error("the lab has no node {0}")]
    Unknown(Node),
    /// The system did not let it.
    #[error("{0}")]
    Failed(String),
}

impl Lab {
    /// Binds every listener and starts every node.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        build::start(options).await
    }

    /// Gives the facts of this lab.
    pub fn journal(&self) -> &Journal {
        &self.shared.journal
    }

    /// Gives what this lab is made of.
    pub fn topology(&self) -> &Arc<Topology> {
        &self.shared.topology
    }

    /// Gives where DNS listens.
    pub fn dns(&self) -> SocketAddr {
        self.dns
    }

    /// Gives where each key of its files stood at the start.
    pub fn places(&self) -> &Arc<Places> {
        &self.places
    }

    /// Gives when it started, in microseconds since 1970.
    pub fn started_unix_us(&self) -> u64 {
        self.started_unix_us
    }

    /// Gives the rules in force, for somebody who looks at them again and again.
    pub fn shared_rules(&self) -> &Arc<ArcSwap<Rules>> {
        &self.rules
    }

    /// Gives every place where DNS listens, in the order of the file.
    pub fn dns_all(&self) -> &[SocketAddr] {
        &self.dns_all
    }

    /// Gives the rules in force.
    pub fn rules(&self) -> Arc<Rules> {
        self.rules.load_full()
    }

    /// Issues a certificate of a user, for a database when there is a route.
    pub fn issue_user(
        &self,
        route: Option<&DatabaseRoute>,
        user: &str,
        lifetime: Duration,
    ) -> Result<UserCertificate, AuthorityError> {
        let now = self.shared.clock.unix_seconds();
        self.authority.issue_user(route, user, now, lifetime)
    }

    /// Gives the web authority's certificate.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Gives the line that makes OpenSSH believe the pool's host certificates.
    pub fn known_hosts(&self) -> &str {
        &self.known_hosts
    }

    /// Gives what plain `ssh` needs to be an agent's stand-in.
    pub fn stand_in(&self) -> &StandIn {
        &self.stand_in
    }

    /// Gives the first address that a client with this address gets for a name, by the rules in
    /// force.
    pub fn resolve(&self, from: IpAddr, host: &str) -> Option<IpAddr> {
        let question = Question {
            source: ClientAddr(SocketAddr::new(from, 0)),
            destination: ListenAddr(self.dns),
            transport: Transport::Udp,
            opcode: OpCode::Query,
            count: 1,
            name: zone::read_name(host).ok()?,
            record_type: RecordType::A,
            class: DNSClass::IN,
            recursion_desired: false,
            edns: None,
        };
        let rules = self.rules.load();
        let answer = answer::decide(&rules, &question);
        answer.records().find_map(|shown| shown.address())
    }

    /// Gives each balancer's addresses.
    pub fn doors(&self) -> impl Iterator<Item = (&Name, &[ListenAddr])> {
        self.shared
            .topology
            .balancers
            .iter()
            .map(|door| (&door.name, &*door.listen))
    }

    /// Gives where each balancer is really bound: ports below 1024 may be moved.
    pub fn doors_bound(&self) -> impl Iterator<Item = (&Name, Vec<SocketAddr>)> {
        let bound = |listen: &ListenAddr| self.bound(listen.0);
        self.doors()
            .map(move |(name, listen)| (name, listen.iter().map(bound).collect()))
    }

    /// Gives where to connect to reach an address of the scenario.
    pub fn bound(&self, real: SocketAddr) -> SocketAddr {
        self.shared.ports.bound(real)
    }

    /// Gives where each resolver listens.
    pub fn resolvers(&self) -> impl Iterator<Item = (&Name, SocketAddr)> {
        let resolvers = self.shared.topology.resolvers.iter();
        let names = resolvers.map(|resolver| &resolver.name);
        names.zip(self.resolvers.iter().map(Resolver::address))
    }

    /// Does an operator's act on a node, to its end also when the caller goes away.
    pub async fn operate(self: &Arc<Self>, node: &Node, act: Act) -> Result<(), OperateError> {
        let (lab, own) = (Arc::clone(self), node.clone());
        let acting = async move { lab.operate_here(&own, act).await };
        let ended = self.tasks.spawn_watching(acting).await;
        ended.unwrap_or_else(|error| Err(OperateError::Failed(error.to_string())))
    }

    async fn operate_here(&self, node: &Node, act: Act) -> Result<(), OperateError> {
        let topology = &self.shared.topology;
        let unknown = || OperateError::Unknown(node.clone());
        let failed = |error: io::Error| OperateError::Failed(error.to_string());
        match node {
            Node::Agent(name) => {
                let index = topology.agents.iter().position(|agent| agent.name == *name);
                self.agents[index.ok_or_else(unknown)?].operate(act);
            }
            Node::Balancer(name) => {
                let index = topology
                    .balancers
                    .iter()
                    .position(|door| door.name == *name);
                let door = &self.balancers[index.ok_or_else(unknown)?];
                door.operate(act).await.map_err(failed)?;
            }
            Node::Proxy(name) => {
                let index = topology
                    .pool
                    .proxies
                    .iter()
                    .position(|proxy| proxy.name == *name);
                self.proxies[index.ok_or_else(unknown)?]
                    .operate(act)
                    .await
                    .map_err(failed)?;
            }
            Node::User(name) => {
                let index = topology.users.iter().position(|user| user.name == *name);
                self.users[index.ok_or_else(unknown)?].operate(act);
            }
            Node::Resolver(name) => {
                let resolver = self.resolver(name).ok_or_else(unknown)?;
                resolver.operate(act).await.map_err(failed)?;
            }
            Node::Dns | Node::Lab => {
                let why = format!("{node} runs as long as the lab");
                return Err(OperateError::Failed(why));
            }
        }
        Ok(())
    }

    /// Gives the faults in force.
    pub fn faults(&self) -> Arc<Faults> {
        self.shared.faults.current()
    }

    /// Puts these faults, and no others, in force. What was said of each is the caller's fact.
    pub fn set_faults(&self, faults: Faults) {
        self.set_dns_faults(&faults);
        self.shared.faults.set(faults);
    }

    /// Moves an agent or a user to another network, where it has this address.
    pub fn roam(&self, node: &Node, network: &Name, address: IpAddr) -> Result<(), OperateError> {
        let topology = &self.shared.topology;
        let unknown = || OperateError::Unknown(node.clone());
        let roamed = match node {
            Node::Agent(name) => {
                let index = topology.agents.iter().position(|agent| agent.name == *name);
                self.agents[index.ok_or_else(unknown)?].roam(network, address)
            }
            Node::User(name) => {
                let index = topology.users.iter().position(|user| user.name == *name);
                self.users[index.ok_or_else(unknown)?].roam(network, address)
            }
            Node::Balancer(_) | Node::Dns | Node::Lab | Node::Proxy(_) | Node::Resolver(_) => {
                let why = format!("{node} does not move: agents and users do");
                return Err(OperateError::Failed(why));
            }
        };
        roamed.map_err(|error| OperateError::Failed(error.to_string()))?;
        self.roam_resolvers(node, network, address);
        Ok(())
    }

    /// Has every proxy show a new web certificate for these names, from the next handshake on; the
    /// pool's own names when there are none.
    pub fn certificate(&self, names: &[Name]) -> Result<(), OperateError> {
        let mut texts: Vec<String> = names.iter().map(ToString::to_string).collect();
        if texts.is_empty() {
            texts = principals::web(
                &self.shared.topology.pool.teleport,
                &self.shared.topology.pool.name,
            );
        }
        let clock = self.shared.clock;
        let issued = self.authority.issue_web(&texts, clock.unix_seconds());
        let certificate = issued.map_err(|error| OperateError::Failed(error.to_string()))?;
        self.web.show(certificate);
        let names = texts.iter().map(|name| name.as_str().into()).collect();
        let changed = Kind::CertificateChanged { names };
        self.shared.journal.add(clock.now(), &Node::Lab, [changed]);
        Ok(())
    }

    /// Puts these faults, and no others, in force at the DNS server and the resolvers.
    pub fn set_dns_faults(&self, faults: &Faults) {
        self.rules
            .rcu(|rules| Arc::new(rules.with_faults(faults.clone())));
        let resolvers = self.shared.topology.resolvers.iter();
        for (config, resolver) in resolvers.zip(&self.resolvers) {
            resolver.floor(faults.ttl_floor(&config.name));
        }
    }

    /// Moves the resolvers that run on a node's machine: they ask from this address from now on.
    pub fn roam_resolvers(&self, node: &Node, network: &Name, address: IpAddr) {
        let resolvers = self.shared.topology.resolvers.iter();
        for (config, resolver) in resolvers.zip(&self.resolvers) {
            if config.on.as_ref() == Some(node) {
                resolver.roam(network.clone(), address);
            }
        }
    }

    /// Finds a resolver.
    fn resolver(&self, name: &str) -> Option<&Resolver> {
        let resolvers = self.shared.topology.resolvers.iter();
        let mut resolvers = resolvers.zip(&self.resolvers);
        let found = resolvers.find(|(config, _)| &*config.name == name);
        found.map(|(_, resolver)| resolver)
    }

    /// Stops every node and waits for the tasks to end.
    pub async fn stop(&self) {
        self.tasks.stop().await;
    }
}

impl fmt::Debug for Lab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lab")
            .field("name", &self.shared.topology.name)
            .finish_non_exhaustive()
    }
}
