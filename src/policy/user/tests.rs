use super::*;
use crate::model::addr::ListenAddr;
use crate::model::fact::Purpose;
use crate::model::id::RequestId;
use crate::policy::address::Document;
use crate::policy::testing::Bench;

fn waiting() -> Bench<User> {
    let mut bench = Bench::new(User::new(0, &"alice".into()));
    bench.feed(Input::Operate(Act::Start));
    bench
}

fn visiting() -> (Bench<User>, RequestId) {
    let mut bench = waiting();
    bench.feed(Input::MeshComplete);
    let request = visit(&mut bench);
    (bench, request)
}

fn visit(bench: &mut Bench<User>) -> RequestId {
    let out = bench.wake();
    let [Output::Visit { request, .. }] = out.outputs[..] else {
        panic!("{out:?}")
    };
    request
}

fn answered(request: RequestId, status: u16, no_tunnel: bool) -> Input {
    Input::Answered {
        request,
        status,
        bytes: 5,
        proxy: Some("2".into()),
        agent: None,
        no_tunnel,
    }
}

#[test]
fn a_user_of_the_mesh_waits_for_it() {
    let mut bench = waiting();
    assert_eq!(bench.machine.deadline(), None);
    bench.feed(Input::MeshComplete);
    assert!(bench.machine.deadline().is_some());
}

#[test]
fn visits_go_to_the_apps_in_turn_once_a_period() {
    let (mut bench, first) = visiting();
    let begun = bench.now;
    bench.feed(answered(first, 200, false));
    let out = bench.wake();
    let [
        Output::Visit {
            request,
            host,
            port,
        },
    ] = &out.outputs[..]
    else {
        panic!("{out:?}")
    };
    assert_eq!((&**host, *port), ("kiosk.proxy.example.com", 3080));
    assert_eq!(bench.now.since(begun), Span::from_secs(2));
    assert_ne!(*request, first);
}

#[test]
fn one_visit_is_open_at_a_time_and_missed_periods_are_not_made_up_for() {
    let (mut bench, request) = visiting();
    bench.pass(Span::from_secs(7));
    assert!(bench.wake().outputs.is_empty());
    bench.feed(answered(request, 200, false));
    let before = bench.now;
    visit(&mut bench);
    assert!(bench.now.since(before) <= Span::from_secs(2));
    bench.feed(answered(RequestId(2), 200, false));
    assert_eq!(
        bench.machine.deadline().map(|(at, _)| at.since(bench.now)),
        Some(Span::from_secs(2))
    );
}

#[test]
fn a_refusal_for_want_of_a_tunnel_is_counted_as_such() {
    for (status, no_tunnel, reason) in [
        (502, true, Failure::NoTunnel),
        (502, false, Failure::Status),
        (404, false, Failure::Status),
    ] {
        let (mut bench, request) = visiting();
        let facts = bench.feed(answered(request, status, no_tunnel)).facts;
        assert!(
            matches!(&facts[..], [Kind::VisitFailed { reason: own, .. }] if *own == reason),
            "{facts:?}"
        );
    }
}

#[test]
fn a_user_sent_through_the_agents_door_is_a_finding_once() {
    let (mut bench, request) = visiting();
    let mut findings = |address: &str| {
        let input = Input::Connected {
            purpose: Purpose::Visit,
            request,
            host: String::from("orders.proxy.example.com"),
            address: ListenAddr(address.parse().unwrap()),
        };
        let facts = bench.feed(input).facts;
        facts
            .iter()
            .filter(|fact| matches!(fact, Kind::Finding { .. }))
            .count()
    };
    assert_eq!(
        findings("127.20.0.2:3080"),
        0,
        "the door meant for users is none"
    );
    assert_eq!(findings("127.10.0.2:3080"), 1);
    assert_eq!(findings("127.10.0.2:3080"), 0);
}

