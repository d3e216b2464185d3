//! One question to another server: by datagram from a fresh port, by stream when the answer was cut.

pub(super) mod race;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, Query};
use hickory_proto::rr::{Name, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, UdpSocket};
use tokio::time::timeout;

use crate::policy::answer::PAYLOAD_MAX;
use crate::policy::resolver::{FORWARD_TIMEOUT, FORWARD_TRIES, Reply};

/// Asks until there is an answer, as often as the policy says.
pub(super) async fn ask(
    server: SocketAddr,
    from: IpAddr,
    name: &Name,
    record_type: RecordType,
) -> io::Result<Reply> {
    let mut last = io::Error::from(io::ErrorKind::TimedOut);
    for _ in 0..FORWARD_TRIES {
        let limit = Duration::from(FORWARD_TIMEOUT);
        match timeout(limit, once(server, from, name, record_type)).await {
            Ok(Ok(reply)) => return Ok(reply),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

/// Asks once, and takes of the answer what a resolver needs.
async fn once(
    server: SocketAddr,
    from: IpAddr,
    name: &Name,
    record_type: RecordType,
) -> io::Result<Reply> {
    let question = question(name, record_type, false);
    let answer = exchange(server, from, &question).await?;
    let rcode = answer.metadata.response_code;
    Ok(Reply::from_sections(
        rcode,
        answer.answers,
        answer.authorities,
    ))
}

/// Makes a question; `recursion` tells whether the server is to ask others in its turn.
fn question(name: &Name, record_type: RecordType, recursion: bool) -> Message {
    let mut question = Message::query();
    question.metadata.recursion_desired = recursion;
    question.add_query(Query::query(name.clone(), record_type));
    let mut edns = Edns::new();
    edns.set_max_payload(PAYLOAD_MAX);
    question.set_edns(edns);
    question
}

/// Sends a question from an address, over TCP when the answer did not fit, and waits without an end.
pub(super) async fn exchange(
    server: SocketAddr,
    from: IpAddr,
    question: &Message,
) -> io::Result<Message> {
    let answer = by_datagram(server, from, question).await?;
    if answer.metadata.truncation {
        return by_stream(server, from, question).await;
    }
    Ok(answer)
}

async fn by_datagram(server: SocketAddr, from: IpAddr, question: &Message) -> io::Result<Message> {
    let socket = UdpSocket::bind((from, 0)).await?;
    socket.connect(server).await?;
    socket.send(&bytes(question)?).await?;
    let mut buffer = vec![0; usize::from(PAYLOAD_MAX)];
    loop {
        let length = socket.recv(&mut buffer).await?;
        let read = buffer.get(..length).map(Message::from_vec);
        // What is no answer to this question may be a late one to another, or somebody's guess.
        if let Some(Ok(answer)) = read
            && answers(&answer, question)
        {
            return Ok(answer);
        }
    }
}

async fn by_stream(server: SocketAddr, from: IpAddr, question: &Message) -> io::Result<Message> {
    let socket = if server.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    socket.bind(SocketAddr::new(from, 0))?;
    let mut stream = socket.connect(server).await?;
    let bytes = bytes(question)?;
    let length = u16::try_from(bytes.len()).map_err(io::Error::other)?;
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(&bytes).await?;
    let mut buffer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut buffer).await?;
    let answer = Message::from_vec(&buffer).map_err(io::Error::other)?;
    if answers(&answer, question) {
        return Ok(answer);
    }
    Err(io::Error::other("the answer is to another question"))
}

fn bytes(message: &Message) -> io::Result<Vec<u8>> {
    message.to_vec().map_err(io::Error::other)
}

/// Tells whether this is an answer to that question.
fn answers(answer: &Message, question: &Message) -> bool {
    // A question that comes back is none.
    answer.metadata.message_type == MessageType::Response
        && answer.metadata.id == question.metadata.id
        && answer.queries == question.queries
}
