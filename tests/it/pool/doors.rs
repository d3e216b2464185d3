//! A door's port leads to the listener with the same port, and its headers reach the instance.

use std::net::SocketAddr;

use twodoors::model::addr::ListenAddr;
use twodoors::model::fact::{Fact, Kind, Service};
use twodoors::model::teleport::{Port, ProxyProtocol, SendProxy};
use twodoors::model::topology::Topology;

use super::kit::{PATIENCE, Pool, connect, get, read, rest, separate};

/// Gives the first door this one address and nothing to allow.
fn door(topology: &mut Topology, port: u16, send: SendProxy) {
    topology.balancers.truncate(1);
    let door = &mut topology.balancers[0];
    door.listen.truncate(1);
    door.listen[0].0.set_port(port);
    door.allow.clear();
    door.send_proxy = send;
}

/// Waits until the door has found the instance up, and connects to it.
async fn through(pool: &Pool) -> tokio::net::TcpStream {
    let up = |state: &twodoors::snapshot::Snapshot| {
        let mut doors = state.balancers.iter();
        doors.all(|door| door.backends.iter().all(|backend| backend.health.usable()))
    };
    pool.whole.state(("the door is up", PATIENCE), up).await;
    let ListenAddr(to) = pool.whole.lab.topology().balancers[0].listen[0];
    pool.connect(to).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_door_on_3024_leads_to_the_tunnel_listener_and_one_on_3080_to_the_web_listener() {
    for (port, service) in [(3024, Service::ReverseTunnel), (3080, Service::Web)] {
        let pool = Pool::start(|topology| {
            separate(topology, &[(Port::Tunnel, 3024)]);
            door(topology, port, SendProxy::V2);
        })
        .await;
        let since = pool.whole.seq();
        let mut stream = through(&pool).await;
        let own = stream.local_addr().unwrap();
        if service == Service::ReverseTunnel {
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"SSH-2.0-test\r\n")
                .await
                .unwrap();
            assert_eq!(read(&mut stream, 8).await, b"SSH-2.0-");
        } else {
            let mut stream = pool.tls(stream, &["http/1.1"], None).await.unwrap();
            assert!(get(&mut stream, "/").await.starts_with("HTTP/1.1 200"));
        }
        let client = pool.chosen(since, Some(service)).await;
        assert_eq!(client, SocketAddr::new(own.ip(), 0), "no port without `on`");
        pool.whole.lab.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_without_the_listener_behind_a_door_is_down_with_words() {
    let pool = Pool::start(|topology| {
        separate(topology, &[(Port::Tunnel, 3024)]);
        topology.pool.proxies[0].further.clear();
        door(topology, 3024, SendProxy::V2);
    })
    .await;
    let is = |fact: &Fact| match &fact.kind {
        Kind::HealthChanged { cause, .. } => cause.contains("no tunnel listener"),
        _ => false,
    };
    let what = ("the instance is down", PATIENCE);
    pool.whole.fact(what, twodoors::model::id::Seq(0), is).await;
    pool.whole.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_door_sends_is_what_the_instance_sees() {
    for (send, named) in [
        (SendProxy::V1, true),
        (SendProxy::V2, true),
        (SendProxy::None, false),
    ] {
        let pool = Pool::start(|topology| {
            topology.pool.teleport.proxy_protocol = ProxyProtocol::On;
            door(topology, 3080, send);
        })
        .await;
        let since = pool.whole.seq();
        let stream = through(&pool).await;
        let own = stream.local_addr().unwrap();
        let tls = pool.tls(stream, &["http/1.1"], None).await;
        if named {
            assert!(tls.is_ok(), "{send:?}: {tls:?}");
            assert_eq!(
                pool.chosen(since, Some(Service::Web)).await,
                own,
                "{send:?}"
            );
        } else {
            assert!(tls.is_err(), "an instance that demands a header refuses");
            pool.refused(since, "PROXY").await;
        }
        pool.whole.lab.stop().await;
    }
}

/// As root 443 is bound; an ordinary user gets 10443. Facts say 443 to both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_door_on_443_is_reached_wherever_it_is_bound() {
    let pool = Pool::start(|topology| door(topology, 443, SendProxy::V2)).await;
    let since = pool.whole.seq();
    let stream = through(&pool).await;
    let mut stream = pool.tls(stream, &["http/1.1"], None).await.unwrap();
    assert!(get(&mut stream, "/").await.starts_with("HTTP/1.1 200"));
    let lab = &pool.whole.lab;
    let real = lab.topology().balancers[0].listen[0];
    let is = |fact: &Fact| match &fact.kind {
        Kind::FlowOpened { listener, .. } => *listener == real,
        _ => false,
    };
    let what = ("the flow is known by the real port", PATIENCE);
    pool.whole.fact(what, since, is).await;
    let bound: Vec<_> = lab.doors_bound().flat_map(|(_, bound)| bound).collect();
    assert_eq!(bound, [lab.bound(real.0)]);
    assert!([443, 10_443].contains(&bound[0].port()), "{bound:?}");
    let other = connect(pool.whole.moved("127.10.0.9").parse().unwrap(), bound[0]).await;
    drop(other);
    rest(&mut stream).await;
    lab.stop().await;
}
