//! The shapes of a scenario file.
//!
//! They are made from what the schema checker left as sound, so everything is optional here: what
//! is required and missing, or wrong, has been reported and is `None`. Texts are read by `resolve`.
//! A test holds these shapes and `schema.json` to the same keys.

use std::collections::BTreeMap;

use serde::Deserialize;

mod run;

pub use run::{Do, Expect, Metric, Part, Reason, Rule, Step};

/// A list, the unsound entries of which are `None`.
pub type List<T> = Option<Vec<Option<T>>>;

/// Ranges by the name of their network.
pub type Networks = BTreeMap<String, List<String>>;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name.
    pub name: Option<String>,
    /// The seed of every draw.
    pub seed: Option<u64>,
    /// Ranges by the name of their network.
    pub networks: Option<Networks>,
    /// The DNS server.
    pub dns: Option<Dns>,
    /// The pool.
    pub pool: Option<Pool>,
    /// The doors.
    pub balancers: List<Balancer>,
    /// The agents.
    pub agents: List<Agent>,
    /// The users.
    pub users: List<User>,
    /// Resolvers with a cache.
    pub resolvers: List<CachingResolver>,
    /// A duration.
    pub duration: Option<String>,
    /// Figures of the simulation.
    pub model: Option<Model>,
    /// What happens.
    pub timeline: List<Step>,
    /// What is expected.
    pub expect: List<Expect>,
}

/// `dns`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dns {
    /// Addresses with ports.
    pub listen: Option<Listen>,
    /// A word.
    pub mode: Option<Mode>,
    /// As `dns.nsid`.
    pub nsid: Option<String>,
    /// As `dns.version`.
    pub version: Option<String>,
    /// As `dns.cookies`.
    pub cookies: Option<Cookies>,
    /// Elements by the name of their match list.
    pub lists: Option<BTreeMap<String, List<String>>>,
    /// The client-subnet option.
    pub ecs: Option<Trusted>,
    /// The PROXY header.
    pub proxy: Option<Trusted>,
    /// A share.
    pub reload_limit: Option<String>,
    /// The views.
    pub views: List<View>,
}

/// `dns.listen`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Listen {
    /// An address and a port.
    One(String),
    /// Several.
    Several(Vec<Option<String>>),
}

/// `dns.cookies`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cookies {
    /// Ignored.
    Off,
    /// Given to who sends one.
    Offered,
    /// Demanded of who sends one over UDP.
    Required,
}

/// `dns.mode`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// `first_match`.
    FirstMatch,
    /// `longest_prefix`.
    LongestPrefix,
}

/// `dns.ecs` and `dns.proxy`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trusted {
    /// Networks in CIDR form.
    pub trusted: List<String>,
}

/// `dns.views[]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// Its name.
    pub name: Option<String>,
    /// Elements of a match list.
    #[serde(rename = "match")]
    pub match_clients: List<String>,
    /// Elements of a match list.
    pub destinations: List<String>,
    /// Its zones.
    pub zones: List<Zone>,
    /// Who answers for other names.
    pub forward: Option<Forward>,
}

/// `dns.views[].forward`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forward {
    /// Elements of a match list.
    pub allow: List<String>,
    /// Addresses, with or without a port.
    pub servers: List<String>,
}

/// `dns.views[].zones[]`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Zone {
    /// A path; the origin is the file's name.
    Path(String),
    /// Both.
    Named(NamedZone),
}

/// A zone whose origin is written out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedZone {
    /// The origin.
    pub origin: Option<String>,
    /// The master file.
    pub file: Option<String>,
    /// A word.
    pub miss: Option<Miss>,
}

/// `dns.views[].zones[].miss`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Miss {
    /// `nxdomain`.
    Nxdomain,
    /// `public`.
    Public,
    /// `refuse`.
    Refuse,
}

/// `pool`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Its name.
    pub name: Option<String>,
    /// How many instances.
    pub size: Option<usize>,
    /// A network in CIDR form.
    pub addresses: Option<String>,
    /// A path.
    pub teleport: Option<String>,
}

