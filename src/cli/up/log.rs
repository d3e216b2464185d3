//! What `up --log` prints: one line a decision, as far as somebody reads it.

use std::io::{self, Write};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::journal::Journal;
use crate::model::fact::Kind;
use crate::model::id::Seq;

/// How many facts `--log` takes at a time.
const LOG_BATCH: usize = 1_000;

/// How long the end waits for somebody to read the rest of the log.
const LOG_GRACE: Duration = Duration::from_secs(1);

/// Prints facts from a thread of its own: a reader that stands still must not stop the signals.
pub(super) struct Log {
    stop: CancellationToken,
    pub(super) ended: CancellationToken,
}

impl Log {
    /// Starts the thread.
    pub(super) fn start(journal: Journal) -> Self {
        let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
        let (told, done) = (stop.clone(), ended.clone().drop_guard());
        let runtime = tokio::runtime::Handle::current();
        std::thread::spawn(move || {
            let _done = done;
            let mut grown = journal.watch();
            let mut seen = Seq(0);
            // Not locked for good: reloads are printed there too.
            let mut out = io::stdout();
            loop {
                let last = told.is_cancelled();
                match print_facts(&journal, seen, &mut out) {
                    Ok(now) => seen = now,
                    Err(_) => return,
                }
                if last {
                    return;
                }
                runtime.block_on(async {
                    tokio::select! {
                        _ = grown.changed() => {}
                        () = told.cancelled() => {}
                    }
                });
            }
        });
        Self { stop, ended }
    }

    /// Prints what is left, as far as somebody reads it within a second.
    pub(super) async fn finish(&self) {
        self.stop.cancel();
        let _ = tokio::time::timeout(LOG_GRACE, self.ended.cancelled()).await;
    }
}

fn print_facts(journal: &Journal, mut seen: Seq, out: &mut dyn Write) -> io::Result<Seq> {
    loop {
        let batch = journal.after(seen, LOG_BATCH);
        if batch.gap {
            writeln!(
                out,
                "(some facts were not printed: this terminal is too slow)"
            )?;
        }
        let Some(last) = batch.facts.last() else {
            break;
        };
        seen = last.seq;
        // Counts are for the metrics; the log has the answers themselves.
        let shown = batch
            .facts
            .iter()
            .filter(|fact| !fact.kind.is_traffic() || matches!(fact.kind, Kind::DnsAnswered(_)));
        for fact in shown {
            writeln!(out, "{fact}")?;
        }
    }
    out.flush()?;
    Ok(seen)
}
