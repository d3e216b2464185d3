//! Reads views and zones again, on a thread that stands behind those that answer.
//!
//! In go requests, one after another; out comes what each came to. What was in force before is freed
//! here too, once no worker holds it any more: freeing a million records takes longer than a client
//! waits.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::super::reload::reloaded_fact;
use super::{Refused, Reloaded, Source, too_much};
use crate::journal::Journal;
use crate::live::clock::Clock;
use crate::live::dns::querylog::QueryLog;
use crate::live::priority::step_back;
use crate::model::fact::Kind;
use crate::model::id::Node;
use crate::model::mistake::{Files, Mistake};
use crate::model::topology::Share;
use crate::policy::answer::{Difference, Rules};
use crate::policy::upstream;
use crate::scenario;

/// How many requests may wait; who has more waits to ask.
const REQUESTS_MAX: usize = 1;

/// How many rules of before are kept while a worker holds them. A worker lets go with its next
/// question, or soon without one; what is beyond this is freed by whoever holds it last.
const BEFORE_MAX: usize = 4;

/// How often is looked whether what was in force before can be freed.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What a request waits for.
type Reply = SyncSender<Result<Reloaded, Refused>>;

/// What a reload needs.
pub(super) struct Reloader {
    pub(super) source: Source,
    pub(super) files: Arc<dyn Files + Send + Sync>,
    /// Where the views said that the server listens, unless it was told otherwise.
    pub(super) listen: Option<Vec<SocketAddr>>,
    pub(super) limit: Option<Share>,
    pub(super) log: Option<Arc<QueryLog>>,
    pub(super) rules: Arc<ArcSwap<Rules>>,
    pub(super) journal: Journal,
    pub(super) clock: Clock,
    /// Where the server listens: nothing may be passed on to there.
    pub(super) addresses: Vec<SocketAddr>,
}

/// The thread that reloads; it ends with this value, after a reload that it is at.
pub(super) struct Reloads(SyncSender<Reply>);

impl Reloads {
    pub(super) fn start(reloader: Reloader) -> io::Result<Self> {
        let (requests, come) = sync_channel(REQUESTS_MAX);
        let thread = thread::Builder::new().name("dns-reload".into());
        thread.spawn(move || reloader.run(&come))?;
        Ok(Self(requests))
    }

    /// Reads everything again, and waits for what it comes to.
    #[expect(
        clippy::unwrap_in_result,
        reason = "that a reload is refused is one thing, that its thread is gone another"
    )]
    pub(super) fn reload(&self) -> Result<Reloaded, Refused> {
        let (reply, result) = sync_channel(1);
        let asked = self.0.send(reply);
        asked.expect("the thread waits for requests as long as they can be made");
        result.recv().expect("each request has its reply")
    }
}

impl Reloader {
    fn run(&self, requests: &Receiver<Reply>) {
        step_back();
        let mut before = Before::default();
        loop {
            let request = if before.0.is_empty() {
                requests.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                requests.recv_timeout(LOOK_EVERY)
            };
            match request {
                Ok(reply) => {
                    let old = self.rules.load_full();
                    let result = self.reload();
                    if result.is_ok() {
                        before.keep(old);
                    }
                    // Who asked may have gone.
                    let _ = reply.send(result);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            before.free();
        }
    }

    fn reload(&self) -> Result<Reloaded, Refused> {
        if let Some(log) = &self.log {
            log.reopen();
        }
        let result = self.load();
        let fact = match &result {
            Ok((rules, reloaded)) => reloaded_fact(rules, reloaded.difference.summary()),
            Err(Refused::Mistakes(mistakes)) => {
                let mistakes = mistakes.iter().map(ToString::to_string).collect();
                Kind::ReloadRefused { mistakes }
            }
            Err(Refused::TooMuch { difference, limit }) => Kind::ReloadRefused {
                mistakes: vec![too_much(difference, *limit)],
            },
        };
        let reloaded = result.map(|(rules, reloaded)| {
            self.rules.store(Arc::new(rules));
            reloaded
        });
        self.journal.add(self.clock.now(), &Node::Lab, [fact]);
        reloaded
    }

    fn load(&self) -> Result<(Rules, Reloaded), Refused> {
        let loaded = self.source.load(&*self.files).map_err(Refused::Mistakes)?;
        if let Source::Views(path) | Source::Scenario(path) = &self.source
            && let Some(before) = &self.listen
            && !loaded.topology.dns.listeners().eq(before.iter().copied())
        {
            let part = match self.source {
                Source::Scenario(_) => "dns.listen",
                Source::Views(_) | Source::Zones(_) => "listen",
            };
            let mistake = scenario::needs_restart(path, &*self.files, part);
            return Err(Refused::Mistakes(vec![mistake]));
        }
        if let Source::Views(path) | Source::Scenario(path) = &self.source
            && let Some(wrong) = upstream::wrong(&loaded.topology.dns, &self.addresses).pop()
        {
            let part = match self.source {
                Source::Scenario(_) => "dns.views",
                Source::Views(_) | Source::Zones(_) => "views",
            };
            return Err(Refused::Mistakes(vec![Mistake {
                path: wrong.key,
                what: wrong.what,
                cure: wrong.cure.into(),
                ..scenario::needs_restart(path, &*self.files, part)
            }]));
        }
        let old = self.rules.load_full();
        let rules = loaded.rules.replacing(&old);
        let difference = Difference::between(&old, &rules);
        // The limit of the new file: whoever wants a great change writes so beside it.
        let limit = self.limit.unwrap_or(loaded.topology.dns.reload_limit);
        if difference.share() > limit {
            return Err(Refused::TooMuch { difference, limit });
        }
        let reloaded = Reloaded {
            generation: rules.generation,
            difference,
            warnings: loaded.warnings,
        };
        Ok((rules, reloaded))
    }
}

/// Rules that were in force before, and which a worker may still hold.
#[derive(Default)]
struct Before(Vec<Arc<Rules>>);

impl Before {
    fn keep(&mut self, rules: Arc<Rules>) {
        if self.0.len() == BEFORE_MAX {
            self.0.remove(0);
        }
        self.0.push(rules);
    }

    /// Frees what nobody else holds.
    fn free(&mut self) {
        self.0.retain(|rules| Arc::strong_count(rules) > 1);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::model::id::Generation;
    use crate::model::topology::{Dns, Topology};

    struct Nothing;

    impl Files for Nothing {
        fn read(&self, path: &Path) -> Result<String, String> {
            Err(format!("{}: there are no files", path.display()))
        }
    }

    fn rules() -> Arc<Rules> {
        let dns = Dns::new("127.0.0.1:5300".parse().unwrap());
        let topology = Topology::of_dns("dns".into(), Vec::new(), dns);
        let (rules, _) = Rules::load(&topology, Generation(1), &Nothing).unwrap();
        Arc::new(rules)
    }

    #[test]
    fn what_a_worker_holds_is_freed_when_it_lets_go() {
        let (held, mut before) = (rules(), Before::default());
        let freed = Arc::downgrade(&held);
        before.keep(Arc::clone(&held));
        before.keep(rules());
        before.free();
        assert_eq!(before.0.len(), 1, "nobody holds the other");
        drop(held);
        assert!(freed.upgrade().is_some(), "the worker does not free it");
        before.free();
        assert!(freed.upgrade().is_none());
    }

    #[test]
    fn what_is_held_for_ever_is_bounded() {
        let (held, mut before) = (rules(), Before::default());
        for _ in 0..3 * BEFORE_MAX {
            before.keep(Arc::clone(&held));
            before.free();
        }
        assert_eq!(before.0.len(), BEFORE_MAX);
    }
}
