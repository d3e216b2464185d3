//! The guest list of a lab: every node and how they may meet, all names resolved and checked.
//!
//! Made by `scenario/resolve`; read by everything else. Vectors keep the order of the file.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;

use super::addr::{BackendAddr, HostPort, ListenAddr};
use super::draw::Seed;
use super::expect::Expectation;
use super::id::{Name, Node};
use super::network::{Element, Mode, Network};
use super::teleport::{Backoff, Port, ProxyService, SendProxy};
use super::time::Span;
use super::timeline::{Roam, Step, What};

/// Everything that a scenario says, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Topology {
    /// The scenario's name, for people and for the state folder.
    pub name: Name,
    /// The seed of every draw.
    pub seed: Seed,
    /// The named networks.
    pub networks: Vec<Network>,
    /// The DNS server.
    pub dns: Dns,
    /// The shared pool.
    pub pool: Pool,
    /// The doors.
    pub balancers: Vec<Balancer>,
    /// Who holds reverse tunnels.
    pub agents: Vec<Agent>,
    /// Who visits apps.
    pub users: Vec<User>,
    /// Resolvers with a cache, between clients and the DNS server.
    pub resolvers: Vec<Resolver>,
    /// What `run` and `sim` do to it.
    pub timeline: Vec<Step>,
    /// What they expect of it.
    pub expect: Vec<Expectation>,
    /// How long a run lasts after ready.
    pub duration: Span,
    /// What the simulation takes the network and the pool to be.
    pub model: Model,
}

/// A resolver with a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolver {
    /// Its name.
    pub name: Name,
    /// Where it listens, UDP and TCP; it asks the DNS server from this address.
    pub listen: SocketAddr,
    /// The agent or user on whose machine it runs, and with whom it roams: it asks from their
    /// address then.
    pub on: Option<Node>,
}

/// Figures of the simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model {
    /// From one end of a link to the other, one way. Default 100 us, a loopback or a rack.
    pub latency: Span,
    /// How many handshakes an instance works on at once. Default 2.
    pub servers: u32,
    /// What TLS costs an instance. Default 1 ms.
    pub tls: Span,
    /// What an SSH handshake costs an instance. Default 4 ms.
    pub ssh: Span,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            latency: Span::from_us(100),
            servers: 2,
            tls: Span::from_ms(1),
            ssh: Span::from_ms(4),
        }
    }
}

/// The DNS server and its views.
#[derive(Clone, Debug, PartialEq)]
pub struct Dns {
    /// Where it listens, UDP and TCP; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where else it listens, the same way.
    pub listen_also: Vec<SocketAddr>,
    /// How the views are chosen. Default first match.
    pub mode: Mode,
    /// Senders whose client-subnet option chooses the view (RFC 7871).
    pub ecs_trusted: Vec<IpNet>,
    /// Senders whose PROXY header names the real client.
    pub proxy_trusted: Vec<IpNet>,
    /// The name that the server gives to who asks for it (NSID, RFC 5001); empty for none.
    pub nsid: Name,
    /// What it says of its software in class CH (RFC 4892); nothing when absent.
    pub version: Option<Name>,
    /// Whether DNS cookies are given (RFC 7873).
    pub cookies: Cookies,
    /// How much of the address space of either family a reload may give other answers. Default all.
    pub reload_limit: Share,
    /// The views; which one answers, `mode` says.
    pub views: Vec<View>,
}

/// Whether DNS cookies are given (RFC 7873).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cookies {
    /// The option is ignored.
    Off,
    /// Who sends one gets one.
    #[default]
    Offered,
    /// Over UDP, who sends one must send the server's part too.
    Required,
}

impl Dns {
    /// The name of a server that was given none.
    pub const NSID: &str = "twodoors";

