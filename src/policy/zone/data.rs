//! Record data, from tokens.
//!
//! In go the tokens of one record's data and the origin; out comes the data in wire form, without
//! compression. Every type is written here, field by field, so that escapes, octets above 127 and
//! unknown types mean what the RFCs say.

pub(super) mod codes;
mod gateway;
mod loc;
mod params;
mod prefixes;
pub(super) mod stamp;

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use hickory_proto::rr::RecordType;

use super::kinds::{Field, fields, record_type, type_word};
use super::lexer::Token;
use super::text::{STRING_MAX, head, number, time, unescape, write_wire};
use super::words::{self, Words};
use crate::policy::name::Name;

pub(super) use self::gateway::{write_amt, write_hip, write_ipsec};
pub(super) use self::loc::write_loc;
pub(super) use self::params::write_params;
pub(super) use self::prefixes::{write_a6, write_apl};

/// What is wrong with a token.
#[derive(Debug)]
pub(super) struct Wrong {
    /// The index of the token among those handed over; past the last when one is missing.
    pub(super) token: usize,
    pub(super) what: String,
    pub(super) cure: &'static str,
}

/// Reads the data of a record of this type, and writes it after what `out` holds.
pub(super) fn record_data(
    record_type: RecordType,
    tokens: &[Token<'_>],
    origin: &Name,
    out: &mut Vec<u8>,
) -> Result<(), Wrong> {
    // The commonest line of all.
    if record_type == RecordType::A
        && let [token] = tokens
        && let Some(octets) = ipv4(token.text)
    {
        out.extend_from_slice(&octets);
        return Ok(());
    }
    let start = out.len();
    let mut wire = Wire {
        tokens,
        next: 0,
        origin,
        bytes: out,
    };
    let generic = tokens.first().is_some_and(|token| token.is("\\#"));
    match fields(record_type.into()) {
        _ if generic => {
            wire.next = 1;
            wire.generic()?;
        }
        Some(fields) => fields.iter().try_for_each(|field| wire.field(*field))?,
        None => {
            return Err(Wrong {
                token: 0,
                what: format!("there are no words for {} here", type_word(record_type)),
                cure: "write `\\# LENGTH HEX` (RFC 3597)",
            });
        }
    }
    if wire.next < tokens.len() {
        return Err(Wrong {
            token: wire.next,
            what: format!("more than the data of {}", type_word(record_type)),
            cure: "remove it",
        });
    }
    let length = wire.bytes.len() - start;
    if length > usize::from(u16::MAX) {
        return Err(wire.wrong(format!("{length} octets of data; 65535 fit")));
    }
    let known = fields(record_type.into()).is_some();
    if generic && known && words::words(record_type, &out[start..]).is_none() {
        return Err(Wrong {
            token: 0,
            what: format!("not the data of {}", type_word(record_type)),
            cure: "",
        });
    }
    Ok(())
}

/// Reads four numbers up to 255 with dots between them, none with a leading zero.
fn ipv4(text: &[u8]) -> Option<[u8; 4]> {
    let mut octets = [0_u8; 4];
    let (mut at, mut digits, mut value) = (0, 0, 0_u16);
    for byte in text {
        match byte {
            b'0'..=b'9' if digits < 3 && !(digits > 0 && value == 0) => {
                value = value * 10 + u16::from(byte - b'0');
                digits += 1;
            }
            b'.' if digits > 0 && at < 3 => {
                octets[at] = u8::try_from(value).ok()?;
                (at, digits, value) = (at + 1, 0, 0);
            }
            _ => return None,
        }
    }
    octets[3] = u8::try_from(value).ok()?;
    (at == 3 && digits > 0).then_some(octets)
}

/// Record data in wire form, being written.
pub(super) struct Wire<'a> {
    tokens: &'a [Token<'a>],
    next: usize,
    origin: &'a Name,
    bytes: &'a mut Vec<u8>,
}

