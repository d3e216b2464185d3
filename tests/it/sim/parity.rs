//! A live run and its simulation, held to the order in which clients and checks reached each door:
//! the same decisions, per entity and in order.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex};

use twodoors::lab::load::load;
use twodoors::live::runner::{Call, Tap};
use twodoors::model::fact::{Fact, Kind};
use twodoors::model::id::Node;
use twodoors::model::time::{Span, Time};
use twodoors::model::topology::Topology;
use twodoors::policy::AnyInput;
use twodoors::policy::answer::Rules;
use twodoors::policy::balancer::Input;
use twodoors::scenario::embedded::{FILES, SCENARIO};
use twodoors::sim::{Arrival, Arrived, DIVERGED, Options, Order, Outcome, Summary, run};
use twodoors::snapshot::Snapshot;

use crate::lab::Whole;

/// How many decisions of an entity may be missing at the end of either run: live ends when it ends.
const TAIL: usize = 4;

/// How many connections the live run makes.
const DIALS: u64 = 30;

/// Keeps what reaches the doors.
#[derive(Default)]
struct Doors {
    order: Mutex<Order>,
}

impl Tap for Doors {
    fn call(&self, call: Call<'_>) {
        let (input, at) = (call.input, call.now);
        let mut order = self.order.lock().unwrap();
        if let (Node::Agent(agent), Some(AnyInput::Agent(input))) = (call.node, &input)
            && let Some((dial, outcome)) = Outcome::of(input)
        {
            order.outcomes.insert((agent.clone(), dial, outcome), at);
        }
        if let (Node::Agent(agent), None) = (call.node, &input) {
            let times = order.woken.entry(agent.clone()).or_default();
            times.push_back(at);
        }
        let (Node::Balancer(door), Some(AnyInput::Balancer(input))) = (call.node, input) else {
            return;
        };
        let what = match input {
            Input::Accepted { client, .. } => Arrived::Accepted {
                client: client.ip(),
            },
            Input::Checked { proxy, error, .. } => Arrived::Checked { proxy, error },
            Input::Operated { act } => Arrived::Operated { act },
            Input::Connected { .. } | Input::ConnectFailed { .. } | Input::FlowEnded { .. } => {
                return;
            }
        };
        let door = order.arrivals.entry(door.clone()).or_default();
        door.push(Arrival { at, what });
    }
}

struct Live {
    order: Order,
    facts: Vec<Arc<Fact>>,
    topology: Topology,
    rules: Arc<Rules>,
    length: Span,
}

async fn live() -> Live {
    let doors = Arc::new(Doors::default());
    let tap = Arc::clone(&doors) as Arc<dyn Tap>;
    let whole = Whole::start(|_| Some(Arc::clone(&tap))).await;
    let wait = ("agents dial", std::time::Duration::from_secs(100));
    let uses = |state: &Snapshot| {
        state
            .balancers
            .iter()
            .flat_map(|door| door.uses.values())
            .sum::<u64>()
    };
    whole.state(wait, |state| uses(state) >= DIALS).await;
    let facts = whole.facts();
    whole.lab.stop().await;
    let ready = facts.iter().find(|fact| fact.kind == Kind::Ready);
    let ready = ready.expect("the lab was ready").at;
    let last = facts.last().expect("there are facts").at;
    let order = std::mem::take(&mut *doors.order.lock().unwrap());
    Live {
        order: Order { ready, ..order },
        topology: Topology::clone(whole.lab.topology()),
        rules: whole.lab.rules(),
        length: last.since(ready),
        facts,
    }
}

fn simulated(live: &Live, order: Order) -> (Summary, Vec<Fact>) {
    let topology = Arc::new(Topology {
        duration: live.length,
        ..live.topology.clone()
    });
    let reload = || Ok(Rules::clone(&live.rules));
    let mut facts = Vec::new();
    let options = Options {
        follow: Some(order),
        ..Options::new(&reload)
    };
    let rules = Rules::clone(&live.rules);
    let summary = run(&topology, rules, options, &mut |fact, _| {
        facts.push(fact.clone());
        ControlFlow::Continue(())
    });
    (summary, facts)
}

