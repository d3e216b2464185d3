//! The part of a run that an expectation is about.

use crate::model::expect::Expectation;
use crate::model::time::{Span, Time};

/// From when until when facts count. What has no `after` counts from the very beginning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    after: Span,
    before: Option<Span>,
    ready: Option<Time>,
}

impl Window {
    pub(super) const fn new(expectation: &Expectation) -> Self {
        Self {
            after: expectation.after,
            before: expectation.before,
            ready: None,
        }
    }

    /// Takes the instant from which it counts.
    pub(super) fn ready(&mut self, at: Time) {
        self.ready.get_or_insert(at);
    }

    /// Tells whether what happened then counts; what comes after the end is never asked.
    pub(super) fn holds(&self, at: Time) -> bool {
        self.after == Span::ZERO || self.ready.is_some_and(|ready| ready + self.after <= at)
    }

    /// Gives the instant at which it closes, if it closes before the run ends.
    pub(super) fn until(&self) -> Option<Time> {
        Some(self.ready? + self.before?)
    }
}
