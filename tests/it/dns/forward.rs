//! Names outside the zones: asked of a view's other servers, kept for each view apart.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::{A, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use twodoors::model::topology::{Forward, Topology};

use super::kit::{ask, edns, element, query, serve, shipped};
use super::{PRIVATE, PUBLIC, addresses};

/// A server of the test that knows `known.test` and counts what it is asked.
struct Upstream {
    address: SocketAddr,
    asked: Arc<Mutex<BTreeMap<String, usize>>>,
    stop: Arc<std::sync::atomic::AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Upstream {
    fn start(address: Ipv4Addr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        let asked = Arc::<Mutex<BTreeMap<String, usize>>>::default();
        let stop = Arc::<std::sync::atomic::AtomicBool>::default();
        let (counts, stopped) = (Arc::clone(&asked), Arc::clone(&stop));
        let own = socket.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 2_048];
            while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else {
                    continue;
                };
                let message = Message::from_vec(&buffer[..length]).unwrap();
                let name = message.queries[0].name.to_ascii();
                *counts.lock().unwrap().entry(name).or_default() += 1;
                // What comes back as it was sent is no answer.
                socket.send_to(&buffer[..length], from).unwrap();
                let answer = answer(message, address);
                // Somebody's guess comes first, with another number; it is no answer.
                let mut guess = answer.clone();
                guess.metadata.id ^= 1;
                guess.answers = vec![a(guess.queries[0].name.clone(), Ipv4Addr::new(6, 6, 6, 6))];
                socket.send_to(&guess.to_vec().unwrap(), from).unwrap();
                socket.send_to(&answer.to_vec().unwrap(), from).unwrap();
            }
        });
        Self {
            address: own,
            asked,
            stop,
            thread: Some(thread),
        }
    }

    fn asked(&self, name: &str) -> usize {
        self.asked.lock().unwrap().get(name).copied().unwrap_or(0)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn a(name: Name, address: Ipv4Addr) -> Record {
    Record::from_rdata(name, 300, RData::A(A(address)))
}

fn answer(query: Message, address: Ipv4Addr) -> Message {
    let mut message = query;
    message.metadata.message_type = MessageType::Response;
    let name = message.queries[0].name.clone();
    // As a resolver does that is to ask others only when it is wanted.
    if !message.metadata.recursion_desired {
        message.metadata.response_code = ResponseCode::Refused;
        return message;
    }
    match name.to_ascii().as_str() {
        "known.test." => {
            message.add_answer(a(name, address));
        }
        "broken.test." => message.metadata.response_code = ResponseCode::ServFail,
        _ => {
            message.metadata.response_code = ResponseCode::NXDomain;
            let own = |text: &str| Name::from_ascii(text).unwrap();
            let soa = SOA::new(own("ns.test."), own("h.test."), 1, 2, 3, 4, 60);
            message.add_authority(Record::from_rdata(own("test."), 300, RData::SOA(soa)));
        }
    }
    message
}

/// Each view has a server of its own and lets its own network ask.
fn forwarding(inside: &Upstream, outside: &Upstream) -> Topology {
    let mut topology = shipped();
    for (view, upstream) in topology.dns.views.iter_mut().zip([inside, outside]) {
        view.forward = Some(Forward {
            allow: vec![element("127.41.0.0/24"), element("127.42.0.0/24")],
            servers: vec![upstream.address],
        });
    }
    topology
}

async fn ask_for(server: SocketAddr, from: &str, name: &str) -> Message {
    let mut message = query(name, RecordType::A, Some(edns(1_232)));
    message.metadata.recursion_desired = true;
    ask(server, from, &message, false).await
}

#[tokio::test]
async fn what_no_zone_holds_is_asked_once_and_kept_for_each_view_apart() {
    let inside = Upstream::start(Ipv4Addr::new(10, 0, 0, 1));
    let outside = Upstream::start(Ipv4Addr::new(192, 0, 2, 1));
    let served = serve(&forwarding(&inside, &outside));
    for _ in 0..3 {
        let answer = ask_for(served.address, PRIVATE, "known.test.").await;
        assert_eq!(addresses(&answer), ["10.0.0.1"]);
        assert!(answer.metadata.recursion_available && !answer.metadata.authoritative);
        // One cache for both views would give the other network's answer.
        let answer = ask_for(served.address, PUBLIC, "known.test.").await;
        assert_eq!(addresses(&answer), ["192.0.2.1"]);
    }
    assert_eq!(
        (inside.asked("known.test."), outside.asked("known.test.")),
        (1, 1)
    );
    // A name that is not there is kept, too.
    for _ in 0..2 {
        let answer = ask_for(served.address, PRIVATE, "none.test.").await;
        assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
        assert_eq!(answer.authorities.len(), 1);
        assert!(answer.authorities[0].ttl <= 60);
    }
    assert_eq!(inside.asked("none.test."), 1);
    // What a zone holds is not asked for.
    let answer = ask_for(served.address, PRIVATE, "proxy.example.com.").await;
    assert_eq!(addresses(&answer), ["127.10.0.2"]);
    assert_eq!(inside.asked("proxy.example.com."), 0);
}

#[tokio::test]
async fn only_those_who_may_have_others_asked() {
    let upstream = Upstream::start(Ipv4Addr::new(10, 0, 0, 1));
    let served = serve(&forwarding(&upstream, &upstream));
    let refused = |answer: &Message| {
        let errors = answer.edns.as_ref().unwrap().options().as_ref().to_vec();
        (answer.metadata.response_code, errors.len())
    };
    // Of the view, but not of those who may.
    let answer = ask_for(served.address, "127.41.7.9", "known.test.").await;
    assert_eq!(refused(&answer), (ResponseCode::Refused, 1));
    // An option moves nobody: 127.0.0.1 is believed, and may not ask itself.
    let mut message = super::with_subnet("127.41.0.0/24");
    message.queries[0].name = Name::from_ascii("known.test.").unwrap();
    message.metadata.recursion_desired = true;
    let answer = ask(served.address, "127.0.0.1", &message, false).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::Refused);
    // Who does not want it is not served so.
    let message = query("known.test.", RecordType::A, None);
    for _ in 0..2 {
        let answer = ask(served.address, PRIVATE, &message, false).await;
        assert_eq!(answer.metadata.response_code, ResponseCode::Refused);
        let wanted = ask_for(served.address, PRIVATE, "known.test.").await;
        assert_eq!(wanted.metadata.response_code, ResponseCode::NoError);
    }
}

