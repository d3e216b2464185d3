//! A report as JSON: the wire types, and the names of their schemas.
//!
//! Within one version fields may be added and never change their meaning. Bare numbers name their
//! unit; instants count from the start of the lab, on the run's own clock.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value as Json;

use super::{Ending, Interval, MET, Report, Series, Told};
use crate::judge::{Example, Verdict};
use crate::model::mistake::Place;
use crate::model::time::{Span, Time};

/// The schema of one run.
pub const SCHEMA: &str = "twodoors/report/1";

/// The schema of several seeds.
pub const SCHEMA_SEEDS: &str = "twodoors/report-seeds/1";

#[derive(Serialize)]
struct Run<'a> {
    schema: &'static str,
    /// True when all is well.
    ok: bool,
    exit_code: u8,
    scenario: String,
    name: &'a str,
    mode: &'static str,
    seed: u64,
    repeat: String,
    ended: &'static str,
    digest: Option<String>,
    /// On the run's own clock, whichever that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    live_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    virtual_seconds: Option<f64>,
    wall_seconds: f64,
    facts: u64,
    events: BTreeMap<&'static str, u64>,
    bytes_per_agent: Option<u64>,
    expectations: Vec<Judged<'a>>,
    /// The instant from which the scenario's own count.
    ready_us: Option<u64>,
    timeline: Vec<Done<'a>>,
    timeline_left_out: u64,
    findings: Vec<Noted<'a>>,
}

#[derive(Serialize)]
struct Judged<'a> {
    text: &'a str,
    file: String,
    line: usize,
    column: usize,
    outcome: &'static str,
    why: &'a str,
    evidence: u64,
    evidence_needed: u64,
    measured: &'a str,
    value: Option<f64>,
    unit: Option<&'static str>,
    examples: Vec<Shown<'a>>,
}

#[derive(Serialize)]
struct Shown<'a> {
    at_us: u64,
    node: String,
    text: &'a str,
}

#[derive(Serialize)]
struct Done<'a> {
    at_us: u64,
    node: String,
    text: &'a str,
}

#[derive(Serialize)]
struct Noted<'a> {
    id: &'static str,
    node: String,
    detail: &'a str,
}

#[derive(Serialize)]
struct Seeds<'a> {
    schema: &'static str,
    ok: bool,
    exit_code: u8,
    scenario: String,
    name: &'a str,
    mode: &'static str,
    /// Of the first run that decided the exit code.
    repeat: Option<String>,
    wall_seconds: f64,
    expectations: Vec<Over<'a>>,
    runs: Vec<One>,
}

#[derive(Serialize)]
struct Over<'a> {
    text: &'a str,
    file: String,
    line: usize,
    column: usize,
    outcome: &'static str,
    met: usize,
    failed: usize,
    inconclusive: usize,
    failed_seeds: &'a [u64],
    inconclusive_seeds: &'a [u64],
    unit: Option<&'static str>,
    value: Option<Numbers>,
}

#[derive(Serialize)]
struct Numbers {
    runs: usize,
    min: f64,
    median: f64,
    max: f64,
    /// The 95 % confidence interval of the median; below six runs there is none.
    median_95: Option<[f64; 2]>,
}

#[derive(Serialize)]
struct One {
    seed: u64,
    exit_code: u8,
    digest: Option<String>,
    virtual_seconds: f64,
    facts: u64,
    outcomes: Vec<&'static str>,
}

