//! Parity: the order in which a live run's clients and check results reached each door.
//!
//! That order is nobody's decision, and round robin depends on it. In goes the order of a recorded
//! run; each door is then given the next recorded arrival, at its recorded instant, and nothing
//! else: what comes early waits. Service times are taken away, so that the simulation is never late.
//! An arrival that does not come is a divergence, which ends the run and is told.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use super::event::{Event, Id};
use super::network::LinkId;
use super::world::World;
use crate::model::fact::Act;
use crate::model::id::{DialId, FlowId, Name};
use crate::model::time::{Span, Time};
use crate::model::topology::Model;
use crate::policy::balancer::Input;
use crate::policy::{agent, proxy};

/// How long after its recorded instant an arrival is waited for: longer than any of the simulation's
/// own waits between two dials of one agent.
pub const PATIENCE: Span = Span::from_secs(10);

/// How late an arrival may be at the end of a run, which ends in the middle of something.
pub const PATIENCE_AT_END: Span = Span::from_secs(1);

/// How long an instance waits at most before it hears of something.
const HOLD_MAX: Span = Span::from_secs(1);

/// How late a wake of the recorded run may be: one that came later was another.
const WAKE_LATE_MAX: Span = Span::from_secs(2);

/// How a run ends that has left the recorded order.
pub const DIVERGED: &str = "the simulation has left the recorded order";

/// The order of a recorded run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// When the recorded lab was ready: the simulation's zero.
    pub ready: Time,
    /// What reached each door, in order. Doors that are not here are not held.
    pub arrivals: BTreeMap<Name, Vec<Arrival>>,
    /// When each agent learnt what came of a dial. It is told no earlier; what is not here is told
    /// at once. Without them an answer to find that is nearly 3 s old may be used by one run alone.
    pub outcomes: BTreeMap<(Name, DialId, Outcome), Time>,
    /// When each agent was woken, in order. It is woken no earlier: a busy machine wakes late.
    pub woken: BTreeMap<Name, VecDeque<Time>>,
    /// When each instance heard of what its routes depend on, in order. It hears no earlier.
    pub heard: BTreeMap<(Name, Heard), VecDeque<Time>>,
    /// When each door learnt of a flow's end. It learns no earlier: least connections count flows.
    pub ended: BTreeMap<(Name, FlowId), Time>,
}

/// What an instance hears, by whom; ports differ between runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Heard {
    /// Another instance passed on what the agent with this host id serves.
    Announced(Name),
    /// A heartbeat with these apps.
    Heartbeat(Vec<Name>),
    /// The agent with this host id logged in.
    Login(Name),
    /// A request from this address for this host.
    Request(IpAddr, String),
}

impl Heard {
    /// Gives what an instance hears, if it is such a thing.
    #[expect(clippy::wildcard_enum_match_arm, reason = "few inputs are held")]
    pub fn of(input: &proxy::Input) -> Option<Self> {
        match input {
            proxy::Input::Announced { host_id, .. } => Some(Self::Announced(host_id.clone())),
            proxy::Input::Heartbeat { serves, .. } => Some(Self::Heartbeat(serves.apps.clone())),
            proxy::Input::TunnelOpened { host_id, .. } => Some(Self::Login(host_id.clone())),
            proxy::Input::RequestRead { client, host, .. } => {
                Some(Self::Request(client.ip(), host.clone()))
            }
            _ => None,
        }
    }
}

/// What an agent learns of a dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Find was answered.
    Found,
    /// The tunnel stands, or the attempt failed.
    Tried,
    /// A tunnel that stood has ended.
    Lost,
}

impl Outcome {
    /// Gives the dial and the outcome that an agent is told of, if it is one.
    #[expect(clippy::wildcard_enum_match_arm, reason = "few inputs are outcomes")]
    pub const fn of(input: &agent::Input) -> Option<(DialId, Self)> {
        match input {
            agent::Input::FindAnswered { dial, .. } => Some((*dial, Self::Found)),
            agent::Input::Failed { dial, .. } | agent::Input::TunnelUp { dial, .. } => {
                Some((*dial, Self::Tried))
            }
            agent::Input::TunnelClosed { dial, .. } => Some((*dial, Self::Lost)),
            _ => None,
        }
    }
}

/// Something that reached a door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When, on the recorded run's clock.
    pub at: Time,
    /// What.
    pub what: Arrived,
}

/// What reached a door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// A client was accepted.
    Accepted {
        /// Its address; ports differ between runs.
        client: IpAddr,
    },
    /// A check ended.
    Checked {
        /// The instance, by its place in the pool.
        proxy: u32,
        /// Why it failed; given to the door as it is recorded.
        error: Option<String>,
    },
    /// An operator's act. A door whose order holds none acts at the timeline's instants.
    Operated {
        /// Which.
        act: Act,
    },
}

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
pub(super) struct Followed {
    left: VecDeque<Arrival>,
    given: usize,
    early: Vec<Early>,
    acts: bool,
}

