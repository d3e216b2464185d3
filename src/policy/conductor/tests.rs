#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test picks what it is about"
)]

use super::*;
use crate::model::fault::{Effect, Target};
use crate::model::id::Name;
use crate::model::mistake::Place;
use crate::model::timeline::{Begin, Condition, Repeat, Step, What};
use crate::policy::testing::topology;

fn secs(n: u64) -> Span {
    Span::from_secs(n)
}

fn door(name: &str) -> Node {
    Node::Balancer(name.into())
}

fn step(begin: Begin, what: What) -> Step {
    Step {
        begin,
        repeat: None,
        what,
        lasts: None,
        text: "a step".into(),
    }
}

fn at(n: u64) -> Begin {
    Begin::At(secs(n))
}

fn then() -> Begin {
    Begin::Then(Span::ZERO)
}

fn when() -> Begin {
    Begin::When(Condition::Mesh, Span::ZERO)
}

fn act(act: Act, name: &str) -> What {
    What::Act {
        node: door(name),
        act,
    }
}

fn fault(effect: Effect, name: &str) -> Fault {
    Fault {
        target: Target::Node(door(name)),
        effect,
    }
}

fn refuse(name: &str) -> What {
    What::Fault(fault(Effect::Refuse, name))
}

impl Step {
    fn lasting(mut self, n: u64) -> Self {
        self.lasts = Some(secs(n));
        self
    }

    fn every(mut self, n: u64, until: Option<u64>) -> Self {
        self.repeat = Some(Repeat {
            every: secs(n),
            until: until.map(secs),
        });
        self
    }
}

/// A run of 60 s that begins at 5 s, in which more is told at instants after the beginning.
fn played(timeline: Vec<Step>, told: Vec<(u64, Input)>) -> Vec<String> {
    let mut topology = topology();
    topology.timeline = timeline;
    let told = told.into_iter().map(|(at, input)| (secs(at), input));
    run(&topology, told.collect(), Span::ZERO).0
}

/// Plays with wakes that come late by `lag`; gives the outputs and the facts but those of steps, a
/// line each with seconds since the beginning.
fn run(topology: &Topology, told: Vec<(Span, Input)>, lag: Span) -> (Vec<String>, Vec<String>) {
    let (lines, facts) = play(topology, told, lag);
    let facts = facts.into_iter().filter_map(|(seconds, fact)| match fact {
        Kind::FaultSet { fault, until, .. } => {
            let until = until.map(|at| at.since(START).as_us() / 1_000_000);
            Some(format!("{seconds} set {fault} until {until:?}"))
        }
        Kind::FaultLifted { fault, .. } => Some(format!("{seconds} lifted {fault}")),
        Kind::RunEnded { why } => Some(format!("{seconds} ended: {why}")),
        Kind::RunBegan { .. } | Kind::StepBegan { .. } | Kind::StepEnded { .. } => None,
        other => panic!("{other:?}"),
    });
    (lines, facts.collect())
}

/// When every run of these tests begins.
const START: Time = Time::from_us(5_000_000);

fn play(
    topology: &Topology,
    mut told: Vec<(Span, Input)>,
    lag: Span,
) -> (Vec<String>, Vec<(u64, Kind)>) {
    let mut conductor = Conductor::new(topology);
    let (mut lines, mut facts) = (Vec::new(), Vec::new());
    told.insert(0, (Span::ZERO, Input::Begin));
    told.reverse();
    for _ in 0..1_000 {
        let next = told.last().map(|(at, _)| START + *at);
        let deadline = conductor.deadline().map(|(at, _)| at + lag);
        let mut out = Outbox::default();
        let now = match (next, deadline) {
            (Some(next), deadline) if deadline.is_none_or(|at| next <= at) => next,
            (_, Some(deadline)) => deadline,
            _ => return (lines, facts),
        };
        let cx = Context { now, topology };
        if next == Some(now) {
            let (_, input) = told.pop().unwrap();
            conductor.handle(&cx, input, &mut out);
        } else {
            conductor.wake(&cx, &mut out);
        }
        let seconds = now.since(START).as_us() / 1_000_000;
        lines.extend(out.outputs.iter().map(|o| format!("{seconds} {}", say(o))));
        facts.extend(out.facts.into_iter().map(|fact| (seconds, fact)));
    }
    panic!("it never ends: {lines:?}");
}

