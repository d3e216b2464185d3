//! The server as people ask it: with Debian's dig.

use std::process::Command;

use crate::kit::{Served, serve, shipped};

const PRIVATE: &str = "127.41.0.9";
const PUBLIC: &str = "127.42.0.9";

fn dig(served: &Served, from: &str, words: &str) -> String {
    let port = served.address.port().to_string();
    let server = format!("@{}", served.address.ip());
    let output = Command::new("dig")
        .args([&server, "-p", &port, "-b", from, "+time=5", "+tries=1"])
        .args(words.split(' '))
        .output()
        .expect("dig is missing: install bind9-dnsutils (tests/run --install does)");
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert!(output.status.success(), "dig {words}: {text}");
    text
}

#[test]
fn dig_sees_the_door_of_its_network() {
    let served = serve(&shipped());
    for carrier in ["+notcp", "+tcp", "+noedns"] {
        let ask = |from| {
            dig(
                &served,
                from,
                &format!("proxy.example.com +short {carrier}"),
            )
        };
        assert_eq!(ask(PRIVATE), "127.10.0.2");
        assert_eq!(ask(PUBLIC), "127.20.0.2");
    }
}

#[test]
fn dig_speaks_for_others_only_from_a_listed_sender() {
    let served = serve(&shipped());
    let words = "proxy.example.com +subnet=127.42.7.0/24";
    let listed = dig(&served, "127.0.0.1", words);
    assert!(listed.contains("127.20.0.2"), "{listed}");
    assert!(
        listed.contains("; CLIENT-SUBNET: 127.42.7.0/24/16"),
        "{listed}"
    );
    let unlisted = dig(&served, PRIVATE, words);
    assert!(unlisted.contains("127.10.0.2"), "{unlisted}");
    assert!(!unlisted.contains("CLIENT-SUBNET"), "{unlisted}");
    let six = dig(
        &served,
        "127.0.0.1",
        "proxy.example.com +subnet=2001:db8::/56",
    );
    assert!(six.contains("status: REFUSED"), "{six}");
}

#[test]
fn dig_sees_no_data_and_no_name() {
    let served = serve(&shipped());
    let nodata = dig(&served, PUBLIC, "proxy.example.com AAAA");
    assert!(
        nodata.contains("status: NOERROR") && nodata.contains("ANSWER: 0"),
        "{nodata}"
    );
    assert!(nodata.contains("SOA"), "{nodata}");
    let inside = dig(&served, PRIVATE, "git.example.com +short");
    assert_eq!(inside, "127.10.0.10");
    let outside = dig(&served, PUBLIC, "git.example.com");
    assert!(outside.contains("status: NXDOMAIN"), "{outside}");
}

#[test]
fn dig_sees_strange_questions_answered() {
    let served = serve(&shipped());
    let version = dig(
        &served,
        PUBLIC,
        "proxy.example.com +edns=1 +noednsnegotiation",
    );
    assert!(version.contains("status: BADVERS"), "{version}");
    assert!(version.contains("EDNS: version: 0"), "{version}");
    let option = dig(
        &served,
        PUBLIC,
        "proxy.example.com +ednsopt=65001:0102 +short",
    );
    assert_eq!(option, "127.20.0.2");
    let flags = dig(&served, PUBLIC, "proxy.example.com +ednsflags=0x40 +short");
    assert_eq!(flags, "127.20.0.2");
    let class = dig(&served, PUBLIC, "proxy.example.com CH TXT");
    assert!(class.contains("status: REFUSED"), "{class}");
    let opcode = dig(&served, PUBLIC, "proxy.example.com +opcode=9");
    assert!(opcode.contains("status: NOTIMP"), "{opcode}");
    let two = dig(&served, PUBLIC, "proxy.example.com +header-only");
    assert!(two.contains("status: FORMERR"), "{two}");
    let any = dig(&served, PUBLIC, "example.com ANY +notcp");
    assert!(any.contains("status: NOERROR"), "{any}");
}