/// What came before its turn.
#[derive(Clone, Debug)]
pub(super) enum Early {
    Accepted(LinkId, IpAddr),
    Checked(u64, u32),
    Operated(Act),
}

impl Followed {
    pub(super) fn new(order: &Order, balancer: &Name) -> Option<Self> {
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

/// Takes the time of services away, so that the simulation is early and never late.
pub(super) fn hurried(model: Model) -> Model {
    Model {
        latency: Span::from_us(1),
        tls: Span::ZERO,
        ssh: Span::ZERO,
        ..model
    }
}

impl World<'_> {
    /// Has what reached a door wait for its turn; gives it back where nobody follows.
    pub(super) fn follow(&mut self, door: u32, early: Early) -> Option<Early> {
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

    /// Gives until when an instance is to wait before it hears this; `None` when it is its time.
    pub(super) fn hold_back(&mut self, proxy: u32, heard: &Heard) -> Option<Time> {
        let order = self.options.follow.as_mut()?;
        let name = self.proxies[proxy as usize].name.clone();
        let times = order.heard.get_mut(&(name, heard.clone()))?;
        let ready = order.ready;
        let now = self.now;
        let at = |times: &VecDeque<Time>| {
            let at = times.front()?;
            Some(Time::ZERO + at.since(ready))
        };
        // What one run did and the other did not must not shift all that comes after.
        while at(times).is_some_and(|at| at + HOLD_MAX < now) {
            times.pop_front();
        }
        let at = at(times).filter(|at| *at <= now + HOLD_MAX)?;
        if now < at {
            return Some(at);
        }
        times.pop_front();
        None
    }

    /// Gives until when a door is to wait before it learns of a flow's end; `None` when it is time.
    pub(super) fn hold_end(&self, door: u32, flow: FlowId) -> Option<Time> {
        let order = self.options.follow.as_ref()?;
        let name = self.topology.balancers[door as usize].name.clone();
        let at = order.ended.get(&(name, flow))?;
        let at = Time::ZERO + at.since(order.ready);
        (self.now < at).then_some(at)
    }

    /// Gives until when an agent that is due is to wait before it is woken; `None` when it is time.
    pub(super) fn hold_wake(&mut self, index: u32, due: Time) -> Option<Time> {
        let order = self.options.follow.as_mut()?;
        let ready = order.ready;
        let times = order
            .woken
            .get_mut(&self.topology.agents[index as usize].name)?;
        let here = |at: &Time| Time::ZERO + at.since(ready);
        while times.front().is_some_and(|at| here(at) < due) {
            times.pop_front();
        }
        let at = here(times.front()?);
        (self.now < at && at.since(due) <= WAKE_LATE_MAX).then_some(at)
    }

    /// Tells an agent what came of a dial, no earlier than the recorded run did.
    pub(super) fn tell_outcome(&mut self, index: u32, input: agent::Input) {
        let name = &self.topology.agents[index as usize].name;
        let key = Outcome::of(&input).map(|(dial, outcome)| (name.clone(), dial, outcome));
        let order = self.options.follow.as_ref();
        let at = order.zip(key).and_then(|(order, key)| {
            let at = order.outcomes.get(&key)?;
            Some(Time::ZERO + at.since(order.ready))
        });
        match at.filter(|at| self.now < *at) {
            Some(at) => {
                let event = Event::Outcome(index, Box::new(input));
                self.queue.push(at, Id::Agent(index), event);
            }
            None => {
                self.outcome(index, input);
            }
        }
    }

    /// Tells an agent what came of a dial.
    pub(super) fn outcome(&mut self, index: u32, input: agent::Input) {
        self.feed_agent(index, input);
        self.watch_mesh();
    }

    /// Begins to look for the first arrival of each door.
    pub(super) fn begin_to_follow(&mut self) {
        for door in 0..u32::try_from(self.doors.len()).unwrap_or(u32::MAX) {
            self.look_for_next(door);
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
    pub(super) fn look_at_order(&mut self, door: u32, given: usize, overdue: bool) {
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
    pub(super) fn look_at_orders_left(&mut self) {
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
                    // Checks that the live door gave up with its process are nobody's any more.
                    if let (Act::Kill | Act::Stop, Some(followed)) =
                        (act, &mut self.doors[door as usize].followed)
                    {
                        let is_check = |early: &Early| matches!(early, Early::Checked(..));
                        followed.early.retain(|early| !is_check(early));
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
