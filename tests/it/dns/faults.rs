//! Faults at the server's sockets: what a client sees of each, over UDP and TCP, beside a client
//! that is spared, and after the fault is lifted.

use std::sync::Arc;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use twodoors::live::clock::Clock;
use twodoors::model::fact::Kind;
use twodoors::model::fault::{Effect, End, Fault, Link, Target};
use twodoors::model::id::{FaultId, Node, Seq};
use twodoors::model::network::Network;
use twodoors::model::time::Span;
use twodoors::model::timeline::RecordChange;
use twodoors::model::topology::Topology;
use twodoors::policy::faults::Faults;

use super::kit::{Served, ask, edns, query, serve, shipped};
use super::{PRIVATE, PUBLIC, addresses};
use crate::support::eventually;

const PROXY: &str = "proxy.example.com.";

/// The shipped views, and a network of the private clients.
fn scene() -> Topology {
    let mut topology = shipped();
    topology.networks.push(Network {
        name: "inside".into(),
        ranges: vec!["127.41.0.0/16".parse().unwrap()],
    });
    topology
}

fn fault(target: Target, effect: Effect) -> Faults {
    Faults::default().with(FaultId(3), Fault { target, effect })
}

fn view(name: &str) -> Target {
    Target::View(name.into())
}

fn link(both: bool) -> Target {
    Target::Link(Link {
        from: End::Network("inside".into()),
        to: End::Node(Node::Dns),
        both,
    })
}

fn set(served: &Served, faults: &Faults) {
    served
        .rules
        .rcu(|rules| Arc::new(rules.with_faults(faults.clone())));
}

/// Asks for the proxy's address: the code, and the addresses.
async fn proxy(served: &Served, from: &str, tcp: bool) -> (ResponseCode, Vec<String>) {
    let message = query(PROXY, RecordType::A, Some(edns(1232)));
    let answer = ask(served.address, from, &message, tcp).await;
    assert!(answer.edns.is_some(), "EDNS is answered by EDNS");
    (answer.metadata.response_code, addresses(&answer))
}

fn why(served: &Served) -> Vec<(String, String)> {
    let facts = served.journal.after(Seq(0), usize::MAX).facts;
    let answers = facts.iter().filter_map(|fact| {
        let Kind::DnsAnswered(answered) = &fact.kind else {
            return None;
        };
        Some((answered.rcode.to_string(), answered.why.clone()))
    });
    answers.collect()
}

/// Sets a fault of the private view; sees what its clients get, that others are spared, and that
/// all is as before once it is lifted. The reason of the answers must be this.
async fn check(served: &Served, faults: &Faults, expected: (ResponseCode, &[&str]), reason: &str) {
    let usual = |addresses: &[&str]| {
        let addresses = addresses.iter().map(ToString::to_string);
        (ResponseCode::NoError, addresses.collect::<Vec<_>>())
    };
    for tcp in [false, true] {
        set(served, faults);
        let (code, found) = proxy(served, PRIVATE, tcp).await;
        assert_eq!(
            (code, found.iter().map(String::as_str).collect()),
            (expected.0, expected.1.to_vec()),
            "tcp {tcp}"
        );
        assert_eq!(why(served).last().unwrap().1, reason);
        assert_eq!(proxy(served, PUBLIC, tcp).await, usual(&["127.20.0.2"]));
        set(served, &Faults::default());
        assert_eq!(proxy(served, PRIVATE, tcp).await, usual(&["127.10.0.2"]));
        assert_eq!(why(served).last().unwrap().1, "exact match");
    }
}

#[tokio::test]
async fn servfail_is_for_the_clients_of_its_view() {
    let mut served = serve(&scene());
    let faults = fault(view("private"), Effect::ServFail);
    let reason = "fault 3: servfail on view/private";
    check(&served, &faults, (ResponseCode::ServFail, &[]), reason).await;
    served.stop();
    let key = |rcode: &str| {
        (
            Some("private".into()),
            Some("127.41.0.0/16".into()),
            rcode.into(),
        )
    };
    let counts = served.journal.snapshot().dns.answers;
    assert_eq!(counts.get(&key("SERVFAIL")), Some(&2));
    assert_eq!(counts.get(&key("NOERROR")), Some(&2));
}

#[tokio::test]
async fn a_flipped_view_gives_the_others_answers() {
    let served = serve(&scene());
    let to = "public".into();
    let faults = fault(view("private"), Effect::ViewFlip { to });
    let reason =
        "fault 3: view_flip to public on view/private (public answers for private), exact match";
    let flipped: &[&str] = &["127.20.0.2"];
    check(&served, &faults, (ResponseCode::NoError, flipped), reason).await;
}

#[tokio::test]
async fn stale_answers_are_those_before_the_last_change() {
    let served = serve(&scene());
    let change = RecordChange {
        view: Some("private".into()),
        name: PROXY.into(),
        rtype: "A".into(),
        ttl: 60,
        data: vec!["127.10.0.2".into()],
    };
    let moved = RecordChange {
        data: vec!["127.10.0.99".into()],
        ..change.clone()
    };
    for change in [moved, change] {
        let (rules, _) = served.rules.load().with_record(&change).unwrap();
        served.rules.store(Arc::new(rules));
    }
    let faults = fault(view("private"), Effect::Stale);
    let reason = "fault 3: stale on view/private (generation 2 answers), exact match";
    let before: &[&str] = &["127.10.0.99"];
    check(&served, &faults, (ResponseCode::NoError, before), reason).await;
}

