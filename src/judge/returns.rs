//! Whoever lost its last tunnel has one again, in time.
//!
//! Who was stopped, killed, drained or paused on purpose is not expected back until it runs again.
//! At the end every agent that runs must have a tunnel, one that never had any too.

use std::collections::{BTreeSet, VecDeque};

use super::roster::{Outage, Roster};
use super::verdict::{Ruling, Tally, Unit, Value, counted};
use super::window::Window;
use crate::model::expect::Who;
use crate::model::time::{Span, Time};

/// How much later than its stamp a fact may come: two nodes may be stamped in one order and reach
/// the journal in the other.
const LATE: Span = Span::from_ms(100);

/// One `every agent returns`.
#[derive(Clone, Debug)]
pub(super) struct Returns {
    who: Who,
    within: Option<Span>,
    /// Outages that may become too long, oldest first; as many as agents have lost their last
    /// tunnel within the limit.
    open: VecDeque<(Time, u32)>,
    /// Who is out for too long already, and counted.
    late: BTreeSet<u32>,
    longest: Span,
    tally: Tally,
}

impl Returns {
    pub(super) fn new(who: &Who, within: Option<Span>) -> Self {
        Self {
            who: who.clone(),
            within,
            open: VecDeque::new(),
            late: BTreeSet::new(),
            longest: Span::ZERO,
            tally: Tally::default(),
        }
    }

    /// Takes an agent that lost its last tunnel.
    pub(super) fn out(&mut self, number: u32, window: &Window, roster: &Roster) {
        self.late.remove(&number);
        if let Some(outage) = &roster.agent(number).outage
            && self.within.is_some()
            && self.counts(number, outage, window, roster)
        {
            self.open.push_back((outage.since, number));
        }
    }

    /// Takes an agent that has a tunnel again.
    pub(super) fn back(
        &mut self,
        at: Time,
        number: u32,
        outage: &Outage,
        window: &Window,
        roster: &Roster,
    ) {
        let told = self.late.remove(&number);
        if !self.counts(number, outage, window, roster) {
            return;
        }
        let took = at.since(outage.since);
        self.tally.evidence += 1;
        self.longest = self.longest.max(took);
        if let Some(within) = self.within
            && took > within
            && !told
        {
            let node = roster.agent(number).node();
            let text = || format!("had no tunnel for {took}, until {at}");
            self.tally.refute(outage.since, &node, text);
        }
    }

    /// Finds those who are out for too long now.
    pub(super) fn tick(&mut self, now: Time, roster: &Roster) {
        let Some(within) = self.within else {
            return;
        };
        while let Some((since, number)) = self.open.front().copied() {
            let agent = roster.agent(number);
            let still = matches!(&agent.outage, Some(outage) if outage.since == since);
            if still && now.since(since) <= within + LATE {
                return;
            }
            self.open.pop_front();
            if still {
                self.late.insert(number);
                let text = || format!("lost its last tunnel and had none for more than {within}");
                self.tally.refute(since, &agent.node(), text);
            }
        }
    }

    /// Counts those who are not back when the window closes.
    pub(super) fn close(&mut self, now: Time, window: &Window, roster: &Roster) {
        for (number, agent) in roster.agents() {
            let (at, text) = if let Some(outage) = &agent.outage {
                if !agent.is(&self.who, &outage.network) {
                    continue;
                }
                if window.holds(outage.since) {
                    self.tally.evidence += 1;
                    self.longest = self.longest.max(now.since(outage.since));
                }
                (
                    outage.since,
                    "lost its last tunnel and was not back at the end",
                )
            } else if let Some(since) = agent.idle_since {
                if !agent.is(&self.who, &agent.network) {
                    continue;
                }
                let text = if since == Time::ZERO {
                    "never had a tunnel"
                } else {
                    "ran again from here on and had no tunnel at the end"
                };
                (since, text)
            } else {
                continue;
            };
            if !self.late.contains(&number) {
                let text = || String::from(text);
                self.tally.refute(at, &agent.node(), text);
            }
        }
    }

    pub(super) const fn failed(&self) -> bool {
        self.tally.wrong > 0
    }

    pub(super) fn rule(&self, needed: u64) -> Ruling {
        let outages = counted(self.tally.evidence, "outage");
        let measured = if self.tally.evidence == 0 {
            outages
        } else {
            format!("{outages}, the longest {}", self.longest)
        };
        let late = match self.within {
            Some(within) => format!(" or not within {within}"),
            None => String::new(),
        };
        let times = self.tally.wrong;
        let verb = if times == 1 {
            "agent was"
        } else {
            "agents were"
        };
        let why = format!("{times} {verb} not back{late}");
        let value = Value::new(self.longest.as_secs_f64(), Unit::Seconds);
        Ruling {
            value: (self.tally.evidence > 0).then_some(value),
            ..self.tally.rule(needed, "outage", measured, why)
        }
    }

    fn counts(&self, number: u32, outage: &Outage, window: &Window, roster: &Roster) -> bool {
        window.holds(outage.since) && roster.agent(number).is(&self.who, &outage.network)
    }
}
