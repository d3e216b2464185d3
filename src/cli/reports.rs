//! What `run` and `sim` do with their reports: a table or JSON on standard output, and files.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args as ClapArgs;
use serde_json::Value;

use super::found;
use super::host::{print_mistakes, source};
use super::{Exit, Io};
use crate::judge;
use crate::lab::load::{Loaded, load};
use crate::lab::report::{self, Report, Series};
use crate::model::escaped::Escaped;
use crate::model::mistake::Files;

/// How many expectations of a scenario its summary tells.
const TOLD_MAX: usize = 2;

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

    /// Write the run as one HTML file that needs no server: the page, and all that it shows.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// A scenario that is to be played.
pub(super) struct Scenario {
    /// As it was named.
    pub(super) path: PathBuf,
    /// Where its files are.
    pub(super) files: std::sync::Arc<dyn Files + Send + Sync>,
    /// Whether it is one of the binary.
    pub(super) embedded: bool,
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

    fn last_line(&self) -> String {
        match self {
            Self::One(report) => report.last_line(),
            Self::Many(series) => series.last_line(),
        }
    }

    /// Gives the run that decided the exit code.
    fn worst(&self) -> &Report {
        match self {
            Self::One(report) => report,
            Self::Many(series) => series.worst().unwrap_or_else(|| series.first()),
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
                found::write_errors(&loaded, io)?;
                scenarios.push(Scenario {
                    path,
                    files,
                    embedded: paths.is_empty(),
                    loaded,
                });
            }
            Err(mistakes) => wrong = Some(print_mistakes(&mistakes, io)?),
        }
    }
    Ok(wrong.map_or(Ok(scenarios), Err))
}

/// The reports of one call, as they come.
pub(super) struct Reports<'a> {
    to: &'a Where,
    /// How many scenarios are to be played.
    named: usize,
    outcomes: Vec<Outcome>,
    /// Whether a file could not be written.
    unsaved: bool,
}

impl<'a> Reports<'a> {
    pub(super) const fn new(to: &'a Where, named: usize) -> Self {
        Self {
            to,
            named,
            outcomes: Vec::new(),
            unsaved: false,
        }
    }

    /// Writes and prints one report as soon as it is there; tells whether to go on with the next
    /// scenario. The files come first: whoever reads the output may have left.
    pub(super) fn add(&mut self, outcome: Outcome, io: &mut Io<'_>) -> anyhow::Result<bool> {
        let goes_on = outcome.exit_code() != report::INTERRUPTED;
        self.outcomes.push(outcome);
        if let Err(error) = self.save() {
            if !self.unsaved {
                writeln!(io.err, "error: {error:#}")?;
            }
            self.unsaved = true;
        }
        unless_closed(self.print(io))?;
        Ok(goes_on)
    }

    /// Takes what came of a file that was written apart; the verdict stands without it.
    pub(super) fn take(
        &mut self,
        written: anyhow::Result<()>,
        io: &mut Io<'_>,
    ) -> anyhow::Result<()> {
        if let Err(error) = written {
            writeln!(io.err, "error: {error:#}")?;
            self.unsaved = true;
        }
        Ok(())
    }

    /// Prints the newest report.
    fn print(&self, io: &mut Io<'_>) -> std::io::Result<()> {
        let Some(outcome) = self.outcomes.last() else {
            return Ok(());
        };
        if self.to.json {
            writeln!(io.err, "{}", outcome.last_line())?;
            writeln!(io.out, "{:#}", outcome.json())?;
        } else {
            if self.outcomes.len() > 1 {
                writeln!(io.out)?;
            }
            match outcome {
                Outcome::One(report) => report.table(io.out, io.color)?,
                Outcome::Many(series) => series.table(io.out, io.color)?,
            }
        }
        io.out.flush()
    }

    /// Gives the exit code of all, and names it in the last line where that is not said yet; `broke`
    /// is how the process ends when a scenario could not be played.
    pub(super) fn finish(self, broke: Option<Exit>, io: &mut Io<'_>) -> anyhow::Result<Exit> {
        let worst = report::exit_code(self.outcomes.iter().map(Outcome::exit_code));
        let unsaved = self.unsaved.then_some(Exit::CouldNotRun);
        let exit = broke.or(unsaved).unwrap_or_else(|| Exit::of(worst));
        let out = if self.to.json {
            &mut *io.err
        } else {
            &mut *io.out
        };
        let told = if self.named > 1 {
            summary(&self.outcomes, self.named, exit, out)
        } else if self.unsaved {
            writeln!(out, "exit {}: a report could not be written", exit as u8)
        } else {
            Ok(())
        };
        // The verdict stands, whoever hears it.
        unless_closed(told.and_then(|()| io.out.flush()))?;
        Ok(exit)
    }

