//! The stream of facts: nothing missed, nothing twice, and a word when something is gone.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use twodoors::journal::FACTS_MAX;
use twodoors::model::fact::{Kind, Purpose};
use twodoors::model::id::Node;
use twodoors::model::time::Time;

use super::{PATIENCE, Running, scene, start};

/// An open stream of events.
struct Reader {
    stream: TcpStream,
    text: String,
}

#[derive(Debug, Default, PartialEq)]
struct Event {
    name: String,
    id: Option<u64>,
    data: String,
}

impl Reader {
    async fn open(server: &Running, query: &str, header: &str) -> Self {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let host = server.address;
        let text = format!("GET /api/facts{query} HTTP/1.1\r\nHost: {host}\r\n{header}\r\n");
        stream.write_all(text.as_bytes()).await.unwrap();
        let text = String::new();
        Self { stream, text }
    }

    /// Reads the next event, or the status line when it is not 200.
    async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.take() {
                return event;
            }
            let mut bytes = vec![0; 65_536];
            let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut bytes));
            let read = read.await.expect("an event comes in time").unwrap();
            assert_ne!(read, 0, "the stream ended after {}", self.text);
            self.text
                .push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        }
    }

    /// Cuts a whole event off what was read; chunk sizes and comments are skipped.
    fn take(&mut self) -> Option<Event> {
        let from = self.text.find("event: ")?;
        let end = self.text[from..].find("\n\n")?;
        let block: String = self.text.drain(..from + end).skip(from).collect();
        let mut event = Event::default();
        for line in block.lines() {
            match line.split_once(": ") {
                Some(("event", name)) => name.clone_into(&mut event.name),
                Some(("id", id)) => event.id = id.parse().ok(),
                Some(("data", data)) => data.clone_into(&mut event.data),
                _ => {}
            }
        }
        Some(event)
    }

    async fn next_named(&mut self, name: &str) -> Event {
        loop {
            let event = self.next().await;
            if event.name == name {
                return event;
            }
        }
    }

    /// Reads facts until this number came, and gives all numbers in order.
    async fn numbers_to(&mut self, last: u64) -> Vec<u64> {
        let mut all = Vec::new();
        while all.last() != Some(&last) {
            let event = self.next_named("facts").await;
            let facts: Vec<serde_json::Value> = serde_json::from_str(&event.data).unwrap();
            all.extend(facts.iter().map(|fact| fact["seq"].as_u64().unwrap()));
            assert_eq!(event.id, all.last().copied());
        }
        all
    }
}

fn add(server: &Running, count: u64) {
    let node = Node::User("alice".into());
    let kinds = (0..count).map(|n| scene::door_used(n, Purpose::Visit, "external"));
    server.journal.add(Time::from_us(1), &node, kinds);
}

#[tokio::test]
async fn a_reader_that_comes_back_gets_each_fact_once() {
    let server = start().await;
    add(&server, 5);
    let mut reader = Reader::open(&server, "?since=0", "").await;
    assert_eq!(reader.numbers_to(5).await, [1, 2, 3, 4, 5]);
    drop(reader);
    add(&server, 2_500);
    // A browser repeats its first address and adds what it saw last.
    let mut reader = Reader::open(&server, "?since=0", "Last-Event-ID: 5\r\n").await;
    let numbers = reader.numbers_to(2_505).await;
    assert_eq!(numbers, (6..=2_505).collect::<Vec<_>>());
    add(&server, 3);
    assert_eq!(reader.numbers_to(2_508).await, [2_506, 2_507, 2_508]);
    server.stop().await;
}

