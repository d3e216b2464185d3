//! Tunnels that are lost and come back, or do not.

use super::*;
use crate::model::fault::{Effect, Fault, Target};
use crate::model::id::FaultId;

fn returns(within: Option<u64>) -> Expectation {
    expect(Check::Returns {
        who: Who::Node(agent("orders")),
        within: within.map(Span::from_ms),
    })
}

fn reconnects(quantile: f64, bound: Bound) -> Expectation {
    expect(Check::Metric {
        metric: Metric::ReconnectTime { quantile },
        bound,
    })
}

fn outages(bound: Bound) -> Expectation {
    expect(Check::Metric {
        metric: Metric::OutageTime { quantile: 1.0 },
        bound,
    })
}

/// One agent loses its only tunnel at 10 s and has it again at 20 s.
fn one_outage() -> Vec<Fact> {
    vec![
        claimed(2_000, "orders", 1, "1", None),
        lost(10_000, "orders", 1, "1"),
        claimed(20_000, "orders", 2, "1", Some(10_000)),
        ended(60_000),
    ]
}

fn without(facts: &[Fact], index: usize) -> Vec<Fact> {
    let mut facts = facts.to_vec();
    facts.remove(index);
    facts
}

fn with(facts: &[Fact], more: &[Fact]) -> Vec<Fact> {
    let mut facts: Vec<Fact> = facts.iter().chain(more).cloned().collect();
    facts.sort_by_key(|fact| fact.at);
    facts
}

fn paused(ms: u64, node: Node) -> Fact {
    let what = pause(node);
    let fault = FaultId(1);
    let until = None;
    fact(ms, Node::Lab, Kind::FaultSet { fault, what, until })
}

fn resumed(ms: u64, node: Node) -> Fact {
    let what = pause(node);
    let fault = FaultId(1);
    fact(ms, Node::Lab, Kind::FaultLifted { fault, what })
}

fn pause(node: Node) -> Fault {
    Fault {
        target: Target::Node(node),
        effect: Effect::Pause,
    }
}

#[test]
fn who_returns_in_time_is_fine_and_who_does_not_is_named() {
    let verdict = check(&returns(None), &one_outage(), Outcome::Met);
    assert_eq!(verdict.measured, "1 outage, the longest 10.00s");
    check(&returns(Some(10_000)), &one_outage(), Outcome::Met);
    let verdict = check(&returns(Some(9_999)), &one_outage(), Outcome::Failed);
    assert_eq!(verdict.examples.len(), 1);
    assert_eq!(verdict.examples[0].node, agent("orders"));
    assert_eq!(verdict.examples[0].at, Time::from_us(10_000_000));

    // The twin in which it never comes back.
    let gone = without(&one_outage(), 2);
    for within in [None, Some(5_000), Some(90_000)] {
        let verdict = check(&returns(within), &gone, Outcome::Failed);
        assert_eq!(verdict.examples.len(), 1, "counted once: {verdict:#?}");
        assert_eq!(verdict.evidence, 1);
    }
}

#[test]
fn without_an_outage_nothing_is_shown() {
    let facts = [claimed(2_000, "orders", 1, "1", None), ended(60_000)];
    let verdict = check(&returns(None), &facts, Outcome::Inconclusive);
    assert_eq!(verdict.why, "saw 0 of at least 1 outage");
}

#[test]
fn who_never_had_a_tunnel_fails_it() {
    let verdict = check(&returns(None), &[ended(60_000)], Outcome::Failed);
    assert_eq!(verdict.examples[0].text, "never had a tunnel");
    let all = expect(Check::Returns {
        who: Who::Agents(None),
        within: None,
    });
    let verdict = check(&all, &one_outage(), Outcome::Failed);
    assert_eq!(verdict.examples[0].node, agent("kiosk"));
}

#[test]
fn one_tunnel_of_two_is_no_outage() {
    let facts = [
        claimed(2_000, "orders", 1, "1", None),
        claimed(3_000, "orders", 2, "2", None),
        lost(10_000, "orders", 1, "1"),
        ended(60_000),
    ];
    check(&returns(None), &facts, Outcome::Inconclusive);
    check(&outages(below(90.0)), &facts, Outcome::Inconclusive);
    let both = with(&facts, &[lost(11_000, "orders", 2, "2")]);
    check(&returns(None), &both, Outcome::Failed);
}

