//! What `run` and `sim` do with their reports: a table or JSON on standard output, and files.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args as ClapArgs;
use serde_json::Value;

use super::host::{print_mistakes, source};
use super::{Exit, Io};
use crate::lab::load::{Loaded, load};
use crate::lab::report::{self, Report, Series};
use crate::model::mistake::Files;

/// Where reports go.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(super) struct Where {
    /// Print the reports as JSON, one document a scenario.
    #[arg(long)]
    pub json: bool,

    /// Write the reports as JUnit XML, for a CI server.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,

    /// Write the reports as JSON; an array when there are several scenarios.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

/// A scenario that is to be played.
pub(super) struct Scenario {
    /// As it was named.
    pub(super) path: PathBuf,
    /// Where its files are.
    pub(super) files: std::sync::Arc<dyn Files + Send + Sync>,
    /// What it says.
    pub(super) loaded: Loaded,
}

/// What was played.
pub(super) enum Outcome {
    /// Once.
    One(Box<Report>),
    /// With several seeds.
    Many(Series),
}

impl Outcome {
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::One(report) => report.exit_code(),
            Self::Many(series) => series.exit_code(),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::One(report) => report.json(),
            Self::Many(series) => series.json(),
        }
    }
}

/// Loads every scenario before the first is played; `Err` is how the process ends.
pub(super) fn load_all(
    paths: &[PathBuf],
    io: &mut Io<'_>,
) -> anyhow::Result<Result<Vec<Scenario>, Exit>> {
    let embedded = [None];
    let named: Vec<Option<&Path>> = paths.iter().map(|path| Some(&**path)).collect();
    let mut scenarios = Vec::new();
    let mut wrong = None;
    for path in if paths.is_empty() {
        &embedded[..]
    } else {
        &named
    } {
        let (path, files) = source(*path);
        match load(&path, &*files) {
            Ok(loaded) => {
                for warning in &loaded.warnings {
                    writeln!(io.err, "warning: {warning}")?;
                }
                scenarios.push(Scenario {
                    path,
                    files,
                    loaded,
                });
            }
            Err(mistakes) => wrong = Some(print_mistakes(&mistakes, io)?),
        }
    }
    Ok(wrong.map_or(Ok(scenarios), Err))
}

/// Prints one report as soon as it is there.
pub(super) fn print(outcome: &Outcome, to: &Where, io: &mut Io<'_>) -> anyhow::Result<()> {
    if to.json {
        writeln!(io.out, "{:#}", outcome.json())?;
    } else {
        match outcome {
            Outcome::One(report) => report.table(io.out, io.color)?,
            Outcome::Many(series) => series.table(io.out, io.color)?,
        }
    }
    io.out.flush()?;
    Ok(())
}

/// Writes the files that were asked for, and gives the exit code of all.
pub(super) fn finish(outcomes: Vec<Outcome>, to: &Where) -> anyhow::Result<Exit> {
    let code = report::exit_code(outcomes.iter().map(Outcome::exit_code));
    if let Some(file) = &to.report {
        let mut all: Vec<Value> = outcomes.iter().map(Outcome::json).collect();
        let whole = match all.pop() {
            Some(only) if all.is_empty() => only,
            last => all.into_iter().chain(last).collect(),
        };
        write(file, &format!("{whole:#}\n"))?;
    }
    if let Some(file) = &to.junit {
        write(file, &junit(outcomes))?;
    }
    Ok(Exit::of(code))
}

/// Writes the runs of all scenarios into one document; of a series alone, what it says over all
/// seeds.
fn junit(mut outcomes: Vec<Outcome>) -> String {
    if let [Outcome::Many(series)] = &mut outcomes[..] {
        return series.junit();
    }
    let reports = outcomes.into_iter().flat_map(|outcome| match outcome {
        Outcome::One(report) => vec![*report],
        Outcome::Many(series) => series.reports().to_vec(),
    });
    report::junit(&reports.collect::<Vec<_>>())
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(file, text).with_context(|| format!("the report {}", file.display()))
}
