//! From shapes to a topology: names, addresses and files are resolved, every mistake collected.
//!
//! In go the shapes, the tree for their places, and the files; out come the [`Topology`] and the
//! warnings, or the mistakes of this and of the earlier steps. What an earlier step found unsound
//! is `None` here and is passed over in silence, so no mistake is told twice.

mod addresses;
mod configured;
mod doors;
mod expect;
mod fleets;
mod known;
mod nodes;
mod pool;
mod resolvers;
mod roam;
mod timeline;
mod views;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::model::addr::{BackendAddr, HostPort, ListenAddr};
use crate::model::draw::Seed;
use crate::model::id::{Name, Node as LabNode};
use crate::model::mistake::Files;
use crate::model::network::Network;
use crate::model::places::{Places, Subject};
use crate::model::time::Span;
use crate::model::topology::{
    Agent, Algorithm, App, Balancer, Check, Dns, Pool, Proxy, Role, Start, Topology, User,
    ZoneSource,
};

use super::files::beside;
use super::names::Names;
use super::tree::{Node, Step, Value};
use super::{Loaded, Mistakes, Unsound, file, format, hint, place, places, teleport};
use configured::{AgentRead, EnvironmentRead};

pub(super) use views::resolve_views;

/// The seed of a scenario that names none.
const SEED_DEFAULT: u64 = 1;

/// The shortest time between two visits: below it a lab measures only its own machine.
const EVERY_MIN: Span = Span::from_ms(10);

/// Nodes without an address begin at this host of their network, so that the low ones stay free
/// for balancers.
const FIRST_HOST: usize = 16;

/// How many agents a scenario may have, and how many users: each is a machine, and is shown.
const CLIENTS_MAX: usize = 100_000;

/// How many addresses of a network are looked at for a free one; more than a scenario has agents
/// or users.
const HOSTS_MAX: usize = 131_072;

/// Resolves the shapes of a scenario.
pub fn resolve(
    path: &Path,
    tree: &Node,
    shapes: &file::Scenario,
    files: &dyn Files,
    mistakes: Mistakes,
) -> Result<Loaded, Unsound> {
    let mut resolver = Resolver::new(path, tree, files, mistakes, &[K("dns")]);
    let keys = places::of_tree(path, tree);
    resolver.places.put(Subject::Scenario, Arc::new(keys));
    let topology = resolver.scenario(shapes);
    match topology {
        Some(topology) if resolver.mistakes.is_empty() => Ok(Loaded {
            topology,
            warnings: resolver.warnings.into_list(path),
            read: resolver.read,
            places: resolver.places,
        }),
        _ => {
            if resolver.mistakes.is_empty() {
                // Nothing is left out in silence; if it were, this keeps the promise of a mistake.
                let what = "this scenario cannot be resolved";
                resolver.mistakes.add(path, tree.mark, "", what, "");
            }
            Err(Unsound {
                mistakes: resolver.mistakes.into_list(path),
                zones: resolver.zones,
            })
        }
    }
}

struct Resolver<'a> {
    path: &'a Path,
    tree: &'a Node,
    files: &'a dyn Files,
    mistakes: Mistakes,
    warnings: Mistakes,
    read: Vec<PathBuf>,
    /// What every named file held, so that each is read once.
    texts: BTreeMap<PathBuf, Result<Arc<str>, String>>,
    /// Where the keys of the scenario and of Teleport's files stand.
    places: Places,
    /// The configuration of agents by file, so that each is checked once.
    agent_files: BTreeMap<(&'static str, PathBuf), Option<AgentRead>>,
    /// Their environment files, likewise.
    environments: BTreeMap<PathBuf, Option<EnvironmentRead>>,
    /// Where the DNS server's keys stand.
    dns_at: &'static [Step<'static>],
    networks: Vec<Network>,
    /// The named match lists, as far as they are resolved.
    lists: BTreeMap<String, views::Named>,
    /// Their names, in the order of the file.
    list_names: Vec<String>,
    /// Every zone of every view so far.
    zones: Vec<ZoneSource>,
    /// Whether every zone could be told.
    zones_known: bool,
    /// The addresses that ask for a whole network.
    askers: BTreeMap<Name, IpAddr>,
    /// The hosts of a network that were not looked at yet.
    hosts: BTreeMap<Name, Hosts>,
    /// Every name that a step or an expectation can mean.
    names: Names,
    /// Who has an address.
    taken: BTreeMap<IpAddr, String>,
    /// Which agent serves an app, the first of several, and by which file.
    apps: BTreeMap<Name, (Name, PathBuf)>,
    /// Whether every agent's apps could be read.
    apps_known: bool,
}

