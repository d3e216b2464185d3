//! What a check comes to: a word, why, what was measured, and the first facts that show it.

use crate::model::id::{Name, Node};
use crate::model::mistake::Place;
use crate::model::time::{Span, Time};

/// How many facts a verdict shows; the first ones tell most, the rest only repeat them.
pub const EXAMPLES_MAX: usize = 5;

/// What became of an expectation. In the order of gravity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It held, and enough bore on it.
    Met,
    /// Too little bore on it to say. This is not a pass.
    Inconclusive,
    /// It did not hold.
    Failed,
}

/// One expectation, judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The place of the expectation in the scenario's list, from 0.
    pub index: usize,
    /// The expectation as it was written.
    pub text: Name,
    /// Where it was written.
    pub place: Place,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, in words; empty when it was met.
    pub why: String,
    /// How many facts bore on it.
    pub evidence: u64,
    /// How many had to.
    pub needed: u64,
    /// What was found, in words: `p99 42.10s of 312 reconnects`.
    pub measured: String,
    /// The number that was judged; `None` when nothing was measured.
    pub value: Option<Value>,
    /// The first facts against it, [`EXAMPLES_MAX`] at most.
    pub examples: Vec<Example>,
    /// Whether the run was to end as soon as this failed.
    pub abort: bool,
}

/// A measured number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Value {
    /// In the unit.
    pub number: f64,
    /// What it counts.
    pub unit: Unit,
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Facts against the expectation.
    Exceptions,
    /// Per second.
    PerSecond,
    /// One number over another.
    Ratio,
    /// Seconds.
    Seconds,
    /// From 0 to 1.
    Share,
}

/// A fact that speaks against an expectation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// When.
    pub at: Time,
    /// Who.
    pub node: Node,
    /// What, in words.
    pub text: String,
}

/// What a check found; a verdict without what the expectation says itself.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ruling {
    pub(super) outcome: Outcome,
    pub(super) why: String,
    pub(super) evidence: u64,
    pub(super) measured: String,
    pub(super) value: Option<Value>,
    pub(super) examples: Vec<Example>,
}

/// Facts for and against an expectation that one counter-example refutes.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) evidence: u64,
    pub(super) wrong: u64,
    pub(super) examples: Vec<Example>,
}

/// Gives the word for a whole run: one that failed fails it; one that is inconclusive, or no
/// expectation at all, leaves it open.
pub fn overall(verdicts: &[Verdict]) -> Outcome {
    let outcomes = verdicts.iter().map(|verdict| verdict.outcome);
    outcomes.max().unwrap_or(Outcome::Inconclusive)
}

impl Outcome {
    /// Gives the word that faces show.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Inconclusive => "inconclusive",
            Self::Failed => "failed",
        }
    }
}

impl Unit {
    /// Gives the word that faces show.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Exceptions => "exceptions",
            Self::PerSecond => "per_second",
            Self::Ratio => "ratio",
            Self::Seconds => "seconds",
            Self::Share => "share",
        }
    }
}

/// As people write it: `42.10s`, `0.52%`, `212/s`.
impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = self.number;
        match self.unit {
            Unit::Exceptions => write!(f, "{number:.0}"),
            Unit::PerSecond => write!(f, "{number:.0}/s"),
            Unit::Ratio => write!(f, "{number:.3}"),
            Unit::Seconds => span(number).fmt(f),
            Unit::Share => write!(f, "{:.2}%", number * 100.0),
        }
    }
}

impl Tally {
    /// Counts a fact that speaks against it.
    pub(super) fn refute(&mut self, at: Time, node: &Node, text: impl FnOnce() -> String) {
        self.wrong += 1;
        note(&mut self.examples, at, node, text);
    }

    /// Rules: one fact against it is enough, whatever the evidence; none needs enough of them.
    pub(super) fn rule(&self, needed: u64, noun: &str, measured: String, why: String) -> Ruling {
        let (outcome, why) = if self.wrong > 0 {
            (Outcome::Failed, why)
        } else if self.evidence < needed {
            (Outcome::Inconclusive, too_few(self.evidence, needed, noun))
        } else {
            (Outcome::Met, String::new())
        };
        Ruling {
            outcome,
            why,
            evidence: self.evidence,
            measured,
            value: Some(Value::new(Value::count(self.wrong), Unit::Exceptions)),
            examples: self.examples.clone(),
        }
    }
}

impl Value {
    /// Gives a count as a number.
    #[expect(
        clippy::cast_precision_loss,
        reason = "exact below 2^53, and a count of facts"
    )]
    pub(super) const fn count(count: u64) -> f64 {
        count as f64
    }

    pub(super) const fn new(number: f64, unit: Unit) -> Self {
        Self { number, unit }
    }
}

/// Keeps an example while there is room.
pub(super) fn note(
    examples: &mut Vec<Example>,
    at: Time,
    node: &Node,
    text: impl FnOnce() -> String,
) {
    if examples.len() < EXAMPLES_MAX {
        let (node, text) = (node.clone(), text());
        examples.push(Example { at, node, text });
    }
}

/// Says that too little was seen.
pub(super) fn too_few(seen: u64, needed: u64, noun: &str) -> String {
    format!("saw {seen} of at least {}", counted(needed, noun))
}

/// `1 visit`, `2 visits`; what is counted stands in the singular.
pub(super) fn counted(count: u64, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}

/// Gives a span of so many seconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the conversion stops at zero and at the largest span"
)]
fn span(seconds: f64) -> Span {
    Span::from_us((seconds * 1e6).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(outcome: Outcome) -> Verdict {
        Verdict {
            index: 0,
            text: "x".into(),
            place: Place {
                file: "x.yaml".into(),
                line: 1,
                column: 1,
            },
            outcome,
            why: String::new(),
            evidence: 1,
            needed: 1,
            measured: String::new(),
            value: None,
            examples: Vec::new(),
            abort: false,
        }
    }

    #[test]
    fn a_run_is_as_bad_as_its_worst_verdict_and_open_without_any() {
        use Outcome::{Failed, Inconclusive, Met};
        let run = |outcomes: &[Outcome]| {
            let verdicts: Vec<Verdict> = outcomes.iter().map(|o| verdict(*o)).collect();
            overall(&verdicts)
        };
        assert_eq!(run(&[]), Inconclusive);
        assert_eq!(run(&[Met, Met]), Met);
        assert_eq!(run(&[Met, Inconclusive]), Inconclusive);
        assert_eq!(run(&[Failed, Inconclusive, Met]), Failed);
    }
}
