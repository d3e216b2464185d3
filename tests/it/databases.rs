//! Databases end to end: a certificate's route, the pool, a tunnel, and the bytes of both ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::net::TcpListener;
use tokio_rustls::client::TlsStream;
use twodoors::lab::access::Wanted;
use twodoors::live::cut;
use twodoors::live::dial::Dialer;
use twodoors::live::ping::{self, Carried};
use twodoors::live::tasks::Tasks;
use twodoors::live::tls::Own;
use twodoors::model::addr::HostPort;
use twodoors::model::fact::Kind;
use twodoors::model::id::Seq;
use twodoors::model::teleport::ConnType;
use twodoors::model::topology::Database;

use crate::lab::Whole;
use crate::logins::roots;

const STEP: Duration = Duration::from_secs(20);

/// A server that gives every byte back, and at the end of a client's bytes says good-bye.
async fn echo(tasks: &Tasks) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let own = tasks.clone();
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            own.spawn(async move {
                let mut buffer = [0; 1024];
                while let Ok(length) = stream.read(&mut buffer).await {
                    if length == 0 {
                        let _ = stream.write_all(b"good-bye").await;
                        return;
                    }
                    if stream.write_all(&buffer[..length]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// The example, whose agents `orders` and `wiki` serve the database `ledger` at this address.
async fn scene(target: SocketAddr) -> Whole {
    let whole = Whole::prepared(|options| {
        let topology = &mut options.loaded.topology;
        topology.users.clear();
        // One instance has every tunnel at once.
        topology.pool.proxies.truncate(1);
        for agent in &mut topology.agents {
            if ["orders", "wiki"].contains(&&*agent.name) {
                agent.databases = vec![Database {
                    name: "ledger".into(),
                    protocol: "postgres".into(),
                    target: Some(HostPort {
                        host: target.ip().to_string().into(),
                        port: target.port(),
                    }),
                }];
            }
        }
    })
    .await;
    whole.mesh().await;
    whole
}

fn wanted(name: &str) -> Wanted {
    Wanted {
        kind: ConnType::Db,
        name: name.to_owned(),
        user: None,
        from: Some(String::from("external")),
        database: String::from("shop"),
    }
}

/// Dials as `twodoors proxy db` does, with a certificate for the ledger or none.
async fn dial(whole: &Whole, alpn: &[&str], shown: bool) -> TlsStream<cut::Stream> {
    let access = whole.lab.access(&wanted("ledger")).unwrap();
    let own = access.certificate.unwrap();
    let own = Own::from_pem(&own.certificate_pem, &own.key_pem).unwrap();
    let dialer = Dialer::new(access.from, access.dns, roots(whole)).unwrap();
    let to = ("proxy.example.com", 3080);
    let own = shown.then_some(&own);
    dialer
        .dial_as(to, alpn, cut::Group::default(), own, |_| {})
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_with_a_database_leads_there_whatever_the_alpn() {
    let tasks = Tasks::new();
    let whole = scene(echo(&tasks).await).await;
    for alpn in [&["teleport-postgres"][..], &["http/1.1"], &["h2"], &[]] {
        let since = whole.seq();
        let mut stream = dial(&whole, alpn, true).await;
        stream.write_all(b"select 1").await.unwrap();
        let mut seen = [0; 8];
        stream.read_exact(&mut seen).await.unwrap();
        assert_eq!(&seen, b"select 1", "{alpn:?}");
        // Each direction ends by itself: the answer to the end still comes.
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"good-bye", "{alpn:?}");
        let ended = whole
            .fact(("the request ended", STEP), since, |fact| {
                matches!(fact.kind, Kind::RequestEnded { .. })
            })
            .await;
        assert!(
            matches!(
                ended.kind,
                Kind::RequestEnded {
                    status: 200,
                    bytes: 16,
                    ..
                }
            ),
            "{ended:?}"
        );
        let routed = whole.facts().into_iter().any(|fact| {
            fact.seq > since && matches!(&fact.kind, Kind::Routed { app, .. } if **app == *"ledger")
        });
        assert!(routed, "{alpn:?}");
    }
    whole.lab.stop().await;
    tasks.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_tsh_offers_is_carried_in_frames_where_they_were_chosen() {
    let tasks = Tasks::new();
    let whole = scene(echo(&tasks).await).await;
    let offers = ["teleport-postgres-ping", "teleport-postgres"];
    let stream = dial(&whole, &offers, true).await;
    let framed = stream.get_ref().1.alpn_protocol() == Some(offers[0].as_bytes());
    assert!(framed, "the first that tsh offers is chosen");
    let (mut local, plain) = duplex(1 << 16);
    let mut carried = Carried::default();
    let test = async {
        let large = vec![7; 100_000];
        let (mut read, mut write) = tokio::io::split(&mut local);
        let sent = async {
            write.write_all(&large).await.unwrap();
            write.shutdown().await.unwrap();
        };
        let mut seen = Vec::new();
        let (read, ()) = tokio::join!(read.read_to_end(&mut seen), sent);
        read.unwrap();
        assert!(seen.len() == large.len() + 8 && seen.ends_with(b"good-bye"));
    };
    let carrying = async {
        if framed {
            ping::carry(plain, stream, None, &mut carried).await
        } else {
            ping::carry_bare(plain, stream, &mut carried).await
        }
    };
    let (result, ()) = tokio::join!(carrying, test);
    result.unwrap();
    whole.lab.stop().await;
    tasks.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_down_is_a_closed_socket_after_every_agent_was_asked() {
    // Nobody listens there any more.
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let whole = scene(address).await;
    let mut stream = dial(&whole, &["teleport-postgres"], true).await;
    let mine = stream.get_ref().0.tcp().local_addr().unwrap();
    let mut seen = Vec::new();
    let _ = stream.read_to_end(&mut seen).await;
    assert_eq!(seen, b"", "not a word");
    let words = "failed to connect to any of the database servers";
    let fact = whole
        .fact(
            ("the refusal", STEP),
            Seq(0),
            |fact| matches!(&fact.kind, Kind::NoTunnel { text, .. } if text.starts_with(words)),
        )
        .await;
    // With `proxy_protocol` unset the pool does not know the port (reference 3.7).
    let his =
        |client: SocketAddr| client.ip() == mine.ip() && [0, mine.port()].contains(&client.port());
    assert!(
        matches!(&fact.kind, Kind::NoTunnel { client, .. } if his(client.0)),
        "{fact:?}"
    );
    let facts = whole.facts();
    let asked: std::collections::BTreeSet<_> = facts
        .iter()
        .filter_map(|fact| {
            if let Kind::Routed { agent, .. } = &fact.kind {
                return Some(agent.to_string());
            }
            None
        })
        .collect();
    let both = ["orders", "wiki"].map(String::from);
    assert_eq!(asked, both.into(), "each agent once");
    whole.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_certificate_there_is_no_database() {
    let tasks = Tasks::new();
    let whole = scene(echo(&tasks).await).await;
    let mut stream = dial(&whole, &["teleport-postgres"], false).await;
    let _ = stream.write_all(b"select 1").await;
    let mut seen = Vec::new();
    let _ = stream.read_to_end(&mut seen).await;
    assert_eq!(seen, b"");
    let routed = |fact: &Arc<twodoors::model::fact::Fact>| matches!(fact.kind, Kind::Routed { .. });
    assert!(!whole.facts().iter().any(routed));
    // What nobody serves is refused where the certificate is made.
    let error = whole.lab.access(&wanted("stock")).unwrap_err();
    assert!(error.contains("there is ledger"), "{error}");
    whole.lab.stop().await;
    tasks.stop().await;
}
