use super::*;
use crate::model::fact::Act;
use crate::model::time::Span;
use crate::policy::Machine as _;
use crate::policy::proxy::tests::{ORDERS, ask, hello, serving, started, tunnel};
use crate::policy::proxy::{Input, Output, Proxy};
use crate::policy::testing::Bench;

/// Wakes the machine until this instant; gives the facts.
fn wake_until(bench: &mut Bench<Proxy>, until: Span) -> (Vec<Kind>, Vec<Output>) {
    let (mut facts, mut outputs) = (Vec::new(), Vec::new());
    let until = Time::ZERO + until;
    while bench.machine.deadline().is_some_and(|(at, _)| at <= until) {
        let out = bench.wake();
        facts.extend(out.facts);
        outputs.extend(out.outputs);
    }
    bench.now = until;
    (facts, outputs)
}

fn offline(facts: &[Kind]) -> Vec<Span> {
    let mut found = Vec::new();
    for fact in facts {
        if let Kind::TunnelOffline { silent, .. } = fact {
            found.push(*silent);
        }
    }
    found
}

fn removed(facts: &[Kind]) -> Option<&str> {
    facts.iter().find_map(|fact| {
        if let Kind::TunnelRemoved { why, .. } = fact {
            Some(why.as_str())
        } else {
            None
        }
    })
}

const MINUTE: Span = Span::from_secs(60);

#[test]
fn a_tunnel_without_heartbeats_is_invalid_after_fifteen_minutes_and_the_last_resort() {
    let mut bench = started();
    let conn = tunnel(&mut bench, true);
    let (facts, _) = wake_until(&mut bench, MINUTE.times(15) - Span::from_us(1));
    assert_eq!(offline(&facts), []);
    let (facts, _) = wake_until(&mut bench, MINUTE.times(16));
    assert_eq!(offline(&facts), [MINUTE.times(15)]);
    let out = ask(&mut bench, ORDERS);
    assert!(matches!(out.outputs[..], [Output::Route { conn: c, .. }] if c == conn));
    assert!(matches!(
        out.facts[..],
        [Kind::Routed {
            why: "no valid tunnel: newest invalid one",
            ..
        }]
    ));
}

#[test]
fn a_heartbeat_makes_it_valid_again_and_puts_the_limit_off() {
    let mut bench = started();
    let conn = tunnel(&mut bench, true);
    wake_until(&mut bench, MINUTE.times(16));
    let serves = serving(&["orders"]);
    bench.feed(Input::Heartbeat { conn, serves });
    let out = ask(&mut bench, ORDERS);
    assert!(matches!(
        out.facts[..],
        [Kind::Routed {
            why: "newest valid tunnel",
            ..
        }]
    ));
    let (facts, _) = wake_until(&mut bench, MINUTE.times(31) - Span::from_us(1));
    assert_eq!(offline(&facts), [], "fifteen minutes from the heartbeat on");
    let (facts, _) = wake_until(&mut bench, MINUTE.times(46));
    assert_eq!(offline(&facts), [MINUTE.times(15)]);
}

#[test]
fn three_times_as_late_it_is_closed_and_not_before() {
    let mut bench = started();
    let conn = tunnel(&mut bench, true);
    let (facts, _) = wake_until(&mut bench, MINUTE.times(45) - Span::from_us(1));
    assert_eq!(removed(&facts), None);
    let (facts, outputs) = wake_until(&mut bench, MINUTE.times(45));
    assert_eq!(removed(&facts), Some("no heartbeat for 45m00s"));
    assert!(outputs.contains(&Output::CloseTunnel { conn }));
    let why = String::from("closed by the proxy");
    let out = bench.feed(Input::TunnelClosed { conn, why });
    assert!(out.facts.is_empty(), "it was removed once: {out:?}");
}

