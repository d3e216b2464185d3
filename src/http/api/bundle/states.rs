//! Which states of a run are kept: those that tell most, and no more than there is room for.

use std::collections::BTreeSet;

use crate::journal::Held;
use crate::model::fact::Kind;
use crate::model::id::Seq;
use crate::model::time::Time;

/// How long before and after an act or a turn there is a state a second, in seconds.
const NEAR: (u64, u64) = (2, 10);

const SECOND_US: u64 = 1_000_000;

/// The facts after which a state is kept.
#[derive(Debug)]
pub(super) struct Chosen {
    /// Oldest first, each once.
    pub(super) seqs: Vec<Seq>,
    /// How many acts, faults and turns have no state of their own.
    pub(super) thinned: usize,
}

/// Chooses at most so many: half for acts, faults and turns of expectations, a quarter for what
/// came of them within seconds, and the rest even in time.
pub(super) fn choose(held: &Held, most: usize) -> Chosen {
    let newest = held.now.state.seq;
    let mut told: BTreeSet<Seq> = BTreeSet::new();
    let mut around: BTreeSet<u64> = BTreeSet::new();
    let mut near = |at: Time| {
        let second = at.as_us() / SECOND_US;
        around.extend(second.saturating_sub(NEAR.0)..=second + NEAR.1);
    };
    // At what was done, and just before it.
    for fact in held.facts.iter().filter(|fact| is_act(&fact.kind)) {
        let before = Seq(fact.seq.0.saturating_sub(1)).max(held.base.seq);
        told.extend([before, fact.seq]);
        near(fact.at);
    }
    for turn in &held.turns {
        told.extend(last_before(held, turn.at.as_us()));
        near(turn.at);
    }
    let told: Vec<Seq> = told.into_iter().collect();
    let mut seqs = BTreeSet::from([held.base.seq, newest]);
    let kept = evenly(&told, most / 2);
    seqs.extend(&kept);
    let close: BTreeSet<Seq> = around
        .iter()
        .filter_map(|second| last_before(held, second.saturating_mul(SECOND_US)))
        .collect();
    let close: Vec<Seq> = close.difference(&seqs).copied().collect();
    seqs.extend(evenly(&close, most / 4));
    seqs.extend(even_in_time(held, most.saturating_sub(seqs.len())));
    Chosen {
        seqs: seqs.into_iter().collect(),
        thinned: told.len() - kept.len(),
    }
}

/// Gives the last fact until an instant, among those that are held.
fn last_before(held: &Held, us: u64) -> Option<Seq> {
    let until = held.facts.partition_point(|fact| fact.at.as_us() <= us);
    Some(held.facts[until.checked_sub(1)?].seq)
}

/// Gives the last fact before each of so many instants.
fn even_in_time(held: &Held, count: usize) -> Vec<Seq> {
    let (from, to) = (held.base.at.as_us(), held.now.state.at.as_us());
    let step = (to.saturating_sub(from) / (count as u64).max(1)).max(1);
    let mut seqs = Vec::new();
    let mut next = from + step;
    let mut last = held.base.seq;
    for fact in &held.facts {
        if fact.at.as_us() >= next && seqs.len() < count {
            seqs.push(last);
            next = fact.at.as_us() - (fact.at.as_us() - from) % step + step;
        }
        last = fact.seq;
    }
    seqs
}

const fn is_act(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::FaultLifted { .. }
            | Kind::FaultSet { .. }
            | Kind::Operated { .. }
            | Kind::Ready
            | Kind::Reloaded { .. }
            | Kind::Roamed { .. }
            | Kind::StepBegan { .. }
    )
}

/// Thins a list out to at most so many, the first and the last among them.
pub(super) fn evenly<T: Copy>(list: &[T], most: usize) -> Vec<T> {
    let count = list.len().min(most);
    let last = count.saturating_sub(1).max(1);
    let places = (0..count).map(|place| place * list.len().saturating_sub(1) / last);
    places
        .filter_map(|place| list.get(place).copied())
        .collect()
}
