//! Faults in virtual time: what each does, and at which instant.

use twodoors::model::fact::{Fact, Health, Kind, Stage};
use twodoors::model::fault::{Effect, End, Link, Target};
use twodoors::model::id::Node;
use twodoors::model::time::{Span, Time};

use super::kit::{Lab, Played, secs};

/// From one end of a link to the other, as the scenario's model has it by default.
const LATENCY: Span = Span::from_us(100);

fn node(kind: &str, name: &str) -> Node {
    Node::named(kind, name).expect("a kind of node")
}

fn both(from: End, to: Node) -> Target {
    Target::Link(Link {
        from,
        to: End::Node(to),
        both: true,
    })
}

fn orders_to_door() -> Target {
    let orders = End::Node(node("agent", "orders"));
    both(orders, node("balancer", "internal"))
}

/// Gives when `orders` lost each of its tunnels, where to and why.
fn losses(played: &Played) -> Vec<(Time, String, String)> {
    let facts = played.facts.iter();
    facts
        .filter_map(|fact| match &fact.kind {
            Kind::TunnelLost { proxy, why, .. } if fact.node.name() == "orders" => {
                Some((fact.at, proxy.to_string(), why.clone()))
            }
            _ => None,
        })
        .collect()
}

fn long(effect: Effect) -> Lab {
    let mut lab = Lab::split_dns();
    lab.topology.users.clear();
    lab.topology.duration = Span::from_secs(1_500);
    lab.fault(Span::from_secs(200), orders_to_door(), effect, None);
    lab
}

#[test]
fn a_silent_tunnel_is_lost_four_keepalives_after_the_last_message() {
    let played = long(Effect::Blackhole).play();
    let losses = losses(&played);
    assert_eq!(losses.len(), 3);
    for (at, proxy, why) in losses {
        assert_eq!(why, "Keepalive timeout");
        let heard = Time::from_us(at.since(secs(1_200)).as_us());
        assert!(heard <= secs(200), "{heard}");
        // The last word from that proxy was its last gossip before the fault.
        let gossip = played.facts.iter().filter(|fact| {
            matches!(fact.kind, Kind::GossipSent { .. })
                && fact.node == node("proxy", &proxy)
                && fact.at + LATENCY.times(2) <= secs(200)
        });
        let last = gossip
            .max_by_key(|fact| fact.seq)
            .expect("there was gossip")
            .at;
        assert_eq!(heard, last + LATENCY.times(2));
    }
}

#[test]
fn data_that_is_not_acknowledged_ends_a_tunnel_before_the_keepalive() {
    let mut lab = long(Effect::Blackhole);
    lab.timers.unacknowledged = Some(Span::from_ms(924_600));
    let played = lab.play();
    let losses = losses(&played);
    assert_eq!(losses.len(), 3);
    for (at, proxy, why) in losses {
        assert_eq!(why, "Connection timed out (os error 110)");
        let sent = Time::from_us(at.since(Time::ZERO + Span::from_ms(924_600)).as_us());
        // The first heartbeat after the fault: five minutes after the claim.
        let claimed = played.facts.iter().find(|fact| {
            fact.node.name() == "orders"
                && matches!(&fact.kind, Kind::Claimed { proxy: to, .. } if **to == *proxy)
        });
        let claimed = claimed.expect("it was claimed").at;
        assert_eq!(sent, claimed + Span::from_secs(300));
    }
}

#[test]
fn without_the_fault_no_tunnel_is_lost() {
    let mut lab = long(Effect::Blackhole);
    lab.topology.timeline.clear();
    assert!(losses(&lab.play()).is_empty());
}

#[test]
fn one_silent_direction_is_noticed_at_the_end_that_hears_nothing() {
    let mut lab = long(Effect::HalfOpen);
    if let twodoors::model::timeline::What::Fault(fault) = &mut lab.topology.timeline[0].what
        && let Target::Link(link) = &mut fault.target
    {
        link.both = false;
    }
    let played = lab.play();
    let removed = |fact: &&Fact| {
        matches!(&fact.kind, Kind::TunnelRemoved { agent, why, .. }
            if **agent == *"orders" && why == "Keepalive timeout")
    };
    assert_eq!(played.facts.iter().filter(removed).count(), 3);
    // The proxy's reset comes through in the direction that is open.
    let losses = losses(&played);
    assert_eq!(losses.len(), 3);
    assert!(
        losses.iter().all(|(_, _, why)| why.contains("reset")),
        "{losses:?}"
    );
}