fn say(output: &Output) -> String {
    match output {
        Output::Act { node, act } => format!("{act} {}", node.name()),
        Output::Await { wait, condition } => format!("await {wait} {condition}"),
        Output::End => String::from("end"),
        Output::Taken { fault } => format!("taken {fault}"),
        Output::Faults(faults) => {
            let list = faults.iter();
            let list: Vec<_> = list.map(|(id, fault)| format!("{id} {fault}")).collect();
            format!("faults [{}]", list.join(", "))
        }
        Output::Probe { expectation } => format!("probe {expectation}"),
        Output::Reload => String::from("reload"),
        other => format!("{other:?}"),
    }
}

#[track_caller]
fn check(timeline: Vec<Step>, told: Vec<(u64, Input)>, expected: &[&str]) {
    assert_eq!(played(timeline, told), expected);
}

#[test]
fn an_empty_timeline_ends_with_its_time() {
    check(vec![], vec![], &["60 end"]);
}

#[test]
fn steps_follow_one_another_or_have_their_instant() {
    check(
        vec![
            step(Begin::Then(secs(2)), act(Act::Stop, "internal")),
            step(then(), act(Act::Start, "internal")),
            step(at(1), act(Act::Stop, "external")),
            step(Begin::Then(secs(3)), What::Reload),
        ],
        vec![],
        &[
            "1 stop external",
            "2 stop internal",
            "2 start internal",
            "4 reload",
            "60 end",
        ],
    );
}

#[test]
fn what_lasts_is_undone_and_the_next_step_waits_for_it() {
    for what in [Act::Stop, Act::Kill, Act::Drain] {
        check(
            vec![
                step(at(10), act(what, "internal")).lasting(20),
                step(then(), What::Wait).lasting(5),
                step(then(), What::Reload),
            ],
            vec![],
            &[
                &format!("10 {what} internal"),
                "30 start internal",
                "35 reload",
                "60 end",
            ],
        );
    }
}

#[test]
fn what_is_due_at_one_instant_happens_in_the_order_of_the_file() {
    // The end of an earlier step comes before the beginning of a later one, and not before its own
    // line's turn.
    check(
        vec![
            step(at(20), act(Act::Stop, "internal")),
            step(at(10), act(Act::Stop, "external")).lasting(10),
            step(at(20), What::Reload),
        ],
        vec![],
        &[
            "10 stop external",
            "20 stop internal",
            "20 start external",
            "20 reload",
            "60 end",
        ],
    );
}

#[test]
fn overlapping_faults_are_numbered_and_each_is_lifted_alone() {
    check(
        vec![
            step(at(1), refuse("internal")).lasting(4),
            step(at(2), refuse("external")).lasting(1),
            step(at(9), refuse("external")),
        ],
        vec![],
        &[
            "1 faults [1 refuse on balancer/internal]",
            "2 faults [1 refuse on balancer/internal, 2 refuse on balancer/external]",
            "3 faults [1 refuse on balancer/internal]",
            "5 faults []",
            "9 faults [3 refuse on balancer/external]",
            "60 end",
        ],
    );
}

#[test]
fn a_fault_repeats_with_a_number_of_its_own_until_the_instant() {
    check(
        vec![
            step(at(10), refuse("internal"))
                .lasting(5)
                .every(10, Some(30)),
            step(then(), What::Reload),
        ],
        vec![],
        &[
            "10 faults [1 refuse on balancer/internal]",
            "15 faults []",
            "20 faults [2 refuse on balancer/internal]",
            "25 faults []",
            "25 reload",
            "60 end",
        ],
    );
}

