//! The query log: one line a query, written by a thread of its own.
//!
//! In go questions and their answers; out come lines, in words near to BIND's or as JSON. A worker
//! never waits for the disk: what does not fit into the queue is counted, and the count is written as
//! soon as there is room. `reopen` makes place for a log that was moved away. What stands in
//! a line is in `querylog/line`.

mod line;

use std::fmt::{self, Write as _};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{
    Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel,
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hickory_proto::op::ResponseCode;

use self::line::{json, quoted, text};
use super::message::Problem;
use super::writer::Head;
use crate::live::clock::Clock;
use crate::policy::answer::{Answer, Question, Transport, rcode_word};

/// How many lines wait for the disk; at 300 bytes a line a few megabytes.
const QUEUE_MAX: usize = 16_384;

/// How long the end waits for the disk.
const FINISH_MAX: Duration = Duration::from_secs(2);

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A file, which grows.
    File(PathBuf),
    /// Standard output.
    Out,
}

/// How lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// One JSON object a line.
    Json,
    /// Words.
    #[default]
    Text,
}

/// A query log; shared by all workers.
#[derive(Debug)]
pub struct QueryLog {
    form: Form,
    clock: Clock,
    queue: Mutex<Option<SyncSender<Order>>>,
    /// Lines that had no room, until that is written.
    lost: AtomicU64,
    /// Broken off when the thread has ended.
    ended: Mutex<Receiver<()>>,
}

enum Order {
    Line(String),
    Reopen,
}

/// A query and what became of it.
pub(super) struct Entry<'a> {
    pub(super) head: Head,
    pub(super) question: &'a Question,
    pub(super) answer: &'a Answer<'a>,
    /// How many bytes were sent; none when a fault took the answer away.
    pub(super) size: usize,
    pub(super) truncated: bool,
    /// What other servers said, when they were asked.
    pub(super) told: Option<Told>,
}

/// A message that could not be read.
pub(super) struct Malformed {
    pub(super) client: SocketAddr,
    pub(super) transport: Transport,
    pub(super) problem: Problem,
    /// How many bytes came.
    pub(super) size: usize,
}

/// What became of a question that was passed on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub(super) rcode: ResponseCode,
    pub(super) server: Server,
}

/// Who answered a question that was passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Server {
    /// Nobody: the answer was kept.
    Cache,
    /// Nobody.
    None,
    /// This one.
    Other(SocketAddr),
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cache => f.write_str("cache"),
            Self::None => f.write_str("none"),
            Self::Other(address) => address.fmt(f),
        }
    }
}

impl Entry<'_> {
    const fn rcode(&self) -> &'static str {
        match self.told {
            Some(told) => rcode_word(told.rcode),
            None => self.answer.code(),
        }
    }
}

/// A worker's way into the log.
#[derive(Clone, Debug)]
pub(super) struct Logger {
    log: Arc<QueryLog>,
    queue: SyncSender<Order>,
}

impl QueryLog {
    /// Opens the target and starts the thread that writes.
    pub fn start(target: Target, form: Form, clock: Clock) -> io::Result<Arc<Self>> {
        let out = open(&target)?;
        let (send, receive) = sync_channel(QUEUE_MAX);
        let (alive, ended) = sync_channel(1);
        let log = Arc::new(Self {
            form,
            clock,
            queue: Mutex::new(Some(send)),
            lost: AtomicU64::new(0),
            ended: Mutex::new(ended),
        });
        let own = Arc::downgrade(&log);
        let lost = move || {
            let log = own.upgrade();
            log.map_or(0, |log| log.lost.swap(0, Ordering::Relaxed))
        };
        let thread = std::thread::Builder::new().name(String::from("query-log"));
        thread.spawn(move || {
            let _alive: SyncSender<()> = alive;
            write_all(&receive, &target, out, lost);
        })?;
        Ok(log)
    }

    /// Gives a worker its way in; `None` when the log has ended.
    pub(super) fn logger(self: &Arc<Self>) -> Option<Logger> {
        let queue = lock(&self.queue).clone()?;
        Some(Logger {
            log: Arc::clone(self),
            queue,
        })
    }

