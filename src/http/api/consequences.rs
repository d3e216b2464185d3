//! What an operator's act breaks, said before it is done: by the state, and for several nodes at once.

use std::collections::BTreeSet;

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::fact::Act;
use crate::model::id::{Name, Node};
use crate::snapshot::history::Severity;
use crate::snapshot::{Admin, BalancerState, Snapshot};

/// How many nodes one question names at most.
pub const NODES_MAX: usize = 100;

/// How many names a sentence lists.
const NAMES_MAX: usize = 5;

/// The answer to `GET /api/consequences`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Consequences {
    /// The nodes.
    pub node: Vec<String>,
    /// The act.
    pub act: &'static str,
    /// What happens, the gravest first.
    pub sentences: Vec<String>,
    /// `ok`, `notice` or `bad`.
    pub severity: &'static str,
}

impl Consequences {
    /// Says what an act on these nodes brings.
    pub fn new(state: &Snapshot, nodes: &[Node], act: Act) -> Self {
        let mut told = Vec::new();
        if act == Act::Start {
            told.extend(nodes.iter().map(|node| begins(state, node)));
        } else {
            told.extend(pool(state, nodes, act));
            for node in nodes {
                told.extend(match node {
                    Node::Balancer(name) => door(state, name, nodes, act),
                    Node::Agent(name) => agent(state, name, act),
                    Node::User(name) => vec![(
                        Severity::Notice,
                        format!("user/{name} visits nothing until it is started again"),
                    )],
                    Node::Resolver(name) => vec![(
                        Severity::Bad,
                        format!(
                            "whoever asks resolver/{name} gets no answer, and no name resolves"
                        ),
                    )],
                    Node::Proxy(_) | Node::Dns | Node::Lab => Vec::new(),
                });
            }
        }
        told.sort_by_key(|(severity, _)| std::cmp::Reverse(*severity));
        let worst = told.iter().map(|(severity, _)| *severity).max();
        Self {
            node: nodes.iter().map(ToString::to_string).collect(),
            act: act.word(),
            sentences: told.into_iter().map(|(_, sentence)| sentence).collect(),
            severity: worst.unwrap_or(Severity::Fine).word(),
        }
    }
}

type Told = (Severity, String);

/// Says what becomes of the pool without these of its instances.
fn pool(state: &Snapshot, nodes: &[Node], act: Act) -> Vec<Told> {
    let named = |name: &Name| nodes.contains(&Node::Proxy(name.clone()));
    let gone: Vec<&Name> = state
        .proxies
        .iter()
        .filter(|proxy| named(&proxy.name) && proxy.admin != Admin::Stopped)
        .map(|proxy| &proxy.name)
        .collect();
    if gone.is_empty() {
        return Vec::new();
    }
    let mut told = Vec::new();
    let mut holders = BTreeSet::new();
    let (mut tunnels, mut alone) = (0, Vec::new());
    for agent in &state.agents {
        let up = agent.tunnels.iter().filter(|tunnel| tunnel.up);
        let (ends, stays): (Vec<_>, Vec<_>) = up.partition(|tunnel| gone.contains(&&tunnel.proxy));
        if ends.is_empty() {
            continue;
        }
        tunnels += ends.len();
        holders.insert(agent.name.clone());
        if stays.is_empty() {
            alone.push(agent.name.clone());
        }
    }
    let who = list(holders.iter());
    let dial = if holders.len() == 1 {
        "it dials"
    } else {
        "they dial"
    };
    if tunnels > 0 {
        let sentence = match act {
            Act::Drain => format!(
                "{} of {who} {} given up once {dial} another; nothing is cut at once",
                count(tunnels, "tunnel"),
                are(tunnels)
            ),
            Act::Kill | Act::Start | Act::Stop => {
                format!(
                    "{} of {who} {}; {dial} again",
                    count(tunnels, "tunnel"),
                    end(tunnels)
                )
            }
        };
        told.push((Severity::Notice, sentence));
    }
    if !alone.is_empty() && act != Act::Drain {
        told.push((
            Severity::Bad,
            format!("{} no tunnel left until a new one stands", has(&alone)),
        ));
    }
    let active: usize = state
        .proxies
        .iter()
        .filter(|proxy| gone.contains(&&proxy.name))
        .map(|proxy| proxy.active())
        .sum();
    if active > 0 {
        told.push(match act {
            Act::Drain => (
                Severity::Fine,
                format!(
                    "{} {} finished first",
                    count(active, "open request"),
                    are(active)
                ),
            ),
            Act::Kill | Act::Start | Act::Stop => (
                Severity::Bad,
                format!("{} {} cut", count(active, "open request"), are(active)),
            ),
        });
    }
    for door in &state.balancers {
        told.extend(left(door, &gone, act));
    }
    told
}

/// Says which instances a door has left.
fn left(door: &BalancerState, gone: &[&Name], act: Act) -> Option<Told> {
    let up: Vec<&Name> = door
        .backends
        .iter()
        .filter(|backend| backend.health.usable())
        .map(|backend| &backend.proxy)
        .collect();
    let lost = up.iter().filter(|name| gone.contains(name)).count();
    if lost == 0 {
        return None;
    }
    let stay: Vec<&Name> = up.into_iter().filter(|name| !gone.contains(name)).collect();
    let name = &door.name;
    Some(match (&stay[..], act) {
        ([], _) => (
            Severity::Bad,
            format!("balancer/{name} has no instance left: nobody gets through it"),
        ),
        ([one], _) => (
            Severity::Notice,
            format!("balancer/{name} has one instance left: proxy/{one}"),
        ),
        (more, _) => (
            Severity::Fine,
            format!("balancer/{name} has {} instances left", more.len()),
        ),
    })
}

