//! The judge while a run goes on: how each expectation stands, and when it turned.
//!
//! In go the facts of a run; out come [`Stand`]s and the [`Turn`]s so far. What stands is worked out
//! again four times a second of the run, because it may take a look at every agent; a fact against
//! an expectation has its own instant all the same.

use std::collections::VecDeque;
use std::fmt;

use super::{Judge, Outcome, Verdict};
use crate::model::fact::{Fact, Kind};
use crate::model::id::Name;
use crate::model::mistake::Place;
use crate::model::time::{Span, Time};
use crate::model::topology::Topology;

/// How many turns are kept.
pub const TURNS_MAX: usize = 1_000;

/// From one look to the next: a turn may be found so much after its instant.
pub const LOOK: Span = Span::from_ms(250);

/// How an expectation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Too little bears on it so far.
    Waiting,
    /// It is true so far.
    Holding,
    /// It held to the end of its time.
    Met,
    /// It does not hold.
    Failed,
    /// Too little bore on it to the end of its time.
    Inconclusive,
}

/// One expectation, as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Stand {
    /// The place of the expectation in the scenario's list, from 0.
    pub index: usize,
    /// The expectation as it was written.
    pub text: Name,
    /// Where it was written.
    pub place: Place,
    /// How it stands.
    pub state: State,
    /// Whether nothing that is still to come can change that.
    pub settled: bool,
    /// How many facts bore on it.
    pub evidence: u64,
    /// Why, in words; empty while there is nothing against it.
    pub why: String,
    /// What was found, in words.
    pub measured: String,
    /// Since when it stands so.
    pub at: Time,
}

/// An expectation that came to stand otherwise, or one more fact against it.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// The expectation.
    pub index: usize,
    /// When.
    pub at: Time,
    /// How it stands from then on.
    pub state: State,
    /// In words.
    pub text: String,
}

/// Watches one run.
#[derive(Clone, Debug)]
pub struct Watch {
    judge: Judge,
    stands: Vec<Stand>,
    /// How many facts against each expectation were told.
    told: Vec<usize>,
    turns: VecDeque<Turn>,
    /// The next look.
    next: Time,
}

impl Watch {
    /// Begins to watch what a scenario expects.
    pub fn new(topology: &Topology) -> Self {
        let judge = Judge::new(topology);
        let stands = judge.verdicts().into_iter();
        let stands: Vec<Stand> = stands
            .map(|verdict| Stand::new(verdict, State::Waiting, false, Time::ZERO))
            .collect();
        Self {
            judge,
            told: vec![0; stands.len()],
            stands,
            turns: VecDeque::new(),
            next: Time::ZERO,
        }
    }

    /// Takes one more fact.
    pub fn fold(&mut self, fact: &Fact) {
        if self.stands.is_empty() {
            return;
        }
        self.judge.fold(fact);
        if self.next <= fact.at || matches!(fact.kind, Kind::RunEnded { .. }) {
            self.next = fact.at + LOOK;
            self.look(fact.at);
        }
    }

    /// Gives how each expectation stood at the last look.
    pub fn stands(&self) -> &[Stand] {
        &self.stands
    }

    /// Gives the turns that are kept, oldest first.
    pub fn turns(&self) -> impl Iterator<Item = &Turn> {
        self.turns.iter()
    }

    fn look(&mut self, now: Time) {
        for verdict in self.judge.so_far() {
            let index = verdict.index;
            let settled = self.judge.is_settled(index);
            let state = State::new(verdict.outcome, self.judge.is_over(index));
            let before = &self.stands[index];
            let new = verdict.examples.iter().skip(self.told[index]);
            let against = new.map(|example| Turn {
                index,
                at: example.at,
                state: State::Failed,
                text: format!("{}: {}", example.node, example.text),
            });
            let mut turns: Vec<Turn> = against.filter(|_| state == State::Failed).collect();
            self.told[index] = self.told[index].max(verdict.examples.len());
            if turns.is_empty() && before.state != state {
                turns.push(Turn {
                    index,
                    at: now,
                    state,
                    text: match state {
                        State::Failed | State::Inconclusive => verdict.why.clone(),
                        State::Waiting | State::Holding | State::Met => verdict.measured.clone(),
                    },
                });
            }
            let at = match turns.first() {
                Some(first) if before.state != state => first.at,
                _ => before.at,
            };
            turns.into_iter().for_each(|turn| self.note(turn));
            self.stands[index] = Stand::new(verdict, state, settled, at);
        }
    }
}

impl Watch {
    fn note(&mut self, turn: Turn) {
        if self.turns.len() == TURNS_MAX {
            self.turns.pop_front();
        }
        self.turns.push_back(turn);
    }
}

impl Stand {
    fn new(verdict: Verdict, state: State, settled: bool, at: Time) -> Self {
        Self {
            index: verdict.index,
            text: verdict.text,
            place: verdict.place,
            state,
            settled,
            evidence: verdict.evidence,
            why: verdict.why,
            measured: verdict.measured,
            at,
        }
    }
}

impl State {
    const fn new(outcome: Outcome, over: bool) -> Self {
        match (outcome, over) {
            (Outcome::Met, true) => Self::Met,
            (Outcome::Met, false) => Self::Holding,
            (Outcome::Inconclusive, true) => Self::Inconclusive,
            (Outcome::Inconclusive, false) => Self::Waiting,
            (Outcome::Failed, _) => Self::Failed,
        }
    }

    /// Gives the one word that faces show.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Holding => "holding",
            Self::Met => "met",
            Self::Failed => "failed",
            Self::Inconclusive => "inconclusive",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

#[cfg(test)]
mod tests;
