//! What happened between two instants: a fold over the facts that are held.
//!
//! In go a state, the facts after it, and the part that is looked at; out come the intervals of
//! faults and rests, the decisions in lanes, and rates. All of it is bounded: a lane keeps what went
//! wrong before what went well, and of either as many as a screen can show, evenly chosen.

mod severity;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Admin, Snapshot};
use crate::model::fact::{Act, Fact, Kind};
use crate::model::fault::Fault;
use crate::model::id::{FaultId, Node};
use crate::model::time::{Span, Time};

pub use self::severity::{Severity, severity};

/// How many decisions that went well a lane shows.
pub const MARKS_MAX: usize = 400;

/// How many that went wrong it shows at most.
pub const BAD_MAX: usize = 2_000;

/// How many intervals of each kind are shown; the last ones.
pub const INTERVALS_MAX: usize = 1_000;

/// How many buckets rates have at most.
const BUCKETS_MAX: u64 = 240;

/// The lengths of a bucket, in milliseconds.
const STEPS_MS: &[u64] = &[
    100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000,
    3_600_000, 21_600_000, 86_400_000,
];

/// Whose decisions a lane shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// The timeline, faults and operators.
    Scenario,
    /// The DNS server and the resolvers.
    Dns,
    /// The doors.
    Balancers,
    /// The pool.
    Proxies,
    /// The agents.
    Agents,
    /// The users.
    Users,
}

/// What happened between two instants.
#[derive(Clone, Debug)]
pub struct History {
    /// From when.
    pub from: Time,
    /// Until when.
    pub to: Time,
    /// The faults that were in force at some time.
    pub faults: Vec<FaultSpan>,
    /// Who was stopped, killed or drained.
    pub rests: Vec<Rest>,
    /// Rates in buckets.
    pub rates: Rates,
    lanes: BTreeMap<Lane, Marks>,
}

/// A fault and how long it was in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultSpan {
    /// Its number.
    pub id: FaultId,
    /// What it was.
    pub what: Fault,
    /// When it was set.
    pub from: Time,
    /// When it was lifted; its announced end when it is still in force.
    pub to: Option<Time>,
    /// Whether it was lifted.
    pub lifted: bool,
}

/// A node at rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rest {
    /// Who.
    pub node: Node,
    /// By which act.
    pub act: Act,
    /// Since when; the beginning of what is held where that is not known.
    pub from: Time,
    /// Until when.
    pub to: Option<Time>,
}

/// How much happened in each bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rates {
    /// The beginning of the first.
    pub from: Time,
    /// The length of each.
    pub step: Span,
    /// DNS answers.
    pub dns: Vec<u64>,
    /// Flows let in.
    pub flows: Vec<u64>,
    /// Visits and dials that failed.
    pub failures: Vec<u64>,
}

/// The decisions of a lane, in order.
#[derive(Clone, Debug, Default)]
struct Marks {
    good: Vec<Arc<Fact>>,
    bad: Vec<Arc<Fact>>,
}

impl History {
    /// Begins after a state, for the part from one instant to another.
    pub fn new(state: &Snapshot, from: Time, to: Time) -> Self {
        let faults = state.faults.iter().map(|fault| FaultSpan {
            id: fault.id,
            what: fault.what.clone(),
            from: fault.since,
            to: fault.until,
            lifted: false,
        });
        Self {
            from,
            to,
            faults: faults.collect(),
            rests: resting(state),
            rates: Rates::new(from, to),
            lanes: Lane::ALL
                .iter()
                .map(|lane| (*lane, Marks::default()))
                .collect(),
        }
    }

    /// Takes one more fact.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "few kinds begin or end something"
    )]
    pub fn fold(&mut self, fact: &Arc<Fact>) {
        match &fact.kind {
            Kind::FaultSet { fault, what, until } => self.faults.push(FaultSpan {
                id: *fault,
                what: what.clone(),
                from: fact.at,
                to: *until,
                lifted: false,
            }),
            Kind::FaultLifted { fault, .. } => {
                let mut faults = self.faults.iter_mut().rev();
                if let Some(span) = faults.find(|span| span.id == *fault) {
                    span.to = Some(fact.at);
                    span.lifted = true;
                }
            }
            Kind::Operated { act } => self.operated(&fact.node, *act, fact.at),
            _ => {}
        }
        if fact.at < self.from || self.to < fact.at {
            return;
        }
        self.rates.fold(fact);
        let (lane, Some(severity)) = (Lane::of(&fact.node), severity(fact)) else {
            return;
        };
        let marks = self.lanes.entry(lane).or_default();
        match severity {
            Severity::Bad => marks.bad.push(Arc::clone(fact)),
            Severity::Notice | Severity::Fine => marks.good.push(Arc::clone(fact)),
        }
    }

    /// Gives the decisions of a lane that are shown, oldest first, and how many there were more.
    pub fn marks(&self, lane: Lane) -> (Vec<&Arc<Fact>>, usize) {
        let Some(marks) = self.lanes.get(&lane) else {
            return (Vec::new(), 0);
        };
        let bad = evenly(&marks.bad, BAD_MAX);
        let good = evenly(
            &marks.good,
            MARKS_MAX.saturating_sub(marks.bad.len()).max(MARKS_MIN),
        );
        let mut shown: Vec<_> = bad.chain(good).collect();
        shown.sort_by_key(|fact| fact.seq);
        let more = marks.bad.len() + marks.good.len() - shown.len();
        (shown, more)
    }

    /// Leaves out what had ended before the part that is looked at, or began after it.
    pub fn trim(&mut self) {
        let (from, to) = (self.from, self.to);
        self.faults
            .retain(|span| span.from <= to && span.to.is_none_or(|end| from <= end));
        self.rests
            .retain(|rest| rest.from <= to && rest.to.is_none_or(|end| from <= end));
        keep_last(&mut self.faults);
        keep_last(&mut self.rests);
    }

    fn operated(&mut self, node: &Node, act: Act, at: Time) {
        let mut rests = self.rests.iter_mut().rev();
        if let Some(rest) = rests.find(|rest| rest.node == *node && rest.to.is_none()) {
            rest.to = Some(at);
        }
        if act != Act::Start {
            self.rests.push(Rest {
                node: node.clone(),
                act,
                from: at,
                to: None,
            });
        }
    }
}

