//! The published schema, its checker and the shapes say the same.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use serde::de::value::{Error, StrDeserializer};
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Value, json};
use twodoors::scenario::{Mistakes, file, format, schema, tree};

use super::fixtures;

/// Keys of mappings and words of closed lists, by the path where they may stand.
type Known = BTreeMap<String, BTreeSet<String>>;

#[test]
fn the_schema_and_the_shapes_know_the_same_keys_and_words() {
    assert_eq!(known_to_schema(&schema::scenario()), known_to_shapes());
}

#[test]
fn a_schema_that_lacks_a_key_or_has_one_too_many_is_noticed() {
    let mut less = schema::scenario();
    let user = less.pointer_mut("/$defs/user/properties").expect("users");
    user.as_object_mut().expect("an object").remove("start");
    assert_ne!(known_to_schema(&less), known_to_shapes());

    let mut more = schema::scenario();
    let words = more.pointer_mut("/$defs/balancer/properties/for/enum");
    let words = words.and_then(Value::as_array_mut).expect("a list");
    words.push(json!("nobody"));
    assert_ne!(known_to_schema(&more), known_to_shapes());
}

#[test]
fn the_schemas_use_only_what_the_checker_knows() {
    for schema in [schema::scenario(), schema::teleport(), schema::helm()] {
        assert_eq!(unknown_to_checker(&schema), BTreeSet::new());
    }
    let twin = json!({"properties": {"a": {"pattern": "x", "format": "email"}}});
    let flagged = unknown_to_checker(&twin);
    assert_eq!(
        flagged.into_iter().collect::<Vec<_>>(),
        ["format email", "pattern"]
    );
}

#[test]
fn the_schema_accepts_every_scenario_that_is_shipped() {
    let shipped = std::fs::read_dir("scenarios").expect("the folder is there");
    let shipped = shipped.map(|entry| entry.expect("an entry can be read").path());
    let shipped = shipped.filter(|path| path.extension().is_some_and(|end| end == "yaml"));
    let mut count = 0;
    for path in shipped.chain(fixtures("valid")) {
        let text = std::fs::read_to_string(&path).expect("the scenario can be read");
        let mistakes = checked(&schema::scenario(), &text);
        assert!(mistakes.is_empty(), "{}: {mistakes:?}", path.display());
        count += 1;
    }
    assert!(count > 5, "only {count} scenarios");
}

/// The broken twin of the test above: what is refused is refused because of the schema.
#[test]
fn a_schema_that_demands_nothing_refuses_nothing() {
    let text = std::fs::read_to_string(super::twelve()).expect("the fixture can be read");
    assert_eq!(checked(&schema::scenario(), &text).len(), 8);
    assert_eq!(checked(&json!({}), &text), Vec::<String>::new());
}

#[test]
fn examples_and_defaults_of_the_schema_are_right_themselves() {
    for schema in [schema::scenario(), schema::teleport(), schema::helm()] {
        let mut parts = Vec::new();
        collect(&schema, "", &mut parts);
        let mut count = 0;
        for (path, part) in parts {
            let examples = part.get("examples").and_then(Value::as_array);
            let examples = examples.into_iter().flatten().chain(part.get("default"));
            for example in examples {
                let mut alone = part.clone();
                alone["$defs"] = schema["$defs"].clone();
                let mistakes = checked(&alone, &example.to_string());
                assert!(mistakes.is_empty(), "{path}: {mistakes:?}");
                count += 1;
            }
        }
        assert!(count > 8, "only {count} examples");
    }
}

fn checked(schema: &Value, text: &str) -> Vec<String> {
    let path = Path::new("scenario.yaml");
    let mut mistakes = Mistakes::default();
    if let Some(tree) = tree::read(path, text, &mut mistakes) {
        schema::check(schema, path, &tree, &mut mistakes);
    }
    let mistakes = mistakes.into_list(path);
    mistakes.iter().map(ToString::to_string).collect()
}

/// Gives every schema within a schema, with its place.
fn collect<'a>(schema: &'a Value, path: &str, parts: &mut Vec<(String, &'a Value)>) {
    parts.push((path.to_owned(), schema));
    for keyword in ["properties", "$defs", "patternProperties"] {
        let each = schema.get(keyword).and_then(Value::as_object);
        for (key, part) in each.into_iter().flatten() {
            collect(part, &format!("{path}/{keyword}/{key}"), parts);
        }
    }
    for keyword in ["items", "additionalProperties", "propertyNames"] {
        if let Some(part) = schema.get(keyword).filter(|part| part.is_object()) {
            collect(part, &format!("{path}/{keyword}"), parts);
        }
    }
    let branches = schema.get("oneOf").and_then(Value::as_array);
    for part in branches.into_iter().flatten() {
        collect(part, &format!("{path}/oneOf"), parts);
    }
}