#[test]
fn who_was_put_to_rest_is_not_expected_back_until_it_runs_again() {
    let gone = without(&one_outage(), 2);
    for act in [Act::Stop, Act::Kill, Act::Drain] {
        let before = operated(9_999, agent("orders"), act);
        check(
            &returns(Some(5_000)),
            &with(&gone, &[before]),
            Outcome::Inconclusive,
        );
        let after = operated(12_000, agent("orders"), act);
        let rests = with(&gone, &[after]);
        check(&returns(None), &rests, Outcome::Inconclusive);
        check(&outages(below(90.0)), &rests, Outcome::Inconclusive);
        check(&reconnects(0.5, below(90.0)), &rests, Outcome::Inconclusive);
        let again = operated(13_000, agent("orders"), Act::Start);
        let verdict = check(&returns(None), &with(&rests, &[again]), Outcome::Failed);
        assert_eq!(verdict.examples[0].at, Time::from_us(13_000_000));
    }
    let pause = paused(12_000, agent("orders"));
    let rests = with(&gone, &[pause]);
    check(&returns(None), &rests, Outcome::Inconclusive);
    let wakes = with(&rests, &[resumed(14_000, agent("orders"))]);
    check(&returns(None), &wakes, Outcome::Failed);
}

#[test]
fn an_outage_that_lasts_too_long_aborts_before_it_ends() {
    let mut expectation = returns(Some(5_000));
    expectation.abort = true;
    let mut facts = one_outage();
    facts.truncate(2);
    facts.push(fact(15_000, Node::Lab, Kind::Drained));
    assert_eq!(judge(&expectation, &facts).abort(), None);
    facts.push(fact(15_101, Node::Lab, Kind::Drained));
    assert_eq!(judge(&expectation, &facts).abort(), Some(0));
}

#[test]
fn a_reconnect_is_as_long_as_the_agent_says_and_an_unfinished_one_at_least_till_the_end() {
    let verdict = check(&reconnects(0.99, below(11.0)), &one_outage(), Outcome::Met);
    assert_eq!(verdict.measured, "p99 10.00s of 1 reconnect");
    let verdict = check(
        &reconnects(0.99, below(10.0)),
        &one_outage(),
        Outcome::Failed,
    );
    assert_eq!(verdict.why, "p99: 10.00s is not below 10.00s");
    assert_eq!(verdict.examples[0].text, "reconnect after 10.00s");
    check(&reconnects(0.99, above(9.0)), &one_outage(), Outcome::Met);
    check(
        &reconnects(0.99, above(11.0)),
        &one_outage(),
        Outcome::Failed,
    );

    // The twin in which it does not come back: 50 s until the end, or more.
    let gone = without(&one_outage(), 2);
    check(&reconnects(0.99, below(45.0)), &gone, Outcome::Failed);
    let verdict = check(&reconnects(0.99, below(90.0)), &gone, Outcome::Inconclusive);
    assert_eq!(
        verdict.measured,
        "p99 50.00s at least of 1 reconnect, 1 of them not ended"
    );
}

#[test]
fn a_few_unfinished_reconnects_do_not_hide_a_quantile_that_is_known() {
    let mut facts = Vec::new();
    for dial in 0..9 {
        let ms = 2_000 + dial * 2_000;
        facts.push(claimed(
            ms,
            "orders",
            dial,
            "1",
            (dial > 0).then_some(1_000),
        ));
        facts.push(lost(ms + 1_000, "orders", dial, "1"));
    }
    facts.push(ended(60_000));
    check(&reconnects(0.5, below(2.0)), &facts, Outcome::Met);
    check(&reconnects(1.0, below(2.0)), &facts, Outcome::Failed);
    check(&reconnects(1.0, below(90.0)), &facts, Outcome::Inconclusive);
}

#[test]
fn a_proxy_that_is_down_on_purpose_is_not_waited_for() {
    let gone = without(&one_outage(), 2);
    let down = operated(9_000, Node::Proxy("1".into()), Act::Stop);
    check(
        &reconnects(0.5, below(40.0)),
        &with(&gone, std::slice::from_ref(&down)),
        Outcome::Inconclusive,
    );
    let up = operated(30_000, Node::Proxy("1".into()), Act::Start);
    check(
        &reconnects(0.5, below(40.0)),
        &with(&gone, &[down, up]),
        Outcome::Failed,
    );
}

