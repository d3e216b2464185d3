//! Names, strings, times and record data, from tokens.
//!
//! In go the tokens of one record's data and the origin; out comes the data. The common types are
//! written to wire form here and read back by hickory, so that escapes, bytes above 127 and unknown
//! types mean what RFC 1035 section 5.1 and RFC 3597 section 5 say; the rest goes through hickory's
//! own text parsers.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use hickory_proto::rr::{Name, RData, RecordType};
use hickory_proto::serialize::binary::{
    BinDecoder, BinEncodable, BinEncoder, NameEncoding, Restrict,
};

use super::lexer::Token;

/// The largest TTL (RFC 2181 section 8).
const TTL_MAX: u64 = (1 << 31) - 1;

/// What is wrong with a token.
#[derive(Debug)]
pub(super) struct Wrong {
    /// The index of the token among those handed over; past the last when one is missing.
    pub(super) token: usize,
    pub(super) what: String,
    pub(super) cure: &'static str,
}

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
        return Ok(origin.clone());
    }
    if text == "." {
        return Ok(Name::root());
    }
    let mut labels: Vec<Vec<u8>> = vec![Vec::new()];
    let mut rest = text.as_bytes();
    let mut dotted = false;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        dotted = byte == b'.';
        let plain = match byte {
            b'.' => {
                if labels.last().is_none_or(Vec::is_empty) {
                    return Err(format!("`{text}` has an empty label"));
                }
                labels.push(Vec::new());
                continue;
            }
            b'\\' => escape(&mut rest).ok_or_else(|| format!("`{text}` has a bad escape"))?,
            plain => plain,
        };
        let Some(label) = labels.last_mut() else {
            continue;
        };
        label.push(plain);
        if label.len() > 63 {
            return Err(format!("`{text}` has a label above 63 octets"));
        }
    }
    if labels.last().is_some_and(Vec::is_empty) {
        labels.pop();
    }
    if labels.is_empty() {
        return Err(String::from("a name is missing"));
    }
    let length = labels.iter().map(|label| label.len() + 1).sum::<usize>();
    let below = if dotted { 1 } else { origin.len() };
    if length + below > 255 {
        return Err(format!("`{}…` is longer than 255 octets", head(text)));
    }
    let labels = labels.iter().map(Vec::as_slice);
    let made = if dotted {
        Name::from_labels(labels)
    } else {
        Name::from_labels(labels.chain(origin.iter()))
    };
    made.map_err(|error| format!("`{}` is not a name: {error}", head(text)))
}

/// Reads a name as a person writes it: absolute, with or without the final dot.
pub fn read_name(text: &str) -> Result<Name, String> {
    name(text, &Name::root())
}

/// Reads a type that can be asked for.
pub fn read_type(text: &str) -> Option<RecordType> {
    if text.eq_ignore_ascii_case("ANY") {
        return Some(RecordType::ANY);
    }
    record_type(text)
}

/// Reads a character string: at most 255 octets, escapes resolved.
fn string(text: &str) -> Result<Vec<u8>, String> {
    let bytes = unescape(text)?;
    if bytes.len() > 255 {
        return Err(format!(
            "a string of {} octets; at most 255 fit",
            bytes.len()
        ));
    }
    Ok(bytes)
}