#[tokio::test]
async fn the_next_server_is_asked_and_a_failure_says_why() {
    let upstream = Upstream::start(Ipv4Addr::new(10, 0, 0, 1));
    // Nobody listens there: the port was free a moment ago and is held by nobody who answers.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut topology = forwarding(&upstream, &upstream);
    let servers = vec![silent.local_addr().unwrap(), upstream.address];
    topology.dns.views[0].forward.as_mut().unwrap().servers = servers;
    let served = serve(&topology);
    let answer = ask_for(served.address, PRIVATE, "known.test.").await;
    assert_eq!(addresses(&answer), ["10.0.0.1"]);
    let answer = ask_for(served.address, PUBLIC, "broken.test.").await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    let options = answer.edns.unwrap();
    let error = options.option(15.into());
    assert!(error.is_some(), "an extended error says why");
}

#[tokio::test]
async fn a_reload_asks_the_new_servers() {
    let old = Upstream::start(Ipv4Addr::new(10, 0, 0, 1));
    let new = Upstream::start(Ipv4Addr::new(10, 0, 0, 2));
    let served = serve(&forwarding(&old, &old));
    let answer = ask_for(served.address, PRIVATE, "known.test.").await;
    assert_eq!(addresses(&answer), ["10.0.0.1"]);
    let (rules, _) = super::kit::rules(&forwarding(&new, &new)).unwrap();
    served.rules.store(Arc::new(rules));
    let answer = ask_for(served.address, PRIVATE, "known.test.").await;
    assert_eq!(addresses(&answer), ["10.0.0.2"]);
}
