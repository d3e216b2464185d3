use super::*;
use crate::model::fact::{Act, Fact, Kind};
use crate::model::fault::Fault;
use crate::model::id::{DialId, FaultId, Seq};
use crate::model::time::Time;
use crate::policy::testing::topology;

/// Folds facts, and asks whether a condition holds.
#[track_caller]
fn check(facts: &[(Node, Kind)], condition: &Condition, expected: bool) {
    let topology = topology();
    let mut state = Snapshot::new(&topology);
    for (seq, (node, kind)) in (1..).zip(facts) {
        state.fold(&Fact {
            seq: Seq(seq),
            at: Time::from_us(seq),
            node: node.clone(),
            kind: kind.clone(),
        });
    }
    assert_eq!(holds(condition, &state, &topology), expected, "{condition}");
}

fn agent(name: &str) -> Node {
    Node::Agent(name.into())
}

fn internal() -> Node {
    Node::Balancer("internal".into())
}

fn claimed(who: &str, proxy: &str, door: &str) -> (Node, Kind) {
    let kind = Kind::Claimed {
        dial: DialId(1),
        proxy: proxy.into(),
        balancer: Some(door.into()),
        principal: "proxy.example.com".into(),
        tunnels: 1,
        gap: None,
    };
    (agent(who), kind)
}

fn operated(node: Node, act: Act) -> (Node, Kind) {
    (node, Kind::Operated { act })
}

fn paused(node: Node) -> (Node, Kind) {
    let what = Fault {
        target: Target::Node(node),
        effect: Effect::Pause,
    };
    let set = Kind::FaultSet {
        fault: FaultId(1),
        what,
        until: None,
    };
    (Node::Lab, set)
}

fn lifted((_, set): (Node, Kind)) -> (Node, Kind) {
    let Kind::FaultSet { fault, what, .. } = set else {
        panic!("{set:?}")
    };
    (Node::Lab, Kind::FaultLifted { fault, what })
}

/// Every agent has a tunnel to every proxy: `orders` through the internal door, `kiosk` through the
/// external one.
fn mesh() -> Vec<(Node, Kind)> {
    let pool = ["1", "2", "3"];
    let orders = pool.map(|proxy| claimed("orders", proxy, "internal"));
    let kiosk = pool.map(|proxy| claimed("kiosk", proxy, "external"));
    orders.into_iter().chain(kiosk).collect()
}

#[test]
fn the_mesh_is_every_agent_that_runs_to_every_proxy_that_runs() {
    let condition = Condition::Mesh;
    check(&mesh(), &condition, true);
    let short = &mesh()[..5];
    check(short, &condition, false);
    for gone in [agent("kiosk"), Node::Proxy("3".into())] {
        for act in [Act::Stop, Act::Kill] {
            check(
                &[short, &[operated(gone.clone(), act)]].concat(),
                &condition,
                true,
            );
        }
        let pause = paused(gone.clone());
        check(
            &[short, std::slice::from_ref(&pause)].concat(),
            &condition,
            true,
        );
        check(
            &[short, &[pause.clone(), lifted(pause)]].concat(),
            &condition,
            false,
        );
        let drains = operated(gone, Act::Drain);
        check(&[short, &[drains]].concat(), &condition, false);
    }
}

#[test]
fn of_nobody_nothing_holds() {
    let nobody = ["orders", "kiosk"].map(|name| operated(agent(name), Act::Stop));
    check(&nobody, &Condition::Mesh, false);
    check(&nobody, &Condition::Tunnels, false);
    check(&nobody, &Condition::Through("internal".into()), false);
    let pool = ["1", "2", "3"].map(|name| operated(Node::Proxy(name.into()), Act::Kill));
    check(&pool, &Condition::Mesh, false);
}

#[test]
fn agents_have_tunnels_when_each_that_runs_has_one() {
    let condition = Condition::Tunnels;
    let (orders, kiosk) = (
        claimed("orders", "1", "internal"),
        claimed("kiosk", "2", "external"),
    );
    check(&[orders.clone(), kiosk], &condition, true);
    check(std::slice::from_ref(&orders), &condition, false);
    let stopped = operated(agent("kiosk"), Act::Stop);
    check(&[orders, stopped], &condition, true);
}

#[test]
fn agents_use_a_door_when_every_tunnel_that_stands_goes_through_it() {
    let condition = Condition::Through("internal".into());
    check(&mesh()[..3], &condition, true);
    check(&mesh()[..4], &condition, false);
    check(&[], &condition, false);
}

#[test]
fn a_door_sees_an_instance_up_from_the_flip_on() {
    let sees = |up| Condition::Health {
        balancer: "internal".into(),
        proxy: "2".into(),
        up,
    };
    let flips = |to| {
        let changed = Kind::HealthChanged {
            proxy: "2".into(),
            to,
            cause: String::new(),
        };
        vec![(internal(), changed)]
    };
    for (facts, up, down) in [
        (vec![], false, false),
        (flips(Health::Up), true, false),
        (flips(Health::Falling), true, false),
        (flips(Health::Down), false, true),
        (flips(Health::Rising), false, true),
    ] {
        check(&facts, &sees(true), up);
        check(&facts, &sees(false), down);
    }
}

#[test]
fn drained_is_told_by_the_node_itself() {
    let condition = Condition::Drained(internal());
    let drains = operated(internal(), Act::Drain);
    let done = (internal(), Kind::Drained);
    check(std::slice::from_ref(&drains), &condition, false);
    check(&[drains.clone(), done.clone()], &condition, true);
    let again = operated(internal(), Act::Start);
    check(&[drains, done, again], &condition, false);
    check(&[], &Condition::Drained(Node::Dns), false);
}
