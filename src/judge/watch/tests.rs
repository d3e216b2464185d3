use super::super::tests::{agent, claimed, ended, expect, fact, lost, used};
use super::*;
use crate::model::expect::{Check, Expectation, Who};
use crate::model::fact::Purpose;
use crate::model::id::Node;
use crate::policy::testing;

/// Watches what is expected over facts; the run is ready at 1 s.
fn watched(expectation: Expectation, facts: Vec<Fact>) -> Watch {
    let mut topology = testing::topology();
    topology.expect = vec![expectation];
    let mut watch = Watch::new(&topology);
    watch.fold(&fact(1_000, Node::Lab, Kind::Ready));
    facts.iter().for_each(|fact| watch.fold(fact));
    watch
}

fn turns(watch: &Watch) -> Vec<(u64, &'static str)> {
    let turns = watch.turns();
    turns
        .map(|turn| (turn.at.as_us() / 1_000, turn.state.word()))
        .collect()
}

fn returns() -> Expectation {
    expect(Check::Returns {
        who: Who::Agents(None),
        within: Some(Span::from_secs(5)),
    })
}

#[test]
fn an_expectation_waits_holds_and_is_met_at_the_end() {
    let keeps = expect(Check::Keeps {
        who: Who::Agents(None),
    });
    let facts = vec![
        claimed(2_000, "orders", 1, "1", None),
        claimed(2_100, "kiosk", 1, "1", None),
        claimed(3_000, "orders", 2, "2", None),
        ended(9_000),
    ];
    let watch = watched(keeps, facts);
    assert_eq!(turns(&watch), [(2_000, "holding"), (9_000, "met")]);
    let stand = &watch.stands()[0];
    assert_eq!((stand.state, stand.settled), (State::Met, true));
    assert_eq!((stand.evidence, stand.at), (2, Time::from_us(9_000_000)));
}

#[test]
fn a_fact_against_it_turns_it_at_its_own_instant() {
    let uses = expect(Check::Door {
        who: Who::Node(agent("orders")),
        balancer: "internal".into(),
        uses: true,
    });
    let dial = |ms, door| used(ms, agent("orders"), Purpose::Tunnel, "internal", Some(door));
    // The second one comes within a quarter of a second of the first, between two looks.
    let facts = vec![
        dial(2_000, "internal"),
        dial(2_100, "external"),
        dial(4_000, "internal"),
    ];
    let watch = watched(uses, facts);
    assert_eq!(turns(&watch), [(2_000, "holding"), (2_100, "failed")]);
    let stand = &watch.stands()[0];
    assert_eq!((stand.state, stand.settled), (State::Failed, true));
    assert_eq!(stand.at, Time::from_us(2_100_000));
}

#[test]
fn an_agent_that_may_still_return_speaks_against_nothing() {
    let mut facts = vec![
        claimed(2_000, "orders", 1, "1", None),
        lost(10_000, "orders", 1, "1"),
        claimed(12_000, "orders", 2, "1", Some(2_000)),
        lost(20_000, "orders", 2, "1"),
        claimed(22_000, "kiosk", 1, "1", None),
    ];
    let watch = watched(returns(), facts.clone());
    assert_eq!(turns(&watch), [(12_000, "holding")]);
    // The twin in which it never comes back: its loss is what speaks against it.
    facts.push(claimed(40_000, "kiosk", 2, "2", None));
    let watch = watched(returns(), facts);
    assert_eq!(turns(&watch), [(12_000, "holding"), (20_000, "failed")]);
}

#[test]
fn turns_are_bounded() {
    let mut watch = watched(returns(), Vec::new());
    let turn = Turn {
        index: 0,
        at: Time::ZERO,
        state: State::Failed,
        text: String::new(),
    };
    for _ in 0..2 * TURNS_MAX {
        watch.note(turn.clone());
    }
    assert_eq!(watch.turns().count(), TURNS_MAX);
}
