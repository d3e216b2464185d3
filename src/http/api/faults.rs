//! The faults in force, and what a fault that is set by hand is asked for with.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::{FaultAsked, FaultSet};
use crate::model::time::Time;
use crate::snapshot;

/// The answer to `GET /api/faults`: those in force, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Faults {
    /// The faults.
    pub faults: Vec<Fault>,
}

/// A fault in force.
#[derive(Debug, Serialize, ToSchema)]
pub struct Fault {
    /// Its number, by which it is lifted.
    pub id: u64,
    /// In words: `latency 50.0ms on balancer/internal`.
    pub text: String,
    /// The word: `latency`.
    pub word: &'static str,
    /// Where: `balancer/internal`.
    pub target: String,
    /// Since when.
    pub since_us: u64,
    /// When it ends by itself; null for one that is there until it is lifted.
    pub until_us: Option<u64>,
}

/// The body of `POST /api/faults`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetFault {
    /// The word: `latency`.
    word: String,
    /// Where, as a scenario writes it: `network/internal <-> balancer/internal`.
    target: String,
    /// How much, with its unit: `50ms`.
    by: Option<String>,
    /// The other view of `view_flip`.
    to: Option<String>,
    /// How long, with its unit: `30s`.
    r#for: Option<String>,
}

/// The answer to a fault that was set.
#[derive(Debug, Serialize, ToSchema)]
pub struct Set {
    /// Its number.
    pub id: u64,
    /// In words.
    pub text: String,
}

/// The answer to faults that were lifted.
#[derive(Debug, Serialize, ToSchema)]
pub struct Lifted {
    /// How many.
    pub lifted: usize,
}

impl Faults {
    /// Writes the faults in force.
    pub fn new(state: &snapshot::Snapshot) -> Self {
        Self {
            faults: state.faults.iter().map(Fault::new).collect(),
        }
    }
}

impl Fault {
    /// Writes a fault in force.
    pub fn new(fault: &snapshot::FaultState) -> Self {
        Self {
            id: fault.id.0,
            text: fault.what.to_string(),
            word: fault.what.effect.word(),
            target: fault.what.target.to_string(),
            since_us: fault.since.as_us(),
            until_us: fault.until.map(Time::as_us),
        }
    }
}

impl From<SetFault> for FaultAsked {
    fn from(asked: SetFault) -> Self {
        let SetFault {
            word,
            target,
            by,
            to,
            r#for,
        } = asked;
        Self {
            word,
            target,
            by,
            to,
            lasts: r#for,
        }
    }
}

impl From<FaultSet> for Set {
    fn from(set: FaultSet) -> Self {
        Self {
            id: set.id.0,
            text: set.text,
        }
    }
}
