//! From a name to the end of its aliases, and the sections on the way.
//!
//! In go the view that answers, a name and a type; the answer is filled in place. Aliases are followed
//! within one zone, as BIND and Knot do (NSD goes on into the other zones that it serves; RFC 6604
//! for the code), and the sections are filled as BIND does with `minimal-responses yes`: addresses
//! stand beside NS, MX and SRV records and nothing else. ANY gets the first set of the zone file (RFC
//! 8482 section 4.1). Signatures are data like others.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::hosts::{glue, hosts, targets};
use super::left::{Asker, Order};
use super::{Answer, CHAIN_MAX, Missed, Rrset, Step, View};
use crate::model::topology::Miss;
use crate::policy::name::{Key, Name};
use crate::policy::zone::{Found, Node, Set, Zone, lookup};

impl<'r> Answer<'r> {
    /// Follows aliases to the end and fills the sections.
    pub(super) fn follow(
        &mut self,
        view: &'r View,
        asker: Option<Asker>,
        name: &Name,
        record_type: RecordType,
    ) {
        let mut view = view;
        let mut name = name;
        let mut target;
        // The names asked before this one, to see a loop; most answers have none.
        let mut asked: Vec<Name> = Vec::new();
        loop {
            let key = Key::new(name);
            let first = asked.is_empty();
            let stop = if asked.contains(name) {
                Some(Step::Loop)
            } else if asked.len() > CHAIN_MAX {
                Some(Step::ChainTooLong)
            } else {
                None
            };
            if let Some(step) = stop {
                self.rcode = ResponseCode::ServFail;
                self.reason.step = step;
                return;
            }
            let zone = view.held_for(&key, record_type);
            let zone =
                zone.filter(|(zone, _)| self.zone.is_none_or(|home| std::ptr::eq(home, *zone)));
            let Some((zone, miss)) = zone else {
                if first {
                    self.rcode = ResponseCode::Refused;
                }
                self.reason.step = if first { Step::NoZone } else { Step::Outside };
                return;
            };
            self.zone = Some(zone);
            let found = lookup(zone, &key, record_type);
            if miss != Miss::Nxdomain && matches!(found, Found::NoName { .. }) {
                let next = self.missed(view, asker, (zone, miss), (&key, record_type));
                if miss == Miss::Refuse {
                    return;
                }
                if let Some((next, home)) = next {
                    view = next;
                    self.zone = Some(home);
                    continue;
                }
            }
            let next = match found {
                Found::Alias {
                    node,
                    set,
                    wildcard,
                } => {
                    let made = wildcard.then_some(name);
                    self.answer.push(shown((node, made), set, first));
                    set.target()
                }
                Found::Subtree { node, set, labels } => {
                    self.answer.push(Rrset::of(node, set));
                    let target = set.target().and_then(|target| {
                        let before = &name.wire()[..key.before(labels).len()];
                        target.below(before)
                    });
                    let alias = target.and_then(|target| Rrset::alias(name, &target, set));
                    self.authoritative = true;
                    if alias.is_none() {
                        // RFC 6672 section 2.2: the new name would be too long.
                        self.rcode = ResponseCode::YXDomain;
                        self.reason.step = Step::TooLong(node);
                        return;
                    }
                    self.answer.extend(alias);
                    if matches!(record_type, RecordType::ANY | RecordType::CNAME) {
                        // The CNAME is what was asked for (RFC 1034 section 3.6.2).
                        self.reason.step = Step::Redirected(node);
                        return;
                    }
                    target
                }
                Found::Records { .. }
                | Found::Delegation { .. }
                | Found::NoType { .. }
                | Found::NoName { .. } => {
                    self.finish(zone, name, found, first);
                    return;
                }
            };
            self.authoritative = true;
            self.reason.aliases += 1;
            let Some(next) = next else {
                return;
            };
            asked.push(*name);
            target = next;
            name = &target;
        }
    }

    /// Ends, or finds the next view, when a zone does not have a name.
    fn missed(
        &mut self,
        view: &'r View,
        asker: Option<Asker>,
        (zone, miss): (&'r Zone, Miss),
        (key, record_type): (&Key, RecordType),
    ) -> Option<(&'r View, &'r Zone)> {
        let next = match miss {
            Miss::Nxdomain => None,
            Miss::Public => {
                let (views, selector) = (self.views, self.selector);
                let order = Order { views, selector };
                asker.and_then(|asker| order.next(view, asker, key, record_type))
            }
            Miss::Refuse => {
                self.rcode = ResponseCode::Refused;
                self.authoritative = false;
                self.answer.clear();
                self.reason.step = Step::Withheld;
                None
            }
        };
        self.reason.missed = Some(Missed {
            view: &view.name,
            zone: zone.origin(),
            miss,
            next: next.map(|(next, _)| &next.name),
        });
        next
    }

    /// Fills the sections for the last name of a chain.
    fn finish(&mut self, zone: &'r Zone, name: &Name, found: Found<'r>, first: bool) {
        // AA speaks of the first owner name in the answer (RFC 1035 section 4.1.1).
        self.authoritative = !first || !matches!(found, Found::Delegation { .. });
        self.reason.step = match found {
            Found::Records {
                node,
                set,
                wildcard,
            }
            | Found::Alias {
                node,
                set,
                wildcard,
            } => {
                let made = wildcard.then_some(name);
                self.answer.push(shown((node, made), set, first));
                if set.record_type() == RecordType::NS {
                    // What BIND, Knot and NSD give even where they give little.
                    self.additional.extend(hosts(zone, set));
                }
                self.additional.extend(targets(zone, set));
                match wildcard {
                    true => Step::Wildcard(node),
                    false => Step::Exact,
                }
            }
            Found::Subtree { node, set, .. } => {
                self.answer.push(Rrset::of(node, set));
                Step::Exact
            }
            Found::Delegation { cut, servers } => {
                self.authority.push(Rrset::of(cut, servers));
                self.additional.extend(glue(zone, servers));
                Step::Delegation(cut)
            }
            Found::NoType { node, wildcard } => {
                self.authority.extend(negative(zone));
                match wildcard {
                    true => Step::NoTypeWildcard(node),
                    false => Step::NoType,
                }
            }
            Found::NoName { closest } => {
                self.reason.closest = Some(closest);
                self.rcode = ResponseCode::NXDomain;
                self.authority.extend(negative(zone));
                Step::NoName
            }
        };
    }
}

/// Shows a set of a node, under the name asked when a wildcard made it; `first` tells that no alias
/// led there.
fn shown<'r>((node, made): (Node<'r>, Option<&Name>), set: Set<'r>, first: bool) -> Rrset<'r> {
    match made {
        Some(name) => Rrset::under(name, set),
        None if first => Rrset::asked(node, set),
        None => Rrset::of(node, set),
    }
}

/// Gives the SOA of a negative answer (RFC 2308 section 3).
fn negative(zone: &Zone) -> Option<Rrset<'_>> {
    let (apex, soa, ttl) = zone.negative();
    let mut set = Rrset::of(apex, soa?);
    set.ttl = ttl;
    Some(set)
}
