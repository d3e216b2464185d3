//! Between sockets and what answers: one message in, at most one message out.
//!
//! Here are the trait that answers, what it is told, the handle for an answer that comes later, and
//! the limits. The loops are in `udp` and `tcp`; nothing here knows what a zone is.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::udp;
use crate::live::tasks::Tasks;
use crate::model::time::Span;
use crate::policy::answer::IDLE_TENTHS;

/// How many bytes an answer in a datagram may have; more than any payload that is worth granting.
pub const DATAGRAM_MAX: usize = 4_096;

/// How many bytes an answer in a stream may have (RFC 1035 section 4.2.2).
pub const STREAM_MAX: usize = 65_535;

/// Answers messages; one for each worker, with its own cache and counters.
///
/// It is called on the worker's thread and must not block. Only messages that may be answered come:
/// with a header, and not responses. They may be malformed otherwise.
pub trait Respond: Send {
    /// Answers one message, into `out` if it answers at once.
    fn respond(&mut self, asked: Asked<'_>, out: &mut [u8]) -> Reply;

    /// Is called now and then while nothing comes: lets go of what is not in force any more.
    fn rest(&mut self) {}
}

/// Makes one [`Respond`] for each worker.
pub trait Responders: Send + Sync {
    /// Makes one more.
    fn responder(&self) -> Box<dyn Respond>;
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It is answered later, by the [`Answerer`] that was taken.
    Deferred,
    /// As [`Reply::Now`], but so much later; lost when too many wait already.
    Later(usize, Span),
    /// It gets no answer.
    Nothing,
    /// The answer is the first so many bytes of `out`.
    Now(usize),
}

/// What a message came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A connection.
    Tcp,
    /// A datagram.
    Udp,
}

/// How a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via {
    /// What it came by.
    pub transport: Transport,
    /// The address that the client asked: ours, or the one that a trusted PROXY header names.
    pub destination: SocketAddr,
    /// Who sent it to us: the client, or the proxy before us.
    pub sender: SocketAddr,
    /// Our own address that it came to; never a wildcard.
    pub local: SocketAddr,
}

/// A message and who asks it.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The bytes of the message, without length or PROXY header.
    pub message: &'a [u8],
    /// The real client.
    pub from: SocketAddr,
    /// How it came.
    pub via: Via,
    pub(super) back: Back<'a>,
    pub(super) later: &'a Later,
}

/// Where an answer goes that is not given at once.
#[derive(Clone, Copy)]
pub(super) enum Back<'a> {
    Udp(&'a udp::Outlet),
    Tcp(&'a Flights),
}

/// The answers of one connection that come later, counted by its own task.
///
/// Each [`Answerer`] puts exactly one thing into the queue, an answer or nothing, and is counted
/// until that is taken out: the queue has room for all.
pub(super) struct Flights {
    pub(super) queue: mpsc::Sender<Vec<u8>>,
    pub(super) count: Cell<usize>,
    pub(super) max: usize,
}

/// Answers one message, at most once, whenever that is; may be moved to another task.
///
/// Dropped without an answer it leaves the message unanswered, which is right for a fault.
#[must_use = "the message stays unanswered"]
pub struct Answerer {
    way: Way,
    /// Keeps the number of those who wait bounded.
    _permit: OwnedSemaphorePermit,
}

enum Way {
    Done,
    Tcp(mpsc::Sender<Vec<u8>>),
    Udp {
        outlet: udp::Outlet,
        to: SocketAddr,
        local: SocketAddr,
    },
}

impl Asked<'_> {
    /// Takes the handle for an answer that comes later; `None` when too many wait already.
    pub fn answerer(&self) -> Option<Answerer> {
        let permit = Arc::clone(&self.later.room).try_acquire_owned().ok()?;
        let way = match self.back {
            Back::Udp(outlet) => Way::Udp {
                outlet: outlet.clone(),
                to: self.via.sender,
                local: self.via.local,
            },
            Back::Tcp(flights) => {
                let count = flights.count.get();
                if count == flights.max {
                    return None;
                }
                flights.count.set(count + 1);
                Way::Tcp(flights.queue.clone())
            }
        };
        Some(Answerer {
            way,
            _permit: permit,
        })
    }
}

impl Answerer {
    /// Sends the answer, or loses it when the client is gone.
    pub fn send(mut self, answer: &[u8]) {
        match std::mem::replace(&mut self.way, Way::Done) {
            Way::Done => {}
            Way::Udp { outlet, to, local } => outlet.send(answer, to, local),
            Way::Tcp(queue) => {
                if queue.try_send(answer.to_vec()).is_err() {
                    tracing::debug!("the connection ended before its answer came");
                }
            }
        }
    }
}

impl Drop for Answerer {
    fn drop(&mut self) {
        // The connection need not wait for this one any more.
        if let Way::Tcp(queue) = &self.way {
            let _ = queue.try_send(Vec::new());
        }
    }
}

/// The room for answers that come later, shared by all workers of a server.
#[derive(Clone)]
pub(super) struct Later {
    pub(super) room: Arc<Semaphore>,
    pub(super) tasks: Tasks,
    pub(super) runtime: Handle,
}

impl Asked<'_> {
    /// Sends an answer after a while.
    pub(super) fn delay(&self, answer: &[u8], delay: Span) {
        let Some(answerer) = self.answerer() else {
            tracing::debug!("no room to delay an answer: it is lost");
            return;
        };
        let answer = answer.to_vec();
        let _entered = self.later.runtime.enter();
        self.later.tasks.spawn(async move {
            tokio::time::sleep(delay.into()).await;
            answerer.send(&answer);
        });
    }
}

/// What is bounded, and by how much. The defaults suit a public server.
#[derive(Clone, Debug)]
pub struct Limits {
    /// UDP workers for each address, each with a socket; one for each core. 1 to 64.
    pub workers: usize,
    /// Whether datagrams move in batches; only Linux can, and only with batches does a wildcard
    /// listener know which address was asked.
    pub batches: bool,
    /// The receive buffer of each UDP socket, in bytes; the system may give less. A question takes
    /// about 400 of them: what comes while another process has the core must fit.
    pub receive_buffer_bytes: usize,
    /// Answers that may wait to be sent later, over all transports.
    pub deferred_max: usize,
    /// TCP connections in total.
    pub connections_max: usize,
    /// TCP connections of one client address (IPv6: of one /64).
    pub connections_per_client_max: usize,
    /// Queries of one connection that wait for an answer; more are read when one is answered.
    pub in_flight_max: usize,
    /// Bytes of answers that wait for a slow reader; nothing is read from it meanwhile.
    pub backlog_bytes_max: usize,
    /// How long a new connection may take to its first whole query.
    pub first_query: Duration,
    /// How long a connection may be silent between queries (RFC 7766 section 6.2.3).
    pub idle: Duration,
    /// How long a message may take from its first byte to its last.
    pub message: Duration,
    /// How long what waits to be written may take to be gone.
    pub write: Duration,
    /// How long a stopping server waits for what is still to be answered.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            batches: true,
            receive_buffer_bytes: 16 * 1024 * 1024,
            deferred_max: 4_096,
            connections_max: 1_000,
            connections_per_client_max: 100,
            in_flight_max: 64,
            backlog_bytes_max: 256 * 1024,
            first_query: Duration::from_secs(5),
            // As is told to who asks (RFC 7828).
            idle: Duration::from_millis(100 * u64::from(IDLE_TENTHS)),
            message: Duration::from_secs(5),
            write: Duration::from_secs(5),
            drain: Duration::from_secs(2),
        }
    }
}
