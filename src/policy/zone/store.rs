//! What a zone is kept in: a tree of labels in a few flat tables, whatever its size.
//!
//! A node is found by its parent and its label, so the walk from the apex down that a lookup needs
//! anyway (RFC 1034 section 4.3.2) costs one probe a label, and a name that does not exist ends at
//! the first label that is missing. Nothing is moved once it is built. A million records with file
//! and line take about seventy bytes each.

mod node;
mod table;

use std::path::Path;
use std::sync::Arc;

use hickory_proto::rr::RecordType;

use crate::policy::name::{Key, Name};

use self::table::{Free, Hash, Table};

pub(super) use self::node::Above;
pub use self::node::{Item, Node, Set};

/// No node: above the apex.
const NONE: u32 = u32::MAX;

/// The node has NS records and is not the apex.
pub(super) const CUT: u8 = 1;
/// There is a `*` below it.
pub(super) const WILD: u8 = 2;
/// It has a DNAME.
pub(super) const DNAME: u8 = 4;
/// Its label is written with capitals, which follow the lower case in the arena.
const CASED: u8 = 8;
/// The data of its first set is an address, and stands in the set itself.
const ADDRESS: u8 = 16;
/// Its label stands in the node itself.
const SHORT: u8 = 32;

/// How many octets a label in its node has at most.
const SHORT_MAX: usize = 8;

/// The tables.
#[derive(Debug, Default)]
pub(super) struct Store {
    nodes: Vec<NodeEntry>,
    sets: Vec<SetEntry>,
    records: Vec<RecordEntry>,
    /// Of nodes that are not [`SHORT`]: a length, the label in lower case, and as it was written where
    /// that differs.
    labels: Vec<u8>,
    /// A length of two octets, and the data in wire form.
    data: Vec<u8>,
    files: Vec<Arc<Path>>,
    /// Nodes by parent and label.
    table: Table,
}

/// A name. What most answers need of it is here: half a line of the processor's cache, while each
/// look elsewhere in a large zone is one at memory.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
struct NodeEntry {
    parent: u32,
    /// With [`SHORT`] its label. Otherwise where the label is, and where its sets begin but for the
    /// first, four octets each.
    text: [u8; SHORT_MAX],
    /// How long a [`SHORT`] label is.
    length: u8,
    /// How many sets it has.
    count: u8,
    flags: u8,
    /// Its first set, if it has one.
    set: SetEntry,
}

impl NodeEntry {
    /// Gives where its label is, and where its sets begin but for the first.
    fn places(&self) -> (usize, usize) {
        let [a, b, c, d, rest @ ..] = self.text;
        let place = |octets| u32::from_ne_bytes(octets) as usize;
        (place([a, b, c, d]), place(rest))
    }

