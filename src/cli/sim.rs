//! `twodoors sim`: plays scenarios in virtual time and judges what they expect.
//!
//! Several seeds run side by side on threads of their own; the report is the same for every number
//! of threads.

use std::fs::File;
use std::io::BufReader;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use arc_swap::ArcSwap;
use clap::Args as ClapArgs;

mod serve;

use super::html;
use super::reports::{self, Outcome, Reports, Scenario, Where};
use super::{Exit, Io};
use crate::http::source::Source;
use crate::journal::Journal;
use crate::lab::record;
use crate::lab::report::{Report, Series};
use crate::lab::stage::Listed;
use crate::lab::trial::{self, Given};
use crate::live::clock::Clock;
use crate::model::draw::Seed;
use crate::model::fact::Fact;
use crate::model::time::Time;
use crate::sim::{self, Order};

/// How many seeds one call may play: each report is kept until the last is there.
const SEEDS_MAX: u64 = 100_000;

const EXAMPLES: &str = "\
Examples:
  twodoors sim                                       the embedded example
  twodoors sim lab/scenarios/split-dns.yaml --seed 7
  twodoors sim lab/scenarios/*.yaml --seeds 1..100 --threads 4 --junit lab.xml
  twodoors sim lab/scenarios/split-dns.yaml --serve  look at the run that was played

Exit codes: 0 all expectations met, 1 one failed, 2 wrong scenario, 4 inconclusive,
130 interrupted.";

/// Play scenarios in virtual time and judge what they expect.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{}", sim::MODEL))]
pub struct Args {
    /// The scenarios, one after another; without one the embedded example.
    pub scenario: Vec<PathBuf>,

    #[command(flatten)]
    to: Where,

    /// The seed of every draw instead of the scenario's own.
    #[arg(long, value_name = "N", conflicts_with = "seeds")]
    pub seed: Option<u64>,

    /// Play with each of these seeds, both ends included.
    #[arg(long, value_name = "A..B", value_parser = seeds)]
    pub seeds: Option<Seeds>,

    /// Hold the run to the order in which clients and checks reached each door in this recording
    /// of the same scenario (`run --record`), and compare what both decided.
    #[arg(long, value_name = "RECORDING", conflicts_with_all = ["seed", "seeds", "html"])]
    pub follow: Option<PathBuf>,

    /// Show the run that was played as `up` shows a lab, on a free port or this loopback address,
    /// until Ctrl-C; the `ready` line names the address. Nothing can be changed there.
    #[arg(
        long,
        value_name = "ADDR:PORT",
        num_args = 0..=1,
        default_missing_value = "127.0.0.1:0",
        conflicts_with_all = ["seeds", "follow", "json"]
    )]
    pub serve: Option<SocketAddr>,

    /// How many seeds are played side by side; as many as there are processors by default.
    #[arg(long, value_name = "N", requires = "seeds")]
    pub threads: Option<NonZeroUsize>,
}

/// Seeds from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seeds {
    first: u64,
    last: u64,
}

/// Reads `1..100`.
fn seeds(text: &str) -> Result<Seeds, String> {
    let wrong = || String::from("write the first and the last seed, like 1..100");
    let (first, last) = text.split_once("..").ok_or_else(wrong)?;
    let first = first.parse().map_err(|_| wrong())?;
    let last = last.trim_start_matches('=').parse().map_err(|_| wrong())?;
    if last < first {
        return Err(format!(
            "the last seed comes before the first; write {last}..{first}"
        ));
    }
    if last - first >= SEEDS_MAX {
        return Err(format!(
            "one call plays up to {SEEDS_MAX} seeds; write fewer"
        ));
    }
    Ok(Seeds { first, last })
}

/// Runs the verb.
pub fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    let scenarios = match reports::load_all(&args.scenario, io)? {
        Ok(scenarios) => scenarios,
        Err(exit) => return Ok(exit),
    };
    if let Some(exit) = html::refuse(
        args.to.html.as_deref(),
        &scenarios,
        args.seeds.is_some(),
        io,
    )? {
        return Ok(exit);
    }
    if let Some(exit) = serve::refuse(args.serve, &scenarios, io)? {
        return Ok(exit);
    }
    let interrupted = interrupts()?;
    if let Some(file) = &args.follow {
        return follow(file, &scenarios, (&args.to, &interrupted), io);
    }
    let mut reports = Reports::new(&args.to, scenarios.len());
    let mut broke = None;
    let mut shown = None;
    for scenario in &scenarios {
        let outcome = match args.seeds {
            None => {
                let given = Given {
                    seed: args.seed.map(Seed),
                    follow: None,
                };
                let before = memory("VmRSS:");
                let mut report = if args.to.html.is_none() && args.serve.is_none() {
                    play(scenario, given, &interrupted)
                } else {
                    let (report, source) = play_shown(scenario, given, &interrupted);
                    if let Some(file) = &args.to.html {
                        reports.take(html::write(file, &source, &report), io)?;
                    }
                    shown = Some(source);
                    report
                };
                let grown = memory("VmHWM:").zip(before);
                let grown = grown.map(|(most, before)| most.saturating_sub(before));
                let agents = scenario.loaded.topology.agents.len() as u64;
                // Real memory, the machines' heap and the judge's books included.
                report.summary.bytes_per_agent = grown.and_then(|bytes| bytes.checked_div(agents));
                Outcome::One(Box::new(report))
            }
            Some(seeds) => {
                let threads = args
                    .threads
                    .or_else(|| thread::available_parallelism().ok());
                let threads = threads.map_or(1, NonZeroUsize::get);
                match side_by_side(scenario, seeds, threads, &interrupted) {
                    Some(series) => Outcome::Many(series),
                    // Interrupted before the first seed was played.
                    None => {
                        broke = Some(Exit::Interrupted);
                        break;
                    }
                }
            }
        };
        if !reports.add(outcome, io)? {
            break;
        }
    }
    let exit = reports.finish(broke, io)?;
    match (args.serve, shown) {
        // Whoever interrupted the run does not want to look at it.
        (Some(address), Some(source)) if exit != Exit::Interrupted => {
            serve::serve(address, source, io)
        }
        _ => Ok(exit),
    }
}

/// Gives a figure of this process's memory in bytes, where the system tells it.
fn memory(which: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(which))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1_024)
}

/// Plays a scenario in the order of a recording, and says whether both decided the same.
fn follow(
    file: &Path,
    scenarios: &[Scenario],
    (to, interrupted): (&Where, &AtomicBool),
    io: &mut Io<'_>,
) -> anyhow::Result<Exit> {
    let (scenario, order, live) = match recorded(file, scenarios) {
        Ok(recorded) => recorded,
        Err(why) => {
            writeln!(io.err, "error: {why}")?;
            return Ok(Exit::Usage);
        }
    };
    let source = (&*scenario.path, &*scenario.files);
    let order = (order, &*live);
    let (report, compared) = trial::follow(&scenario.loaded, source, order, interrupted);
    let mut reports = Reports::new(to, 1);
    reports.add(Outcome::One(Box::new(report)), io)?;
    let exit = reports.finish(None, io)?;
    match compared {
        Ok(compared) => {
            writeln!(io.err, "parity: {compared}")?;
            Ok(exit)
        }
        Err(differs) => {
            writeln!(io.err, "parity: {differs}")?;
            Ok(Exit::Failed)
        }
    }
}

/// Reads a recording, which must be of the one scenario that is played.
fn recorded<'a>(
    file: &Path,
    scenarios: &'a [Scenario],
) -> Result<(&'a Scenario, Order, Vec<Fact>), String> {
    let named = file.display();
    let [scenario] = scenarios else {
        return Err(String::from(
            "a recording is of one scenario; name that one",
        ));
    };
    let open = || File::open(file).map_err(|error| format!("the recording {named}: {error}"));
    let wrong = |error| format!("the recording {named}: {error}");
    let (topology, order) = record::order(BufReader::new(open()?)).map_err(wrong)?;
    if topology != scenario.loaded.topology {
        return Err(format!(
            "the recording {named} is of another scenario than {}, or of an older state of it; \
             record it again with `twodoors run --record`",
            scenario.path.display()
        ));
    }
    let facts = record::facts(BufReader::new(open()?)).map_err(wrong)?;
    Ok((scenario, order, facts))
}

fn play(scenario: &Scenario, given: Given, interrupted: &AtomicBool) -> Report {
    let Scenario {
        path,
        files,
        loaded,
        ..
    } = scenario;
    trial::simulate(loaded, (path, &**files), given, interrupted)
}

/// Plays a scenario and gives what the page shows of it.
fn play_shown(scenario: &Scenario, given: Given, interrupted: &AtomicBool) -> (Report, Source) {
    let Scenario {
        path,
        files,
        embedded,
        loaded,
    } = scenario;
    let mut topology = loaded.topology.clone();
    topology.seed = given.seed.unwrap_or(topology.seed);
    let topology = Arc::new(topology);
    let journal = Journal::new(&topology);
    let mut see = |fact: &Fact| journal.add(fact.at, &fact.node, [fact.kind.clone()]);
    let given = (given, &mut see as &mut dyn FnMut(&Fact));
    let report = trial::simulate_seen(loaded, (path, &**files), given, interrupted);
    let listed = Listed::of((path, *embedded), &**files, Ok(loaded));
    let source = Source {
        scenario: Some(Arc::new(listed)),
        places: Arc::new(loaded.places.clone()),
        rules: Some(Arc::new(ArcSwap::from_pointee(loaded.rules.clone()))),
        ..Source::of(journal, topology)
    };
    (report, source)
}

/// Plays every seed, each by itself, on so many threads.
fn side_by_side(
    scenario: &Scenario,
    seeds: Seeds,
    threads: usize,
    interrupted: &AtomicBool,
) -> Option<Series> {
    let clock = Clock::start();
    let count = usize::try_from(seeds.last - seeds.first + 1).unwrap_or(usize::MAX);
    let (next, reports) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count || interrupted.load(Ordering::Relaxed) {
                return;
            }
            let given = Given {
                seed: Some(Seed(seeds.first + number as u64)),
                follow: None,
            };
            let report = play(scenario, given, interrupted);
            reports
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(report);
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads.clamp(1, count) {
            scope.spawn(work);
        }
    });
    let reports = reports.into_inner().unwrap_or_else(PoisonError::into_inner);
    let series = Series::new(reports, clock.now().since(Time::ZERO));
    series.map(|series| series.asked(count))
}

/// Gives what a first Ctrl-C sets; a second one ends the process.
fn interrupts() -> anyhow::Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&interrupted);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // Caught before anything is played.
    let mut interrupt = {
        let _inside = runtime.enter();
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?
    };
    thread::Builder::new()
        .name(String::from("interrupt"))
        .spawn(move || {
            runtime.block_on(async {
                while interrupt.recv().await.is_some() {
                    if told.swap(true, Ordering::Relaxed) {
                        std::process::exit(Exit::Interrupted as i32);
                    }
                }
            });
        })?;
    Ok(interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_a_range_with_both_ends() {
        let range = |first, last| Ok(Seeds { first, last });
        assert_eq!(seeds("1..100"), range(1, 100));
        assert_eq!(seeds("7..=7"), range(7, 7));
        for wrong in ["", "1", "1..", "..2", "a..b", "-1..2"] {
            assert!(seeds(wrong).unwrap_err().contains("1..100"), "{wrong}");
        }
        assert!(seeds("9..2").unwrap_err().contains("2..9"));
        assert!(seeds("0..100000").is_err());
        assert!(seeds("0..99999").is_ok());
    }
}
