//! Addresses of the hosts that records name, which stand beside them.
//!
//! In go a zone and a set of records; out come the sets of addresses that the zone has of the hosts
//! that these name. Glue of a referral belongs to it; the rest is a courtesy.

use hickory_proto::rr::RecordType;

use super::Rrset;
use crate::policy::name::{Key, Name};
use crate::policy::zone::{Node, Set, Zone};

/// Gives the addresses at or below a cut of this zone's name servers (RFC 9471).
pub(super) fn glue<'r>(zone: &'r Zone, servers: Set<'r>) -> impl Iterator<Item = Rrset<'r>> {
    let targets = servers
        .items()
        .filter_map(|item| Name::from_wire(item.data));
    let nodes = targets.filter_map(|target| {
        let key = Key::new(&target);
        let below = key.is_under(zone.key()) && zone.is_cut_off(&key);
        zone.node(&key).filter(|_| below)
    });
    nodes.flat_map(addresses)
}

/// Gives the addresses that a zone has of these name servers.
pub(super) fn hosts<'r>(zone: &'r Zone, servers: Set<'r>) -> impl Iterator<Item = Rrset<'r>> {
    let targets = servers
        .items()
        .filter_map(|item| Name::from_wire(item.data));
    let nodes = targets.filter_map(|target| zone.node(&Key::new(&target)));
    nodes.flat_map(addresses)
}

/// Gives the addresses that a zone has of the hosts that MX and SRV records name: what BIND, Knot and
/// NSD add (RFC 1035 section 3.3.9, RFC 2782), none that another zone is to be asked for.
pub(super) fn targets<'r>(zone: &'r Zone, set: Set<'r>) -> impl Iterator<Item = Rrset<'r>> {
    // Octets before the name.
    #[expect(clippy::wildcard_enum_match_arm, reason = "others name no hosts")]
    let before = match set.record_type() {
        RecordType::MX => Some(2),
        RecordType::SRV => Some(6),
        _ => None,
    };
    let items = before.into_iter().flat_map(move |before| {
        let names = set.items();
        names.filter_map(move |item| Name::from_wire(item.data.get(before..)?))
    });
    let mut seen: Vec<Name> = Vec::new();
    let items = items.filter(move |target| {
        let new = !seen.contains(target);
        seen.push(*target);
        new
    });
    let nodes = items.filter_map(|target| {
        let key = Key::new(&target);
        let own = key.is_under(zone.key()) && !zone.is_cut_off(&key);
        zone.node(&key).filter(|_| own)
    });
    nodes.flat_map(addresses)
}

fn addresses(node: Node<'_>) -> impl Iterator<Item = Rrset<'_>> {
    let sets = [RecordType::A, RecordType::AAAA]
        .into_iter()
        .filter_map(move |record_type| node.set(record_type));
    sets.map(move |set| Rrset::of(node, set))
}
