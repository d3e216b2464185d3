//! Scenario files: from YAML to a [`Topology`], or every mistake at once, each with its place.
//!
//! ```text
//! text ─ tree (places kept) ─ schema (every mistake) ─ file (shapes) ─ resolve (names, files) ─► Topology
//! ```
//!
//! A mistake of one step does not hide those of the next: what is unsound is left out and the rest
//! is still looked at. Zones are only opened here; `policy/answer` reads them.

mod condition;
pub mod embedded;
pub mod fault;
pub mod file;
pub mod files;
pub mod format;
pub mod hint;
pub mod intro;
pub mod names;
mod places;
pub mod resolve;
pub mod schema;
pub mod teleport;
pub mod tree;

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use crate::model::escaped::Escaped;
use crate::model::mistake::{Files, Mistake, Place};
use crate::model::network::Network;
use crate::model::places::Places;
use crate::model::topology::{Dns, Topology, ZoneSource};

use self::tree::{Mark, Node, Step};

/// How many mistakes are collected; a person mends the first ones first.
pub const MISTAKES_MAX: usize = 200;

/// A scenario without mistakes.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What it says, resolved.
    pub topology: Topology,
    /// What is odd but works.
    pub warnings: Vec<Mistake>,
    /// Every file that was read: the scenario, Teleport files, zones; each once, in order.
    pub read: Vec<PathBuf>,
    /// Where each key of the scenario and of the pool's and the agents' files stands.
    pub places: Places,
}

/// A scenario with mistakes.
#[derive(Clone, Debug, Default)]
pub struct Unsound {
    /// Every mistake: those of the scenario itself first, then those of the files that it names.
    pub mistakes: Vec<Mistake>,
    /// The zones that could be told all the same, so that their own mistakes can be.
    pub zones: Vec<ZoneSource>,
}

/// A file of views without mistakes: what `dns:` of a scenario holds, as top-level keys.
#[derive(Clone, Debug)]
pub struct LoadedViews {
    /// The DNS server.
    pub dns: Dns,
    /// The named networks.
    pub networks: Vec<Network>,
    /// What is odd but works.
    pub warnings: Vec<Mistake>,
    /// Every file that was read: the views, the zones; each once, in order.
    pub read: Vec<PathBuf>,
    /// Where each key stands, as the scenario's.
    pub places: Places,
}

/// Loads a file of views, or gives every mistake of it. The zones are only opened.
pub fn load_views(path: &Path, files: &dyn Files) -> Result<LoadedViews, Unsound> {
    let mut mistakes = Mistakes::default();
    let (tree, mut sound) = sound(&schema::views(), path, files, &mut mistakes)
        .ok_or_else(|| std::mem::take(&mut mistakes).into_list(path))?;
    let mut part = |key: &str| sound.as_object_mut().and_then(|map| map.remove(key));
    let networks = part("networks").map(serde_json::from_value).transpose();
    let shapes = networks.and_then(|networks| Ok((networks, serde_json::from_value(sound)?)));
    match shapes {
        Ok((networks, dns)) => {
            let networks: Option<file::Networks> = networks;
            let shapes = (networks.as_ref(), &dns);
            resolve::resolve_views(path, &tree, shapes, files, mistakes)
        }
        Err(error) => Err(beyond_shapes(&error, path, &tree, mistakes)),
    }
}

/// Loads a scenario, or gives every mistake of it. `lab::load` reads the zones as well.
pub fn load(path: &Path, files: &dyn Files) -> Result<Loaded, Unsound> {
    let mut mistakes = Mistakes::default();
    let (tree, sound) = sound(&schema::scenario(), path, files, &mut mistakes)
        .ok_or_else(|| std::mem::take(&mut mistakes).into_list(path))?;
    match serde_json::from_value(sound) {
        Ok(shapes) => resolve::resolve(path, &tree, &shapes, files, mistakes),
        Err(error) => Err(beyond_shapes(&error, path, &tree, mistakes)),
    }
}

/// Reads a file and checks it against a schema; gives the tree and what is sound of it.
fn sound(
    schema: &Json,
    path: &Path,
    files: &dyn Files,
    mistakes: &mut Mistakes,
) -> Option<(Node, Json)> {
    let text = match files.read(path) {
        Ok(text) => text,
        Err(why) => {
            mistakes.add(path, Mark::START, "", format!("cannot be read: {why}"), "");
            return None;
        }
    };
    let tree = tree::read(path, &text, mistakes)?;
    let sound = schema::check(schema, path, &tree, mistakes);
    sound.is_object().then_some((tree, sound))
}

