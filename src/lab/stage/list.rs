//! The scenarios that a lab can show: its own, those beside it, and those of the binary.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::lab::found::{Found, findings};
use crate::lab::load::{Loaded, load};
use crate::model::mistake::{Files, Mistake};
use crate::model::time::Span;
use crate::scenario::files::Disk;
use crate::scenario::intro::Intro;
use crate::scenario::{self, embedded};

/// How many files of a folder are looked at.
pub const SCENARIOS_MAX: usize = 100;

/// A scenario, as a list shows it.
#[derive(Clone, Debug)]
pub struct Listed {
    /// By which it is asked for.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its file; `None` for one of the binary.
    pub file: Option<String>,
    /// What it asks, and what is learned from it.
    pub intro: Intro,
    /// What it holds; its mistakes where it is not sound.
    pub content: Result<Content, Vec<Mistake>>,
}

/// What a sound scenario holds.
#[derive(Clone, Debug)]
pub struct Content {
    /// How many steps its timeline has.
    pub steps: usize,
    /// How much it expects.
    pub expectations: usize,
    /// How long a run lasts.
    pub duration: Span,
    /// What an operator should know.
    pub findings: Vec<Found>,
}

/// Where a scenario is.
pub(super) struct Source {
    pub(super) id: String,
    pub(super) path: PathBuf,
    pub(super) files: Arc<dyn Files + Send + Sync>,
    embedded: bool,
}

/// Gives the id of a scenario.
pub(super) fn id(path: &Path, embedded: bool) -> String {
    let name = stem(path);
    if embedded {
        return format!("embedded/{name}");
    }
    name
}

fn stem(path: &Path) -> String {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy());
    stem.map_or_else(|| path.display().to_string(), |stem| stem.into_owned())
}

/// Lists them: that of the lab first, then those of its folder, then those of the binary whose names
/// are not there.
pub(super) fn all(own: &Path, is_embedded: bool) -> Vec<Source> {
    let disk: Arc<dyn Files + Send + Sync> = Arc::new(Disk);
    let binary: Arc<dyn Files + Send + Sync> = Arc::new(embedded::FILES);
    let source = |path: PathBuf, embedded: bool| Source {
        id: id(&path, embedded),
        files: Arc::clone(if embedded { &binary } else { &disk }),
        path,
        embedded,
    };
    let mut all = vec![source(own.to_path_buf(), is_embedded)];
    if !is_embedded {
        let beside = beside(own).into_iter();
        // One name is one scenario: `a.yaml` hides `a.json`.
        for path in beside {
            if all.iter().all(|known| stem(&known.path) != stem(&path)) {
                all.push(source(path, false));
            }
        }
    }
    for (path, text) in embedded::ALL {
        let path = Path::new(path);
        let named = all.iter().any(|known| stem(&known.path) == stem(path));
        if text.contains("\nexpect:") && !named {
            all.push(source(path.to_path_buf(), true));
        }
    }
    all
}

/// Gives the scenarios of a file's folder but itself, by name: files of that ending with `dns:`.
fn beside(own: &Path) -> Vec<PathBuf> {
    let folder = own.parent().filter(|folder| *folder != Path::new(""));
    let Ok(entries) = std::fs::read_dir(folder.unwrap_or_else(|| Path::new("."))) else {
        return Vec::new();
    };
    let mut names: Vec<PathBuf> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let path = PathBuf::from(entry.file_name());
            let yaml = path
                .extension()
                .is_some_and(|end| end == "yaml" || end == "yml");
            (yaml && entry.path().is_file()).then_some(path)
        })
        .collect();
    names.sort();
    names.truncate(SCENARIOS_MAX);
    let paths = names.into_iter().map(|name| match folder {
        Some(folder) => folder.join(name),
        None => name,
    });
    paths
        .filter(|path| path != own && scenario::has_key(path, &Disk, "dns"))
        .collect()
}

impl Source {
    /// Reads it for what a list shows.
    pub(super) fn look(&self) -> Listed {
        let loaded = load(&self.path, &*self.files);
        self.listed(loaded.as_ref().map_err(Vec::as_slice))
    }

    /// Tells of it, as it was read.
    pub(super) fn listed(&self, loaded: Result<&Loaded, &[Mistake]>) -> Listed {
        Listed::of((&self.path, self.embedded), &*self.files, loaded)
    }
}

impl Listed {
    /// Tells of a scenario that was read; `embedded` tells whether it is one of the binary.
    pub fn of(
        (path, embedded): (&Path, bool),
        files: &dyn Files,
        loaded: Result<&Loaded, &[Mistake]>,
    ) -> Self {
        Self {
            id: id(path, embedded),
            name: match loaded {
                Ok(loaded) => loaded.topology.name.to_string(),
                Err(_) => stem(path),
            },
            file: (!embedded).then(|| path.display().to_string()),
            intro: Intro::of(&files.read(path).unwrap_or_default()),
            content: loaded.map_err(<[_]>::to_vec).map(|loaded| Content {
                steps: loaded.topology.timeline.len(),
                expectations: loaded.topology.expect.len(),
                duration: loaded.topology.duration,
                findings: findings(loaded),
            }),
        }
    }
}