/// A connection by datagrams or a stream, on which several questions are asked.
enum Line {
    Tcp(TcpStream),
    Udp(UdpSocket),
}

impl Line {
    async fn open(served: &Served, from: &str, tcp: bool) -> Self {
        let from = std::net::SocketAddr::new(from.parse().unwrap(), 0);
        if tcp {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(from).unwrap();
            return Self::Tcp(socket.connect(served.address).await.unwrap());
        }
        let socket = UdpSocket::bind(from).await.unwrap();
        socket.connect(served.address).await.unwrap();
        Self::Udp(socket)
    }

    async fn send(&mut self, id: u16) {
        let mut message = query(PROXY, RecordType::A, None);
        message.metadata.id = id;
        let bytes = message.to_vec().unwrap();
        match self {
            Self::Tcp(stream) => {
                let length = u16::try_from(bytes.len()).unwrap();
                stream.write_all(&length.to_be_bytes()).await.unwrap();
                stream.write_all(&bytes).await.unwrap();
            }
            Self::Udp(socket) => {
                socket.send(&bytes).await.unwrap();
            }
        }
    }

    async fn receive(&mut self) -> u16 {
        let mut bytes = vec![0; 65_535];
        let read = async {
            match self {
                Self::Tcp(stream) => {
                    let length = usize::from(stream.read_u16().await.unwrap());
                    stream.read_exact(&mut bytes[..length]).await.unwrap()
                }
                Self::Udp(socket) => socket.recv(&mut bytes).await.unwrap(),
            }
        };
        let limit = std::time::Duration::from_secs(5);
        let length = tokio::time::timeout(limit, read).await.expect("an answer");
        Message::from_vec(&bytes[..length]).unwrap().metadata.id
    }
}

/// Asks under the fault and, once that was decided, again without it: the first answer that comes
/// must be the second question's.
async fn check_silent(faults: &Faults, reason: &str) {
    let mut served = serve(&scene());
    for tcp in [false, true] {
        let mut line = Line::open(&served, PRIVATE, tcp).await;
        let mut spared = Line::open(&served, PUBLIC, tcp).await;
        set(&served, faults);
        line.send(1).await;
        let told = || {
            let last = why(&served).last().cloned();
            last.filter(|(code, _)| code == "dropped")
        };
        let (_, told) = eventually("the answer is dropped", told).await;
        assert_eq!(told, reason);
        spared.send(2).await;
        assert_eq!(spared.receive().await, 2);
        set(&served, &Faults::default());
        line.send(3).await;
        assert_eq!(line.receive().await, 3, "tcp {tcp}");
    }
    served.stop();
    let counts = served.journal.snapshot().dns.answers;
    let dropped = counts
        .iter()
        .filter(|((_, _, code), _)| &**code == "dropped");
    assert_eq!(dropped.map(|(_, count)| count).sum::<u64>(), 2);
}

#[tokio::test]
async fn what_is_dropped_is_never_answered() {
    let faults = fault(view("private"), Effect::Drop);
    check_silent(&faults, "fault 3: drop on view/private").await;
}

#[tokio::test]
async fn a_silent_link_is_silent_in_either_direction() {
    let reason = "fault 3: half_open on network/inside -> dns";
    check_silent(&fault(link(false), Effect::HalfOpen), reason).await;
    let reason = "fault 3: blackhole on network/inside <-> dns";
    check_silent(&fault(link(true), Effect::Blackhole), reason).await;
}

#[tokio::test]
async fn latency_delays_each_answer_and_none_behind_another() {
    let served = serve(&scene());
    let slow = Span::from_ms(400);
    let faults = fault(link(true), Effect::Latency(slow));
    let clock = Clock::start();
    for tcp in [false, true] {
        let mut line = Line::open(&served, PRIVATE, tcp).await;
        let mut took = async |served: &Served, faults: &Faults| {
            set(served, faults);
            let begin = clock.now();
            for id in 1..=5 {
                line.send(id).await;
            }
            let mut ids = Vec::new();
            for _ in 1..=5 {
                ids.push(line.receive().await);
            }
            ids.sort_unstable();
            assert_eq!(ids, [1, 2, 3, 4, 5]);
            clock.now().since(begin)
        };
        let late = took(&served, &faults).await;
        assert!(late >= slow && late < slow.times(4), "tcp {tcp}: {late}");
        let plain = took(&served, &Faults::default()).await;
        assert!(plain < slow, "tcp {tcp}: {plain}");
    }
}

#[tokio::test]
async fn jitter_is_drawn_within_its_dose_and_differs() {
    let served = serve(&scene());
    let most = Span::from_ms(300);
    set(&served, &fault(view("private"), Effect::Jitter(most)));
    let clock = Clock::start();
    let mut waits = Vec::new();
    for _ in 0..8 {
        let begin = clock.now();
        proxy(&served, PRIVATE, false).await;
        waits.push(clock.now().since(begin));
    }
    let (least, last) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
    assert!(*last >= Span::from_ms(100), "{waits:?}");
    assert!(*least < Span::from_ms(200), "{waits:?}");
    let begin = clock.now();
    proxy(&served, PUBLIC, false).await;
    assert!(clock.now().since(begin) < Span::from_ms(100));
}
