//! Teleport's own files as people have them: every row of the reference's tables as a case.

mod agents;
mod files;
mod proxies;

use std::path::Path;

use twodoors::model::mistake::Files;
use twodoors::scenario::{Mistakes, teleport};

/// The name of the file in every case.
const FILE: &str = "t.yaml";

/// Files beside the one that is read, by their path.
struct Beside(Vec<(&'static str, String)>);

impl Files for Beside {
    fn read(&self, path: &Path) -> Result<String, String> {
        let mut all = self.0.iter();
        let found = all.find(|(known, _)| Path::new(known) == path);
        found
            .map(|(_, text)| text.clone())
            .ok_or_else(|| String::from("there is no such file"))
    }
}

/// What came of a reading: the value, if any, and what was said, mistakes first.
struct Outcome<T> {
    value: Option<T>,
    mistakes: Vec<String>,
    warnings: Vec<String>,
}

fn outcome<T>(read: impl FnOnce(&mut Mistakes, &mut Mistakes) -> Option<T>) -> Outcome<T> {
    let (mut mistakes, mut warnings) = (Mistakes::default(), Mistakes::default());
    let value = read(&mut mistakes, &mut warnings);
    let lines = |all: Mistakes| {
        let all = all.into_list(Path::new(FILE)).into_iter();
        let lines = all.map(|one| one.to_string());
        lines.collect::<Vec<_>>()
    };
    let outcome = Outcome {
        value,
        mistakes: lines(mistakes),
        warnings: lines(warnings),
    };
    // Nothing is refused in silence, and nothing is given beside a mistake.
    assert_eq!(outcome.value.is_none(), !outcome.mistakes.is_empty());
    outcome
}

fn proxy(text: &str) -> Outcome<teleport::ProxyFile> {
    proxy_with(text, Vec::new())
}

fn proxy_with(text: &str, files: Vec<(&'static str, String)>) -> Outcome<teleport::ProxyFile> {
    let files = Beside(files);
    outcome(|mistakes, warnings| teleport::proxy(Path::new(FILE), text, &files, mistakes, warnings))
}

fn agent(text: &str) -> Outcome<teleport::AgentFile> {
    outcome(|mistakes, warnings| teleport::agent(Path::new(FILE), text, mistakes, warnings))
}

fn helm(text: &str) -> Outcome<teleport::AgentFile> {
    outcome(|mistakes, warnings| teleport::helm(Path::new(FILE), text, mistakes, warnings))
}

fn environment(text: &str) -> Outcome<teleport::Environment> {
    outcome(|mistakes, warnings| teleport::environment(Path::new(FILE), text, mistakes, warnings))
}

/// Checks that each of these is part of one line, and that there are no other lines.
fn said(lines: &[String], parts: &[&str], text: &str) {
    assert_eq!(lines.len(), parts.len(), "{text}\n{lines:#?}");
    for part in parts {
        let there = lines.iter().any(|line| line.contains(part));
        assert!(there, "{text}\n{part:?} is not in {lines:#?}");
    }
}
