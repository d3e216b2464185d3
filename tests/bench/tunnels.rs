//! Figures of tunnels: handshakes a second by kind, memory of an idle tunnel, and how long many live
//! agents need for a full mesh of three proxies, beside the closed form.
//!
//! `cargo bench --bench tunnels [-- --agents N] [-- --part handshakes|idle|mesh]` takes five minutes
//! with the 300 agents that it has by default. Each part runs in a process of its own, so that the
//! memory of one does not hide in what another gave back. Everything is on loopback and in that
//! process: doors, proxies, DNS and agents share its cores.
//!
//! The closed form is the coupon collector with Teleport's waits (reference 4.1): an attempt meets
//! each proxy with the same chance, waits have their mean length, and handshakes take no time. What
//! the live mesh takes beyond it are the handshakes of the first burst.

#![expect(
    clippy::print_stdout,
    reason = "what a bench found is read on standard output"
)]

mod fleet;
mod handshakes;

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use twodoors::lab::{Lab, Options, limits};
use twodoors::live::tasks::Tasks;
use twodoors::model::fact::{Act, Fact, Kind};
use twodoors::model::id::{Name, Node};
use twodoors::model::time::Time;
use twodoors::policy::backoff::{LONGEST, STEP};
use twodoors::scenario::embedded;
use twodoors::snapshot::Snapshot;

use fleet::{Moved, asked, free, loaded, seconds};
use handshakes::{Ends, Failed, Way, rate};

/// How many agents make the mesh.
const AGENTS: u64 = 300;

/// How many proxies it is of.
const PROXIES: u32 = 3;

/// How many tunnels stand idle while their memory is measured.
const IDLE: u32 = 500;

/// For how long the door is away.
const AWAY: Duration = Duration::from_secs(20);

/// The last of a thousand agents needs about two minutes; what takes this long never ends.
const PATIENCE: Duration = Duration::from_secs(600);

/// How many attempts of an agent the closed form looks at: one in 10^15 needs more.
const ATTEMPTS: i32 = 90;

/// The parts, in the order in which they run.
const PARTS: [&str; 3] = ["handshakes", "idle", "mesh"];

const SCENARIO: &str = "
name: tunnels
seed: 1
duration: 1h
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
";

/// Gives the resident memory of this process, in bytes.
fn resident() -> f64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    f64::from(pages.unwrap_or(0_u32)) * 4096.0
}

/// Gives how many descriptors this process has.
fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// What the facts say of the fleet.
#[derive(Default)]
struct Seen {
    ready: Option<Time>,
    /// When each agent had its first tunnel.
    first: BTreeMap<Name, Time>,
    /// When each agent had all.
    whole: BTreeMap<Name, Time>,
    claimed: u64,
    failed: u64,
}

impl Seen {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a bench picks what it is about"
    )]
    fn fold(&mut self, fact: &Fact) {
        match &fact.kind {
            Kind::Ready => self.ready = Some(fact.at),
            Kind::Claimed { tunnels, .. } => {
                self.claimed += 1;
                let agent = fact.node.name();
                self.first.entry(agent.into()).or_insert(fact.at);
                if *tunnels == PROXIES {
                    self.whole.insert(agent.into(), fact.at);
                }
            }
            Kind::TunnelLost { .. } => {
                self.first.remove(fact.node.name());
                self.whole.remove(fact.node.name());
            }
            Kind::DialFailed { .. } => self.failed += 1,
            _ => {}
        }
    }
}

/// Gives when each attempt of an agent begins, in seconds after the first, with waits of mean length.
fn attempts() -> Vec<f64> {
    let mean = |step: i32| {
        let whole = (seconds(STEP) * f64::from(step)).min(seconds(LONGEST));
        whole * 0.75
    };
    (0..ATTEMPTS)
        .scan(0.0, |at, step| {
            let begins = *at;
            *at += mean(step);
            Some(begins)
        })
        .collect()
}

/// The chance that an agent has met all proxies after so many attempts: coupons of equal chance.
fn met(attempts: i32) -> f64 {
    let all = f64::from(PROXIES);
    // Inclusion and exclusion over the proxies that were missed.
    let (_, missed) = (1..=PROXIES).fold((1.0, 0.0), |(choose, sum), j| {
        let j_real = f64::from(j);
        let choose = choose * (all - j_real + 1.0) / j_real;
        let sign = if j % 2 == 1 { 1.0 } else { -1.0 };
        let term: f64 = (1.0 - j_real / all).powi(attempts);
        (choose, sum + sign * choose * term)
    });
    1.0 - missed
}

/// The closed form: when an agent has met all, as the instants of attempts and the chances to be
/// done with each. Attempts of the first `away` seconds meet nobody.
fn closed(away: f64) -> Vec<(f64, f64)> {
    let useful = attempts().into_iter().filter(|at| *at >= away);
    (1..)
        .zip(useful)
        .map(|(number, at)| (at - away, met(number)))
        .collect()
}

/// Gives the instant by which a part of the agents has met all.
fn foretold(closed: &[(f64, f64)], part: f64) -> f64 {
    let by = closed.iter().find(|(_, chance)| *chance >= part);
    by.map_or(f64::INFINITY, |(at, _)| *at)
}

