use super::*;
use crate::model::expect::{Bound, Who};
use crate::model::fact::{Act, Failure};
use crate::model::id::{DialId, Seq};
use crate::model::mistake::Place;
use crate::policy::testing;

mod agents;
mod doors;
mod numbers;

/// An expectation of this check, with the defaults of a scenario.
pub(super) fn expect(check: Check) -> Expectation {
    Expectation {
        text: "as written".into(),
        place: Place {
            file: "x.yaml".into(),
            line: 9,
            column: 5,
        },
        check,
        after: Span::ZERO,
        before: None,
        evidence: 1,
        abort: false,
    }
}

fn judge_of(expectations: Vec<Expectation>) -> Judge {
    let mut topology = testing::topology();
    topology.expect = expectations;
    Judge::new(&topology)
}

fn judge(expectation: &Expectation, facts: &[Fact]) -> Judge {
    let mut judge = judge_of(vec![expectation.clone()]);
    facts.iter().for_each(|fact| judge.fold(fact));
    judge
}

/// Judges facts; the run is ready at 1 s.
fn verdict(expectation: &Expectation, facts: &[Fact]) -> Verdict {
    let ready = fact(1_000, Node::Lab, Kind::Ready);
    let facts: Vec<Fact> = std::iter::once(ready)
        .chain(facts.iter().cloned())
        .collect();
    judge(expectation, &facts).verdicts().remove(0)
}

/// Says what an expectation comes to, and shows the verdict when it is another.
#[track_caller]
fn check(expectation: &Expectation, facts: &[Fact], outcome: Outcome) -> Verdict {
    let verdict = verdict(expectation, facts);
    assert_eq!(verdict.outcome, outcome, "{verdict:#?}");
    assert_eq!(verdict.why.is_empty(), outcome == Outcome::Met);
    assert!(verdict.examples.len() <= verdict::EXAMPLES_MAX);
    verdict
}

pub(super) fn fact(ms: u64, node: Node, kind: Kind) -> Fact {
    Fact {
        seq: Seq(0),
        at: Time::from_us(ms * 1_000),
        node,
        kind,
    }
}

pub(super) fn agent(name: &str) -> Node {
    Node::Agent(name.into())
}

fn user() -> Node {
    Node::User("alice".into())
}

pub(super) fn ended(ms: u64) -> Fact {
    fact(ms, Node::Lab, Kind::RunEnded { why: "played" })
}

pub(super) fn used(
    ms: u64,
    node: Node,
    purpose: Purpose,
    network: &str,
    door: Option<&str>,
) -> Fact {
    let kind = Kind::DoorUsed {
        attempt: 1,
        purpose,
        host: "proxy.example.com".into(),
        address: crate::model::addr::ListenAddr(([127, 10, 0, 2], 3080).into()),
        balancer: door.map(Name::from),
        network: network.into(),
    };
    fact(ms, node, kind)
}

pub(super) fn claimed(ms: u64, name: &str, dial: u64, proxy: &str, gap: Option<u64>) -> Fact {
    let kind = Kind::Claimed {
        dial: DialId(dial),
        proxy: proxy.into(),
        balancer: Some("internal".into()),
        principal: "proxy.example.com".into(),
        tunnels: 1,
        gap: gap.map(Span::from_ms),
    };
    fact(ms, agent(name), kind)
}

pub(super) fn lost(ms: u64, name: &str, dial: u64, proxy: &str) -> Fact {
    let kind = Kind::TunnelLost {
        dial: DialId(dial),
        proxy: proxy.into(),
        why: "cut".into(),
        tunnels: 0,
    };
    fact(ms, agent(name), kind)
}

fn operated(ms: u64, node: Node, act: Act) -> Fact {
    fact(ms, node, Kind::Operated { act })
}

fn visit_failed(ms: u64, reason: Failure) -> Fact {
    let kind = Kind::VisitFailed {
        request: crate::model::id::RequestId(1),
        app: "orders".into(),
        balancer: Some("external".into()),
        reason,
        error: "closed".into(),
    };
    fact(ms, user(), kind)
}

fn visited(ms: u64, took: u64) -> Fact {
    let answered = crate::model::fact::VisitAnswered {
        request: crate::model::id::RequestId(1),
        app: "orders".into(),
        balancer: Some("external".into()),
        network: "external".into(),
        proxy: Some("1".into()),
        agent: Some("orders".into()),
        status: 200,
        bytes: 9,
        took: Span::from_ms(took),
    };
    fact(ms, user(), Kind::VisitAnswered(Box::new(answered)))
}

fn below(below: f64) -> Bound {
    Bound {
        below: Some(below),
        above: None,
    }
}

fn above(above: f64) -> Bound {
    Bound {
        below: None,
        above: Some(above),
    }
}