/// Addresses of a network, in the order in which they are given.
type Hosts = Box<dyn Iterator<Item = IpAddr>>;

use Step::{Index as I, Key as K};

impl<'a> Resolver<'a> {
    fn new(
        path: &'a Path,
        tree: &'a Node,
        files: &'a dyn Files,
        mistakes: Mistakes,
        dns_at: &'static [Step<'static>],
    ) -> Self {
        Self {
            path,
            tree,
            files,
            mistakes,
            warnings: Mistakes::default(),
            read: vec![path.to_path_buf()],
            texts: BTreeMap::new(),
            places: Places::default(),
            agent_files: BTreeMap::new(),
            environments: BTreeMap::new(),
            dns_at,
            networks: Vec::new(),
            lists: BTreeMap::new(),
            list_names: Vec::new(),
            zones: Vec::new(),
            zones_known: true,
            askers: BTreeMap::new(),
            hosts: BTreeMap::new(),
            names: Names::default(),
            taken: BTreeMap::new(),
            apps: BTreeMap::new(),
            apps_known: true,
        }
    }
}

impl Resolver<'_> {
    fn scenario(&mut self, shapes: &file::Scenario) -> Option<Topology> {
        self.networks(shapes.networks.as_ref());
        let seed = Seed(shapes.seed.unwrap_or(SEED_DEFAULT));
        let dns = shapes.dns.as_ref().and_then(|dns| self.dns(dns));
        self.zones_known &= known::has_whole_zones(shapes);
        let pool = shapes.pool.as_ref().and_then(|pool| self.pool(pool, seed));
        let balancers = self.balancers(shapes);
        let agents = self.members("agents", &shapes.agents);
        let users = self.members("users", &shapes.users);
        self.names = self.all_names(shapes, &agents, &users);
        self.listeners(dns.as_ref(), pool.as_ref(), shapes);
        self.names.served = self.served(dns.as_ref(), pool.as_ref(), &balancers);
        let resolvers = self.resolvers(shapes);
        let addresses = self.addresses(&agents, &users);
        let agents = self.agents(shapes, &agents, seed, &addresses);
        let users = self.users(&users, &addresses);
        self.names.note_resolvers(&agents, &users);
        let (timeline, duration) = self.timeline(shapes, &agents, &users);
        let expect = self.expect(shapes, &agents, &users, duration);
        Some(Topology {
            name: shapes.name.as_deref()?.into(),
            seed,
            networks: std::mem::take(&mut self.networks),
            dns: dns?,
            pool: pool?,
            balancers,
            agents,
            users,
            resolvers,
            timeline,
            expect,
            duration,
            model: self.model(shapes),
        })
    }

    fn networks(&mut self, shapes: Option<&file::Networks>) {
        // In the order of the file, which the shapes' map does not keep.
        let tree = self.tree;
        let networks = tree.entry("networks").map(|entry| &entry.node.value);
        let Some(Value::Map(entries)) = networks else {
            return;
        };
        for entry in entries {
            let Some(ranges) = shapes.and_then(|networks| networks.get(&entry.key)) else {
                continue;
            };
            if matches!(entry.key.as_str(), "any" | "none") {
                self.wrong(
                    &[K("networks"), K(&entry.key)],
                    format!("{:?} has a meaning of its own in match lists", entry.key),
                    "give the network another name",
                );
            }
            let ranges = ranges.iter().flatten().flatten();
            let ranges = ranges.filter_map(|text| format::cidr(text).ok()).collect();
            self.networks.push(Network {
                name: entry.key.as_str().into(),
                ranges,
            });
        }
    }

    /// Reads a duration that must not be zero.
    fn span(&mut self, steps: &[Step<'_>], text: Option<&str>, default: Span) -> Span {
        let Some(span) = text.and_then(|text| format::duration(text).ok()) else {
            return default;
        };
        if span == Span::ZERO {
            self.wrong(
                steps,
                "this must be longer than nothing",
                format!("write {default}"),
            );
            return default;
        }
        span
    }

    /// Adds a mistake for every name that an earlier entry of the list has.
    fn unique<T>(
        &mut self,
        steps: &[Step<'_>],
        kind: &str,
        entries: &[(usize, T)],
        names: &[Option<&str>],
    ) {
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for ((index, _), name) in entries.iter().zip(names) {
            let Some(name) = name else { continue };
            if let Some(first) = seen.get(name) {
                let what = format!("another {kind} has the name {name:?} (entry {})", first + 1);
                let steps = with(steps, &[I(*index), K("name")]);
                self.wrong(&steps, what, "give each a name of its own");
            } else {
                seen.insert(name, *index);
            }
        }
    }

    /// Reads a file that the scenario names.
    fn file(&mut self, steps: &[Step<'_>], path: &str) -> Option<(PathBuf, Arc<str>)> {
        let path = beside(self.path, path);
        let text = self.texts.get(&path).cloned().unwrap_or_else(|| {
            let text = self.files.read(&path).map(Arc::from);
            if text.is_ok() && path != self.path {
                self.read.push(path.clone());
            }
            self.texts.insert(path.clone(), text.clone());
            text
        });
        match text {
            Ok(text) => Some((path, text)),
            Err(why) => {
                let what = format!("{} cannot be read: {why}", path.display());
                self.wrong(steps, what, "paths are relative to this file");
                None
            }
        }
    }

    /// Warns of an address that other machines may reach.
    fn beyond_loopback(&mut self, steps: &[Step<'_>], address: IpAddr) {
        if address.to_canonical().is_loopback() {
            return;
        }
        let what = format!("{address} is not a loopback address: other machines may reach it");
        let cure = "take an address of 127.0.0.0/8 unless that is wanted";
        self.odd(steps, what, cure);
    }

    /// Adds a warning.
    fn odd(&mut self, steps: &[Step<'_>], what: impl Into<String>, cure: &str) {
        let (mark, text) = place(self.tree, steps);
        self.warnings.add(self.path, mark, &text, what, cure);
    }

    /// Tells whether a value stands in the file, sound or not.
    fn written(&self, steps: &[Step<'_>]) -> bool {
        self.tree.at(steps).is_some()
    }

    fn wrong(&mut self, steps: &[Step<'_>], what: impl Into<String>, cure: impl Into<String>) {
        let (mark, text) = place(self.tree, steps);
        self.mistakes.add(self.path, mark, &text, what, cure);
    }
}

/// Gives the sound entries of a list with their index.
fn present<T>(list: &file::List<T>) -> Vec<(usize, &T)> {
    list.iter()
        .flatten()
        .enumerate()
        .filter_map(|(index, entry)| entry.as_ref().map(|entry| (index, entry)))
        .collect()
}

fn with<'a>(steps: &[Step<'a>], more: &[Step<'a>]) -> Vec<Step<'a>> {
    [steps, more].concat()
}

/// Draws a host id: a UUID of version 4 (RFC 9562, section 5.4).
fn host_id(seed: Seed, node: &LabNode) -> Name {
    let node = node.to_string();
    let high = seed.draw(&node, "host_id", 0) & !0xf000 | 0x4000;
    let low = seed.draw(&node, "host_id", 1) & !(0b11 << 62) | 0b10 << 62;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
    .into()
}
