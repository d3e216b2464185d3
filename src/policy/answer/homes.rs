//! Which zone answers, as a number: what views that share zones have in common.
//!
//! In go the zones of all views; out comes, for a view and a name, the number of its *home*. Two views
//! with the same home for a name give the same answer to any question for it: the zone is the same
//! object, leaves missing names to the same, and beside it the views have zones at the same names.
//! Those names count because an alias is followed within one zone and ends where another one begins;
//! what the other zones hold does not. A view that shares nothing has no homes, so that finding out
//! costs nothing where there is nothing to gain.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use hickory_proto::rr::RecordType;

use crate::model::topology::Miss;
use crate::policy::name::Key;
use crate::policy::zone::Zone;

/// The homes of some views.
#[derive(Clone, Debug, Default)]
pub(super) struct Homes {
    /// The names of all apexes, in lower case and wire form, sorted.
    apexes: Vec<Box<[u8]>>,
    /// Bit n is set when an apex has n labels.
    depths: u128,
    /// The places of each view in `held`; empty for one that shares nothing.
    views: Vec<Range<usize>>,
    /// The place of an apex and the home, sorted within each view.
    held: Vec<(usize, u32)>,
}

impl Homes {
    /// Numbers the homes of these views.
    pub(super) fn new<'z>(views: impl Iterator<Item = Vec<(&'z Arc<Zone>, Miss)>> + Clone) -> Self {
        let mut homes = Self::default();
        let zones = views.clone().flatten();
        let keys = zones.map(|(zone, _)| zone.key());
        for key in keys {
            homes.depths |= 1 << key.labels();
            homes.apexes.push(key.whole().into());
        }
        homes.apexes.sort_unstable();
        homes.apexes.dedup();
        let mut sets: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
        // A zone by its address, what it leaves to whom, and which apexes stand beside it.
        let mut numbers: BTreeMap<(usize, Miss, usize), u32> = BTreeMap::new();
        let mut counts: Vec<u32> = Vec::new();
        for view in views {
            let start = homes.held.len();
            let apexes: Vec<usize> = view
                .iter()
                .map(|(zone, _)| homes.place(zone.key().whole()).unwrap_or(usize::MAX))
                .collect();
            let fresh = sets.len();
            let set = *sets.entry(apexes.clone()).or_insert(fresh);
            for ((zone, miss), apex) in view.into_iter().zip(apexes) {
                let fresh = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
                let home = (Arc::as_ptr(zone).addr(), miss, set);
                let number = *numbers.entry(home).or_insert(fresh);
                counts.resize(numbers.len(), 0);
                counts[number as usize] += 1;
                homes.held.push((apex, number));
            }
            homes.held[start..].sort_unstable();
            homes.views.push(start..homes.held.len());
        }
        for places in &mut homes.views {
            let mut held = homes.held[places.clone()].iter();
            if held.all(|(_, number)| counts[*number as usize] == 1) {
                *places = 0..0;
            }
        }
        homes
    }

    /// Gives the home of a name in a view, by index; `None` when the view shares nothing, or has no
    /// zone for the name. It is that of the zone which `View::held_for` finds.
    pub(super) fn find(&self, view: usize, name: &Key, record_type: RecordType) -> Option<u32> {
        let held = self.held.get(self.views.get(view)?.clone())?;
        let mut own = None;
        for labels in (0..=name.labels()).rev() {
            if self.depths >> labels & 1 == 0 {
                continue;
            }
            let Some(apex) = self.place(name.ancestor(labels)) else {
                continue;
            };
            let Ok(place) = held.binary_search_by_key(&apex, |(apex, _)| *apex) else {
                continue;
            };
            let found = Some(held[place].1);
            // DS belongs to the parent side of the cut (RFC 4035 section 3.1.4.1).
            if record_type == RecordType::DS && labels == name.labels() {
                own = found;
                continue;
            }
            return found;
        }
        own
    }

    /// Tells whether a view, by index, shares a zone with another one.
    pub(super) fn is_shared(&self, view: usize) -> bool {
        self.views
            .get(view)
            .is_some_and(|places| !places.is_empty())
    }

    fn place(&self, apex: &[u8]) -> Option<usize> {
        let place = self.apexes.binary_search_by(|own| (**own).cmp(apex));
        place.ok()
    }
}
