//! How the connections of a group end when their owner is cut: with FIN, or with RST for a kill.
//!
//! A process that ends has no say in how its sockets end, but ours lives on: so each connection asks,
//! when it is dropped, whether its group was cut. No descriptor is duplicated for that. One whose
//! group was not cut ends as any socket does.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::serve;
use crate::model::fact::Cut;

/// How much is looked at with one read.
const PEEK_STEP: usize = 64;

/// A group of connections that are cut together. Clones are the same group.
#[derive(Clone, Debug, Default)]
pub struct Group {
    how: Arc<OnceLock<Cut>>,
}

/// A connection of a group.
#[derive(Debug)]
pub struct Stream {
    tcp: TcpStream,
    group: Group,
    /// What was looked at and belongs to the next reads; short, see [`Stream::peek`].
    ahead: Vec<u8>,
    /// Whom it reached, where that is not the address that the system has.
    reached: Option<SocketAddr>,
}

impl Group {
    /// Says how the connections of this group end from now on; said before they are dropped.
    pub fn cut(&self, how: Cut) {
        // A group is cut once, and whoever starts again makes another.
        let _ = self.how.set(how);
    }

    /// Tells how it was cut.
    pub fn how(&self) -> Option<Cut> {
        self.how.get().copied()
    }

    /// Takes a connection in.
    pub const fn holds(self, tcp: TcpStream) -> Stream {
        Stream {
            tcp,
            group: self,
            ahead: Vec::new(),
            reached: None,
        }
    }
}

impl Stream {
    /// Gives the connection itself, for what needs a socket.
    pub const fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// Gives the other side's address, as the scenario knows it.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.reached.map_or_else(|| self.tcp.peer_addr(), Ok)
    }

    /// Says whom it reached: a port below 1024 may be bound elsewhere.
    #[must_use]
    pub const fn reached(mut self, address: SocketAddr) -> Self {
        self.reached = Some(address);
        self
    }

    /// Waits until this many bytes are there, and leaves them to be read; gives fewer at the end.
    ///
    /// May be dropped at any await. A bound is the caller's: what is looked at is kept.
    pub async fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        while self.ahead.len() < count {
            let mut more = [0; PEEK_STEP];
            let most = (count - self.ahead.len()).min(PEEK_STEP);
            let read = tokio::io::AsyncReadExt::read(&mut self.tcp, &mut more[..most]).await?;
            if read == 0 {
                break;
            }
            self.ahead.extend_from_slice(&more[..read]);
        }
        Ok(&self.ahead)
    }

    /// Throws away what was looked at, up to this many bytes.
    pub fn skip(&mut self, count: usize) {
        self.ahead.drain(..count.min(self.ahead.len()));
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        match self.group.how() {
            Some(Cut::Finish) => serve::finish(&self.tcp),
            Some(Cut::Reset) => serve::reset(&self.tcp),
            None => {}
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let most = buffer.remaining().min(self.ahead.len());
            buffer.put_slice(&self.ahead[..most]);
            self.ahead.drain(..most);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.tcp).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Cuts a connection whose client has sent what nobody has read.
    async fn ends(how: Cut) -> io::Result<usize> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let group = Group::default();
        let stream = group.clone().holds(listener.accept().await.unwrap().0);
        client.write_all(b"unread").await.unwrap();
        stream.tcp().readable().await.unwrap();
        group.cut(how);
        drop(stream);
        client.read(&mut [0]).await
    }

    #[tokio::test]
    async fn what_is_looked_at_is_read_afterwards_in_its_place() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let mut stream = Group::default().holds(listener.accept().await.unwrap().0);
        client.write_all(b"headbody").await.unwrap();
        drop(client);
        assert_eq!(stream.peek(4).await.unwrap(), b"head");
        assert_eq!(stream.peek(2).await.unwrap(), b"head");
        stream.skip(1);
        let mut rest = String::new();
        stream.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "eadbody");
        assert_eq!(stream.peek(1).await.unwrap(), b"", "the end is no byte");
    }

    #[tokio::test]
    async fn a_kill_resets_what_a_stop_finishes() {
        let error = ends(Cut::Reset).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(ends(Cut::Finish).await.unwrap(), 0);
    }
}
