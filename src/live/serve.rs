//! The one accept loop, and how a listener is made.
//!
//! In goes a bound listener; out goes each accepted connection, to a closure that must not block.
//! An accept that fails is logged and survived: a lab out of descriptors serves what it has.

pub mod gate;

use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::TcpStream;

/// How many connections may wait to be accepted: a whole fleet that reconnects at once.
///
/// Linux caps it silently at `net.core.somaxconn`, 4096 by default.
const BACKLOG: i32 = 4096;

/// How long the loop rests after the first failed accept; each further one doubles it.
const REST_MIN: Duration = Duration::from_millis(5);

/// How long it rests at most: descriptors come back when connections end, not at a known time.
const REST_MAX: Duration = Duration::from_secs(1);

/// How much a connection that is ended may still have unread and get FIN: the largest receive buffer
/// that Linux gives by itself is 6 MiB; a peer that keeps sending gets RST instead.
const DISCARD_MAX: usize = 6 * 1024 * 1024;

/// Binds an address and listens there; port 0 takes a free one.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // A door that was stopped has connections in TIME_WAIT on its port and must start again.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts for ever and hands each connection and its source to `take`; dropped to end it.
pub async fn accept(
    listener: TcpListener,
    mut take: impl FnMut(TcpStream, SocketAddr) + Send,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    accept_from(&Listening::new(listener)?, |stream, source| {
        take(stream, source);
        ControlFlow::Continue(())
    })
    .await;
    Ok(())
}

/// Accepts until `take` has enough.
async fn accept_from(
    listener: &Listening,
    mut take: impl FnMut(TcpStream, SocketAddr) -> ControlFlow<()> + Send,
) {
    let mut rest = REST_MIN;
    loop {
        match listener.socket().accept().await {
            Ok((stream, source)) => {
                rest = REST_MIN;
                if take(stream, source).is_break() {
                    return;
                }
            }
            // The client gave up before it was accepted: nothing is wrong here.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                let rest_ms = u64::try_from(rest.as_millis()).unwrap_or(u64::MAX);
                tracing::warn!(%error, rest_ms, "accept failed");
                tokio::time::sleep(rest).await;
                rest = (rest * 2).min(REST_MAX);
            }
        }
    }
}

/// A listener that ends with this value, whoever else has its descriptor.
///
/// A process that is being started holds copies of all descriptors until its `exec`; a mere close
/// would leave the address taken for that long.
struct Listening(Option<tokio::net::TcpListener>);

impl Listening {
    fn new(listener: TcpListener) -> io::Result<Self> {
        Ok(Self(Some(tokio::net::TcpListener::from_std(listener)?)))
    }

    const fn socket(&self) -> &tokio::net::TcpListener {
        self.0.as_ref().expect("it is only taken by value")
    }

    /// Gives the listener back, still listening.
    fn into_std(mut self) -> io::Result<TcpListener> {
        self.0.take().expect("it is only taken here").into_std()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        if let Some(listener) = &self.0 {
            // Linux takes the socket out of LISTEN; where a system does not, the close follows.
            let _ = SockRef::from(listener).shutdown(Shutdown::Both);
        }
    }
}

/// Makes the coming close of a connection an RST: the peer sees "connection reset", not an end.
pub fn reset(stream: &impl AsFd) {
    // Failing leaves an ordinary close, which is all that can be done then.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// Ends a non-blocking connection with FIN, also when the peer has sent what nobody will read.
pub fn finish(stream: &impl AsFd) {
    let socket = SockRef::from(stream);
    let _ = socket.shutdown(Shutdown::Write);
    // Linux sends RST when a socket is closed that has unread bytes.
    let mut buffer = [0; 16 * 1024];
    let mut discarded = 0;
    while discarded < DISCARD_MAX {
        match (&*socket).read(&mut buffer) {
            Ok(n) if n > 0 => discarded += n,
            _ => break,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpStream;

    use super::*;

    /// Makes a pair where the client has sent what the server has not read.
    fn unread() -> (TcpStream, TcpStream) {
        let listener = listen(([127, 0, 0, 1], 0).into()).unwrap();
        listener.set_nonblocking(false).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        client.write_all(&[7; 40_000]).unwrap();
        // Loopback delivers before the write returns, but nobody promises that.
        let mut all = vec![0; 40_000];
        while server.peek(&mut all).unwrap() < all.len() {}
        server.set_nonblocking(true).unwrap();
        (client, server)
    }

    #[test]
    fn finish_sends_fin_though_something_is_unread() {
        let (mut client, server) = unread();
        finish(&server);
        drop(server);
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        assert!(client.take_error().unwrap().is_none(), "no RST follows");
    }

    #[tokio::test]
    async fn an_accept_loop_that_ends_frees_its_address_though_a_copy_is_open() {
        let listener = listen(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        let copy = listener.try_clone().unwrap();
        let (accepted, seen) = tokio::sync::oneshot::channel::<()>();
        let mut accepted = Some(accepted);
        let mut accepting = Box::pin(accept(listener, move |_, _| drop(accepted.take())));
        let client = tokio::net::TcpStream::connect(address);
        tokio::select! {
            end = &mut accepting => panic!("the loop ended: {end:?}"),
            _ = async { (client.await, seen.await) } => {}
        }
        drop(accepting);
        listen(address).unwrap();
        drop(copy);
    }

    #[test]
    fn reset_sends_rst() {
        let (mut client, server) = unread();
        reset(&server);
        drop(server);
        let error = client.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}
