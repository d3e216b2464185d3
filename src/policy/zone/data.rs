//! Record data, from tokens.
//!
//! In go the tokens of one record's data and the origin; out comes the data in wire form. The common
//! types are written here, so that escapes, bytes above 127 and unknown types mean what the RFCs
//! say; the rest goes through hickory's own text parsers.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use hickory_proto::rr::rdata::HTTPS;
use hickory_proto::rr::{RData, RecordType};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder, NameEncoding};

use super::lexer::Token;
use super::text::{head, name, read_data, string, ttl, type_word, unescape};
use crate::policy::name::Name;

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
    let mut wire = Wire {
        tokens,
        next: 0,
        origin,
        start: out.len(),
        bytes: out,
    };
    let generic = tokens
        .first()
        .is_some_and(|token| token.text == "\\#" && !token.quoted);
    if generic {
        wire.next = 1;
        wire.generic()?;
    } else if !wire.known(record_type)? {
        let data = by_hickory(record_type, tokens, origin)?;
        out.extend(data);
        return Ok(());
    }
    if wire.next < tokens.len() {
        return Err(Wrong {
            token: wire.next,
            what: format!("more than the data of {}", type_word(record_type)),
            cure: "remove it",
        });
    }
    let length = wire.bytes.len() - wire.start;
    if length > usize::from(u16::MAX) {
        return Err(wire.wrong(format!("{length} octets of data; 65535 fit")));
    }
    if generic {
        check_generic(record_type, &out[out.len() - length..])?;
    }
    Ok(())
}

/// Refuses data that was written as octets and is not the data of its type.
fn check_generic(record_type: RecordType, bytes: &[u8]) -> Result<(), Wrong> {
    let wrong = |what: &str| Wrong {
        token: 0,
        what: format!("not the data of {}{what}", type_word(record_type)),
        cure: "",
    };
    if record_type == RecordType::DNAME {
        return match Name::from_wire(bytes) {
            Some(_) => Ok(()),
            None => Err(wrong("")),
        };
    }
    // What hickory read must also be what it writes: there is but one form without compression.
    let data = read_data(record_type, bytes).ok_or_else(|| wrong(""))?;
    match encode(&data) {
        Some(back) if back == bytes => Ok(()),
        _ => Err(wrong(" in its only form")),
    }
}

fn encode(data: &RData) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    data.emit(&mut encoder).ok()?;
    Some(bytes)
}

/// Lets hickory parse the types that are rare and complicated. Names in them must be absolute.
fn by_hickory(
    record_type: RecordType,
    tokens: &[Token<'_>],
    origin: &Name,
) -> Result<Vec<u8>, Wrong> {
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
    let wrong = |what: String| Wrong {
        token: 0,
        what,
        cure: "the form `\\# LENGTH HEX` of RFC 3597 always works",
    };
    let kind = type_word(record_type);
    let mut data = RData::try_from_str(record_type, text.trim_end())
        .map_err(|error| wrong(format!("not the data of {kind}: {error}")))?;
    // Parameters go out in the order of their keys (RFC 9460 section 2.2); hickory writes no other.
    if let RData::SVCB(svcb) | RData::HTTPS(HTTPS(svcb)) = &mut data {
        svcb.svc_params.sort_by_key(|(key, _)| u16::from(*key));
    }
    encode(&data).ok_or_else(|| wrong(format!("not the data of {kind}")))
}

/// Record data in wire form, being written.
struct Wire<'a> {
    tokens: &'a [Token<'a>],
    next: usize,
    origin: &'a Name,
    /// Where the data begins.
    start: usize,
    bytes: &'a mut Vec<u8>,
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
            RecordType::CNAME | RecordType::DNAME | RecordType::NS | RecordType::PTR => {
                self.name()?
            }
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
        self.bytes.extend(name.wire());
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
        let found = self.bytes.len() - self.start;
        if found != length {
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
