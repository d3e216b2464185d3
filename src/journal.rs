//! The facts of a run, in order, each with its sequence number.
//!
//! In go what machines and measurements say; out come the facts since a number, a signal when there
//! are more, and the state at an instant. It keeps the last [`FACTS_MAX`] facts; the [`Snapshot`] and
//! the [`Watch`] over the scenario's expectations fold each fact as it is made, so the bound does not
//! touch them. What may be looked back at is what a checkpoint and the facts after it tell.

mod checkpoint;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::watch;

use crate::judge::watch::{Stand, Turn, Watch};
use crate::model::fact::{Fact, Kind};
use crate::model::id::{Node, Seq};
use crate::model::time::Time;
use crate::model::topology::Topology;
use crate::snapshot::Snapshot;

use self::checkpoint::Checkpoints;

/// How many facts are kept for looking back; a fact is a few hundred bytes.
pub const FACTS_MAX: usize = 100_000;

/// The journal of one run. Cheap to clone; all clones are the same journal.
#[derive(Clone, Debug)]
pub struct Journal {
    inner: Arc<Mutex<Inner>>,
    last: watch::Sender<Seq>,
}

struct Inner {
    facts: VecDeque<Arc<Fact>>,
    facts_max: usize,
    snapshot: Snapshot,
    watch: Watch,
    checkpoints: Checkpoints,
    next: u64,
    observers: Vec<Observer>,
}

/// Sees each fact, in order.
type Observer = Box<dyn FnMut(&Fact) + Send>;

/// Which state is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The newest.
    Now,
    /// That after this fact; the newest when it is not there yet.
    Seq(Seq),
    /// That at this instant: after the facts before the first later one.
    Time(Time),
}

/// The lab at an instant.
#[derive(Clone, Debug)]
pub struct Moment {
    /// Its state.
    pub state: Snapshot,
    /// How each expectation stood.
    pub stands: Vec<Stand>,
    /// The oldest state that can be looked at: after which fact, and its instant.
    pub oldest: (Seq, Time),
}

/// All that is held, from its oldest state to the newest.
#[derive(Clone, Debug)]
pub struct Held {
    /// The oldest state.
    pub base: Arc<Snapshot>,
    /// The facts after it, oldest first.
    pub facts: Vec<Arc<Fact>>,
    /// How expectations turned, as far as that is kept, oldest first.
    pub turns: Vec<Turn>,
    /// The lab now.
    pub now: Moment,
}

/// What was asked for is older than what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("only the state from {at} s (fact {seq}) on is still held")]
pub struct Gone {
    /// The oldest fact after which the state is known.
    pub seq: Seq,
    /// The instant of that state.
    pub at: Time,
}

/// Facts since a number.
#[derive(Debug)]
pub struct Batch {
    /// The facts, oldest first.
    pub facts: Vec<Arc<Fact>>,
    /// Whether older facts than the first were asked for but are no longer kept.
    pub gap: bool,
}

impl Journal {
    /// Makes an empty journal for a lab of this topology.
    pub fn new(topology: &Topology) -> Self {
        Self::keeping(topology, FACTS_MAX)
    }

    /// Makes an empty journal that keeps fewer facts than [`FACTS_MAX`] for looking back.
    pub fn keeping(topology: &Topology, facts_max: usize) -> Self {
        let snapshot = Snapshot::new(topology);
        let watch = Watch::new(topology);
        let facts_max = facts_max.min(FACTS_MAX);
        let inner = Inner {
            facts: VecDeque::new(),
            facts_max,
            checkpoints: Checkpoints::new(&snapshot, watch.stands(), facts_max),
            snapshot,
            watch,
            next: 1,
            observers: Vec::new(),
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
            last: watch::Sender::new(Seq(0)),
        }
    }

    /// Adds facts of one node, all of one instant, and folds them into the snapshot.
    pub fn add(&self, at: Time, node: &Node, kinds: impl IntoIterator<Item = Kind>) {
        let mut inner = self.lock();
        let before = inner.next;
        for kind in kinds {
            let fact = Fact {
                seq: Seq(inner.next),
                at,
                node: node.clone(),
                kind,
            };
            inner.next += 1;
            inner.snapshot.fold(&fact);
            inner.watch.fold(&fact);
            for observe in &mut inner.observers {
                observe(&fact);
            }
            if inner.facts.len() >= inner.facts_max {
                inner.facts.pop_front();
            }
            inner.facts.push_back(Arc::new(fact));
            let inner = &mut *inner;
            let oldest = inner.next - inner.facts.len() as u64;
            inner.checkpoints.drop_before(oldest);
            inner.checkpoints.add(&inner.snapshot, inner.watch.stands());
        }
        let last = Seq(inner.next - 1);
        let grew = inner.next != before;
        drop(inner);
        if grew {
            self.last.send_if_modified(|seen| {
                let newer = *seen < last;
                *seen = last.max(*seen);
                newer
            });
        }
    }

