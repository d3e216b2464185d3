//! Reverse tunnels: SSH over any stream, many user streams in one tunnel.
//!
//! In goes a connected stream (TLS, in the lab) and an identity; out come a login, events and
//! streams of bytes. The proxy is the SSH server, the agent the client. What Teleport calls its
//! channels travels as the path of a streamlocal channel, because the SSH library has no channel
//! types of one's own: `teleport-heartbeat` (agent to proxy), `teleport-discovery` and
//! `teleport-transport` (proxy to agent); messages inside are lines of JSON ([`message`]).
//!
//! One peer must never stop another, and nobody may fill memory:
//!
//! - each channel is drained all the time into a queue of its own with a bound (`stream`), and
//!   credit between our ends makes a slow reader slow its own sender only;
//! - the wire is drained all the time too, so that two bulk senders cannot block each other
//!   (`wire`);
//! - only agents start a key exchange, and the bytes that may be under way meanwhile are fewer than
//!   what the library tolerates ([`SSH_WINDOW`]).
//!
//! It does not decide: who may log in is `policy/principals`, which tunnel a request takes is
//! `policy/proxy`, when to dial is `policy/agent`.

mod blocks;
mod client;
mod ending;
mod forwards;
pub mod message;
mod server;
mod stream;
mod wire;

use std::time::Duration;

use thiserror::Error;

use crate::model::teleport::ProxyService;

pub use client::{ClientControl, ClientEvent, ClientTunnel, TransportRequest, connect};
pub use message::DialReq;
pub use server::{AgentLogin, Login, Refused, ServerControl, ServerEvent, ServerTunnel, accept};
pub use stream::TunnelStream;

/// How many streams one tunnel carries at a time; a browser opens six per host.
pub const STREAMS_MAX: usize = 128;

/// How many bytes of one stream may be sent and not yet read: enough for a loopback link many
/// times over, and for 20 Mbit/s at 100 ms.
pub const STREAM_WINDOW: usize = 256 * 1024;

/// How much memory the unread bytes of one stream may take. Our own ends stay below twice
/// [`STREAM_WINDOW`]; only a peer that ignores credit gets here, and its stream is cut at once. With
/// all streams at it, a hostile peer that has logged in costs 128 MiB, whatever the size of its
/// messages (`blocks`).
pub const STREAM_BYTES_MAX: usize = 1024 * 1024;

/// How long at least half of a stream's window may stand unread before the stream is cut. It is cut
/// between one and two times this long after the last read.
pub const STREAM_STALL: Duration = Duration::from_secs(10);

/// The window of SSH's own flow control, per channel.
///
/// russh grants it on receipt, so it bounds nothing here; credit does. But russh also ends a session
/// when more than twice this many bytes *of all channels* arrive between its own KEXINIT and the
/// other side's, so it must not be less than what all streams may have under way.
pub const SSH_WINDOW: u32 = 32 * 1024 * 1024;

/// How many messages of a channel wait for its pump. The pump never waits for anything else, so
/// this evens out scheduling and nothing more.
pub const CHANNEL_MESSAGES_MAX: usize = 4096;

/// How many bytes are handed to SSH at a time: its largest packet, and large writes across a key
/// exchange are where russh has had faults.
pub const CHUNK: usize = 32 * 1024;

/// How many bytes from the wire wait for the SSH session: all windows, and a quarter for framing and
/// messages. A peer that keeps to its credit never gets there; one that does not is read no further.
/// They take at most twice as much memory (`blocks`).
pub const WIRE_BYTES_MAX: usize = STREAMS_MAX * STREAM_WINDOW / 4 * 5;

/// How many events wait for the owner of a tunnel; more requests than that are refused, other events
/// wait.
pub const EVENTS_MAX: usize = 64;

/// How many discovery messages wait for an agent (Teleport `lib/reversetunnel/conn.go`).
pub const DISCOVERY_MAX: usize = 100;

const _: () = assert!(STREAMS_MAX * STREAM_WINDOW <= SSH_WINDOW as usize);
const _: () = assert!(2 * STREAM_WINDOW + 2 * CHUNK < STREAM_BYTES_MAX);

/// The times and bounds of tunnels that a test may want otherwise.
#[derive(Clone, Debug)]
pub struct Settings {
    /// From the first byte to the login; Teleport's `DefaultIOTimeout`. Default 30 s.
    pub timeout_login: Duration,
    /// How long opening a stream may take, the agent's answer included, and how long an agent waits
    /// for the request on an opened stream. Default 30 s.
    pub timeout_dial: Duration,
    /// See [`STREAM_STALL`].
    pub stream_stall: Duration,
    /// An SSH keepalive is sent when nothing came for this long; Teleport's `keep_alive_interval`,
    /// which is below the 350 s after which an AWS NLB forgets a connection. Default 5 min.
    pub keepalive_interval: Duration,
    /// After so many keepalives without a sign of life the tunnel is lost; Teleport's
    /// `keep_alive_count_max`. Default 3.
    pub keepalive_max: usize,
    /// An agent starts a key exchange after so many bytes in one direction. Default 512 MiB, so that
    /// the proxy, which must not start one, never comes near its own limit.
    pub rekey_bytes: usize,
    /// An agent starts a key exchange after this long. Default 30 min.
    pub rekey_after: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timeout_login: Duration::from_secs(30),
            timeout_dial: Duration::from_secs(30),
            stream_stall: STREAM_STALL,
            keepalive_interval: Duration::from_secs(300),
            keepalive_max: 3,
            rekey_bytes: 512 << 20,
            rekey_after: Duration::from_secs(30 * 60),
        }
    }
}

impl Settings {
    /// Gives the settings of a pool: how often it looks for life, and how patient it is.
    pub fn of(pool: &ProxyService) -> Self {
        Self {
            keepalive_interval: pool.keep_alive.into(),
            keepalive_max: usize::try_from(pool.keep_alive_max).unwrap_or(usize::MAX),
            ..Self::default()
        }
    }

    /// How long a session may stand still altogether: a backstop for a peer that reads nothing while
    /// something is to be sent, when keepalives cannot be sent either.
    fn inactivity(&self) -> Duration {
        let intervals = u32::try_from(self.keepalive_max).unwrap_or(u32::MAX);
        self.keepalive_interval
            .saturating_mul(intervals.saturating_add(1))
    }
}

/// Why a tunnel did not come about.
#[derive(Debug, Error)]
pub enum TunnelError {
    /// The agent's check of the proxy's host key said no, in its own words.
    #[error("{0}")]
    HostKey(String),
    /// The proxy refused the agent's login.
    #[error(
        "ssh: unable to authenticate, attempted methods [none publickey], no supported methods remain"
    )]
    Login,
    /// The proxy refused the agent's login, as the proxy knows it.
    #[error("login refused: {0}")]
    LoginRefused(String),
    /// The agent could not open its heartbeat.
    #[error("heartbeat: {0}")]
    Heartbeat(String),
    /// The other side went away or broke the protocol.
    #[error("ssh: {0}")]
    Ssh(#[from] russh::Error),
    /// The other side said nothing for too long.
    #[error("no login within {}s", .0.as_secs_f64())]
    Timeout(Duration),
    /// The lab is being stopped.
    #[error("stopped")]
    Stopped,
}