#[test]
fn a_run_without_facts_is_inconclusive_whatever_it_expects() {
    let metric = |metric| {
        expect(Check::Metric {
            metric,
            bound: below(1.0),
        })
    };
    let balancer: Name = "internal".into();
    let expectations = vec![
        doors::agents_use("internal"),
        doors::asks(),
        metric(Metric::Balance { balancer }),
        metric(Metric::DialRate),
        metric(Metric::OutageTime { quantile: 0.5 }),
        metric(Metric::ReconnectTime { quantile: 0.5 }),
        metric(Metric::RequestTime { quantile: 0.5 }),
        metric(Metric::RequestsFailed { reason: None }),
    ];
    let mut judge = judge_of(expectations);
    judge.fold(&fact(1_000, Node::Lab, Kind::Ready));
    judge.fold(&ended(60_000));
    for verdict in judge.verdicts() {
        assert_eq!(verdict.outcome, Outcome::Inconclusive, "{verdict:#?}");
        assert!(
            verdict.why.starts_with("saw 0 of at least 1 "),
            "{verdict:#?}"
        );
        assert_eq!(verdict.value, None);
    }
    assert_eq!(
        overall(&judge_of(Vec::new()).verdicts()),
        Outcome::Inconclusive
    );
}

#[test]
fn what_is_seen_while_the_lab_is_taken_down_does_not_count() {
    let wrong = used(61_000, agent("orders"), Purpose::Tunnel, "internal", None);
    let right = used(
        5_000,
        agent("orders"),
        Purpose::Tunnel,
        "internal",
        Some("internal"),
    );
    let expectation = doors::agents_use("internal");
    check(
        &expectation,
        &[right.clone(), ended(60_000), wrong.clone()],
        Outcome::Met,
    );
    check(
        &expectation,
        &[right, wrong, ended(62_000)],
        Outcome::Failed,
    );
}

#[test]
fn a_window_counts_from_ready() {
    let right = used(
        5_000,
        agent("orders"),
        Purpose::Tunnel,
        "internal",
        Some("internal"),
    );
    let wrong = |ms| {
        used(
            ms,
            agent("orders"),
            Purpose::Tunnel,
            "internal",
            Some("external"),
        )
    };
    let mut expectation = doors::agents_use("internal");
    expectation.after = Span::from_secs(3);
    expectation.before = Some(Span::from_secs(6));
    for (ms, outcome) in [
        (3_999, Outcome::Met),
        (4_000, Outcome::Failed),
        (6_999, Outcome::Failed),
        (7_000, Outcome::Met),
    ] {
        let mut facts = vec![right.clone(), wrong(ms)];
        facts.sort_by_key(|fact| fact.at);
        check(&expectation, &facts, outcome);
    }
    // Without `ready` nothing is after it.
    let unready = judge(&expectation, &[right, wrong(5_500)]).verdicts();
    assert_eq!(overall(&unready), Outcome::Inconclusive);
}

#[test]
fn only_what_has_failed_for_good_and_says_so_aborts() {
    let wrong = used(
        5_000,
        agent("orders"),
        Purpose::Tunnel,
        "internal",
        Some("external"),
    );
    let mut one = doors::agents_use("internal");
    let two = doors::agents_use("internal");
    let aborts = |expectations: Vec<Expectation>, facts: &[Fact]| {
        let mut judge = judge_of(expectations);
        judge.fold(&fact(1_000, Node::Lab, Kind::Ready));
        facts.iter().for_each(|fact| judge.fold(fact));
        judge.abort()
    };
    assert_eq!(
        aborts(vec![two.clone(), one.clone()], std::slice::from_ref(&wrong)),
        None
    );
    one.abort = true;
    assert_eq!(aborts(vec![two, one], &[wrong]), Some(1));

    // A share may fall again until its window has closed; a rate only grows.
    let mut share = expect(Check::Metric {
        metric: Metric::RequestsFailed { reason: None },
        bound: below(0.1),
    });
    share.abort = true;
    let failed = visit_failed(5_000, Failure::Cut);
    let later = fact(9_000, Node::Lab, Kind::Drained);
    assert_eq!(
        aborts(vec![share.clone()], &[failed.clone(), later.clone()]),
        None
    );
    share.before = Some(Span::from_secs(7));
    assert_eq!(aborts(vec![share], &[failed, later]), Some(0));
    let mut rate = expect(Check::Metric {
        metric: Metric::DialRate,
        bound: below(2.0),
    });
    rate.abort = true;
    let dial = |ms| used(ms, agent("orders"), Purpose::Tunnel, "internal", None);
    assert_eq!(
        aborts(vec![rate.clone()], &[dial(2_000), dial(4_000)]),
        None
    );
    assert_eq!(aborts(vec![rate], &[dial(2_000), dial(2_500)]), Some(0));
}

#[test]
fn the_judge_can_be_asked_before_the_end_and_goes_on() {
    let expectation = doors::agents_use("internal");
    let right = used(
        5_000,
        agent("orders"),
        Purpose::Tunnel,
        "internal",
        Some("internal"),
    );
    let mut judge = judge(&expectation, std::slice::from_ref(&right));
    let now = judge.verdicts();
    assert_eq!(now, judge.verdicts());
    judge.fold(&right);
    assert_eq!(judge.verdicts()[0].evidence, 2);
}