/// Unsound parts were left out, so this is a schema that says more than the shapes.
fn beyond_shapes(
    error: &serde_json::Error,
    path: &Path,
    tree: &Node,
    mut mistakes: Mistakes,
) -> Unsound {
    mistakes.add(path, tree.mark, "", error.to_string(), "");
    mistakes.into_list(path).into()
}

impl From<Vec<Mistake>> for Unsound {
    fn from(mistakes: Vec<Mistake>) -> Self {
        Self {
            mistakes,
            zones: Vec::new(),
        }
    }
}

/// Tells whether a file can be read and has this key at the top.
pub fn has_key(path: &Path, files: &dyn Files, key: &str) -> bool {
    let text = files.read(path).ok();
    let tree = text.and_then(|text| tree::read(path, &text, &mut Mistakes::default()));
    tree.is_some_and(|tree| tree.entry(key).is_some())
}

/// Says, with its place, that a part of a scenario cannot change while its lab runs.
pub fn needs_restart(path: &Path, files: &dyn Files, part: &str) -> Mistake {
    let mut unused = Mistakes::default();
    let tree = files
        .read(path)
        .ok()
        .and_then(|text| tree::read(path, &text, &mut unused));
    let steps: Vec<Step<'_>> = part.split('.').map(Step::Key).collect();
    let mark = tree.map_or(Mark::START, |tree| place(&tree, &steps).0);
    Mistake {
        place: Place {
            file: path.to_path_buf(),
            line: mark.line,
            column: mark.column,
        },
        path: part.to_owned(),
        what: String::from("differs from the running lab, which can change views and zones only"),
        cure: String::from("stop the lab and start it again"),
    }
}

/// Gives the place of a value and its path in words; the place of the nearest mapping or list
/// around it when it is not there.
fn place(tree: &Node, steps: &[Step<'_>]) -> (Mark, String) {
    let mut mark = tree.mark;
    let mut text = String::new();
    for (count, step) in steps.iter().enumerate() {
        if let Some(node) = tree.at(&steps[..=count]) {
            mark = node.mark;
        }
        text = match step {
            Step::Index(index) => format!("{text}[{index}]"),
            Step::Key(key) => schema::join(&text, key),
        };
    }
    (mark, text)
}

/// Mistakes as they are collected, bounded by [`MISTAKES_MAX`].
#[derive(Debug, Default)]
pub struct Mistakes {
    list: Vec<Mistake>,
    more: bool,
}

impl Mistakes {
    /// Adds one.
    pub fn add(
        &mut self,
        file: &Path,
        mark: Mark,
        path: &str,
        what: impl Into<String>,
        cure: impl Into<String>,
    ) {
        if self.list.len() >= MISTAKES_MAX {
            self.more = true;
            return;
        }
        self.list.push(Mistake {
            place: mark.of(file),
            path: one_line(path),
            what: one_line(&what.into()),
            cure: one_line(&cure.into()),
        });
    }

    /// Adds all of another collection.
    pub fn append(&mut self, other: Self) {
        let room = MISTAKES_MAX.saturating_sub(self.list.len());
        self.more |= other.more || other.list.len() > room;
        self.list.extend(other.list.into_iter().take(room));
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Counts those that are kept.
    pub fn count(&self) -> usize {
        self.list.len() + usize::from(self.more)
    }

    /// Tells whether more would not be shown, so that looking for them is in vain.
    pub fn is_full(&self) -> bool {
        self.more
    }

    /// Gives them in the order of their places, `first`'s own before those of other files, each
    /// once.
    pub fn into_list(mut self, first: &Path) -> Vec<Mistake> {
        self.list
            .sort_by(|a, b| (a.place.file != first, a).cmp(&(b.place.file != first, b)));
        self.list.dedup();
        if self.more {
            let what = format!("there are more mistakes than the {MISTAKES_MAX} shown");
            self.list.push(Mistake {
                place: Mark::START.of(first),
                path: String::new(),
                what,
                cure: String::from("mend these first"),
            });
        }
        self.list
    }
}

/// How many characters of a part of a mistake are shown; a text of the file may be in it.
const SHOWN_MAX: usize = 400;

/// Keeps a mistake on one line of a terminal, whatever text of the file is in it.
fn one_line(text: &str) -> String {
    let end = text.char_indices().nth(SHOWN_MAX);
    let (shown, more) = text.split_at(end.map_or(text.len(), |(at, _)| at));
    let mut line = Escaped(shown).to_string();
    if !more.is_empty() {
        line.push('…');
    }
    line
}
