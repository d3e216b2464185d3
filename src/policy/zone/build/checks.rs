//! What is wrong or looks wrong with a whole zone.
//!
//! Mistakes are what BIND, Knot and NSD refuse all three, or what an RFC forbids; warnings what one
//! of them warns of, and what serves nobody.

mod targets;

use hickory_proto::rr::RecordType;

pub(super) use self::targets::target_place;

use crate::model::mistake::Place;
use crate::policy::name::{Key, Name};
use crate::policy::zone::kinds::type_word;
use crate::policy::zone::reader::Notes;
use crate::policy::zone::store::Above;
use crate::policy::zone::{Item, Node, Set, Zone};

/// How many records one name and type have in BIND by default: its `max-records-per-type`.
const RECORDS_USUAL: usize = 100;

/// How many types one name has in BIND by default: its `max-types-per-name`.
const TYPES_USUAL: usize = 100;

/// SPF, which TXT replaced (RFC 7208 section 3.1).
const SPF: RecordType = RecordType::Unknown(99);

/// Demands an SOA and name servers at the apex.
pub(super) fn apex(zone: &Zone, top: Place, notes: &mut Notes) {
    let has = |record_type| zone.apex().set(record_type).is_some();
    if !has(RecordType::SOA) {
        let what = format!("the zone {} has no SOA", zone.origin());
        let cure = "begin with `@ SOA ns1 hostmaster 1 1h 10m 1d 1m`";
        notes.mistake(top, what, cure);
    } else if !has(RecordType::NS) {
        let what = format!("the zone {} has no NS at its apex", zone.origin());
        notes.mistake(top, what, "add `@ NS ns1`");
    } else if has(RecordType::DS) {
        let what = String::from("ds-at-apex: a DS belongs into the parent zone");
        let first = zone.apex().set(RecordType::DS).and_then(|set| first(&set));
        notes.warning(first.unwrap_or(top), what, "remove it");
    }
}

/// Looks at every name.
pub(super) fn nodes(zone: &Zone, notes: &mut Notes) {
    let twice = twice(zone);
    // Nearly always no name is below the origin twice, and only targets need a look.
    let below = twice.and_then(|twice| zone.node(&twice));
    for node in zone.nodes() {
        let above = node.above();
        // What looks wrong of a million names is told of the first hundred.
        if notes.is_warned() && !above.dname {
            continue;
        }
        let doubled = below.is_some_and(|below| node.is_under(&below));
        for set in node.sets() {
            let owner = doubled.then(|| node.name());
            self::set(node, set, &above, notes);
            if owner.is_some() || targets::points(set.record_type()) {
                targets::doubled(twice.as_ref(), owner, set, notes);
                targets::targets(zone, node, set, notes);
            }
        }
        if node.sets().len() > TYPES_USUAL {
            let what = format!("{} has more than {TYPES_USUAL} types", node.name());
            let cure = "BIND serves no more by default";
            if let Some(place) = node.sets().last().and_then(|set| first(&set)) {
                notes.warning(place, what, cure);
            }
        }
    }
}

