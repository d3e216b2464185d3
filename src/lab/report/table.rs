//! A report for people: one screen, the worst first, words before colours.

use std::io::{self, Write};

use super::{Ending, INCONCLUSIVE, Interval, Mode, Report, Series, Told};
use crate::judge::{Outcome, Unit, Verdict};
use crate::model::escaped::Escaped;

/// How many expectations a table shows; the others are met, or stand in the JSON.
const ROWS_MAX: usize = 20;

/// How many of those that are not met are told at length.
const TOLD_MAX: usize = 4;

/// How many facts are shown against each.
const EXAMPLES_SHOWN: usize = 3;

/// How many events are shown.
const EVENTS_SHOWN: usize = 8;

/// How wide an expectation may be; the whole text stands in the JSON.
const TEXT_WIDTH: usize = 56;

impl Report {
    /// Writes the table, and the last line that names the exit code.
    pub fn table(&self, out: &mut dyn Write, colour: bool) -> io::Result<()> {
        let Self { name, summary, .. } = self;
        let wall = match self.mode {
            Mode::Live => String::new(),
            Mode::Virtual => format!(" in {}", summary.wall),
        };
        let (mode, seed, lasted) = (self.mode.word(), self.seed.0, summary.lasted);
        let name = Escaped(name);
        writeln!(out, "{name}: {mode}, seed {seed}, {lasted}{wall}\n")?;
        rows(out, colour, &self.verdicts)?;
        for verdict in bad(&self.verdicts).take(TOLD_MAX) {
            tell(out, verdict)?;
        }
        self.events(out)?;
        for noted in self.story.findings.iter().take(EVENTS_SHOWN) {
            let detail = Escaped(&noted.detail);
            writeln!(out, "finding {}: {}: {detail}", noted.id, noted.node)?;
        }
        if let Ending::Aborted(index) = self.ending {
            let text = self.verdicts.get(index).map_or("it", |own| &own.text);
            writeln!(out, "ended early, since this failed: {}", Escaped(text))?;
        }
        if let Some(digest) = self.digest_text() {
            writeln!(out, "digest {digest}, {} facts", summary.facts)?;
        }
        writeln!(out, "{}", Escaped(&self.last_line()))
    }

    fn events(&self, out: &mut dyn Write) -> io::Result<()> {
        // A run in which all is well needs no explanation.
        if self.story.events.is_empty() || self.outcome() == Outcome::Met {
            return Ok(());
        }
        let ready = self.story.ready.unwrap_or_default();
        writeln!(out, "what was done (ready at {ready})")?;
        for event in self.story.events.iter().take(EVENTS_SHOWN) {
            let text = Escaped(&event.text);
            writeln!(out, "  {} {}: {text}", event.at, event.node)?;
        }
        let shown = self.story.events.len().min(EVENTS_SHOWN);
        let all = self.story.events.len() as u64 + self.story.events_more;
        more(out, all - shown as u64, "in the JSON")?;
        writeln!(out)
    }
}

impl Series {
    /// Writes the table, and the last line that names the exit code.
    pub fn table(&self, out: &mut dyn Write, colour: bool) -> io::Result<()> {
        let seeds = self.reports().len();
        let (mode, wall) = (self.mode().word(), self.wall);
        writeln!(
            out,
            "{}: {mode}, {seeds} seeds in {wall}\n",
            Escaped(self.name())
        )?;
        let told = self.told();
        let mut lines = vec![
            [
                "outcome",
                "expectation",
                "met of seeds",
                "median (95% sure)",
                "range",
            ]
            .map(String::from),
        ];
        for own in told.iter().take(ROWS_MAX) {
            let of = format!("{} of {seeds}", own.met);
            let (median, range) = match own.interval {
                None => (String::from("-"), String::from("-")),
                Some(interval) => shown(own, interval),
            };
            let text = cut(&own.text);
            lines.push([word(own.outcome()), text, of, median, range]);
        }
        let outcomes: Vec<Outcome> = told.iter().map(Told::outcome).collect();
        aligned(out, colour, &lines, &outcomes)?;
        more(
            out,
            told.len().saturating_sub(ROWS_MAX) as u64,
            "in the JSON",
        )?;
        writeln!(out)?;
        for own in told
            .iter()
            .filter(|own| own.outcome() != Outcome::Met)
            .take(TOLD_MAX)
        {
            let word = own.outcome().word();
            writeln!(out, "{word}: {}", Escaped(&own.text))?;
            for (outcome, seeds) in [("failed", &own.failed), ("inconclusive", &own.inconclusive)] {
                if !seeds.is_empty() {
                    let (place, seeds) = (own.place.to_string(), few(seeds));
                    let place = Escaped(&place);
                    writeln!(out, "  {place}: {outcome} with seed {seeds}")?;
                }
            }
            let seed = own.failed.iter().chain(&own.inconclusive).next();
            let mut reports = self.reports().iter();
            let worst = reports.find(|report| Some(&report.seed.0) == seed);
            let verdict = worst.and_then(|report| report.verdicts.get(own.index));
            if let (Some(report), Some(verdict)) = (worst, verdict) {
                let said = match &*verdict.measured {
                    "" => &verdict.why,
                    _ => &verdict.measured,
                };
                writeln!(out, "  with seed {}: {}", report.seed.0, Escaped(said))?;
                examples(out, verdict)?;
            }
            writeln!(out)?;
        }
        writeln!(out, "{}", Escaped(&self.last_line()))
    }
}

