//! A zone: its records as a tree of names, each record with its file and line.
//!
//! In go master files; out come a zone that can be asked ([`lookup()`]), or every mistake, and
//! warnings. Empty non-terminals are nodes like others (RFC 4592 section 2.2.2). Nothing is signed.

mod build;
mod change;
mod data;
mod kinds;
mod lexer;
mod lookup;
mod reader;
mod store;
#[cfg(test)]
mod tests;
mod text;
mod words;

use hickory_proto::rr::RecordType;

use crate::model::mistake::{Files, Mistake};
use crate::model::topology::ZoneSource;

use super::name::{Key, Name};

pub use self::change::Unchanged;
pub use self::kinds::{read_type, served_type, type_word};
pub use self::lookup::{Found, lookup};
pub use self::store::{Item, Node, Set};
pub use self::text::read_name;
pub use self::words::{data_words, rdata_words};

/// A zone that can be served.
#[derive(Debug)]
pub struct Zone {
    origin: Name,
    key: Key,
    store: store::Store,
    /// The TTL of the SOA in negative answers (RFC 2308 section 3).
    negative_ttl: u32,
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

    /// Gives the key of its apex.
    pub const fn key(&self) -> &Key {
        &self.key
    }

    /// Gives its apex.
    pub const fn apex(&self) -> Node<'_> {
        self.at(0)
    }

    /// Gives the apex and its SOA, and the TTL that the SOA has in negative answers (RFC 2308
    /// section 3).
    pub fn negative(&self) -> (Node<'_>, Option<Set<'_>>, u32) {
        let apex = self.apex();
        (apex, apex.set(RecordType::SOA), self.negative_ttl)
    }

    /// Gives the serial number of its SOA.
    pub fn serial(&self) -> Option<u32> {
        let soa = self.apex().set(RecordType::SOA)?;
        // Five numbers of four octets end it; the serial is the first.
        let serial = soa.first().last_chunk::<20>()?.first_chunk::<4>()?;
        Some(u32::from_be_bytes(*serial))
    }

    /// Gives every name, empty non-terminals too; an ancestor before its descendants.
    pub fn nodes(&self) -> impl Iterator<Item = Node<'_>> {
        (0..self.store.len()).filter_map(|index| Some(self.at(u32::try_from(index).ok()?)))
    }

    /// Counts the names, empty non-terminals too.
    pub const fn size(&self) -> usize {
        self.store.len()
    }

    /// Counts the records.
    pub const fn records(&self) -> usize {
        self.store.records()
    }

    /// Finds a name, without regard to cuts above it.
    pub fn node(&self, key: &Key) -> Option<Node<'_>> {
        let under = key.is_under(&self.key);
        let index = under.then(|| self.store.find(key, self.apex_labels()))?;
        index.map(|index| self.at(index))
    }

    /// Counts the labels of the apex.
    pub const fn apex_labels(&self) -> usize {
        self.key.labels()
    }

    /// Tells whether a name is at or below a cut of this zone.
    pub fn is_cut_off(&self, key: &Key) -> bool {
        let mut node = self.apex();
        for place in self.apex_labels()..key.labels() {
            match self.store.child(node.index(), key.label(place)) {
                Some(child) => node = self.at(child),
                None => return false,
            }
            if node.has(store::CUT) {
                return true;
            }
        }
        false
    }

    const fn at(&self, index: u32) -> Node<'_> {
        self.store.node(index, &self.origin)
    }
}
