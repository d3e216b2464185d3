//! Whoever has a tunnel is never without one.
//!
//! Who was stopped, killed, drained or paused on purpose has given its tunnels up itself.

use super::roster::Roster;
use super::verdict::{Ruling, Tally, counted};
use super::window::Window;
use crate::model::expect::Who;
use crate::model::time::Time;

/// One `every agent keeps a tunnel`.
#[derive(Clone, Debug)]
pub(super) struct Keeps {
    who: Who,
    tally: Tally,
}

impl Keeps {
    pub(super) fn new(who: &Who) -> Self {
        Self {
            who: who.clone(),
            tally: Tally::default(),
        }
    }

    /// Takes an agent that lost its last tunnel.
    pub(super) fn out(&mut self, number: u32, window: &Window, roster: &Roster) {
        let agent = roster.agent(number);
        if let Some(outage) = &agent.outage
            && window.holds(outage.since)
            && agent.is(&self.who, &outage.network)
        {
            let text = || String::from("lost its last tunnel");
            self.tally.refute(outage.since, &agent.node(), text);
        }
    }

    /// Counts those who have a tunnel when the window closes, and those who were without one
    /// throughout: their loss came before it.
    pub(super) fn close(&mut self, window: &Window, roster: &Roster) {
        for (_, agent) in roster.agents() {
            if !agent.is(&self.who, &agent.network) {
                continue;
            }
            if agent.has_tunnel() {
                self.tally.evidence += 1;
            } else if let Some(outage) = &agent.outage
                && !window.holds(outage.since)
            {
                let text = || String::from("had lost its last tunnel before, and got none");
                self.tally.refute(outage.since, &agent.node(), text);
            } else if agent.idle_since == Some(Time::ZERO) {
                let text = || String::from("never had a tunnel");
                self.tally.refute(Time::ZERO, &agent.node(), text);
            }
        }
    }

    /// Counts those who have a tunnel now.
    pub(super) fn so_far(&self, roster: &Roster) -> Self {
        let agents = roster.agents();
        let kept = agents.filter(|(_, agent)| agent.is(&self.who, &agent.network));
        let kept = kept.filter(|(_, agent)| agent.has_tunnel()).count();
        let mut so_far = self.clone();
        so_far.tally.evidence += kept as u64;
        so_far
    }

    pub(super) const fn failed(&self) -> bool {
        self.tally.wrong > 0
    }

    pub(super) fn rule(&self, needed: u64) -> Ruling {
        let kept = counted(self.tally.evidence, "agent");
        let lost = counted(self.tally.wrong, "time");
        let measured = match (self.tally.wrong, self.tally.evidence) {
            (0, 0) => String::from("no agent"),
            (0, _) => format!("{kept}, never without a tunnel"),
            _ => format!("without any tunnel {lost}"),
        };
        let why = format!("an agent had no tunnel left, {lost}");
        self.tally.rule(needed, "agent", measured, why)
    }
}
