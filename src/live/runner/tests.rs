#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test picks what it is about"
)]

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::model::fact::Act;
use crate::model::id::Seq;
use crate::policy::proxy::{Input, Output, Proxy};
use crate::policy::testing::topology;

fn runner() -> Runner<Proxy> {
    let topology = Arc::new(topology());
    let journal = Journal::new(&topology);
    let shared = Shared {
        topology,
        clock: Clock::start(),
        journal,
        faults: InForce::default(),
        ports: Ports::default(),
        tap: None,
    };
    Runner::new(Proxy::new(0, &"1".into()), shared)
}

/// Four threads start and stop a machine; what it asked for is done in the order of its facts.
#[test]
fn orders_are_obeyed_in_the_machines_order_whoever_feeds_it() {
    let runner = runner();
    let done = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&done);
    runner.act_by(move |output| {
        // Slow enough that others feed meanwhile.
        std::thread::yield_now();
        seen.lock().unwrap().push(output);
    });
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    runner.feed(Input::Operate(Act::Start));
                    runner.feed(Input::Operate(Act::Stop));
                }
            });
        }
    });
    let facts = runner.shared().journal.after(Seq(0), usize::MAX);
    let acts: Vec<bool> = facts
        .facts
        .iter()
        .filter_map(|fact| match fact.kind {
            Kind::Operated { act } => Some(act == Act::Start),
            _ => None,
        })
        .collect();
    let done: Vec<bool> = done
        .lock()
        .unwrap()
        .iter()
        .filter_map(|output| match output {
            Output::BeginListening => Some(true),
            Output::StopListening => Some(false),
            _ => None,
        })
        .collect();
    assert!(
        acts.len() > 100,
        "the machine hardly changed: {}",
        acts.len()
    );
    assert_eq!(done, acts);
}

#[test]
fn an_actor_may_feed_the_machine_that_it_acts_for() {
    let runner = runner();
    let again = runner.clone();
    let count = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&count);
    runner.act_by(move |output| {
        if output == Output::BeginListening {
            again.feed(Input::Operate(Act::Stop));
        }
        counted.fetch_add(1, Ordering::SeqCst);
    });
    runner.feed(Input::Operate(Act::Start));
    assert_eq!(
        count.load(Ordering::SeqCst),
        3,
        "listen, and then close and cut"
    );
}
