//! Doors that are held to their order: each is given the next recorded arrival, at its recorded
//! instant, and nothing else: what comes early waits. The order is nobody's decision, and round robin
//! depends on it. An arrival that does not come is a divergence, which ends the run and is told.

use std::collections::VecDeque;
use std::net::IpAddr;

use super::order::{Arrival, Arrived, Order};
use crate::model::fact::Act;
use crate::model::id::Name;
use crate::model::time::{Span, Time};
use crate::policy::balancer::Input;
use crate::sim::event::{Event, Id};
use crate::sim::network::LinkId;
use crate::sim::world::World;

/// How long after its recorded instant an arrival is waited for: longer than any of the simulation's
/// own waits between two dials of one agent.
pub const PATIENCE: Span = Span::from_secs(10);

/// How late an arrival may be at the end of a run, which ends in the middle of something.
pub const PATIENCE_AT_END: Span = Span::from_secs(1);

/// How a run ends that has left the recorded order.
pub const DIVERGED: &str = "the simulation has left the recorded order";

/// Where a simulation left the recorded order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The door.
    pub balancer: Name,
    /// The arrival that did not come.
    pub expected: Arrival,
    /// How many arrivals had come before it.
    pub after: usize,
    /// What had come instead, in words.
    pub instead: Vec<String>,
}

/// A door's place in its order.
#[derive(Debug)]
pub(in crate::sim) struct Followed {
    left: VecDeque<Arrival>,
    given: usize,
    early: Vec<Early>,
    acts: bool,
}

/// What came before its turn.
#[derive(Clone, Debug)]
pub(in crate::sim) enum Early {
    Accepted(LinkId, IpAddr),
    Checked(u64, u32),
    Operated(Act),
}

impl Followed {
    pub(in crate::sim) fn new(order: &Order, balancer: &Name) -> Option<Self> {
        let arrivals = order.arrivals.get(balancer)?;
        let left = arrivals.iter().map(|arrival| Arrival {
            at: Time::ZERO + arrival.at.since(order.ready),
            what: arrival.what.clone(),
        });
        let is_act = |arrival: &Arrival| matches!(arrival.what, Arrived::Operated { .. });
        Some(Self {
            acts: arrivals.iter().any(is_act),
            left: left.collect(),
            given: 0,
            early: Vec::new(),
        })
    }
}

impl World<'_> {
    /// Has what reached a door wait for its turn; gives it back where nobody follows.
    pub(in crate::sim) fn follow(&mut self, door: u32, early: Early) -> Option<Early> {
        match &mut self.doors[door as usize].followed {
            None => Some(early),
            Some(followed) if !followed.acts && matches!(early, Early::Operated(_)) => Some(early),
            Some(followed) => {
                followed.early.push(early);
                self.follow_on(door);
                None
            }
        }
    }

    /// Begins to look for the first arrival of each door.
    pub(in crate::sim) fn begin_to_follow(&mut self) {
        for door in 0..u32::try_from(self.doors.len()).unwrap_or(u32::MAX) {
            self.look_for_next(door);
        }
    }

    /// Resets the clients that a door which stops listening has not taken, nor takes any more, as a
    /// kernel does with what waits on a listener; and forgets the checks that it gave up.
    fn end_backlog(&mut self, door: u32) {
        let Some(followed) = &mut self.doors[door as usize].followed else {
            return;
        };
        let next = followed.left.iter();
        let is_act = |arrival: &&Arrival| matches!(arrival.what, Arrived::Operated { .. });
        let mut taken: Vec<_> = next.take_while(|arrival| !is_act(arrival)).collect();
        let (kept, left) = std::mem::take(&mut followed.early)
            .into_iter()
            .partition(|early| {
                let place = taken.iter().position(|arrival| early.is(&arrival.what));
                place.map(|place| taken.remove(place)).is_some()
                    || matches!(early, Early::Operated(_))
            });
        followed.early = kept;
        let left: Vec<Early> = left;
        for early in left {
            if let Early::Accepted(link, _) = early {
                self.tear(link, true);
            }
        }
    }

    fn look_for_next(&mut self, door: u32) {
        let Some(followed) = &self.doors[door as usize].followed else {
            return;
        };
        let (Some(next), given) = (followed.left.front(), followed.given) else {
            return;
        };
        let at = next.at.max(self.now);
        let id = Id::Balancer(door);
        self.queue.push(at, id, Event::Follow(door, given, false));
        self.queue
            .push(at + PATIENCE, id, Event::Follow(door, given, true));
    }

    /// Looks whether a door's next arrival is there, or is overdue.
    pub(in crate::sim) fn look_at_order(&mut self, door: u32, given: usize, overdue: bool) {
        let Some(followed) = &self.doors[door as usize].followed else {
            return;
        };
        if followed.given != given {
            return;
        }
        if !overdue {
            return self.follow_on(door);
        }
        self.diverge(door);
    }

    /// Looks at the end of a run whether something that was due has not come.
    pub(in crate::sim) fn look_at_orders_left(&mut self) {
        for door in 0..u32::try_from(self.doors.len()).unwrap_or(u32::MAX) {
            let followed = self.doors[door as usize].followed.as_ref();
            let next = followed.and_then(|followed| followed.left.front());
            if next.is_some_and(|next| next.at + PATIENCE_AT_END <= self.now) {
                return self.diverge(door);
            }
        }
    }

    fn diverge(&mut self, door: u32) {
        let Some(followed) = &self.doors[door as usize].followed else {
            return;
        };
        let Some(expected) = followed.left.front().cloned() else {
            return;
        };
        let early = followed.early.iter();
        self.diverged = Some(Divergence {
            balancer: self.topology.balancers[door as usize].name.clone(),
            expected,
            after: followed.given,
            instead: early.map(Early::words).collect(),
        });
        self.over = Some(DIVERGED);
    }

    /// Gives a door what is due and there, in the recorded order.
    fn follow_on(&mut self, door: u32) {
        loop {
            let now = self.now;
            let Some(followed) = &mut self.doors[door as usize].followed else {
                return;
            };
            let Some(next) = followed.left.front().filter(|next| next.at <= now) else {
                return;
            };
            let fits = |early: &Early| early.is(&next.what);
            let Some(place) = followed.early.iter().position(fits) else {
                return;
            };
            let early = followed.early.remove(place);
            let Some(arrival) = followed.left.pop_front() else {
                return;
            };
            followed.given += 1;
            self.look_for_next(door);
            match (early, arrival.what) {
                (Early::Accepted(link, _), _) => self.accept_now(link),
                (Early::Checked(check, proxy), Arrived::Checked { error, .. }) => {
                    let input = Input::Checked {
                        check,
                        proxy,
                        error,
                    };
                    self.feed_door(door, input, None);
                }
                (Early::Checked(..), _) => {}
                (Early::Operated(act), _) => {
                    if act != Act::Start {
                        self.end_backlog(door);
                    }
                    self.feed_door(door, Input::Operated { act }, None);
                }
            }
        }
    }
}

impl Early {
    fn is(&self, what: &Arrived) -> bool {
        match (self, what) {
            (Self::Accepted(_, own), Arrived::Accepted { client }) => own == client,
            (Self::Checked(_, own), Arrived::Checked { proxy, .. }) => own == proxy,
            (Self::Operated(own), Arrived::Operated { act }) => own == act,
            _ => false,
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Accepted(_, client) => format!("a client from {client}"),
            Self::Checked(_, proxy) => format!("a check of the instance {proxy}"),
            Self::Operated(act) => format!("the act {act}"),
        }
    }
}