#[test]
fn a_tunnel_that_drains_after_its_successor_stands_is_not_lost() {
    let facts = [
        claimed(2_000, "orders", 1, "1", None),
        claimed(9_000, "orders", 2, "1", None),
        lost(10_000, "orders", 1, "1"),
        ended(60_000),
    ];
    check(&reconnects(0.5, below(40.0)), &facts, Outcome::Inconclusive);
    check(&returns(None), &facts, Outcome::Inconclusive);
}

#[test]
fn an_outage_runs_from_the_last_loss_to_the_next_tunnel_to_any_proxy() {
    let facts = [
        claimed(2_000, "orders", 1, "1", None),
        claimed(3_000, "orders", 2, "2", None),
        lost(10_000, "orders", 1, "1"),
        lost(12_000, "orders", 2, "2"),
        claimed(20_000, "orders", 3, "3", None),
        ended(60_000),
    ];
    let verdict = check(&outages(below(8.1)), &facts, Outcome::Met);
    assert_eq!(verdict.measured, "max 8.00s of 1 outage");
    check(&outages(below(8.0)), &facts, Outcome::Failed);
    check(&outages(below(8.1)), &without(&facts, 4), Outcome::Failed);
    check(
        &outages(below(90.0)),
        &without(&facts, 4),
        Outcome::Inconclusive,
    );
}

#[test]
fn a_loss_before_the_window_does_not_count_and_one_that_outlasts_it_is_unfinished() {
    let mut late = reconnects(0.5, below(90.0));
    late.after = Span::from_secs(9);
    check(&late, &one_outage(), Outcome::Met);
    late.after = Span::from_ms(9_001);
    check(&late, &one_outage(), Outcome::Inconclusive);
    let mut early = reconnects(0.5, below(90.0));
    early.before = Some(Span::from_ms(18_999));
    let verdict = check(&early, &one_outage(), Outcome::Inconclusive);
    assert!(verdict.measured.contains("not ended"), "{verdict:#?}");
    early.before = Some(Span::from_ms(19_001));
    check(&early, &one_outage(), Outcome::Met);
}

#[test]
fn who_roams_is_judged_by_where_it_lost_its_tunnel() {
    let network = |network: &str| {
        expect(Check::Returns {
            who: Who::Agents(Some(network.into())),
            within: None,
        })
    };
    let roamed = Kind::Roamed {
        network: "external".into(),
        address: [127, 20, 0, 99].into(),
    };
    let facts = with(
        &one_outage(),
        &[
            claimed(2_000, "kiosk", 1, "1", None),
            fact(9_000, agent("orders"), roamed),
        ],
    );
    check(&network("external"), &facts, Outcome::Met);
    check(&network("internal"), &facts, Outcome::Inconclusive);
}

fn keeps(who: Who) -> Expectation {
    expect(Check::Keeps { who })
}

#[test]
fn who_keeps_a_tunnel_is_fine_and_who_loses_its_last_is_named() {
    let orders = keeps(Who::Node(agent("orders")));
    let facts = [
        claimed(2_000, "orders", 1, "1", None),
        claimed(3_000, "orders", 2, "2", None),
        lost(10_000, "orders", 1, "1"),
        ended(60_000),
    ];
    let verdict = check(&orders, &facts, Outcome::Met);
    assert_eq!(verdict.evidence, 1);
    let verdict = check(&orders, &one_outage(), Outcome::Failed);
    assert_eq!(verdict.examples[0].at, Time::from_us(10_000_000));
    // Who was put to rest gave its tunnels up itself, and then shows nothing.
    let stopped = with(
        &without(&one_outage(), 2),
        &[operated(9_999, agent("orders"), Act::Stop)],
    );
    check(&orders, &stopped, Outcome::Inconclusive);
    // A loss before the window is as bad when it lasts through it, and no matter when it does not.
    let later = Expectation {
        after: Span::from_secs(30),
        ..orders
    };
    let verdict = check(&later, &without(&one_outage(), 2), Outcome::Failed);
    assert_eq!(verdict.examples[0].at, Time::from_us(10_000_000));
    check(&later, &one_outage(), Outcome::Met);
    let verdict = check(&keeps(Who::Agents(None)), &facts, Outcome::Failed);
    assert_eq!(verdict.examples[0].text, "never had a tunnel");
    assert_eq!(verdict.examples[0].node, agent("kiosk"));
}