    /// Writes the files that were asked for, with what is known so far.
    fn save(&self) -> anyhow::Result<()> {
        if let Some(file) = &self.to.report {
            let mut all: Vec<Value> = self.outcomes.iter().map(Outcome::json).collect();
            let whole = match all.pop() {
                Some(only) if self.named == 1 => only,
                last => all.into_iter().chain(last).collect(),
            };
            write(file, &format!("{whole:#}\n"))?;
        }
        if let Some(file) = &self.to.junit {
            write(file, &junit(&self.outcomes))?;
        }
        Ok(())
    }
}

/// Takes it that whoever reads the output has seen enough: that is no verdict.
fn unless_closed(printed: std::io::Result<()>) -> std::io::Result<()> {
    match printed {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        printed => printed,
    }
}

/// Says of each scenario what came of it, so that the end of a long log is enough; the last line
/// names the exit code of all.
fn summary(
    outcomes: &[Outcome],
    named: usize,
    exit: Exit,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    writeln!(out)?;
    for outcome in outcomes {
        let worst = outcome.worst();
        let word = word(outcome.exit_code());
        writeln!(
            out,
            "{word:<12}  {}",
            Escaped(&worst.path.to_string_lossy())
        )?;
        if worst.verdicts.is_empty() {
            writeln!(out, "  nothing is expected, so nothing is judged")?;
        }
        let bad = worst.verdicts.iter();
        let bad = bad.filter(|verdict| verdict.outcome == worst.outcome());
        for verdict in bad.take(TOLD_MAX) {
            if verdict.outcome == judge::Outcome::Met {
                break;
            }
            let (text, why) = (Escaped(&verdict.text), Escaped(&verdict.why));
            writeln!(out, "  line {}: {text}: {why}", verdict.place.line)?;
            if let Some(first) = verdict.examples.first() {
                let text = Escaped(&first.text);
                writeln!(out, "    first: {} {}: {text}", first.at, first.node)?;
            }
        }
        if outcome.exit_code() != report::MET {
            writeln!(out, "  repeat: {}", worst.repeat())?;
        }
    }
    let words = [
        report::FAILED,
        report::INCONCLUSIVE,
        report::INTERRUPTED,
        report::MET,
    ];
    let counts = words.into_iter().filter_map(|code| {
        let those = outcomes.iter().filter(|own| own.exit_code() == code);
        let count = those.count();
        (count > 0).then(|| format!("{count} {}", word(code).to_lowercase()))
    });
    let unplayed = named.saturating_sub(outcomes.len());
    let unplayed = (unplayed > 0).then(|| format!("{unplayed} not played"));
    let counts: Vec<String> = counts.chain(unplayed).collect();
    let worst = report::exit_code(outcomes.iter().map(Outcome::exit_code));
    let mut those = outcomes.iter();
    let repeat = those.find(|own| worst != report::MET && own.exit_code() == worst);
    let repeat = repeat.map_or_else(String::new, |own| {
        format!("; repeat: {}", own.worst().repeat())
    });
    let (code, counts) = (exit as u8, counts.join(", "));
    writeln!(out, "exit {code}: of {named} scenarios {counts}{repeat}")
}

/// Gives the word for a scenario; one that failed stands out without colour too.
const fn word(code: u8) -> &'static str {
    match code {
        report::MET => "met",
        report::FAILED => "FAILED",
        report::INCONCLUSIVE => "inconclusive",
        _ => "interrupted",
    }
}

/// Writes the runs of all scenarios into one document; of a series alone, what it says over all
/// seeds.
fn junit(outcomes: &[Outcome]) -> String {
    if let [Outcome::Many(series)] = outcomes {
        return series.junit();
    }
    let reports = outcomes.iter().flat_map(|outcome| match outcome {
        Outcome::One(report) => vec![Report::clone(report)],
        Outcome::Many(series) => series.reports().to_vec(),
    });
    report::junit(&reports.collect::<Vec<_>>())
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(file, text).with_context(|| format!("the report {}", file.display()))
}
