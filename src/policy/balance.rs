//! Which backend a flow goes to: one question, asked again after each connect that fails.
//!
//! In go the algorithm, the backends as the balancer sees them now, whose turn it is and what this
//! flow has tried; out comes a backend with its reason, or nothing. Asked until it says nothing, it
//! gives each usable backend once: the sequence is bounded by their number. It counts no
//! connections and knows no addresses.

use crate::model::fact::Chosen;
use crate::model::topology::Algorithm;

/// A backend at the instant of the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Whether it may get new flows: its health is usable and nobody drains it.
    pub usable: bool,
    /// Its flows, those still connecting included: a burst must not all see the same low number.
    pub open: u32,
}

/// Where the next round begins; one per balancer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn(usize);

/// A backend and why it was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its index in the pool.
    pub backend: usize,
    /// The reason.
    pub why: Chosen,
}

/// Chooses the next candidate among the usable of `count` backends that the flow has not `tried`.
///
/// A retry takes a turn too: else the successor of a backend that is broken but not yet down would
/// get the broken one's flows and its own.
pub fn next(
    algorithm: Algorithm,
    count: usize,
    see: impl Fn(usize) -> Seen,
    tried: &[usize],
    turn: &mut Turn,
) -> Option<Choice> {
    let mut candidates = (0..count)
        .map(|step| (turn.0 + step) % count)
        .filter(|index| see(*index).usable && !tried.contains(index));
    let backend = match algorithm {
        // The first of equals wins, and the scan begins at the turn: ties go in turn.
        Algorithm::LeastConnections => candidates.min_by_key(|index| see(*index).open),
        Algorithm::RoundRobin => candidates.next(),
    }?;
    turn.0 = (backend + 1) % count;
    let why = match algorithm {
        _ if !tried.is_empty() => Chosen::AfterFailure,
        Algorithm::LeastConnections => Chosen::FewestConnections {
            open: see(backend).open,
        },
        Algorithm::RoundRobin => Chosen::Turn,
    };
    Some(Choice { backend, why })
}

#[cfg(test)]
mod tests;
