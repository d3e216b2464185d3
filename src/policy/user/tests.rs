use super::*;
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
