//! One run in virtual time, on a thread of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

use arc_swap::ArcSwap;

use super::list::{Listed, Source};
use crate::journal::Journal;
use crate::lab::load::Loaded;
use crate::lab::report::{Ending, Report};
use crate::lab::trial::{self, Given};
use crate::model::fact::Fact;
use crate::model::places::Places;
use crate::model::time::Time;
use crate::model::topology::Topology;
use crate::policy::answer::Rules;

/// How many facts of a run are kept for looking back.
pub const FACTS_MAX: usize = 50_000;

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It was played to its end, or an expectation ended it.
    Ended,
    /// It is being played.
    Running,
    /// Somebody stopped it.
    Stopped,
}

/// A run.
pub struct Run {
    /// Its number.
    pub id: String,
    /// What is told of its scenario.
    pub scenario: Arc<Listed>,
    /// What is played, with its seed.
    pub topology: Arc<Topology>,
    /// Where each key of its files stands.
    pub places: Arc<Places>,
    /// What DNS answered by when it began.
    pub rules: Arc<ArcSwap<Rules>>,
    /// What happened.
    pub journal: Journal,
    told: AtomicBool,
    /// What came of it; `None` for a run that broke off.
    done: OnceLock<Option<Report>>,
}

impl Run {
    /// Starts to play.
    pub(super) fn start(id: String, source: Source, loaded: Loaded) -> std::io::Result<Arc<Self>> {
        let scenario = Arc::new(source.listed(Ok(&loaded)));
        let Source { path, files, .. } = source;
        let topology = Arc::new(loaded.topology.clone());
        let run = Arc::new(Self {
            id,
            scenario,
            journal: Journal::keeping(&topology, FACTS_MAX),
            places: Arc::new(loaded.places.clone()),
            rules: Arc::new(ArcSwap::from_pointee(loaded.rules.clone())),
            topology,
            told: AtomicBool::new(false),
            done: OnceLock::new(),
        });
        let own = Arc::clone(&run);
        thread::Builder::new()
            .name(format!("virtual run {}", run.id))
            .spawn(move || {
                let mut see = |fact: &Fact| {
                    own.journal.add(fact.at, &fact.node, [fact.kind.clone()]);
                };
                let source = (&*path, &*files);
                let play = || {
                    let given = (Given::default(), &mut see as &mut dyn FnMut(&Fact));
                    trial::simulate_seen(&loaded, source, given, &own.told)
                };
                // A fault of the simulator is this run's end, not that of the lab beside it.
                let played = catch_unwind(AssertUnwindSafe(play)).ok();
                let _first = own.done.set(played);
            })?;
        Ok(run)
    }

    /// Tells it to end; it does so at its next fact.
    pub fn stop(&self) {
        self.told.store(true, Ordering::Relaxed);
    }

    /// Gives how far it is.
    pub fn state(&self) -> State {
        match self.done.get() {
            None => State::Running,
            Some(Some(report)) if report.ending == Ending::Interrupted => State::Stopped,
            Some(_) => State::Ended,
        }
    }

    /// Gives the report, once there is one.
    pub fn report(&self) -> Option<&Report> {
        self.done.get()?.as_ref()
    }

    /// Gives what came of it, in a word.
    pub fn outcome(&self) -> Option<&'static str> {
        match self.done.get()? {
            Some(report) if report.ending == Ending::Interrupted => None,
            Some(report) => Some(report.outcome().word()),
            None => Some("broke off"),
        }
    }

    /// Gives the instant that it has come to, and how much of the whole that is.
    pub fn progress(&self) -> (Time, f64) {
        let at = self.journal.ask(|state| state.at);
        if self.state() == State::Ended {
            return (at, 1.0);
        }
        let whole = self.topology.duration.as_us().max(1);
        #[expect(clippy::cast_precision_loss, reason = "a share to be drawn")]
        let share = at.as_us() as f64 / whole as f64;
        (at, share.min(1.0))
    }
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
