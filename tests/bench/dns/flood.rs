//! Attacks, with an honest client at the same time: his latency, and the server's memory.
//!
//! Attacks over UDP come at half of what the server can do, from the other network. Those over TCP
//! come from a thread that shares the client's core, with connections that say nothing or one byte
//! at a time.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

use crate::closed::{Closed, OUTSTANDING, both_networks};
use crate::data::{self, A, Draw, NXDOMAIN, ORIGIN, Questions};
use crate::figures::{Goals, Table, largest, median, ratio};
use crate::paced::{Fate, Stream, drive};
use crate::process::Process;
use crate::servers::{self, Data, Kind};
use crate::throughput::reading;
use crate::{Asked, Failed, check};

/// The honest client's p99 under an attack, of that without.
const P99_OVER_QUIET: f64 = 2.0;

/// What the server may grow by under all attacks together, in MiB.
const GROWN_MIB: f64 = 64.0;

/// The attacks over UDP, of what the server can do.
const ATTACK: f64 = 0.5;

/// The honest client, of what the server can do.
const HONEST: f64 = 0.02;

/// Connections that the attacks over TCP hold open.
const CONNECTIONS: usize = 5_000;

/// At each turn so many connections are closed and opened again.
const REOPENED: usize = 10;

/// At each turn so many connections say a byte: each does once a second.
const DRIBBLED: usize = 50;

/// Between two turns of the attacks over TCP.
const TURN: Duration = Duration::from_millis(10);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Attack {
    Malformed,
    RandomSubdomains,
    SlowTcp,
    IdleConnections,
}

const ATTACKS: [Attack; 4] = [
    Attack::Malformed,
    Attack::RandomSubdomains,
    Attack::SlowTcp,
    Attack::IdleConnections,
];

impl Attack {
    fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed packets",
            Self::RandomSubdomains => "random subdomains",
            Self::SlowTcp => "slow TCP",
            Self::IdleConnections => "thousands of connections",
        }
    }
}

/// Connections to the server from a thread of their own, until the value is dropped.
struct Connections {
    end: Arc<AtomicBool>,
    opened: Arc<AtomicUsize>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Connections {
    /// Opens connections and keeps them; with `dribble`, each says a byte of a question at a time.
    ///
    /// The first are opened before this returns: the client's core is not busy with them later.
    fn start(server: SocketAddr, dribble: bool) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        // One that cannot be opened is one that the server is rid of.
        let mut held: Vec<TcpStream> = (0..CONNECTIONS).flat_map(|_| connect(server)).collect();
        let opened = Arc::new(AtomicUsize::new(held.len()));
        let (ended, count) = (Arc::clone(&end), Arc::clone(&opened));
        let thread = thread::spawn(move || {
            let (mut oldest, mut next) = (0, 0);
            while !ended.load(Ordering::Relaxed) && !held.is_empty() {
                for _ in 0..REOPENED {
                    oldest = (oldest + 1) % held.len();
                    if let Ok(stream) = connect(server) {
                        count.fetch_add(1, Ordering::Relaxed);
                        held[oldest] = stream;
                    }
                }
                for _ in 0..if dribble { DRIBBLED } else { 0 } {
                    next = (next + 1) % held.len();
                    // A message of 257 bytes is promised, and comes byte by byte. Where the server
                    // has closed, the turn of this one to be opened again comes.
                    let _ = held[next].write(&[1]);
                }
                thread::park_timeout(TURN);
            }
        });
        Self {
            end,
            opened,
            thread: Some(thread),
        }
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has nothing that could fail.
            let _ = thread.join();
        }
    }
}

/// Opens a connection from the other network without waiting for it.
fn connect(server: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 20, 9, 9), 0)).into())?;
    socket.set_nonblocking(true)?;
    match socket.connect(&server.into()) {
        Ok(()) => {}
        // EINPROGRESS: the kernel goes on with it.
        Err(error) if error.raw_os_error() == Some(nix::libc::EINPROGRESS) => {}
        Err(error) => return Err(error),
    }
    Ok(socket.into())
}

/// Allows this process and the server as many descriptors as the system does.
fn raise_descriptors() -> Result<(), Failed> {
    let limit = getrlimit(Resource::Nofile);
    let current = limit.maximum;
    setrlimit(Resource::Nofile, Rlimit { current, ..limit })?;
    Ok(())
}

/// What the readings of this part share.
struct Field<'a> {
    server: SocketAddr,
    process: &'a Process,
    honest: &'a Questions,
    honest_rate: f64,
    attack_rate: f64,
    us: u64,
}

