//! Makes a zone of the records that were read, and tells every reason why they are none.
//!
//! Records come one by one, in the order of the files; names become nodes at once, and when all are
//! there they are put together by node and type.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use hickory_proto::rr::RecordType;

use crate::model::mistake::{Files, Place};
use crate::model::topology::ZoneSource;
use crate::policy::name::{Key, LABELS_MAX, Name, write_name};

use super::kinds::type_word;
use super::reader::{self, Notes, soa_minimum};
use super::store::{RecordEntry, Store};
use super::text;
use super::{Loaded, Node, Zone};

mod checks;

/// How many records one name and type may have; they are counted with 16 bits.
const SET_MAX: usize = u16::MAX as usize;

/// How many types one name may have; they are counted with 8 bits.
const TYPES_MAX: usize = u8::MAX as usize;

/// How many records a zone may have, and how many names; they are counted with 32 bits.
const RECORDS_MAX: usize = 1 << 30;

/// The types of which a name has but one record.
const SINGLE: [(RecordType, &str); 3] = [
    (RecordType::SOA, "a second SOA"),
    (RecordType::CNAME, "a second CNAME"),
    (RecordType::DNAME, "a second DNAME"),
];

/// Reads and builds.
pub(super) fn load(source: &ZoneSource, files: &dyn Files) -> Loaded {
    let top = || Place {
        file: source.file.clone(),
        line: 1,
        column: 1,
    };
    let origin = match text::name(source.origin.as_bytes(), &Name::ROOT) {
        Ok(origin) => origin,
        Err(what) => {
            let mut notes = Notes::default();
            notes.mistake(top(), format!("the origin is not a name: {what}"), "");
            return Loaded {
                zone: None,
                mistakes: notes.mistakes,
                warnings: Vec::new(),
            };
        }
    };
    let mut builder = Builder::new(origin);
    reader::read(&source.file, files, &mut builder);
    builder.finish(top())
}

/// One record as it was read.
#[derive(Debug)]
pub(super) struct Raw<'a> {
    /// In wire form.
    pub(super) owner: &'a [u8],
    pub(super) ttl: u32,
    pub(super) record_type: RecordType,
    /// In wire form.
    pub(super) data: &'a [u8],
    /// As [`Builder::file`] gave it.
    pub(super) file: u16,
    pub(super) line: usize,
    pub(super) column: usize,
}

/// A record that waits to be put into its set.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    node: u32,
    ttl: u32,
    kind: u16,
    column: u16,
    record: RecordEntry,
}

/// A zone that is being built.
pub(super) struct Builder {
    origin: Name,
    key: Key,
    store: Store,
    waiting: Vec<Waiting>,
    notes: Notes,
    /// The owner of the record before and its node: most records of a name stand together.
    last: (Vec<u8>, u32),
    /// The sets of the node that is being filled: the types so far, and the records of one.
    kinds: Vec<u16>,
    records: Vec<RecordEntry>,
}

impl Builder {
    pub(super) fn new(origin: Name) -> Self {
        Self {
            key: Key::new(&origin),
            store: Store::new(),
            waiting: Vec::new(),
            notes: Notes::default(),
            last: (origin.wire().to_vec(), 0),
            kinds: Vec::new(),
            records: Vec::new(),
            origin,
        }
    }

    pub(super) const fn origin(&self) -> &Name {
        &self.origin
    }

    pub(super) const fn notes(&mut self) -> &mut Notes {
        &mut self.notes
    }

    /// Takes a file; gives its number.
    pub(super) fn file(&mut self, path: &Arc<Path>) -> u16 {
        self.store.file(path)
    }

    /// Adds a record.
    pub(super) fn add(&mut self, raw: &Raw<'_>) {
        let place = |store: &Store| Place {
            file: store.path(raw.file).to_path_buf(),
            line: raw.line,
            column: raw.column,
        };
        let Some(node) = self.node(raw.owner) else {
            let owner = shown(raw.owner);
            let what = format!("{owner} is not in the zone {}", self.origin);
            let cure = "a final dot that is missing or too much?";
            self.notes.mistake(place(&self.store), what, cure);
            return;
        };
        if raw.record_type == RecordType::SOA && node != 0 {
            let owner = shown(raw.owner);
            let what = format!("an SOA at {owner}, not at the apex {}", self.origin);
            self.notes.mistake(place(&self.store), what, "");
            return;
        }
        let data = self.store.keep(raw.data);
        let room = self.waiting.len() < RECORDS_MAX && self.store.len() < RECORDS_MAX;
        let Some(data) = data.filter(|_| room) else {
            let what = String::from("the zone is too large");
            self.notes.mistake(place(&self.store), what, "");
            return;
        };
        self.waiting.push(Waiting {
            node,
            ttl: raw.ttl,
            kind: raw.record_type.into(),
            column: u16::try_from(raw.column).unwrap_or(u16::MAX),
            record: RecordEntry {
                data,
                line: u32::try_from(raw.line).unwrap_or(u32::MAX),
                file: raw.file,
            },
        });
    }

