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
use crate::servers::{self, Data, Kind, Server, Setting};
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

/// The servers that are attacked: the peers show what the machine itself does to a client.
const FLOODED: [Kind; 3] = [Kind::Twodoors, Kind::Nsd, Kind::Knot];

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

/// A server of this part, and at which rates it is asked: parts of what it can do itself.
struct Field {
    kind: Kind,
    server: Server,
    honest_rate: f64,
    attack_rate: f64,
    /// What it had in memory before the first attack, in MiB.
    before: f64,
    readings: Vec<Readings>,
}

/// What became of the honest client's questions, and what it cost.
struct Seen {
    honest: Fate,
    /// Of the attack, the part that this client was too late to send.
    unsent: f64,
    /// The server's time, of the time that passed.
    busy: f64,
    /// The largest memory seen, in MiB.
    peak: f64,
}

impl Field {
    /// Starts a server and finds out what it can do.
    fn start(
        asked: &Asked,
        setting: &Setting<'_>,
        kind: Kind,
        honest: &Questions,
    ) -> Result<Self, Failed> {
        let mut server = servers::start(setting, kind, Data::TwoViews)?;
        check::two_views(&mut server, kind.views())?;
        let mut client = Closed::new(server.address, &both_networks(), OUTSTANDING, honest)?;
        let (tally, _) = reading(&mut client, &server.process, asked.reading)?;
        let before = server.process.memory_mib();
        Ok(Self {
            kind,
            server,
            honest_rate: tally.rate() * HONEST,
            attack_rate: tally.rate() * ATTACK,
            before,
            readings: ATTACKS.iter().map(|_| Readings::default()).collect(),
        })
    }

    /// Lets the honest client ask for so many microseconds, beside an attack or alone.
    fn ask(&self, honest: &Questions, attack: Option<&Questions>, us: u64) -> Result<Seen, Failed> {
        let of = |net: u8| -> Vec<Ipv4Addr> {
            (1..=4)
                .map(|last| Ipv4Addr::new(127, net, 1, last))
                .collect()
        };
        let address = self.server.address;
        let mut streams = vec![Stream::new(address, &of(10), self.honest_rate, honest)?];
        if let Some(questions) = attack {
            streams.push(Stream::new(address, &of(20), self.attack_rate, questions)?);
        }
        let (mut peak, mut looked) = (0.0_f64, 0);
        let cpu = self.server.process.cpu_us()?;
        let done = |now: u64| {
            if now > looked + 100_000 {
                looked = now;
                peak = peak.max(self.server.process.memory_mib());
            }
            now > us
        };
        let fates = drive(&mut streams, done, &mut |_| {})?;
        let unsent = fates
            .get(1)
            .map_or(0.0, |fate| fate.skipped / (fate.skipped + fate.sent as f64));
        Ok(Seen {
            honest: *fates.first().ok_or("nothing was asked")?,
            unsent,
            busy: (self.server.process.cpu_us()? - cpu) / us as f64,
            peak,
        })
    }

    /// Takes one reading: without an attack, then with it.
    fn read(
        &mut self,
        place: usize,
        honest: &Questions,
        attack: Option<&Questions>,
        us: u64,
    ) -> Result<(), Failed> {
        let quiet = self.ask(honest, None, us)?;
        let (seen, opened) = if attack.is_some() {
            (self.ask(honest, attack, us)?, 0)
        } else {
            let dribble = ATTACKS[place] == Attack::SlowTcp;
            let connections = Connections::start(self.server.address, dribble);
            let seen = self.ask(honest, None, us)?;
            (seen, connections.opened.load(Ordering::Relaxed))
        };
        let readings = &mut self.readings[place];
        let us_of = |fate: Fate| u32::try_from(fate.p99_us).map(f64::from);
        readings.quiet.push(us_of(quiet.honest)?);
        readings.p99.push(us_of(seen.honest)?);
        readings.lost += seen.honest.lost;
        readings.sent += seen.honest.sent;
        readings.unsent.push(seen.unsent);
        readings.busy.push(seen.busy);
        readings.peak.push(seen.peak);
        readings.opened += opened;
        Ok(())
    }

