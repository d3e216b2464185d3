//! A lab with the same zones against the server alone: counting facts must not slow the answers.
//!
//! The lab is the one that `twodoors init` writes, with the bench's zones. What its agents and users
//! take of the processor is measured without questions and taken out.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::closed::{Closed, OUTSTANDING, both_networks};
use crate::data::{self, Draw, EXTERNAL_DOOR, INTERNAL_DOOR, Questions};
use crate::figures::{Goals, Table, median, ratio, smallest};
use crate::process::{Process, pause};
use crate::servers::{self, Data, Kind, Server, Setting};
use crate::throughput::reading;
use crate::{Asked, Failed, check};

/// Server time a query in a lab, of that of the server alone.
const LAB_OVER_ALONE: f64 = 1.10;

/// How long a lab may take until it is ready.
const READY: Duration = Duration::from_secs(60);

/// Starts the lab, and gives it with its DNS server's address.
fn lab(setting: &Setting<'_>, folder: &Path) -> Result<Server, Failed> {
    let _ = fs::remove_dir_all(folder);
    let (program, at) = (
        setting.twodoors.display().to_string(),
        servers::free_address()?,
    );
    let made = Command::new(&program).arg("init").arg(folder).output()?;
    if !made.status.success() {
        return Err(String::from_utf8_lossy(&made.stderr).into());
    }
    let zone = |view: &str| folder.join("zones").join(view).join("example.com.zone");
    fs::write(zone("private"), data::zone(INTERNAL_DOOR))?;
    fs::write(zone("public"), data::zone(EXTERNAL_DOOR))?;
    let scenario = folder.join("scenarios").join("split-dns.yaml");
    let (state, at) = (folder.join("state").display().to_string(), at.to_string());
    let line = [
        &*program,
        "up",
        &scenario.display().to_string(),
        "--dns",
        &at,
        "--http",
        "127.0.0.1:0",
        "--state",
        &state,
    ];
    let line: Vec<String> = line.map(str::to_owned).to_vec();
    let process = Process::start(&line, folder.join("stderr"), setting.pinned)?;
    let ready = process.line("ready", READY)?;
    let address = ready
        .text
        .split(' ')
        .find_map(|word| word.strip_prefix("dns="));
    let address: SocketAddr = address.ok_or("ready without dns=")?.parse()?;
    Ok(Server { process, address })
}

/// One reading without what the process takes when nobody asks.
fn busy(server: &Server, questions: &Questions, us: u64) -> Result<(f64, f64), Failed> {
    let (began, before) = (server.process.age(), server.process.cpu_us()?);
    while server.process.age() < began + us / 2 {
        pause();
    }
    let idle = (server.process.cpu_us()? - before) / (server.process.age() - began) as f64;
    let mut client = Closed::new(server.address, &both_networks(), OUTSTANDING, questions)?;
    let (tally, cpu) = reading(&mut client, &server.process, us)?;
    let own = idle * tally.us as f64 / tally.answered as f64;
    Ok((tally.rate(), cpu - own))
}

pub(crate) fn measure(asked: &Asked, folder: &Path) -> Result<Goals, Failed> {
    let mut goals = Goals::default();
    let Some(setting) = asked.alone(folder) else {
        return Ok(goals);
    };
    servers::write_zones(folder, Data::TwoViews)?;
    let mut draw = Draw(asked.seed);
    let questions = data::questions(&data::names(&mut draw));
    let names = ["alone", "in a lab"];
    let (mut rates, mut cpu) = (<[Vec<f64>; 2]>::default(), <[Vec<f64>; 2]>::default());
    for _ in 0..asked.rounds {
        let mut order = [0, 1];
        draw.shuffle(&mut order);
        for place in order {
            let mut server = if place == 0 {
                servers::start(&setting, Kind::Twodoors, Data::TwoViews)?
            } else {
                lab(&setting, &folder.join("lab"))?
            };
            check::two_views(&mut server, Kind::Twodoors.views())
                .map_err(|error| format!("{}: {error}", names[place]))?;
            let (rate, time) = busy(&server, &questions, asked.reading)?;
            rates[place].push(rate);
            cpu[place].push(time);
            server.process.stop()?;
        }
    }
    let mut table = Table::new(&["twodoors", "kqps", "CPU us/query", "best", "of alone"]);
    for (place, name) in names.iter().enumerate() {
        table.row(vec![
            (*name).to_owned(),
            format!("{:.0}", median(&rates[place]) / 1e3),
            format!("{:.2}", median(&cpu[place])),
            format!("{:.2}", smallest(&cpu[place])),
            format!("{:.2}", ratio(&cpu[place], &cpu[0])),
        ]);
    }
    println!("{}", table.text());
    let over = ratio(&cpu[1], &cpu[0]);
    goals.note(
        over <= LAB_OVER_ALONE,
        format!("in a lab: CPU a query {over:.2} of alone, at most {LAB_OVER_ALONE}"),
    );
    Ok(goals)
}
