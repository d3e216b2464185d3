//! What a journey's facts do not say: what was asked, where rules are written, and the way of one
//! whose facts are held no longer, by the state and by the rules in force.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "few facts say what was asked, and few nodes ask"
)]

use std::net::{IpAddr, SocketAddr};

use hickory_proto::op::OpCode;
use hickory_proto::rr::{DNSClass, RecordType};

use super::chain::{by_dns, timed};
use super::{Decision, Why};
use crate::http::api::Place;
use crate::http::source::Source;
use crate::model::addr::{ClientAddr, ListenAddr};
use crate::model::fact::{DnsAnswered, Kind};
use crate::model::id::{Name, Node};
use crate::model::places::Subject;
use crate::model::time::Time;
use crate::policy::answer::{self, Question, Transport};
use crate::policy::zone::read_name;
use crate::snapshot::Snapshot;
use crate::snapshot::journey::Journey;

/// Gives the network and the address of a client.
fn client(state: &Snapshot, node: &Node) -> Option<(Name, IpAddr)> {
    match node {
        Node::Agent(name) => {
            let agent = state.agents.iter().find(|agent| agent.name == *name)?;
            Some((agent.network.clone(), agent.address))
        }
        Node::User(name) => {
            let user = state.users.iter().find(|user| user.name == *name)?;
            Some((user.network.clone(), user.address))
        }
        Node::Balancer(_) | Node::Dns | Node::Lab | Node::Proxy(_) | Node::Resolver(_) => None,
    }
}

/// Writes what a client asked for, and why that name.
pub(super) fn ask(
    source: &Source,
    state: &Snapshot,
    journey: &Journey,
    name: Option<&str>,
) -> Decision {
    let found = journey.facts.iter().find_map(|fact| match &fact.kind {
        Kind::AddressFound { rule, .. } => Some((fact, (*rule).to_owned())),
        Kind::Pinged { web, .. } => Some((fact, format!("ping told it to go to {web}"))),
        _ => None,
    });
    let why = match (&found, &journey.node) {
        (Some((_, why)), _) => why.clone(),
        (None, Node::User(_)) => String::from("the host of the app's address"),
        (None, _) => String::from("its proxy_server"),
    };
    asked(source, state, &journey.node, name, why)
}

fn asked(
    source: &Source,
    state: &Snapshot,
    node: &Node,
    name: Option<&str>,
    why: String,
) -> Decision {
    let from = match client(state, node) {
        Some((network, address)) => format!("{address} in network {network}"),
        None => node.to_string(),
    };
    let place = match node {
        Node::Agent(agent) => {
            let subject = Subject::Agent(agent.clone());
            source.places.place(&subject, "teleport.proxy_server")
        }
        _ => {
            let mut users = source.topology.users.iter();
            let index = users.position(|user| &*user.name == node.name());
            let key = index.map(|index| format!("users[{index}]"));
            key.and_then(|key| source.places.place(&Subject::Scenario, &key))
        }
    };
    Decision {
        stage: "ask",
        node: Some(node.to_string()),
        text: format!("{from} asks for {}", name.unwrap_or("a name")),
        why,
        place: place.as_ref().map(Place::new),
        at_us: None,
        took_us: None,
        seq: None,
        ok: true,
    }
}

/// Gives the key of a view in the scenario.
pub(super) fn view_key(source: &Source, view: Option<&str>) -> Option<String> {
    let mut views = source.topology.dns.views.iter();
    let index = views.position(|known| Some(&*known.name) == view)?;
    Some(format!("dns.views[{index}].match"))
}

/// Gives the key of a door in the scenario.
pub(super) fn door_key(source: &Source, door: Option<&str>) -> Option<String> {
    let mut doors = source.topology.balancers.iter();
    let index = doors.position(|known| Some(&*known.name) == door)?;
    Some(format!("balancers[{index}]"))
}