/// Gives the mean instant at which the last of so many agents has met all.
fn foretold_last(closed: &[(f64, f64)], agents: f64) -> f64 {
    let (mean, _) = closed
        .iter()
        .fold((0.0, 0.0), |(mean, before), (at, chance)| {
            let all = chance.powf(agents);
            (mean + at * (all - before), all)
        });
    mean
}

/// Gives the value below which a part of a sorted sample lies.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let last = sorted.len().saturating_sub(1) as f64;
    let place = sorted.iter().zip(0_u32..);
    let mut place = place.take_while(|(_, number)| f64::from(*number) <= (part * last).round());
    place.by_ref().last().map_or(f64::NAN, |(value, _)| *value)
}

/// Prints what was measured beside the closed form.
fn beside(what: &str, mut sample: Vec<f64>, closed: &[(f64, f64)]) {
    sample.sort_by(f64::total_cmp);
    println!("{what}: {} agents, seconds", sample.len());
    println!("  {:<12} {:>8} {:>12}", "", "live", "closed form");
    for (name, part) in [("median", 0.5), ("p90", 0.9), ("p99", 0.99)] {
        let (live, told) = (quantile(&sample, part), foretold(closed, part));
        println!("  {name:<12} {live:>8.2} {told:>12.2}");
    }
    let count = u32::try_from(sample.len()).map_or(f64::NAN, f64::from);
    let (live, told) = (quantile(&sample, 1.0), foretold_last(closed, count));
    println!("  {:<12} {live:>8.2} {told:>12.2}", "the last");
}

/// A lab of so many agents, and what is seen of it.
struct Fleet {
    lab: Arc<Lab>,
    seen: Arc<Mutex<Seen>>,
}

impl Fleet {
    async fn start(agents: u64) -> Result<Self, Failed> {
        let octet = free().ok_or("no addresses of 127/8 are free")?;
        let files = Moved::new(SCENARIO.replace("AGENTS", &agents.to_string()), octet);
        let loaded = loaded(&files, 1)?;
        limits::raise(&loaded.topology)?;
        let options = Options {
            path: embedded::SCENARIO.into(),
            files: Arc::new(files),
            loaded,
            dns: Some(([127, 0, 0, 1], 0).into()),
            tap: None,
        };
        let lab = Arc::new(Box::pin(Lab::start(options)).await?);
        let seen = Arc::new(Mutex::new(Seen::default()));
        let folding = Arc::clone(&seen);
        let whole = lab.journal().observe(move |fact| {
            let seen = folding.lock();
            seen.unwrap_or_else(PoisonError::into_inner).fold(fact);
        });
        if !whole {
            return Err("facts were lost before they could be counted".into());
        }
        Ok(Self { lab, seen })
    }

