//! Certificates of users: a route in one leads to the database, whatever the ALPN (reference 3.5).

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use twodoors::live::authority::Authority;
use twodoors::live::tls::Own;
use twodoors::model::fact::{Fact, Kind, Service};
use twodoors::model::id::Seq;
use twodoors::model::teleport::{DatabaseRoute, Port};

use super::kit::{PATIENCE, Pool, get, read, rest};

const HOUR: Duration = Duration::from_secs(3_600);

const SSL: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x2f";
const GSS: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x30";

fn route() -> DatabaseRoute {
    DatabaseRoute {
        user: "alice".into(),
        service: "orders-db".into(),
        database: "orders".into(),
        protocol: "postgres".into(),
    }
}

fn own(pool: &Pool, route: Option<&DatabaseRoute>) -> Own {
    let issued = pool.whole.lab.issue_user(route, "alice", HOUR).unwrap();
    Own::from_pem(&issued.certificate_pem, &issued.key_pem).unwrap()
}

/// Waits until somebody says of the database that nobody here serves it.
async fn reached(pool: &Pool, since: Seq) {
    let is = |fact: &Fact| match &fact.kind {
        Kind::ConnRefused { why, .. } => why.contains("orders-db"),
        Kind::NoTunnel { app, .. } => **app == *"orders-db",
        _ => false,
    };
    let what = ("the database is asked for", PATIENCE);
    pool.whole.fact(what, since, is).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_in_the_certificate_wins_over_the_protocol() {
    let pool = Pool::start(|_| {}).await;
    let (with, without) = (own(&pool, Some(&route())), own(&pool, None));
    let since = pool.whole.seq();
    let stream = pool.dial(Port::Web, &["http/1.1"], Some(&with)).await;
    let mut stream = stream.unwrap();
    reached(&pool, since).await;
    rest(&mut stream).await;
    // The same user without a route is a user of the web.
    let since = pool.whole.seq();
    let stream = pool.dial(Port::Web, &["http/1.1"], Some(&without)).await;
    let answer = get(&mut stream.unwrap(), "/webapi/ping").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    pool.chosen(since, Some(Service::Web)).await;
    pool.whole.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_another_lab_is_refused_in_the_handshake() {
    let pool = Pool::start(|_| {}).await;
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let other = Authority::new(now).unwrap();
    let issued = other.issue_user(Some(&route()), "mallory", now, HOUR);
    let issued = issued.unwrap();
    let own = Own::from_pem(&issued.certificate_pem, &issued.key_pem).unwrap();
    let since = pool.whole.seq();
    // TLS 1.3 clients hear of it after their own end of the handshake.
    if let Ok(mut stream) = pool.dial(Port::Web, &["http/1.1"], Some(&own)).await {
        let _ = stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await;
        assert_eq!(rest(&mut stream).await, b"");
    }
    pool.refused(since, "TLS handshake: invalid peer certificate")
        .await;
    pool.whole.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_client_is_asked_for_tls_and_then_for_its_certificate() {
    let separate = |topology: &mut twodoors::model::topology::Topology| {
        super::separate(topology, &[(Port::Postgres, 5432)]);
    };
    let pool = Pool::start(separate).await;
    let own = own(&pool, Some(&route()));
    for (own, gss) in [(Some(&own), false), (Some(&own), true), (None, false)] {
        let since = pool.whole.seq();
        let mut stream = pool.connect(pool.at(Port::Postgres)).await;
        if gss {
            stream.write_all(GSS).await.unwrap();
            assert_eq!(read(&mut stream, 1).await, b"N");
        }
        stream.write_all(SSL).await.unwrap();
        assert_eq!(read(&mut stream, 1).await, b"S");
        let stream = pool.tls(stream, &[], own).await.unwrap();
        if own.is_some() {
            reached(&pool, since).await;
        } else {
            pool.refused(since, "without a client certificate").await;
        }
        drop(stream);
    }
    // With a listener of its own the web listener takes no Postgres.
    let since = pool.whole.seq();
    let mut stream = pool.say(Port::Web, SSL).await;
    pool.refused(since, "a Postgres client on the web listener")
        .await;
    assert_eq!(rest(&mut stream).await, b"");
    pool.whole.lab.stop().await;
}
