use super::*;
use crate::model::fact::{Failure, Health};
use crate::model::fault::{Effect, Target};
use crate::model::id::{Name, RequestId, Seq};
use crate::policy::testing::topology;

fn at(second: u64) -> Time {
    Time::from_us(second * 1_000_000)
}

fn folded(from: u64, to: u64, facts: Vec<(u64, Node, Kind)>) -> History {
    let mut history = History::new(&Snapshot::new(&topology()), at(from), at(to));
    for (seq, (second, node, kind)) in (1..).zip(facts) {
        history.fold(&Arc::new(Fact {
            seq: Seq(seq),
            at: at(second),
            node,
            kind,
        }));
    }
    history.trim();
    history
}

fn set(id: u64, until: Option<u64>) -> Kind {
    Kind::FaultSet {
        fault: FaultId(id),
        what: pause(),
        until: until.map(at),
    }
}

fn lifted(id: u64) -> Kind {
    Kind::FaultLifted {
        fault: FaultId(id),
        what: pause(),
    }
}

fn pause() -> Fault {
    Fault {
        target: Target::Node(Node::Proxy("1".into())),
        effect: Effect::Pause,
    }
}

fn failed(n: u64) -> Kind {
    Kind::VisitFailed {
        request: RequestId(n),
        app: "orders".into(),
        balancer: None,
        reason: Failure::Connect,
        error: "refused".into(),
    }
}

fn user() -> Node {
    Node::User("alice".into())
}

fn proxy() -> Node {
    Node::Proxy("1".into())
}

#[test]
fn faults_and_rests_have_their_beginning_and_end() {
    let operated = |act| Kind::Operated { act };
    let facts = vec![
        (1, proxy(), operated(Act::Start)),
        (2, Node::Lab, set(1, None)),
        (3, Node::Lab, set(2, Some(30))),
        (4, proxy(), operated(Act::Drain)),
        (5, proxy(), operated(Act::Stop)),
        (7, Node::Lab, lifted(1)),
        (8, proxy(), operated(Act::Start)),
        (9, user(), operated(Act::Kill)),
    ];
    let history = folded(0, 20, facts.clone());
    let faults: Vec<_> = history
        .faults
        .iter()
        .map(|f| (f.id.0, f.from, f.to, f.lifted))
        .collect();
    assert_eq!(
        faults,
        [
            (1, at(2), Some(at(7)), true),
            (2, at(3), Some(at(30)), false)
        ]
    );
    let rests: Vec<_> = history
        .rests
        .iter()
        .map(|r| (r.act, r.from, r.to))
        .collect();
    let expected = [
        (Act::Drain, at(4), Some(at(5))),
        (Act::Stop, at(5), Some(at(8))),
        (Act::Kill, at(9), None),
    ];
    assert_eq!(rests, expected);
    // Of a part only what reaches into it.
    let part = folded(8, 20, facts);
    assert_eq!(part.faults.len(), 1);
    assert_eq!(part.rests.len(), 2);
}

#[test]
fn what_went_wrong_is_never_left_out_and_the_rest_is_chosen_evenly() {
    let door = Node::Balancer("internal".into());
    let up = |n: u64| Kind::HealthChanged {
        proxy: "1".into(),
        to: if n.is_multiple_of(100) {
            Health::Down
        } else {
            Health::Up
        },
        cause: String::new(),
    };
    let facts = (1..=10_000)
        .map(|n| (n / 100, door.clone(), up(n)))
        .collect();
    let history = folded(0, 200, facts);
    let (marks, more) = history.marks(Lane::Balancers);
    let bad = |fact: &&&Arc<Fact>| severity(fact) == Some(Severity::Bad);
    assert_eq!(marks.iter().filter(bad).count(), 100);
    assert_eq!((marks.len(), more), (400, 9_600));
    assert!(marks.windows(2).all(|pair| pair[0].seq < pair[1].seq));
    let good: Vec<u64> = marks
        .iter()
        .filter(|fact| !bad(fact))
        .map(|f| f.seq.0)
        .collect();
    assert_eq!((good.first(), good.last()), (Some(&1), Some(&9_999)));
    let widest = good.windows(2).map(|pair| pair[1] - pair[0]).max();
    assert!(widest <= Some(36), "{widest:?}");
    assert_eq!(history.marks(Lane::Users).0.len(), 0);
}

#[test]
fn all_is_bounded_also_when_everything_went_wrong() {
    let facts = (1..=5_000).map(|n| (n / 100, user(), failed(n))).collect();
    let history = folded(0, 200, facts);
    let (marks, more) = history.marks(Lane::Users);
    assert_eq!((marks.len(), more), (BAD_MAX, 3_000));
}

#[test]
fn rates_have_as_many_buckets_as_can_be_seen_and_lose_nothing() {
    let parts: [(u64, u64); 5] = [(0, 1), (0, 59), (7, 61), (13, 86_400), (0, 8_640_000)];
    for (from, to) in parts {
        let apart = usize::try_from((to - from).div_ceil(500)).unwrap();
        let seconds = (from..=to).step_by(apart);
        let facts: Vec<_> = seconds
            .map(|second| (second, user(), failed(second)))
            .collect();
        let count = facts.len() as u64;
        let rates = folded(from, to, facts).rates;
        let buckets = rates.failures.len();
        assert!(buckets <= 241, "{from} to {to}: {buckets}");
        assert_eq!(rates.failures.iter().sum::<u64>(), count, "{from} to {to}");
        assert_eq!(rates.from.as_us() % rates.step.as_us(), 0);
    }
}

#[test]
fn nobody_is_shown_in_two_lanes() {
    let name = Name::from("x");
    for (node, lane) in [
        (Node::Lab, Lane::Scenario),
        (Node::Dns, Lane::Dns),
        (Node::Resolver(name.clone()), Lane::Dns),
        (Node::Balancer(name.clone()), Lane::Balancers),
        (Node::Proxy(name.clone()), Lane::Proxies),
        (Node::Agent(name.clone()), Lane::Agents),
        (Node::User(name), Lane::Users),
    ] {
        let operated = Kind::Operated { act: Act::Stop };
        let history = folded(0, 9, vec![(1, node, operated)]);
        for other in Lane::ALL {
            assert_eq!(history.marks(*other).0.len(), usize::from(*other == lane));
        }
    }
}