fn unknown_to_checker(schema: &Value) -> BTreeSet<String> {
    let mut parts = Vec::new();
    collect(schema, "", &mut parts);
    let mut unknown = BTreeSet::new();
    for (_, part) in parts {
        for (keyword, value) in part.as_object().expect("a schema is a mapping") {
            if !schema::KEYWORDS.contains(&keyword.as_str()) {
                unknown.insert(keyword.clone());
            }
            let name = value.as_str().unwrap_or_default();
            if keyword == "format" && !format::NAMES.contains(&name) {
                unknown.insert(format!("format {name}"));
            }
        }
    }
    unknown
}

fn known_to_schema(schema: &Value) -> Known {
    let mut known = Known::new();
    walk(schema, schema, "", &mut known);
    known
}

fn walk(root: &Value, schema: &Value, path: &str, known: &mut Known) {
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        let target = root.pointer(target.trim_start_matches('#'));
        walk(
            root,
            target.expect("the reference leads somewhere"),
            path,
            known,
        );
    }
    let branches = schema.get("oneOf").and_then(Value::as_array);
    for branch in branches.into_iter().flatten() {
        walk(root, branch, path, known);
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        let words = words.iter().filter_map(Value::as_str).map(str::to_owned);
        known.insert(path.to_owned(), words.collect());
    }
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        known.insert(path.to_owned(), properties.keys().cloned().collect());
        for (key, property) in properties {
            walk(root, property, &format!("{path}.{key}"), known);
        }
    }
    if let Some(values) = schema.get("additionalProperties").filter(|v| v.is_object()) {
        walk(root, values, &format!("{path}{{}}"), known);
    }
    if let Some(items) = schema.get("items") {
        walk(root, items, &format!("{path}[]"), known);
    }
}

fn known_to_shapes() -> Known {
    let known = RefCell::new(Known::new());
    let at = |path: &str| Shape {
        path: path.to_owned(),
        known: &known,
    };
    file::Scenario::deserialize(at("")).expect("a shape takes what it asks for");
    // Of a zone the first form, a path, is what an untagged shape asks for.
    file::NamedZone::deserialize(at(".dns.views[].zones[]")).expect("the same");
    // Of an expectation the first form is a sentence.
    file::Rule::deserialize(at(".expect[]")).expect("the same");
    known.into_inner()
}

/// Gives a shape whatever it asks for, and notes which keys and words it knows.
struct Shape<'a> {
    path: String,
    known: &'a RefCell<Known>,
}

impl Shape<'_> {
    fn note(&self, words: &[&str]) {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        self.known.borrow_mut().insert(self.path.clone(), words);
    }

    fn below(&self, step: &str) -> Self {
        Self {
            path: format!("{}{step}", self.path),
            known: self.known,
        }
    }
}

impl<'de> Deserializer<'de> for Shape<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str("text")
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bool(true)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_u32(1)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_u64(1)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Parts {
            keys: vec!["[]".to_owned()],
            shape: self,
        })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(Parts {
            keys: vec!["{}".to_owned()],
            shape: self,
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.note(fields);
        visitor.visit_map(Parts {
            keys: fields.iter().rev().map(|key| format!(".{key}")).collect(),
            shape: self,
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.note(variants);
        let first: StrDeserializer<'_, Error> = variants[0].into_deserializer();
        visitor.visit_enum(first)
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 u8 u16 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct tuple tuple_struct identifier ignored_any
    }
}

/// The entries of a mapping or a list, each asked for once.
struct Parts<'a> {
    keys: Vec<String>,
    shape: Shape<'a>,
}

impl<'de> MapAccess<'de> for Parts<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some(key) = self.keys.last() else {
            return Ok(None);
        };
        let key: StrDeserializer<'_, Error> = key.trim_start_matches('.').into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let step = self.keys.pop().expect("a key was asked for before");
        seed.deserialize(self.shape.below(&step))
    }
}

impl<'de> SeqAccess<'de> for Parts<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let Some(step) = self.keys.pop() else {
            return Ok(None);
        };
        seed.deserialize(self.shape.below(&step)).map(Some)
    }
}
