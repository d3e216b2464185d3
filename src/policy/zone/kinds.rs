//! The types that zones hold: their words, their numbers, and the fields of their data.
//!
//! One table serves reading and writing, so that what one writes the other reads.

use std::fmt::Write as _;

use hickory_proto::rr::RecordType;

use super::text::{head, number};
use Field::*;

/// A part of a record's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// An IPv4 address.
    A,
    /// Prefix length, address suffix and name of an A6 (RFC 2874).
    A6,
    /// An IPv6 address.
    Aaaa,
    /// A DNSSEC algorithm.
    Algorithm,
    /// Address prefixes (RFC 3123), to the end.
    Apl,
    /// Base64, to the end; may be empty where `-` or nothing stands for it.
    Base64,
    /// A certificate's type (RFC 4398 section 2.1).
    Certificate,
    /// Six or eight octets with hyphens (RFC 7043).
    Eui(usize),
    /// Precedence, discovery flag and relay of an AMTRELAY (RFC 8777).
    Amt,
    /// Four groups of hexadecimal digits (RFC 6742).
    Groups,
    /// The next owner's hash of an NSEC3, in base 32 after its length.
    Hash,
    /// Hexadecimal digits, to the end.
    Hex,
    /// All of a HIP (RFC 8005).
    Hip,
    /// All of an IPSECKEY (RFC 4025).
    Ipsec,
    /// All of a LOC (RFC 1876).
    Loc,
    /// A name.
    Name,
    /// An NSAP address: `0x` and digits (RFC 1706).
    Nsap,
    /// A string without a length, to the end.
    Octets,
    /// A string that may be missing.
    Optional,
    /// Service parameters (RFC 9460), to the end.
    Params,
    /// The salt of an NSEC3: its length and hexadecimal digits, `-` when it is empty.
    Salt,
    /// A time of a signature.
    Stamp,
    /// The tag of a CAA: letters and digits (RFC 8659 section 4.1).
    Tag,
    /// A string after its length.
    Text,
    /// Strings, at least one, to the end.
    Texts,
    /// A time in seconds, or with units.
    Time,
    /// A type.
    Type,
    /// Types as a bit map, to the end (RFC 4034 section 4.1.2).
    Types,
    /// A number of one octet.
    U8,
    /// A number of two octets.
    U16,
    /// A number of four octets.
    U32,
}

/// A type, its word and the fields of its data.
type Kind = (u16, &'static str, &'static [Field]);

const ALIAS: &[Field] = &[Name];
const DIGEST: &[Field] = &[U16, Algorithm, U8, Hex];
const HINTS: &[Field] = &[U16, Name, Params];
const KEY: &[Field] = &[U16, U8, Algorithm, Base64];
const PAIR: &[Field] = &[Name, Name];
const RANKED: &[Field] = &[U16, Name];
const SIGNED: &[Field] = &[Type, Algorithm, U8, Time, Stamp, Stamp, U16, Name, Base64];
const TEXTS: &[Field] = &[Texts];
const USAGE: &[Field] = &[U8, U8, U8, Hex];

/// By number. A type without fields is written `\#` only.
const KINDS: &[Kind] = &[
    (1, "A", &[A]),
    (2, "NS", ALIAS),
    (3, "MD", ALIAS),
    (4, "MF", ALIAS),
    (5, "CNAME", ALIAS),
    (6, "SOA", &[Name, Name, U32, Time, Time, Time, Time]),
    (7, "MB", ALIAS),
    (8, "MG", ALIAS),
    (9, "MR", ALIAS),
    (10, "NULL", &[]),
    (11, "WKS", &[]),
    (12, "PTR", ALIAS),
    (13, "HINFO", &[Text, Text]),
    (14, "MINFO", PAIR),
    (15, "MX", RANKED),
    (16, "TXT", TEXTS),
    (17, "RP", PAIR),
    (18, "AFSDB", RANKED),
    (19, "X25", &[Text]),
    (20, "ISDN", &[Text, Optional]),
    (21, "RT", RANKED),
    (22, "NSAP", &[Nsap]),
    (23, "NSAP-PTR", ALIAS),
    (24, "SIG", SIGNED),
    (25, "KEY", KEY),
    (26, "PX", &[U16, Name, Name]),
    (27, "GPOS", &[Text, Text, Text]),
    (28, "AAAA", &[Aaaa]),
    (29, "LOC", &[Loc]),
    (30, "NXT", &[]),
    (31, "EID", &[Hex]),
    (32, "NIMLOC", &[Hex]),
    (33, "SRV", &[U16, U16, U16, Name]),
    (34, "ATMA", &[]),
    (35, "NAPTR", &[U16, U16, Text, Text, Text, Name]),
    (36, "KX", RANKED),
    (37, "CERT", &[Certificate, U16, Algorithm, Base64]),
    (38, "A6", &[A6]),
    (39, "DNAME", ALIAS),
    (40, "SINK", &[]),
    (42, "APL", &[Apl]),
    (43, "DS", DIGEST),
    (44, "SSHFP", &[U8, U8, Hex]),
    (45, "IPSECKEY", &[Ipsec]),
    (46, "RRSIG", SIGNED),
    (47, "NSEC", &[Name, Types]),
    (48, "DNSKEY", KEY),
    (49, "DHCID", &[Base64]),
    (50, "NSEC3", &[U8, U8, U16, Salt, Hash, Types]),
    (51, "NSEC3PARAM", &[U8, U8, U16, Salt]),
    (52, "TLSA", USAGE),
    (53, "SMIMEA", USAGE),
    (55, "HIP", &[Hip]),
    (56, "NINFO", TEXTS),
    (57, "RKEY", KEY),
    (58, "TALINK", PAIR),
    (59, "CDS", DIGEST),
    (60, "CDNSKEY", KEY),
    (61, "OPENPGPKEY", &[Base64]),
    (62, "CSYNC", &[U32, U16, Types]),
    (63, "ZONEMD", &[U32, U8, U8, Hex]),
    (64, "SVCB", HINTS),
    (65, "HTTPS", HINTS),
    (66, "DSYNC", &[Type, U8, U16, Name]),
    (99, "SPF", TEXTS),
    (104, "NID", &[U16, Groups]),
    (105, "L32", &[U16, A]),
    (106, "L64", &[U16, Groups]),
    (107, "LP", RANKED),
    (108, "EUI48", &[Eui(6)]),
    (109, "EUI64", &[Eui(8)]),
    (256, "URI", &[U16, U16, Octets]),
    (257, "CAA", &[U8, Tag, Octets]),
    (258, "AVC", TEXTS),
    (260, "AMTRELAY", &[Amt]),
    (261, "RESINFO", TEXTS),
    (262, "WALLET", TEXTS),
    (32768, "TA", DIGEST),
    (32769, "DLV", DIGEST),
];

