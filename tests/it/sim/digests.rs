//! What a digest does not depend on: how a fleet is written, threads, what else the process does.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use twodoors::lab::load::load;
use twodoors::lab::report::Report;
use twodoors::lab::trial::{Given, simulate};
use twodoors::model::draw::Seed;
use twodoors::model::mistake::Files;

/// How many agents the fleet has: enough for queues at the pool, few for a debug build.
const AGENTS: usize = 200;

/// The files of the repository, with a scenario of its own text.
struct Told(String);

impl Files for Told {
    fn read(&self, path: &Path) -> Result<String, String> {
        if path.ends_with("scenarios/told.yaml") {
            return Ok(self.0.clone());
        }
        fs::read_to_string(path).map_err(|error| error.to_string())
    }
}

/// Gives `internal-door-dies` with these agents in the place of its own.
fn with_agents(agents: &str) -> Told {
    let text = fs::read_to_string("scenarios/internal-door-dies.yaml").unwrap();
    let (before, rest) = text.split_once("agents:\n").unwrap();
    let (_, after) = rest.split_once("users:\n").unwrap();
    let (_, timeline) = after.split_once("timeline:\n").unwrap();
    let timeline = timeline.replace("when: mesh", "at: 30s");
    let timeline = timeline.replace("duration: 5m", "duration: 2m");
    Told(format!("{before}agents:\n{agents}timeline:\n{timeline}"))
}

fn played(files: &Told, seed: u64) -> Report {
    let path = Path::new("scenarios/told.yaml");
    let loaded = load(path, files).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    let given = Given {
        seed: Some(Seed(seed)),
        follow: None,
    };
    simulate(&loaded, (path, files), given, &AtomicBool::new(false))
}

fn digest(files: &Told, seed: u64) -> u128 {
    played(files, seed).digest.expect("a simulation has one")
}

const AGENT: &str = "network: internal, teleport: teleport/orders.yaml";

fn fleet(count: usize) -> Told {
    with_agents(&format!("  - {{name: branch, count: {count}, {AGENT}}}\n"))
}

/// Writes out what `load` made of a fleet, agent by agent.
fn written_out(fleet: &Told) -> Told {
    let path = Path::new("scenarios/told.yaml");
    let loaded = load(path, fleet).unwrap();
    let mut agents = String::new();
    for agent in &loaded.topology.agents {
        let (name, address) = (&agent.name, agent.address);
        writeln!(agents, "  - {{name: {name}, address: {address}, {AGENT}}}").unwrap();
    }
    with_agents(&agents)
}

#[test]
fn a_fleet_and_its_agents_written_out_give_the_same_digest() {
    let fleet = fleet(AGENTS);
    let report = played(&fleet, 1);
    assert!(
        report.summary.facts > 10 * AGENTS as u64,
        "{:?}",
        report.summary
    );
    let one_by_one = written_out(&fleet);
    assert_eq!(digest(&one_by_one, 1), report.digest.unwrap());
    // An agent that has another name is another agent.
    let other = Told(one_by_one.0.replacen("branch", "brunch", 1));
    assert_ne!(digest(&other, 1), report.digest.unwrap());
}

#[test]
fn a_digest_is_the_same_on_any_number_of_threads_in_any_order() {
    let files = Arc::new(fleet(20));
    let seeds: Vec<u64> = (1..=6).collect();
    let alone: Vec<u128> = seeds.iter().map(|seed| digest(&files, *seed)).collect();
    let mut distinct = alone.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), seeds.len(), "each seed has its own");
    for threads in [2, 4] {
        let mut found = vec![0; seeds.len()];
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|thread| {
                    let (files, seeds) = (Arc::clone(&files), &seeds);
                    scope.spawn(move || {
                        let own = (0..seeds.len()).rev().filter(|n| n % threads == thread);
                        own.map(|n| (n, digest(&files, seeds[n])))
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            for worker in workers {
                for (place, digest) in worker.join().unwrap() {
                    found[place] = digest;
                }
            }
        });
        assert_eq!(found, alone, "{threads} threads");
    }
}

#[test]
fn a_digest_does_not_depend_on_what_the_process_allocated_before() {
    let files = fleet(20);
    let first = digest(&files, 7);
    // Other addresses for all that follows, and hash seeds, if there were any.
    let ballast: Vec<Vec<u8>> = (1..2_000).map(|n| vec![0; n % 613 * 17]).collect();
    let kept: Vec<_> = ballast.into_iter().step_by(3).collect();
    assert_eq!(digest(&files, 7), first);
    drop(kept);
    assert_eq!(digest(&files, 7), first);
}
