//! The way of one dial or visit: which of the facts that are held belong to it.
//!
//! In go the facts, whose attempt it is and which; out come its facts in order. What the client says
//! itself carries the attempt's number. What the DNS server says is its own by the asker; what a door
//! says is its own by the client's address and the instant, and then by the number of the flow; what
//! an instance says is its own by the socket that the door announces. A client does one thing at a
//! time, so nothing is taken twice.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "few facts belong to a journey"
)]

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use crate::model::addr::ClientAddr;
use crate::model::fact::{Cause, Fact, Kind, Purpose};
use crate::model::id::{FlowId, Name, Node, RequestId};
use crate::model::time::{Span, Time};
use crate::model::topology::Topology;

/// How many facts a journey has at most; a visit has about ten.
pub const FACTS_MAX: usize = 200;

/// How much later than its end the doors and instances may say theirs.
const LATE: Span = Span::from_ms(500);

/// One dial or visit.
#[derive(Clone, Debug)]
pub struct Journey {
    /// Whose.
    pub node: Node,
    /// Its number.
    pub number: u64,
    /// When it began, as far as that is known.
    pub began: Time,
    /// When it ended; `None` while it goes on.
    pub ended: Option<Time>,
    /// Its facts, in the order of their instants.
    pub facts: Vec<Arc<Fact>>,
}

impl Journey {
    /// Finds an attempt of a node: that with a number, or the newest until an instant.
    pub fn find(
        facts: &[Arc<Fact>],
        topology: &Topology,
        node: &Node,
        number: Option<u64>,
        until: Time,
    ) -> Option<Self> {
        let number = match number {
            Some(number) => number,
            None => newest(facts, node, until)?,
        };
        let own = |fact: &&Arc<Fact>| fact.node == *node && number_of(&fact.kind) == Some(number);
        let place = facts.iter().position(|fact| own(&fact))?;
        let mine: Vec<&Arc<Fact>> = facts[place..].iter().filter(own).collect();
        let end = mine.iter().find(|fact| is_end(&fact.kind));
        let ended = end.map(|fact| fact.at);
        let told = end.and_then(|end| told_beginning(end));
        let began = told.unwrap_or_else(|| not_before(&facts[..place], node));
        let last = ended.unwrap_or(until) + LATE;
        let mut way = Way {
            node,
            addresses: addresses(topology, node),
            ended,
            flows: BTreeSet::new(),
            sockets: BTreeSet::new(),
            requests: BTreeSet::new(),
            instance: mine.iter().find_map(|fact| claimed(&fact.kind)),
        };
        let mut taken: Vec<Arc<Fact>> = Vec::new();
        // What came before its own first word, an answer of DNS, may stand before it.
        let from = facts[..place].iter().rposition(|fact| fact.at < began);
        let from = from.map_or(0, |before| before + 1);
        for fact in &facts[from..] {
            if fact.at > last || taken.len() == FACTS_MAX {
                break;
            }
            if fact.at >= began && (own(&fact) || way.takes(fact)) {
                taken.push(Arc::clone(fact));
            }
        }
        taken.sort_by_key(|fact| (fact.at, fact.seq));
        let first = taken.first().map_or(began, |first| first.at);
        Some(Self {
            node: node.clone(),
            number,
            began: told.unwrap_or(first),
            ended,
            facts: taken,
        })
    }

    /// Gives the last flow that a door connected for it: that of the dial or visit itself.
    pub fn flow(&self) -> Option<(&Name, FlowId)> {
        self.facts.iter().rev().find_map(|fact| {
            let Node::Balancer(door) = &fact.node else {
                return None;
            };
            flow_of(&fact.kind).map(|flow| (door, flow))
        })
    }
}

/// What is known of a journey on the way.
struct Way<'a> {
    node: &'a Node,
    addresses: Vec<IpAddr>,
    ended: Option<Time>,
    flows: BTreeSet<(Name, FlowId)>,
    sockets: BTreeSet<ClientAddr>,
    requests: BTreeSet<(Node, RequestId)>,
    /// The instance that was claimed.
    instance: Option<Name>,
}

