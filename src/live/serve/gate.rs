//! The accept loop of a node that faults can be on: open, paused, refusing or silent.
//!
//! `policy/faults` says which; here it is done to a real listener, without privileges:
//!
//! - paused: nobody accepts; the kernel goes on answering SYNs while its queue has room.
//! - refusing: the socket leaves LISTEN and stays bound, so that the kernel answers with RST and
//!   nobody can take the address unnoticed. Who was in the queue is accepted first: his connection
//!   stood. An address that cannot be listened on again is an error in the log, and tried until it
//!   can or the faults change.
//! - silent: the queue is cut to nothing and filled with a connection of our own, and a kernel with
//!   a full queue drops SYNs. Whoever was in the queue before is accepted when this ends.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;

use super::{BACKLOG, Listening, REST_MAX, REST_MIN, accept_from, listen, reset};
use crate::live::faults::InForce;
use crate::model::id::Node;
use crate::policy::faults::{self, Faults};

/// How long a connection of our own may take before the queue counts as full: on loopback a
/// handshake takes microseconds.
const FILL_PATIENCE: Duration = Duration::from_millis(100);

/// How many connections of our own are tried: Linux takes one more than the backlog says.
const FILLERS_MAX: usize = 8;

/// Whose listener it is, and what faults there are.
pub struct Gate {
    node: Node,
    faults: watch::Receiver<Arc<Faults>>,
}

impl Gate {
    /// Makes the gate of a node.
    pub fn new(node: &Node, faults: &InForce) -> Self {
        Self {
            node: node.clone(),
            faults: faults.watch(),
        }
    }
}

/// Accepts for ever, when the gate lets it, and hands each connection and its source to `take`.
pub async fn accept(
    listener: TcpListener,
    gate: Gate,
    mut take: impl FnMut(TcpStream, SocketAddr) + Send,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let mut seat = Seat {
        address: listener.local_addr()?,
        socket: Socket::Listening(Listening::new(listener)?),
        fillers: Vec::new(),
        own: Vec::new(),
        held: Vec::new(),
    };
    let Gate { node, mut faults } = gate;
    let latest = faults.clone();
    loop {
        let state = faults.borrow_and_update().listening(&node);
        let other = |faults: &Arc<Faults>| faults.listening(&node) != state;
        let lab_ended = async { faults.wait_for(other).await.is_err() };
        let open = || latest.borrow().listening(&node) == faults::Listening::Open;
        tokio::select! {
            // Who connects after a change meets the new state.
            biased;
            ended = lab_ended => if ended {
                // This is about to be dropped.
                std::future::pending::<()>().await;
            },
            () = seat.keep(state, &node, open, &mut take) => {}
        }
    }
}

/// A place to listen at, which outlasts its listening.
struct Seat {
    address: SocketAddr,
    socket: Socket,
    /// Connections of our own that fill the queue.
    fillers: Vec<TcpStream>,
    /// Their addresses; they are not handed on when they are accepted.
    own: Vec<SocketAddr>,
    /// Who was accepted while a fault began, at most one for each time: taken when it ends.
    held: Vec<(TcpStream, SocketAddr)>,
}

enum Socket {
    /// It listens.
    Listening(Listening),
    /// It is bound and does not listen.
    Bound(TcpListener),
    /// It is gone.
    Gone,
}

impl Seat {
    /// Keeps a state, for ever; may be dropped at any await.
    async fn keep(
        &mut self,
        state: faults::Listening,
        node: &Node,
        open: impl Fn() -> bool + Send + Sync,
        take: &mut (impl FnMut(TcpStream, SocketAddr) + Send),
    ) {
        match state {
            faults::Listening::Open => {
                self.open(node).await;
                self.accept(open, take).await;
            }
            faults::Listening::Paused => self.open(node).await,
            faults::Listening::Refusing => {
                if let Err(error) = self.refuse(take) {
                    tracing::error!(%error, %node, "its listener is gone until the fault is lifted");
                }
            }
            faults::Listening::Silent => {
                self.open(node).await;
                if let Err(error) = self.silence().await {
                    tracing::error!(%error, %node, "cannot fill its queue: clients are answered");
                }
            }
        }
        std::future::pending::<()>().await;
    }

    /// Listens with a whole queue, and takes our own connections out of it.
    async fn open(&mut self, node: &Node) {
        let mut rest = REST_MIN;
        while let Err(error) = self.try_open() {
            if rest == REST_MIN {
                let address = self.address;
                tracing::error!(%error, %node, %address, "cannot listen again");
            }
            tokio::time::sleep(rest).await;
            rest = (rest * 2).min(REST_MAX);
        }
    }

