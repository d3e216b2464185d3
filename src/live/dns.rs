//! The DNS server with sockets: hickory's UDP and TCP listeners around `policy/answer`.
//!
//! In go messages; out come what `decide` says, and facts: exact counts by view, rule and response
//! code ten times a second, with a bounded sample of whole answers. Nothing is decided here except
//! what fits into a datagram. An answer that a fault drops is not sent, over TCP either; one that a
//! fault delays waits in a task of its own, so that a stream's next question does not wait for it. A message that hickory cannot parse is answered FORMERR by hickory
//! itself, without question and OPT, and is not counted; nor does hickory bound its connections
//! (only their idle time), both of which end with a writer of our own.

mod counts;
mod rendered;
mod reply;
#[cfg(test)]
mod tests;
mod worker;
mod writer;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use hickory_proto::op::{Header, HeaderCounts, Metadata, ResponseCode};
use hickory_server::Server;
use hickory_server::net::runtime::Time as HickoryTime;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::tasks::Tasks;
use crate::journal::Journal;
use crate::model::addr::ListenAddr;
use crate::model::draw::Seed;
use crate::model::id::Node;
use crate::model::time::{Span, Time};
use crate::model::topology::Topology;
use crate::policy::answer::{Answer, Rules, decide};

use self::counts::{Counts, label};

pub use self::reply::{Reply, question};

/// How long a TCP connection may be silent (RFC 7766 section 6.2.3 wants seconds).
const TCP_IDLE: Duration = Duration::from_secs(10);

/// How many answers of one connection wait for a slow reader before it is cut.
const TCP_ANSWERS_MAX: usize = 64;

/// How often counts become facts.
const FLUSH_EVERY: Duration = Duration::from_millis(100);

/// How many answers a fault may hold back at once; the next are lost, as in a link's full queue.
const DELAYED_MAX: usize = 4_096;

/// How often a port that is free for UDP is tried for TCP before giving up.
const PORT_TRIES_MAX: usize = 16;

/// The DNS server, before its sockets are bound.
pub struct Dns {
    rules: Arc<ArcSwap<Rules>>,
    journal: Journal,
    counts: Arc<Counts>,
    seed: Seed,
    now: Arc<dyn Fn() -> Time + Send + Sync>,
}

/// The DNS server with its sockets, ready to run.
pub struct Bound {
    dns: Dns,
    address: SocketAddr,
    udp: UdpSocket,
    tcp: TcpListener,
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
            rules,
            journal,
            counts: Arc::new(Counts::new(topology)),
            seed: topology.seed,
            now: Arc::new(now),
        }
    }

    /// Binds UDP and TCP on one port; port 0 takes one that is free for both.
    pub async fn bind(self, listen: SocketAddr) -> io::Result<Bound> {
        let (address, udp, tcp) = bind(listen).await?;
        Ok(Bound {
            dns: self,
            address,
            udp,
            tcp,
        })
    }
}

/// Binds UDP and TCP on one port; port 0 takes one that is free for both.
pub(super) async fn bind(listen: SocketAddr) -> io::Result<(SocketAddr, UdpSocket, TcpListener)> {
    let mut tries = 0;
    loop {
        tries += 1;
        let udp = UdpSocket::bind(listen).await?;
        let address = udp.local_addr()?;
        match TcpListener::bind(address).await {
            Ok(tcp) => return Ok((address, udp, tcp)),
            Err(error)
                if listen.port() != 0
                    || tries == PORT_TRIES_MAX
                    || error.kind() != io::ErrorKind::AddrInUse =>
            {
                return Err(error);
            }
            Err(_) => {}
        }
    }
}

