//! What the conductor is told and what it asks for.

use crate::model::fact::Act;
use crate::model::fault::Fault;
use crate::model::id::{FaultId, Name, Node};
use crate::model::time::Span;
use crate::model::timeline::{Condition, RecordChange, Roam};
use crate::policy::faults::Faults;

/// What the conductor is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Everything is ready: the run begins now.
    Begin,
    /// All faults are lifted, by hand.
    Clear,
    /// The run ends before its time.
    End {
        /// In words.
        why: &'static str,
    },
    /// A condition that was asked for holds.
    Holds {
        /// The number that [`Output::Await`] gave.
        wait: u32,
    },
    /// A fault is lifted by hand.
    Lift {
        /// Which.
        fault: FaultId,
    },
    /// What the timeline has next happens now, whatever it waits for.
    Step,
    /// A fault is set by hand.
    Set {
        /// Which.
        fault: Fault,
        /// Until it ends by itself; for ever when absent.
        lasts: Option<Span>,
    },
}

/// What the conductor asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Do an operator's act.
    Act {
        /// On whom.
        node: Node,
        /// Which.
        act: Act,
    },
    /// Say [`Input::Holds`] once this holds; at once if it does already.
    Await {
        /// To be given back.
        wait: u32,
        /// What.
        condition: Condition,
    },
    /// Show another web certificate.
    Certificate {
        /// DNS names; those of `public_addr` when empty.
        names: Vec<Name>,
    },
    /// The run is over.
    End,
    /// These faults, and no others, are in force from now on.
    Faults(Faults),
    /// Ask the question of this expectation, and make a [`crate::model::fact::Probed`] of the answer.
    Probe {
        /// Its index.
        expectation: u32,
    },
    /// Change records.
    Record(RecordChange),
    /// Read scenario and zones again.
    Reload,
    /// Move an agent or a user.
    Roam(Roam),
    /// Something was left that could happen now; without this there was nothing.
    Stepped,
    /// The fault that was asked for by hand has this number now; without this it was one too many.
    Taken {
        /// Its number.
        fault: FaultId,
    },
}
