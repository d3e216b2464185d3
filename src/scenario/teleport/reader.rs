//! One file of Teleport's while it is read: its tree, where its keys stand, and what is wrong.
//!
//! In go a text and a schema; out come the shape and this, which places what the readers of the
//! several files find. Keys without effect in the lab are listed once, in one warning a file.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::model::addr::HostPort;
use crate::model::places::Keys;

use super::super::schema::Unmodelled;
use super::super::tree::{self, Node, Step, Value};
use super::super::{Mistakes, format, places, schema};
use super::address::{self, Read};

/// How many characters of listed keys one warning holds; a mistake shows no more than 400.
const LISTED_MAX: usize = 320;

pub(super) struct File<'a> {
    pub(super) path: &'a Path,
    tree: Node,
    keys: Keys,
    mistakes: &'a mut Mistakes,
    warnings: &'a mut Mistakes,
    unmodelled: Vec<Unmodelled>,
    sound: bool,
}

impl<'a> File<'a> {
    /// Reads a text. `None` when nothing can be made of it, which has been added.
    pub(super) fn read<T: DeserializeOwned>(
        path: &'a Path,
        text: &str,
        schema: &Json,
        mistakes: &'a mut Mistakes,
        warnings: &'a mut Mistakes,
    ) -> Option<(Self, T)> {
        let mut own = Mistakes::default();
        let tree = tree::read(path, text, &mut own).map(without_nulls);
        let read = tree
            .as_ref()
            .map(|tree| schema::check_foreign(schema, path, tree, &mut own));
        let sound = own.is_empty();
        mistakes.append(own);
        let (json, unmodelled) = read?;
        let tree = tree.filter(|_| json.is_object())?;
        let shape = match serde_json::from_value(without_null_fields(json)) {
            Ok(shape) => shape,
            Err(error) => {
                // Unsound parts were left out, so this is a schema that says more than the shapes.
                mistakes.add(path, tree.mark, "", error.to_string(), "");
                return None;
            }
        };
        let file = Self {
            path,
            keys: places::of_tree(path, &tree),
            tree,
            mistakes,
            warnings,
            unmodelled,
            sound,
        };
        Some((file, shape))
    }

    /// Tells whether nothing was wrong so far.
    pub(super) fn is_sound(&self) -> bool {
        self.sound
    }

    /// Tells whether a key is written, sound or not.
    pub(super) fn has(&self, key: &str) -> bool {
        self.keys.get(key).is_some()
    }

    /// Tells whether a service is switched on; `None` when its switch is unsound.
    pub(super) fn on(&self, service: &str, default: bool) -> Option<bool> {
        let steps: Vec<Step<'_>> = service
            .split('.')
            .chain(["enabled"])
            .map(Step::Key)
            .collect();
        let Some(switch) = self.tree.at(&steps) else {
            return Some(default);
        };
        match &switch.value {
            Value::Bool(flag) => Some(*flag),
            Value::Text(word) if word.is_empty() => Some(default),
            Value::Text(word) => format::switch(word).ok(),
            Value::Integer(_) | Value::List(_) | Value::Map(_) | Value::Null | Value::Real(_) => {
                None
            }
        }
    }

    /// Reads an address that others dial.
    pub(super) fn public(&mut self, key: &str, text: &str, default: u16) -> Option<HostPort> {
        let read = address::public(text, Some(default));
        self.address(key, read, default)
    }

    /// Reads an address to listen on.
    pub(super) fn listen(&mut self, key: &str, text: &str, default: u16) -> Option<HostPort> {
        let read = address::listen(text, default);
        self.address(key, read, default)
    }

    fn address(&mut self, key: &str, read: Result<Read, String>, default: u16) -> Option<HostPort> {
        match read {
            Ok(Read { address, no_port }) => {
                if let Some(word) = no_port {
                    let what = format!("{word:?} is not a port: Teleport takes {default} instead");
                    self.warn(key, what, "write the port as a number");
                }
                Some(address)
            }
            Err(what) => {
                self.wrong(key, what, "write it like proxy.example.com:3080");
                None
            }
        }
    }

    /// Adds a mistake.
    pub(super) fn wrong(&mut self, key: &str, what: impl Into<String>, cure: impl Into<String>) {
        self.sound = false;
        let mark = places::mark(&self.keys, key);
        self.mistakes.add(self.path, mark, key, what, cure);
    }

    /// Adds a warning.
    pub(super) fn warn(&mut self, key: &str, what: impl Into<String>, cure: impl Into<String>) {
        let mark = places::mark(&self.keys, key);
        self.warnings.add(self.path, mark, key, what, cure);
    }

    /// Counts a key that is written among those without effect.
    pub(super) fn without_effect(&mut self, key: &str) {
        if self.has(key) {
            let mark = places::mark(&self.keys, key);
            let path = key.to_owned();
            self.unmodelled.push(Unmodelled { path, mark });
        }
    }

    /// Gives the paths of the keys without effect.
    pub(super) fn unmodelled(&self) -> &[Unmodelled] {
        &self.unmodelled
    }

    /// Lets a key be found by another name, too.
    pub(super) fn alias(&mut self, key: &str, of: &str) {
        self.keys.alias(key, of);
    }

    /// Ends the reading: lists what has no effect, and gives the places of the keys.
    pub(super) fn end(mut self) -> Keys {
        list(
            self.path,
            std::mem::take(&mut self.unmodelled),
            self.warnings,
        );
        self.keys
    }
}

/// Lists keys without effect, in the order of the file: in one warning, or in as many as it takes.
pub(super) fn list(path: &Path, mut keys: Vec<Unmodelled>, warnings: &mut Mistakes) {
    keys.sort_by(|a, b| (a.mark, &a.path).cmp(&(b.mark, &b.path)));
    keys.dedup();
    let mut rest = keys.as_slice();
    while let Some(first) = rest.first() {
        let mut listed = String::new();
        let mut count = 0;
        for key in rest {
            let next = format!("{} (line {})", key.path, key.mark.line);
            let room = listed.chars().count() + next.chars().count() <= LISTED_MAX;
            if !room && count > 0 {
                break;
            }
            if count > 0 {
                listed.push_str(", ");
            }
            listed.push_str(&next);
            count += 1;
        }
        let what = format!("not modelled, so without effect here: {listed}");
        warnings.add(path, first.mark, "", what, "");
        rest = &rest[count..];
    }
}

/// Takes keys without a value out: to Teleport they are absent.
fn without_nulls(mut node: Node) -> Node {
    match &mut node.value {
        Value::Map(entries) => {
            entries.retain(|entry| entry.node.value != Value::Null);
            let each = std::mem::take(entries).into_iter();
            *entries = each
                .map(|mut entry| {
                    entry.node = without_nulls(entry.node);
                    entry
                })
                .collect();
        }
        Value::List(items) => {
            let each = std::mem::take(items).into_iter();
            *items = each.map(without_nulls).collect();
        }
        Value::Bool(_) | Value::Integer(_) | Value::Null | Value::Real(_) | Value::Text(_) => {}
    }
    node
}

/// Takes unsound fields out, so that shapes give them their defaults.
fn without_null_fields(json: Json) -> Json {
    match json {
        Json::Object(fields) => fields
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key, without_null_fields(value)))
            .collect(),
        Json::Array(items) => items.into_iter().map(without_null_fields).collect(),
        other @ (Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_)) => other,
    }
}
