//! Handles of names and record sets: a store and a place in it.

use std::path::Path;

use hickory_proto::rr::RecordType;

use super::{ADDRESS, CUT, DNAME, NodeEntry, SetEntry, Store, WILD};
use crate::policy::name::Name;
use crate::policy::zone::type_word;

/// A name of a zone and what it owns; nothing when it only has names below it.
#[derive(Clone, Copy)]
pub struct Node<'z> {
    pub(super) store: &'z Store,
    pub(super) index: u32,
    pub(super) origin: &'z Name,
}

/// What a name's labels are like, and what is above it.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::policy::zone) struct Above {
    /// A label but the first is `*`.
    pub(in crate::policy::zone) asterisk: bool,
    /// It is below a cut.
    pub(in crate::policy::zone) cut: bool,
    /// It is below a DNAME.
    pub(in crate::policy::zone) dname: bool,
    /// A label has an octet that host names do not.
    pub(in crate::policy::zone) odd: bool,
    /// A label has an underscore.
    pub(in crate::policy::zone) underscore: bool,
}

/// The records of one name and type, at least one, all with one TTL (RFC 2181 section 5).
#[derive(Clone, Copy)]
pub struct Set<'z> {
    store: &'z Store,
    node: u32,
    /// Which set of the node.
    place: u8,
}

/// A record's data and where it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'z> {
    /// The data, in wire form without compression.
    pub data: &'z [u8],
    /// The file.
    pub file: &'z Path,
    /// The line, from 1.
    pub line: usize,
}

impl<'z> Node<'z> {
    fn entry(&self) -> &'z NodeEntry {
        &self.store.nodes[self.index as usize]
    }

    pub(in crate::policy::zone) const fn index(&self) -> u32 {
        self.index
    }

    pub(in crate::policy::zone) fn has(&self, flag: u8) -> bool {
        self.entry().flags & flag != 0
    }

    /// Gives its name as the zone file writes it.
    pub fn name(&self) -> Name {
        if self.is_apex() {
            return *self.origin;
        }
        let mut index = self.index;
        let labels = std::iter::from_fn(|| {
            let entry = (index != 0).then(|| &self.store.nodes[index as usize])?;
            index = entry.parent;
            Some(self.store.written(entry))
        });
        Name::from_labels(labels.chain(self.origin.labels())).unwrap_or(Name::ROOT)
    }

    /// Gives its sets, in the order of the file.
    pub fn sets(&self) -> impl ExactSizeIterator<Item = Set<'z>> + use<'z> {
        let (store, node) = (self.store, self.index);
        (0..self.entry().count).map(move |place| Set { store, node, place })
    }

    /// Finds the set of a type.
    pub fn set(&self, record_type: RecordType) -> Option<Set<'z>> {
        let kind = u16::from(record_type);
        self.sets().find(|set| set.entry().kind == kind)
    }

    /// Gives the `*` right below it.
    pub(in crate::policy::zone) fn wildcard(&self) -> Option<Self> {
        let index = self.has(WILD).then(|| self.store.child(self.index, b"*"));
        Some(Self {
            index: index??,
            ..*self
        })
    }

    pub(in crate::policy::zone) const fn is_apex(&self) -> bool {
        self.index == 0
    }

    /// Looks at its labels below the origin, and at the names above it.
    pub(in crate::policy::zone) fn above(&self) -> Above {
        let mut above = Above::default();
        let mut index = self.index;
        while index != 0 {
            let entry = &self.store.nodes[index as usize];
            let label = self.store.label(entry);
            if label == b"*" {
                above.asterisk |= index != self.index;
                above.odd |= index != self.index;
            } else {
                above.underscore |= label.contains(&b'_');
                let plain = |octet: &u8| octet.is_ascii_alphanumeric() || *octet == b'-';
                above.odd |= !label.iter().all(plain);
            }
            index = entry.parent;
            let flags = self.store.nodes[index as usize].flags;
            above.cut |= flags & CUT != 0;
            above.dname |= flags & DNAME != 0;
        }
        above
    }

    /// Tells whether it is the other node of its zone or below it.
    pub(in crate::policy::zone) fn is_under(&self, other: &Self) -> bool {
        let mut index = self.index;
        while index != other.index {
            if index == 0 {
                return false;
            }
            index = self.store.nodes[index as usize].parent;
        }
        true
    }

    /// Tells whether it is the same node of the same zone.
    pub fn is(&self, other: &Self) -> bool {
        std::ptr::eq(self.store, other.store) && self.index == other.index
    }
}

impl<'z> Set<'z> {
    fn entry(&self) -> &'z SetEntry {
        let node = &self.store.nodes[self.node as usize];
        match usize::from(self.place).checked_sub(1) {
            None => &node.set,
            Some(further) => &self.store.sets[node.places().1 + further],
        }
    }

    /// Gives the type.
    pub fn record_type(&self) -> RecordType {
        self.entry().kind.into()
    }

    /// Gives the type's number.
    pub fn code(&self) -> u16 {
        self.entry().kind
    }

    /// Gives the TTL of every record, in seconds.
    pub fn ttl(&self) -> u32 {
        self.entry().ttl
    }

    /// Gives the records, in the order of the file.
    pub fn items(&self) -> impl ExactSizeIterator<Item = Item<'z>> + use<'z> {
        let entry = self.entry();
        let store = self.store;
        let first = entry.first as usize;
        let records = &store.records[first..first + usize::from(entry.count)];
        records.iter().map(move |record| Item {
            data: store.kept(record.data),
            file: store.path(record.file),
            line: record.line as usize,
        })
    }

    /// Gives the first record's data; a set is never empty.
    pub fn first(&self) -> &'z [u8] {
        let entry = self.entry();
        let flags = self.store.nodes[self.node as usize].flags;
        if self.place == 0 && flags & ADDRESS != 0 {
            return &entry.data;
        }
        self.store.kept(u32::from_ne_bytes(entry.data))
    }

    /// Gives the data of the records, in the order of the file, without a look at where they were
    /// written.
    pub fn data(&self) -> impl Iterator<Item = &'z [u8]> + use<'z> {
        let entry = self.entry();
        let store = self.store;
        let first = entry.first as usize;
        let others = first + 1..first + usize::from(entry.count);
        let others = others.map(move |record| store.kept(store.records[record].data));
        std::iter::once(self.first()).chain(others)
    }

    /// Gives the name that a CNAME or DNAME points to.
    pub fn target(&self) -> Option<Name> {
        let alias = matches!(self.record_type(), RecordType::CNAME | RecordType::DNAME);
        alias.then(|| Name::from_wire(self.first())).flatten()
    }
}

impl std::fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.name())
    }
}

impl std::fmt::Debug for Set<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", type_word(self.record_type()), self.ttl())
    }
}
