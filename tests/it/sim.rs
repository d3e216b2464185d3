//! Whole labs in virtual time: what agents, users and doors do, at which instant.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test looks at few of the facts"
)]

mod digests;
mod drain;
mod faults;
mod fleet;
mod kit;
mod parity;
mod resolver;

/// Plays what was loaded in the order of a recording and gives its facts.
pub(crate) fn followed(
    loaded: &twodoors::lab::load::Loaded,
    order: twodoors::sim::Order,
) -> Vec<twodoors::model::fact::Fact> {
    kit::followed(loaded, Some(order))
}

use twodoors::model::fact::{Act, Kind, Stage};
use twodoors::model::id::Node;
use twodoors::model::time::Span;

use kit::{Lab, secs};

#[test]
fn every_agent_gets_a_tunnel_to_every_proxy_and_users_are_answered() {
    let played = Lab::split_dns().play();
    assert_eq!(played.state.mesh.now, 12);
    let complete = played.first(|kind| matches!(kind, Kind::MeshComplete { .. }));
    assert!(complete.expect("the mesh is complete") < secs(60));
    assert!(played.count(|kind| matches!(kind, Kind::VisitAnswered(_))) > 30);
    assert_eq!(
        played.count(|kind| matches!(kind, Kind::VisitFailed { .. })),
        0
    );
    assert_eq!(played.summary.virtual_time, secs(60));
    assert_eq!(played.summary.why, "the run is over");
}

#[test]
fn agents_of_the_internal_network_use_the_internal_door_alone() {
    let played = Lab::split_dns().play();
    let mut seen = 0;
    for fact in &played.facts {
        let Kind::DoorUsed {
            balancer, network, ..
        } = &fact.kind
        else {
            continue;
        };
        assert_eq!(balancer.as_ref(), Some(network), "{fact:?}");
        seen += 1;
    }
    assert!(seen > 90, "{seen}");
}

#[test]
fn agents_of_a_zone_that_names_the_wrong_door_are_seen_at_the_wrong_door() {
    let mut lab = Lab::split_dns();
    lab.change("zones/private/example.com.zone", "127.10.0.2", "127.20.0.2");
    let played = lab.play();
    let wrong = played.count(|kind| {
        matches!(kind, Kind::DoorUsed { balancer: Some(door), network, .. }
            if **door == *"external" && **network == *"internal")
    });
    assert!(wrong > 20, "{wrong}");
}

#[test]
fn a_door_that_stops_loses_its_tunnels_and_gets_every_agent_back() {
    let door = Node::Balancer("internal".into());
    let mut lab = Lab::split_dns();
    lab.topology.duration = Span::from_secs(180);
    lab.act_for(
        Span::from_secs(60),
        &door,
        Act::Stop,
        Some(Span::from_secs(20)),
    );
    let played = lab.play();
    let lost = |kind: &Kind| matches!(kind, Kind::TunnelLost { .. });
    assert_eq!(played.count(lost), 9, "three agents, three proxies");
    assert!(played.first(lost).expect("tunnels are lost") < secs(60) + Span::from_ms(1));
    let refused = played.count(|kind| {
        matches!(kind, Kind::DialFailed { stage: Stage::Connect, error, .. }
            if error.contains("Connection refused"))
    });
    assert!(refused >= 9, "{refused}");
    assert_eq!(played.state.mesh.now, 12, "all are back");
    let gaps: Vec<Span> = played.gaps();
    assert_eq!(gaps.len(), 9);
    // The longest backoff is 8 s, and three claims follow one another.
    assert!(
        gaps.iter().all(|gap| *gap > Span::from_secs(20)),
        "{gaps:?}"
    );
    assert!(
        gaps.iter().all(|gap| *gap < Span::from_secs(100)),
        "{gaps:?}"
    );
}

#[test]
fn a_door_that_stays_closed_gets_nobody_back() {
    let door = Node::Balancer("internal".into());
    let mut lab = Lab::split_dns();
    lab.topology.duration = Span::from_secs(180);
    lab.act_for(Span::from_secs(60), &door, Act::Stop, None);
    let played = lab.play();
    assert_eq!(
        played.state.mesh.now, 3,
        "only the agent outside has tunnels"
    );
    assert!(played.gaps().is_empty());
}

#[test]
fn a_proxy_that_is_killed_resets_and_one_that_stops_ends() {
    for (act, words) in [
        (Act::Kill, "Connection reset by peer (os error 104)"),
        (Act::Stop, "Connection closed by the remote side"),
    ] {
        let proxy = Node::Proxy("2".into());
        let mut lab = Lab::split_dns();
        lab.topology.duration = Span::from_secs(120);
        lab.act_for(Span::from_secs(40), &proxy, act, Some(Span::from_secs(20)));
        let played = lab.play();
        let mut lost = 0;
        for fact in &played.facts {
            if let Kind::TunnelLost { why, .. } = &fact.kind {
                assert_eq!(why, words);
                lost += 1;
            }
        }
        assert_eq!(lost, 4, "{act}");
        assert_eq!(played.state.mesh.now, 12, "{act}");
    }
}