/// Types that exist in messages only, with their words.
const MESSAGES_ONLY: [(u16, &str); 9] = [
    (41, "OPT"),
    (128, "NXNAME"),
    (249, "TKEY"),
    (250, "TSIG"),
    (251, "IXFR"),
    (252, "AXFR"),
    (253, "MAILB"),
    (254, "MAILA"),
    (255, "ANY"),
];

/// Gives the fields of a type's data; `None` when there are no words for it.
pub(super) fn fields(kind: u16) -> Option<&'static [Field]> {
    let at = KINDS.binary_search_by_key(&kind, |(code, ..)| *code).ok()?;
    let (.., fields) = KINDS[at];
    (!fields.is_empty()).then_some(fields)
}

/// Reads a type: a word, or `TYPE65280` (RFC 3597 section 5).
pub(super) fn record_type(text: &[u8]) -> Option<RecordType> {
    // The commonest, without a search.
    match text {
        b"A" => return Some(RecordType::A),
        b"AAAA" => return Some(RecordType::AAAA),
        b"CNAME" => return Some(RecordType::CNAME),
        b"NS" => return Some(RecordType::NS),
        b"PTR" => return Some(RecordType::PTR),
        b"TXT" => return Some(RecordType::TXT),
        _ => {}
    }
    if let Some((b"TYPE", code)) = text
        .split_at_checked(4)
        .map(|(word, code)| (word.to_ascii_uppercase(), code))
        .as_ref()
        .map(|(word, code)| (&word[..], *code))
    {
        return u16::try_from(number(code)?).ok().map(RecordType::from);
    }
    let is = |word: &str| word.as_bytes().eq_ignore_ascii_case(text);
    let kinds = KINDS.iter().map(|(code, word, _)| (*code, *word));
    let mut known = kinds.chain(MESSAGES_ONLY);
    known
        .find(|(_, word)| is(word))
        .map(|(code, _)| RecordType::from(code))
}

/// Reads a type that can be asked for.
pub fn read_type(text: &str) -> Option<RecordType> {
    record_type(text.as_bytes())
}

/// Reads a type that a zone may hold, or says why not and what would be right.
pub fn served_type(text: &str) -> Result<RecordType, (String, &'static str)> {
    held_type(text.as_bytes())
}

/// Reads a type that a zone may hold from a token.
pub(super) fn held_type(text: &[u8]) -> Result<RecordType, (String, &'static str)> {
    match record_type(text) {
        None => Err((
            format!("`{}` is not a type", head(text)),
            "types without a name here are written TYPE123 and `\\# LENGTH HEX` (RFC 3597)",
        )),
        // RFC 6895 section 3.1: these are questions and meta data.
        Some(known) if matches!(u16::from(known), 0 | 41 | 128..=255) => Err((
            format!(
                "{} exists in messages only",
                head(text).to_ascii_uppercase()
            ),
            "remove it",
        )),
        Some(known) => Ok(known),
    }
}

/// Writes a type as a zone file has it.
pub fn type_word(record_type: RecordType) -> String {
    let mut text = String::new();
    write_type(&mut text, record_type.into());
    text
}

/// Writes a type's word, or its number as RFC 3597 has it.
pub(super) fn write_type(out: &mut String, kind: u16) {
    let known = KINDS.binary_search_by_key(&kind, |(code, ..)| *code).ok();
    let known = known.map(|at| KINDS[at].1);
    let mut meta = MESSAGES_ONLY.iter();
    let meta = || meta.find(|(code, _)| *code == kind).map(|(_, word)| *word);
    match known.or_else(meta) {
        Some(word) => out.push_str(word),
        None => {
            let _ = write!(out, "TYPE{kind}");
        }
    }
}
