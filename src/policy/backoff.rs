//! How long an agent waits after an attempt (Teleport agent pool, `retryutils`; and others to compare).
//!
//! Teleport's: first 0, then a step of 1 s more each time up to 8 s, with half jitter: the wait is
//! uniform in [d/2, d). When the last wait began 32 s ago or more, the count starts anew, so a
//! tunnel that lived longer is redialled at once, and once more at once after that (inferred). The other
//! kinds never start their count anew by themselves.

use crate::model::draw::Seed;
use crate::model::teleport;
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
    /// Begins a wait of this kind now and gives its length.
    pub fn wait(&mut self, kind: teleport::Backoff, now: Time, seed: Seed, entity: &str) -> Span {
        let teleports = kind == teleport::Backoff::Teleport;
        if teleports && self.used.is_some_and(|used| now.since(used) >= RESET_AFTER) {
            self.step = 0;
        }
        self.used = Some(now);
        self.draws = self.draws.wrapping_add(1);
        let draw =
            |low: Span, high: Span| seed.span(entity, "backoff", u64::from(self.draws), low, high);
        let half = |whole: Span| Span::from_us(whole.as_us() / 2);
        match kind {
            teleport::Backoff::Fixed { wait } => wait,
            teleport::Backoff::FullJitter { first, cap } => {
                draw(Span::ZERO, cap.min(doubled(first, self.step)))
            }
            teleport::Backoff::JitterBeforeCap { first, cap } => {
                let whole = doubled(first, self.step);
                cap.min(draw(half(whole), whole))
            }
            teleport::Backoff::Teleport => {
                let whole = LONGEST.min(STEP.times(u64::from(self.step)));
                draw(half(whole), whole)
            }
        }
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

/// Gives `first * 2^step`, as far as it goes.
fn doubled(first: Span, step: u32) -> Span {
    first.times(1_u64.checked_shl(step).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::model::teleport::Backoff as Kind;

    fn waits(backoff: &mut Backoff, from: Time, count: usize) -> Vec<Span> {
        waits_of(Kind::Teleport, backoff, from, count)
    }

    fn waits_of(kind: Kind, backoff: &mut Backoff, from: Time, count: usize) -> Vec<Span> {
        let mut now = from;
        (0..count)
            .map(|_| {
                let wait = backoff.wait(kind, now, Seed(7), "agent/a");
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
            backoff.wait(Kind::Teleport, Time::ZERO, Seed(7), entity)
        };
        assert_ne!(wait("agent/a"), wait("agent/b"));
    }

    #[test]
    fn other_kinds_keep_to_their_definitions() {
        let (first, cap) = (Span::from_ms(100), Span::from_secs(2));
        let waits = |kind| waits_of(kind, &mut Backoff::default(), Time::ZERO, 70);
        assert!(
            waits(Kind::Fixed { wait: first })
                .iter()
                .all(|wait| *wait == first)
        );
        let bound = |step: usize| first.times(1 << step.min(40));
        let full = waits(Kind::FullJitter { first, cap });
        for (step, wait) in full.iter().enumerate() {
            assert!(*wait < cap.min(bound(step)), "{step}: {wait}");
        }
        assert!(
            full.iter().any(|wait| *wait < first),
            "it reaches down to 0: {full:?}"
        );
        let before = waits(Kind::JitterBeforeCap { first, cap });
        for (step, wait) in before.iter().enumerate() {
            let half = Span::from_us(bound(step).as_us() / 2);
            assert!(*wait >= cap.min(half) && *wait <= cap, "{step}: {wait}");
        }
        assert!(
            before[6..].iter().all(|wait| *wait == cap),
            "at the cap all wait alike"
        );
    }

    #[test]
    fn only_teleports_count_starts_anew_after_a_pause() {
        let kind = Kind::JitterBeforeCap {
            first: Span::from_ms(100),
            cap: Span::from_secs(60),
        };
        let mut backoff = Backoff::default();
        waits_of(kind, &mut backoff, Time::ZERO, 8);
        let later = Time::from_us(600_000_000);
        let wait = waits_of(kind, &mut backoff, later, 1)[0];
        assert!(wait >= Span::from_ms(12_800), "{wait}");
    }
}
