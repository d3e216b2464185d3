//! The loops of UDP and TCP around a toy that echoes: addresses, order, limits, endings.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use twodoors::live::dns::carry::{Answerer, Asked, Limits, Reply, Respond, Responders};
use twodoors::live::dns::proxy::Trusted;
use twodoors::live::dns::server::Server;
use twodoors::live::proxy_protocol::{header, local};
use twodoors::model::time::Span;

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// A limit that a test waits for.
const SOON: Duration = Duration::from_millis(200);

type Waiting = Arc<Mutex<Vec<(Vec<u8>, Answerer)>>>;

/// Echoes the message as a response, with who asked whom behind it. The first letter of the name
/// says how: `d` waits for a `g`, `n` gets nothing, `b` is big, `l` comes later.
#[derive(Clone, Default)]
struct Toy {
    waiting: Waiting,
}

impl Responders for Toy {
    fn responder(&self) -> Box<dyn Respond> {
        Box::new(self.clone())
    }
}

impl Respond for Toy {
    fn respond(&mut self, asked: Asked<'_>, out: &mut [u8]) -> Reply {
        let mut answer = asked.message.to_vec();
        answer[2] |= 0x80;
        answer.extend(format!(" {} {}", asked.from, asked.via.destination).bytes());
        let letter = asked.message.get(13).copied().unwrap_or(b'a');
        if letter == b'b' {
            answer.resize(out.len(), 0);
        }
        out[..answer.len()].copy_from_slice(&answer);
        match letter {
            b'd' => match asked.answerer() {
                Some(answerer) => {
                    self.waiting.lock().unwrap().push((answer, answerer));
                    Reply::Deferred
                }
                None => Reply::Nothing,
            },
            b'n' => Reply::Nothing,
            b'l' => Reply::Later(answer.len(), Span::from_ms(1)),
            b'g' => {
                for (answer, answerer) in self.waiting.lock().unwrap().drain(..) {
                    answerer.send(&answer);
                }
                Reply::Now(answer.len())
            }
            _ => Reply::Now(answer.len()),
        }
    }
}

struct Running {
    addresses: Vec<SocketAddr>,
    toy: Toy,
    stop: CancellationToken,
    task: JoinHandle<std::io::Result<()>>,
}

fn start(listen: &str, limits: Limits, trusted: &[&str]) -> Running {
    let trusted: Vec<_> = trusted.iter().map(|one| one.parse().unwrap()).collect();
    let listen = listen.parse().unwrap();
    let server = Server::bind(&[listen], limits, Trusted::new(&trusted)).unwrap();
    let (addresses, toy, stop) = (server.addresses(), Toy::default(), CancellationToken::new());
    let (responders, token) = (toy.clone(), stop.clone());
    #[expect(clippy::disallowed_methods, reason = "the test owns the task")]
    let task = tokio::spawn(async move { server.run(&responders, token).await });
    Running {
        addresses,
        toy,
        stop,
        task,
    }
}

impl Running {
    fn at(&self, ip: &str) -> SocketAddr {
        SocketAddr::new(ip.parse::<IpAddr>().unwrap(), self.addresses[0].port())
    }

    async fn end(self) {
        self.stop.cancel();
        within(self.task).await.unwrap().unwrap();
    }
}

async fn within<F: IntoFuture>(future: F) -> F::Output {
    let waited = tokio::time::timeout(PATIENCE, future).await;
    waited.expect("it takes less than our patience")
}