#[test]
fn a_fault_that_is_lifted_in_time_loses_nothing() {
    for effect in [
        Effect::Blackhole,
        Effect::HalfOpen,
        Effect::Latency(Span::from_secs(2)),
        Effect::Jitter(Span::from_secs(2)),
    ] {
        let mut lab = Lab::split_dns();
        lab.topology.duration = Span::from_secs(400);
        let for_long = Some(Span::from_secs(200));
        lab.fault(
            Span::from_secs(100),
            orders_to_door(),
            effect.clone(),
            for_long,
        );
        let played = lab.play();
        let lost = played.count(|kind| matches!(kind, Kind::TunnelLost { .. }));
        assert_eq!((lost, played.state.mesh.now), (0, 12), "{effect}");
    }
}

/// Plays a door with a fault from the beginning and gives the first fact of `orders` about it.
fn at_door(effect: Effect, lasts: Option<Span>) -> Fact {
    let mut lab = Lab::split_dns();
    lab.topology.users.clear();
    let door = Target::Node(node("balancer", "internal"));
    lab.fault(Span::ZERO, door, effect, lasts);
    let facts = lab.play().facts.into_iter();
    let mut told = facts.filter(|fact| fact.node.name() == "orders");
    told.find(|fact| matches!(fact.kind, Kind::DialFailed { .. } | Kind::DoorUsed { .. }))
        .expect("orders dials")
}

#[test]
fn a_refused_dial_fails_at_once_and_a_silent_one_at_its_timeout() {
    let refused = at_door(Effect::Refuse, None);
    // The question and its answer, the SYN and its RST.
    assert_eq!(refused.at, Time::ZERO + LATENCY.times(4));
    assert!(matches!(
        &refused.kind,
        Kind::DialFailed {
            stage: Stage::Connect,
            ..
        }
    ));
    let silent = at_door(Effect::Blackhole, None);
    assert_eq!(silent.at, secs(30));
    assert!(matches!(
        &silent.kind,
        Kind::DialFailed {
            stage: Stage::Find,
            ..
        }
    ));
}

#[test]
fn a_syn_is_sent_again_when_linux_would_send_it() {
    for (lasts, again) in [(500, 1), (1_500, 3), (5_000, 7), (10_000, 15)] {
        let used = at_door(Effect::Blackhole, Some(Span::from_ms(lasts)));
        assert!(matches!(used.kind, Kind::DoorUsed { .. }), "{used:?}");
        let expected = Span::from_secs(again) + LATENCY.times(4);
        assert_eq!(used.at, Time::ZERO + expected, "lifted after {lasts} ms");
    }
}

#[test]
fn a_paused_proxy_passes_its_checks_and_serves_nobody() {
    let mut lab = Lab::split_dns();
    lab.topology.duration = Span::from_secs(120);
    let proxy = node("proxy", "2");
    let target = Target::Node(proxy.clone());
    lab.fault(
        Span::from_secs(60),
        target,
        Effect::Pause,
        Some(Span::from_secs(20)),
    );
    let played = lab.play();
    let within = |fact: &&Fact| fact.at > secs(60) && fact.at < secs(80);
    let said = played
        .facts
        .iter()
        .filter(within)
        .filter(|fact| fact.node == proxy);
    assert_eq!(said.count(), 0, "it stands still");
    let flipped = played.count(|kind| {
        matches!(kind, Kind::HealthChanged { proxy, to, .. }
            if **proxy == *"2" && *to != Health::Up)
    });
    assert_eq!(flipped, 0, "its kernel answers the checks");
    let after = played.facts.iter().filter(|fact| fact.at >= secs(80));
    assert!(
        after.filter(|fact| fact.node == proxy).count() > 3,
        "it goes on"
    );
    assert_eq!(played.state.mesh.now, 12);
}

