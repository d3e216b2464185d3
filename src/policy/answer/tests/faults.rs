//! Faults in force: what they do to an answer, what its reason says, and that lifting undoes them.

use super::*;
use crate::model::fault::{Effect, End, Fault, Link, Target};
use crate::model::id::{FaultId, Node};
use crate::policy::faults::Faults;

const INSIDE: &str = "10.0.0.1";

fn view(name: &str) -> Target {
    Target::View(name.into())
}

fn one(target: Target, effect: Effect) -> Faults {
    Faults::default().with(FaultId(3), Fault { target, effect })
}

/// Two generations: `www` of the view `in` is 192.0.2.1, then 192.0.2.2.
fn twice() -> Rules {
    let old = load("www A 192.0.2.1\n", "www A 192.0.2.7\n").unwrap().0;
    let new = load("www A 192.0.2.2\n", "www A 192.0.2.8\n").unwrap().0;
    new.following(&old)
}

/// Asks for `www`: how it ended, the data, and why.
fn ask(rules: &Rules, from: &str) -> (&'static str, String, String) {
    let question = question(from, "www.example.test", RecordType::A);
    let answer = decide(rules, &question);
    let data = answer.records().map(|shown| shown.data_words());
    (
        answer.code(),
        data.collect::<Vec<_>>().join(" "),
        answer.reason.to_string(),
    )
}

/// Asks with the fault, and that others and the time after it are spared.
fn check(faults: &Faults, spared: Option<&str>, expected: (&str, &str, &str)) {
    let plain = twice();
    let rules = plain.with_faults(faults.clone());
    let (code, data, why) = ask(&rules, INSIDE);
    assert_eq!((code, &*data, &*why), expected);
    if let Some(spared) = spared {
        assert_eq!(ask(&rules, spared), ask(&plain, spared));
    }
    let lifted = rules.with_faults(faults.without(FaultId(3)));
    assert_eq!(ask(&lifted, INSIDE), ask(&plain, INSIDE));
}

const OUTSIDE: Option<&str> = Some("192.0.2.99");

#[test]
fn servfail_is_said_and_edns_stays() {
    let why = "fault 3: servfail on view/in";
    let faults = one(view("in"), Effect::ServFail);
    check(&faults, OUTSIDE, ("SERVFAIL", "", why));
    let rules = twice().with_faults(faults);
    let mut question = question(INSIDE, "www.example.test", RecordType::A);
    question.edns = Some(Edns {
        version: 0,
        payload: 1232,
        dnssec_ok: true,
        subnet: None,
        subnet_broken: false,
        ..Edns::default()
    });
    let answer = decide(&rules, &question);
    assert!(answer.edns.is_some_and(|edns| edns.dnssec_ok));
    assert_eq!(answer.rule().map(|rule| &**rule), Some("10.0.0.0/8"));
}

#[test]
fn what_is_dropped_says_so_and_nothing_else() {
    let why = "fault 3: drop on view/in";
    check(
        &one(view("in"), Effect::Drop),
        OUTSIDE,
        ("dropped", "", why),
    );
    let why = "fault 3: drop on dns";
    check(
        &one(Target::Node(Node::Dns), Effect::Drop),
        None,
        ("dropped", "", why),
    );
}

#[test]
fn stale_is_the_generation_before_and_no_further() {
    let faults = one(view("in"), Effect::Stale);
    let why = "fault 3: stale on view/in (generation 1 answers), exact match";
    check(&faults, OUTSIDE, ("NOERROR", "192.0.2.1", why));
    let third = load("www A 192.0.2.3\n", "").unwrap().0;
    let third = third.following(&twice().with_faults(faults.clone()));
    let (_, data, why) = ask(&third, INSIDE);
    assert_eq!(data, "192.0.2.2", "{why}");
    let first = rules("www A 192.0.2.1\n").with_faults(faults);
    let why = "fault 3: stale on view/in (there is no generation before this one), exact match";
    let (code, data, told) = ask(&first, INSIDE);
    assert_eq!((code, &*data, &*told), ("NOERROR", "192.0.2.1", why));
}

