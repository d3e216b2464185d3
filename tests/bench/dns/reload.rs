//! A hundred reloads under load: no question lost, and no answer that mixes two generations.
//!
//! Each generation of the zone changes a pair of texts in one RRset, and an alias together with the
//! name and address that it leads to. The next reload is asked for when an answer shows the last.

use std::cell::{Cell, RefCell};
use std::fs;
use std::path::Path;
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;

use crate::closed::{Closed, OUTSTANDING, both_networks};
use crate::data::{self, A, Draw, EXTERNAL_DOOR, INTERNAL_DOOR, NOERROR, ORIGIN};
use crate::figures::Goals;
use crate::paced::{Stream, drive};
use crate::process;
use crate::servers::{self, Data, Kind};
use crate::throughput::reading;
use crate::{Asked, Failed, check};

/// How often the zones are changed.
const RELOADS: u32 = 100;

/// The load, of what the server can do.
const LOAD: f64 = 0.7;

/// Questions that may be lost, and answers that may mix generations.
const NONE: u64 = 0;

/// One question in so many asks for what changes.
const WATCHED: u32 = 50;

/// A reload that is not seen after so many microseconds will not be.
const PATIENCE: u64 = 10_000_000;

/// Reloads are at least so many microseconds apart.
const APART: u64 = 100_000;

/// TXT, in wire form.
const TXT: u16 = 16;

/// What an answer says of its generation.
#[derive(Debug, Eq, PartialEq)]
enum Told {
    /// It is about something else.
    Nothing,
    Generation(u32),
    Mixed(String),
}

/// Gives the label after the header, where the question stands.
fn asks_for(message: &[u8], label: &str) -> bool {
    let name = message.get(13..13 + label.len());
    name == Some(label.as_bytes()) && message.get(12).copied() == u8::try_from(label.len()).ok()
}

/// Reads the generation of an answer: all that it holds has to be of one.
fn told(bytes: &[u8]) -> Told {
    if !asks_for(bytes, "pair") && !asks_for(bytes, "chain") {
        return Told::Nothing;
    }
    let Ok(message) = Message::from_vec(bytes) else {
        return Told::Mixed("an answer that cannot be read".into());
    };
    let words: Vec<String> = message
        .answers
        .iter()
        .map(|record| format!("{} {}", record.name, record.data))
        .collect();
    let generation = |word: &String| {
        let data = word.rsplit(' ').next()?.trim_matches(['"', '.']);
        if let Some((_, number)) = data.split_once('=') {
            return number.parse().ok();
        }
        if let Some(rest) = data.strip_prefix("generation-") {
            return rest.split('.').next()?.parse().ok();
        }
        let [_, _, high, low] = data.parse::<std::net::Ipv4Addr>().ok()?.octets();
        Some(u32::from(high) * 256 + u32::from(low))
    };
    let all: Vec<Option<u32>> = words.iter().map(generation).collect();
    match *all {
        [Some(one), Some(other)] if one == other => Told::Generation(one),
        _ => Told::Mixed(words.join("; ")),
    }
}

/// The zones, by name and address of the door.
const ZONES: [(&str, &str); 2] = [("private", INTERNAL_DOOR), ("public", EXTERNAL_DOOR)];

/// Writes the zones of all generations beside those in force: the client has no time for it later.
fn prepare(folder: &Path) -> Result<(), Failed> {
    for generation in 0..=RELOADS {
        for (name, door) in ZONES {
            let zone = data::generation_zone(door, generation);
            fs::write(folder.join(format!("{name}.{generation}")), zone)?;
        }
    }
    Ok(())
}

/// Puts both zones of a generation in force, each at once.
fn put(folder: &Path, generation: u32) -> Result<(), Failed> {
    for (name, _) in ZONES {
        let new = folder.join(format!("{name}.{generation}"));
        fs::rename(new, folder.join(format!("{name}.zone")))?;
    }
    Ok(())
}

