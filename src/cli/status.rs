//! `twodoors status`: the state of a running lab, as tables or as the API's own JSON.

use std::io::Write;

use clap::Args as ClapArgs;
use serde_json::Value;

use super::client::Which;
use super::table::Table;
use super::{Exit, Io};
use crate::model::escaped::Escaped;
use crate::model::time::Span;

/// Show the state of a running lab.
#[derive(Clone, Debug, ClapArgs)]
pub struct Args {
    #[command(flatten)]
    which: Which,

    /// Print the whole snapshot as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Runs the verb.
pub fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    let answer = args.which.find()?.get("/api/snapshot")?;
    anyhow::ensure!(
        answer.status.is_success(),
        "the lab answered {}",
        answer.status
    );
    if args.json {
        writeln!(io.out, "{:#}", answer.body)?;
    } else {
        print(&answer.body, io.out)?;
    }
    Ok(Exit::Success)
}

fn print(state: &Value, out: &mut dyn Write) -> anyhow::Result<()> {
    let mesh = &state["mesh"];
    let complete = match mesh["complete_after_us"].as_u64() {
        Some(us) => format!(", complete {} after ready", Span::from_us(us)),
        None => String::new(),
    };
    let at = Span::from_us(state["at_us"].as_u64().unwrap_or(0));
    writeln!(
        out,
        "{} at {at}: mesh {}/{}{complete}, rules generation {}\n",
        text(&state["name"]),
        mesh["now"],
        mesh["full"],
        state["generation"],
    )?;

    let mut doors = Table::new(&[
        "balancer",
        "listens",
        "state",
        "open",
        "by network",
        "backends",
    ]);
    for door in list(&state["balancers"]) {
        let networks = list(&door["networks"]).map(|count| {
            let refused = match count["refused"].as_u64() {
                Some(0) | None => String::new(),
                Some(refused) => format!(" ({refused} refused)"),
            };
            let name = count["network"].as_str().unwrap_or("elsewhere");
            format!("{name} {}{refused}", count["opened"])
        });
        let backends = list(&door["backends"])
            .map(|backend| format!("{} {}", text(&backend["proxy"]), text(&backend["health"])));
        doors.row([
            text(&door["name"]),
            join(list(&door["listen"]).map(text)),
            text(&door["admin"]),
            door["open"].to_string(),
            join(networks),
            join(backends),
        ]);
    }
    doors.print(out)?;

    let mut pool = Table::new(&[
        "proxy",
        "listens",
        "state",
        "tunnels",
        "routed",
        "no_tunnel",
        "cut",
    ]);
    for proxy in list(&state["proxies"]) {
        pool.row([
            text(&proxy["name"]),
            text(&proxy["listen"]),
            text(&proxy["admin"]),
            proxy["tunnels"].to_string(),
            proxy["routed"].to_string(),
            proxy["no_tunnel"].to_string(),
            proxy["cut"].to_string(),
        ]);
    }
    pool.print(out)?;

    let mut agents = Table::new(&[
        "agent", "network", "address", "state", "verified", "tunnels",
    ]);
    for agent in list(&state["agents"]) {
        let tunnels = list(&agent["tunnels"]).map(|tunnel| {
            let proxy = text(&tunnel["proxy"]);
            match (tunnel["up"].as_bool(), tunnel["balancer"].as_str()) {
                (Some(true), Some(door)) => format!("{proxy} by {door}{}", after(tunnel)),
                (Some(true), None) => format!("{proxy} up"),
                _ => format!("{proxy} -"),
            }
        });
        agents.row([
            text(&agent["name"]),
            text(&agent["network"]),
            text(&agent["address"]),
            text(&agent["admin"]),
            verified(agent),
            join(tunnels),
        ]);
    }
    agents.print(out)?;

    let mut users = Table::new(&["user", "network", "address", "answered", "failed", "doors"]);
    for user in list(&state["users"]) {
        let failures = list(&user["failures"])
            .map(|failure| format!("{} {}", failure["count"], text(&failure["reason"])));
        let doors = list(&user["doors"])
            .map(|door| format!("{} {}", text(&door["balancer"]), door["count"]));
        users.row([
            text(&user["name"]),
            text(&user["network"]),
            text(&user["address"]),
            user["answered"].to_string(),
            join(failures),
            join(doors),
        ]);
    }
    users.print(out)?;

    for fault in list(&state["faults"]) {
        writeln!(out, "{}", super::fault::line(fault))?;
    }
    for finding in list(&state["findings"]) {
        writeln!(
            out,
            "{}: {}",
            text(&finding["id"]),
            text(&finding["detail"])
        )?;
    }
    Ok(())
}

/// How long after the door saw the proxy up again the tunnel stood, where that happened.
/// Gives the names that were verified for the tunnels that stand, each once.
fn verified(agent: &Value) -> String {
    let up = list(&agent["tunnels"]).filter(|tunnel| tunnel["up"] == true);
    let names: std::collections::BTreeSet<&str> = up
        .filter_map(|tunnel| tunnel["verified"].as_str())
        .collect();
    if names.is_empty() {
        return String::from("-");
    }
    names.into_iter().collect::<Vec<_>>().join(" ")
}

fn after(tunnel: &Value) -> String {
    match tunnel["after_rise_us"].as_u64() {
        Some(us) => format!(" (+{} after rise)", Span::from_us(us)),
        None => String::new(),
    }
}

pub(super) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// What the lab says may hold what the wire held.
pub(super) fn text(value: &Value) -> String {
    Escaped(value.as_str().unwrap_or_default()).to_string()
}

fn join(parts: impl Iterator<Item = String>) -> String {
    let joined = parts.collect::<Vec<_>>().join(", ");
    if joined.is_empty() {
        String::from("-")
    } else {
        joined
    }
}
