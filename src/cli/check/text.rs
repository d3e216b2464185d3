//! The resolved topology for people: aligned columns, in the order of the file.

use std::fmt::Display;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::Path;

use crate::model::network::{Element, Mode};
use crate::model::teleport::{Backoff, FIND_CACHE, Port, Strategy, WebCertificate};
use crate::model::time::Span;
use crate::model::timeline::{Begin, Step, What};
use crate::model::topology::{Agent, Algorithm, App, Miss, Share, Start, Topology};

use super::words;

/// Up to so many lines are counted by eye.
const COUNTED_BY_EYE: usize = 9;

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
    resolvers(topology, out)?;
    people(topology, out)?;
    run(topology, out)
}

fn dns(topology: &Topology, out: &mut dyn Write) -> io::Result<()> {
    let dns = &topology.dns;
    let listeners: Vec<_> = dns.listeners().collect();
    let trusted = match dns.ecs_trusted.as_slice() {
        [] => String::from("client subnet ignored"),
        some => format!("client subnet taken from {}", list(some)),
    };
    let mut notes = vec![format!("DNS server {}", list(&listeners)), trusted];
    if !dns.proxy_trusted.is_empty() {
        let senders = list(&dns.proxy_trusted);
        notes.push(format!("PROXY header taken from {senders}"));
    }
    if dns.reload_limit != Share::ALL {
        notes.push(format!("a reload may change {}", dns.reload_limit));
    }
    let mode = match dns.mode {
        Mode::FirstMatch => "first match",
        Mode::LongestPrefix => "longest prefix",
    };
    let title = format!("views, {mode} answers ({})", notes.join(", "));
    let rows = dns.views.iter().flat_map(|view| {
        view.zones.iter().enumerate().map(|(index, zone)| {
            let first = index == 0;
            let name = if first {
                view.name.to_string()
            } else {
                String::new()
            };
            let rules = if first {
                let clients = elements(&view.match_clients);
                match view.match_destinations.as_slice() {
                    [] => clients,
                    some => format!("{clients} at {}", elements(some)),
                }
            } else {
                String::new()
            };
            vec![
                name,
                rules,
                zone.origin.clone(),
                match zone.miss {
                    Miss::Nxdomain => zone.file.display().to_string(),
                    Miss::Public | Miss::Refuse => {
                        format!("{}, miss {}", zone.file.display(), zone.miss.word())
                    }
                },
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
            format!("PROXY header {}", words::send_proxy(balancer.send_proxy)),
        ]
    });
    section(out, "balancers", rows)
}

fn pool(topology: &Topology, out: &mut dyn Write) -> io::Result<()> {
    let pool = &topology.pool;
    let service = &pool.teleport;
    let public = match service.public.as_slice() {
        [] => String::from("no public_addr"),
        some => list(some),
    };
    let mode = words::mode(service.mode);
    let title = format!("pool {} ({public}, {mode})", pool.name);
    let rows = pool.proxies.iter().map(|proxy| {
        vec![
            format!("proxy/{}", proxy.name),
            proxy.listen.to_string(),
            proxy.id.to_string(),
        ]
    });
    section(out, &title, rows)?;
    let strategy = match service.strategy {
        Strategy::AgentMesh => words::strategy(service.strategy).to_owned(),
        Strategy::ProxyPeering { connections } => {
            format!("{} of {connections}", words::strategy(service.strategy))
        }
    };
    let certificate = match &service.certificate {
        WebCertificate::Elsewhere => {
            String::from("web certificate of the lab, for https_keypairs that are elsewhere")
        }
        WebCertificate::Read(names) => format!("web certificate for {}", list(names)),
        WebCertificate::SelfSigned => String::from("web certificate of Teleport's own making"),
    };
    let title = format!(
        "listeners of an instance ({}, proxy_protocol {}, {strategy}, {certificate})",
        words::version(service.version),
        words::proxy_protocol(service.proxy_protocol),
    );
    let rows = Port::ALL.into_iter().filter_map(|port| {
        let listen = service.listener(port);
        let public = words::public(service, port);
        if listen.is_none() && public.is_empty() {
            return None;
        }
        let listen = listen.map_or_else(|| String::from("-"), ToString::to_string);
        let public = match public {
            [] => String::new(),
            some => format!("public {}", list(some)),
        };
        Some(vec![port.to_string(), listen, public])
    });
    section(out, &title, rows)
}

fn resolvers(topology: &Topology, out: &mut dyn Write) -> io::Result<()> {
    if topology.resolvers.is_empty() {
        return Ok(());
    }
    let rows = topology.resolvers.iter().map(|resolver| {
        let on = resolver.on.as_ref();
        vec![
            resolver.name.to_string(),
            resolver.listen.to_string(),
            on.map_or_else(String::new, |on| format!("on {on}")),
        ]
    });
    section(out, "resolvers", rows)
}

fn people(topology: &Topology, out: &mut dyn Write) -> io::Result<()> {
    let title = format!(
        "agents{} (a full mesh is {} tunnels)",
        how_many(topology.agents.len()),
        topology.mesh_size()
    );
    let rows = topology.agents.iter().map(|agent| Row {
        name: &agent.name,
        address: agent.address,
        network: &agent.network,
        rest: vec![
            asks(agent.resolver.as_deref(), &agent.proxy_server.to_string()),
            serves(agent),
        ]
        .into_iter()
        .chain(settings(agent))
        .collect(),
    });
    section(out, &title, folded(rows))?;
    let title = format!("users{}", how_many(topology.users.len()));
    let rows = topology.users.iter().map(|user| {
        let start = match user.start {
            Start::After(span) => format!("after {span}"),
            Start::Mesh => String::from("from full mesh"),
        };
        let resolver = user.resolver.iter();
        let resolver = resolver.map(|resolver| format!("resolver {resolver}"));
        let proxy = user.proxy.iter().map(|proxy| format!("--proxy {proxy}"));
        Row {
            name: &user.name,
            address: user.address,
            network: &user.network,
            rest: [
                format!("every {} {start}", user.every),
                format!("visits {}", list(&user.visits)),
            ]
            .into_iter()
            .chain(resolver)
            .chain(proxy)
            .collect(),
        }
    });
    section(out, &title, folded(rows))
}

/// Counts those who are too many to be counted by eye.
fn how_many(count: usize) -> String {
    if count > COUNTED_BY_EYE {
        format!(", {count} in all")
    } else {
        String::new()
    }
}

fn asks(resolver: Option<&str>, server: &str) -> String {
    resolver.map_or_else(
        || format!("asks {server}"),
        |resolver| format!("asks {server} (resolver {resolver})"),
    )
}

fn serves(agent: &Agent) -> String {
    let apps = agent.apps.iter().map(app);
    let databases = agent.databases.iter().map(|database| {
        let (name, protocol) = (&database.name, &database.protocol);
        let target = database.target.as_ref();
        let target = target.map_or_else(|| String::from("no target"), ToString::to_string);
        format!("{protocol} {name} ({target})")
    });
    let all: Vec<String> = apps.chain(databases).collect();
    if all.is_empty() {
        return String::from("serves no app");
    }
    format!("serves {}", all.join(", "))
}

/// What is not as it is without a word of the user.
fn settings(agent: &Agent) -> Vec<String> {
    let mut settings = Vec::new();
    if let Some(address) = &agent.tunnel_public_addr {
        settings.push(format!("TELEPORT_TUNNEL_PUBLIC_ADDR={address}"));
    }
    if agent.find_cache != FIND_CACHE {
        settings.push(format!("find cached {}", agent.find_cache));
    }
    match agent.backoff {
        Backoff::Teleport => {}
        Backoff::Fixed { wait } => settings.push(format!("back-off fixed {wait}")),
        Backoff::FullJitter { first, cap } | Backoff::JitterBeforeCap { first, cap } => {
            let kind = words::backoff(agent.backoff);
            settings.push(format!("back-off {kind} {first} to {cap}"));
        }
    }
    settings
}

/// What a run does and expects, where the scenario says so.
fn run(topology: &Topology, out: &mut dyn Write) -> io::Result<()> {
    if !topology.timeline.is_empty() {
        let title = format!("timeline (a run lasts {})", topology.duration);
        let mut rows = Vec::new();
        steps(&topology.timeline, "", &mut rows);
        section(out, &title, rows.into_iter())?;
    }
    if topology.expect.is_empty() {
        return Ok(());
    }
    let rows = topology.expect.iter().map(|expectation| {
        let mut notes = Vec::new();
        if expectation.evidence > 1 {
            notes.push(format!("at least {} facts", expectation.evidence));
        }
        if expectation.abort {
            notes.push(String::from("ends the run when it fails"));
        }
        vec![expectation.text.to_string(), notes.join(", ")]
    });
    section(out, "expectations", rows)
}

/// Writes steps, those of a parallel below it and further in.
fn steps(of: &[Step], indent: &str, rows: &mut Vec<Vec<String>>) {
    for step in of {
        let text = match &step.what {
            What::Parallel(_) => String::from("together"),
            What::Act { .. }
            | What::Certificate { .. }
            | What::Fault(_)
            | What::Record(_)
            | What::Reload
            | What::Roam(_)
            | What::Wait => step.text.to_string(),
        };
        rows.push(vec![format!("{indent}{}", begin(&step.begin)), text]);
        if let What::Parallel(steps) = &step.what {
            self::steps(steps, &format!("{indent}  "), rows);
        }
    }
}

/// Says when a step begins.
pub(super) fn begin(begin: &Begin) -> String {
    match begin {
        Begin::At(at) => format!("at {at}"),
        Begin::Then(Span::ZERO) => String::from("then"),
        Begin::Then(after) => format!("{after} later"),
        Begin::When(condition, Span::ZERO) => format!("when {condition}"),
        Begin::When(condition, after) => format!("{after} after {condition}"),
    }
}

/// An agent or a user.
struct Row<'a> {
    name: &'a str,
    address: IpAddr,
    network: &'a str,
    rest: Vec<String>,
}

/// Folds runs of a fleet, who differ in number and address alone, into one line each.
fn folded<'a>(rows: impl Iterator<Item = Row<'a>>) -> impl Iterator<Item = Vec<String>> {
    let mut runs: Vec<(Row<'a>, Option<Row<'a>>)> = Vec::new();
    for row in rows {
        match runs.last_mut() {
            Some((first, last)) if follows(last.as_ref().unwrap_or(first), &row) => {
                *last = Some(row);
            }
            _ => runs.push((row, None)),
        }
    }
    runs.into_iter().map(|(first, last)| {
        let (mut name, mut address) = (first.name.to_owned(), first.address.to_string());
        if let Some(last) = last {
            name = format!("{name} … {}", last.name);
            address = format!("{address} … {}", last.address);
        }
        let columns = [name, first.network.to_owned(), address];
        columns.into_iter().chain(first.rest).collect()
    })
}

/// Tells whether `next` is the next of the same fleet.
fn follows(row: &Row<'_>, next: &Row<'_>) -> bool {
    let number = |name: &str| {
        let (fleet, number) = name.rsplit_once('-')?;
        Some((fleet.to_owned(), number.parse::<u64>().ok()?))
    };
    let numbers = number(row.name).zip(number(next.name));
    let in_turn = numbers.is_some_and(|((fleet, one), (other, two))| {
        fleet == other && Some(two) == one.checked_add(1)
    });
    in_turn && row.network == next.network && row.rest == next.rest
}

/// Gives the word of the scenario file for an algorithm.
pub(super) const fn algorithm(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::LeastConnections => "least_connections",
        Algorithm::RoundRobin => "round_robin",
    }
}

fn app(app: &App) -> String {
    let target = app.target.as_ref();
    let target = target.map_or_else(|| String::from("built-in"), ToString::to_string);
    let open = if app.login { "" } else { ", no login" };
    format!("{} ({target}{open})", app.name)
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