    fn try_open(&mut self) -> io::Result<()> {
        for filler in self.fillers.drain(..) {
            reset(&filler);
        }
        match std::mem::replace(&mut self.socket, Socket::Gone) {
            Socket::Listening(listener) => {
                SockRef::from(listener.socket()).listen(BACKLOG)?;
                self.socket = Socket::Listening(listener);
                return Ok(());
            }
            Socket::Bound(socket) => {
                // A port that the system chose is not kept.
                let again = SockRef::from(&socket).listen(BACKLOG);
                if again.is_ok() && socket.local_addr()? == self.address {
                    self.socket = Socket::Listening(Listening::new(socket)?);
                    return Ok(());
                }
            }
            Socket::Gone => {}
        }
        let listener = Listening::new(listen(self.address)?)?;
        self.socket = Socket::Listening(listener);
        Ok(())
    }

    /// Accepts until it is no longer `open`: a change is heard between two polls, and a client can
    /// be accepted in one that began before. He is held as if he were in the queue.
    async fn accept(
        &mut self,
        open: impl Fn() -> bool + Send + Sync,
        take: &mut (impl FnMut(TcpStream, SocketAddr) + Send),
    ) {
        let Self {
            socket, own, held, ..
        } = self;
        for (stream, source) in held.drain(..) {
            take(stream, source);
        }
        let Socket::Listening(listener) = socket else {
            return std::future::pending().await;
        };
        accept_from(listener, |stream, source| {
            if forget(own, source) {
                return ControlFlow::Continue(());
            }
            if open() {
                take(stream, source);
                return ControlFlow::Continue(());
            }
            held.push((stream, source));
            ControlFlow::Break(())
        })
        .await;
    }

    /// Leaves LISTEN, after everyone in the queue was accepted.
    fn refuse(&mut self, take: &mut impl FnMut(TcpStream, SocketAddr)) -> io::Result<()> {
        for filler in self.fillers.drain(..) {
            reset(&filler);
        }
        for (stream, source) in self.held.drain(..) {
            take(stream, source);
        }
        let socket = match std::mem::replace(&mut self.socket, Socket::Gone) {
            Socket::Listening(listener) => listener.into_std()?,
            other @ (Socket::Bound(_) | Socket::Gone) => {
                self.socket = other;
                return Ok(());
            }
        };
        while let Ok((stream, source)) = socket.accept() {
            if !forget(&mut self.own, source) {
                let stream = stream.set_nonblocking(true).map(|()| stream);
                match stream.and_then(TcpStream::from_std) {
                    Ok(stream) => take(stream, source),
                    Err(error) => tracing::warn!(%error, "who waited in the queue is lost"),
                }
            }
        }
        // A system that cannot do that closes the socket, and its address is free meanwhile.
        if SockRef::from(&socket).shutdown(Shutdown::Both).is_ok() {
            self.socket = Socket::Bound(socket);
        }
        Ok(())
    }

    /// Leaves the queue no room, and fills what it has.
    async fn silence(&mut self) -> io::Result<()> {
        if let Socket::Listening(listener) = &self.socket {
            SockRef::from(listener.socket()).listen(0)?;
        }
        let mut to = self.address;
        if to.ip().is_unspecified() {
            to.set_ip(match to {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        for _ in 0..FILLERS_MAX {
            let socket = match to {
                SocketAddr::V4(_) => TcpSocket::new_v4()?,
                SocketAddr::V6(_) => TcpSocket::new_v6()?,
            };
            // Bound first, so that its address is known before it can be accepted.
            socket.bind(SocketAddr::new(to.ip(), 0))?;
            let own = socket.local_addr()?;
            self.own.push(own);
            match tokio::time::timeout(FILL_PATIENCE, socket.connect(to)).await {
                Ok(Ok(filler)) => self.fillers.push(filler),
                Ok(Err(error)) => {
                    forget(&mut self.own, own);
                    return Err(error);
                }
                // No answer: that is what was wanted.
                Err(_) => {
                    forget(&mut self.own, own);
                    return Ok(());
                }
            }
        }
        let address = self.address;
        tracing::warn!(%address, "the system's queue does not fill: new clients are still answered");
        Ok(())
    }
}

fn forget(own: &mut Vec<SocketAddr>, source: SocketAddr) -> bool {
    let known = own.iter().position(|address| *address == source);
    known.map(|place| own.swap_remove(place)).is_some()
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn who_is_accepted_while_a_fault_begins_waits_for_its_end() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let mut seat = Seat {
            address,
            socket: Socket::Listening(Listening::new(listener).unwrap()),
            fillers: Vec::new(),
            own: Vec::new(),
            held: Vec::new(),
        };
        let client = TcpStream::connect(address).await.unwrap();
        let (taken, mut seen) = mpsc::unbounded_channel();
        let mut take = |_, source| taken.send(source).unwrap();
        seat.accept(|| false, &mut take).await;
        assert_eq!(seat.held.len(), 1);
        assert!(seen.try_recv().is_err());
        let source = tokio::select! {
            () = seat.accept(|| true, &mut take) => None,
            source = seen.recv() => source,
        };
        assert_eq!(source, Some(client.local_addr().unwrap()));
        assert!(seat.held.is_empty());
    }
}