#[test]
fn a_drained_user_finishes_the_open_visit() {
    let (mut bench, request) = visiting();
    let out = bench.feed(Input::Operate(Act::Drain));
    assert!(out.outputs.is_empty() && !out.facts.contains(&Kind::Drained));
    assert_eq!(bench.machine.deadline(), None);
    assert!(
        bench
            .feed(answered(request, 200, false))
            .facts
            .contains(&Kind::Drained)
    );
}

#[test]
fn a_stopped_user_cuts_the_open_visit_and_begins_again_when_started() {
    let (mut bench, request) = visiting();
    assert_eq!(
        bench.feed(Input::Operate(Act::Stop)).outputs,
        [Output::CutAll { how: Cut::Finish }]
    );
    assert!(bench.feed(answered(request, 200, false)).facts.is_empty());
    bench.feed(Input::Operate(Act::Start));
    assert!(
        bench.machine.deadline().is_some(),
        "the mesh was there before"
    );
}

#[test]
fn an_act_that_changes_nothing_is_no_fact() {
    let mut bench = waiting();
    assert!(bench.feed(Input::Operate(Act::Start)).facts.is_empty());
    bench.feed(Input::Operate(Act::Stop));
    assert!(bench.feed(Input::Operate(Act::Stop)).facts.is_empty());
}

/// A user of tsh at the begin of a visit.
fn pinging(proxy: &str) -> (Bench<User>, u64, Vec<String>) {
    let mut bench = Bench::new(User::new(0, &"alice".into()));
    bench.topology.users[0].proxy = Some(proxy.into());
    bench.feed(Input::Operate(Act::Start));
    bench.feed(Input::MeshComplete);
    let (attempt, candidates) = ping(&mut bench);
    (bench, attempt, candidates)
}

fn ping(bench: &mut Bench<User>) -> (u64, Vec<String>) {
    let out = bench.wake();
    let [
        Output::Ping {
            attempt,
            candidates,
        },
    ] = &out.outputs[..]
    else {
        panic!("{out:?}")
    };
    (
        *attempt,
        candidates.iter().map(ToString::to_string).collect(),
    )
}

fn pinged(attempt: u64, public_addr: &str) -> Input {
    Input::PingAnswered {
        attempt,
        asked: HostPort {
            host: "other.example.com".into(),
            port: 3080,
        },
        document: Document {
            public_addr: public_addr.into(),
            ..Document::default()
        }
        .into(),
    }
}

#[test]
fn tsh_pings_the_port_that_is_given_or_the_known_ones() {
    for (proxy, expected) in [
        (
            "p.example.com",
            &["p.example.com:3080", "p.example.com:443"][..],
        ),
        ("p.example.com:7443", &["p.example.com:7443"]),
        ("p.example.com:7443,3023", &["p.example.com:7443"]),
        ("[::1]:7443,3023", &["[::1]:7443"]),
    ] {
        assert_eq!(pinging(proxy).2, expected, "{proxy}");
    }
}

#[test]
fn a_user_of_tsh_is_moved_to_the_advertised_name() {
    let (mut bench, attempt, _) = pinging("other.example.com");
    let stale = bench.feed(pinged(attempt + 1, "proxy.example.com:443"));
    assert!(stale.outputs.is_empty() && stale.facts.is_empty());
    let out = bench.feed(pinged(attempt, "proxy.example.com:443"));
    assert!(matches!(&out.facts[..], [Kind::Pinged { web, .. }] if web.port == 443));
    let [
        Output::Visit {
            request,
            host,
            port,
        },
    ] = &out.outputs[..]
    else {
        panic!("{out:?}")
    };
    assert_eq!((&**host, *port), ("orders.proxy.example.com", 443));
    bench.feed(answered(*request, 200, false));
    // The name is known now.
    visit(&mut bench);
}

#[test]
fn without_an_advertised_name_the_one_that_answered_is_used() {
    let (mut bench, attempt, _) = pinging("other.example.com");
    let out = bench.feed(pinged(attempt, ""));
    assert!(
        matches!(&out.outputs[..], [Output::Visit { host, port: 3080, .. }]
            if host == "orders.other.example.com"),
        "{out:?}"
    );
}

