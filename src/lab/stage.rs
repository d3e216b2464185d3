//! What may be played from a running lab: its own timeline, live, and scenarios in virtual time.
//!
//! In go the wishes of whoever looks; out come the scenarios that there are, and runs, each with a
//! journal of its own. A live run is the lab's: this only begins, steps and ends it. A virtual one has
//! a thread of its own; one is played at a time, and the last [`RUNS_MAX`] are held.

mod list;
mod run;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Lab;
use super::conduct::Conductor;
use super::load::load;
use crate::live::clock::Clock;
use crate::model::draw::Seed;
use crate::model::mistake::Mistake;
use crate::model::time::{Span, Time};

pub use self::list::{Content, Listed, SCENARIOS_MAX};
pub use self::run::{FACTS_MAX, Run, State};

/// How many virtual runs are held; each has up to [`FACTS_MAX`] facts.
pub const RUNS_MAX: usize = 8;

/// Why a live run ends that somebody stopped.
pub const STOPPED: &str = "stopped by hand";

/// How long the list of scenarios stands: it is asked for often while a run is looked at.
const LIST_FOR: Span = Span::from_secs(5);

/// The stage of a running lab.
pub struct Stage {
    lab: Arc<Lab>,
    conductor: Conductor,
    embedded: bool,
    clock: Clock,
    runs: Mutex<Runs>,
    listed: Mutex<Option<(Time, Arc<Vec<Listed>>)>>,
    /// One live run begins once.
    beginning: Mutex<()>,
}

#[derive(Default)]
struct Runs {
    held: Vec<Arc<Run>>,
    last: u64,
}

/// Why a run was not begun, stepped or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It cannot be now; a sentence with what can.
    #[error("{0}")]
    Not(String),
    /// The scenario has mistakes.
    #[error("the scenario has mistakes")]
    Mistakes(Vec<Mistake>),
    /// There is no such scenario or run.
    #[error("there is no {0}")]
    Unknown(String),
}

impl Stage {
    /// Makes the stage of a lab; `embedded` tells whether its files are those of the binary.
    pub fn new(lab: Arc<Lab>, conductor: Conductor, embedded: bool) -> Self {
        Self {
            lab,
            conductor,
            embedded,
            clock: Clock::start(),
            runs: Mutex::default(),
            listed: Mutex::default(),
            beginning: Mutex::default(),
        }
    }

    /// Gives the file of the scenario that runs, unless it is the binary's own.
    pub fn file(&self) -> Option<String> {
        (!self.embedded).then(|| self.lab.path.display().to_string())
    }

    /// Gives the lab.
    pub fn lab(&self) -> &Arc<Lab> {
        &self.lab
    }

    /// Gives the scenarios that may be played, that of the lab first. A list stands for some seconds.
    ///
    /// Blocks while files are read: not to be called by an async task itself.
    pub fn scenarios(&self) -> Arc<Vec<Listed>> {
        let mut listed = lock(&self.listed);
        let now = self.clock.now();
        if let Some((at, known)) = &*listed
            && now.since(*at) < LIST_FOR
        {
            return Arc::clone(known);
        }
        let found = list::all(&self.lab.path, self.embedded);
        let found = Arc::new(found.iter().map(list::Source::look).collect::<Vec<_>>());
        *listed = Some((now, Arc::clone(&found)));
        found
    }

    /// Begins a run in virtual time.
    ///
    /// Blocks while files are read: not to be called by an async task itself.
    pub fn begin_virtual(&self, scenario: &str, seed: Option<u64>) -> Result<Arc<Run>, Refused> {
        let source = self.find(scenario)?;
        let loaded = load(&source.path, &*source.files).map_err(Refused::Mistakes)?;
        let loaded = match seed {
            Some(seed) => loaded.with_seed(Seed(seed)),
            None => loaded,
        };
        let mut runs = lock(&self.runs);
        let mut open = runs.held.iter();
        if let Some(open) = open.find(|run| run.state() == State::Running) {
            return Err(Refused::Not(format!(
                "run {} is being played, and one is at a time; stop it, or wait for its end",
                open.id
            )));
        }
        runs.last += 1;
        let id = runs.last.to_string();
        let run = Run::start(id, source, loaded)
            .map_err(|error| Refused::Not(format!("no thread could be started: {error}")))?;
        if runs.held.len() == RUNS_MAX {
            runs.held.remove(0);
        }
        runs.held.push(Arc::clone(&run));
        Ok(run)
    }

    /// Begins the lab's own timeline, once.
    pub fn begin_live(&self, scenario: &str) -> Result<(), Refused> {
        let path = self.find(scenario)?.path;
        if path != self.lab.path {
            return Err(Refused::Not(format!(
                "this lab runs {}; another scenario is run live by `twodoors run {}`",
                self.lab.topology().name,
                path.display()
            )));
        }
        let _one = lock(&self.beginning);
        if let Some((began, _)) = self.lab.journal().ask(|state| state.run) {
            return Err(Refused::Not(format!(
                "the timeline of this lab began at {began} s, and a lab plays it once; start the \
                 lab anew, or play it in virtual time"
            )));
        }
        self.conductor.begin();
        Ok(())
    }

    /// Lets the next step of the live run's timeline begin now.
    pub fn step_live(&self) -> Result<(), Refused> {
        self.goes_on()?;
        if self.conductor.step() {
            return Ok(());
        }
        let why = "no step of the timeline waits: each has begun";
        Err(Refused::Not(String::from(why)))
    }

    /// Ends the live run.
    pub fn stop_live(&self) -> Result<(), Refused> {
        self.goes_on()?;
        self.conductor.end(STOPPED);
        Ok(())
    }

    fn goes_on(&self) -> Result<(), Refused> {
        let (began, ended) = self
            .lab
            .journal()
            .ask(|state| (state.run.is_some(), state.ended.is_some()));
        match (began, ended) {
            (true, false) => Ok(()),
            (false, _) => Err(Refused::Not(String::from("no live run has begun"))),
            (true, true) => Err(Refused::Not(String::from("the live run is over"))),
        }
    }

    /// Gives the virtual runs that are held, oldest first.
    pub fn runs(&self) -> Vec<Arc<Run>> {
        lock(&self.runs).held.clone()
    }

    /// Finds a virtual run.
    pub fn run(&self, id: &str) -> Result<Arc<Run>, Refused> {
        let runs = lock(&self.runs);
        let found = runs.held.iter().find(|run| run.id == id).cloned();
        let gone = id.parse::<u64>().is_ok_and(|id| 0 < id && id <= runs.last);
        found.ok_or_else(|| {
            Refused::Unknown(if gone {
                format!("run {id} any more: the last {RUNS_MAX} are held")
            } else {
                format!("run {id:?}")
            })
        })
    }

    /// Gives the id of the lab's own scenario.
    pub fn current(&self) -> String {
        list::id(&self.lab.path, self.embedded)
    }

    fn find(&self, scenario: &str) -> Result<list::Source, Refused> {
        let all = list::all(&self.lab.path, self.embedded).into_iter();
        let mut found = all.filter(|source| source.id == scenario);
        found.next().ok_or_else(|| {
            Refused::Unknown(format!(
                "scenario {scenario:?}; GET /api/scenarios lists them"
            ))
        })
    }
}

/// Who goes takes the players along.
impl Drop for Stage {
    fn drop(&mut self) {
        lock(&self.runs).held.iter().for_each(|run| run.stop());
    }
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
