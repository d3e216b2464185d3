//! Writes an answer as a message: the one that goes out over UDP and TCP.
//!
//! In go the head and the question as they came, and what `policy/answer` decided; out come bytes.
//! Record sets are whole or absent (RFC 2181 section 9), OPT is never left out (RFC 6891 section 7).
//! Names are written by `writer/names`, OPT by `writer/options`.

mod names;
mod options;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Record, RecordType};
use hickory_proto::serialize::binary::{BinEncodable as _, BinEncoder, NameEncoding};

use self::names::SUFFIXES_MAX;
use self::options::opt_length;
use crate::policy::answer::{Answer, Edns, OwnEdns, PAYLOAD_MAX, Rrset, Transport};
use crate::policy::name::{Name, labels};
use crate::policy::resolver::Reply;

/// How long the head of a message is (RFC 1035 section 4.1.1).
pub(super) const HEAD: usize = 12;

/// The name of the question, behind the head, as a pointer (RFC 1035 section 4.1.4).
const QUESTION: [u8; 2] = [0xc0, 0x0c];

/// What every receiver takes without EDNS (RFC 1035 section 4.2.1).
pub(super) const PAYLOAD_PLAIN: usize = 512;

/// What an answer takes from the head of its query: it goes back as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The number that the asker gave it.
    pub id: u16,
    /// The operation, four bits.
    pub opcode: u8,
    /// Recursion is desired.
    pub recursion_desired: bool,
    /// Signatures need not be checked (RFC 4035 section 3.1.6).
    pub checking_disabled: bool,
}

/// What an answer says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flags {
    /// The response code, of which the upper bits go into OPT.
    pub rcode: ResponseCode,
    /// The server speaks for the name.
    pub authoritative: bool,
    /// The server would ask others for this client.
    pub recursion_available: bool,
}

/// A message that is being written.
pub(super) struct Writer<'o> {
    out: &'o mut Vec<u8>,
    /// How many octets the message may have.
    limit: usize,
    /// Where each remembered suffix of a name was written, with its mark.
    suffixes: [(u32, u16); SUFFIXES_MAX],
    known: usize,
    /// The records of each section.
    counts: [u16; 4],
    truncated: bool,
}

/// Writes an answer; `question` is that of the query, as it came, or empty where it had none that
/// could be read. Gives whether something was left out (TC).
pub(super) fn write(
    out: &mut Vec<u8>,
    head: Head,
    question: &[u8],
    answer: &Answer<'_>,
    limit: usize,
) -> bool {
    let flags = Flags {
        rcode: answer.rcode,
        authoritative: answer.authoritative,
        recursion_available: answer.recursion_available,
    };
    let mut writer = Writer::new(out, head, flags, question, limit);
    let edns = answer.edns.as_ref();
    let words = match edns.and_then(|edns| edns.error) {
        Some(_) => answer.error_text(),
        None => String::new(),
    };
    // OPT has its place before anything else has.
    let room = edns.map_or(0, |edns| opt_length(edns, &words));
    writer.limit = writer.limit.saturating_sub(room);
    for (section, sets) in [
        (1, &answer.answer),
        (2, &answer.authority),
        (3, &answer.additional),
    ] {
        for set in sets.iter() {
            if !writer.set(section, set) {
                // Addresses beside an answer are a courtesy; those of a referral are not (RFC 9471
                // section 3).
                writer.truncated = section < 3 || answer.is_referral();
                break;
            }
        }
        if writer.truncated {
            break;
        }
    }
    if let Some(text) = answer.chaos {
        writer.chaos(text);
    }
    if let Some(edns) = edns {
        writer.opt(edns, answer.rcode, &words);
    }
    writer.finish()
}

/// Writes an answer without records: what cannot be parsed, or what nothing was decided on.
pub(super) fn write_error(
    out: &mut Vec<u8>,
    head: Head,
    question: &[u8],
    rcode: ResponseCode,
    edns: Option<&OwnEdns<'_>>,
) {
    let flags = Flags {
        rcode,
        authoritative: false,
        recursion_available: false,
    };
    let mut writer = Writer::new(out, head, flags, question, PAYLOAD_PLAIN);
    if let Some(edns) = edns {
        writer.opt(edns, rcode, "");
    }
    writer.finish();
}

