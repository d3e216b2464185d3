//! Samples of every shape of the wire, as files that the page's types are checked against too.
//!
//! `TWODOORS_BLESS=1 cargo test --test it wire` writes the files anew.

mod asked;

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::http::StatusCode;
use serde::Serialize;
use twodoors::http::api;
use twodoors::http::api::consequences::Consequences;
use twodoors::http::api::queries::{self, Queries, Wanted};
use twodoors::http::api::way::{Request, Why};
use twodoors::http::filter::Filter;
use twodoors::http::source::Source;
use twodoors::journal::Journal;
use twodoors::lab::report::Mode;
use twodoors::model::addr::{ClientAddr, HostPort, ListenAddr};
use twodoors::model::fact::{
    Act, Cause, Chosen, Ended, Fact, Failure, Health, Kind, Probed, Purpose, Refused, Service,
    Stage,
};
use twodoors::model::fault::{Effect, Fault, Target};
use twodoors::model::id::{
    ConnId, DialId, FaultId, FlowId, Generation, Name, Node, RequestId, Seq,
};
use twodoors::model::network::Element;
use twodoors::model::teleport::Port;
use twodoors::model::time::{Span, Time};

use super::scene;

#[test]
fn the_wire_is_as_its_samples_show() {
    let topology = Arc::new(scene::expecting());
    let journal = Journal::new(&topology);
    let mut facts = Vec::new();
    for (index, (node, kind)) in every_kind().into_iter().enumerate() {
        let seq = u64::try_from(index).unwrap() + 1;
        let at = Time::from_us(seq * 1_000_500);
        journal.add(at, &node, [kind.clone()]);
        let fact = Fact {
            seq: Seq(seq),
            at,
            node,
            kind,
        };
        facts.push(api::Fact::new(&fact));
    }
    let source = Source {
        rules: Some(Arc::new(ArcSwap::from_pointee(scene::rules(&topology)))),
        mode: Mode::Live,
        ..Source::of(journal.clone(), Arc::clone(&topology))
    };
    let run = "0123456789abcdef0123456789abcdef";
    check(
        "snapshot",
        &api::Snapshot::new(&journal.now(), &source, run),
    );
    check("facts", &facts);
    let timeline = api::timeline::Timeline::new(&source, None, None);
    check("timeline", &timeline);
    let state = journal.snapshot();
    let agent = Node::Agent(name("orders"));
    check("why", &Why::new(&source, &state, &agent));
    let user = Node::User(name("alice"));
    check("request", &Request::new(&source, &user, 1));
    let wanted = Wanted {
        filter: Filter::read("client:127", queries::FIELDS).unwrap(),
        limit: 10,
        before: None,
        after: None,
    };
    check("queries", &Queries::new(&source, &wanted));
    let nodes = [Node::Proxy(name("2"))];
    check(
        "consequences",
        &Consequences::new(&state, &nodes, Act::Stop),
    );
    check("overflow", &api::Overflow { seq: 7 });
    check(
        "reloaded",
        &api::Reloaded {
            generation: 2,
            changed: vec![
                String::from("view/private: match [internal] became [none]"),
                String::from("private/proxy.example.com."),
            ],
            warnings: vec![String::from("zone:7:1: ttl: 0 seconds; write more")],
        },
    );
    check(
        "operated",
        &api::Operated {
            node: String::from("proxy/2"),
            act: "drain",
        },
    );
    let journaled = journal.snapshot();
    check("faults", &api::faults::Faults::new(&journaled));
    let problem = api::Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "the reload was refused");
    check(
        "problem",
        &problem.with_mistakes(vec![String::from("a.zone:9:1: bad owner")]),
    );
}

#[test]
fn every_fact_has_a_line_for_people() {
    let lines: Vec<_> = every_kind()
        .into_iter()
        .enumerate()
        .map(|(index, (node, kind))| {
            let at = Time::from_us(u64::try_from(index).unwrap() * 1_000_500);
            Fact {
                seq: Seq(1),
                at,
                node,
                kind,
            }
            .to_string()
        })
        .collect();
    compare("facts.txt", &(lines.join("\n") + "\n"));
    for line in lines {
        // A kind that lacks its words would show in the debug form.
        assert!(!line.contains('{') && !line.contains("Some("), "{line}");
    }
}

