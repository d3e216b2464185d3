//! The record sets of an answer, each record with the file and line where it was written.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Deref;
use std::path::Path;

use hickory_proto::rr::{RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecoder, Restrict};

use crate::policy::name::Name;
use crate::policy::zone::{Item, Node, Set, data_words, type_word};

/// A set of an answer.
#[derive(Clone, Debug)]
pub struct Rrset<'r> {
    owner: Owner<'r>,
    /// The TTL of every record, in seconds.
    pub ttl: u32,
    body: Body<'r>,
}

#[derive(Clone, Debug)]
enum Owner<'r> {
    /// The name of the question is this node's.
    Asked(Node<'r>),
    Node(Node<'r>),
    /// A wildcard stands for this name, or a DNAME leads from it.
    Made(Box<Name>),
}

#[derive(Clone, Debug)]
enum Body<'r> {
    Set(Set<'r>),
    /// The CNAME that a DNAME makes (RFC 6672 section 3.1).
    Alias {
        target: Box<Name>,
        source: Item<'r>,
    },
}

/// A record of an answer.
#[derive(Clone, Debug)]
pub struct Shown<'a> {
    /// Whose.
    pub owner: Name,
    /// In seconds.
    pub ttl: u32,
    /// The type.
    pub record_type: RecordType,
    /// The data, in wire form without compression.
    pub data: &'a [u8],
    /// The file.
    pub file: &'a Path,
    /// The line, from 1.
    pub line: usize,
}

impl<'r> Rrset<'r> {
    /// Shows a set of a zone under its own name.
    pub fn of(node: Node<'r>, set: Set<'r>) -> Self {
        Self {
            owner: Owner::Node(node),
            ttl: set.ttl(),
            body: Body::Set(set),
        }
    }

    /// Shows a set of the name that was asked for.
    pub fn asked(node: Node<'r>, set: Set<'r>) -> Self {
        Self {
            owner: Owner::Asked(node),
            ..Self::of(node, set)
        }
    }

    /// Shows a set under another name than its own: a wildcard's.
    pub fn under(name: &Name, set: Set<'r>) -> Self {
        Self {
            owner: Owner::Made(Box::new(*name)),
            ttl: set.ttl(),
            body: Body::Set(set),
        }
    }

    /// Makes the CNAME from a name below a DNAME's owner to where the DNAME leads.
    pub fn alias(name: &Name, target: &Name, dname: Set<'r>) -> Option<Self> {
        Some(Self {
            owner: Owner::Made(Box::new(*name)),
            // RFC 6672 section 3.1: the TTL of the DNAME.
            ttl: dname.ttl(),
            body: Body::Alias {
                target: Box::new(*target),
                source: dname.items().next()?,
            },
        })
    }

    /// Gives the name whose records these are.
    pub fn owner(&self) -> Name {
        match &self.owner {
            Owner::Asked(node) | Owner::Node(node) => node.name(),
            Owner::Made(name) => **name,
        }
    }

    /// Tells whether the owner is known to be the name of the question, case aside.
    pub const fn is_asked(&self) -> bool {
        matches!(self.owner, Owner::Asked(_))
    }

    /// Gives the node whose name is the owner's, if one's is.
    pub const fn node(&self) -> Option<Node<'r>> {
        match &self.owner {
            Owner::Asked(node) | Owner::Node(node) => Some(*node),
            Owner::Made(_) => None,
        }
    }

    /// Gives the type.
    pub fn record_type(&self) -> RecordType {
        match &self.body {
            Body::Set(set) => set.record_type(),
            Body::Alias { .. } => RecordType::CNAME,
        }
    }

    /// Tells whether it is the CNAME that a DNAME makes.
    pub const fn is_made(&self) -> bool {
        matches!(self.body, Body::Alias { .. })
    }

    /// Counts the records.
    pub fn count(&self) -> usize {
        match &self.body {
            Body::Set(set) => set.items().len(),
            Body::Alias { .. } => 1,
        }
    }

    /// Gives the data of each record.
    pub fn data(&self) -> impl Iterator<Item = &[u8]> {
        let (set, alias) = match &self.body {
            Body::Set(set) => (Some(set.data()), None),
            Body::Alias { target, .. } => (None, Some(target.wire())),
        };
        set.into_iter().flatten().chain(alias)
    }

    /// Gives the data of each record, and where it was written.
    pub fn items(&self) -> impl Iterator<Item = Item<'_>> {
        let (set, alias) = match &self.body {
            Body::Set(set) => (Some(set.items()), None),
            Body::Alias { target, source } => {
                let data = target.wire();
                (None, Some(Item { data, ..*source }))
            }
        };
        set.into_iter().flatten().chain(alias)
    }
}

