//! Domain names in wire form: what zones hold, questions bring and answers carry.
//!
//! A name is its labels, each after its length, and the root label (RFC 1035 section 3.1); at most
//! 255 octets. Case is kept, and ignored where names are compared (RFC 4343).

use std::fmt;

use hickory_proto::rr::Name as HickoryName;

/// How many octets a name has at most (RFC 1035 section 3.1).
pub const NAME_MAX: usize = 255;

/// The most labels that a name of 255 octets can have, the root aside.
pub const LABELS_MAX: usize = 127;

/// How many octets a label has at most (RFC 1035 section 2.3.4).
pub const LABEL_MAX: usize = 63;

/// A name of its own, on the stack.
#[derive(Clone, Copy)]
pub struct Name {
    bytes: [u8; NAME_MAX],
    length: u8,
}

/// A name to look up: lower case, with the place of each label.
#[derive(Clone, Copy)]
pub struct Key {
    name: Name,
    /// Where each label begins, the outermost (nearest to the root) first.
    starts: [u8; LABELS_MAX],
    labels: u8,
}

impl Name {
    /// The root.
    pub const ROOT: Self = Self {
        bytes: [0; NAME_MAX],
        length: 1,
    };

    /// Takes a whole name in wire form, uncompressed, the root label last; `None` when it is none.
    pub fn from_wire(wire: &[u8]) -> Option<Self> {
        let mut at = 0;
        while let Some(&length) = wire.get(at) {
            at += 1 + usize::from(length);
            if length == 0 {
                break;
            }
            if usize::from(length) > LABEL_MAX {
                return None;
            }
        }
        if at != wire.len() || wire.last() != Some(&0) {
            return None;
        }
        let mut name = Self::ROOT;
        name.bytes.get_mut(..wire.len())?.copy_from_slice(wire);
        name.length = u8::try_from(wire.len()).ok()?;
        Some(name)
    }

    /// Makes a name of labels, the innermost first; `None` when it would be none.
    pub fn from_labels<'l>(labels: impl IntoIterator<Item = &'l [u8]>) -> Option<Self> {
        let mut name = Self::ROOT;
        let mut at = 0;
        for label in labels {
            let length = u8::try_from(label.len())
                .ok()
                .filter(|length| *length > 0)?;
            if label.len() > LABEL_MAX {
                return None;
            }
            let end = at + 1 + label.len();
            name.bytes.get_mut(at + 1..end)?.copy_from_slice(label);
            name.bytes[at] = length;
            at = end;
        }
        *name.bytes.get_mut(at)? = 0;
        name.length = u8::try_from(at + 1).ok()?;
        Some(name)
    }

    /// Gives it in wire form.
    pub fn wire(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// Gives its labels, the innermost first, the root aside.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> + Clone {
        labels(self.wire())
    }

    /// Counts its labels, the root aside.
    pub fn count(&self) -> usize {
        self.labels().count()
    }

    /// Tells whether it is the root.
    pub const fn is_root(&self) -> bool {
        self.length == 1
    }

    /// Gives it in lower case (RFC 4034 section 6.2 compares so).
    #[must_use]
    pub fn lower(mut self) -> Self {
        // A length octet is below every letter.
        self.bytes.make_ascii_lowercase();
        self
    }

    /// Puts labels before it; `None` when the whole would be too long.
    pub fn below(&self, prefix: &[u8]) -> Option<Self> {
        let mut name = Self::ROOT;
        let length = prefix.len() + self.wire().len();
        name.bytes.get_mut(..prefix.len())?.copy_from_slice(prefix);
        name.bytes
            .get_mut(prefix.len()..length)?
            .copy_from_slice(self.wire());
        name.length = u8::try_from(length).ok()?;
        Some(name)
    }

    /// Gives it as text, the final dot included.
    pub fn to_ascii(&self) -> String {
        self.to_string()
    }

    /// Gives it in hickory's form.
    pub fn to_hickory(&self) -> HickoryName {
        let mut name = HickoryName::from_labels(self.labels()).unwrap_or_default();
        name.set_fqdn(true);
        name
    }
}

/// Gives the labels of a name in wire form, the root aside. What is no name ends early.
pub fn labels(wire: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    let mut rest = wire;
    std::iter::from_fn(move || {
        let (&length, tail) = rest.split_first()?;
        let (label, tail) = tail.split_at_checked(usize::from(length))?;
        rest = tail;
        (length > 0).then_some(label)
    })
}

/// Writes a name in wire form as a zone file has it.
pub fn write_name(f: &mut impl fmt::Write, wire: &[u8]) -> fmt::Result {
    let mut root = true;
    for label in labels(wire) {
        root = false;
        for &byte in label {
            match byte {
                b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$' => {
                    write!(f, "\\{}", char::from(byte))?;
                }
                b'!'..=b'~' => f.write_char(char::from(byte))?,
                _ => write!(f, "\\{byte:03}")?,
            }
        }
        f.write_char('.')?;
    }
    if root {
        f.write_char('.')?;
    }
    Ok(())
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_name(f, self.wire())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Names are compared without regard to case.
impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.wire().eq_ignore_ascii_case(other.wire())
    }
}

