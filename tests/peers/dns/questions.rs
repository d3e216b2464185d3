//! Questions made from the zones.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use hickory_proto::op::OpCode;
use hickory_proto::rr::{DNSClass, RecordType};
use twodoors::model::addr::{ClientAddr, ListenAddr};
use twodoors::policy::answer::{Question, Rules, Transport, decide};
use twodoors::policy::name::Name;

/// Every type that the zones have, some that they do not, and ANY.
const TYPES: [u16; 27] = [
    1, 2, 5, 6, 12, 13, 15, 16, 28, 33, 35, 39, 43, 44, 46, 47, 48, 50, 52, 64, 65, 99, 255, 257,
    65_280, 65_534, 65_535,
];

/// The types that a name which no zone has is asked for: the ones that are treated in a way of
/// their own.
const TYPES_FEW: [u16; 8] = [1, 2, 5, 6, 16, 39, 43, 255];

/// Carriers: TCP, and EDNS as its payload and flags.
const CARRIERS: [(bool, Option<Opt>); 6] = [
    (false, None),
    (false, Some(Opt::of(1_232, 0))),
    (false, Some(Opt::of(512, 0x8000))),
    (false, Some(Opt::of(4_096, 0x8000))),
    (true, None),
    (true, Some(Opt::of(1_232, 0x8000))),
];

/// Flags that go with a question: RD, AD, the one that is reserved.
const FLAGS: [u16; 4] = [0, 0x100, 0x20, 0x40];

/// An OPT record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opt {
    pub(super) payload: u16,
    pub(super) version: u8,
    pub(super) flags: u16,
    pub(super) options: &'static [u8],
}

impl Opt {
    pub(super) const fn of(payload: u16, flags: u16) -> Self {
        Self {
            payload,
            version: 0,
            flags,
            options: &[],
        }
    }
}

/// A question as it is sent.
pub(super) struct Asked {
    /// What it meets, by our own reason.
    pub(super) kind: String,
    pub(super) message: Vec<u8>,
    pub(super) tcp: bool,
    name: Name,
    record_type: RecordType,
    how: usize,
}

impl Asked {
    pub(super) fn words(&self) -> String {
        format!(
            "{} {} {:?}",
            self.name, self.record_type, CARRIERS[self.how]
        )
    }
}

/// Makes the questions about the names that are wanted.
pub(super) fn questions(rules: &Rules, wanted: impl Fn(&str) -> bool) -> Vec<Asked> {
    let mut asked = Vec::new();
    let mut turn = 0;
    for (name, is_owner) in names(rules) {
        if !wanted(&name.to_string()) {
            continue;
        }
        let types = if is_owner { &TYPES[..] } else { &TYPES_FEW };
        for kind in types.iter().copied() {
            // The addresses of owners by all carriers, other questions by one in turn.
            let in_turn = turn % CARRIERS.len();
            let carriers = match (is_owner, kind) {
                (true, 1) => 0..CARRIERS.len(),
                _ => in_turn..in_turn + 1,
            };
            for how in carriers {
                turn += 1;
                asked.push(ask(rules, name, kind, how, turn));
            }
        }
        // Lest a type always meets the same carrier.
        turn += 1;
    }
    asked
}

fn ask(rules: &Rules, name: Name, kind: u16, how: usize, turn: usize) -> Asked {
    let (tcp, edns) = CARRIERS[how];
    let mut wire = name.wire().to_vec();
    if turn.is_multiple_of(5) {
        // Case does not matter, and comes back as it came (RFC 4343).
        for octet in wire.iter_mut().skip(1).step_by(2) {
            if octet.is_ascii_lowercase() {
                octet.make_ascii_uppercase();
            }
        }
    }
    let flags = FLAGS[turn % FLAGS.len()];
    let id = u16::try_from(turn % 0xff00).unwrap();
    Asked {
        kind: construct(rules, name, kind.into()),
        message: message(id, flags, (&wire, kind, 1), edns),
        tcp,
        name,
        record_type: kind.into(),
        how,
    }
}