#[test]
fn an_open_session_puts_the_close_off_until_it_ends() {
    let mut bench = started();
    let conn = tunnel(&mut bench, true);
    let out = ask(&mut bench, ORDERS);
    let [Output::Route { request, .. }] = out.outputs[..] else {
        panic!("{out:?}")
    };
    let (facts, _) = wake_until(&mut bench, MINUTE.times(50));
    assert_eq!(removed(&facts), None);
    let out = bench.feed(Input::RequestEnded {
        request,
        status: 200,
        bytes: 1,
    });
    assert_eq!(removed(&out.facts), Some("no heartbeat for 50m00s"));
    assert_eq!(out.outputs, [Output::CloseTunnel { conn }]);
}

#[test]
fn the_limit_is_the_pools_interval_times_count() {
    let mut bench = started();
    bench.topology.pool.teleport.keep_alive = Span::from_secs(1);
    bench.topology.pool.teleport.keep_alive_max = 2;
    tunnel(&mut bench, true);
    let (facts, _) = wake_until(&mut bench, Span::from_secs(5));
    assert_eq!(offline(&facts), [Span::from_secs(2)]);
    let (facts, _) = wake_until(&mut bench, Span::from_secs(6));
    assert_eq!(removed(&facts), Some("no heartbeat for 6.00s"));
}

/// Registers a stand-in that forwards these names.
fn stand_in(bench: &mut Bench<Proxy>, names: &[&str]) -> (ConnId, Outbox<Output>) {
    let out = hello(bench, &["teleport-reversetunnel"]);
    let [Output::Serve { conn, .. }] = out.outputs[..] else {
        panic!("{out:?}")
    };
    let out = bench.feed(Input::StandInOpened {
        conn,
        name: "stand-in".into(),
        resources: names.iter().map(|name| Name::from(*name)).collect(),
    });
    (conn, out)
}

#[test]
fn a_stand_in_serves_what_no_agent_does_and_is_never_late() {
    let mut bench = started();
    let (conn, out) = stand_in(&mut bench, &["wiki", "orders"]);
    assert!(matches!(out.facts[..], [Kind::StandInRegistered { .. }]));
    wake_until(&mut bench, MINUTE.times(60));
    let out = ask(&mut bench, "wiki.proxy.example.com:3080");
    assert!(
        matches!(&out.outputs[..], [Output::Route { conn: c, agent, .. }]
            if *c == conn && &**agent == "stand-in"),
        "{out:?}"
    );
    let agent = tunnel(&mut bench, true);
    let out = ask(&mut bench, ORDERS);
    assert!(
        matches!(out.outputs[..], [Output::Route { conn: c, .. }] if c == agent),
        "an agent comes first: {out:?}"
    );
    let why = String::from("the agent closed the connection");
    let out = bench.feed(Input::TunnelClosed { conn, why });
    assert!(matches!(out.facts[..], [Kind::TunnelRemoved { .. }]));
    let out = ask(&mut bench, "wiki.proxy.example.com:3080");
    assert!(matches!(
        out.outputs[..],
        [Output::RefuseRequest { status: 404, .. }]
    ));
}

#[test]
fn a_drain_advises_agents_and_closes_idle_stand_ins_at_once() {
    let mut bench = started();
    let agent = tunnel(&mut bench, true);
    let (idle, _) = stand_in(&mut bench, &["idle"]);
    let (busy, _) = stand_in(&mut bench, &["wiki"]);
    let out = ask(&mut bench, "wiki.proxy.example.com:3080");
    let [Output::Route { request, .. }] = out.outputs[..] else {
        panic!("{out:?}")
    };
    let out = bench.feed(Input::Operate(Act::Drain));
    assert_eq!(
        out.outputs,
        [
            Output::StopListening,
            Output::CloseTunnel { conn: idle },
            Output::Advise { conns: vec![agent] }
        ]
    );
    let out = bench.feed(Input::RequestEnded {
        request,
        status: 200,
        bytes: 1,
    });
    assert_eq!(out.outputs, [Output::CloseTunnel { conn: busy }]);
    let (_, out) = {
        let conn = ConnId(99);
        let name = "late".into();
        let resources = Vec::new();
        (
            conn,
            bench.feed(Input::StandInOpened {
                conn,
                name,
                resources,
            }),
        )
    };
    assert!(matches!(out.outputs[..], [Output::CloseTunnel { .. }]));
}
