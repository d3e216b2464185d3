//! Numbers of a run: quantiles of times, shares, rates, balance.
//!
//! A time that has begun and not ended when the run (or the window) ends is known from below alone.
//! It counts as a time so long at least, and as one as long as you like: if the verdict differs
//! between the two it is inconclusive, so that a run in which nobody returns does not pass.

use std::collections::{BTreeMap, VecDeque};

use super::bound;
use super::verdict::{Example, Outcome, Ruling, Unit, Value, counted, note, too_few};
use crate::model::expect::Bound;
use crate::model::fact::{Failure, Kind};
use crate::model::histogram::{Histogram, rank};
use crate::model::id::{Name, Node};
use crate::model::time::{Span, Time};

/// How finely seconds are laid over a run to find the fullest.
const STEP: Span = Span::from_ms(10);

/// How many steps make the second.
const STEPS: u64 = 100;

/// Times at a quantile.
#[derive(Clone, Debug)]
pub(super) struct Times {
    noun: &'static str,
    quantile: f64,
    bound: Bound,
    ended: Histogram,
    /// Those that had not ended, as long as they were then.
    open: Histogram,
    examples: Vec<Example>,
}

impl Times {
    pub(super) fn new(noun: &'static str, quantile: f64, bound: Bound) -> Self {
        Self {
            noun,
            quantile,
            bound,
            ended: Histogram::default(),
            open: Histogram::default(),
            examples: Vec::new(),
        }
    }

    /// Takes a time that has ended.
    pub(super) fn ended(&mut self, at: Time, node: &Node, took: Span) {
        self.ended.add(took);
        let (seconds, noun) = (took.as_secs_f64(), self.noun);
        let beyond = self.bound.below.is_some_and(|below| seconds >= below)
            || self.bound.above.is_some_and(|above| seconds <= above);
        if beyond {
            note(&mut self.examples, at, node, || {
                format!("{noun} after {took}")
            });
        }
    }

    /// Takes a time that has not ended.
    pub(super) fn open(&mut self, so_far: Span) {
        self.open.add(so_far);
    }

    /// Tells whether it has failed for good: the longest of all only grows.
    pub(super) fn failed(&self) -> bool {
        let longest = self.ended.max().map(Span::as_secs_f64);
        let over = |below| longest.is_some_and(|longest| longest >= below);
        self.quantile >= 1.0 && self.bound.below.is_some_and(over)
    }

    pub(super) fn rule(&self, needed: u64) -> Ruling {
        let mut all = self.ended.clone();
        all.merge(&self.open);
        let count = all.count();
        let rank = rank(self.quantile, count);
        let word = match percent(self.quantile) {
            100.0 => String::from("max"),
            percent => format!("p{percent}"),
        };
        let low = all.at_rank(rank).unwrap_or_default();
        let high = if self.open.count() == 0 {
            Some(low)
        } else if rank <= self.ended.count() {
            self.ended.at_rank(rank)
        } else {
            None
        };
        let at_least = if high.is_none() { " at least" } else { "" };
        let open = match self.open.count() {
            0 => String::new(),
            open => format!(", {open} of them not ended"),
        };
        let of = counted(count, self.noun);
        let (low, high) = (low.as_secs_f64(), high.map(Span::as_secs_f64));
        let value = Value::new(low, Unit::Seconds);
        let (outcome, why) = bound::rule(self.bound, low, high, Unit::Seconds);
        Ruling {
            measured: format!("{word} {value}{at_least} of {of}{open}"),
            value: Some(value),
            examples: self.examples.clone(),
            ..judged(outcome, format!("{word}: {why}"), count, needed, self.noun)
        }
    }
}

/// The share of visits that failed.
#[derive(Clone, Debug)]
pub(super) struct Failures {
    reason: Option<Failure>,
    bound: Bound,
    visits: u64,
    failed: BTreeMap<Failure, u64>,
    examples: Vec<Example>,
}

impl Failures {
    pub(super) const fn new(reason: Option<Failure>, bound: Bound) -> Self {
        Self {
            reason,
            bound,
            visits: 0,
            failed: BTreeMap::new(),
            examples: Vec::new(),
        }
    }

    /// Takes a visit that was answered.
    pub(super) const fn answered(&mut self) {
        self.visits += 1;
    }

    /// Takes a visit that failed.
    pub(super) fn failed(&mut self, at: Time, node: &Node, reason: Failure, kind: &Kind) {
        self.visits += 1;
        if self.reason.is_none_or(|wanted| wanted == reason) {
            *self.failed.entry(reason).or_default() += 1;
            note(&mut self.examples, at, node, || kind.to_string());
        }
    }

