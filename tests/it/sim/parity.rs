//! A live run and its simulation, held to the order in which clients and checks reached each door:
//! the same decisions, per entity and in order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex};

use twodoors::lab::load::{Loaded, load};
use twodoors::live::runner::{Call, Tap};
use twodoors::model::fact::{Act, Fact, Failure, Kind};
use twodoors::model::id::{FlowId, Node, RequestId};
use twodoors::model::time::{Span, Time};
use twodoors::model::timeline::{Begin, Step, What};
use twodoors::model::topology::{Start, Topology};
use twodoors::policy::answer::Rules;
use twodoors::scenario::embedded::{FILES, SCENARIO};
use twodoors::sim::{
    Arrival, Arrived, DIVERGED, Heard, Options, Order, Reader, Summary, Told, run,
};
use twodoors::snapshot::Snapshot;

use crate::lab::Whole;

/// How many decisions of an entity may be missing at the end of either run: live ends when it ends.
const TAIL: usize = 4;

/// How many connections the live run makes.
const DIALS: u64 = 30;

/// Reads the order as it comes about.
#[derive(Default)]
struct Calls {
    reader: Mutex<Reader>,
}

impl Tap for Calls {
    fn call(&self, call: Call<'_>) {
        let mut reader = self.reader.lock().unwrap();
        reader.take(call.node, call.now, call.input.as_ref(), &call.outputs);
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
    let calls = Arc::new(Calls::default());
    let tap = Arc::clone(&calls) as Arc<dyn Tap>;
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
    let last = facts.last().expect("there are facts").at;
    let reader = std::mem::take(&mut *calls.reader.lock().unwrap());
    let order = reader.finish().expect("agents were started");
    Live {
        topology: Topology::clone(whole.lab.topology()),
        rules: whole.lab.rules(),
        length: last.since(order.ready),
        order,
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
            Kind::DialFailed { stage, cause, .. } => format!("failed {stage}: {cause}"),
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
    let orders = Node::Agent("orders".into());
    let woken = BTreeMap::from([(orders, VecDeque::from([late]))]);
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

/// The example with users who do not wait for the mesh, and when alice's first visit begins.
fn visited() -> (Loaded, Time) {
    let mut loaded = load(Path::new(SCENARIO), &FILES).unwrap();
    for user in &mut loaded.topology.users {
        user.start = Start::After(Span::ZERO);
    }
    let facts = super::kit::followed(&loaded, Some(Order::default()));
    let first = dials(&facts)[0];
    (loaded, first)
}

fn alice() -> Node {
    Node::User("alice".into())
}

fn dials(facts: &[Fact]) -> Vec<Time> {
    let own = facts.iter().filter(|fact| fact.node == alice());
    let dials = own.filter(|fact| matches!(fact.kind, Kind::DoorUsed { .. }));
    dials.map(|fact| fact.at).collect()
}

/// What came of alice's first visit.
fn end(facts: &[Fact]) -> Option<(Time, Option<Failure>)> {
    let mut own = facts.iter().filter(|fact| fact.node == alice());
    own.find_map(|fact| match &fact.kind {
        Kind::VisitAnswered(_) => Some((fact.at, None)),
        Kind::VisitFailed { reason, .. } => Some((fact.at, Some(*reason))),
        _ => None,
    })
}

fn told(what: Told, at: Time) -> Order {
    Order {
        told: BTreeMap::from([((alice(), what), at)]),
        ..Order::default()
    }
}

/// Kills the door of users at an instant.
fn kill(loaded: &mut Loaded, at: Time) {
    let node = Node::Balancer("external".into());
    loaded.topology.timeline.push(Step {
        begin: Begin::At(at.since(Time::ZERO)),
        repeat: None,
        what: What::Act {
            node,
            act: Act::Kill,
        },
        lasts: None,
        text: "a step".into(),
    });
}

#[test]
fn a_followed_user_who_is_told_late_skips_the_visit_that_came_due() {
    let (loaded, first) = visited();
    let every = loaded.topology.users[0].every;
    let late = first + every + Span::from_ms(500);
    let second = |order: Order| dials(&super::kit::followed(&loaded, Some(order)))[1];
    let visit = Told::Visited(RequestId(1));
    assert!(second(told(visit, late)) > late);
    assert!(second(told(visit, first + Span::from_ms(500))) < late);
    // Another visit's end says nothing about this one's.
    assert!(second(told(Told::Visited(RequestId(9)), late)) < late);
}

#[test]
fn a_visit_that_failed_in_the_recorded_run_is_cut_by_what_happens_meanwhile() {
    let (loaded, first) = visited();
    let (mut dying, _) = visited();
    kill(&mut dying, first + Span::from_ms(400));
    let late = first + Span::from_ms(500);
    let visit = Told::Visited(RequestId(1));
    let failed = || {
        let mut order = told(visit, late);
        order
            .told
            .insert((alice(), Told::Failed(RequestId(1))), late);
        order
    };
    let ended = |loaded: &Loaded, order| end(&super::kit::followed(loaded, Some(order))).unwrap();
    assert_eq!(ended(&dying, failed()), (late, Some(Failure::Cut)));
    // What came of it is not taken from the record: without a cause nothing fails here.
    let answered = end(&super::kit::followed(&loaded, Some(Order::default()))).unwrap();
    assert_eq!(ended(&loaded, failed()), (late, answered.1));
    // What was read before the cut is not lost to it.
    assert_eq!(ended(&dying, told(visit, late)), (late, answered.1));
}

#[test]
fn a_request_waits_at_its_instance_by_its_flow() {
    let (loaded, first) = visited();
    let facts = super::kit::followed(&loaded, Some(Order::default()));
    let late = first + Span::from_ms(700);
    let own = facts.iter().filter(|fact| fact.at >= first);
    let (flow, proxy) = own
        .filter(|fact| fact.node == Node::Balancer("external".into()))
        .find_map(|fact| match &fact.kind {
            Kind::FlowConnected { flow, proxy, .. } => Some((*flow, proxy.clone())),
            _ => None,
        })
        .expect("alice came through the door of users");
    let ended = |flow: FlowId| {
        let heard = Heard::Request(("external".into(), flow));
        let order = Order {
            known: BTreeSet::from(["external".into()]),
            heard: BTreeMap::from([((proxy.clone(), heard), late)]),
            ..Order::default()
        };
        end(&super::kit::followed(&loaded, Some(order))).unwrap().0
    };
    assert!(ended(flow) >= late);
    assert!(ended(FlowId(flow.0 + 100)) < late);
}

#[test]
fn a_client_that_a_dying_door_never_took_is_reset() {
    let (mut loaded, first) = visited();
    let dies = first + Span::from_ms(400);
    kill(&mut loaded, dies);
    let ended = |arrivals: Vec<Arrived>| {
        let arrivals = arrivals.into_iter().map(|what| Arrival { at: dies, what });
        let order = Order {
            arrivals: BTreeMap::from([("external".into(), arrivals.collect())]),
            ..Order::default()
        };
        end(&super::kit::followed(&loaded, Some(order)))
    };
    let (killed, client) = (
        Arrived::Operated { act: Act::Kill },
        loaded.topology.users[0].address,
    );
    let (at, reason) = ended(vec![killed.clone()]).unwrap();
    assert!(at >= dies && at < dies + Span::from_ms(100), "{at}");
    assert_eq!(reason, Some(Failure::Connect));
    // One that it took just before was cut as a flow, and not before its turn.
    let (at, reason) = ended(vec![Arrived::Accepted { client }, killed]).unwrap();
    assert!(at >= dies, "{at}");
    assert!(reason.is_some());
}
