//! What happened between two instants, on one axis.

use serde::Serialize;
use utoipa::ToSchema;

use super::Place;
use crate::http::source::Source;
use crate::judge::watch::Turn;
use crate::model::fact::Fact;
use crate::model::places::Subject;
use crate::model::time::Time;
use crate::model::timeline::{Begin, Step};
use crate::policy::conductor::PLAYED;
use crate::snapshot::history::{FaultSpan, History, Lane, Rest, severity};
use crate::snapshot::{Snapshot, StepState, journey};

/// The answer to `GET /api/timeline`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Timeline {
    /// From when it tells.
    pub from_us: u64,
    /// Until when.
    pub to_us: u64,
    /// The instant of the oldest state that can be looked at.
    pub oldest_us: u64,
    /// The instant of the newest fact.
    pub at_us: u64,
    /// When everything listened.
    pub ready_us: Option<u64>,
    /// When the timeline began to be played.
    pub began_us: Option<u64>,
    /// When the run ended.
    pub ended_us: Option<u64>,
    /// When it is over at the latest; null for a lab that plays no run.
    pub ends_us: Option<u64>,
    /// The faults, oldest first.
    pub faults: Vec<FaultBand>,
    /// Who was stopped, killed or drained, oldest first.
    pub rests: Vec<RestBand>,
    /// The steps of the scenario, in the order of the file.
    pub steps: Vec<PlayedStep>,
    /// What is expected, in the order of the file.
    pub expectations: Vec<Ticks>,
    /// Decisions.
    pub lanes: Vec<LaneMarks>,
    /// Counts over the whole.
    pub rates: TimelineRates,
}

/// A fault and how long it was in force.
#[derive(Debug, Serialize, ToSchema)]
pub struct FaultBand {
    /// Its number.
    pub id: u64,
    /// Where.
    pub target: String,
    /// In words.
    pub text: String,
    /// When it was set.
    pub from_us: u64,
    /// When it was or will be lifted; null for one that is there until it is lifted.
    pub to_us: Option<u64>,
    /// Whether it is over.
    pub lifted: bool,
}

/// A node at rest.
#[derive(Debug, Serialize, ToSchema)]
pub struct RestBand {
    /// Who.
    pub node: String,
    /// By which act: `drain`, `kill` or `stop`.
    pub act: &'static str,
    /// Since when.
    pub from_us: u64,
    /// Until when; null while it lasts.
    pub to_us: Option<u64>,
}

/// A step of the scenario.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlayedStep {
    /// Its place in the timeline, from 0.
    pub index: usize,
    /// When it began, or is to begin as far as that is known.
    pub at_us: Option<u64>,
    /// When it ended.
    pub ended_us: Option<u64>,
    /// In words.
    pub text: String,
    /// Where it is written.
    pub place: Option<Place>,
    /// `waiting`, `playing`, `done` or `failed`.
    pub state: &'static str,
}

/// An expectation and how it turned.
#[derive(Debug, Serialize, ToSchema)]
pub struct Ticks {
    /// Its place in the scenario's list, from 0.
    pub index: usize,
    /// As it was written.
    pub text: String,
    /// Where it was written.
    pub place: Option<Place>,
    /// How it stands now.
    pub state: &'static str,
    /// How it turned, oldest first.
    pub ticks: Vec<Tick>,
}

/// A turn of an expectation, or one more fact against it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tick {
    /// When.
    pub at_us: u64,
    /// How it stands from then on.
    pub state: &'static str,
    /// In words.
    pub text: String,
}

/// Decisions of one kind of node.
#[derive(Debug, Serialize, ToSchema)]
pub struct LaneMarks {
    /// `scenario`, `dns`, `balancers`, `proxies`, `agents` or `users`.
    pub lane: &'static str,
    /// Those that are shown, oldest first.
    pub marks: Vec<Mark>,
    /// How many there were more.
    pub more: usize,
}

/// A decision.
#[derive(Debug, Serialize, ToSchema)]
pub struct Mark {
    /// Its fact.
    pub seq: u64,
    /// When.
    pub at_us: u64,
    /// Whose.
    pub node: String,
    /// Its kind, as the fact has it.
    pub kind: &'static str,
    /// In words.
    pub text: String,
    /// `ok`, `notice` or `bad`.
    pub severity: &'static str,
    /// The dial or visit that it belongs to, by which its way is asked for.
    pub request: Option<u64>,
}

/// Counts in buckets.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimelineRates {
    /// The length of each.
    pub step_us: u64,
    /// The beginning of the first.
    pub from_us: u64,
    /// DNS answers.
    pub dns: Vec<u64>,
    /// Flows let in.
    pub flows: Vec<u64>,
    /// Visits and dials that failed.
    pub failures: Vec<u64>,
}