    pub(super) fn rule(&self, needed: u64) -> Ruling {
        let failed: u64 = self.failed.values().sum();
        let share = ratio(failed, self.visits);
        let (outcome, why) = bound::rule(self.bound, share, Some(share), Unit::Share);
        let reasons = self.failed.iter();
        let reasons: Vec<String> = reasons.map(|(word, n)| format!("{word} {n}")).collect();
        let reasons = match &*reasons {
            [] => String::new(),
            reasons => format!(" ({})", reasons.join(", ")),
        };
        let value = Value::new(share, Unit::Share);
        let of = counted(self.visits, "visit");
        // Failures against a lower bound would be examples of what was wanted.
        let wanted = self.bound.below.is_none();
        Ruling {
            measured: format!("{value} of {of}{reasons}"),
            value: Some(value),
            examples: if wanted {
                Vec::new()
            } else {
                self.examples.clone()
            },
            ..judged(outcome, why, self.visits, needed, "visit")
        }
    }
}

/// Tunnel dials in the fullest second, whose beginning is looked for in steps of 10 ms.
#[derive(Clone, Debug)]
pub(super) struct Rate {
    bound: Bound,
    dials: u64,
    /// Dials of each step of the last second that had any; at most [`STEPS`].
    recent: VecDeque<(u64, u64)>,
    /// In the last second.
    now: u64,
    fullest: u64,
    /// When the fullest second ended.
    when: Time,
}

impl Rate {
    pub(super) const fn new(bound: Bound) -> Self {
        Self {
            bound,
            dials: 0,
            recent: VecDeque::new(),
            now: 0,
            fullest: 0,
            when: Time::ZERO,
        }
    }

    /// Takes a dial.
    pub(super) fn dialled(&mut self, at: Time) {
        // One that is journaled late counts with the newest.
        let newest = self.recent.back().map_or(0, |(step, _)| *step);
        let step = (at.as_us() / STEP.as_us()).max(newest);
        self.dials += 1;
        self.now += 1;
        match self.recent.back_mut() {
            Some((last, count)) if *last == step => *count += 1,
            _ => self.recent.push_back((step, 1)),
        }
        while let Some((oldest, count)) = self.recent.front().copied()
            && oldest + STEPS <= step
        {
            self.recent.pop_front();
            self.now -= count;
        }
        if self.now > self.fullest {
            (self.fullest, self.when) = (self.now, at);
        }
    }

    /// Tells whether it has failed for good: the fullest second only gets fuller.
    pub(super) fn failed(&self) -> bool {
        let fullest = Value::count(self.fullest);
        self.bound.below.is_some_and(|below| fullest >= below)
    }

    pub(super) fn rule(&self, needed: u64) -> Ruling {
        let fullest = Value::count(self.fullest);
        let (outcome, why) = bound::rule(self.bound, fullest, Some(fullest), Unit::PerSecond);
        let (when, of) = (self.when, counted(self.dials, "dial"));
        Ruling {
            measured: format!("{} in the second up to {when}, of {of}", self.fullest),
            value: Some(Value::new(fullest, Unit::PerSecond)),
            ..judged(outcome, why, self.dials, needed, "dial")
        }
    }
}

/// How evenly a door spreads what it opens over the whole pool.
#[derive(Clone, Debug)]
pub(super) struct Balance {
    balancer: Name,
    bound: Bound,
    proxies: BTreeMap<Name, u64>,
}

impl Balance {
    pub(super) fn new(balancer: &Name, proxies: &[Name], bound: Bound) -> Self {
        Self {
            balancer: balancer.clone(),
            bound,
            proxies: proxies.iter().map(|proxy| (proxy.clone(), 0)).collect(),
        }
    }

    /// Takes a flow that got its instance.
    pub(super) fn connected(&mut self, node: &Node, proxy: &Name) {
        let here = matches!(node, Node::Balancer(name) if *name == self.balancer);
        if here && let Some(count) = self.proxies.get_mut(proxy) {
            *count += 1;
        }
    }

    pub(super) fn rule(&self, needed: u64) -> Ruling {
        let flows: u64 = self.proxies.values().sum();
        let fullest = self.proxies.iter().max_by_key(|(_, count)| **count);
        let (name, most) = fullest.map_or(("none", 0), |(name, count)| (&**name, *count));
        let over = ratio(most * self.proxies.len() as u64, flows);
        let (outcome, why) = bound::rule(self.bound, over, Some(over), Unit::Ratio);
        let value = Value::new(over, Unit::Ratio);
        let of = counted(flows, "flow");
        Ruling {
            measured: format!("proxy/{name} got {most} of {of}, {value} times the mean"),
            value: Some(value),
            ..judged(outcome, why, flows, needed, "flow")
        }
    }
}

/// Makes a ruling on a number, which needs its evidence whichever way it lies.
fn judged(outcome: Outcome, why: String, evidence: u64, needed: u64, noun: &str) -> Ruling {
    let (outcome, why) = if evidence < needed {
        (Outcome::Inconclusive, too_few(evidence, needed, noun))
    } else if outcome == Outcome::Met {
        (outcome, String::new())
    } else {
        (outcome, why)
    };
    Ruling {
        outcome,
        why,
        evidence,
        measured: String::new(),
        value: None,
        examples: Vec::new(),
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        Value::count(part) / Value::count(whole)
    }
}

/// Gives a quantile as it is called: 99, 99.9.
fn percent(quantile: f64) -> f64 {
    (quantile * 1e6).round() / 1e4
}
