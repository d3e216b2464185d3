//! Parity: a simulation that is held to what a recorded run was told, and when.
//!
//! In goes the order of a recorded run. Each door is given the recorded arrivals in their order, and
//! nothing else; every other machine is told no earlier than it was in that run. What is told stays
//! this run's own: only instants are taken. So that it is never late, the time of services is taken
//! away. Not held: instances' own deadlines, what peers ask each other, faults and other acts of the
//! timeline than those on doors.

mod clients;
mod doors;
mod holds;
mod order;
mod reader;

use crate::model::id::FlowId;
use crate::model::time::Span;
use crate::model::topology::Model;

pub use self::doors::{DIVERGED, Divergence, PATIENCE, PATIENCE_AT_END};
pub(super) use self::doors::{Early, Followed};
pub(super) use self::holds::Turns;
pub use self::order::{Arrival, Arrived, Heard, Order, Through, Told};
pub use self::reader::Reader;

/// A flow, by the place of its door.
pub(super) type Flow = (u32, FlowId);

/// Takes the time of services away, so that the simulation is early and never late.
pub(super) fn hurried(model: Model) -> Model {
    Model {
        latency: Span::from_us(1),
        tls: Span::ZERO,
        ssh: Span::ZERO,
        ..model
    }
}
