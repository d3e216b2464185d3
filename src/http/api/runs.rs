//! Scenarios and runs: what may be played, and what is or was.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Expectation, Place};
use crate::http::source::Source;
use crate::journal::Moment;
use crate::judge::watch::State as Standing;
use crate::lab::found::Found as Known;
use crate::lab::stage::{self, Listed, STOPPED, Stage, State};
use crate::model::mistake::Mistake;
use crate::model::time::{Span, Time};
use crate::policy::findings;

/// The id of the lab's own run.
pub const LIVE: &str = "live";

/// The answer to `GET /api/scenarios`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Scenarios {
    /// The scenario that the lab runs.
    pub current: Current,
    /// That one, those of its folder, and those of the binary.
    pub scenarios: Vec<Scenario>,
    /// The runs, the newest first.
    pub runs: Vec<Run>,
}

/// The scenario that the lab runs.
#[derive(Debug, Serialize, ToSchema)]
pub struct Current {
    /// Its name.
    pub name: String,
    /// Its file; null for one of the binary.
    pub file: Option<String>,
    /// Whether it is one of the binary.
    pub embedded: bool,
}

/// A scenario.
#[derive(Debug, Serialize, ToSchema)]
pub struct Scenario {
    /// By which it is run.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its file; null for one of the binary.
    pub file: Option<String>,
    /// What it asks.
    pub question: String,
    /// What is learned from it.
    pub lesson: String,
    /// How many steps its timeline has.
    pub steps: usize,
    /// How much it expects.
    pub expectations: usize,
    /// How long a run lasts; null for one with mistakes.
    pub duration_us: Option<u64>,
    /// What `check` finds in it; its mistakes, if it has some.
    pub findings: Vec<Found>,
}

/// Something that `check` finds.
#[derive(Debug, Serialize, ToSchema)]
pub struct Found {
    /// Its identifier; `mistake` for a mistake.
    pub id: &'static str,
    /// `error`, `warning` or `notice`.
    pub severity: &'static str,
    /// What it is about.
    pub node: Option<String>,
    /// What will happen, or what is wrong.
    pub detail: String,
    /// What would be right.
    pub cure: String,
    /// The key that brings it about.
    pub place: Option<Place>,
    /// What there is to know of findings of this kind, in Markdown.
    pub text: &'static str,
}

/// A run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Played)]
pub struct Run {
    /// Its number, or `live`.
    pub id: String,
    /// The id of its scenario.
    pub scenario: String,
    /// `virtual` or `live`.
    pub mode: &'static str,
    /// `running`, `ended` or `stopped`.
    pub state: &'static str,
    /// How much is played, from 0 to 1.
    pub progress: f64,
    /// The instant that it has come to.
    pub at_us: u64,
    /// `met`, `failed`, `inconclusive` or `broke off`; null before its end.
    pub outcome: Option<&'static str>,
    /// What is expected, as it stands.
    pub verdicts: Vec<Expectation>,
    /// What every draw begins with.
    pub seed: u64,
}

/// The body of `POST /api/runs`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Begin {
    /// The id of a scenario.
    pub scenario: String,
    /// `virtual` or `live`.
    pub mode: String,
    /// Another seed than the scenario's own, of a virtual run.
    pub seed: Option<u64>,
}

impl Scenarios {
    /// Writes what there is where nothing can be played: the scenario of the run that is shown.
    pub fn shown(source: &Source) -> Self {
        let listed = source.scenario.as_deref();
        let file = match listed {
            Some(listed) => listed.file.clone(),
            None => source.file(),
        };
        Self {
            current: Current {
                name: source.topology.name.to_string(),
                embedded: file.is_none(),
                file,
            },
            scenarios: listed.map(Scenario::new).into_iter().collect(),
            runs: Vec::new(),
        }
    }

    /// Writes what there is; blocks while files are read.
    pub fn new(stage: &Stage) -> Self {
        let file = stage.file();
        let virtual_runs = stage.runs().into_iter().rev();
        let virtual_runs = virtual_runs.map(|run| Run::of(&run));
        Self {
            current: Current {
                name: stage.lab().topology().name.to_string(),
                embedded: file.is_none(),
                file,
            },
            scenarios: stage.scenarios().iter().map(Scenario::new).collect(),
            runs: Run::live(stage).into_iter().chain(virtual_runs).collect(),
        }
    }
}

