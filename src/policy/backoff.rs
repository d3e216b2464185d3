//! How long an agent waits after an attempt (reference: Teleport agent pool, linear retry).
//!
//! First 0, then a step of 1 s more each time up to 8 s, with half jitter: the wait is uniform in
//! [d/2, d). When the last wait began 32 s ago or more, the count starts anew, so a tunnel that
//! lived longer is redialled at once, and once more at once after that.

use crate::model::draw::Seed;
use crate::model::time::{Span, Time};

/// What each further attempt adds to the wait.
pub const STEP: Span = Span::from_secs(1);

/// The longest wait, before jitter.
pub const LONGEST: Span = Span::from_secs(8);

/// After this long without a wait the count starts anew: four times the longest wait.
pub const RESET_AFTER: Span = Span::from_secs(32);

/// The waits of one agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    step: u32,
    used: Option<Time>,
    draws: u32,
}

impl Backoff {
    /// Begins a wait now and gives its length.
    pub fn wait(&mut self, now: Time, seed: Seed, entity: &str) -> Span {
        if self.used.is_some_and(|used| now.since(used) >= RESET_AFTER) {
            self.step = 0;
        }
        self.used = Some(now);
        let whole = LONGEST.min(STEP.times(u64::from(self.step)));
        self.draws = self.draws.wrapping_add(1);
        let half = Span::from_us(whole.as_us() / 2);
        seed.span(entity, "backoff", u64::from(self.draws), half, whole)
    }

    /// Notes that a wait ran to its end; the next is longer.
    pub fn elapsed(&mut self) {
        self.step = self.step.saturating_add(1);
    }

    /// Gives how many waits ran to their end since the count last started.
    pub fn step(&self) -> u32 {
        self.step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(backoff: &mut Backoff, from: Time, count: usize) -> Vec<Span> {
        let mut now = from;
        (0..count)
            .map(|_| {
                let wait = backoff.wait(now, Seed(7), "agent/a");
                backoff.elapsed();
                now += wait;
                wait
            })
            .collect()
    }

    #[test]
    fn waits_grow_by_a_second_and_are_jittered_by_half() {
        let waits = waits(&mut Backoff::default(), Time::ZERO, 12);
        assert_eq!(waits[0], Span::ZERO);
        for (step, wait) in waits.iter().enumerate().skip(1) {
            let whole = Span::from_secs(8.min(step as u64));
            assert!(
                *wait >= Span::from_us(whole.as_us() / 2) && *wait < whole,
                "{step}: {wait}"
            );
        }
    }

    #[test]
    fn a_long_pause_starts_the_count_anew() {
        let mut backoff = Backoff::default();
        waits(&mut backoff, Time::ZERO, 10);
        let later = Time::from_us(600_000_000);
        assert_eq!(waits(&mut backoff, later, 1), [Span::ZERO]);
        let wait = waits(&mut backoff, later, 1)[0];
        assert!(
            wait >= Span::from_ms(500) && wait < Span::from_secs(1),
            "{wait}"
        );
    }

    #[test]
    fn agents_of_one_seed_do_not_wait_in_step() {
        let wait = |entity| {
            let mut backoff = Backoff {
                step: 8,
                ..Backoff::default()
            };
            backoff.wait(Time::ZERO, Seed(7), entity)
        };
        assert_ne!(wait("agent/a"), wait("agent/b"));
    }
}
