//! Live against simulated: the same file, the same machines, the same decisions, in the order in
//! which things reached each door. Each way of the guide that is marked `parity` stands in
//! [`SCENARIOS`].

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use twodoors::lab::conduct::Conductor;
use twodoors::lab::load::{Loaded, load};
use twodoors::lab::parity::{Compared, Decisions, Differs, compare};
use twodoors::lab::record::{self, Recorder};
use twodoors::lab::trial;
use twodoors::live::runner::Tap;
use twodoors::model::fact::Fact;
use twodoors::model::time::Time;
use twodoors::scenario::files::Disk;
use twodoors::sim::{Arrived, Order};

use crate::lab::Whole;

/// The scenarios that hold in both clocks, each with what is shortened: text and its replacement.
const SCENARIOS: [(&str, &[(&str, &str)]); 4] = [
    (
        "scenarios/split-dns.yaml",
        &[
            ("duration: 60s", "duration: 25s"),
            ("every: 2s, start: mesh", "every: 500ms, start: 1s"),
        ],
    ),
    (
        "scenarios/internal-door-dies.yaml",
        &[
            ("duration: 5m", "duration: 35s"),
            ("every: 2s, start: mesh", "every: 500ms, start: 1s"),
            ("when: mesh, do: kill", "at: 12s, do: kill"),
            ("for: 20s", "for: 5s"),
        ],
    ),
    (
        "scenarios/multiple-public-addresses.yaml",
        &[
            ("duration: 60s", "duration: 25s"),
            ("every: 2s, start: mesh", "every: 500ms, start: 1s"),
            ("every: 2s\n    start: mesh", "every: 500ms\n    start: 1s"),
        ],
    ),
    (
        "scenarios/tunnel-public-address.yaml",
        &[
            ("duration: 60s", "duration: 25s"),
            ("every: 2s, start: mesh", "every: 500ms, start: 1s"),
            ("every: 2s\n    start: mesh", "every: 500ms\n    start: 1s"),
        ],
    ),
];

/// How many decisions of each scenario must be compared at least.
const COMPARED_MIN: usize = 100;

/// A live run, and what a simulation of it needs.
struct Live {
    whole: Whole,
    loaded: Loaded,
    order: Order,
    /// As the recording holds them.
    facts: Vec<Fact>,
    /// As the journal holds them, with the answers of the DNS server.
    journal: Vec<Arc<Fact>>,
}

async fn live(scenario: &str, changes: &[(&str, &str)]) -> Live {
    let mut text = fs::read_to_string(scenario).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "{scenario} has no {from}");
        text = text.replace(from, to);
    }
    let recorder = Mutex::new(None);
    let whole = Whole::told(Some(&text), |options| {
        let file = options.path.with_extension("jsonl");
        let topology = &options.loaded.topology;
        let made = Recorder::create(&file, &options.path, &*options.files, topology).unwrap();
        let made = Arc::new(made);
        *recorder.lock().unwrap() = Some(Arc::clone(&made));
        options.tap = Some(made as Arc<dyn Tap>);
    })
    .await;
    let conductor = Conductor::start(&whole.lab);
    let never = std::future::pending();
    let played = trial::play(&whole.lab, &conductor, &whole.scenario, never);
    Box::pin(played).await.unwrap();
    let journal = whole.facts();
    whole.lab.stop().await;
    let recorder = recorder.into_inner().unwrap().unwrap();
    recorder.finish().unwrap();
    let recording = fs::read(whole.scenario.with_extension("jsonl")).unwrap();
    let (_, order) = record::order(&*recording).unwrap();
    Live {
        loaded: load(&whole.scenario, &Disk).unwrap(),
        order,
        facts: record::facts(&*recording).unwrap(),
        journal,
        whole,
    }
}

/// Follows a recording as `sim --follow` does.
fn followed(live: &Live, loaded: &Loaded, order: Order) -> (String, Result<Compared, Differs>) {
    let source = (&*live.whole.scenario, &Disk as _);
    let going = AtomicBool::new(false);
    let (report, compared) = trial::follow(loaded, source, (order, &live.facts), &going);
    let why = report.verdicts.last().map(|verdict| verdict.why.clone());
    (why.unwrap_or_default(), compared)
}

