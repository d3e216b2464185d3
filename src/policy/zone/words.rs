//! Record data as words of a master file.
//!
//! In goes data in wire form; out come the words that [`super::data`] reads back as the same
//! octets. Data that is not what its type wants has no words but those of RFC 3597.

use std::fmt::{Display, Write as _};

use hickory_proto::rr::{RData, RecordType};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder, NameEncoding};

use super::data::{
    self, codes, stamp, write_a6, write_amt, write_apl, write_hip, write_ipsec, write_loc,
    write_params,
};
use super::kinds::{Field, fields, write_type};
use super::text::write_quoted;
use crate::policy::name::{Name, write_name};

/// Writes record data in wire form as a zone file has it; data that there are no words for as
/// RFC 3597 does.
pub fn data_words(record_type: RecordType, data: &[u8]) -> String {
    words(record_type, data).unwrap_or_else(|| generic(data))
}

/// Writes record data that hickory holds as a zone file has it.
pub fn rdata_words(data: &RData) -> String {
    let mut bytes = Vec::new();
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    match data.emit(&mut encoder) {
        Ok(()) => data_words(data.record_type(), &bytes),
        Err(_) => data.to_string(),
    }
}

/// Writes data in the words of its type; `None` when it is not such data.
pub(super) fn words(record_type: RecordType, data: &[u8]) -> Option<String> {
    let mut words = Words {
        rest: data,
        text: String::new(),
    };
    for field in fields(record_type.into())? {
        words.field(*field)?;
    }
    words.rest.is_empty().then_some(words.text)
}

fn generic(bytes: &[u8]) -> String {
    let mut text = format!("\\# {}", bytes.len());
    if !bytes.is_empty() {
        text.push(' ');
        codes::write_hex(&mut text, bytes);
    }
    text
}

/// Words, being written, and the data that is not yet.
pub(super) struct Words<'a> {
    pub(super) rest: &'a [u8],
    text: String,
}

impl<'a> Words<'a> {
    fn field(&mut self, field: Field) -> Option<()> {
        match field {
            Field::A => data::write_ipv4(self)?,
            Field::A6 => write_a6(self)?,
            Field::Aaaa => data::write_ipv6(self)?,
            Field::Algorithm | Field::U8 => {
                let number = self.u8()?;
                self.put(number);
            }
            Field::Amt => write_amt(self)?,
            Field::Apl => write_apl(self)?,
            Field::Base64 => {
                let octets = self.all();
                self.base64(octets)?;
            }
            Field::Certificate | Field::U16 => {
                let number = self.u16()?;
                self.put(number);
            }
            Field::Eui(octets) => {
                let octets = self.octets(octets)?.iter();
                let groups: Vec<String> = octets.map(|octet| format!("{octet:02x}")).collect();
                self.put(groups.join("-"));
            }
            Field::Groups => {
                let octets = self.octets(8)?.chunks(2);
                let groups: Vec<String> = octets
                    .map(|pair| format!("{:02x}{:02x}", pair[0], pair[1]))
                    .collect();
                self.put(groups.join(":"));
            }
            Field::Hash => {
                let length = usize::from(self.u8()?);
                let octets = self.octets(length).filter(|octets| !octets.is_empty())?;
                self.put(codes::to_base32(octets));
            }
            Field::Hex => {
                let octets = self.all();
                self.hex(octets)?;
            }
            Field::Hip => write_hip(self)?,
            Field::Ipsec => write_ipsec(self)?,
            Field::Loc => write_loc(self)?,
            Field::Name => self.name()?,
            Field::Nsap => {
                let octets = self.all();
                let mut text = String::from("0x");
                codes::write_hex(&mut text, octets);
                self.put((!octets.is_empty()).then_some(text)?);
            }
            Field::Octets => {
                let octets = self.all();
                self.quoted(octets);
            }
            Field::Optional if self.rest.is_empty() => {}
            Field::Optional | Field::Text => self.string()?,
            Field::Params => write_params(self)?,
            Field::Salt => {
                let length = usize::from(self.u8()?);
                let octets = self.octets(length)?;
                match octets.is_empty() {
                    true => self.put('-'),
                    false => self.hex(octets)?,
                }
            }
            Field::Stamp => {
                let seconds = self.u32()?;
                self.put(stamp::text(seconds));
            }
            Field::Tag => {
                let length = usize::from(self.u8()?);
                let octets = self.octets(length)?;
                let tag = !octets.is_empty() && octets.iter().all(u8::is_ascii_alphanumeric);
                self.put(String::from_utf8_lossy(tag.then_some(octets)?));
            }
            Field::Texts => {
                self.string()?;
                while !self.rest.is_empty() {
                    self.string()?;
                }
            }
            Field::Time | Field::U32 => {
                let number = self.u32()?;
                self.put(number);
            }
            Field::Type => {
                let kind = self.u16()?;
                self.kind(kind);
            }
            Field::Types => {
                for kind in codes::read_bit_map(self.all())? {
                    self.kind(kind);
                }
            }
        }
        Some(())
    }

    /// Adds a word.
    pub(super) fn put(&mut self, word: impl Display) {
        self.begin();
        let _ = write!(self.text, "{word}");
    }

    fn begin(&mut self) {
        if !self.text.is_empty() {
            self.text.push(' ');
        }
    }

    pub(super) fn octets(&mut self, count: usize) -> Option<&'a [u8]> {
        let (octets, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(octets)
    }

    pub(super) fn all(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.octets(1).map(|octets| octets[0])
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        let octets = self.octets(2)?.try_into().ok()?;
        Some(u16::from_be_bytes(octets))
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        let octets = self.octets(4)?.try_into().ok()?;
        Some(u32::from_be_bytes(octets))
    }

    /// Takes and writes a name without compression.
    pub(super) fn name(&mut self) -> Option<()> {
        let mut end = 0;
        loop {
            let length = usize::from(*self.rest.get(end)?);
            end += 1 + length;
            if length == 0 {
                break;
            }
        }
        let name = Name::from_wire(self.octets(end)?)?;
        self.begin();
        write_name(&mut self.text, name.wire()).ok()
    }

    fn string(&mut self) -> Option<()> {
        let length = usize::from(self.u8()?);
        let octets = self.octets(length)?;
        self.quoted(octets);
        Some(())
    }

    pub(super) fn quoted(&mut self, octets: &[u8]) {
        self.begin();
        write_quoted(&mut self.text, octets);
    }

    fn kind(&mut self, kind: u16) {
        self.begin();
        write_type(&mut self.text, kind);
    }

    /// Writes hexadecimal digits; there are no words for none.
    pub(super) fn hex(&mut self, octets: &[u8]) -> Option<()> {
        self.begin();
        codes::write_hex(&mut self.text, octets);
        (!octets.is_empty()).then_some(())
    }

    /// Writes base64; there are no words for none.
    pub(super) fn base64(&mut self, octets: &[u8]) -> Option<()> {
        self.put(codes::to_base64(octets));
        (!octets.is_empty()).then_some(())
    }
}
