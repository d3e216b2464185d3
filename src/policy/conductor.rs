//! Plays a timeline: which step is due, which fault is in force, which question is asked when.
//!
//! In go the beginning of a run, conditions that hold, and what an operator does by hand; out come
//! acts, the faults now in force, and the end. It knows neither sockets nor the state of the lab:
//! whether a condition holds is looked up by the driver, in the snapshot.

mod message;

pub use self::message::{Input, Output};