impl Timeline {
    /// Tells what happened from one instant to another: what is held, unless told otherwise.
    pub fn new(source: &Source, from: Option<Time>, to: Option<Time>) -> Self {
        let held = source.journal.held();
        let (state, now) = (&held.now.state, held.now.state.at);
        let (_, oldest) = held.now.oldest;
        let from = from.unwrap_or(oldest).max(oldest);
        let ends = state.run.map(|(_, ends)| ends);
        let whole = ends.filter(|_| state.ended.is_none());
        let to = to.unwrap_or_else(|| whole.map_or(now, |ends| ends.max(now)));
        let to = to.max(from);
        let mut history = History::new(&held.base, from, to);
        held.facts.iter().for_each(|fact| history.fold(fact));
        history.trim();
        Self {
            from_us: from.as_us(),
            to_us: to.as_us(),
            oldest_us: oldest.as_us(),
            at_us: now.as_us(),
            ready_us: state.ready.map(Time::as_us),
            began_us: state.run.map(|(began, _)| began.as_us()),
            ended_us: state.ended.map(|(at, _)| at.as_us()),
            ends_us: ends.map(Time::as_us),
            faults: history.faults.iter().map(FaultBand::new).collect(),
            rests: history.rests.iter().map(RestBand::new).collect(),
            steps: steps(source, state),
            expectations: held
                .now
                .stands
                .iter()
                .map(|stand| Ticks {
                    index: stand.index,
                    text: stand.text.to_string(),
                    place: Some(Place::new(&stand.place)),
                    state: stand.state.word(),
                    ticks: ticks(&held.turns, stand.index, (from, to)),
                })
                .collect(),
            lanes: Lane::ALL
                .iter()
                .map(|lane| LaneMarks::new(&history, *lane))
                .collect(),
            rates: TimelineRates {
                step_us: history.rates.step.as_us(),
                from_us: history.rates.from.as_us(),
                dns: history.rates.dns,
                flows: history.rates.flows,
                failures: history.rates.failures,
            },
        }
    }
}

impl FaultBand {
    fn new(span: &FaultSpan) -> Self {
        Self {
            id: span.id.0,
            target: span.what.target.to_string(),
            text: span.what.to_string(),
            from_us: span.from.as_us(),
            to_us: span.to.map(Time::as_us),
            lifted: span.lifted,
        }
    }
}

impl RestBand {
    fn new(rest: &Rest) -> Self {
        Self {
            node: rest.node.to_string(),
            act: rest.act.word(),
            from_us: rest.from.as_us(),
            to_us: rest.to.map(Time::as_us),
        }
    }
}

impl LaneMarks {
    fn new(history: &History, lane: Lane) -> Self {
        let (marks, more) = history.marks(lane);
        Self {
            lane: lane.word(),
            marks: marks.into_iter().map(|fact| Mark::new(fact)).collect(),
            more,
        }
    }
}

impl Mark {
    fn new(fact: &Fact) -> Self {
        Self {
            seq: fact.seq.0,
            at_us: fact.at.as_us(),
            node: fact.node.to_string(),
            kind: super::fact::word(&fact.kind),
            text: fact.kind.to_string(),
            severity: severity(fact).map_or("ok", |severity| severity.word()),
            request: journey::number_of(&fact.kind),
        }
    }
}

fn ticks(turns: &[Turn], index: usize, (from, to): (Time, Time)) -> Vec<Tick> {
    let own = turns.iter().filter(|turn| turn.index == index);
    let shown = own.filter(|turn| from <= turn.at && turn.at <= to);
    shown
        .map(|turn| Tick {
            at_us: turn.at.as_us(),
            state: turn.state.word(),
            text: turn.text.clone(),
        })
        .collect()
}

fn steps(source: &Source, state: &Snapshot) -> Vec<PlayedStep> {
    let steps = source.topology.timeline.iter().zip(&state.steps);
    let steps = steps.enumerate().map(|(index, (step, played))| {
        let key = format!("timeline[{index}]");
        let place = source.places.place(&Subject::Scenario, &key);
        PlayedStep {
            index,
            at_us: began(step, *played, state).map(Time::as_us),
            ended_us: played.ended.map(Time::as_us),
            text: step.text.to_string(),
            place: place.as_ref().map(Place::new),
            state: word(*played, state),
        }
    });
    steps.collect()
}

/// Gives when a step began; one with an instant of its own has that before.
fn began(step: &Step, played: StepState, state: &Snapshot) -> Option<Time> {
    played.began.or_else(|| match step.begin {
        Begin::At(span) => {
            let (began, _) = state.run?;
            Some(began + span)
        }
        Begin::Then(_) | Begin::When(..) => None,
    })
}

fn word(played: StepState, state: &Snapshot) -> &'static str {
    match (played, state.ended) {
        (StepState { ended: Some(_), .. }, _) => "done",
        // Steps that last longer than the run are cut off by its end, which is no failure.
        (StepState { began: Some(_), .. }, Some((_, PLAYED))) => "done",
        (StepState { began: Some(_), .. }, None) => "playing",
        (StepState { began: Some(_), .. }, Some(_)) => "failed",
        (StepState { began: None, .. }, None) => "waiting",
        (StepState { began: None, .. }, Some(_)) => "failed",
    }
}
