//! Fleets: queues at the pool, the luck of agents, and what a run of many takes.

use std::net::{IpAddr, Ipv4Addr};

use twodoors::live::clock::Clock;
use twodoors::model::fact::{Act, Fact, Kind};
use twodoors::model::id::Node;
use twodoors::model::time::{Span, Time};
use twodoors::model::topology::Agent;

use super::kit::{Lab, secs};

/// Makes the embedded example with so many agents in the internal network, and no users.
pub(super) fn fleet(count: u32) -> Lab {
    let mut lab = Lab::split_dns();
    let first = lab.topology.agents[0].clone();
    lab.topology.users.clear();
    lab.topology.agents = (0..count)
        .map(|n| Agent {
            name: format!("branch-{n:05}").into(),
            id: format!(
                "00000000-0000-4000-8000-{:012}",
                u64::from(n) * 7_919 % 1_000_003
            )
            .into(),
            address: IpAddr::V4(Ipv4Addr::from(0x7f0a_4000 + n)),
            ..first.clone()
        })
        .collect();
    lab
}

#[test]
fn a_burst_completes_in_the_time_that_the_servers_need() {
    let agents = 400_u32;
    let mut lab = fleet(agents);
    lab.topology.duration = Span::from_secs(20);
    lab.topology.model.servers = 2;
    lab.topology.model.tls = Span::from_ms(1);
    lab.topology.model.ssh = Span::from_ms(40);
    let played = lab.play();
    // The first attempts of all: each costs two TLS and one SSH handshake, over three instances
    // with two servers each, and round robin shares them out evenly.
    let mut claims: Vec<Time> = Vec::new();
    let mut first = std::collections::BTreeSet::new();
    for fact in &played.facts {
        if matches!(fact.kind, Kind::Claimed { .. }) && first.insert(fact.node.clone()) {
            claims.push(fact.at);
        }
    }
    assert_eq!(claims.len(), agents as usize);
    let work = Span::from_ms(42).times(u64::from(agents));
    let expected = Span::from_us(work.as_us() / 6);
    let last = claims.last().expect("there are claims").since(Time::ZERO);
    assert!(
        last >= expected,
        "{last} is less than the work of {expected}"
    );
    // Second attempts mix in: they come behind in the queue, but for the last of the first.
    assert!(
        last < expected.times(2),
        "{last} is far more than {expected}"
    );
}

#[test]
fn a_queue_of_slow_handshakes_runs_into_the_clients_timeout() {
    let mut lab = fleet(300);
    lab.topology.duration = Span::from_secs(60);
    lab.topology.model.ssh = Span::from_secs(2);
    let played = lab.play();
    let late = |kind: &Kind| matches!(kind, Kind::DialFailed { error, .. } if error == "no login within 30s");
    assert!(played.count(late) > 50);
}

#[test]
fn order_in_the_file_does_not_change_what_an_agent_draws() {
    let waits = |lab: &Lab| {
        let played = lab.play();
        let of = |fact: &&Fact| fact.node.name() == "branch-00000";
        let facts = played.facts.iter().filter(of);
        let waits = facts.filter_map(|fact| match fact.kind {
            Kind::BackingOff { wait, .. } => Some(wait),
            _ => None,
        });
        waits.take(1).collect::<Vec<_>>()
    };
    let (few, many) = (fleet(2), fleet(20));
    assert_eq!(waits(&few), waits(&many));
}

#[test]
fn a_thousand_agents_survive_a_door_that_dies() {
    let door = Node::Balancer("internal".into());
    let mut lab = fleet(1_000);
    lab.topology.duration = Span::from_secs(300);
    let away = Some(Span::from_secs(20));
    lab.act_for(Span::from_secs(120), &door, Act::Kill, away);
    let began = Clock::start();
    let counted = lab.count();
    let wall = began.now();
    let events: u64 = counted.summary.events.values().sum();
    println!(
        "{wall} wall seconds, {events} events, {:?}",
        counted.summary
    );
    assert_eq!(counted.summary.virtual_time, secs(300));
    assert!(counted.lost >= 2_900, "{} tunnels were lost", counted.lost);
    assert_eq!(counted.mesh.now, counted.mesh.full, "all are back");
    // A run at rest costs what agents at rest cost: a handful of events a tunnel and minute.
    assert!(events < 1_000_000, "{events}");
}
