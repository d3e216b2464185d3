//! One stream of bytes inside a tunnel, with a bound and credit of its own.
//!
//! In goes an SSH channel; out comes something to read and write, half-close both ways. Two tasks
//! serve it. The one for what comes in never waits for anything but the channel: it moves bytes into
//! a queue, so that an unread stream cannot hold up the session and with it every other stream. The
//! other sends what was written, as far as the other end's credit goes, and gives credit for what
//! was read here.
//!
//! A stream to a stand-in has no credit, because OpenSSH knows none: when a bound of bytes stands
//! unread its channel is read no further, which in the end holds up the tunnel of that stand-in, and
//! nobody else's, until somebody reads or the stream is cut.
//!
//! Credit and the end of one direction travel as SSH extended data, whose types are ours to choose
//! (RFC 4254, section 5.2, leaves all but 1 open). SSH's own EOF is not sent, because credit must
//! still be given in a direction that has ended; when it is received it counts as the end.
//!
//! A stream is *cut* when at least half of its window stands unread and nobody reads for
//! [`super::STREAM_STALL`], and at once when a peer ignores its credit and overruns
//! [`super::STREAM_BYTES_MAX`]. The cut is reported to whoever owns the tunnel.

mod carry;

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use russh::{Channel, ChannelId, ChannelMsg};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio_util::sync::CancellationToken;

use self::carry::{receive, send};
use super::blocks::Blocks;
use super::message::LINE_MAX;
use super::{CHUNK, STREAM_BYTES_MAX, STREAM_WINDOW};
use crate::live::tasks::Tasks;

/// Credit is given in portions of a quarter window, so that it costs few packets and the sender
/// never waits for it as long as reading goes on.
const CREDIT_STEP: usize = STREAM_WINDOW / 4;

/// Half a window unread counts as "nobody reads".
const STALLED: usize = STREAM_WINDOW / 2;

/// How many written bytes wait for credit here; a writer waits beyond.
const WRITTEN_MAX: usize = 64 * 1024;

/// A stream of bytes to a resource behind the other end of a tunnel.
pub struct TunnelStream {
    shared: Arc<Shared>,
}

/// What a stream tells the owner of its tunnel when it is cut.
pub(super) type OnCut = Box<dyn FnOnce(String) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// There may be something to send.
    work: Notify,
    /// Cancelled when nothing goes any more, either way.
    closed: CancellationToken,
    /// Somebody read: there may be room again.
    room: Notify,
}

#[derive(Default)]
struct State {
    /// Bytes that came and were not yet read.
    queue: Blocks,
    /// Bytes that were read and not yet credited.
    uncredited: usize,
    /// How often something was read.
    reads: u64,
    /// The other end sends nothing more.
    ended: bool,
    reader: Option<Waker>,

    /// Bytes that were written and not yet sent.
    written: Blocks,
    /// Bytes that were sent and for which no credit came back yet.
    unread: usize,
    /// Nothing more will be written.
    shutdown: bool,
    writer: Option<Waker>,

    /// Why nothing goes any more.
    failed: Option<(io::ErrorKind, Arc<str>)>,
    /// The user of the stream is gone.
    dropped: bool,
    /// The other end is OpenSSH: it knows SSH's own flow control and end, and no credit.
    plain: bool,
}

impl std::fmt::Debug for TunnelStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.shared.lock();
        f.debug_struct("TunnelStream")
            .field("queued", &state.queue.len())
            .field("failed", &state.failed)
            .finish_non_exhaustive()
    }
}

impl TunnelStream {
    /// Serves a channel; `permit` counts it for as long as it is open.
    pub(super) fn new<M>(
        channel: Channel<M>,
        permit: Option<OwnedSemaphorePermit>,
        stall: Duration,
        on_cut: OnCut,
        tasks: &Tasks,
    ) -> Self
    where
        M: From<(ChannelId, ChannelMsg)> + Send + Sync + 'static,
    {
        Self::served(Shared::default(), channel, permit, (stall, on_cut), tasks)
    }

