//! Many views: a thousand that share one zone but for the proxy's name, against two; and a thousand
//! with a zone of their own each.

use std::fmt::Write;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use hickory_proto::rr::RecordType;

use crate::closed::Closed;
use crate::data::{self, Draw, EXTERNAL_DOOR, INTERNAL_DOOR, ORIGIN, Questions};
use crate::figures::{Goals, Table, largest, median, ratio, smallest};
use crate::servers::twodoors::with_views;
use crate::servers::{Setting, free_address, start_plan};
use crate::throughput::reading;
use crate::{Asked, Failed, check};

/// Server time a query with a thousand views, of that with two.
const THOUSAND_OVER_TWO: f64 = 1.10;

/// How many views there are.
const VIEWS: u16 = 1_000;

/// Networks of each view beside the one that the client is in.
const OTHER_PREFIXES: u32 = 9;

/// The client has a socket in each so manieth view.
const EACH: usize = 10;

/// Questions under way on each of its sockets.
const OUTSTANDING: usize = 10;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Arm {
    Two,
    Thousand,
    Separate,
}

const ARMS: [Arm; 3] = [Arm::Two, Arm::Thousand, Arm::Separate];

impl Arm {
    fn name(self) -> &'static str {
        match self {
            Self::Two => "2 views, zone shared",
            Self::Thousand => "1,000 views, zone shared",
            Self::Separate => "1,000 views, 1,000 zones",
        }
    }

    /// Gives the door that the client of a view is sent to.
    fn door(self, view: u16) -> String {
        match self {
            Self::Two if view < VIEWS / 2 => INTERNAL_DOOR.to_owned(),
            Self::Two => EXTERNAL_DOOR.to_owned(),
            Self::Thousand | Self::Separate => format!("10.200.{}.{}", view / 250, view % 250 + 1),
        }
    }
}

/// Gives the first part of the network of a view, 64 addresses.
fn network(view: u16) -> (u16, u16) {
    (view / 4, view % 4 * 64)
}

/// Gives the client of a view.
fn client(view: u16) -> Result<Ipv4Addr, Failed> {
    let (third, fourth) = network(view);
    Ok(Ipv4Addr::new(
        127,
        10,
        u8::try_from(third)?,
        u8::try_from(fourth + 1)?,
    ))
}

/// Gives the ten networks of a view.
fn prefixes(view: u16) -> String {
    let (third, fourth) = network(view);
    let mut all = format!("127.10.{third}.{fourth}/26");
    for other in 0..OTHER_PREFIXES {
        let number = u32::from(view) * OTHER_PREFIXES + other;
        let _ = write!(all, ", 10.{}.{}.0/24", number / 256, number % 256);
    }
    all
}

/// Writes the zones of an arm, and gives its views file.
fn write(arm: Arm, zones: &Path) -> Result<String, Failed> {
    let mut text = "views:\n".to_owned();
    let path = |name: &str| zones.join(format!("{name}.zone")).display().to_string();
    let common = path("common");
    let mut view = |name: &str, matches: &str, door: &str| -> Result<(), Failed> {
        let own = path(name);
        let list = if arm == Arm::Separate {
            fs::write(&own, data::zone(door))?;
            format!("{{origin: {ORIGIN}, file: {own}}}")
        } else {
            fs::write(&own, data::proxy_zone(door))?;
            format!("{{origin: {ORIGIN}, file: {common}}}, {{origin: proxy.{ORIGIN}, file: {own}}}")
        };
        let _ = writeln!(
            text,
            "  - {{name: {name}, match: [{matches}], zones: [{list}]}}"
        );
        Ok(())
    };
    fs::write(&common, data::common_zone())?;
    if arm == Arm::Two {
        // Views 0 to 499 of the other arms are in the lower part.
        view(
            "lower",
            "127.10.0.0/18, 127.10.64.0/19, 127.10.96.0/20, 127.10.112.0/21, \
             127.10.120.0/22, 127.10.124.0/24",
            INTERNAL_DOOR,
        )?;
        view("upper", "any", EXTERNAL_DOOR)?;
    } else {
        for number in 0..VIEWS {
            view(&format!("v{number}"), &prefixes(number), &arm.door(number))?;
        }
    }
    Ok(text)
}

