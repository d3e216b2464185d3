//! The judge: what a scenario expects, checked over facts.
//!
//! In go the facts of a run, each once, in the journal's order; out comes a [`Verdict`] for each
//! expectation. It stands apart from the code that it judges: it knows facts and expectations, and
//! neither a machine's state nor the snapshot's counts. Facts that are samples are never used.
//!
//! One fact against an expectation of the kind "always" is enough to fail it, however little else
//! was seen; a number needs its evidence whichever way it lies. Memory is bounded by the topology,
//! not by the run. What comes after [`Kind::RunEnded`] does not count: then the lab is taken down.

pub mod digest;
pub mod verdict;

mod answer;
mod bound;
mod door;
mod keeps;
mod metric;
mod returns;
mod roster;
pub mod watch;
mod window;

#[cfg(test)]
mod tests;

use crate::model::expect::{Check, Expectation, Metric};
use crate::model::fact::{Fact, Kind, Purpose};
use crate::model::id::{Name, Node};
use crate::model::time::{Span, Time};
use crate::model::topology::Topology;

use self::answer::Answer;
use self::door::Door;
use self::keeps::Keeps;
use self::metric::{Balance, Failures, Rate, Times};
use self::returns::Returns;
use self::roster::{Roster, Turn};
use self::verdict::Ruling;
use self::window::Window;

pub use self::digest::Digest;
pub use self::verdict::{Example, Outcome, Unit, Value, Verdict, overall};

/// Judges one run.
#[derive(Clone, Debug)]
pub struct Judge {
    expectations: Vec<Expectation>,
    judged: Vec<Judged>,
    /// Which expectations look at which facts, so that most facts cost a comparison.
    looks: Looks,
    roster: Roster,
    now: Time,
    ended: bool,
    /// The next instant at which an expectation's window closes.
    closes: Option<Time>,
    abort: Option<usize>,
}

#[derive(Clone, Debug)]
struct Judged {
    window: Window,
    checker: Checker,
    /// Final, once the window has closed.
    ruling: Option<Ruling>,
}

#[derive(Clone, Debug)]
enum Checker {
    Answer(Answer),
    Balance(Balance),
    Door(Door),
    Failures(Failures),
    /// Times from a loss of the last tunnel to the next.
    Outages(Times),
    Rate(Rate),
    /// Times from the loss of a tunnel to the next to the same proxy.
    Reconnects(Times),
    /// Times of answered visits.
    Requests(Times),
    Keeps(Keeps),
    Returns(Returns),
}

#[derive(Clone, Debug, Default)]
struct Looks {
    answers: Vec<usize>,
    doors: Vec<usize>,
    flows: Vec<usize>,
    returns: Vec<usize>,
    tunnels: Vec<usize>,
    visits: Vec<usize>,
    /// Those that end the run when they have failed.
    aborts: Vec<usize>,
}

impl Judge {
    /// Makes a judge of what this scenario expects.
    pub fn new(topology: &Topology) -> Self {
        let proxies = topology.pool.proxies.iter();
        let proxies: Vec<Name> = proxies.map(|proxy| proxy.name.clone()).collect();
        let expectations = topology.expect.clone();
        let mut looks = Looks::default();
        let judged = expectations.iter().enumerate();
        let judged = judged.map(|(index, expectation)| {
            looks.add(index, expectation);
            Judged {
                window: Window::new(expectation),
                checker: Checker::new(index, &expectation.check, &proxies),
                ruling: None,
            }
        });
        Self {
            judged: judged.collect(),
            expectations,
            looks,
            roster: Roster::new(topology),
            now: Time::ZERO,
            ended: false,
            closes: None,
            abort: None,
        }
    }