    /// Makes a server without views, all else being the default.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            nsid: Self::NSID.into(),
            version: None,
            cookies: Cookies::default(),
            listen_also: Vec::new(),
            mode: Mode::FirstMatch,
            ecs_trusted: Vec::new(),
            proxy_trusted: Vec::new(),
            reload_limit: Share::ALL,
            views: Vec::new(),
        }
    }

    /// Gives every place where it listens, the first one of the file first.
    pub fn listeners(&self) -> impl Iterator<Item = SocketAddr> {
        [self.listen]
            .into_iter()
            .chain(self.listen_also.iter().copied())
    }
}

/// A part of a whole, in millionths of a percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(pub u32);

impl Share {
    /// All of it.
    pub const ALL: Self = Self(100_000_000);
}

/// `25%`, `0.5%`.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1_000_000, self.0 % 1_000_000);
        if rest == 0 {
            return write!(f, "{whole}%");
        }
        let rest = format!("{rest:06}");
        write!(f, "{whole}.{}%", rest.trim_end_matches('0'))
    }
}

/// One view: who gets it, and which zones it serves.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Its name.
    pub name: Name,
    /// Who gets it.
    pub match_clients: Vec<Element>,
    /// At which addresses of the server; empty is at all. It is read by first match in every mode.
    pub match_destinations: Vec<Element>,
    /// Its zones.
    pub zones: Vec<ZoneSource>,
    /// Who answers for names that no zone of it holds; nobody when absent.
    pub forward: Option<Forward>,
}

/// Servers that are asked for names outside the zones of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Whose names: the address that a question comes from, never that of an option.
    pub allow: Vec<Element>,
    /// The servers, in the order in which they are tried; at least one.
    pub servers: Vec<SocketAddr>,
}

/// Where a zone's records are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneSource {
    /// The origin, lower case, with the final dot: `example.com.`.
    pub origin: String,
    /// The master file, as it can be opened or found in the scenario's set of files.
    pub file: PathBuf,
    /// What a name that the zone does not have gets. Default NXDOMAIN.
    pub miss: Miss,
}

/// What a client gets for a name that its view's zone does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Miss {
    /// NXDOMAIN, as Route 53 answers from a private zone.
    #[default]
    Nxdomain,
    /// What the public zone of the same origin says.
    Public,
    /// REFUSED.
    Refuse,
}

impl Miss {
    /// Gives the word of the scenario file.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Nxdomain => "nxdomain",
            Self::Public => "public",
            Self::Refuse => "refuse",
        }
    }
}

/// The pool of proxies behind both doors.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// Its name.
    pub name: Name,
    /// Its instances.
    pub proxies: Vec<Proxy>,
    /// What the pool's `teleport.yaml` says.
    pub teleport: ProxyService,
}

/// One instance of the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Its name within the pool: `1`, `2`, …
    pub name: Name,
    /// Its host id, a UUID drawn from the seed and the name.
    pub id: Name,
    /// Its web listener.
    pub listen: BackendAddr,
    /// Its further listeners, in the order of [`Port::ALL`].
    pub further: Vec<(Port, BackendAddr)>,
}

impl Proxy {
    /// Gives where a listener of it is, if it has that one.
    pub fn at(&self, port: Port) -> Option<BackendAddr> {
        if port == Port::Web {
            return Some(self.listen);
        }
        let mut further = self.further.iter();
        further
            .find(|(known, _)| *known == port)
            .map(|(_, address)| *address)
    }
}

/// A door: an L4 balancer in front of the pool.
#[derive(Clone, Debug, PartialEq)]
pub struct Balancer {
    /// Its name.
    pub name: Name,
    /// Where it listens.
    pub listen: Vec<ListenAddr>,
    /// Who may connect; empty lets everyone in.
    pub allow: Vec<Element>,
    /// How it chooses.
    pub algorithm: Algorithm,
    /// How it watches the pool.
    pub check: Check,
    /// Whom the operator means it for, where the scenario says so.
    pub meant_for: Option<Role>,
    /// How long a connect to a backend may take. Default 5 s.
    pub timeout_connect: Span,
    /// How many further candidates are tried after a failed connect. Default 3.
    pub retries: u32,
    /// What it says to the pool about its clients. Default version 2.
    pub send_proxy: SendProxy,
}

