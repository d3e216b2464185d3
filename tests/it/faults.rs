//! Faults on real sockets: what a client sees is what the word says, and lifting loses no byte.
//!
//! Each test has its twin in itself: the same before the fault, or after it was lifted, passes.

mod busy;
mod nodes;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use twodoors::model::fact::{Act, Health, Kind};
use twodoors::model::fault::{Effect, End, Fault, Link, Target};
use twodoors::model::id::{FaultId, Node};
use twodoors::model::time::Span;
use twodoors::model::topology::Balancer;
use twodoors::policy::faults::Faults;

use crate::balancer::lab::{Backend, Lab, dial, echo, greeting};
use crate::support::{door, eventually};

/// How long nothing must come for silence: many times what an answer takes on loopback.
const SILENCE: Duration = Duration::from_millis(200);

const DOOR: &str = "127.41.10.4:0";
const CLIENT: &str = "127.41.0.9";
const STRANGER: &str = "127.42.0.9";

/// A door before echoing backends.
async fn scene(backends: &[Backend]) -> Lab {
    scene_with(backends, door("inner", DOOR.parse().unwrap())).await
}

async fn scene_with(backends: &[Backend], door: Balancer) -> Lab {
    let addresses: Vec<_> = backends.iter().map(|backend| backend.address).collect();
    Lab::start(&addresses, vec![door]).await
}

fn echoes(count: usize) -> Vec<Backend> {
    (1..=count)
        .map(|n| Backend::start(&n.to_string(), &format!("127.43.31.{n}:0"), echo))
        .collect()
}

fn inner() -> Target {
    Target::Node(Node::Balancer("inner".into()))
}

/// A link between two ends, each `network/NAME` or a node.
fn link(from: &str, to: &str, both: bool) -> Target {
    let end = |text: &str| match text.split_once('/').unwrap() {
        ("network", name) => End::Network(name.into()),
        (kind, name) => End::Node(Node::named(kind, name).unwrap()),
    };
    Target::Link(Link {
        from: end(from),
        to: end(to),
        both,
    })
}

fn one(target: Target, effect: Effect) -> Faults {
    Faults::default().with(FaultId(1), Fault { target, effect })
}

/// Connects as a client does that has little patience.
fn knock(to: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&to, SILENCE * 2)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    Ok(stream)
}

/// Sends something and waits for it to come back.
fn answers(stream: &mut TcpStream) {
    stream.write_all(b"well?").unwrap();
    hears(stream, b"well?");
}

fn hears(stream: &mut TcpStream, what: &[u8]) {
    let mut heard = vec![0; what.len()];
    stream.read_exact(&mut heard).unwrap();
    assert_eq!(heard, what);
}

/// Sees that nothing comes, not even an end.
fn is_silent(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(SILENCE)).unwrap();
    let error = stream.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
}

fn is_reset(stream: &mut TcpStream) {
    let error = stream.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
}

