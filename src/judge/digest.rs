//! One number for a whole stream of facts: two runs with the same digest said the same.
//!
//! Each node has a rolling hash over its own facts in their order; at the end these are combined in
//! the order of the nodes' names. So neither the numbers of facts in the journal nor the
//! interleaving of nodes matters, and the digest is the same for any number of threads.
//!
//! What is hashed is the instant and the debug form of a fact, written straight into the hash: no
//! field can be forgotten, whoever adds one, and nothing is allocated. The hash is two lanes of the
//! finaliser that draws use, 16 bytes a word; it is the same on every platform and in every build,
//! and it is not made to withstand somebody who looks for collisions: a seal would need SHA-256,
//! at ten times the price. Versions of the compiler may write debug forms in different ways, so
//! digests are compared between runs of one version.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use crate::model::draw::mix;
use crate::model::fact::Fact;
use crate::model::id::Node;

/// The hashes of all nodes so far.
#[derive(Clone, Debug, Default)]
pub struct Digest {
    nodes: BTreeMap<Node, usize>,
    states: Vec<State>,
    /// Facts come in runs of one node.
    last: Option<(Node, usize)>,
    facts: u64,
}

/// A rolling hash: two lanes and the bytes that do not fill a word yet.
#[derive(Clone, Copy, Debug)]
struct State {
    one: u64,
    two: u64,
    word: u64,
    /// How many bytes of the word are filled.
    filled: u32,
    bytes: u64,
}

impl Digest {
    /// Takes one more fact; its number in the journal does not matter.
    pub fn fold(&mut self, fact: &Fact) {
        self.facts += 1;
        let index = self.index(&fact.node);
        let state = &mut self.states[index];
        state.number(fact.at.as_us());
        let written = write!(state, "{:?}", fact.kind);
        debug_assert!(written.is_ok(), "a hash takes whatever is written");
        state.end();
    }

    /// Counts the facts.
    pub const fn facts(&self) -> u64 {
        self.facts
    }

    /// Gives the number.
    pub fn value(&self) -> u128 {
        let mut all = State::default();
        for (node, index) in &self.nodes {
            let own = &self.states[*index];
            let written = write!(all, "{node}");
            debug_assert!(written.is_ok(), "a hash takes whatever is written");
            all.end();
            all.number(own.one);
            all.number(own.two);
        }
        all.number(self.facts);
        // Once more, so that the lanes know of each other.
        let one = mix(all.one ^ all.two.rotate_left(32));
        u128::from(one) << 64 | u128::from(mix(all.two ^ one))
    }

    fn index(&mut self, node: &Node) -> usize {
        if let Some((last, index)) = &self.last
            && last == node
        {
            return *index;
        }
        let index = match self.nodes.get(node) {
            Some(index) => *index,
            None => {
                self.states.push(State::default());
                self.nodes.insert(node.clone(), self.states.len() - 1);
                self.states.len() - 1
            }
        };
        self.last = Some((node.clone(), index));
        index
    }
}

/// 32 hexadecimal digits.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.value())
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            one: 0x243f_6a88_85a3_08d3,
            two: 0x1319_8a2e_0370_7344,
            word: 0,
            filled: 0,
            bytes: 0,
        }
    }
}

impl State {
    fn number(&mut self, number: u64) {
        self.one = mix(self.one ^ number);
        self.two = mix(self.two.rotate_left(23) ^ number);
    }

    /// Fills the last word, and keeps ("ab", "c") apart from ("a", "bc") by the length.
    fn end(&mut self) {
        self.number(self.word);
        self.number(self.bytes);
        (self.word, self.filled, self.bytes) = (0, 0, 0);
    }
}

impl Write for State {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let (words, rest) = text.as_bytes().as_chunks::<8>();
        for word in words {
            let word = u64::from_le_bytes(*word);
            if self.filled == 0 {
                self.number(word);
            } else {
                self.number(self.word | word << (8 * self.filled));
                self.word = word >> (64 - 8 * self.filled);
            }
        }
        for byte in rest {
            self.word |= u64::from(*byte) << (8 * self.filled);
            self.filled += 1;
            if self.filled == 8 {
                self.number(self.word);
                (self.word, self.filled) = (0, 0);
            }
        }
        self.bytes += text.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