/// Compares everything, the views and rules of the DNS server's answers included.
fn whole(live: &Live) -> Compared {
    let ready = live.order.ready;
    let length = live.loaded.topology.duration;
    let facts = crate::sim::followed(&live.loaded, live.order.clone());
    let expected = Decisions::of(live.journal.iter().map(|fact| &**fact), ready + length);
    let got = Decisions::of(&facts, Time::ZERO + length);
    compare(&expected, &got).unwrap_or_else(|differs| panic!("{differs}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_simulation_in_the_live_order_decides_the_same() {
    let [(split, changes), (dies, others), ..] = SCENARIOS;
    let (split, dies) =
        Box::pin(async { tokio::join!(live(split, changes), live(dies, others)) }).await;
    for (live, kinds) in [
        (
            &split,
            &[
                "view",
                "address",
                "door",
                "candidate",
                "claim",
                "lease",
                "route",
                "visit",
            ][..],
        ),
        (
            &dies,
            &[
                "view",
                "door",
                "candidate",
                "claim",
                "failure",
                "loss",
                "backoff",
                "route",
            ],
        ),
    ] {
        decides_the_same(live, kinds);
    }
    two_arrivals_that_are_swapped_are_found(&split);
    a_record_that_was_changed_is_found(&split);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_two_other_ways_are_decided_the_same() {
    let [_, _, (names, changes), (ports, others)] = SCENARIOS;
    let (names, ports) =
        Box::pin(async { tokio::join!(live(names, changes), live(ports, others)) }).await;
    let kinds = [
        "view",
        "address",
        "door",
        "candidate",
        "claim",
        "service",
        "ping",
        "route",
        "visit",
    ];
    decides_the_same(&names, &[&kinds[..], &["login", "session"]].concat());
    decides_the_same(&ports, &kinds);
}

/// Follows a live run with all that is known of it, and by its recording alone.
fn decides_the_same(live: &Live, kinds: &[&str]) {
    let name = &live.loaded.topology.name;
    let compared = whole(live);
    for kind in kinds {
        assert!(compared.kinds.contains_key(kind), "{name}: no {kind}");
    }
    assert!(compared.total() > COMPARED_MIN, "{name}: {compared}");
    let (why, by_recording) = followed(live, &live.loaded, live.order.clone());
    let by_recording = by_recording.unwrap_or_else(|differs| panic!("{name}: {differs}; {why}"));
    assert!(
        by_recording.total() > COMPARED_MIN,
        "{name}: {by_recording}"
    );
}

/// The first broken twin: two clients of the internal door came in the other order.
fn two_arrivals_that_are_swapped_are_found(live: &Live) {
    let mut order = live.order.clone();
    let arrivals = order.arrivals.get_mut("internal").expect("it has arrivals");
    let clients: Vec<usize> = (0..arrivals.len())
        .filter(|place| matches!(arrivals[*place].what, Arrived::Accepted { .. }))
        .collect();
    let pair = clients
        .windows(2)
        .find(|pair| arrivals[pair[0]].what != arrivals[pair[1]].what)
        .expect("two clients came one after the other");
    let first = arrivals[pair[0]].what.clone();
    arrivals[pair[0]].what = std::mem::replace(&mut arrivals[pair[1]].what, first);
    let (_, compared) = followed(live, &live.loaded, order);
    let differs = compared.expect_err("the order was another one").to_string();
    assert!(differs.contains("live"), "{differs}");
}

/// The second: the private view says another address than it did.
fn a_record_that_was_changed_is_found(live: &Live) {
    let folder = live.whole.scenario.parent().and_then(Path::parent).unwrap();
    let zone = folder.join("zones/private/example.com.zone");
    let text = fs::read_to_string(&zone).unwrap();
    let (inside, outside) = (
        live.whole.moved("127.10.0.2"),
        live.whole.moved("127.20.0.2"),
    );
    assert!(text.contains(&inside));
    fs::write(&zone, text.replace(&inside, &outside)).unwrap();
    let changed = load(&live.whole.scenario, &Disk).unwrap();
    let (_, compared) = followed(live, &changed, live.order.clone());
    let differs = compared.expect_err("the record was another one");
    // Which agent of the private network dials first is not decided.
    assert!(differs.entity.starts_with("agent/"), "{differs}");
    assert_eq!(differs.what, "door");
    assert!(differs.live.contains(&inside) && differs.simulated.contains(&outside));
}
