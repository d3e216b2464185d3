//! Rules of the repository as tests: they read the sources and say what to do.
//!
//! Each rule is a function from a file to its complaints, and has a twin that shows it complain.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The layers, from the words up; a file may use its own room and those of lower layers.
const LAYERS: &[&[&str]] = &[
    &["model"],
    &["policy", "scenario"],
    &["snapshot", "judge"],
    &["journal"],
    &["live", "sim"],
    &["lab"],
    &["http"],
    &["cli"],
];

/// Where serde may be: scenario files, Teleport's own JSON, records, and wire types of the faces.
const SERDE: &[&str] = &[
    "src/cli/",
    "src/http/",
    "src/lab/record",
    "src/lab/report",
    "src/live/tunnel",
    "src/live/webapi.rs",
    "src/scenario/",
    "src/scenario.rs",
];

/// Crates that are there twice, and why that is.
const TWICE: &[(&str, &str)] = &[
    ("getrandom", "ring is a generation behind the rest"),
    (
        "num-bigint",
        "a parser under rcgen is a generation behind russh",
    ),
    ("syn", "the derives are a generation apart"),
    ("synstructure", "the derives are a generation apart"),
    ("thiserror", "ppp still has version 1"),
    ("thiserror-impl", "ppp still has version 1"),
    ("windows-sys", "is not built here"),
];

/// Where a test may wait between two looks: within a bound, for a state.
const LOOKS_AGAIN: &[&str] = &[
    "tests/it/fuzz.rs",
    "tests/it/http/stream.rs",
    "tests/it/support.rs",
    "tests/it/tunnel/endings.rs",
    "tests/it/tunnel/load.rs",
    "tests/peers/lab/bench.rs",
];

/// Crates that would bring a second crypto back end.
const BANNED: &[&str] = &[
    "aws-lc-rs",
    "aws-lc-sys",
    "native-tls",
    "openssl",
    "openssl-sys",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Gives every file below these folders with one of these endings, and its text, in order.
fn files(folders: &[&str], endings: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(path) = open.pop() {
        if path.file_name().is_some_and(|name| name == "node_modules") {
            continue;
        }
        if path.is_dir() {
            open.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else if endings
            .iter()
            .any(|ending| path.to_string_lossy().ends_with(ending))
        {
            let name = path
                .strip_prefix(root())
                .unwrap()
                .to_string_lossy()
                .into_owned();
            found.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
    assert!(
        !found.is_empty(),
        "nothing found below {folders:?}: the rule would hold of nothing"
    );
    found.sort();
    found
}

fn check(files: &[(String, String)], rule: impl Fn(&str, &str) -> Vec<String>) {
    let complaints: Vec<String> = files
        .iter()
        .flat_map(|(name, text)| rule(name, text))
        .collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// Gives the room of a source file: the first part of its path below `src`.
fn room(name: &str) -> Option<&str> {
    let room = name
        .strip_prefix("src/")?
        .split('/')
        .next()?
        .trim_end_matches(".rs");
    (!matches!(room, "lib" | "main")).then_some(room)
}

fn layer(room: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&room))
}

fn points_down(name: &str, text: &str) -> Vec<String> {
    let Some(own) = room(name) else {
        return Vec::new();
    };
    let Some(own_layer) = layer(own) else {
        return vec![format!(
            "{name}: the room {own:?} has no layer: give it one in LAYERS"
        )];
    };
    let mut complaints = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        for used in code.split("crate::").skip(1) {
            let end = used
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(used.len());
            let used = &used[..end];
            let Some(used_layer) = layer(used) else {
                continue;
            };
            // The scenario knows policy's words for nothing: both stand on the model alone.
            if used != own && used_layer >= own_layer {
                complaints.push(format!(
                    "{name}:{}: {own} may not use {used}: dependencies point down ({LAYERS:?})",
                    number + 1
                ));
            }
        }
    }
    complaints
}

fn opens_with_docs(name: &str, text: &str) -> Vec<String> {
    // Tests of one file stand beside it and need no words of their own.
    let fine = text.starts_with("//!") || name.ends_with("/tests.rs");
    (!fine)
        .then(|| format!("{name}: say in its first lines (`//!`) what it is for"))
        .into_iter()
        .collect()
}

fn has_no_mod_rs(name: &str, _text: &str) -> Vec<String> {
    let wrong = name.ends_with("/mod.rs");
    wrong
        .then(|| format!("{name}: name it after its module instead"))
        .into_iter()
        .collect()
}

fn keeps_to_clean_lines(name: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let at = format!("{name}:{}", number + 1);
        if line.ends_with([' ', '\t']) {
            complaints.push(format!("{at}: take away the space at the end"));
        }
        let todo = concat!("TO", "DO");
        if line.contains(todo) && !line.contains(&format!("{todo}(#")) {
            complaints.push(format!("{at}: do it now, or name an issue: {todo}(#12)"));
        }
    }
    complaints
}

fn forbids(words: &[&str], why: &str) -> impl Fn(&str, &str) -> Vec<String> {
    move |name: &str, text: &str| {
        let mut complaints = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for word in words.iter().filter(|word| code.contains(**word)) {
                complaints.push(format!("{name}:{}: no {word} here: {why}", number + 1));
            }
        }
        complaints
    }
}

