//! A synthetic lab that moves; started by hand with TWODOORS_DEMO=ADDR:PORT.

use std::time::Duration;

use twodoors::http::guard::Token;
use twodoors::journal::Journal;
use twodoors::live::clock::Clock;
use twodoors::model::addr::ClientAddr;
use twodoors::model::fact::{Ended, Health, Kind, Purpose, Stage};
use twodoors::model::id::{ConnId, DialId, FlowId, Node};
use twodoors::model::time::Span;

use super::scene::{self, answered, door_used, visited};
use super::{FakeControl, start_on};

#[tokio::test]
async fn demo() {
    let Ok(address) = std::env::var("TWODOORS_DEMO") else {
        return;
    };
    let topology = scene::topology();
    let journal = Journal::new(&topology);
    let clock = Clock::start();
    let token = Token::random();
    if let Ok(state) = std::env::var("TWODOORS_DEMO_STATE") {
        std::fs::write(format!("{state}/token"), token.reveal()).unwrap();
    }
    let link = token.reveal().to_owned();
    let control = FakeControl {
        journal: journal.clone(),
        clock,
    };
    let server = start_on(
        &address,
        journal.clone(),
        std::sync::Arc::new(control),
        token,
        Vec::new(),
    )
    .await;
    println!("http://{}/#t={link}", server.address);
    println!(
        "ready dns=127.0.0.1:1 http={} state=/ internal=127.45.0.2:3080",
        server.address
    );
    journal.add(clock.now(), &Node::Lab, [Kind::Ready]);
    for door in ["internal", "external"] {
        let up = |p: &str| Kind::HealthChanged {
            proxy: p.into(),
            to: Health::Up,
            cause: "2 checks passed in a row".into(),
        };
        journal.add(
            clock.now(),
            &Node::Balancer(door.into()),
            [up("1"), up("2"), up("3")],
        );
    }
    let mut n = 0_u64;
    let mut flow = 0_u64;
    let slow = std::env::var("TWODOORS_DEMO_SLOW").is_ok();
    loop {
        n += 1;
        let step = n % 240;
        let agents = &topology.agents;
        if n <= 12 {
            let agent = &agents[usize::try_from(n - 1).unwrap() % 4];
            let proxy = ["1", "2", "3"][usize::try_from((n - 1) / 4).unwrap() % 3];
            let node = Node::Agent(agent.name.clone());
            let view = if &*agent.network == "internal" {
                "private"
            } else {
                "public"
            };
            journal.add(
                clock.now(),
                &Node::Dns,
                [
                    answered(
                        &node,
                        &agent.address.to_string(),
                        "proxy.example.com.",
                        view,
                    ),
                    Kind::DnsCounted {
                        view: Some(view.into()),
                        rule: Some(if view == "private" { "internal" } else { "any" }.into()),
                        rcode: "NOERROR".into(),
                        count: 1,
                    },
                ],
            );
            journal.add(
                clock.now(),
                &node,
                [door_used(n, Purpose::Tunnel, &agent.network)],
            );
            flow += 1;
            opened(
                &journal,
                clock,
                &agent.network,
                &agent.network,
                &agent.address.to_string(),
                flow,
                proxy,
            );
            if n == 6 {
                journal.add(
                    clock.now(),
                    &node,
                    [Kind::DialFailed {
                        dial: DialId(n),
                        stage: Stage::Claim,
                        error: "a tunnel to proxy 1 stands already".into(),
                    }],
                );
            }
            journal.add(
                clock.now(),
                &node,
                [Kind::Claimed {
                    dial: DialId(n),
                    proxy: proxy.into(),
                    balancer: Some(agent.network.clone()),
                    principal: "proxy.example.com".into(),
                    tunnels: u32::try_from((n - 1) / 4 + 1).unwrap(),
                    gap: None,
                }],
            );
            journal.add(
                clock.now(),
                &Node::Proxy(proxy.into()),
                [Kind::TunnelRegistered {
                    conn: ConnId(n),
                    agent: agent.name.clone(),
                }],
            );
            if n == 4 {
                journal.add(clock.now(), &node, [Kind::Finding { id: "role-follows-network", detail: "agent kiosk is in network external and goes through door external, which is meant for users".into() }]);
            }
            if n == 12 {
                journal.add(
                    clock.now(),
                    &Node::Lab,
                    [Kind::MeshComplete {
                        after: Span::from_us(clock.now().as_us()),
                    }],
                );
            }
        }
        if step == 60 {
            for door in ["internal", "external"] {
                journal.add(
                    clock.now(),
                    &Node::Balancer(door.into()),
                    [Kind::HealthChanged {
                        proxy: "3".into(),
                        to: Health::Down,
                        cause: "3 checks failed in a row: connection refused".into(),
                    }],
                );
            }
            for agent in agents {
                journal.add(
                    clock.now(),
                    &Node::Agent(agent.name.clone()),
                    [Kind::TunnelLost {
                        dial: DialId(n),
                        proxy: "3".into(),
                        why: "connection reset".into(),
                        tunnels: 2,
                    }],
                );
                journal.add(
                    clock.now(),
                    &Node::Proxy("3".into()),
                    [Kind::TunnelRemoved {
                        conn: ConnId(1),
                        agent: agent.name.clone(),
                        why: "connection reset".into(),
                    }],
                );
            }
        }
        if step == 100 {
            for door in ["internal", "external"] {
                journal.add(
                    clock.now(),
                    &Node::Balancer(door.into()),
                    [Kind::HealthChanged {
                        proxy: "3".into(),
                        to: Health::Up,
                        cause: "2 checks passed in a row".into(),
                    }],
                );
            }
        }
        if (110..114).contains(&step) {
            let agent = &agents[usize::try_from(step - 110).unwrap()];
            journal.add(
                clock.now(),
                &Node::Agent(agent.name.clone()),
                [Kind::Claimed {
                    dial: DialId(n),
                    proxy: "3".into(),
                    balancer: Some(agent.network.clone()),
                    principal: "proxy.example.com".into(),
                    tunnels: 3,
                    gap: Some(Span::from_ms(23_450)),
                }],
            );
            journal.add(
                clock.now(),
                &Node::Proxy("3".into()),
                [Kind::TunnelRegistered {
                    conn: ConnId(n),
                    agent: agent.name.clone(),
                }],
            );
        }
        if n > 4 {
            let user = &topology.users[usize::try_from(n).unwrap() % 3];
            let node = Node::User(user.name.clone());
            let view = if &*user.network == "internal" {
                "private"
            } else {
                "public"
            };
            let app = &user.visits[usize::try_from(n / 3).unwrap() % user.visits.len()];
            let proxy = ["1", "2"][usize::try_from(n / 5).unwrap() % 2];
            let host = if n.is_multiple_of(17) {
                "<img onerror=alert(1)>\\000.example.com.".to_owned()
            } else {
                format!("{app}.proxy.example.com.")
            };
            journal.add(
                clock.now(),
                &Node::Dns,
                [
                    answered(&node, &user.address.to_string(), &host, view),
                    Kind::DnsCounted {
                        view: Some(view.into()),
                        rule: Some(if view == "private" { "internal" } else { "any" }.into()),
                        rcode: "NOERROR".into(),
                        count: 1,
                    },
                ],
            );
            journal.add(
                clock.now(),
                &node,
                [door_used(n, Purpose::Visit, &user.network)],
            );
            flow += 1;
            opened(
                &journal,
                clock,
                &user.network,
                &user.network,
                &user.address.to_string(),
                flow,
                proxy,
            );
            if n.is_multiple_of(23) {
                journal.add(
                    clock.now(),
                    &Node::Proxy(proxy.into()),
                    [Kind::NoTunnel {
                        request: twodoors::model::id::RequestId(n),
                        client: ClientAddr(scene::socket("127.46.2.1:40000")),
                        app: app.clone(),
                        text: "app not found".into(),
                    }],
                );
                journal.add(
                    clock.now(),
                    &node,
                    [Kind::VisitFailed {
                        request: twodoors::model::id::RequestId(n),
                        app: app.clone(),
                        balancer: Some(user.network.clone()),
                        reason: twodoors::model::fact::Failure::NoTunnel,
                        error: "app not found".into(),
                    }],
                );
            } else {
                journal.add(clock.now(), &node, [visited(n, app, &user.network, proxy)]);
            }
            journal.add(
                clock.now(),
                &Node::Balancer(user.network.clone()),
                [Kind::FlowClosed {
                    flow: FlowId(flow),
                    proxy: Some(proxy.into()),
                    up: 517,
                    down: 1_234,
                    how: Ended::Finished,
                }],
            );
            if n == 6 {
                journal.add(clock.now(), &node, [Kind::Finding { id: "role-follows-network", detail: "user carol is in network internal and goes through door internal, which is meant for agents".into() }]);
            }
        }
        tokio::time::sleep(Duration::from_millis(if slow { 2_000 } else { 400 })).await;
    }
}

fn opened(
    journal: &Journal,
    clock: Clock,
    door: &str,
    network: &str,
    client: &str,
    flow: u64,
    proxy: &str,
) {
    let client = ClientAddr(scene::socket(&format!("{client}:40000")));
    let listener = twodoors::model::addr::ListenAddr(scene::socket("127.45.0.2:3080"));
    journal.add(
        clock.now(),
        &Node::Balancer(door.into()),
        [
            Kind::FlowOpened {
                flow: FlowId(flow),
                client,
                network: Some(network.into()),
                listener,
            },
            Kind::FlowConnected {
                flow: FlowId(flow),
                proxy: proxy.into(),
                from: None,
                attempt: 1,
                why: twodoors::model::fact::Chosen::Turn,
            },
        ],
    );
}
