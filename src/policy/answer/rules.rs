//! What answers are decided by: views and their zones, and the faults in force; immutable, swapped
//! whole.
//!
//! Zones are shared between the values that follow one another, so another set of faults costs a
//! few pointers. A generation counts zones and views, not faults: a cache of rendered answers
//! belongs to one `Rules` value and to clients that no fault concerns, not to a generation.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use hickory_proto::rr::RecordType;
use ipnet::IpNet;

use crate::model::id::{Generation, Name};
use crate::model::mistake::{Files, Mistake, Place};
use crate::model::network::{Element, Verdict, judge};
use crate::model::topology::{Forward, Miss, Topology, ZoneSource};
use crate::policy::faults::Faults;
use crate::policy::name::Key;
use crate::policy::view::Selector;
use crate::policy::zone::Zone;

use super::edns::Server;
use super::homes::Homes;

/// The rules in force.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Which rules these are, from 1.
    pub generation: Generation,
    /// The views; the first that lets the source in answers.
    pub views: Vec<View>,
    /// Senders whose client-subnet option chooses the view.
    pub ecs_trusted: Vec<IpNet>,
    /// Which view each source gets, compiled.
    pub selector: Arc<Selector>,
    /// What the server says of itself by EDNS.
    pub server: Server,
    /// What the views have in common.
    pub(super) homes: Arc<Homes>,
    /// Who is where, for faults.
    pub(super) topology: Arc<Topology>,
    pub(super) faults: Faults,
    /// What was in force before, for stale answers: one generation back, no further.
    pub(super) previous: Option<Arc<Previous>>,
}

/// The generation before.
#[derive(Debug)]
pub(super) struct Previous {
    pub(super) generation: Generation,
    pub(super) views: Vec<View>,
    pub(super) selector: Arc<Selector>,
}

/// One view.
#[derive(Clone, Debug)]
pub struct View {
    /// Its name.
    pub name: Name,
    /// Who gets it.
    pub match_clients: Vec<Element>,
    /// Who answers for names that no zone of it holds.
    pub forward: Option<Forward>,
    /// Where its questions come in; empty for everywhere.
    pub match_destinations: Vec<Element>,
    /// Its zones, sorted by the key of their apex.
    zones: Vec<Held>,
    /// Bit n is set when a zone has n labels, so that only those are looked for.
    depths: u128,
}

/// A zone of a view.
#[derive(Clone, Debug)]
struct Held {
    zone: Arc<Zone>,
    miss: Miss,
}

impl Rules {
    /// Reads the zones of all views; gives the warnings beside the rules, or every mistake.
    pub fn load(
        topology: &Topology,
        generation: Generation,
        files: &dyn Files,
    ) -> Result<(Self, Vec<Mistake>), Vec<Mistake>> {
        // Views may share a zone: it is read once, and its mistakes are told once.
        let mut read: BTreeMap<(&str, PathBuf), Option<Arc<Zone>>> = BTreeMap::new();
        let (mut mistakes, mut warnings) = (Vec::new(), Vec::new());
        let mut views = Vec::new();
        for view in &topology.dns.views {
            let mut zones = Vec::new();
            for source in &view.zones {
                let known = read.entry((&source.origin, source.file.clone()));
                let zone = known.or_insert_with(|| {
                    let loaded = Zone::load(source, files);
                    mistakes.extend(loaded.mistakes);
                    warnings.extend(loaded.warnings);
                    loaded.zone.map(Arc::new)
                });
                if let Some(zone) = zone {
                    let zone = Arc::clone(zone);
                    let miss = source.miss;
                    match place(&zones, zone.key().whole()) {
                        Ok(_) => mistakes.push(twice(&view.name, source)),
                        Err(place) => zones.insert(place, Held { zone, miss }),
                    }
                }
            }
            views.push(View {
                name: view.name.clone(),
                match_clients: view.match_clients.clone(),
                forward: view.forward.clone(),
                match_destinations: view.match_destinations.clone(),
                depths: zones
                    .iter()
                    .fold(0, |bits, held| bits | 1 << held.zone.apex_labels()),
                zones,
            });
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let ecs_trusted = topology.dns.ecs_trusted.clone();
        Ok((
            Self {
                generation,
                homes: Arc::new(homes(&views)),
                views,
                ecs_trusted,
                selector: Arc::new(Selector::compile(&topology.dns)),
                server: Server::default(),
                topology: Arc::new(topology.clone()),
                faults: Faults::default(),
                previous: None,
            },
            warnings,
        ))
    }

    /// Gives the same rules of the same generation with these faults in force and no others.
    pub fn with_faults(&self, faults: Faults) -> Self {
        Self {
            faults,
            ..self.clone()
        }
    }

    /// Gives the same rules with the topology that a lab shares with everybody.
    pub fn with_topology(self, topology: Arc<Topology>) -> Self {
        Self { topology, ..self }
    }

    /// Gives the same rules for a server that says this of itself.
    pub fn with_server(self, server: Server) -> Self {
        Self { server, ..self }
    }

    /// Puts these rules in the place of others: the next generation, the same lab, and the faults
    /// stay in force.
    pub fn following(self, old: &Self) -> Self {
        let previous = Previous {
            generation: old.generation,
            views: old.views.clone(),
            selector: Arc::clone(&old.selector),
        };
        Self {
            generation: Generation(old.generation.0 + 1),
            server: old.server.clone(),
            topology: Arc::clone(&old.topology),
            faults: old.faults.clone(),
            previous: Some(Arc::new(previous)),
            ..self
        }
    }

    /// Puts these rules in the place of others as [`Rules::following`] does, and keeps nothing of
    /// what was in force before: for a server in which no fault makes answers stale.
    pub fn replacing(self, old: &Self) -> Self {
        Self {
            previous: None,
            ..self.following(old)
        }
    }

    /// Gives the faults in force.
    pub const fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Gives the same rules with these views, which have the same lists.
    pub(super) fn with_views(&self, views: Vec<View>) -> Self {
        Self {
            homes: Arc::new(homes(&views)),
            views,
            ..self.clone()
        }
    }

    /// Tells whether a view, by index, shares a zone with another one.
    pub fn is_shared(&self, view: usize) -> bool {
        self.homes.is_shared(view)
    }

    /// Gives a number for what answers a question for a name in a view, by index: views that have
    /// the same number give the same answer, but for words that name the view. `None` when the view
    /// shares nothing, or has no zone for the name.
    pub fn home(&self, view: usize, name: &Key, record_type: RecordType) -> Option<u32> {
        self.homes.find(view, name, record_type)
    }
}

/// Finds what these views have in common.
fn homes(views: &[View]) -> Homes {
    fn zones(view: &View) -> Vec<(&Arc<Zone>, Miss)> {
        let zones = view.zones.iter();
        zones.map(|held| (&held.zone, held.miss)).collect()
    }
    Homes::new(views.iter().map(zones))
}

fn twice(view: &Name, source: &ZoneSource) -> Mistake {
    Mistake {
        place: Place {
            file: source.file.clone(),
            line: 1,
            column: 1,
        },
        path: String::new(),
        what: format!("the view {view} has the zone {} twice", source.origin),
        cure: String::from("keep one of the two files"),
    }
}

impl View {
    /// Gives its zones, in the order of their apexes' names.
    pub fn zones(&self) -> impl Iterator<Item = &Arc<Zone>> {
        self.zones.iter().map(|held| &held.zone)
    }

