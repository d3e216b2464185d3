//! The resolved topology for people: aligned columns, in the order of the file.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;

use crate::model::network::Element;
use crate::model::topology::{Algorithm, App, Start, Topology};

/// Writes a topology.
pub(super) fn topology(path: &Path, topology: &Topology, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "{}: scenario {}, seed {}",
        path.display(),
        topology.name,
        topology.seed.0
    )?;
    let networks = topology.networks.iter();
    let rows = networks.map(|network| vec![network.name.to_string(), list(&network.ranges)]);
    section(out, "networks", rows)?;
    dns(topology, out)?;
    balancers(topology, out)?;
    pool(topology, out)?;
    people(topology, out)
}

fn dns(topology: &Topology, out: &mut dyn Write) -> io::Result<()> {
    let dns = &topology.dns;
    let trusted = match dns.ecs_trusted.as_slice() {
        [] => String::from("client subnet ignored"),
        some => format!("client subnet taken from {}", list(some)),
    };
    let title = format!(
        "views, first match answers (DNS server {}, {trusted})",
        dns.listen
    );
    let rows = dns.views.iter().flat_map(|view| {
        view.zones.iter().enumerate().map(|(index, zone)| {
            let first = index == 0;
            let name = if first {
                view.name.to_string()
            } else {
                String::new()
            };
            let rules = if first {
                elements(&view.match_clients)
            } else {
                String::new()
            };
            vec![
                name,
                rules,
                zone.origin.clone(),
                zone.file.display().to_string(),
            ]
        })
    });
    section(out, &title, rows)
}

fn balancers(topology: &Topology, out: &mut dyn Write) -> io::Result<()> {
    let rows = topology.balancers.iter().map(|balancer| {
        let allow = match balancer.allow.as_slice() {
            [] => String::from("any"),
            some => elements(some),
        };
        let meant = balancer
            .meant_for
            .map_or_else(|| String::from("-"), |role| role.to_string());
        let check = balancer.check;
        vec![
            balancer.name.to_string(),
            list(&balancer.listen),
            format!("allow {allow}"),
            algorithm(balancer.algorithm).to_owned(),
            format!("for {meant}"),
            format!(
                "check every {} within {}, rise {}, fall {}",
                check.interval, check.timeout, check.rise, check.fall
            ),
        ]
    });
    section(out, "balancers", rows)
}

fn pool(topology: &Topology, out: &mut dyn Write) -> io::Result<()> {
    let pool = &topology.pool;
    let mode = if pool.tls_routing {
        "multiplex"
    } else {
        "separate"
    };
    let title = format!("pool {} ({}, {mode})", pool.name, list(&pool.public_addrs));
    let rows = pool.proxies.iter().map(|proxy| {
        vec![
            format!("proxy/{}", proxy.name),
            proxy.listen.to_string(),
            proxy.id.to_string(),
        ]
    });
    section(out, &title, rows)
}

fn people(topology: &Topology, out: &mut dyn Write) -> io::Result<()> {
    let title = format!("agents (a full mesh is {} tunnels)", topology.mesh_size());
    let rows = topology.agents.iter().map(|agent| {
        let apps: Vec<String> = agent.apps.iter().map(app).collect();
        vec![
            agent.name.to_string(),
            agent.network.to_string(),
            agent.address.to_string(),
            format!("asks {}", agent.proxy_server),
            format!("serves {}", apps.join(", ")),
        ]
    });
    section(out, &title, rows)?;
    let rows = topology.users.iter().map(|user| {
        let start = match user.start {
            Start::After(span) => format!("after {span}"),
            Start::Mesh => String::from("from full mesh"),
        };
        vec![
            user.name.to_string(),
            user.network.to_string(),
            user.address.to_string(),
            format!("every {} {start}", user.every),
            format!("visits {}", list(&user.visits)),
        ]
    });
    section(out, "users", rows)
}

/// Gives the word of the scenario file for an algorithm.
pub(super) const fn algorithm(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::LeastConnections => "least_connections",
        Algorithm::RoundRobin => "round_robin",
    }
}

fn app(app: &App) -> String {
    app.target.as_ref().map_or_else(
        || format!("{} (built-in)", app.name),
        |target| format!("{} ({target})", app.name),
    )
}

fn elements(elements: &[Element]) -> String {
    list(elements)
}

fn list<T: Display>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    items.join(", ")
}

/// Writes a title and rows, every column as wide as its widest cell.
fn section(
    out: &mut dyn Write,
    title: &str,
    rows: impl Iterator<Item = Vec<String>>,
) -> io::Result<()> {
    let rows: Vec<Vec<String>> = rows.collect();
    writeln!(out, "\n{title}")?;
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    if rows.is_empty() {
        writeln!(out, "  none")?;
    }
    for row in &rows {
        let cells = row.iter().zip(&widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        writeln!(out, "  {}", cells.join("  ").trim_end())?;
    }
    Ok(())
}
