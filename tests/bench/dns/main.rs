//! Speed of `twodoors dns` beside BIND, Knot, NSD, PowerDNS and unbound with the same data.
//!
//! `cargo bench --profile fast --bench dns [-- PART…] [--rounds N] [--only NAME,NAME] [--seconds N]
//! [--bin PATH] [--seed N]`. Parts: throughput, views, million, kinds, reload, flood, facts; all of
//! them without a name. Without the profile the server under test is built with it first.
//!
//! Servers run on core 0 and whoever asks on core 1, one server up at a time, in random order inside
//! each round; everything is on loopback, with configurations in a temporary folder. Answers are
//! looked at before anything is measured, and a wrong one ends the bench with 1, as a missed goal
//! does. The batched echo is the limit. The machine has slow and fast spells: what is compared are
//! medians of ratios inside a round. Nothing else should run beside it.

#![expect(
    clippy::print_stdout,
    reason = "what a bench found is read on standard output"
)]

mod batch;
mod check;
mod closed;
mod data;
mod facts;
mod figures;
mod flood;
mod million;
mod paced;
mod process;
mod reload;
mod servers;
mod throughput;
mod views;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use twodoors::live::clock::Clock;

use figures::Goals;
use process::Folder;
use servers::{Kind, Setting};

/// What a part may fail with.
pub(crate) type Failed = Box<dyn Error + Send + Sync>;

/// Rounds of every comparison.
const ROUNDS: u64 = 6;

/// How long one reading takes, in seconds.
const SECONDS: u64 = 3;

/// The parts, in the order in which they run.
const PARTS: [&str; 7] = [
    "throughput",
    "views",
    "million",
    "kinds",
    "reload",
    "flood",
    "facts",
];

/// What the command line asks for.
pub(crate) struct Asked {
    pub(crate) rounds: u64,
    /// Microseconds of one reading.
    pub(crate) reading: u64,
    pub(crate) seed: u64,
    /// The server under test.
    pub(crate) twodoors: PathBuf,
    only: Option<Vec<String>>,
    parts: Vec<String>,
}

impl Asked {
    fn read() -> Result<Self, Failed> {
        let mut asked = Self {
            rounds: ROUNDS,
            reading: SECONDS * 1_000_000,
            seed: Clock::start().unix_seconds(),
            twodoors: PathBuf::new(),
            only: None,
            parts: Vec::new(),
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word}: wants a value"));
            match &*word {
                // Cargo says this to every bench.
                "--bench" => {}
                "--rounds" => asked.rounds = value()?.parse()?,
                "--seconds" => asked.reading = value()?.parse::<u64>()? * 1_000_000,
                "--seed" => asked.seed = value()?.parse()?,
                "--bin" => asked.twodoors = value()?.into(),
                "--only" => {
                    asked.only = Some(value()?.split(',').map(str::to_owned).collect());
                }
                part if PARTS.contains(&part) => asked.parts.push(word),
                _ => {
                    let parts = PARTS.join(", ");
                    return Err(format!("{word}: neither an option nor a part ({parts})").into());
                }
            }
        }
        if asked.rounds == 0 || asked.reading == 0 {
            return Err("--rounds and --seconds: at least one".into());
        }
        Ok(asked)
    }

    /// Gives those of these servers that are asked for.
    pub(crate) fn servers(&self, kinds: &[Kind]) -> Vec<Kind> {
        let asked = |kind: &&Kind| match &self.only {
            Some(only) => only.iter().any(|name| name == kind.name()),
            None => true,
        };
        kinds.iter().filter(asked).copied().collect()
    }

    /// Gives the setting of a part in which twodoors runs alone on the server's core; says so and gives
    /// `None` when twodoors is not asked for.
    pub(crate) fn alone<'a>(&'a self, folder: &'a Path) -> Option<Setting<'a>> {
        if self.servers(&[Kind::Twodoors]).is_empty() {
            println!("only for twodoors");
            return None;
        }
        Some(Setting {
            folder,
            twodoors: &self.twodoors,
            pinned: true,
        })
    }

    fn wants(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|one| one == part)
    }
}

/// Gives the server under test: the one that cargo built with the profile of figures.
fn built() -> Result<PathBuf, Failed> {
    let own = Path::new(env!("CARGO_BIN_EXE_twodoors"));
    let folder = own.parent().ok_or("the binary has no folder")?;
    if folder.ends_with("fast") {
        return Ok(own.to_owned());
    }
    println!("building twodoors with the profile `fast`");
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    let built = command.args(["build", "--profile", "fast", "--bin", "twodoors"]);
    if !built.status()?.success() {
        return Err("twodoors could not be built".into());
    }
    let target = folder.parent().ok_or("the target folder is not there")?;
    Ok(target.join("fast").join("twodoors"))
}

/// Prints what the figures were measured on.
fn machine(asked: &Asked) -> Result<(), Failed> {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown", |model| {
        model.trim_start_matches(['\t', ':', ' '])
    });
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!(
        "{} CPUs ({model}), Linux {}, load {} before; {} rounds, {} s a reading, seed {}\n",
        std::thread::available_parallelism()?,
        kernel.trim(),
        load.split(' ').next().unwrap_or_default(),
        asked.rounds,
        asked.reading / 1_000_000,
        asked.seed,
    );
    Ok(())
}

fn measured() -> Result<Goals, Failed> {
    let mut asked = Asked::read()?;
    let missing = servers::missing(&asked.servers(&servers::ALL));
    if !missing.is_empty() {
        return Err(format!("missing packages: {}", missing.join(" ")).into());
    }
    if asked.servers(&[Kind::Twodoors]).is_empty() {
        // The peers alone: nothing of ours is started.
    } else if asked.twodoors.as_os_str().is_empty() {
        asked.twodoors = built()?;
    } else if !asked.twodoors.is_file() {
        return Err(format!("--bin {}: no such file", asked.twodoors.display()).into());
    }
    machine(&asked)?;
    process::pin_client()?;
    let folder = Folder::new()?;
    let mut goals = Goals::default();
    for part in PARTS.iter().filter(|part| asked.wants(part)) {
        let folder = folder.path().join(part);
        fs::create_dir_all(&folder)?;
        println!("## {part}\n");
        let part = match *part {
            "throughput" => throughput::measure(&asked, &folder)?,
            "views" => views::measure(&asked, &folder)?,
            "million" => million::load(&asked, &folder)?,
            "kinds" => million::kinds(&asked, &folder)?,
            "reload" => reload::measure(&asked, &folder)?,
            "flood" => flood::measure(&asked, &folder)?,
            _ => facts::measure(&asked, &folder)?,
        };
        // A large zone is not kept until the end.
        fs::remove_dir_all(&folder)?;
        goals.take(part);
        println!();
    }
    Ok(goals)
}

fn main() -> ExitCode {
    // The bench starts itself as the echo, to have it on the server's core.
    let mut words = std::env::args().skip(1);
    if words.next().as_deref() == Some("--echo") {
        let echo = words.next().and_then(|at| at.parse().ok()).map(batch::echo);
        return if matches!(echo, Some(Ok(()))) {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    match measured() {
        Ok(goals) => {
            println!("{}", goals.text());
            if goals.pass() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            println!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
