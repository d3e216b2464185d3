//! The DNS server alone: no doors, no pool, no page.
//!
//! In go zones or a file of views; out come listeners that answer, and reloads of all views at once.
//! A mistake, or a change beyond the limit, leaves the old data in force. What is said of it on a
//! terminal, and which signal means what, is the affair of `cli/dns`.

mod reload;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use self::reload::{Reloader, Reloads};
use super::StartError;
use super::build::bind_error;
use super::load::{self, of_forwards, of_views, of_zones};
use crate::journal::Journal;
use crate::live::clock::Clock;
use crate::live::dns::querylog::{Form, QueryLog, Target};
use crate::live::dns::{Dns as Listener, identity};
use crate::live::tasks::Tasks;
use crate::model::fact::Kind;
use crate::model::id::{Generation, Node};
use crate::model::mistake::{Files, Mistake};
use crate::model::network::{Element, Matcher};
use crate::model::topology::{Dns, Share, Topology, View, ZoneSource};
use crate::policy::answer::{Difference, Rules};
use crate::policy::upstream;
use crate::scenario;

/// The name of the one view that serves zones which are given without views.
pub const VIEW: &str = "default";

/// How many facts are kept: enough to look at, little beside a zone.
const FACTS_MAX: usize = 1_000;

/// Where the DNS server listens unless told.
const LISTEN_DEFAULT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5300);

/// Where views and zones come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// What `dns:` of a scenario says; the rest of it is not served.
    Scenario(PathBuf),
    /// A file with the content of a scenario's `dns:` as top-level keys.
    Views(PathBuf),
    /// Zones that everybody gets, in a view called [`VIEW`].
    Zones(Vec<ZoneSource>),
}

/// Views and zones without mistakes.
#[derive(Debug)]
pub struct Loaded {
    /// A topology with nothing but the DNS server; that of the scenario when there is one.
    pub topology: Topology,
    /// What the views answer; the first generation.
    pub rules: Rules,
    /// What is odd but works.
    pub warnings: Vec<Mistake>,
}

impl Source {
    /// Gives a file as what it is: a scenario has `dns`, a file of views has what stands there.
    pub fn of(path: &Path, files: &dyn Files) -> Self {
        if scenario::has_key(path, files, "dns") {
            Self::Scenario(path.to_path_buf())
        } else {
            Self::Views(path.to_path_buf())
        }
    }

    /// Reads views and zones, or gives every mistake.
    pub fn load(&self, files: &dyn Files) -> Result<Loaded, Vec<Mistake>> {
        let (topology, mut warnings) = match self {
            Self::Scenario(path) => {
                let loaded = load::load(path, files)?;
                return Ok(Loaded {
                    topology: loaded.topology,
                    rules: loaded.rules,
                    warnings: loaded.warnings,
                });
            }
            Self::Views(path) => {
                let loaded = scenario::load_views(path, files).map_err(|unsound| {
                    let mut mistakes = unsound.mistakes;
                    mistakes.extend(of_zones(&unsound.zones, files));
                    mistakes
                })?;
                let wrong = of_forwards(&loaded.dns, "", &loaded.places);
                if !wrong.is_empty() {
                    return Err(wrong);
                }
                let name = path.file_stem().and_then(|stem| stem.to_str());
                let name = name.unwrap_or("dns").into();
                let mut warnings = loaded.warnings;
                warnings.extend(of_views(&loaded.dns, "", &loaded.places));
                let topology = Topology::of_dns(name, loaded.networks, loaded.dns);
                (topology, warnings)
            }
            Self::Zones(zones) => {
                let everybody = View {
                    name: VIEW.into(),
                    match_clients: vec![Element {
                        text: "any".into(),
                        negated: false,
                        what: Matcher::Any,
                    }],
                    match_destinations: Vec::new(),
                    forward: None,
                    zones: zones.clone(),
                };
                let dns = Dns {
                    views: vec![everybody],
                    ..Dns::new(LISTEN_DEFAULT)
                };
                let topology = Topology::of_dns("dns".into(), Vec::new(), dns);
                (topology, Vec::new())
            }
        };
        let (rules, more) = Rules::load(&topology, Generation(1), files)?;
        warnings.extend(more);
        Ok(Loaded {
            topology,
            rules,
            warnings,
        })
    }
}

/// How a server is to be run.
pub struct Options {
    /// What it serves; read again by a reload.
    pub source: Source,
    /// What of it was read already.
    pub loaded: Loaded,
    /// Where the files are.
    pub files: Arc<dyn Files + Send + Sync>,
    /// Where it listens instead of where the views say.
    pub listen: Vec<SocketAddr>,
    /// How much a reload may change, instead of what the views say.
    pub reload_limit: Option<Share>,
    /// Where each query is written, and how.
    pub log: Option<(Target, Form)>,
}

/// A running DNS server.
pub struct Server {
    log: Option<Arc<QueryLog>>,
    rules: Arc<ArcSwap<Rules>>,
    journal: Journal,
    addresses: Vec<SocketAddr>,
    shutdown: CancellationToken,
    tasks: Tasks,
    reloads: Reloads,
}

