//! Checks a tree against a JSON Schema and collects every mistake.
//!
//! In go a schema and a tree with places; out come the mistakes, and what is sound of the tree as
//! JSON: an unsound value is null there, an unknown key is left out. The schemas are our own
//! (`schema.json`, published by `twodoors schema`, and those of Teleport's files); of JSON Schema
//! 2020-12 it knows the [`KEYWORDS`] that they use, of formats those of `format`. A schema that it
//! cannot read allows everything, so tests hold the schemas to those lists.

use std::path::Path;

use serde_json::{Map, Value as Json};

use super::tree::{Entry, Mark, Node, Value};
use super::{Mistakes, format, hint};

/// The published schema of scenario files.
pub const SCENARIO: &str = include_str!("schema.json");

/// The schema of a `teleport.yaml`: what is read of it, and which other keys Teleport has.
pub const TELEPORT: &str = include_str!("teleport.json");

/// The schema of the values of the Helm chart `teleport-kube-agent`.
pub const HELM: &str = include_str!("helm.json");

/// The keywords that a schema may use; those that say nothing to the checker come last.
///
/// `x-unknown` is what to say of an unknown key, `x-later` what to say of certain ones;
/// `x-unmodelled` names the keys that are real and without effect here, or is true for all others.
pub const KEYWORDS: &[&str] = &[
    "$ref",
    "additionalProperties",
    "enum",
    "format",
    "items",
    "maxItems",
    "maxProperties",
    "maximum",
    "minItems",
    "minProperties",
    "minimum",
    "oneOf",
    "patternProperties",
    "properties",
    "propertyNames",
    "required",
    "type",
    "x-later",
    "x-unknown",
    "x-unmodelled",
    "$defs",
    "$id",
    "$schema",
    "default",
    "description",
    "examples",
    "title",
];

/// Gives the schema of scenario files, read.
pub fn scenario() -> Json {
    serde_json::from_str(SCENARIO).expect("the embedded schema is JSON, which a test shows")
}

/// Gives the schema of files of views: the keys of `dns` and the networks.
pub fn views() -> Json {
    let scenario = scenario();
    let mut views = scenario["$defs"]["dns"].clone();
    views["properties"]["networks"] = scenario["properties"]["networks"].clone();
    views["patternProperties"] = scenario["patternProperties"].clone();
    views["$defs"] = scenario["$defs"].clone();
    views
}

/// Gives the schema of Teleport files, read.
pub fn teleport() -> Json {
    serde_json::from_str(TELEPORT).expect("the embedded schema is JSON, which a test shows")
}

/// Gives the schema of Helm values, read.
pub fn helm() -> Json {
    serde_json::from_str(HELM).expect("the embedded schema is JSON, which a test shows")
}

/// A key that is real elsewhere and has no effect here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmodelled {
    /// Its path.
    pub path: String,
    /// Where it begins.
    pub mark: Mark,
}

/// Checks a tree, adds its mistakes, and gives what is sound.
pub fn check(schema: &Json, file: &Path, tree: &Node, mistakes: &mut Mistakes) -> Json {
    check_foreign(schema, file, tree, mistakes).0
}

/// Checks a tree of somebody else's format as [`check`] does, and gives the keys without effect
/// here, too.
pub fn check_foreign(
    schema: &Json,
    file: &Path,
    tree: &Node,
    mistakes: &mut Mistakes,
) -> (Json, Vec<Unmodelled>) {
    let mut checker = Checker {
        root: schema,
        file,
        mistakes,
        unmodelled: Vec::new(),
    };
    let sound = checker.node(schema, tree, "");
    (sound, checker.unmodelled)
}

struct Checker<'a> {
    root: &'a Json,
    file: &'a Path,
    mistakes: &'a mut Mistakes,
    unmodelled: Vec<Unmodelled>,
}

