//! Scenario files: the shipped one, and valid and broken ones beside their expected messages.
//!
//! `TWODOORS_BLESS=1 cargo test --test it scenario` writes the expected messages anew.

mod drift;
mod fleets;
mod mutated;
mod run;
mod teleport;
mod verbs;
mod views;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use twodoors::cli::{Exit, Io, check};
use twodoors::lab;
use twodoors::scenario::files::Disk;
use twodoors::scenario::{embedded, load};

const FIXTURES: &str = "tests/fixtures/scenarios";

#[test]
fn the_embedded_scenario_has_no_mistake_and_no_warning() {
    let loaded = load(Path::new(embedded::SCENARIO), &embedded::FILES).expect("no mistakes");
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert_eq!(loaded.topology.mesh_size(), 12);
    assert_eq!(loaded.read.len(), 9);
}

#[test]
fn valid_scenarios_resolve_to_what_stands_beside_them() {
    for path in fixtures("valid") {
        // A finding of severity error is no mistake of the file.
        check(&path, &[Exit::Success, Exit::Failed]);
    }
}

#[test]
fn broken_scenarios_say_what_stands_beside_them() {
    for path in fixtures("invalid") {
        check(&path, &[Exit::Usage]);
    }
}

#[test]
fn twelve_mistakes_of_different_kinds_are_twelve_lines() {
    let (_, said) = examine(&twelve());
    assert_eq!(said.lines().count(), 12, "{said}");
}

#[test]
fn no_mistake_of_a_step_or_an_expectation_hides_that_of_another() {
    for (name, list, least) in [("timeline", "timeline", 57), ("expect", "expect", 42)] {
        let path = Path::new(FIXTURES).join(format!("invalid/{name}.yaml"));
        let (_, said) = examine(&path);
        let text = fs::read_to_string(&path).expect("the fixture can be read");
        let (_, entries) = text
            .split_once(&format!("\n{list}:\n"))
            .expect("it has the list");
        let count = entries.lines().count();
        assert!(count >= least, "only {count} in {name}");
        for index in 0..count {
            let at = format!(" {list}[{index}]");
            let told = said.lines().filter(|line| line.contains(&at)).count();
            assert!(told > 0, "nothing is said of{at}");
        }
        // No place but these has a mistake.
        let elsewhere = said
            .lines()
            .find(|line| !line.contains(&format!(" {list}[")));
        assert_eq!(elsewhere, None);
    }
}

#[test]
fn mistakes_of_the_scenario_do_not_hide_those_of_its_zones() {
    let path = Path::new(FIXTURES).join("invalid/both.yaml");
    let mistakes = lab::load::load(&path, &Disk).expect_err("it has mistakes");
    let of = |end: &str| {
        let files = mistakes.iter().map(|mistake| &mistake.place.file);
        files.filter(|file| file.ends_with(end)).count()
    };
    // The zone is in two views and its mistakes are told once.
    assert_eq!((of("both.yaml"), of("broken.example.zone")), (2, 2));
}

/// The scenario with twelve mistakes.
fn twelve() -> PathBuf {
    Path::new(FIXTURES).join("invalid/twelve.yaml")
}

/// Compares what `check` says of a scenario with the file beside it.
fn check(path: &Path, expected: &[Exit]) {
    let (exit, said) = examine(path);
    assert!(
        expected.contains(&exit),
        "{}: {exit:?} {said}",
        path.display()
    );
    let beside = path.with_extension("expected");
    if std::env::var_os("TWODOORS_BLESS").is_some() {
        fs::write(&beside, &said).expect("the fixture can be written");
    }
    let wanted = fs::read_to_string(&beside).unwrap_or_default();
    assert_eq!(said, wanted, "{} says otherwise", beside.display());
}

fn examine(path: &Path) -> (Exit, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let args = check::Args {
        scenarios: vec![path.to_path_buf()],
        strict: false,
        json: false,
    };
    let mut io = Io {
        out: &mut out,
        err: &mut err,
        color: false,
    };
    let exit = check::run(&args, &mut io).expect("memory can be written");
    err.extend(out);
    (exit, String::from_utf8(err).expect("messages are text"))
}

/// Lists the scenarios of a folder; each has its expected message, and each message its scenario.
fn fixtures(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(Path::new(FIXTURES).join(folder)).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("an entry can be read").path());
    let paths: BTreeSet<PathBuf> = paths.filter(|path| path.is_file()).collect();
    for path in &paths {
        let other = path.with_extension("yaml");
        assert!(paths.contains(&other), "{} has no scenario", path.display());
    }
    let is_scenario = |path: &PathBuf| path.extension().is_some_and(|end| end == "yaml");
    let scenarios: Vec<PathBuf> = paths.into_iter().filter(is_scenario).collect();
    assert!(!scenarios.is_empty(), "{folder} has no scenarios");
    scenarios
}