#[test]
fn a_silent_link_behind_a_door_fails_its_connects_and_its_checks() {
    let mut lab = Lab::split_dns();
    lab.topology.duration = Span::from_secs(40);
    let door = End::Node(node("balancer", "internal"));
    let link = both(door, node("proxy", "1"));
    lab.fault(Span::from_secs(1), link, Effect::Blackhole, None);
    let played = lab.play();
    let down = played.facts.iter().find_map(|fact| match &fact.kind {
        Kind::HealthChanged {
            to: Health::Down,
            cause,
            ..
        } => Some((fact.at, cause.clone())),
        _ => None,
    });
    let (at, cause) = down.expect("the door sees it");
    assert_eq!(cause, "3 checks failed in a row: no answer within 1.00s");
    // Between (f - 1) I + t and f I + t: theory.md C1.
    let took = at.since(secs(1));
    assert!(
        took >= Span::from_secs(5) && took <= Span::from_secs(7),
        "{took}"
    );
    let failed = played.count(|kind| {
        matches!(kind, Kind::ConnectFailed { error, .. } if error == "no answer within 5.00s")
    });
    assert!(failed > 0);
}

#[test]
fn latency_is_added_to_each_message_and_to_nothing_else() {
    let fastest = |delay: Span| {
        let mut lab = Lab::split_dns();
        let link = both(
            End::Network("external".into()),
            node("balancer", "external"),
        );
        if delay > Span::ZERO {
            lab.fault(Span::ZERO, link, Effect::Latency(delay), None);
        }
        let played = lab.play();
        let facts = played.facts.iter();
        let took = facts.filter_map(|fact| match &fact.kind {
            Kind::VisitAnswered(visit)
                if *visit.network == *"external" && *visit.app == *"wiki" =>
            {
                Some(visit.took)
            }
            _ => None,
        });
        took.min().expect("visits are answered")
    };
    // ClientHello, its answer, the request and its answer.
    let added = fastest(Span::from_ms(50)) - fastest(Span::ZERO);
    // The first of them overlaps with the door's own connect.
    assert!(
        added > Span::from_ms(199) && added <= Span::from_ms(200),
        "{added}"
    );
}

#[test]
fn open_connections_are_reset_and_new_ones_as_soon_as_they_are_accepted() {
    let mut lab = Lab::split_dns();
    lab.topology.duration = Span::from_secs(150);
    let door = Target::Node(node("balancer", "internal"));
    lab.fault(
        Span::from_secs(60),
        door,
        Effect::ResetPeer,
        Some(Span::from_secs(20)),
    );
    let played = lab.play();
    let lost: Vec<_> = losses(&played);
    assert_eq!(lost.len(), 3);
    for (at, _, why) in &lost {
        assert_eq!(*at, secs(60) + LATENCY);
        assert_eq!(why, "Connection reset by peer (os error 104)");
    }
    let again = played.facts.iter().filter(|fact| {
        fact.at > secs(61)
            && fact.at < secs(80)
            && matches!(&fact.kind, Kind::DialFailed { error, .. } if error.contains("reset"))
    });
    assert!(again.count() > 3);
    let door = &played.state.balancers[0];
    // Nine tunnels, and a visit that may be under way.
    assert!(
        (9..=10).contains(&door.open),
        "{} flows are open",
        door.open
    );
    assert_eq!(played.state.mesh.now, 12);
}

#[test]
fn dns_that_drops_is_asked_three_times() {
    let mut lab = Lab::split_dns();
    let target = Target::Node(Node::Dns);
    lab.fault(Span::ZERO, target, Effect::Drop, None);
    let played = lab.play();
    let failed = |kind: &Kind| {
        matches!(
            kind,
            Kind::DialFailed {
                stage: Stage::Resolve,
                ..
            }
        )
    };
    let first = played.first(failed).expect("names do not resolve");
    assert_eq!(first, secs(15) + LATENCY.times(2));
    assert_eq!(
        played.count(|kind| matches!(kind, Kind::DoorUsed { .. })),
        0
    );
}