impl<'a> Checker<'a> {
    fn node(&mut self, schema: &'a Json, node: &Node, path: &str) -> Json {
        let schema = &self.chosen(schema, node);
        let wanted = schema.get("type").and_then(Json::as_str);
        match (&node.value, wanted) {
            (Value::Map(entries), Some("object") | None) => self.map(schema, node, entries, path),
            (Value::List(items), Some("array") | None) => self.list(schema, node, items, path),
            (Value::Text(text), Some("string") | None) => self.text(schema, node, text, path),
            (Value::Integer(number), Some("integer") | None) => {
                self.integer(schema, node, *number, path)
            }
            // A number is kept as it was written, which is exact.
            (Value::Integer(number), Some("number")) => Json::String(number.to_string()),
            (Value::Real(text), Some("number")) => Json::String(text.clone()),
            (Value::Bool(flag), Some("boolean") | None) => Json::Bool(*flag),
            (Value::Real(text), None) => Json::String(text.clone()),
            (Value::Null, None) => Json::Null,
            (_, Some(wanted)) => self.wrong_type(schema, node, wanted, path),
        }
    }

    /// Follows references and picks the branch of a `oneOf` that the node's kind asks for; the
    /// first branch when none does.
    ///
    /// What stands beside a `$ref` is about the place and wins over what the definition says.
    fn chosen(&self, schema: &'a Json, node: &Node) -> Chain<'a> {
        let mut chain = Chain::default();
        let mut next = schema;
        while chain.parts.len() < REFS_MAX {
            chain.parts.push(next);
            if let Some(target) = next.get("$ref").and_then(Json::as_str) {
                let Some(found) = target
                    .strip_prefix('#')
                    .and_then(|pointer| self.root.pointer(pointer))
                else {
                    break;
                };
                next = found;
            } else if let Some(branches) = next.get("oneOf").and_then(Json::as_array) {
                let fits = |branch: &&Json| {
                    let chain = self.chosen(branch, node);
                    let wanted = chain.get("type").and_then(Json::as_str);
                    wanted.is_some_and(|wanted| is(node, wanted))
                };
                let Some(branch) = branches.iter().find(fits).or_else(|| branches.first()) else {
                    break;
                };
                next = branch;
            } else {
                break;
            }
        }
        chain
    }

    fn map(&mut self, schema: &Chain<'a>, node: &Node, entries: &[Entry], path: &str) -> Json {
        let mut sound = Map::new();
        let properties = schema.get("properties").and_then(Json::as_object);
        let additional = schema.get("additionalProperties");
        let most = schema.get("maxProperties").and_then(Json::as_u64);
        if let Some(most) = most.filter(|most| entries.len() as u64 > *most) {
            let what = format!("the mapping has {} entries", entries.len());
            self.add(node, path, what, format!("at most {most}"));
        }
        let most = most.and_then(|most| usize::try_from(most).ok());
        for entry in entries.iter().take(most.unwrap_or(usize::MAX)) {
            let below = join(path, &entry.key);
            if let Some(property) = properties.and_then(|known| known.get(&entry.key)) {
                let value = self.node(property, &entry.node, &below);
                sound.insert(entry.key.clone(), value);
            } else if extension(schema, &entry.key) {
                // An `x-` key: whatever it holds.
            } else if let Some(value_schema @ Json::Object(_)) = additional {
                if let Some(names) = schema.get("propertyNames") {
                    let key = Node {
                        mark: entry.mark,
                        value: Value::Text(entry.key.clone()),
                    };
                    self.node(names, &key, &below);
                }
                let value = self.node(value_schema, &entry.node, &below);
                sound.insert(entry.key.clone(), value);
            } else if additional == Some(&Json::Bool(false)) {
                self.unknown_key(schema, properties, entry, &below);
            }
        }
        self.missing(schema, node, entries, path);
        let least = schema.get("minProperties").and_then(Json::as_u64);
        if least.is_some_and(|least| (entries.len() as u64) < least) {
            self.add(node, path, "the mapping is empty", like_example(schema));
        }
        Json::Object(sound)
    }

    fn unknown_key(
        &mut self,
        schema: &Chain<'a>,
        properties: Option<&Map<String, Json>>,
        entry: &Entry,
        path: &str,
    ) {
        let later = schema
            .get("x-later")
            .and_then(|later| later.get(&entry.key))
            .and_then(Json::as_str);
        if let Some(later) = later {
            let what = format!("{:?} is not known: {later}", entry.key);
            self.mistakes
                .add(self.file, entry.mark, path, what, "take it out");
            return;
        }
        let unmodelled = schema.get("x-unmodelled");
        let others = unmodelled.and_then(Json::as_array).into_iter().flatten();
        let others: Vec<&str> = others.filter_map(Json::as_str).collect();
        if unmodelled == Some(&Json::Bool(true)) || others.contains(&entry.key.as_str()) {
            self.unmodelled.push(Unmodelled {
                path: path.to_owned(),
                mark: entry.mark,
            });
            return;
        }
        let mut allowed: Vec<&str> = properties
            .map(|known| known.keys().map(String::as_str).collect())
            .unwrap_or_default();
        allowed.extend(others);
        allowed.sort_unstable();
        let (what, cure) = match schema.get("x-unknown").and_then(Json::as_str) {
            Some(words) => (
                format!("{:?}: {words}", entry.key),
                hint::nearest_within(&entry.key, &allowed, 2).map_or_else(
                    || String::from("take it out"),
                    |near| format!("did you mean {near}?"),
                ),
            ),
            None => (
                format!("unknown key {:?}", entry.key),
                hint::cure(&entry.key, &allowed),
            ),
        };
        self.mistakes.add(self.file, entry.mark, path, what, cure);
    }

    fn missing(&mut self, schema: &Chain<'a>, node: &Node, entries: &[Entry], path: &str) {
        let required = schema.get("required").and_then(Json::as_array);
        for key in required.into_iter().flatten().filter_map(Json::as_str) {
            if entries.iter().any(|entry| entry.key == key) {
                continue;
            }
            let property = schema.get("properties").and_then(|known| known.get(key));
            let example = property.map(|property| self.chosen(property, node));
            let cure = example.map_or_else(String::new, |chain| add_example(&chain, key));
            let what = format!("{key:?} is missing");
            self.add(node, path, what, cure);
        }
    }

    fn list(&mut self, schema: &Chain<'a>, node: &Node, items: &[Node], path: &str) -> Json {
        let least = schema.get("minItems").and_then(Json::as_u64).unwrap_or(0);
        let most = schema.get("maxItems").and_then(Json::as_u64);
        if (items.len() as u64) < least {
            self.add(node, path, "the list is empty", like_example(schema));
        }
        if let Some(most) = most.filter(|most| items.len() as u64 > *most) {
            let what = format!("the list has {} entries", items.len());
            self.add(node, path, what, format!("at most {most}"));
        }
        let Some(each) = schema.get("items") else {
            return Json::Array(Vec::new());
        };
        let most = most.and_then(|most| usize::try_from(most).ok());
        let looked_at = items.iter().take(most.unwrap_or(usize::MAX));
        let sound = looked_at.enumerate().map(|(index, item)| {
            let below = format!("{path}[{index}]");
            self.node(each, item, &below)
        });
        Json::Array(sound.collect())
    }

    fn text(&mut self, schema: &Chain<'a>, node: &Node, text: &str, path: &str) -> Json {
        if let Some(words) = schema.get("enum").and_then(Json::as_array) {
            let allowed: Vec<&str> = words.iter().filter_map(Json::as_str).collect();
            if !allowed.contains(&text) {
                let what = format!("{text:?} is not known here");
                let words: Vec<&str> = allowed.into_iter().filter(|w| !w.is_empty()).collect();
                self.add(node, path, what, hint::cure(text, &words));
                return Json::Null;
            }
        }
        if let Some(name) = schema.get("format").and_then(Json::as_str)
            && let Err(mut wrong) = format::check(name, text)
        {
            let example = schema.get_example().and_then(Json::as_str);
            if let Some(cure) = example.and_then(|example| format::with_port(text, example)) {
                wrong.cure = cure;
            }
            self.add(node, path, wrong.what, wrong.cure);
            return Json::Null;
        }
        Json::String(text.to_owned())
    }

    fn integer(&mut self, schema: &Chain<'a>, node: &Node, number: i128, path: &str) -> Json {
        let least = schema.get("minimum").and_then(Json::as_i64).map(i128::from);
        let most = schema.get("maximum").and_then(Json::as_i64).map(i128::from);
        if let Some(least) = least.filter(|least| number < *least) {
            self.add(
                node,
                path,
                format!("{number} is too small"),
                format!("at least {least}"),
            );
            return Json::Null;
        }
        if let Some(most) = most.filter(|most| number > *most) {
            self.add(
                node,
                path,
                format!("{number} is too large"),
                format!("at most {most}"),
            );
            return Json::Null;
        }
        i64::try_from(number).map_or(Json::Null, Json::from)
    }

    fn wrong_type(&mut self, schema: &Chain<'a>, node: &Node, wanted: &str, path: &str) -> Json {
        let format = schema.get("format").and_then(Json::as_str);
        let written = match &node.value {
            Value::Integer(number) => Some(number.to_string()),
            Value::Real(text) => Some(text.clone()),
            Value::Bool(_) | Value::List(_) | Value::Map(_) | Value::Null | Value::Text(_) => None,
        };
        let (what, cure) = match (written, wanted, format) {
            (Some(number), "string", Some("duration" | "go-duration" | "start")) => {
                (format!("{number} has no unit"), format::add_unit(&number))
            }
            (Some(number), "string", None) if schema.get("enum").is_some() => {
                let words = schema.get("enum").and_then(Json::as_array);
                let words = words.into_iter().flatten().filter_map(Json::as_str);
                let allowed: Vec<&str> = words.collect();
                let what = format!("{number} is not known here");
                (what, format!("one of: {}", allowed.join(", ")))
            }
            (Some(number), "string", Some("name" | "app-name" | "path" | "origin") | None) => (
                format!("{number} is a number where text is wanted"),
                format!("write \"{number}\""),
            ),
            (written, ..) => {
                let found = written.unwrap_or_else(|| node.kind().to_owned());
                let what = if node.value == Value::Null {
                    format!("this is empty where {} is wanted", kind(wanted))
                } else {
                    format!("{found} is found where {} is wanted", kind(wanted))
                };
                let cure = like_example(schema);
                (what, cure)
            }
        };
        self.add(node, path, what, cure);
        Json::Null
    }

    fn add(&mut self, node: &Node, path: &str, what: impl Into<String>, cure: impl Into<String>) {
        self.mistakes.add(self.file, node.mark, path, what, cure);
    }
}

/// How many references a schema may follow in a row; ours follow two.
const REFS_MAX: usize = 8;

/// A schema with those that it refers to, the nearest first.
#[derive(Debug, Default)]
struct Chain<'a> {
    parts: Vec<&'a Json>,
}

