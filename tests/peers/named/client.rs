//! A client that asks from an address of its own, by datagram and over streams that it keeps.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use hickory_proto::op::Message;
use socket2::{Domain, Protocol, Socket, Type};

/// Asks from one address; keeps its streams.
pub(super) struct Client {
    pub(super) from: IpAddr,
    datagrams: UdpSocket,
    pub(super) streams: BTreeMap<SocketAddr, TcpStream>,
    patience: Duration,
}

impl Client {
    pub(super) fn new(from: &str, patience: Duration) -> Self {
        let from: IpAddr = from.parse().unwrap();
        let datagrams = UdpSocket::bind((from, 0)).unwrap();
        datagrams.set_read_timeout(Some(patience)).unwrap();
        let streams = BTreeMap::new();
        Self {
            from,
            datagrams,
            streams,
            patience,
        }
    }

    pub(super) fn udp(&mut self, server: SocketAddr, message: &[u8]) -> Option<Vec<u8>> {
        self.datagrams.send_to(message, server).unwrap();
        let mut answer = vec![0; 65_535];
        loop {
            let (length, from) = self.datagrams.recv_from(&mut answer).ok()?;
            // An answer that came too late for its question is not this one's.
            if from == server && answer[..2] == message[..2] {
                answer.truncate(length);
                return Some(answer);
            }
        }
    }

    fn tcp(&mut self, server: SocketAddr, message: &[u8]) -> Option<Vec<u8>> {
        let (from, patience) = (self.from, self.patience);
        let stream = self.streams.entry(server).or_insert_with(|| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).unwrap();
            socket.bind(&SocketAddr::new(from, 0).into()).unwrap();
            socket.connect(&server.into()).unwrap();
            socket.set_tcp_nodelay(true).unwrap();
            socket.set_read_timeout(Some(patience)).unwrap();
            socket.into()
        });
        let mut framed = u16::try_from(message.len()).unwrap().to_be_bytes().to_vec();
        framed.extend(message);
        stream.write_all(&framed).ok()?;
        let mut length = [0; 2];
        stream.read_exact(&mut length).ok()?;
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut answer).ok()?;
        Some(answer)
    }

    pub(super) fn ask(&mut self, server: SocketAddr, message: &Message, tcp: bool) -> Message {
        let bytes = message.to_vec().unwrap();
        let answer = if tcp {
            self.tcp(server, &bytes)
        } else {
            self.udp(server, &bytes)
        };
        let answer = answer.unwrap_or_else(|| panic!("{server} does not answer {message}"));
        Message::from_vec(&answer).unwrap_or_else(|error| panic!("{server}: {error}"))
    }
}
