//! Both clocks: 100 agents lose the internal door, live and simulated, ten times each.
//!
//! `cargo bench --bench clocks [-- --runs N] [-- --agents N]` takes two minutes a run. It compares
//! the distributions of how long agents need to reconnect, and fails when they differ.
//!
//! The door is killed half a minute after ready and stays away for twenty seconds; a minute later
//! the run ends. A tunnel that is not back by then counts as longer than all others, the same for
//! both clocks. `--against late` is the twin: no clock, but a door that comes back a second later, and
//! it has to fail; `--against sim` compares the simulation with itself under other seeds. The runs of
//! the two have different seeds, so they share no luck. The gaps of one run
//! are not independent, so the verdict is that of a test whose units are runs.

#![expect(
    clippy::print_stdout,
    reason = "what a bench found is read on standard output"
)]

mod fleet;
mod statistics;

use std::collections::BTreeMap;
use std::error::Error;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use twodoors::lab::conduct::Conductor;
use twodoors::lab::{Lab, Options, limits};
use twodoors::model::fact::{Act, Fact, Kind};
use twodoors::model::id::{Name, Node};
use twodoors::model::time::Time;
use twodoors::scenario::embedded;
use twodoors::sim;

use fleet::{Moved, asked, free, loaded, seconds};

/// How many runs each clock gets.
const RUNS: u64 = 10;

/// How many agents lose their door.
const AGENTS: u64 = 100;

/// For how many seconds the door is away.
const AWAY: u64 = 20;

/// The seeds of the simulated runs begin this much later than those of the live ones.
const OTHER_LUCK: u64 = 1_000;

/// Below this the two clocks do not tell the same story.
const SAME: f64 = 0.001;

/// The parts of a distribution that are shown.
const QUANTILES: [(&str, f64); 5] = [
    ("p10", 0.1),
    ("median", 0.5),
    ("p75", 0.75),
    ("p90", 0.9),
    ("p99", 0.99),
];

const SCENARIO: &str = "
name: clocks
seed: 1
duration: 110s
networks:
  internal: [127.10.0.0/16]
  external: [127.20.0.0/16]
dns:
  listen: 127.0.0.1:5300
  views:
    - {name: private, match: [internal], zones: [../zones/private/example.com.zone]}
    - {name: public, match: [any], zones: [../zones/public/example.com.zone]}
pool: {name: proxies, size: 3, addresses: 127.30.0.0/24, teleport: teleport/proxy.yaml}
balancers:
  - {name: internal, listen: [127.10.0.2:3080], allow: [internal], algorithm: round_robin, for: agents}
  - {name: external, listen: [127.20.0.2:3080], algorithm: least_connections, for: users}
agents:
  - {name: branch, count: AGENTS, network: internal, teleport: teleport/branch.yaml}
timeline:
  - {at: 30s, do: kill, target: balancer/internal, for: AWAYs}
";

/// The scenario of a fleet whose door is away for so many seconds.
fn scenario(agents: u64, away: u64) -> String {
    let text = SCENARIO.replace("AGENTS", &agents.to_string());
    text.replace("AWAY", &away.to_string())
}

/// What a run came to: seconds, in order, infinite for what did not come back.
struct Run {
    seed: u64,
    /// Of each tunnel that was lost, until its proxy was claimed again.
    reconnects: Vec<f64>,
    /// Of each agent, without any tunnel.
    outages: Vec<f64>,
}

/// Collects the gaps of a run from its facts.
#[derive(Default)]
struct Gaps {
    killed: bool,
    lost: BTreeMap<(Name, Name), Time>,
    out: BTreeMap<Name, Time>,
    reconnects: Vec<f64>,
    outages: Vec<f64>,
}

