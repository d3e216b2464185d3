use super::*;
use crate::model::addr::ClientAddr;
use crate::model::fact::Service;
use crate::model::teleport::Port;
use crate::policy::testing::Bench;

pub(super) fn started() -> Bench<Proxy> {
    let mut bench = Bench::new(Proxy::new(0, &"1".into()));
    bench.feed(Input::Operate(Act::Start));
    bench.wake();
    bench
}

pub(super) fn serving(apps: &[&str]) -> Serves {
    Serves {
        apps: apps.iter().map(|app| Name::from(*app)).collect(),
        ..Serves::default()
    }
}

pub(super) fn client() -> ClientAddr {
    ClientAddr("127.20.0.21:4000".parse().unwrap())
}

pub(super) fn hello(bench: &mut Bench<Proxy>, alpn: &[&str]) -> Outbox<Output> {
    let alpn = alpn.iter().map(|name| Name::from(*name)).collect();
    bench.feed(Input::HelloRead {
        listener: Port::Web,
        client: client(),
        sni: None,
        alpn,
    })
}

/// Registers a tunnel of the agent `orders`; its first heartbeat announces its app.
pub(super) fn tunnel(bench: &mut Bench<Proxy>, beats: bool) -> ConnId {
    let out = hello(bench, &["teleport-reversetunnel"]);
    let [
        Output::Serve {
            conn,
            service: Service::ReverseTunnel,
            ..
        },
    ] = out.outputs[..]
    else {
        panic!("{out:?}")
    };
    bench.feed(Input::TunnelOpened {
        conn,
        host_id: "orders-id".into(),
    });
    if beats {
        bench.feed(Input::Heartbeat {
            conn,
            serves: serving(&["orders"]),
        });
    }
    conn
}

pub(super) fn ask(bench: &mut Bench<Proxy>, host: &str) -> Outbox<Output> {
    bench.feed(Input::RequestRead {
        client: client(),
        host: host.to_owned(),
        path: String::from("/"),
        session: None,
    })
}

pub(super) const ORDERS: &str = "orders.proxy.example.com:3080";

#[test]
fn the_first_heartbeat_is_answered_by_the_whole_list() {
    let mut bench = started();
    bench.feed(Input::PeerSeen {
        id: "proxy-id-2".into(),
    });
    let conn = tunnel(&mut bench, false);
    let serves = serving(&["orders"]);
    let out = bench.feed(Input::Heartbeat {
        conn,
        serves: serves.clone(),
    });
    let proxies = vec![Name::from("proxy-id-1"), Name::from("proxy-id-2")];
    let host_id = Name::from("orders-id");
    let announce = Output::Announce {
        host_id,
        serves: serves.clone(),
    };
    assert_eq!(
        out.outputs,
        [
            announce,
            Output::Gossip {
                conns: vec![conn],
                proxies
            }
        ]
    );
    let out = bench.feed(Input::Heartbeat { conn, serves });
    assert!(
        !out.outputs
            .iter()
            .any(|o| matches!(o, Output::Gossip { .. })),
        "only the first"
    );
}

#[test]
fn each_sign_of_life_and_every_two_minutes_the_list_goes_out_again() {
    let mut bench = started();
    let conn = tunnel(&mut bench, true);
    let out = bench.feed(Input::PeerSeen {
        id: "proxy-id-3".into(),
    });
    assert!(
        matches!(&out.outputs[..], [Output::Gossip { conns, proxies }]
        if *conns == [conn] && proxies.len() == 2)
    );
    let mut gossips = Vec::new();
    while bench.now < Time::from_us(400_000_000) {
        let out = bench.wake();
        gossips.extend(
            out.outputs
                .iter()
                .any(|o| matches!(o, Output::Gossip { .. }))
                .then_some(bench.now),
        );
    }
    assert_eq!(
        gossips,
        [120, 240, 360].map(|s| Time::ZERO + Span::from_secs(s))
    );
}

#[test]
fn a_peer_is_forgotten_ten_minutes_after_its_last_sign_of_life() {
    let mut bench = started();
    bench.feed(Input::PeerSeen {
        id: "proxy-id-2".into(),
    });
    bench.pass(PRESENCE_FOR);
    let conn = tunnel(&mut bench, false);
    let out = bench.feed(Input::Heartbeat {
        conn,
        serves: Serves::default(),
    });
    let listed = out.outputs.iter().any(|output| {
        matches!(output, Output::Gossip { proxies, .. } if *proxies == [Name::from("proxy-id-1")])
    });
    assert!(listed, "{out:?}");
}

