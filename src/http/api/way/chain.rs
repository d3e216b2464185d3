//! A journey as a chain of decisions with reasons: what was asked, which view and record, which door,
//! which instance, which tunnel.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "few facts are decisions on the way"
)]

use std::sync::Arc;

use super::{Decision, Why, decided, outcome};
use crate::http::api::Place;
use crate::http::api::queries::place;
use crate::http::source::Source;
use crate::model::fact::{DnsAnswered, Fact, Kind, Purpose, VisitAnswered};
use crate::model::id::{Name, Node};
use crate::model::places::Subject;
use crate::model::time::Time;
use crate::snapshot::Snapshot;
use crate::snapshot::journey::Journey;

impl Why {
    /// Tells why a node goes where it goes: its newest dial or visit until an instant.
    pub fn new(source: &Source, state: &Snapshot, node: &Node) -> Option<Self> {
        let facts = source.journal.held().facts;
        Self::held(source, state, node, &facts)
    }

    /// Tells the same by facts that are at hand.
    pub(in crate::http::api) fn held(
        source: &Source,
        state: &Snapshot,
        node: &Node,
        facts: &[Arc<Fact>],
    ) -> Option<Self> {
        let known = match node {
            Node::Agent(name) => state.agents.iter().any(|agent| agent.name == *name),
            Node::User(name) => state.users.iter().any(|user| user.name == *name),
            Node::Balancer(_) | Node::Dns | Node::Lab | Node::Proxy(_) | Node::Resolver(_) => false,
        };
        if !known {
            return None;
        }
        let found = Journey::find(facts, &source.topology, node, None, state.at);
        let told = found.filter(|found| !found.facts.is_empty());
        Some(match told {
            Some(journey) => Self::of(source, state, &journey),
            None => decided::unheld(source, state, node),
        })
    }

    fn of(source: &Source, state: &Snapshot, journey: &Journey) -> Self {
        let (outcome, ok) = outcome(journey);
        let mut steps = Vec::new();
        let used = journey
            .facts
            .iter()
            .rev()
            .find_map(|fact| match &fact.kind {
                Kind::DoorUsed {
                    host,
                    address,
                    balancer,
                    purpose: Purpose::Tunnel | Purpose::Visit,
                    ..
                } => Some((fact, host, address, balancer)),
                _ => None,
            });
        let asked = journey
            .facts
            .iter()
            .rev()
            .find_map(|fact| match &fact.kind {
                Kind::DnsAnswered(answered) => Some((fact, answered)),
                _ => None,
            });
        let name = asked.map(|(_, answered)| answered.name.clone());
        let name = name.or_else(|| used.map(|(_, host, ..)| host.to_string()));
        steps.push(decided::ask(source, state, journey, name.as_deref()));
        match (asked, used) {
            (Some((fact, answered)), _) => steps.extend(by_dns(source, fact, answered)),
            (None, Some((_, host, ..))) => {
                steps.extend(decided::by_rules(source, state, &journey.node, host));
            }
            (None, None) => {}
        }
        let flow = journey.flow();
        for fact in &journey.facts {
            steps.extend(decision(source, journey, fact, flow));
        }
        let title = match &journey.node {
            Node::User(_) => format!("visit {} of {}", journey.number, journey.node),
            _ => format!("dial {} of {}", journey.number, journey.node),
        };
        Self {
            node: journey.node.to_string(),
            title,
            outcome,
            ok: ok.unwrap_or(false),
            number: Some(journey.number),
            steps: timed(door_first(steps), journey.began),
        }
    }
}

/// Puts the door before the instances that it chose: a client tells of the door that it used when
/// its connection stands, which is after the choice.
fn door_first(mut steps: Vec<Decision>) -> Vec<Decision> {
    let place = |stage| steps.iter().position(|step| step.stage == stage);
    if let (Some(door), Some(instance)) = (place("door"), place("instance"))
        && instance < door
    {
        steps[instance..=door].rotate_right(1);
    }
    steps
}

