//! Asks the lab's DNS one question from an address, as `dig -b` would, and says what came back.
//!
//! Over UDP with EDNS, over TCP when the answer did not fit. There is no cache and no search list:
//! what is seen is what the server sends now.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, UdpSocket};
use tokio::time::timeout;

use crate::policy::answer::{PAYLOAD_MAX, rcode_word};
use crate::policy::zone::rdata_words;

/// How long one try waits; the server is on this machine, or a fault holds it up.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A datagram may be lost where buffers are full; a second loss is no accident.
const ATTEMPTS: u16 = 2;

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The response code.
    pub rcode: &'static str,
    /// The data of the records of the type asked, as a zone file has it.
    pub data: Vec<String>,
}

/// Asks for a name and type; `None` when there is no answer in time.
pub async fn ask(
    from: IpAddr,
    server: SocketAddr,
    name: &Name,
    record_type: RecordType,
) -> Option<Answered> {
    for id in 1..=ATTEMPTS {
        let query = query(id, name, record_type);
        let asking = async {
            let answer = over_udp(from, server, &query).await?;
            if answer.metadata.truncation {
                return over_tcp(from, server, &query).await;
            }
            Ok::<_, io::Error>(answer)
        };
        match timeout(TIMEOUT, asking).await {
            Ok(Ok(answer)) => return Some(read(&answer, record_type)),
            Ok(Err(error)) => tracing::debug!(%error, %from, "a question was not answered"),
            Err(_) => {}
        }
    }
    None
}

fn query(id: u16, name: &Name, record_type: RecordType) -> Message {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(name.clone(), record_type));
    let mut edns = Edns::new();
    edns.set_max_payload(PAYLOAD_MAX);
    message.edns = Some(edns);
    message
}

fn read(answer: &Message, record_type: RecordType) -> Answered {
    let records = answer.answers.iter();
    let records = records.filter(|record| record.record_type() == record_type);
    Answered {
        rcode: rcode_word(answer.metadata.response_code),
        data: records.map(|record| rdata_words(&record.data)).collect(),
    }
}

async fn over_udp(from: IpAddr, server: SocketAddr, query: &Message) -> io::Result<Message> {
    let socket = UdpSocket::bind(SocketAddr::new(from, 0)).await?;
    socket.connect(server).await?;
    socket.send(&bytes(query)?).await?;
    let mut buffer = [0; PAYLOAD_MAX as usize];
    loop {
        let length = socket.recv(&mut buffer).await?;
        // Whatever else comes is not the answer to this.
        if let Ok(answer) = Message::from_vec(&buffer[..length])
            && answer.metadata.id == query.metadata.id
        {
            return Ok(answer);
        }
    }
}

async fn over_tcp(from: IpAddr, server: SocketAddr, query: &Message) -> io::Result<Message> {
    let socket = if server.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    socket.bind(SocketAddr::new(from, 0))?;
    let mut stream = socket.connect(server).await?;
    let query = bytes(query)?;
    let length = u16::try_from(query.len()).map_err(io::Error::other)?;
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(&query).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    Message::from_vec(&answer).map_err(io::Error::other)
}

fn bytes(query: &Message) -> io::Result<Vec<u8>> {
    query.to_vec().map_err(io::Error::other)
}
