//! A resolver between clients and the DNS server, on real sockets.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use tokio::net::UdpSocket;
use twodoors::live::runner::{Call, Tap};
use twodoors::model::fact::{Act, Kind, Resolved};
use twodoors::model::fault::{Effect, Fault, Target};
use twodoors::model::id::{FaultId, Node};
use twodoors::model::time::{Span, Time};
use twodoors::model::timeline::RecordChange;
use twodoors::model::topology::Resolver;
use twodoors::policy::faults::Faults;
use twodoors::policy::{AnyInput, Context, Machine, Outbox, machines};

use super::addresses;
use super::kit::{ask, query};
use crate::lab::Whole;

/// The embedded lab with a resolver `office` in the internal network, which the agents `orders` and
/// `kiosk` ask, and one on the machine of the user `olga`.
struct Scene {
    whole: Whole,
    office: SocketAddr,
    laptop: SocketAddr,
}

impl Scene {
    async fn start() -> Self {
        Self::tapped(None).await
    }

    async fn tapped(tap: Option<Arc<dyn Tap>>) -> Self {
        let whole = Whole::prepared(|options| {
            options.tap = tap.clone();
            let topology = &mut options.loaded.topology;
            let resolver = |name: &str, last: u8, on| {
                let IpAddr::V4(own) = topology.agents[0].address else {
                    panic!("the example has IPv4 addresses");
                };
                let [a, b, c, _] = own.octets();
                Resolver {
                    name: name.into(),
                    listen: ([a, b, c, last], 0).into(),
                    on,
                }
            };
            let olga = Some(Node::User("olga".into()));
            topology.resolvers = vec![resolver("office", 53, None), resolver("laptop", 54, olga)];
            for agent in &mut topology.agents {
                if matches!(&*agent.name, "orders" | "kiosk") {
                    agent.resolver = Some("office".into());
                }
            }
        })
        .await;
        let at = |name: &str| {
            let mut resolvers = whole.lab.resolvers();
            let found = resolvers.find(|(own, _)| &***own == name);
            found.unwrap().1
        };
        let (office, laptop) = (at("office"), at("laptop"));
        Self {
            whole,
            office,
            laptop,
        }
    }

    /// Asks a resolver as an external client.
    async fn ask(&self, resolver: SocketAddr, name: &str, tcp: bool) -> Message {
        let from = self.whole.moved("127.20.0.77");
        ask(resolver, &from, &query(name, RecordType::A, None), tcp).await
    }

    /// Changes the address of a name in the private view.
    fn set(&self, name: &str, ttl: u32, address: &str) {
        let change = RecordChange {
            view: Some("private".into()),
            name: name.into(),
            rtype: "A".into(),
            ttl,
            data: vec![address.into()],
        };
        self.whole.lab.change_record(&change).unwrap();
    }

    /// Gives what the resolvers answered for a name.
    fn resolved(&self, name: &str) -> Vec<Resolved> {
        let facts = self.whole.facts();
        let facts = facts.iter().filter_map(|fact| {
            let Kind::Resolved(resolved) = &fact.kind else {
                return None;
            };
            (*resolved.name == *name).then(|| Resolved::clone(resolved))
        });
        facts.collect()
    }

    /// Gives who asked the DNS server for a name.
    fn askers(&self, name: &str) -> Vec<IpAddr> {
        let facts = self.whole.facts();
        let facts = facts.iter().filter_map(|fact| {
            let Kind::DnsAnswered(answered) = &fact.kind else {
                return None;
            };
            (answered.name == name).then(|| answered.client.ip())
        });
        facts.collect()
    }
}

