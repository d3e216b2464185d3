//! One run, played and judged: what `run` and `sim` share.
//!
//! In go a scenario and a clock, live or virtual; out comes a report. Facts are judged as they are
//! made, so the journal's bound does not touch the verdicts; a run that was not seen whole, or not
//! played whole, is inconclusive at best.

use std::future::Future;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::Lab;
use super::conduct::Conductor;
use super::load::{Loaded, load};
use super::parity::{self, Compared, Decisions, Differs};
use super::report::{Ending, Mode, Report, Story, Summary};
use crate::judge::{Digest, Judge, Outcome, Verdict};
use crate::live::clock::Clock;
use crate::model::draw::Seed;
use crate::model::fact::{Fact, Kind};
use crate::model::mistake::{Files, Place};
use crate::model::time::{Span, Time};
use crate::model::topology::Topology;
use crate::policy::conductor::{PLAYED, UNPLAYED};
use crate::sim::{self, Order};

/// Why a run ends whose verdict cannot get better.
const ABORTED: &str = "an expectation that ends the run has failed";

/// Why a run ends that somebody ended.
const INTERRUPTED: &str = "interrupted";

/// A run that is being judged.
#[derive(Debug)]
pub struct Trial {
    topology: Arc<Topology>,
    judge: Judge,
    digest: Digest,
    story: Story,
    facts: u64,
    ready: Option<Time>,
    newest: Time,
    /// When and why it ended.
    ended: Option<(Time, &'static str)>,
    /// Whether facts were missed.
    gap: bool,
}

/// What a report is made of beside the facts.
struct Played<'a> {
    path: &'a Path,
    mode: Mode,
    summary: Summary,
}

impl Trial {
    /// Makes a trial of what a topology expects.
    pub fn new(topology: &Arc<Topology>) -> Self {
        Self {
            judge: Judge::new(topology),
            topology: Arc::clone(topology),
            digest: Digest::default(),
            story: Story::default(),
            facts: 0,
            ready: None,
            newest: Time::ZERO,
            ended: None,
            gap: false,
        }
    }

    /// Takes one more fact.
    pub fn fold(&mut self, fact: &Fact) {
        if self.ended.is_some() {
            return;
        }
        self.judge.fold(fact);
        // How long a check took is no decision; what the doors made of it is one.
        if !matches!(fact.kind, Kind::Checked { .. }) {
            self.digest.fold(fact);
        }
        self.story.fold(fact);
        self.facts += 1;
        self.newest = self.newest.max(fact.at);
        if fact.kind == Kind::Ready {
            self.ready = self.ready.or(Some(fact.at));
        }
        if let Kind::RunEnded { why } = fact.kind {
            self.ended = Some((fact.at, why));
        }
    }

    /// Tells whether an expectation has failed that is to end the run.
    pub const fn aborts(&self) -> bool {
        self.judge.abort().is_some()
    }

    /// Gives what it came to.
    fn report(&self, played: Played<'_>) -> Report {
        let why = self.ended.map(|(_, why)| why);
        let ending = match (why, self.judge.abort()) {
            (Some(INTERRUPTED), _) => Ending::Interrupted,
            (Some(ABORTED), Some(index)) => Ending::Aborted(index),
            _ => Ending::Played,
        };
        let mut verdicts = self.judge.verdicts();
        let open = match why {
            _ if self.gap => Some("facts were lost before they could be judged"),
            None => Some("the run broke off before its end"),
            Some(PLAYED | ABORTED | INTERRUPTED) => None,
            Some(UNPLAYED) => Some(UNPLAYED),
            Some(why) => Some(why),
        };
        if let Some(why) = open {
            verdicts.push(whole(verdicts.len(), played.path, why));
        }
        let Played {
            path,
            mode,
            mut summary,
        } = played;
        let end = self.ended.map_or(self.newest, |(at, _)| at);
        summary.lasted = end.since(self.ready.unwrap_or(Time::ZERO));
        summary.facts = self.facts;
        Report {
            path: path.to_path_buf(),
            name: self.topology.name.clone(),
            seed: self.topology.seed,
            mode,
            ending,
            verdicts,
            digest: (mode == Mode::Virtual).then(|| self.digest.value()),
            summary,
            story: self.story.clone(),
        }
    }
}

/// What nobody writes down and every run is expected to be.
fn whole(index: usize, path: &Path, why: &str) -> Verdict {
    Verdict {
        index,
        text: "the run is played and seen as a whole".into(),
        place: Place {
            file: path.to_path_buf(),
            line: 1,
            column: 1,
        },
        outcome: Outcome::Inconclusive,
        why: why.to_owned(),
        evidence: 0,
        needed: 1,
        measured: String::new(),
        value: None,
        examples: Vec::new(),
        abort: false,
    }
}

