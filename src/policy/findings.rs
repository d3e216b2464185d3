//! What an operator should know: each finding's rule, its text beside it in `findings/ID.md`.
//!
//! In goes a topology, with its rules where names shall lead somewhere, or a pair of Teleport's
//! files; out come findings, the gravest first. Nothing is run. What cannot be told from files
//! (which proxy a flow hash picks, how long a drain takes) is not told.

mod addresses;
mod balancing;
mod certificates;
mod listeners;
mod paths;
mod proxy_protocol;
mod scene;
#[cfg(test)]
mod tests;
mod told;

use crate::model::addr::HostPort;
use crate::model::fact::Kind;
use crate::model::finding::{Finding, Severity, Subject};
use crate::model::id::{Name, Node};
use crate::model::teleport::ProxyService;
use crate::model::topology::Topology;
use crate::policy::answer::Rules;

use self::scene::Scene;
use self::told::Told;

pub use self::balancing::{IN_VAIN, mesh_never_completes};

/// How many findings become facts when a lab starts.
pub const FACTS_MAX: usize = 50;

/// A kind of finding.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// Its identifier.
    pub id: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What it means, an example that triggers it, what to do about it, and where that is known
    /// from; Markdown.
    pub text: &'static str,
}

macro_rules! known {
    ($($id:literal $severity:ident,)*) => {
        &[$(Known {
            id: $id,
            severity: Severity::$severity,
            text: include_str!(concat!("findings/", $id, ".md")),
        }),*]
    };
}

/// Every kind of finding, by its identifier.
pub const KNOWN: &[Known] = known![
    "agent-through-user-door" Warning,
    "app-names-not-in-certificate" Warning,
    "backoff-in-step" Warning,
    "bootstrap-then-elsewhere" Warning,
    "certificate-elsewhere" Notice,
    "door-refuses" Error,
    "first-public-addr-unreachable" Warning,
    "mesh-never-completes" Warning,
    "name-without-address" Error,
    "no-door-there" Error,
    "no-tunnel-listener" Error,
    "not-a-principal" Error,
    "only-first-tunnel-public-addr" Warning,
    "peering-one-connection" Warning,
    "proxy-header-missing" Error,
    "proxy-header-refused" Error,
    "proxy-protocol-unset" Warning,
    "proxy-server-is-auth-port" Warning,
    "proxy-server-port" Warning,
    "public-addr-unused" Warning,
    "role-follows-network" Notice,
    "several-public-addrs" Notice,
    "tunnel-port-in-public-addr" Warning,
    "tunnel-public-addr-ignored" Warning,
    "underscore-in-name" Notice,
    "user-port-not-forwarded" Warning,
    "variable-unused" Notice,
    "variable-without-port" Error,
    "web-name-not-in-certificate" Error,
];

/// The pool's file and perhaps an agent's, without a scenario.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    /// What the pool's file says.
    pub service: &'a ProxyService,
    /// The agent, if there is one.
    pub agent: Option<PairAgent<'a>>,
}

/// An agent without a scenario.
#[derive(Clone, Copy, Debug)]
pub struct PairAgent<'a> {
    /// What to call it.
    pub name: &'a Name,
    /// `teleport.proxy_server`.
    pub proxy_server: &'a HostPort,
    /// `TELEPORT_TUNNEL_PUBLIC_ADDR`; absent when empty.
    pub tunnel_public_addr: Option<&'a str>,
}

/// Tells what there is to tell of a scenario; without rules nothing of where names lead.
pub fn all(topology: &Topology, rules: Option<&Rules>) -> Vec<Finding> {
    tell(&Scene::of(topology, rules))
}

/// Tells what there is to tell of a pair of files.
pub fn for_pair(pair: &Pair<'_>) -> Vec<Finding> {
    tell(&Scene::of_pair(pair.service, pair.agent))
}

fn tell(scene: &Scene<'_>) -> Vec<Finding> {
    let mut told = Told::default();
    addresses::tell(scene, &mut told);
    certificates::tell(scene, &mut told);
    proxy_protocol::tell(scene, &mut told);
    listeners::tell(scene, &mut told);
    paths::tell(scene, &mut told);
    balancing::tell(scene, &mut told);
    told.finish()
}

/// Gives the kind of finding with this identifier.
pub fn known(id: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.id == id)
}

/// Gives how much a kind of finding matters.
pub fn severity(id: &str) -> Option<Severity> {
    known(id).map(|known| known.severity)
}

/// Makes facts of errors and warnings, for a lab that starts. Notices are left to `check`, and what
/// follows from networks to the machines, which see it happen.
pub fn facts(findings: &[Finding]) -> Vec<(Node, Kind)> {
    let grave = findings.iter();
    let grave = grave.filter(|finding| finding.severity != Severity::Notice);
    let facts = grave.take(FACTS_MAX).map(|finding| {
        let node = match &finding.subject {
            Subject::Agent(name) => Node::Agent(name.clone()),
            Subject::Door(name) => Node::Balancer(name.clone()),
            Subject::User(name) => Node::User(name.clone()),
            Subject::Pool | Subject::Scenario => Node::Lab,
        };
        let detail = format!("{}; {}", finding.what, finding.cure);
        let id = finding.id;
        (node, Kind::Finding { id, detail })
    });
    facts.collect()
}

/// A node came in through the door that is meant for the other role.
pub fn role_follows_network(node: &Node, network: &str, balancer: &str) -> Kind {
    let (role, other) = match node {
        Node::User(_) => ("user", "agents"),
        Node::Agent(_)
        | Node::Balancer(_)
        | Node::Dns
        | Node::Lab
        | Node::Proxy(_)
        | Node::Resolver(_) => ("agent", "users"),
    };
    Kind::Finding {
        id: "role-follows-network",
        detail: format!(
            "{role} {} is in network {network}, so DNS sends it through balancer/{balancer}, \
             the door meant for {other}",
            node.name()
        ),
    }
}