fn ttl(message: &Message) -> u32 {
    message.answers[0].ttl
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_view_is_the_resolvers_and_the_second_answer_comes_from_the_cache() {
    let scene = Scene::start().await;
    let name = "teleport.example.com.";
    let private = scene.whole.moved("127.10.0.2");
    for tcp in [false, true] {
        let answer = scene.ask(scene.office, name, tcp).await;
        assert_eq!(addresses(&answer), ["proxy.example.com.", &private]);
        assert!(answer.metadata.recursion_available && !answer.metadata.authoritative);
    }
    let cached: Vec<_> = scene
        .resolved(name)
        .iter()
        .map(|fact| fact.cached)
        .collect();
    assert_eq!(cached, [false, true]);
    let state = scene.whole.lab.journal().snapshot();
    let office = &state.resolvers[0];
    assert!(office.hits >= 1 && office.misses >= 1, "{office:?}");
    assert_eq!(scene.askers(name), [scene.office.ip()]);
    let none = scene.ask(scene.office, "nosuch.example.com.", false).await;
    assert_eq!(none.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(none.authorities.len(), 1, "its SOA says how long");
    let direct = ask(
        scene.whole.lab.dns(),
        &scene.whole.moved("127.20.0.77"),
        &query(name, RecordType::A, None),
        false,
    )
    .await;
    assert_ne!(
        addresses(&direct)[1],
        private,
        "the client's own view is another"
    );
    scene.whole.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_ask_the_resolver_that_they_name() {
    let scene = Scene::start().await;
    let kiosk = scene.whole.moved("127.20.0.14").parse::<IpAddr>().unwrap();
    let wait = (
        "kiosk is turned away from the internal door",
        Duration::from_secs(30),
    );
    let since = twodoors::model::id::Seq(0);
    let refused = |fact: &twodoors::model::fact::Fact| matches!(&fact.kind, Kind::ClientRefused { client, .. } if client.ip() == kiosk);
    let fact = scene.whole.fact(wait, since, refused).await;
    assert_eq!(fact.node, Node::Balancer("internal".into()));
    let resolved = scene.resolved("proxy.example.com.");
    assert!(resolved.iter().any(|fact| fact.client.ip() == kiosk));
    let askers = scene.askers("proxy.example.com.");
    assert!(!askers.contains(&kiosk) && askers.contains(&scene.office.ip()));
    scene.whole.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_record_is_seen_when_its_ttl_is_over() {
    let scene = Scene::start().await;
    let name = "moving.example.com.";
    scene.set(name, 2, "192.0.2.1");
    assert_eq!(
        addresses(&scene.ask(scene.office, name, false).await),
        ["192.0.2.1"]
    );
    scene.set(name, 2, "192.0.2.2");
    let stale = scene.ask(scene.office, name, false).await;
    assert_eq!(addresses(&stale), ["192.0.2.1"]);
    let mut look = tokio::time::interval(Duration::from_millis(50));
    let fresh = async {
        loop {
            look.tick().await;
            let answer = scene.ask(scene.office, name, false).await;
            if addresses(&answer) == ["192.0.2.2"] {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), fresh)
        .await
        .unwrap();
    let facts = scene.resolved(name);
    let last = facts.last().unwrap();
    assert_eq!((last.cached, last.ttl), (false, 2));
    assert_eq!(scene.askers(name).len(), 2, "once for each time to live");
    scene.whole.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_floor_keeps_an_answer_beyond_its_ttl() {
    let scene = Scene::start().await;
    let office = Target::Node(Node::Resolver("office".into()));
    let floor = Fault {
        target: office,
        effect: Effect::TtlFloor(Span::from_secs(60)),
    };
    let faults = Faults::default().with(FaultId(1), floor);
    scene.whole.lab.set_dns_faults(&faults);
    for name in ["one.example.com.", "two.example.com."] {
        scene.set(name, 1, "192.0.2.1");
    }
    assert_eq!(
        ttl(&scene.ask(scene.office, "one.example.com.", false).await),
        60
    );
    assert_eq!(
        ttl(&scene.ask(scene.laptop, "one.example.com.", false).await),
        1,
        "another's"
    );
    scene.whole.lab.set_dns_faults(&Faults::default());
    assert_eq!(
        ttl(&scene.ask(scene.office, "two.example.com.", false).await),
        1
    );
    let kept = ttl(&scene.ask(scene.office, "one.example.com.", false).await);
    assert!(kept > 30, "it was stored under the floor: {kept}");
    scene.whole.lab.stop().await;
}

fn servfail() -> Faults {
    let servfail = Fault {
        target: Target::View("private".into()),
        effect: Effect::ServFail,
    };
    Faults::default().with(FaultId(1), servfail)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_of_the_server_reaches_the_resolvers_clients_and_is_not_kept() {
    let scene = Scene::start().await;
    let code = async |name: &str| {
        let answer = scene.ask(scene.office, name, false).await;
        answer.metadata.response_code
    };
    assert_eq!(code("proxy.example.com.").await, ResponseCode::NoError);
    scene.whole.lab.set_dns_faults(&servfail());
    assert_eq!(code("git.example.com.").await, ResponseCode::ServFail);
    assert_eq!(code("proxy.example.com.").await, ResponseCode::NoError);
    scene.whole.lab.set_dns_faults(&Faults::default());
    assert_eq!(code("git.example.com.").await, ResponseCode::NoError);
    scene.whole.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_silent_is_servfail_and_nothing_stale() {
    let scene = Scene::start().await;
    let name = "git.example.com.";
    let dropped = Fault {
        target: Target::Node(Node::Dns),
        effect: Effect::Drop,
    };
    let faults = Faults::default().with(FaultId(1), dropped);
    scene.whole.lab.set_dns_faults(&faults);
    let silent = scene.ask(scene.office, name, false).await;
    assert_eq!(silent.metadata.response_code, ResponseCode::ServFail);
    assert_eq!(scene.askers(name).len(), 2, "it was tried twice");
    scene.whole.lab.set_dns_faults(&Faults::default());
    let answer = scene.ask(scene.office, name, false).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
    scene.whole.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_survive_record_changes_and_reloads_which_replace_the_changes() {
    let whole = Whole::start(|_| None).await;
    let from = whole.moved("127.10.0.77");
    let name = "git.example.com.";
    let asked = async || {
        let message = query(name, RecordType::A, None);
        let answer = ask(whole.lab.dns(), &from, &message, false).await;
        (answer.metadata.response_code, addresses(&answer))
    };
    let before = asked().await;
    let change = RecordChange {
        view: None,
        name: name.into(),
        rtype: "A".into(),
        ttl: 1,
        data: vec!["192.0.2.1".into()],
    };
    let failed = (ResponseCode::ServFail, Vec::new());
    whole.lab.set_dns_faults(&servfail());
    whole.lab.change_record(&change).unwrap();
    assert_eq!(asked().await, failed);
    whole.lab.set_dns_faults(&Faults::default());
    assert_eq!(asked().await.1, ["192.0.2.1"]);
    whole.lab.set_dns_faults(&servfail());
    let lab = Arc::clone(&whole.lab);
    let reload = tokio::task::spawn_blocking(move || lab.reload());
    let reloaded = reload.await.unwrap().unwrap();
    assert_eq!(reloaded.generation.0, 3);
    let private = ["private/example.com.", "private/git.example.com."];
    assert_eq!(reloaded.changed[..2], private);
    assert_eq!(asked().await, failed);
    whole.lab.set_dns_faults(&Faults::default());
    assert_eq!(asked().await, before);
    let wrong = RecordChange {
        data: vec!["nonsense".into()],
        ..change
    };
    let error = whole.lab.change_record(&wrong).unwrap_err().to_string();
    let state = whole.lab.journal().snapshot();
    assert_eq!(
        (state.generation.0, state.reload_mistakes),
        (3, vec![error])
    );
    whole.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_roaming_machine_takes_its_cache_along() {
    let scene = Scene::start().await;
    let laptop = scene.laptop;
    let private = scene.whole.moved("127.10.0.2");
    let public = scene.whole.moved("127.20.0.2");
    let first = scene.ask(laptop, "proxy.example.com.", false).await;
    assert_eq!(addresses(&first), [private.as_str()]);
    let address: IpAddr = scene.whole.moved("127.20.0.99").parse().unwrap();
    let olga = Node::User("olga".into());
    let lab = &scene.whole.lab;
    lab.roam_resolvers(&olga, &"external".into(), address);
    let stale = scene.ask(laptop, "proxy.example.com.", false).await;
    assert_eq!(
        addresses(&stale),
        [private.as_str()],
        "of the network before"
    );
    let fresh = scene.ask(laptop, "a.proxy.example.com.", false).await;
    assert_eq!(addresses(&fresh), [public.as_str()]);
    assert_eq!(scene.askers("a.proxy.example.com."), [address]);
    scene.whole.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resolver_that_was_stopped_is_gone_and_comes_back_empty() {
    let scene = Scene::start().await;
    let name = "git.example.com.";
    scene.ask(scene.office, name, false).await;
    scene.whole.operate("resolver/office", Act::Stop).await;
    let socket = UdpSocket::bind((scene.office.ip(), 0)).await.unwrap();
    socket.connect(scene.office).await.unwrap();
    socket.send(b"anybody?").await.unwrap();
    let limit = Duration::from_secs(5);
    let mut buffer = [0; 16];
    let heard = tokio::time::timeout(limit, socket.recv(&mut buffer)).await;
    let error = heard.expect("the kernel says so").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    scene.whole.operate("resolver/office", Act::Start).await;
    for tcp in [true, false] {
        scene.ask(scene.office, name, tcp).await;
    }
    let cached: Vec<_> = scene
        .resolved(name)
        .iter()
        .map(|fact| fact.cached)
        .collect();
    assert_eq!(cached, [false, false, true]);
    scene.whole.lab.stop().await;
}

/// The calls of `resolver/office`: when, what it was told, and what it said.
#[derive(Default)]
struct Calls(Mutex<Vec<(Time, Option<AnyInput>, String)>>);

impl Tap for Calls {
    fn call(&self, call: Call<'_>) {
        if *call.node == Node::Resolver("office".into()) {
            let said = format!("{:?} {:?}", call.outputs, call.facts);
            self.0.lock().unwrap().push((call.now, call.input, said));
        }
    }
}

/// A fresh machine that is told the same says the same: nothing was decided beside it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_resolver_said_live_a_fresh_machine_says_again() {
    let calls = Arc::new(Calls::default());
    let scene = Scene::tapped(Some(Arc::clone(&calls) as Arc<dyn Tap>)).await;
    for name in ["git", "none", "teleport", "git", "none"] {
        let name = format!("{name}.example.com.");
        scene.ask(scene.office, &name, name.len() % 2 == 0).await;
    }
    scene.whole.operate("resolver/office", Act::Stop).await;
    scene.whole.lab.stop().await;
    let topology = scene.whole.lab.topology();
    let mut machine = machines::resolver(topology, 0);
    let calls = std::mem::take(&mut *calls.0.lock().unwrap());
    let (mut answers, mut forwards) = (0, 0);
    for (now, input, said) in calls {
        let Some(AnyInput::Resolver(input)) = input else {
            panic!("a resolver has no deadlines: {input:?}");
        };
        let cx = Context { now, topology };
        let mut out = Outbox::default();
        machine.handle(&cx, input, &mut out);
        let outputs = out.outputs.iter().map(|output| format!("{output:?}"));
        let outputs: Vec<_> = outputs.collect();
        assert_eq!(format!("{outputs:?} {:?}", out.facts), said);
        answers += said.matches("Reply {").count() / 2;
        forwards += said.matches("Forward {").count();
    }
    assert!(answers >= 5 && forwards >= 3, "{answers} {forwards}");
}