impl<'a> Wire<'a> {
    fn field(&mut self, field: Field) -> Result<(), Wrong> {
        match field {
            Field::A => self.ipv4(),
            Field::A6 => self.a6(),
            Field::Aaaa => self.ipv6(),
            Field::Algorithm => self.algorithm(),
            Field::Amt => self.amt(),
            Field::Apl => self.apl(),
            Field::Base64 => self.base64(),
            Field::Certificate => self.certificate(),
            Field::Eui(octets) => self.eui(octets),
            Field::Groups => self.groups(),
            Field::Hash => self.hash(),
            Field::Hex => self.hex(),
            Field::Hip => self.hip(),
            Field::Ipsec => self.ipsec(),
            Field::Loc => self.loc(),
            Field::Name => self.name(),
            Field::Nsap => self.nsap(),
            Field::Octets => self.octets(),
            Field::Optional if self.next == self.tokens.len() => Ok(()),
            Field::Optional | Field::Text => self.text(),
            Field::Params => self.params(),
            Field::Salt => self.salt(),
            Field::Stamp => self.stamp(),
            Field::Tag => self.tag(),
            Field::Texts => self.texts(),
            Field::Time => self.time(),
            Field::Type => self.kind(),
            Field::Types => self.types(),
            Field::U8 => self.u8().map(drop),
            Field::U16 => self.u16().map(drop),
            Field::U32 => self.u32(),
        }
    }

