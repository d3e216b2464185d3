//! The doors on real sockets: who is let in, where a flow goes, and what becomes of its bytes.

mod lab;

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::atomic::Ordering;

use twodoors::model::fact::Kind;

use self::lab::{Backend, Lab, dial, echo, greeting};
use crate::support::{door, element};

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
    let lab = lab_of(&backends, vec![door("inner", any_port("127.41.10.2"))]).await;

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
        "it comes from the door's own address"
    );
    assert!(
        backends[0].seen.checks.load(Ordering::SeqCst) > 0,
        "checks are LOCAL"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_outside_the_allow_list_is_reset_and_the_rule_is_named() {
    let backends = backends(1);
    let mut inner = door("inner", any_port("127.41.10.2"));
    inner.allow = vec![element("!127.41.66.0/24"), element("127.41.0.0/16")];
    let lab = lab_of(&backends, vec![inner]).await;

    for (from, expected) in [
        ("127.41.66.1", Some("!127.41.66.0/24")),
        ("127.42.0.9", None),
    ] {
        let mut client = dial(from, lab.address(0));
        let error = client.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        let source = client.local_addr();
        lab.fact("the refusal", |kind| {
            matches!(kind, Kind::ClientRefused { client, rule, .. }
                if rule.as_deref() == expected && source.as_ref().is_ok_and(|s| *s == client.0))
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
