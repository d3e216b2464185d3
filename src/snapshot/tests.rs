use super::*;
use crate::model::fact::{Ended, Fact, Kind};
use crate::model::network::{Element, Matcher};
use crate::policy::testing::topology;

/// Folds facts of one node, a second apart.
fn folded(node: &Node, kinds: Vec<Kind>) -> Snapshot {
    let mut state = Snapshot::new(&topology());
    for (seq, kind) in (1..).zip(kinds) {
        let at = Time::from_us(seq * 1_000_000);
        let node = node.clone();
        state.fold(&Fact {
            seq: Seq(seq),
            at,
            node,
            kind,
        });
    }
    state
}

fn claimed(dial: u64) -> Kind {
    Kind::Claimed {
        dial: DialId(dial),
        proxy: "2".into(),
        balancer: Some("internal".into()),
        principal: "proxy.example.com".into(),
        tunnels: 1,
        gap: None,
    }
}

fn lost(dial: u64) -> Kind {
    Kind::TunnelLost {
        dial: DialId(dial),
        proxy: "2".into(),
        why: String::from("reset"),
        tunnels: 0,
    }
}

#[test]
fn the_mesh_counts_tunnels_that_stand() {
    let node = Node::Agent("orders".into());
    assert_eq!(folded(&node, vec![claimed(1)]).mesh.now, 1);
    assert_eq!(folded(&node, vec![claimed(1), lost(1)]).mesh.now, 0);
    assert_eq!(
        folded(&node, vec![claimed(1), lost(1), claimed(2)])
            .mesh
            .now,
        1
    );
}

#[test]
fn the_end_of_a_replaced_tunnel_takes_nothing_from_its_replacement() {
    let node = Node::Agent("orders".into());
    let state = folded(&node, vec![claimed(1), claimed(2), lost(1)]);
    assert_eq!(state.mesh.now, 1);
    assert!(state.agents[0].tunnels[1].up);
}

#[test]
fn the_gap_after_a_rise_is_told_only_when_the_rise_came_after_the_loss() {
    let agent = Node::Agent("orders".into());
    let door = Node::Balancer("internal".into());
    let rise = |to| Kind::HealthChanged {
        proxy: "2".into(),
        to,
        cause: String::new(),
    };
    let run = |kinds: Vec<(&Node, Kind)>| {
        let mut state = Snapshot::new(&topology());
        for (seq, (node, kind)) in (1..).zip(kinds) {
            let (at, node) = (Time::from_us(seq * 1_000_000), node.clone());
            state.fold(&Fact {
                seq: Seq(seq),
                at,
                node,
                kind,
            });
        }
        state.agents[0].tunnels[1].after_rise
    };
    let up = rise(Health::Up);
    let through = vec![
        (&door, up.clone()),
        (&agent, claimed(1)),
        (&agent, lost(1)),
        (&agent, claimed(2)),
    ];
    assert_eq!(run(through), None, "the door saw the proxy up all the time");
    let returned = vec![
        (&door, up.clone()),
        (&agent, claimed(1)),
        (&agent, lost(1)),
        (&door, rise(Health::Down)),
        (&door, up),
        (&agent, claimed(2)),
    ];
    assert_eq!(run(returned), Some(Span::from_secs(1)));
}

#[test]
fn flows_are_counted_by_network_and_backend_and_end() {
    let flow = crate::model::id::FlowId(1);
    let client = crate::model::addr::ClientAddr("127.10.0.9:4000".parse().unwrap());
    let listener = ListenAddr("127.10.0.2:3080".parse().unwrap());
    let network = Some(Name::from("internal"));
    let opened = Kind::FlowOpened {
        flow,
        client,
        network,
        listener,
    };
    let connected = Kind::FlowConnected {
        flow,
        proxy: "2".into(),
        from: None,
        attempt: 1,
        why: crate::model::fact::Chosen::Turn,
    };
    let closed = Kind::FlowClosed {
        flow,
        proxy: Some("2".into()),
        up: 3,
        down: 5,
        how: Ended::Finished,
    };
    let node = Node::Balancer("internal".into());
    let open = folded(&node, vec![opened.clone(), connected.clone()]);
    let door = &open.balancers[0];
    assert_eq!(
        (door.open, door.backends[1].open, door.backends[1].total),
        (1, 1, 1)
    );
    let ended = folded(&node, vec![opened, connected, closed]);
    let door = &ended.balancers[0];
    assert_eq!(
        (door.open, door.backends[1].open, door.backends[1].total),
        (0, 0, 1)
    );
    assert_eq!((door.bytes_up, door.bytes_down), (3, 5));
    assert_eq!(door.networks["internal"].opened, 1);
}

#[test]
fn a_reload_shows_the_new_views_and_which_network_gets_which() {
    let element = |text: &str, what| Element {
        text: text.into(),
        negated: false,
        what,
    };
    let inside = Matcher::Ranges(vec!["127.10.0.0/16".parse().unwrap()]);
    let views = vec![
        (Name::from("inside"), vec![element("internal", inside)]),
        (Name::from("rest"), vec![element("any", Matcher::Any)]),
    ];
    let reloaded = Kind::Reloaded {
        generation: Generation(2),
        views,
        changed: Vec::new(),
    };
    let state = folded(&Node::Lab, vec![reloaded]);
    assert_eq!(state.dns.views, ["inside", "rest"].map(Name::from));
    let views: Vec<_> = state
        .networks
        .iter()
        .map(|network| network.view.as_deref())
        .collect();
    assert_eq!(views, [Some("inside"), Some("rest")]);
}

#[test]
fn a_finding_of_one_node_is_kept_once() {
    let finding = || Kind::Finding {
        id: "role-follows-network",
        detail: String::from("once"),
    };
    let state = folded(&Node::User("alice".into()), vec![finding(), finding()]);
    assert_eq!(state.findings.len(), 1);
}