/// Looks at one set by itself and at what stands above it.
fn set(node: Node<'_>, set: Set<'_>, above: &Above, notes: &mut Notes) {
    let record_type = set.record_type();
    let place = || first(&set).unwrap_or_else(nowhere);
    let hosts = matches!(record_type, RecordType::A | RecordType::AAAA);
    if hosts || record_type == RecordType::MX {
        let host = "a host name has letters, digits and hyphens (RFC 1123 section 2.1); some \
                    clients refuse it";
        if hosts && above.underscore {
            let what = format!("underscore-in-name: {} has an address", node.name());
            notes.warning(place(), what, host);
        } else if above.odd {
            let what = format!(
                "no-host-name: {} has {}",
                node.name(),
                type_word(record_type)
            );
            notes.warning(place(), what, host);
        }
    }
    if above.asterisk {
        let what = format!("asterisk-inside: {} is no wildcard", node.name());
        let cure = "`*` is one as the first label only (RFC 4592 section 2.1.1)";
        notes.warning(place(), what, cure);
    }
    let proof = matches!(record_type, RecordType::NSEC3 | RecordType::RRSIG);
    if above.dname && !proof {
        let what = format!("{} is below a DNAME", node.name());
        let cure = "nothing may be there (RFC 6672 section 2.4)";
        notes.mistake(place(), what, cure);
    } else if above.cut && !hosts {
        let what = format!("below-a-cut: {} belongs to the zone below", node.name());
        let cure = "it is never answered; move it into that zone";
        notes.warning(place(), what, cure);
    }
    let has = |record_type| node.set(record_type).is_some();
    if record_type == RecordType::DS && !node.is_apex() && !has(RecordType::NS) {
        let what = format!("ds-without-ns: {} is no cut", node.name());
        notes.warning(place(), what, "add its NS records, or remove the DS");
    }
    if record_type == SPF && !has(RecordType::TXT) {
        let what = format!("spf-without-txt: nobody reads SPF at {}", node.name());
        notes.warning(place(), what, "write it as TXT (RFC 7208 section 3.1)");
    }
    if set.items().len() > RECORDS_USUAL {
        let what = format!(
            "{} has {} {} records",
            node.name(),
            set.items().len(),
            type_word(record_type)
        );
        let cure = "BIND serves no more than 100 by default";
        notes.warning(place(), what, cure);
    }
    if matches!(record_type, RecordType::DS | RecordType::CDS) {
        for item in set.items() {
            if let Some(wanted) = digest_length(item.data) {
                let what = format!("digest-length: the digest should have {wanted} octets");
                notes.warning(self::place(&item), what, "validators pass over it");
            }
        }
    }
}

/// Gives how long a digest of a known kind should be when it is not.
fn digest_length(data: &[u8]) -> Option<usize> {
    let wanted = match data.get(3)? {
        1 => 20,
        2 => 32,
        4 => 48,
        _ => return None,
    };
    (data.len() != 4 + wanted).then_some(wanted)
}

/// Gives the key of the origin below itself, as a whole name without its final dot makes it. An
/// origin of one label is too short to tell.
fn twice(zone: &Zone) -> Option<Key> {
    let origin = zone.origin();
    let (_, prefix) = origin.wire().split_last()?;
    let twice = origin.below(prefix).filter(|_| zone.apex_labels() > 1)?;
    Some(Key::new(&twice))
}

fn first(set: &Set<'_>) -> Option<Place> {
    set.items().next().map(|item| place(&item))
}

fn nowhere() -> Place {
    Place {
        file: std::path::PathBuf::new(),
        line: 1,
        column: 1,
    }
}

fn place(item: &Item<'_>) -> Place {
    Place {
        file: item.file.to_path_buf(),
        line: item.line,
        column: 1,
    }
}

/// Walks to a name from the apex.
fn at(zone: &Zone, name: &Name) -> Walk {
    let key = Key::new(name);
    if !key.is_under(zone.key()) {
        return Walk::Outside;
    }
    let mut above = zone.apex();
    for labels in zone.apex_labels() + 1..=key.labels() {
        let ancestor = Name::from_wire(key.ancestor(labels));
        let node = ancestor.and_then(|ancestor| zone.node(&Key::new(&ancestor)));
        let Some(node) = node else {
            return match above.wildcard() {
                Some(wildcard) => Walk::Wild(wildcard.index()),
                None => Walk::Nothing,
            };
        };
        if node.set(RecordType::DNAME).is_some() && labels < key.labels() {
            return Walk::Outside;
        }
        if node.set(RecordType::NS).is_some() {
            let deepest = zone.node(&key).map(|node| node.index());
            return Walk::Cut(node.index(), deepest);
        }
        above = node;
    }
    Walk::At(above.index())
}

/// Where a walk ended.
enum Walk {
    /// At the name.
    At(u32),
    /// At a cut, and the name itself when it is there all the same.
    Cut(u32, Option<u32>),
    /// There is no such name.
    Nothing,
    /// The name is another zone's.
    Outside,
    /// A wildcard stands for it.
    Wild(u32),
}
