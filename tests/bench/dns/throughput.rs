//! Two views: queries a second and server time a query, of every server, with the bench's client and
//! with dnsperf from both networks.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::closed::{Closed, OUTSTANDING, SOCKETS, Tally, both_networks};
use crate::data::{self, Draw, Questions};
use crate::figures::{Goals, Table, largest, median, ratio, smallest};
use crate::process::{CLIENT_CORE, Process};
use crate::servers::{self, ALL, Data, Kind, Setting, Views};
use crate::{Asked, Failed, check};

/// Server time a query, of the batched echo's.
const CPU_OVER_ECHO: f64 = 1.25;

/// Server time a query and queries a second, of each peer's: below, and above.
const PEER: f64 = 1.0;

/// How long a server warms up before a reading, in microseconds.
const WARM: u64 = 300_000;

/// Of the questions of a reading, how many may go without an answer before it is called out: a
/// thousandth, since the kernel drops what a short queue cannot hold.
const LOST: f64 = 0.001;

/// The readings of one server, a figure a round.
#[derive(Default)]
struct Readings {
    rates: Vec<f64>,
    cpu: Vec<f64>,
    inside: Vec<f64>,
    outside: Vec<f64>,
    memory: Vec<f64>,
    lost: f64,
}

/// One reading with the bench's client: the tally, and the server's time a query.
pub(crate) fn reading(
    client: &mut Closed<'_>,
    process: &Process,
    us: u64,
) -> Result<(Tally, f64), Failed> {
    client.run(WARM)?;
    let before = process.cpu_us()?;
    let tally = client.run(us)?;
    let cpu = process.cpu_us()? - before;
    if tally.wrong > 0 || tally.answered == 0 {
        return Err(format!("wrong answers under load: {tally:?}").into());
    }
    Ok((tally, cpu / tally.answered as f64))
}

/// Runs dnsperf from one address, and gives its queries a second.
fn dnsperf(server: SocketAddr, from: &str, file: &Path, us: u64) -> Result<f64, Failed> {
    let (port, core) = (server.port().to_string(), CLIENT_CORE.to_string());
    let (file, seconds) = (
        file.display().to_string(),
        us.div_ceil(1_000_000).to_string(),
    );
    let output = Command::new("taskset")
        .args(["-c", &core, "dnsperf", "-s", "127.0.0.1", "-p", &port])
        .args(["-a", from, "-d", &file, "-l", &seconds])
        .args(["-c", "20", "-T", "1", "-q", "1000"])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("Queries per second:"));
    let rate = line.and_then(|line| line.trim().parse().ok());
    rate.ok_or_else(|| {
        let errors = String::from_utf8_lossy(&output.stderr);
        format!("dnsperf gave no rate: {text}{errors}").into()
    })
}

/// Prints version, command line and configuration of each server.
fn configurations(kinds: &[Kind], setting: &Setting<'_>) -> Result<(), Failed> {
    let at = SocketAddr::from(([127, 0, 0, 1], 5300));
    for kind in kinds {
        let folder = setting.folder.join(kind.name());
        let plan = servers::plan(*kind, Data::TwoViews, &folder, at, setting.twodoors)?;
        println!("### {}: {}\n", kind.name(), kind.version(setting.twodoors)?);
        println!("```text\n$ taskset -c 0 {}", plan.line.join(" "));
        for (name, content) in &plan.files {
            println!("# {name}\n{}", content.trim_end());
        }
        println!("```\n");
    }
    Ok(())
}

fn round(
    kind: Kind,
    setting: &Setting<'_>,
    asked: &Asked,
    questions: &Questions,
    file: &Path,
    readings: &mut Readings,
) -> Result<(), Failed> {
    let mut server = servers::start(setting, kind, Data::TwoViews)?;
    let mut client = Closed::new(server.address, &both_networks(), OUTSTANDING, questions)?;
    if kind == Kind::Echo {
        check::echoes(&server)?;
        client = client.lenient();
    } else {
        check::two_views(&mut server, kind.views())?;
    }
    let (tally, cpu) = reading(&mut client, &server.process, asked.reading)?;
    readings.rates.push(tally.rate());
    readings.cpu.push(cpu);
    readings.lost += tally.lost as f64 / tally.answered as f64;
    drop(client);
    if kind == Kind::Echo {
        // dnsperf takes an echo for a broken server.
        readings.inside.push(f64::NAN);
        readings.outside.push(f64::NAN);
    } else {
        let each = asked.reading / 2;
        readings
            .inside
            .push(dnsperf(server.address, "127.10.0.1", file, each)?);
        readings
            .outside
            .push(dnsperf(server.address, "127.20.0.1", file, each)?);
    }
    readings.memory.push(server.process.peak_mib());
    let code = server.process.stop()?;
    if kind == Kind::Twodoors && code != Some(0) {
        return Err(format!("SIGTERM ended it with {code:?}, not 0").into());
    }
    Ok(())
}

