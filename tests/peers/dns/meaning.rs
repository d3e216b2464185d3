//! What an answer means, field by field, whatever the order and the compression.

use std::collections::BTreeSet;

use hickory_proto::op::Message;
use hickory_proto::rr::Record;

/// The fields, in the order of [`Meaning`].
pub(super) const FIELDS: [&str; 9] = [
    "rcode",
    "AA",
    "TC",
    "other flags",
    "question",
    "answer",
    "authority",
    "additional",
    "EDNS",
];

/// The fields of an answer as words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meaning(pub(super) [String; FIELDS.len()]);

impl Meaning {
    pub(super) fn of(answer: &[u8]) -> Self {
        let flags = u16::from_be_bytes([answer[2], answer[3]]);
        let flag = |bit: u16| (flags & bit != 0).to_string();
        let Ok(message) = Message::from_vec(answer) else {
            let mut words: [String; FIELDS.len()] = Default::default();
            words[0] = format!("unreadable: {answer:?}");
            return Self(words);
        };
        let edns = message.edns.as_ref().map(|edns| {
            let flags = edns.flags();
            let (dnssec_ok, z) = (flags.dnssec_ok, flags.z);
            format!("version {} DO {dnssec_ok} Z {z}", edns.version())
        });
        let queries = message.queries.iter().map(ToString::to_string);
        Self([
            u16::from(message.metadata.response_code).to_string(),
            flag(0x400),
            flag(0x200),
            // QR, opcode, RD, RA, Z, AD. CD is copied by some only.
            format!("{:04x}", flags & 0xf9e0),
            queries.collect::<Vec<_>>().join(" "),
            words(&message.answers),
            words(&message.authorities),
            words(&message.additionals),
            edns.unwrap_or_default(),
        ])
    }

    /// Tells whether TC is set.
    pub(super) fn is_cut(&self) -> bool {
        self.0[2] == "true"
    }

    /// Tells whether a field is a section of records.
    pub(super) const fn is_section(place: usize) -> bool {
        matches!(place, 5..=7)
    }
}

fn words(records: &[Record]) -> String {
    let words = records.iter().map(|record| {
        let (name, kind) = (&record.name, record.record_type());
        let words = format!("{name} {} {kind} {}", record.ttl, record.data);
        words.to_lowercase()
    });
    let words: BTreeSet<_> = words.collect();
    words.into_iter().collect::<Vec<_>>().join("; ")
}
