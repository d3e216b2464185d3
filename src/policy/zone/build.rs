//! Makes a zone of the records that were read, and tells every reason why they are none.
//!
//! Records come one by one, in the order of the files; names become nodes at once, and when all are
//! there they are put together by node and type.

use std::path::Path;
use std::sync::Arc;

use hickory_proto::rr::RecordType;

use crate::model::mistake::{Files, Place};
use crate::model::topology::ZoneSource;
use crate::policy::name::{Key, Name};

use super::reader::{self, Notes, soa_minimum};
use super::store::{RecordEntry, Store};
use super::text::{self, type_word};
use super::{Loaded, Node, Zone};

mod checks;

/// How many records one name and type may have; BIND's `max-records-per-type` by default.
const SET_MAX: usize = 100;

/// How many types one name may have; BIND's `max-types-per-name` by default.
const TYPES_MAX: usize = 100;

/// Reads and builds.
pub(super) fn load(source: &ZoneSource, files: &dyn Files) -> Loaded {
    let top = || Place {
        file: source.file.clone(),
        line: 1,
        column: 1,
    };
    let origin = match text::name(&source.origin, &Name::ROOT) {
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
    pub(super) owner: &'a Name,
    pub(super) ttl: u32,
    pub(super) record_type: RecordType,
    /// In wire form.
    pub(super) data: &'a [u8],
    pub(super) file: &'a Arc<Path>,
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
    last: (Name, u32),
}

impl Builder {
    pub(super) fn new(origin: Name) -> Self {
        Self {
            key: Key::new(&origin),
            store: Store::new(),
            waiting: Vec::new(),
            notes: Notes::default(),
            last: (origin, 0),
            origin,
        }
    }

    pub(super) const fn origin(&self) -> &Name {
        &self.origin
    }

    pub(super) const fn notes(&mut self) -> &mut Notes {
        &mut self.notes
    }

    /// Adds a record.
    pub(super) fn add(&mut self, raw: &Raw<'_>) {
        let place = || Place {
            file: raw.file.to_path_buf(),
            line: raw.line,
            column: raw.column,
        };
        let Some(node) = self.node(raw.owner) else {
            let what = format!("{} is not in the zone {}", raw.owner, self.origin);
            let cure = "a final dot that is missing or too much?";
            self.notes.mistake(place(), what, cure);
            return;
        };
        if raw.record_type == RecordType::SOA && node != 0 {
            let what = format!("an SOA at {}, not at the apex {}", raw.owner, self.origin);
            self.notes.mistake(place(), what, "");
            return;
        }
        let Some(data) = self.store.keep(raw.data) else {
            self.notes
                .mistake(place(), String::from("the zone is too large"), "");
            return;
        };
        let file = self.store.file(raw.file);
        self.waiting.push(Waiting {
            node,
            ttl: raw.ttl,
            kind: raw.record_type.into(),
            column: u16::try_from(raw.column).unwrap_or(u16::MAX),
            record: RecordEntry {
                data,
                line: u32::try_from(raw.line).unwrap_or(u32::MAX),
                file,
            },
        });
    }

    /// Finds or makes the node of a name; `None` when it is not in the zone.
    fn node(&mut self, owner: &Name) -> Option<u32> {
        if self.last.0.wire() == owner.wire() {
            return Some(self.last.1);
        }
        let prefix = owner.wire().len().checked_sub(self.origin.wire().len())?;
        let (inner, outer) = owner.wire().split_at(prefix);
        if !outer.eq_ignore_ascii_case(self.origin.wire()) {
            return None;
        }
        let mut starts = [0_u8; crate::policy::name::LABELS_MAX];
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
        for start in starts[..labels]
            .iter()
            .rev()
            .map(|start| usize::from(*start))
        {
            let length = usize::from(inner[start]);
            node = self
                .store
                .make_child(node, &inner[start + 1..start + 1 + length]);
        }
        self.last = (*owner, node);
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
        self.store.begin_sets(node);
        let own = || own.iter().map(|index| &waiting[*index as usize]);
        let mut kinds: Vec<u16> = Vec::new();
        for record in own() {
            if kinds.contains(&record.kind) {
                continue;
            }
            if let Some(clash) = clash(&kinds, record.kind) {
                self.complain(record, node, clash);
            } else if kinds.len() == TYPES_MAX {
                self.complain(record, node, "more than 100 types");
                break;
            } else {
                kinds.push(record.kind);
            }
        }
        let mut records: Vec<RecordEntry> = Vec::new();
        for kind in kinds {
            records.clear();
            let mut ttl = None;
            for record in own().filter(|record| record.kind == kind) {
                let ttl = *ttl.get_or_insert(record.ttl);
                let data = self.store.kept(record.record.data);
                let mut known = records.iter().map(|known| self.store.kept(known.data));
                let twin = known.any(|known| known == data);
                match RecordType::from(kind) {
                    _ if twin => {}
                    RecordType::SOA if !records.is_empty() => {
                        self.complain(record, node, "a second SOA");
                    }
                    RecordType::CNAME if !records.is_empty() => {
                        self.complain(record, node, "a second CNAME");
                    }
                    RecordType::DNAME if !records.is_empty() => {
                        self.complain(record, node, "a second DNAME");
                    }
                    _ if records.len() == SET_MAX => {
                        self.complain(record, node, "more than 100 records of one type");
                        break;
                    }
                    _ => records.push(record.record),
                }
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
            }
            self.store.add_set(node, (kind, ttl.unwrap_or(0)), &records);
        }
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