/// How many decisions that went well are shown beside any number that went wrong.
const MARKS_MIN: usize = 100;

impl Lane {
    /// All, in the order in which a request meets them.
    pub const ALL: &[Self] = &[
        Self::Scenario,
        Self::Dns,
        Self::Balancers,
        Self::Proxies,
        Self::Agents,
        Self::Users,
    ];

    /// Gives the one word that faces show.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Scenario => "scenario",
            Self::Dns => "dns",
            Self::Balancers => "balancers",
            Self::Proxies => "proxies",
            Self::Agents => "agents",
            Self::Users => "users",
        }
    }

    const fn of(node: &Node) -> Self {
        match node {
            Node::Agent(_) => Self::Agents,
            Node::Balancer(_) => Self::Balancers,
            Node::Dns | Node::Resolver(_) => Self::Dns,
            Node::Lab => Self::Scenario,
            Node::Proxy(_) => Self::Proxies,
            Node::User(_) => Self::Users,
        }
    }
}

impl Rates {
    fn new(from: Time, to: Time) -> Self {
        let whole = to.since(from).as_us();
        let fits = |ms: &&u64| whole / (**ms * 1_000) < BUCKETS_MAX;
        let longest = STEPS_MS.last().copied().unwrap_or(1);
        let ms = STEPS_MS.iter().find(fits).copied().unwrap_or(longest);
        let step = Span::from_ms(ms);
        let from = Time::from_us(from.as_us() - from.as_us() % step.as_us());
        let count = to.since(from).as_us() / step.as_us() + 1;
        let none = vec![0; usize::try_from(count.min(BUCKETS_MAX + 1)).unwrap_or(0)];
        Self {
            from,
            step,
            dns: none.clone(),
            flows: none.clone(),
            failures: none,
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "few kinds are counted")]
    fn fold(&mut self, fact: &Fact) {
        let (counts, more) = match &fact.kind {
            Kind::DnsCounted { count, .. } => (&mut self.dns, *count),
            Kind::FlowOpened { .. } => (&mut self.flows, 1),
            Kind::DialFailed { .. } | Kind::VisitFailed { .. } => (&mut self.failures, 1),
            _ => return,
        };
        let bucket = fact.at.since(self.from).as_us() / self.step.as_us();
        let bucket = usize::try_from(bucket).unwrap_or(usize::MAX);
        if let Some(count) = counts.get_mut(bucket) {
            *count += more;
        }
    }
}

/// Gives those who rest in a state, since the instant of that state.
fn resting(state: &Snapshot) -> Vec<Rest> {
    let doors = state.balancers.iter();
    let doors = doors.map(|door| (Node::Balancer(door.name.clone()), door.admin));
    let pool = state.proxies.iter();
    let pool = pool.map(|proxy| (Node::Proxy(proxy.name.clone()), proxy.admin));
    let agents = state.agents.iter();
    let agents = agents.map(|agent| (Node::Agent(agent.name.clone()), agent.admin));
    let users = state.users.iter();
    let users = users.map(|user| (Node::User(user.name.clone()), user.admin));
    let all = doors.chain(pool).chain(agents).chain(users);
    let rests = all.filter_map(|(node, admin)| {
        let act = match admin {
            Admin::Ready => return None,
            Admin::Draining | Admin::Drained => Act::Drain,
            Admin::Stopped => Act::Stop,
        };
        Some(Rest {
            node,
            act,
            from: state.at,
            to: None,
        })
    });
    rests.collect()
}

/// Gives at most so many of a list, evenly chosen, the first and the last one too.
fn evenly<T>(list: &[T], most: usize) -> impl Iterator<Item = &T> {
    let count = list.len().min(most);
    (0..count).filter_map(move |place| {
        let last = count.saturating_sub(1).max(1);
        list.get(place * (list.len() - 1) / last)
    })
}

fn keep_last<T>(list: &mut Vec<T>) {
    let too_many = list.len().saturating_sub(INTERVALS_MAX);
    list.drain(..too_many);
}

#[cfg(test)]
mod tests;
