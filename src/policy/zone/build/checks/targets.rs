//! Hosts that data names: whether they are there, and whether they are hosts.

use hickory_proto::rr::RecordType;

use super::{Walk, at, place};
use crate::policy::name::{Key, Name};
use crate::policy::zone::kinds::type_word;
use crate::policy::zone::reader::Notes;
use crate::policy::zone::{Node, Set, Zone};

/// Tells whether data of this type names a host.
pub(super) const fn points(record_type: RecordType) -> bool {
    target_place(record_type).is_some()
}

/// Gives where in data of this type a name begins that reaches to its end.
#[expect(clippy::wildcard_enum_match_arm, reason = "few types name a host")]
pub(in crate::policy::zone::build) const fn target_place(record_type: RecordType) -> Option<usize> {
    match record_type {
        RecordType::CNAME | RecordType::DNAME | RecordType::NS | RecordType::PTR => Some(0),
        RecordType::MX => Some(2),
        RecordType::SRV => Some(6),
        _ => None,
    }
}

/// Gives the host that data names.
fn target(record_type: RecordType, data: &[u8]) -> Option<Name> {
    Name::from_wire(data.get(target_place(record_type)?..)?)
}

/// Warns of names that hold the origin twice, as one without its final dot does.
pub(super) fn doubled(twice: Option<&Key>, owner: Option<Name>, set: Set<'_>, notes: &mut Notes) {
    for item in set.items() {
        let is_doubled = |name: &Name| twice.is_some_and(|twice| Key::new(name).is_under(twice));
        let target = target(set.record_type(), item.data).filter(is_doubled);
        if let Some(name) = owner.or(target) {
            let what = format!("final-dot-missing: {name} holds the origin twice");
            let cure = "end a whole name with a dot, or write it without the origin";
            notes.warning(place(&item), what, cure);
        }
    }
}

/// Warns of hosts of this zone that have no address or are aliases.
pub(super) fn targets(zone: &Zone, owner: Node<'_>, set: Set<'_>, notes: &mut Notes) {
    let record_type = set.record_type();
    let hosts = [
        (RecordType::NS, "name server"),
        (RecordType::MX, "mail server"),
        (RecordType::SRV, "host"),
    ];
    let mut hosts = hosts.into_iter();
    let Some((_, host)) = hosts.find(|(kind, _)| *kind == record_type) else {
        return;
    };
    for item in set.items() {
        let Some(target) = target(record_type, item.data).filter(|target| !target.is_root()) else {
            continue;
        };
        if looks_like_address(&target) {
            let what = format!("address-as-name: {target} is a name, not an address");
            let cure = "name a host, and give that the address";
            notes.warning(place(&item), what, cure);
        }
        let node = match at(zone, &target) {
            Walk::At(index) | Walk::Wild(index) => zone.at(index),
            Walk::Nothing => {
                let what = format!("no address for the {host} {target}");
                notes.warning(place(&item), what, "add its A or AAAA record");
                continue;
            }
            // Only the glue of this very cut must be here; the rest is another zone's to give.
            Walk::Cut(cut, deepest) => {
                let glue = record_type == RecordType::NS && cut == owner.index();
                let known = deepest.map(|index| zone.at(index)).filter(has_address);
                if glue && known.is_none() {
                    let what = format!("no address for the {host} {target}");
                    let cure = "add its A or AAAA record: without glue nobody finds it";
                    notes.warning(place(&item), what, cure);
                }
                continue;
            }
            Walk::Outside => continue,
        };
        if node.set(RecordType::CNAME).is_some() {
            let kind = type_word(record_type);
            let what = format!("alias-as-target: {target} is an alias");
            let cure = format!("{kind} must name a host itself (RFC 2181 section 10.3)");
            notes.warning(place(&item), what, &cure);
        } else if !has_address(&node) {
            let what = format!("no address for the {host} {target}");
            notes.warning(place(&item), what, "add its A or AAAA record");
        }
    }
}

fn has_address(node: &Node<'_>) -> bool {
    let mut kinds = [RecordType::A, RecordType::AAAA].into_iter();
    kinds.any(|record_type| node.set(record_type).is_some())
}

/// Tells whether the first four labels are numbers, as an address without quotes makes them.
fn looks_like_address(name: &Name) -> bool {
    let mut labels = name.labels();
    let mut number = || {
        let label = labels.next()?;
        std::str::from_utf8(label).ok()?.parse::<u8>().ok()
    };
    (0..4).all(|_| number().is_some())
}
