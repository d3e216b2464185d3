//! What two zones say at and below an apex: the record sets that differ.

use std::fmt;

use hickory_proto::rr::RecordType;

use crate::policy::name::{Key, Name};
use crate::policy::zone::{Found, Node, Set, Zone, data_words, lookup, type_word};

/// How many changes of one pair of zones are kept; the rest is counted.
pub const CHANGES_MAX: usize = 10_000;

/// Where the serial stands in the data of an SOA, from its end (RFC 1035 section 3.3.13).
const SERIAL: usize = 20;

/// What differs between two zones.
#[derive(Debug, PartialEq, Eq)]
pub struct Contents {
    /// The name of the apex.
    pub zone: Name,
    /// What became of the zone.
    pub fate: Fate,
    /// The serial before and after, when nothing else of the SOA differs.
    pub serial: Option<(u32, u32)>,
    /// The sets that differ, in the order of DNSSEC (RFC 4034 section 6.1), at most [`CHANGES_MAX`].
    pub changes: Vec<Change>,
    /// How many more there are.
    pub more: usize,
}

/// What became of a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is new; another one may have spoken for its names.
    Added,
    /// It says something else.
    Changed,
    /// It is gone; another one may speak for its names.
    Removed,
}

/// A set that differs.
#[derive(Debug, PartialEq, Eq)]
pub struct Change {
    /// Whose.
    pub owner: Box<str>,
    /// The type; `None` when only the name itself came or went (RFC 8020: NXDOMAIN or not).
    pub record_type: Option<RecordType>,
    /// Before; `None` when there was none.
    pub old: Option<Words>,
    /// After; `None` when there is none.
    pub new: Option<Words>,
    /// Which questions it answers besides that of its name and type.
    pub reach: Reach,
}

/// A set in words; empty for a name without records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// In seconds.
    pub ttl: u32,
    /// The data of each record, sorted.
    pub data: Vec<String>,
}

/// Which questions a set answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Those for the name and all below it, as a referral.
    Delegation,
    /// Those that end at a delegation, beside its name servers.
    Glue,
    /// Its own.
    Own,
    /// Those for names below its own.
    Subtree,
    /// Those for names that do not exist beside it.
    Wildcard,
}

impl Reach {
    /// Gives the word, empty for the plain case.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Delegation => "delegation",
            Self::Glue => "glue",
            Self::Own => "",
            Self::Subtree => "subtree",
            Self::Wildcard => "wildcard",
        }
    }
}

/// `300 192.0.2.1, 192.0.2.2`.
impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.ttl, self.data.join(", "))
    }
}

impl Contents {
    /// Tells whether more than the serial differs.
    pub fn counts(&self) -> bool {
        self.fate != Fate::Changed || !self.changes.is_empty()
    }

    /// Gives the names whose records differ, in lower case.
    pub(super) fn owners(&self) -> impl Iterator<Item = String> {
        let apex = self.serial.map(|_| self.zone.lower().to_ascii());
        let owners = self.changes.iter();
        apex.into_iter()
            .chain(owners.map(|change| change.owner.to_ascii_lowercase()))
    }
}

/// Compares what zones say at and below an apex, which one of them has; `None` when they say the
/// same. Before and after, the zones are those that are asked in turn: what one lacks is left to the
/// next.
pub(super) fn compare(old: &[&Zone], new: &[&Zone], apex: &Key) -> Option<Contents> {
    let is_own = |zones: &[&Zone]| {
        let own = zones.first();
        own.is_some_and(|zone| zone.key().whole() == apex.whole())
    };
    let mut comparison = Comparison {
        old,
        new,
        apex,
        found: Vec::new(),
        more: 0,
        serial: None,
    };
    let fate = match (is_own(old), is_own(new)) {
        (true, true) => Fate::Changed,
        (true, false) => Fate::Removed,
        (false, _) => Fate::Added,
    };
    comparison.run();
    let Comparison {
        mut found,
        more,
        serial,
        ..
    } = comparison;
    if fate == Fate::Changed && found.is_empty() && serial.is_none() {
        return None;
    }
    found.sort_by_cached_key(|(name, _)| {
        let mut labels: Vec<Vec<u8>> = name.lower().labels().map(<[u8]>::to_vec).collect();
        labels.reverse();
        labels
    });
    Some(Contents {
        zone: *apex.name(),
        fate,
        serial,
        changes: found.into_iter().map(|(_, change)| change).collect(),
        more,
    })
}

