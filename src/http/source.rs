//! What is shown: the journal of one run and what it is read with, live or played.
//!
//! Everything that answers a `GET` of state is a function of a source, so a running lab, a finished
//! simulation and the bundle of either show the same.

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::journal::Journal;
use crate::lab::Lab;
use crate::lab::report::Mode;
use crate::lab::stage::{Listed, Run};
use crate::model::places::{Places, Subject};
use crate::model::topology::Topology;
use crate::policy::answer::Rules;

/// One run, as it is shown.
#[derive(Clone)]
pub struct Source {
    /// Its facts and states.
    pub journal: Journal,
    /// What is told of its scenario, beside the run.
    pub scenario: Option<Arc<Listed>>,
    /// What it is made of.
    pub topology: Arc<Topology>,
    /// Where each key of its files stands.
    pub places: Arc<Places>,
    /// What DNS answers by, now; without it there are no zones to show.
    pub rules: Option<Arc<ArcSwap<Rules>>>,
    /// Where DNS listens.
    pub dns: SocketAddr,
    /// On which clock.
    pub mode: Mode,
    /// When it started, in microseconds since 1970; a simulation never did.
    pub started_unix_us: Option<u64>,
    /// Whether nothing can be changed through the page.
    pub read_only: bool,
}

impl Source {
    /// Shows a running lab.
    pub fn live(lab: &Lab) -> Self {
        Self {
            places: Arc::clone(lab.places()),
            rules: Some(Arc::clone(lab.shared_rules())),
            dns: lab.dns(),
            mode: Mode::Live,
            started_unix_us: Some(lab.started_unix_us()),
            ..Self::of(lab.journal().clone(), Arc::clone(lab.topology()))
        }
    }

    /// Shows a run in virtual time.
    pub fn played(run: &Run) -> Self {
        Self {
            scenario: Some(Arc::clone(&run.scenario)),
            places: Arc::clone(&run.places),
            rules: Some(Arc::clone(&run.rules)),
            ..Self::of(run.journal.clone(), Arc::clone(&run.topology))
        }
    }

    /// Shows a journal with nothing beside it, as a run in virtual time is without its rules.
    pub fn of(journal: Journal, topology: Arc<Topology>) -> Self {
        Self {
            journal,
            scenario: None,
            places: Arc::default(),
            rules: None,
            dns: topology.dns.listen,
            mode: Mode::Virtual,
            started_unix_us: None,
            read_only: false,
            topology,
        }
    }

    /// Gives the file of its scenario.
    pub fn file(&self) -> Option<String> {
        let keys = self.places.keys(&Subject::Scenario)?;
        Some(keys.file().display().to_string())
    }

    /// Gives what DNS answers by now.
    pub fn rules(&self) -> Option<Arc<Rules>> {
        self.rules.as_ref().map(|rules| rules.load_full())
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source")
            .field("name", &self.topology.name)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}
