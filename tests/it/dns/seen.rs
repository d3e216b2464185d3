//! What `twodoors dns` says of its queries: the query log and the metrics.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use hickory_proto::rr::{Name, RecordType};
use rustix::process::Signal;
use serde_json::Value;

use super::forward::Upstream;
use super::kit::{ask, edns, exchange, query, query_of};
use super::verb::Folder;
use crate::support::eventually;

const INSIDE: &str = "127.41.0.9";

#[tokio::test]
async fn the_query_log_names_client_view_rule_and_step() {
    let folder = Folder::new();
    let words = "--views views.yaml --listen 127.0.0.1:0 --log-queries queries.log";
    let mut served = folder.running(words);
    let address = served.addresses()[0];
    let plain = query("www.a.test.", RecordType::A, None);
    ask(address, INSIDE, &plain, false).await;
    // Asked again, it is as whole as before.
    ask(address, INSIDE, &plain, false).await;
    let with = query("none.a.test.", RecordType::AAAA, Some(edns(1232)));
    ask(address, INSIDE, &with, true).await;
    served.signal(Signal::TERM);
    let (code, said) = served.wait();
    assert_eq!(code, Some(0), "{said}");
    let log = folder.read("queries.log");
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 3, "{log}");
    let first = "(www.a.test.): view private: query: www.a.test. IN A - (127.0.0.1) rule inside \
                 rcode NOERROR answer aa size 44 step exact match";
    for line in &lines[..2] {
        let (head, rest) = line.split_once(" client 127.41.0.9#").unwrap();
        assert!(head.starts_with("20") && head.ends_with('Z'), "{line}");
        let (port, rest) = rest.split_once(' ').unwrap();
        assert!(port.parse::<u16>().is_ok(), "{line}");
        assert_eq!(rest, first);
    }
    let expected =
        "query: none.a.test. IN AAAA -E(0)T (127.0.0.1) rule inside rcode NXDOMAIN answer aa";
    assert!(lines[2].contains(expected), "{log}");
}

#[tokio::test]
async fn a_name_cannot_break_out_of_its_line() {
    let folder = Folder::new();
    let words = "--views views.yaml --listen 127.0.0.1:0 --log-queries - --log-format json";
    let served = folder.running(words);
    let labels: [&[u8]; 3] = [b"\n\x1b[31m\"", b"a", b"test"];
    let evil = Name::from_labels(labels).unwrap();
    let message = query_of(evil, RecordType::A, None);
    ask(served.addresses()[0], INSIDE, &message, false).await;
    let line = served.line();
    let json: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(json["name"], "\\010\\027[31m\\\".a.test.");
    assert_eq!(json["view"], "private");
    assert_eq!(json["rule"], "inside");
    assert_eq!(json["rcode"], "NXDOMAIN");
    assert_eq!(json["transport"], "udp");
    assert!(!line.contains('\u{1b}'), "{line:?}");
}

#[tokio::test]
async fn a_log_that_was_moved_away_is_opened_again() {
    let folder = Folder::new();
    let words = "--views views.yaml --listen 127.0.0.1:0 --log-queries queries.log";
    let served = folder.running(words);
    let message = query("www.a.test.", RecordType::A, None);
    ask(served.addresses()[0], INSIDE, &message, false).await;
    eventually("the first line", || {
        (folder.read("queries.log").lines().count() == 1).then_some(())
    })
    .await;
    folder.rename("queries.log", "queries.log.1");
    served.signal(Signal::HUP);
    assert!(served.line().starts_with("reloaded "));
    ask(served.addresses()[0], INSIDE, &message, false).await;
    eventually("the new file", || {
        let there = folder.exists("queries.log");
        (there && folder.read("queries.log").lines().count() == 1).then_some(())
    })
    .await;
    assert_eq!(folder.read("queries.log.1").lines().count(), 1);
}

