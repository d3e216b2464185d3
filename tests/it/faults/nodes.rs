//! Faults and acts on the nodes of a whole lab: proxies, agents, certificates, moves.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use twodoors::live::tls::{self, TlsError};
use twodoors::model::addr::HostPort;
use twodoors::model::fact::{Act, Fact, Health, Kind};
use twodoors::model::fault::{Effect, Target};
use twodoors::model::id::{Node, Seq};
use twodoors::model::topology::Topology;
use twodoors::policy::faults::Faults;

use super::one;
use crate::lab::Whole;

const STEP: Duration = Duration::from_secs(20);

/// The example without users, whose visits would be in the way, and with quick checks.
async fn scene() -> Whole {
    Whole::prepared(|options| {
        let topology = &mut options.loaded.topology;
        topology.users.clear();
        for door in &mut topology.balancers {
            door.check.interval = twodoors::model::time::Span::from_ms(200);
            door.check.timeout = twodoors::model::time::Span::from_ms(400);
        }
    })
    .await
}

fn listen(topology: &Topology, proxy: usize) -> SocketAddr {
    topology.pool.proxies[proxy].listen.0
}

fn roots(whole: &Whole) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let pem = CertificateDer::from_pem_slice(whole.lab.ca_pem().as_bytes());
    roots.add(pem.unwrap()).unwrap();
    roots.into()
}

/// Speaks TLS with the first proxy, as a door's client does.
async fn shake(whole: &Whole, name: &str) -> Result<TlsStream<TcpStream>, TlsError> {
    let mut stream = TcpStream::connect(listen(whole.lab.topology(), 0))
        .await
        .unwrap();
    let header = b"PROXY TCP4 127.0.0.1 127.0.0.1 4000 3080\r\n";
    stream.write_all(header).await.unwrap();
    tls::connect(stream, name, &["http/1.1"], roots(whole)).await
}

fn proxy() -> Target {
    Target::Node(Node::Proxy("1".into()))
}

