//! Names outside the zones: asked of a view's other servers, kept for each view apart.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::rdata::{A, CNAME, NS, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use twodoors::model::topology::{Forward, Topology};
use twodoors::policy::answer::{Cookies, Server};

use super::kit::{ask, edns, element, query, serve, shipped};
use super::{PRIVATE, PUBLIC, addresses};

/// A server of the test that knows `known.test` and counts what it is asked.
pub(super) struct Upstream {
    address: SocketAddr,
    asked: Arc<Mutex<BTreeMap<String, usize>>>,
    stop: Arc<std::sync::atomic::AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Upstream {
    pub(super) fn start(address: Ipv4Addr) -> Self {
        let (socket, streams) = loop {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            // Whoever has the port of a stream already is not asked for it.
            if let Ok(streams) = TcpListener::bind(socket.local_addr().unwrap()) {
                break (socket, streams);
            }
        };
        streams.set_nonblocking(true).unwrap();
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
                if let Ok((stream, _)) = streams.accept() {
                    by_stream(stream, address);
                }
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

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn asked(&self, name: &str) -> usize {
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

/// Answers one question of a stream.
fn by_stream(mut stream: TcpStream, address: Ipv4Addr) {
    stream.set_nonblocking(false).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut buffer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut buffer).unwrap();
    let mut answer = answer(Message::from_vec(&buffer).unwrap(), address);
    if answer.metadata.truncation {
        answer.metadata.truncation = false;
        let name = answer.queries[0].name.clone();
        answer.add_answer(a(name, Ipv4Addr::new(10, 9, 9, 9)));
    }
    let bytes = answer.to_vec().unwrap();
    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    stream.write_all(&[&length[..], &bytes].concat()).unwrap();
}

fn a(name: Name, address: Ipv4Addr) -> Record {
    Record::from_rdata(name, 300, RData::A(A(address)))
}

fn own(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn soa() -> Record {
    let soa = SOA::new(own("ns.test."), own("h.test."), 1, 2, 3, 4, 60);
    Record::from_rdata(own("test."), 300, RData::SOA(soa))
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
        "signed.test." => {
            message.metadata.response_code = ResponseCode::ServFail;
            let mut edns = edns(1_232);
            let words = [&[0, 7][..], b"the signature\x1b[31m is over"].concat();
            edns.options_mut().insert(EdnsOption::Unknown(15, words));
            message.set_edns(edns);
        }
        "refused.test." => message.metadata.response_code = ResponseCode::Refused,
        // It knows of somebody who knows.
        "lame.test." => {
            let server = RData::NS(NS(own("ns.elsewhere.test.")));
            message.add_authority(Record::from_rdata(own("test."), 300, server));
        }
        // Over TCP there is more.
        "big.test." => message.metadata.truncation = true,
        "empty.test." => {
            message.add_authority(soa());
        }
        // It leads out of this answer.
        "alias.test." => {
            let target = RData::CNAME(CNAME(own("known.test.")));
            message.add_answer(Record::from_rdata(name, 60, target));
        }
        _ => {
            message.metadata.response_code = ResponseCode::NXDomain;
            message.add_authority(soa());
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
}

/// The extended errors of an answer: codes and words.
fn errors(answer: &Message) -> Vec<(u16, String)> {
    let options = answer.edns.as_ref().unwrap().options();
    let contents = options.get_all(15.into());
    let errors = contents.into_iter().map(|option| {
        let EdnsOption::Unknown(_, content) = option else {
            panic!("hickory does not know the option");
        };
        let (code, words) = content.split_first_chunk().unwrap();
        let words = String::from_utf8(words.to_vec()).unwrap();
        (u16::from_be_bytes(*code), words)
    });
    errors.collect()
}

fn codes(answer: &Message) -> Vec<u16> {
    errors(answer).into_iter().map(|(code, _)| code).collect()
}

#[tokio::test]
async fn what_a_server_says_of_its_failure_is_passed_on_and_kept() {
    let upstream = Upstream::start(Ipv4Addr::new(10, 0, 0, 1));
    let served = serve(&forwarding(&upstream, &upstream));
    let cases = [
        ("broken.test.", ResponseCode::ServFail, vec![]),
        ("refused.test.", ResponseCode::Refused, vec![]),
        ("signed.test.", ResponseCode::ServFail, vec![7]),
    ];
    for (name, rcode, own) in cases {
        let answer = ask_for(served.address, PRIVATE, name).await;
        assert_eq!(answer.metadata.response_code, rcode, "{name}");
        // Its own words or none: we reached it.
        assert_eq!(codes(&answer), own, "{name}");
        let kept = ask_for(served.address, PRIVATE, name).await;
        assert_eq!(kept.metadata.response_code, rcode, "{name}");
        assert_eq!(codes(&kept), [own, vec![13]].concat(), "{name}");
        assert_eq!(upstream.asked(name), 1, "{name}");
    }
    let answer = ask_for(served.address, PRIVATE, "signed.test.").await;
    assert_eq!(errors(&answer)[0].1, "the signature[31m is over");
}

#[tokio::test]
async fn a_referral_is_no_answer() {
    let upstream = Upstream::start(Ipv4Addr::new(10, 0, 0, 1));
    let served = serve(&forwarding(&upstream, &upstream));
    let answer = ask_for(served.address, PRIVATE, "lame.test.").await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    let said = errors(&answer);
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].0, 22);
    assert!(said[0].1.contains("1 gave a referral"), "{said:?}");
    // An SOA beside nothing is an answer.
    let answer = ask_for(served.address, PRIVATE, "empty.test.").await;
    assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
    assert_eq!(answer.authorities.len(), 1);
    assert_eq!(codes(&answer), [0; 0]);
}

#[tokio::test]
async fn several_silent_servers_cost_little_and_all_of_them_a_bounded_time() {
    let upstream = Upstream::start(Ipv4Addr::new(10, 0, 0, 1));
    let silent: Vec<_> = (0..3)
        .map(|_| UdpSocket::bind("127.0.0.1:0").unwrap())
        .collect();
    let mut topology = forwarding(&upstream, &upstream);
    let mut servers: Vec<_> = silent
        .iter()
        .map(|socket| socket.local_addr().unwrap())
        .collect();
    topology.dns.views[1].forward.as_mut().unwrap().servers = servers.clone();
    servers.push(upstream.address);
    topology.dns.views[0].forward.as_mut().unwrap().servers = servers;
    let served = serve(&topology);
    // Two seconds for each, twice, would be more than the test waits.
    let answer = ask_for(served.address, PRIVATE, "known.test.").await;
    assert_eq!(addresses(&answer), ["10.0.0.1"]);
    let answer = ask_for(served.address, PUBLIC, "known.test.").await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    let said = errors(&answer);
    assert_eq!(said[0].0, 22);
    assert!(said[0].1.contains("3 silent"), "{said:?}");
}

#[tokio::test]
async fn a_port_that_nobody_has_is_told_as_such() {
    let upstream = Upstream::start(Ipv4Addr::new(10, 0, 0, 1));
    let mut topology = forwarding(&upstream, &upstream);
    // Nobody has the port of a socket that is closed, and nobody gets it as long as TCP holds it.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    let forward = topology.dns.views[0].forward.as_mut().unwrap();
    forward.servers = vec![gone.local_addr().unwrap()];
    let served = serve(&topology);
    let answer = ask_for(served.address, PRIVATE, "known.test.").await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    assert_eq!(codes(&answer), [22, 23]);
    assert!(errors(&answer)[0].1.contains("refused"));
}

#[tokio::test]
async fn what_is_cut_is_asked_for_again_over_tcp() {
    let upstream = Upstream::start(Ipv4Addr::new(10, 0, 0, 1));
    let served = serve(&forwarding(&upstream, &upstream));
    let answer = ask_for(served.address, PRIVATE, "big.test.").await;
    assert_eq!(addresses(&answer), ["10.9.9.9"]);
    assert!(!answer.metadata.truncation);
}

#[tokio::test]
async fn an_alias_that_leads_out_of_the_answer_is_followed() {
    let upstream = Upstream::start(Ipv4Addr::new(10, 0, 0, 1));
    let served = serve(&forwarding(&upstream, &upstream));
    for _ in 0..2 {
        let answer = ask_for(served.address, PRIVATE, "alias.test.").await;
        assert_eq!(answer.answers.len(), 2);
        assert!(matches!(answer.answers[0].data, RData::CNAME(_)));
        assert_eq!(addresses(&answer), ["known.test.", "10.0.0.1"]);
        let ttl = answer.answers.iter().map(|record| record.ttl).min();
        assert!(ttl.is_some_and(|ttl| ttl <= 60), "the shortest one counts");
    }
    let asked = ["alias.test.", "known.test."].map(|name| upstream.asked(name));
    assert_eq!(asked, [1, 1]);
}

#[tokio::test]
async fn an_answer_from_others_says_of_this_server_what_all_do() {
    let upstream = Upstream::start(Ipv4Addr::new(10, 0, 0, 1));
    let topology = forwarding(&upstream, &upstream);
    let served = serve(&topology);
    let (rules, _) = super::kit::rules(&topology).unwrap();
    let secret = twodoors::policy::cookie::Secret::new([7; 16]);
    served.rules.store(Arc::new(rules.with_server(Server {
        name: Box::from(*b"ns1"),
        cookies: Cookies::Offered(secret),
        version: None,
    })));
    let asking = |name: &str| {
        let mut with = edns(1_232);
        with.options_mut().insert(EdnsOption::Unknown(3, vec![]));
        with.options_mut()
            .insert(EdnsOption::Unknown(10, vec![1; 8]));
        let mut message = query(name, RecordType::A, Some(with));
        message.metadata.recursion_desired = true;
        message
    };
    let told = |answer: &Message| {
        let options = answer.edns.as_ref().unwrap().options();
        let nsid = options.get(3.into()).is_some();
        let cookie = options.get(10.into()).map(|option| {
            let EdnsOption::Unknown(_, content) = option else {
                panic!("hickory does not read cookies");
            };
            content.len()
        });
        (nsid, cookie, answer.metadata.recursion_available)
    };
    for name in [
        "known.test.",
        "known.test.",
        "broken.test.",
        "proxy.example.com.",
    ] {
        let answer = ask(served.address, PRIVATE, &asking(name), false).await;
        assert_eq!(told(&answer), (true, Some(24), true), "{name}");
    }
    // RA says that there is recursion for this client, and for no other (RFC 1035 section 4.1.1).
    for name in ["known.test.", "proxy.example.com."] {
        let answer = ask(served.address, "127.41.7.9", &asking(name), false).await;
        assert_eq!(told(&answer), (true, Some(24), false), "{name}");
    }
    let plain = query("proxy.example.com.", RecordType::A, None);
    for _ in 0..2 {
        for (from, available) in [(PRIVATE, true), ("127.41.7.9", false)] {
            let answer = ask(served.address, from, &plain, false).await;
            assert_eq!(answer.metadata.recursion_available, available, "{from}");
        }
    }
}

#[tokio::test]
async fn two_servers_that_ask_each_other_end() {
    let nobody = Upstream::start(Ipv4Addr::new(10, 0, 0, 1));
    let one = serve(&forwarding(&nobody, &nobody));
    let other = serve(&forwarding(&nobody, &nobody));
    for (served, asks) in [(&one, &other), (&other, &one)] {
        let mut topology = forwarding(&nobody, &nobody);
        let view = &mut topology.dns.views[0];
        view.match_clients.push(element("127.0.0.0/24"));
        view.forward = Some(Forward {
            allow: vec![element("127.41.0.0/24"), element("127.0.0.0/24")],
            servers: vec![asks.address],
        });
        let (rules, _) = super::kit::rules(&topology).unwrap();
        served.rules.store(Arc::new(rules));
    }
    // A question that comes back waits for its own answer, once.
    let answer = ask_for(one.address, PRIVATE, "known.test.").await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
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