/// A query whose name begins with this letter.
fn query(id: u8, letter: u8) -> Vec<u8> {
    let header = [0, id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    [&header[..], &[1, letter, 0, 0, 1, 0, 1]].concat()
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap();
    [&length.to_be_bytes(), message].concat()
}

/// Gives the id of an answer and what the toy saw.
fn read(answer: &[u8]) -> (u8, String) {
    assert_eq!(answer[2] & 0x80, 0x80, "not a response");
    (
        answer[1],
        String::from_utf8_lossy(&answer[19..]).trim().into(),
    )
}

async fn udp(from: &str) -> UdpSocket {
    UdpSocket::bind((from.parse::<IpAddr>().unwrap(), 0))
        .await
        .unwrap()
}

async fn receive(socket: &UdpSocket) -> (u8, String, SocketAddr) {
    let mut buffer = [0; 5_000];
    let (length, from) = within(socket.recv_from(&mut buffer)).await.unwrap();
    let (id, seen) = read(&buffer[..length]);
    (id, seen, from)
}

async fn tcp(to: SocketAddr) -> TcpStream {
    within(TcpStream::connect(to)).await.unwrap()
}

async fn next(stream: &mut TcpStream) -> (u8, String) {
    let length = within(stream.read_u16()).await.unwrap();
    let mut answer = vec![0; length.into()];
    within(stream.read_exact(&mut answer)).await.unwrap();
    read(&answer)
}

/// Waits for the end of a connection, whichever way it ends; gives how much came before.
async fn ended(stream: &mut TcpStream) -> usize {
    let mut all = 0;
    let mut buffer = vec![0; 65_536];
    while let Ok(count @ 1..) = within(stream.read(&mut buffer)).await {
        all += count;
    }
    all
}

#[tokio::test]
async fn a_datagram_is_answered_from_the_address_that_was_asked() {
    for (listen, asked) in [
        ("127.0.0.1:0", "127.0.0.1"),
        ("0.0.0.0:0", "127.200.61.2"),
        ("0.0.0.0:0", "127.200.61.3"),
        ("[::]:0", "::1"),
    ] {
        let server = start(listen, Limits::default(), &[]);
        let client = udp(if asked.contains(':') {
            "::1"
        } else {
            "127.0.0.1"
        })
        .await;
        let to = server.at(asked);
        for (id, letter) in [(1, b'a'), (2, b'l'), (3, b'd'), (4, b'a')] {
            client.send_to(&query(id, letter), to).await.unwrap();
            if letter == b'd' {
                let waiting = Arc::clone(&server.toy.waiting);
                crate::support::eventually("the query waits", || {
                    waiting
                        .lock()
                        .unwrap()
                        .pop()
                        .map(|(answer, answerer)| answerer.send(&answer))
                })
                .await;
            }
            let seen = format!("{} {to}", client.local_addr().unwrap());
            assert_eq!(receive(&client).await, (id, seen, to), "{listen}");
        }
        server.end().await;
    }
}

#[tokio::test]
async fn garbage_and_responses_get_no_answer_however_many_they_are() {
    let server = start("127.0.0.1:0", Limits::default(), &[]);
    let client = udp("127.0.0.1").await;
    let mut response = query(1, b'a');
    response[2] |= 0x80;
    for _ in 0..2_000 {
        for bytes in [&response[..], &response[..11], &[], &[0; 4_097]] {
            client.send_to(bytes, server.addresses[0]).await.unwrap();
        }
    }
    // The flood may have filled the receive buffer, which loses this one as any network would.
    let id = within(async {
        loop {
            client
                .send_to(&query(7, b'a'), server.addresses[0])
                .await
                .unwrap();
            if let Ok((id, ..)) = tokio::time::timeout(SOON, receive(&client)).await {
                return id;
            }
        }
    });
    assert_eq!(id.await, 7);
    server.end().await;
}

#[tokio::test]
async fn each_of_many_datagrams_is_answered() {
    for batches in [true, false] {
        let limits = Limits {
            batches,
            ..Limits::default()
        };
        many(start("127.0.0.1:0", limits, &[])).await;
    }
}

async fn many(server: Running) {
    let client = udp("127.0.0.1").await;
    for round in 0..20 {
        for id in 0..64 {
            client
                .send_to(&query(id, b'a'), server.addresses[0])
                .await
                .unwrap();
        }
        let mut seen = [false; 64];
        for _ in 0..64 {
            seen[usize::from(receive(&client).await.0)] = true;
        }
        assert_eq!(seen, [true; 64], "round {round}");
    }
    server.end().await;
}

#[tokio::test]
async fn pipelined_queries_are_all_answered_though_the_client_ended() {
    let server = start("127.0.0.1:0", Limits::default(), &[]);
    let mut client = tcp(server.addresses[0]).await;
    let all: Vec<u8> = (0..200).flat_map(|id| framed(&query(id, b'a'))).collect();
    let late = framed(&query(200, b'l'));
    within(client.write_all(&[all, late].concat()))
        .await
        .unwrap();
    within(client.shutdown()).await.unwrap();
    for id in 0..=200 {
        assert_eq!(next(&mut client).await.0, id);
    }
    assert_eq!(ended(&mut client).await, 0);
    server.end().await;
}

#[tokio::test]
async fn answers_come_out_of_order_when_one_waits() {
    let server = start("127.0.0.1:0", Limits::default(), &[]);
    let mut client = tcp(server.addresses[0]).await;
    let all = [(1, b'd'), (2, b'a'), (3, b'n'), (4, b'g')];
    for (id, letter) in all {
        within(client.write_all(&framed(&query(id, letter))))
            .await
            .unwrap();
    }
    for id in [2, 4, 1] {
        assert_eq!(next(&mut client).await.0, id);
    }
    server.end().await;
}

#[tokio::test]
async fn queries_in_flight_are_bounded_and_go_on_when_one_is_answered() {
    let limits = Limits {
        in_flight_max: 2,
        ..Limits::default()
    };
    let server = start("127.0.0.1:0", limits, &[]);
    let mut client = tcp(server.addresses[0]).await;
    let all = (1..=5).map(|id| framed(&query(id, b'd')));
    within(client.write_all(&all.collect::<Vec<_>>().concat()))
        .await
        .unwrap();
    let waiting = Arc::clone(&server.toy.waiting);
    for id in 1..=5 {
        let enough = if id < 5 { 2 } else { 1 };
        let (answer, answerer) = crate::support::eventually("queries wait", || {
            let mut waiting = waiting.lock().unwrap();
            assert!(waiting.len() <= 2, "more than may");
            (waiting.len() == enough).then(|| waiting.remove(0))
        })
        .await;
        answerer.send(&answer);
        assert_eq!(next(&mut client).await.0, id);
    }
    server.end().await;
}

#[tokio::test]
async fn who_is_silent_or_slow_is_cut() {
    let limits = |first_query, idle, message| Limits {
        first_query,
        idle,
        message,
        ..Limits::default()
    };
    let whole = framed(&query(1, b'a'));
    // First query, half a message after a whole one, and nothing after a whole one.
    for (limits, sent, answers) in [
        (limits(SOON, PATIENCE, PATIENCE), whole[..9].to_vec(), 0),
        (
            limits(PATIENCE, PATIENCE, SOON),
            [&whole[..], &whole[..5]].concat(),
            1,
        ),
        (limits(PATIENCE, SOON, PATIENCE), whole.clone(), 1),
    ] {
        let server = start("127.0.0.1:0", limits, &[]);
        let mut client = tcp(server.addresses[0]).await;
        within(client.write_all(&sent)).await.unwrap();
        for _ in 0..answers {
            assert_eq!(next(&mut client).await.0, 1);
        }
        assert_eq!(ended(&mut client).await, 0);
        server.end().await;
    }
}

#[tokio::test]
async fn who_does_not_read_is_cut_and_costs_a_bounded_backlog() {
    let limits = Limits {
        write: SOON,
        ..Limits::default()
    };
    let server = start("127.0.0.1:0", limits, &[]);
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut client = within(socket.connect(server.addresses[0])).await.unwrap();
    let all: Vec<u8> = (0..=255).flat_map(|id| framed(&query(id, b'b'))).collect();
    // Once cut, writing fails too.
    while within(client.write_all(&all)).await.is_ok() {}
    let came = ended(&mut client).await;
    assert!(came < 256 * 65_537, "{came} bytes were written to nobody");
    server.end().await;
}

#[tokio::test]
async fn too_many_connections_close_the_longest_idle_one() {
    let limits = Limits {
        connections_max: 2,
        ..Limits::default()
    };
    let server = start("127.0.0.1:0", limits, &[]);
    let mut first = tcp(server.addresses[0]).await;
    within(first.write_all(&framed(&query(1, b'd'))))
        .await
        .unwrap();
    let waiting = Arc::clone(&server.toy.waiting);
    crate::support::eventually("it waits", || {
        (waiting.lock().unwrap().len() == 1).then_some(())
    })
    .await;
    let mut second = tcp(server.addresses[0]).await;
    within(second.write_all(&framed(&query(2, b'a'))))
        .await
        .unwrap();
    assert_eq!(next(&mut second).await.0, 2);
    let mut third = tcp(server.addresses[0]).await;
    within(third.write_all(&framed(&query(3, b'g'))))
        .await
        .unwrap();
    assert_eq!(next(&mut third).await.0, 3);
    assert_eq!(ended(&mut second).await, 0, "it made room");
    assert_eq!(next(&mut first).await.0, 1, "it had a query to answer");
    server.end().await;
}

#[tokio::test]
async fn a_stopping_server_answers_what_it_has_received() {
    let server = start("127.0.0.1:0", Limits::default(), &[]);
    let mut stream = tcp(server.addresses[0]).await;
    within(stream.write_all(&framed(&query(1, b'd'))))
        .await
        .unwrap();
    let waiting = Arc::clone(&server.toy.waiting);
    let (answer, answerer) =
        crate::support::eventually("it waits", || waiting.lock().unwrap().pop()).await;
    let client = udp("127.0.0.1").await;
    for id in 0..50 {
        client
            .send_to(&query(id, b'a'), server.addresses[0])
            .await
            .unwrap();
    }
    server.stop.cancel();
    answerer.send(&answer);
    assert_eq!(next(&mut stream).await.0, 1);
    assert_eq!(ended(&mut stream).await, 0);
    for _ in 0..50 {
        receive(&client).await;
    }
    server.end().await;
}

#[tokio::test]
async fn the_client_behind_a_trusted_proxy_is_the_one_who_asks() {
    let server = start("127.0.0.1:0", Limits::default(), &["127.200.62.0/24"]);
    let to = server.addresses[0];
    let (client, asked) = (
        "192.0.2.7:99".parse().unwrap(),
        "192.0.2.53:53".parse().unwrap(),
    );
    let front = header(client, asked);
    let proxy = udp("127.200.62.1").await;
    let own = proxy.local_addr().unwrap();
    // Malformed ones get no answer: what comes next is the answer to the next.
    for wrong in [query(1, b'a'), front[..20].to_vec(), front.clone()] {
        proxy.send_to(&wrong, to).await.unwrap();
    }
    proxy
        .send_to(&[front.clone(), query(2, b'a')].concat(), to)
        .await
        .unwrap();
    let seen = format!("{client} {asked}");
    assert_eq!(receive(&proxy).await, (2, seen.clone(), to));
    proxy
        .send_to(&[local(), query(3, b'a')].concat(), to)
        .await
        .unwrap();
    assert_eq!(receive(&proxy).await, (3, format!("{own} {to}"), to));

    let connect = || async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.200.62.1:0".parse().unwrap()).unwrap();
        within(socket.connect(to)).await.unwrap()
    };
    let mut stream = connect().await;
    for byte in [front.clone(), framed(&query(4, b'a'))].concat() {
        within(stream.write_all(&[byte])).await.unwrap();
    }
    assert_eq!(next(&mut stream).await, (4, seen));
    let mut stream = connect().await;
    within(stream.write_all(&framed(&query(5, b'a'))))
        .await
        .unwrap();
    assert_eq!(ended(&mut stream).await, 0, "a header was due");
    server.end().await;
}