/// Plays a lab that has just started, live, until its time is over, an expectation ends it, or
/// `interrupted` comes. The error is what the lab could not do of the timeline, in words.
pub async fn play(
    lab: &Arc<Lab>,
    conductor: &Conductor,
    path: &Path,
    interrupted: impl Future<Output = ()>,
) -> Result<Report, Vec<String>> {
    let clock = Clock::start();
    let trial = Arc::new(Mutex::new(Trial::new(lab.topology())));
    let aborts = Arc::new(Notify::new());
    let (judging, telling) = (Arc::clone(&trial), Arc::clone(&aborts));
    let seen = lab.journal().observe(move |fact| {
        let mut trial = lock(&judging);
        trial.fold(fact);
        // Only told: whoever makes a fact holds locks that the conductor needs.
        if trial.aborts() {
            telling.notify_one();
        }
    });
    lock(&trial).gap = !seen;
    conductor.begin();
    tokio::pin!(interrupted);
    let why = tokio::select! {
        () = conductor.ended() => None,
        () = aborts.notified() => Some(ABORTED),
        () = &mut interrupted => Some(INTERRUPTED),
    };
    if let Some(why) = why {
        conductor.end(why);
        conductor.ended().await;
    }
    let failures = conductor.failures();
    if !failures.is_empty() {
        return Err(failures);
    }
    let played = Played {
        path,
        mode: Mode::Live,
        summary: Summary {
            wall: clock.now().since(Time::ZERO),
            ..Summary::default()
        },
    };
    let trial = lock(&trial);
    Ok(trial.report(played))
}

fn lock(trial: &Mutex<Trial>) -> MutexGuard<'_, Trial> {
    trial.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a simulation is given beside the scenario.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// Another seed than the scenario's own.
    pub seed: Option<Seed>,
    /// The order of a recorded run, to be held to.
    pub follow: Option<Order>,
}

/// Plays a scenario in virtual time, held to the order of a recorded run, and compares what both
/// decided; `live` are the facts of that run.
pub fn follow(
    loaded: &Loaded,
    source: (&Path, &(dyn Files + Send + Sync)),
    (order, live): (Order, &[Fact]),
    interrupted: &AtomicBool,
) -> (Report, Result<Compared, Differs>) {
    let ready = order.ready;
    let lasted = live.last().map_or(Span::ZERO, |fact| fact.at.since(ready));
    let lasted = lasted.min(loaded.topology.duration);
    let mut simulated = Decisions::default();
    let mut see = |fact: &Fact| {
        // The server's answers are no call of a machine, so that a recording does not hold them.
        if fact.at <= Time::ZERO + lasted && !matches!(fact.kind, Kind::DnsAnswered(_)) {
            simulated.add(fact);
        }
    };
    let given = Given {
        seed: None,
        follow: Some(order),
    };
    let report = play_virtually(loaded, source, (given, &mut see), interrupted);
    let live = Decisions::of(live, ready + lasted);
    (report, parity::compare(&live, &simulated))
}

/// Plays a scenario in virtual time until it is over or `interrupted` is set.
pub fn simulate(
    loaded: &Loaded,
    source: (&Path, &(dyn Files + Send + Sync)),
    given: Given,
    interrupted: &AtomicBool,
) -> Report {
    play_virtually(loaded, source, (given, &mut |_| {}), interrupted)
}

/// Plays a scenario as [`simulate`] does, and shows each fact as it is made.
pub fn simulate_seen(
    loaded: &Loaded,
    source: (&Path, &(dyn Files + Send + Sync)),
    (given, see): (Given, &mut dyn FnMut(&Fact)),
    interrupted: &AtomicBool,
) -> Report {
    play_virtually(loaded, source, (given, see), interrupted)
}

fn play_virtually(
    loaded: &Loaded,
    (path, files): (&Path, &(dyn Files + Send + Sync)),
    (given, see): (Given, &mut dyn FnMut(&Fact)),
    interrupted: &AtomicBool,
) -> Report {
    let Given { seed, follow } = given;
    let clock = Clock::start();
    let mut topology = loaded.topology.clone();
    topology.seed = seed.unwrap_or(topology.seed);
    let topology = Arc::new(topology);
    let rules = loaded.rules.clone().with_topology(Arc::clone(&topology));
    let reload = || load(path, files).map(|loaded| loaded.rules);
    let mut trial = Trial::new(&topology);
    let mut observe = |fact: &Fact, _: &_| {
        trial.fold(fact);
        see(fact);
        if trial.ended.is_some() {
            ControlFlow::Continue(())
        } else if interrupted.load(Ordering::Relaxed) {
            ControlFlow::Break(INTERRUPTED)
        } else if trial.aborts() {
            ControlFlow::Break(ABORTED)
        } else {
            ControlFlow::Continue(())
        }
    };
    let options = sim::Options {
        follow,
        ..sim::Options::new(&reload)
    };
    let done = sim::run(&topology, rules, options, &mut observe);
    let wall = clock.now().since(Time::ZERO);
    let played = Played {
        path,
        mode: Mode::Virtual,
        summary: Summary {
            lasted: Span::ZERO,
            wall,
            facts: 0,
            events: done.events.into_iter().collect(),
            bytes_per_agent: done.bytes_per_agent,
        },
    };
    let mut report = trial.report(played);
    if let (Some(left), Some(verdict)) = (done.diverged, report.verdicts.last_mut()) {
        verdict.why = format!(
            "{}: after {} arrivals at balancer/{} none came like that at {}",
            verdict.why, left.after, left.balancer, left.expected.at
        );
    }
    report
}
