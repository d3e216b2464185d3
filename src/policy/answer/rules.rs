//! What answers are decided by: views and their zones, and the faults in force; immutable, swapped
//! whole.
//!
//! Zones are shared between the values that follow one another, so another set of faults costs a
//! few pointers. A generation counts zones and views, not faults: a cache of rendered answers
//! belongs to one `Rules` value and to clients that no fault concerns, not to a generation.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use hickory_proto::rr::RecordType;
use ipnet::IpNet;

use crate::model::id::{Generation, Name};
use crate::model::mistake::{Files, Mistake, Place};
use crate::model::network::Element;
use crate::model::topology::{Topology, ZoneSource};
use crate::policy::faults::Faults;
use crate::policy::name::Key;
use crate::policy::view::Selector;
use crate::policy::zone::Zone;

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
    /// Its zones by the key of their apex.
    zones: BTreeMap<Box<[u8]>, Arc<Zone>>,
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
            let mut zones = BTreeMap::new();
            for source in &view.zones {
                let known = read.entry((&source.origin, source.file.clone()));
                let zone = known.or_insert_with(|| {
                    let loaded = Zone::load(source, files);
                    mistakes.extend(loaded.mistakes);
                    warnings.extend(loaded.warnings);
                    loaded.zone.map(Arc::new)
                });
                if let Some(zone) = zone {
                    let key = zone.key().whole().into();
                    let before = zones.insert(key, Arc::clone(zone));
                    if before.is_some() {
                        mistakes.push(twice(&view.name, source));
                    }
                }
            }
            views.push(View {
                name: view.name.clone(),
                match_clients: view.match_clients.clone(),
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
                views,
                ecs_trusted,
                selector: Arc::new(Selector::compile(&topology.dns)),
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
        self.zones.values()
    }

    /// Gives the same view with another zone in the place of the one with the same apex.
    pub(super) fn with_zone(&self, zone: Arc<Zone>) -> Self {
        let mut view = self.clone();
        view.zones.insert(zone.key().whole().into(), zone);
        view
    }

    /// Finds the zone with this apex.
    pub fn zone_at(&self, apex: &Key) -> Option<&Zone> {
        self.zones.get(apex.whole()).map(Arc::as_ref)
    }

    /// Finds the zone that speaks for a name: the most specific one.
    pub fn zone_for(&self, name: &Key, record_type: RecordType) -> Option<&Zone> {
        let zone = |labels| self.zones.get(name.ancestor(labels)).map(Arc::as_ref);
        let above = |from: usize| (0..from).rev().find_map(zone);
        let own = zone(name.labels());
        if record_type == RecordType::DS {
            // DS belongs to the parent side of the cut (RFC 4035 section 3.1.4.1).
            return above(name.labels()).or(own);
        }
        own.or_else(|| above(name.labels()))
    }
}