    /// Takes one more fact.
    pub fn fold(&mut self, fact: &Fact) {
        if self.ended {
            return;
        }
        self.now = self.now.max(fact.at);
        if self.closes.is_some_and(|at| at <= self.now) {
            self.close_due();
        }
        self.take(fact);
        for index in 0..self.looks.returns.len() {
            let (judged, roster, now) = self.open(self.looks.returns[index]);
            if let Some(Judged {
                checker: Checker::Returns(returns),
                ..
            }) = judged
            {
                returns.tick(now, roster);
            }
        }
        let mut aborts = self.looks.aborts.iter().copied();
        if self.abort.is_none() {
            self.abort = aborts.find(|index| self.judged[*index].failed());
        }
    }

    /// Gives the expectation, if any, that has failed for good and is to end the run.
    pub const fn abort(&self) -> Option<usize> {
        self.abort
    }

    /// Gives what each expectation comes to, as if the run ended now.
    pub fn verdicts(&self) -> Vec<Verdict> {
        self.ruled(|judged, needed| judged.clone().close(self.now, needed, &self.roster))
    }

    /// Gives what each expectation comes to by what is certain so far: a tunnel that is gone and
    /// may still come back speaks neither for nor against it.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "one kind of check counts who is there"
    )]
    fn so_far(&self) -> Vec<Verdict> {
        if self.ended {
            return self.verdicts();
        }
        self.ruled(|judged, needed| match &judged.checker {
            Checker::Keeps(keeps) => keeps.so_far(&self.roster).rule(needed),
            checker => checker.rule(needed),
        })
    }

    /// Tells of an expectation whether its time is over.
    fn is_over(&self, index: usize) -> bool {
        self.ended || self.judged[index].ruling.is_some()
    }

    /// Tells of an expectation whether nothing that is still to come can change its outcome.
    fn is_settled(&self, index: usize) -> bool {
        self.is_over(index) || self.judged[index].failed()
    }

    fn ruled(&self, open: impl Fn(&Judged, u64) -> Ruling) -> Vec<Verdict> {
        let judged = self.expectations.iter().zip(&self.judged).enumerate();
        let verdicts = judged.map(|(index, (expectation, judged))| {
            let needed = needed(expectation);
            let ruling = judged.ruling.clone();
            let ruling = ruling.unwrap_or_else(|| open(judged, needed));
            Verdict {
                index,
                text: expectation.text.clone(),
                place: expectation.place.clone(),
                outcome: ruling.outcome,
                why: ruling.why,
                evidence: ruling.evidence,
                needed,
                measured: ruling.measured,
                value: ruling.value.filter(|_| ruling.evidence > 0),
                examples: ruling.examples,
                abort: expectation.abort,
            }
        });
        verdicts.collect()
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "few kinds bear on any expectation"
    )]
    fn take(&mut self, fact: &Fact) {
        let Fact { at, node, kind, .. } = fact;
        match kind {
            Kind::Ready => {
                for judged in &mut self.judged {
                    judged.window.ready(*at);
                }
                self.plan();
            }
            Kind::RunEnded { .. } => self.ended = true,
            Kind::DoorUsed { purpose, .. } => {
                let dial = *purpose == Purpose::Tunnel;
                self.each(
                    |looks| &looks.doors,
                    *at,
                    |checker| match checker {
                        Checker::Door(door) => door.fold(*at, node, kind),
                        Checker::Rate(rate) if dial => rate.dialled(*at),
                        _ => {}
                    },
                );
            }
            Kind::Probed(probed) => {
                self.each(
                    |looks| &looks.answers,
                    *at,
                    |checker| {
                        if let Checker::Answer(answer) = checker {
                            answer.fold(*at, node, probed);
                        }
                    },
                );
            }
            Kind::FlowConnected { proxy, .. } => {
                self.each(
                    |looks| &looks.flows,
                    *at,
                    |checker| {
                        if let Checker::Balance(balance) = checker {
                            balance.connected(node, proxy);
                        }
                    },
                );
            }
            Kind::VisitAnswered(answered) => {
                self.each(
                    |looks| &looks.visits,
                    *at,
                    |checker| match checker {
                        Checker::Failures(failures) => failures.answered(),
                        Checker::Requests(times) => times.ended(*at, node, answered.took),
                        _ => {}
                    },
                );
            }
            Kind::VisitFailed { reason, .. } => {
                self.each(
                    |looks| &looks.visits,
                    *at,
                    |checker| {
                        if let Checker::Failures(failures) = checker {
                            failures.failed(*at, node, *reason, kind);
                        }
                    },
                );
            }
            _ => {
                if let Some(turn) = self.roster.fold(*at, node, kind) {
                    self.turned(*at, node, &turn);
                }
            }
        }
    }

    /// Hands a fact to the checks that look at such, and whose window holds it.
    fn each(
        &mut self,
        which: impl FnOnce(&Looks) -> &Vec<usize>,
        at: Time,
        mut take: impl FnMut(&mut Checker),
    ) {
        for index in which(&self.looks) {
            let judged = &mut self.judged[*index];
            if judged.ruling.is_none() && judged.window.holds(at) {
                take(&mut judged.checker);
            }
        }
    }

    /// Hands what turned for an agent to the checks of tunnels. What counts is the loss: it must
    /// lie in the window.
    fn turned(&mut self, at: Time, node: &Node, turn: &Turn) {
        for index in 0..self.looks.tunnels.len() {
            let (Some(judged), roster, _) = self.open(self.looks.tunnels[index]) else {
                continue;
            };
            let window = &judged.window;
            let lost = |span: Span| Time::from_us(at.as_us().saturating_sub(span.as_us()));
            match (&mut judged.checker, turn) {
                (Checker::Reconnects(times), Turn::Back { gap: Some(gap), .. })
                    if window.holds(lost(*gap)) =>
                {
                    times.ended(at, node, *gap);
                }
                (
                    Checker::Outages(times),
                    Turn::Back {
                        outage: Some(outage),
                        ..
                    },
                ) if window.holds(outage.since) => {
                    times.ended(at, node, at.since(outage.since));
                }
                (
                    Checker::Returns(returns),
                    Turn::Back {
                        agent,
                        outage: Some(outage),
                        ..
                    },
                ) => returns.back(at, *agent, outage, window, roster),
                (Checker::Keeps(keeps), Turn::Out { agent }) => keeps.out(*agent, window, roster),
                (Checker::Returns(returns), Turn::Out { agent }) => {
                    returns.out(*agent, window, roster);
                }
                _ => {}
            }
        }
    }

    /// Gives an expectation whose window has not closed.
    fn open(&mut self, index: usize) -> (Option<&mut Judged>, &Roster, Time) {
        let judged = &mut self.judged[index];
        let judged = judged.ruling.is_none().then_some(judged);
        (judged, &self.roster, self.now)
    }

    fn close_due(&mut self) {
        for (judged, expectation) in self.judged.iter_mut().zip(&self.expectations) {
            let until = judged.window.until().filter(|until| *until <= self.now);
            if let Some(until) = until
                && judged.ruling.is_none()
            {
                judged.ruling = Some(judged.close(until, needed(expectation), &self.roster));
            }
        }
        self.plan();
    }

    fn plan(&mut self) {
        let open = self.judged.iter().filter(|judged| judged.ruling.is_none());
        self.closes = open.filter_map(|judged| judged.window.until()).min();
    }
}

