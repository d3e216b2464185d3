//! Files in memory, with the fences of a text laid over them.
//!
//! In a fence the info string names the file. Mappings are merged key by key, lists of named things
//! by their names; `null` takes a key out; everything else takes the place of what was there.
//! Lines of an environment file take the place of those of the same variable.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use twodoors::model::mistake::Files;
use twodoors::scenario::Mistakes;
use twodoors::scenario::tree::{self, Node};

const BASE: &str = "tests/fixtures/findings/base";

/// A file's name and what is laid over it.
pub(super) type Block = (String, String);

/// A set of files.
pub(super) struct Laid(BTreeMap<PathBuf, String>);

impl Laid {
    /// Reads the base.
    pub(super) fn base() -> Self {
        let names = [
            "scenario.yaml",
            "proxy.yaml",
            "agent.yaml",
            "agent.env",
            "private/example.com.zone",
            "public/example.com.zone",
        ];
        let files = names.map(|name| {
            let path = Path::new(BASE).join(name);
            let text = fs::read_to_string(&path).unwrap();
            (path, text)
        });
        Self(files.into())
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        Path::new(BASE).join(name)
    }

    pub(super) fn text(&self, name: &str) -> String {
        self.0[&self.path(name)].clone()
    }

    pub(super) fn put(&mut self, name: &str, text: String) {
        self.0.insert(self.path(name), text);
    }

    /// Lays blocks over the files.
    pub(super) fn lay(&mut self, blocks: &[Block]) {
        for (name, block) in blocks {
            let text = self.text(name);
            let text = if name.ends_with(".env") {
                variables(&text, block)
            } else {
                let mut value = read(&text);
                merge(&mut value, read(block));
                format!("{value:#}")
            };
            self.put(name, text);
        }
    }

    /// Writes the files into a folder of their own.
    pub(super) fn write(&self) -> Folder {
        let folder = Folder::new();
        for (path, text) in &self.0 {
            let path = folder.path().join(path.strip_prefix(BASE).unwrap());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }
}

impl Files for Laid {
    fn read(&self, path: &Path) -> Result<String, String> {
        let text = self.0.get(path).cloned();
        text.ok_or_else(|| String::from("there is no such file"))
    }
}

/// A folder that goes with the test.
pub(super) struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("twodoors-findings-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that stays is in nobody's way.
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Gives the fences of one section of a text.
pub(super) fn blocks(text: &str, section: &str) -> Vec<Block> {
    let (mut here, mut open) = (false, None);
    let mut blocks = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            here = title == section;
        } else if let Some(info) = line.strip_prefix("```") {
            open = match open.take() {
                Some(block) => {
                    blocks.push(block);
                    None
                }
                None if here => {
                    let name = info.split_whitespace().nth(1).unwrap();
                    Some((name.to_owned(), String::new()))
                }
                None => Some((String::new(), String::new())),
            };
        } else if let Some((_, block)) = &mut open {
            block.push_str(line);
            block.push('\n');
        }
    }
    blocks.retain(|(name, _)| !name.is_empty());
    blocks
}

fn variables(text: &str, block: &str) -> String {
    let name = |line: &str| line.split_once('=').map(|(name, _)| name.to_owned());
    let given: Vec<_> = block.lines().filter_map(name).collect();
    let kept = text.lines().filter(|line| {
        let own = name(line);
        own.is_none_or(|own| !given.contains(&own))
    });
    let lines: Vec<&str> = kept.chain(block.lines()).collect();
    format!("{}\n", lines.join("\n"))
}

fn read(text: &str) -> Value {
    let mut mistakes = Mistakes::default();
    let tree = tree::read(Path::new("block"), text, &mut mistakes);
    assert!(mistakes.is_empty(), "{text}");
    value(&tree.unwrap())
}

fn value(node: &Node) -> Value {
    match &node.value {
        tree::Value::Bool(flag) => (*flag).into(),
        tree::Value::Integer(number) => i64::try_from(*number).unwrap().into(),
        tree::Value::List(items) => items.iter().map(value).collect(),
        tree::Value::Map(entries) => {
            let entries = entries.iter();
            let entries = entries.map(|entry| (entry.key.clone(), value(&entry.node)));
            Value::Object(entries.collect())
        }
        tree::Value::Null => Value::Null,
        tree::Value::Real(text) | tree::Value::Text(text) => text.clone().into(),
    }
}

fn merge(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, over) in over {
                if over.is_null() {
                    under.remove(&key);
                } else {
                    merge(under.entry(key).or_insert(Value::Null), over);
                }
            }
        }
        (Value::Array(under), Value::Array(over))
            if over.iter().all(|one| one["name"].is_string()) =>
        {
            for over in over {
                match under.iter_mut().find(|one| one["name"] == over["name"]) {
                    Some(under) => merge(under, over),
                    None => under.push(over),
                }
            }
        }
        (under, over @ Value::Object(_)) => {
            *under = Value::Object(Map::new());
            merge(under, over);
        }
        (under, over) => *under = over,
    }
}
