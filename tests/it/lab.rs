//! A whole lab in this process: the embedded example with addresses that are free, on disk.
//!
//! The example's networks get three neighbouring second octets of 127/8 that nobody uses now, so
//! that several test processes run beside each other and beside a lab by hand.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use twodoors::lab::{Lab, Options, StartError};
use twodoors::live::runner::Tap;
use twodoors::model::fact::{Act, Fact, Kind};
use twodoors::model::id::{Node, Seq};
use twodoors::scenario::embedded;
use twodoors::scenario::files::Disk;
use twodoors::snapshot::Snapshot;

/// The first second octet that a lab may get, and how many triples follow.
const OCTET: u32 = 100;
const TRIPLES: u32 = 50;

/// A lab at work, and its files.
pub(crate) struct Whole {
    pub(crate) lab: Arc<Lab>,
    /// The scenario; zones and Teleport files are beside it as in the repository.
    pub(crate) scenario: PathBuf,
    octet: u32,
    _folder: Folder,
}

/// A folder of its own, gone with the value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("twodoors-lab-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Whole {
    /// Starts the embedded example; `tap` makes what sees each call, from the loaded scenario, and
    /// is asked again when addresses turn out to be taken.
    pub(crate) async fn start(mut tap: impl FnMut(&Options) -> Option<Arc<dyn Tap>>) -> Self {
        Self::prepared(|options| options.tap = tap(options)).await
    }

    /// Starts the embedded example with what `prepare` does to it; it is asked again when addresses
    /// turn out to be taken.
    pub(crate) async fn prepared(prepare: impl FnMut(&mut Options)) -> Self {
        Self::told(None, prepare).await
    }

    /// Starts a scenario of this text in the place of the embedded example.
    pub(crate) async fn told(text: Option<&str>, mut prepare: impl FnMut(&mut Options)) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        // Labs of one process that start at once do not try the same addresses.
        let first = std::process::id() + STARTED.fetch_add(TRIPLES / 4, Ordering::Relaxed);
        let folder = Folder::new();
        let scenario = folder.0.join(embedded::SCENARIO);
        let mut taken = String::new();
        for number in 0..TRIPLES {
            let octet = OCTET + (first + number) % TRIPLES * 3;
            for (path, text) in embedded::ALL {
                let path = folder.0.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, moved(text, octet)).unwrap();
            }
            if let Some(text) = text {
                fs::write(&scenario, moved(text, octet)).unwrap();
            }
            let loaded = twodoors::lab::load::load(&scenario, &Disk).unwrap();
            let mut options = Options {
                path: scenario.clone(),
                files: Arc::new(Disk),
                loaded,
                dns: Some(([127, 0, 0, 1], 0).into()),
                tap: None,
            };
            prepare(&mut options);
            match Box::pin(Lab::start(options)).await {
                Ok(lab) => {
                    return Self {
                        lab: Arc::new(lab),
                        scenario,
                        octet,
                        _folder: folder,
                    };
                }
                Err(error @ StartError::Bind { .. }) => taken = error.to_string(),
                Err(error) => panic!("{error}"),
            }
        }
        panic!("no free addresses in 127/8: {taken}");
    }

    /// Gives an address of this lab for one of the example: `127.10.0.9` is moved as the networks
    /// were.
    pub(crate) fn moved(&self, text: &str) -> String {
        moved(text, self.octet)
    }

    /// Gives all facts so far.
    pub(crate) fn facts(&self) -> Vec<Arc<Fact>> {
        self.lab.journal().after(Seq(0), usize::MAX).facts
    }

    /// Gives the number of the last fact so far.
    pub(crate) fn seq(&self) -> Seq {
        self.lab.journal().ask(|state| state.seq)
    }

    /// Waits for a fact after `since`; panics with `what` when `patience` ends.
    pub(crate) async fn fact(
        &self,
        (what, patience): (&str, Duration),
        since: Seq,
        is: impl Fn(&Fact) -> bool,
    ) -> Arc<Fact> {
        let mut seen = since;
        self.until((what, patience), || {
            let facts = self.lab.journal().after(seen, usize::MAX).facts;
            seen = facts.last().map_or(seen, |fact| fact.seq);
            facts.into_iter().find(|fact| is(fact))
        })
        .await
    }

    /// Waits for a state; panics with `what` when `patience` ends.
    pub(crate) async fn state(
        &self,
        wait: (&str, Duration),
        is: impl Fn(&Snapshot) -> bool,
    ) -> Snapshot {
        let journal = self.lab.journal();
        self.until(wait, || journal.ask(|s| is(s).then(|| s.clone())))
            .await
    }

    /// Waits for the first full mesh, and for the first heartbeat in each of its tunnels: before it
    /// a tunnel is not used. Upon it the proxy sends its list to that tunnel alone.
    pub(crate) async fn mesh(&self) {
        // Twelve attempts of Teleport's, most of them find a proxy that is claimed already.
        let patience = Duration::from_secs(100);
        self.state(("the mesh is complete", patience), |s| {
            s.mesh.complete_after.is_some()
        })
        .await;
        let agents = self.lab.topology().agents.len();
        for proxy in &self.lab.topology().pool.proxies {
            let node = Node::Proxy(proxy.name.clone());
            let first = |fact: &Arc<Fact>| {
                fact.node == node && matches!(fact.kind, Kind::GossipSent { tunnels: 1, .. })
            };
            let heard = || self.facts().iter().filter(|fact| first(fact)).count();
            self.until(("every tunnel is heard", patience), || {
                (heard() >= agents).then_some(())
            })
            .await;
        }
    }

    /// Does an operator's act on `KIND/NAME`.
    pub(crate) async fn operate(&self, node: &str, act: Act) {
        let (kind, name) = node.split_once('/').unwrap();
        let node = Node::named(kind, name).unwrap();
        self.lab.operate(&node, act).await.unwrap();
    }

    /// Looks again whenever there are new facts.
    async fn until<T>(
        &self,
        (what, patience): (&str, Duration),
        mut check: impl FnMut() -> Option<T>,
    ) -> T {
        let mut grown = self.lab.journal().watch();
        let wait = async {
            loop {
                if let Some(found) = check() {
                    return found;
                }
                grown.changed().await.unwrap();
            }
        };
        let Ok(found) = tokio::time::timeout(patience, wait).await else {
            let last: Vec<String> = self.facts().iter().map(ToString::to_string).collect();
            let tail = last[last.len().saturating_sub(40)..].join("\n");
            panic!("waited {patience:?} in vain: {what}; the last facts:\n{tail}")
        };
        found
    }
}

fn moved(text: &str, octet: u32) -> String {
    text.replace("127.10.", &format!("127.{octet}."))
        .replace("127.20.", &format!("127.{}.", octet + 1))
        .replace("127.30.", &format!("127.{}.", octet + 2))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_was_stopped_can_be_started_at_once() {
    let whole = Whole::start(|_| None).await;
    for _ in 0..50 {
        whole.operate("proxy/2", Act::Stop).await;
        whole.operate("proxy/2", Act::Start).await;
    }
    whole.lab.stop().await;
}