/// Says how long each decision came after the one before.
pub(super) fn timed(mut steps: Vec<Decision>, began: Time) -> Vec<Decision> {
    let mut before = began.as_us();
    for step in &mut steps {
        let Some(at) = step.at_us else { continue };
        step.took_us = Some(at.saturating_sub(before));
        before = before.max(at);
    }
    steps
}

/// Writes the view and the record of an answer.
pub(super) fn by_dns(source: &Source, fact: &Fact, answered: &DnsAnswered) -> Vec<Decision> {
    let view = answered.view.as_deref();
    let key = decided::view_key(source, view);
    let (client, rule) = (answered.client.ip(), answered.rule.as_deref());
    let why = match rule {
        Some(rule) => format!("{rule} is the first rule that holds {client}"),
        None => format!("no rule of a view holds {client}"),
    };
    let found = |stage, node, text, why, place, ok| Decision {
        stage,
        node,
        text,
        why,
        place,
        at_us: Some(fact.at.as_us()),
        took_us: None,
        seq: Some(fact.seq.0),
        ok,
    };
    let rules = source.rules();
    let record = rules.and_then(|rules| place(&rules, source, answered));
    let data = match &answered.answer[..] {
        [] => answered.rcode.to_string(),
        records => records.join(", "),
    };
    vec![
        found(
            "view",
            view.map(|view| format!("view/{view}")),
            format!("view {}", view.unwrap_or("none")),
            why,
            key.and_then(|key| source.places.place(&Subject::Scenario, &key))
                .as_ref()
                .map(Place::new),
            view.is_some(),
        ),
        found(
            "record",
            Some(String::from("dns")),
            format!("{}: {data}", answered.name),
            answered.why.clone(),
            record,
            !answered.answer.is_empty(),
        ),
    ]
}