    /// Tells whether other servers are asked for names of this client that no zone holds.
    pub fn asks_for(&self, client: IpAddr) -> bool {
        let allowed = |forward: &Forward| judge(&forward.allow, client);
        let allowed = self.forward.as_ref().map(allowed);
        matches!(allowed, Some(Verdict::Allowed(_)))
    }

    /// Gives for the apex of each zone what is left to whom when the zone lacks a name.
    pub fn misses(&self) -> impl Iterator<Item = (&crate::policy::name::Name, Miss)> {
        let zones = self.zones.iter();
        zones.map(|held| (held.zone.origin(), held.miss))
    }

    /// Tells whether a zone of it leaves names that it lacks to other views.
    pub(super) fn leaves_names(&self) -> bool {
        self.zones.iter().any(|held| held.miss == Miss::Public)
    }

    /// Gives the same view with another zone in the place of the one with the same apex.
    pub(super) fn with_zone(&self, zone: Arc<Zone>) -> Self {
        let mut view = self.clone();
        if let Ok(place) = place(&view.zones, zone.key().whole()) {
            view.zones[place].zone = zone;
        }
        view
    }

    /// Finds the zone with this apex.
    pub fn zone_at(&self, apex: &Key) -> Option<&Zone> {
        let place = place(&self.zones, apex.whole()).ok()?;
        Some(&self.zones[place].zone)
    }

    /// Finds the zone that speaks for a name: the most specific one.
    pub fn zone_for(&self, name: &Key, record_type: RecordType) -> Option<&Zone> {
        self.held_for(name, record_type).map(|(zone, _)| zone)
    }

    /// Finds the zone that speaks for a name, and what is left to whom when it lacks the name.
    pub(super) fn held_for(&self, name: &Key, record_type: RecordType) -> Option<(&Zone, Miss)> {
        if let [only] = &self.zones[..] {
            let under = name.is_under(only.zone.key());
            return under.then_some((&*only.zone, only.miss));
        }
        let mut own = None;
        for labels in (0..=name.labels()).rev() {
            if self.depths >> labels & 1 == 0 {
                continue;
            }
            let Ok(place) = place(&self.zones, name.ancestor(labels)) else {
                continue;
            };
            let held = &self.zones[place];
            let found = Some((&*held.zone, held.miss));
            // DS belongs to the parent side of the cut (RFC 4035 section 3.1.4.1).
            if record_type == RecordType::DS && labels == name.labels() {
                own = found;
                continue;
            }
            return found;
        }
        own
    }
}

/// Finds the zone with this key, or where it would stand.
fn place(zones: &[Held], key: &[u8]) -> Result<usize, usize> {
    zones.binary_search_by(|held| held.zone.key().whole().cmp(key))
}