impl Report {
    /// Gives it as JSON, schema [`SCHEMA`].
    pub fn json(&self) -> Json {
        let lasted = seconds(self.summary.lasted);
        let live = self.mode == super::Mode::Live;
        let story = &self.story;
        let run = Run {
            schema: SCHEMA,
            ok: self.exit_code() == MET,
            exit_code: self.exit_code(),
            scenario: self.path.display().to_string(),
            name: &self.name,
            mode: self.mode.word(),
            seed: self.seed.0,
            repeat: self.repeat(),
            ended: match self.ending {
                Ending::Aborted(_) => "aborted",
                Ending::Interrupted => "interrupted",
                Ending::Played => "played",
            },
            digest: self.digest_text(),
            live_seconds: live.then_some(lasted),
            virtual_seconds: (!live).then_some(lasted),
            wall_seconds: seconds(self.summary.wall),
            facts: self.summary.facts,
            events: self.summary.events.iter().copied().collect(),
            bytes_per_agent: self.summary.bytes_per_agent,
            expectations: self.verdicts.iter().map(judged).collect(),
            ready_us: story.ready.map(Time::as_us),
            timeline: story
                .events
                .iter()
                .map(|event| Done {
                    at_us: event.at.as_us(),
                    node: event.node.to_string(),
                    text: &event.text,
                })
                .collect(),
            timeline_left_out: story.events_more,
            findings: story
                .findings
                .iter()
                .map(|noted| Noted {
                    id: noted.id,
                    node: noted.node.to_string(),
                    detail: &noted.detail,
                })
                .collect(),
        };
        value(&run)
    }
}

pub(super) fn series(series: &Series) -> Json {
    let told = series.told();
    let first = &series.reports()[0];
    value(&Seeds {
        schema: SCHEMA_SEEDS,
        ok: series.exit_code() == MET,
        exit_code: series.exit_code(),
        scenario: first.path.display().to_string(),
        name: series.name(),
        mode: series.mode().word(),
        repeat: series.worst().map(Report::repeat),
        wall_seconds: seconds(series.wall),
        expectations: told.iter().map(over).collect(),
        runs: series.reports().iter().map(one).collect(),
    })
}

fn judged(verdict: &Verdict) -> Judged<'_> {
    let (file, line, column) = place(&verdict.place);
    Judged {
        text: &verdict.text,
        file,
        line,
        column,
        outcome: verdict.outcome.word(),
        why: &verdict.why,
        evidence: verdict.evidence,
        evidence_needed: verdict.needed,
        measured: &verdict.measured,
        value: verdict.value.map(|value| value.number),
        unit: verdict.value.map(|value| value.unit.word()),
        examples: verdict.examples.iter().map(shown).collect(),
    }
}

fn shown(example: &Example) -> Shown<'_> {
    Shown {
        at_us: example.at.as_us(),
        node: example.node.to_string(),
        text: &example.text,
    }
}

fn over(told: &Told) -> Over<'_> {
    let (file, line, column) = place(&told.place);
    Over {
        text: &told.text,
        file,
        line,
        column,
        outcome: told.outcome().word(),
        met: told.met,
        failed: told.failed.len(),
        inconclusive: told.inconclusive.len(),
        failed_seeds: &told.failed,
        inconclusive_seeds: &told.inconclusive,
        unit: told.unit.map(crate::judge::Unit::word),
        value: told.interval.map(numbers),
    }
}

fn numbers(interval: Interval) -> Numbers {
    Numbers {
        runs: interval.runs,
        min: interval.min,
        median: interval.median,
        max: interval.max,
        median_95: interval.median_95.map(|(low, high)| [low, high]),
    }
}

fn one(report: &Report) -> One {
    let outcomes = report.verdicts.iter();
    One {
        seed: report.seed.0,
        exit_code: report.exit_code(),
        digest: report.digest_text(),
        virtual_seconds: seconds(report.summary.lasted),
        facts: report.summary.facts,
        outcomes: outcomes.map(|own| own.outcome.word()).collect(),
    }
}

fn place(place: &Place) -> (String, usize, usize) {
    (place.file.display().to_string(), place.line, place.column)
}

fn seconds(span: Span) -> f64 {
    span.as_secs_f64()
}

fn value(wire: &impl Serialize) -> Json {
    serde_json::to_value(wire).expect("names, texts and finite numbers are JSON")
}