impl Eq for Name {}

impl From<&HickoryName> for Name {
    fn from(name: &HickoryName) -> Self {
        // hickory holds no name that is longer than the wire allows.
        Self::from_labels(name.iter()).unwrap_or(Self::ROOT)
    }
}

impl From<HickoryName> for Name {
    fn from(name: HickoryName) -> Self {
        Self::from(&name)
    }
}

impl Key {
    /// Makes the key of a name.
    pub fn new(name: &Name) -> Self {
        let name = name.lower();
        let mut starts = [0; LABELS_MAX];
        let (mut at, mut labels) = (0_u8, 0);
        while let Some(&length) = name.bytes.get(usize::from(at))
            && length > 0
            && labels < LABELS_MAX
        {
            starts[labels] = at;
            labels += 1;
            at = at.saturating_add(length).saturating_add(1);
        }
        starts[..labels].reverse();
        Self {
            name,
            starts,
            labels: u8::try_from(labels).unwrap_or(u8::MAX),
        }
    }

    /// Counts the labels, the root aside.
    pub const fn labels(&self) -> usize {
        self.labels as usize
    }

    /// Gives a label, the outermost being 0; none is empty.
    pub fn label(&self, place: usize) -> &[u8] {
        let wire = self.name.wire();
        let start = match self.starts[..self.labels()].get(place) {
            Some(start) => usize::from(*start),
            None => return &[],
        };
        let length = wire.get(start).copied().map_or(0, usize::from);
        wire.get(start + 1..start + 1 + length).unwrap_or_default()
    }

    /// Gives the ancestor with so many labels, in wire form; all of it when it has no more.
    pub fn ancestor(&self, labels: usize) -> &[u8] {
        let wire = self.name.wire();
        match labels.min(self.labels()).checked_sub(1) {
            Some(last) => &wire[usize::from(self.starts[last])..],
            None => &wire[wire.len() - 1..],
        }
    }

    /// Gives what stands before the ancestor with so many labels, in wire form without a root label.
    pub fn before(&self, labels: usize) -> &[u8] {
        let wire = self.name.wire();
        &wire[..wire.len() - self.ancestor(labels).len()]
    }

    /// Gives the whole, in wire form and lower case.
    pub fn whole(&self) -> &[u8] {
        self.name.wire()
    }

    /// Gives the name, in lower case.
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// Tells whether this name is the other or below it.
    pub fn is_under(&self, other: &Self) -> bool {
        self.labels >= other.labels && self.ancestor(other.labels()) == other.whole()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::from(&HickoryName::from_ascii(text).unwrap())
    }

    fn key(text: &str) -> Key {
        Key::new(&name(text))
    }

    #[test]
    fn an_ancestor_is_a_suffix() {
        let deep = key("a.b.Example.COM.");
        assert_eq!(deep.labels(), 4);
        assert_eq!(deep.ancestor(2), key("example.com.").whole());
        assert_eq!((deep.label(0), deep.label(3)), (&b"com"[..], &b"a"[..]));
        assert!(deep.is_under(&key("B.example.com.")));
        assert!(!deep.is_under(&key("bb.example.com.")));
        assert_eq!(deep.before(2), b"\x01a\x01b");
        assert_eq!(key(".").whole(), b"\0");
        assert_eq!((key(".").labels(), key(".").label(0)), (0, &b""[..]));
    }

    #[test]
    fn a_name_is_its_wire_form() {
        let one = name("A.example.com.");
        assert_eq!(one.wire(), b"\x01A\x07example\x03com\0");
        assert_eq!(one, name("a.EXAMPLE.com."));
        assert_eq!(Name::from_wire(one.wire()), Some(one));
        assert_eq!(Name::from_wire(b"\x01a"), None);
        assert_eq!(Name::from_wire(b"\x01a\0\0"), None);
        assert_eq!(Name::from_wire(b"\xc0\x0c"), None);
        assert_eq!(one.to_hickory().to_ascii(), "A.example.com.");
        assert_eq!(name(".").to_string(), ".");
    }

    #[test]
    fn a_longest_name_fits_and_a_longer_one_does_not() {
        let labels = [&[b'x'; 61][..], &[b'x'; 63], &[b'x'; 63], &[b'x'; 63]];
        let longest = Name::from_labels(labels).unwrap();
        assert_eq!(longest.wire().len(), NAME_MAX);
        assert_eq!(longest.below(b"\x01a"), None);
        assert_eq!(Key::new(&longest).labels(), 4);
        let many = Name::from_labels([&b"x"[..]; LABELS_MAX]).unwrap();
        assert_eq!(Key::new(&many).ancestor(1), b"\x01x\0");
        assert_eq!(Name::from_labels([&b""[..]]), None);
    }

    #[test]
    fn octets_that_are_no_letters_are_escaped() {
        let odd = Name::from_labels([&b"a.b \xff"[..]]).unwrap();
        assert_eq!(odd.to_string(), "a\\.b\\032\\255.");
    }
}
