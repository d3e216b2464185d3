//! A made-up lab for the tests of the HTTP side: its topology, and facts that could be true of it.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use twodoors::model::addr::{BackendAddr, ClientAddr, HostPort, ListenAddr};
use twodoors::model::draw::Seed;
use twodoors::model::expect::{self, Expectation, Who};
use twodoors::model::fact::{DnsAnswered, Kind, Purpose, VisitAnswered};
use twodoors::model::id::{Generation, Name, Node, RequestId};
use twodoors::model::mistake::{Files, Place};
use twodoors::model::network::{Element, Matcher, Network};
use twodoors::model::time::Span;
use twodoors::model::timeline::{Begin, Step, What};
use twodoors::model::topology::{
    Agent, Algorithm, App, Balancer, Check, Dns, Miss, Pool, Proxy, Role, Start, Topology, User,
    View, ZoneSource,
};
use twodoors::policy::answer::Rules;

pub(super) fn topology() -> Topology {
    let networks = vec![
        network("internal", "127.45.0.0/16"),
        network("external", "127.46.0.0/16"),
    ];
    let within = |name: &str| Element {
        text: name.into(),
        negated: false,
        what: networks
            .iter()
            .find(|n| *n.name == *name)
            .map_or(Matcher::Any, |n| Matcher::Ranges(n.ranges.clone())),
    };
    let view = |name: &str, rule: &str| View {
        name: name.into(),
        match_clients: vec![within(rule)],
        match_destinations: Vec::new(),
        forward: None,
        zones: vec![ZoneSource {
            origin: String::from("example.com."),
            file: PathBuf::from(format!("zones/{name}/example.com.zone")),
            miss: Miss::Nxdomain,
        }],
    };
    let balancer = |name: &str, listen: &str, allow: Vec<Element>, meant_for| Balancer {
        name: name.into(),
        listen: vec![ListenAddr(socket(listen))],
        allow,
        algorithm: Algorithm::RoundRobin,
        check: Check {
            interval: Span::from_secs(2),
            timeout: Span::from_secs(1),
            rise: 2,
            fall: 3,
        },
        meant_for,
        timeout_connect: Span::from_secs(5),
        retries: 3,
        send_proxy: twodoors::model::teleport::SendProxy::V2,
    };
    let proxy = |name: &str| Proxy {
        name: name.into(),
        id: format!("proxy-{name}").into(),
        listen: BackendAddr(socket(&format!("127.47.0.{name}:3080"))),
        further: Vec::new(),
    };
    let agent = |name: &str, network: &str, address: &str| Agent {
        name: name.into(),
        id: format!("agent-{name}").into(),
        network: network.into(),
        address: ip(address),
        resolver: None,
        proxy_server: host_port("proxy.example.com", 3080),
        tunnel_public_addr: None,
        find_cache: twodoors::model::teleport::FIND_CACHE,
        backoff: twodoors::model::teleport::Backoff::Teleport,
        databases: Vec::new(),
        apps: vec![App {
            name: name.into(),
            target: None,
            login: false,
        }],
    };
    let user = |name: &str, network: &str, address: &str, visits: &[&str]| User {
        name: name.into(),
        network: network.into(),
        address: ip(address),
        resolver: None,
        proxy: None,
        visits: visits.iter().map(|app| Name::from(*app)).collect(),
        every: Span::from_secs(2),
        start: Start::Mesh,
    };
    Topology {
        name: "split-dns".into(),
        seed: Seed(1),
        dns: Dns {
            views: vec![view("private", "internal"), view("public", "any")],
            ..Dns::new(socket("127.0.0.1:0"))
        },
        pool: Pool {
            name: "proxies".into(),
            proxies: ["1", "2", "3"].into_iter().map(proxy).collect(),
            teleport: twodoors::model::teleport::ProxyService::multiplexed(
                vec![host_port("proxy.example.com", 3080)],
                host_port("0.0.0.0", 3080),
            ),
        },
        balancers: vec![
            balancer(
                "internal",
                "127.45.0.2:3080",
                vec![within("internal")],
                Some(Role::Agents),
            ),
            balancer("external", "127.46.0.2:3080", Vec::new(), Some(Role::Users)),
        ],
        agents: vec![
            agent("orders", "internal", "127.45.1.1"),
            agent("billing", "internal", "127.45.1.2"),
            agent("wiki", "internal", "127.45.1.3"),
            agent("kiosk", "external", "127.46.1.4"),
        ],
        users: vec![
            user("alice", "external", "127.46.2.1", &["orders", "wiki"]),
            user("bob", "external", "127.46.2.2", &["billing"]),
            user("carol", "internal", "127.45.2.3", &["wiki", "kiosk"]),
        ],
        resolvers: Vec::new(),
        timeline: Vec::new(),
        expect: Vec::new(),
        duration: Span::from_secs(60),
        model: twodoors::model::topology::Model::default(),
        networks,
    }
}

