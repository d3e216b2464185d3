//! What a user is told and what it asks for.

use std::net::IpAddr;
use std::sync::Arc;

use crate::model::addr::{HostPort, ListenAddr};
use crate::model::fact::{Act, Cut, Failure, Purpose};
use crate::model::id::{Name, RequestId};
use crate::policy::address::Document;

/// What a user is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The app or the proxy answered.
    Answered {
        /// The visit.
        request: RequestId,
        /// The HTTP status.
        status: u16,
        /// Bytes of the body.
        bytes: u64,
        /// The proxy, as the answer's header says.
        proxy: Option<Name>,
        /// The agent, as the answer's header says.
        agent: Option<Name>,
        /// Whether the proxy refused for want of a tunnel, as the answer's header says.
        no_tunnel: bool,
    },
    /// The name was resolved and TCP stands.
    Connected {
        /// The visit, or the number of the ping.
        request: RequestId,
        /// What for: a ping, the login or the visit itself.
        purpose: Purpose,
        /// The name that was resolved.
        host: String,
        /// The address of the answer, with the port.
        address: ListenAddr,
    },
    /// The visit failed without an answer.
    Failed {
        /// The visit.
        request: RequestId,
        /// Why.
        reason: Failure,
        /// In words.
        error: String,
    },
    /// Every agent has a tunnel to every proxy.
    MeshComplete,
    /// The login is through: the visit may be made again, with its session.
    LoggedIn {
        /// The visit.
        request: RequestId,
    },
    /// Ping was answered.
    PingAnswered {
        /// The number of the ping.
        attempt: u64,
        /// The candidate that answered.
        asked: HostPort,
        /// What it said.
        document: Arc<Document>,
    },
    /// Ping failed at every candidate.
    PingFailed {
        /// The number of the ping.
        attempt: u64,
        /// Why, at the candidate that came furthest.
        reason: Failure,
        /// In words, all candidates.
        error: String,
    },
    /// The visit was sent to a login.
    Redirected {
        /// The visit.
        request: RequestId,
        /// Where.
        to: HostPort,
    },
    /// An operator acts; the lab's own start counts as one.
    Operate(Act),
    /// They are in another network now; what they had open is gone.
    Roamed {
        /// The network.
        network: Name,
        /// Their address there.
        address: IpAddr,
    },
}

/// What a user asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Cut the visit that is open.
    CutAll {
        /// With FIN or with RST.
        how: Cut,
    },
    /// Follow the visit's redirect to this login, and keep the session that comes of it.
    LogIn {
        /// The visit.
        request: RequestId,
        /// Where.
        to: HostPort,
    },
    /// Ask `/webapi/ping` at these, the next begun every 250 ms, the first 200 wins.
    Ping {
        /// The number of the ping.
        attempt: u64,
        /// In order.
        candidates: Vec<HostPort>,
    },
    /// Visit this app, with its session if there is one.
    Visit {
        /// The visit.
        request: RequestId,
        /// The host name.
        host: String,
        /// The port.
        port: u16,
    },
}
