//! What a client may take: time, bytes and places, each with a bound that ends it.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use twodoors::http::CONNECTIONS_MAX;
use twodoors::journal::FACTS_MAX;
use twodoors::model::fact::Purpose;
use twodoors::model::id::Node;
use twodoors::model::time::Time;

use super::super::{PATIENCE, Running, scene, start};

/// Connects with little room for what is not read, so that a peer soon finds none.
async fn narrow(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(8 * 1024).unwrap();
    socket.connect(address).await.unwrap()
}

/// Reads until the server closes, and gives the status.
async fn status(stream: &mut TcpStream) -> u16 {
    let mut all = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut all)).await;
    let _reset = read.expect("the server answers and closes in time");
    let head = String::from_utf8_lossy(&all);
    head.get(9..12)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0)
}

fn add(server: &Running, count: usize) {
    let node = Node::User("alice".into());
    let kinds = (0..count).map(|_| scene::door_used(1, Purpose::Visit, "external"));
    server.journal.add(Time::from_us(1), &node, kinds);
}

/// The head of a change that has the token, and a body of this length.
fn change(server: &Running, length: &str) -> String {
    format!(
        "POST /api/reload HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\n{length}\r\n\r\n",
        server.address,
        server.token.reveal()
    )
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let server = start().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = change(&server, "Content-Length: 2");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(b"{").await.unwrap();
    assert_eq!(status(&mut stream).await, 408);
    // The twin: the whole body is taken.
    assert_eq!(server.change("/api/reload").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_body_without_end_is_cut() {
    let server = start().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = change(&server, "Transfer-Encoding: chunked");
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
    let endless = async { while stream.write_all(chunk.as_bytes()).await.is_ok() {} };
    timeout(PATIENCE, endless).await.expect("it is cut in time");
    assert_eq!(server.change("/api/reload").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_body_of_one_without_the_token_is_not_waited_for() {
    let server = start().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST /api/reload HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
         Content-Length: 1000000000\r\n\r\n{{",
        server.address
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(status(&mut stream).await, 401);
    server.stop().await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let server = start().await;
    let long = |bytes: usize| "a".repeat(bytes);
    let fits = [
        (format!("GET /healthz?{}", long(32_000)), String::new()),
        (String::from("GET /healthz"), format!("X: {}", long(32_000))),
    ];
    for (line, header) in fits {
        assert_eq!(server.ask(&line, &[&header], "").await.status, 200);
    }
    let cases = [
        (format!("GET /healthz?{}", long(66_000)), String::new(), 414),
        (
            String::from("GET /healthz"),
            format!("X: {}", long(300_000)),
            431,
        ),
        (
            String::from("GET /healthz"),
            vec!["X: y"; 200].join("\r\n"),
            431,
        ),
    ];
    for (line, header, status) in cases {
        let answer = server.ask(&line, &[&header], "").await;
        // What was not read of it may take the answer along when the connection ends.
        let told = [0, status].contains(&answer.status);
        assert!(told, "{} {}: {answer:?}", line.len(), header.len());
    }
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_reads_no_answers_is_cut_and_others_are_served() {
    let server = start().await;
    let mut stuck = narrow(server.address).await;
    let request = format!("GET /main.js HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
    // It asks and asks and never reads: at last nothing of it is taken, and then it is cut.
    let asks = async { while stuck.write_all(request.as_bytes()).await.is_ok() {} };
    timeout(PATIENCE, asks).await.expect("it is cut in time");
    assert_eq!(server.ask("GET /main.js", &[], "").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn connections_that_say_nothing_leave_their_places_to_others() {
    let server = start().await;
    let mut idle = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        idle.push(TcpStream::connect(server.address).await.unwrap());
    }
    // Every place is taken, so this waits until one of them is dropped.
    assert_eq!(server.ask("GET /healthz", &[], "").await.status, 200);
    for mut stream in idle {
        assert_eq!(status(&mut stream).await, 0, "it is dropped without a word");
    }
    server.stop().await;
}

#[tokio::test]
async fn little_is_kept_for_a_slow_reader_which_is_told_what_it_missed() {
    /// What may wait for a reader: two events, what is being written, and the kernel's buffers.
    const KEPT_MAX: usize = 20_000;
    let server = start().await;
    add(&server, FACTS_MAX / 2);
    let mut slow = narrow(server.address).await;
    let head = format!(
        "GET /api/facts?since=0 HTTP/1.1\r\nHost: {}\r\n\r\n",
        server.address
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    let mut first = [0; 12];
    slow.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    add(&server, 2 * FACTS_MAX);
    let (mut text, mut bytes) = (Vec::new(), vec![0; 65_536]);
    while !String::from_utf8_lossy(&text).contains("event: overflow") {
        // What came before is counted and let go.
        let read = timeout(PATIENCE, slow.read(&mut bytes)).await;
        let read = read.expect("it is told in time").unwrap();
        assert_ne!(read, 0, "the stream ended");
        text.extend_from_slice(&bytes[..read]);
    }
    let told = String::from_utf8_lossy(&text);
    let kept = told.matches("\"seq\":").count();
    assert!(kept < KEPT_MAX, "{kept} facts waited for it");
    // The twin: it reads on and is served on.
    let newest = FACTS_MAX / 2 + 2 * FACTS_MAX;
    add(&server, 1);
    let next = format!("\"seq\":{}", newest + 1);
    let mut text = String::new();
    while !text.contains(&next) {
        let read = timeout(PATIENCE, slow.read(&mut bytes)).await;
        let read = read.expect("the next fact comes").unwrap();
        assert_ne!(read, 0, "the stream ended");
        text.push_str(&String::from_utf8_lossy(&bytes[..read]));
    }
    server.stop().await;
}
