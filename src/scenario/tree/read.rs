//! The reader of the tree: events of the YAML parser become nodes, anchors are expanded.

use std::collections::BTreeMap;
use std::path::Path;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, StrInput};

use super::super::Mistakes;
use super::super::schema::join;
use super::{BYTES_MAX, DEPTH_MAX, Entry, Mark, NODES_MAX, Node, Value};

/// Reads a text. `None` stands for a text that has no tree: its mistake has been added.
pub fn read(file: &Path, text: &str, mistakes: &mut Mistakes) -> Option<Node> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.len() > BYTES_MAX {
        mistakes.add(
            file,
            Mark::START,
            "",
            format!("the file is longer than {BYTES_MAX} bytes"),
            "split it",
        );
        return None;
    }
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        anchors: BTreeMap::new(),
        nodes: 0,
        twice: Vec::new(),
        path: Vec::new(),
    };
    let outcome = reader.document();
    for twice in reader.twice {
        let Twice {
            key,
            path,
            mark,
            first,
        } = twice;
        mistakes.add(
            file,
            mark,
            &path,
            format!("the key {key:?} is given twice"),
            format!("keep one; the other is in line {}", first.line),
        );
    }
    match outcome {
        Ok(node) => Some(node),
        Err(Broken { mark, what, cure }) => {
            mistakes.add(file, mark, "", what, cure);
            None
        }
    }
}

impl From<&Marker> for Mark {
    fn from(marker: &Marker) -> Self {
        Self {
            line: marker.line().max(1),
            column: marker.col() + 1,
        }
    }
}

/// Why a text has no tree.
struct Broken {
    mark: Mark,
    what: String,
    cure: String,
}

/// A key that was given twice in one mapping.
struct Twice {
    key: String,
    path: String,
    mark: Mark,
    first: Mark,
}

/// The value of an anchor, with what it costs to repeat it.
struct Anchored {
    node: Node,
    nodes: usize,
    depth: usize,
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: BTreeMap<usize, Anchored>,
    nodes: usize,
    twice: Vec<Twice>,
    /// The way from the root to the node that is being read.
    path: Vec<Part>,
}

/// One step of the way that is being read.
enum Part {
    Index(usize),
    Key(String),
}

/// A node, and how deep it nests below itself.
struct Built {
    node: Node,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Result<Node, Broken> {
        loop {
            let (event, mark) = self.next()?;
            if matches!(event, Event::StreamEnd | Event::DocumentEnd) {
                return Err(broken(mark, "the file is empty", "see `twodoors init`"));
            }
            let before = matches!(
                event,
                Event::StreamStart | Event::DocumentStart(_) | Event::Nothing
            );
            if !before {
                let built = self.node(event, mark, 0)?;
                self.end()?;
                return Ok(built.node);
            }
        }
    }

