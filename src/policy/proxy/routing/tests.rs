use super::*;
use crate::model::teleport::{DatabaseRoute, Strategy};
use crate::policy::proxy::tests::{ORDERS, ask, client, serving, started, tunnel};
use crate::policy::proxy::{Proxy, Serves};
use crate::policy::testing::Bench;

/// An instance with peering that heard of the agent at these proxies.
fn peering(proxies: &[&str]) -> Bench<Proxy> {
    let mut bench = started();
    bench.topology.pool.teleport.strategy = Strategy::ProxyPeering { connections: 1 };
    bench.feed(Input::Announced {
        host_id: "orders-id".into(),
        serves: Serves {
            proxies: proxies.iter().map(|id| Name::from(*id)).collect(),
            ..serving(&["orders"])
        },
    });
    bench
}

fn refused(out: &Outbox<Output>) -> &str {
    match &out.outputs[..] {
        [Output::RefuseRequest { text, .. }] => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_a_tunnel_the_reported_peers_are_asked_and_the_taker_is_told() {
    let mut bench = peering(&["proxy-id-2", "proxy-id-3", "proxy-id-1", "stranger"]);
    let out = ask(&mut bench, ORDERS);
    let [
        Output::AskPeers {
            request,
            peers,
            host_id,
            ..
        },
    ] = &out.outputs[..]
    else {
        panic!("{out:?}")
    };
    let mut named = peers.clone();
    named.sort();
    assert_eq!(
        named,
        ["2", "3"].map(Name::from),
        "not itself, and no stranger"
    );
    assert_eq!(&**host_id, "orders-id");
    assert!(out.facts.is_empty(), "nothing has come of it yet");
    let request = *request;
    let peer = Name::from("2");
    let out = bench.feed(Input::PeerTook { request, peer });
    assert!(matches!(&out.facts[..], [Kind::Peered { peer, .. }] if &**peer == "2"));
    let out = bench.feed(Input::RequestEnded {
        request,
        status: 200,
        bytes: 3,
    });
    assert!(matches!(
        out.facts[..],
        [Kind::RequestEnded { status: 200, .. }]
    ));
}

#[test]
fn when_no_peer_takes_it_both_causes_are_told_and_it_counts_once() {
    let mut bench = peering(&["proxy-id-2"]);
    let out = ask(&mut bench, ORDERS);
    let [Output::AskPeers { request, .. }] = out.outputs[..] else {
        panic!("{out:?}")
    };
    let out = bench.feed(Input::StreamRefused {
        request,
        why: String::from("proxy 2: refused"),
        broken: false,
    });
    let text = refused(&out);
    assert!(
        text.contains("over local and peer reverse tunnels:"),
        "{text}"
    );
    assert!(
        text.contains("no app reverse tunnel for orders-id found"),
        "{text}"
    );
    assert!(text.contains("proxy 2: refused"), "{text}");
    assert!(matches!(out.facts[..], [Kind::NoTunnel { .. }]));
}

#[test]
fn without_ids_the_words_are_teleports() {
    let mut bench = peering(&[]);
    let out = ask(&mut bench, ORDERS);
    assert!(refused(&out).contains("failed to dial: no proxy ids given"));
    assert!(matches!(out.facts[..], [Kind::NoTunnel { .. }]));
}

fn asked_by_a_peer(bench: &mut Bench<Proxy>) -> Outbox<Output> {
    bench.feed(Input::PeerAsked {
        peer: "2".into(),
        client: client(),
        kind: ConnType::App,
        resource: "orders".into(),
        host_id: "orders-id".into(),
    })
}

#[test]
fn a_peers_request_goes_to_a_tunnel_here_or_is_refused_and_never_to_peers() {
    let mut bench = peering(&["proxy-id-3"]);
    let out = asked_by_a_peer(&mut bench);
    assert_eq!(refused(&out), "no app reverse tunnel for orders-id found");
    assert!(out.facts.is_empty(), "the asker counts its user: {out:?}");
    let conn = tunnel(&mut bench, true);
    let out = asked_by_a_peer(&mut bench);
    assert!(matches!(out.outputs[..], [Output::Route { conn: c, .. }] if c == conn));
    assert!(matches!(out.facts[..], [Kind::Routed { .. }]));
}

#[test]
fn a_tunnel_that_refuses_ends_it_though_there_are_peers() {
    let mut bench = peering(&["proxy-id-2"]);
    tunnel(&mut bench, true);
    let out = ask(&mut bench, ORDERS);
    let [Output::Route { request, .. }] = out.outputs[..] else {
        panic!("{out:?}")
    };
    let why = agent::DRAINING.to_owned();
    let out = bench.feed(Input::StreamRefused {
        request,
        why,
        broken: false,
    });
    assert!(refused(&out).contains("agent connection is draining"));
}

#[test]
fn in_a_mesh_nobody_else_is_asked() {
    let mut bench = peering(&["proxy-id-2"]);
    bench.topology.pool.teleport.strategy = Strategy::AgentMesh;
    let out = ask(&mut bench, ORDERS);
    let text = refused(&out);
    assert!(text.contains("over reverse tunnel:"), "{text}");
}

fn ask_database(bench: &mut Bench<Proxy>) -> Outbox<Output> {
    let mut out = Outbox::default();
    let cx = Context {
        now: bench.now,
        topology: &bench.topology,
    };
    let route = DatabaseRoute {
        user: "alice".into(),
        service: "ledger".into(),
        database: "".into(),
        protocol: "postgres".into(),
    };
    let wanted = Wanted {
        client: client(),
        kind: ConnType::Db,
        resource: route.service,
        from: From::User,
    };
    bench.machine.send_on(&cx, wanted, &mut out);
    out
}

#[test]
fn a_database_is_asked_for_at_each_agent_once() {
    let mut bench = started();
    let conns = ["orders-id", "kiosk-id"].map(|id| {
        let conn = tunnel(&mut bench, false);
        let host_id = Name::from(id);
        // The helper logs `orders` in; the second one takes his place.
        bench.feed(Input::TunnelClosed {
            conn,
            why: String::new(),
        });
        let out = crate::policy::proxy::tests::hello(&mut bench, &["teleport-reversetunnel"]);
        let [Output::Serve { conn, .. }] = out.outputs[..] else {
            panic!("{out:?}")
        };
        bench.feed(Input::TunnelOpened { conn, host_id });
        let databases = vec!["ledger".into()];
        let serves = Serves {
            databases,
            ..Serves::default()
        };
        bench.feed(Input::Heartbeat { conn, serves });
        conn
    });
    let mut out = ask_database(&mut bench);
    let mut seen = Vec::new();
    while let [Output::Route { request, conn, .. }] = out.outputs[..] {
        seen.push(conn);
        assert!(seen.len() <= 2, "each once");
        let why = String::from("ledger at 127.0.0.1:5432: refused");
        out = bench.feed(Input::StreamRefused {
            request,
            why,
            broken: false,
        });
    }
    seen.sort();
    assert_eq!(seen, conns);
    let text = refused(&out);
    assert!(
        text.starts_with("failed to connect to any of the database servers: "),
        "{text}"
    );
    assert!(matches!(out.facts[..], [Kind::NoTunnel { .. }]));
}
