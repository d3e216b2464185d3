//! `check --json`, `schema` and `init` as a person meets them.

use std::path::PathBuf;

use clap::Parser;
use serde_json::Value;
use twodoors::cli::{self, Cli, Exit, Io};

#[test]
fn the_schema_verb_prints_the_schema() {
    let (exit, out, _) = run(&["schema"]);
    let schema: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(exit, Exit::Success);
    assert_eq!(schema["title"], "twodoors scenario");
}

#[test]
fn check_prints_mistakes_and_topologies_as_one_document() {
    let broken = super::twelve();
    let broken = broken.to_str().expect("text");
    let (exit, out, err) = run(&["check", "scenarios/split-dns.yaml", broken, "--json"]);
    let document: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(exit, Exit::Usage);
    assert_eq!(err, "");
    assert_eq!(document["schema"], "twodoors.check/1");
    assert_eq!(document["passed"], false);
    assert_eq!(document["scenarios"][0]["passed"], true);
    assert_eq!(
        document["scenarios"][0]["topology"]["users"][2]["name"],
        "olga"
    );
    let mistakes = document["scenarios"][1]["mistakes"].as_array();
    assert_eq!(mistakes.map(Vec::len), Some(12));
}

#[test]
fn check_shows_what_a_run_does_and_expects_and_counts_a_fleet_in_one_line() {
    let path = "tests/fixtures/scenarios/valid/run.yaml";
    let (_, out, _) = run(&["check", path, "--json"]);
    let document: Value = serde_json::from_str(&out).expect("JSON");
    let topology = &document["scenarios"][0]["topology"];
    assert_eq!(topology["duration_us"], 600_000_000);
    assert_eq!(topology["agents"].as_array().map(Vec::len), Some(301));
    assert_eq!(topology["timeline"][0]["begins"], "when mesh");
    assert_eq!(
        topology["timeline"][1]["text"],
        "stop balancer/external for 10s"
    );
    assert_eq!(topology["timeline"][1]["lasts_us"], 10_000_000);
    assert_eq!(topology["expect"][18]["abort"], true);
    assert_eq!(topology["resolvers"][1]["on"], "user/olga");
    let (_, text, _) = run(&["check", path]);
    let fleet = text.lines().filter(|line| line.contains("branch-"));
    let fleet: Vec<&str> = fleet.filter(|line| line.contains("asks")).collect();
    assert_eq!(fleet.len(), 1, "{fleet:?}");
    assert!(fleet[0].contains("branch-1 … branch-300"), "{fleet:?}");
}

#[test]
fn a_scenario_that_is_not_there_is_a_mistake() {
    let (exit, out, err) = run(&["check", "no/such.yaml"]);
    assert_eq!((exit, out.as_str()), (Exit::Usage, ""));
    assert_eq!(
        err,
        "no/such.yaml:1:1: cannot be read: there is no such file\n"
    );
}

#[test]
fn init_writes_a_scenario_that_passes_and_never_overwrites() {
    let folder = Folder::new("init");
    let dir = folder.0.to_str().expect("text");
    let (exit, out, _) = run(&["init", dir]);
    assert_eq!(exit, Exit::Success);
    let next = format!("Next: twodoors up {dir}/scenarios/split-dns.yaml\n");
    assert!(out.ends_with(&next), "{out}");
    let scenario = folder.0.join("scenarios/split-dns.yaml");
    let (exit, _, err) = run(&["check", scenario.to_str().expect("text")]);
    assert_eq!((exit, err.as_str()), (Exit::Success, ""));

    std::fs::write(&scenario, "mine").expect("the scenario can be edited");
    let (exit, out, err) = run(&["init", dir]);
    assert_eq!((exit, out.as_str()), (Exit::Usage, ""));
    assert!(err.contains("split-dns.yaml is there already"), "{err}");
    let kept = std::fs::read_to_string(&scenario).expect("it is there");
    assert_eq!(kept, "mine");
}

fn run(words: &[&str]) -> (Exit, String, String) {
    let words = ["twodoors"].iter().chain(words);
    let cli = Cli::try_parse_from(words).expect("the words are known");
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut io = Io {
        out: &mut out,
        err: &mut err,
        color: false,
    };
    let exit = cli::run(cli, &mut io).expect("memory can be written");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (exit, text(out), text(err))
}

/// A folder of a test's own, gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("twodoors-{name}-{}", std::process::id());
        let folder = Self(std::env::temp_dir().join(name));
        folder.clear();
        folder
    }

    fn clear(&self) {
        // It need not be there.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.clear();
    }
}
