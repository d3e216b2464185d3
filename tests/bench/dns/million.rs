//! A million records: how long until the last of them is answered, in how much memory, and what
//! questions cost that no cache of answers can hold.

use std::path::Path;
use std::time::Duration;

use crate::closed::{Closed, OUTSTANDING, both_networks};
use crate::data::{self, A, Draw, NOERROR, NXDOMAIN, ORIGIN, Questions};
use crate::figures::{Goals, Table, largest, median, ratio, smallest};
use crate::servers::{self, Data, Kind, Setting};
use crate::throughput::reading;
use crate::{Asked, Failed, check};

/// Time until the first right answer, of Knot's; below.
const LOAD_OVER_KNOT: f64 = 1.0;

/// Peak memory, of each peer's; below.
const MEMORY_OVER_PEER: f64 = 1.0;

/// The first right answer comes at most so many milliseconds after `ready`.
const AFTER_READY_MS: f64 = 100.0;

/// Server time a query of misses, wildcards and missing names, of that of hits.
const KIND_OVER_HIT: f64 = 1.25;

/// Who loads the large zone.
const LOADERS: [Kind; 4] = [Kind::Twodoors, Kind::Bind, Kind::Knot, Kind::Nsd];

/// Who is asked for kinds of names in it.
const ASKED: [Kind; 3] = [Kind::Twodoors, Kind::Knot, Kind::Nsd];

/// Names that are asked again and again are hits of whatever cache there is.
const HITS: u32 = 1_000;

/// So many different names are asked before one comes again.
const DIFFERENT: u32 = 1_000_000;

#[derive(Default)]
struct Loads {
    seconds: Vec<f64>,
    cpu: Vec<f64>,
    memory: Vec<f64>,
    after_ready: Vec<f64>,
}

/// Gives the last host, which is the last record of the zone, and its address.
fn last() -> (String, String) {
    let last = data::large_hosts() - 1;
    (format!("h{last:07}.{ORIGIN}"), data::large_address(last))
}

pub(crate) fn load(asked: &Asked, folder: &Path) -> Result<Goals, Failed> {
    let setting = Setting {
        folder,
        twodoors: &asked.twodoors,
        pinned: false,
    };
    servers::write_zones(folder, Data::Million)?;
    let kinds = asked.servers(&LOADERS);
    let mut all: Vec<Loads> = kinds.iter().map(|_| Loads::default()).collect();
    let mut draw = Draw(asked.seed);
    let (name, address) = last();
    for _ in 0..asked.rounds {
        let mut order: Vec<usize> = (0..kinds.len()).collect();
        draw.shuffle(&mut order);
        for place in order {
            let (kind, loads) = (kinds[place], &mut all[place]);
            let mut server = servers::start(&setting, kind, Data::Million)?;
            let at = check::answers(&mut server, &name, &address)
                .map_err(|error| format!("{}: {error}", kind.name()))?;
            loads.seconds.push(at as f64 / 1e6);
            loads.cpu.push(server.process.cpu_us()? / 1e6);
            loads.memory.push(server.process.peak_mib());
            if kind == Kind::Twodoors {
                let ready = server.process.line("ready", Duration::from_secs(10))?.at;
                loads.after_ready.push((at as f64 - ready as f64) / 1e3);
            }
            server.process.stop()?;
        }
    }
    let mut table = Table::new(&[
        "server",
        "first answer s",
        "min-max",
        "CPU s",
        "peak RSS MiB",
        "bytes/record",
        "after ready ms",
    ]);
    for (kind, loads) in kinds.iter().zip(&all) {
        let memory = largest(&loads.memory);
        table.row(vec![
            kind.name().to_owned(),
            format!("{:.2}", median(&loads.seconds)),
            format!(
                "{:.2}-{:.2}",
                smallest(&loads.seconds),
                largest(&loads.seconds)
            ),
            format!("{:.2}", median(&loads.cpu)),
            format!("{memory:.0}"),
            format!("{:.0}", memory * 1_048_576.0 / f64::from(data::MILLION)),
            loads.after_ready.first().map_or_else(
                || "-".to_owned(),
                |_| format!("{:.1}", largest(&loads.after_ready)),
            ),
        ]);
    }
    println!("{}", table.text());
    Ok(load_goals(&kinds, &all))
}