impl Scenario {
    /// Writes what is told of one.
    pub fn new(listed: &Listed) -> Self {
        let content = listed.content.as_ref();
        Self {
            id: listed.id.clone(),
            name: listed.name.clone(),
            file: listed.file.clone(),
            question: listed.intro.question.clone(),
            lesson: listed.intro.lesson.clone(),
            steps: content.map_or(0, |content| content.steps),
            expectations: content.map_or(0, |content| content.expectations),
            duration_us: content.ok().map(|content| content.duration.as_us()),
            findings: match &listed.content {
                Ok(content) => content.findings.iter().map(Found::new).collect(),
                Err(mistakes) => mistakes.iter().map(Found::mistake).collect(),
            },
        }
    }
}

impl Found {
    fn new(known: &Known) -> Self {
        let finding = &known.finding;
        Self {
            id: finding.id,
            severity: finding.severity.word(),
            node: Some(finding.subject.to_string()),
            detail: finding.what.clone(),
            cure: finding.cure.clone(),
            place: known.place.as_ref().map(Place::new),
            text: findings::known(finding.id).map_or("", |known| known.text),
        }
    }

    fn mistake(mistake: &Mistake) -> Self {
        Self {
            id: "mistake",
            severity: "error",
            node: None,
            detail: match &*mistake.path {
                "" => mistake.what.clone(),
                path => format!("{path}: {}", mistake.what),
            },
            cure: mistake.cure.clone(),
            place: Some(Place::new(&mistake.place)),
            text: "",
        }
    }
}

impl Run {
    /// Writes a virtual run.
    pub fn of(run: &stage::Run) -> Self {
        // How far it is comes first: an end that is seen here has all its verdicts.
        let state = run.state();
        let (at, progress) = run.progress();
        let moment = run.journal.now();
        Self {
            id: run.id.clone(),
            scenario: run.scenario.id.clone(),
            mode: "virtual",
            state: match state {
                State::Ended => "ended",
                State::Running => "running",
                State::Stopped => "stopped",
            },
            progress,
            at_us: at.as_us(),
            // Of one moment with the state: the end may come between two looks.
            outcome: (state != State::Running).then(|| run.outcome()).flatten(),
            verdicts: verdicts(&moment),
            seed: run.topology.seed.0,
        }
    }

    /// Writes the lab's own run, if it has begun.
    pub fn live(stage: &Stage) -> Option<Self> {
        let moment = stage.lab().journal().now();
        let (began, ends) = moment.state.run?;
        let ended = moment.state.ended;
        let at = ended.map_or(moment.state.at, |(at, _)| at);
        let stopped = ended.is_some_and(|(_, why)| why == STOPPED);
        let whole = ended.is_some() && !stopped;
        Some(Self {
            id: String::from(LIVE),
            scenario: stage.current(),
            mode: "live",
            state: match ended {
                None => "running",
                Some(_) if stopped => "stopped",
                Some(_) => "ended",
            },
            progress: if whole { 1.0 } else { share(at, (began, ends)) },
            at_us: at.as_us(),
            outcome: whole.then(|| outcome(&moment)),
            verdicts: verdicts(&moment),
            seed: stage.lab().topology().seed.0,
        })
    }
}

fn share(at: Time, (began, ends): (Time, Time)) -> f64 {
    let seconds = |span: Span| std::time::Duration::from(span).as_secs_f64();
    let whole = seconds(ends.since(began));
    if whole > 0.0 {
        (seconds(at.since(began)) / whole).clamp(0.0, 1.0)
    } else {
        1.0
    }
}

fn verdicts(moment: &Moment) -> Vec<Expectation> {
    moment.stands.iter().map(Expectation::new).collect()
}

/// Gives the word for the whole: what failed fails it, and nothing expected leaves it open.
fn outcome(moment: &Moment) -> &'static str {
    let any = |wanted: &[Standing]| {
        moment
            .stands
            .iter()
            .any(|stand| wanted.contains(&stand.state))
    };
    if any(&[Standing::Failed]) {
        "failed"
    } else if moment.stands.is_empty() || any(&[Standing::Waiting, Standing::Inconclusive]) {
        "inconclusive"
    } else {
        "met"
    }
}
