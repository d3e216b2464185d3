//! What is wrong or looks wrong with a whole zone.

use hickory_proto::rr::RecordType;

use crate::model::mistake::Place;
use crate::policy::name::{Key, Name};
use crate::policy::zone::reader::Notes;
use crate::policy::zone::{Item, Node, Zone};

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
    }
}

/// Warns of what is served but looks wrong.
pub(super) fn nodes(zone: &Zone, notes: &mut Notes) {
    let twice = twice(zone);
    for node in zone.nodes() {
        for set in node.sets() {
            let record_type = set.record_type();
            let Some(first) = set.items().next() else {
                continue;
            };
            if matches!(record_type, RecordType::A | RecordType::AAAA) && node.has_in_name(b'_') {
                let what = format!("underscore-in-name: {} has an address", node.name());
                let cure = "a host name has letters, digits and hyphens (RFC 1123 section 2.1); \
                            some clients refuse it";
                notes.warning(place(&first), what, cure);
            }
            if let Some(twice) = &twice {
                let owner = Some(node.name()).filter(|name| Key::new(name).is_under(twice));
                for item in set.items() {
                    let target = target(record_type, item.data);
                    let target = target.filter(|name| Key::new(name).is_under(twice));
                    if let Some(name) = owner.or(target) {
                        let what = format!("final-dot-missing: {name} holds the origin twice");
                        let cure = "end a whole name with a dot, or write it without the origin";
                        notes.warning(place(&item), what, cure);
                    }
                }
            }
            if record_type == RecordType::NS {
                for item in set.items() {
                    if let Some(target) = without_address(zone, node, item.data) {
                        let what = format!("no address for the name server {target}");
                        notes.warning(place(&item), what, "add its A or AAAA record");
                    }
                }
            }
        }
    }
}

/// Gives the key of the origin below itself, as a whole name without its final dot makes it. An
/// origin of one label is too short to tell.
fn twice(zone: &Zone) -> Option<Key> {
    let origin = zone.origin();
    let (_, prefix) = origin.wire().split_last()?;
    let twice = origin.below(prefix).filter(|_| zone.apex_labels() > 1)?;
    Some(Key::new(&twice))
}

/// Gives the host that data names.
fn target(record_type: RecordType, data: &[u8]) -> Option<Name> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "few types name a host")]
    let before = match record_type {
        RecordType::CNAME | RecordType::DNAME | RecordType::NS | RecordType::PTR => 0,
        RecordType::MX => 2,
        RecordType::SRV => 6,
        _ => return None,
    };
    Name::from_wire(data.get(before..)?)
}

/// Gives the target of an NS when this zone should have its address and has none.
fn without_address(zone: &Zone, owner: Node<'_>, data: &[u8]) -> Option<Name> {
    let target = Name::from_wire(data)?;
    let key = Key::new(&target);
    if !key.is_under(zone.key()) {
        return None;
    }
    let mut above = None;
    for labels in zone.apex_labels()..=key.labels() {
        let ancestor = Name::from_wire(key.ancestor(labels))?;
        let Some(node) = zone.node(&Key::new(&ancestor)) else {
            let wildcard = above.and_then(|above: Node<'_>| above.wildcard());
            return wildcard.is_none().then_some(target);
        };
        // Below another zone's cut the address is that zone's to give.
        let cut = labels > zone.apex_labels() && node.set(RecordType::NS).is_some();
        if cut && !node.is(&owner) {
            return None;
        }
        above = Some(node);
    }
    let has = |record_type| above.is_some_and(|node| node.set(record_type).is_some());
    (!has(RecordType::A) && !has(RecordType::AAAA)).then_some(target)
}

fn place(item: &Item<'_>) -> Place {
    Place {
        file: item.file.to_path_buf(),
        line: item.line,
        column: 1,
    }
}