    /// Finds or makes the node of a name; `None` when it is not in the zone.
    fn node(&mut self, owner: &[u8]) -> Option<u32> {
        if self.last.0 == owner {
            return Some(self.last.1);
        }
        let prefix = owner.len().checked_sub(self.origin.wire().len())?;
        let (inner, outer) = owner.split_at(prefix);
        if !outer.eq_ignore_ascii_case(self.origin.wire()) {
            return None;
        }
        let mut starts = [0_u8; LABELS_MAX];
        let (mut at, mut labels) = (0, 0);
        while let Some(&length) = inner.get(at) {
            *starts.get_mut(labels)? = u8::try_from(at).ok()?;
            labels += 1;
            at += 1 + usize::from(length);
        }
        // The origin must begin where a label does.
        if at != inner.len() {
            return None;
        }
        let mut node = 0;
        for start in starts[..labels].iter().rev() {
            let start = usize::from(*start);
            let label = &inner[start + 1..start + 1 + usize::from(inner[start])];
            node = self.store.make_child(node, label);
        }
        self.last.0.clear();
        self.last.0.extend_from_slice(owner);
        self.last.1 = node;
        Some(node)
    }

    /// Makes the zone, `top` being where the whole is complained about.
    pub(super) fn finish(mut self, top: Place) -> Loaded {
        // A record that could not be read may be the one that is missing below.
        let clean = self.notes.mistakes.is_empty();
        let order = self.order();
        let waiting = std::mem::take(&mut self.waiting);
        let mut rest = &*order;
        while let Some(first) = rest.first().map(|index| waiting[*index as usize].node) {
            let same = |index: &&u32| waiting[**index as usize].node == first;
            let length = rest.iter().take_while(same).count();
            let (own, after) = rest.split_at(length);
            rest = after;
            self.fill(first, own, &waiting);
        }
        drop(waiting);
        self.store.shrink();
        let negative_ttl = self.negative_ttl();
        let zone = Zone {
            origin: self.origin,
            key: self.key,
            store: self.store,
            negative_ttl,
        };
        let mut notes = self.notes;
        if clean {
            checks::apex(&zone, top, &mut notes);
        }
        checks::nodes(&zone, &mut notes);
        notes.mistakes.sort();
        notes.warnings.sort();
        Loaded {
            zone: notes.mistakes.is_empty().then_some(zone),
            mistakes: notes.mistakes,
            warnings: notes.warnings,
        }
    }

    /// Gives the waiting records by node, those of one node in the order in which they came.
    fn order(&self) -> Vec<u32> {
        let mut ends = vec![0_u32; self.store.len() + 1];
        for waiting in &self.waiting {
            ends[waiting.node as usize + 1] += 1;
        }
        for node in 1..ends.len() {
            ends[node] += ends[node - 1];
        }
        let mut order = vec![0; self.waiting.len()];
        for (index, waiting) in (0_u32..).zip(&self.waiting) {
            let end = &mut ends[waiting.node as usize];
            order[*end as usize] = index;
            *end += 1;
        }
        order
    }

    /// Puts the records of one node into sets.
    fn fill(&mut self, node: u32, own: &[u32], waiting: &[Waiting]) {
        if let [only] = own {
            let only = &waiting[*only as usize];
            self.store
                .add_set(node, (only.kind, only.ttl), &[only.record]);
            return;
        }
        let own = || own.iter().map(|index| &waiting[*index as usize]);
        let mut kinds = std::mem::take(&mut self.kinds);
        kinds.clear();
        for record in own() {
            if kinds.last() == Some(&record.kind) || kinds.contains(&record.kind) {
                continue;
            }
            if let Some(clash) = clash(&kinds, record.kind) {
                self.complain(record, node, clash);
            } else if kinds.len() == TYPES_MAX {
                self.complain(record, node, "more than 255 types");
                break;
            } else {
                kinds.push(record.kind);
            }
        }
        for kind in &kinds {
            self.fill_set(node, *kind, own().filter(|record| record.kind == *kind));
        }
        self.kinds = kinds;
    }