    fn end(&mut self) -> Result<(), Broken> {
        loop {
            let (event, mark) = self.next()?;
            if event == Event::StreamEnd {
                return Ok(());
            }
            if matches!(event, Event::DocumentStart(_)) {
                let what = "a second document begins here";
                return Err(broken(mark, what, "keep one document a file"));
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Mark), Broken> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, Mark::from(&span.start))),
            Some(Err(error)) => Err(broken(
                Mark::from(error.marker()),
                format!("this is not YAML: {}", error.info()),
                "",
            )),
            None => Err(broken(Mark::START, "the file ends too early", "")),
        }
    }

    fn node(&mut self, event: Event<'a>, mark: Mark, depth: usize) -> Result<Built, Broken> {
        if depth > DEPTH_MAX {
            let what = format!("this nests deeper than {DEPTH_MAX} levels");
            return Err(broken(mark, what, "flatten it"));
        }
        let before = self.nodes;
        self.grow(mark, 1)?;
        let (built, anchor) = match event {
            Event::Alias(id) => return self.alias(id, mark, depth),
            Event::Scalar(text, style, anchor, _) => {
                let value = scalar(&text, style);
                let node = Node { mark, value };
                (Built { node, depth: 0 }, anchor)
            }
            Event::SequenceStart(anchor, _) => (self.list(mark, depth)?, anchor),
            Event::MappingStart(anchor, _) => (self.map(mark, depth)?, anchor),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => {
                return Err(broken(mark, "a value is missing here", ""));
            }
        };
        if anchor != 0 {
            let anchored = Anchored {
                node: built.node.clone(),
                nodes: self.nodes - before,
                depth: built.depth,
            };
            // The copy costs memory even when no alias uses it.
            self.grow(mark, anchored.nodes)?;
            self.anchors.insert(anchor, anchored);
        }
        Ok(built)
    }

    fn alias(&mut self, id: usize, mark: Mark, depth: usize) -> Result<Built, Broken> {
        let Some(anchored) = self.anchors.get(&id) else {
            return Err(broken(mark, "this alias stands inside its own anchor", ""));
        };
        if depth + anchored.depth > DEPTH_MAX {
            let what = format!("this alias nests deeper than {DEPTH_MAX} levels");
            return Err(broken(mark, what, "flatten it"));
        }
        let nodes = anchored.nodes;
        if self.nodes + nodes > NODES_MAX {
            return Err(too_many(mark));
        }
        self.nodes += nodes;
        Ok(Built {
            node: anchored.node.clone(),
            depth: anchored.depth,
        })
    }

    fn list(&mut self, mark: Mark, depth: usize) -> Result<Built, Broken> {
        let mut items = Vec::new();
        let mut below = 0;
        loop {
            let (event, at) = self.next()?;
            if event == Event::SequenceEnd {
                break;
            }
            self.path.push(Part::Index(items.len()));
            let item = self.node(event, at, depth + 1)?;
            self.path.pop();
            below = below.max(item.depth + 1);
            items.push(item.node);
        }
        let value = Value::List(items);
        let node = Node { mark, value };
        Ok(Built { node, depth: below })
    }

    fn map(&mut self, mark: Mark, depth: usize) -> Result<Built, Broken> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut places: BTreeMap<String, Mark> = BTreeMap::new();
        let mut merged = Vec::new();
        let mut below = 0;
        loop {
            let (event, at) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let merge =
                matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<");
            let Some(key) = self.key(event, at, depth)? else {
                return Err(broken(at, "a key must be one word", ""));
            };
            let (event, value_at) = self.next()?;
            self.path.push(Part::Key(key.clone()));
            let built = self.node(event, value_at, depth + 1)?;
            let place = places.contains_key(&key).then(|| self.way());
            self.path.pop();
            below = below.max(built.depth + 1);
            if merge {
                merged.push(built.node);
            } else if let (Some(path), Some(first)) = (place, places.get(&key).copied()) {
                let mark = at;
                self.twice.push(Twice {
                    key,
                    path,
                    mark,
                    first,
                });
            } else {
                places.insert(key.clone(), at);
                let node = built.node;
                entries.push(Entry {
                    key,
                    mark: at,
                    node,
                });
            }
        }
        for source in merged {
            merge_into(&mut entries, &mut places, source, true)?;
        }
        let value = Value::Map(entries);
        let node = Node { mark, value };
        Ok(Built { node, depth: below })
    }

    fn key(
        &mut self,
        event: Event<'a>,
        mark: Mark,
        depth: usize,
    ) -> Result<Option<String>, Broken> {
        if let Event::Scalar(text, ..) = &event {
            let key = text.to_string();
            self.node(event, mark, depth + 1)?;
            return Ok(Some(key));
        }
        let built = self.node(event, mark, depth + 1)?;
        let Value::Text(text) = built.node.value else {
            return Ok(None);
        };
        Ok(Some(text))
    }

    fn way(&self) -> String {
        let start = String::new();
        self.path.iter().fold(start, |way, part| match part {
            Part::Index(index) => format!("{way}[{index}]"),
            Part::Key(key) => join(&way, key),
        })
    }

    fn grow(&mut self, mark: Mark, by: usize) -> Result<(), Broken> {
        self.nodes += by;
        if self.nodes > NODES_MAX {
            return Err(too_many(mark));
        }
        Ok(())
    }
}

/// Adds the entries of a `<<` value that the mapping does not have itself (YAML merge key draft).
fn merge_into(
    entries: &mut Vec<Entry>,
    places: &mut BTreeMap<String, Mark>,
    source: Node,
    lists: bool,
) -> Result<(), Broken> {
    let mark = source.mark;
    match source.value {
        Value::Map(from) => {
            for entry in from {
                if !places.contains_key(&entry.key) {
                    places.insert(entry.key.clone(), entry.mark);
                    entries.push(entry);
                }
            }
            Ok(())
        }
        Value::List(items) if lists => items
            .into_iter()
            .try_for_each(|item| merge_into(entries, places, item, false)),
        Value::Bool(_)
        | Value::Integer(_)
        | Value::List(_)
        | Value::Null
        | Value::Real(_)
        | Value::Text(_) => Err(broken(
            mark,
            "<< takes a mapping or a list of mappings",
            "name an anchor, like <<: *defaults",
        )),
    }
}

fn broken(mark: Mark, what: impl Into<String>, cure: impl Into<String>) -> Broken {
    Broken {
        mark,
        what: what.into(),
        cure: cure.into(),
    }
}

fn too_many(mark: Mark) -> Broken {
    let what = format!("with its aliases expanded the file has more than {NODES_MAX} values");
    broken(mark, what, "use fewer aliases")
}

/// Resolves a scalar by the core schema of YAML 1.2.2, section 10.3.2.
fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::Text(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let integer = if let Some(digits) = text.strip_prefix("0x") {
        unsigned(digits, 16)
    } else if let Some(digits) = text.strip_prefix("0o") {
        unsigned(digits, 8)
    } else {
        text.parse().ok()
    };
    if let Some(integer) = integer {
        return Value::Integer(integer);
    }
    let digits = text.contains(|c: char| c.is_ascii_digit());
    let real = digits
        && text
            .chars()
            .all(|c| matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E'))
        && text.parse::<f64>().is_ok();
    if real {
        return Value::Real(text.to_owned());
    }
    Value::Text(text.to_owned())
}

fn unsigned(digits: &str, radix: u32) -> Option<i128> {
    if digits.starts_with(['+', '-']) {
        return None;
    }
    i128::from_str_radix(digits, radix).ok()
}