    fn take(&mut self, wanted: &str) -> Result<&'a [u8], Wrong> {
        let token = self.tokens.get(self.next).ok_or_else(|| Wrong {
            token: self.next,
            what: format!("{wanted} is missing"),
            cure: "",
        })?;
        self.next += 1;
        Ok(token.text)
    }

    /// Takes the next token when there is one.
    fn more(&mut self) -> Option<Token<'a>> {
        let token = self.tokens.get(self.next)?;
        self.next += 1;
        Some(*token)
    }

    /// Says what is wrong with the token taken last.
    fn wrong(&self, what: String) -> Wrong {
        Wrong {
            token: self.next.saturating_sub(1),
            what,
            cure: "",
        }
    }

    fn is_not(&self, text: &[u8], wanted: &str) -> Wrong {
        self.wrong(format!("`{}` is not {wanted}", head(text)))
    }

    fn parse<T: FromStr>(&self, text: &[u8], wanted: &str) -> Result<T, Wrong> {
        let parsed = std::str::from_utf8(text).ok().and_then(|t| t.parse().ok());
        parsed.ok_or_else(|| self.is_not(text, wanted))
    }

    fn ipv4(&mut self) -> Result<(), Wrong> {
        let text = self.take("an IPv4 address")?;
        let octets = ipv4(text).ok_or_else(|| self.is_not(text, "an IPv4 address"))?;
        self.bytes.extend(octets);
        Ok(())
    }

    fn ipv6(&mut self) -> Result<(), Wrong> {
        let text = self.take("an IPv6 address")?;
        let address: Ipv6Addr = self.parse(text, "an IPv6 address")?;
        self.bytes.extend(address.octets());
        Ok(())
    }

    fn name(&mut self) -> Result<(), Wrong> {
        let text = self.take("a name")?;
        write_wire(text, self.origin, self.bytes).map_err(|what| self.wrong(what))
    }

    fn number(&mut self, most: u64) -> Result<u64, Wrong> {
        let text = self.take("a number")?;
        let fits = number(text).filter(|number| *number <= most);
        fits.ok_or_else(|| self.is_not(text, &format!("a number up to {most}")))
    }

    fn u8(&mut self) -> Result<u8, Wrong> {
        let number = self.number(u64::from(u8::MAX))?;
        let number = u8::try_from(number).unwrap_or(u8::MAX);
        self.bytes.push(number);
        Ok(number)
    }

    fn u16(&mut self) -> Result<u16, Wrong> {
        let number = self.number(u64::from(u16::MAX))?;
        let number = u16::try_from(number).unwrap_or(u16::MAX);
        self.bytes.extend(number.to_be_bytes());
        Ok(number)
    }

    fn u32(&mut self) -> Result<(), Wrong> {
        let number = self.number(u64::from(u32::MAX))?;
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        self.bytes.extend(number.to_be_bytes());
        Ok(())
    }

    /// Writes a time of an SOA or a signature, which may have units.
    fn time(&mut self) -> Result<(), Wrong> {
        let text = self.take("a time")?;
        let seconds = time(text, u64::from(u32::MAX), "time").map_err(|what| self.wrong(what))?;
        self.bytes.extend(seconds.to_be_bytes());
        Ok(())
    }

    fn stamp(&mut self) -> Result<(), Wrong> {
        let text = self.take("a time")?;
        let seconds = stamp::read(text)
            .ok_or_else(|| self.is_not(text, "a time: YYYYMMDDHHMMSS, or seconds since 1970"))?;
        self.bytes.extend(seconds.to_be_bytes());
        Ok(())
    }

    fn text(&mut self) -> Result<(), Wrong> {
        let text = self.take("a string")?;
        self.string(text)
    }

    /// Writes a string after its length.
    fn string(&mut self, text: &[u8]) -> Result<(), Wrong> {
        let start = self.bytes.len();
        self.bytes.push(0);
        unescape(text, self.bytes).map_err(|what| self.wrong(what))?;
        let length = self.bytes.len() - start - 1;
        if length > STRING_MAX {
            return Err(self.wrong(format!(
                "a string of {length} octets; at most {STRING_MAX} fit"
            )));
        }
        self.bytes[start] = u8::try_from(length).unwrap_or(u8::MAX);
        Ok(())
    }

    fn texts(&mut self) -> Result<(), Wrong> {
        self.text()?;
        while self.next < self.tokens.len() {
            self.text()?;
        }
        Ok(())
    }

    fn tag(&mut self) -> Result<(), Wrong> {
        let text = self.take("a tag")?;
        if text.is_empty() || !text.iter().all(u8::is_ascii_alphanumeric) {
            return Err(self.is_not(text, "a tag of letters and digits"));
        }
        self.string(text)
    }

    fn octets(&mut self) -> Result<(), Wrong> {
        let text = self.take("a value")?;
        unescape(text, self.bytes).map_err(|what| self.wrong(what))
    }

    fn algorithm(&mut self) -> Result<(), Wrong> {
        let text = self.take("an algorithm")?;
        let found = codes::number_of(text, codes::ALGORITHMS, u16::from(u8::MAX));
        let found = found.and_then(|number| u8::try_from(number).ok());
        let number = found.ok_or_else(|| self.is_not(text, "an algorithm"))?;
        self.bytes.push(number);
        Ok(())
    }

    fn certificate(&mut self) -> Result<(), Wrong> {
        let text = self.take("a type of certificate")?;
        let found = codes::number_of(text, codes::CERTIFICATES, u16::MAX);
        let number = found.ok_or_else(|| self.is_not(text, "a type of certificate"))?;
        self.bytes.extend(number.to_be_bytes());
        Ok(())
    }

    fn kind(&mut self) -> Result<(), Wrong> {
        let text = self.take("a type")?;
        let found = record_type(text);
        let kind = found.ok_or_else(|| self.is_not(text, "a type"))?;
        self.bytes.extend(u16::from(kind).to_be_bytes());
        Ok(())
    }

    fn types(&mut self) -> Result<(), Wrong> {
        let mut types = Vec::new();
        while let Some(token) = self.more() {
            // A proof may list what exists in messages only: NXNAME (RFC 9824 section 3.4).
            let kind = record_type(token.text);
            let kind = kind.ok_or_else(|| self.is_not(token.text, "a type"))?;
            types.push(u16::from(kind));
        }
        codes::write_bit_map(types, self.bytes);
        Ok(())
    }

    /// Joins the tokens that are left: white space may split what is coded.
    fn rest(&mut self, wanted: &str) -> Result<Vec<u8>, Wrong> {
        let mut joined = self.take(wanted)?.to_vec();
        while let Some(token) = self.more() {
            joined.extend_from_slice(token.text);
        }
        Ok(joined)
    }

    fn hex(&mut self) -> Result<(), Wrong> {
        let digits = self.rest("hexadecimal digits")?;
        self.digits(&digits)
    }

    fn digits(&mut self, digits: &[u8]) -> Result<(), Wrong> {
        let bytes = codes::from_hex(digits);
        let bytes = bytes.ok_or_else(|| self.is_not(digits, "pairs of hex digits"))?;
        self.bytes.extend(bytes);
        Ok(())
    }

    fn base64(&mut self) -> Result<(), Wrong> {
        let text = self.rest("base64")?;
        let bytes = codes::from_base64(&text).ok_or_else(|| self.is_not(&text, "base64"))?;
        self.bytes.extend(bytes);
        Ok(())
    }

    fn salt(&mut self) -> Result<(), Wrong> {
        let text = self.take("a salt")?;
        let bytes = match text {
            b"-" => Some(Vec::new()),
            text => codes::from_hex(text),
        };
        let bytes = bytes.filter(|bytes| bytes.len() <= STRING_MAX);
        let bytes = bytes.ok_or_else(|| self.is_not(text, "a salt: hex digits, or `-`"))?;
        self.bytes.push(u8::try_from(bytes.len()).unwrap_or(0));
        self.bytes.extend(bytes);
        Ok(())
    }

    fn hash(&mut self) -> Result<(), Wrong> {
        let text = self.take("a hash")?;
        let bytes =
            codes::from_base32(text).filter(|bytes| (1..=STRING_MAX).contains(&bytes.len()));
        let bytes = bytes.ok_or_else(|| self.is_not(text, "a hash in base 32"))?;
        self.bytes.push(u8::try_from(bytes.len()).unwrap_or(0));
        self.bytes.extend(bytes);
        Ok(())
    }

    fn eui(&mut self, octets: usize) -> Result<(), Wrong> {
        let text = self.take("an EUI")?;
        let mut groups = text.split(|byte| *byte == b'-');
        let bytes = groups.try_fold(Vec::new(), |mut bytes, group| {
            bytes.extend(codes::from_hex(group).filter(|byte| byte.len() == 1)?);
            Some(bytes)
        });
        let bytes = bytes.filter(|bytes| bytes.len() == octets);
        let wanted = format!("{octets} octets with hyphens between them");
        self.bytes
            .extend(bytes.ok_or_else(|| self.is_not(text, &wanted))?);
        Ok(())
    }

    fn groups(&mut self) -> Result<(), Wrong> {
        let text = self.take("four groups of hex digits")?;
        let mut groups = text.split(|byte| *byte == b':');
        let bytes = groups.try_fold(Vec::new(), |mut bytes, group| {
            let digits = (1..=4).contains(&group.len());
            let padded: Vec<u8> = [b"0000", group].concat();
            let group = codes::from_hex(padded.get(group.len()..)?);
            bytes.extend(group.filter(|_| digits)?);
            Some(bytes)
        });
        let bytes = bytes.filter(|bytes| bytes.len() == 8);
        let wanted = "four groups of hex digits with colons between them";
        self.bytes
            .extend(bytes.ok_or_else(|| self.is_not(text, wanted))?);
        Ok(())
    }

    fn nsap(&mut self) -> Result<(), Wrong> {
        let text = self.take("an NSAP address")?;
        let digits = text
            .strip_prefix(b"0x")
            .or_else(|| text.strip_prefix(b"0X"));
        let digits: Option<Vec<u8>> =
            digits.map(|text| text.iter().copied().filter(|byte| *byte != b'.').collect());
        let bytes = digits.and_then(|digits| codes::from_hex(&digits));
        let bytes = bytes.filter(|bytes| !bytes.is_empty());
        let bytes = bytes.ok_or_else(|| self.is_not(text, "`0x` and pairs of hex digits"))?;
        self.bytes.extend(bytes);
        Ok(())
    }

    /// Writes `\# LENGTH HEX` (RFC 3597 section 5).
    fn generic(&mut self) -> Result<(), Wrong> {
        let length = usize::try_from(self.number(u64::from(u16::MAX))?).unwrap_or(0);
        let start = self.bytes.len();
        if self.next < self.tokens.len() {
            self.hex()?;
        }
        let found = self.bytes.len() - start;
        if found != length {
            return Err(self.wrong(format!("{found} octets where \\# says {length}")));
        }
        Ok(())
    }
}

/// Writes an address of four octets.
pub(super) fn write_ipv4(words: &mut Words<'_>) -> Option<()> {
    let octets: [u8; 4] = words.octets(4)?.try_into().ok()?;
    words.put(Ipv4Addr::from(octets));
    Some(())
}

/// Writes an address of sixteen octets.
pub(super) fn write_ipv6(words: &mut Words<'_>) -> Option<()> {
    let octets: [u8; 16] = words.octets(16)?.try_into().ok()?;
    words.put(Ipv6Addr::from(octets));
    Some(())
}
