//! A client that sends octets and gives those that come back.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use super::questions::message;

/// How long a server may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// The number of the question that follows a probe.
const AFTER: u16 = 0xfffe;

/// A client; it keeps its streams.
pub(super) struct Client {
    datagrams: UdpSocket,
    streams: BTreeMap<SocketAddr, TcpStream>,
}

impl Client {
    pub(super) fn new() -> Self {
        let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
        datagrams.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            datagrams,
            streams: BTreeMap::new(),
        }
    }

    /// Asks what is answered; `None` when it is not, within the patience, or the stream ends.
    pub(super) fn ask(&mut self, server: SocketAddr, query: &[u8], tcp: bool) -> Option<Vec<u8>> {
        if tcp {
            let answer = self.stream(server, query);
            if answer.is_some() {
                return answer;
            }
            // A server ends streams when it likes.
            self.streams.remove(&server);
            return self.stream(server, query);
        }
        self.datagrams.send_to(query, server).unwrap();
        self.datagram(server, |id| *id == query[..2])
    }

    /// Asks what may not be answered: a good question after it tells that nothing will come.
    pub(super) fn probe(&mut self, server: SocketAddr, query: &[u8], tcp: bool) -> Option<Vec<u8>> {
        if tcp {
            return self.stream(server, query);
        }
        self.datagrams.send_to(query, server).unwrap();
        let good = message(AFTER, 0, (b"\x06single\0", 6, 1), None);
        self.datagrams.send_to(&good, server).unwrap();
        let answer = self.datagram(server, |_| true)?;
        (answer[..2] != AFTER.to_be_bytes()).then_some(answer)
    }

    fn datagram(&self, server: SocketAddr, wanted: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
        let mut answer = vec![0; 65_535];
        loop {
            let (length, from) = self.datagrams.recv_from(&mut answer).ok()?;
            if from == server && length >= 2 && wanted(&answer[..2]) {
                answer.truncate(length);
                return Some(answer);
            }
        }
    }

    fn stream(&mut self, server: SocketAddr, query: &[u8]) -> Option<Vec<u8>> {
        let stream = self.streams.entry(server).or_insert_with(|| {
            let stream = TcpStream::connect(server).unwrap();
            stream.set_nodelay(true).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream
        });
        let mut framed = u16::try_from(query.len()).unwrap().to_be_bytes().to_vec();
        framed.extend(query);
        stream.write_all(&framed).ok()?;
        let mut length = [0; 2];
        stream.read_exact(&mut length).ok()?;
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut answer).ok()?;
        Some(answer)
    }
}
