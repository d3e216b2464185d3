//! What a zone is kept in: a tree of labels in a few flat tables, whatever its size.
//!
//! A node is found by its parent and its label, so the walk from the apex down that a lookup needs
//! anyway (RFC 1034 section 4.3.2) costs one probe a label, and a name that does not exist ends at
//! the first label that is missing. Nothing is moved once it is built. A million records with file
//! and line take about seventy bytes each.

use std::path::Path;
use std::sync::Arc;

use hickory_proto::rr::RecordType;

use crate::policy::name::{Key, Name};

/// No node: where the table is empty, and above the apex.
const NONE: u32 = u32::MAX;

/// How full the table of nodes is at most, in eighths.
const FULL_EIGHTHS: usize = 6;

/// The node has NS records and is not the apex.
pub(super) const CUT: u8 = 1;
/// There is a `*` below it.
pub(super) const WILD: u8 = 2;
/// It has a DNAME.
pub(super) const DNAME: u8 = 4;
/// Its label is written with capitals, which follow the lower case in the arena.
const CASED: u8 = 8;

/// The tables.
#[derive(Debug, Default)]
pub(super) struct Store {
    nodes: Vec<NodeEntry>,
    sets: Vec<SetEntry>,
    records: Vec<RecordEntry>,
    /// A length, the label in lower case, and as it was written where that differs.
    labels: Vec<u8>,
    /// A length of two octets, and the data in wire form.
    data: Vec<u8>,
    files: Vec<Arc<Path>>,
    /// Nodes by the hash of parent and label; open addressing.
    table: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct NodeEntry {
    parent: u32,
    label: u32,
    sets: u32,
    count: u8,
    flags: u8,
}

#[derive(Clone, Copy, Debug)]
struct SetEntry {
    first: u32,
    ttl: u32,
    kind: u16,
    count: u16,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct RecordEntry {
    pub(super) data: u32,
    pub(super) line: u32,
    pub(super) file: u16,
}

/// A name of a zone and what it owns; nothing when it only has names below it.
#[derive(Clone, Copy)]
pub struct Node<'z> {
    store: &'z Store,
    index: u32,
    origin: &'z Name,
}

/// What a name's labels are like, and what is above it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Above {
    /// A label but the first is `*`.
    pub(super) asterisk: bool,
    /// It is below a cut.
    pub(super) cut: bool,
    /// It is below a DNAME.
    pub(super) dname: bool,
    /// A label has an octet that host names do not.
    pub(super) odd: bool,
    /// A label has an underscore.
    pub(super) underscore: bool,
}

/// The records of one name and type, at least one, all with one TTL (RFC 2181 section 5).
#[derive(Clone, Copy)]
pub struct Set<'z> {
    store: &'z Store,
    index: u32,
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

impl Store {
    /// Makes a store with the apex as its first node.
    pub(super) fn new() -> Self {
        let mut store = Self {
            table: vec![NONE; 64],
            ..Self::default()
        };
        store.push(NONE, &[]);
        store
    }

    /// Finds the child of a node with this label, which is in lower case.
    pub(super) fn child(&self, parent: u32, label: &[u8]) -> Option<u32> {
        let mask = self.table.len() - 1;
        let mut at = hash(parent, label) & mask;
        loop {
            let index = self.table[at];
            if index == NONE {
                return None;
            }
            let node = &self.nodes[index as usize];
            if node.parent == parent && self.label(node) == label {
                return Some(index);
            }
            at = (at + 1) & mask;
        }
    }

    /// Finds or makes the child of a node; `label` is as it was written.
    pub(super) fn make_child(&mut self, parent: u32, label: &[u8]) -> u32 {
        let mut lower = [0; 63];
        let lower = &mut lower[..label.len()];
        lower.copy_from_slice(label);
        lower.make_ascii_lowercase();
        if let Some(index) = self.child(parent, lower) {
            return index;
        }
        let index = self.push(parent, label);
        if *lower == *b"*" {
            self.nodes[parent as usize].flags |= WILD;
        }
        if (self.nodes.len() + 1) * 8 > self.table.len() * FULL_EIGHTHS {
            self.grow();
        } else {
            self.enter(index);
        }
        index
    }

