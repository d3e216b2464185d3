//! Where nodes are found: a table by hash, in buckets of one line of the processor's cache.
//!
//! In go the hash of a parent and a label; out come the nodes that may be meant. A look at memory costs
//! more than all else that a lookup in a large zone does, so a bucket has what is needed to choose:
//! seven bits of each node's hash beside the node.

/// How many nodes a bucket has: with a tag each they fill a line of 64 octets.
const WAYS: usize = 12;

/// How many buckets there are at first; always a power of two.
const BUCKETS_MIN: usize = 8;

/// How full the table is at most, in eighths.
const FULL_EIGHTHS: usize = 6;

/// Nodes in the order in which they came.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Bucket {
    /// Seven bits of the hash and a bit that is set, or 0 where none is, as in all places behind it.
    tags: [u8; WAYS],
    nodes: [u32; WAYS],
}

/// The table.
#[derive(Debug)]
pub(super) struct Table(Vec<Bucket>);

/// A parent and a label, hashed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hash {
    at: usize,
    tag: u8,
}

/// Where a node belongs that is not there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Free {
    bucket: usize,
    way: usize,
    tag: u8,
}

impl Default for Table {
    fn default() -> Self {
        Self(vec![Bucket::default(); BUCKETS_MIN])
    }
}

impl Table {
    /// Finds the node that `is` the one, or where it belongs.
    pub(super) fn find(&self, hash: Hash, is: impl Fn(u32) -> bool) -> Result<u32, Free> {
        let mask = self.0.len() - 1;
        let mut at = hash.at & mask;
        loop {
            let bucket = &self.0[at];
            for (way, (tag, node)) in bucket.tags.iter().zip(&bucket.nodes).enumerate() {
                if *tag == 0 {
                    let tag = hash.tag;
                    return Err(Free {
                        bucket: at,
                        way,
                        tag,
                    });
                }
                if *tag == hash.tag && is(*node) {
                    return Ok(*node);
                }
            }
            // A full one goes on in the next.
            at = (at + 1) & mask;
        }
    }

    /// Puts a node where it belongs.
    pub(super) fn put(&mut self, free: Free, node: u32) {
        let bucket = &mut self.0[free.bucket];
        bucket.tags[free.way] = free.tag;
        bucket.nodes[free.way] = node;
    }

    /// Tells whether so many nodes are too many for it.
    pub(super) fn is_full(&self, nodes: usize) -> bool {
        nodes * 8 > self.0.len() * WAYS * FULL_EIGHTHS
    }

    /// Makes it twice as large, and puts all nodes in again.
    pub(super) fn grow(&mut self, nodes: impl Iterator<Item = (u32, Hash)>) {
        let size = self.0.len() * 2;
        // The old one goes first, so that there are never two.
        self.0 = Vec::new();
        self.0 = vec![Bucket::default(); size];
        for (node, hash) in nodes {
            if let Err(free) = self.find(hash, |_| false) {
                self.put(free, node);
            }
        }
    }
}

impl Hash {
    /// Hashes a parent and a label, eight octets at a time.
    pub(super) fn new(parent: u32, label: &[u8]) -> Self {
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        let mix = |state: u64, word: u64| {
            let wide = u128::from(state ^ word) * u128::from(FACTOR);
            let low = u64::try_from(wide & u128::from(u64::MAX)).unwrap_or(0);
            let high = u64::try_from(wide >> 64).unwrap_or(0);
            low ^ high
        };
        let mut state = mix(FACTOR, u64::from(parent) | (label.len() as u64) << 32);
        let mut words = label.chunks_exact(8);
        for word in &mut words {
            let word = word.try_into().map_or(0, u64::from_le_bytes);
            state = mix(state, word);
        }
        let rest = words.remainder();
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            state = mix(state, u64::from_le_bytes(word));
        }
        // Once more, so that each octet reaches the bits that are used.
        state = mix(state, FACTOR);
        let [tag, ..] = state.to_be_bytes();
        Self {
            at: usize::try_from(state).unwrap_or(0),
            tag: tag | 0x80,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_lines_and_full_ones_go_on_in_the_next() {
        assert_eq!(size_of::<Bucket>(), 64);
        let mut table = Table::default();
        // All in one place, which holds twelve.
        let hash = Hash { at: 7, tag: 0x81 };
        for node in 0..30 {
            let free = table.find(hash, |other| other == node);
            table.put(free.expect_err("it is new"), node);
        }
        for node in 0..30 {
            let found = table.find(hash, |other| other == node);
            assert_eq!(found.ok(), Some(node));
        }
        assert!(table.find(hash, |_| false).is_err());
        let other = Hash { tag: 0x82, ..hash };
        assert!(table.find(other, |_| true).is_err(), "of another hash");
        assert!(!table.is_full(72) && table.is_full(73));
        table.grow((0..30).map(|node| (node, hash)));
        for node in 0..30 {
            let found = table.find(hash, |other| other == node);
            assert_eq!(found.ok(), Some(node));
        }
        assert!(!table.is_full(144));
    }
}
