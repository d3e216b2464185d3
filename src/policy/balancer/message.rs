//! What a door is told and what it asks for: plain data, so that a run can be recorded.

use crate::model::addr::{BackendAddr, ClientAddr, ListenAddr};
use crate::model::fact::{Act, Cut, Ended};
use crate::model::id::FlowId;

/// What a balancer is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A client connected.
    Accepted {
        /// Who.
        client: ClientAddr,
        /// Where it came in.
        listener: ListenAddr,
    },
    /// A check ended.
    Checked {
        /// The number that [`Output::Check`] gave.
        check: u64,
        /// The instance, by its index in the pool.
        proxy: u32,
        /// Why it failed, in words; `None` when it passed.
        error: Option<String>,
    },
    /// The connect that was asked for failed.
    ConnectFailed {
        /// The flow.
        flow: FlowId,
        /// In words.
        error: String,
    },
    /// The connect that was asked for succeeded.
    Connected {
        /// The flow.
        flow: FlowId,
        /// The balancer's own address of the second connection.
        from: Option<ClientAddr>,
    },
    /// The relay is done with a flow.
    FlowEnded {
        /// The flow.
        flow: FlowId,
        /// Bytes from the client.
        up: u64,
        /// Bytes to the client.
        down: u64,
        /// How.
        how: Ended,
    },
    /// An operator acts on this balancer.
    Operated {
        /// The act.
        act: Act,
    },
}

/// What a balancer asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Check an instance, and say [`Input::Checked`] within the check's timeout.
    Check {
        /// To be given back; a result with another number is of an earlier life.
        check: u64,
        /// The instance, by its index in the pool.
        proxy: u32,
        /// Where.
        backend: BackendAddr,
    },
    /// Close this client's connection; the flow has no second one.
    Close {
        /// The flow.
        flow: FlowId,
    },
    /// Connect to an instance and send it the PROXY header.
    Connect {
        /// The flow.
        flow: FlowId,
        /// The instance, by its index in the pool.
        proxy: u32,
        /// Where.
        backend: BackendAddr,
        /// Which try this is, from 1.
        attempt: u32,
    },
    /// Close the connections of all flows.
    CutAll {
        /// With FIN or with RST.
        how: Cut,
    },
    /// Listen again.
    Listen,
    /// Reset the client that was just accepted.
    Refuse {
        /// Who.
        client: ClientAddr,
    },
    /// Join the two connections of a flow, and say [`Input::FlowEnded`] once.
    Relay {
        /// The flow.
        flow: FlowId,
    },
    /// Close the listeners.
    Unlisten,
}