fn unescape(text: &str) -> Result<Vec<u8>, String> {
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

/// Writes record data as a zone file has it; data that hickory has no words for as RFC 3597 does.
pub fn data_words(data: &RData) -> String {
    if let RData::Unknown { rdata: null, .. } | RData::NULL(null) = data {
        return generic(&null.anything);
    }
    data.to_string()
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

/// Reads the data of a record of this type.
pub(super) fn record_data(
    record_type: RecordType,
    tokens: &[Token<'_>],
    origin: &Name,
) -> Result<RData, Wrong> {
    let mut wire = Wire {
        tokens,
        next: 0,
        origin,
        bytes: Vec::new(),
    };
    if tokens
        .first()
        .is_some_and(|token| token.text == "\\#" && !token.quoted)
    {
        wire.next = 1;
        wire.generic()?;
    } else if !wire.known(record_type)? {
        return by_hickory(record_type, tokens, origin);
    }
    if wire.next < tokens.len() {
        return Err(Wrong {
            token: wire.next,
            what: format!("more than the data of {}", type_word(record_type)),
            cure: "remove it",
        });
    }
    decode(record_type, &wire.bytes)
}

fn decode(record_type: RecordType, bytes: &[u8]) -> Result<RData, Wrong> {
    let wrong = |what: String| Wrong {
        token: 0,
        what,
        cure: "",
    };
    let length = u16::try_from(bytes.len())
        .map_err(|_| wrong(format!("{} octets of data; 65535 fit", bytes.len())))?;
    let mut decoder = BinDecoder::new(bytes);
    let data = RData::read(&mut decoder, record_type, Restrict::new(length)).map_err(|error| {
        wrong(format!(
            "not the data of {}: {error}",
            type_word(record_type)
        ))
    })?;
    // What hickory read must also be what it writes: an answer is rendered with it.
    let mut back = Vec::with_capacity(bytes.len());
    let mut encoder = BinEncoder::new(&mut back);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    match data.emit(&mut encoder) {
        Ok(()) if back == bytes => Ok(data),
        _ => Err(wrong(format!(
            "not the data of {} in its only form",
            type_word(record_type)
        ))),
    }
}

/// Lets hickory parse the types that are rare and complicated. Names in them must be absolute.
fn by_hickory(
    record_type: RecordType,
    tokens: &[Token<'_>],
    origin: &Name,
) -> Result<RData, Wrong> {
    let mut text = String::new();
    for (at, token) in tokens.iter().enumerate() {
        let target = at == 1 && matches!(record_type, RecordType::SVCB | RecordType::HTTPS);
        if target {
            let target = name(token.text, origin).map_err(|what| Wrong {
                token: at,
                what,
                cure: "",
            })?;
            text.push_str(&target.to_ascii());
        } else if token.quoted {
            let _ = write!(text, "\"{}\"", token.text);
        } else {
            text.push_str(token.text);
        }
        text.push(' ');
    }
    RData::try_from_str(record_type, text.trim_end()).map_err(|error| Wrong {
        token: 0,
        what: format!("not the data of {}: {error}", type_word(record_type)),
        cure: "the form `\\# LENGTH HEX` of RFC 3597 always works",
    })
}

/// Record data in wire form, being written.
struct Wire<'a> {
    tokens: &'a [Token<'a>],
    next: usize,
    origin: &'a Name,
    bytes: Vec<u8>,
}

impl Wire<'_> {
    /// Writes the types of RFC 1035 and a few more; `false` for the others.
    fn known(&mut self, record_type: RecordType) -> Result<bool, Wrong> {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "hickory's parsers take the rest"
        )]
        match record_type {
            RecordType::A => {
                self.address::<Ipv4Addr>("an IPv4 address", |a| a.octets().to_vec())?;
            }
            RecordType::AAAA => {
                self.address::<Ipv6Addr>("an IPv6 address", |a| a.octets().to_vec())?;
            }
            RecordType::CNAME | RecordType::NS | RecordType::PTR => self.name()?,
            RecordType::MX => {
                self.u16()?;
                self.name()?;
            }
            RecordType::SRV => {
                self.u16()?;
                self.u16()?;
                self.u16()?;
                self.name()?;
            }
            RecordType::SOA => {
                self.name()?;
                self.name()?;
                self.u32()?;
                for _ in 0..4 {
                    self.time()?;
                }
            }
            RecordType::TXT => self.strings()?,
            RecordType::HINFO => {
                self.string()?;
                self.string()?;
            }
            RecordType::NAPTR => {
                self.u16()?;
                self.u16()?;
                self.string()?;
                self.string()?;
                self.string()?;
                self.name()?;
            }
            RecordType::CAA => {
                self.u8()?;
                self.string()?;
                self.octets()?;
            }
            RecordType::DS => {
                self.u16()?;
                self.u8()?;
                self.u8()?;
                self.hex()?;
            }
            RecordType::SSHFP => {
                self.u8()?;
                self.u8()?;
                self.hex()?;
            }
            RecordType::TLSA => {
                self.u8()?;
                self.u8()?;
                self.u8()?;
                self.hex()?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn take(&mut self, wanted: &str) -> Result<&str, Wrong> {
        let token = self.tokens.get(self.next).ok_or_else(|| Wrong {
            token: self.next,
            what: format!("{wanted} is missing"),
            cure: "",
        })?;
        self.next += 1;
        Ok(token.text)
    }

    fn wrong(&self, what: String) -> Wrong {
        Wrong {
            token: self.next.saturating_sub(1),
            what,
            cure: "",
        }
    }

    fn address<T: FromStr>(
        &mut self,
        wanted: &str,
        octets: impl Fn(T) -> Vec<u8>,
    ) -> Result<(), Wrong> {
        let text = self.take(wanted)?.to_owned();
        let address = text
            .parse::<T>()
            .map_err(|_| self.wrong(format!("`{}` is not {wanted}", head(&text))))?;
        self.bytes.extend(octets(address));
        Ok(())
    }

    fn name(&mut self) -> Result<(), Wrong> {
        let text = self.take("a name")?.to_owned();
        let name = name(&text, self.origin).map_err(|what| self.wrong(what))?;
        for label in name.iter() {
            self.length(label.len());
            self.bytes.extend(label);
        }
        self.bytes.push(0);
        Ok(())
    }

    /// Writes the length of a label or a string, both of which were checked.
    fn length(&mut self, length: usize) {
        let octet = u8::try_from(length).expect("labels and strings are at most 255 octets");
        self.bytes.push(octet);
    }

    fn number<T: FromStr>(&mut self) -> Result<T, Wrong> {
        let text = self.take("a number")?.to_owned();
        text.parse()
            .map_err(|_| self.wrong(format!("`{}` is not a number that fits here", head(&text))))
    }

    fn u8(&mut self) -> Result<(), Wrong> {
        let number = self.number::<u8>()?;
        self.bytes.push(number);
        Ok(())
    }

    fn u16(&mut self) -> Result<(), Wrong> {
        let number = self.number::<u16>()?;
        self.bytes.extend(number.to_be_bytes());
        Ok(())
    }

    fn u32(&mut self) -> Result<(), Wrong> {
        let number = self.number::<u32>()?;
        self.bytes.extend(number.to_be_bytes());
        Ok(())
    }

    /// Writes a time of an SOA, which may have units.
    fn time(&mut self) -> Result<(), Wrong> {
        let text = self.take("a time")?.to_owned();
        let seconds = ttl(&text).map_err(|what| self.wrong(what.replace("TTL", "time")))?;
        self.bytes.extend(seconds.to_be_bytes());
        Ok(())
    }

    fn string(&mut self) -> Result<(), Wrong> {
        let text = self.take("a string")?.to_owned();
        let bytes = string(&text).map_err(|what| self.wrong(what))?;
        self.length(bytes.len());
        self.bytes.extend(bytes);
        Ok(())
    }

    fn strings(&mut self) -> Result<(), Wrong> {
        self.string()?;
        while self.next < self.tokens.len() {
            self.string()?;
        }
        Ok(())
    }

    /// Writes a string without its length, to the end of the data.
    fn octets(&mut self) -> Result<(), Wrong> {
        let text = self.take("a value")?.to_owned();
        let bytes = unescape(&text).map_err(|what| self.wrong(what))?;
        self.bytes.extend(bytes);
        Ok(())
    }

    /// Writes hexadecimal digits, which may be split by white space, to the end of the data.
    fn hex(&mut self) -> Result<(), Wrong> {
        let mut digits = self.take("hexadecimal digits")?.to_owned();
        while let Some(token) = self.tokens.get(self.next) {
            digits.push_str(token.text);
            self.next += 1;
        }
        let bytes = digits.as_bytes().chunks(2).map(|pair| match pair {
            [high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
            _ => None,
        });
        let bytes = bytes.collect::<Option<Vec<u8>>>();
        let bytes = bytes
            .ok_or_else(|| self.wrong(format!("`{}` is not pairs of hex digits", head(&digits))))?;
        self.bytes.extend(bytes);
        Ok(())
    }

    /// Writes `\# LENGTH HEX` (RFC 3597 section 5).
    fn generic(&mut self) -> Result<(), Wrong> {
        let length = usize::from(self.number::<u16>()?);
        if self.next < self.tokens.len() {
            self.hex()?;
        }
        if self.bytes.len() != length {
            let found = self.bytes.len();
            return Err(self.wrong(format!("{found} octets where \\# says {length}")));
        }
        Ok(())
    }
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Gives the beginning of a text, enough to find it again.
pub(super) fn head(text: &str) -> &str {
    match text.char_indices().nth(60) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}