/// Writes the view and the record that the rules in force give a client for a name.
pub(super) fn by_rules(
    source: &Source,
    state: &Snapshot,
    node: &Node,
    host: &str,
) -> Vec<Decision> {
    let Some(answered) = answered(source, state, node, host) else {
        return Vec::new();
    };
    let fact = crate::model::fact::Fact {
        seq: state.seq,
        at: Time::ZERO,
        node: Node::Dns,
        kind: Kind::DnsAnswered(Box::new(answered.clone())),
    };
    let steps = by_dns(source, &fact, &answered).into_iter();
    let steps = steps.map(|step| Decision {
        why: format!("{} (by the rules in force now)", step.why),
        at_us: None,
        seq: None,
        ..step
    });
    steps.collect()
}

/// Asks the rules in force as a client would.
fn answered(source: &Source, state: &Snapshot, node: &Node, host: &str) -> Option<DnsAnswered> {
    let rules = source.rules()?;
    let (_, address) = client(state, node)?;
    let absolute = format!("{}.", host.trim_end_matches('.'));
    let question = Question {
        source: ClientAddr(SocketAddr::new(address, 0)),
        destination: ListenAddr(source.dns),
        transport: Transport::Udp,
        opcode: OpCode::Query,
        count: 1,
        name: read_name(&absolute).ok()?,
        record_type: RecordType::A,
        class: DNSClass::IN,
        recursion_desired: false,
        edns: None,
    };
    let answer = answer::decide(&rules, &question);
    Some(DnsAnswered {
        client: question.source,
        asker: Some(node.clone()),
        subnet: None,
        transport: Transport::Udp.word(),
        name: absolute,
        rtype: String::from("A"),
        view: answer.view.map(|view| view.name.clone()),
        rule: answer.rule().cloned(),
        rcode: answer.code().into(),
        answer: answer.records().map(|shown| shown.typed_words()).collect(),
        why: answer.reason.to_string(),
        took: None,
    })
}

/// Tells the way of a client whose last dial or visit is not held, or that has made none.
pub(super) fn unheld(source: &Source, state: &Snapshot, node: &Node) -> Why {
    let teleport = &source.topology.pool.teleport;
    let host = teleport.public.first().map(|public| public.host.clone());
    let reason = String::from("the pool's public address");
    let name = host.as_deref();
    let mut steps = vec![asked(source, state, node, name, reason)];
    if let Some(host) = name {
        steps.extend(by_rules(source, state, node, host));
    }
    let (mut outcome, mut ok) = (String::from("nothing of it is held yet"), false);
    if let Node::Agent(name) = node {
        let agent = state.agents.iter().find(|agent| agent.name == *name);
        let tunnels = agent.map_or(&[][..], |agent| &agent.tunnels);
        let newest = tunnels.iter().filter(|tunnel| tunnel.up);
        if let Some(tunnel) = newest.max_by_key(|tunnel| tunnel.since) {
            let door = tunnel.balancer.as_deref();
            outcome = match door {
                Some(door) => format!("through the {door} door to proxy/{}", tunnel.proxy),
                None => format!("through no door of this lab to proxy/{}", tunnel.proxy),
            };
            ok = true;
            steps.push(stood(
                "door",
                door.map(|door| format!("balancer/{door}")),
                tunnel.since,
            ));
            let proxy = Some(format!("proxy/{}", tunnel.proxy));
            steps.push(stood("tunnel", proxy, tunnel.since));
        }
    }
    Why {
        node: node.to_string(),
        title: format!("the way of {node}"),
        outcome,
        ok,
        number: None,
        steps: timed(steps, Time::ZERO),
    }
}

/// Writes what the state says of a tunnel.
fn stood(stage: &'static str, node: Option<String>, since: Option<Time>) -> Decision {
    Decision {
        stage,
        text: node
            .clone()
            .unwrap_or_else(|| String::from("none of this lab")),
        node,
        why: String::from("the facts of this dial are no longer held; the tunnel stands"),
        place: None,
        at_us: since.map(Time::as_us),
        took_us: None,
        seq: None,
        ok: true,
    }
}
