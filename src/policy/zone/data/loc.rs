//! Places on the globe (RFC 1876): `42 21 54 N 71 06 18 W -24m 30m`.

use std::fmt::Write as _;

use super::{Wire, Wrong};
use crate::policy::zone::text::number;
use crate::policy::zone::words::Words;

/// Thousandths of a second of arc in a degree.
const DEGREE: u32 = 3_600_000;

/// The equator and the prime meridian.
const MIDDLE: u32 = 1 << 31;

/// How far below the reference the altitudes begin, in centimetres.
const LOWEST: i64 = 10_000_000;

/// Size and precisions where none is written, in centimetres.
const DEFAULTS: [u64; 3] = [100, 1_000_000, 1_000];

/// The largest size or precision, in centimetres: 9e9.
const SIZE_MAX: u64 = 9_000_000_000;

impl Wire<'_> {
    pub(super) fn loc(&mut self) -> Result<(), Wrong> {
        let latitude = self.angle(90, [b"N", b"S"])?;
        let longitude = self.angle(180, [b"E", b"W"])?;
        let text = self.take("an altitude")?;
        let (negative, size) = match text.strip_prefix(b"-") {
            Some(size) => (true, size),
            None => (false, text),
        };
        let height = centimetres(size).and_then(|size| i64::try_from(size).ok());
        let height = height.map(|height| LOWEST + if negative { -height } else { height });
        let altitude = height.and_then(|height| u32::try_from(height).ok());
        let altitude = altitude.ok_or_else(|| self.is_not(text, "an altitude in metres"))?;
        let mut sizes = [0; 3];
        for (size, default) in sizes.iter_mut().zip(DEFAULTS) {
            let (text, value) = match self.more() {
                Some(token) => (token.text, centimetres(token.text)),
                None => (&b""[..], Some(default)),
            };
            let value = value.filter(|value| *value <= SIZE_MAX);
            *size = power(value.ok_or_else(|| self.is_not(text, "a size in metres"))?);
        }
        self.bytes.push(0);
        self.bytes.extend(sizes);
        for number in [latitude, longitude, altitude] {
            self.bytes.extend(number.to_be_bytes());
        }
        Ok(())
    }

    /// Reads degrees, minutes and seconds up to one of two directions.
    fn angle(&mut self, most: u32, directions: [&[u8]; 2]) -> Result<u32, Wrong> {
        let mut thousandths = 0;
        for (place, bound) in [most + 1, 60, 60].into_iter().enumerate() {
            let text = self.take("an angle")?;
            let unit = DEGREE / 60_u32.pow(u32::try_from(place).unwrap_or(0));
            let value = match place {
                2 => decimal(text, 3),
                _ => number(text).map(|whole| whole * 1_000),
            };
            let value = value.and_then(|value| u32::try_from(value).ok());
            let value = value.filter(|value| *value < bound * 1_000);
            let value = value.ok_or_else(|| self.is_not(text, "an angle"))?;
            thousandths += value / 1_000 * unit;
            thousandths += value % 1_000;
            let next = self.tokens.get(self.next).map(|token| token.text);
            let side = directions
                .iter()
                .position(|side| next.is_some_and(|next| next.eq_ignore_ascii_case(side)));
            let Some(side) = side else { continue };
            self.next += 1;
            if thousandths > most * DEGREE {
                return Err(self.is_not(text, "an angle on the globe"));
            }
            return Ok(match side {
                0 => MIDDLE + thousandths,
                _ => MIDDLE - thousandths,
            });
        }
        let text = self.take("a direction")?;
        Err(self.is_not(text, "a direction"))
    }
}

/// Reads metres, with or without the unit, as centimetres.
fn centimetres(text: &[u8]) -> Option<u64> {
    let text = text.strip_suffix(b"m").unwrap_or(text);
    decimal(text, 2)
}

/// Reads a number with at most `places` digits after the point, in units of the last of them.
fn decimal(text: &[u8], places: usize) -> Option<u64> {
    let mut parts = text.splitn(2, |byte| *byte == b'.');
    let (whole, part) = (parts.next()?, parts.next());
    let mut digits = part.unwrap_or_default().to_vec();
    if digits.len() > places || part.is_some_and(<[u8]>::is_empty) {
        return None;
    }
    digits.resize(places, b'0');
    number(&[whole, &digits].concat()).filter(|_| !whole.is_empty())
}

/// Rounds a size to one digit and a power of ten.
fn power(mut size: u64) -> u8 {
    let mut exponent = 0;
    while size > 9 {
        size /= 10;
        exponent += 1;
    }
    u8::try_from(size).unwrap_or(9) << 4 | exponent
}

/// Writes a place.
pub(in crate::policy::zone) fn write_loc(words: &mut Words<'_>) -> Option<()> {
    let version = words.u8()?;
    let sizes = words.octets(3)?;
    let (latitude, longitude, altitude) = (words.u32()?, words.u32()?, words.u32()?);
    if version != 0 {
        return None;
    }
    write_angle(words, latitude, 90, ['N', 'S'])?;
    write_angle(words, longitude, 180, ['E', 'W'])?;
    let height = i64::from(altitude) - LOWEST;
    let sign = if height < 0 { "-" } else { "" };
    words.put(format!("{sign}{}", metres(height.unsigned_abs())));
    for size in sizes {
        let (digit, exponent) = (u64::from(size >> 4), u32::from(size & 15));
        // A size of zero has no exponent, or it could be written in two ways.
        if digit > 9 || exponent > 9 || (digit == 0 && exponent > 0) {
            return None;
        }
        words.put(metres(digit * 10_u64.pow(exponent)));
    }
    Some(())
}

fn write_angle(words: &mut Words<'_>, angle: u32, most: u32, sides: [char; 2]) -> Option<()> {
    let (side, thousandths) = match angle.checked_sub(MIDDLE) {
        Some(above) => (sides[0], above),
        None => (sides[1], MIDDLE - angle),
    };
    if thousandths > most * DEGREE {
        return None;
    }
    let (degrees, minutes) = (thousandths / DEGREE, thousandths / 60_000 % 60);
    let (seconds, parts) = (thousandths / 1_000 % 60, thousandths % 1_000);
    words.put(format!("{degrees} {minutes} {seconds}.{parts:03} {side}"));
    Some(())
}

fn metres(centimetres: u64) -> String {
    let mut text = (centimetres / 100).to_string();
    if !centimetres.is_multiple_of(100) {
        let _ = write!(text, ".{:02}", centimetres % 100);
    }
    text.push('m');
    text
}