#[test]
fn a_failed_ping_is_a_failed_visit_and_the_next_visit_pings_again() {
    let (mut bench, attempt, _) = pinging("other.example.com");
    let out = bench.feed(Input::PingFailed {
        attempt,
        reason: Failure::Connect,
        error: String::from("refused"),
    });
    assert!(
        matches!(&out.facts[..], [Kind::VisitFailed { reason: Failure::Connect, error, .. }]
            if error == "ping: refused"),
        "{out:?}"
    );
    assert_eq!(ping(&mut bench).0, attempt + 1);
    // A visit that fails later starts over too.
    let out = bench.feed(pinged(attempt + 1, "proxy.example.com:443"));
    let [Output::Visit { request, .. }] = out.outputs[..] else {
        panic!("{out:?}")
    };
    bench.feed(answered(request, 502, true));
    ping(&mut bench);
}

#[test]
fn each_hop_says_what_its_door_was_used_for() {
    let (mut bench, attempt, _) = pinging("other.example.com");
    let mut used = |request, purpose| {
        let input = Input::Connected {
            request,
            purpose,
            host: String::from("h"),
            address: ListenAddr("127.20.0.2:3080".parse().unwrap()),
        };
        let facts = bench.feed(input).facts;
        facts.iter().any(|fact| {
            matches!(fact, Kind::DoorUsed { purpose: own, attempt, .. }
                if *own == purpose && *attempt == request.0)
        })
    };
    assert!(used(RequestId(attempt), Purpose::Ping));
    assert!(!used(RequestId(attempt + 1), Purpose::Ping), "another ping");
    assert!(
        !used(RequestId(1), Purpose::Visit),
        "it has yet to be told where"
    );
    assert!(!used(RequestId(1), Purpose::Launch));
}

fn login() -> HostPort {
    HostPort {
        host: "proxy.example.com".into(),
        port: 3080,
    }
}

#[test]
fn a_visit_without_a_session_goes_to_the_login_once() {
    let (mut bench, request) = visiting();
    let redirected = Input::Redirected {
        request,
        to: login(),
    };
    let out = bench.feed(redirected.clone());
    assert!(
        matches!(&out.facts[..], [Kind::Redirected { .. }]),
        "{out:?}"
    );
    let to = login();
    assert_eq!(out.outputs, [Output::LogIn { request, to }]);
    let out = bench.feed(Input::LoggedIn { request });
    assert!(matches!(&out.outputs[..], [Output::Visit { request: own, .. }] if *own == request));
    // Twice would be for ever.
    let out = bench.feed(redirected);
    assert!(out.outputs.is_empty(), "{out:?}");
    assert!(
        matches!(&out.facts[..], [Kind::Redirected { .. }, Kind::VisitFailed { error, .. }]
            if error.contains("again")),
        "{out:?}"
    );
    // The next visit may log in anew.
    let request = visit(&mut bench);
    let to = login();
    let out = bench.feed(Input::Redirected { request, to });
    assert!(matches!(&out.outputs[..], [Output::LogIn { .. }]));
}

#[test]
fn a_login_that_nobody_asked_for_makes_no_visit() {
    let (mut bench, request) = visiting();
    assert!(bench.feed(Input::LoggedIn { request }).outputs.is_empty());
}

#[test]
fn an_app_is_asked_for_in_lower_case_however_its_pool_is_written() {
    let mut bench = waiting();
    let public = &mut bench.topology.pool.teleport.public[0];
    public.host = "Proxy.Example.com".into();
    bench.feed(Input::MeshComplete);
    let out = bench.wake();
    assert!(
        matches!(&out.outputs[..], [Output::Visit { host, .. }] if host == "orders.proxy.example.com"),
        "{out:?}"
    );
}
