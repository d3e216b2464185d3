//! Parameters of SVCB and HTTPS (RFC 9460 sections 2.1, 2.2 and 7 to 9).
//!
//! They go out in the order of their keys, each once, and every key that `mandatory` lists must be
//! there.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::codes::{from_base64, to_base64};
use super::{Wire, Wrong};
use crate::policy::zone::text::{head, number, unescape, write_quoted};
use crate::policy::zone::words::Words;

/// The keys that have words, by number.
const KEYS: [&str; 10] = [
    "mandatory",
    "alpn",
    "no-default-alpn",
    "port",
    "ipv4hint",
    "ech",
    "ipv6hint",
    "dohpath",
    "ohttp",
    "tls-supported-groups",
];
const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;
const PORT: u16 = 3;
const IPV4_HINT: u16 = 4;
const ECH: u16 = 5;
const IPV6_HINT: u16 = 6;
const DOH_PATH: u16 = 7;
const OHTTP: u16 = 8;
const GROUPS: u16 = 9;

impl Wire<'_> {
    pub(super) fn params(&mut self) -> Result<(), Wrong> {
        let mut params: Vec<(u16, Vec<u8>)> = Vec::new();
        while let Some(token) = self.more() {
            let equals = token.text.iter().position(|byte| *byte == b'=');
            let (word, text) = match equals {
                Some(at) => (&token.text[..at], Some(&token.text[at + 1..])),
                None => (token.text, None),
            };
            let key = key(word).ok_or_else(|| self.is_not(word, "a service parameter"))?;
            let twice = params.iter().any(|(known, _)| *known == key);
            if twice {
                return Err(self.wrong(format!("the parameter {} is there twice", head(word))));
            }
            let text = text.map(unquoted);
            let value = match KEYS.contains(&&*String::from_utf8_lossy(word)) {
                true => value(key, text),
                false => octets(key, text),
            };
            let value = value.map_err(|what| self.wrong(what))?;
            params.push((key, value));
        }
        params.sort();
        if let Err(what) = consistent(&params) {
            return Err(self.wrong(what));
        }
        for (key, value) in params {
            let length = u16::try_from(value.len())
                .map_err(|_| self.wrong(String::from("a parameter above 65535 octets")))?;
            self.bytes.extend(key.to_be_bytes());
            self.bytes.extend(length.to_be_bytes());
            self.bytes.extend(value);
        }
        Ok(())
    }
}

/// Takes the quotes off a value.
fn unquoted(text: &[u8]) -> &[u8] {
    let inner = text.strip_prefix(b"\"");
    inner
        .and_then(|text| text.strip_suffix(b"\""))
        .unwrap_or(text)
}

/// Reads a key: a word, or `key65280` without leading zeros.
fn key(word: &[u8]) -> Option<u16> {
    let known = KEYS.iter().position(|known| known.as_bytes() == word);
    if let Some(known) = known {
        return u16::try_from(known).ok();
    }
    let digits = word.strip_prefix(b"key")?;
    let plain = digits == b"0" || !digits.starts_with(b"0");
    let number = number(digits.get(..digits.len().min(6))?)?;
    let key = u16::try_from(number).ok()?;
    (plain && digits.len() < 6).then_some(key)
}

fn write_key(out: &mut String, key: u16) {
    match KEYS.get(usize::from(key)) {
        Some(word) => out.push_str(word),
        None => out.push_str(&format!("key{key}")),
    }
}

/// Reads the value of a parameter that is written by its number: octets as on the wire.
fn octets(key: u16, text: Option<&[u8]>) -> Result<Vec<u8>, String> {
    let mut octets = Vec::new();
    unescape(text.unwrap_or_default(), &mut octets)?;
    match written(key, &octets) {
        Some(_) => Ok(octets),
        None => Err(format!(
            "`{}` is not a value of key{key}",
            head(text.unwrap_or_default())
        )),
    }
}

/// Reads the value of a parameter that is written by its word.
fn value(key: u16, text: Option<&[u8]>) -> Result<Vec<u8>, String> {
    let mut octets = Vec::new();
    if let Some(text) = text {
        unescape(text, &mut octets)?;
    }
    let mut name = String::new();
    write_key(&mut name, key);
    let bad = || {
        format!(
            "`{}` is not a value of {name}",
            head(text.unwrap_or_default())
        )
    };
    let empty = octets.is_empty();
    let value = match key {
        NO_DEFAULT_ALPN | OHTTP if empty => Some(octets),
        NO_DEFAULT_ALPN | OHTTP => return Err(format!("{name} has no value")),
        MANDATORY | ALPN | PORT | IPV4_HINT | ECH | IPV6_HINT | DOH_PATH | GROUPS if empty => {
            return Err(format!("{name} needs a value"));
        }
        MANDATORY => mandatory(&octets),
        ALPN => alpn(&octets),
        PORT => short(&octets).map(|port| port.to_vec()),
        IPV4_HINT => each(&octets, |text| {
            parse(text).map(|address: Ipv4Addr| address.octets().to_vec())
        }),
        IPV6_HINT => each(&octets, |text| {
            parse(text).map(|address: Ipv6Addr| address.octets().to_vec())
        }),
        ECH => from_base64(&octets),
        // The template must be relative and hold the variable (RFC 9461 section 5).
        DOH_PATH => {
            let path = std::str::from_utf8(&octets).ok();
            let template = path.is_some_and(|path| path.starts_with('/') && path.contains("{?dns"));
            template.then_some(octets)
        }
        GROUPS => each(&octets, |text| short(text).map(|group| group.to_vec())),
        _ => Some(octets),
    };
    value.ok_or_else(bad)
}

