//! The TCP side (RFC 7766): a task for each connection, queries pipelined, answers as they come.
//!
//! In go connections; out go answers, those that come later out of order. What a client can hold is
//! bounded: connections, queries in flight, bytes that wait for it, and the time that each step may
//! take. When there are too many connections the one that has been idle the longest makes room, of
//! the same client if that one has too many: who only holds connections shuts nobody out, and
//! RFC 7766 section 6.2.3 lets a server close idle ones at will. Without an idle one the new
//! connection is closed.

mod connection;
mod registry;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio_util::sync::CancellationToken;

use self::registry::Registry;
use super::carry::{Later, Limits, Respond, Responders, STREAM_MAX};
use super::losses::Losses;
use super::proxy::Trusted;
use crate::live::clock::Clock;
use crate::live::priority;
use crate::live::serve;
use crate::live::tasks::Tasks;

/// How many connections may wait to be accepted; Linux caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 1_024;

/// Binds an address and listens there.
pub(super) fn bind(listen: SocketAddr, only_v6: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(listen),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if listen.is_ipv6() {
        // As the UDP socket beside it.
        socket.set_only_v6(only_v6)?;
    }
    // A server that was stopped has connections in TIME_WAIT on its port and must start again.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&listen.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// What all connections of a server share.
pub(super) struct Service {
    /// Responders with room for an answer; a connection borrows one for a few queries at a time.
    desks: Vec<Mutex<Desk>>,
    limits: Limits,
    later: Later,
    trusted: Arc<Trusted>,
    losses: Arc<Losses>,
    registry: Registry,
    clock: Clock,
    stop: CancellationToken,
}

/// How often desks that nobody uses let go of what is not in force any more.
const REST_EVERY: Duration = Duration::from_secs(1);

/// A responder and room for its answer.
struct Desk {
    responder: Box<dyn Respond>,
    out: Vec<u8>,
}

impl Service {
    pub(super) fn new(
        responders: &dyn Responders,
        limits: Limits,
        later: Later,
        (trusted, losses): (Arc<Trusted>, Arc<Losses>),
        stop: CancellationToken,
    ) -> Self {
        let desk = |_| {
            Mutex::new(Desk {
                responder: responders.responder(),
                out: vec![0; STREAM_MAX],
            })
        };
        Self {
            desks: (0..limits.workers.max(1)).map(desk).collect(),
            registry: Registry::default(),
            limits,
            later,
            trusted,
            losses,
            clock: Clock::start(),
            stop,
        }
    }
}

/// Accepts connections until the service stops; each is a task of `tasks`.
pub(super) async fn listen(service: Arc<Service>, listener: TcpListener, tasks: Tasks) {
    let stop = service.stop.clone();
    let accepting = serve::accept(listener, |stream, sender| {
        let trusted = service.trusted.expects(sender);
        let now = service.clock.now();
        priority::give_way(now);
        match service
            .registry
            .admit(sender, trusted, now, &service.limits)
        {
            Ok(ticket) => {
                let service = Arc::clone(&service);
                // Dropped when the server's patience ends; before, it ends by itself.
                tasks.spawn(connection::serve(service, stream, sender, ticket));
            }
            Err(full) => {
                tracing::debug!(client.addr = %sender, ?full, "too many connections");
                service.losses.add(full.into());
            }
        }
    });
    if let Some(Err(error)) = stop.run_until_cancelled(accepting).await {
        tracing::warn!(%error, "accepting ended");
    }
}

/// Has idle desks let go of old rules until the service stops: they would keep a whole generation.
pub(super) async fn rest(service: Arc<Service>) {
    let resting = async {
        let mut tick = tokio::time::interval(REST_EVERY);
        loop {
            tick.tick().await;
            // One that is in use looks by itself.
            for mut desk in service.desks.iter().filter_map(|desk| desk.try_lock().ok()) {
                desk.responder.rest();
            }
        }
    };
    service.stop.run_until_cancelled(resting).await;
}