    fn set_places(&mut self, label: u32, sets: u32) {
        let (first, second) = self.text.split_at_mut(SHORT_MAX / 2);
        first.copy_from_slice(&label.to_ne_bytes());
        second.copy_from_slice(&sets.to_ne_bytes());
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct SetEntry {
    first: u32,
    /// Where the data of the first record is; or, with [`ADDRESS`], that data.
    data: [u8; 4],
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

impl Store {
    /// Makes a store with the apex as its first node.
    pub(super) fn new() -> Self {
        let mut store = Self::default();
        store.push(NONE, &[]);
        store
    }

    /// Finds the child of a node with this label, which is in lower case.
    pub(super) fn child(&self, parent: u32, label: &[u8]) -> Option<u32> {
        self.probe(parent, label).ok()
    }

    /// Finds a node, or the place in the table where it belongs.
    fn probe(&self, parent: u32, label: &[u8]) -> Result<u32, Free> {
        self.table.find(Hash::new(parent, label), |index| {
            let node = &self.nodes[index as usize];
            node.parent == parent && self.label(node) == label
        })
    }

    /// Finds or makes the child of a node; `label` is as it was written.
    pub(super) fn make_child(&mut self, parent: u32, label: &[u8]) -> u32 {
        let mut lower = [0; 63];
        let lower = &mut lower[..label.len()];
        lower.copy_from_slice(label);
        lower.make_ascii_lowercase();
        let free = match self.probe(parent, lower) {
            Ok(index) => return index,
            Err(free) => free,
        };
        let index = self.push(parent, label);
        if *lower == *b"*" {
            self.nodes[parent as usize].flags |= WILD;
        }
        self.table.put(free, index);
        if self.table.is_full(self.nodes.len() + 1) {
            let mut table = std::mem::take(&mut self.table);
            let nodes = (0..).zip(&self.nodes).skip(1);
            table.grow(nodes.map(|(index, node)| {
                let hash = Hash::new(node.parent, self.label(node));
                (index, hash)
            }));
            self.table = table;
        }
        index
    }

    fn push(&mut self, parent: u32, label: &[u8]) -> u32 {
        let index = place(self.nodes.len());
        let cased = label.iter().any(u8::is_ascii_uppercase);
        let mut node = NodeEntry {
            parent,
            text: [0; SHORT_MAX],
            length: 0,
            count: 0,
            flags: if cased { CASED } else { 0 },
            set: SetEntry::default(),
        };
        match node.text.get_mut(..label.len()) {
            Some(text) if !cased => {
                text.copy_from_slice(label);
                node.length = u8::try_from(label.len()).unwrap_or(0);
                node.flags |= SHORT;
            }
            _ => {
                let start = self.keep_label(label);
                node.set_places(start, 0);
            }
        }
        self.nodes.push(node);
        index
    }

    /// Keeps a label outside its node; gives its place.
    fn keep_label(&mut self, label: &[u8]) -> u32 {
        let start = place(self.labels.len());
        self.labels.push(u8::try_from(label.len()).unwrap_or(63));
        self.labels.extend(label.iter().map(u8::to_ascii_lowercase));
        if label.iter().any(u8::is_ascii_uppercase) {
            self.labels.extend(label);
        }
        start
    }

    /// Makes room for the place of the sets of a node that gets a second one.
    fn begin_sets(&mut self, node: u32) {
        let entry = self.nodes[node as usize];
        let label = if entry.flags & SHORT != 0 {
            self.keep_label(&entry.text[..usize::from(entry.length)])
        } else {
            place(entry.places().0)
        };
        let entry = &mut self.nodes[node as usize];
        entry.flags &= !SHORT;
        entry.set_places(label, place(self.sets.len()));
    }

    fn label<'a>(&'a self, node: &'a NodeEntry) -> &'a [u8] {
        if node.flags & SHORT != 0 {
            return &node.text[..usize::from(node.length)];
        }
        let (start, _) = node.places();
        let length = usize::from(self.labels[start]);
        &self.labels[start + 1..start + 1 + length]
    }

    /// Gives the label as it was written.
    fn written<'a>(&'a self, node: &'a NodeEntry) -> &'a [u8] {
        let lower = self.label(node);
        if node.flags & CASED == 0 {
            return lower;
        }
        let start = node.places().0 + 1 + lower.len();
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
            .map_or_else(|| Path::new(""), AsRef::as_ref)
    }

    /// Adds a set to a node with its records. The sets of a node are added one after another.
    pub(super) fn add_set(&mut self, node: u32, (kind, ttl): (u16, u32), records: &[RecordEntry]) {
        let record_type = RecordType::from(kind);
        let data = records.first().map_or(0, |record| record.data);
        let is_address = record_type == RecordType::A;
        let address = is_address.then(|| self.kept(data).try_into().ok());
        let address: Option<[u8; 4]> = address.flatten();
        let first = place(self.records.len());
        if self.nodes[node as usize].count == 1 {
            self.begin_sets(node);
        }
        let entry = &mut self.nodes[node as usize];
        if record_type == RecordType::NS && node > 0 {
            entry.flags |= CUT;
        }
        if record_type == RecordType::DNAME {
            entry.flags |= DNAME;
        }
        let mut set = SetEntry {
            first,
            data: data.to_ne_bytes(),
            ttl,
            kind,
            count: u16::try_from(records.len()).unwrap_or(u16::MAX),
        };
        if entry.count > 0 {
            self.sets.push(set);
        } else {
            if let Some(address) = address {
                set.data = address;
                entry.flags |= ADDRESS;
            }
            entry.set = set;
        }
        entry.count += 1;
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
