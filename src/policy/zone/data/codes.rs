//! Octets as digits, numbers with words, and types as bits: each way both ways.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::policy::zone::text::number;

/// Algorithms of DNSSEC that zone files name (RFC 4034 appendix A.1 and the registry).
pub(super) const ALGORITHMS: &[(&str, u16)] = &[
    ("RSAMD5", 1),
    ("DH", 2),
    ("DSA", 3),
    ("RSASHA1", 5),
    ("DSA-NSEC3-SHA1", 6),
    ("NSEC3DSA", 6),
    ("RSASHA1-NSEC3-SHA1", 7),
    ("NSEC3RSASHA1", 7),
    ("RSASHA256", 8),
    ("RSASHA512", 10),
    ("ECC-GOST", 12),
    ("ECDSAP256SHA256", 13),
    ("ECDSAP384SHA384", 14),
    ("ED25519", 15),
    ("ED448", 16),
    ("INDIRECT", 252),
    ("PRIVATEDNS", 253),
    ("PRIVATEOID", 254),
];

/// Types of certificates (RFC 4398 section 2.1).
pub(super) const CERTIFICATES: &[(&str, u16)] = &[
    ("PKIX", 1),
    ("SPKI", 2),
    ("PGP", 3),
    ("IPKIX", 4),
    ("ISPKI", 5),
    ("IPGP", 6),
    ("ACPKIX", 7),
    ("IACPKIX", 8),
    ("URI", 253),
    ("OID", 254),
];

const BASE32: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Reads a number, or a word for one.
pub(super) fn number_of(text: &[u8], words: &[(&str, u16)], most: u16) -> Option<u16> {
    if let Some(number) = number(text) {
        return u16::try_from(number).ok().filter(|number| *number <= most);
    }
    let mut words = words.iter();
    let found = words.find(|(word, _)| word.as_bytes().eq_ignore_ascii_case(text))?;
    Some(found.1)
}

/// Reads pairs of hexadecimal digits.
pub(super) fn from_hex(digits: &[u8]) -> Option<Vec<u8>> {
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
        _ => None,
    });
    pairs.collect()
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Writes pairs of hexadecimal digits.
pub(in crate::policy::zone) fn write_hex(out: &mut String, octets: &[u8]) {
    for octet in octets {
        let _ = write!(out, "{octet:02x}");
    }
}

/// Reads base64 with its padding (RFC 4648 section 4).
pub(super) fn from_base64(text: &[u8]) -> Option<Vec<u8>> {
    let unpadded = text.strip_suffix(b"=").unwrap_or(text);
    let unpadded = unpadded.strip_suffix(b"=").unwrap_or(unpadded);
    let whole = text.len().is_multiple_of(4) && !text.is_empty();
    whole.then(|| unpack(unpadded, BASE64, 6))?
}

/// Writes base64 with its padding.
pub(in crate::policy::zone) fn to_base64(octets: &[u8]) -> String {
    let mut text = pack(octets, BASE64, 6);
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

/// Reads base 32 with the extended hex alphabet, without padding (RFC 5155 section 3.3).
pub(super) fn from_base32(text: &[u8]) -> Option<Vec<u8>> {
    unpack(&text.to_ascii_lowercase(), BASE32, 5)
}

/// Writes base 32 with the extended hex alphabet, without padding.
pub(in crate::policy::zone) fn to_base32(octets: &[u8]) -> String {
    pack(octets, BASE32, 5)
}

/// Puts digits of `width` bits together. Bits that are left over must be zero and less than one
/// digit, so that there is but one way to write octets.
fn unpack(text: &[u8], alphabet: &[u8], width: u32) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len());
    let (mut bits, mut held) = (0_u32, 0);
    for digit in text {
        let value = alphabet.iter().position(|known| known == digit)?;
        bits = bits << width | u32::try_from(value).ok()?;
        held += width;
        if held >= 8 {
            held -= 8;
            octets.push(u8::try_from(bits >> held & 0xff).ok()?);
            bits &= (1 << held) - 1;
        }
    }
    (bits == 0 && held < width).then_some(octets)
}

/// Takes octets apart into digits of `width` bits.
fn pack(octets: &[u8], alphabet: &[u8], width: u32) -> String {
    let mut text = String::new();
    let (mut bits, mut held) = (0_u32, 0);
    let mut put = |value: u32| {
        let digit = alphabet[usize::try_from(value).unwrap_or(0)];
        text.push(char::from(digit));
    };
    for octet in octets {
        bits = bits << 8 | u32::from(*octet);
        held += 8;
        while held >= width {
            held -= width;
            put(bits >> held);
            bits &= (1 << held) - 1;
        }
    }
    if held > 0 {
        put(bits << (width - held));
    }
    text
}

/// Writes types as windows of bits (RFC 4034 section 4.1.2).
pub(super) fn write_bit_map(types: Vec<u16>, out: &mut Vec<u8>) {
    let types: BTreeSet<u16> = types.into_iter().collect();
    let mut types = types.into_iter().peekable();
    while let Some([window, _]) = types.peek().map(|kind| kind.to_be_bytes()) {
        let mut bits = [0_u8; 32];
        let mut length = 0;
        while let Some(kind) = types.next_if(|kind| kind.to_be_bytes()[0] == window) {
            let [_, low] = kind.to_be_bytes();
            bits[usize::from(low / 8)] |= 0x80 >> (low % 8);
            length = low / 8 + 1;
        }
        out.extend([window, length]);
        out.extend_from_slice(&bits[..usize::from(length)]);
    }
}

/// Reads types from windows of bits; `None` when they are not in their only form.
pub(in crate::policy::zone) fn read_bit_map(mut rest: &[u8]) -> Option<Vec<u16>> {
    let mut types = Vec::new();
    let mut above = None;
    while let [window, length, tail @ ..] = rest {
        let (bits, tail) = tail.split_at_checked(usize::from(*length))?;
        let formed = (1..=32).contains(&bits.len()) && bits.last() != Some(&0);
        if !formed || above.is_some_and(|above| above >= *window) {
            return None;
        }
        above = Some(*window);
        rest = tail;
        for (at, octet) in (0_u8..).zip(bits) {
            let set = (0..8).filter(|bit| octet & (0x80 >> bit) != 0);
            types.extend(set.map(|bit| u16::from_be_bytes([*window, at * 8 + bit])));
        }
    }
    rest.is_empty().then_some(types)
}