struct Comparison<'z> {
    old: &'z [&'z Zone],
    new: &'z [&'z Zone],
    apex: &'z Key,
    found: Vec<(Name, Change)>,
    more: usize,
    serial: Option<(u32, u32)>,
}

impl<'z> Comparison<'z> {
    fn run(&mut self) {
        let (old, new) = (self.old, self.new);
        for (zones, others, is_old) in [(old, new, true), (new, old, false)] {
            for (place, zone) in zones.iter().enumerate() {
                // A zone above the apex says more than what is asked here.
                let is_wider = zone.key().whole() != self.apex.whole();
                for node in zone.nodes() {
                    let name = node.name();
                    let key = Key::new(&name);
                    if is_wider && !key.is_under(self.apex) || !reaches(&zones[..place], &key) {
                        continue;
                    }
                    match (is_old, heard(others, &key)) {
                        (true, twin) => self.names(&name, &key, Some(node), twin),
                        (false, None) => self.names(&name, &key, None, Some(node)),
                        // Compared from the other side.
                        (false, Some(_)) => {}
                    }
                }
            }
        }
    }

    /// Compares what a name owns.
    fn names(&mut self, name: &Name, key: &Key, old: Option<Node<'z>>, new: Option<Node<'z>>) {
        if is_same(old, new) {
            let (before, after) = (old.is_some(), new.is_some());
            let both_zones = !self.old.is_empty() && !self.new.is_empty();
            if before != after && both_zones {
                let empty = |there: bool| there.then(Words::default);
                self.add(name, key, None, (empty(before), empty(after)));
            }
            return;
        }
        let sets = |node: Option<Node<'z>>| node.into_iter().flat_map(|node| node.sets());
        let mut types: Vec<u16> = sets(old).chain(sets(new)).map(|set| set.code()).collect();
        types.sort_unstable();
        types.dedup();
        for code in types {
            let record_type = RecordType::from(code);
            let own = |node: Option<Node<'z>>| node.and_then(|node| node.set(record_type));
            let (old, new) = (own(old), own(new));
            if records(old) == records(new) {
                continue;
            }
            if let (RecordType::SOA, Some(old), Some(new)) = (record_type, old, new)
                && let Some(serials) = serials(old, new)
            {
                self.serial = Some(serials);
                continue;
            }
            self.add(
                name,
                key,
                Some(record_type),
                (old.map(words), new.map(words)),
            );
        }
    }

    fn add(
        &mut self,
        name: &Name,
        key: &Key,
        record_type: Option<RecordType>,
        (old, new): (Option<Words>, Option<Words>),
    ) {
        if self.found.len() >= CHANGES_MAX {
            self.more += 1;
            return;
        }
        let change = Change {
            owner: name.to_ascii().into(),
            record_type,
            old,
            new,
            reach: self.reach(name, key, record_type),
        };
        self.found.push((*name, change));
    }

    fn reach(&self, name: &Name, key: &Key, record_type: Option<RecordType>) -> Reach {
        let at_apex = key.whole() == self.apex.whole();
        let both = || self.old.iter().chain(self.new);
        let mut cut = both().map(|zone| zone.is_cut_off(key));
        if record_type == Some(RecordType::NS) && !at_apex {
            Reach::Delegation
        } else if record_type != Some(RecordType::DS) && cut.any(|cut| cut) {
            Reach::Glue
        } else if name.labels().next() == Some(b"*") {
            Reach::Wildcard
        } else if record_type == Some(RecordType::DNAME) {
            Reach::Subtree
        } else {
            Reach::Own
        }
    }
}