/// The sets of a section, in order. Most sections have one or none, which takes no memory of its
/// own.
#[derive(Clone, Debug, Default)]
pub struct Section<'r>(Sets<'r>);

#[derive(Clone, Debug, Default)]
enum Sets<'r> {
    #[default]
    None,
    One(Rrset<'r>),
    More(Vec<Rrset<'r>>),
}

impl<'r> Section<'r> {
    /// Adds a set at the end.
    pub(super) fn push(&mut self, set: Rrset<'r>) {
        self.0 = match std::mem::take(&mut self.0) {
            Sets::None => Sets::One(set),
            Sets::One(first) => Sets::More(vec![first, set]),
            Sets::More(mut sets) => {
                sets.push(set);
                Sets::More(sets)
            }
        };
    }

    /// Takes all sets away.
    pub(super) fn clear(&mut self) {
        self.0 = Sets::None;
    }
}

impl<'r> Extend<Rrset<'r>> for Section<'r> {
    fn extend<I: IntoIterator<Item = Rrset<'r>>>(&mut self, sets: I) {
        for set in sets {
            self.push(set);
        }
    }
}

impl<'r> Deref for Section<'r> {
    type Target = [Rrset<'r>];

    fn deref(&self) -> &[Rrset<'r>] {
        match &self.0 {
            Sets::None => &[],
            Sets::One(set) => std::slice::from_ref(set),
            Sets::More(sets) => sets,
        }
    }
}

/// Gives the records of a section, one by one.
pub fn records<'a>(section: &'a [Rrset<'_>]) -> impl DoubleEndedIterator<Item = Shown<'a>> {
    let shown = section.iter().flat_map(|set| {
        let (owner, ttl, record_type) = (set.owner(), set.ttl, set.record_type());
        set.items().map(move |item| Shown {
            owner,
            ttl,
            record_type,
            data: item.data,
            file: item.file,
            line: item.line,
        })
    });
    shown.collect::<Vec<_>>().into_iter()
}

impl Shown<'_> {
    /// Gives the address of an A or AAAA record.
    pub fn address(&self) -> Option<IpAddr> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "few types are addresses")]
        match self.record_type {
            RecordType::A => {
                let octets: [u8; 4] = self.data.try_into().ok()?;
                Some(Ipv4Addr::from(octets).into())
            }
            RecordType::AAAA => {
                let octets: [u8; 16] = self.data.try_into().ok()?;
                Some(Ipv6Addr::from(octets).into())
            }
            _ => None,
        }
    }

    /// Gives the name that a CNAME points to.
    pub fn alias(&self) -> Option<Name> {
        let is_alias = self.record_type == RecordType::CNAME;
        is_alias.then(|| Name::from_wire(self.data)).flatten()
    }

    /// Writes the data as a zone file has it.
    pub fn data_words(&self) -> String {
        data_words(self.record_type, self.data)
    }

    /// Writes type and data: `A 192.0.2.1`.
    pub fn typed_words(&self) -> String {
        format!("{} {}", type_word(self.record_type), self.data_words())
    }

    /// Writes the whole: `proxy.example.com. 60 A 192.0.2.1`.
    pub fn words(&self) -> String {
        format!("{} {} {}", self.owner, self.ttl, self.typed_words())
    }

    /// Gives it in hickory's form; `None` when hickory cannot read the data.
    pub fn to_hickory(&self) -> Option<Record> {
        let length = u16::try_from(self.data.len()).ok()?;
        let mut decoder = BinDecoder::new(self.data);
        let data = RData::read(&mut decoder, self.record_type, Restrict::new(length)).ok()?;
        Some(Record::from_rdata(self.owner.to_hickory(), self.ttl, data))
    }
}