fn sources() -> Vec<(String, String)> {
    files(&["src"], &[".rs"])
}

fn sources_in(prefixes: &[&str]) -> Vec<(String, String)> {
    let all = sources().into_iter();
    all.filter(|(name, _)| prefixes.iter().any(|prefix| name.starts_with(prefix)))
        .collect()
}

fn sources_outside(prefixes: &[&str]) -> Vec<(String, String)> {
    let all = sources().into_iter();
    all.filter(|(name, _)| !prefixes.iter().any(|prefix| name.starts_with(prefix)))
        .collect()
}

#[test]
fn dependencies_point_down() {
    check(&sources(), points_down);
    let wrong = points_down("src/policy/x.rs", "use crate::live::clock::Clock;\n");
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert!(
        points_down(
            "src/live/x.rs",
            "use crate::policy::Machine; // crate::cli\n"
        )
        .is_empty()
    );
    assert_eq!(points_down("src/attic/x.rs", "").len(), 1);
}

#[test]
fn every_file_says_what_it_is_for() {
    check(&files(&["src", "tests"], &[".rs"]), opens_with_docs);
    assert_eq!(opens_with_docs("src/x.rs", "use std::fmt;\n").len(), 1);
}

#[test]
fn modules_are_named_after_themselves() {
    check(&files(&["src", "tests"], &[".rs"]), has_no_mod_rs);
    assert_eq!(has_no_mod_rs("src/x/mod.rs", "").len(), 1);
}

#[test]
fn lines_are_clean() {
    let endings = [
        ".rs", ".js", ".css", ".html", ".md", ".yaml", ".zone", ".json",
    ];
    check(
        &files(&["src", "tests", "web", "scenarios", "zones"], &endings),
        keeps_to_clean_lines,
    );
    assert_eq!(keeps_to_clean_lines("x", "a \n").len(), 1);
    assert_eq!(
        keeps_to_clean_lines("x", concat!("// TO", "DO later\n")).len(),
        1
    );
}

#[test]
fn decisions_have_no_clock_no_task_and_no_luck() {
    let words = [
        "tokio",
        "std::time::",
        "std::net::Tcp",
        "std::net::Udp",
        "std::fs",
        "std::env",
        "rand::",
    ];
    let rule = forbids(&words, "policy and model are handed what they need");
    check(&sources_in(&["src/policy", "src/model"]), |name, text| {
        // A span of time is converted from and to the standard one in one place.
        if name == "src/model/time.rs" || name == "src/policy/testing.rs" {
            Vec::new()
        } else {
            rule(name, text)
        }
    });
    assert_eq!(
        rule("src/policy/x.rs", "use tokio::time::sleep;\n").len(),
        1
    );
}

#[test]
fn only_the_clock_reads_the_clock() {
    let words = ["Instant::now", "SystemTime::now"];
    let rule = forbids(&words, "ask live/clock");
    check(&sources_outside(&["src/live/clock.rs"]), &rule);
    assert_eq!(rule("src/x.rs", "let t = Instant::now();\n").len(), 1);
}

#[test]
fn serde_stays_at_the_edges() {
    let rule = forbids(
        &["serde"],
        "inner types are not serialisable; make a wire type at the edge",
    );
    check(&sources_outside(SERDE), &rule);
    for edge in SERDE {
        let there = sources_in(&[edge]);
        let used = there
            .iter()
            .any(|(name, text)| !rule(name, text).is_empty());
        assert!(used, "{edge} has no serde: take it out of SERDE");
    }
    assert_eq!(rule("src/model/x.rs", "use serde::Serialize;\n").len(), 1);
}

#[test]
fn tests_neither_sleep_nor_hide() {
    let words = [concat!("#[ig", "nore"), concat!("sle", "ep(")];
    let rule = forbids(
        &words,
        "wait for a state within a bound, and run every test",
    );
    check(&files(&["tests"], &[".rs"]), |name, text| {
        if LOOKS_AGAIN.contains(&name) {
            Vec::new()
        } else {
            rule(name, text)
        }
    });
    for twin in [concat!("sle", "ep(x).await;\n"), concat!("#[ig", "nore]\n")] {
        assert_eq!(rule("tests/x.rs", twin).len(), 1, "{twin}");
    }
    let known: BTreeSet<&str> = LOOKS_AGAIN.iter().copied().collect();
    assert_eq!(
        known.len(),
        LOOKS_AGAIN.len(),
        "LOOKS_AGAIN has a file twice"
    );
    for (name, text) in files(&["tests"], &[".rs"]) {
        let waits = !rule(&name, &text).is_empty();
        assert!(
            waits || !known.contains(&*name),
            "{name} does not wait any more: take it out of LOOKS_AGAIN"
        );
    }
}