    /// Opens the file again, so that what was moved away grows no more.
    pub fn reopen(&self) {
        if let Some(queue) = &*lock(&self.queue) {
            // A full queue is written by a thread that is behind; it is asked again by the next.
            let _ = queue.try_send(Order::Reopen);
        }
    }

    /// Writes what waits and ends, within a bound. The workers are gone by then.
    pub fn finish(&self) {
        drop(lock(&self.queue).take());
        let ended = lock(&self.ended).recv_timeout(FINISH_MAX);
        if ended == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the end of the query log was not written");
        }
    }
}

impl Logger {
    /// Logs a query; gives whether there was room.
    pub(super) fn write(&self, entry: &Entry<'_>) -> bool {
        let at = self.log.clock.calendar();
        self.put(match self.log.form {
            Form::Json => json(at, entry),
            Form::Text => text(at, entry),
        })
    }

    /// Logs a message that could not be read, and was answered FORMERR; gives whether there was room.
    pub(super) fn write_malformed(&self, malformed: &Malformed) -> bool {
        let at = humantime::format_rfc3339_millis(self.log.clock.calendar());
        let Malformed {
            client,
            transport,
            problem,
            size,
        } = malformed;
        let word = transport.word();
        self.put(match self.log.form {
            Form::Json => format!(
                "{{\"time\":\"{at}\",\"client\":{},\"transport\":\"{word}\",\"rcode\":\"FORMERR\",\
                 \"received_bytes\":{size},\"malformed\":{}}}",
                quoted(&client.to_string()),
                quoted(&problem.to_string()),
            ),
            Form::Text => format!(
                "{at} client {}#{}: malformed: {problem} (received {size} over {word}) rcode FORMERR",
                client.ip(),
                client.port(),
            ),
        })
    }

    fn put(&self, line: String) -> bool {
        match self.queue.try_send(Order::Line(line)) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.log.lost.fetch_add(1, Ordering::Relaxed);
                false
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open(target: &Target) -> io::Result<Box<dyn Write + Send>> {
    Ok(match target {
        Target::File(path) => Box::new(appending(path)?),
        Target::Out => Box::new(io::stdout()),
    })
}

fn appending(path: &Path) -> io::Result<std::fs::File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// Writes until every sender is gone. Lines are collected while there are any, so that a busy server
/// writes large blocks and an idle one writes at once.
fn write_all(
    orders: &Receiver<Order>,
    target: &Target,
    mut out: Box<dyn Write + Send>,
    lost: impl Fn() -> u64,
) {
    let mut block = String::new();
    while let Ok(first) = orders.recv() {
        let mut next = Ok(first);
        let mut again = false;
        loop {
            match next {
                Ok(Order::Line(line)) => {
                    block.push_str(&line);
                    block.push('\n');
                }
                Ok(Order::Reopen) => {
                    again = true;
                    break;
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
            if block.len() > 1 << 16 {
                break;
            }
            next = orders.try_recv();
        }
        let count = lost();
        if count > 0 {
            let _ = writeln!(
                block,
                "({count} queries were not logged: the log is too slow)"
            );
        }
        if let Err(error) = out.write_all(block.as_bytes()).and_then(|()| out.flush()) {
            tracing::warn!(%error, "the query log cannot be written");
        }
        block.clear();
        if again {
            match open(target) {
                Ok(file) => out = file,
                Err(error) => tracing::warn!(%error, "the query log cannot be opened again"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps what is written, slowly when told.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            lock(&self.0).extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_was_lost_is_said_as_soon_as_there_is_room() {
        let (send, receive) = sync_channel(2);
        let lines = ["one", "two", "three"].map(|line| send.try_send(Order::Line(line.into())));
        let lost = lines.iter().filter(|sent| sent.is_err()).count();
        assert_eq!(lost, 1, "the queue is bounded");
        drop(send);
        let kept = Kept::default();
        let left = AtomicU64::new(1);
        let lost = || left.swap(0, Ordering::Relaxed);
        write_all(&receive, &Target::Out, Box::new(kept.clone()), lost);
        let text = String::from_utf8(lock(&kept.0).clone()).unwrap();
        let said = "one\ntwo\n(1 queries were not logged: the log is too slow)\n";
        assert_eq!(text, said);
    }
}
