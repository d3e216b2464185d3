//! What is still to happen, earliest first.
//!
//! In go events with their instants and who caused them; they come out in the order (instant,
//! source, sequence), which no run can differ in. It knows nothing of what an event is.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::model::time::Time;

/// What is to happen, ordered by (instant, source, sequence).
#[derive(Debug)]
pub(super) struct Queue<S, E> {
    heap: BinaryHeap<Entry<S, E>>,
    made: u64,
}

#[derive(Debug)]
struct Entry<S, E> {
    at: Time,
    source: S,
    sequence: u64,
    event: E,
}

impl<S: Copy + Ord, E> Queue<S, E> {
    /// Makes an empty one.
    pub(super) const fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            made: 0,
        }
    }

    /// Puts in what `source` makes happen at this instant.
    pub(super) fn push(&mut self, at: Time, source: S, event: E) {
        self.made += 1;
        self.heap.push(Entry {
            at,
            source,
            sequence: self.made,
            event,
        });
    }

    /// Takes out the next event.
    pub(super) fn pop(&mut self) -> Option<(Time, S, E)> {
        let entry = self.heap.pop()?;
        Some((entry.at, entry.source, entry.event))
    }
}

impl<S: Ord, E> Entry<S, E> {
    fn key(&self) -> (Time, &S, u64) {
        (self.at, &self.source, self.sequence)
    }
}

impl<S: Ord, E> Ord for Entry<S, E> {
    /// The greatest comes out first, so the earliest is the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

impl<S: Ord, E> PartialOrd for Entry<S, E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<S: Ord, E> PartialEq for Entry<S, E> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<S: Ord, E> Eq for Entry<S, E> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::draw::Seed;

    #[test]
    fn events_come_out_by_instant_then_source_then_sequence() {
        let mut queue = Queue::new();
        let mut naive = Vec::new();
        for n in 0..2_000 {
            let at = Time::from_us(Seed(1).draw("queue", "at", n) % 40);
            let source = Seed(1).draw("queue", "source", n) % 7;
            queue.push(at, source, n);
            naive.push((at, source, n));
        }
        naive.sort_unstable();
        let popped: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(popped, naive);
    }
}