    /// Asks what was seen so far.
    fn ask<T>(&self, question: impl FnOnce(&Seen) -> T) -> T {
        question(&self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits for a state; gives the most descriptors that were seen meanwhile.
    async fn until(&self, is: impl Fn(&Snapshot) -> bool) -> Result<usize, Failed> {
        let mut grown = self.lab.journal().watch();
        let mut most = 0;
        let waiting = async {
            let mut looks = 0_u32;
            while !self.lab.journal().ask(&is) {
                // Reading the folder costs more than a fact: not at each.
                if looks.is_multiple_of(64) {
                    most = most.max(descriptors());
                }
                looks += 1;
                grown.changed().await?;
            }
            Ok::<_, Failed>(())
        };
        tokio::time::timeout(PATIENCE, waiting).await??;
        Ok(most.max(descriptors()))
    }

    /// Gives how long after `from` each agent had what `when` looks at.
    fn after(&self, from: Time, when: impl Fn(&Seen) -> &BTreeMap<Name, Time>) -> Vec<f64> {
        self.ask(|seen| {
            let times = when(seen).values();
            times.map(|at| seconds(at.since(from))).collect()
        })
    }
}

/// Handshakes by kind, against one proxy of a lab that has one agent.
async fn handshakes() -> Result<(), Failed> {
    let fleet = Fleet::start(1).await?;
    let at = |state: &Snapshot| state.mesh.now == state.mesh.full;
    fleet.until(at).await?;
    let proxy = fleet.lab.topology().pool.proxies.first();
    let way = Way::new(proxy.ok_or("no proxy")?.listen.0, fleet.lab.ca_pem())?;
    println!("handshakes a second, 8 at once for 3 s, both ends in this process");
    let tls = way.clone();
    let tls = rate(move || tls.clone().tls()).await?;
    println!("  {:<34} {tls:>8.0}", "TLS (PROXY header, ALPN, 1.3)");
    let find = rate(move || way.clone().find()).await?;
    println!("  {:<34} {find:>8.0}", "find (TLS, request and answer)");
    fleet.lab.stop().await;
    let ends = Arc::new(Ends::new()?);
    let ssh = rate(move || Arc::clone(&ends).ssh()).await?;
    println!("  {:<34} {ssh:>8.0}", "SSH (both host certificates)");
    println!("  claims: see the first burst of the mesh");
    Ok(())
}

/// Memory and descriptors of tunnels that do nothing.
async fn idle() -> Result<(), Failed> {
    let (ends, tasks) = (Ends::new()?, Tasks::new());
    // The first has what is made once.
    let mut held = vec![ends.tunnel(&tasks).await?];
    let (memory, open) = (resident(), descriptors());
    for _ in 0..IDLE {
        held.push(ends.tunnel(&tasks).await?);
    }
    let each = (resident() - memory) / f64::from(IDLE) / 1024.0;
    println!("{IDLE} idle tunnels, both ends, SSH over TCP without TLS or door");
    println!("  {each:.1} KiB of resident memory each");
    let more = descriptors().saturating_sub(open);
    println!("  {more} descriptors");
    drop(held);
    tasks.stop().await;
    Ok(())
}

/// The time for a full mesh, and for another when the door was away.
async fn mesh(agents: u64) -> Result<(), Failed> {
    let (memory, open) = (resident(), descriptors());
    let fleet = Fleet::start(agents).await?;
    let most = fleet
        .until(|state| state.mesh.now == state.mesh.full)
        .await?;
    let ready = fleet.ask(|seen| seen.ready).ok_or("it was never ready")?;
    let full = fleet.lab.journal().ask(|state| state.mesh.full);
    let tunnels = u32::try_from(full).map_or(f64::NAN, f64::from);
    let mut first = fleet.after(ready, |seen| &seen.first);
    first.sort_by(f64::total_cmp);
    let burst = quantile(&first, 1.0);
    let count = u32::try_from(first.len()).map_or(f64::NAN, f64::from);
    println!("{agents} agents, {PROXIES} proxies, {full} tunnels, round robin");
    println!(
        "  the first tunnel of each agent: all within {burst:.2} s, {:.0} claims a second (DNS, find, \
         door, TLS, SSH, claim)",
        count / burst
    );
    let (claimed, failed) = fleet.ask(|seen| (seen.claimed, seen.failed));
    println!("  {claimed} claims and {failed} other attempts until the mesh was full");
    let whole = fleet.after(ready, |seen| &seen.whole);
    beside("full mesh after ready", whole, &closed(0.0));
    let grown = (resident() - memory) / tunnels / 1024.0;
    println!("memory of the whole lab: {grown:.1} KiB a tunnel (agents, door, proxies, journal)");
    let rest = descriptors();
    println!(
        "descriptors: {rest} with the mesh full ({open} before), {most} at most on the way: {:.2} a \
         tunnel at rest",
        (u32::try_from(rest - open).map_or(f64::NAN, f64::from)) / tunnels
    );
    let door = Node::Balancer("internal".into());
    fleet.lab.operate(&door, Act::Kill).await?;
    fleet.until(|state| state.mesh.now == 0).await?;
    // Nobody can come back while it is away.
    let early = fleet.until(|state| state.mesh.now > 0);
    if tokio::time::timeout(AWAY, early).await.is_ok() {
        return Err("a tunnel stands though the door is closed".into());
    }
    let failed = fleet.ask(|seen| seen.failed);
    fleet.lab.operate(&door, Act::Start).await?;
    let back = fleet.lab.journal().ask(|state| state.at);
    let most = fleet
        .until(|state| state.mesh.now == state.mesh.full)
        .await?;
    let whole = fleet.after(back, |seen| &seen.whole);
    let away = AWAY.as_secs_f64();
    beside(
        &format!("full mesh after the door was away for {away:.0} s and came back"),
        whole,
        &closed(away),
    );
    let after = fleet.ask(|seen| seen.failed);
    println!(
        "  {} attempts without a claim since it came back; {most} descriptors at most",
        after - failed
    );
    fleet.lab.stop().await;
    Ok(())
}

fn word(name: &str) -> Option<String> {
    std::env::args().skip_while(|arg| arg != name).nth(1)
}

/// Prints what the figures were measured on.
fn machine() -> Result<(), Failed> {
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
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
        "twodoors {}, {profile}; {} CPUs ({model}), Linux {}, load {}",
        env!("CARGO_PKG_VERSION"),
        std::thread::available_parallelism()?,
        kernel.trim(),
        load.split(' ').next().unwrap_or_default(),
    );
    Ok(())
}

fn measured() -> Result<(), Failed> {
    let agents = asked("--agents", AGENTS)?;
    let Some(part) = word("--part") else {
        machine()?;
        for part in PARTS {
            let mut process = Command::new(std::env::current_exe()?);
            let agents = agents.to_string();
            let done = process
                .args(["--part", part, "--agents", &agents])
                .status()?;
            if !done.success() {
                return Err(format!("--part {part} failed").into());
            }
        }
        return Ok(());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    match &*part {
        "handshakes" => runtime.block_on(handshakes()),
        "idle" => runtime.block_on(idle()),
        "mesh" => runtime.block_on(mesh(agents)),
        other => Err(format!("--part {other}: it is handshakes, idle or mesh").into()),
    }
}

fn main() -> ExitCode {
    match measured() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
