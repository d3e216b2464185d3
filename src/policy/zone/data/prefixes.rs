//! Parts of addresses: APL (RFC 3123) and A6 (RFC 2874).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Wire, Wrong};
use crate::policy::zone::text::number;
use crate::policy::zone::words::Words;

/// The bit of an APL that excludes.
const NOT: u8 = 0x80;

impl Wire<'_> {
    pub(super) fn apl(&mut self) -> Result<(), Wrong> {
        while let Some(token) = self.more() {
            let wanted = "an item of a prefix list: `1:192.0.2.0/24`, `!2:2001:db8::/32`";
            let item = item(token.text);
            let item = item.ok_or_else(|| self.is_not(token.text, wanted))?;
            self.bytes.extend(item);
        }
        Ok(())
    }

    pub(super) fn a6(&mut self) -> Result<(), Wrong> {
        let prefix = self.number(128)?;
        let prefix = u8::try_from(prefix).unwrap_or(128);
        self.bytes.push(prefix);
        if prefix < 128 {
            let text = self.take("an address suffix")?;
            let address: Ipv6Addr = self.parse(text, "an IPv6 address")?;
            let octets = suffix(address, prefix);
            self.bytes.extend(octets);
        }
        if prefix > 0 {
            self.name()?;
        }
        Ok(())
    }
}

/// Gives the octets of an address from a prefix on, the prefix's bits being zero.
fn suffix(address: Ipv6Addr, prefix: u8) -> Vec<u8> {
    let bits = address.to_bits() & (u128::MAX.checked_shr(u32::from(prefix)).unwrap_or(0));
    bits.to_be_bytes()[usize::from(prefix / 8)..].to_vec()
}

/// Reads one item of a prefix list.
fn item(text: &[u8]) -> Option<Vec<u8>> {
    let (not, text) = match text.strip_prefix(b"!") {
        Some(text) => (NOT, text),
        None => (0, text),
    };
    let text = std::str::from_utf8(text).ok()?;
    let (family, text) = text.split_once(':')?;
    let (address, prefix) = text.split_once('/')?;
    let (octets, family, most) = match family {
        "1" => (address.parse::<Ipv4Addr>().ok()?.octets().to_vec(), 1, 32),
        "2" => (address.parse::<Ipv6Addr>().ok()?.octets().to_vec(), 2, 128),
        _ => return None,
    };
    let prefix = number(prefix.as_bytes()).and_then(|prefix| u8::try_from(prefix).ok())?;
    // Zeros at the end are left out (RFC 3123 section 4).
    let length = octets
        .iter()
        .rposition(|octet| *octet != 0)
        .map_or(0, |at| at + 1);
    let length_octet = u8::try_from(length).ok()? | not;
    let mut item = vec![0, family, prefix, length_octet];
    item.extend_from_slice(&octets[..length]);
    (prefix <= most).then_some(item)
}

/// Writes a prefix list.
pub(in crate::policy::zone) fn write_apl(words: &mut Words<'_>) -> Option<()> {
    while !words.rest.is_empty() {
        let (family, prefix, length) = (words.u16()?, words.u8()?, words.u8()?);
        let part = words.octets(usize::from(length & !NOT))?;
        let (address, most) = match family {
            1 => (IpAddr::from(padded::<4>(part)?), 32),
            2 => (IpAddr::from(padded::<16>(part)?), 128),
            _ => return None,
        };
        if prefix > most || part.last() == Some(&0) {
            return None;
        }
        let not = if length & NOT == 0 { "" } else { "!" };
        words.put(format!("{not}{family}:{address}/{prefix}"));
    }
    Some(())
}

fn padded<const N: usize>(part: &[u8]) -> Option<[u8; N]> {
    let mut octets = [0; N];
    octets.get_mut(..part.len())?.copy_from_slice(part);
    Some(octets)
}

/// Writes an A6.
pub(in crate::policy::zone) fn write_a6(words: &mut Words<'_>) -> Option<()> {
    let prefix = words.u8().filter(|prefix| *prefix <= 128)?;
    words.put(prefix);
    if prefix < 128 {
        let part = words.octets(16 - usize::from(prefix / 8))?;
        let mut octets = [0; 16];
        octets[usize::from(prefix / 8)..].copy_from_slice(part);
        let address = Ipv6Addr::from(octets);
        if suffix(address, prefix) != part {
            return None;
        }
        words.put(address);
    }
    if prefix > 0 {
        words.name()?;
    }
    Some(())
}