/// Asks for a path as a browser or a scraper does.
fn get(address: SocketAddr, host: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[tokio::test]
async fn the_metrics_count_each_answer_by_view_rule_and_code() {
    let folder = Folder::new();
    let words = "--views views.yaml --listen 127.0.0.1:0 --metrics 127.0.0.1:0";
    let served = folder.running(words);
    let (_, metrics) = served.ready.split_once(" metrics=").unwrap();
    let metrics: SocketAddr = metrics.parse().unwrap();
    let address = served.addresses()[0];
    let message = query("www.a.test.", RecordType::A, None);
    for _ in 0..3 {
        ask(address, INSIDE, &message, false).await;
    }
    ask(address, INSIDE, &message, true).await;
    // A header that promises a question which is not there.
    let broken = [0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    exchange(address, INSIDE.parse().unwrap(), &broken, false).await;
    served.signal(Signal::HUP);
    assert!(served.line().starts_with("reloaded generation=2 "));
    let host = metrics.to_string();
    let wanted = [
        "twodoors_dns_queries_total{view=\"private\",rule=\"inside\",rcode=\"NOERROR\"} 4\n",
        "twodoors_dns_messages_total{transport=\"udp\"} 4\n",
        "twodoors_dns_messages_total{transport=\"tcp\"} 1\n",
        "twodoors_dns_malformed_total 1\n",
        "twodoors_dns_truncated_total 0\n",
        "twodoors_dns_overflowed_total 0\n",
        "twodoors_rules_generation 2\n",
        "twodoors_reload_refused 0\n",
        "twodoors_reloaded_seconds ",
    ];
    eventually("the counts", || {
        let text = get(metrics, &host, "/metrics");
        wanted.iter().all(|line| text.contains(line)).then_some(())
    })
    .await;
    // A page of another site that reaches this port by a name of its own gets nothing.
    let foreign = get(metrics, "evil.test", "/metrics");
    assert!(foreign.starts_with("HTTP/1.1 421 "), "{foreign}");
    assert!(!foreign.contains("twodoors_dns"), "{foreign}");
    assert!(get(metrics, &host, "/api/snapshot").starts_with("HTTP/1.1 404 "));
}

#[tokio::test]
async fn a_question_that_was_passed_on_is_logged_when_it_is_answered() {
    let upstream = Upstream::start([10, 0, 0, 1].into());
    let folder = Folder::new();
    let forward = format!("{{allow: [inside], servers: [\"{}\"]}}", upstream.address());
    let views = folder.read("views.yaml");
    let views = views.replacen("zones:", &format!("forward: {forward}, zones:"), 1);
    folder.write("views.yaml", &views);
    let words = "--views views.yaml --listen 127.0.0.1:0 --log-queries queries.log --metrics \
                 127.0.0.1:0";
    let mut served = folder.running(words);
    let address = served.addresses()[0];
    let asked = |name: &str| {
        let mut message = query(name, RecordType::A, None);
        message.metadata.recursion_desired = true;
        message
    };
    for name in ["known.test.", "known.test.", "broken.test."] {
        ask(address, INSIDE, &asked(name), false).await;
    }
    let (_, metrics) = served.ready.split_once(" metrics=").unwrap();
    let metrics: SocketAddr = metrics.parse().unwrap();
    let results = [("answered", 1), ("cached", 1), ("failed", 1)];
    eventually("the counts", || {
        let text = get(metrics, &metrics.to_string(), "/metrics");
        let line = |(result, count): &(&str, u8)| {
            let labels = format!("{{view=\"private\",result=\"{result}\"}}");
            text.contains(&format!("twodoors_dns_forwarded_total{labels} {count}\n"))
                && text.contains(&format!("twodoors_dns_forwarded_seconds_total{labels} "))
        };
        results.iter().all(line).then_some(())
    })
    .await;
    served.signal(Signal::TERM);
    let (code, said) = served.wait();
    assert_eq!(code, Some(0), "{said}");
    let log = folder.read("queries.log");
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 3, "{log}");
    let server = upstream.address();
    let ends = [
        format!("rcode NOERROR answer - size 44 server {server} step "),
        String::from("rcode NOERROR answer - size 44 server cache step "),
        format!("rcode SERVFAIL answer - size 29 server {server} step "),
    ];
    for (line, end) in lines.iter().zip(ends) {
        assert!(line.contains("view private: query: "), "{log}");
        assert!(line.contains(&end), "{end:?} is not in {log}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_logged_too() {
    let folder = Folder::new();
    // A question that is promised and not there.
    let short = [0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let problem = "the message ends too early";
    for format in ["text", "json"] {
        let words = format!(
            "--views views.yaml --listen 127.0.0.1:0 --log-queries - --log-format {format}"
        );
        let served = folder.running(&words);
        let address = served.addresses()[0];
        for (tcp, transport) in [(false, "udp"), (true, "tcp")] {
            exchange(address, INSIDE.parse().unwrap(), &short, tcp).await;
            let line = served.line();
            if format == "json" {
                let json: Value = serde_json::from_str(&line).unwrap();
                assert_eq!(json["malformed"], problem);
                assert_eq!(json["received_bytes"], 12);
                assert_eq!(json["rcode"], "FORMERR");
                assert_eq!(json["transport"], transport);
                continue;
            }
            let (_, rest) = line.split_once(" client 127.41.0.9#").unwrap();
            let end = format!("malformed: {problem} (received 12 over {transport}) rcode FORMERR");
            assert!(rest.ends_with(&end), "{line}");
        }
    }
}
