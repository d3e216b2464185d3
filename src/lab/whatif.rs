//! What would change for an agent or a user who moved to another network. Nothing is moved.
//!
//! Asks what the lab itself asks: which address is advertised, what the rules in force answer, which
//! door listens there and lets the client in, and what the scenario expects of whoever is there.

use std::net::IpAddr;

use super::access::free_address;
use super::lead::{Lead, lead};
use crate::model::addr::{HostPort, read};
use crate::model::expect::{Check, Expectation, Who};
use crate::model::id::{Name, Node};
use crate::model::teleport::Port;
use crate::model::topology::{Agent, Topology, User};
use crate::policy::address;
use crate::policy::answer::Rules;

/// How somebody goes from a network.
#[derive(Clone, Debug)]
pub struct Way {
    /// The network.
    pub network: Name,
    /// The address there.
    pub client: IpAddr,
    /// Where what they dial leads.
    pub lead: Lead,
}

/// What would change.
#[derive(Clone, Debug)]
pub struct Moved {
    /// Who.
    pub node: Node,
    /// How they go now.
    pub from: Way,
    /// How they would go.
    pub to: Way,
    /// What differs, `the door: internal → external`.
    pub changes: Vec<String>,
    /// The expectations that they would fail there.
    pub fails: Vec<Name>,
}

/// Tells what would change; `present` has everybody where they are now. The error is a sentence.
pub fn whatif(present: &Topology, rules: &Rules, node: &Node, to: &str) -> Result<Moved, String> {
    let (home, client) = home(present, node)?;
    let bare = to.strip_prefix("network/").unwrap_or(to);
    let mut networks = present.networks.iter();
    let Some(network) = networks.find(|network| &*network.name == bare) else {
        let names = present.networks.iter().map(|network| &*network.name);
        let names: Vec<&str> = names.collect();
        return Err(format!(
            "the scenario has no network {bare:?}; networks are: {}",
            names.join(", ")
        ));
    };
    let roams = present.roams();
    let roam = roams
        .into_iter()
        .find(|roam| roam.node == *node && roam.network == network.name);
    let there = if network.name == home {
        client
    } else if let Some(roam) = roam {
        roam.address
    } else {
        let free = free_address(present, network);
        free.ok_or_else(|| format!("no address of the network {bare} is free"))?
    };
    let mut moved = present.clone();
    put(&mut moved, node, &network.name, there);
    let way = |topology: &Topology, network: &Name, client: IpAddr| {
        let to = dialled(topology, node)?;
        let lead = lead(topology, rules, client, &to);
        Ok::<_, String>(Way {
            network: network.clone(),
            client,
            lead,
        })
    };
    let from = way(present, &home, client)?;
    let to = way(&moved, &network.name, there)?;
    let expected = present.expect.iter();
    let fails = expected
        .filter(|expected| fails(expected, node, &to))
        .map(|expected| expected.text.clone())
        .collect();
    Ok(Moved {
        changes: changes(&from, &to),
        node: node.clone(),
        from,
        to,
        fails,
    })
}

fn home(topology: &Topology, node: &Node) -> Result<(Name, IpAddr), String> {
    let unknown = || format!("the lab has no {node}");
    match node {
        Node::Agent(_) => {
            let agent = agent(topology, node).ok_or_else(unknown)?;
            Ok((agent.network.clone(), agent.address))
        }
        Node::User(_) => {
            let user = user(topology, node).ok_or_else(unknown)?;
            Ok((user.network.clone(), user.address))
        }
        Node::Balancer(_) | Node::Dns | Node::Lab | Node::Proxy(_) | Node::Resolver(_) => {
            Err(format!("{node} does not move: agents and users do"))
        }
    }
}

fn agent<'a>(topology: &'a Topology, node: &Node) -> Option<&'a Agent> {
    let mut agents = topology.agents.iter();
    agents.find(|agent| matches!(node, Node::Agent(name) if *name == agent.name))
}

fn user<'a>(topology: &'a Topology, node: &Node) -> Option<&'a User> {
    let mut users = topology.users.iter();
    users.find(|user| matches!(node, Node::User(name) if *name == user.name))
}

fn put(topology: &mut Topology, node: &Node, network: &Name, address: IpAddr) {
    for agent in &mut topology.agents {
        if matches!(node, Node::Agent(name) if *name == agent.name) {
            agent.network = network.clone();
            agent.address = address;
        }
    }
    for user in &mut topology.users {
        if matches!(node, Node::User(name) if *name == user.name) {
            user.network = network.clone();
            user.address = address;
        }
    }
}