/// Finds what is heard of a name from zones that are asked in turn.
fn heard<'z>(zones: &'z [&'z Zone], key: &Key) -> Option<Node<'z>> {
    for (place, zone) in zones.iter().enumerate() {
        if let Some(node) = zone.node(key) {
            return Some(node);
        }
        // The last zone leaves nothing to anybody.
        if place + 1 < zones.len() && !leaves(zone, key) {
            return None;
        }
    }
    None
}

/// Tells whether a question for a name gets past all of these zones.
fn reaches(zones: &[&Zone], key: &Key) -> bool {
    zones.iter().all(|zone| leaves(zone, key))
}

/// Tells whether a zone lacks a name: no record, nothing below it, no wildcard, cut or DNAME above.
fn leaves(zone: &Zone, key: &Key) -> bool {
    matches!(lookup(zone, key, RecordType::SOA), Found::NoName { .. })
}

/// Tells whether two names own the same; nearly all do, and in the same order.
fn is_same(old: Option<Node<'_>>, new: Option<Node<'_>>) -> bool {
    let sets = |node: Option<Node<'_>>| node.map_or(0, |node| node.sets().len());
    if sets(old) != sets(new) {
        return false;
    }
    let (Some(old), Some(new)) = (old, new) else {
        return true;
    };
    let same = |(old, new): (Set<'_>, Set<'_>)| {
        old.code() == new.code()
            && old.ttl() == new.ttl()
            && old.items().len() == new.items().len()
            && old.items().zip(new.items()).all(|(a, b)| a.data == b.data)
    };
    old.sets().zip(new.sets()).all(same)
        || old
            .sets()
            .all(|set| records(Some(set)) == records(new.set(set.record_type())))
}

/// Gives a set for comparison: in any order it answers the same.
fn records(set: Option<Set<'_>>) -> Option<(u32, Vec<&[u8]>)> {
    let set = set?;
    let mut data: Vec<&[u8]> = set.items().map(|item| item.data).collect();
    data.sort_unstable();
    Some((set.ttl(), data))
}

/// Gives both serials when nothing else differs.
fn serials(old: Set<'_>, new: Set<'_>) -> Option<(u32, u32)> {
    let parts = |set: Set<'_>| {
        let data = set.first();
        let at = data.len().checked_sub(SERIAL)?;
        let (serial, rest) = data.get(at..)?.split_first_chunk::<4>()?;
        Some((
            u32::from_be_bytes(*serial),
            [data.get(..at)?, rest].concat(),
        ))
    };
    let ((old_serial, old_rest), (new_serial, new_rest)) = (parts(old)?, parts(new)?);
    (old.ttl() == new.ttl() && old_rest == new_rest).then_some((old_serial, new_serial))
}

fn words(set: Set<'_>) -> Words {
    let record_type = set.record_type();
    let data = set.items();
    let mut data: Vec<String> = data
        .map(|item| data_words(record_type, item.data))
        .collect();
    data.sort_unstable();
    Words {
        ttl: set.ttl(),
        data,
    }
}

/// `www.example.com. A: 300 192.0.2.1 became none`.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(record_type) = self.record_type else {
            let what = if self.new.is_some() {
                "exists now"
            } else {
                "does not exist any more"
            };
            return write!(f, "{}: {what}, without records", self.owner);
        };
        let show = |words: &Option<Words>| {
            let words = words.as_ref().map(ToString::to_string);
            words.unwrap_or_else(|| String::from("none"))
        };
        write!(
            f,
            "{} {}: {} became {}",
            self.owner,
            type_word(record_type),
            show(&self.old),
            show(&self.new)
        )
    }
}
