//! One flow of a balancer: connecting, with what it has tried; or open.

use super::balance::Choice;
use crate::model::addr::ListenAddr;
use crate::model::fact::Chosen;

/// A flow and the instance that it is at.
#[derive(Debug)]
pub(super) struct Flow {
    /// The instance, by its index in the pool.
    pub(super) proxy: usize,
    /// The door's address that it came in at.
    pub(super) listener: ListenAddr,
    /// Why this one.
    pub(super) why: Chosen,
    /// The instances tried, this one included, while it connects; empty once it is open.
    tried: Vec<usize>,
}

impl Flow {
    /// Begins a connect to the last of `tried`.
    pub(super) fn connecting(choice: Choice, listener: ListenAddr, tried: Vec<usize>) -> Self {
        Self {
            proxy: choice.backend,
            listener,
            why: choice.why,
            tried,
        }
    }

    /// Tells whether the connect has not ended yet.
    pub(super) fn is_connecting(&self) -> bool {
        !self.tried.is_empty()
    }

    /// Ends the connect well and gives the number of tries; `None` when it had ended before.
    pub(super) fn connect(&mut self) -> Option<(&Self, usize)> {
        let tried = std::mem::take(&mut self.tried).len();
        (tried > 0).then_some((self, tried))
    }

    /// Gives the instances tried.
    pub(super) fn into_tried(self) -> Vec<usize> {
        self.tried
    }
}