impl Field<'_> {
    /// Lets the honest client ask, beside an attack or alone; gives his fate and the memory's peak.
    fn ask(&self, attack: Option<&Questions>) -> Result<(Fate, f64), Failed> {
        let inside: Vec<Ipv4Addr> = (1..=4)
            .map(|last| Ipv4Addr::new(127, 10, 1, last))
            .collect();
        let outside: Vec<Ipv4Addr> = (1..=4)
            .map(|last| Ipv4Addr::new(127, 20, 1, last))
            .collect();
        let mut streams = vec![Stream::new(
            self.server,
            &inside,
            self.honest_rate,
            self.honest,
        )?];
        if let Some(questions) = attack {
            let stream = Stream::new(self.server, &outside, self.attack_rate, questions)?;
            streams.push(stream);
        }
        let mut peak: f64 = 0.0;
        let mut looked = 0;
        let done = |now: u64| {
            if now > looked + 100_000 {
                looked = now;
                peak = peak.max(self.process.memory_mib());
            }
            now > self.us
        };
        let fates = drive(&mut streams, done, &mut |_| {})?;
        Ok((*fates.first().ok_or("nothing was asked")?, peak))
    }
}

/// Readings of one attack.
#[derive(Default)]
struct Readings {
    quiet: Vec<f64>,
    p99: Vec<f64>,
    lost: u64,
    sent: u64,
    peak: Vec<f64>,
    opened: usize,
}

pub(crate) fn measure(asked: &Asked, folder: &Path) -> Result<Goals, Failed> {
    let mut goals = Goals::default();
    let Some(setting) = asked.alone(folder) else {
        return Ok(goals);
    };
    raise_descriptors()?;
    servers::write_zones(folder, Data::TwoViews)?;
    let mut draw = Draw(asked.seed);
    let honest = data::questions(&data::names(&mut draw));
    let malformed = data::malformed(&mut draw);
    let mut random = Questions::default();
    for _ in 0..500_000 {
        let label = format!("r{:08x}{:08x}", draw.below(u32::MAX), draw.below(u32::MAX));
        random.ask(&format!("{label}.{ORIGIN}"), A, NXDOMAIN);
    }
    let mut server = servers::start(&setting, Kind::Twodoors, Data::TwoViews)?;
    check::two_views(&mut server, Kind::Twodoors.views())?;
    let mut client = Closed::new(server.address, &both_networks(), OUTSTANDING, &honest)?;
    let (tally, _) = reading(&mut client, &server.process, asked.reading)?;
    drop(client);
    let field = Field {
        server: server.address,
        process: &server.process,
        honest: &honest,
        honest_rate: tally.rate() * HONEST,
        attack_rate: tally.rate() * ATTACK,
        us: asked.reading,
    };
    let before = server.process.memory_mib();
    let mut all: Vec<Readings> = ATTACKS.iter().map(|_| Readings::default()).collect();
    for _ in 0..asked.rounds {
        let mut order = [0, 1, 2, 3];
        draw.shuffle(&mut order);
        for place in order {
            let readings = &mut all[place];
            let (quiet, _) = field.ask(None)?;
            let attack = ATTACKS[place];
            let (fate, peak) = match attack {
                Attack::Malformed => field.ask(Some(&malformed))?,
                Attack::RandomSubdomains => field.ask(Some(&random))?,
                Attack::SlowTcp | Attack::IdleConnections => {
                    let dribble = attack == Attack::SlowTcp;
                    let connections = Connections::start(server.address, dribble);
                    let asked = field.ask(None)?;
                    readings.opened += connections.opened.load(Ordering::Relaxed);
                    asked
                }
            };
            readings.quiet.push(f64::from(u32::try_from(quiet.p99_us)?));
            readings.p99.push(f64::from(u32::try_from(fate.p99_us)?));
            readings.lost += fate.lost;
            readings.sent += fate.sent;
            readings.peak.push(peak);
        }
    }
    // After all of it the answers are still right.
    check::two_views(&mut server, Kind::Twodoors.views())?;
    println!(
        "{:.0} questions a second from the honest client, attacks over UDP at {:.0}; {before:.0} MiB \
         before\n",
        tally.rate() * HONEST,
        tally.rate() * ATTACK,
    );
    let mut table = Table::new(&[
        "attack",
        "p99 us quiet",
        "p99 us",
        "ratio",
        "lost",
        "of",
        "peak MiB",
        "connections",
    ]);
    for (attack, readings) in ATTACKS.iter().zip(&all) {
        let (over, peak) = (
            ratio(&readings.p99, &readings.quiet),
            largest(&readings.peak),
        );
        table.row(vec![
            attack.name().to_owned(),
            format!("{:.0}", median(&readings.quiet)),
            format!("{:.0}", median(&readings.p99)),
            format!("{over:.2}"),
            readings.lost.to_string(),
            readings.sent.to_string(),
            format!("{peak:.0}"),
            readings.opened.to_string(),
        ]);
        let name = attack.name();
        goals.note(
            over <= P99_OVER_QUIET,
            format!("{name}: p99 {over:.2} of the quiet one, at most {P99_OVER_QUIET}"),
        );
        let grown = peak - before;
        goals.note(
            grown <= GROWN_MIB,
            format!("{name}: {grown:.0} MiB more, at most {GROWN_MIB}"),
        );
    }
    println!("{}", table.text());
    server.process.stop()?;
    Ok(goals)
}