impl Judged {
    /// Ends the window and rules.
    fn close(&mut self, now: Time, needed: u64, roster: &Roster) -> Ruling {
        let window = &self.window;
        let lost = |since: &Time| window.holds(*since);
        match &mut self.checker {
            Checker::Reconnects(times) => {
                let open = roster.lost().filter(lost);
                open.for_each(|since| times.open(now.since(since)));
            }
            Checker::Outages(times) => {
                let open = roster
                    .agents()
                    .filter_map(|(_, agent)| agent.outage.as_ref());
                let open = open.map(|outage| outage.since).filter(lost);
                open.for_each(|since| times.open(now.since(since)));
            }
            Checker::Keeps(keeps) => keeps.close(window, roster),
            Checker::Returns(returns) => returns.close(now, window, roster),
            Checker::Answer(_)
            | Checker::Balance(_)
            | Checker::Door(_)
            | Checker::Failures(_)
            | Checker::Rate(_)
            | Checker::Requests(_) => {}
        }
        self.checker.rule(needed)
    }

    /// Tells whether no later fact can mend it.
    fn failed(&self) -> bool {
        match (&self.ruling, &self.checker) {
            (Some(ruling), _) => ruling.outcome == Outcome::Failed,
            (None, Checker::Answer(answer)) => answer.failed(),
            (None, Checker::Door(door)) => door.failed(),
            (None, Checker::Keeps(keeps)) => keeps.failed(),
            (None, Checker::Returns(returns)) => returns.failed(),
            (None, Checker::Rate(rate)) => rate.failed(),
            (
                None,
                Checker::Outages(times) | Checker::Reconnects(times) | Checker::Requests(times),
            ) => times.failed(),
            (None, Checker::Balance(_) | Checker::Failures(_)) => false,
        }
    }
}