    /// Serves a channel of an SSH client that is not ours.
    pub(super) fn plain<M>(
        channel: Channel<M>,
        permit: Option<OwnedSemaphorePermit>,
        stall: Duration,
        on_cut: OnCut,
        tasks: &Tasks,
    ) -> Self
    where
        M: From<(ChannelId, ChannelMsg)> + Send + Sync + 'static,
    {
        let shared = Shared::default();
        shared.lock().plain = true;
        Self::served(shared, channel, permit, (stall, on_cut), tasks)
    }

    fn served<M>(
        shared: Shared,
        channel: Channel<M>,
        permit: Option<OwnedSemaphorePermit>,
        (stall, on_cut): (Duration, OnCut),
        tasks: &Tasks,
    ) -> Self
    where
        M: From<(ChannelId, ChannelMsg)> + Send + Sync + 'static,
    {
        let shared = Arc::new(shared);
        let (read, write) = channel.split();
        let token = tasks.token();
        tasks.spawn_watching(receive(
            read,
            Arc::clone(&shared),
            stall,
            on_cut,
            token.clone(),
        ));
        let sender = Arc::clone(&shared);
        tasks.spawn_watching(async move {
            send(write, &sender, &token).await;
            drop(permit);
        });
        Self { shared }
    }

    /// Waits until nothing goes any more, either way: the stream was cut or closed as a whole by the
    /// other side, or the tunnel is gone. The end of one direction is not it. What came before can
    /// still be read, unless the stream was cut.
    pub fn closed(&self) -> impl Future<Output = ()> + Send + 'static {
        self.shared.closed.clone().cancelled_owned()
    }

    /// Reads up to and including a newline, and gives it without the newline.
    pub(super) async fn line(&mut self) -> io::Result<Vec<u8>> {
        std::future::poll_fn(|cx| self.poll_line(cx)).await
    }

    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Vec<u8>>> {
        let mut state = self.shared.lock();
        let newline = state.queue.position(b'\n');
        let length = newline.unwrap_or(state.queue.len());
        if length > LINE_MAX {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a line of more than {LINE_MAX} bytes"),
            )));
        }
        if newline.is_none() {
            ready!(state.poll_more(cx))?;
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        let mut line = vec![0; length + 1];
        let mut out = ReadBuf::new(&mut line);
        let credit = state.take(&mut out);
        drop(state);
        if credit {
            self.shared.work.notify_one();
        }
        line.truncate(length);
        Poll::Ready(Ok(line))
    }

    /// Adds a message to what is to be sent, without waiting; the few messages of a stream fit.
    pub(super) fn push(&mut self, message: &[u8]) {
        let mut state = self.shared.lock();
        state.written.push(message);
        drop(state);
        self.shared.work.notify_one();
    }

    /// Says that nothing more will be written.
    pub(super) fn end(&mut self) {
        self.shared.lock().shutdown = true;
        self.shared.work.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics under this lock")
    }

    /// Takes what came; tells how many reads there were if nobody seems to read, or why to cut.
    fn came(&self, data: &[u8]) -> Result<Option<u64>, String> {
        let mut state = self.lock();
        if state.dropped || data.is_empty() {
            return Ok(None);
        }
        if !state.plain && state.queue.held() + data.len() > STREAM_BYTES_MAX {
            return Err(format!(
                "the sender ignored its credit: more than {STREAM_BYTES_MAX} bytes unread"
            ));
        }
        state.queue.push(data);
        let reader = state.reader.take();
        let stalled = state.stalled();
        drop(state);
        reader.into_iter().for_each(Waker::wake);
        Ok(stalled)
    }

    /// Tells whether more may be taken from the channel.
    fn has_room(&self) -> bool {
        let state = self.lock();
        !state.plain || state.dropped || state.queue.held() < STREAM_BYTES_MAX
    }

    fn credited(&self, data: &[u8]) {
        let bytes = data.try_into().map_or(0, u32::from_be_bytes);
        let mut state = self.lock();
        state.unread = state.unread.saturating_sub(bytes as usize);
        drop(state);
        self.work.notify_one();
    }

    fn ended(&self) {
        let mut state = self.lock();
        state.ended = true;
        state.wake();
    }

    /// Tells how many reads there were if nobody seems to read, and how much stands unread.
    fn stalled(&self) -> (Option<u64>, usize) {
        let state = self.lock();
        (state.stalled(), state.queue.len())
    }

    /// Throws away what came and was not read, and ends the stream in both directions. An end that
    /// came before is not told: what was read is not the whole.
    fn cut(&self, why: &str) {
        let mut state = self.lock();
        state.queue = Blocks::default();
        state.ended = false;
        drop(state);
        let kind = io::ErrorKind::ConnectionAborted;
        self.fail(kind, &format!("stream cut: {why}"));
    }

    /// Ends the stream in both directions; the first reason stays.
    fn fail(&self, kind: io::ErrorKind, why: &str) {
        let mut state = self.lock();
        state.failed.get_or_insert_with(|| (kind, why.into()));
        state.wake();
        drop(state);
        self.closed.cancel();
        self.work.notify_one();
    }
}

