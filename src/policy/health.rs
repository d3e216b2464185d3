//! One backend as one balancer sees it: consecutive checks make it rise and fall.
//!
//! In go results of active checks; out come changes of opinion, each with its cause in words. The
//! first check decides alone, so that a door is usable right after its start; from then on it takes
//! `rise` or `fall` contrary results in a row. A failed connect of a flow is no hint here: passive
//! errors are not watched. When to check is the balancer's matter.

use crate::model::fact::Health;
use crate::model::topology::Check;

/// The opinion of one backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opinion {
    health: Health,
    /// Results in a row that contradict the settled opinion.
    streak: u32,
}

/// A change of opinion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The new opinion.
    pub to: Health,
    /// What made it: `3 checks failed in a row: connection refused`.
    pub cause: String,
}

impl Default for Opinion {
    fn default() -> Self {
        Self {
            health: Health::Unknown,
            streak: 0,
        }
    }
}

impl Opinion {
    /// Gives the word for it.
    pub const fn health(self) -> Health {
        self.health
    }

    /// Takes the result of a check, `error` being why it failed; tells when the word changes.
    pub fn observe(&mut self, check: &Check, error: Option<&str>) -> Option<Change> {
        let first = self.health == Health::Unknown;
        let agrees = match self.health {
            Health::Unknown => false,
            Health::Up | Health::Falling => error.is_none(),
            Health::Down | Health::Rising => error.is_some(),
        };
        self.streak = if agrees { 0 } else { self.streak + 1 };
        let settled = agrees || first;
        let to = match error {
            None if settled || self.streak >= check.rise => Health::Up,
            None => Health::Rising,
            Some(_) if settled || self.streak >= check.fall => Health::Down,
            Some(_) => Health::Falling,
        };
        let results = self.streak.max(1);
        if matches!(to, Health::Up | Health::Down) {
            self.streak = 0;
        }
        if to == self.health {
            return None;
        }
        self.health = to;
        let cause = words(first, results, error);
        Some(Change { to, cause })
    }

    /// Forgets everything, as a balancer that stops does.
    pub fn forget(&mut self, cause: &str) -> Option<Change> {
        let known = self.health != Health::Unknown;
        *self = Self::default();
        known.then(|| Change {
            to: Health::Unknown,
            cause: cause.to_owned(),
        })
    }
}

fn words(first: bool, results: u32, error: Option<&str>) -> String {
    let verb = if error.is_some() { "failed" } else { "passed" };
    let what = match results {
        _ if first => format!("the first check {verb}"),
        1 => format!("1 check {verb}"),
        n => format!("{n} checks {verb} in a row"),
    };
    match error {
        Some(error) => format!("{what}: {error}"),
        None => what,
    }
}
