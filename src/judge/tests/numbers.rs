//! Shares, rates, balance and times of visits.

use super::*;
use crate::model::fact::Chosen;
use crate::model::id::FlowId;

fn metric(metric: Metric, bound: Bound) -> Expectation {
    expect(Check::Metric { metric, bound })
}

fn connected(door: &str, proxy: &str) -> Fact {
    let kind = Kind::FlowConnected {
        flow: FlowId(1),
        proxy: proxy.into(),
        from: None,
        attempt: 1,
        why: Chosen::Turn,
    };
    fact(5_000, Node::Balancer(door.into()), kind)
}

#[test]
fn the_share_of_failed_visits_is_of_all_visits() {
    let mut facts: Vec<Fact> = (0..9).map(|n| visited(2_000 + n, 5)).collect();
    facts.push(visit_failed(3_000, Failure::Cut));
    let any = |bound| metric(Metric::RequestsFailed { reason: None }, bound);
    let verdict = check(&any(below(0.11)), &facts, Outcome::Met);
    assert_eq!(verdict.evidence, 10);
    assert_eq!(verdict.measured, "10.00% of 10 visits (cut 1)");
    check(&any(below(0.1)), &facts, Outcome::Failed);
    check(&any(above(0.05)), &facts, Outcome::Met);
    facts.push(visit_failed(3_500, Failure::Cut));
    let verdict = check(&any(below(0.11)), &facts, Outcome::Failed);
    assert_eq!(verdict.examples.len(), 2);
}

#[test]
fn a_reason_counts_alone() {
    let facts = [visited(2_000, 5), visit_failed(3_000, Failure::Cut)];
    let of = |reason| {
        metric(
            Metric::RequestsFailed {
                reason: Some(reason),
            },
            below(0.2),
        )
    };
    check(&of(Failure::NoTunnel), &facts, Outcome::Met);
    check(&of(Failure::Cut), &facts, Outcome::Failed);
}

#[test]
fn a_visit_takes_what_it_took() {
    let facts: Vec<Fact> = (1..=10).map(|n| visited(2_000 + n, n * 100)).collect();
    let p90 = |bound| metric(Metric::RequestTime { quantile: 0.9 }, bound);
    check(&p90(below(0.95)), &facts, Outcome::Met);
    check(&p90(below(0.85)), &facts, Outcome::Failed);
    let mut needs = p90(below(0.95));
    needs.evidence = 11;
    let verdict = check(&needs, &facts, Outcome::Inconclusive);
    assert_eq!(verdict.why, "saw 10 of at least 11 answered visits");
}

#[test]
fn the_fullest_second_may_begin_at_any_time() {
    let dial = |ms| used(ms, agent("orders"), Purpose::Tunnel, "internal", None);
    let rate = |below_| metric(Metric::DialRate, below(below_));
    // Three within one second, across a full second of the clock.
    let facts = [
        dial(2_500),
        dial(3_000),
        dial(3_400),
        dial(3_600),
        dial(9_000),
    ];
    let verdict = check(&rate(4.0), &facts, Outcome::Met);
    assert_eq!(verdict.value, Some(Value::new(3.0, Unit::PerSecond)));
    assert_eq!(verdict.measured, "3 in the second up to 3.400, of 5 dials");
    check(&rate(3.0), &facts, Outcome::Failed);
    // A user's visit and a find are no dials.
    let others = [
        used(2_000, user(), Purpose::Visit, "external", None),
        used(2_000, agent("orders"), Purpose::Find, "internal", None),
    ];
    check(&rate(4.0), &others, Outcome::Inconclusive);
}

#[test]
fn the_fullest_second_is_that_of_a_look_at_every_step() {
    use crate::model::draw::Seed;
    for seed in 0..50 {
        let draw = |n| Seed(seed).draw("dials", "at", n) % 5_000;
        let mut times: Vec<u64> = (0..200).map(draw).collect();
        times.sort_unstable();
        let dial = |ms: &u64| {
            used(
                2_000 + ms,
                agent("orders"),
                Purpose::Tunnel,
                "internal",
                None,
            )
        };
        let facts: Vec<Fact> = times.iter().map(dial).collect();
        let within = |start: u64| {
            let steps = times.iter().map(|ms| ms / 10);
            steps
                .filter(|step| (start..start + 100).contains(step))
                .count()
        };
        let fullest = (0..500).map(within).max().unwrap();
        let verdict = verdict(&metric(Metric::DialRate, below(1.0)), &facts);
        let value = verdict.value.unwrap().number;
        assert_eq!(format!("{value}"), format!("{fullest}"), "seed {seed}");
    }
}

#[test]
fn balance_is_the_fullest_over_the_mean_of_the_whole_pool() {
    let balance = |bound| {
        let balancer = "internal".into();
        metric(Metric::Balance { balancer }, bound)
    };
    let facts = [
        connected("internal", "1"),
        connected("internal", "2"),
        connected("internal", "3"),
        connected("external", "1"),
    ];
    let verdict = check(&balance(below(1.1)), &facts, Outcome::Met);
    assert_eq!(verdict.evidence, 3);
    let facts = [connected("internal", "1"), connected("internal", "1")];
    let verdict = check(&balance(below(1.1)), &facts, Outcome::Failed);
    assert_eq!(
        verdict.measured,
        "proxy/1 got 2 of 2 flows, 3.000 times the mean"
    );
    check(
        &balance(below(1.1)),
        &[connected("external", "1")],
        Outcome::Inconclusive,
    );
}