    /// Has every fact seen by `observer`, each once and in order, those that were made before too.
    ///
    /// Tells whether it sees all of them: `false` when the first are no longer kept. It is called
    /// under the journal's lock, so it must be quick, and must not ask the journal anything.
    pub fn observe(&self, mut observer: impl FnMut(&Fact) + Send + 'static) -> bool {
        let mut inner = self.lock();
        let whole = inner.next - 1 == inner.facts.len() as u64;
        inner.facts.iter().for_each(|fact| observer(fact));
        inner.observers.push(Box::new(observer));
        whole
    }

    /// Gives up to `count` facts after `seq`, oldest first.
    pub fn after(&self, seq: Seq, count: usize) -> Batch {
        let inner = self.lock();
        let oldest = inner.next - inner.facts.len() as u64;
        let wanted = seq.0.saturating_add(1);
        let gap = wanted < oldest;
        let skip = usize::try_from(wanted.saturating_sub(oldest)).unwrap_or(usize::MAX);
        let facts = inner.facts.iter().skip(skip).take(count).cloned().collect();
        Batch { facts, gap }
    }

    /// Gives the state now.
    pub fn snapshot(&self) -> Snapshot {
        self.lock().snapshot.clone()
    }

    /// Asks something of the state now without a copy of the whole.
    pub fn ask<T>(&self, question: impl FnOnce(&Snapshot) -> T) -> T {
        question(&self.lock().snapshot)
    }

    /// Gives the lab now.
    pub fn now(&self) -> Moment {
        self.lock().now()
    }

    /// Gives the lab at an instant.
    ///
    /// What lies back is folded from the checkpoint before it, outside the journal's lock.
    pub fn moment(&self, at: At) -> Result<Moment, Gone> {
        let (checkpoint, facts, turns, oldest) = {
            let inner = self.lock();
            let oldest = inner.oldest();
            let is_newest = match at {
                At::Now => true,
                At::Seq(seq) => inner.snapshot.seq <= seq,
                At::Time(time) => inner.snapshot.at <= time,
            };
            if is_newest {
                return Ok(inner.now());
            }
            let (seq, instant) = oldest;
            let checkpoint = inner.checkpoints.before(at);
            let checkpoint = checkpoint.ok_or(Gone { seq, at: instant })?.clone();
            let first = inner.next - inner.facts.len() as u64;
            let skip = (checkpoint.seq().0 + 1).saturating_sub(first);
            let facts = inner.facts.iter();
            let facts = facts.skip(usize::try_from(skip).unwrap_or(usize::MAX));
            let facts = facts.take_while(|fact| match at {
                At::Now => true,
                At::Seq(seq) => fact.seq <= seq,
                At::Time(time) => fact.at <= time,
            });
            let facts: Vec<Arc<Fact>> = facts.cloned().collect();
            let turns: Vec<Turn> = inner.watch.turns().cloned().collect();
            (checkpoint, facts, turns, oldest)
        };
        Ok(checkpoint.unfold(&facts, &turns, oldest))
    }

    /// Gives all that is held.
    pub fn held(&self) -> Held {
        let inner = self.lock();
        let now = inner.now();
        let base = match inner.checkpoints.first() {
            Some(first) => first,
            None => Arc::new(now.state.clone()),
        };
        let first = inner.next - inner.facts.len() as u64;
        let skip = (base.seq.0 + 1).saturating_sub(first);
        let facts = inner.facts.iter();
        let facts = facts.skip(usize::try_from(skip).unwrap_or(usize::MAX));
        Held {
            facts: facts.cloned().collect(),
            turns: inner.watch.turns().cloned().collect(),
            base,
            now,
        }
    }

    /// Gives how expectations turned, as far as that is kept, oldest first.
    pub fn turns(&self) -> Vec<Turn> {
        self.lock().watch.turns().cloned().collect()
    }

    /// Gives a receiver that sees the newest sequence number whenever it grows.
    pub fn watch(&self) -> watch::Receiver<Seq> {
        self.last.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("folding a fact does not panic")
    }
}

impl Inner {
    fn now(&self) -> Moment {
        Moment {
            state: self.snapshot.clone(),
            stands: self.watch.stands().to_vec(),
            oldest: self.oldest(),
        }
    }

    /// Gives the oldest state that can be looked at.
    fn oldest(&self) -> (Seq, Time) {
        let oldest = self.checkpoints.oldest();
        oldest.unwrap_or((self.snapshot.seq, self.snapshot.at))
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
