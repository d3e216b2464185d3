//! The DNS server with sockets: loops of our own around `policy/answer`.
//!
//! In go messages; out come what `decide` says, and facts: exact counts by view, rule and response
//! code ten times a second, with a bounded sample of whole answers.
//!
//! A message's way: `udp` or `tcp` (bytes, limits) → `proxy` (whose it is) → `message` (what it
//! asks) → `worker` (kept or decided) → `writer` (bytes). Nothing is decided here except what fits
//! into a datagram. An answer that a fault drops is not sent, over TCP either; one that a fault
//! delays waits in a task of its own, so that a stream's next question does not wait for it.

pub mod carry;
mod classes;
mod counts;
mod forwarder;
mod losses;
pub mod message;
pub mod proxy;
pub mod querylog;
mod rendered;
mod respond;
pub mod server;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;
mod worker;
mod writer;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::tasks::Tasks;
use crate::journal::Journal;
use crate::model::fact::Kind;
use crate::model::id::Node;
use crate::model::time::Time;
use crate::model::topology::{Cookies, Topology};
use crate::policy::answer::{self, Rules, Server as Identity, Transport};
use crate::policy::cookie::Secret;

use self::counts::Counts;
use self::forwarder::Forwarders;
use self::proxy::Trusted;
use self::querylog::QueryLog;
use self::respond::Responder;
use self::server::Server;
use self::worker::{From, Outcome, Shared};

pub use self::carry::Limits;

/// How often counts become facts.
const FLUSH_EVERY: Duration = Duration::from_millis(100);

/// After how many flushes is read what the system dropped: its table has all sockets of the machine.
const LOOK_EVERY: u32 = 10;

/// Makes what a server says of itself, with a secret of its own for cookies.
pub fn identity(topology: &Topology) -> Identity {
    let mut secret = [0; 16];
    // Without randomness there are no cookies: a secret that can be guessed proves nothing.
    let random = SystemRandom::new().fill(&mut secret).is_ok();
    let secret = Secret::new(secret);
    Identity {
        name: topology.dns.nsid.as_bytes().into(),
        version: topology
            .dns
            .version
            .as_ref()
            .map(|text| text.as_bytes().into()),
        cookies: match topology.dns.cookies {
            Cookies::Offered if random => answer::Cookies::Offered(secret),
            Cookies::Required if random => answer::Cookies::Required(secret),
            Cookies::Off | Cookies::Offered | Cookies::Required => answer::Cookies::Off,
        },
    }
}

/// The DNS server, before its sockets are bound.
pub struct Dns {
    shared: Arc<Shared>,
    trusted: Trusted,
    limits: Limits,
    topology: Topology,
}

/// The DNS server with its sockets, ready to run.
pub struct Bound {
    shared: Arc<Shared>,
    server: Server,
    topology: Topology,
}

impl Dns {
    /// Makes a server that answers by `rules`, whichever are in force when a question comes.
    pub fn new(
        topology: &Topology,
        rules: Arc<ArcSwap<Rules>>,
        journal: Journal,
        now: impl Fn() -> Time + Send + Sync + 'static,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                rules,
                counts: Counts::new(topology),
                journal,
                now: Arc::new(now),
                seed: topology.seed,
                delays: AtomicU64::new(0),
                forwarders: OnceLock::new(),
                log: None,
            }),
            trusted: Trusted::new(&topology.dns.proxy_trusted),
            topology: topology.clone(),
            limits: Limits::default(),
        }
    }

    /// Has each query written to a log. To be called first: workers that are made before have none.
    #[must_use]
    pub fn logging(mut self, log: Option<Arc<QueryLog>>) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.log = log;
        }
        self
    }

    /// Gives it other limits than the usual ones.
    #[must_use]
    pub fn limited(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Answers one message after another without sockets, as one worker does.
    pub fn by_hand(&self) -> ByHand {
        ByHand {
            responder: Responder::new(&self.shared),
            room: vec![0; carry::STREAM_MAX],
        }
    }

    /// Binds UDP and TCP on each address; port 0 takes one that is free for both. Gives the address
    /// that could not be bound, with why.
    pub fn bind(self, listen: &[SocketAddr]) -> Result<Bound, (SocketAddr, io::Error)> {
        let server = Server::bind(listen, self.limits, self.trusted)?;
        Ok(Bound {
            shared: self.shared,
            server,
            topology: self.topology,
        })
    }
}

/// A worker without sockets.
pub struct ByHand {
    responder: Responder,
    room: Vec<u8>,
}

impl ByHand {
    /// Answers a message that came from `client` to `destination`; `None` when nothing is sent.
    /// Delays of faults are not waited for.
    pub fn answer(
        &mut self,
        message: &[u8],
        (client, destination): (SocketAddr, SocketAddr),
        transport: Transport,
    ) -> Option<&[u8]> {
        let from = From {
            client,
            transport,
            destination,
        };
        let Self { responder, room } = self;
        match responder.take(message, from, room) {
            Outcome::Copied(length) => room.get(..length),
            Outcome::Forward(_) | Outcome::Nothing => None,
            Outcome::Now | Outcome::Later(_) => Some(responder.message()),
        }
    }
}

impl Bound {
    /// Gives the addresses that were bound, in the order in which they were named.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.server.addresses()
    }

    /// Answers until the token is cancelled; then makes the last counts facts.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self {
            shared,
            server,
            topology,
        } = self;
        let tasks = Tasks::new();
        let around = (&Handle::current(), &tasks);
        let forwarders = Forwarders::new(&topology, shared.log.as_ref(), around);
        // A server runs once.
        let _ = shared.forwarders.set(forwarders);
        let losses = server.losses();
        let mut flushes = 0_u32;
        let mut flush = |last: bool| {
            if last || flushes.is_multiple_of(LOOK_EVERY) {
                losses.look();
            }
            flushes = flushes.wrapping_add(1);
            let mut kinds = shared.counts.take();
            kinds.extend(losses.take().map(Kind::DnsCarried));
            let forwarded = shared.forwarders.get().map(Forwarders::take);
            kinds.extend(forwarded.into_iter().flatten());
            shared.journal.add((shared.now)(), &Node::Dns, kinds);
        };
        let mut tick = tokio::time::interval(FLUSH_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut done = Box::pin(server.run(&shared, shutdown));
        loop {
            tokio::select! {
                _ = tick.tick() => flush(false),
                result = &mut done => {
                    if let Err(error) = result {
                        warn!(%error, "the DNS server ended");
                    }
                    break;
                }
            }
        }
        drop(done);
        tasks.stop().await;
        flush(true);
    }
}