/// A reload that took.
#[derive(Debug)]
pub struct Reloaded {
    /// The generation now in force.
    pub generation: Generation,
    /// What it changed.
    pub difference: Difference,
    /// What is odd but works.
    pub warnings: Vec<Mistake>,
}

/// Why a reload did not take.
#[derive(Debug)]
pub enum Refused {
    /// The files have mistakes.
    Mistakes(Vec<Mistake>),
    /// More of the address space would get other answers than is allowed.
    TooMuch {
        /// What would change.
        difference: Difference,
        /// How much is allowed.
        limit: Share,
    },
}

/// Says that a reload would change too much.
pub fn too_much(difference: &Difference, limit: Share) -> String {
    format!(
        "this would give other answers to {} of the IPv4 and {} of the IPv6 addresses; the limit is \
         {limit}",
        difference.four, difference.six
    )
}

/// How much is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Zones, each counted once however many views share it.
    pub zones: usize,
    /// Their records.
    pub records: usize,
}

impl Server {
    /// Binds every address and answers. To be called within a runtime, which carries it.
    pub fn start(options: Options) -> Result<Self, StartError> {
        let Options {
            source,
            loaded,
            files,
            listen,
            reload_limit,
            log,
        } = options;
        let Loaded {
            topology, rules, ..
        } = loaded;
        let told: Vec<_> = topology.dns.listeners().collect();
        let own = listen.is_empty().then(|| told.clone());
        let listen = if listen.is_empty() { told } else { listen };
        if let Some(wrong) = upstream::wrong(&topology.dns, &listen).into_iter().next() {
            return Err(StartError::System {
                what: "questions cannot be passed on",
                error: format!("{}: {}; {}", wrong.key, wrong.what, wrong.cure),
            });
        }
        let rules = rules.with_server(identity(&topology));
        let rules = Arc::new(ArcSwap::from_pointee(rules));
        let journal = Journal::keeping(&topology, FACTS_MAX);
        let clock = Clock::start();
        let log = log.map(|(target, form)| QueryLog::start(target, form, clock));
        let log = log.transpose().map_err(|error| StartError::System {
            what: "the query log",
            error: error.to_string(),
        })?;
        let now = move || clock.now();
        let server = Listener::new(&topology, Arc::clone(&rules), journal.clone(), now);
        let bound = server.logging(log.clone()).bind(&listen);
        let bound = bound.map_err(|(address, error)| bind_error(Node::Dns, address, error))?;
        let addresses = bound.addresses();
        let (shutdown, tasks) = (CancellationToken::new(), Tasks::new());
        tasks.spawn_watching(bound.run(shutdown.clone()));
        journal.add(clock.now(), &Node::Lab, [Kind::Ready]);
        let reloads = Reloads::start(Reloader {
            source,
            files,
            listen: own,
            limit: reload_limit,
            log: log.clone(),
            rules: Arc::clone(&rules),
            journal: journal.clone(),
            clock,
            addresses: addresses.clone(),
        });
        let reloads = reloads.map_err(|error| StartError::System {
            what: "the thread that reloads",
            error: error.to_string(),
        })?;
        Ok(Self {
            log,
            rules,
            journal,
            addresses,
            shutdown,
            tasks,
            reloads,
        })
    }

    /// Gives where it listens, in the order in which it was told.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Gives what can be observed of it.
    pub const fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Gives the rules in force.
    pub fn rules(&self) -> Arc<Rules> {
        self.rules.load_full()
    }

    /// Reads views and zones again. All views change together, or nothing does. The query log is
    /// opened again in any case, for whoever moved it away.
    ///
    /// Blocks while files are read: not to be called by an async task itself.
    pub fn reload(&self) -> Result<Reloaded, Refused> {
        self.reloads.reload()
    }

    /// Answers what has come, and ends.
    pub async fn stop(&self) {
        self.shutdown.cancel();
        self.tasks.finish().await;
        if let Some(log) = self.log.clone() {
            // It waits for the disk.
            let written = tokio::task::spawn_blocking(move || log.finish()).await;
            if let Err(error) = written {
                tracing::warn!(%error, "the query log broke off");
            }
        }
    }
}

impl Size {
    /// Counts what rules serve.
    pub fn of(rules: &Rules) -> Self {
        let mut seen: Vec<*const crate::policy::zone::Zone> = Vec::new();
        let mut size = Self {
            zones: 0,
            records: 0,
        };
        for zone in rules.views.iter().flat_map(|view| view.zones()) {
            seen.push(Arc::as_ptr(zone));
        }
        seen.sort_unstable();
        seen.dedup();
        for zone in rules.views.iter().flat_map(|view| view.zones()) {
            // The first view that has it counts it.
            if let Ok(place) = seen.binary_search(&Arc::as_ptr(zone)) {
                seen.remove(place);
                size.zones += 1;
                size.records += zone.records();
            }
        }
        size
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}