/// The same lab, of which something is expected.
pub(super) fn expecting() -> Topology {
    let mut topology = topology();
    topology.timeline = vec![Step {
        begin: Begin::At(Span::from_secs(10)),
        repeat: None,
        what: What::Wait,
        lasts: None,
        text: "wait".into(),
    }];
    topology.expect = vec![Expectation {
        text: "agents in internal use balancer/internal".into(),
        place: Place {
            file: PathBuf::from("split-dns.yaml"),
            line: 60,
            column: 5,
        },
        check: expect::Check::Door {
            who: Who::Agents(Some("internal".into())),
            balancer: "internal".into(),
            uses: true,
        },
        after: Span::ZERO,
        before: None,
        evidence: 1,
        abort: false,
    }];
    topology
}

/// The zones of the lab, as files.
struct Zones;

impl Files for Zones {
    fn read(&self, path: &Path) -> Result<String, String> {
        let address = match path.starts_with("zones/private") {
            true => "127.45.0.2",
            false => "127.46.0.2",
        };
        Ok(format!(
            "$TTL 60\n@ SOA ns hostmaster 7 3600 900 604800 60\n@ NS ns\nns A 127.0.0.1\n\
             proxy A {address}\n*.proxy A {address}\n"
        ))
    }
}

/// What DNS answers by.
pub(super) fn rules(topology: &Topology) -> Rules {
    let loaded = Rules::load(topology, Generation(1), &Zones);
    let (rules, _) = loaded.unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    rules
}

/// An answer that the DNS server gave to a node of the scenario.
pub(super) fn answered(asker: &Node, client: &str, name: &str, view: &str) -> Kind {
    let (rule, address) = match view {
        "private" => ("internal", "127.45.0.2"),
        _ => ("any", "127.46.0.2"),
    };
    Kind::DnsAnswered(Box::new(DnsAnswered {
        client: ClientAddr(socket(&format!("{client}:40000"))),
        asker: Some(asker.clone()),
        subnet: None,
        transport: "udp",
        name: name.to_owned(),
        rtype: String::from("A"),
        view: Some(view.into()),
        rule: Some(rule.into()),
        rcode: "NOERROR".into(),
        answer: vec![format!("A {address}")],
        why: String::from("exact match"),
        took: Some(Span::from_us(41)),
    }))
}

/// A use of the door that stands in that network.
pub(super) fn door_used(attempt: u64, purpose: Purpose, network: &str) -> Kind {
    let address = match network {
        "internal" => "127.45.0.2:3080",
        _ => "127.46.0.2:3080",
    };
    Kind::DoorUsed {
        attempt,
        purpose,
        host: "proxy.example.com".into(),
        address: ListenAddr(socket(address)),
        balancer: Some(network.into()),
        network: network.into(),
    }
}

/// A visit that went through.
pub(super) fn visited(request: u64, app: &str, network: &str, proxy: &str) -> Kind {
    Kind::VisitAnswered(Box::new(VisitAnswered {
        request: RequestId(request),
        app: app.into(),
        balancer: Some(network.into()),
        network: network.into(),
        proxy: Some(proxy.into()),
        agent: Some(app.into()),
        status: 200,
        bytes: 1_234,
        took: Span::from_us(12_345),
    }))
}

fn network(name: &str, range: &str) -> Network {
    Network {
        name: name.into(),
        ranges: vec![range.parse().unwrap()],
    }
}

fn host_port(host: &str, port: u16) -> HostPort {
    HostPort {
        host: host.into(),
        port,
    }
}

pub(super) fn socket(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}