async fn is_seen(whole: &Whole, health: Health) {
    let what = format!("both doors see proxy 1 {health:?}");
    let seen = |state: &twodoors::snapshot::Snapshot| {
        state.balancers.iter().all(|door| {
            let mut backends = door.backends.iter();
            backends.any(|backend| *backend.proxy == *"1" && backend.health == health)
        })
    };
    whole.state((&what, STEP), seen).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_refuses_falls_silent_and_comes_back() {
    let whole = scene().await;
    is_seen(&whole, Health::Up).await;
    for (effect, words) in [
        (Effect::Refuse, "connection refused"),
        (Effect::Blackhole, "no answer within 400.0ms"),
    ] {
        let since = whole.seq();
        whole.lab.set_faults(one(proxy(), effect));
        is_seen(&whole, Health::Down).await;
        let says = |fact: &Fact| matches!(&fact.kind, Kind::HealthChanged { cause, .. } if cause.contains(words));
        whole.fact(("its checks say why", STEP), since, says).await;
        whole.lab.set_faults(Faults::default());
        is_seen(&whole, Health::Up).await;
    }
    assert!(whole.lab.faults().is_empty());
    whole.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_proxy_is_connected_to_and_says_nothing() {
    let whole = scene().await;
    whole.lab.set_faults(one(proxy(), Effect::Pause));
    let shaking = shake(&whole, "proxy.example.com");
    let paused = tokio::time::timeout(super::SILENCE, shaking).await;
    assert!(paused.is_err(), "it answered");
    let shaking = shake(&whole, "proxy.example.com");
    let (lab, shaken) = (&whole.lab, shaking);
    let lift = async { lab.set_faults(Faults::default()) };
    let (shaken, ()) = tokio::join!(shaken, lift);
    shaken.unwrap();
    whole.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_proxy_resets_what_a_stopped_one_finishes() {
    let whole = scene().await;
    for act in [Act::Stop, Act::Kill] {
        let mut stream = shake(&whole, "proxy.example.com").await.unwrap();
        whole.operate("proxy/1", act).await;
        let end = tokio::time::timeout(STEP, stream.get_mut().0.read(&mut [0; 4096])).await;
        match (act, end.unwrap()) {
            (Act::Stop, Ok(0)) => {}
            (Act::Kill, Err(error)) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            }
            // Session tickets of the handshake may come first.
            (_, Ok(_)) => {
                let end = stream.get_mut().0.read_to_end(&mut Vec::new()).await;
                assert_eq!(end.is_err(), act == Act::Kill, "{act:?}: {end:?}");
            }
            (act, end) => panic!("{act:?}: {end:?}"),
        }
        whole.operate("proxy/1", Act::Start).await;
    }
    whole.lab.stop().await;
}

fn registers(fact: &Fact, agent: &str) -> bool {
    matches!(&fact.kind, Kind::TunnelRegistered { agent: own, .. } if **own == *agent)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_agent_resets_what_a_stopped_one_finishes() {
    // An instance that accepts and says nothing.
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = mute.local_addr().unwrap().port();
    let whole = Whole::prepared(|options| {
        let agents = &mut options.loaded.topology.agents;
        agents.truncate(1);
        agents[0].proxy_server = HostPort {
            host: "127.0.0.1".into(),
            port,
        };
    })
    .await;
    for act in [Act::Stop, Act::Kill] {
        let (mut asked, _) = tokio::time::timeout(STEP, mute.accept())
            .await
            .unwrap()
            .unwrap();
        assert_ne!(asked.read(&mut [0; 1 << 14]).await.unwrap(), 0);
        // What the agent will not have read.
        asked.write_all(&[0x16]).await.unwrap();
        whole.operate("agent/orders", act).await;
        let mut rest = [0; 1 << 14];
        let end = tokio::time::timeout(STEP, asked.read(&mut rest)).await;
        let end = end.unwrap();
        if act == Act::Stop {
            assert_eq!(end.unwrap(), 0);
        } else {
            assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
        }
        whole.operate("agent/orders", Act::Start).await;
    }
    whole.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_moves_leaves_its_tunnels_and_dials_from_its_new_address() {
    let whole = scene().await;
    let node = Node::Agent("orders".into());
    // The agent itself has it, not the proxy alone.
    let up = |fact: &Fact| fact.node == node && matches!(fact.kind, Kind::Claimed { .. });
    whole.fact(("a tunnel", STEP), Seq(0), up).await;
    let since = whole.seq();
    let new: IpAddr = whole.moved("127.20.0.77").parse().unwrap();
    whole.lab.roam(&node, &"external".into(), new).unwrap();
    let gone = |fact: &Fact| fact.node == node && matches!(fact.kind, Kind::TunnelLost { .. });
    whole.fact(("its tunnel is gone", STEP), since, gone).await;
    // By the view of its new network it is sent to the other door.
    let outside = Node::Balancer("external".into());
    let came = |fact: &Fact| {
        fact.node == outside
            && matches!(&fact.kind, Kind::FlowOpened { client, .. } if client.ip() == new)
    };
    whole
        .fact(("it comes from there", STEP * 3), since, came)
        .await;
    let door = Node::Balancer("internal".into());
    let no = whole.lab.roam(&door, &"external".into(), new).unwrap_err();
    assert!(no.to_string().contains("does not move"), "{no}");
    whole.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_swapped_for_every_handshake_to_come() {
    let whole = scene().await;
    let open = shake(&whole, "proxy.example.com").await.unwrap();
    shake(&whole, "other.example.org").await.unwrap_err();
    let since = whole.seq();
    whole
        .lab
        .certificate(&["other.example.org".into()])
        .unwrap();
    shake(&whole, "other.example.org").await.unwrap();
    shake(&whole, "proxy.example.com").await.unwrap_err();
    let fact = whole.lab.journal().after(since, usize::MAX).facts;
    let said = fact.iter().any(|fact| {
        fact.node == Node::Lab
            && matches!(&fact.kind, Kind::CertificateChanged { names } if **names == ["other.example.org".into()])
    });
    assert!(said);
    // Without names it is the pool's own again.
    whole.lab.certificate(&[]).unwrap();
    shake(&whole, "proxy.example.com").await.unwrap();
    whole
        .lab
        .certificate(&["b\u{fc}ro.example.org".into()])
        .unwrap_err();
    shake(&whole, "proxy.example.com").await.unwrap();
    drop(open);
    whole.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_agent_is_frozen_and_goes_on() {
    let whole = scene().await;
    let node = Node::Agent("orders".into());
    let beat = |fact: &Fact| registers(fact, "orders");
    let since = whole.seq();
    // Paused before it was registered anywhere, it never is; the others are.
    whole.lab.set_faults(one(Target::Node(node), Effect::Pause));
    whole.operate("agent/orders", Act::Stop).await;
    whole.operate("agent/orders", Act::Start).await;
    let paused = whole.seq();
    let other = |fact: &Fact| registers(fact, "wiki");
    whole.fact(("another is", STEP), since, other).await;
    let facts = whole.lab.journal().after(paused, usize::MAX).facts;
    assert!(!facts.iter().any(|fact| beat(fact)), "{facts:?}");
    whole.lab.set_faults(Faults::default());
    whole.fact(("it is now", STEP * 2), paused, beat).await;
    whole.lab.stop().await;
}
