//! The only place that reads a clock.
//!
//! `Time` counts from the start of the lab and comes from the monotonic clock; the calendar is
//! asked only for certificates and for the text of heartbeats.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the clock that the others ask"
)]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::model::time::Time;

/// The clock of one live lab; copies agree.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts the lab's time at zero.
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// Gives the time since the start.
    pub fn now(&self) -> Time {
        let us = self.start.elapsed().as_micros();
        Time::from_us(u64::try_from(us).unwrap_or(u64::MAX))
    }

    /// Waits until this instant; returns at once when it has passed.
    pub async fn sleep_until(&self, at: Time) {
        let deadline = self.start + std::time::Duration::from_micros(at.as_us());
        tokio::time::sleep_until(deadline.into()).await;
    }

    /// Gives the calendar time, for certificates and heartbeats.
    pub fn calendar(&self) -> SystemTime {
        SystemTime::now()
    }

    /// Gives the calendar time in microseconds since 1970.
    pub fn unix_us(&self) -> u64 {
        let since = self.calendar().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| {
            u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
        })
    }

    /// Gives the calendar time in whole seconds since 1970, for certificates.
    pub fn unix_seconds(&self) -> u64 {
        self.calendar()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    }
}