#[test]
fn a_flip_names_both_views() {
    let flip = |to: &str| one(view("in"), Effect::ViewFlip { to: to.into() });
    let why = "fault 3: view_flip to out on view/in (out answers for in), exact match";
    check(&flip("out"), OUTSIDE, ("NOERROR", "192.0.2.8", why));
    let why = "fault 3: view_flip to none on view/in (there is no such view), exact match";
    check(&flip("none"), OUTSIDE, ("NOERROR", "192.0.2.2", why));
    let both = flip("out").with(
        FaultId(4),
        Fault {
            target: view("in"),
            effect: Effect::Stale,
        },
    );
    let rules = twice().with_faults(both);
    assert_eq!(ask(&rules, INSIDE).1, "192.0.2.7", "the other view's past");
    let question = question(INSIDE, "www.example.test", RecordType::A);
    let answer = decide(&rules, &question);
    assert_eq!(&*answer.view.unwrap().name, "out");
    assert_eq!(answer.rule().map(|rule| &**rule), Some("10.0.0.0/8"));
}

#[test]
fn a_link_to_the_server_delays_within_its_dose() {
    let link = Target::Link(Link {
        from: End::Node(Node::Agent("a".into())),
        to: End::Node(Node::Dns),
        both: true,
    });
    let slow = Effect::Latency(Span::from_ms(50));
    let faults = one(link, slow).with(
        FaultId(4),
        Fault {
            target: Target::Node(Node::Dns),
            effect: Effect::Jitter(Span::from_ms(20)),
        },
    );
    let rules = twice().with_faults(faults);
    let asked = question(INSIDE, "www.example.test", RecordType::A);
    let answer = decide(&rules, &asked);
    // Nobody of the topology has the address, so the link is another's.
    assert_eq!(answer.latency, Span::ZERO);
    let draws = (0..100).map(|n| answer.delay(Seed(1), n));
    let draws: Vec<Span> = draws.collect();
    assert!(draws.iter().all(|span| *span < Span::from_ms(20)));
    assert!(draws.iter().max() > Some(&Span::from_ms(15)));
    assert_eq!(answer.delay(Seed(1), 7), draws[7]);
}

#[test]
fn a_question_that_is_refused_anyway_is_refused_by_servfail_too() {
    let mut asked = question(INSIDE, "www.example.test", RecordType::A);
    asked.count = 2;
    let server = Target::Node(Node::Dns);
    let rules = twice().with_faults(one(server.clone(), Effect::ServFail));
    assert_eq!(decide(&rules, &asked).code(), "FORMERR");
    let rules = twice().with_faults(one(server, Effect::Drop));
    assert_eq!(decide(&rules, &asked).code(), "dropped");
}

/// What a fault does not concern is answered as if it were not there.
#[test]
fn faults_that_concern_nobody_change_no_answer() {
    let plain = twice();
    let elsewhere = one(Target::Networks("a".into(), "b".into()), Effect::Partition)
        .with(
            FaultId(4),
            Fault {
                target: view("none"),
                effect: Effect::ServFail,
            },
        )
        .with(
            FaultId(5),
            Fault {
                target: Target::Node(Node::Dns),
                effect: Effect::TtlFloor(Span::from_secs(9)),
            },
        );
    let faulty = plain.with_faults(elsewhere);
    let mut compared = 0;
    for from in [INSIDE, "192.0.2.99", "127.0.0.1"] {
        for name in ["www", "ns", "none", "www.child", "child", "@"] {
            let name = match name {
                "@" => String::from("example.test"),
                name => format!("{name}.example.test"),
            };
            for kind in [RecordType::A, RecordType::SOA, RecordType::AXFR] {
                for class in [DNSClass::IN, DNSClass::CH] {
                    let mut question = question(from, &name, kind);
                    question.class = class;
                    let (a, b) = (decide(&plain, &question), decide(&faulty, &question));
                    assert_eq!(shown(&a), shown(&b));
                    assert_eq!(a.view.map(|v| &v.name), b.view.map(|v| &v.name));
                    assert_eq!((a.rule(), a.selected), (b.rule(), b.selected));
                    assert_eq!((a.dropped, a.latency), (false, Span::ZERO));
                    compared += 1;
                }
            }
        }
    }
    assert_eq!(compared, 108);
}
