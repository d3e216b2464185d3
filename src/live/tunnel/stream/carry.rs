//! The two tasks that serve a stream: one moves what comes in from the channel, one sends what was
//! written and gives credit.
//!
//! In goes the channel and what the stream and they share; out come bytes, credit and ends, by the
//! rules at the top of `tunnel/stream`. Neither waits for the other.

use std::io;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use russh::{ChannelId, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{CREDIT_STEP, OnCut, Shared, State};
use crate::live::tunnel::{CHUNK, STREAM_WINDOW};

/// Extended data of this type gives credit: a big-endian count of bytes that were read.
const CREDIT: u32 = 0x7477_6f01;

/// Extended data of this type says that nothing more will be sent.
const END: u32 = 0x7477_6f02;

/// How long what was written before a shutdown may take to leave after the stream was dropped.
const LINGER: Duration = Duration::from_secs(10);

/// Moves what comes into the queue, and cuts the stream when nobody reads it.
pub(super) async fn receive(
    mut channel: ChannelReadHalf,
    shared: Arc<Shared>,
    stall: Duration,
    on_cut: OnCut,
    token: CancellationToken,
) {
    let mut timer = Box::pin(sleep(Duration::ZERO));
    // How many reads there had been when the queue was seen stalled.
    let mut stalled: Option<u64> = None;
    let cut = loop {
        let room = shared.has_room();
        tokio::select! {
            () = shared.room.notified(), if !room => {}
            message = channel.wait(), if room => match message {
                Some(ChannelMsg::Data { data }) => match shared.came(&data) {
                    Ok(now_stalled) => if stalled.is_none() && now_stalled.is_some() {
                        stalled = now_stalled;
                        timer.set(sleep(stall));
                    },
                    Err(why) => break Some(why),
                },
                Some(ChannelMsg::ExtendedData { data, ext: CREDIT }) => shared.credited(&data),
                Some(ChannelMsg::ExtendedData { ext: END, .. } | ChannelMsg::Eof) => shared.ended(),
                Some(ChannelMsg::Close) | None => {
                    shared.fail(io::ErrorKind::ConnectionReset, "the other end closed the stream");
                    return;
                }
                Some(_) => {}
            },
            () = timer.as_mut(), if stalled.is_some() => {
                let before = stalled;
                let (now_stalled, queued) = shared.stalled();
                stalled = now_stalled;
                if stalled.is_some() && stalled == before {
                    break Some(format!(
                        "nobody read for {}s while {queued} bytes stood unread",
                        stall.as_secs_f64(),
                    ));
                }
                timer.set(sleep(stall));
            }
            () = token.cancelled() => break None,
        }
    };
    let Some(why) = cut else {
        shared.fail(io::ErrorKind::ConnectionAborted, "the tunnel was closed");
        return;
    };
    shared.cut(&why);
    // The channel is dropped before the report, which may wait: what still comes is thrown away.
    drop(channel);
    on_cut(why).await;
}

enum Step {
    Close,
    Credit(u32),
    Data(Vec<u8>),
    End,
    Eof,
    Linger,
    Wait,
}

/// Sends credit and what was written, until both sides are done.
pub(super) async fn send<M>(
    channel: ChannelWriteHalf<M>,
    shared: &Shared,
    token: &CancellationToken,
) where
    M: From<(ChannelId, ChannelMsg)> + Send + Sync + 'static,
{
    let mut end_sent = false;
    loop {
        let step = shared.lock().step(end_sent);
        let sent = match step {
            Step::Wait => {
                tokio::select! {
                    () = shared.work.notified() => continue,
                    () = token.cancelled() => break,
                }
            }
            Step::Linger => {
                tokio::select! {
                    waited = timeout(LINGER, shared.work.notified()) => match waited {
                        Ok(()) => continue,
                        Err(_) => break,
                    },
                    () = token.cancelled() => break,
                }
            }
            Step::Close => break,
            Step::Credit(bytes) => {
                until(
                    token,
                    channel.extended_data_bytes(CREDIT, bytes.to_be_bytes().to_vec()),
                )
                .await
            }
            Step::Data(data) => until(token, channel.data_bytes(data)).await,
            Step::Eof => {
                end_sent = true;
                until(token, channel.eof()).await
            }
            Step::End => {
                end_sent = true;
                until(token, channel.extended_data_bytes(END, vec![0])).await
            }
        };
        if !sent {
            break;
        }
    }
    shared.fail(io::ErrorKind::ConnectionAborted, "the tunnel was closed");
    // Waits at most for room in the session's queue; the session may be gone.
    until(token, channel.close()).await;
}

async fn until(
    token: &CancellationToken,
    sending: impl Future<Output = Result<(), russh::Error>>,
) -> bool {
    tokio::select! {
        sent = sending => sent.is_ok(),
        () = token.cancelled() => false,
    }
}

impl State {
    /// Says what to send next.
    fn step(&mut self, end_sent: bool) -> Step {
        if self.failed.is_some() {
            return Step::Close;
        }
        if self.uncredited >= CREDIT_STEP && !self.ended {
            let bytes = std::mem::take(&mut self.uncredited);
            return Step::Credit(u32::try_from(bytes).unwrap_or(u32::MAX));
        }
        let credit = if self.plain {
            CHUNK
        } else {
            STREAM_WINDOW.saturating_sub(self.unread)
        };
        if let Some(block) = self.written.pop(credit.min(CHUNK)) {
            self.unread += block.len();
            self.writer.take().into_iter().for_each(Waker::wake);
            return Step::Data(block);
        }
        if self.shutdown && self.written.is_empty() && !end_sent {
            return if self.plain { Step::Eof } else { Step::End };
        }
        // Dropped without an end is a break: what still could leave has left, the rest does not.
        match (self.dropped, self.shutdown && !self.written.is_empty()) {
            (true, true) => Step::Linger,
            (true, false) => Step::Close,
            (false, _) => Step::Wait,
        }
    }
}