/// Writes one line for each expectation, the worst first and otherwise in the order of the file.
fn rows(out: &mut dyn Write, colour: bool, verdicts: &[Verdict]) -> io::Result<()> {
    let mut sorted: Vec<&Verdict> = verdicts.iter().collect();
    sorted.sort_by_key(|verdict| std::cmp::Reverse(verdict.outcome));
    sorted.truncate(ROWS_MAX);
    let mut lines = vec![["outcome", "expectation", "evidence", "measured"].map(String::from)];
    for verdict in &sorted {
        lines.push([
            word(verdict.outcome),
            cut(&verdict.text),
            evidence(verdict),
            Escaped(&verdict.measured).to_string(),
        ]);
    }
    let outcomes: Vec<Outcome> = sorted.iter().map(|verdict| verdict.outcome).collect();
    if outcomes.is_empty() {
        return writeln!(
            out,
            "no expectation, so nothing is judged (exit {INCONCLUSIVE})\n"
        );
    }
    aligned(out, colour, &lines, &outcomes)?;
    more(out, (verdicts.len() - sorted.len()) as u64, "in the JSON")?;
    writeln!(out)
}

/// Tells at length why an expectation is not met.
fn tell(out: &mut dyn Write, verdict: &Verdict) -> io::Result<()> {
    let Verdict { place, outcome, .. } = verdict;
    writeln!(out, "{}: {}", outcome.word(), Escaped(&verdict.text))?;
    let place = place.to_string();
    writeln!(out, "  {}: {}", Escaped(&place), Escaped(&verdict.why))?;
    examples(out, verdict)?;
    writeln!(out)
}

/// Says how much was seen, and how much was needed where that is more.
fn evidence(verdict: &Verdict) -> String {
    let Verdict {
        evidence, needed, ..
    } = verdict;
    if evidence < needed {
        format!("{evidence} of {needed}")
    } else {
        evidence.to_string()
    }
}

fn examples(out: &mut dyn Write, verdict: &Verdict) -> io::Result<()> {
    for example in verdict.examples.iter().take(EXAMPLES_SHOWN) {
        let text = Escaped(&example.text);
        writeln!(out, "  {} {}: {text}", example.at, example.node)?;
    }
    Ok(())
}

fn bad(verdicts: &[Verdict]) -> impl Iterator<Item = &Verdict> {
    let of = |outcome| {
        verdicts
            .iter()
            .filter(move |verdict| verdict.outcome == outcome)
    };
    of(Outcome::Failed).chain(of(Outcome::Inconclusive))
}

fn more(out: &mut dyn Write, count: u64, place: &str) -> io::Result<()> {
    if count == 0 {
        return Ok(());
    }
    writeln!(out, "  and {count} more, {place}")
}

/// Writes columns; the first holds the outcomes, below its header.
fn aligned<const N: usize>(
    out: &mut dyn Write,
    colour: bool,
    lines: &[[String; N]],
    outcomes: &[Outcome],
) -> io::Result<()> {
    let width = |column: usize| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    for (number, line) in lines.iter().enumerate() {
        let outcome = number.checked_sub(1).and_then(|at| outcomes.get(at));
        let mut text = String::new();
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let cell = match number {
                0 => cell.to_uppercase(),
                _ => cell.clone(),
            };
            let padded = format!("{cell:<width$}  ");
            match outcome.filter(|_| colour && column == 0) {
                // Bold is for what needs a look.
                Some(Outcome::Failed) => text.push_str(&format!("\x1b[1;31m{padded}\x1b[0m")),
                Some(Outcome::Inconclusive) => text.push_str(&format!("\x1b[33m{padded}\x1b[0m")),
                Some(Outcome::Met) => text.push_str(&format!("\x1b[32m{padded}\x1b[0m")),
                None => text.push_str(&padded),
            }
        }
        writeln!(out, "{}", text.trim_end())?;
    }
    Ok(())
}

/// Gives the word of an outcome; one that failed stands out without colour too.
fn word(outcome: Outcome) -> String {
    match outcome {
        Outcome::Failed => String::from("FAILED"),
        Outcome::Inconclusive | Outcome::Met => String::from(outcome.word()),
    }
}

fn cut(text: &str) -> String {
    let text = Escaped(text).to_string();
    if text.chars().count() <= TEXT_WIDTH {
        return text;
    }
    let kept = text.chars().take(TEXT_WIDTH - 1);
    kept.chain(['…']).collect()
}

fn shown(told: &Told, interval: Interval) -> (String, String) {
    // The number of facts against an expectation would be a bare number.
    let noun = match told.unit {
        Some(Unit::Exceptions) => " against it",
        _ => "",
    };
    let value = |number| told.value(number).to_string();
    let (min, max) = (value(interval.min), value(interval.max));
    if min == max {
        return (format!("{min}{noun}"), String::from("always"));
    }
    let sure = match interval.median_95 {
        Some((low, high)) => format!(" ({} to {})", value(low), value(high)),
        None => String::new(),
    };
    let median = value(interval.median);
    (format!("{median}{noun}{sure}"), format!("{min} to {max}"))
}

/// Writes the first few seeds.
fn few(seeds: &[u64]) -> String {
    let shown = seeds.iter().take(10).map(u64::to_string);
    let shown: Vec<String> = shown.collect();
    let more = seeds.len() - shown.len();
    let shown = shown.join(", ");
    match more {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
