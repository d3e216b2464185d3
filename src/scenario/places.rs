//! The places of every key of a tree, for those who look them up after the reading.
//!
//! In goes a tree; out come [`Keys`]. Bounded: of hostile files the deepest keys are not noted, and
//! are found where the mapping around them is.

use std::path::Path;

use crate::model::places::Keys;

use super::schema::join;
use super::tree::{Mark, Node, Value};

/// How long the path of a key may be to be noted; real ones are below 80.
const PATH_MAX: usize = 200;

/// How many keys of a file are noted; a scenario of ten thousand agents has fewer.
const KEYS_MAX: usize = 100_000;

/// Gives the places of a tree's keys; the root is the empty path.
pub(super) fn of_tree(file: &Path, tree: &Node) -> Keys {
    let mut keys = Keys::new(file);
    let mut left = KEYS_MAX;
    note(tree, String::new(), &mut keys, &mut left);
    keys
}

/// Gives the place of a key, or the nearest to it, within its file.
pub(super) fn mark(keys: &Keys, key: &str) -> Mark {
    let place = keys.nearest(key);
    Mark {
        line: place.line,
        column: place.column,
    }
}

fn note(node: &Node, path: String, keys: &mut Keys, left: &mut usize) {
    if *left == 0 || path.len() > PATH_MAX {
        return;
    }
    *left -= 1;
    match &node.value {
        Value::Map(entries) => {
            for entry in entries.iter().filter(|entry| entry.key.len() <= PATH_MAX) {
                note(&entry.node, join(&path, &entry.key), keys, left);
            }
        }
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                note(item, format!("{path}[{index}]"), keys, left);
            }
        }
        Value::Bool(_) | Value::Integer(_) | Value::Null | Value::Real(_) | Value::Text(_) => {}
    }
    keys.put(path, node.mark.line, node.mark.column);
}

#[cfg(test)]
mod tests {
    use super::super::{Mistakes, tree};
    use super::*;

    fn keys(text: &str) -> Keys {
        let path = Path::new("a.yaml");
        let mut mistakes = Mistakes::default();
        let tree = tree::read(path, text, &mut mistakes).expect("a tree");
        of_tree(path, &tree)
    }

    #[test]
    fn every_key_is_where_its_value_begins() {
        let keys = keys("# words\na:\n  b: [c, {d: e}]\n");
        for (key, at) in [
            ("", "a.yaml:2:1"),
            ("a", "a.yaml:3:3"),
            ("a.b[1].d", "a.yaml:3:14"),
            ("a.x", "a.yaml:3:3"),
        ] {
            assert_eq!(keys.nearest(key).to_string(), at, "{key}");
        }
    }

    #[test]
    fn a_long_key_is_where_its_mapping_is() {
        let long = "k".repeat(PATH_MAX + 1);
        let keys = keys(&format!("a: {{{long}: 1}}\n"));
        assert_eq!(keys.nearest(&format!("a.{long}")).to_string(), "a.yaml:1:4");
        assert_eq!(keys.get(&format!("a.{long}")), None);
    }
}
