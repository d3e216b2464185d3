//! The words of a master file: times, names and strings, read and written.
//!
//! In go the octets of one token; out comes its value, or a sentence of what is wrong with it.
//! Escapes mean what RFC 1035 section 5.1 says.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::policy::name::{LABEL_MAX, NAME_MAX, Name};

/// The largest TTL (RFC 2181 section 8).
pub(super) const TTL_MAX: u64 = (1 << 31) - 1;

/// How many octets a string has at most (RFC 1035 section 3.3).
pub(super) const STRING_MAX: usize = 255;

/// Reads a TTL: seconds, or numbers with units (`1h30m`). One of 32 bits may be above [`TTL_MAX`].
pub(super) fn ttl(text: &[u8]) -> Result<u32, String> {
    time(text, u64::from(u32::MAX), "TTL")
}

/// Reads a time as a TTL is written, which fits 32 bits.
pub(super) fn time(text: &[u8], most: u64, word: &str) -> Result<u32, String> {
    let (mut total, mut number) = (0_u64, None::<u64>);
    let too_large = || format!("the {word} {} is above {most} seconds", head(text));
    let no_time = || format!("`{}` is not a {word}", head(text));
    for byte in text {
        let unit = match byte.to_ascii_lowercase() {
            b'0'..=b'9' => {
                let more = number.unwrap_or(0) * 10 + u64::from(byte - b'0');
                if more > most {
                    return Err(too_large());
                }
                number = Some(more);
                continue;
            }
            b's' => 1,
            b'm' => 60,
            b'h' => 3_600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return Err(no_time()),
        };
        total += number.take().ok_or_else(no_time)? * unit;
        if total > most {
            return Err(too_large());
        }
    }
    total += number.unwrap_or(0);
    match u32::try_from(total) {
        Ok(_) if text.is_empty() => Err(format!("a {word} is missing")),
        Ok(seconds) if total <= most => Ok(seconds),
        _ => Err(too_large()),
    }
}

/// Reads a name; one without a final dot is completed with the origin.
pub(super) fn name(text: &[u8], origin: &Name) -> Result<Name, String> {
    let mut wire = Vec::with_capacity(NAME_MAX);
    write_wire(text, origin, &mut wire)?;
    Name::from_wire(&wire).ok_or_else(|| too_long(text))
}

fn too_long(text: &[u8]) -> String {
    format!("`{}` is longer than 255 octets", head(text))
}

/// Reads a name and writes it in wire form after what `out` holds. On an error `out` may hold a
/// part of it.
pub(super) fn write_wire(text: &[u8], origin: &Name, out: &mut Vec<u8>) -> Result<(), String> {
    match text {
        b"@" => {
            out.extend_from_slice(origin.wire());
            return Ok(());
        }
        b"." => {
            out.push(0);
            return Ok(());
        }
        b"" => return Err(String::from("a name is missing")),
        _ => {}
    }
    let begin = out.len();
    let mut rest = text;
    let mut dotted = false;
    while !rest.is_empty() {
        let start = out.len();
        out.push(0);
        dotted = false;
        loop {
            let plain = rest.iter().position(|byte| matches!(byte, b'.' | b'\\'));
            let (part, tail) = rest.split_at(plain.unwrap_or(rest.len()));
            out.extend_from_slice(part);
            match tail.split_first() {
                Some((b'\\', mut tail)) => {
                    let octet = escape(&mut tail);
                    let bad = || format!("`{}` has a bad escape", head(text));
                    out.push(octet.ok_or_else(bad)?);
                    rest = tail;
                }
                Some((_, tail)) => {
                    dotted = true;
                    rest = tail;
                    break;
                }
                None => {
                    rest = tail;
                    break;
                }
            }
        }
        let length = out.len() - start - 1;
        if length == 0 {
            return Err(format!("`{}` has an empty label", head(text)));
        }
        if length > LABEL_MAX {
            return Err(format!("`{}` has a label above 63 octets", head(text)));
        }
        out[start] = u8::try_from(length).unwrap_or(0);
        if out.len() - begin >= NAME_MAX {
            return Err(too_long(text));
        }
    }
    if dotted {
        out.push(0);
    } else {
        out.extend_from_slice(origin.wire());
    }
    if out.len() - begin > NAME_MAX {
        return Err(too_long(text));
    }
    Ok(())
}

/// Reads a name as a person writes it: absolute, with or without the final dot.
pub fn read_name(text: &str) -> Result<Name, String> {
    name(text.as_bytes(), &Name::ROOT)
}

/// Reads a string of any length and writes its octets, escapes resolved, after what `out` holds.
pub(super) fn unescape(text: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        let (part, tail) = rest.split_at(at);
        out.extend_from_slice(part);
        rest = &tail[1..];
        let octet = escape(&mut rest);
        out.push(octet.ok_or_else(|| String::from("a bad escape"))?);
    }
    out.extend_from_slice(rest);
    Ok(())
}

/// Reads what follows a backslash: three digits, or one octet that stands for itself.
fn escape(rest: &mut &[u8]) -> Option<u8> {
    let (&first, tail) = rest.split_first()?;
    if !first.is_ascii_digit() {
        *rest = tail;
        return Some(first);
    }
    let (digits, tail) = rest.split_at_checked(3)?;
    *rest = tail;
    u8::try_from(number(digits)?).ok()
}

/// Reads decimal digits and nothing else.
pub(super) fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// Writes octets as a quoted string.
pub(super) fn write_quoted(out: &mut String, octets: &[u8]) {
    out.push('"');
    for octet in octets {
        match octet {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(*octet));
            }
            b' '..=b'~' => out.push(char::from(*octet)),
            _ => {
                let _ = write!(out, "\\{octet:03}");
            }
        }
    }
    out.push('"');
}

/// Gives the beginning of a token as text, enough to find it again.
pub(super) fn head(text: &[u8]) -> Cow<'_, str> {
    const ENOUGH: usize = 60;
    match text.get(..ENOUGH) {
        None => String::from_utf8_lossy(text),
        Some(head) if text.len() == ENOUGH => String::from_utf8_lossy(head),
        Some(head) => Cow::Owned(format!("{}…", String::from_utf8_lossy(head))),
    }
}
