//! Why clients went where they went, at the states that are kept: told anew whenever the way of a
//! client is another one than at the state before.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "few facts end a dial or a visit"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use super::states::evenly;
use super::{EARLIER_MAX, Why};
use crate::http::source::Source;
use crate::model::fact::{Cause, Fact, Kind};
use crate::model::id::{Node, Seq};
use crate::model::time::Span;
use crate::snapshot::Snapshot;
use crate::snapshot::journey::number_of;

/// How much later than the state the doors may say theirs of an attempt that ended before it.
const LATE: Span = Span::from_secs(1);

/// Why a client went where it went, from an instant on.
#[derive(Debug, Serialize, ToSchema)]
pub struct Earlier {
    /// From when it is so.
    pub at_us: u64,
    /// The decisions.
    pub why: Why,
}

/// Who is to be told of at which state.
pub(super) struct Ways {
    /// By the place of the state.
    wanted: BTreeMap<usize, Vec<Node>>,
    told: BTreeMap<String, Vec<Earlier>>,
    /// How many changes of a way are left out.
    pub(super) more: usize,
}

impl Ways {
    /// Finds who has another way at which state; of more than there is room for, each new outcome
    /// rather than each new attempt.
    pub(super) fn new(facts: &[Arc<Fact>], seqs: &[Seq], nodes: &[Node]) -> Self {
        let each = changes(facts, seqs, nodes, |kind| {
            number_of(kind).map(|number| number.to_string())
        });
        let all = if each.len() <= EARLIER_MAX {
            each
        } else {
            changes(facts, seqs, nodes, ending)
        };
        let kept = evenly(&all, EARLIER_MAX);
        let more = all.len() - kept.len();
        let mut wanted: BTreeMap<usize, Vec<Node>> = BTreeMap::new();
        for (place, node) in kept {
            wanted.entry(place).or_default().push(node.clone());
        }
        Self {
            wanted,
            told: BTreeMap::new(),
            more,
        }
    }

    /// Tells the ways of those that have another one at this state.
    pub(super) fn tell(
        &mut self,
        place: usize,
        source: &Source,
        state: &Snapshot,
        facts: &[Arc<Fact>],
    ) {
        let late = state.at + LATE;
        let until = facts.partition_point(|fact| fact.at <= late);
        for node in self.wanted.remove(&place).unwrap_or_default() {
            let Some(why) = Why::held(source, state, &node, &facts[..until]) else {
                continue;
            };
            let at_us = state.at.as_us();
            let told = self.told.entry(node.to_string()).or_default();
            told.push(Earlier { at_us, why });
        }
    }

    pub(super) fn told(self) -> BTreeMap<String, Vec<Earlier>> {
        self.told
    }
}

/// Gives the place of each state at which a client's newest attempt has another mark.
fn changes<'n>(
    facts: &[Arc<Fact>],
    seqs: &[Seq],
    nodes: &'n [Node],
    mark: impl Fn(&Kind) -> Option<String>,
) -> Vec<(usize, &'n Node)> {
    let mut changes = Vec::new();
    let mut before: BTreeMap<&Node, String> = BTreeMap::new();
    let mut rest = facts;
    for (place, seq) in seqs.iter().enumerate() {
        let until = rest.partition_point(|fact| fact.seq <= *seq);
        let (these, later) = rest.split_at(until);
        rest = later;
        let mut now: BTreeMap<&Node, String> = BTreeMap::new();
        for fact in these.iter().filter(|fact| ending(&fact.kind).is_some()) {
            if let Some(mark) = mark(&fact.kind) {
                now.insert(&fact.node, mark);
            }
        }
        for node in nodes {
            if let Some(mark) = now.remove(node)
                && before.get(node) != Some(&mark)
            {
                before.insert(node, mark);
                changes.push((place, node));
            }
        }
    }
    changes
}

/// Says how an attempt ended.
fn ending(kind: &Kind) -> Option<String> {
    match kind {
        // That it has its tunnel already is no news.
        Kind::DialFailed {
            cause: Cause::Claimed,
            ..
        } => None,
        Kind::DialFailed { stage, error, .. } => Some(format!("{stage}: {error}")),
        Kind::Claimed {
            proxy, balancer, ..
        } => Some(format!("{proxy} by {balancer:?}")),
        Kind::VisitAnswered(answered) => {
            Some(format!("{} by {:?}", answered.status, answered.balancer))
        }
        Kind::VisitFailed { reason, .. } => Some(format!("{reason}")),
        _ => None,
    }
}