#[test]
fn every_scenario_opens_with_its_question() {
    let rule = |name: &str, text: &str| {
        let fine = text.starts_with("# ");
        let say =
            || format!("{name}: open with a comment: the question asked, the lesson expected");
        (!fine).then(say).into_iter().collect::<Vec<_>>()
    };
    check(&files(&["scenarios"], &[".yaml"]), rule);
    assert_eq!(rule("x.yaml", "name: x\n").len(), 1);
}

#[test]
fn every_dependency_has_its_reason() {
    let rule = |text: &str| {
        let lines: Vec<&str> = text.lines().collect();
        let start = lines
            .iter()
            .position(|line| *line == "[dependencies]")
            .unwrap()
            + 1;
        let length = lines[start..]
            .iter()
            .position(|line| line.starts_with("[profile"))
            .unwrap();
        let mut complaints = Vec::new();
        for at in start..start + length {
            let is_one = lines[at].contains(" = ");
            if is_one && !lines[at - 1].starts_with('#') {
                complaints.push(format!(
                    "Cargo.toml:{}: say why this crate, above it",
                    at + 1
                ));
            }
            if is_one
                && !lines[at].contains("default-features = false")
                && lines[at].contains("features")
            {
                let fine = ["clap", "serde", "socket2"]
                    .iter()
                    .any(|own| lines[at].starts_with(own));
                if !fine {
                    complaints.push(format!("Cargo.toml:{}: default-features = false", at + 1));
                }
            }
        }
        complaints
    };
    let text = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let complaints = rule(&text);
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
    let twin = "[dependencies]\nanyhow = \"1\"\n[profile.dev]\n";
    assert_eq!(rule(twin).len(), 1);
}

#[test]
fn there_is_one_crypto_back_end_and_no_crate_twice_without_a_reason() {
    let text = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("name = ") {
            let version = lines
                .next()
                .and_then(|line| line.strip_prefix("version = "));
            versions
                .entry(name.trim_matches('"'))
                .or_default()
                .extend(version);
        }
    }
    assert!(versions.len() > 50, "the lock file was not understood");
    for name in BANNED {
        assert!(
            !versions.contains_key(name),
            "{name} is a second crypto back end: name the features"
        );
    }
    let twice: Vec<String> = versions
        .iter()
        .filter(|(name, versions)| versions.len() > 1 && !TWICE.iter().any(|(own, _)| own == *name))
        .map(|(name, versions)| {
            format!("{name} is there as {versions:?}: align it, or add a reason to TWICE")
        })
        .collect();
    assert!(twice.is_empty(), "\n{}", twice.join("\n"));
    for (name, _) in TWICE {
        let still = versions
            .get(name)
            .is_some_and(|versions| versions.len() > 1);
        assert!(still, "{name} is there once now: take it out of TWICE");
    }
}

/// Complains of tests that SECURITY.md names and that are not there.
fn names_tests(tests: &[(String, String)]) -> impl Fn(&str, &str) -> Vec<String> {
    move |name: &str, text: &str| {
        let rows = text.lines().filter(|line| line.starts_with("| "));
        let cells = rows.filter_map(|line| line.rsplit('|').nth(1));
        let named = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
        let there = |test: &str| {
            let forms = [
                format!("fn {test}()"),
                format!("test('{test}'"),
                format!("test(`{test}`"),
            ];
            let all = tests.iter();
            all.flat_map(|(_, text)| forms.iter().map(move |form| text.contains(form)))
                .any(|found| found)
        };
        named
            .filter(|test| !there(test))
            .map(|test| format!("{name}: there is no test {test:?}: name the one that proves it"))
            .collect()
    }
}

#[test]
fn every_threat_has_its_tests_and_every_attack_stands_in_the_page() {
    let tests = files(&["src", "tests"], &[".rs", ".js"]);
    let page = fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let rule = names_tests(&tests);
    assert_eq!(rule("SECURITY.md", &page), [""; 0]);
    let named = page.matches('`').count() / 2;
    assert!(named > 40, "SECURITY.md was not understood: {named} names");
    let twin = "| a | b | `a_test_that_nobody_wrote` |\n";
    assert_eq!(rule("SECURITY.md", twin).len(), 1);
    for (name, text) in &tests {
        let attacks =
            name.starts_with("tests/it/http/security/") || name == "tests/web/security.test.js";
        let lines = text.lines().filter(|_| attacks);
        for line in lines {
            let rust = line
                .strip_prefix("async fn ")
                .and_then(|rest| rest.strip_suffix("() {"));
            let words = line.trim_start().strip_prefix("test(");
            let words = words.and_then(|rest| rest[1..].split(rest.chars().next()?).next());
            if let Some(test) = rust.or(words) {
                assert!(
                    page.contains(&format!("`{test}`")),
                    "SECURITY.md lacks {test:?}"
                );
            }
        }
    }
}
