//! The UDP side: one thread and one socket for each worker, and what all systems share of it.
//!
//! In go datagrams; out go answers from the address that was asked. Linux spreads datagrams over the
//! sockets by client (SO_REUSEPORT) and moves them in batches; other systems have one worker that
//! moves them one by one. Nothing is allocated for a datagram. A response (QR set) or a datagram from
//! port 0 gets no answer: two servers would answer each other for ever.

#[cfg(target_os = "linux")]
mod batched;
mod plain;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::carry::{Asked, Back, DATAGRAM_MAX, Later, Reply, Respond, Transport, Via};
use super::message;
use super::proxy::{Front, Trusted};

/// The longest datagram that is read: a PROXY header and any query that a client has reason to send.
const QUERY_MAX: usize = 4_096;

/// How long a worker waits for a datagram before it looks whether it shall stop; and how long a
/// full send buffer may hold it up before the answer is lost.
const PATIENCE: Duration = Duration::from_millis(100);

/// How many datagrams or batches a stopping worker still answers; they were received before.
const DRAIN_MAX: usize = 256;

/// Most systems refuse larger ones or cap them in silence; more would only age in the queue.
const RECEIVE_BUFFER_MAX: usize = 64 * 1024 * 1024;

/// Makes the socket of a worker; `shared` lets further workers bind the same address.
///
/// `only_v6` keeps IPv4 clients from a listener on `[::]`.
pub(super) fn bind(
    (listen, only_v6): (SocketAddr, bool),
    shared: bool,
    buffer: usize,
) -> io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(listen),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if listen.is_ipv6() {
        socket.set_only_v6(only_v6)?;
    }
    #[cfg(target_os = "linux")]
    if shared {
        socket.set_reuse_port(true)?;
    }
    #[cfg(not(target_os = "linux"))]
    let _ = shared;
    let buffer = buffer.min(RECEIVE_BUFFER_MAX);
    // Less than wished is no reason not to serve.
    let _ = socket.set_recv_buffer_size(buffer);
    // Beyond `net.core.rmem_max`, whose 208 KiB are the questions of a millisecond: with CAP_NET_ADMIN.
    #[cfg(target_os = "linux")]
    let _ = nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::RcvBufForce, &buffer);
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.bind(&listen.into())?;
    let socket = UdpSocket::from(socket);
    #[cfg(target_os = "linux")]
    if listen.ip().is_unspecified() {
        batched::tell_destination(&socket, listen)?;
    }
    Ok(socket)
}

/// Gives the number by which the system knows a socket; `None` where it has none.
#[cfg(target_os = "linux")]
pub(super) fn inode(socket: &UdpSocket) -> Option<u64> {
    use std::os::fd::OwnedFd;
    use std::os::unix::fs::MetadataExt;

    let copy = OwnedFd::from(socket.try_clone().ok()?);
    Some(std::fs::File::from(copy).metadata().ok()?.ino())
}

/// Gives the number by which the system knows a socket; `None` where it has none.
#[cfg(not(target_os = "linux"))]
pub(super) const fn inode(_socket: &UdpSocket) -> Option<u64> {
    None
}

/// Where a worker's answers leave.
#[derive(Clone)]
pub(super) struct Outlet {
    socket: Arc<UdpSocket>,
    /// What the socket is bound to, with the real port.
    bound: SocketAddr,
}

impl Outlet {
    pub(super) fn new(socket: UdpSocket) -> io::Result<Self> {
        let bound = socket.local_addr()?;
        Ok(Self {
            socket: Arc::new(socket),
            bound,
        })
    }

    fn is_wildcard(&self) -> bool {
        self.bound.ip().is_unspecified()
    }

    /// Sends one answer from the address that was asked; a lost one is the client's to ask again.
    pub(super) fn send(&self, answer: &[u8], to: SocketAddr, local: SocketAddr) {
        #[cfg(target_os = "linux")]
        let result = if self.is_wildcard() {
            batched::send_from(&self.socket, answer, to, local)
        } else {
            self.socket.send_to(answer, to).map(drop)
        };
        #[cfg(not(target_os = "linux"))]
        let result = {
            let _ = local;
            self.socket.send_to(answer, to).map(drop)
        };
        if let Err(error) = result {
            tracing::debug!(%error, client = %to, "the answer was not sent");
        }
    }
}

/// One worker: its socket and what answers there.
pub(super) struct Worker {
    pub(super) outlet: Outlet,
    pub(super) responder: Box<dyn Respond>,
    pub(super) later: Later,
    pub(super) trusted: Arc<Trusted>,
    pub(super) stop: Arc<AtomicBool>,
}

impl Worker {
    /// Answers until it shall stop, and then what was received before.
    pub(super) fn run(mut self, batches: bool) {
        #[cfg(target_os = "linux")]
        if batches {
            return batched::run(&mut self);
        }
        let _ = batches;
        plain::run(&mut self);
    }

    fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Answers one datagram at once, or not (0), or later.
    fn answer(
        &mut self,
        bytes: &[u8],
        sender: SocketAddr,
        local: SocketAddr,
        out: &mut [u8; DATAGRAM_MAX],
    ) -> usize {
        let Front::Read { length, real } = self.trusted.read(bytes, sender) else {
            return 0;
        };
        let message = &bytes[length..];
        if sender.port() == 0 || !message::is_answerable(message) {
            return 0;
        }
        let (from, destination) = real.unwrap_or((sender, local));
        let via = Via {
            transport: Transport::Udp,
            destination,
            sender,
            local,
        };
        let asked = Asked {
            message,
            from,
            via,
            back: Back::Udp(&self.outlet),
            later: &self.later,
        };
        match self.responder.respond(asked, out) {
            Reply::Now(length) => length.min(out.len()),
            Reply::Later(length, delay) => {
                asked.delay(&out[..length.min(DATAGRAM_MAX)], delay);
                0
            }
            Reply::Deferred | Reply::Nothing => 0,
        }
    }
}

/// Tells whether an error of a receive only means that nothing came.
fn is_nothing(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}
