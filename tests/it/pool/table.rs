//! The table of `explain dial`, over sockets: what is explained is what happens.
//!
//! Each case's files make a lab of one instance behind one door, where every name of the zone
//! leads. The agent's first dial after find has answered must go to the table's address by the
//! table's rule, and end in a tunnel that verified the table's name, or in the cause that follows.

use std::fs;
use std::path::Path;

use twodoors::lab::Options;
use twodoors::lab::load::load;
use twodoors::model::addr::ListenAddr;
use twodoors::model::fact::{Cause, Fact, Kind};
use twodoors::model::id::Seq;
use twodoors::policy::address::Rule;
use twodoors::scenario::files::Disk;

use super::kit::PATIENCE;
use crate::explain::proxy_file;
use crate::explain::table::{CASES, Case, Expected};
use crate::lab::Whole;

const SCENARIO: &str = "\
name: table
seed: 1
networks: {internal: [127.10.0.0/16]}
dns:
  listen: 127.0.0.1:5300
  views: [{name: all, match: [any], zones: [../zones/private/example.com.zone]}]
pool: {name: proxies, size: 1, addresses: 127.30.0.0/24, teleport: teleport/proxy.yaml}
balancers:
  - name: door
    listen: [127.10.0.2:3080]
    check: {interval: 500ms, timeout: 400ms, rise: 1, fall: 3}
agents:
  - {name: orders, network: internal, address: 127.10.0.11, teleport: teleport/orders.yaml}
";

/// What becomes of the first dial.
#[derive(Debug, PartialEq)]
enum End {
    Claimed(String),
    Failed(Cause),
}

/// Says what must become of a dial to this host, from the table's columns.
fn end(host: &str, multiplex: bool, listed: bool, listener: &str) -> End {
    match (multiplex, listed, listener) {
        // Without keypairs the web certificate holds the hosts of public_addr (reference 2.3).
        (true, false, _) => End::Failed(Cause::TlsName),
        // The tunnel's own listener has the minimal web API over TLS, and no tunnels (3.3).
        (true, true, "tunnel") => End::Failed(Cause::Alpn),
        // Raw SSH on a web listener that is not the tunnel's.
        (false, _, "web") => End::Failed(Cause::Ssh),
        (false, false, _) => End::Failed(Cause::Principal),
        (true | false, true, _) => End::Claimed(host.to_owned()),
    }
}

/// Gives the first public address with its port, which is asked for find.
fn first_public(case: &Case) -> (String, u16) {
    let line = case
        .proxy
        .iter()
        .find(|line| line.starts_with("public_addr"));
    let value = line.unwrap().trim_start_matches("public_addr: ");
    let first = value.trim_matches(['[', ']']).split(',').next().unwrap();
    match first.split_once(':') {
        Some((host, port)) => (host.to_owned(), port.parse().unwrap()),
        None => (first.to_owned(), 3080),
    }
}

/// Lays the case's files over the lab's.
fn lay(options: &mut Options, case: &Case) {
    let ListenAddr(mut door) = options.loaded.topology.balancers[0].listen[0];
    let folder = options.path.parent().unwrap().to_owned();
    let write = |name: &str, text: String| fs::write(folder.join(Path::new(name)), text).unwrap();
    let (host, port) = first_public(case);
    write("teleport/proxy.yaml", proxy_file(case));
    write(
        "teleport/orders.yaml",
        format!(
            "version: v3\nteleport: {{proxy_server: '{host}:{port}'}}\n\
             auth_service: {{enabled: no}}\nproxy_service: {{enabled: no}}\n\
             app_service: {{enabled: yes, apps: [{{name: orders, uri: 'http://localhost:1'}}]}}\n"
        ),
    );
    write(
        "../zones/private/example.com.zone",
        format!(
            "$ORIGIN example.com.\n$TTL 1m\n@ SOA ns1 hostmaster (1 1h 10m 1w 60)\n  NS ns1\n\
             ns1 A 127.0.0.1\n* A {}\n",
            door.ip()
        ),
    );
    let dns = options.loaded.topology.dns.clone();
    options.loaded = load(&options.path, &Disk).unwrap_or_else(|e| panic!("{}: {e:?}", case.name));
    let topology = &mut options.loaded.topology;
    topology.dns = dns;
    topology.agents[0].tunnel_public_addr = case.variable.map(Into::into);
    let mut ports = vec![port];
    if let Expected::Dial(address, ..) = case.expected {
        let (_, port) = address.rsplit_once(':').unwrap();
        ports.push(port.parse().unwrap());
    }
    ports.dedup();
    let listen = ports.into_iter().map(|port| {
        door.set_port(port);
        ListenAddr(door)
    });
    topology.balancers[0].listen = listen.collect();
}

async fn run(case: &Case) {
    let name = case.name;
    let whole = Whole::told(Some(SCENARIO), |options| lay(options, case)).await;
    let (address, rule, expected) = match case.expected {
        Expected::Dial(address, rule, _, listed, listener) => {
            let (host, _) = address.rsplit_once(':').unwrap();
            let multiplex = case.mode == "multiplex";
            (address, rule, end(host, multiplex, listed, listener))
        }
        Expected::Error(words) => {
            let is = |fact: &Fact| match &fact.kind {
                Kind::DialFailed { cause, error, .. } => {
                    *cause == Cause::NoPort && error.contains(words)
                }
                _ => false,
            };
            whole.fact((name, PATIENCE), Seq(0), is).await;
            whole.lab.stop().await;
            return;
        }
    };
    let found = |fact: &Fact| matches!(fact.kind, Kind::AddressFound { .. });
    let fact = whole.fact((name, PATIENCE), Seq(0), found).await;
    let Kind::AddressFound {
        dial,
        address: to,
        rule: won,
        ..
    } = &fact.kind
    else {
        panic!("{fact:?}");
    };
    assert_eq!(to.to_string(), address, "{name}");
    let text = Rule::ALL.iter().find(|known| known.word() == rule).unwrap();
    assert_eq!(*won, text.text(), "{name}");
    // Numbers lead to no door of this lab.
    if address.contains("example.com") {
        let ended = |fact: &Fact| match &fact.kind {
            Kind::Claimed { dial: of, .. } | Kind::DialFailed { dial: of, .. } => of == dial,
            _ => false,
        };
        let fact = whole.fact((name, PATIENCE), fact.seq, ended).await;
        let seen = match &fact.kind {
            Kind::Claimed { principal, .. } => End::Claimed(principal.to_string()),
            Kind::DialFailed { cause, .. } => End::Failed(*cause),
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(seen, expected, "{name}: {fact:?}");
    }
    whole.lab.stop().await;
}

/// Runs every case with this mode whose find can be asked by a name.
async fn all(mode: &str) {
    let mut count = 0;
    for case in CASES.iter().filter(|case| case.mode == mode) {
        if first_public(case).0.ends_with("example.com") {
            Box::pin(run(case)).await;
            count += 1;
        }
    }
    assert!(count >= 8, "{count} cases of {mode}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_tls_routing_agents_do_what_the_table_explains() {
    all("multiplex").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_tls_routing_agents_do_what_the_table_explains() {
    all("separate").await;
}