/// Gives what they dial for what they are there for: an agent for its tunnel, a user for a visit.
fn dialled(topology: &Topology, node: &Node) -> Result<HostPort, String> {
    let service = &topology.pool.teleport;
    if let Some(agent) = agent(topology, node) {
        let document = address::advertise(service, topology.cluster());
        let found = address::tunnel(&document, agent.tunnel_public_addr.as_deref());
        let found = found.map_err(|unfound| format!("{node} dials nothing: {}", unfound.text))?;
        return Ok(found.address);
    }
    let none = || format!("{node} visits nothing, so nothing would change");
    let user = user(topology, node).ok_or_else(none)?;
    let public = service.public.first();
    if let Some(proxy) = &user.proxy {
        let written = read(proxy).map_err(|wrong| format!("{node}: {wrong}"))?;
        let port = written.port.or_else(|| public.map(|public| public.port));
        return Ok(HostPort {
            host: written.host.into(),
            port: port.unwrap_or_else(|| Port::Web.default_port()),
        });
    }
    let app = user.visits.first().and_then(|app| topology.app_host(app));
    let (host, public) = app.zip(public).ok_or_else(none)?;
    Ok(HostPort {
        host: host.into(),
        port: public.port,
    })
}

fn changes(from: &Way, to: &Way) -> Vec<String> {
    let none = || String::from("none");
    let door = |way: &Way| {
        way.lead
            .door
            .as_ref()
            .map_or_else(none, |(door, _)| door.clone())
    };
    let entry = |way: &Way| match &way.lead.door {
        Some((_, true)) => "let in",
        Some((_, false)) => "refused there",
        None => "no door",
    };
    let rows = [
        (
            "the network",
            from.network.to_string(),
            to.network.to_string(),
        ),
        (
            "its address",
            from.client.to_string(),
            to.client.to_string(),
        ),
        (
            "the view",
            from.lead.view.clone().unwrap_or_else(none),
            to.lead.view.clone().unwrap_or_else(none),
        ),
        ("the answer", from.answer(), to.answer()),
        ("the door", door(from), door(to)),
        ("at the door", entry(from).to_owned(), entry(to).to_owned()),
    ];
    let differ = rows.into_iter().filter(|(_, from, to)| from != to);
    differ
        .map(|(what, from, to)| format!("{what}: {from} → {to}"))
        .collect()
}

/// Tells whether somebody who goes so fails an expectation, as far as the way alone can tell.
fn fails(expected: &Expectation, node: &Node, to: &Way) -> bool {
    let concerns = |who: &Who| match (who, node) {
        (Who::Agents(network), Node::Agent(_)) | (Who::Users(network), Node::User(_)) => network
            .as_ref()
            .is_none_or(|network| *network == to.network),
        (Who::Node(one), _) => one == node,
        (Who::Agents(_) | Who::Users(_), _) => false,
    };
    let door = to.lead.door.as_ref().filter(|(_, allowed)| *allowed);
    match &expected.check {
        Check::Door {
            who,
            balancer,
            uses,
        } => concerns(who) && door.is_some_and(|(door, _)| (**door == **balancer) != *uses),
        // Without a door there is no tunnel.
        Check::Keeps { who } | Check::Returns { who, .. } => concerns(who) && door.is_none(),
        // They are asked from addresses, and measured over everybody.
        Check::Answer(_) | Check::Metric { .. } => false,
    }
}

impl Way {
    /// Gives the address that DNS answers, or the response code.
    pub fn answer(&self) -> String {
        match (&self.lead.address, &self.lead.code) {
            (Some(address), _) => address.ip().to_string(),
            (None, code) => code.clone().unwrap_or_else(|| String::from("nothing")),
        }
    }
}

impl Moved {
    /// Says it in one or two sentences.
    pub fn text(&self) -> String {
        let Self { node, from, to, .. } = self;
        let answer = to.answer();
        let asks = match &to.lead.view {
            Some(view) => format!("the view {view} answers {answer}"),
            None => format!("{} leads to {answer}", to.lead.to),
        };
        let old = from.lead.door.as_ref().map(|(door, _)| door);
        let door = match (&to.lead.door, old) {
            (Some((door, true)), Some(old)) if old == door => {
                format!("it comes in by balancer/{door}, as now")
            }
            (Some((door, true)), Some(old)) => {
                format!("it comes in by balancer/{door}, no longer by balancer/{old}")
            }
            (Some((door, true)), None) => format!("it comes in by balancer/{door}"),
            (Some((door, false)), _) => {
                format!("balancer/{door} refuses it, so it does not come in at all")
            }
            (None, _) => String::from("no door listens there, so it does not come in at all"),
        };
        let mut text = format!("If {node} moves to {}, {asks}, and {door}.", to.network);
        if !self.fails.is_empty() {
            let fails: Vec<&str> = self.fails.iter().map(|text| &**text).collect();
            text.push_str(&format!(
                " What is expected then fails: {}.",
                fails.join("; ")
            ));
        }
        text
    }
}
