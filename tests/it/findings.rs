//! Findings: the example in each text triggers it, the cure beside it ends it.
//!
//! What stands in the fences of `src/policy/findings/ID.md` is laid over the files in
//! `tests/fixtures/findings/base`, so the texts that people read are what is tested.

mod overlay;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use twodoors::cli::{Exit, Io, check};
use twodoors::lab::found;
use twodoors::lab::load::load;
use twodoors::model::finding::{Finding, Severity};
use twodoors::model::id::Node;
use twodoors::policy::findings::{self, KNOWN};
use twodoors::scenario::files::Disk;
use twodoors::sim::{self, Options};
use twodoors::snapshot::Snapshot;

use self::overlay::{Laid, blocks};

/// What each of the three ways cannot be without.
const INHERENT: [&str; 4] = [
    "certificate-elsewhere",
    "role-follows-network",
    "several-public-addrs",
    "underscore-in-name",
];

/// Loads what was laid out and gives its findings.
fn found_in(laid: &Laid) -> Vec<Finding> {
    let path = laid.path("scenario.yaml");
    let loaded = load(&path, laid).unwrap_or_else(|mistakes| {
        let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        panic!("{}", lines.join("\n"))
    });
    let found = findings::all(&loaded.topology, Some(&loaded.rules));
    for one in found::findings(&loaded) {
        let key = one.finding.key.is_some();
        assert_eq!(
            key,
            one.place.is_some(),
            "{}: a key has a place",
            one.finding
        );
    }
    found
}

fn has(found: &[Finding], id: &str) -> bool {
    found.iter().any(|finding| finding.id == id)
}

fn words(found: &[Finding]) -> String {
    found.iter().map(|finding| format!("\n{finding}")).collect()
}

#[test]
fn every_example_triggers_its_finding_and_its_cure_ends_it() {
    for known in KNOWN {
        let mut laid = Laid::base();
        laid.lay(&blocks(known.text, "Example"));
        let found = found_in(&laid);
        assert!(has(&found, known.id), "{}{}", known.id, words(&found));
        laid.lay(&blocks(known.text, "Cure"));
        let found = found_in(&laid);
        assert!(
            !has(&found, known.id),
            "{} cured{}",
            known.id,
            words(&found)
        );
    }
}

#[test]
fn check_prints_each_with_its_place_and_fails_for_errors_alone() {
    for known in KNOWN {
        let mut laid = Laid::base();
        laid.lay(&blocks(known.text, "Example"));
        let folder = laid.write();
        let path = folder.path().join("scenario.yaml");
        let (exit, document) = checked(&path, false);
        let listed = document["scenarios"][0]["findings"].as_array().cloned();
        let listed = listed.unwrap_or_default();
        let own = listed.iter().find(|finding| finding["id"] == known.id);
        let own = own.unwrap_or_else(|| panic!("{} is not in {document:#}", known.id));
        assert_eq!(own["severity"], known.severity.word());
        if !own["path"].is_null() {
            assert!(own["line"].is_u64() && own["file"].is_string(), "{own}");
        }
        let grave = |severity: Severity| {
            let word = severity.word();
            listed.iter().any(|finding| finding["severity"] == word)
        };
        let expected = if grave(Severity::Error) {
            Exit::Failed
        } else {
            Exit::Success
        };
        assert_eq!(exit, expected, "{}", known.id);
        assert_eq!(document["passed"], expected == Exit::Success);
        let (exit, _) = checked(&path, true);
        let fails = grave(Severity::Error) || grave(Severity::Warning);
        assert_eq!(exit == Exit::Failed, fails, "{} --strict", known.id);
        if known.severity == Severity::Error {
            assert_eq!(exit, Exit::Failed, "{}", known.id);
        }
    }
}

fn checked(path: &Path, strict: bool) -> (Exit, Value) {
    let (exit, out) = run(path, strict, true);
    (exit, serde_json::from_str(&out).unwrap())
}

fn run(path: &Path, strict: bool, json: bool) -> (Exit, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let args = check::Args {
        scenarios: vec![path.to_path_buf()],
        strict,
        json,
    };
    let mut io = Io {
        out: &mut out,
        err: &mut err,
        color: false,
    };
    let exit = check::run(&args, &mut io).unwrap();
    (exit, String::from_utf8(out).unwrap())
}

#[test]
fn every_text_has_what_a_reader_needs() {
    let mut ids = BTreeSet::new();
    for known in KNOWN {
        assert!(ids.insert(known.id), "{} is there twice", known.id);
        let first = known.text.lines().next();
        assert_eq!(first, Some(&*format!("# {}", known.id)));
        for part in ["## Example", "## Cure", "## Source"] {
            assert!(known.text.contains(part), "{} has no {part}", known.id);
        }
        for part in ["Example", "Cure"] {
            assert!(!blocks(known.text, part).is_empty(), "{}: {part}", known.id);
        }
    }
    let texts = std::fs::read_dir("src/policy/findings").unwrap();
    let texts = texts.filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    let texts: BTreeSet<String> = texts
        .filter_map(|name| name.strip_suffix(".md").map(str::to_owned))
        .collect();
    let ids: BTreeSet<String> = ids.into_iter().map(str::to_owned).collect();
    assert_eq!(texts, ids);
}

#[test]
fn a_clean_file_of_each_way_has_nothing_to_tell_but_what_it_is() {
    for (way, changes) in WAYS {
        let mut laid = Laid::base();
        laid.lay(&blocks(changes, "Example"));
        let found = found_in(&laid);
        let surprises: Vec<Finding> = found
            .into_iter()
            .filter(|finding| !INHERENT.contains(&finding.id))
            .collect();
        assert!(surprises.is_empty(), "{way}{}", words(&surprises));
    }
}

