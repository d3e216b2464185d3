//! Each cell of reference 3.7, and what a connection begins with.

use tokio::io::AsyncWriteExt;
use twodoors::model::fact::{Kind, Service};
use twodoors::model::teleport::{Port, ProxyProtocol};

use super::kit::{Pool, connect, get, headers, named, rest};

/// What a mode makes of a header.
enum Expected {
    /// The connection's own address.
    Real,
    /// The address that the header names.
    Named,
    /// The same, without its port.
    Portless,
    /// Refused with these words.
    Refused(&'static str),
}

async fn check(mode: ProxyProtocol, expected: [Expected; 5]) {
    let pool = Pool::start(|topology| topology.pool.teleport.proxy_protocol = mode).await;
    let client = named(&pool.whole);
    for ((what, header), expected) in headers(client).into_iter().zip(expected) {
        let since = pool.whole.seq();
        let mut stream = pool.say(Port::Web, &header).await;
        let own = stream.local_addr().unwrap();
        let named = match expected {
            Expected::Refused(words) => {
                // Enough for a connection without a header to be seen.
                let _ = stream.write_all(b"\x16\x03\x01").await;
                pool.refused(since, words).await;
                assert_eq!(rest(&mut stream).await, b"", "{mode:?} {what}");
                continue;
            }
            Expected::Named => client,
            Expected::Portless => (client.ip(), 0).into(),
            Expected::Real => own,
        };
        let mut stream = pool.tls(stream, &["http/1.1"], None).await.unwrap();
        let chosen = pool.chosen(since, Some(Service::Web)).await;
        assert_eq!(chosen, named, "{mode:?} {what}");
        let answer = get(&mut stream, "/webapi/ping").await;
        assert!(
            answer.starts_with("HTTP/1.1 200"),
            "{mode:?} {what}: {answer}"
        );
    }
    pool.whole.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mode_on_demands_a_header() {
    use Expected::{Named, Real, Refused};
    let absent = Refused("PROXY");
    check(ProxyProtocol::On, [absent, Named, Named, Real, Real]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mode_off_refuses_a_header_and_takes_local() {
    use Expected::{Real, Refused};
    let refused = || Refused("external PROXY protocol support is disabled");
    let expected = [Real, refused(), refused(), Real, refused()];
    check(ProxyProtocol::Off, expected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_absent_mode_takes_a_header_and_forgets_the_port() {
    use Expected::{Portless, Real};
    check(ProxyProtocol::Unset, [Real, Portless, Portless, Real, Real]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_of_the_instance_to_itself_needs_no_header() {
    let on = |topology: &mut twodoors::model::topology::Topology| {
        topology.pool.teleport.proxy_protocol = ProxyProtocol::On;
    };
    let pool = Pool::start(on).await;
    let to = pool.at(Port::Web);
    let stream = connect(to.ip(), to).await;
    let mut stream = pool.tls(stream, &["http/1.1"], None).await.unwrap();
    let answer = get(&mut stream, "/webapi/ping").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    pool.whole.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_header_is_refused_in_every_pair() {
    let pool = Pool::start(|_| {}).await;
    let client = named(&pool.whole);
    for (first, one) in &headers(client)[1..] {
        for (second, two) in &headers(client)[1..] {
            let since = pool.whole.seq();
            let mut stream = pool.say(Port::Web, &[&one[..], two].concat()).await;
            pool.refused(since, "PROXY").await;
            assert_eq!(rest(&mut stream).await, b"", "{first} {second}");
        }
    }
    pool.whole.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_begins_otherwise_is_closed_with_words() {
    let pool = Pool::start(|_| {}).await;
    let http = "health checks and clients must use HTTPS";
    for (bytes, words) in [
        (&b"GET /healthz HTTP/1.1\r\n\r\n"[..], http),
        (b"OPTIONS * HTTP/1.1\r\n\r\n", http),
        (b"hello", "no protocol that is known"),
        (b"\0\0\0\x08\0\x03\0\0", "no protocol that is known"),
        (b"\0\0\0\x10\x04\xd2\x16\x2e", "CancelRequest"),
    ] {
        let since = pool.whole.seq();
        let mut stream = pool.say(Port::Web, bytes).await;
        pool.refused(since, words).await;
        assert_eq!(rest(&mut stream).await, b"", "{words}");
    }
    pool.whole.lab.stop().await;
}

/// A check connects and leaves; the request after it shows that it was seen and made no fact.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_that_says_nothing_makes_no_fact() {
    let on = |topology: &mut twodoors::model::topology::Topology| {
        topology.pool.teleport.proxy_protocol = ProxyProtocol::On;
        topology.balancers.clear();
    };
    let pool = Pool::start(on).await;
    let since = pool.whole.seq();
    let client = named(&pool.whole);
    for silent in [Vec::new(), twodoors::live::proxy_protocol::local()] {
        let mut stream = pool.say(Port::Web, &silent).await;
        stream.shutdown().await.unwrap();
        assert_eq!(rest(&mut stream).await, b"");
    }
    // Who is named by a header and then says nothing is no check.
    let v2 = twodoors::live::proxy_protocol::header(client, client);
    let mut stream = pool.say(Port::Web, &v2).await;
    stream.shutdown().await.unwrap();
    assert_eq!(rest(&mut stream).await, b"");
    pool.refused(since, "no protocol that is known").await;
    let facts = pool.whole.facts().into_iter();
    let refused = facts.filter(|fact| matches!(fact.kind, Kind::ConnRefused { .. }));
    assert_eq!(refused.count(), 1);
    pool.whole.lab.stop().await;
}
