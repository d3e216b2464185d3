//! Makes a zone of the records that were read, and tells every reason why they are none.

use std::collections::BTreeMap;

use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::model::mistake::{Files, Place};
use crate::model::topology::ZoneSource;

use super::reader::{self, Notes, Read};
use super::text::{self, type_word};
use super::{Item, Key, Loaded, Node, Set, Zone};

/// Reads and builds.
pub(super) fn load(source: &ZoneSource, files: &dyn Files) -> Loaded {
    let top = || Place {
        file: source.file.clone(),
        line: 1,
        column: 1,
    };
    let origin = match text::name(&source.origin, &Name::root()) {
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
    let (records, notes) = reader::read(&source.file, &origin, files);
    build(origin, records, notes, top())
}

/// Makes a zone of records, `top` being where the whole is complained about.
pub(super) fn build(origin: Name, records: Vec<Read>, notes: Notes, top: Place) -> Loaded {
    let mut builder = Builder {
        key: Key::new(&origin),
        origin,
        nodes: BTreeMap::new(),
        notes,
    };
    for record in records {
        builder.add(record);
    }
    // A record that could not be read may be the one that is missing below.
    let clean = builder.notes.mistakes.is_empty();
    let soa = builder.soa();
    if clean {
        builder.check_apex(top);
    }
    builder.check_nodes();
    let mut notes = builder.notes;
    notes.mistakes.sort();
    notes.warnings.sort();
    let zone = soa
        .filter(|_| notes.mistakes.is_empty())
        .map(|negative| Zone {
            apex: builder.key.labels(),
            origin: builder.origin,
            nodes: builder.nodes,
            negative,
        });
    Loaded {
        zone,
        mistakes: notes.mistakes,
        warnings: notes.warnings,
    }
}

/// How many records one name and type may have; BIND's `max-records-per-type` by default.
const SET_MAX: usize = 100;

/// How many types one name may have; BIND's `max-types-per-name` by default.
const TYPES_MAX: usize = 100;

struct Builder {
    origin: Name,
    key: Key,
    nodes: BTreeMap<Box<[u8]>, Node>,
    notes: Notes,
}

impl Builder {
    fn add(&mut self, read: Read) {
        let key = Key::new(&read.owner);
        let place = Place {
            file: read.file.to_path_buf(),
            line: read.line,
            column: read.column,
        };
        if !key.is_under(&self.key) {
            let what = format!("{} is not in the zone {}", read.owner, self.origin);
            let cure = "a final dot that is missing or too much?";
            self.notes.mistake(place, what, cure);
            return;
        }
        let record_type = read.data.record_type();
        let apex = key.labels() == self.key.labels();
        if record_type == RecordType::SOA && !apex {
            let what = format!("an SOA at {}, not at the apex {}", read.owner, self.origin);
            self.notes.mistake(place, what, "");
            return;
        }
        let node = self.node(&key, &read.owner);
        if let Some(clash) = clash(node, &read.data) {
            let what = format!("{}: {clash}", read.owner);
            self.notes.mistake(place, what, "");
            return;
        }
        let full = match node.set(record_type) {
            Some(set) => set.items.len() == SET_MAX,
            None => node.sets.len() == TYPES_MAX,
        };
        if full {
            let what = format!("{}: more than {SET_MAX} records or types", read.owner);
            self.notes
                .mistake(place, what, "spread them over more names");
            return;
        }
        let mut record = Record::from_rdata(read.owner, read.ttl, read.data);
        let Some(set) = node
            .sets
            .iter_mut()
            .find(|set| set.record_type == record_type)
        else {
            let (file, line) = (read.file, read.line);
            node.sets.push(Set {
                record_type,
                items: vec![Item { record, file, line }],
            });
            return;
        };
        let first = set.items.first().map_or(read.ttl, |item| item.record.ttl);
        record.ttl = first;
        if !set.items.iter().any(|item| item.record.data == record.data) {
            let (file, line) = (read.file, read.line);
            set.items.push(Item { record, file, line });
        }
        if first != read.ttl {
            let what = format!(
                "TTL {} differs from the {first} of the other {} records here",
                read.ttl,
                type_word(record_type)
            );
            let cure = "the first is used for all (RFC 2181 section 5.2)";
            self.notes.warning(place, what, cure);
        }
    }

    /// Finds or makes a node, and the empty ones above it.
    fn node(&mut self, key: &Key, name: &Name) -> &mut Node {
        for labels in self.key.labels()..key.labels() {
            let above = key.ancestor(labels);
            if !self.nodes.contains_key(above) {
                let name = name.trim_to(labels);
                let sets = Vec::new();
                self.nodes.insert(above.into(), Node { name, sets });
            }
        }
        let node = self
            .nodes
            .entry(key.whole().into())
            .or_insert_with(|| Node {
                name: name.clone(),
                sets: Vec::new(),
            });
        if node.sets.is_empty() {
            node.name.clone_from(name);
        }
        node
    }

    /// Gives the SOA for negative answers.
    fn soa(&self) -> Option<Item> {
        let set = self.nodes.get(self.key.whole())?.set(RecordType::SOA)?;
        let mut item = set.items.first()?.clone();
        if let RData::SOA(soa) = &item.record.data {
            item.record.ttl = item.record.ttl.min(soa.minimum);
        }
        Some(item)
    }

    fn check_apex(&mut self, top: Place) {
        let apex = self.nodes.get(self.key.whole());
        let has = |record_type| apex.is_some_and(|node| node.set(record_type).is_some());
        let (soa, ns) = (has(RecordType::SOA), has(RecordType::NS));
        if !soa {
            let what = format!("the zone {} has no SOA", self.origin);
            let cure = "begin with `@ SOA ns1 hostmaster 1 1h 10m 1d 1m`";
            self.notes.mistake(top, what, cure);
        } else if !ns {
            let what = format!("the zone {} has no NS at its apex", self.origin);
            self.notes.mistake(top, what, "add `@ NS ns1`");
        }
    }

    /// Warns of what is served but looks wrong.
    fn check_nodes(&mut self) {
        let mut warnings = Vec::new();
        for node in self.nodes.values() {
            for set in &node.sets {
                let address = matches!(set.record_type, RecordType::A | RecordType::AAAA);
                let underscore = node.name.iter().any(|label| label.contains(&b'_'));
                if let (true, true, Some(item)) = (address, underscore, set.items.first()) {
                    let what = format!("underscore-in-name: {} has an address", node.name);
                    let cure = "a host name has letters, digits and hyphens (RFC 1123 \
                                section 2.1); some clients refuse it";
                    warnings.push((place(item), what, cure));
                }
                for item in &set.items {
                    if let Some(name) = self.without_dot(item) {
                        let what = format!("final-dot-missing: {name} holds the origin twice");
                        let cure = "end a whole name with a dot, or write it without the origin";
                        warnings.push((place(item), what, cure));
                    }
                    if let Some(target) = self.without_address(item) {
                        let what = format!("no address for the name server {target}");
                        warnings.push((place(item), what, "add its A or AAAA record"));
                    }
                }
            }
        }
        for (place, what, cure) in warnings {
            self.notes.warning(place, what, cure);
        }
    }

    /// Gives the owner or the target of a record that ends with the origin twice, as a whole name
    /// does that was written without its final dot. An origin of one label is too short to tell.
    fn without_dot<'a>(&self, item: &'a Item) -> Option<&'a Name> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "few types name a host")]
        let target = match &item.record.data {
            RData::CNAME(target) => Some(&target.0),
            RData::NS(target) => Some(&target.0),
            RData::PTR(target) => Some(&target.0),
            RData::MX(mx) => Some(&mx.exchange),
            RData::SRV(srv) => Some(&srv.target),
            _ => None,
        };
        let twice = self.origin.clone().append_name(&self.origin).ok()?;
        let twice = Key::new(&twice);
        let names = [Some(&item.record.name), target].into_iter().flatten();
        let mut names = names.filter(|name| Key::new(name).is_under(&twice));
        names.next().filter(|_| self.key.labels() > 1)
    }

    /// Gives the target of an NS when this zone should have its address and has none.
    fn without_address<'a>(&self, item: &'a Item) -> Option<&'a Name> {
        let RData::NS(target) = &item.record.data else {
            return None;
        };
        let key = Key::new(&target.0);
        let owner = Key::new(&item.record.name);
        let above = (self.key.labels() + 1..=key.labels()).any(|labels| {
            key.ancestor(labels) != owner.whole()
                && self
                    .nodes
                    .get(key.ancestor(labels))
                    .is_some_and(|node| node.set(RecordType::NS).is_some())
        });
        let node = self.nodes.get(key.whole());
        let missing = node.is_none_or(|node| {
            node.set(RecordType::A).is_none() && node.set(RecordType::AAAA).is_none()
        });
        let wildcard = (self.key.labels()..key.labels())
            .any(|labels| self.nodes.contains_key(key.wildcard(labels).whole()));
        // Below another zone's cut the address is that zone's to give.
        (key.is_under(&self.key) && !above && !wildcard && missing).then_some(&target.0)
    }
}

fn place(item: &Item) -> Place {
    Place {
        file: item.file.to_path_buf(),
        line: item.line,
        column: 1,
    }
}

/// Tells why a record cannot stand beside those that a name already has.
fn clash(node: &Node, data: &RData) -> Option<&'static str> {
    let twin = |set: &Set| set.items.iter().any(|item| item.record.data == *data);
    let alias = node.set(RecordType::CNAME);
    if let RData::CNAME(_) = data {
        return match alias {
            Some(set) if twin(set) => None,
            Some(_) => Some("a second CNAME (RFC 1034 section 3.6.2)"),
            None if node.sets.is_empty() => None,
            None => Some("a CNAME beside other data (RFC 1034 section 3.6.2)"),
        };
    }
    if alias.is_some() {
        return Some("other data beside a CNAME (RFC 1034 section 3.6.2)");
    }
    let soa = node.set(RecordType::SOA);
    let second = matches!(data, RData::SOA(_)) && soa.is_some_and(|set| !twin(set));
    second.then_some("a second SOA")
}