/// Waits until a new client is served, and gives him.
async fn serves_again(address: SocketAddr) -> TcpStream {
    eventually("a new client is served", || {
        let mut client = knock(address).ok()?;
        // A door that has just started has no opinion of its backends yet, and closes.
        client.peek(&mut [0]).ok().filter(|n| *n > 0)?;
        greeting(&mut client);
        Some(client)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuse_answers_syns_with_rst_and_leaves_open_connections() {
    let backends = echoes(1);
    let lab = scene(&backends).await;
    let address = lab.address(0);
    let mut open = knock(address).unwrap();
    greeting(&mut open);

    lab.shared.faults.set(one(inner(), Effect::Refuse));
    eventually("a SYN is refused", || {
        // Whoever connects while the door closes its socket is reset instead.
        let error = knock(address).err()?;
        (error.kind() == ErrorKind::ConnectionRefused).then_some(())
    })
    .await;
    answers(&mut open);

    lab.shared.faults.set(Faults::default());
    serves_again(address).await;
    answers(&mut open);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_door_stays_closed_when_its_refusal_is_lifted() {
    let backends = echoes(1);
    let lab = scene(&backends).await;
    let address = lab.address(0);
    lab.shared.faults.set(one(inner(), Effect::Refuse));
    eventually("a SYN is refused", || knock(address).err()).await;
    lab.doors[0].operate(Act::Stop).await.unwrap();
    lab.shared.faults.set(Faults::default());
    assert_eq!(
        knock(address).unwrap_err().kind(),
        ErrorKind::ConnectionRefused
    );

    // Started under a refusal, it opens only when that is lifted.
    lab.shared.faults.set(one(inner(), Effect::Refuse));
    lab.doors[0].operate(Act::Start).await.unwrap();
    eventually("a SYN is refused", || knock(address).err()).await;
    lab.shared.faults.set(Faults::default());
    serves_again(address).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_was_taken_during_a_refusal_is_taken_back_when_it_is_free() {
    let backends = echoes(1);
    let lab = scene(&backends).await;
    let address = lab.address(0);
    lab.shared.faults.set(one(inner(), Effect::Refuse));
    eventually("a SYN is refused", || knock(address).err()).await;
    let thief = std::net::TcpListener::bind(address).unwrap();
    lab.shared.faults.set(Faults::default());
    let mut victim = knock(address).unwrap();
    is_silent(&mut victim);
    drop(thief);
    serves_again(address).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blackhole_answers_no_syn_and_reads_nothing_of_open_connections() {
    let backends = echoes(1);
    let lab = scene(&backends).await;
    let address = lab.address(0);
    let mut open = knock(address).unwrap();
    greeting(&mut open);

    lab.shared.faults.set(one(inner(), Effect::Blackhole));
    eventually("a SYN is not answered", || {
        let error = knock(address).err()?;
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        Some(())
    })
    .await;
    // One who waits: his SYN is repeated until it is answered.
    let patient = thread::spawn(move || dial(CLIENT, address));
    let sent = fill(&open);
    is_silent(&mut open);

    lab.shared.faults.set(Faults::default());
    let mut patient = patient.join().unwrap();
    greeting(&mut patient);
    let mut came = vec![0; sent];
    open.read_exact(&mut came).unwrap();
    assert!(came.iter().all(|byte| *byte == 7));
    answers(&mut open);
    serves_again(address).await;
    // What filled the queue was nobody: no flow was ever opened for it.
    let from_door = |kind: &Kind| matches!(kind, Kind::FlowOpened { client, .. } if client.ip() == address.ip());
    assert_eq!(lab.count(from_door), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_in_the_queue_is_served_after_silence_and_after_refusal() {
    let backends = echoes(1);
    let lab = scene(&backends).await;
    let address = lab.address(0);
    for (effect, kind) in [
        (Effect::Blackhole, ErrorKind::TimedOut),
        (Effect::Refuse, ErrorKind::ConnectionRefused),
    ] {
        lab.shared.faults.set(one(inner(), Effect::Pause));
        // The first may still be accepted, if the pause is not there yet; its bytes wait as well.
        let mut queued: Vec<_> = (0..5).map(|_| knock(address).unwrap()).collect();
        lab.shared.faults.set(one(inner(), effect));
        eventually("a SYN gets what the word says", || {
            let error = knock(address).err()?;
            assert_eq!(error.kind(), kind);
            Some(())
        })
        .await;
        lab.shared.faults.set(Faults::default());
        for client in &mut queued {
            greeting(client);
            answers(client);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_resets_a_client_that_is_still_on_its_way_and_a_stop_finishes_it() {
    let backends = echoes(1);
    let mut own = door("inner", DOOR.parse().unwrap());
    own.check.interval = Span::from_secs(3_600);
    own.timeout_connect = Span::from_secs(60);
    let lab = scene_with(&backends, own).await;
    let behind = || one(link("balancer/inner", "proxy/1", true), Effect::Blackhole);
    for act in [Act::Stop, Act::Kill] {
        lab.shared.faults.set(Faults::default());
        drop(serves_again(lab.address(0)).await);
        lab.shared.faults.set(behind());
        let opened = || lab.count(|kind| matches!(kind, Kind::FlowOpened { .. }));
        let before = opened();
        let mut client = knock(lab.address(0)).unwrap();
        client.write_all(b"unread").unwrap();
        eventually("it is let in", || (opened() > before).then_some(())).await;
        lab.doors[0].operate(act).await.unwrap();
        if act == Act::Stop {
            assert_eq!(client.read(&mut [0]).unwrap(), 0);
        } else {
            is_reset(&mut client);
        }
        lab.doors[0].operate(Act::Start).await.unwrap();
    }
}

/// Writes until nothing more is taken, and gives how much was.
fn fill(stream: &TcpStream) -> usize {
    const MOST: usize = 256 << 20;
    stream.set_write_timeout(Some(SILENCE)).unwrap();
    let mut sent = 0;
    while let Ok(n) = (&*stream).write(&[7; 1 << 16]) {
        sent += n;
        assert!(sent < MOST, "{sent} bytes went somewhere");
    }
    stream.set_write_timeout(None).unwrap();
    assert!(sent > 0);
    sent
}

/// Sends `A` without end, and `B` once it was told something.
fn pour(_: &str, mut stream: TcpStream) {
    let mut heard = stream.try_clone().unwrap();
    let listening = thread::spawn(move || heard.read(&mut [0]));
    let mut letter = b'A';
    while stream.write_all(&[letter; 4096]).is_ok() {
        if listening.is_finished() {
            letter = b'B';
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_open_is_silent_one_way_only() {
    let backends = [Backend::start("1", "127.43.31.1:0", pour)];
    let lab = scene(&backends).await;
    let mut client = dial(CLIENT, lab.address(0));
    greeting(&mut client);
    let up = link("network/inside", "balancer/inner", false);
    lab.shared.faults.set(one(up, Effect::HalfOpen));
    client.write_all(b"!").unwrap();
    let mut block = vec![0; 1 << 20];
    for _ in 0..32 {
        client.read_exact(&mut block).unwrap();
        assert!(block.iter().all(|byte| *byte == b'A'));
    }
    lab.shared.faults.set(Faults::default());
    while block.iter().all(|byte| *byte == b'A') {
        client.read_exact(&mut block).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reset_peer_resets_open_connections_and_new_ones_after_accept() {
    let backends = echoes(1);
    let lab = scene(&backends).await;
    let address = lab.address(0);
    let mut open = knock(address).unwrap();
    greeting(&mut open);
    lab.shared.faults.set(one(inner(), Effect::ResetPeer));
    is_reset(&mut open);
    let mut new = knock(address).unwrap();
    is_reset(&mut new);
    lab.fact("the flow that was reset before it had a backend", |kind| {
        matches!(kind, Kind::FlowClosed { proxy: None, .. })
    })
    .await;
    lab.shared.faults.set(Faults::default());
    let mut new = knock(address).unwrap();
    greeting(&mut new);
    answers(&mut new);

    // Lifted at once, it has hit what was open all the same.
    let behind = link("balancer/inner", "proxy/1", false);
    lab.shared.faults.set(one(behind, Effect::ResetPeer));
    lab.shared.faults.set(Faults::default());
    is_reset(&mut new);
    serves_again(address).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_ends_with_fin_and_a_kill_with_rst_silent_flows_too() {
    let backends = echoes(1);
    let lab = scene(&backends).await;
    let address = lab.address(0);
    for faults in [Faults::default(), one(inner(), Effect::Blackhole)] {
        for act in [Act::Stop, Act::Kill] {
            lab.shared.faults.set(Faults::default());
            let mut open = serves_again(address).await;
            lab.shared.faults.set(faults.clone());
            lab.doors[0].operate(act).await.unwrap();
            if act == Act::Stop {
                assert_eq!(open.read(&mut [0]).unwrap(), 0);
            } else {
                is_reset(&mut open);
            }
            lab.doors[0].operate(Act::Start).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_door_accepts_in_the_kernel_answers_nobody_and_checks_nothing() {
    let backends = echoes(1);
    let other = door("other", "127.41.10.5:0".parse().unwrap());
    let doors = vec![door("inner", DOOR.parse().unwrap()), other];
    let lab = Lab::start(&[backends[0].address], doors).await;
    let address = lab.address(0);
    let mut open = knock(address).unwrap();
    greeting(&mut open);

    lab.shared.faults.set(one(inner(), Effect::Pause));
    let mut new = knock(address).unwrap();
    new.write_all(b"early").unwrap();
    is_silent(&mut new);
    open.write_all(b"still there?").unwrap();
    is_silent(&mut open);
    let wakes = |door: usize| {
        let node = lab.doors[door].node();
        let record = lab.record.0.lock().unwrap();
        let calls = record.iter();
        calls
            .filter(|(who, _, input, ..)| who == node && input.is_none())
            .count()
    };
    let before = (wakes(0), wakes(1));
    eventually("the other door goes on", || {
        (wakes(1) >= before.1 + 4).then_some(())
    })
    .await;
    assert_eq!(wakes(0), before.0);

    lab.shared.faults.set(Faults::default());
    greeting(&mut new);
    hears(&mut new, b"early");
    hears(&mut open, b"still there?");
    eventually("its clockwork goes on", || {
        (wakes(0) > before.0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_silences_both_ways_between_two_networks_and_nobody_else() {
    let backends = echoes(1);
    let lab = scene(&backends).await;
    let mut stranger = dial(STRANGER, lab.address(0));
    greeting(&mut stranger);
    let mut neighbour = dial(CLIENT, lab.address(0));
    greeting(&mut neighbour);
    let networks = Target::Networks("inside".into(), "outside".into());
    lab.shared.faults.set(one(networks, Effect::Partition));
    stranger.write_all(b"hello").unwrap();
    is_silent(&mut stranger);
    answers(&mut neighbour);
    lab.shared.faults.set(Faults::default());
    hears(&mut stranger, b"hello");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn latency_delays_bytes_and_the_end_behind_them_and_adds_up() {
    let backends = echoes(1);
    let lab = scene(&backends).await;
    let clock = lab.shared.clock;
    let delayed = || Fault {
        target: inner(),
        effect: Effect::Latency(Span::from_ms(40)),
    };
    let twice = Faults::default().with(FaultId(1), delayed());
    let twice = twice.with(FaultId(2), delayed());
    let mut client = dial(CLIENT, lab.address(0));
    greeting(&mut client);
    let mut trip = |faults: Faults| {
        lab.shared.faults.set(faults);
        let start = clock.now();
        answers(&mut client);
        clock.now().since(start)
    };
    let plain = trip(Faults::default());
    let slow = trip(one(inner(), Effect::Latency(Span::from_ms(40))));
    let slower = trip(twice);
    assert!(plain < Span::from_ms(80), "{plain}");
    assert!(slow >= Span::from_ms(80), "{slow}");
    assert!(slower >= Span::from_ms(160), "{slower}");

    let start = clock.now();
    client.write_all(b"bye").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut last = Vec::new();
    client.read_to_end(&mut last).unwrap();
    assert_eq!(last, b"bye");
    assert!(clock.now().since(start) >= Span::from_ms(160));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jitter_keeps_the_order_and_its_bound() {
    let backends = echoes(1);
    let lab = scene(&backends).await;
    let clock = lab.shared.clock;
    let mut client = dial(CLIENT, lab.address(0));
    greeting(&mut client);
    let down = link("balancer/inner", "network/inside", false);
    let jitter = Effect::Jitter(Span::from_ms(30));
    lab.shared.faults.set(one(down, jitter));
    let mut trips = Vec::new();
    for number in 0..20_u8 {
        let start = clock.now();
        client.write_all(&[number]).unwrap();
        hears(&mut client, &[number]);
        trips.push(clock.now().since(start));
    }
    assert!(
        trips.iter().any(|trip| *trip > Span::from_ms(15)),
        "{trips:?}"
    );
    assert!(
        trips.iter().any(|trip| *trip < Span::from_ms(15)),
        "{trips:?}"
    );
    let all: Vec<u8> = (0..=255).collect();
    for byte in &all {
        client.write_all(&[*byte]).unwrap();
    }
    hears(&mut client, &all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_doors_own_connects_and_checks_are_refused_unanswered_or_late() {
    let backends = echoes(2);
    let mut own = door("inner", DOOR.parse().unwrap());
    own.timeout_connect = Span::from_ms(300);
    own.check.timeout = Span::from_ms(300);
    let lab = scene_with(&backends, own).await;
    let behind = || link("balancer/inner", "proxy/1", true);
    let served = |by: &'static str| {
        let mut client = knock(lab.address(0)).unwrap();
        (greeting(&mut client) == by).then_some(())
    };
    for (effect, words) in [
        (Effect::Refuse, "connection refused"),
        (Effect::Blackhole, "no answer within 300.0ms"),
    ] {
        lab.shared.faults.set(one(behind(), effect));
        eventually("its checks fail", || {
            (lab.health(0, "1") == Health::Down).then_some(())
        })
        .await;
        lab.fact(
            "and say why",
            |kind| matches!(kind, Kind::HealthChanged { cause, .. } if cause.contains(words)),
        )
        .await;
        served("2").unwrap();
        lab.shared.faults.set(Faults::default());
        eventually("it is up again", || {
            (lab.health(0, "1") == Health::Up).then_some(())
        })
        .await;
        eventually("it is served by it", || served("1")).await;
    }
    // A connect of a flow hears the same words before a check does.
    let failed = "a connect says it";
    lab.shared.faults.set(one(behind(), Effect::Refuse));
    let _clients = [
        knock(lab.address(0)).unwrap(),
        knock(lab.address(0)).unwrap(),
    ];
    lab.fact(
        failed,
        |kind| matches!(kind, Kind::ConnectFailed { error, .. } if error == "connection refused"),
    )
    .await;
    let late = Effect::Latency(Span::from_ms(60));
    lab.shared
        .faults
        .set(one(link("balancer/inner", "proxy/2", true), late));
    let clock = lab.shared.clock;
    let start = clock.now();
    eventually("it is served by the far one", || served("2")).await;
    // The connect once, and the greeting.
    assert!(clock.now().since(start) >= Span::from_ms(120));
}