impl Gaps {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a bench picks what it is about"
    )]
    fn fold(&mut self, fact: &Fact) {
        if matches!(fact.kind, Kind::Operated { act: Act::Kill }) {
            self.killed = true;
        }
        let Node::Agent(agent) = &fact.node else {
            return;
        };
        match &fact.kind {
            Kind::TunnelLost { proxy, tunnels, .. } if self.killed => {
                self.lost.insert((agent.clone(), proxy.clone()), fact.at);
                if *tunnels == 0 {
                    self.out.insert(agent.clone(), fact.at);
                }
            }
            Kind::Claimed { proxy, .. } => {
                let lost = self.lost.remove(&(agent.clone(), proxy.clone()));
                self.reconnects
                    .extend(lost.map(|lost| seconds(fact.at.since(lost))));
                let out = self.out.remove(agent);
                self.outages
                    .extend(out.map(|out| seconds(fact.at.since(out))));
            }
            _ => {}
        }
    }

    /// Gives what it came to at the end.
    fn run(mut self, seed: u64) -> Run {
        self.reconnects
            .extend(self.lost.iter().map(|_| f64::INFINITY));
        self.outages.extend(self.out.iter().map(|_| f64::INFINITY));
        self.reconnects.sort_by(f64::total_cmp);
        self.outages.sort_by(f64::total_cmp);
        Run {
            seed,
            reconnects: self.reconnects,
            outages: self.outages,
        }
    }
}

/// Plays one run on sockets.
async fn live(agents: u64, seed: u64) -> Result<Run, Box<dyn Error>> {
    let octet = free().ok_or("no addresses of 127/8 are free")?;
    let files = Moved::new(scenario(agents, AWAY), octet);
    let loaded = loaded(&files, seed)?;
    limits::raise(&loaded.topology)?;
    let options = Options {
        path: embedded::SCENARIO.into(),
        files: Arc::new(files),
        loaded,
        dns: Some(([127, 0, 0, 1], 0).into()),
        tap: None,
    };
    let lab = Arc::new(Box::pin(Lab::start(options)).await?);
    let conductor = Conductor::start(&lab);
    let gaps = Arc::new(Mutex::new(Gaps::default()));
    let folding = Arc::clone(&gaps);
    let whole = lab.journal().observe(move |fact| {
        let gaps = folding.lock();
        gaps.unwrap_or_else(PoisonError::into_inner).fold(fact);
    });
    if !whole {
        return Err("facts were lost before they could be counted".into());
    }
    conductor.begin();
    conductor.ended().await;
    // What the end of the lab cuts is no outage of the door.
    let gaps = std::mem::take(&mut *gaps.lock().unwrap_or_else(PoisonError::into_inner));
    lab.stop().await;
    match &*conductor.failures() {
        [] => Ok(gaps.run(seed)),
        failures => Err(failures.join("; ").into()),
    }
}

/// Plays one run in virtual time.
fn simulated(agents: u64, away: u64, seed: u64) -> Result<Run, Box<dyn Error>> {
    let files = Moved::new(scenario(agents, away), 130);
    let loaded = loaded(&files, seed)?;
    let topology = Arc::new(loaded.topology);
    let rules = loaded.rules.with_topology(Arc::clone(&topology));
    let mut gaps = Gaps::default();
    let reload = || Err(Vec::new());
    let mut observe = |fact: &Fact, _: &_| {
        gaps.fold(fact);
        ControlFlow::Continue(())
    };
    sim::run(&topology, rules, sim::Options::new(&reload), &mut observe);
    Ok(gaps.run(seed))
}

/// Prints a line of a table: who, which seed, and of both measures the size and quantiles.
fn row(who: &str, seed: &str, reconnects: &[f64], outages: &[f64]) {
    let cell = |sample: &[f64]| {
        let values =
            QUANTILES.map(|(_, part)| format!("{:>7.2}", statistics::quantile(sample, part)));
        let open = sample.iter().filter(|value| value.is_infinite()).count();
        format!("{:>5} {open:>5} {}", sample.len(), values.join(" "))
    };
    println!(
        "{who:<5} {seed:>5} | {} | {}",
        cell(reconnects),
        cell(outages)
    );
}

fn head() {
    let names = QUANTILES.map(|(name, _)| format!("{name:>7}")).join(" ");
    let measure = format!("{:>5} {:>5} {names}", "n", "open");
    println!(
        "{:<11} | {:<51} | outage of an agent [s]",
        "", "reconnect of a tunnel [s]"
    );
    println!("{:<5} {:>5} | {measure} | {measure}", "clock", "seed");
}