/// Writes a query.
pub(super) fn message(
    id: u16,
    flags: u16,
    (name, kind, class): (&[u8], u16, u16),
    edns: Option<Opt>,
) -> Vec<u8> {
    let mut message = Vec::new();
    let more = u16::from(edns.is_some());
    for word in [id, flags, 1, 0, 0, more] {
        message.extend(word.to_be_bytes());
    }
    message.extend(name);
    message.extend(kind.to_be_bytes());
    message.extend(class.to_be_bytes());
    if let Some(edns) = edns {
        opt(&mut message, edns);
    }
    message
}

/// Writes an OPT record.
pub(super) fn opt(message: &mut Vec<u8>, edns: Opt) {
    message.extend([0, 0, 41]);
    message.extend(edns.payload.to_be_bytes());
    message.extend([0, edns.version]);
    message.extend(edns.flags.to_be_bytes());
    let length = u16::try_from(edns.options.len()).unwrap();
    message.extend(length.to_be_bytes());
    message.extend(edns.options);
}

/// The names to ask for: each of the zones, names below and beside it, those above it; and whether
/// a zone has it.
fn names(rules: &Rules) -> Vec<(Name, bool)> {
    let zones = rules.views.iter().flat_map(|view| view.zones());
    let owners: Vec<Name> = zones
        .flat_map(|zone| zone.nodes().map(|node| node.name()))
        .collect();
    let mut seen = BTreeSet::new();
    let mut names = Vec::new();
    let mut add = |name: Option<Name>, is_owner| {
        if let Some(name) = name
            && seen.insert(name.lower().wire().to_vec())
        {
            names.push((name, is_owner));
        }
    };
    for owner in &owners {
        add(Some(*owner), true);
    }
    for owner in &owners {
        let labels: Vec<&[u8]> = owner.labels().collect();
        let parent = Name::from_labels(labels.iter().skip(1).copied());
        add(parent, false);
        for prefix in [&b"\x05child"[..], b"\x01x\x01y", b"\x01*", b"\x03www"] {
            add(owner.below(prefix), false);
        }
        add(
            parent.and_then(|parent| parent.below(b"\x07sibling")),
            false,
        );
    }
    // Long enough that the DNAME above makes it too long (RFC 6672 section 2.2).
    let mut long = vec![63; 1];
    long.extend([b'l'; 63]);
    let long = [long.clone(), long].concat();
    // Not below those that lead back to themselves: where servers give that up differs.
    let ends = |owner: &str| {
        ["dn.", "dnlong.", "dnout."]
            .iter()
            .any(|dn| owner.starts_with(dn))
    };
    for owner in owners.iter().filter(|owner| ends(&owner.to_string())) {
        add(owner.below(&long), false);
    }
    add(Some(Name::ROOT), false);
    add(Name::from_labels([&b"nowhere"[..], b"example"]), false);
    names
}

/// The word for what a question meets, by our own reason.
fn construct(rules: &Rules, name: Name, record_type: RecordType) -> String {
    let answer = decide(
        rules,
        &Question {
            source: ClientAddr(SocketAddr::from(([127, 0, 0, 1], 1))),
            destination: ListenAddr(SocketAddr::from(([127, 0, 0, 1], 53))),
            transport: Transport::Tcp,
            opcode: OpCode::Query,
            count: 1,
            recursion_desired: false,
            name,
            record_type,
            class: DNSClass::IN,
            edns: None,
        },
    );
    let words = answer.reason.step.to_string();
    // The words without the names in them.
    let words = words.split(' ').filter(|word| !word.ends_with('.'));
    let words = words.collect::<Vec<_>>().join(" ");
    let alias = if answer.reason.aliases > 0 {
        "CNAME, "
    } else {
        ""
    };
    let any = if record_type == RecordType::ANY {
        "ANY, "
    } else {
        ""
    };
    format!("{any}{alias}{words}")
}
