//! The same scenario with several seeds: one report.
//!
//! Reports are put in the order of their seeds, so it is the same however many threads ran them;
//! only the time that one had to wait differs.

use super::{Ending, Interval, Mode, Report, exit_code, json};
use crate::judge::{Outcome, Unit, Value};
use crate::model::id::Name;
use crate::model::mistake::Place;
use crate::model::time::Span;

/// Several runs of one scenario; at least one.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    reports: Vec<Report>,
    /// How many seeds were never played, since somebody ended it.
    unplayed: usize,
    /// How long one had to wait for all.
    pub wall: Span,
}

/// One expectation over all seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Its place in the scenario's list, from 0.
    pub index: usize,
    /// As it was written.
    pub text: Name,
    /// Where it was written.
    pub place: Place,
    /// How many runs met it.
    pub met: usize,
    /// The seeds of the runs that failed it.
    pub failed: Vec<u64>,
    /// The seeds of the runs that could not say.
    pub inconclusive: Vec<u64>,
    /// The number that was judged, over those runs that had one.
    pub interval: Option<Interval>,
    /// What the number counts.
    pub unit: Option<Unit>,
}

impl Series {
    /// Makes it; `None` without any report.
    pub fn new(mut reports: Vec<Report>, wall: Span) -> Option<Self> {
        reports.sort_by_key(|report| report.seed.0);
        (!reports.is_empty()).then_some(Self {
            reports,
            unplayed: 0,
            wall,
        })
    }

    /// Says how many seeds were asked for; those without a report were not played.
    #[must_use]
    pub const fn asked(mut self, seeds: usize) -> Self {
        self.unplayed = seeds.saturating_sub(self.reports.len());
        self
    }

    /// Tells whether somebody ended it before every seed was played.
    pub fn is_interrupted(&self) -> bool {
        let broken = |report: &Report| report.ending == Ending::Interrupted;
        self.unplayed > 0 || self.reports.iter().any(broken)
    }

    /// Gives the reports in the order of their seeds.
    pub fn reports(&self) -> &[Report] {
        &self.reports
    }

    /// Gives the scenario's name.
    pub fn name(&self) -> &str {
        &self.first().name
    }

    /// Gives the clock.
    pub fn mode(&self) -> Mode {
        self.first().mode
    }

    /// Gives the exit code: that of the worst run.
    pub fn exit_code(&self) -> u8 {
        let unplayed = (self.unplayed > 0).then_some(super::INTERRUPTED);
        exit_code(self.reports.iter().map(Report::exit_code).chain(unplayed))
    }

    /// Gives the first run that decided the exit code, to be repeated; `None` when all is well.
    pub fn worst(&self) -> Option<&Report> {
        let code = self.exit_code();
        let mut those = self.reports.iter();
        those.find(|report| code != super::MET && report.exit_code() == code)
    }

    /// Gives the last line: the exit code, why, and how to repeat the first run that decided it.
    pub fn last_line(&self) -> String {
        let (code, seeds) = (self.exit_code(), self.reports.len() + self.unplayed);
        if code == super::INTERRUPTED {
            let whole = self.reports.iter();
            let whole = whole
                .filter(|report| report.ending != Ending::Interrupted)
                .count();
            return format!("exit {code}: interrupted; {whole} of {seeds} seeds were played");
        }
        let count = |code| {
            let those = self.reports.iter();
            those.filter(|report| report.exit_code() == code).count()
        };
        match self.worst() {
            None => format!("exit {code}: all expectations met with all {seeds} seeds"),
            Some(report) => {
                let word = match code {
                    super::FAILED => "failed",
                    _ => "inconclusive",
                };
                let (bad, repeat) = (count(code), report.repeat());
                format!("exit {code}: {bad} of {seeds} seeds {word}; repeat: {repeat}")
            }
        }
    }

    /// Gives each expectation over all seeds, in the order of the file.
    pub fn told(&self) -> Vec<Told> {
        let expectations = self.first().verdicts.iter().enumerate();
        let told = expectations.map(|(index, verdict)| {
            let of = |outcome| {
                let runs = self.reports.iter().filter(move |report| {
                    let own = report.verdicts.get(index);
                    own.is_some_and(|own| own.outcome == outcome)
                });
                runs.map(|report| report.seed.0).collect::<Vec<_>>()
            };
            let values = || {
                let verdicts = self.reports.iter();
                let verdicts = verdicts.filter_map(|report| report.verdicts.get(index));
                verdicts.filter_map(|verdict| verdict.value)
            };
            Told {
                index,
                text: verdict.text.clone(),
                place: verdict.place.clone(),
                met: of(Outcome::Met).len(),
                failed: of(Outcome::Failed),
                inconclusive: of(Outcome::Inconclusive),
                interval: Interval::of(values().map(|value| value.number).collect()),
                unit: values().next().map(|value| value.unit),
            }
        });
        told.collect()
    }

    /// Gives it as JSON, schema [`super::SCHEMA_SEEDS`].
    pub fn json(&self) -> serde_json::Value {
        json::series(self)
    }

    /// Gives the run with the lowest seed.
    pub fn first(&self) -> &Report {
        &self.reports[0]
    }
}

impl Told {
    /// Gives the worst outcome of all runs.
    pub const fn outcome(&self) -> Outcome {
        if !self.failed.is_empty() {
            Outcome::Failed
        } else if !self.inconclusive.is_empty() {
            Outcome::Inconclusive
        } else {
            Outcome::Met
        }
    }

    /// Gives a number with the unit of this expectation.
    pub(super) fn value(&self, number: f64) -> Value {
        let unit = self.unit.unwrap_or(Unit::Ratio);
        Value { number, unit }
    }
}
