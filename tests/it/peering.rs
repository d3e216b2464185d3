//! Proxy peering on real sockets: agents that hold one tunnel are reached through every proxy.

mod drain;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use twodoors::live::tls;
use twodoors::model::addr::BackendAddr;
use twodoors::model::fact::{Act, Fact, Kind};
use twodoors::model::id::{Node, Seq};
use twodoors::model::teleport::{Port, Strategy};
use twodoors::model::topology::Topology;

use crate::lab::Whole;

/// How long one step may take on a busy machine.
const STEP: Duration = Duration::from_secs(30);

/// The agents of the example, whose apps have their names.
const AGENTS: [&str; 4] = ["orders", "billing", "wiki", "kiosk"];

/// Turns peering on: one tunnel each, and a peer listener beside each web listener.
fn peering(topology: &mut Topology) {
    topology.users.clear();
    topology.pool.teleport.strategy = Strategy::ProxyPeering { connections: 1 };
    for proxy in &mut topology.pool.proxies {
        let mut at = proxy.listen.0;
        at.set_port(Port::Peer.default_port());
        proxy.further = vec![(Port::Peer, BackendAddr(at))];
    }
}

/// A lab of the example, whose proxies know of every agent's first heartbeat.
async fn lab(mut prepare: impl FnMut(&mut Topology)) -> Whole {
    let whole = Whole::prepared(|options| prepare(&mut options.loaded.topology)).await;
    for agent in AGENTS {
        let claimed = |fact: &Fact| {
            fact.node == Node::Agent(agent.into()) && matches!(fact.kind, Kind::Claimed { .. })
        };
        whole
            .fact(("a tunnel of each agent", STEP), Seq(0), claimed)
            .await;
    }
    whole
}

/// What a proxy answered.
#[derive(Debug)]
struct Answer {
    status: u16,
    text: String,
}

/// Connects to a proxy (by its place in the pool) as a door does for a user.
async fn connect(whole: &Whole, proxy: usize, app: &str) -> TlsStream<TcpStream> {
    let address = whole.lab.topology().pool.proxies[proxy].listen.0;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let header = b"PROXY TCP4 127.0.0.1 127.0.0.1 4000 3080\r\n";
    stream.write_all(header).await.unwrap();
    let mut roots = RootCertStore::empty();
    let pem = CertificateDer::from_pem_slice(whole.lab.ca_pem().as_bytes());
    roots.add(pem.unwrap()).unwrap();
    let name = format!("{app}.proxy.example.com");
    let connecting = tls::connect(stream, &name, &["http/1.1"], Arc::new(roots));
    Box::pin(connecting).await.unwrap()
}

async fn send(user: &mut TlsStream<TcpStream>, app: &str, path: &str) {
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {app}.proxy.example.com:3080\r\nConnection: close\r\n\r\n"
    );
    user.write_all(head.as_bytes()).await.unwrap();
}

async fn read(user: &mut TlsStream<TcpStream>) -> Answer {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(STEP, user.read_to_end(&mut bytes));
    // A proxy that ends may leave TLS's own goodbye out.
    let _ = read.await.expect("the answer ends");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status = text.split(' ').nth(1).and_then(|word| word.parse().ok());
    Answer {
        status: status.unwrap_or(0),
        text,
    }
}

async fn ask(whole: &Whole, proxy: usize, app: &str, path: &str) -> Answer {
    let mut user = connect(whole, proxy, app).await;
    send(&mut user, app, path).await;
    read(&mut user).await
}

/// Asks until the answer has this status: what agents announce takes a moment to get around. Each
/// question takes a handshake, which is rest enough.
async fn ask_until(whole: &Whole, proxy: usize, app: &str, status: u16) -> Answer {
    let mut last = None;
    let asking = async {
        loop {
            let answer = ask(whole, proxy, app, "/").await;
            if answer.status == status {
                return answer;
            }
            last = Some(answer);
        }
    };
    let answered = tokio::time::timeout(STEP, asking).await;
    answered.unwrap_or_else(|_| panic!("{app} at proxy {proxy} never answered {status}: {last:?}"))
}

