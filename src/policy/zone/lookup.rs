//! One question to one zone (RFC 1034 section 4.3.2, RFC 4592, RFC 6672, RFC 8020).
//!
//! In go a zone, a name at or below its apex and a type; out comes what the zone says of it. The
//! walk goes from the apex down and stops at the first cut, the first DNAME or the first name that
//! does not exist. Chains and sections are `policy/answer`'s.

use hickory_proto::rr::RecordType;

use super::store::{CUT, DNAME as HAS_DNAME};
use super::{Node, Set, Zone};
use crate::policy::name::Key;

/// What a zone says.
#[derive(Clone, Copy, Debug)]
pub enum Found<'z> {
    /// The records asked for.
    Records {
        /// Their name, or the wildcard's.
        node: Node<'z>,
        /// The records.
        set: Set<'z>,
        /// Whether the node is a wildcard that stands for the name.
        wildcard: bool,
    },
    /// The name is an alias.
    Alias {
        /// Its name, or the wildcard's.
        node: Node<'z>,
        /// The CNAME.
        set: Set<'z>,
        /// Whether the node is a wildcard that stands for the name.
        wildcard: bool,
    },
    /// The name is below a name that is an alias with all that is below it (RFC 6672).
    Subtree {
        /// That name.
        node: Node<'z>,
        /// Its DNAME.
        set: Set<'z>,
        /// How many labels it has.
        labels: usize,
    },
    /// The name is at or below a cut: somebody else's.
    Delegation {
        /// The name of the cut.
        cut: Node<'z>,
        /// Its name servers.
        servers: Set<'z>,
    },
    /// The name exists and has no records of this type.
    NoType {
        /// Its name, or the wildcard's.
        node: Node<'z>,
        /// Whether the node is a wildcard that makes it exist.
        wildcard: bool,
    },
    /// The name does not exist.
    NoName {
        /// The deepest name above it that does.
        closest: Node<'z>,
    },
}

/// Asks a zone about a name at or below its apex.
pub fn lookup<'z>(zone: &'z Zone, name: &Key, record_type: RecordType) -> Found<'z> {
    let store = &zone.store;
    let mut node = zone.apex();
    for labels in zone.apex_labels()..=name.labels() {
        if labels > zone.apex_labels() {
            let label = name.label(labels - 1);
            let Some(child) = store.child(node.index(), label) else {
                // The last name found is the closest encloser (RFC 4592 section 3.3.1).
                return match node.wildcard() {
                    Some(wildcard) => at(wildcard, record_type, true),
                    None => Found::NoName { closest: node },
                };
            };
            node = zone.at(child);
        }
        if node.has(CUT)
            && let Some(servers) = node.set(RecordType::NS)
        {
            // DS belongs to the parent side of the cut (RFC 4035 section 3.1.4.1).
            if labels < name.labels() || record_type != RecordType::DS {
                return Found::Delegation { cut: node, servers };
            }
        }
        // A DNAME redirects what is below it, not its own name (RFC 6672 section 2.3).
        if labels < name.labels()
            && node.has(HAS_DNAME)
            && let Some(set) = node.set(RecordType::DNAME)
        {
            return Found::Subtree { node, set, labels };
        }
    }
    at(node, record_type, false)
}

fn at(node: Node<'_>, record_type: RecordType, wildcard: bool) -> Found<'_> {
    if let Some(set) = node.set(record_type) {
        return Found::Records {
            node,
            set,
            wildcard,
        };
    }
    match (node.sets().next(), node.set(RecordType::CNAME)) {
        // One set is an answer to ANY (RFC 8482 section 4.1).
        (Some(set), _) if record_type == RecordType::ANY => Found::Records {
            node,
            set,
            wildcard,
        },
        (_, Some(set)) if !stands_beside_cname(record_type) => Found::Alias {
            node,
            set,
            wildcard,
        },
        _ => Found::NoType { node, wildcard },
    }
}

/// Tells whether a type is looked for at an alias itself: those may stand beside a CNAME (RFC 4034
/// sections 3 and 4), and ANY asks for what there is.
const fn stands_beside_cname(record_type: RecordType) -> bool {
    matches!(
        record_type,
        RecordType::ANY | RecordType::NSEC | RecordType::RRSIG
    )
}
