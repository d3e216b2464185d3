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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::draw::Seed;
    use crate::model::time::Span;

    const CHECK: Check = Check {
        interval: Span::from_secs(2),
        timeout: Span::from_secs(1),
        rise: 2,
        fall: 3,
    };

    /// Feeds results, `+` passed and `-` failed, and gives the changes in words.
    #[track_caller]
    fn check(results: &str, expected: &[&str]) {
        let mut opinion = Opinion::default();
        let mut changes = Vec::new();
        for result in results.chars() {
            let error = (result == '-').then_some("connection refused");
            if let Some(change) = opinion.observe(&CHECK, error) {
                assert_eq!(change.to, opinion.health());
                changes.push(format!("{} ({})", change.to, change.cause));
            }
        }
        assert_eq!(changes, expected);
    }

    #[test]
    fn the_first_check_decides_alone() {
        check("+", &["up (the first check passed)"]);
        check("-", &["down (the first check failed: connection refused)"]);
    }

    #[test]
    fn it_falls_after_three_failures_in_a_row() {
        let expected = [
            "up (the first check passed)",
            "falling (1 check failed: connection refused)",
            "down (3 checks failed in a row: connection refused)",
        ];
        check("+---", &expected);
        check("+-----", &expected);
        check("+--", &expected[..2]);
    }

    #[test]
    fn it_rises_after_two_passes_in_a_row() {
        let expected = [
            "down (the first check failed: connection refused)",
            "rising (1 check passed)",
            "up (2 checks passed in a row)",
        ];
        check("-++", &expected);
        check("-+", &expected[..2]);
    }

    #[test]
    fn an_agreeing_result_begins_the_count_again() {
        check(
            "+--+--",
            &[
                "up (the first check passed)",
                "falling (1 check failed: connection refused)",
                "up (1 check passed)",
                "falling (1 check failed: connection refused)",
            ],
        );
        check(
            "-+-+",
            &[
                "down (the first check failed: connection refused)",
                "rising (1 check passed)",
                "down (1 check failed: connection refused)",
                "rising (1 check passed)",
            ],
        );
    }

    #[test]
    fn a_stop_forgets_once() {
        let mut opinion = Opinion::default();
        assert_eq!(opinion.forget("stopped"), None);
        opinion.observe(&CHECK, None);
        assert_eq!(
            opinion.forget("stopped").map(|c| c.to),
            Some(Health::Unknown)
        );
        assert_eq!(opinion.forget("stopped"), None);
    }

    /// Says what the whole history means, read backwards from its end.
    fn naive(history: &[bool], rise: usize, fall: usize) -> Health {
        let mut up = None;
        for (at, passed) in history.iter().enumerate() {
            let row = history[..=at]
                .iter()
                .rev()
                .take_while(|p| *p == passed)
                .count();
            up = match up {
                None => Some(*passed),
                Some(false) if *passed && row >= rise => Some(true),
                Some(true) if !passed && row >= fall => Some(false),
                same => same,
            };
        }
        match (up, history.last()) {
            (Some(true), Some(true)) => Health::Up,
            (Some(true), _) => Health::Falling,
            (Some(false), Some(false)) => Health::Down,
            (Some(false), _) => Health::Rising,
            (None, _) => Health::Unknown,
        }
    }

    #[test]
    fn any_history_gives_what_a_naive_reading_gives() {
        for case in 0..300 {
            let draw = |what, n| Seed(7).draw(&format!("case {case}"), what, n);
            let rise = u32::try_from(draw("rise", 0) % 4 + 1).unwrap();
            let fall = u32::try_from(draw("fall", 0) % 4 + 1).unwrap();
            let config = Check {
                rise,
                fall,
                ..CHECK
            };
            let mut opinion = Opinion::default();
            let mut history = Vec::new();
            for n in 0..60 {
                let passed = draw("result", n) % 2 == 0;
                history.push(passed);
                opinion.observe(&config, (!passed).then_some("no"));
                let expected = naive(&history, rise as usize, fall as usize);
                assert_eq!(opinion.health(), expected, "case {case}: {history:?}");
            }
        }
    }
}