impl<'a> Chain<'a> {
    fn get(&self, keyword: &str) -> Option<&'a Json> {
        self.parts.iter().find_map(|part| part.get(keyword))
    }

    fn get_example(&self) -> Option<&'a Json> {
        self.get("examples").and_then(|examples| examples.get(0))
    }
}

/// Tells whether a node is of a schema's type.
fn is(node: &Node, wanted: &str) -> bool {
    matches!(
        (&node.value, wanted),
        (Value::Map(_), "object")
            | (Value::List(_), "array")
            | (Value::Text(_), "string")
            | (Value::Integer(_), "integer" | "number")
            | (Value::Real(_), "number")
            | (Value::Bool(_), "boolean")
    )
}

fn kind(wanted: &str) -> &str {
    match wanted {
        "array" => "a list",
        "boolean" => "yes or no",
        "integer" => "a whole number",
        "number" => "a number",
        "object" => "a mapping",
        "string" => "text",
        other => other,
    }
}

/// Tells whether `patternProperties` lets the key pass; of patterns only `^` and a literal are
/// known.
fn extension(schema: &Chain<'_>, key: &str) -> bool {
    let patterns = schema.get("patternProperties").and_then(Json::as_object);
    patterns.is_some_and(|patterns| {
        patterns
            .keys()
            .filter_map(|pattern| pattern.strip_prefix('^'))
            .any(|prefix| key.starts_with(prefix))
    })
}

fn add_example(schema: &Chain<'_>, key: &str) -> String {
    schema.get_example().map_or_else(String::new, |example| {
        format!("add {key}: {}", flow(example))
    })
}

fn like_example(schema: &Chain<'_>) -> String {
    schema.get_example().map_or_else(String::new, |example| {
        format!("write it like {}", flow(example))
    })
}

/// Writes an example as a person would in YAML: one line, quotes only where needed.
fn flow(example: &Json) -> String {
    match example {
        Json::String(text) => text.clone(),
        Json::Array(items) => {
            let items: Vec<String> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Json::Object(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|(key, value)| format!("{key}: {}", flow(value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => example.to_string(),
    }
}

/// Adds a key to a path: `balancers[1]` and `listen` make `balancers[1].listen`.
pub fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}
