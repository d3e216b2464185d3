//! One question to one zone (RFC 1034 section 4.3.2, RFC 4592, RFC 8020).
//!
//! In go a zone, a name at or below its apex and a type; out comes what the zone says of it. The
//! walk goes from the apex down and stops at the first cut or the first name that does not exist.
//! CNAME chains and sections are `policy/answer`'s.

use hickory_proto::rr::RecordType;

use super::{Key, Node, Set, Zone};

/// What a zone says.
#[derive(Clone, Copy, Debug)]
pub enum Found<'z> {
    /// The records asked for.
    Records {
        /// The records.
        set: &'z Set,
        /// The wildcard that they come from, if from one.
        wildcard: Option<&'z Node>,
    },
    /// The name is an alias.
    Alias {
        /// The CNAME.
        set: &'z Set,
        /// The wildcard that it comes from, if from one.
        wildcard: Option<&'z Node>,
    },
    /// The name is at or below a cut: somebody else's.
    Delegation {
        /// The name of the cut.
        cut: &'z Node,
        /// Its name servers.
        servers: &'z Set,
    },
    /// The name exists and has no records of this type.
    NoType {
        /// The wildcard that makes it exist, if one does.
        wildcard: Option<&'z Node>,
    },
    /// The name does not exist.
    NoName,
}

/// Asks a zone about a name at or below its apex.
pub fn lookup<'z>(zone: &'z Zone, name: &Key, record_type: RecordType) -> Found<'z> {
    let mut node = None;
    for labels in zone.apex_labels()..=name.labels() {
        let Some(here) = zone.node(name.ancestor(labels)) else {
            // The last name found is the closest encloser (RFC 4592 section 3.3.1).
            let source = name.wildcard(labels.saturating_sub(1));
            return match zone.node(source.whole()) {
                Some(wildcard) => at(wildcard, record_type, Some(wildcard)),
                None => Found::NoName,
            };
        };
        if labels > zone.apex_labels()
            && let Some(servers) = here.set(RecordType::NS)
        {
            // DS belongs to the parent side of the cut (RFC 4035 section 3.1.4.1).
            if labels < name.labels() || record_type != RecordType::DS {
                return Found::Delegation { cut: here, servers };
            }
        }
        node = Some(here);
    }
    match node {
        Some(node) => at(node, record_type, None),
        None => Found::NoName,
    }
}

fn at<'z>(node: &'z Node, record_type: RecordType, wildcard: Option<&'z Node>) -> Found<'z> {
    if let Some(set) = node.set(record_type) {
        return Found::Records { set, wildcard };
    }
    match (node.sets.first(), node.set(RecordType::CNAME)) {
        // One set is an answer to ANY (RFC 8482 section 4.1).
        (Some(set), _) if record_type == RecordType::ANY => Found::Records { set, wildcard },
        (_, Some(set)) if record_type != RecordType::ANY => Found::Alias { set, wildcard },
        _ => Found::NoType { wildcard },
    }
}
