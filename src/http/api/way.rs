//! The way of one dial or visit: as hops with durations, and as a chain of decisions with reasons.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "few facts are decisions on the way"
)]

use serde::Serialize;
use utoipa::ToSchema;

use super::Place;
use crate::http::source::Source;
use crate::model::fact::{Kind, VisitAnswered};
use crate::model::id::{Name, Node};
use crate::model::time::Time;
use crate::snapshot::journey::Journey;

mod chain;
mod decided;

/// The answer to `GET /api/visits/USER/N` and `GET /api/dials/AGENT/N`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Request {
    /// Whose.
    pub node: String,
    /// Its number.
    pub number: u64,
    /// When it began, as far as that is known.
    pub began_us: u64,
    /// When it ended; null while it goes on.
    pub ended_us: Option<u64>,
    /// What came of it.
    pub outcome: String,
    /// Whether it went well; null while it goes on.
    pub ok: Option<bool>,
    /// What happened on the way, in the order of the ends.
    pub hops: Vec<Hop>,
}

/// Something that happened on the way.
#[derive(Debug, Serialize, ToSchema)]
pub struct Hop {
    /// Who says so.
    pub node: String,
    /// In words.
    pub text: String,
    /// Why, where a reason was given.
    pub why: Option<String>,
    /// When it began: at the end of what came before, or of its own first half.
    pub from_us: u64,
    /// When it was done.
    pub to_us: Option<u64>,
    /// Its fact.
    pub seq: u64,
}

/// The answer to `GET /api/why`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Why {
    /// Whose way.
    pub node: String,
    /// What is told, as a heading.
    pub title: String,
    /// What came of it.
    pub outcome: String,
    /// Whether it went well.
    pub ok: bool,
    /// The number of the dial or visit; null when its facts are held no longer.
    pub number: Option<u64>,
    /// The decisions, in order.
    pub steps: Vec<Decision>,
}

/// One decision on the way.
#[derive(Debug, Serialize, ToSchema)]
pub struct Decision {
    /// `ask`, `view`, `record`, `door`, `instance`, `service`, `tunnel` or `resource`.
    pub stage: &'static str,
    /// Who decided, or what was decided for.
    pub node: Option<String>,
    /// What.
    pub text: String,
    /// Why.
    pub why: String,
    /// Where the reason is written.
    pub place: Option<Place>,
    /// When.
    pub at_us: Option<u64>,
    /// Since the decision before it.
    pub took_us: Option<u64>,
    /// Its fact.
    pub seq: Option<u64>,
    /// Whether it is as it should be.
    pub ok: bool,
}

impl Request {
    /// Tells the way of an attempt; `None` when it is not held.
    pub fn new(source: &Source, node: &Node, number: u64) -> Option<Self> {
        let held = source.journal.held();
        let until = held.now.state.at;
        let found = Journey::find(&held.facts, &source.topology, node, Some(number), until)?;
        Some(Self::of(&found))
    }

    /// Writes a journey.
    pub fn of(journey: &Journey) -> Self {
        let ended = journey.ended.map(Time::as_us);
        let (outcome, ok) = outcome(journey);
        Self {
            node: journey.node.to_string(),
            number: journey.number,
            began_us: journey.began.as_us(),
            ended_us: ended,
            outcome,
            ok,
            hops: hops(journey),
        }
    }
}

fn hops(journey: &Journey) -> Vec<Hop> {
    let mut before = journey.began;
    let mut hops = Vec::new();
    let facts = &journey.facts;
    for (index, fact) in facts.iter().enumerate() {
        let earlier = || facts[..index].iter().rev();
        let half = match &fact.kind {
            // The two halves of one connection are one hop.
            Kind::FlowOpened { flow, .. } => {
                let connected = facts[index..].iter().any(|later| {
                    later.node == fact.node
                        && matches!(&later.kind, Kind::FlowConnected { flow: own, .. } if own == flow)
                });
                if connected {
                    continue;
                }
                None
            }
            Kind::FlowConnected { flow, .. } => earlier().find(|opened| {
                opened.node == fact.node
                    && matches!(&opened.kind, Kind::FlowOpened { flow: own, .. } if own == flow)
            }),
            Kind::RequestEnded { request, .. } => earlier().find(|routed| {
                routed.node == fact.node
                    && matches!(&routed.kind, Kind::Routed { request: own, .. } if own == request)
            }),
            _ => None,
        };
        hops.push(Hop {
            node: fact.node.to_string(),
            text: fact.kind.to_string(),
            why: reason(&fact.kind),
            from_us: half.map_or(before, |half| half.at).as_us(),
            to_us: Some(fact.at.as_us()),
            seq: fact.seq.0,
        });
        before = before.max(fact.at);
    }
    hops
}

fn reason(kind: &Kind) -> Option<String> {
    match kind {
        Kind::AddressFound { rule, .. } => Some((*rule).to_owned()),
        Kind::DnsAnswered(answered) => Some(answered.why.clone()),
        Kind::FlowConnected { why, .. } => Some(why.to_string()),
        Kind::ClientRefused { why, .. } => Some(why.rule().unwrap_or_else(|| why.word().into())),
        Kind::Routed { why, .. } | Kind::Peered { why, .. } | Kind::ServiceChosen { why, .. } => {
            Some((*why).to_owned())
        }
        Kind::ConnectFailed { error, .. }
        | Kind::DialFailed { error, .. }
        | Kind::VisitFailed { error, .. } => Some(error.clone()),
        _ => None,
    }
}

/// Says what came of a journey, and whether it went well.
fn outcome(journey: &Journey) -> (String, Option<bool>) {
    let through = |door: Option<&Name>| match door {
        Some(door) => format!("through the {door} door"),
        None => String::from("through no door of this lab"),
    };
    for fact in journey.facts.iter().rev() {
        let told = match &fact.kind {
            Kind::Claimed {
                proxy, balancer, ..
            } => (
                format!("{} to proxy/{proxy}", through(balancer.as_ref())),
                true,
            ),
            Kind::DialFailed { stage, error, .. } => (format!("failed at {stage}: {error}"), false),
            Kind::VisitAnswered(answered) => {
                let VisitAnswered {
                    balancer, status, ..
                } = &**answered;
                let text = format!("{}: {status}", through(balancer.as_ref()));
                (text, *status < 400)
            }
            Kind::VisitFailed { reason, error, .. } => {
                (format!("failed ({reason}): {error}"), false)
            }
            _ => continue,
        };
        return (told.0, Some(told.1));
    }
    (String::from("still on its way"), None)
}