#[test]
fn an_occurrence_that_ends_as_the_next_begins_is_lifted_first() {
    check(
        vec![
            step(at(10), refuse("internal"))
                .lasting(10)
                .every(10, Some(25)),
        ],
        vec![],
        &[
            "10 faults [1 refuse on balancer/internal]",
            "20 faults []",
            "20 faults [2 refuse on balancer/internal]",
            "30 faults []",
            "60 end",
        ],
    );
}

#[test]
fn a_repeat_without_an_end_goes_on_and_nothing_follows_it() {
    let (lines, facts) = {
        let mut topology = topology();
        topology.timeline = vec![
            step(at(20), What::Reload).every(20, None),
            step(then(), act(Act::Stop, "internal")),
        ];
        run(&topology, vec![], Span::ZERO)
    };
    assert_eq!(lines, ["20 reload", "40 reload", "60 end"]);
    assert_eq!(facts, [format!("60 ended: {UNPLAYED}")]);
}

#[test]
fn a_parallel_begins_together_and_ends_with_the_last() {
    check(
        vec![
            step(
                at(10),
                What::Parallel(vec![
                    step(then(), act(Act::Stop, "internal")).lasting(5),
                    step(Begin::Then(secs(1)), refuse("external")).lasting(8),
                    step(then(), What::Reload),
                ]),
            ),
            step(then(), act(Act::Stop, "external")),
        ],
        vec![],
        &[
            "10 stop internal",
            "10 reload",
            "11 faults [1 refuse on balancer/external]",
            "15 start internal",
            "19 faults []",
            "19 stop external",
            "60 end",
        ],
    );
}

#[test]
fn a_parallel_may_last_longer_repeat_nest_and_be_empty() {
    let inner = What::Parallel(vec![step(then(), What::Reload).lasting(1)]);
    check(
        vec![
            step(then(), What::Parallel(vec![])),
            step(at(10), What::Parallel(vec![step(then(), inner)]))
                .lasting(5)
                .every(10, Some(30)),
            step(then(), act(Act::Stop, "external")),
        ],
        vec![],
        &["10 reload", "20 reload", "25 stop external", "60 end"],
    );
}

#[test]
fn a_condition_is_looked_for_once_the_step_before_has_ended() {
    check(
        vec![
            step(at(10), act(Act::Stop, "internal")).lasting(5),
            step(
                Begin::When(Condition::Mesh, secs(2)),
                act(Act::Stop, "external"),
            ),
            step(then(), What::Reload),
        ],
        // A number that nobody gave, too early, and twice: the first true one counts.
        vec![
            (12, Input::Holds { wait: 1 }),
            (20, Input::Holds { wait: 9 }),
            (22, Input::Holds { wait: 1 }),
            (23, Input::Holds { wait: 1 }),
        ],
        &[
            "10 stop internal",
            "15 start internal",
            "15 await 1 mesh",
            "24 stop external",
            "24 reload",
            "60 end",
        ],
    );
}

#[test]
fn a_condition_may_follow_a_repeat_and_repeat_itself() {
    check(
        vec![
            step(at(5), What::Reload).every(5, Some(12)),
            step(when(), act(Act::Stop, "internal")).every(10, Some(35)),
        ],
        vec![(20, Input::Holds { wait: 1 })],
        &[
            "5 reload",
            "10 reload",
            "10 await 1 mesh",
            "20 stop internal",
            "30 stop internal",
            "60 end",
        ],
    );
}

#[test]
fn a_run_whose_condition_never_held_says_so() {
    let mut topology = topology();
    topology.timeline = vec![step(when(), What::Reload)];
    let (lines, facts) = run(&topology, vec![], Span::ZERO);
    assert_eq!(lines, ["0 await 1 mesh", "60 end"]);
    assert_eq!(facts, [format!("60 ended: {UNPLAYED}")]);
    let told = vec![(Span::ZERO, Input::Holds { wait: 1 })];
    let (lines, facts) = run(&topology, told, Span::ZERO);
    assert_eq!(lines, ["0 await 1 mesh", "0 reload", "60 end"]);
    assert_eq!(facts, [format!("60 ended: {PLAYED}")]);
}