fn load_goals(kinds: &[Kind], all: &[Loads]) -> Goals {
    let mut goals = Goals::default();
    let of = |kind: Kind| all.get(kinds.iter().position(|one| *one == kind)?);
    let Some(own) = of(Kind::Twodoors) else {
        return goals;
    };
    let after = largest(&own.after_ready);
    goals.note(
        after <= AFTER_READY_MS,
        format!("first answer {after:.1} ms after `ready`, at most {AFTER_READY_MS}"),
    );
    if let Some(knot) = of(Kind::Knot) {
        let over = ratio(&own.seconds, &knot.seconds);
        goals.note(
            over < LOAD_OVER_KNOT,
            format!("a million records in {over:.2} of Knot's time, below {LOAD_OVER_KNOT}"),
        );
    }
    for kind in kinds.iter().filter(|kind| **kind != Kind::Twodoors) {
        let Some(peer) = of(*kind) else { continue };
        let (over, name) = (ratio(&own.memory, &peer.memory), kind.name());
        goals.note(
            over < MEMORY_OVER_PEER,
            format!("peak memory {over:.2} of {name}'s, below {MEMORY_OVER_PEER}"),
        );
    }
    goals
}

/// The kinds of questions: a name, and the questions.
fn kinds_of_questions(draw: &mut Draw) -> Vec<(&'static str, Questions)> {
    let mut hosts: Vec<u32> = (0..data::large_hosts()).collect();
    draw.shuffle(&mut hosts);
    let mut hits = Questions::default();
    let mut misses = Questions::default();
    for (host, number) in hosts.iter().zip(0..) {
        let name = format!("h{host:07}.{ORIGIN}");
        misses.ask(&name, A, NOERROR);
        if number < HITS {
            hits.ask(&name, A, NOERROR);
        }
    }
    let mut wildcards = Questions::default();
    let mut nothing = Questions::default();
    for number in 0..DIFFERENT {
        wildcards.ask(&format!("w{number:07}.wild.{ORIGIN}"), A, NOERROR);
        nothing.ask(&format!("n{number:07}.{ORIGIN}"), A, NXDOMAIN);
    }
    vec![
        ("hits", hits),
        ("misses", misses),
        ("wildcards", wildcards),
        ("nxdomain", nothing),
    ]
}

pub(crate) fn kinds(asked: &Asked, folder: &Path) -> Result<Goals, Failed> {
    let setting = Setting {
        folder,
        twodoors: &asked.twodoors,
        pinned: true,
    };
    servers::write_zones(folder, Data::Million)?;
    let mut draw = Draw(asked.seed);
    let questions = kinds_of_questions(&mut draw);
    let servers = asked.servers(&ASKED);
    let mut cpu = vec![vec![Vec::new(); questions.len()]; servers.len()];
    let (name, address) = last();
    for _ in 0..asked.rounds {
        let mut order: Vec<usize> = (0..servers.len()).collect();
        draw.shuffle(&mut order);
        for place in order {
            let kind = servers[place];
            let mut server = servers::start(&setting, kind, Data::Million)?;
            check::answers(&mut server, &name, &address)?;
            let mut inner: Vec<usize> = (0..questions.len()).collect();
            draw.shuffle(&mut inner);
            for which in inner {
                let (what, questions) = &questions[which];
                let mut client =
                    Closed::new(server.address, &both_networks(), OUTSTANDING, questions)?;
                let (_, time) = reading(&mut client, &server.process, asked.reading)
                    .map_err(|error| format!("{}, {what}: {error}", kind.name()))?;
                cpu[place][which].push(time);
            }
            server.process.stop()?;
        }
    }
    let mut table = Table::new(&[
        "CPU us/query",
        "hits",
        "misses",
        "wildcards",
        "nxdomain",
        "largest of hits",
    ]);
    let mut goals = Goals::default();
    for (kind, cpu) in servers.iter().zip(&cpu) {
        let over: Vec<f64> = cpu[1..].iter().map(|other| ratio(other, &cpu[0])).collect();
        let mut row = vec![kind.name().to_owned()];
        row.extend(cpu.iter().map(|series| format!("{:.2}", median(series))));
        row.push(format!("{:.2}", largest(&over)));
        table.row(row);
        if *kind == Kind::Twodoors {
            for ((what, _), over) in questions[1..].iter().zip(over) {
                goals.note(
                    over <= KIND_OVER_HIT,
                    format!("{what}: CPU a query {over:.2} of hits', at most {KIND_OVER_HIT}"),
                );
            }
        }
    }
    println!("{}", table.text());
    Ok(goals)
}
