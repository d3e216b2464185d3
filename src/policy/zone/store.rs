//! What a zone is kept in: a tree of labels in a few flat tables, whatever its size.
//!
//! A node is found by its parent and its label, so the walk from the apex down that a lookup needs
//! anyway (RFC 1034 section 4.3.2) costs one probe a label, and a name that does not exist ends at
//! the first label that is missing. Nothing is moved once it is built. A million records with file
//! and line take about seventy bytes each.

mod node;

use std::path::Path;
use std::sync::Arc;

use hickory_proto::rr::RecordType;

use crate::policy::name::{Key, Name};

pub(super) use self::node::Above;
pub use self::node::{Item, Node, Set};

/// No node: above the apex.
const NONE: u32 = u32::MAX;

/// How full the table of nodes is at most, in eighths.
const FULL_EIGHTHS: usize = 6;

/// How many places the table has at first; always a power of two.
const TABLE_MIN: usize = 64;

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
    /// Seven bits of the hash of each node in the table and a bit that is set, or 0 where none is:
    /// nearly every look at a node that is not the one is spared.
    tags: Vec<u8>,
}

/// A name. What most answers need of it is here: half a line of the processor's cache, while each
/// look elsewhere in a large zone is one at memory.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
struct NodeEntry {
    parent: u32,
    label: u32,
    /// Where its sets begin but for the first.
    sets: u32,
    count: u8,
    flags: u8,
    /// Its first set, if it has one.
    set: SetEntry,
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
        let mut store = Self {
            table: vec![NONE; TABLE_MIN],
            tags: vec![0; TABLE_MIN],
            ..Self::default()
        };
        store.push(NONE, &[]);
        store
    }

    /// Finds the child of a node with this label, which is in lower case.
    pub(super) fn child(&self, parent: u32, label: &[u8]) -> Option<u32> {
        self.probe(parent, label).ok()
    }

    /// Finds a node, or the place in the table where it belongs and its tag.
    fn probe(&self, parent: u32, label: &[u8]) -> Result<u32, (usize, u8)> {
        let mask = self.tags.len() - 1;
        let (hash, tag) = hash(parent, label);
        let mut at = hash & mask;
        loop {
            let found = self.tags[at];
            if found == 0 {
                return Err((at, tag));
            }
            if found == tag {
                let index = self.table[at];
                let node = &self.nodes[index as usize];
                if node.parent == parent && self.label(node) == label {
                    return Ok(index);
                }
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
        let (at, tag) = match self.probe(parent, lower) {
            Ok(index) => return index,
            Err(free) => free,
        };
        let index = self.push(parent, label);
        if *lower == *b"*" {
            self.nodes[parent as usize].flags |= WILD;
        }
        self.table[at] = index;
        self.tags[at] = tag;
        if (self.nodes.len() + 1) * 8 > self.table.len() * FULL_EIGHTHS {
            self.grow();
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
            set: SetEntry::default(),
        });
        index
    }

    fn grow(&mut self) {
        let size = self.table.len() * 2;
        // The old ones go first, so that there are never two.
        self.table = Vec::new();
        self.tags = Vec::new();
        self.table = vec![NONE; size];
        self.tags = vec![0; size];
        for (index, node) in (0..).zip(&self.nodes).skip(1) {
            let (hash, tag) = hash(node.parent, self.label(node));
            let mut at = hash & (size - 1);
            while self.tags[at] != 0 {
                at = (at + 1) & (size - 1);
            }
            self.table[at] = index;
            self.tags[at] = tag;
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
            .map_or_else(|| Path::new(""), AsRef::as_ref)
    }

    /// Begins the sets of a node.
    pub(super) fn begin_sets(&mut self, node: u32) {
        self.nodes[node as usize].sets = place(self.sets.len());
    }

    /// Adds a set to the node whose sets were begun last, and gives what its records go into.
    pub(super) fn add_set(&mut self, node: u32, (kind, ttl): (u16, u32), records: &[RecordEntry]) {
        let record_type = RecordType::from(kind);
        let data = records.first().map_or(0, |record| record.data);
        let is_address = record_type == RecordType::A;
        let address = is_address.then(|| self.kept(data).try_into().ok());
        let address: Option<[u8; 4]> = address.flatten();
        let first = place(self.records.len());
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

/// Hashes a parent and a label, eight octets at a time; gives where to begin to look, and the tag.
fn hash(parent: u32, label: &[u8]) -> (usize, u8) {
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
    // Once more, so that each octet reaches the bits that are used.
    state = mix(state, FACTOR);
    let [tag, ..] = state.to_be_bytes();
    (usize::try_from(state).unwrap_or(0), tag | 0x80)
}
