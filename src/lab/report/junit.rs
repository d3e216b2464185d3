//! Reports as JUnit XML, for CI servers: a suite for each run, a case for each expectation.
//!
//! What is inconclusive is `skipped`, with the reason; a scenario that expects nothing has one such
//! case, since an empty suite counts as passed. Written by hand: it takes fewer lines than a crate.

use std::fmt::Write;

use super::{Ending, Report, Series, Told};
use crate::judge::{Outcome, Verdict};
use crate::model::escaped::Escaped;
use crate::model::time::Span;

/// A case as it is written.
struct Case {
    name: String,
    outcome: Outcome,
    /// In one line.
    message: String,
    /// At length.
    text: String,
}

/// A suite as it is written.
struct Suite {
    name: String,
    seconds: Span,
    properties: Vec<(&'static str, String)>,
    cases: Vec<Case>,
}

/// Writes the reports of several scenarios as one file.
pub fn junit(reports: &[Report]) -> String {
    document(&reports.iter().map(suite).collect::<Vec<_>>())
}

impl Report {
    /// Gives it as JUnit XML.
    pub fn junit(&self) -> String {
        document(&[suite(self)])
    }
}

impl Series {
    /// Gives it as JUnit XML: one suite, whose cases name the seeds that did not meet them.
    pub fn junit(&self) -> String {
        let longest = self.reports().iter().map(|report| report.summary.lasted);
        let seeds = self
            .reports()
            .iter()
            .map(|report| report.seed.0.to_string());
        let repeat = self.worst().map(Report::repeat);
        let told = self.told();
        let ended = self
            .is_interrupted()
            .then(|| interrupted(&self.last_line()));
        document(&[Suite {
            name: self.name().to_owned(),
            seconds: longest.max().unwrap_or_default(),
            properties: vec![
                ("mode", self.mode().word().to_owned()),
                ("seeds", seeds.collect::<Vec<_>>().join(" ")),
            ],
            cases: told
                .iter()
                .map(|told| over(told, repeat.as_deref()))
                .chain(ended)
                .collect(),
        }])
    }
}

fn suite(report: &Report) -> Suite {
    let mut properties = vec![
        ("scenario", report.path.display().to_string()),
        ("mode", report.mode.word().to_owned()),
        ("seed", report.seed.0.to_string()),
        ("repeat", report.repeat()),
    ];
    properties.extend(report.digest_text().map(|digest| ("digest", digest)));
    Suite {
        name: report.name.to_string(),
        seconds: report.summary.lasted,
        properties,
        cases: report
            .verdicts
            .iter()
            .map(|own| case(own, report))
            .chain((report.ending == Ending::Interrupted).then(|| interrupted(&report.last_line())))
            .collect(),
    }
}

/// A run that somebody ended has shown nothing of what would have come: a server must not read it
/// as passed.
fn interrupted(why: &str) -> Case {
    Case {
        name: String::from("the run is played to its end"),
        outcome: Outcome::Failed,
        message: why.to_owned(),
        text: String::new(),
    }
}

fn case(verdict: &Verdict, report: &Report) -> Case {
    let mut text = format!("{}: {}\n", verdict.place, Escaped(&verdict.why));
    for example in &verdict.examples {
        let shown = Escaped(&example.text);
        text.push_str(&format!("{} {}: {shown}\n", example.at, example.node));
    }
    text.push_str(&format!("repeat: {}\n", report.repeat()));
    Case {
        name: verdict.text.to_string(),
        outcome: verdict.outcome,
        message: verdict.why.clone(),
        text,
    }
}

fn over(told: &Told, repeat: Option<&str>) -> Case {
    let seeds = |seeds: &[u64]| {
        let seeds = seeds.iter().map(u64::to_string);
        seeds.collect::<Vec<_>>().join(", ")
    };
    let all = told.met + told.failed.len() + told.inconclusive.len();
    let (bad, word) = match told.outcome() {
        Outcome::Inconclusive => (&told.inconclusive, "inconclusive"),
        Outcome::Failed | Outcome::Met => (&told.failed, "failed"),
    };
    let mut text = format!("{}: {word} with seed {}\n", told.place, seeds(bad));
    if let Some(repeat) = repeat {
        text.push_str(&format!("repeat: {repeat}\n"));
    }
    Case {
        name: told.text.to_string(),
        outcome: told.outcome(),
        message: format!("with {} of {all} seeds", bad.len()),
        text,
    }
}

fn document(suites: &[Suite]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let written = write_all(&mut xml, suites);
    written.expect("a string takes whatever is written");
    xml
}

fn write_all(xml: &mut String, suites: &[Suite]) -> std::fmt::Result {
    let nothing = Case {
        name: String::from("the scenario expects something"),
        outcome: Outcome::Inconclusive,
        message: String::from("the scenario expects nothing"),
        text: String::new(),
    };
    let suites = suites.iter().map(|suite| match &*suite.cases {
        [] => (suite, vec![&nothing]),
        cases => (suite, cases.iter().collect()),
    });
    let suites: Vec<(&Suite, Vec<&Case>)> = suites.collect();
    let all = suites.iter().flat_map(|(_, cases)| cases.iter().copied());
    let time = suites.iter().map(|(suite, _)| suite.seconds.as_secs_f64());
    let time: f64 = time.sum();
    let totals = totals(all);
    writeln!(
        xml,
        "<testsuites name=\"twodoors\" {totals} time=\"{time:.3}\">"
    )?;
    for (suite, cases) in &suites {
        let name = escaped(&suite.name);
        let time = suite.seconds.as_secs_f64();
        let totals = self::totals(cases.iter().copied());
        writeln!(
            xml,
            "  <testsuite name=\"{name}\" {totals} time=\"{time:.3}\">"
        )?;
        writeln!(xml, "    <properties>")?;
        for (key, value) in &suite.properties {
            let value = escaped(value);
            writeln!(xml, "      <property name=\"{key}\" value=\"{value}\"/>")?;
        }
        writeln!(xml, "    </properties>")?;
        for case in cases {
            let head = format!(
                "    <testcase classname=\"{name}\" name=\"{}\" time=\"{time:.3}\"",
                escaped(&case.name)
            );
            let message = escaped(&case.message);
            match case.outcome {
                Outcome::Met => writeln!(xml, "{head}/>")?,
                Outcome::Inconclusive => {
                    writeln!(xml, "{head}>")?;
                    writeln!(xml, "      <skipped message=\"inconclusive: {message}\"/>")?;
                    writeln!(xml, "    </testcase>")?;
                }
                Outcome::Failed => {
                    let text = escaped_text(&case.text);
                    writeln!(xml, "{head}>")?;
                    write!(
                        xml,
                        "      <failure type=\"expectation\" message=\"{message}\">"
                    )?;
                    writeln!(xml, "{text}</failure>")?;
                    writeln!(xml, "    </testcase>")?;
                }
            }
        }
        writeln!(xml, "  </testsuite>")?;
    }
    writeln!(xml, "</testsuites>")
}

fn totals<'a>(cases: impl Iterator<Item = &'a Case> + Clone) -> String {
    let of = |outcome| cases.clone().filter(|case| case.outcome == outcome).count();
    format!(
        "tests=\"{}\" failures=\"{}\" skipped=\"{}\" errors=\"0\"",
        cases.clone().count(),
        of(Outcome::Failed),
        of(Outcome::Inconclusive)
    )
}

/// Escapes an attribute's value, which is one line.
fn escaped(text: &str) -> String {
    escaped_text(&Escaped(text).to_string())
}

/// Escapes what XML reads as markup, and shows what it may not hold at all (XML 1.0, section 2.2).
fn escaped_text(text: &str) -> String {
    let mut xml = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            '\'' => xml.push_str("&apos;"),
            '\n' => xml.push('\n'),
            '\u{fffe}' | '\u{ffff}' => xml.push('\u{fffd}'),
            control if control.is_control() => xml.extend(control.escape_default()),
            char => xml.push(char),
        }
    }
    xml
}
