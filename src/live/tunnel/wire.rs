//! The stream under an SSH session, always read.
//!
//! The SSH library does not read while it writes, so two ends that both send bulk over a link with
//! small buffers would wait for each other for good. Here a task of its own reads the link into a
//! queue whatever the session does. What bounds the queue: each stream's credit times the number of
//! streams ([`WIRE_BYTES_MAX`]); at the bound reading stops, which only a peer that ignores its
//! credit can bring about, and then only its own tunnel stands still.
//!
//! Cancelling the token ends both directions at once, whatever the session waits for.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, ReadHalf, WriteHalf, split};
use tokio::sync::Notify;
use tokio_util::sync::DropGuard;

use super::WIRE_BYTES_MAX;
use super::blocks::Blocks;
use crate::live::tasks::Tasks;

/// How many bytes are read at a time: a TLS record at most. An idle tunnel keeps this buffer.
const READ_MAX: usize = 16 * 1024;

/// The session's side of a link that is always read.
pub(super) struct Wire<S> {
    shared: Arc<Shared>,
    write: WriteHalf<S>,
    /// Ends the reading task with the session, so that the link closes.
    _reading: DropGuard,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    room: Notify,
}

#[derive(Default)]
struct State {
    queue: Blocks,
    end: Option<End>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

#[derive(Clone, Copy)]
enum End {
    Closed,
    Failed(io::ErrorKind),
    Stopped,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics under this lock")
    }

    fn end(&self, end: End) {
        let mut state = self.lock();
        state.end.get_or_insert(end);
        if matches!(end, End::Stopped) {
            state.end = Some(end);
        }
        let wakers = [state.reader.take(), state.writer.take()];
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

impl<S: AsyncRead + AsyncWrite + Send + 'static> Wire<S> {
    /// Begins to read the stream on a task of `tasks`.
    pub(super) fn new(stream: S, tasks: &Tasks) -> Self {
        let (read, write) = split(stream);
        let shared = Arc::new(Shared::default());
        let token = tasks.token().child_token();
        let reading = token.clone().drop_guard();
        let drained = Arc::clone(&shared);
        tasks.spawn_watching(async move {
            let end = tokio::select! {
                end = drain(read, &drained) => end,
                () = token.cancelled() => End::Stopped,
            };
            drained.end(end);
            // A cancelled token must still reach a writer whose link was closed before.
            if !matches!(end, End::Stopped) {
                token.cancelled().await;
                drained.end(End::Stopped);
            }
        });
        Self {
            shared,
            write,
            _reading: reading,
        }
    }
}

async fn drain<S: AsyncRead>(mut read: ReadHalf<S>, shared: &Shared) -> End {
    let mut buffer = vec![0; READ_MAX];
    loop {
        while shared.lock().queue.len() >= WIRE_BYTES_MAX {
            shared.room.notified().await;
        }
        match read.read(&mut buffer).await {
            Ok(0) => return End::Closed,
            Ok(n) => {
                let mut state = shared.lock();
                state.queue.push(&buffer[..n]);
                let reader = state.reader.take();
                drop(state);
                reader.into_iter().for_each(Waker::wake);
            }
            Err(error) => return End::Failed(error.kind()),
        }
    }
}

impl<S> AsyncRead for Wire<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.shared.lock();
        if let Some(End::Stopped) = state.end {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let full = state.queue.len() >= WIRE_BYTES_MAX;
        let taken = state.queue.take(out);
        if taken > 0 {
            if full && state.queue.len() < WIRE_BYTES_MAX {
                self.shared.room.notify_one();
            }
            return Poll::Ready(Ok(()));
        }
        match state.end {
            Some(End::Closed) => Poll::Ready(Ok(())),
            Some(End::Failed(kind)) => Poll::Ready(Err(kind.into())),
            Some(End::Stopped) | None => {
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite> Wire<S> {
    /// Tells whether writing is over, and otherwise leaves word whom to wake when it is.
    fn stopped(&self, cx: &Context<'_>) -> io::Result<()> {
        let mut state = self.shared.lock();
        if let Some(End::Stopped) = state.end {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        state.writer = Some(cx.waker().clone());
        Ok(())
    }
}

impl<S: AsyncRead + AsyncWrite> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stopped(cx)?;
        Pin::new(&mut self.write).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stopped(cx)?;
        Pin::new(&mut self.write).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stopped(cx)?;
        Pin::new(&mut self.write).poll_shutdown(cx)
    }
}