fn check(name: &str, sample: &impl Serialize) {
    let text = serde_json::to_string_pretty(sample).unwrap() + "\n";
    compare(&format!("{name}.json"), &text);
}

fn compare(file: &str, text: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/wire");
    let path = folder.join(file);
    if std::env::var_os("TWODOORS_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(committed, text, "{} differs", path.display());
}

fn name(text: &str) -> Name {
    text.into()
}

/// The views of the scene and whom each lets in.
fn views() -> Vec<(Name, Vec<Element>)> {
    let views = scene::topology().dns.views.into_iter();
    views.map(|view| (view.name, view.match_clients)).collect()
}

/// One fact of each kind, and both forms where a kind reads in two ways.
fn every_kind() -> Vec<(Node, Kind)> {
    let client = ClientAddr(scene::socket("127.46.2.1:40000"));
    let listener = ListenAddr(scene::socket("127.46.0.2:3080"));
    let door = Node::Balancer(name("external"));
    let proxy = Node::Proxy(name("2"));
    let agent = Node::Agent(name("orders"));
    let user = Node::User(name("alice"));
    vec![
        (Node::Lab, Kind::Ready),
        (
            Node::Lab,
            Kind::Reloaded {
                generation: Generation(2),
                views: views(),
                changed: vec![],
            },
        ),
        (
            Node::Lab,
            Kind::Reloaded {
                generation: Generation(3),
                views: views(),
                changed: vec![String::from("private/proxy.example.com.")],
            },
        ),
        (
            Node::Lab,
            Kind::ReloadRefused {
                mistakes: vec![String::from("a.zone:9:1: bad owner")],
            },
        ),
        (proxy.clone(), Kind::Operated { act: Act::Drain }),
        (proxy.clone(), Kind::Drained),
        (
            Node::Agent(name("kiosk")),
            Kind::Finding {
                id: "role-follows-network",
                detail: String::from("goes through door external, which is meant for users"),
            },
        ),
        (
            Node::Dns,
            Kind::DnsCounted {
                view: Some(name("public")),
                rule: Some(name("any")),
                rcode: name("NOERROR"),
                count: 7,
            },
        ),
        (
            Node::Dns,
            Kind::DnsForwarded {
                view: name("public"),
                result: "answered",
                count: 2,
                waited: Span::from_ms(30),
            },
        ),
        (
            Node::Dns,
            scene::answered(&user, "127.46.2.1", "orders.proxy.example.com.", "public"),
        ),
        (
            door.clone(),
            Kind::FlowOpened {
                flow: FlowId(1),
                client,
                network: Some(name("external")),
                listener,
            },
        ),
        (
            door.clone(),
            Kind::ClientRefused {
                client,
                network: None,
                listener,
                why: Refused::NotAllowed(name("[internal, office]")),
            },
        ),
        (
            door.clone(),
            Kind::ClientRefused {
                client,
                network: Some(name("external")),
                listener,
                why: Refused::Denied(name("!external")),
            },
        ),
        (
            door.clone(),
            Kind::ClientRefused {
                client,
                network: Some(name("internal")),
                listener,
                why: Refused::Full,
            },
        ),
        (
            door.clone(),
            Kind::FlowConnected {
                flow: FlowId(1),
                proxy: name("2"),
                from: None,
                attempt: 1,
                why: Chosen::FewestConnections { open: 3 },
            },
        ),
        (
            door.clone(),
            Kind::ConnectFailed {
                flow: FlowId(2),
                proxy: name("3"),
                error: String::from("connection refused"),
            },
        ),
        (
            door.clone(),
            Kind::NoBackend {
                flow: FlowId(2),
                tried: 3,
            },
        ),
        (
            door.clone(),
            Kind::FlowClosed {
                flow: FlowId(1),
                proxy: Some(name("2")),
                up: 517,
                down: 1_234,
                how: Ended::Finished,
            },
        ),
        (
            door.clone(),
            Kind::Checked {
                proxy: name("1"),
                took: Span::from_us(420),
                error: None,
                untold: 0,
            },
        ),
        (
            door.clone(),
            Kind::Checked {
                proxy: name("3"),
                took: Span::from_us(150),
                error: Some(String::from("connection refused")),
                untold: 7,
            },
        ),
        (
            door,
            Kind::HealthChanged {
                proxy: name("3"),
                to: Health::Down,
                cause: String::from("3 checks failed in a row: connection refused"),
            },
        ),
        (
            proxy.clone(),
            Kind::ServiceChosen {
                listener: Port::Web,
                conn: ConnId(1),
                client,
                sni: Some(name("proxy.example.com")),
                alpn: vec![name("teleport-reversetunnel")],
                service: Some(Service::ReverseTunnel),
                why: "first known name of the client's list",
            },
        ),
        (
            proxy.clone(),
            Kind::ConnRefused {
                conn: ConnId(2),
                client: Some(client),
                why: String::from("no known ALPN name"),
            },
        ),
        (
            proxy.clone(),
            Kind::TunnelRegistered {
                conn: ConnId(1),
                agent: name("orders"),
            },
        ),
        (
            proxy.clone(),
            Kind::TunnelRemoved {
                conn: ConnId(1),
                agent: name("orders"),
                why: String::from("connection reset"),
            },
        ),
        (
            proxy.clone(),
            Kind::GossipSent {
                tunnels: 4,
                proxies: 3,
            },
        ),
        (
            proxy.clone(),
            Kind::Routed {
                request: RequestId(1),
                client,
                app: name("orders"),
                agent: name("orders"),
                conn: ConnId(1),
                why: "newest tunnel of the agent",
            },
        ),
        (
            proxy.clone(),
            Kind::NoTunnel {
                request: RequestId(2),
                client,
                app: name("wiki"),
                text: String::from("not\n\nfound"),
            },
        ),
        (
            proxy,
            Kind::RequestEnded {
                request: RequestId(1),
                status: 200,
                bytes: 1_234,
                took: Span::from_us(9_876),
            },
        ),
        (
            agent.clone(),
            Kind::AddressFound {
                dial: DialId(1),
                address: HostPort {
                    host: "proxy.example.com".into(),
                    port: 3080,
                },
                rule: "public address",
                cached: false,
            },
        ),
        (
            agent.clone(),
            scene::door_used(1, Purpose::Tunnel, "internal"),
        ),
        (
            agent.clone(),
            Kind::Claimed {
                dial: DialId(1),
                proxy: name("2"),
                balancer: Some(name("internal")),
                principal: name("proxy.example.com"),
                tunnels: 1,
                gap: None,
            },
        ),
        (
            agent.clone(),
            Kind::DialFailed {
                dial: DialId(2),
                stage: Stage::Claim,
                cause: Cause::Claimed,
                error: String::from("a tunnel to proxy 2 stands already"),
            },
        ),
        (
            agent.clone(),
            Kind::TunnelLost {
                dial: DialId(1),
                proxy: name("2"),
                why: String::from("connection reset"),
                tunnels: 0,
            },
        ),
        (
            agent.clone(),
            Kind::Claimed {
                dial: DialId(3),
                proxy: name("2"),
                balancer: Some(name("internal")),
                principal: name("proxy.example.com"),
                tunnels: 1,
                gap: Some(Span::from_ms(23_450)),
            },
        ),
        (
            agent.clone(),
            Kind::BackingOff {
                wait: Span::from_ms(2_500),
                step: 1,
            },
        ),
        (agent.clone(), Kind::Advised { proxy: name("1") }),
        (
            agent.clone(),
            Kind::ProxiesKnown {
                known: 3,
                why: "gossip named a new one",
            },
        ),
        (
            agent,
            Kind::StreamCut {
                app: name("orders"),
                why: String::from("not read"),
            },
        ),
        (user.clone(), scene::visited(1, "orders", "external", "2")),
        (
            user,
            Kind::VisitFailed {
                request: RequestId(2),
                app: name("wiki"),
                balancer: Some(name("external")),
                reason: Failure::NoTunnel,
                error: String::from("not found"),
            },
        ),
        (
            Node::Lab,
            Kind::MeshComplete {
                after: Span::from_secs(42),
            },
        ),
        (
            Node::Proxy(name("2")),
            Kind::RequestEnded {
                request: RequestId(3),
                status: 0,
                bytes: 0,
                took: Span::from_secs(2),
            },
        ),
    ]
    .into_iter()
    .chain(kinds_of_runs())
    .chain(kinds_of_teleport())
    .collect()
}

/// What logins, peering, stand-ins and late heartbeats bring about.
fn kinds_of_teleport() -> Vec<(Node, Kind)> {
    let proxy = Node::Proxy(name("2"));
    let user = Node::User(name("alice"));
    let client = ClientAddr("127.46.0.21:40000".parse().unwrap());
    let public = HostPort {
        host: "proxy.example.com".into(),
        port: 443,
    };
    vec![
        (
            proxy.clone(),
            Kind::TunnelOffline {
                conn: ConnId(1),
                agent: name("orders"),
                silent: Span::from_secs(901),
            },
        ),
        (
            proxy.clone(),
            Kind::StandInRegistered {
                conn: ConnId(2),
                name: name("stand-in"),
                resources: vec![name("desk")],
            },
        ),
        (
            proxy.clone(),
            Kind::SessionBegun {
                client,
                app: name("orders"),
                user: name("lab"),
            },
        ),
        (
            proxy,
            Kind::Peered {
                request: RequestId(4),
                client,
                app: name("orders"),
                peer: name("1"),
                why: "the agent is attached there",
            },
        ),
        (
            user.clone(),
            Kind::Pinged {
                attempt: 1,
                asked: public.clone(),
                web: public.clone(),
            },
        ),
        (
            user,
            Kind::Redirected {
                request: RequestId(5),
                app: name("orders"),
                to: public,
            },
        ),
    ]
}

/// What only a run, or a fault by hand, brings about.
fn kinds_of_runs() -> Vec<(Node, Kind)> {
    let slow = Fault {
        target: Target::Node(Node::Proxy(name("2"))),
        effect: Effect::Latency(Span::from_ms(50)),
    };
    let shut = Fault {
        target: Target::Node(Node::Balancer(name("external"))),
        effect: Effect::Refuse,
    };
    let set = |number, what: &Fault, until| Kind::FaultSet {
        fault: FaultId(number),
        what: what.clone(),
        until,
    };
    let probed = |rcode: Option<&str>, answer: &[&str]| {
        Kind::Probed(Box::new(Probed {
            expectation: 3,
            from: "127.46.0.9".parse().unwrap(),
            name: name("proxy.example.com."),
            rtype: name("A"),
            view: rcode.map(|_| name("public")),
            rcode: rcode.map(name),
            answer: answer.iter().map(|data| name(data)).collect(),
        }))
    };
    let kinds = vec![
        set(1, &slow, Some(Time::from_us(90_000_000))),
        set(2, &shut, None),
        Kind::FaultLifted {
            fault: FaultId(1),
            what: slow,
        },
        Kind::CertificateChanged {
            names: vec![name("proxy.example.com")],
        },
        probed(Some("NOERROR"), &["127.46.0.2"]),
        probed(None, &[]),
        Kind::RunBegan {
            ends: Time::from_us(90_000_000),
        },
        Kind::StepBegan { step: 0 },
        Kind::StepEnded { step: 0 },
        Kind::RunEnded {
            why: "the timeline is played",
        },
    ];
    let roamed = Kind::Roamed {
        network: name("internal"),
        address: "127.45.2.9".parse().unwrap(),
    };
    let lab = kinds.into_iter().map(|kind| (Node::Lab, kind));
    lab.chain([(Node::User(name("alice")), roamed)]).collect()
}