    fn push(&mut self, parent: u32, label: &[u8]) -> u32 {
        let index = place(self.nodes.len());
        let start = place(self.labels.len());
        self.labels.push(u8::try_from(label.len()).unwrap_or(63));
        self.labels.extend(label.iter().map(u8::to_ascii_lowercase));
        let cased = label.iter().any(u8::is_ascii_uppercase);
        if cased {
            self.labels.extend(label);
        }
        self.nodes.push(NodeEntry {
            parent,
            label: start,
            sets: 0,
            count: 0,
            flags: if cased { CASED } else { 0 },
        });
        index
    }

    fn enter(&mut self, index: u32) {
        let node = self.nodes[index as usize];
        let mask = self.table.len() - 1;
        let mut at = hash(node.parent, self.label(&node)) & mask;
        while self.table[at] != NONE {
            at = (at + 1) & mask;
        }
        self.table[at] = index;
    }

    fn grow(&mut self) {
        let size = self.table.len() * 2;
        // The old one goes first, so that there are never two.
        self.table = Vec::new();
        self.table = vec![NONE; size];
        for index in 1..self.nodes.len() {
            self.enter(place(index));
        }
    }

    fn label(&self, node: &NodeEntry) -> &[u8] {
        let start = node.label as usize;
        let length = usize::from(self.labels[start]);
        &self.labels[start + 1..start + 1 + length]
    }

    /// Gives the label as it was written.
    fn written(&self, node: &NodeEntry) -> &[u8] {
        let lower = self.label(node);
        if node.flags & CASED == 0 {
            return lower;
        }
        let start = node.label as usize + 1 + lower.len();
        &self.labels[start..start + lower.len()]
    }

    /// Keeps record data; gives its place, or `None` when the store is full.
    pub(super) fn keep(&mut self, data: &[u8]) -> Option<u32> {
        let start = u32::try_from(self.data.len()).ok()?;
        let length = u16::try_from(data.len()).ok()?;
        self.data.extend(length.to_be_bytes());
        self.data.extend(data);
        Some(start)
    }

    /// Gives record data that was kept.
    pub(super) fn kept(&self, start: u32) -> &[u8] {
        let start = start as usize;
        let length = u16::from_be_bytes([self.data[start], self.data[start + 1]]);
        &self.data[start + 2..start + 2 + usize::from(length)]
    }

    /// Takes a file; gives its number.
    pub(super) fn file(&mut self, path: &Arc<Path>) -> u16 {
        let known = self.files.last().filter(|file| *file == path);
        let known = known.map(|_| self.files.len() - 1);
        let known = known.or_else(|| self.files.iter().position(|file| file == path));
        let index = known.unwrap_or_else(|| {
            self.files.push(Arc::clone(path));
            self.files.len() - 1
        });
        u16::try_from(index).unwrap_or(u16::MAX)
    }

    pub(super) fn path(&self, file: u16) -> &Path {
        self.files
            .get(usize::from(file))
            .map_or(Path::new(""), AsRef::as_ref)
    }

    /// Begins the sets of a node.
    pub(super) fn begin_sets(&mut self, node: u32) {
        self.nodes[node as usize].sets = place(self.sets.len());
    }

    /// Adds a set to the node whose sets were begun last, and gives what its records go into.
    pub(super) fn add_set(&mut self, node: u32, (kind, ttl): (u16, u32), records: &[RecordEntry]) {
        let entry = &mut self.nodes[node as usize];
        entry.count += 1;
        entry.flags |= match RecordType::from(kind) {
            RecordType::NS if node > 0 => CUT,
            RecordType::DNAME => DNAME,
            _ => 0,
        };
        self.sets.push(SetEntry {
            first: place(self.records.len()),
            ttl,
            kind,
            count: u16::try_from(records.len()).unwrap_or(u16::MAX),
        });
        self.records.extend(records);
    }

