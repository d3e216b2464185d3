//! What is known of a recorded run: what reached each door in which order, and when everybody else
//! was told of what.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

use crate::model::fact::{Act, Purpose};
use crate::model::id::{DialId, FlowId, Name, Node, RequestId};
use crate::model::time::Time;

/// The order of a recorded run. Instants are of its own clock; what is not here is not held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// When the first door, agent or user of the recorded lab did something: the simulation's zero.
    pub ready: Time,
    /// What reached each door, in order. Doors that are not here are not held.
    pub arrivals: BTreeMap<Name, Vec<Arrival>>,
    /// When each door learnt that a flow had reached its instance.
    pub connected: BTreeMap<Through, Time>,
    /// When each door learnt of a flow's end: least connections count flows.
    pub ended: BTreeMap<Through, Time>,
    /// When each instance heard of what its routes depend on.
    pub heard: BTreeMap<(Name, Heard), Time>,
    /// When the last call was made: flows that had not ended by then end no earlier.
    pub last: Time,
    /// The doors whose flows are known again at the instances, by the client's or the door's socket.
    pub known: BTreeSet<Name>,
    /// When each agent and user was started: not all at once.
    pub started: BTreeMap<Node, Time>,
    /// When each agent and user learnt of something.
    pub told: BTreeMap<(Node, Told), Time>,
    /// When each door, agent and user was woken, in order: a busy machine wakes late.
    pub woken: BTreeMap<Node, VecDeque<Time>>,
}

/// A flow of a door. Doors are held to their order, so its number is the same in both runs.
pub type Through = (Name, FlowId);

/// What an instance hears, by whom. Numbers in turn begin at 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Heard {
    /// Another instance passed on what the agent with this host id serves, for the so manieth time.
    Announced(Name, u32),
    /// The so manieth heartbeat on the tunnel that came by this flow.
    Beat(Through, u32),
    /// A request did not get its stream, because the tunnel was broken.
    Broken(RequestId),
    /// The tunnel that came by this flow ended.
    Closed(Through),
    /// A request ended.
    Ended(RequestId),
    /// The first bytes of this flow.
    Hello(Through),
    /// A request ended before its answer.
    Left(RequestId),
    /// The agent of this flow logged in.
    Login(Through),
    /// A request did not get its stream, by the agent's will.
    Refused(RequestId),
    /// The request of this flow.
    Request(Through),
}

/// What an agent or a user learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Told {
    /// The candidate at this port answered the ping.
    Answered(u64, u16),
    /// The candidate of this ping at this port was connected to.
    Asked(u64, u16),
    /// A visit failed.
    Failed(RequestId),
    /// The so manieth connection for this purpose of this dial, visit or ping stands; from 1.
    Connected(Purpose, u64, u32),
    /// Find was answered.
    Found(DialId),
    /// The so manieth gossip on this tunnel, from 1.
    Gossip(DialId, u32),
    /// The login on the way of a visit is done.
    LoggedIn(RequestId),
    /// A tunnel that stood has ended.
    Lost(DialId),
    /// The mesh is complete.
    Mesh,
    /// A ping was answered, or failed.
    Pinged(u64),
    /// A visit was sent to the login.
    Redirected(RequestId),
    /// The proxy showed its host key.
    Shown(DialId),
    /// A dial or a visit failed before its TLS stood.
    Shut(u64),
    /// The tunnel stands, or the attempt failed.
    Tried(DialId),
    /// The tunnel stands.
    Up(DialId),
    /// A visit was answered, or failed.
    Visited(RequestId),
}

/// Something that reached a door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When, on the recorded run's clock.
    pub at: Time,
    /// What.
    pub what: Arrived,
}

/// What reached a door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// A client was accepted.
    Accepted {
        /// Its address; ports differ between runs.
        client: IpAddr,
    },
    /// A check ended.
    Checked {
        /// The instance, by its place in the pool.
        proxy: u32,
        /// Why it failed; given to the door as it is recorded.
        error: Option<String>,
    },
    /// An operator's act. A door whose order holds none acts at the timeline's instants.
    Operated {
        /// Which.
        act: Act,
    },
}
