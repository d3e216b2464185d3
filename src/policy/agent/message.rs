//! What an agent is told and what it asks for.

use std::net::IpAddr;
use std::sync::Arc;

use crate::model::addr::{HostPort, ListenAddr};
use crate::model::fact::{Act, Cause, Cut, Purpose, Stage};
use crate::model::id::{DialId, Name};
use crate::model::teleport::ConnType;
use crate::policy::address::Document;
use crate::policy::principals::Shown;

/// What an agent is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A proxy advised to reconnect elsewhere, on this tunnel.
    Advised {
        /// The tunnel.
        dial: DialId,
    },
    /// The name was resolved and TCP stands.
    Connected {
        /// The attempt.
        dial: DialId,
        /// What for.
        purpose: Purpose,
        /// The name that was resolved.
        host: String,
        /// The address of the answer, with the port.
        address: ListenAddr,
    },
    /// An attempt failed before its tunnel stood.
    Failed {
        /// The attempt.
        dial: DialId,
        /// How far it came.
        stage: Stage,
        /// What kind of failure.
        cause: Cause,
        /// In words.
        error: String,
    },
    /// Find answered.
    FindAnswered {
        /// The attempt.
        dial: DialId,
        /// What it said.
        document: Arc<Document>,
    },
    /// Gossip came on a tunnel.
    Gossip {
        /// The tunnel.
        dial: DialId,
        /// Ids of proxies.
        proxies: Vec<Name>,
    },
    /// The proxy showed its host key, inside the handshake.
    HostKeyShown {
        /// The attempt.
        dial: DialId,
        /// What it showed.
        shown: Shown,
        /// The calendar, seconds since 1970.
        unix_seconds: u64,
    },
    /// An operator acts.
    Operate(Act),
    /// It is in another network now; what it had open is gone.
    Roamed {
        /// The network.
        network: Name,
        /// Its address there.
        address: IpAddr,
    },
    /// A stream was asked for on a tunnel.
    StreamAsked {
        /// The tunnel.
        dial: DialId,
        /// What for.
        kind: ConnType,
        /// The app or database.
        app: Name,
    },
    /// A stream was cut at its bound.
    StreamCut {
        /// The tunnel.
        dial: DialId,
        /// The app.
        app: Name,
        /// In words.
        why: String,
    },
    /// A stream ended.
    StreamEnded {
        /// The tunnel.
        dial: DialId,
    },
    /// A tunnel that stood has ended.
    TunnelClosed {
        /// The tunnel.
        dial: DialId,
        /// In words.
        why: String,
    },
    /// The handshake is through: the tunnel stands.
    TunnelUp {
        /// The attempt.
        dial: DialId,
        /// Where it is connected to.
        address: ListenAddr,
    },
}

/// What an agent asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// The host key is accepted and the proxy claimed; the handshake goes on.
    AcceptHostKey,
    /// The tunnel is to be closed; what is open on it has ended.
    Close {
        /// The tunnel.
        dial: DialId,
    },
    /// All attempts and tunnels are to be cut.
    CutAll {
        /// With FIN or with RST.
        how: Cut,
    },
    /// Resolve, connect, TLS with this name, SSH; raw SSH when nothing is offered.
    Dial {
        /// The attempt.
        dial: DialId,
        /// Name and port.
        address: HostPort,
        /// The ALPN list to offer; empty without TLS routing.
        alpn: &'static [&'static str],
    },
    /// Ask `/webapi/find`.
    Find {
        /// The attempt.
        dial: DialId,
        /// Name and port.
        seed: HostPort,
    },
    /// Send a heartbeat.
    Heartbeat {
        /// The tunnel.
        dial: DialId,
        /// Host ids of the proxies that it is attached to; empty without proxy peering.
        proxies: Vec<Name>,
    },
    /// The host key is refused, with these words; the handshake ends.
    RefuseHostKey {
        /// In words.
        why: String,
    },
    /// The stream is refused, with these words.
    RefuseStream {
        /// In words.
        why: String,
    },
    /// The stream goes to the app or database with this place among the agent's own.
    Serve {
        /// Which of both.
        kind: ConnType,
        /// The index.
        place: usize,
    },
}