impl Bound {
    /// Gives the address that was bound.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until the token is cancelled; then makes the last counts facts.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self {
            dns,
            address,
            udp,
            tcp,
        } = self;
        let delaying = Tasks::new();
        let handler = Handler {
            rules: dns.rules,
            counts: Arc::clone(&dns.counts),
            journal: dns.journal.clone(),
            seed: dns.seed,
            delays: AtomicU64::new(0),
            room: Arc::new(Semaphore::new(DELAYED_MAX)),
            delaying: delaying.clone(),
            now: Arc::clone(&dns.now),
            address: ListenAddr(address),
        };
        let mut server = Server::new(handler);
        server.register_socket(udp);
        server.register_listener(tcp, TCP_IDLE, TCP_ANSWERS_MAX);
        let stop = server.shutdown_token().clone();
        let flush = || {
            let kinds = dns.counts.take();
            dns.journal.add((dns.now)(), &Node::Dns, kinds);
        };
        let mut tick = tokio::time::interval(FLUSH_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut done = Box::pin(server.block_until_done());
        loop {
            tokio::select! {
                () = shutdown.cancelled(), if !stop.is_cancelled() => stop.cancel(),
                _ = tick.tick() => flush(),
                result = &mut done => {
                    if let Err(error) = result {
                        warn!(%error, %address, "the DNS server ended");
                    }
                    break;
                }
            }
        }
        delaying.stop().await;
        flush();
    }
}

/// Translates between hickory and `decide`.
struct Handler {
    rules: Arc<ArcSwap<Rules>>,
    counts: Arc<Counts>,
    journal: Journal,
    seed: Seed,
    /// How many delays were drawn.
    delays: AtomicU64,
    /// For how many answers there is still room to wait.
    room: Arc<Semaphore>,
    delaying: Tasks,
    now: Arc<dyn Fn() -> Time + Send + Sync>,
    address: ListenAddr,
}

#[async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: HickoryTime>(
        &self,
        request: &Request,
        response_handle: R,
    ) -> ResponseInfo {
        let rules = self.rules.load_full();
        let question = question(request, self.address);
        let answer = decide(&rules, &question);
        // Before the answer is sent, so that what the client does with it comes after.
        self.counts.counter(label(&answer)).add();
        if let Some(sample) = self.counts.sample(&question, &answer) {
            self.journal.add((self.now)(), &Node::Dns, [sample]);
        }
        if answer.dropped {
            return nothing_sent(request);
        }
        let delay = self.delay(&answer);
        let reply = Reply::fit(request, &question, answer);
        if delay == Span::ZERO {
            return send(request, &reply, response_handle).await;
        }
        let copy = Request::from_bytes(
            request.as_slice().to_vec(),
            request.src(),
            request.protocol(),
        );
        match (copy, Arc::clone(&self.room).try_acquire_owned()) {
            (Ok(copy), Ok(room)) => {
                self.delaying.spawn(async move {
                    tokio::time::sleep(delay.into()).await;
                    send(&copy, &reply, response_handle).await;
                    drop(room);
                });
            }
            (copy, _) => debug!(
                read = copy.is_ok(),
                "no room to delay an answer: it is lost"
            ),
        }
        nothing_sent(request)
    }
}

impl Handler {
    /// Draws how much later an answer is sent.
    fn delay(&self, answer: &Answer<'_>) -> Span {
        if answer.jitter == Span::ZERO {
            return answer.latency;
        }
        answer.delay(self.seed, self.delays.fetch_add(1, Ordering::Relaxed))
    }
}

/// Sends a reply; one that cannot be sent is nobody's loss but the client's.
pub(super) async fn send<R: ResponseHandler>(
    request: &Request,
    reply: &Reply,
    mut to: R,
) -> ResponseInfo {
    match to.send_response(reply.message(request)).await {
        Ok(info) => info,
        Err(error) => {
            debug!(%error, client = %request.src(), "the answer was not sent");
            nothing_sent(request)
        }
    }
}

/// Gives what hickory wants to hear when nothing was sent.
pub(super) fn nothing_sent(request: &Request) -> ResponseInfo {
    let mut metadata = Metadata::response_from_request(&request.metadata);
    metadata.response_code = ResponseCode::ServFail;
    let counts = HeaderCounts::default();
    ResponseInfo::from(Header { metadata, counts })
}