    /// Gives back what was reserved and not needed.
    pub(super) fn shrink(&mut self) {
        self.nodes.shrink_to_fit();
        self.sets.shrink_to_fit();
        self.records.shrink_to_fit();
        self.labels.shrink_to_fit();
        self.data.shrink_to_fit();
    }

    /// Counts the nodes.
    pub(super) const fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Counts the records.
    pub(super) const fn records(&self) -> usize {
        self.records.len()
    }

    pub(super) const fn node<'z>(&'z self, index: u32, origin: &'z Name) -> Node<'z> {
        Node {
            store: self,
            index,
            origin,
        }
    }

    /// Walks from the apex to a name whose apex part was compared; `None` when it does not exist.
    pub(super) fn find(&self, key: &Key, apex: usize) -> Option<u32> {
        let mut index = 0;
        for place in apex..key.labels() {
            index = self.child(index, key.label(place))?;
        }
        Some(index)
    }
}

/// Places are counted with 32 bits; the reader refuses zones before they get there.
fn place(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(NONE - 1)
}

/// Hashes a parent and a label, eight octets at a time.
fn hash(parent: u32, label: &[u8]) -> usize {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |state: u64, word: u64| {
        let wide = u128::from(state ^ word) * u128::from(FACTOR);
        let low = u64::try_from(wide & u128::from(u64::MAX)).unwrap_or(0);
        let high = u64::try_from(wide >> 64).unwrap_or(0);
        low ^ high
    };
    let mut state = mix(FACTOR, u64::from(parent) | (label.len() as u64) << 32);
    let mut words = label.chunks_exact(8);
    for word in &mut words {
        let word = word.try_into().map_or(0, u64::from_le_bytes);
        state = mix(state, word);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        let mut word = [0; 8];
        word[..rest.len()].copy_from_slice(rest);
        state = mix(state, u64::from_le_bytes(word));
    }
    usize::try_from(state).unwrap_or(0)
}

impl<'z> Node<'z> {
    fn entry(&self) -> &'z NodeEntry {
        &self.store.nodes[self.index as usize]
    }

    pub(super) const fn index(&self) -> u32 {
        self.index
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.entry().flags & flag != 0
    }

    /// Gives its name as the zone file writes it.
    pub fn name(&self) -> Name {
        let mut labels = Vec::new();
        let mut index = self.index;
        while index != 0 {
            let entry = &self.store.nodes[index as usize];
            labels.push(self.store.written(entry));
            index = entry.parent;
        }
        Name::from_labels(labels.into_iter().chain(self.origin.labels())).unwrap_or(Name::ROOT)
    }

    /// Gives its sets, in the order of the file.
    pub fn sets(&self) -> impl ExactSizeIterator<Item = Set<'z>> + use<'z> {
        let entry = self.entry();
        let store = self.store;
        (entry.sets..entry.sets + u32::from(entry.count)).map(move |index| Set { store, index })
    }

    /// Finds the set of a type.
    pub fn set(&self, record_type: RecordType) -> Option<Set<'z>> {
        let kind = u16::from(record_type);
        self.sets().find(|set| set.entry().kind == kind)
    }

    /// Gives the `*` right below it.
    pub(super) fn wildcard(&self) -> Option<Self> {
        let index = self.has(WILD).then(|| self.store.child(self.index, b"*"));
        Some(Self {
            index: index??,
            ..*self
        })
    }

    pub(super) const fn is_apex(&self) -> bool {
        self.index == 0
    }

    /// Looks at its labels below the origin, and at the names above it.
    pub(super) fn above(&self) -> Above {
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
    pub(super) fn is_under(&self, other: &Self) -> bool {
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
        &self.store.sets[self.index as usize]
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
        let record = self.store.records[self.entry().first as usize];
        self.store.kept(record.data)
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
        write!(f, "{} {}", super::type_word(self.record_type()), self.ttl())
    }
}