/// Gives the decisions of each entity, in order.
fn decisions<'a>(facts: impl Iterator<Item = &'a Fact>) -> BTreeMap<String, Vec<String>> {
    let mut decisions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut connected = BTreeMap::new();
    for fact in facts {
        let words = match &fact.kind {
            Kind::AddressFound { address, rule, .. } => format!("found {address} {rule}"),
            Kind::Claimed {
                proxy,
                balancer,
                principal,
                tunnels,
                ..
            } => {
                format!("claimed {proxy} through {balancer:?} as {principal}: {tunnels}")
            }
            Kind::DialFailed { stage, error, .. } => format!("failed {stage}: {error}"),
            Kind::DoorUsed {
                purpose,
                host,
                address,
                balancer,
                ..
            } => {
                format!("{purpose} {host} {address} {balancer:?}")
            }
            Kind::BackingOff { wait, step } => format!("waits {wait} {step}"),
            Kind::HealthChanged { proxy, to, cause } => {
                // Which instance is heard of first is not a matter of order.
                let entity = format!("{} of {proxy}", fact.node);
                decisions
                    .entry(entity)
                    .or_default()
                    .push(format!("{to} {cause}"));
                continue;
            }
            Kind::FlowConnected {
                flow, proxy, why, ..
            } => {
                // In the order of arrival: which connect is answered first is not decided.
                connected.insert((fact.node.clone(), *flow), format!("{proxy} {why}"));
                continue;
            }
            Kind::VisitAnswered(visit) => {
                format!(
                    "{} {:?} {:?} {}",
                    visit.app, visit.proxy, visit.agent, visit.status
                )
            }
            _ => continue,
        };
        decisions
            .entry(fact.node.to_string())
            .or_default()
            .push(words);
    }
    for ((node, _), words) in connected {
        decisions
            .entry(format!("{node} chose"))
            .or_default()
            .push(words);
    }
    decisions
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_simulation_in_the_live_order_makes_the_same_decisions() {
    let live = live().await;
    let (summary, facts) = simulated(&live, live.order.clone());
    assert_eq!(summary.diverged, None);
    let expected = decisions(live.facts.iter().map(|fact| &**fact));
    let got = decisions(facts.iter());
    let mut compared = 0;
    for (entity, expected) in &expected {
        let got = got.get(entity).map_or(&[][..], |got| &**got);
        let both = got.len().min(expected.len());
        let tail = got.len().max(expected.len()) - both;
        assert!(
            tail <= TAIL,
            "{entity}: {tail} more in one run: {:?} {:?}",
            expected.get(both),
            got.get(both)
        );
        for place in 0..both {
            assert_eq!(expected[place], got[place], "{entity}, decision {place}");
        }
        compared += both;
    }
    println!("{compared} decisions compared");
    assert!(compared > 90, "{compared}");

    // A client that never came is told, and the run does not hang.
    let mut wrong = live.order.clone();
    let (name, arrivals) = wrong.arrivals.iter_mut().next().expect("there are doors");
    let stranger = Arrival {
        at: live.order.ready + Span::from_secs(2),
        what: Arrived::Accepted {
            client: "127.9.9.9".parse().unwrap(),
        },
    };
    let place = arrivals.partition_point(|arrival| arrival.at < stranger.at);
    arrivals.insert(place, stranger);
    let name = name.clone();
    let (summary, _) = simulated(&live, wrong);
    let diverged = summary.diverged.expect("the order cannot be followed");
    assert_eq!((summary.why, diverged.after), (DIVERGED, place));
    assert_eq!(diverged.balancer, name);
    assert!(
        summary.virtual_time <= Time::ZERO + Span::from_secs(13),
        "{:?}",
        summary.virtual_time
    );
}

#[test]
fn a_followed_agent_is_woken_as_late_as_it_was() {
    let loaded = load(Path::new(SCENARIO), &FILES).unwrap();
    let late = Time::ZERO + Span::from_ms(300);
    let woken = BTreeMap::from([("orders".into(), VecDeque::from([late]))]);
    let order = Order {
        woken,
        ..Order::default()
    };
    let first = |agent: &str, order: Option<Order>| {
        let node = Node::Agent(agent.into());
        let facts = super::kit::followed(&loaded, order);
        let dials = |fact: &&Fact| fact.node == node && matches!(fact.kind, Kind::DoorUsed { .. });
        facts.iter().find(dials).map(|fact| fact.at).unwrap()
    };
    assert!(first("orders", None) < late);
    assert!(first("orders", Some(order.clone())) >= late);
    assert!(first("billing", Some(order)) < late);
}
