//! Resolvers with a cache in virtual time: what outlives what, and who asks from where.

use std::path::Path;

use twodoors::lab::load::load;
use twodoors::model::fact::{Act, Fact, Failure, Kind, Stage};
use twodoors::model::id::Node;
use twodoors::model::time::{Span, Time};
use twodoors::model::topology::Resolver;
use twodoors::scenario::files::Disk;

use super::kit::{Lab, secs};

/// How long zones/private lets its answers live.
const TTL: Span = Span::from_secs(300);

/// Plays a scenario of the repository.
fn facts(scenario: &str) -> Vec<Fact> {
    let loaded = load(Path::new(scenario), &Disk).unwrap();
    super::kit::facts(&loaded)
}

/// Gives when the laptop's name came fresh from the server for the last time before it moved, when
/// it moved, and its visits after that: answered or why not.
fn roamed(facts: &[Fact]) -> (Time, Time, Vec<(Time, Option<Failure>)>) {
    let moved = |fact: &&Fact| {
        matches!(fact.kind, Kind::Roamed { .. }) && matches!(fact.node, Node::Resolver(_))
    };
    let moved = facts.iter().find(moved).expect("it moves").at;
    let mut fresh = facts.iter().filter(|fact| {
        fact.at <= moved && matches!(&fact.kind, Kind::Resolved(told) if !told.cached)
    });
    let fresh = fresh.next_back().expect("it asked before").at;
    let visits = facts.iter().filter(|fact| fact.at > moved);
    let visits = visits.filter_map(|fact| match &fact.kind {
        Kind::VisitAnswered(_) => Some((fact.at, None)),
        Kind::VisitFailed { reason, .. } => Some((fact.at, Some(*reason))),
        _ => None,
    });
    (fresh, moved, visits.collect())
}

#[test]
fn a_laptop_that_moved_fails_until_its_private_answers_are_over() {
    let facts = facts("scenarios/roaming-laptop.yaml");
    let (fresh, moved, visits) = roamed(&facts);
    let over = fresh + TTL;
    assert!(over > moved + Span::from_secs(60), "{over}");
    for (at, failed) in visits {
        // A visit that began just before ends just after.
        if at <= over {
            assert_eq!(failed, Some(Failure::Connect), "{at}");
        } else if at > over + Span::from_secs(3) {
            assert_eq!(failed, None, "{at}");
        }
    }
    // The kernel finished the handshake before the door refused: the door was used, says the user.
    let used = facts.iter().any(|fact| {
        fact.at > moved
            && fact.at < over
            && matches!(&fact.kind, Kind::DoorUsed { balancer, .. } if balancer.as_deref() == Some("internal"))
            && fact.node == Node::User("olga".into())
    });
    assert!(used);
}

#[test]
fn a_floor_of_an_hour_keeps_the_laptop_at_the_old_door() {
    let facts = facts("scenarios/broken/roaming-laptop.yaml");
    let (_, _, visits) = roamed(&facts);
    assert!(visits.len() > 100);
    assert!(
        visits
            .iter()
            .all(|(_, failed)| *failed == Some(Failure::Connect))
    );
}

/// Gives which doors agents of the internal network used in a part of a run.
fn doors(facts: &[Fact], from: Time) -> Vec<&str> {
    let mut doors: Vec<&str> = facts
        .iter()
        .filter(|fact| fact.at >= from && fact.node != Node::Agent("kiosk".into()))
        .filter_map(|fact| match (&fact.node, &fact.kind) {
            (Node::Agent(_), Kind::DoorUsed { balancer, .. }) => balancer.as_deref(),
            _ => None,
        })
        .collect();
    doors.sort_unstable();
    doors.dedup();
    doors
}

#[test]
fn a_resolver_s_place_chooses_the_door() {
    for (scenario, from, expected) in [
        ("scenarios/resolver-in-the-middle.yaml", 0, "internal"),
        (
            "scenarios/broken/resolver-in-the-middle.yaml",
            0,
            "external",
        ),
        ("scenarios/migrate-from-one-door.yaml", 185, "internal"),
        (
            "scenarios/broken/migrate-from-one-door.yaml",
            185,
            "external",
        ),
    ] {
        let facts = facts(scenario);
        assert_eq!(doors(&facts, secs(from)), [expected], "{scenario}");
    }
}

/// Has every agent of the example ask a resolver in its network.
fn behind_a_resolver() -> Lab {
    let mut lab = Lab::split_dns();
    lab.topology.users.clear();
    // The questions of expectations go to the server itself.
    lab.topology.expect.clear();
    lab.topology.resolvers.push(Resolver {
        name: "company".into(),
        listen: "127.10.0.53:53".parse().unwrap(),
        on: None,
    });
    for agent in &mut lab.topology.agents {
        agent.resolver = Some("company".into());
    }
    lab
}

#[test]
fn one_question_to_the_server_serves_all_who_ask_at_once_and_later() {
    let played = behind_a_resolver().play();
    let told =
        |cached| played.count(|kind| matches!(kind, Kind::Resolved(told) if told.cached == cached));
    let server: u64 = played.facts.iter().fold(0, |sum, fact| match &fact.kind {
        Kind::DnsCounted { count, .. } => sum + count,
        _ => sum,
    });
    assert_eq!(server, 1);
    assert_eq!(
        told(false),
        4,
        "those who asked at once wait for one answer"
    );
    assert!(told(true) > 20);
}

#[test]
fn a_resolver_that_is_stopped_is_silent_and_begins_anew_without_its_cache() {
    let mut lab = behind_a_resolver();
    let company = Node::Resolver("company".into());
    let away = Some(Span::from_secs(40));
    lab.topology.duration = Span::from_secs(120);
    lab.act_for(Span::ZERO, &company, Act::Kill, away);
    let played = lab.play();
    let failed = played.first(|kind| {
        matches!(kind, Kind::DialFailed { stage: Stage::Resolve, error, .. } if error.ends_with("the DNS server did not answer in time"))
    });
    // Three tries of 5 s each, the first after the way there.
    let way = Span::from_us(100).times(2);
    assert_eq!(failed, Some(secs(15) + way));
    let used = played.first(|kind| matches!(kind, Kind::DoorUsed { .. }));
    assert!(used.is_some_and(|at| at > secs(40)), "{used:?}");
}

#[test]
fn a_server_that_is_silent_is_a_failure_after_the_resolver_s_own_tries() {
    use twodoors::model::fault::{Effect, Target};
    let mut lab = behind_a_resolver();
    lab.fault(Span::ZERO, Target::Node(Node::Dns), Effect::Drop, None);
    let played = lab.play();
    let failed = played
        .facts
        .iter()
        .find(|fact| matches!(&fact.kind, Kind::Resolved(told) if &*told.rcode == "SERVFAIL"));
    // Two tries of 2 s.
    let at = failed.expect("it gives up").at;
    assert_eq!(at, secs(4) + Span::from_us(100));
    let error = played.facts.iter().find_map(|fact| match &fact.kind {
        Kind::DialFailed { error, .. } => Some(error.clone()),
        _ => None,
    });
    assert!(error.is_some_and(|error| error.contains("SERVFAIL")));
}
