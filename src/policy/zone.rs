//! A zone: its records in the order of the tree, each with its file and line.
//!
//! In go master files; out come a zone that can be asked ([`lookup()`]), or every mistake, and
//! warnings. Empty non-terminals are nodes like others (RFC 4592 section 2.2.2). It serves no DNAME
//! and signs nothing.

mod build;
mod change;
mod data;
mod key;
mod lexer;
mod lookup;
mod reader;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::model::mistake::{Files, Mistake};
use crate::model::topology::ZoneSource;

pub use self::change::Unchanged;
pub use self::key::Key;
pub use self::lookup::{Found, lookup};
pub use self::reader::served_type;
pub use self::text::{data_words, read_name, read_type, type_word};

/// A zone that can be served.
#[derive(Debug)]
pub struct Zone {
    origin: Name,
    apex: usize,
    nodes: BTreeMap<Box<[u8]>, Node>,
    /// The SOA record as negative answers carry it: with the TTL of RFC 2308 section 3.
    negative: Item,
}

/// A name of a zone and what it owns; nothing when it only has names below it.
#[derive(Debug)]
pub struct Node {
    /// The name as the zone file writes it.
    pub name: Name,
    /// Its sets, in the order of the file.
    pub sets: Vec<Set>,
}

/// The records of one name and type, at least one, all with one TTL (RFC 2181 section 5).
#[derive(Debug)]
pub struct Set {
    /// The type.
    pub record_type: RecordType,
    /// The records.
    pub items: Vec<Item>,
}

/// A record and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The record.
    pub record: Record,
    /// The file.
    pub file: Arc<Path>,
    /// The line, from 1.
    pub line: usize,
}

/// What became of reading a zone.
#[derive(Debug)]
pub struct Loaded {
    /// The zone; `None` when there is a mistake.
    pub zone: Option<Zone>,
    /// What must be mended.
    pub mistakes: Vec<Mistake>,
    /// What is served but looks wrong.
    pub warnings: Vec<Mistake>,
}

impl Zone {
    /// Reads a zone from its master file and what that includes.
    pub fn load(source: &ZoneSource, files: &dyn Files) -> Loaded {
        build::load(source, files)
    }

    /// Gives the name of its apex.
    pub const fn origin(&self) -> &Name {
        &self.origin
    }

    /// Gives the SOA record for negative answers, its TTL clamped (RFC 2308 section 3).
    pub const fn negative(&self) -> &Item {
        &self.negative
    }

    /// Gives every name, empty non-terminals too, in canonical order.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// Gives every name with its key.
    pub fn nodes_by_key(&self) -> impl Iterator<Item = (&[u8], &Node)> {
        self.nodes.iter().map(|(key, node)| (&**key, node))
    }

    /// Finds a name, without regard to cuts above it.
    pub fn node(&self, key: &[u8]) -> Option<&Node> {
        self.nodes.get(key)
    }

    /// Counts the labels of the apex.
    pub const fn apex_labels(&self) -> usize {
        self.apex
    }

    /// Tells whether a name is at or below a cut of this zone.
    pub fn is_cut_off(&self, key: &Key) -> bool {
        (self.apex + 1..=key.labels()).any(|labels| {
            self.node(key.ancestor(labels))
                .is_some_and(|node| node.set(RecordType::NS).is_some())
        })
    }
}

impl Node {
    /// Finds the set of a type.
    pub fn set(&self, record_type: RecordType) -> Option<&Set> {
        self.sets.iter().find(|set| set.record_type == record_type)
    }
}

impl Set {
    /// Gives the name that a CNAME points to.
    pub fn target(&self) -> Option<&Name> {
        let RData::CNAME(target) = &self.items.first()?.record.data else {
            return None;
        };
        Some(&target.0)
    }
}
