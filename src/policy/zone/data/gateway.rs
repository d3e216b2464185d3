//! Keys with the hosts that hold them: IPSECKEY (RFC 4025), AMTRELAY (RFC 8777), HIP (RFC 8005).

use super::{Wire, Wrong, codes, write_ipv4, write_ipv6};
use crate::policy::zone::words::Words;

impl Wire<'_> {
    pub(super) fn ipsec(&mut self) -> Result<(), Wrong> {
        self.u8()?;
        let kind = self.u8()?;
        self.u8()?;
        self.gateway(kind)?;
        if self.next < self.tokens.len() {
            self.base64()?;
        }
        Ok(())
    }

    pub(super) fn amt(&mut self) -> Result<(), Wrong> {
        self.u8()?;
        let discovery = self.number(1)?;
        let kind = self.number(127)?;
        let kind = u8::try_from(kind).unwrap_or(0);
        self.bytes
            .push(kind | if discovery == 1 { 0x80 } else { 0 });
        self.gateway(kind)
    }

    /// Writes a host in the form that its kind wants.
    fn gateway(&mut self, kind: u8) -> Result<(), Wrong> {
        match kind {
            0 => {
                let text = self.take("a gateway")?;
                if text != b"." {
                    return Err(self.is_not(text, "`.`, which stands for no gateway"));
                }
                Ok(())
            }
            1 => self.ipv4(),
            2 => self.ipv6(),
            3 => self.name(),
            _ => Err(self.wrong(format!("no kind of gateway has the number {kind}"))),
        }
    }

    pub(super) fn hip(&mut self) -> Result<(), Wrong> {
        let start = self.bytes.len();
        self.bytes.push(0);
        self.u8()?;
        self.bytes.extend([0, 0]);
        let text = self.take("a host identity tag")?;
        self.digits(text)?;
        let tag = u8::try_from(self.bytes.len() - start - 4).ok();
        let tag = tag.filter(|length| *length > 0);
        self.bytes[start] = tag.ok_or_else(|| self.is_not(text, "1 to 255 octets"))?;
        let text = self.take("a key")?;
        let key = codes::from_base64(text).ok_or_else(|| self.is_not(text, "base64"))?;
        let length = u16::try_from(key.len()).ok();
        let length = length.ok_or_else(|| self.is_not(text, "a key that fits"))?;
        self.bytes[start + 2..start + 4].copy_from_slice(&length.to_be_bytes());
        self.bytes.extend(key);
        while self.next < self.tokens.len() {
            self.name()?;
        }
        Ok(())
    }
}

/// Writes an IPSECKEY.
pub(in crate::policy::zone) fn write_ipsec(words: &mut Words<'_>) -> Option<()> {
    let (precedence, kind, algorithm) = (words.u8()?, words.u8()?, words.u8()?);
    words.put(precedence);
    words.put(kind);
    words.put(algorithm);
    write_gateway(words, kind)?;
    let key = words.all();
    if key.is_empty() {
        return Some(());
    }
    words.base64(key)
}

/// Writes an AMTRELAY.
pub(in crate::policy::zone) fn write_amt(words: &mut Words<'_>) -> Option<()> {
    let (precedence, kind) = (words.u8()?, words.u8()?);
    words.put(precedence);
    words.put(kind >> 7);
    words.put(kind & 0x7f);
    write_gateway(words, kind & 0x7f)
}

fn write_gateway(words: &mut Words<'_>, kind: u8) -> Option<()> {
    match kind {
        0 => words.put('.'),
        1 => write_ipv4(words)?,
        2 => write_ipv6(words)?,
        3 => words.name()?,
        _ => return None,
    }
    Some(())
}

/// Writes a HIP.
pub(in crate::policy::zone) fn write_hip(words: &mut Words<'_>) -> Option<()> {
    let (tag, algorithm, key) = (words.u8()?, words.u8()?, words.u16()?);
    words.put(algorithm);
    let tag = words.octets(usize::from(tag))?;
    words.hex(tag)?;
    let key = words.octets(usize::from(key))?;
    words.base64(key)?;
    while !words.rest.is_empty() {
        words.name()?;
    }
    Some(())
}