/// `balancers[]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Balancer {
    /// Its name.
    pub name: Option<String>,
    /// Addresses with ports.
    pub listen: List<String>,
    /// Elements of a match list.
    pub allow: List<String>,
    /// A word.
    pub algorithm: Option<Algorithm>,
    /// How it watches the pool.
    pub check: Option<Check>,
    /// A word.
    #[serde(rename = "for")]
    pub meant_for: Option<Role>,
    /// A duration.
    pub timeout_connect: Option<String>,
    /// Further candidates.
    pub retries: Option<u32>,
    /// A word.
    pub send_proxy: Option<SendProxy>,
}

/// `balancers[].send_proxy`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SendProxy {
    /// No header.
    None,
    /// Version 1.
    V1,
    /// Version 2.
    V2,
}

/// `balancers[].algorithm`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// Fewest open connections.
    LeastConnections,
    /// Each in turn.
    RoundRobin,
}

/// `balancers[].for`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Agents.
    Agents,
    /// Users.
    Users,
}

/// `balancers[].check`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// A duration.
    pub interval: Option<String>,
    /// A duration.
    pub timeout: Option<String>,
    /// Passed checks in a row.
    pub rise: Option<u32>,
    /// Failed checks in a row.
    pub fall: Option<u32>,
}

/// `agents[]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// Its name; of a fleet what its members' names begin with.
    pub name: Option<String>,
    /// How many members a fleet has.
    pub count: Option<usize>,
    /// The name of a network.
    pub network: Option<String>,
    /// An address.
    pub address: Option<String>,
    /// The name of a resolver.
    pub resolver: Option<String>,
    /// A path.
    pub teleport: Option<String>,
    /// A path.
    pub helm: Option<String>,
    /// A path.
    pub environment: Option<String>,
    /// A duration.
    pub find_cache: Option<String>,
    /// How it waits.
    pub backoff: Option<Backoff>,
    /// A word.
    pub login: Option<Login>,
    /// Hosts with ports by the name of their app.
    pub apps: Option<BTreeMap<String, Option<String>>>,
    /// Hosts with ports by the name of their database.
    pub databases: Option<BTreeMap<String, Option<String>>>,
}

/// `agents[].backoff`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backoff {
    /// A word.
    pub kind: Option<BackoffKind>,
    /// A duration.
    pub wait: Option<String>,
    /// A duration.
    pub first: Option<String>,
    /// A duration.
    pub cap: Option<String>,
}

/// `agents[].backoff.kind`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum BackoffKind {
    /// As Teleport does.
    Teleport,
    /// Always the same.
    Fixed,
    /// Drawn from zero up.
    FullJitter,
    /// Drawn from the upper half, then cut.
    JitterBeforeCap,
}

/// `agents[].login`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Login {
    /// Apps ask for a session.
    Session,
    /// Apps are open.
    None,
}

/// `users[]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Their name; of a fleet what its members' names begin with.
    pub name: Option<String>,
    /// How many members a fleet has.
    pub count: Option<usize>,
    /// The name of a network.
    pub network: Option<String>,
    /// An address.
    pub address: Option<String>,
    /// The name of a resolver.
    pub resolver: Option<String>,
    /// What `tsh --proxy` takes.
    pub proxy: Option<String>,
    /// Names of apps.
    pub visits: List<String>,
    /// A duration.
    pub every: Option<String>,
    /// `mesh` or a duration.
    pub start: Option<String>,
}

/// `resolvers[]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CachingResolver {
    /// Its name.
    pub name: Option<String>,
    /// An address and a port.
    pub listen: Option<String>,
    /// An agent or a user.
    pub on: Option<String>,
}

/// `model`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// A duration.
    pub latency: Option<String>,
    /// What handshakes cost.
    pub handshake: Option<Handshake>,
}

/// `model.handshake`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handshake {
    /// How many at once.
    pub servers: Option<u32>,
    /// A duration.
    pub tls: Option<String>,
    /// A duration.
    pub ssh: Option<String>,
}
