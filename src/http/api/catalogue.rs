//! The faults that a lab can have, with where and how much.

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::topology::Topology;
use crate::scenario::fault::{self, TARGETS_MAX, Word};

/// How long a fault lasts that the page sets, unless somebody says otherwise: it ends by itself.
const LASTS_US: u64 = 30_000_000;

/// The answer to `GET /api/faults/catalogue`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Catalogue {
    /// The faults that have a target in this lab, by word.
    pub words: Vec<FaultWord>,
}

/// A kind of fault.
#[derive(Debug, Serialize, ToSchema)]
pub struct FaultWord {
    /// The word.
    pub word: &'static str,
    /// A heading.
    pub title: &'static str,
    /// What it does.
    pub text: &'static str,
    /// Where it can act, at most so many; any other target that the lab takes may be typed.
    pub targets: Vec<String>,
    /// How much; null where there is no dose.
    pub by: Option<Dose>,
    /// The views that may answer instead; null where none does.
    pub to: Option<Vec<String>>,
    /// How long unless told.
    pub duration_default_us: u64,
}

/// How much.
#[derive(Debug, Serialize, ToSchema)]
pub struct Dose {
    /// What is written after the number: `ms`.
    pub unit: &'static str,
    /// The least.
    pub min: u32,
    /// The most that the page offers.
    pub max: u32,
    /// From one offer to the next.
    pub step: u32,
    /// What is offered first.
    pub default: u32,
    /// Whether it must be said.
    pub required: bool,
}

impl Catalogue {
    /// Writes what this lab can have.
    pub fn new(topology: &Topology) -> Self {
        let views = topology.dns.views.iter();
        let views: Vec<String> = views.map(|view| view.name.to_string()).collect();
        let words = fault::CATALOGUE.iter().filter_map(|known| {
            let Word {
                word,
                title,
                text,
                dose,
            } = known;
            let flips = *word == "view_flip";
            let targets = fault::targets(topology, word, TARGETS_MAX);
            if targets.is_empty() || (flips && views.len() < 2) {
                return None;
            }
            Some(FaultWord {
                word,
                title,
                text,
                targets,
                by: dose.map(|dose| Dose {
                    unit: dose.unit,
                    min: 1,
                    max: dose.max,
                    step: dose.step,
                    default: dose.default,
                    required: true,
                }),
                to: flips.then(|| views.clone()),
                duration_default_us: LASTS_US,
            })
        });
        Self {
            words: words.collect(),
        }
    }
}
