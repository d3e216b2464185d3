//! Instants and lengths of time, in whole microseconds.
//!
//! An instant counts from the start of the lab, live or simulated, so that both kinds of run speak
//! of the same numbers. Reading a clock is `live/clock`'s work alone.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

/// An instant: microseconds since the lab started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

/// A length of time in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(u64);

impl Time {
    /// The start of the lab.
    pub const ZERO: Self = Self(0);

    /// Makes an instant from microseconds since the start.
    pub const fn from_us(us: u64) -> Self {
        Self(us)
    }

    /// Gives microseconds since the start.
    pub const fn as_us(self) -> u64 {
        self.0
    }

    /// Gives the span from `earlier` to `self`, zero when `earlier` is later.
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// Makes a span of whole seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs * 1_000_000)
    }

    /// Makes a span of whole milliseconds.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms * 1_000)
    }

    /// Makes a span of microseconds.
    pub const fn from_us(us: u64) -> Self {
        Self(us)
    }

    /// Gives microseconds.
    pub const fn as_us(self) -> u64 {
        self.0
    }

    /// Gives seconds as a decimal number.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a span of 285 years is exact enough"
    )]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// Multiplies by a whole number, stopping at the largest span.
    pub const fn times(self, n: u64) -> Self {
        Self(self.0.saturating_mul(n))
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        Self(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        Self::from_micros(span.0)
    }
}

impl Add<Span> for Time {
    type Output = Self;
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl AddAssign<Span> for Time {
    fn add_assign(&mut self, span: Span) {
        *self = *self + span;
    }
}

impl Add for Span {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Span {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

/// Seconds with three decimals: `12.345`.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1_000_000, self.0 / 1_000 % 1_000)
    }
}

/// The largest unit that keeps it readable: `850us`, `12.3ms`, `4.25s`, `3m20s`, `26h05m`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = self.0;
        match us {
            0..1_000 => write!(f, "{us}us"),
            1_000..1_000_000 => write!(f, "{}.{}ms", us / 1_000, us / 100 % 10),
            1_000_000..60_000_000 => write!(f, "{}.{:02}s", us / 1_000_000, us / 10_000 % 100),
            60_000_000..3_600_000_000 => {
                write!(f, "{}m{:02}s", us / 60_000_000, us / 1_000_000 % 60)
            }
            _ => write!(f, "{}h{:02}m", us / 3_600_000_000, us / 60_000_000 % 60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_the_largest_unit_that_keeps_it_readable() {
        let texts = [
            (0, "0us"),
            (999, "999us"),
            (12_345, "12.3ms"),
            (4_250_000, "4.25s"),
            (60_000_000, "1m00s"),
            (3_599_999_999, "59m59s"),
            (3_600_000_000, "1h00m"),
            (93_959_000_000, "26h05m"),
        ];
        for (us, text) in texts {
            assert_eq!(Span(us).to_string(), text);
        }
        assert!(Span(u64::MAX).to_string().ends_with('m'));
    }
}
