//! Listeners of a live instance, with real bytes: what is served where (reference 3.3), PROXY
//! headers (3.7), certificates of users (3.5), and doors that lead to each listener.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test picks what it is about"
)]

mod database;
mod doors;
mod headers;
mod kit;
mod table;

use std::borrow::Cow;
use std::sync::{Arc, Mutex};

use russh::keys::{Algorithm, PublicKeyOrCertificate};
use russh::{Preferred, client};
use tokio::io::AsyncWriteExt;
use twodoors::model::fact::{Act, Cause, Service};
use twodoors::model::teleport::Port;

use self::kit::{Pool, get, read, rest, separate};

/// The third way's listeners, and all that twodoors takes and does not carry.
const SEPARATE: [(Port, u16); 6] = [
    (Port::Tunnel, 3024),
    (Port::Ssh, 3023),
    (Port::Kube, 3026),
    (Port::Mysql, 3036),
    (Port::Postgres, 5432),
    (Port::Mongo, 27017),
];

async fn pool() -> Pool {
    Pool::start(|topology| separate(topology, &SEPARATE)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tunnel_listener_answers_find_over_tls_and_nothing_else() {
    let pool = pool().await;
    for alpn in [&["http/1.1"][..], &[]] {
        let mut stream = pool.dial(Port::Tunnel, alpn, None).await.unwrap();
        let answer = get(&mut stream, "/webapi/find?group=default").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(
            answer.contains(r#""tls_routing_enabled":false"#),
            "{answer}"
        );
        assert!(
            answer.contains(r#""tunnel_listen_addr":"0.0.0.0:3024""#),
            "{answer}"
        );
        let mut stream = pool.dial(Port::Tunnel, alpn, None).await.unwrap();
        let answer = get(&mut stream, "/").await;
        assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    }
    // The web listener has the page that this one lacks.
    let mut stream = pool.dial(Port::Web, &["http/1.1"], None).await.unwrap();
    assert!(get(&mut stream, "/").await.starts_with("HTTP/1.1 200"));
    pool.whole.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tunnel_listener_speaks_http_2_and_no_tunnel_over_tls() {
    let pool = pool().await;
    let mut stream = pool.dial(Port::Tunnel, &["h2"], None).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    // The preface and an empty SETTINGS frame; the server's own SETTINGS answer it (RFC 9113 3.4).
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    stream.write_all(preface).await.unwrap();
    assert_eq!(read(&mut stream, 4).await[3], 4, "a SETTINGS frame");
    let since = pool.whole.seq();
    let tunnel = ["teleport-reversetunnel"];
    let error = pool.dial(Port::Tunnel, &tunnel, None).await.unwrap_err();
    assert_eq!(error.cause(), Cause::Alpn, "{error}");
    pool.chosen(since, None).await;
    let stream = pool.dial(Port::Web, &tunnel, None).await;
    assert!(stream.is_ok(), "the web listener serves it: {stream:?}");
    pool.whole.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raw_ssh_is_a_tunnel_on_its_listener_and_refused_on_the_web_listener() {
    let pool = pool().await;
    let since = pool.whole.seq();
    let mut stream = pool.say(Port::Tunnel, b"SSH-2.0-test\r\n").await;
    assert_eq!(read(&mut stream, 8).await, b"SSH-2.0-");
    pool.chosen(since, Some(Service::ReverseTunnel)).await;
    let mut stream = pool.say(Port::Web, b"SSH-2.0-test\r\n").await;
    assert_eq!(rest(&mut stream).await, b"");
    pool.refused(since, "SSH on the web listener").await;
    pool.whole.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_for_web_and_tunnels_serves_both_and_postgres() {
    let pool = Pool::start(|topology| {
        let web = topology.pool.teleport.web_listen();
        separate(topology, &[(Port::Tunnel, web.port)]);
        topology.pool.teleport.listen[1].1 = web;
    })
    .await;
    let since = pool.whole.seq();
    let mut stream = pool.say(Port::Web, b"SSH-2.0-test\r\n").await;
    assert_eq!(read(&mut stream, 8).await, b"SSH-2.0-");
    pool.chosen(since, Some(Service::ReverseTunnel)).await;
    let mut stream = pool.dial(Port::Web, &["http/1.1"], None).await.unwrap();
    assert!(get(&mut stream, "/").await.starts_with("HTTP/1.1 200"));
    let mut stream = pool.say(Port::Web, b"\0\0\0\x08\x04\xd2\x16\x2f").await;
    assert_eq!(read(&mut stream, 1).await, b"S");
    pool.whole.lab.stop().await;
}

/// Keeps the names of the host certificate that it is shown.
struct Seeing(Arc<Mutex<Vec<String>>>);

impl client::Handler for Seeing {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        key: &PublicKeyOrCertificate,
    ) -> Result<bool, russh::Error> {
        if let Some(certificate) = key.certificate() {
            *self.0.lock().unwrap() = certificate.valid_principals().to_vec();
        }
        Ok(true)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ssh_listener_shows_the_host_certificate_and_lets_nobody_in() {
    let pool = pool().await;
    let since = pool.whole.seq();
    let names = Arc::new(Mutex::new(Vec::new()));
    let stream = pool.connect(pool.at(Port::Ssh)).await;
    let config = Arc::new(client::Config {
        preferred: Preferred {
            host_key_certificates: Cow::Borrowed(&[Algorithm::Ed25519]),
            ..Preferred::default()
        },
        ..client::Config::default()
    });
    let seeing = Seeing(Arc::clone(&names));
    let mut session = client::connect_stream(config, stream, seeing)
        .await
        .unwrap();
    let login = session.authenticate_none("alice").await.unwrap();
    assert!(!login.success(), "{login:?}");
    let names = names.lock().unwrap().clone();
    assert!(names.contains(&String::from(kit::NAME)), "{names:?}");
    drop(session);
    pool.refused(since, "carries no SSH sessions").await;
    let refused = pool.dial(Port::Ssh, &[], None).await;
    assert!(refused.is_err(), "{refused:?}");
    pool.refused(since, "does not carry SSH of users").await;
    pool.whole.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_carried_is_taken_and_closed_with_its_name() {
    let pool = pool().await;
    for (port, bytes, words) in [
        (Port::Kube, &b"hello"[..], "does not carry Kubernetes"),
        (Port::Mongo, b"\x3f\0\0\0", "does not carry MongoDB"),
        // A client of MySQL says nothing before the server does.
        (Port::Mysql, b"", "does not carry MySQL"),
    ] {
        let since = pool.whole.seq();
        let mut stream = pool.say(port, bytes).await;
        pool.refused(since, words).await;
        assert_eq!(rest(&mut stream).await, b"");
    }
    for (port, alpn) in [(Port::Kube, &[][..]), (Port::Mongo, &["http/1.1"])] {
        let since = pool.whole.seq();
        let refused = pool.dial(port, alpn, None).await;
        assert!(refused.is_err(), "{port}: {refused:?}");
        pool.chosen(since, None).await;
        pool.refused(since, "does not carry").await;
    }
    pool.whole.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_listener_stops_and_starts_with_its_instance() {
    let pool = pool().await;
    for act in [Act::Stop, Act::Drain, Act::Kill] {
        pool.whole.operate("proxy/1", act).await;
        for (port, _) in SEPARATE {
            let to = pool.at(port);
            let refused = tokio::net::TcpStream::connect(to).await;
            let error = refused.expect_err("nobody listens");
            assert_eq!(
                error.kind(),
                std::io::ErrorKind::ConnectionRefused,
                "{port}"
            );
        }
        pool.whole.operate("proxy/1", Act::Start).await;
        for (port, _) in SEPARATE {
            drop(pool.connect(pool.at(port)).await);
        }
    }
    pool.whole.lab.stop().await;
}
