//! The shipped scenarios tell what they say: each is met in virtual time with every seed, and its
//! twin under `broken/` fails, by the expectation that is about its flaw.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use twodoors::judge::Outcome;
use twodoors::lab::load::load;
use twodoors::lab::report::{FAILED, INCONCLUSIVE, MET, Report};
use twodoors::lab::trial::{self, Given};
use twodoors::model::draw::Seed;
use twodoors::model::mistake::Files;
use twodoors::scenario::files::Disk;

/// How many seeds each is played with.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=10;

/// What fails in each twin, and what the first fact against it says; nothing where no fact is against
/// it, but their absence.
const FLAWS: &[(&str, &str, &str)] = &[
    (
        "external-door-dies",
        "agents in internal use balancer/internal",
        "from internal to proxy.example.com: 127.20.0.2:3080, door external",
    ),
    (
        "internal-door-dies",
        "agents in internal use balancer/internal",
        "from internal to proxy.example.com: 127.20.0.2:3080, door external",
    ),
    (
        "migrate-from-one-door",
        "agents in internal use balancer/internal, after 185s",
        "from internal to proxy.example.com: 127.20.0.2:3080, door external",
    ),
    (
        "multiple-public-addresses",
        "every agent keeps a tunnel",
        "never had a tunnel",
    ),
    (
        "proxy-rolls",
        "every agent keeps a tunnel",
        "lost its last tunnel",
    ),
    (
        "resolver-in-the-middle",
        "agents in internal use balancer/internal",
        "from internal to proxy.example.com: 127.20.0.2:3080, door external",
    ),
    (
        "roaming-laptop",
        "users in external use balancer/external, after 370s",
        "from external to orders.proxy.example.com: 127.10.0.2:3080, door internal",
    ),
    (
        "split-dns",
        "proxy.example.com A from internal is [127.10.0.2] by view/private",
        "127.20.0.2",
    ),
    ("teleport-8106", "requests_failed (no_tunnel) above 45%", ""),
    (
        "teleport-8106-fixed",
        "requests_failed below 1%",
        "door external failed (no_tunnel)",
    ),
    (
        "tunnel-public-address",
        "agents use balancer/internal",
        "from internal to external_proxy.example.com: 127.20.0.2:3080, door external",
    ),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// Gives the names of the scenarios in a folder.
fn stories(folder: &Path) -> BTreeSet<String> {
    let files = fs::read_dir(folder).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let yaml = paths.filter(|path| path.extension().is_some_and(|ext| ext == "yaml"));
    yaml.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

/// Gives the comment that a scenario opens with, on one line.
fn opening(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().map_while(|line| line.strip_prefix('#'));
    lines.collect::<Vec<_>>().join("").trim().to_owned()
}

fn play(path: &Path, files: &(dyn Files + Send + Sync), seed: u64) -> Report {
    let loaded = load(path, files).unwrap();
    let given = Given {
        seed: Some(Seed(seed)),
        follow: None,
    };
    trial::simulate(&loaded, (path, files), given, &AtomicBool::new(false))
}

/// Gives what is not met, for a test's last words.
fn unmet(report: &Report) -> String {
    let bad = report.verdicts.iter();
    let bad = bad.filter(|verdict| verdict.outcome != Outcome::Met);
    let texts = bad.map(|verdict| format!("{}: {}", verdict.text, verdict.why));
    texts.collect::<Vec<_>>().join("; ")
}

#[test]
fn every_story_has_a_question_a_lesson_and_a_twin() {
    let (own, twins) = (stories(&folder()), stories(&folder().join("broken")));
    assert_eq!(own, twins, "a story lacks its twin, or a twin its story");
    let told: BTreeSet<String> = FLAWS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(own, told, "the table of flaws");
    for name in own {
        let file = format!("{name}.yaml");
        let text = opening(&folder().join(&file));
        assert!(text.starts_with("Question: "), "{file}: {text}");
        assert!(text.contains(" Lesson: "), "{file}: {text}");
        let text = opening(&folder().join("broken").join(&file));
        let begins = format!("The twin of {name}, with one flaw: ");
        assert!(text.starts_with(&begins), "broken/{file}: {text}");
    }
}

#[test]
fn every_story_is_met_with_every_seed() {
    for name in stories(&folder()) {
        let path = folder().join(format!("{name}.yaml"));
        for seed in SEEDS {
            let report = play(&path, &Disk, seed);
            let why = unmet(&report);
            assert_eq!(report.exit_code(), MET, "{name}, seed {seed}: {why}");
        }
    }
}

#[test]
fn every_twin_fails_by_its_flaw_and_says_so() {
    for (name, flaw, says) in FLAWS {
        let path = folder().join("broken").join(format!("{name}.yaml"));
        for seed in SEEDS {
            let report = play(&path, &Disk, seed);
            let why = unmet(&report);
            assert_eq!(report.exit_code(), FAILED, "{name}, seed {seed}: {why}");
            let mut verdicts = report.verdicts.iter();
            let failed = verdicts.find(|own| &*own.text == *flaw && own.outcome == Outcome::Failed);
            let failed = failed.unwrap_or_else(|| panic!("{name}, seed {seed}: {why}"));
            let first = failed.examples.first();
            let first = first.map_or("", |example| &*example.text);
            assert!(first.contains(says), "{name}, seed {seed}: {first}");
        }
    }
}

/// Two proxies, two doors and nobody; `more` is added at the end.
struct Empty(&'static str);

impl Files for Empty {
    fn read(&self, path: &Path) -> Result<String, String> {
        if !path.ends_with("scenarios/empty.yaml") {
            return Disk.read(path);
        }
        let example = Disk.read(&folder().join("split-dns.yaml"))?;
        let own = example.split("\nagents:").next().unwrap();
        Ok(format!("{own}\n{}\n", self.0))
    }
}

#[test]
fn an_empty_lab_is_never_a_success() {
    let path = folder().join("empty.yaml");
    let nothing = play(&path, &Empty(""), 1);
    assert_eq!(nothing.exit_code(), INCONCLUSIVE);
    assert!(nothing.verdicts.is_empty());

    let expects = "expect:
  - agents in internal use balancer/internal
  - agents never use balancer/external
  - users use balancer/external
  - every agent returns within 60s
  - every agent keeps a tunnel
  - {metric: requests_failed, below: 5%}
  - {metric: reconnect_time, quantile: 0.99, below: 1m}
  - {metric: outage_time, quantile: 0.5, below: 1m}
  - {metric: request_time, quantile: 0.5, below: 1m}
  - {metric: dial_rate, below: 100/s}
  - {metric: balance, balancer: external, below: 2}
";
    let nobody = play(&path, &Empty(expects), 1);
    assert_eq!(nobody.exit_code(), INCONCLUSIVE);
    assert_eq!(nobody.verdicts.len(), 11);
    for verdict in &nobody.verdicts {
        assert_eq!(verdict.outcome, Outcome::Inconclusive, "{}", verdict.text);
    }
}
