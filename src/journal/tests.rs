use super::*;
use crate::policy::testing::topology;

fn add(journal: &Journal, count: usize) {
    let kinds = std::iter::repeat_n(Kind::Ready, count);
    journal.add(Time::ZERO, &Node::Lab, kinds);
}

#[test]
fn an_observer_sees_every_fact_once_also_those_before_it_came() {
    let journal = Journal::new(&topology());
    add(&journal, 2);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let seeing = Arc::clone(&seen);
    assert!(journal.observe(move |fact| seeing.lock().unwrap().push(fact.seq.0)));
    add(&journal, FACTS_MAX + 1);
    let expected: Vec<u64> = (1..=FACTS_MAX as u64 + 3).collect();
    assert_eq!(*seen.lock().unwrap(), expected);
    // Whoever comes now has missed some, and is told so.
    assert!(!journal.observe(|_| ()));
}

use crate::judge::watch::State;
use crate::model::expect::{Check, Expectation, Who};
use crate::model::fact::{Act, Purpose};
use crate::model::mistake::Place;

/// Tells what a state is, with all its parts.
fn told(state: &Snapshot) -> String {
    format!("{state:?}")
}

/// A topology that expects something of `orders`.
fn expecting() -> Topology {
    let mut topology = topology();
    topology.expect = vec![Expectation {
        text: "agent/orders uses balancer/internal".into(),
        place: Place {
            file: "x.yaml".into(),
            line: 9,
            column: 5,
        },
        check: Check::Door {
            who: Who::Node(Node::Agent("orders".into())),
            balancer: "internal".into(),
            uses: true,
        },
        after: crate::model::time::Span::ZERO,
        before: None,
        evidence: 1,
        abort: false,
    }];
    topology
}

fn used(door: &str) -> Kind {
    Kind::DoorUsed {
        attempt: 1,
        purpose: Purpose::Tunnel,
        host: "proxy.example.com".into(),
        address: crate::model::addr::ListenAddr(([127, 10, 0, 2], 3080).into()),
        balancer: Some(door.into()),
        network: "internal".into(),
    }
}

/// A run of facts a tenth of a second apart, of several nodes; `each` sees the state after each.
fn run(journal: &Journal, count: u64, mut each: impl FnMut(&Fact)) {
    let nodes = [
        Node::Proxy("1".into()),
        Node::Balancer("internal".into()),
        Node::Agent("orders".into()),
    ];
    for n in 1..=count {
        let node = nodes[usize::try_from(n).unwrap() % nodes.len()].clone();
        let kind = match (n % 5, &node) {
            (_, Node::Agent(_)) if n == 2_000 => used("external"),
            (_, Node::Agent(_)) => used("internal"),
            (0, _) => Kind::Operated { act: Act::Drain },
            (1, _) => Kind::Drained,
            _ => Kind::Operated { act: Act::Start },
        };
        let at = Time::from_us(n * 100_000);
        journal.add(at, &node, [kind.clone()]);
        each(&Fact {
            seq: Seq(n),
            at,
            node,
            kind,
        });
    }
}

#[test]
fn the_state_at_any_fact_is_the_fold_of_the_facts_up_to_it() {
    let journal = Journal::new(&topology());
    let (mut fold, mut states) = (Snapshot::new(&topology()), Vec::new());
    states.push(told(&fold));
    run(&journal, 2_500, |fact| {
        fold.fold(fact);
        states.push(told(&fold));
    });
    for (seq, expected) in (0..).zip(&states) {
        let moment = journal.moment(At::Seq(Seq(seq))).unwrap();
        assert_eq!(told(&moment.state), *expected, "after fact {seq}");
        let at = Time::from_us(seq * 100_000 + 50_000);
        let moment = journal.moment(At::Time(at)).unwrap();
        assert_eq!(told(&moment.state), *expected, "at {at}");
        assert_eq!(moment.oldest, (Seq(0), Time::ZERO));
    }
    // The twin: another fact's state is another, so the comparison sees a difference.
    let moment = journal.moment(At::Seq(Seq(1_234))).unwrap();
    assert_ne!(told(&moment.state), states[1_235]);
}

#[test]
fn what_lies_too_far_back_is_gone_and_the_oldest_is_named() {
    let journal = Journal::keeping(&topology(), 2_000);
    run(&journal, 10_500, |_| {});
    let gone = journal.moment(At::Seq(Seq(7_000))).unwrap_err();
    assert!(gone.seq.0 >= 8_500 && gone.seq.0 <= 9_500, "{gone:?}");
    assert_eq!(gone.at, Time::from_us(gone.seq.0 * 100_000));
    assert_eq!(journal.moment(At::Time(Time::ZERO)).unwrap_err(), gone);
    let oldest = journal.moment(At::Seq(gone.seq)).unwrap();
    assert_eq!(oldest.state.seq, gone.seq);
    assert_eq!(oldest.oldest, (gone.seq, gone.at));
    assert!(journal.moment(At::Seq(Seq(gone.seq.0 - 1))).is_err());
    // What is not there yet is what is there now.
    let now = journal.moment(At::Seq(Seq(u64::MAX))).unwrap();
    assert_eq!(now.state.seq, Seq(10_500));
}

#[test]
fn checkpoints_of_a_lab_that_is_too_large_are_not_kept() {
    let mut topology = topology();
    let agent = topology.agents[0].clone();
    topology.agents = vec![agent; 400_000];
    let journal = Journal::keeping(&topology, 5_000);
    add(&journal, 4_000);
    let checkpoints = journal.lock().checkpoints.count();
    assert!(checkpoints <= 2, "{checkpoints}");
    assert!(
        journal.moment(At::Seq(Seq(1))).is_ok(),
        "folded from the start"
    );
    add(&journal, 4_000);
    assert!(journal.moment(At::Seq(Seq(1))).is_err());
    assert!(journal.moment(At::Now).is_ok());
}

#[test]
fn an_expectation_stands_as_it_did_at_the_instant_that_is_looked_at() {
    let journal = Journal::new(&expecting());
    run(&journal, 4_000, |_| {});
    let stand = |seq| {
        let moment = journal.moment(At::Seq(Seq(seq))).unwrap();
        moment.stands[0].state
    };
    assert_eq!(stand(0), State::Waiting);
    assert_eq!(stand(1_999), State::Holding);
    assert_eq!(stand(2_001), State::Failed);
    assert_eq!(journal.turns().len(), 2);
    assert!(journal.turns()[1].text.contains("external"));
}
