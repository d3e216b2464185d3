//! Recordings: every call of every machine of a live lab, and their replay.
//!
//! A [`Recorder`] is the tap of a lab: in go calls, out comes a file of JSON lines that holds all
//! that a replay needs, the scenario's files included. [`replay()`] makes fresh machines from it,
//! without sockets, clock or tasks, and compares what they say. No secrets are in a recording: a
//! machine is told what a certificate says, never a key.

mod input;
mod line;
mod order;
mod replay;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use serde::Serialize;
use thiserror::Error;

use self::line::{CallLine, EndLine, Header, InputLine, LostLine, Total};
use crate::lab::load::load;
use crate::live::runner::{Call, Tap};
use crate::model::mistake::{Files, Mistake};
use crate::model::topology::Topology;

pub use self::line::SCHEMA;
pub use self::order::order;
pub use self::replay::{Difference, Differs, Replayed, facts, replay};

/// How many calls wait for the disk: a busy lab makes some thousands a second of about 1 KiB each,
/// so this outlasts a disk that hangs for a second or two, in about 16 MiB.
pub const CALLS_WAITING_MAX: usize = 16_384;

/// Writes every call that it sees to a file.
#[derive(Debug)]
pub struct Recorder {
    queue: SyncSender<Item>,
    lost: Arc<AtomicU64>,
    /// The writer, until it has been waited for.
    writer: Mutex<Option<JoinHandle<io::Result<u64>>>>,
}

#[derive(Debug)]
enum Item {
    Call(Box<CallLine>),
    End,
}

/// Why a recording was not begun.
#[derive(Debug, Error)]
pub enum RecordError {
    /// The file could not be made.
    #[error("the recording {path} cannot be written: {error}; choose another file with --record")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        error: io::Error,
    },
    /// The scenario has mistakes now.
    #[error("{} mistakes in the scenario", .0.len())]
    Mistakes(Vec<Mistake>),
    /// The scenario is another than the one that was loaded.
    #[error("the scenario changed while it was read; start again")]
    Changed,
}

impl Recorder {
    /// Begins a recording of a lab that was loaded from `scenario`: reads its files once more and
    /// writes them into the first line. The file is readable by its owner alone.
    pub fn create(
        file: &Path,
        scenario: &Path,
        files: &dyn Files,
        topology: &Topology,
    ) -> Result<Self, RecordError> {
        let header = header(scenario, files, topology)?;
        let failed = |error| RecordError::File {
            path: file.display().to_string(),
            error,
        };
        let open = || {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            let out = options.open(file)?;
            // An older file keeps its mode when it is opened again.
            if out.metadata()?.is_file() {
                out.set_permissions(PermissionsExt::from_mode(0o600))?;
            }
            Ok(out)
        };
        Self::begin(open().map_err(failed)?, &header, CALLS_WAITING_MAX).map_err(failed)
    }

    fn begin(file: File, header: &Header, waiting_max: usize) -> io::Result<Self> {
        let mut out = BufWriter::new(file);
        write_line(&mut out, header)?;
        out.flush()?;
        let (queue, items) = sync_channel(waiting_max);
        let lost = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&lost);
        let writer = thread::Builder::new()
            .name(String::from("record"))
            .spawn(move || {
                let written = write_all(&mut out, &items, &seen);
                if let Err(error) = &written {
                    tracing::error!(%error, "the recording cannot be written any more");
                }
                written
            })?;
        Ok(Self {
            queue,
            lost,
            writer: Mutex::new(Some(writer)),
        })
    }

    /// Writes what waits and the last line; gives the number of calls. To be called when the lab
    /// has stopped: later calls are not written.
    pub fn finish(&self) -> io::Result<u64> {
        let writer = self
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(writer) = writer else {
            return Err(io::Error::other("the recording is finished already"));
        };
        // A writer that failed has gone and says so below.
        let _ = self.queue.send(Item::End);
        writer
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the writer of the recording broke off")))
    }
}

impl Tap for Recorder {
    fn call(&self, call: Call<'_>) {
        let line = CallLine {
            node: call.node.to_string(),
            at_us: call.now.as_us(),
            input: call.input.map(InputLine),
            outputs: call.outputs,
            facts: call.facts.iter().map(|fact| format!("{fact:?}")).collect(),
        };
        match self.queue.try_send(Item::Call(Box::new(line))) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                if self.lost.fetch_add(1, Ordering::Relaxed) == 0 {
                    tracing::warn!("the recording loses calls: the disk is too slow");
                }
            }
            // Finished, or the disk failed, which the writer has said.
            Err(TrySendError::Disconnected(_)) => {}
        }
    }
}

/// Reads the scenario and its zones and keeps the text of every file.
fn header(scenario: &Path, files: &dyn Files, topology: &Topology) -> Result<Header, RecordError> {
    let kept = Kept {
        files,
        texts: Mutex::default(),
    };
    let loaded = load(scenario, &kept).map_err(RecordError::Mistakes)?;
    if loaded.topology != *topology {
        return Err(RecordError::Changed);
    }
    let files = kept
        .texts
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    Ok(Header {
        schema: SCHEMA.to_owned(),
        scenario: scenario.to_string_lossy().into_owned(),
        seed: topology.seed.0,
        files,
    })
}

/// Files whose texts are kept as they are read.
struct Kept<'a> {
    files: &'a dyn Files,
    texts: Mutex<BTreeMap<String, String>>,
}

impl Files for Kept<'_> {
    fn read(&self, path: &Path) -> Result<String, String> {
        let text = self.files.read(path)?;
        self.texts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(path.to_string_lossy().into_owned(), text.clone());
        Ok(text)
    }
}

/// Writes items until the end; gives the number of calls.
fn write_all(out: &mut impl Write, items: &Receiver<Item>, lost: &AtomicU64) -> io::Result<u64> {
    let mut calls = 0;
    loop {
        let item = match items.try_recv() {
            Ok(item) => Some(item),
            Err(TryRecvError::Disconnected) => None,
            Err(TryRecvError::Empty) => {
                // Whoever follows the file, or loses the process, has it up to here.
                out.flush()?;
                items.recv().ok()
            }
        };
        // Said before the item, which may be the first that the gap makes strange.
        let missing = lost.swap(0, Ordering::Relaxed);
        if missing > 0 {
            write_line(out, &LostLine { lost: missing })?;
        }
        match item {
            Some(Item::Call(line)) => {
                write_line(out, &line)?;
                calls += 1;
            }
            Some(Item::End) => break,
            // The recorder was dropped unfinished: the file has no end, and says so by that.
            None => {
                out.flush()?;
                return Ok(calls);
            }
        }
    }
    let end = Total { calls };
    write_line(out, &EndLine { end })?;
    out.flush()?;
    Ok(calls)
}

fn write_line(out: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line).map_err(io::Error::from)?;
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests;
