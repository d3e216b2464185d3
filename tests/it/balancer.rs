//! The doors on real sockets: who is let in, where a flow goes, and what becomes of its bytes.

pub(crate) mod lab;

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use twodoors::model::addr::ListenAddr;
use twodoors::model::fact::{Act, Ended, Health, Kind};
use twodoors::model::topology::Algorithm;
use twodoors::policy::{AnyInput, Context, Machine, Outbox, balancer};

use self::lab::{Backend, Lab, dial, echo, greeting};
use crate::support::{door, element, eventually};

fn backends(count: usize) -> Vec<Backend> {
    (1..=count)
        .map(|n| Backend::start(&n.to_string(), &format!("127.41.30.{n}:0"), echo))
        .collect()
}

async fn lab_of(backends: &[Backend], doors: Vec<twodoors::model::topology::Balancer>) -> Lab {
    let addresses: Vec<_> = backends.iter().map(|backend| backend.address).collect();
    Lab::start(&addresses, doors).await
}

fn any_port(address: &str) -> std::net::SocketAddr {
    format!("{address}:0").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flow_reaches_a_backend_with_its_clients_address_in_the_header() {
    let backends = backends(1);
    let mut inner = door("inner", any_port("127.41.10.1"));
    inner.listen.insert(0, ListenAddr(any_port("127.41.10.2")));
    let lab = lab_of(&backends, vec![inner]).await;

    let mut client = dial("127.42.0.9", lab.address(0));
    assert_eq!(greeting(&mut client), "1");

    let headers = backends[0].seen.headers.lock().unwrap();
    let (header, source) = &headers[0];
    let (from, to) = (client.local_addr().unwrap().port(), lab.address(0).port());
    let mut expected = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    expected.extend([127, 42, 0, 9, 127, 41, 10, 2]);
    expected.extend(from.to_be_bytes());
    expected.extend(to.to_be_bytes());
    assert_eq!(*header, expected);
    assert_eq!(
        source.ip(),
        lab.address(0).ip(),
        "from the door's own address"
    );
    assert!(
        backends[0].seen.checks.load(Ordering::SeqCst) > 0,
        "checks are LOCAL"
    );
    drop(headers);

    let second = lab.shared.topology.balancers[0].listen[1];
    greeting(&mut dial("127.42.0.9", second.0));
    let (_, source) = backends[0].seen.headers.lock().unwrap()[1].clone();
    assert_eq!(
        source.ip(),
        second.ip(),
        "from the address that the client used"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_outside_the_allow_list_is_reset_and_the_rule_is_named() {
    let backends = backends(1);
    let mut inner = door("inner", any_port("127.41.10.2"));
    inner.allow = vec![element("!127.41.66.0/24"), element("127.41.0.0/16")];
    let lab = lab_of(&backends, vec![inner]).await;

    for (from, expected) in [
        ("127.41.66.1", "allow has !127.41.66.0/24"),
        (
            "127.42.0.9",
            "not in allow: [!127.41.66.0/24, 127.41.0.0/16]",
        ),
    ] {
        let mut client = dial(from, lab.address(0));
        let error = client.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        let source = client.local_addr();
        lab.fact("the refusal", |kind| {
            matches!(kind, Kind::ClientRefused { client, .. }
                if source.as_ref().is_ok_and(|s| *s == client.0)
                    && kind.to_string().ends_with(&format!(": {expected}")))
        })
        .await;
    }
    assert_eq!(greeting(&mut dial("127.41.0.9", lab.address(0))), "1");
    assert_eq!(lab.count(|kind| matches!(kind, Kind::FlowOpened { .. })), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_has_finished_still_receives_everything() {
    let backends = backends(1);
    let lab = lab_of(&backends, vec![door("inner", any_port("127.41.10.2"))]).await;

    let mut client = dial("127.41.0.9", lab.address(0));
    greeting(&mut client);
    client.write_all(b"the last words").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"the last words");
}

/// Opens flows one after the other, keeps them, and counts them by backend.
fn spread(lab: &Lab, flows: usize) -> (Vec<TcpStream>, BTreeMap<String, usize>) {
    let mut counts = BTreeMap::new();
    let mut open = Vec::new();
    for _ in 0..flows {
        let mut client = dial("127.41.0.9", lab.address(0));
        *counts.entry(greeting(&mut client)).or_default() += 1;
        open.push(client);
    }
    (open, counts)
}

fn counts(of: &[(&str, usize)]) -> BTreeMap<String, usize> {
    of.iter()
        .map(|(name, count)| ((*name).to_owned(), *count))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn round_robin_is_strict_also_when_clients_come_at_once() {
    let backends = backends(3);
    let lab = lab_of(&backends, vec![door("inner", any_port("127.41.10.2"))]).await;
    assert_eq!(spread(&lab, 9).1, counts(&[("1", 3), ("2", 3), ("3", 3)]));

    let address = lab.address(0);
    let clients: Vec<_> = (0..30)
        .map(|_| thread::spawn(move || greeting(&mut dial("127.41.0.9", address))))
        .collect();
    let mut seen = BTreeMap::new();
    for client in clients {
        *seen.entry(client.join().unwrap()).or_default() += 1;
    }
    assert_eq!(seen, counts(&[("1", 10), ("2", 10), ("3", 10)]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn least_connections_fills_the_backend_that_has_lost_its_flows() {
    let backends = backends(3);
    let mut inner = door("inner", any_port("127.41.10.2"));
    inner.algorithm = Algorithm::LeastConnections;
    let lab = lab_of(&backends, vec![inner]).await;
    let (mut open, seen) = spread(&lab, 6);
    assert_eq!(seen, counts(&[("1", 2), ("2", 2), ("3", 2)]));

    // The second and the fifth flow are those of backend 2.
    drop((open.remove(4), open.remove(1)));
    eventually("both flows closed", || {
        let closed = lab.count(|kind| matches!(kind, Kind::FlowClosed { .. }));
        (closed == 2).then_some(())
    })
    .await;
    assert_eq!(spread(&lab, 2).1, counts(&[("2", 2)]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_connect_is_tried_at_the_next_backend() {
    let mut backends = backends(3);
    let mut inner = door("inner", any_port("127.41.10.2"));
    // So slow that the door does not learn by itself what has happened.
    inner.check.interval = twodoors::model::time::Span::from_secs(3_600);
    let lab = lab_of(&backends, vec![inner]).await;
    backends[0].stop();

    assert_eq!(greeting(&mut dial("127.41.0.9", lab.address(0))), "2");
    let failed = lab
        .fact("the failure", |kind| {
            matches!(kind, Kind::ConnectFailed { .. })
        })
        .await;
    assert!(
        matches!(&failed, Kind::ConnectFailed { proxy, error, .. }
        if &**proxy == "1" && error == "connection refused"),
        "{failed:?}"
    );
    lab.fact("the second try", |kind| {
        matches!(kind, Kind::FlowConnected { attempt: 2, .. })
    })
    .await;

    backends[1].stop();
    backends[2].stop();
    let mut client = dial("127.41.0.9", lab.address(0));
    assert_eq!(client.read(&mut [0]).unwrap(), 0, "closed in order");
    lab.fact("nobody is there", |kind| {
        matches!(kind, Kind::NoBackend { tried: 3, .. })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_door_has_its_own_opinion_of_the_pool() {
    let mut backends = backends(2);
    let mut outer = door("outer", any_port("127.41.20.2"));
    outer.check.fall = 1_000;
    let lab = lab_of(
        &backends,
        vec![door("inner", any_port("127.41.10.2")), outer],
    )
    .await;
    let address = backends[1].address;
    backends[1].stop();

    eventually("the inner door sees it", || {
        (lab.health(0, "2") == Health::Down).then_some(())
    })
    .await;
    assert_eq!(
        lab.health(1, "2"),
        Health::Falling,
        "the outer door still hopes"
    );
    assert_eq!(lab.health(0, "1"), Health::Up);
    let causes: Vec<String> = lab
        .facts()
        .into_iter()
        .filter_map(|(node, kind)| {
            let Kind::HealthChanged { proxy, to, cause } = kind else {
                return None;
            };
            (node == 0 && &*proxy == "2").then(|| format!("{to}: {cause}"))
        })
        .collect();
    let expected = [
        "up: the first check passed",
        "falling: 1 check failed: connection refused",
        "down: 3 checks failed in a row: connection refused",
    ];
    assert_eq!(causes, expected);
    assert_eq!(spread(&lab, 4).1, counts(&[("1", 4)]));

    let _again = Backend::start("2", &address.to_string(), echo);
    eventually("the inner door takes it back", || {
        (lab.health(0, "2") == Health::Up).then_some(())
    })
    .await;
    assert_eq!(spread(&lab, 4).1, counts(&[("1", 2), ("2", 2)]));
}

/// A fast hash of a long stream (FNV-1a over words): equal bytes give equal sums.
fn sum(bytes: &[u8], start: u64) -> u64 {
    bytes.iter().fold(start, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_mebibytes_go_through_unchanged_both_ways() {
    const BLOCK: usize = 1 << 20;
    let backends = backends(1);
    let lab = lab_of(&backends, vec![door("inner", any_port("127.41.10.2"))]).await;

    let mut client = dial("127.41.0.9", lab.address(0));
    greeting(&mut client);
    let mut writer = client.try_clone().unwrap();
    let writing = thread::spawn(move || {
        let mut sent = 0;
        for block in 0..100_u8 {
            let pattern = (0..251).cycle().map(|n: u8| n ^ block);
            let bytes: Vec<u8> = pattern.take(BLOCK).collect();
            sent = sum(&bytes, sent);
            writer.write_all(&bytes).unwrap();
        }
        writer.shutdown(Shutdown::Write).unwrap();
        sent
    });
    let (mut received, mut length) = (0, 0);
    let mut buffer = vec![0; 1 << 16];
    while let n @ 1.. = client.read(&mut buffer).unwrap() {
        received = sum(&buffer[..n], received);
        length += n;
    }
    assert_eq!(length, 100 * BLOCK);
    assert_eq!(received, writing.join().unwrap());
    let bytes = (100 * BLOCK) as u64;
    let closed = lab
        .fact("the end", |kind| matches!(kind, Kind::FlowClosed { .. }))
        .await;
    assert!(
        matches!(closed, Kind::FlowClosed { up, down, how: Ended::Finished, .. }
        if up == bytes && down == bytes + 2),
        "{closed:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_door_keeps_its_open_flows_and_refuses_new_ones() {
    let backends = backends(1);
    let lab = lab_of(&backends, vec![door("inner", any_port("127.41.10.2"))]).await;
    let (mut open, _) = spread(&lab, 1);

    lab.doors[0].operate(Act::Drain).await.unwrap();
    let refused = TcpStream::connect(lab.address(0)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    let mut byte = [0];
    open[0].write_all(b"x").unwrap();
    open[0].read_exact(&mut byte).unwrap();
    assert_eq!(byte, *b"x");
    assert_eq!(lab.count(|kind| matches!(kind, Kind::Drained)), 0);
    open.clear();
    lab.fact("drained", |kind| matches!(kind, Kind::Drained))
        .await;

    lab.doors[0].operate(Act::Start).await.unwrap();
    spread(&lab, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_cuts_flows_with_fin_and_a_start_takes_the_same_port() {
    let backends = backends(1);
    let lab = lab_of(&backends, vec![door("inner", any_port("127.41.10.2"))]).await;
    let (mut open, _) = spread(&lab, 3);

    lab.doors[0].operate(Act::Stop).await.unwrap();
    for client in &mut open {
        assert_eq!(client.read(&mut [0]).unwrap(), 0, "FIN, not RST");
    }
    eventually("all are counted", || {
        let how = |kind: &Kind| {
            matches!(
                kind,
                Kind::FlowClosed {
                    how: Ended::Cut,
                    ..
                }
            )
        };
        (lab.count(how) == 3).then_some(())
    })
    .await;
    TcpStream::connect(lab.address(0)).unwrap_err();
    assert_eq!(lab.health(0, "1"), Health::Unknown);

    lab.doors[0].operate(Act::Start).await.unwrap();
    eventually("the pool is checked again", || {
        (lab.health(0, "1") == Health::Up).then_some(())
    })
    .await;
    spread(&lab, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_whose_caller_goes_away_still_cuts_what_is_open() {
    let backends = backends(1);
    let lab = lab_of(&backends, vec![door("inner", any_port("127.41.10.2"))]).await;
    let (mut open, _) = spread(&lab, 3);

    tokio::select! {
        biased;
        _ = lab.doors[0].operate(Act::Stop) => {}
        // The caller does not wait for the listener to close.
        () = std::future::ready(()) => {}
    }
    for client in &mut open {
        assert_eq!(client.read(&mut [0]).unwrap(), 0, "FIN");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_is_passed_on_as_a_reset() {
    fn reset(_: &str, mut stream: TcpStream) {
        let _ = stream.read(&mut [0]);
        twodoors::live::serve::reset(&stream);
    }
    let backends = [Backend::start("1", "127.41.30.1:0", reset)];
    let lab = lab_of(&backends, vec![door("inner", any_port("127.41.10.2"))]).await;

    let (mut open, _) = spread(&lab, 1);
    open[0].write_all(b"x").unwrap();
    let error = open[0].read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    lab.fact("who did it", |kind| {
        matches!(
            kind,
            Kind::FlowClosed {
                how: Ended::BackendError,
                ..
            }
        )
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_delays_nobody_else_and_gets_everything() {
    fn flood(_: &str, mut stream: TcpStream) {
        let block = vec![7; 1 << 20];
        for _ in 0..64 {
            if stream.write_all(&block).is_err() {
                return;
            }
        }
    }
    let backends = [Backend::start("1", "127.41.30.1:0", flood)];
    let lab = lab_of(&backends, vec![door("inner", any_port("127.41.10.2"))]).await;
    let (mut open, _) = spread(&lab, 1);
    // Others are served while this flow is stuck.
    spread(&lab, 5);
    let mut rest = Vec::new();
    open[0].read_to_end(&mut rest).unwrap();
    assert_eq!(rest.len(), 64 << 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_run_replays_without_sockets() {
    let mut backends = backends(3);
    let doors = vec![
        door("inner", any_port("127.41.10.2")),
        door("outer", any_port("127.41.20.2")),
    ];
    let lab = lab_of(&backends, doors).await;
    backends[1].stop();
    let (open, _) = spread(&lab, 12);
    lab.doors[0].operate(Act::Drain).await.unwrap();
    drop(open);
    lab.fact("drained", |kind| matches!(kind, Kind::Drained))
        .await;
    lab.doors[1].operate(Act::Stop).await.unwrap();
    lab.tasks.stop().await;

    let topology = &lab.shared.topology;
    let mut machines = [0, 1].map(|index| balancer::Balancer::new(topology, index));
    let record = lab.record.0.lock().unwrap();
    assert!(record.len() > 50, "{} calls", record.len());
    for (node, now, input, outputs, facts) in record.iter() {
        let machine = machines
            .iter_mut()
            .find(|machine| machine.node() == *node)
            .unwrap();
        let cx = Context {
            now: *now,
            topology,
        };
        let mut out = Outbox::default();
        match input.clone() {
            Some(AnyInput::Balancer(input)) => machine.handle(&cx, input, &mut out),
            None => machine.wake(&cx, &mut out),
            Some(other) => panic!("{other:?} is not for a door"),
        }
        let again: Vec<String> = out
            .outputs
            .iter()
            .map(|output| format!("{output:?}"))
            .collect();
        assert_eq!((&again, &out.facts), (outputs, facts));
    }
}

/// A listener that answers one connection, the first check, and leaves all others waiting.
fn unresponsive() -> socket2::Socket {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&any_port("127.41.30.9").into()).unwrap();
    socket.listen(0).unwrap();
    socket
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_that_does_not_answer_is_given_up_in_time() {
    let silent = unresponsive();
    let backends = backends(1);
    let mut inner = door("inner", any_port("127.41.10.2"));
    inner.check.interval = twodoors::model::time::Span::from_secs(3_600);
    inner.timeout_connect = twodoors::model::time::Span::from_ms(150);
    let address = silent.local_addr().unwrap().as_socket().unwrap();
    let lab = Lab::start(&[address, backends[0].address], vec![inner]).await;

    let mut client = dial("127.41.0.9", lab.address(0));
    client.write_all(b"early").unwrap();
    assert_eq!(greeting(&mut client), "1");
    let mut echoed = [0; 5];
    client.read_exact(&mut echoed).unwrap();
    assert_eq!(echoed, *b"early");
    lab.fact("why it was given up", |kind| {
        matches!(kind, Kind::ConnectFailed { error, .. } if error == "no answer within 150.0ms")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_ends_with_fin_a_client_that_was_still_waiting_and_has_sent() {
    let silent = unresponsive();
    let mut inner = door("inner", any_port("127.41.10.2"));
    inner.check.interval = twodoors::model::time::Span::from_secs(3_600);
    let address = silent.local_addr().unwrap().as_socket().unwrap();
    let lab = Lab::start(&[address], vec![inner]).await;
    let mut client = dial("127.41.0.9", lab.address(0));
    client.write_all(&[7; 40_000]).unwrap();
    lab.fact("let in", |kind| matches!(kind, Kind::FlowOpened { .. }))
        .await;

    lab.doors[0].operate(Act::Stop).await.unwrap();
    assert_eq!(client.read(&mut [0]).unwrap(), 0, "FIN, not RST");
    let closed = lab
        .fact("the end", |kind| matches!(kind, Kind::FlowClosed { .. }))
        .await;
    assert!(matches!(
        closed,
        Kind::FlowClosed {
            proxy: None,
            how: Ended::Cut,
            ..
        }
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_flow_is_lost_while_operators_and_clients_hurry() {
    fn hurry(address: std::net::SocketAddr, stop: &AtomicBool) {
        while !stop.load(Ordering::SeqCst) {
            let Ok(mut stream) = TcpStream::connect(address) else {
                thread::yield_now();
                continue;
            };
            stream
                .set_read_timeout(Some(Duration::from_secs(10)))
                .unwrap();
            let _ = stream.write_all(b"x");
            // The name, the echo, or the end: whatever comes, something must.
            if let Err(error) = stream.read(&mut [0; 8]) {
                assert_ne!(
                    error.kind(),
                    ErrorKind::WouldBlock,
                    "a client was forgotten"
                );
            }
        }
    }
    let backends = backends(2);
    let lab = lab_of(&backends, vec![door("inner", any_port("127.41.10.2"))]).await;
    let (address, stop) = (lab.address(0), Arc::new(AtomicBool::new(false)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || hurry(address, &stop))
        })
        .collect();
    for round in 0..40 {
        let act = if round % 3 == 0 {
            Act::Drain
        } else {
            Act::Stop
        };
        lab.doors[0].operate(act).await.unwrap();
        lab.doors[0].operate(Act::Start).await.unwrap();
        eventually("flows go on", || {
            let flows = lab.count(|kind| matches!(kind, Kind::FlowConnected { .. }));
            (flows >= 5 * (round + 1)).then_some(())
        })
        .await;
    }
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.join().unwrap();
    }
    eventually("each flow that opened has closed", || {
        let opened = lab.count(|kind| matches!(kind, Kind::FlowOpened { .. }));
        let closed = lab.count(|kind| matches!(kind, Kind::FlowClosed { .. }));
        (opened == closed).then_some(())
    })
    .await;
    let failed = lab.count(|kind| matches!(kind, Kind::ConnectFailed { .. }));
    assert_eq!(failed, 0);
}
