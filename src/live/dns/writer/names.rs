//! Writes names, compressed against all that stands before them, the question first.
//!
//! RFC 1035 section 4.1.4; in record data only of the types of that RFC (RFC 3597 section 4), which
//! the writer knows. In goes a name in wire form; out comes as much of it as is not written already.

use super::{HEAD, QUESTION, Writer};

/// How many suffixes of names are remembered for compression; what comes later is written whole.
pub(super) const SUFFIXES_MAX: usize = 64;

/// The first offset that a pointer cannot hold (RFC 1035 section 4.1.4).
const POINTER_END: usize = 1 << 14;

impl Writer<'_> {
    /// Writes a name, as much of it as is not written already.
    pub(super) fn name(&mut self, wire: &[u8]) {
        // The name that is asked for is the one that is written most.
        if self.known > 0 && self.stands_at(HEAD, wire) {
            self.out.extend(QUESTION);
            return;
        }
        let start = self.out.len();
        let mut rest = wire;
        while rest.len() > 1 {
            let mark = mark(rest);
            let known = self.suffixes[..self.known].iter();
            let mut known = known.filter(|(other, _)| *other == mark);
            let place = known.find(|(_, place)| self.stands_at(usize::from(*place), rest));
            if let Some((_, place)) = place.copied() {
                self.out
                    .extend(wire.get(..wire.len() - rest.len()).unwrap_or_default());
                self.out.extend((place | 0xc000).to_be_bytes());
                let own = wire.len() - rest.len();
                self.remember_until(wire, start, own);
                return;
            }
            rest = after_label(rest);
        }
        self.out.extend(wire);
        self.remember(wire, start);
    }

    pub(super) fn remember(&mut self, wire: &[u8], start: usize) {
        self.remember_until(wire, start, wire.len().saturating_sub(1));
    }

    /// Remembers the suffixes of a name whose first octets were written here.
    fn remember_until(&mut self, wire: &[u8], start: usize, end: usize) {
        let mut at = 0;
        while at < end && self.known < SUFFIXES_MAX {
            let place = start + at;
            let Some(rest) = wire.get(at..).filter(|_| place < POINTER_END) else {
                return;
            };
            let place = u16::try_from(place).unwrap_or(0);
            self.suffixes[self.known] = (mark(rest), place);
            self.known += 1;
            at = wire.len() - after_label(rest).len();
        }
    }

    /// Tells whether this name stands at a place in the message, pointers followed.
    pub(super) fn stands_at(&self, mut place: usize, wire: &[u8]) -> bool {
        let mut rest = wire;
        loop {
            let Some(&length) = self.out.get(place) else {
                return false;
            };
            if length >= 0xc0 {
                // Pointers of our own lead backwards, so this ends.
                let low = self.out.get(place + 1).copied().unwrap_or(0);
                place = usize::from(length & 0x3f) << 8 | usize::from(low);
                continue;
            }
            let end = 1 + usize::from(length);
            let (Some(here), Some(own)) = (self.out.get(place..place + end), rest.get(..end))
            else {
                return false;
            };
            if !here.eq_ignore_ascii_case(own) {
                return false;
            }
            if length == 0 {
                return true;
            }
            place += end;
            rest = &rest[end..];
        }
    }
}

/// Gives a name without its first label.
fn after_label(wire: &[u8]) -> &[u8] {
    let length = wire.first().copied().map_or(0, usize::from);
    wire.get(1 + length..).unwrap_or_default()
}

/// Makes a mark of a name without regard to case: its length, and length, first and last octet of
/// its first label. Reading every octet of every suffix would cost more than to compare the few
/// names with the same mark.
fn mark(wire: &[u8]) -> u32 {
    let label = wire.first().copied().unwrap_or(0);
    let octet = |at: u8| {
        let octet = wire.get(usize::from(at)).copied();
        octet.unwrap_or(0).to_ascii_lowercase()
    };
    let whole = u8::try_from(wire.len()).unwrap_or(u8::MAX);
    u32::from_be_bytes([whole, label, octet(1), octet(label)])
}