/// Says what becomes of those who come through a door.
fn door(state: &Snapshot, name: &Name, nodes: &[Node], act: Act) -> Vec<Told> {
    let found = state.balancers.iter().find(|door| door.name == *name);
    let Some(door) = found.filter(|door| door.admin != Admin::Stopped) else {
        return vec![(
            Severity::Fine,
            format!("balancer/{name} is stopped already"),
        )];
    };
    let mut told = Vec::new();
    let through = |name: &Name| {
        let agents = state.agents.iter();
        let name = name.clone();
        agents.filter(move |agent| {
            let mut tunnels = agent.tunnels.iter();
            tunnels.any(|tunnel| tunnel.up && tunnel.balancer.as_ref() == Some(&name))
        })
    };
    let agents: Vec<&Name> = through(name).map(|agent| &agent.name).collect();
    let open = usize::try_from(door.open).unwrap_or(usize::MAX);
    match act {
        Act::Drain => told.push((
            Severity::Notice,
            format!(
                "balancer/{name} takes nobody new; {} {} on until closed by {} client",
                count(open, "open flow"),
                if open == 1 { "goes" } else { "go" },
                if open == 1 { "its" } else { "their" },
            ),
        )),
        Act::Kill | Act::Start | Act::Stop => {
            if open > 0 {
                let how = if act == Act::Kill { "reset" } else { "closed" };
                let sentence = format!("{} {} {how}", count(open, "open flow"), are(open));
                told.push((Severity::Bad, sentence));
            }
            if !agents.is_empty() {
                let who = list(agents.iter().copied());
                let sentence = format!("the tunnels of {who} end, because they go through it");
                told.push((Severity::Bad, sentence));
            }
        }
    }
    let other = state.balancers.iter().filter(|other| {
        other.name != *name
            && other.admin == Admin::Ready
            && !nodes.contains(&Node::Balancer(other.name.clone()))
    });
    if other.count() == 0 {
        let sentence = String::from("no other door is open: nobody gets to the pool");
        told.push((Severity::Bad, sentence));
    } else {
        let sentence = format!(
            "clients whom DNS sends to balancer/{name} are not moved: the other door is used only \
             where DNS names it"
        );
        told.push((Severity::Notice, sentence));
    }
    told
}

/// Says what an agent takes with it.
fn agent(state: &Snapshot, name: &Name, act: Act) -> Vec<Told> {
    let Some(agent) = state.agents.iter().find(|agent| agent.name == *name) else {
        return Vec::new();
    };
    let mut told = Vec::new();
    let up = agent.tunnels.iter().filter(|tunnel| tunnel.up).count();
    if up > 0 {
        let sentence = format!("{} of agent/{name} {}", count(up, "tunnel"), end(up));
        told.push((Severity::Notice, sentence));
    }
    if !agent.apps.is_empty() {
        let apps = list(agent.apps.iter());
        let users = state.users.iter();
        let users = users.filter(|user| user.visits.iter().any(|app| agent.apps.contains(app)));
        let users: Vec<&Name> = users.map(|user| &user.name).collect();
        let mut sentence = format!("{apps} cannot be reached until it is started again");
        if !users.is_empty() {
            sentence.push_str(&format!(
                "; {} would find that out",
                list(users.into_iter())
            ));
        }
        let severity = if act == Act::Drain {
            Severity::Notice
        } else {
            Severity::Bad
        };
        told.push((severity, sentence));
    }
    told
}

fn begins(state: &Snapshot, node: &Node) -> Told {
    let admin = match node {
        Node::Agent(name) => {
            let mut agents = state.agents.iter();
            agents.find(|agent| agent.name == *name).map(|a| a.admin)
        }
        Node::Balancer(name) => {
            let mut doors = state.balancers.iter();
            doors.find(|door| door.name == *name).map(|d| d.admin)
        }
        Node::Proxy(name) => {
            let mut pool = state.proxies.iter();
            pool.find(|proxy| proxy.name == *name).map(|p| p.admin)
        }
        Node::User(name) => {
            let mut users = state.users.iter();
            users.find(|user| user.name == *name).map(|u| u.admin)
        }
        Node::Dns | Node::Lab | Node::Resolver(_) => None,
    };
    let sentence = match (admin, node) {
        (Some(Admin::Ready), _) => format!("{node} works already: nothing changes"),
        (_, Node::Proxy(_)) => {
            format!("{node} listens again; doors use it once their checks have passed")
        }
        (_, Node::Balancer(_)) => format!("{node} listens again and takes whom it lets in"),
        (_, Node::Agent(_)) => format!("{node} dials again, with no wait at first"),
        _ => format!("{node} begins again"),
    };
    (Severity::Fine, sentence)
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
}

const fn are(number: usize) -> &'static str {
    if number == 1 { "is" } else { "are" }
}

const fn end(number: usize) -> &'static str {
    if number == 1 { "ends" } else { "end" }
}

fn has(names: &[Name]) -> String {
    let verb = if names.len() == 1 { "has" } else { "have" };
    format!("{} {verb}", list(names.iter()))
}

/// `orders`, `orders and billing`, `a, b, c, d, e and 7 more`.
fn list<'a>(names: impl Iterator<Item = &'a Name>) -> String {
    let names: Vec<&str> = names.map(|name| &**name).collect();
    match &names[..] {
        [] => String::from("nobody"),
        [one] => (*one).to_owned(),
        [before @ .., last] if names.len() <= NAMES_MAX => {
            format!("{} and {last}", before.join(", "))
        }
        _ => {
            let more = names.len() - NAMES_MAX;
            format!("{} and {more} more", names[..NAMES_MAX].join(", "))
        }
    }
}