#[test]
fn a_request_goes_through_the_agents_tunnel() {
    let mut bench = started();
    let conn = tunnel(&mut bench, true);
    let out = ask(&mut bench, ORDERS);
    assert!(
        matches!(&out.outputs[..], [Output::Route { conn: c, app, .. }]
        if *c == conn && &**app == "orders"),
        "{out:?}"
    );
}

#[test]
fn without_a_tunnel_here_it_is_refused_and_counted_though_the_app_is_known() {
    let mut bench = started();
    bench.feed(Input::Announced {
        host_id: "orders-id".into(),
        serves: serving(&["orders"]),
    });
    let out = ask(&mut bench, ORDERS);
    let [
        Output::RefuseRequest {
            no_tunnel: true,
            text,
            ..
        },
    ] = &out.outputs[..]
    else {
        panic!("{out:?}")
    };
    assert!(
        text.contains("no app reverse tunnel for orders-id found"),
        "{text}"
    );
    assert!(matches!(out.facts[..], [Kind::NoTunnel { .. }]));
}

#[test]
fn before_its_first_heartbeat_a_tunnel_takes_no_request() {
    let mut bench = started();
    bench.feed(Input::Announced {
        host_id: "orders-id".into(),
        serves: serving(&["orders"]),
    });
    tunnel(&mut bench, false);
    let out = ask(&mut bench, ORDERS);
    assert!(matches!(
        out.outputs[..],
        [Output::RefuseRequest {
            no_tunnel: true,
            ..
        }]
    ));
}

#[test]
fn names_that_are_no_app_go_to_the_web_api_or_are_refused() {
    let mut bench = started();
    for host in [
        "proxy.example.com:3080",
        "Proxy.Example.Com.",
        "127.0.0.1",
        "[::1]:3080",
        "localhost",
    ] {
        assert_eq!(
            ask(&mut bench, host).outputs,
            [Output::ServeWebApi],
            "{host}"
        );
    }
    for host in [
        "a.b.proxy.example.com",
        "example.org",
        "unknown.proxy.example.com",
    ] {
        let out = ask(&mut bench, host);
        assert!(
            matches!(out.outputs[..], [Output::RefuseRequest { status: 404, .. }]),
            "{host}"
        );
    }
}

#[test]
fn an_agent_that_is_not_of_the_cluster_gets_no_tunnel() {
    let mut bench = started();
    let out = hello(&mut bench, &["teleport-reversetunnel"]);
    let [Output::Serve { conn, .. }] = out.outputs[..] else {
        panic!("{out:?}")
    };
    let out = bench.feed(Input::TunnelOpened {
        conn,
        host_id: "stranger".into(),
    });
    assert_eq!(out.outputs, [Output::CloseTunnel { conn }]);
}

#[test]
fn a_tunnel_that_takes_no_stream_is_closed_when_nothing_else_is_open_on_it() {
    let mut bench = started();
    let conn = tunnel(&mut bench, true);
    let out = ask(&mut bench, ORDERS);
    let [Output::Route { request, .. }] = out.outputs[..] else {
        panic!("{out:?}")
    };
    let why = String::from("channel open failed");
    let out = bench.feed(Input::StreamRefused {
        request,
        why,
        broken: true,
    });
    assert_eq!(out.outputs[0], Output::CloseTunnel { conn });
}

/// Routes a request whose stream is then refused; gives what the user is told and the end's fact.
fn refused(why: &str, broken: bool) -> (bool, String, Kind) {
    let mut bench = started();
    tunnel(&mut bench, true);
    let out = ask(&mut bench, ORDERS);
    let [Output::Route { request, .. }] = out.outputs[..] else {
        panic!("{out:?}")
    };
    let input = Input::StreamRefused {
        request,
        why: why.to_owned(),
        broken,
    };
    let out = bench.feed(input.clone());
    let Some(Output::RefuseRequest {
        status: 502,
        no_tunnel,
        text,
    }) = out.outputs.last()
    else {
        panic!("{out:?}")
    };
    let [end] = &out.facts[..] else {
        panic!("{out:?}")
    };
    let again = bench.feed(input);
    assert!(again.facts.is_empty(), "counted once: {again:?}");
    (*no_tunnel, text.clone(), end.clone())
}

