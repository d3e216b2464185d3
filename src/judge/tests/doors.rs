//! Doors and answers.

use super::*;
use crate::model::expect::AnswerCheck;
use crate::model::fact::Probed;

pub(super) fn agents_use(door: &str) -> Expectation {
    door_check(Who::Agents(Some("internal".into())), door, true)
}

fn door_check(who: Who, door: &str, uses: bool) -> Expectation {
    expect(Check::Door {
        who,
        balancer: door.into(),
        uses,
    })
}

pub(super) fn asks() -> Expectation {
    expect(Check::Answer(answer_check()))
}

fn answer_check() -> AnswerCheck {
    AnswerCheck {
        name: "proxy.example.com.".into(),
        rtype: "A".into(),
        from: [127, 10, 0, 9].into(),
        client: "internal".into(),
        every: Span::from_secs(5),
        answer: Some(vec!["127.10.0.2".into(), "127.10.0.3".into()]),
        not_in: Vec::new(),
        rcode: None,
        view: None,
    }
}

fn probed(rcode: Option<&str>, answer: &[&str]) -> Probed {
    Probed {
        expectation: 0,
        from: [127, 10, 0, 9].into(),
        name: "proxy.example.com.".into(),
        rtype: "A".into(),
        view: None,
        rcode: rcode.map(Name::from),
        answer: answer.iter().map(|data| Name::from(*data)).collect(),
    }
}

#[track_caller]
fn check_answer(answer: &AnswerCheck, probed: &Probed, outcome: Outcome) -> Verdict {
    let probed = fact(5_000, Node::Lab, Kind::Probed(Box::new(probed.clone())));
    check(
        &expect(Check::Answer(answer.clone())),
        &[probed, ended(9_000)],
        outcome,
    )
}

#[test]
fn one_connection_through_another_door_fails_it_and_is_shown() {
    let tunnel = |ms, door| used(ms, agent("orders"), Purpose::Tunnel, "internal", door);
    let facts = [
        tunnel(2_000, Some("internal")),
        tunnel(3_000, Some("internal")),
    ];
    let verdict = check(&agents_use("internal"), &facts, Outcome::Met);
    assert_eq!(verdict.evidence, 2);
    for wrong in [Some("external"), None] {
        let facts = [facts[0].clone(), tunnel(3_000, wrong)];
        let verdict = check(&agents_use("internal"), &facts, Outcome::Failed);
        assert_eq!(verdict.examples.len(), 1);
        assert_eq!(verdict.examples[0].at, Time::from_us(3_000_000));
        assert_eq!(verdict.examples[0].node, agent("orders"));
        assert_eq!(verdict.value, Some(Value::new(1.0, Unit::Exceptions)));
        assert_eq!(
            verdict.why,
            "1 of 2 connections was not through balancer/internal"
        );
    }
}

#[test]
fn a_find_through_the_wrong_door_fails_it_but_a_find_alone_shows_nothing() {
    let find = |door| {
        used(
            2_000,
            agent("orders"),
            Purpose::Find,
            "internal",
            Some(door),
        )
    };
    check(
        &agents_use("internal"),
        &[find("internal")],
        Outcome::Inconclusive,
    );
    let verdict = check(
        &agents_use("internal"),
        &[find("external")],
        Outcome::Failed,
    );
    assert!(
        verdict.examples[0].text.starts_with("find "),
        "{verdict:#?}"
    );
}

#[test]
fn the_network_is_the_one_that_they_are_in_then() {
    let tunnel = |network| {
        used(
            2_000,
            agent("orders"),
            Purpose::Tunnel,
            network,
            Some("external"),
        )
    };
    check(
        &agents_use("internal"),
        &[tunnel("external")],
        Outcome::Inconclusive,
    );
    check(
        &agents_use("internal"),
        &[tunnel("internal")],
        Outcome::Failed,
    );
}

#[test]
fn never_is_refuted_by_one_use() {
    let never = door_check(Who::Users(None), "internal", false);
    let visit = |door| used(2_000, user(), Purpose::Visit, "external", door);
    check(&never, &[visit(Some("external"))], Outcome::Met);
    check(&never, &[visit(None)], Outcome::Met);
    check(&never, &[visit(Some("internal"))], Outcome::Failed);
    // An agent is not a user.
    let tunnel = used(
        2_000,
        agent("orders"),
        Purpose::Tunnel,
        "internal",
        Some("internal"),
    );
    check(&never, &[tunnel], Outcome::Inconclusive);
}