#[tokio::test]
async fn a_reader_without_a_number_begins_now() {
    let server = start().await;
    add(&server, 5);
    let mut reader = Reader::open(&server, "", "").await;
    let snapshot = reader.next().await;
    assert_eq!(snapshot.name, "snapshot");
    assert!(snapshot.data.contains("\"seq\":5"));
    add(&server, 1);
    assert_eq!(reader.numbers_to(6).await, [6]);
    let snapshot = reader.next_named("snapshot").await;
    assert!(snapshot.data.contains("\"seq\":6"));
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_longer_kept_is_an_overflow_and_the_stream_goes_on() {
    let server = start().await;
    add(&server, u64::try_from(FACTS_MAX).unwrap() + 2);
    let last = u64::try_from(FACTS_MAX).unwrap() + 2;
    let mut reader = Reader::open(&server, "?since=1", "").await;
    let first = reader.next().await;
    assert_eq!((first.name.as_str(), first.id), ("overflow", Some(last)));
    assert_eq!(reader.next().await.name, "snapshot");
    add(&server, 1);
    assert_eq!(reader.numbers_to(last + 1).await, [last + 1]);
    // The twin: one fact later nothing is missing.
    let mut reader = Reader::open(&server, "?since=3", "").await;
    assert_eq!(reader.next().await.name, "facts");
    server.stop().await;
}

#[tokio::test]
async fn a_number_of_an_earlier_run_is_an_overflow() {
    let server = start().await;
    add(&server, 3);
    let last = format!("Last-Event-ID: {}\r\n", u64::MAX);
    let mut reader = Reader::open(&server, "", &last).await;
    let first = reader.next().await;
    assert_eq!((first.name.as_str(), first.id), ("overflow", Some(3)));
    let mut reader = Reader::open(&server, "?since=900", "").await;
    let first = reader.next().await;
    assert_eq!((first.name.as_str(), first.id), ("overflow", Some(3)));
    add(&server, 1);
    assert_eq!(reader.numbers_to(4).await, [4]);
    server.stop().await;
}

#[tokio::test]
async fn the_thirty_third_reader_is_turned_away_until_one_leaves() {
    let server = start().await;
    add(&server, 1);
    let mut readers = Vec::new();
    for _ in 0..32 {
        let mut reader = Reader::open(&server, "?since=0", "").await;
        reader.next().await;
        readers.push(reader);
    }
    let answer = server.ask("GET /api/facts", &[], "").await;
    assert_eq!(answer.status, 503);
    assert!(answer.has("content-type: application/problem+json"));
    readers.pop();
    let freed = async {
        loop {
            let mut reader = Reader::open(&server, "?since=0", "Connection: close\r\n").await;
            let mut first = [0; 12];
            reader.stream.read_exact(&mut first).await.unwrap();
            if &first == b"HTTP/1.1 200" {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, freed)
        .await
        .expect("a place comes free");
    server.stop().await;
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_cut() {
    let server = start().await;
    add(&server, u64::try_from(FACTS_MAX).unwrap());
    let mut stuck = Reader::open(&server, "?since=0", "").await;
    let mut reader = Reader::open(&server, "", "").await;
    reader.next().await;
    // All places but these two are free; the stuck one comes free too.
    let free = async {
        let mut others = Vec::new();
        while others.len() < 31 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            let mut other = Reader::open(&server, "?since=99999", "Connection: close\r\n").await;
            let mut first = [0; 12];
            other.stream.read_exact(&mut first).await.unwrap();
            if &first == b"HTTP/1.1 200" {
                others.push(other);
            }
        }
    };
    tokio::time::timeout(PATIENCE, free)
        .await
        .expect("the stuck reader leaves");
    let mut rest = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stuck.stream.read_to_end(&mut rest)).await;
    let _reset = read.expect("its connection ended");
    assert!(
        rest.len() < 30_000_000,
        "{} bytes waited for it",
        rest.len()
    );
    // The twin goes on.
    add(&server, 1);
    let next = u64::try_from(FACTS_MAX).unwrap() + 1;
    assert_eq!(reader.numbers_to(next).await, [next]);
    server.stop().await;
}

#[tokio::test]
async fn a_wrong_number_is_a_bad_request() {
    let server = start().await;
    for line in ["GET /api/facts?since=x", "GET /api/facts?since=-1"] {
        assert_eq!(server.ask(line, &[], "").await.status, 400, "{line}");
    }
    let header = ["Last-Event-ID: x"];
    assert_eq!(server.ask("GET /api/facts", &header, "").await.status, 400);
    server.stop().await;
}

#[tokio::test]
async fn a_lab_that_ends_says_so_to_its_readers() {
    let server = start().await;
    let mut reader = Reader::open(&server, "?since=0", "").await;
    reader.next().await;
    server.shutdown.cancel();
    assert_eq!(reader.next_named("ended").await.data, "{}");
    server.stop().await;
}

#[tokio::test]
async fn metrics_are_the_snapshot_in_prometheus_text() {
    let server = start().await;
    let node = Node::User("alice".into());
    let at = Time::from_us(1);
    server
        .journal
        .add(at, &node, [scene::door_used(1, Purpose::Visit, "internal")]);
    server
        .journal
        .add(at, &node, [scene::visited(1, "orders", "external", "2")]);
    let counted = Kind::DnsCounted {
        view: Some("public".into()),
        rule: Some("any".into()),
        rcode: "NOERROR".into(),
        count: 7,
    };
    server.journal.add(at, &Node::Dns, [counted]);
    let answer = server.ask("GET /metrics", &[], "").await;
    assert!(answer.has("content-type: text/plain; version=0.0.4"));
    for line in [
        "twodoors_dns_queries_total{view=\"public\",rule=\"any\",rcode=\"NOERROR\"} 7",
        "twodoors_balancer_connections{balancer=\"internal\"} 0",
        "twodoors_balancer_bytes_total{balancer=\"external\",direction=\"down\"} 0",
        "twodoors_proxy_up{proxy=\"1\"} 0",
        "twodoors_proxy_state{proxy=\"1\",state=\"ready\"} 1",
        "twodoors_tunnels{agent=\"orders\",proxy=\"3\"} 0",
        "twodoors_misrouted_total 0",
        "twodoors_visits_answered_total{user=\"alice\",balancer=\"external\"} 1",
        "twodoors_mesh_tunnels_full 12",
    ] {
        assert!(
            answer.body.lines().any(|found| found == line),
            "{line}\n{}",
            answer.body
        );
    }
    let mut named = "";
    for line in answer.body.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').unwrap();
            assert!(
                name.starts_with("twodoors_") && text.ends_with('.'),
                "{line}"
            );
            named = name;
        } else if !line.starts_with('#') {
            assert!(line.starts_with(named), "{line} stands under {named}");
        }
    }
    server.stop().await;
}