    /// Puts the records of one node and type into a set.
    fn fill_set<'w>(
        &mut self,
        node: u32,
        kind: u16,
        own: impl Iterator<Item = &'w Waiting> + Clone,
    ) {
        let mut records = std::mem::take(&mut self.records);
        records.clear();
        let twins = self.twins(kind, own.clone());
        let mut ttl = None;
        for (at, record) in own.enumerate() {
            let ttl = *ttl.get_or_insert(record.ttl);
            if record.ttl != ttl {
                let what = format!(
                    "TTL {} differs from the {ttl} of the other {} records here",
                    record.ttl,
                    type_word(kind.into())
                );
                let cure = "the first is used for all (RFC 2181 section 5.2)";
                let place = self.place(record);
                self.notes.warning(place, what, cure);
            }
            if twins.binary_search(&at).is_ok() {
                continue;
            }
            let mut single = SINGLE
                .iter()
                .filter(|(single, _)| u16::from(*single) == kind);
            let single = single.next().map(|(_, what)| *what);
            match single.filter(|_| !records.is_empty()) {
                Some(what) => self.complain(record, node, what),
                None if records.len() == SET_MAX => {
                    self.complain(record, node, "more than 65535 records of one type");
                    break;
                }
                None => records.push(record.record),
            }
        }
        self.store.add_set(node, (kind, ttl.unwrap_or(0)), &records);
        self.records = records;
    }

    /// Gives the places of the records that are the same as one before them, in order.
    fn twins<'w>(&self, kind: u16, own: impl Iterator<Item = &'w Waiting> + Clone) -> Vec<usize> {
        let data = |record: &Waiting| self.store.kept(record.record.data);
        if own.clone().nth(1).is_none() {
            return Vec::new();
        }
        let mut sorted: Vec<(Cow<'_, [u8]>, usize)> = own
            .enumerate()
            .map(|(at, record)| (canonical(kind, data(record)), at))
            .collect();
        sorted.sort_unstable();
        let same = sorted.windows(2).filter(|pair| pair[0].0 == pair[1].0);
        let mut twins: Vec<usize> = same.map(|pair| pair[1].1).collect();
        twins.sort_unstable();
        twins
    }

    fn complain(&mut self, record: &Waiting, node: u32, what: &str) {
        let name = self.store.node(node, &self.origin).name();
        let place = self.place(record);
        self.notes.mistake(place, format!("{name}: {what}"), "");
    }

    fn place(&self, waiting: &Waiting) -> Place {
        Place {
            file: self.store.path(waiting.record.file).to_path_buf(),
            line: waiting.record.line as usize,
            column: usize::from(waiting.column),
        }
    }

    /// Gives the TTL of negative answers (RFC 2308 section 3).
    fn negative_ttl(&self) -> u32 {
        let apex: Node<'_> = self.store.node(0, &self.origin);
        let soa = apex.set(RecordType::SOA);
        soa.map_or(0, |soa| {
            let minimum = soa_minimum(soa.first()).unwrap_or(0);
            soa.ttl().min(minimum)
        })
    }
}

/// Gives data with the name at its end in lower case: names are the same whatever their case.
fn canonical(kind: u16, data: &[u8]) -> Cow<'_, [u8]> {
    match checks::target_place(kind.into()) {
        Some(start) if data.iter().skip(start).any(u8::is_ascii_uppercase) => {
            let mut lower = data.to_vec();
            lower[start..].make_ascii_lowercase();
            Cow::Owned(lower)
        }
        _ => Cow::Borrowed(data),
    }
}

/// Gives a name in wire form as text.
fn shown(name: &[u8]) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_name(&mut text, name);
    text
}

/// Tells why a record of this type cannot stand beside those that a name already has.
fn clash(kinds: &[u16], kind: u16) -> Option<&'static str> {
    // Signatures and proofs of absence may stand beside a CNAME (RFC 4034 sections 3 and 4).
    let is_free =
        |kind: u16| matches!(RecordType::from(kind), RecordType::RRSIG | RecordType::NSEC);
    let alias = u16::from(RecordType::CNAME);
    if kind == alias {
        let other = kinds.iter().any(|kind| !is_free(*kind));
        return other.then_some("a CNAME beside other data (RFC 1034 section 3.6.2)");
    }
    let beside = kinds.contains(&alias) && !is_free(kind);
    beside.then_some("other data beside a CNAME (RFC 1034 section 3.6.2)")
}
