//! The words of a master file: times, names, strings and types, read and written.
//!
//! In goes the text of one token; out comes its value, or a sentence of what is wrong with it.
//! Escapes mean what RFC 1035 section 5.1 says, unknown types what RFC 3597 section 5 says.

use std::fmt::Write as _;
use std::str::FromStr;

use hickory_proto::rr::{RData, RecordType};
use hickory_proto::serialize::binary::{BinDecoder, Restrict};

use crate::policy::name::{LABEL_MAX, NAME_MAX, Name, write_name};

/// The largest TTL (RFC 2181 section 8).
pub(super) const TTL_MAX: u64 = (1 << 31) - 1;

/// Reads a TTL: seconds, or numbers with units (`1h30m`).
pub(super) fn ttl(text: &str) -> Result<u32, String> {
    let (mut total, mut number) = (0_u64, None::<u64>);
    let too_large = || format!("the TTL {text} is above {TTL_MAX} seconds");
    for byte in text.bytes() {
        let unit = match byte.to_ascii_lowercase() {
            b'0'..=b'9' => {
                let digit = u64::from(byte - b'0');
                let more = number.unwrap_or(0) * 10 + digit;
                if more > TTL_MAX {
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
            _ => return Err(format!("`{text}` is not a TTL")),
        };
        let Some(count) = number.take() else {
            return Err(format!("`{text}` is not a TTL"));
        };
        total += count * unit;
        if total > TTL_MAX {
            return Err(too_large());
        }
    }
    total += number.unwrap_or(0);
    match u32::try_from(total) {
        Ok(_) if text.is_empty() => Err(String::from("a TTL is missing")),
        Ok(seconds) if total <= TTL_MAX => Ok(seconds),
        _ => Err(too_large()),
    }
}

/// Reads a name; one without a final dot is completed with the origin.
pub(super) fn name(text: &str, origin: &Name) -> Result<Name, String> {
    if text == "@" {
        return Ok(*origin);
    }
    if text == "." {
        return Ok(Name::ROOT);
    }
    let too_long = || format!("`{}…` is longer than 255 octets", head(text));
    let (mut wire, mut start, mut end) = ([0_u8; NAME_MAX], 0, 1);
    let mut rest = text.as_bytes();
    let mut dotted = false;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        dotted = byte == b'.';
        if dotted {
            if end == start + 1 {
                return Err(format!("`{text}` has an empty label"));
            }
            start = end;
            end += 1;
            continue;
        }
        let plain = match byte {
            b'\\' => escape(&mut rest).ok_or_else(|| format!("`{text}` has a bad escape"))?,
            plain => plain,
        };
        if end - start > LABEL_MAX {
            return Err(format!("`{}` has a label above 63 octets", head(text)));
        }
        *wire.get_mut(end).ok_or_else(too_long)? = plain;
        wire[start] += 1;
        end += 1;
    }
    let whole = if dotted { start } else { end };
    if whole == 0 || end == 1 {
        return Err(String::from("a name is missing"));
    }
    let under = if dotted { &Name::ROOT } else { origin };
    let prefix = wire.get(..whole).ok_or_else(too_long)?;
    under.below(prefix).ok_or_else(too_long)
}

/// Reads a name as a person writes it: absolute, with or without the final dot.
pub fn read_name(text: &str) -> Result<Name, String> {
    name(text, &Name::ROOT)
}

/// Reads a type that can be asked for.
pub fn read_type(text: &str) -> Option<RecordType> {
    if text.eq_ignore_ascii_case("ANY") {
        return Some(RecordType::ANY);
    }
    record_type(text)
}

/// Reads a character string: at most 255 octets, escapes resolved.
pub(super) fn string(text: &str) -> Result<Vec<u8>, String> {
    let bytes = unescape(text)?;
    if bytes.len() > 255 {
        return Err(format!(
            "a string of {} octets; at most 255 fit",
            bytes.len()
        ));
    }
    Ok(bytes)
}

pub(super) fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        bytes.push(match byte {
            b'\\' => escape(&mut rest).ok_or_else(|| String::from("a bad escape"))?,
            plain => plain,
        });
    }
    Ok(bytes)
}

/// Reads what follows a backslash: three digits, or one octet that stands for itself.
fn escape(rest: &mut &[u8]) -> Option<u8> {
    let (&first, tail) = rest.split_first()?;
    if !first.is_ascii_digit() {
        *rest = tail;
        return Some(first);
    }
    let (digits, tail) = rest.split_at_checked(3)?;
    let number = digits.iter().try_fold(0_u16, |sum, digit| {
        digit
            .is_ascii_digit()
            .then(|| sum * 10 + u16::from(digit - b'0'))
    })?;
    *rest = tail;
    u8::try_from(number).ok()
}

/// Reads a type: a mnemonic, or `TYPE65280` (RFC 3597 section 5).
pub(super) fn record_type(text: &str) -> Option<RecordType> {
    let upper = text.to_ascii_uppercase();
    if let Some(number) = upper.strip_prefix("TYPE") {
        return number.parse::<u16>().ok().map(RecordType::from);
    }
    match RecordType::from_str(&upper) {
        // hickory's own invention with a number of its own choice.
        Ok(RecordType::ANAME | RecordType::ANY) | Err(_) => None,
        Ok(known) => Some(known),
    }
}

/// Writes a type as a zone file has it.
pub fn type_word(record_type: RecordType) -> String {
    if matches!(
        record_type,
        RecordType::Unknown(_) | RecordType::ANAME | RecordType::ZERO
    ) {
        return format!("TYPE{}", u16::from(record_type));
    }
    record_type.to_string()
}

/// Writes record data in wire form as a zone file has it; data that there are no words for as
/// RFC 3597 does.
pub fn data_words(record_type: RecordType, data: &[u8]) -> String {
    if record_type == RecordType::DNAME {
        let mut text = String::new();
        let _ = write_name(&mut text, data);
        return text;
    }
    match read_data(record_type, data) {
        Some(RData::Unknown { .. } | RData::NULL(_)) | None => generic(data),
        Some(known) => known.to_string(),
    }
}

/// Writes record data that hickory holds as a zone file has it.
pub fn rdata_words(data: &RData) -> String {
    if let RData::Unknown { rdata: null, .. } | RData::NULL(null) = data {
        return generic(&null.anything);
    }
    data.to_string()
}

/// Reads record data in wire form as hickory has it; `None` when it is not such data.
pub(super) fn read_data(record_type: RecordType, data: &[u8]) -> Option<RData> {
    let length = u16::try_from(data.len()).ok()?;
    let mut decoder = BinDecoder::new(data);
    RData::read(&mut decoder, record_type, Restrict::new(length)).ok()
}

fn generic(bytes: &[u8]) -> String {
    let mut text = format!("\\# {}", bytes.len());
    for (at, byte) in bytes.iter().enumerate() {
        if at == 0 {
            text.push(' ');
        }
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Gives the beginning of a text, enough to find it again.
pub(super) fn head(text: &str) -> &str {
    match text.char_indices().nth(60) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}
