//! What load takes away, and what it leaves alone: connections that are cut are counted, old rules
//! are freed, and threads that answer datagrams stand in front.

use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use twodoors::lab::dns::{Options, Server, Source};
use twodoors::live::dns::Limits;
use twodoors::model::fact::DnsTraffic;
use twodoors::model::fault::{Effect, Fault, Target};
use twodoors::model::id::{FaultId, Generation};
use twodoors::model::time::Span;
use twodoors::policy::faults::Faults;
use twodoors::scenario::files::Disk;

use super::kit::{Served, ask, query, serve_limited, shipped};
use super::verb::Folder;
use crate::support::eventually;

const INSIDE: &str = "127.41.0.9";

/// A limit that a test waits for.
const SOON: Duration = Duration::from_millis(100);

async fn connect(served: &Served, first: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(first).await.unwrap();
    stream
}

/// Waits until the server has ended a connection, by FIN or RST.
async fn ended(mut stream: TcpStream) {
    let end = async { while stream.read(&mut [0; 64]).await.is_ok_and(|count| count > 0) {} };
    let end = tokio::time::timeout(Duration::from_secs(20), end);
    end.await.expect("the connection is ended");
}

/// Lets a connection come to its end under these limits; gives what was counted.
async fn counted(limits: Limits, connections: &[&[u8]]) -> DnsTraffic {
    let mut served = serve_limited(&shipped(), limits);
    let mut streams = Vec::new();
    for first in connections {
        streams.push(connect(&served, first).await);
    }
    ended(streams.swap_remove(0)).await;
    served.stop();
    served.journal.snapshot().dns.traffic
}

#[tokio::test]
async fn connections_that_are_cut_are_counted_by_reason() {
    let none = DnsTraffic::default();
    let silent = Limits {
        first_query: SOON,
        ..Limits::default()
    };
    let idle = DnsTraffic { idle: 1, ..none };
    assert_eq!(counted(silent, &[b""]).await, idle);
    let hurried = Limits {
        message: SOON,
        ..Limits::default()
    };
    let slow = DnsTraffic { slow: 1, ..none };
    assert_eq!(counted(hurried, &[b"\0\xff\0"]).await, slow);
    let narrow = Limits {
        connections_per_client_max: 1,
        ..Limits::default()
    };
    let evicted = DnsTraffic { evicted: 1, ..none };
    assert_eq!(counted(narrow, &[b"", b""]).await, evicted);
}

/// A connection that waits for its answer makes no room for another.
async fn refused(limits: Limits) -> DnsTraffic {
    // The one that waits is not waited for.
    let limits = Limits {
        drain: SOON,
        ..limits
    };
    let mut served = serve_limited(&shipped(), limits);
    let fault = Fault {
        target: Target::View("private".into()),
        effect: Effect::Latency(Span::from_ms(600_000)),
    };
    let faults = Faults::default().with(FaultId(1), fault);
    let rules = served.rules.load().with_faults(faults);
    served.rules.store(Arc::new(rules));
    let message = query("proxy.example.com.", RecordType::A, None);
    let message = message.to_vec().unwrap();
    let length = u16::try_from(message.len()).unwrap().to_be_bytes();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(format!("{INSIDE}:0").parse().unwrap()).unwrap();
    let mut busy = socket.connect(served.address).await.unwrap();
    busy.write_all(&[&length[..], &message].concat())
        .await
        .unwrap();
    eventually("it waits", || {
        (served.journal.snapshot().dns.traffic.tcp == 1).then_some(())
    })
    .await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(format!("{INSIDE}:0").parse().unwrap()).unwrap();
    ended(socket.connect(served.address).await.unwrap()).await;
    served.stop();
    served.journal.snapshot().dns.traffic
}

#[tokio::test]
async fn connections_that_are_refused_are_counted_by_limit() {
    let own = refused(Limits {
        connections_per_client_max: 1,
        ..Limits::default()
    });
    let own = own.await;
    assert_eq!((own.refused_client, own.refused_total), (1, 0));
    let all = refused(Limits {
        connections_max: 1,
        ..Limits::default()
    });
    let all = all.await;
    assert_eq!((all.refused_client, all.refused_total), (0, 1));
    assert_eq!((all.evicted, all.idle, all.slow), (0, 0, 0));
}

#[tokio::test]
async fn what_was_in_force_before_is_freed_though_nobody_asks() {
    let folder = Folder::new();
    let source = Source::Views(folder.path().join("views.yaml"));
    let options = Options {
        loaded: source.load(&Disk).unwrap(),
        source,
        files: Arc::new(Disk),
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        reload_limit: None,
        log: None,
    };
    let server = Arc::new(Server::start(options).unwrap());
    let message = query("www.a.test.", RecordType::A, None);
    for tcp in [false, true] {
        ask(server.addresses()[0], INSIDE, &message, tcp).await;
    }
    let before = Arc::downgrade(&server.rules());
    let again = Arc::clone(&server);
    let reloaded = tokio::task::spawn_blocking(move || again.reload());
    assert_eq!(reloaded.await.unwrap().unwrap().generation, Generation(2));
    eventually("the rules of before are freed", || {
        before.upgrade().is_none().then_some(())
    })
    .await;
    server.stop().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn threads_that_answer_datagrams_stand_before_all_others() {
    let folder = Folder::new();
    let served = folder.running("--views views.yaml --listen 127.0.0.1:0");
    let niceness = |begins: &str| -> Option<Vec<i32>> {
        let threads = served.threads();
        let of = threads.iter().filter(|(name, _)| name.starts_with(begins));
        let found: Vec<i32> = of.map(|(_, niceness)| *niceness).collect();
        (!found.is_empty()).then_some(found)
    };
    let main = niceness("twodoors").unwrap()[0];
    assert!(niceness("dns-udp").unwrap().iter().all(|own| *own == main));
    let behind = (main + 10).min(19);
    // A thread steps back itself, once it runs.
    for name in ["tokio", "dns-reload"] {
        eventually(name, || {
            let own = niceness(name)?;
            own.iter().all(|own| *own == behind).then_some(())
        })
        .await;
    }
}