/// Gives the facts of a kind, as the name of a proxy and what `of` makes of each.
fn facts<T: Ord>(whole: &Whole, of: impl Fn(&Kind) -> Option<T>) -> BTreeSet<(String, T)> {
    let facts = whole.facts();
    let found = facts
        .iter()
        .filter_map(|fact| Some((fact.node.to_string(), of(&fact.kind)?)));
    found.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_with_a_tunnel_to_some_are_reached_through_every_proxy() {
    let whole = lab(peering).await;
    for proxy in 0..3 {
        for app in AGENTS {
            let answer = ask_until(&whole, proxy, app, 200).await;
            let served = format!("{app}: served by agent {app} to 127.0.0.1");
            assert!(answer.text.contains(&served), "{answer:?}");
        }
    }
    let held = facts(&whole, |kind| {
        if let Kind::TunnelRegistered { agent, .. } = kind {
            Some(agent.to_string())
        } else {
            None
        }
    });
    let peered = facts(&whole, |kind| {
        if let Kind::Peered { app, .. } = kind {
            Some(app.to_string())
        } else {
            None
        }
    });
    assert!(
        held.len() < 12,
        "one tunnel is wanted, not a mesh: {held:?}"
    );
    for proxy in 1..=3 {
        for app in AGENTS {
            let pair = (format!("proxy/{proxy}"), app.to_owned());
            assert!(
                held.contains(&pair) || peered.contains(&pair),
                "{pair:?} was served without a tunnel and without a peer"
            );
        }
    }
    // Many bytes, through a peer: exactly those that the app made.
    let (proxy, app) = peered.first().expect("somebody was asked").clone();
    let place = proxy.trim_start_matches("proxy/").parse::<usize>().unwrap() - 1;
    let mut user = connect(&whole, place, &app).await;
    send(&mut user, &app, "/bytes/3000000").await;
    let mut bytes = Vec::new();
    let _ = tokio::time::timeout(STEP, user.read_to_end(&mut bytes)).await;
    let head = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    let body = &bytes[head + 4..];
    assert_eq!(body.len(), 3_000_000);
    assert!(
        (0..)
            .zip(body)
            .all(|(at, byte)| at % 251 == u32::from(*byte))
    );
    whole.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_is_stopped_takes_its_agents_tunnel_along_and_says_so() {
    let whole = lab(peering).await;
    let of_orders = |kind: &Kind| {
        matches!(kind, Kind::TunnelRegistered { agent, .. } if **agent == *"orders").then_some(())
    };
    for proxy in 0..3 {
        ask_until(&whole, proxy, "orders", 200).await;
    }
    let held = facts(&whole, of_orders);
    let without = (0..3).find(|proxy| !held.contains(&(format!("proxy/{}", proxy + 1), ())));
    let without = without.expect("a proxy without a tunnel of orders");
    whole.operate("agent/orders", Act::Kill).await;
    let answer = ask_until(&whole, without, "orders", 502).await;
    for words in [
        "over local and peer reverse tunnels:",
        "no app reverse tunnel for",
    ] {
        assert!(answer.text.contains(words), "{words:?} in {answer:?}");
    }
    assert!(answer.text.contains("x-twodoors-refusal: no_tunnel"));
    // Now the peers themselves are gone: each cause is told, with the name of who was asked.
    for (proxy, ()) in &held {
        whole.operate(proxy, Act::Stop).await;
    }
    let answer = ask_until(&whole, without, "orders", 502).await;
    let (asked, ()) = held.first().unwrap();
    let named = format!("{}: ", asked.replace('/', " "));
    assert!(answer.text.contains(&named), "{named:?} in {answer:?}");
    whole.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_peering_a_proxy_without_the_tunnel_refuses() {
    // The broken twin: the same tunnels, nobody to ask.
    let whole = lab(|topology| {
        peering(topology);
        topology.pool.teleport.strategy = Strategy::AgentMesh;
    })
    .await;
    // The proxy has heard of the app, whether it holds a tunnel or not.
    let known = async { while ask(&whole, 0, "orders", "/").await.status == 404 {} };
    tokio::time::timeout(STEP, known).await.expect("it hears");
    whole.operate("agent/orders", Act::Kill).await;
    let answer = ask_until(&whole, 0, "orders", 502).await;
    assert!(answer.text.contains("over reverse tunnel:"), "{answer:?}");
    let peered = facts(&whole, |kind| {
        matches!(kind, Kind::Peered { .. }).then_some(())
    });
    assert!(peered.is_empty());
    whole.lab.stop().await;
}
