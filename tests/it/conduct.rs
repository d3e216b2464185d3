//! A live lab that plays a timeline: what is done when, what is judged, and what ends a run.

use std::future::pending;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use twodoors::lab::Options;
use twodoors::lab::conduct::Conductor;
use twodoors::lab::load::load;
use twodoors::lab::report::{Ending, INCONCLUSIVE, INTERRUPTED, MET, Report};
use twodoors::lab::trial::{self, Given};
use twodoors::model::expect::{AnswerCheck, Check, Expectation};
use twodoors::model::fact::{Act, Kind};
use twodoors::model::fault::{Effect, Fault, Target};
use twodoors::model::id::{FaultId, Name, Node, Seq};
use twodoors::model::mistake::Place;
use twodoors::model::time::Span;
use twodoors::model::timeline::{Begin, Condition, Step, What};
use twodoors::model::topology::Topology;
use twodoors::scenario::files::Disk;

use crate::lab::Whole;
use crate::support::eventually;

/// How long a run lasts in which agents have tunnels first, on a busy machine too.
const WITH_TUNNELS: Span = Span::from_secs(8);

fn door(name: &str) -> Node {
    Node::Balancer(name.into())
}

fn step(begin: Begin, what: What, lasts: Option<u64>) -> Step {
    Step {
        begin,
        repeat: None,
        what,
        lasts: lasts.map(Span::from_ms),
        text: "a step".into(),
    }
}

fn refuse(name: &str) -> Fault {
    Fault {
        target: Target::Node(door(name)),
        effect: Effect::Refuse,
    }
}

fn act(act: Act, node: Node) -> What {
    What::Act { node, act }
}

/// The external door is asked for from outside, five times a second; it answers so.
fn asks(topology: &Topology, answer: &str) -> Expectation {
    let users = topology.users.iter();
    let outside = users.filter(|user| &*user.network == "external");
    let from = outside.map(|user| user.address).next().unwrap();
    Expectation {
        text: "the public name is the external door".into(),
        place: Place {
            file: "lab.yaml".into(),
            line: 1,
            column: 1,
        },
        check: Check::Answer(AnswerCheck {
            name: "proxy.example.com.".into(),
            rtype: "A".into(),
            from,
            client: "external".into(),
            every: Span::from_ms(200),
            answer: Some(vec![Name::from(answer)]),
            not_in: Vec::new(),
            rcode: None,
            view: Some("public".into()),
        }),
        after: Span::ZERO,
        before: None,
        evidence: 3,
        abort: false,
    }
}

fn external(topology: &Topology) -> String {
    let mut doors = topology.balancers.iter();
    let door = doors.find(|door| &*door.name == "external").unwrap();
    door.listen[0].ip().to_string()
}

/// Starts the example with what `write` does to its timeline and expectations, and plays it.
async fn played(write: impl Fn(&mut Topology)) -> (Whole, Result<Report, Vec<String>>) {
    let whole = Whole::prepared(|options: &mut Options| {
        let topology = &mut options.loaded.topology;
        topology.duration = Span::from_ms(1_500);
        write(topology);
    })
    .await;
    let conductor = Conductor::start(&whole.lab);
    let report = trial::play(&whole.lab, &conductor, Path::new("lab.yaml"), pending()).await;
    (whole, report)
}

/// What the conductor brought about, in order, without instants.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test picks what it is about"
)]
fn deeds(whole: &Whole) -> Vec<String> {
    let facts = whole.lab.journal().after(Seq(0), usize::MAX).facts;
    let acts = facts.iter().filter(|fact| match fact.kind {
        Kind::FaultSet { .. } | Kind::FaultLifted { .. } | Kind::RunEnded { .. } => true,
        Kind::Operated { act } => act != Act::Start || fact.node == door("internal"),
        _ => false,
    });
    let texts = acts.map(|fact| format!("{}: {}", fact.node, fact.kind));
    // How long a fault lasts is an instant.
    let texts = texts.map(|text| match text.split_once(", until") {
        Some((text, _)) => text.to_owned(),
        None => text,
    });
    texts.collect()
}

#[tokio::test]
async fn a_timeline_is_played_and_judged() {
    let (whole, report) = played(|topology| {
        topology.duration = WITH_TUNNELS;
        topology.timeline = vec![
            step(
                Begin::At(Span::from_ms(200)),
                What::Fault(refuse("external")),
                Some(200),
            ),
            step(
                Begin::When(Condition::Tunnels, Span::ZERO),
                act(Act::Stop, door("internal")),
                Some(100),
            ),
        ];
        topology.expect = vec![asks(topology, &external(topology))];
    })
    .await;
    let report = report.unwrap();
    assert_eq!(report.exit_code(), MET, "{:?}", report.verdicts);
    assert_eq!(report.ending, Ending::Played);
    let expected = [
        "lab: fault 1: refuse on balancer/external",
        "lab: fault 1 lifted: refuse on balancer/external",
        "balancer/internal: operator: stop",
        "balancer/internal: operator: start",
        "lab: the run is over: the timeline is played",
    ];
    assert_eq!(deeds(&whole), expected);
    assert!(whole.lab.faults().is_empty());
    whole.lab.stop().await;
}

