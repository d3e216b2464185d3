//! YAML as a tree whose every node and key keeps its place.
//!
//! In goes the text of a file (JSON is YAML); out come the tree and the mistakes that only this
//! reader can see: broken syntax, a key given twice, an anchor that holds itself. It knows nothing
//! of scenarios: what may stand where is `schema`'s work. Its memory and time are bounded, whatever
//! the text.

mod read;

use std::path::Path;

use crate::model::mistake::Place;

pub use read::read;

/// How long a file may be; a scenario of ten thousand agents stays below it.
pub const BYTES_MAX: usize = 4 << 20;

/// How deep lists and mappings may nest; the shapes need six levels, the rest is for `x-` keys.
pub const DEPTH_MAX: usize = 32;

/// How many nodes a tree may have after anchors are expanded, so that aliases of aliases ("billion
/// laughs") end early.
pub const NODES_MAX: usize = 500_000;

/// A place in the text, both from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// A value and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it begins; for what an alias stands for, where the anchor's value begins.
    pub mark: Mark,
    /// The value.
    pub value: Value,
}

/// What a node holds, by the core schema of YAML 1.2.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i128),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the text.
    Map(Vec<Entry>),
    /// Nothing: `null`, `~`, or no text at all.
    Null,
    /// A number with a fraction or an exponent, as it was written.
    Real(String),
    /// Any other text.
    Text(String),
}

/// A key of a mapping with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key begins.
    pub mark: Mark,
    /// The value.
    pub node: Node,
}

impl Mark {
    /// The first character of a file.
    pub const START: Self = Self { line: 1, column: 1 };

    /// Names the file that the mark is in.
    pub fn of(self, file: &Path) -> Place {
        Place {
            file: file.to_path_buf(),
            line: self.line,
            column: self.column,
        }
    }
}

impl Node {
    /// Finds the entry of a mapping.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        let Value::Map(entries) = &self.value else {
            return None;
        };
        entries.iter().find(|entry| entry.key == key)
    }

    /// Finds a node by its path as mistakes show it, `balancers[1].listen`; the empty path is the
    /// node itself.
    pub fn at(&self, path: &[Step<'_>]) -> Option<&Self> {
        path.iter().try_fold(self, |node, step| match step {
            Step::Index(index) => {
                let Value::List(items) = &node.value else {
                    return None;
                };
                items.get(*index)
            }
            Step::Key(key) => node.entry(key).map(|entry| &entry.node),
        })
    }

    /// Gives the word for what it holds.
    pub const fn kind(&self) -> &'static str {
        match self.value {
            Value::Bool(_) => "true or false",
            Value::Integer(_) | Value::Real(_) => "a number",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
            Value::Null => "nothing",
            Value::Text(_) => "text",
        }
    }
}

/// One step of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Into a list, from 0.
    Index(usize),
    /// Into a mapping.
    Key(&'a str),
}