/// How a balancer chooses among the backends that are up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// The one with the fewest open connections; among equals, in turn.
    LeastConnections,
    /// Each in turn.
    RoundRobin,
}

/// An active TCP check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// From the start of a check to the start of the next. Default 2 s.
    pub interval: Span,
    /// How long one may take. Default 1 s.
    pub timeout: Span,
    /// How many must pass in a row before a backend counts as up. Default 2.
    pub rise: u32,
    /// How many must fail in a row before it counts as down. Default 3.
    pub fall: u32,
}

/// Agents or users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Those who hold reverse tunnels.
    Agents,
    /// Those who visit apps.
    Users,
}

/// An agent: dials out, holds reverse tunnels, serves apps through them.
#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    /// Its name.
    pub name: Name,
    /// Its host id, a UUID drawn from the seed and the name.
    pub id: Name,
    /// The network that it is in.
    pub network: Name,
    /// Its own address, the source of all that it sends.
    pub address: IpAddr,
    /// The resolver that it asks; the DNS server itself when absent.
    pub resolver: Option<Name>,
    /// `teleport.proxy_server`: whom it asks first.
    pub proxy_server: HostPort,
    /// `TELEPORT_TUNNEL_PUBLIC_ADDR` of its environment, as written; absent when empty.
    pub tunnel_public_addr: Option<Name>,
    /// How long it uses an answer to find again. Default 3 s.
    pub find_cache: Span,
    /// How it waits between attempts. Default Teleport's.
    pub backoff: Backoff,
    /// The apps that it serves.
    pub apps: Vec<App>,
    /// The databases that it serves.
    pub databases: Vec<Database>,
}

/// An HTTP app that an agent serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// Its name, the first label of its public host name.
    pub name: Name,
    /// Where it really is; `None` is the small built-in app.
    pub target: Option<HostPort>,
    /// Whether a request needs a session, as Teleport's do.
    pub login: bool,
}

/// A database that an agent serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Its name, `db_service.databases[].name`.
    pub name: Name,
    /// `protocol`: `postgres`.
    pub protocol: Name,
    /// Where it really is; without one the agent refuses, there is no built-in database.
    pub target: Option<HostPort>,
}

/// A user: resolves, goes through the door that the answer names, visits apps.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// Its name.
    pub name: Name,
    /// The network that it is in.
    pub network: Name,
    /// Its own address.
    pub address: IpAddr,
    /// The resolver that it asks; the DNS server itself when absent.
    pub resolver: Option<Name>,
    /// `tsh --proxy` as written: the user pings there first and is told the advertised name; a user
    /// without one has a browser, which opens the app's own name.
    pub proxy: Option<Name>,
    /// The apps that it visits, in turn.
    pub visits: Vec<Name>,
    /// From one visit to the next.
    pub every: Span,
    /// When it begins.
    pub start: Start,
}

/// When a user begins to visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// This long after the lab is ready.
    After(Span),
    /// When every agent has its tunnels to every proxy.
    Mesh,
}

impl Topology {
    /// Makes a topology in which there is nothing but a DNS server.
    pub fn of_dns(name: Name, networks: Vec<Network>, dns: Dns) -> Self {
        let nowhere = HostPort {
            host: "".into(),
            port: 0,
        };
        Self {
            name: name.clone(),
            seed: Seed(1),
            networks,
            dns,
            pool: Pool {
                name,
                proxies: Vec::new(),
                teleport: ProxyService::multiplexed(Vec::new(), nowhere),
            },
            balancers: Vec::new(),
            agents: Vec::new(),
            users: Vec::new(),
            resolvers: Vec::new(),
            timeline: Vec::new(),
            expect: Vec::new(),
            duration: Span::ZERO,
            model: Model::default(),
        }
    }