/// Writes what a fact decided on the way from the door on.
fn decision(
    source: &Source,
    journey: &Journey,
    fact: &Fact,
    flow: Option<(&Name, crate::model::id::FlowId)>,
) -> Option<Decision> {
    let is_flow = |own| match (&fact.node, flow) {
        (Node::Balancer(door), Some((last, flow))) => door == last && own == flow,
        _ => false,
    };
    let node = Some(fact.node.to_string());
    let (stage, node, text, why, key, ok) = match &fact.kind {
        Kind::DoorUsed {
            purpose: Purpose::Tunnel | Purpose::Visit,
            host,
            address,
            balancer,
            ..
        } => {
            let door = balancer.as_deref();
            let text = match door {
                Some(door) => format!("balancer/{door} at {address}"),
                None => format!("{address}, where no door of this lab listens"),
            };
            let why = format!("{host} is {} for it", address.ip());
            let key = decided::door_key(source, door);
            let node = door.map(|door| format!("balancer/{door}"));
            ("door", node, text, why, key, door.is_some())
        }
        Kind::ClientRefused { why, listener, .. } => {
            let text = format!("{} refused it at {listener}", fact.node);
            let key = decided::door_key(source, Some(fact.node.name()));
            let why = why.rule().unwrap_or_else(|| why.word().to_owned());
            (
                "door",
                node,
                text,
                why,
                key.map(|key| format!("{key}.allow")),
                false,
            )
        }
        Kind::FlowConnected {
            flow,
            proxy,
            why,
            attempt,
            ..
        } if is_flow(*flow) => {
            let tries = match attempt {
                1 => String::new(),
                n => format!(", try {n}"),
            };
            let node = Some(format!("proxy/{proxy}"));
            (
                "instance",
                node,
                format!("proxy/{proxy}{tries}"),
                why.to_string(),
                None,
                true,
            )
        }
        Kind::ConnectFailed { flow, proxy, error } if is_flow(*flow) => {
            let text = format!("proxy/{proxy} could not be reached");
            ("instance", node, text, error.clone(), None, false)
        }
        Kind::NoBackend { flow, tried } if is_flow(*flow) => {
            let why = format!("{tried} were tried");
            (
                "instance",
                node,
                String::from("no instance is left"),
                why,
                None,
                false,
            )
        }
        Kind::ServiceChosen { service, why, .. } if of_last(journey, fact) => {
            let text = service.map_or("no service", |service| service.word());
            (
                "service",
                node,
                text.to_owned(),
                (*why).to_owned(),
                None,
                service.is_some(),
            )
        }
        Kind::ConnRefused { why, .. } => (
            "service",
            node,
            String::from("the instance refused it"),
            why.clone(),
            None,
            false,
        ),
        Kind::Claimed {
            proxy, principal, ..
        } => {
            let why = format!("its host certificate is for {principal}");
            let node = Some(format!("proxy/{proxy}"));
            (
                "tunnel",
                node,
                format!("a tunnel to proxy/{proxy} stands"),
                why,
                None,
                true,
            )
        }
        Kind::DialFailed { stage, error, .. } => {
            let text = format!("no tunnel: failed at {stage}");
            ("tunnel", node, text, error.clone(), None, false)
        }
        Kind::Routed { agent, why, .. } => {
            let node = Some(format!("agent/{agent}"));
            let text = format!("the tunnel of agent/{agent}");
            ("tunnel", node, text, (*why).to_owned(), None, true)
        }
        Kind::Peered { peer, why, .. } => {
            let node = Some(format!("proxy/{peer}"));
            (
                "tunnel",
                node,
                format!("by proxy/{peer}"),
                (*why).to_owned(),
                None,
                true,
            )
        }
        Kind::NoTunnel { app, text, .. } => (
            "tunnel",
            node,
            format!("no tunnel for {app}"),
            text.clone(),
            None,
            false,
        ),
        Kind::VisitAnswered(answered) => {
            let VisitAnswered {
                app, status, took, ..
            } = &**answered;
            let why = format!("{} bytes in {took}", answered.bytes);
            let node = answered
                .agent
                .as_ref()
                .map(|agent| format!("agent/{agent}"));
            (
                "resource",
                node,
                format!("{app} answered {status}"),
                why,
                None,
                *status < 400,
            )
        }
        Kind::VisitFailed { app, error, .. } => (
            "resource",
            node,
            format!("{app} was not reached"),
            error.clone(),
            None,
            false,
        ),
        _ => return None,
    };
    let place = key.and_then(|key| source.places.place(&Subject::Scenario, &key));
    Some(Decision {
        stage,
        node,
        text,
        why,
        place: place.as_ref().map(Place::new),
        at_us: Some(fact.at.as_us()),
        took_us: None,
        seq: Some(fact.seq.0),
        ok,
    })
}

/// Tells whether a service was chosen for the last connection of a journey: find has one before.
fn of_last(journey: &Journey, fact: &Fact) -> bool {
    let chosen = |fact: &Fact| matches!(fact.kind, Kind::ServiceChosen { .. });
    let mut last = journey.facts.iter().rev();
    last.find(|fact| chosen(fact))
        .is_some_and(|last| last.seq == fact.seq)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decisions of these stages.
    fn steps(stages: &[&'static str]) -> Vec<Decision> {
        let step = |stage: &&'static str| Decision {
            stage,
            node: None,
            text: String::new(),
            why: String::new(),
            place: None,
            at_us: None,
            took_us: None,
            seq: None,
            ok: true,
        };
        stages.iter().map(step).collect()
    }

    #[test]
    fn the_door_stands_before_every_instance_that_it_tried() {
        let check = |told: &[&'static str], stages: &[&str]| {
            let sorted = door_first(steps(told));
            let sorted: Vec<_> = sorted.iter().map(|step| step.stage).collect();
            assert_eq!(sorted, stages);
        };
        let sorted = ["ask", "record", "door", "instance", "instance", "tunnel"];
        check(
            &["ask", "record", "instance", "instance", "door", "tunnel"],
            &sorted,
        );
        check(&sorted, &sorted);
        check(&["ask", "instance"], &["ask", "instance"]);
        check(&["ask", "door"], &["ask", "door"]);
    }
}