impl Checker {
    fn new(index: usize, check: &Check, proxies: &[Name]) -> Self {
        match check {
            Check::Answer(answer) => Self::Answer(Answer::new(index, answer)),
            Check::Door {
                who,
                balancer,
                uses,
            } => Self::Door(Door::new(who, balancer, *uses)),
            Check::Keeps { who } => Self::Keeps(Keeps::new(who)),
            Check::Returns { who, within } => Self::Returns(Returns::new(who, *within)),
            Check::Metric { metric, bound } => match metric {
                Metric::Balance { balancer } => {
                    Self::Balance(Balance::new(balancer, proxies, *bound))
                }
                Metric::DialRate => Self::Rate(Rate::new(*bound)),
                Metric::OutageTime { quantile } => {
                    Self::Outages(Times::new("outage", *quantile, *bound))
                }
                Metric::ReconnectTime { quantile } => {
                    Self::Reconnects(Times::new("reconnect", *quantile, *bound))
                }
                Metric::RequestTime { quantile } => {
                    Self::Requests(Times::new("answered visit", *quantile, *bound))
                }
                Metric::RequestsFailed { reason } => Self::Failures(Failures::new(*reason, *bound)),
            },
        }
    }

    fn rule(&self, needed: u64) -> Ruling {
        match self {
            Self::Answer(answer) => answer.rule(needed),
            Self::Balance(balance) => balance.rule(needed),
            Self::Door(door) => door.rule(needed),
            Self::Failures(failures) => failures.rule(needed),
            Self::Outages(times) | Self::Reconnects(times) | Self::Requests(times) => {
                times.rule(needed)
            }
            Self::Rate(rate) => rate.rule(needed),
            Self::Keeps(keeps) => keeps.rule(needed),
            Self::Returns(returns) => returns.rule(needed),
        }
    }
}

impl Looks {
    fn add(&mut self, index: usize, expectation: &Expectation) {
        match &expectation.check {
            Check::Answer(_) => self.answers.push(index),
            Check::Door { .. } => self.doors.push(index),
            Check::Keeps { .. } => self.tunnels.push(index),
            Check::Returns { within, .. } => {
                self.tunnels.push(index);
                if within.is_some() {
                    self.returns.push(index);
                }
            }
            Check::Metric { metric, .. } => match metric {
                Metric::Balance { .. } => self.flows.push(index),
                Metric::DialRate => self.doors.push(index),
                Metric::OutageTime { .. } | Metric::ReconnectTime { .. } => {
                    self.tunnels.push(index);
                }
                Metric::RequestTime { .. } | Metric::RequestsFailed { .. } => {
                    self.visits.push(index);
                }
            },
        }
        if expectation.abort {
            self.aborts.push(index);
        }
    }
}

/// Gives how much evidence an expectation needs: nothing is never enough.
fn needed(expectation: &Expectation) -> u64 {
    expectation.evidence.max(1)
}