fn row(
    kind: Kind,
    own: &Readings,
    echo: Option<&Readings>,
    bind: Option<&Readings>,
) -> Vec<String> {
    let thousands = |figure: f64| {
        if figure.is_nan() {
            "-".to_owned()
        } else {
            format!("{:.0}", figure / 1e3)
        }
    };
    let over = |other: Option<&Readings>, series: fn(&Readings) -> &[f64]| {
        other.map_or_else(
            || "-".to_owned(),
            |other| format!("{:.2}", ratio(series(own), series(other))),
        )
    };
    let views = match kind.views() {
        Views::None => "none",
        Views::Name => "one name",
        Views::Zones => "zones",
    };
    vec![
        kind.name().to_owned(),
        views.to_owned(),
        thousands(median(&own.rates)),
        format!(
            "{}-{}",
            thousands(smallest(&own.rates)),
            thousands(largest(&own.rates))
        ),
        over(bind, |readings| &readings.rates),
        over(echo, |readings| &readings.rates),
        format!("{:.2}", median(&own.cpu)),
        format!("{:.2}", smallest(&own.cpu)),
        over(echo, |readings| &readings.cpu),
        thousands(median(&own.inside)),
        thousands(median(&own.outside)),
        format!("{:.0}", largest(&own.memory)),
        format!("{:.4}", own.lost / own.rates.len() as f64 * 100.0),
    ]
}

/// Holds the goals of this part against the readings.
fn goals(kinds: &[Kind], all: &[Readings]) -> Goals {
    let mut goals = Goals::default();
    let of = |kind: Kind| {
        let place = kinds.iter().position(|one| *one == kind)?;
        all.get(place)
    };
    let Some(own) = of(Kind::Twodoors) else {
        return goals;
    };
    if let Some(echo) = of(Kind::Echo) {
        let cpu = ratio(&own.cpu, &echo.cpu);
        goals.note(
            cpu <= CPU_OVER_ECHO,
            format!("CPU a query {cpu:.2} of the echo's, at most {CPU_OVER_ECHO}"),
        );
    }
    for kind in kinds {
        let (false, Some(peer)) = (matches!(kind, Kind::Echo | Kind::Twodoors), of(*kind)) else {
            continue;
        };
        let (cpu, rate) = (ratio(&own.cpu, &peer.cpu), ratio(&own.rates, &peer.rates));
        let name = kind.name();
        goals.note(
            cpu < PEER,
            format!("CPU a query {cpu:.2} of {name}'s, below {PEER}"),
        );
        goals.note(
            rate > PEER,
            format!("queries a second {rate:.2} of {name}'s, above {PEER}"),
        );
    }
    let lost = own.lost / own.rates.len() as f64;
    goals.note(
        lost <= LOST,
        format!("{lost:.6} of the questions lost, at most {LOST}"),
    );
    goals
}

pub(crate) fn measure(asked: &Asked, folder: &Path) -> Result<Goals, Failed> {
    let setting = Setting {
        folder,
        twodoors: &asked.twodoors,
        pinned: true,
    };
    let kinds = asked.servers(&ALL);
    let mut draw = Draw(asked.seed);
    let names = data::names(&mut draw);
    let questions = data::questions(&names);
    let file = folder.join("queries");
    fs::write(&file, data::dnsperf_file(&names))?;
    servers::write_zones(folder, Data::TwoViews)?;
    configurations(&kinds, &setting)?;
    println!(
        "{} records, {} names (30 % the proxy), UDP without EDNS; client: {SOCKETS} sockets of both \
         networks, {OUTSTANDING} outstanding each; dnsperf: 1 thread, 20 sockets, 1,000 outstanding, \
         from one network at a time\n",
        data::RECORDS,
        data::NAMES,
    );
    let mut all: Vec<Readings> = kinds.iter().map(|_| Readings::default()).collect();
    for _ in 0..asked.rounds {
        let mut order: Vec<usize> = (0..kinds.len()).collect();
        draw.shuffle(&mut order);
        for place in order {
            let kind = kinds[place];
            round(kind, &setting, asked, &questions, &file, &mut all[place])
                .map_err(|error| format!("{}: {error}", kind.name()))?;
        }
    }
    let of = |kind: Kind| {
        let place = kinds.iter().position(|one| *one == kind)?;
        all.get(place)
    };
    let mut table = Table::new(&[
        "server",
        "views",
        "kqps",
        "min-max",
        "x bind",
        "x echo",
        "CPU us/query",
        "best",
        "x echo",
        "dnsperf int kqps",
        "ext kqps",
        "RSS MiB",
        "lost %",
    ]);
    for (kind, readings) in kinds.iter().zip(&all) {
        table.row(row(*kind, readings, of(Kind::Echo), of(Kind::Bind)));
    }
    println!("{}", table.text());
    Ok(goals(&kinds, &all))
}