/// Asks from some views for the proxy, and for a name that all share.
fn checked(arm: Arm, server: std::net::SocketAddr) -> Result<(), Failed> {
    let patience = Duration::from_secs(2);
    for view in (0..VIEWS).step_by(37).chain([VIEWS - 1]) {
        let door = arm.door(view);
        for (name, address) in [("proxy", door), ("h7", data::host_address(7))] {
            let name = format!("{name}.{ORIGIN}");
            let answer = check::ask(client(view)?, server, &name, RecordType::A, patience)?;
            let found: Vec<String> = answer
                .iter()
                .flat_map(|answer| &answer.answers)
                .map(|record| record.data.to_string())
                .collect();
            if found != [address.clone()] {
                let from = client(view)?;
                return Err(format!(
                    "{}: {name} from {from}: {found:?}, wanted {address}",
                    arm.name()
                )
                .into());
            }
        }
    }
    Ok(())
}

fn one(
    arm: Arm,
    setting: &Setting<'_>,
    asked: &Asked,
    questions: &Questions,
) -> Result<(f64, f64, f64), Failed> {
    let folder = setting.folder.join(format!("{arm:?}"));
    let (at, zones) = (
        free_address()?,
        setting.folder.join(format!("zones-{arm:?}")),
    );
    fs::create_dir_all(&zones)?;
    let plan = with_views(&folder, at, write(arm, &zones)?);
    let plan = crate::servers::Plan {
        line: [
            vec![setting.twodoors.display().to_string()],
            plan.line[1..].to_vec(),
        ]
        .concat(),
        ..plan
    };
    let server = start_plan(setting, &folder, &plan, at)?;
    server.process.line("ready", Duration::from_secs(120))?;
    checked(arm, at)?;
    let from: Vec<Ipv4Addr> = (0..VIEWS)
        .step_by(EACH)
        .map(client)
        .collect::<Result<_, _>>()?;
    let mut client = Closed::new(at, &from, OUTSTANDING, questions)?;
    let (tally, cpu) = reading(&mut client, &server.process, asked.reading)?;
    let memory = server.process.peak_mib();
    server.process.stop()?;
    Ok((tally.rate(), cpu, memory))
}

pub(crate) fn measure(asked: &Asked, folder: &Path) -> Result<Goals, Failed> {
    let mut goals = Goals::default();
    let Some(setting) = asked.alone(folder) else {
        return Ok(goals);
    };
    let mut draw = Draw(asked.seed);
    let questions = data::questions(&data::names(&mut draw));
    let (mut rates, mut cpu, mut memory) = (
        <[Vec<f64>; 3]>::default(),
        <[Vec<f64>; 3]>::default(),
        <[Vec<f64>; 3]>::default(),
    );
    for _ in 0..asked.rounds {
        let mut order = [0, 1, 2];
        draw.shuffle(&mut order);
        for place in order {
            let (rate, time, held) = one(ARMS[place], &setting, asked, &questions)?;
            rates[place].push(rate);
            cpu[place].push(time);
            memory[place].push(held);
        }
    }
    let mut table = Table::new(&[
        "views",
        "kqps",
        "CPU us/query",
        "best",
        "of 2 views",
        "RSS MiB",
    ]);
    for (place, arm) in ARMS.iter().enumerate() {
        table.row(vec![
            arm.name().to_owned(),
            format!("{:.0}", median(&rates[place]) / 1e3),
            format!("{:.2}", median(&cpu[place])),
            format!("{:.2}", smallest(&cpu[place])),
            format!("{:.2}", ratio(&cpu[place], &cpu[0])),
            format!("{:.0}", largest(&memory[place])),
        ]);
    }
    println!("{}", table.text());
    let over = ratio(&cpu[1], &cpu[0]);
    goals.note(
        over <= THOUSAND_OVER_TWO,
        format!("1,000 views: CPU a query {over:.2} of two views', at most {THOUSAND_OVER_TWO}"),
    );
    Ok(goals)
}