/// Writes what other servers said, for a question as it came; `words` go with the extended error.
/// Gives whether something was left out (TC).
pub(super) fn write_resolved(
    out: &mut Vec<u8>,
    (head, question): (Head, &[u8]),
    (own, words): (Option<&OwnEdns<'_>>, &str),
    reply: &Reply,
    limit: usize,
) -> bool {
    let flags = Flags {
        rcode: reply.rcode,
        authoritative: false,
        recursion_available: true,
    };
    let mut writer = Writer::new(out, head, flags, question, limit);
    let room = own.map_or(0, |own| opt_length(own, words));
    writer.limit = writer.limit.saturating_sub(room);
    let answer = reply.records.iter().map(|record| (1, record));
    let negative = reply.soa.as_deref().map(|record| (2, record));
    let start = writer.out.len();
    for (section, record) in answer.chain(negative) {
        writer.record(section, record);
    }
    if writer.out.len() > writer.limit {
        // The asker comes back over TCP, so nothing is gained by the most that would fit.
        writer.out.truncate(start);
        writer.counts = [writer.counts[0], 0, 0, 0];
        writer.truncated = true;
    }
    if let Some(own) = own {
        writer.opt(own, reply.rcode, words);
    }
    writer.finish()
}

/// Gives how many octets an asker takes.
pub(super) fn limit(transport: Transport, edns: Option<&Edns>) -> usize {
    match (transport, edns) {
        (Transport::Tcp, _) => usize::from(u16::MAX),
        (Transport::Udp, None) => PAYLOAD_PLAIN,
        (Transport::Udp, Some(edns)) => {
            usize::from(edns.payload.min(PAYLOAD_MAX)).max(PAYLOAD_PLAIN)
        }
    }
}

impl<'o> Writer<'o> {
    /// Begins a message in an empty buffer.
    pub(super) fn new(
        out: &'o mut Vec<u8>,
        head: Head,
        flags: Flags,
        question: &[u8],
        limit: usize,
    ) -> Self {
        out.clear();
        let high = 0x80
            | (head.opcode & 0xf) << 3
            | u8::from(flags.authoritative) << 2
            | u8::from(head.recursion_desired);
        let low = u8::from(flags.recursion_available) << 7
            | u8::from(head.checking_disabled) << 4
            | flags.rcode.low();
        out.extend(head.id.to_be_bytes());
        out.extend([high, low]);
        out.extend([0; HEAD - 4]);
        out.extend(question);
        let mut writer = Self {
            out,
            limit,
            suffixes: [(0, 0); SUFFIXES_MAX],
            known: 0,
            counts: [u16::from(!question.is_empty()), 0, 0, 0],
            truncated: false,
        };
        if let Some(name) = question.len().checked_sub(4) {
            writer.remember(question.get(..name).unwrap_or_default(), HEAD);
        }
        writer
    }

    /// Writes a whole set, or nothing of it when it does not fit; tells which.
    fn set(&mut self, section: usize, set: &Rrset<'_>) -> bool {
        let (start, known) = (self.out.len(), self.known);
        // The name of the question stands there already, unless it is the root.
        let owner = (self.known == 0 || !set.is_asked()).then(|| set.owner());
        debug_assert!(owner.is_some() || self.stands_at(HEAD, set.owner().wire()));
        let record_type = set.record_type();
        let [high, low] = u16::from(record_type).to_be_bytes();
        let [a, b, c, d] = set.ttl.to_be_bytes();
        let mut count = 0;
        for data in set.data() {
            match &owner {
                Some(owner) => self.name(owner.wire()),
                None => self.out.extend(QUESTION),
            }
            self.out.extend([high, low, 0, 1, a, b, c, d]);
            self.data(record_type, data);
            count += 1;
            if self.out.len() > self.limit {
                self.out.truncate(start);
                self.known = known;
                return false;
            }
        }
        self.counts[section] += count;
        true
    }

    /// Writes what the server says of itself, as TXT of class CH; it always fits.
    fn chaos(&mut self, text: &[u8]) {
        // The name is the question's.
        self.out.extend(QUESTION);
        self.out.extend(u16::from(RecordType::TXT).to_be_bytes());
        self.out.extend([0, 3, 0, 0, 0, 0]);
        let length = u8::try_from(text.len()).unwrap_or(0);
        self.out.extend((u16::from(length) + 1).to_be_bytes());
        self.out.push(length);
        self.out.extend(&text[..usize::from(length)]);
        self.counts[1] += 1;
    }

    /// Writes a record that another server gave.
    fn record(&mut self, section: usize, record: &Record) {
        let mut data = Vec::new();
        let mut encoder = BinEncoder::new(&mut data);
        encoder.set_name_encoding(NameEncoding::Uncompressed);
        // What was read from a message can be written into one.
        if record.data.emit(&mut encoder).is_err() {
            return;
        }
        self.name(Name::from(&record.name).wire());
        let record_type = record.record_type();
        self.out.extend(u16::from(record_type).to_be_bytes());
        self.out.extend([0, 1]);
        self.out.extend(record.ttl.to_be_bytes());
        self.data(record_type, &data);
        self.counts[section] += 1;
    }

    fn data(&mut self, record_type: RecordType, data: &[u8]) {
        let at = self.out.len();
        self.out.extend([0, 0]);
        // Octets before the names, and how many names.
        #[expect(clippy::wildcard_enum_match_arm, reason = "others are not compressed")]
        let (before, names) = match record_type {
            RecordType::CNAME | RecordType::NS | RecordType::PTR => (0, 1),
            RecordType::MX => (2, 1),
            RecordType::SOA => (0, 2),
            _ => (data.len(), 0),
        };
        let (plain, mut rest) = data.split_at_checked(before).unwrap_or((data, &[]));
        self.out.extend(plain);
        for _ in 0..names {
            let length = labels(rest).map(|label| label.len() + 1).sum::<usize>() + 1;
            let (name, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            self.name(name);
            rest = after;
        }
        self.out.extend(rest);
        let length = self.out.len() - at - 2;
        // Data of a zone is never longer than its length says.
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        self.out[at..at + 2].copy_from_slice(&length.to_be_bytes());
    }

    /// Ends the message; gives whether something was left out.
    pub(super) fn finish(self) -> bool {
        if self.truncated {
            self.out[2] |= 2;
        }
        for (section, count) in self.counts.iter().enumerate() {
            let at = 4 + 2 * section;
            self.out[at..at + 2].copy_from_slice(&count.to_be_bytes());
        }
        self.truncated
    }
}
