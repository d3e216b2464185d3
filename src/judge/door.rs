//! Who went through which door.
//!
//! Judged over every connection that an agent or a user has made: tunnels, visits, and an agent's
//! `find` too, since a request to the wrong door is what the separation is to prevent. But a `find`
//! alone is no evidence that the right door is used: that takes a tunnel or a visit.

use super::verdict::{Ruling, Tally, counted};
use crate::model::expect::Who;
use crate::model::fact::{Kind, Purpose};
use crate::model::id::{Name, Node};
use crate::model::time::Time;

/// One `… use balancer/…`.
#[derive(Clone, Debug)]
pub(super) struct Door {
    who: Who,
    balancer: Name,
    uses: bool,
    connections: u64,
    tally: Tally,
}

impl Door {
    pub(super) fn new(who: &Who, balancer: &Name, uses: bool) -> Self {
        Self {
            who: who.clone(),
            balancer: balancer.clone(),
            uses,
            connections: 0,
            tally: Tally::default(),
        }
    }

    /// Takes a door that was used.
    pub(super) fn fold(&mut self, at: Time, node: &Node, kind: &Kind) {
        let Kind::DoorUsed {
            purpose,
            balancer,
            network,
            ..
        } = kind
        else {
            return;
        };
        if !meant(&self.who, node, network) {
            return;
        }
        self.connections += 1;
        self.tally.evidence += u64::from(*purpose != Purpose::Find);
        // What goes to an address that is no door of the lab does not use this one either.
        if (balancer.as_ref() == Some(&self.balancer)) != self.uses {
            self.tally.refute(at, node, || kind.to_string());
        }
    }

    pub(super) const fn failed(&self) -> bool {
        self.tally.wrong > 0
    }

    pub(super) fn rule(&self, needed: u64) -> Ruling {
        let noun = match &self.who {
            Who::Agents(_) | Who::Node(Node::Agent(_)) => "tunnel",
            Who::Users(_) | Who::Node(_) => "visit",
        };
        let wrong = self.tally.wrong;
        let others = if self.uses {
            format!("not through balancer/{}", self.balancer)
        } else {
            format!("through balancer/{}", self.balancer)
        };
        let of = counted(self.connections, "connection");
        let door = &self.balancer;
        let measured = match (wrong, self.uses) {
            _ if self.connections == 0 => String::from("no connection"),
            (0, true) => format!("all of {of} through balancer/{door}"),
            (0, false) => format!("none of {of} through balancer/{door}"),
            _ => format!("{wrong} of {of} {others}"),
        };
        let verb = if wrong == 1 { "was" } else { "were" };
        let why = format!("{wrong} of {of} {verb} {others}");
        self.tally.rule(needed, noun, measured, why)
    }
}

/// Tells whether this node, in this network, is meant.
fn meant(who: &Who, node: &Node, network: &Name) -> bool {
    match (who, node) {
        (Who::Agents(wanted), Node::Agent(_)) | (Who::Users(wanted), Node::User(_)) => {
            wanted.as_ref().is_none_or(|wanted| wanted == network)
        }
        (Who::Node(wanted), node) => wanted == node,
        _ => false,
    }
}
