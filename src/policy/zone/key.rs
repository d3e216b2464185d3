//! Owner names as keys of an ordered map.
//!
//! In goes a name; out comes its bytes from the root down, lower case, each label after its length.
//! So the key of an ancestor is a prefix of its descendants' keys, and a walk from the apex to a
//! name needs no copies.

use hickory_proto::rr::Name;

/// The most labels that a name of 255 octets can have, the root aside.
const LABELS_MAX: usize = 127;

/// A name in the order of the tree, on the stack.
#[derive(Clone, Copy)]
pub struct Key {
    bytes: [u8; 256],
    /// The end of each label within `bytes`, from the root down.
    ends: [u8; LABELS_MAX],
    labels: usize,
}

impl Key {
    /// Makes the key of a name.
    pub fn new(name: &Name) -> Self {
        let mut key = Self {
            bytes: [0; 256],
            ends: [0; LABELS_MAX],
            labels: 0,
        };
        for label in name.iter().rev() {
            key.push(label);
        }
        key
    }

    /// Counts the labels, the root aside.
    pub const fn labels(&self) -> usize {
        self.labels
    }

    /// Gives the key of the ancestor with so many labels; all of it when it has no more.
    pub fn ancestor(&self, labels: usize) -> &[u8] {
        match labels.min(self.labels).checked_sub(1) {
            Some(last) => &self.bytes[..usize::from(self.ends[last])],
            None => &[],
        }
    }

    /// Gives the whole key.
    pub fn whole(&self) -> &[u8] {
        self.ancestor(self.labels)
    }

    /// Gives the key of `*` below the ancestor with so many labels.
    pub fn wildcard(&self, labels: usize) -> Self {
        let mut key = *self;
        key.labels = labels.min(self.labels);
        key.push(b"*");
        key
    }

    /// Tells whether this name is the other or below it.
    pub fn is_under(&self, other: &Self) -> bool {
        self.labels >= other.labels && self.ancestor(other.labels) == other.whole()
    }

    /// Adds a label; one that a legal name cannot hold is left out.
    fn push(&mut self, label: &[u8]) {
        let start = self.whole().len();
        let end = start + 1 + label.len();
        let (Ok(length), Ok(end_byte)) = (u8::try_from(label.len()), u8::try_from(end)) else {
            return;
        };
        if self.labels == LABELS_MAX {
            return;
        }
        self.bytes[start] = length;
        self.bytes[start + 1..end].copy_from_slice(label);
        self.bytes[start + 1..end].make_ascii_lowercase();
        self.ends[self.labels] = end_byte;
        self.labels += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::new(&Name::from_ascii(name).unwrap())
    }

    #[test]
    fn an_ancestor_is_a_prefix() {
        let name = key("a.b.Example.COM.");
        assert_eq!(name.labels(), 4);
        assert_eq!(name.ancestor(2), key("example.com.").whole());
        assert!(name.is_under(&key("B.example.com.")));
        assert!(!name.is_under(&key("bb.example.com.")));
        assert_eq!(name.wildcard(2).whole(), key("*.example.com.").whole());
        assert_eq!(key(".").whole(), b"");
    }
}