impl Way<'_> {
    fn takes(&mut self, fact: &Fact) -> bool {
        let open = self.ended.is_none_or(|ended| fact.at <= ended);
        let is_own = |client: &ClientAddr| self.addresses.contains(&client.ip());
        match (&fact.node, &fact.kind) {
            // Pings have numbers of their own.
            (
                node,
                Kind::Pinged { .. }
                | Kind::DoorUsed {
                    purpose: Purpose::Ping,
                    ..
                },
            ) => open && node == self.node,
            (Node::Dns, Kind::DnsAnswered(answered)) => {
                open && answered.asker.as_ref() == Some(self.node)
            }
            (Node::Resolver(_), Kind::Resolved(resolved)) => open && is_own(&resolved.client),
            (Node::Balancer(door), Kind::FlowOpened { flow, client, .. }) => {
                let own = open && is_own(client);
                if own {
                    self.flows.insert((door.clone(), *flow));
                    self.sockets.insert(*client);
                }
                own
            }
            (Node::Balancer(_), Kind::ClientRefused { client, .. }) => open && is_own(client),
            (Node::Balancer(door), kind) => {
                let flow = flow_of(kind).filter(|_| !matches!(kind, Kind::FlowClosed { .. }));
                flow.is_some_and(|flow| self.flows.contains(&(door.clone(), flow)))
            }
            (Node::Proxy(name), Kind::TunnelRegistered { agent, .. }) => {
                let own = matches!(self.node, Node::Agent(own) if own == agent);
                own && self.instance.as_ref() == Some(name)
            }
            (Node::Proxy(_), Kind::RequestEnded { request, .. }) => {
                self.requests.contains(&(fact.node.clone(), *request))
            }
            (Node::Proxy(_), kind) => {
                let own = client_of(kind).is_some_and(|client| self.sockets.contains(&client));
                if let (true, Kind::Routed { request, .. } | Kind::Peered { request, .. }) =
                    (own, kind)
                {
                    self.requests.insert((fact.node.clone(), *request));
                }
                own
            }
            _ => false,
        }
    }
}

/// Gives the newest attempt of a node: of an agent that has its tunnel to an instance already, that
/// is no news.
fn newest(facts: &[Arc<Fact>], node: &Node, until: Time) -> Option<u64> {
    let own = || {
        let facts = facts.iter().rev();
        facts.filter(|fact| fact.node == *node && fact.at <= until)
    };
    let told = |fact: &&Arc<Fact>| match &fact.kind {
        Kind::DialFailed { cause, .. } => *cause != Cause::Claimed,
        kind => is_end(kind),
    };
    let ended = own().find(told).and_then(|fact| number_of(&fact.kind));
    ended.or_else(|| own().find_map(|fact| number_of(&fact.kind)))
}

/// Gives when an attempt began at the earliest: at the end of the one before.
fn not_before(before: &[Arc<Fact>], node: &Node) -> Time {
    let mut own = before.iter().rev().filter(|fact| fact.node == *node);
    let last = own.find(|fact| {
        is_end(&fact.kind) || matches!(fact.kind, Kind::BackingOff { .. } | Kind::Operated { .. })
    });
    last.map_or(Time::ZERO, |fact| fact.at)
}

/// Gives when a visit began that says how long it took.
fn told_beginning(end: &Fact) -> Option<Time> {
    let Kind::VisitAnswered(answered) = &end.kind else {
        return None;
    };
    let us = end.at.as_us().checked_sub(answered.took.as_us())?;
    Some(Time::from_us(us))
}

/// Gives the number of the attempt that a fact of a client is about.
pub fn number_of(kind: &Kind) -> Option<u64> {
    match kind {
        Kind::AddressFound { dial, .. }
        | Kind::Claimed { dial, .. }
        | Kind::DialFailed { dial, .. } => Some(dial.0),
        Kind::DoorUsed {
            attempt, purpose, ..
        } if *purpose != Purpose::Ping => Some(*attempt),
        Kind::Redirected { request, .. } | Kind::VisitFailed { request, .. } => Some(request.0),
        Kind::VisitAnswered(answered) => Some(answered.request.0),
        _ => None,
    }
}

fn is_end(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Claimed { .. }
            | Kind::DialFailed { .. }
            | Kind::VisitAnswered(_)
            | Kind::VisitFailed { .. }
    )
}

fn claimed(kind: &Kind) -> Option<Name> {
    match kind {
        Kind::Claimed { proxy, .. } => Some(proxy.clone()),
        _ => None,
    }
}

/// Gives the flow that a fact of a door is about.
pub fn flow_of(kind: &Kind) -> Option<FlowId> {
    match kind {
        Kind::ConnectFailed { flow, .. }
        | Kind::FlowClosed { flow, .. }
        | Kind::FlowConnected { flow, .. }
        | Kind::FlowOpened { flow, .. }
        | Kind::NoBackend { flow, .. } => Some(*flow),
        _ => None,
    }
}

fn client_of(kind: &Kind) -> Option<ClientAddr> {
    match kind {
        Kind::ConnRefused { client, .. } => *client,
        Kind::NoTunnel { client, .. }
        | Kind::Peered { client, .. }
        | Kind::Routed { client, .. }
        | Kind::ServiceChosen { client, .. }
        | Kind::SessionBegun { client, .. } => Some(*client),
        _ => None,
    }
}

/// Gives every address that a node has or gets.
fn addresses(topology: &Topology, node: &Node) -> Vec<IpAddr> {
    let agents = topology.agents.iter();
    let agents = agents.map(|agent| (Node::Agent(agent.name.clone()), agent.address));
    let users = topology.users.iter();
    let users = users.map(|user| (Node::User(user.name.clone()), user.address));
    let own = agents.chain(users).filter(|(own, _)| own == node);
    let roams = topology.roams().into_iter();
    let roams = roams.filter(|roam| roam.node == *node);
    own.map(|(_, address)| address)
        .chain(roams.map(|roam| roam.address))
        .collect()
}