#[test]
fn a_user_hears_of_no_tunnel_exactly_when_one_is_counted() {
    let gone = [
        ("no answer from the agent within 30s", true),
        ("the tunnel is closed", false),
        ("agent connection is draining", false),
    ];
    for (why, broken) in gone {
        let (no_tunnel, text, end) = refused(why, broken);
        assert!(no_tunnel, "{why}");
        assert!(text.contains(why), "{text}");
        assert!(
            matches!(&end, Kind::NoTunnel { app, text: counted, .. } if **app == *"orders" && *counted == text),
            "{end:?}"
        );
    }
    for why in [
        "this agent serves no app \"orders\"",
        "the tunnel carries 128 streams already",
    ] {
        let (no_tunnel, text, end) = refused(why, false);
        assert!(!no_tunnel, "{why}");
        assert!(text.contains(why), "{text}");
        assert!(
            matches!(end, Kind::RequestEnded { status: 502, bytes, .. } if bytes == text.len() as u64),
            "{end:?}"
        );
    }
}

#[test]
fn a_drain_advises_all_and_is_over_when_nothing_is_left() {
    let mut bench = started();
    let conn = tunnel(&mut bench, true);
    let out = ask(&mut bench, ORDERS);
    let [Output::Route { request, .. }] = out.outputs[..] else {
        panic!("{out:?}")
    };
    let out = bench.feed(Input::Operate(Act::Drain));
    assert_eq!(
        out.outputs,
        [Output::StopListening, Output::Advise { conns: vec![conn] }]
    );
    let out = bench.feed(Input::RequestEnded {
        request,
        status: 200,
        bytes: 5,
    });
    assert!(out.outputs.is_empty(), "a tunnel is left");
    let out = bench.feed(Input::TunnelClosed {
        conn,
        why: String::from("agent disconnected"),
    });
    assert_eq!(
        out.outputs,
        [
            Output::Presence { alive: false },
            Output::CutAll { how: Cut::Finish }
        ]
    );
    assert!(out.facts.contains(&Kind::Drained));
}

#[test]
fn a_stopped_proxy_takes_no_hello_and_says_no_good_bye() {
    let mut bench = started();
    tunnel(&mut bench, true);
    let out = bench.feed(Input::Operate(Act::Stop));
    assert_eq!(
        out.outputs,
        [Output::StopListening, Output::CutAll { how: Cut::Finish }]
    );
    assert_eq!(bench.machine.deadline(), None);
    assert!(matches!(
        hello(&mut bench, &[]).outputs[..],
        [Output::RefuseHello { .. }]
    ));
    // Neither the answer nor the count of a request that comes while its connection is being cut.
    let out = ask(&mut bench, ORDERS);
    assert!(out.outputs.is_empty() && out.facts.is_empty(), "{out:?}");
}

#[test]
fn an_offer_that_nothing_serves_is_refused_with_the_reason() {
    let mut bench = started();
    let out = hello(&mut bench, &["acme-tls/1"]);
    assert!(matches!(out.outputs[..], [Output::RefuseHello { .. }]));
    let told = out
        .facts
        .iter()
        .any(|fact| matches!(fact, Kind::ConnRefused { why, .. } if why.contains("[acme-tls/1]")));
    assert!(told, "{out:?}");
}

#[test]
fn connections_cut_at_the_end_of_a_drain_are_not_counted_any_more() {
    let mut bench = started();
    for _ in 0..CONNS_MAX {
        hello(&mut bench, &["http/1.1"]);
    }
    let out = bench.feed(Input::Operate(Act::Drain));
    assert!(
        out.outputs.contains(&Output::CutAll { how: Cut::Finish }),
        "{out:?}"
    );
    bench.feed(Input::Operate(Act::Start));
    let out = hello(&mut bench, &["http/1.1"]);
    assert!(matches!(out.outputs[..], [Output::Serve { .. }]), "{out:?}");
}

#[test]
fn a_request_that_is_open_when_a_drains_time_is_over_has_ended() {
    let mut bench = started();
    tunnel(&mut bench, true);
    ask(&mut bench, ORDERS);
    bench.feed(Input::Operate(Act::Drain));
    let mut facts = Vec::new();
    while bench.machine.deadline().is_some() {
        facts.extend(bench.wake().facts);
    }
    let ended = facts.iter().filter(
        |kind| matches!(kind, Kind::RequestEnded { status: 0, took, .. } if *took >= DRAIN_FOR),
    );
    assert_eq!(ended.count(), 1, "{facts:?}");
    assert!(facts.contains(&Kind::Drained));
}

#[test]
fn a_tunnel_that_comes_during_a_drain_is_advised_too() {
    let mut bench = started();
    tunnel(&mut bench, true);
    let out = hello(&mut bench, &["teleport-reversetunnel"]);
    let [Output::Serve { conn, .. }] = out.outputs[..] else {
        panic!("{out:?}")
    };
    bench.feed(Input::Operate(Act::Drain));
    let out = bench.feed(Input::TunnelOpened {
        conn,
        host_id: "kiosk-id".into(),
    });
    assert_eq!(out.outputs, [Output::Advise { conns: vec![conn] }]);
}