#[test]
fn nothing_happens_at_the_end_or_after_it() {
    check(
        vec![
            step(at(59), act(Act::Stop, "internal")).lasting(1),
            step(at(60), What::Reload),
        ],
        vec![(70, Input::Begin), (71, Input::End { why: "again" })],
        &["59 stop internal", "60 end"],
    );
}

#[test]
fn a_run_that_is_ended_early_plays_no_more() {
    let mut topology = topology();
    topology.timeline = vec![
        step(at(5), refuse("internal")),
        step(at(20), What::Reload),
        step(when(), What::Reload),
    ];
    let told = vec![(secs(10), Input::End { why: "it failed" })];
    let (lines, facts) = run(&topology, told, Span::ZERO);
    let in_force = "5 faults [1 refuse on balancer/internal]";
    assert_eq!(lines, [in_force, "10 end"]);
    assert_eq!(facts, ["5 set 1 until None", "10 ended: it failed"]);
}

#[test]
fn late_wakes_shift_nothing_but_themselves() {
    let mut topology = topology();
    topology.timeline = vec![
        step(at(10), refuse("internal"))
            .lasting(5)
            .every(10, Some(30)),
        step(then(), What::Wait).lasting(10),
        step(then(), What::Reload),
    ];
    let (_, facts) = run(&topology, vec![], secs(1));
    let expected = [
        "11 set 1 until Some(15)",
        "16 lifted 1",
        "21 set 2 until Some(25)",
        "26 lifted 2",
    ];
    assert_eq!(facts[..4], expected);
    let (lines, _) = run(&topology, vec![], secs(1));
    assert_eq!(lines[4..], ["36 reload", "61 end"]);
}

#[test]
fn faults_are_set_and_lifted_by_hand_without_a_run() {
    let topology = topology();
    let mut conductor = Conductor::new(&topology);
    let mut tell = |now: u64, input| {
        let mut out = Outbox::default();
        let cx = Context {
            now: Time::from_us(now * 1_000_000),
            topology: &topology,
        };
        match input {
            Some(input) => conductor.handle(&cx, input, &mut out),
            None => conductor.wake(&cx, &mut out),
        }
        let next = conductor.deadline().map(|(at, _)| at.as_us() / 1_000_000);
        let lines: Vec<_> = out.outputs.iter().map(say).collect();
        (lines.join("; "), out.facts.len(), next)
    };
    let set = |name, lasts: Option<u64>| {
        Some(Input::Set {
            fault: fault(Effect::Refuse, name),
            lasts: lasts.map(secs),
        })
    };
    let lift = |n| Some(Input::Lift { fault: FaultId(n) });
    let internal = "faults [1 refuse on balancer/internal]";
    let first = format!("{internal}; taken 1");
    assert_eq!(tell(1, set("internal", None)), (first, 1, None));
    let both = "faults [1 refuse on balancer/internal, 2 refuse on balancer/external]";
    let second = format!("{both}; taken 2");
    assert_eq!(tell(2, set("external", Some(5))), (second, 1, Some(7)));
    assert_eq!(tell(6, None), (String::new(), 0, Some(7)));
    assert_eq!(tell(7, None), (internal.into(), 1, None));
    assert_eq!(tell(8, lift(2)), (String::new(), 0, None));
    assert_eq!(tell(8, lift(1)), (String::from("faults []"), 1, None));
    tell(9, set("internal", Some(9)));
    tell(9, set("internal", Some(8)));
    assert_eq!(
        tell(10, Some(Input::Clear)),
        (String::from("faults []"), 2, None)
    );
    assert_eq!(tell(11, Some(Input::Clear)), (String::new(), 0, None));
}