#[test]
fn a_proxy_that_drains_sends_its_agents_away_and_says_so() {
    let proxy = Node::Proxy("3".into());
    let mut lab = Lab::split_dns();
    lab.topology.duration = Span::from_secs(90);
    lab.act_for(Span::from_secs(40), &proxy, Act::Drain, None);
    let played = lab.play();
    assert_eq!(played.count(|kind| matches!(kind, Kind::Advised { .. })), 4);
    assert_eq!(played.count(|kind| matches!(kind, Kind::Drained)), 1);
    assert_eq!(played.state.mesh.now, 8);
    let refused = played.count(|kind| matches!(kind, Kind::ConnRefused { .. }));
    let claims = played.count(|kind| {
        matches!(kind, Kind::DialFailed { stage: Stage::Claim, error, .. }
            if error == "ssh: handshake failed: proxy already claimed")
    });
    assert_eq!(
        refused, claims,
        "each claim that was refused is a connection that was refused"
    );
}

#[test]
fn the_same_seed_gives_the_same_facts_and_another_seed_gives_others() {
    let run = |seed| {
        let mut lab = Lab::split_dns();
        lab.topology.seed = twodoors::model::draw::Seed(seed);
        let door = Node::Balancer("internal".into());
        lab.act_for(
            Span::from_secs(20),
            &door,
            Act::Kill,
            Some(Span::from_secs(5)),
        );
        lab.play().facts
    };
    let first = run(1);
    assert_eq!(first, run(1));
    assert_ne!(first, run(2));
    let numbers = (1..).zip(&first);
    assert!(numbers.clone().all(|(n, fact)| fact.seq.0 == n));
    assert!(first.windows(2).all(|pair| pair[0].at <= pair[1].at));
}

#[test]
fn an_observer_that_breaks_ends_the_run() {
    let mut lab = Lab::split_dns();
    lab.stop_at = Some(secs(7));
    let played = lab.play();
    assert_eq!(played.summary.why, "enough");
    assert!(played.summary.virtual_time < secs(9));
    let ended = |kind: &Kind| matches!(kind, Kind::RunEnded { why: "enough" });
    assert_eq!(played.count(ended), 1);
}

#[test]
fn a_condition_of_the_timeline_is_seen_at_the_fact_that_makes_it_hold() {
    use twodoors::model::timeline::{Begin, Condition};
    let door = Node::Balancer("internal".into());
    let mut lab = Lab::split_dns();
    lab.act_for(Span::ZERO, &door, Act::Stop, Some(Span::from_secs(3)));
    lab.topology.timeline[0].begin = Begin::When(Condition::Mesh, Span::ZERO);
    let played = lab.play();
    let complete = played.first(|kind| matches!(kind, Kind::MeshComplete { .. }));
    let stopped = played.first(|kind| matches!(kind, Kind::Operated { act: Act::Stop }));
    assert!(complete.is_some());
    assert_eq!(complete, stopped);
}

#[test]
fn a_roaming_agent_goes_through_the_door_of_its_new_network() {
    let mut lab = Lab::split_dns();
    lab.roam(Span::from_secs(30), "orders", "external", "127.20.0.99");
    let played = lab.play();
    let doors = played.facts.iter().filter(|fact| fact.at > secs(30));
    let doors = doors.filter_map(|fact| match &fact.kind {
        Kind::Claimed { balancer, .. } if fact.node.name() == "orders" => balancer.clone(),
        _ => None,
    });
    let doors: Vec<_> = doors.collect();
    assert_eq!(doors.len(), 3);
    assert!(doors.iter().all(|door| **door == *"external"), "{doors:?}");
}

#[test]
fn a_record_that_changes_moves_the_next_dial() {
    let mut lab = Lab::split_dns();
    let proxy = Node::Proxy("1".into());
    lab.record(
        Span::from_secs(30),
        "private",
        "proxy.example.com.",
        "127.20.0.2",
    );
    lab.act_for(
        Span::from_secs(40),
        &proxy,
        Act::Stop,
        Some(Span::from_secs(2)),
    );
    let played = lab.play();
    let mut moved = 0;
    for fact in played.facts.iter().filter(|fact| fact.at > secs(30)) {
        if let (Kind::DoorUsed { balancer, .. }, Node::Agent(_)) = (&fact.kind, &fact.node) {
            assert_eq!(balancer.as_deref(), Some("external"), "{fact:?}");
            moved += 1;
        }
    }
    assert!(moved > 6, "{moved}");
    assert_eq!(
        played.count(|kind| matches!(kind, Kind::Reloaded { .. })),
        1
    );
}

#[test]
fn a_certificate_without_the_name_fails_every_dial_at_tls() {
    use twodoors::model::timeline::What;
    let mut lab = Lab::split_dns();
    let names = vec!["other.example.com".into()];
    lab.step(Span::ZERO, What::Certificate { names }, None);
    let played = lab.play();
    let failed = |kind: &Kind| {
        matches!(kind, Kind::DialFailed { stage: Stage::Tls, error, .. }
            if error.contains("not valid for name \"proxy.example.com\""))
    };
    assert!(played.count(failed) > 20);
    assert_eq!(played.state.mesh.now, 0);
}

#[test]
fn behind_a_resolver_the_resolver_s_address_chooses_the_view() {
    let mut lab = Lab::split_dns();
    lab.topology.users.clear();
    lab.topology
        .resolvers
        .push(twodoors::model::topology::Resolver {
            name: "outside".into(),
            listen: "127.20.0.53:53".parse().unwrap(),
            on: None,
        });
    for agent in &mut lab.topology.agents {
        agent.resolver = Some("outside".into());
    }
    let played = lab.play();
    let internal = |kind: &Kind| matches!(kind, Kind::DoorUsed { balancer, .. } if balancer.as_deref() == Some("internal"));
    assert_eq!(played.count(internal), 0);
    assert!(played.count(|kind| matches!(kind, Kind::DoorUsed { .. })) > 20);
}