impl State {
    fn wake(&mut self) {
        for waker in [self.reader.take(), self.writer.take()] {
            waker.into_iter().for_each(Waker::wake);
        }
    }

    /// Moves what came into `out`; tells whether credit is to be given.
    fn take(&mut self, out: &mut ReadBuf<'_>) -> bool {
        let taken = self.queue.take(out);
        self.reads += 1;
        if self.plain {
            return false;
        }
        self.uncredited += taken;
        self.uncredited >= CREDIT_STEP
    }

    /// Waits for more: ready without error at the end of what comes.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ended {
            return Poll::Ready(Ok(()));
        }
        if let Some(error) = self.error() {
            return Poll::Ready(Err(error));
        }
        self.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    fn stalled(&self) -> Option<u64> {
        (!self.dropped && self.queue.len() >= STALLED).then_some(self.reads)
    }

    fn error(&self) -> Option<io::Error> {
        self.failed
            .as_ref()
            .map(|(kind, why)| io::Error::new(*kind, why.to_string()))
    }
}

impl AsyncRead for TunnelStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.shared.lock();
        if state.queue.is_empty() {
            return state.poll_more(cx);
        }
        let credit = state.take(out);
        let plain = state.plain;
        drop(state);
        if plain {
            self.shared.room.notify_one();
        }
        if credit {
            self.shared.work.notify_one();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TunnelStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.shared.lock();
        if let Some(error) = state.error() {
            return Poll::Ready(Err(error));
        }
        if state.shutdown {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if state.written.len() >= WRITTEN_MAX {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let data = &data[..data.len().min(CHUNK)];
        state.written.push(data);
        drop(state);
        self.shared.work.notify_one();
        Poll::Ready(Ok(data.len()))
    }

    /// What was written leaves by itself.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shared.lock().shutdown = true;
        self.shared.work.notify_one();
        Poll::Ready(Ok(()))
    }
}

impl Drop for TunnelStream {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.dropped = true;
        state.queue = Blocks::default();
        drop(state);
        self.shared.room.notify_one();
        self.shared.work.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_single_bytes_takes_no_more_memory_than_the_bound() {
        let shared = Shared::default();
        let mut bytes = 0;
        let why = loop {
            match shared.came(b"x") {
                Ok(_) => bytes += 1,
                Err(why) => break why,
            }
        };
        assert!(why.starts_with("the sender ignored its credit"), "{why}");
        assert!(bytes > 2 * STREAM_WINDOW, "cut after {bytes} bytes");
        let held = shared.lock().queue.held();
        assert!(held <= STREAM_BYTES_MAX, "{held}");
    }
}