/// Shows that an answer of two generations is seen: one digit of a right answer is changed.
fn twin(server: std::net::SocketAddr) -> Result<(), Failed> {
    let name = format!("pair.{ORIGIN}");
    let patience = Duration::from_secs(2);
    let answer = check::ask(check::INSIDE, server, &name, RecordType::TXT, patience)?;
    let mut bytes = answer.ok_or("no answer for the pair")?.to_vec()?;
    if told(&bytes) != Told::Generation(0) {
        return Err(format!("generation 0 is not told: {:?}", told(&bytes)).into());
    }
    let place = bytes.windows(5).position(|window| window == b"two=0");
    bytes[place.ok_or("the pair is not there")? + 4] = b'9';
    if !matches!(told(&bytes), Told::Mixed(_)) {
        return Err("the check is broken: it took a mixed answer".into());
    }
    Ok(())
}

pub(crate) fn measure(asked: &Asked, folder: &Path) -> Result<Goals, Failed> {
    let mut goals = Goals::default();
    let Some(setting) = asked.alone(folder) else {
        return Ok(goals);
    };
    prepare(folder)?;
    put(folder, 0)?;
    let mut server = servers::start(&setting, Kind::Twodoors, Data::TwoViews)?;
    check::two_views(&mut server, Kind::Twodoors.views())?;
    twin(server.address)?;
    let mut draw = Draw(asked.seed);
    let names = data::names(&mut draw);
    let questions = data::questions(&names);
    let mut client = Closed::new(server.address, &both_networks(), OUTSTANDING, &questions)?;
    let (tally, _) = reading(&mut client, &server.process, asked.reading)?;
    drop(client);
    let mut watched = data::Questions::default();
    for (name, number) in names.iter().zip(0_u32..) {
        match number % WATCHED {
            0 => watched.ask(&format!("pair.{ORIGIN}"), TXT, NOERROR),
            1 => watched.ask(&format!("chain.{ORIGIN}"), A, NOERROR),
            _ => watched.ask(name, A, NOERROR),
        }
    }
    let rate = tally.rate() * LOAD;
    let streams = &mut [Stream::new(
        server.address,
        &both_networks(),
        rate,
        &watched,
    )?];
    let seen = Cell::new(0);
    let mixed = RefCell::new(Vec::new());
    let mut wanted = 0;
    let mut since = 0;
    let mut failed = None;
    let done = |now: u64| {
        if seen.get() < wanted {
            if now > since + PATIENCE {
                failed = Some(format!("reload {wanted} was not seen").into());
            }
            return failed.is_some();
        }
        if now < since + APART {
            return false;
        }
        if wanted == RELOADS {
            return true;
        }
        wanted += 1;
        since = now;
        let written = put(folder, wanted).and_then(|()| server.process.reload());
        failed = written.err();
        failed.is_some()
    };
    let mut look = |message: &[u8]| match told(message) {
        Told::Nothing => {}
        Told::Generation(generation) => seen.set(seen.get().max(generation)),
        Told::Mixed(what) => mixed.borrow_mut().push(what),
    };
    let fate = drive(streams, done, &mut look)?;
    if let Some(error) = failed {
        return Err(format!("{error}; it said:\n{}", server.process.said()).into());
    }
    let fate = fate.first().ok_or("nothing was asked")?;
    let mixed = mixed.into_inner();
    println!(
        "{RELOADS} reloads, {rate:.0} questions a second ({LOAD} of {:.0}): {} asked, {:.0} skipped by \
         the client, {} lost ({} in the server's queue), {} mixed, p50 {} us, p99 {} us\n",
        tally.rate(),
        fate.sent,
        fate.skipped,
        fate.lost,
        process::overflowed(server.address)?,
        mixed.len(),
        fate.p50_us,
        fate.p99_us,
    );
    for what in mixed.iter().take(3) {
        println!("mixed: {what}");
    }
    goals.note(
        fate.lost == NONE,
        format!("{} questions lost in {RELOADS} reloads", fate.lost),
    );
    goals.note(
        u64::try_from(mixed.len())? == NONE,
        format!("{} answers mix generations", mixed.len()),
    );
    server.process.stop()?;
    Ok(goals)
}
