//! What was done to a lab during a run, and what an operator should know of it.
//!
//! In go the facts of a run; what is kept is bounded, and what was left out is counted.

use std::collections::BTreeSet;

use crate::model::fact::{Act, Fact, Kind};
use crate::model::id::Node;
use crate::model::time::Time;

/// How many events and how many findings are kept; a timeline that does more is a load test, whose
/// report nobody reads line by line.
pub const EVENTS_MAX: usize = 200;

/// The story of one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Story {
    /// When everything was ready.
    pub ready: Option<Time>,
    /// What was done, in order.
    pub events: Vec<Event>,
    /// How many events more there were.
    pub events_more: u64,
    /// What an operator should know, each once for a node.
    pub findings: Vec<Noted>,
    /// Who was put to rest and may be started again.
    resting: BTreeSet<Node>,
    ended: bool,
}

/// Something that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, on the lab's clock.
    pub at: Time,
    /// To or by whom.
    pub node: Node,
    /// What, in words.
    pub text: String,
}

/// A finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    /// Its identifier.
    pub id: &'static str,
    /// Whom it is about.
    pub node: Node,
    /// The case in words.
    pub detail: String,
}

impl Story {
    /// Takes one more fact.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "most kinds are what the lab does by itself"
    )]
    pub fn fold(&mut self, fact: &Fact) {
        if self.ended {
            return;
        }
        match &fact.kind {
            Kind::Ready => self.ready = self.ready.or(Some(fact.at)),
            Kind::RunEnded { .. } => {
                self.add(fact);
                self.ended = true;
            }
            Kind::Operated { act } => {
                let begins = *act == Act::Start;
                // The first start of a node is the lab's own beginning.
                if begins && !self.resting.remove(&fact.node) {
                    return;
                }
                if !begins {
                    self.resting.insert(fact.node.clone());
                }
                self.add(fact);
            }
            Kind::CertificateChanged { .. }
            | Kind::FaultLifted { .. }
            | Kind::FaultSet { .. }
            | Kind::Reloaded { .. }
            | Kind::ReloadRefused { .. }
            | Kind::Roamed { .. } => self.add(fact),
            Kind::Finding { id, detail } => {
                let (node, detail) = (fact.node.clone(), detail.clone());
                let noted = Noted { id, node, detail };
                let same = |own: &Noted| own.id == noted.id && own.node == noted.node;
                // What was seen to happen says more than what was foretold.
                match self.findings.iter().position(same) {
                    Some(place) => self.findings[place] = noted,
                    None if self.findings.len() < EVENTS_MAX => self.findings.push(noted),
                    None => {}
                }
            }
            _ => {}
        }
    }

    fn add(&mut self, fact: &Fact) {
        if self.events.len() == EVENTS_MAX {
            self.events_more += 1;
            return;
        }
        let (at, node, text) = (fact.at, fact.node.clone(), fact.kind.to_string());
        self.events.push(Event { at, node, text });
    }
}