#[test]
fn one_node_is_only_that_node() {
    let orders = door_check(Who::Node(agent("orders")), "internal", true);
    let tunnel = |name, door| used(2_000, agent(name), Purpose::Tunnel, "internal", Some(door));
    check(
        &orders,
        &[tunnel("kiosk", "external")],
        Outcome::Inconclusive,
    );
    check(&orders, &[tunnel("orders", "external")], Outcome::Failed);
    check(&orders, &[tunnel("orders", "internal")], Outcome::Met);
}

#[test]
fn too_little_evidence_is_said_in_numbers() {
    let tunnel = used(
        2_000,
        agent("orders"),
        Purpose::Tunnel,
        "internal",
        Some("internal"),
    );
    let mut expectation = agents_use("internal");
    expectation.evidence = 3;
    let verdict = check(&expectation, &[tunnel], Outcome::Inconclusive);
    assert_eq!(verdict.why, "saw 1 of at least 3 tunnels");
    assert_eq!((verdict.evidence, verdict.needed), (1, 3));
}

#[test]
fn answers_are_compared_as_sets() {
    let check = answer_check();
    let same = probed(Some("NOERROR"), &["127.10.0.3", "127.10.0.2"]);
    check_answer(&check, &same, Outcome::Met);
    for other in [&["127.10.0.2"][..], &["127.10.0.2", "127.20.0.2"], &[]] {
        let verdict = check_answer(&check, &probed(Some("NOERROR"), other), Outcome::Failed);
        assert!(
            verdict.examples[0]
                .text
                .ends_with("the answer should be 127.10.0.2, 127.10.0.3"),
            "{verdict:#?}"
        );
    }
    let names = AnswerCheck {
        answer: Some(vec!["Proxy.example.com.".into()]),
        ..answer_check()
    };
    check_answer(
        &names,
        &probed(Some("NOERROR"), &["proxy.example.com"]),
        Outcome::Met,
    );
}

#[test]
fn an_answer_to_another_expectation_says_nothing() {
    let mut other = probed(Some("NOERROR"), &["127.20.0.2"]);
    other.expectation = 1;
    check_answer(&answer_check(), &other, Outcome::Inconclusive);
}

#[test]
fn no_answer_is_a_failure_unless_it_is_expected() {
    check_answer(&answer_check(), &probed(None, &[]), Outcome::Failed);
    let mut silence = AnswerCheck {
        answer: None,
        rcode: Some("none".into()),
        ..answer_check()
    };
    check_answer(&silence, &probed(None, &[]), Outcome::Met);
    check_answer(&silence, &probed(Some("NOERROR"), &[]), Outcome::Failed);
    silence.rcode = Some("nxdomain".into());
    check_answer(&silence, &probed(Some("NXDOMAIN"), &[]), Outcome::Met);
    check_answer(&silence, &probed(Some("SERVFAIL"), &[]), Outcome::Failed);
}

#[test]
fn an_empty_answer_is_not_what_a_failed_question_gives() {
    let empty = AnswerCheck {
        answer: Some(Vec::new()),
        ..answer_check()
    };
    check_answer(&empty, &probed(Some("NOERROR"), &[]), Outcome::Met);
    check_answer(&empty, &probed(Some("SERVFAIL"), &[]), Outcome::Failed);
}

#[test]
fn no_address_may_lie_in_what_is_forbidden() {
    let not_in = AnswerCheck {
        answer: None,
        not_in: vec!["127.10.0.0/16".parse().unwrap()],
        ..answer_check()
    };
    check_answer(
        &not_in,
        &probed(Some("NOERROR"), &["127.20.0.2"]),
        Outcome::Met,
    );
    let inside = &["127.20.0.2", "127.10.0.2"];
    check_answer(&not_in, &probed(Some("NOERROR"), inside), Outcome::Failed);
    // No address at all is no evidence that the right ones are given.
    check_answer(
        &not_in,
        &probed(Some("NXDOMAIN"), &[]),
        Outcome::Inconclusive,
    );
}

#[test]
fn the_view_is_compared_where_the_asker_knows_it() {
    let view = AnswerCheck {
        answer: None,
        view: Some("private".into()),
        ..answer_check()
    };
    let mut answer = probed(Some("NOERROR"), &["127.10.0.2"]);
    check_answer(&view, &answer, Outcome::Inconclusive);
    answer.view = Some("private".into());
    check_answer(&view, &answer, Outcome::Met);
    answer.view = Some("public".into());
    check_answer(&view, &answer, Outcome::Failed);
}