    /// Finds the balancer that listens on this address.
    pub fn balancer_at(&self, address: SocketAddr) -> Option<&Balancer> {
        self.balancers
            .iter()
            .find(|b| b.listen.contains(&ListenAddr(address)))
    }

    /// Finds the network that holds this address; the first of the file wins.
    pub fn network_of(&self, address: IpAddr) -> Option<&Network> {
        self.networks
            .iter()
            .find(|network| network.contains(address))
    }

    /// Finds the agent or user who has this address, or gets it by roaming; else the resolver that
    /// asks from it.
    pub fn client_at(&self, address: IpAddr) -> Option<Node> {
        let address = address.to_canonical();
        let agents = self.agents.iter().filter(|agent| agent.address == address);
        let agents = agents.map(|agent| Node::Agent(agent.name.clone()));
        let users = self.users.iter().filter(|user| user.address == address);
        let users = users.map(|user| Node::User(user.name.clone()));
        let who = agents.chain(users).next().or_else(|| {
            let mut roams = self.roams().into_iter();
            let roam = roams.find(|roam| roam.address == address)?;
            Some(roam.node.clone())
        });
        who.or_else(|| {
            let mut resolvers = self.resolvers.iter();
            let resolver = resolvers.find(|resolver| {
                resolver.on.is_none() && resolver.listen.ip().to_canonical() == address
            })?;
            Some(Node::Resolver(resolver.name.clone()))
        })
    }

    /// Gives every move of the timeline.
    pub fn roams(&self) -> Vec<&Roam> {
        fn collect<'a>(steps: &'a [Step], roams: &mut Vec<&'a Roam>) {
            for step in steps {
                match &step.what {
                    What::Roam(roam) => roams.push(roam),
                    What::Parallel(steps) => collect(steps, roams),
                    What::Act { .. }
                    | What::Certificate { .. }
                    | What::Fault(_)
                    | What::Record(_)
                    | What::Reload
                    | What::Wait => {}
                }
            }
        }
        let mut roams = Vec::new();
        collect(&self.timeline, &mut roams);
        roams
    }

    /// Finds a resolver.
    pub fn resolver(&self, name: &str) -> Option<&Resolver> {
        self.resolvers
            .iter()
            .find(|resolver| &*resolver.name == name)
    }

    /// Gives the address that a resolver asks the DNS server from, before anybody roams.
    pub fn resolver_address(&self, resolver: &Resolver) -> IpAddr {
        let on = resolver.on.as_ref();
        let agent = self.agents.iter().find(|agent| {
            on.is_some_and(|on| matches!(on, Node::Agent(name) if *name == agent.name))
        });
        let user = self
            .users
            .iter()
            .find(|user| on.is_some_and(|on| matches!(on, Node::User(name) if *name == user.name)));
        let agent = agent.map(|agent| agent.address);
        let on = agent.or_else(|| user.map(|user| user.address));
        on.unwrap_or_else(|| resolver.listen.ip())
    }

    /// Gives the name of the proxy with this host id; the id itself when it is not of the pool.
    pub fn proxy_name(&self, id: &Name) -> Name {
        let proxy = self.pool.proxies.iter().find(|proxy| proxy.id == *id);
        proxy.map_or_else(|| id.clone(), |proxy| proxy.name.clone())
    }

    /// Gives the name of the cluster: `auth_service.cluster_name`, else the scenario's own.
    pub fn cluster(&self) -> &str {
        self.pool.teleport.cluster.as_ref().unwrap_or(&self.name)
    }

    /// Gives the host name of an app: its name under the first public address.
    pub fn app_host(&self, app: &str) -> Option<String> {
        self.pool
            .teleport
            .public
            .first()
            .map(|public| format!("{app}.{}", public.host).to_ascii_lowercase())
    }

    /// Counts the tunnels of a full mesh: every agent to every proxy.
    pub fn mesh_size(&self) -> usize {
        self.agents.len() * self.pool.proxies.len()
    }
}