#[tokio::test]
async fn an_answer_that_is_not_expected_fails_the_run() {
    let (whole, report) = played(|topology| {
        topology.expect = vec![asks(topology, "192.0.2.1")];
    })
    .await;
    let report = report.unwrap();
    assert_eq!(report.exit_code(), 1, "{:?}", report.verdicts);
    assert!(!report.verdicts[0].examples.is_empty());
    whole.lab.stop().await;
}

#[tokio::test]
async fn an_expectation_that_ends_the_run_ends_it() {
    let (whole, report) = played(|topology| {
        topology.duration = Span::from_secs(600);
        topology.expect = vec![asks(topology, "192.0.2.1")];
        topology.expect[0].abort = true;
    })
    .await;
    let report = report.unwrap();
    assert_eq!(report.ending, Ending::Aborted(0));
    assert_eq!(report.exit_code(), 1);
    whole.lab.stop().await;
}

#[tokio::test]
async fn a_run_that_expects_nothing_or_was_not_played_is_inconclusive() {
    let (whole, report) = played(|_| ()).await;
    assert_eq!(report.unwrap().exit_code(), INCONCLUSIVE);
    whole.lab.stop().await;
    // What was asked is as it should be; but a step never began.
    let (whole, report) = played(|topology| {
        let nobody = Condition::Drained(door("internal"));
        topology.timeline = vec![step(Begin::When(nobody, Span::ZERO), What::Reload, None)];
        topology.expect = vec![asks(topology, &external(topology))];
    })
    .await;
    let report = report.unwrap();
    assert_eq!(report.exit_code(), INCONCLUSIVE);
    let why = &report.verdicts.last().unwrap().why;
    assert!(why.contains("has not begun"), "{why}");
    whole.lab.stop().await;
}

#[tokio::test]
async fn a_step_that_cannot_be_done_is_no_verdict() {
    let (whole, report) = played(|topology| {
        topology.duration = Span::from_secs(600);
        topology.timeline = vec![step(
            Begin::Then(Span::ZERO),
            act(Act::Stop, Node::Dns),
            None,
        )];
        topology.expect = vec![asks(topology, &external(topology))];
    })
    .await;
    let failures = report.unwrap_err();
    assert!(failures[0].contains("dns runs as long"), "{failures:?}");
    whole.lab.stop().await;
}

#[tokio::test]
async fn somebody_ends_the_run() {
    let whole = Whole::prepared(|options: &mut Options| {
        options.loaded.topology.duration = Span::from_secs(600);
    })
    .await;
    let conductor = Conductor::start(&whole.lab);
    let path = Path::new("lab.yaml");
    let report = trial::play(&whole.lab, &conductor, path, async {}).await;
    assert_eq!(report.unwrap().exit_code(), INTERRUPTED);
    whole.lab.stop().await;
}

#[tokio::test]
async fn faults_are_set_and_lifted_by_hand_without_a_run() {
    let whole = Whole::prepared(|_: &mut Options| ()).await;
    let conductor = Conductor::start(&whole.lab);
    assert_eq!(conductor.set(refuse("external"), None), Ok(FaultId(1)));
    assert_eq!(conductor.set(refuse("external"), None), Ok(FaultId(2)));
    let soon = Some(Span::from_ms(50));
    assert_eq!(conductor.set(refuse("internal"), soon), Ok(FaultId(3)));
    assert_eq!(whole.lab.faults().iter().count(), 3);
    let two = || (whole.lab.faults().iter().count() == 2).then_some(());
    eventually("the third ends by itself", two).await;
    assert!(conductor.lift(FaultId(1)));
    assert!(!conductor.lift(FaultId(1)) && !conductor.lift(FaultId(9)));
    assert_eq!(conductor.clear(), 1);
    assert!(whole.lab.faults().is_empty());
    assert_eq!(conductor.clear(), 0);
    whole.lab.stop().await;
}

/// The same steps and questions in virtual time: the same deeds, and a verdict of the same kind.
#[tokio::test]
async fn a_simulated_run_does_the_same_deeds() {
    let write = |topology: &mut Topology| {
        topology.duration = WITH_TUNNELS;
        topology.timeline = vec![
            step(
                Begin::When(Condition::Tunnels, Span::from_ms(100)),
                What::Fault(refuse("external")),
                Some(200),
            ),
            step(
                Begin::Then(Span::ZERO),
                act(Act::Kill, door("internal")),
                Some(100),
            ),
        ];
        topology.expect = vec![asks(topology, &external(topology))];
    };
    let (whole, live) = played(write).await;
    let live = live.unwrap();
    let mut loaded = load(&whole.scenario, &Disk).unwrap();
    write(&mut loaded.topology);
    let source = (&*whole.scenario, &Disk as _);
    let simulated = trial::simulate(&loaded, source, Given::default(), &AtomicBool::new(false));
    assert_eq!(simulated.exit_code(), live.exit_code());
    let events = |report: &Report| -> Vec<String> {
        let events = report.story.events.iter();
        let texts = events.map(|event| format!("{}: {}", event.node, event.text));
        texts
            .map(|text| text.split(", until").next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(events(&simulated), events(&live));
    assert_eq!(events(&live).len(), 5);
    whole.lab.stop().await;
}
