//! Checkpoints: whole states in the course of a run, from which the states between are folded.
//!
//! There is one every [`SPACING`] facts, as far as [`BYTES_MAX`] holds them: a state of a few nodes
//! is a few kilobytes, one of a million agents is hundreds of megabytes. The larger the lab, the
//! further apart they are; a lab of which not even two fit has none but that of its start.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{At, Moment};
use crate::judge::watch::{LOOK, Stand, State, Turn};
use crate::model::fact::Fact;
use crate::model::id::Seq;
use crate::model::time::Time;
use crate::snapshot::Snapshot;

/// How many facts lie between two checkpoints of a small lab: folding them takes a millisecond.
const SPACING: u64 = 1_000;

/// How much memory all checkpoints may take, beside that of the start.
const BYTES_MAX: usize = 128 << 20;

/// The checkpoints of one run, oldest first.
#[derive(Debug)]
pub(super) struct Checkpoints {
    kept: VecDeque<Checkpoint>,
    /// `None` when there are none to come.
    spacing: Option<u64>,
}

/// A state after a fact.
#[derive(Clone, Debug)]
pub(super) struct Checkpoint {
    state: Arc<Snapshot>,
    stands: Arc<[Stand]>,
}

impl Checkpoints {
    pub(super) fn new(start: &Snapshot, stands: &[Stand], facts_max: usize) -> Self {
        let first = Checkpoint::new(start, stands);
        let fit = BYTES_MAX / start.weight().max(1);
        let apart = (facts_max as u64).div_ceil(fit.max(1) as u64);
        Self {
            kept: VecDeque::from([first]),
            spacing: (fit >= 2).then(|| apart.max(SPACING)),
        }
    }

    /// Takes the state after the newest fact, if a checkpoint is due.
    pub(super) fn add(&mut self, state: &Snapshot, stands: &[Stand]) {
        if self
            .spacing
            .is_some_and(|spacing| state.seq.0.is_multiple_of(spacing))
        {
            self.kept.push_back(Checkpoint::new(state, stands));
        }
    }

    /// Drops those after which a fact is missing; `oldest` is the first fact that is kept.
    pub(super) fn drop_before(&mut self, oldest: u64) {
        while self
            .kept
            .front()
            .is_some_and(|first| first.seq().0 + 1 < oldest)
        {
            self.kept.pop_front();
        }
    }

    /// Gives the oldest state that can be looked at.
    pub(super) fn oldest(&self) -> Option<(Seq, Time)> {
        self.kept.front().map(|first| (first.seq(), first.state.at))
    }

    /// Gives the oldest state itself.
    pub(super) fn first(&self) -> Option<Arc<Snapshot>> {
        self.kept.front().map(|first| Arc::clone(&first.state))
    }

    /// Gives the last one that is not later than what is asked for.
    pub(super) fn before(&self, at: At) -> Option<&Checkpoint> {
        let count = self.kept.partition_point(|kept| match at {
            At::Now => true,
            At::Seq(seq) => kept.seq() <= seq,
            At::Time(time) => kept.state.at <= time,
        });
        self.kept.get(count.checked_sub(1)?)
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.kept.len()
    }
}

impl Checkpoint {
    fn new(state: &Snapshot, stands: &[Stand]) -> Self {
        Self {
            state: Arc::new(state.clone()),
            stands: stands.into(),
        }
    }

    pub(super) fn seq(&self) -> Seq {
        self.state.seq
    }

    /// Folds what came after, which is all that is looked at.
    pub(super) fn unfold(self, facts: &[Arc<Fact>], turns: &[Turn], oldest: (Seq, Time)) -> Moment {
        let mut state = Snapshot::clone(&self.state);
        facts.iter().for_each(|fact| state.fold(fact));
        let mut stands = self.stands.to_vec();
        // A turn shortly before the checkpoint may have been found after it; one that was found
        // before it is only taken again.
        let since = self.state.at;
        let new = |turn: &&Turn| since <= turn.at + LOOK && turn.at <= state.at;
        for turn in turns.iter().filter(new) {
            if let Some(stand) = stands.get_mut(turn.index) {
                turned(stand, turn);
            }
        }
        Moment {
            state,
            stands,
            oldest,
        }
    }
}

fn turned(stand: &mut Stand, turn: &Turn) {
    if stand.state != turn.state {
        stand.at = turn.at;
    }
    stand.state = turn.state;
    stand.settled = matches!(turn.state, State::Met | State::Inconclusive);
    match turn.state {
        State::Failed | State::Inconclusive => stand.why.clone_from(&turn.text),
        State::Waiting | State::Holding | State::Met => {
            stand.why.clear();
            stand.measured.clone_from(&turn.text);
        }
    }
}