#[test]
fn a_fault_of_the_timeline_that_is_lifted_by_hand_still_ends_its_step() {
    check(
        vec![
            step(at(10), refuse("internal")).lasting(20),
            step(then(), What::Reload),
        ],
        vec![(12, Input::Clear)],
        &[
            "10 faults [1 refuse on balancer/internal]",
            "12 faults []",
            "30 reload",
            "60 end",
        ],
    );
}

#[test]
fn no_more_faults_than_a_lab_takes() {
    let mut topology = topology();
    topology.timeline = vec![
        step(at(1), refuse("internal")).every(1, None),
        step(at(40), What::Reload),
    ];
    topology.duration = secs(3_000);
    let full = secs(FAULTS_MAX as u64 + 1);
    let mut conductor = Conductor::new(&topology);
    let mut out = Outbox::default();
    let cx = |now| Context {
        now,
        topology: &topology,
    };
    conductor.handle(&cx(Time::ZERO), Input::Begin, &mut out);
    conductor.wake(&cx(Time::ZERO + full), &mut out);
    let last = out.facts.last();
    assert!(matches!(last, Some(Kind::RunEnded { why }) if *why == TOO_MANY));
    assert_eq!(conductor.faults.iter().count(), FAULTS_MAX);
    // By hand it is one that is not set: the caller sees no fact.
    let mut out = Outbox::default();
    let input = Input::Set {
        fault: fault(Effect::Refuse, "external"),
        lasts: None,
    };
    conductor.handle(&cx(Time::ZERO + full), input, &mut out);
    assert!(out.facts.is_empty() && out.outputs.is_empty(), "{out:?}");
}

fn asking(every: u64, after: u64, before: Option<u64>) -> Expectation {
    let answer = AnswerCheck {
        name: "proxy.example.com.".into(),
        rtype: "A".into(),
        from: "127.10.0.9".parse().unwrap(),
        client: "internal".into(),
        every: secs(every),
        answer: None,
        not_in: Vec::new(),
        rcode: None,
        view: None,
    };
    Expectation {
        text: Name::from("a question"),
        place: place(),
        check: Check::Answer(answer),
        after: secs(after),
        before: before.map(secs),
        evidence: 1,
        abort: false,
    }
}

fn place() -> Place {
    Place {
        file: "lab.yaml".into(),
        line: 1,
        column: 1,
    }
}

#[test]
fn questions_are_asked_from_their_beginning_to_their_end_and_after_the_steps() {
    let mut topology = topology();
    topology.expect = vec![
        asking(30, 0, None),
        asking(4, 7, Some(15)),
        asking(20, 20, Some(40)),
    ];
    topology.timeline = vec![step(at(20), What::Reload)];
    let (lines, _) = run(&topology, vec![], Span::ZERO);
    let expected = [
        "0 probe 0",
        "7 probe 1",
        "11 probe 1",
        "20 reload",
        "20 probe 2",
        "30 probe 0",
        "60 end",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn each_step_of_the_timeline_says_when_it_begins_and_ends() {
    let mut topology = topology();
    topology.timeline = vec![
        step(
            at(10),
            What::Parallel(vec![step(then(), refuse("external")).lasting(8)]),
        ),
        step(then(), refuse("internal"))
            .lasting(2)
            .every(5, Some(30)),
        step(at(40), refuse("internal")).lasting(90),
    ];
    let (_, facts) = play(&topology, Vec::new(), Span::ZERO);
    let told = facts.into_iter().filter_map(|(at, kind)| match kind {
        Kind::RunBegan { ends } => Some(format!("{at} until {ends}")),
        Kind::StepBegan { step } => Some(format!("{at} begins {step}")),
        Kind::StepEnded { step } => Some(format!("{at} ended {step}")),
        _ => None,
    });
    let expected = [
        "0 until 65.000",
        "10 begins 0",
        "18 ended 0",
        "18 begins 1",
        "23 begins 1",
        "28 begins 1",
        "30 ended 1",
        "40 begins 2",
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected);
}