    /// Adds the rows of this server to the table.
    fn rows(&self, table: &mut Table) {
        for (attack, readings) in ATTACKS.iter().zip(&self.readings) {
            table.row(vec![
                format!("{}, {}", self.kind.name(), attack.name()),
                format!("{:.0}", median(&readings.quiet)),
                format!("{:.0}", median(&readings.p99)),
                format!("{:.2}", readings.over()),
                format!("{} of {}", readings.lost, readings.sent),
                format!("{:.0}", 100.0 * median(&readings.busy)),
                format!("{:.0}", 100.0 * median(&readings.unsent)),
                format!("{:.0}", largest(&readings.peak)),
                readings.opened.to_string(),
            ]);
        }
    }
}

/// Readings of one attack.
#[derive(Default)]
struct Readings {
    quiet: Vec<f64>,
    p99: Vec<f64>,
    lost: u64,
    sent: u64,
    unsent: Vec<f64>,
    busy: Vec<f64>,
    peak: Vec<f64>,
    opened: usize,
}

impl Readings {
    /// Gives the p99 under the attack, of that without.
    fn over(&self) -> f64 {
        ratio(&self.p99, &self.quiet)
    }
}

pub(crate) fn measure(asked: &Asked, folder: &Path) -> Result<Goals, Failed> {
    let mut goals = Goals::default();
    let kinds = asked.servers(&FLOODED);
    let setting = Setting {
        folder,
        twodoors: &asked.twodoors,
        pinned: true,
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
    let mut fields = Vec::new();
    for kind in kinds {
        let field = Field::start(asked, &setting, kind, &honest)?;
        println!(
            "{}: {:.0} questions a second from the honest client, attacks over UDP at {:.0}; {:.0} \
             MiB before",
            kind.name(),
            field.honest_rate,
            field.attack_rate,
            field.before,
        );
        fields.push(field);
    }
    for _ in 0..asked.rounds {
        let mut order: Vec<_> = (0..fields.len() * ATTACKS.len()).collect();
        draw.shuffle(&mut order);
        for one in order {
            let place = one % ATTACKS.len();
            let questions = match ATTACKS[place] {
                Attack::Malformed => Some(&malformed),
                Attack::RandomSubdomains => Some(&random),
                Attack::SlowTcp | Attack::IdleConnections => None,
            };
            fields[one / ATTACKS.len()].read(place, &honest, questions, asked.reading)?;
        }
    }
    let mut table = Table::new(&[
        "server, attack",
        "p99 us quiet",
        "p99 us",
        "ratio",
        "lost",
        "server busy %",
        "attack unsent %",
        "peak MiB",
        "connections",
    ]);
    for field in &fields {
        field.rows(&mut table);
    }
    println!("\n{}", table.text());
    for field in fields {
        // After all of it the answers are still right.
        check::right(field.server.address, field.kind.views())
            .map_err(|error| format!("{}: {error}", field.kind.name()))?;
        if field.kind == Kind::Twodoors {
            note(&field, &mut goals);
        }
        field.server.process.stop()?;
    }
    Ok(goals)
}

/// Holds the server under test against its goals.
fn note(field: &Field, goals: &mut Goals) {
    for (attack, readings) in ATTACKS.iter().zip(&field.readings) {
        let (name, over) = (attack.name(), readings.over());
        goals.note(
            over <= P99_OVER_QUIET,
            format!("{name}: p99 {over:.2} of the quiet one, at most {P99_OVER_QUIET}"),
        );
        let grown = largest(&readings.peak) - field.before;
        goals.note(
            grown <= GROWN_MIB,
            format!("{name}: {grown:.0} MiB more, at most {GROWN_MIB}"),
        );
    }
}