/// The three ways over the base, as the examples of findings are written.
const WAYS: [(&str, &str); 3] = [
    ("split-dns", ""),
    (
        "multiple-public-addresses",
        "\
## Example
```yaml proxy.yaml
proxy_service:
  public_addr: [external.example.com:3080, internal.example.com:3080]
```
```yaml agent.yaml
teleport: {proxy_server: internal.example.com:3080}
```
```sh agent.env
TELEPORT_TUNNEL_PUBLIC_ADDR=internal.example.com:3080
```
",
    ),
    (
        "tunnel-public-address",
        "\
## Example
```yaml proxy.yaml
auth_service: {proxy_listener_mode: separate}
proxy_service:
  public_addr: external.example.com:3080
  tunnel_public_addr: internal.example.com:3024
  tunnel_listen_addr: 0.0.0.0:3024
  listen_addr: 0.0.0.0:3023
```
```yaml agent.yaml
teleport: {proxy_server: internal.example.com:3024}
```
```yaml scenario.yaml
balancers:
  - {name: internal, listen: ['127.10.0.2:3024']}
  - {name: external, listen: ['127.20.0.2:3080', '127.20.0.2:3023']}
```
",
    ),
];

#[test]
fn the_place_is_that_of_the_users_own_key() {
    let mut laid = Laid::base();
    let proxy = laid.text("proxy.yaml").replace(
        "  public_addr: proxy.example.com:3080\n",
        "  public_addr:\n    - proxy.example.com:3080\n    - internal.example.com:3080\n",
    );
    laid.put("proxy.yaml", proxy);
    let folder = laid.write();
    let path = folder.path().join("scenario.yaml");
    let (_, document) = checked(&path, false);
    let listed = document["scenarios"][0]["findings"].as_array().unwrap();
    let own = listed.iter().find(|own| own["id"] == "public-addr-unused");
    let own = own.unwrap();
    let file = own["file"].as_str().unwrap();
    assert!(file.ends_with("proxy.yaml"), "{own}");
    assert_eq!((&own["line"], &own["column"]), (&9.into(), &7.into()));
    assert_eq!(own["path"], "proxy_service.public_addr[1]");
    let (exit, text) = run(&path, false, false);
    assert_eq!(exit, Exit::Success);
    let line = "proxy.yaml:9:7 proxy_service.public_addr[1]";
    assert!(text.contains(line), "{text}");
}

#[test]
fn agents_that_are_alike_are_told_once() {
    let mut laid = Laid::base();
    laid.lay(&blocks(
        "\
## Example
```yaml scenario.yaml
agents:
  - {name: wiki, network: internal, address: 127.10.0.12, teleport: agent.yaml}
  - {name: shop, network: internal, address: 127.10.0.13, teleport: agent.yaml}
```
```yaml proxy.yaml
proxy_service: {public_addr: 'nowhere.example.com:3080'}
```
",
        "Example",
    ));
    let found = found_in(&laid);
    let mut own = found
        .iter()
        .filter(|f| f.id == "web-name-not-in-certificate");
    let first = own.next().unwrap();
    assert!(
        first.what.starts_with("agent/orders and 2 more: "),
        "{first}"
    );
    assert_eq!(own.next(), None);
}

#[test]
fn shipped_scenarios_have_no_error() {
    for entry in std::fs::read_dir("scenarios").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "yaml") {
            let loaded = load(&path, &Disk).unwrap();
            let found = findings::all(&loaded.topology, Some(&loaded.rules));
            let mut grave = found.iter().filter(|f| f.severity == Severity::Error);
            assert_eq!(grave.next(), None, "{}", path.display());
        }
    }
}

/// Plays the base with two proxies in virtual time; gives the last state.
fn played(find_cache: &str) -> Snapshot {
    let mut laid = Laid::base();
    laid.lay(&blocks(
        &format!(
            "## Example\n```yaml scenario.yaml\nduration: 3m\npool: {{size: 2}}\nagents:\n  - \
             {{name: orders, find_cache: {find_cache}}}\n```\n"
        ),
        "Example",
    ));
    let loaded = load(&laid.path("scenario.yaml"), &laid).unwrap();
    let topology = Arc::new(loaded.topology.clone());
    let mut state = Snapshot::new(&topology);
    let reload = || Ok(loaded.rules.clone());
    let options = Options::new(&reload);
    sim::run(&topology, loaded.rules.clone(), options, &mut |fact, _| {
        state.fold(fact);
        ControlFlow::Continue(())
    });
    state
}

#[test]
fn an_agent_that_finds_before_every_dial_says_why_its_mesh_does_not_complete() {
    let state = played("0s");
    assert_eq!((state.mesh.now, state.mesh.full), (1, 2));
    let own = |state: &Snapshot| {
        let mut own = state.findings.iter();
        own.find(|finding| finding.id == "mesh-never-completes")
            .cloned()
    };
    let finding = own(&state).unwrap();
    assert_eq!(finding.node, Node::Agent("orders".into()));
    // What `check` foretold has come about.
    let seen = "holds 1 of 2 proxies, and its last 12 attempts ended in \"proxy already claimed\"";
    assert!(finding.detail.contains(seen), "{}", finding.detail);

    let twin = played("3s");
    assert_eq!((twin.mesh.now, own(&twin)), (2, None));
}