/// Puts the runs of a clock together.
fn together<'a>(runs: &'a [Run], sample: impl Fn(&'a Run) -> &'a [f64]) -> Vec<f64> {
    let mut all: Vec<f64> = runs
        .iter()
        .flat_map(|run| sample(run).iter().copied())
        .collect();
    all.sort_by(f64::total_cmp);
    all
}

/// Compares one measure of both clocks; gives the p whose units are runs.
fn compare(what: &str, live: &[Run], simulated: &[Run], sample: fn(&Run) -> &[f64]) -> f64 {
    let (one, other) = (together(live, sample), together(simulated, sample));
    let distance = statistics::distance(&one, &other);
    let naive = statistics::asymptotic(distance, one.len(), other.len());
    let units =
        |runs: &[Run]| -> Vec<Vec<f64>> { runs.iter().map(|run| sample(run).to_vec()).collect() };
    let (ones, others) = (units(live), units(simulated));
    let ones: Vec<&[f64]> = ones.iter().map(|run| &**run).collect();
    let others: Vec<&[f64]> = others.iter().map(|run| &**run).collect();
    let permuted = statistics::permuted(&ones, &others);
    let medians = |runs: &[Run]| -> Vec<[f64; 1]> {
        runs.iter()
            .map(|run| [statistics::quantile(sample(run), 0.5)])
            .collect()
    };
    let (one, other) = (medians(live), medians(simulated));
    let apart = statistics::distance(&one.concat(), &other.concat());
    let one: Vec<&[f64]> = one.iter().map(|median| &median[..]).collect();
    let other: Vec<&[f64]> = other.iter().map(|median| &median[..]).collect();
    let p_apart = statistics::permuted(&one, &other);
    println!(
        "{what}: D {distance:.4}; p {naive:.4} if all values were independent, which they are not; \
         p {permuted:.4} with whole runs dealt by chance; medians of the runs D {apart:.2}, p \
         {p_apart:.4} dealt by chance"
    );
    permuted
}

fn compared() -> Result<bool, Box<dyn Error>> {
    statistics::check();
    let (runs, agents) = (asked("--runs", RUNS)?, asked("--agents", AGENTS)?);
    let mut words = std::env::args()
        .skip_while(|arg| arg != "--against")
        .skip(1);
    let against = words.next().unwrap_or_else(|| String::from("live"));
    let line: Vec<String> = std::env::args().collect();
    let cpus = std::thread::available_parallelism()?;
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    println!("{}", line.join(" "));
    println!(
        "twodoors {}, {profile}; {cpus} CPUs; {agents} agents, 3 proxies, {runs} runs a clock",
        env!("CARGO_PKG_VERSION")
    );
    head();
    let (mut lives, mut sims) = (Vec::new(), Vec::new());
    for number in 1..=runs {
        let run = simulated(agents, AWAY, OTHER_LUCK + number)?;
        row("sim", &run.seed.to_string(), &run.reconnects, &run.outages);
        sims.push(run);
    }
    for number in 1..=runs {
        let run = match &*against {
            // A runtime of its own: what a run leaves behind does not burden the next.
            "live" => tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()?
                .block_on(live(agents, number))?,
            "late" => simulated(agents, AWAY + 1, number)?,
            "sim" => simulated(agents, AWAY, number)?,
            other => return Err(format!("--against {other}: it is live, late or sim").into()),
        };
        row(
            &against,
            &run.seed.to_string(),
            &run.reconnects,
            &run.outages,
        );
        lives.push(run);
    }
    for (who, runs) in [("sim", &sims), (&*against, &lives)] {
        let reconnects = together(runs, |run| &run.reconnects);
        let outages = together(runs, |run| &run.outages);
        row(who, "all", &reconnects, &outages);
    }
    let reconnects = compare("reconnect", &lives, &sims, |run| &run.reconnects);
    let outages = compare("outage", &lives, &sims, |run| &run.outages);
    if together(&lives, |run| &run.reconnects).is_empty() {
        return Err("no agent lost a tunnel".into());
    }
    Ok(reconnects >= SAME && outages >= SAME)
}

fn main() -> ExitCode {
    match compared() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            println!("the clocks differ: p below {SAME}");
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