fn parse<T: FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn short(text: &[u8]) -> Option<[u8; 2]> {
    let number = u16::try_from(number(text)?).ok()?;
    Some(number.to_be_bytes())
}

/// Reads a list with commas.
fn each(octets: &[u8], read: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    let parts: Option<Vec<_>> = octets.split(|byte| *byte == b',').map(read).collect();
    Some(parts?.concat())
}

fn mandatory(octets: &[u8]) -> Option<Vec<u8>> {
    let keys = octets.split(|byte| *byte == b',').map(key);
    let mut keys: Vec<u16> = keys.collect::<Option<_>>()?;
    keys.sort_unstable();
    let once = keys.windows(2).all(|pair| pair[0] != pair[1]);
    let value = keys.iter().flat_map(|key| key.to_be_bytes()).collect();
    (once && !keys.contains(&MANDATORY)).then_some(value)
}

/// Reads names of protocols; a comma or backslash within one has a backslash before it (RFC 9460
/// appendix A.1).
fn alpn(octets: &[u8]) -> Option<Vec<u8>> {
    let mut names = vec![Vec::new()];
    let mut rest = octets.iter();
    while let Some(octet) = rest.next() {
        let octet = match octet {
            b',' => {
                names.push(Vec::new());
                continue;
            }
            b'\\' => rest.next()?,
            plain => plain,
        };
        names.last_mut()?.push(*octet);
    }
    let mut value = Vec::new();
    for name in names {
        let length = u8::try_from(name.len()).ok().filter(|length| *length > 0)?;
        value.push(length);
        value.extend(name);
    }
    Some(value)
}

/// Checks what parameters demand of one another.
fn consistent(params: &[(u16, Vec<u8>)]) -> Result<(), String> {
    let has = |key| params.iter().any(|(known, _)| *known == key);
    if has(NO_DEFAULT_ALPN) && !has(ALPN) {
        return Err(String::from("no-default-alpn without alpn"));
    }
    let listed = params.iter().find(|(key, _)| *key == MANDATORY);
    for pair in listed.map_or(&[][..], |(_, value)| value).chunks_exact(2) {
        let key = u16::from_be_bytes([pair[0], pair[1]]);
        if !has(key) {
            let mut what = String::from("mandatory lists ");
            write_key(&mut what, key);
            what.push_str(", which is not there");
            return Err(what);
        }
    }
    Ok(())
}

/// Writes parameters; `None` when they are not in order or not what their keys want.
pub(in crate::policy::zone) fn write_params(words: &mut Words<'_>) -> Option<()> {
    let mut params: Vec<(u16, Vec<u8>)> = Vec::new();
    while !words.rest.is_empty() {
        let (key, length) = (words.u16()?, words.u16()?);
        let octets = words.octets(usize::from(length))?;
        if params.last().is_some_and(|(before, _)| *before >= key) {
            return None;
        }
        let mut text = String::new();
        write_key(&mut text, key);
        if let Some(value) = written(key, octets)? {
            text.push('=');
            text.push_str(&value);
        }
        words.put(text);
        params.push((key, octets.to_vec()));
    }
    consistent(&params).ok()
}

/// Writes a value; nothing where there is none, `None` where it is not what its key wants.
fn written(key: u16, octets: &[u8]) -> Option<Option<String>> {
    let list = |words: Vec<String>| (!words.is_empty()).then(|| words.join(","));
    let shorts = || {
        let pairs = octets.chunks(2).map(|pair| pair.try_into().ok());
        pairs
            .map(|pair| pair.map(u16::from_be_bytes))
            .collect::<Option<Vec<u16>>>()
    };
    let text = match key {
        MANDATORY => {
            let keys = shorts()?;
            let ordered = keys.windows(2).all(|pair| pair[0] < pair[1]);
            let wrong = !ordered || keys.contains(&MANDATORY);
            let keys = keys.iter().map(|key| {
                let mut word = String::new();
                write_key(&mut word, *key);
                word
            });
            list(keys.collect()).filter(|_| !wrong)?
        }
        ALPN => {
            let mut names = Vec::new();
            let mut rest = octets;
            while let Some((length, tail)) = rest.split_first() {
                let (name, tail) = tail.split_at_checked(usize::from(*length))?;
                if name.is_empty() {
                    return None;
                }
                if !names.is_empty() {
                    names.push(b',');
                }
                for octet in name {
                    if matches!(octet, b',' | b'\\') {
                        names.push(b'\\');
                    }
                    names.push(*octet);
                }
                rest = tail;
            }
            quoted((!names.is_empty()).then_some(&names)?)
        }
        NO_DEFAULT_ALPN | OHTTP => return octets.is_empty().then_some(None),
        PORT => u16::from_be_bytes(octets.try_into().ok()?).to_string(),
        IPV4_HINT => list(addresses::<4, Ipv4Addr>(octets)?)?,
        IPV6_HINT => list(addresses::<16, Ipv6Addr>(octets)?)?,
        ECH => (!octets.is_empty()).then(|| to_base64(octets))?,
        DOH_PATH => {
            let path = quoted(octets);
            value(DOH_PATH, Some(unquoted(path.as_bytes()))).ok()?;
            path
        }
        GROUPS => list(shorts()?.iter().map(u16::to_string).collect())?,
        _ if octets.is_empty() => return Some(None),
        _ => quoted(octets),
    };
    Some(Some(text))
}

fn quoted(octets: &[u8]) -> String {
    let mut text = String::new();
    write_quoted(&mut text, octets);
    text
}

fn addresses<const N: usize, T: From<[u8; N]> + ToString>(octets: &[u8]) -> Option<Vec<String>> {
    let parts = octets.chunks(N).map(|part| {
        let part: [u8; N] = part.try_into().ok()?;
        Some(T::from(part).to_string())
    });
    parts.collect()
}