#[test]
fn a_started_proxy_knows_nothing_of_its_life_before() {
    let mut bench = started();
    tunnel(&mut bench, true);
    bench.feed(Input::PeerSeen {
        id: "proxy-id-2".into(),
    });
    bench.feed(Input::Operate(Act::Stop));
    bench.feed(Input::PeerSeen {
        id: "proxy-id-3".into(),
    });
    bench.feed(Input::Operate(Act::Start));
    let out = ask(&mut bench, ORDERS);
    assert!(
        matches!(out.outputs[..], [Output::RefuseRequest { status: 404, .. }]),
        "{out:?}"
    );
    let conn = tunnel(&mut bench, false);
    let out = bench.feed(Input::Heartbeat {
        conn,
        serves: Serves::default(),
    });
    let alone = out.outputs.iter().any(|output| {
        matches!(output, Output::Gossip { proxies, .. } if *proxies == [Name::from("proxy-id-1")])
    });
    assert!(alone, "{out:?}");
}

#[test]
fn what_a_client_offers_is_kept_in_part_only() {
    let mut bench = started();
    let name = "x".repeat(255);
    let offers = vec![&*name; 29_000];
    let facts = format!("{:?}", hello(&mut bench, &offers).facts);
    assert!(facts.len() < 8_000, "{} bytes", facts.len());
}

fn database(bench: &mut Bench<Proxy>, service: &str, protocol: &str) -> Outbox<Output> {
    bench.feed(Input::DatabaseAsked {
        client: client(),
        route: crate::model::teleport::DatabaseRoute {
            user: "alice".into(),
            service: service.into(),
            database: "shop".into(),
            protocol: protocol.into(),
        },
    })
}

/// Registers a tunnel of an agent that serves the database `ledger`.
fn serves_ledger(bench: &mut Bench<Proxy>, agent: &str) -> ConnId {
    let out = hello(bench, &["teleport-reversetunnel"]);
    let [Output::Serve { conn, .. }] = out.outputs[..] else {
        panic!("{out:?}")
    };
    let host_id = Name::from(agent);
    bench.feed(Input::TunnelOpened { conn, host_id });
    let serves = Serves {
        databases: vec!["ledger".into()],
        ..Serves::default()
    };
    bench.feed(Input::Heartbeat { conn, serves });
    conn
}

#[test]
fn a_database_goes_to_its_agents_in_turn_until_none_is_left() {
    let mut bench = started();
    let tunnels = [
        serves_ledger(&mut bench, "orders-id"),
        serves_ledger(&mut bench, "kiosk-id"),
    ];
    let out = database(&mut bench, "ledger", "postgres");
    let [
        Output::Route {
            request,
            conn: first,
            kind: crate::model::teleport::ConnType::Db,
            ..
        },
    ] = out.outputs[..]
    else {
        panic!("{out:?}")
    };
    let refused = |broken| Input::StreamRefused {
        request,
        why: String::from("connection refused"),
        broken,
    };
    let out = bench.feed(refused(false));
    let second = out.outputs.iter().find_map(|output| {
        if let Output::Route {
            request: own, conn, ..
        } = output
        {
            return Some((*own, *conn));
        }
        None
    });
    let (own, second) = second.expect("the other agent is tried");
    assert_eq!(own, request);
    assert!(tunnels.contains(&first) && tunnels.contains(&second) && first != second);
    let out = bench.feed(refused(false));
    let [
        Output::RefuseRequest {
            no_tunnel: true,
            text,
            ..
        },
    ] = &out.outputs[..]
    else {
        panic!("{out:?}")
    };
    assert!(
        text.contains("failed to connect to any of the database servers"),
        "{text}"
    );
    assert!(matches!(&out.facts[..], [Kind::NoTunnel { .. }]), "{out:?}");
}

#[test]
fn a_database_that_nobody_serves_or_that_is_not_carried_is_refused_with_words() {
    let mut bench = started();
    serves_ledger(&mut bench, "orders-id");
    for (service, protocol, part) in [
        (
            "stock",
            "postgres",
            "no agent announces a database named \"stock\"",
        ),
        ("ledger", "mysql", "carries postgres, not mysql"),
    ] {
        let out = database(&mut bench, service, protocol);
        assert!(
            matches!(&out.outputs[..], [Output::RefuseRequest { text, .. }] if text.contains(part)),
            "{out:?}"
        );
    }
}
