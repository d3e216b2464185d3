//! What goes over the wire: a tap between door and proxy that needs no privilege, the streams of a
//! packet capture, and the check that they hold TLS and nothing else.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How every PROXY header of version 2 begins (proxy-protocol.txt, 2.2).
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The longest body of a TLS record: 2^14 and what encryption may add (RFC 8446, 5.2).
const RECORD_MAX: usize = (1 << 14) + 256;

/// A PROXY header as the bytes say it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// The sender speaks for itself: a check.
    Local,
    /// For a client that connected to a destination.
    Proxy {
        client: SocketAddrV4,
        destination: SocketAddrV4,
    },
}

/// Takes the PROXY header off the beginning of a stream.
pub(super) fn header(bytes: &[u8]) -> Result<(Header, &[u8]), String> {
    let rest = bytes.strip_prefix(SIGNATURE);
    let rest =
        rest.ok_or_else(|| format!("no PROXY header: {:02x?}", &bytes[..bytes.len().min(16)]))?;
    let [command, _, high, low, rest @ ..] = rest else {
        return Err(String::from("the PROXY header ends early"));
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    let (body, rest) = rest
        .split_at_checked(length)
        .ok_or("the PROXY header ends early")?;
    let address = |at: usize, port: usize| {
        let ip: [u8; 4] = body[at..at + 4].try_into().unwrap();
        let port = u16::from_be_bytes([body[port], body[port + 1]]);
        SocketAddrV4::new(Ipv4Addr::from(ip), port)
    };
    match (command, length) {
        (0x20, _) => Ok((Header::Local, rest)),
        (0x21, 12) => {
            let (client, destination) = (address(0, 8), address(4, 10));
            Ok((
                Header::Proxy {
                    client,
                    destination,
                },
                rest,
            ))
        }
        _ => Err(format!("command {command:02x} with {length} bytes")),
    }
}

/// Walks a direction record by record; gives how many there are. The last one may be unfinished.
pub(super) fn only_tls(mut bytes: &[u8]) -> Result<usize, String> {
    let mut records = 0;
    while !bytes.is_empty() {
        let [kind, major, minor, high, low, rest @ ..] = bytes else {
            break;
        };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        // change_cipher_spec, alert, handshake, application_data.
        if !(20..=23).contains(kind) || *major != 3 || *minor > 4 || length > RECORD_MAX {
            return Err(format!("record {records} begins with {:02x?}", &bytes[..5]));
        }
        records += 1;
        bytes = rest.get(length..).unwrap_or_default();
    }
    Ok(records)
}

/// Both directions of one connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Exchange {
    /// What the one who connected said.
    pub(super) up: Vec<u8>,
    /// What it was told.
    pub(super) down: Vec<u8>,
}

/// Stands where a stopped proxy stood, keeps what the doors say to it, and passes it on to another.
pub(super) struct Tap {
    listen: SocketAddr,
    exchanges: Arc<Mutex<Vec<Exchange>>>,
    stop: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Tap {
    pub(super) fn open(listen: SocketAddr, target: SocketAddr) -> Self {
        let listener = TcpListener::bind(listen).unwrap();
        let (exchanges, stop) = (Arc::default(), Arc::<AtomicBool>::default());
        let (kept, ended) = (Arc::clone(&exchanges), Arc::clone(&stop));
        let accepting = thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if ended.load(Ordering::Relaxed) {
                    break;
                }
                carry(&client, target, &kept, &ended);
            }
        });
        Self {
            listen,
            exchanges,
            stop,
            accepting: Some(accepting),
        }
    }

    /// Gives what was said so far.
    pub(super) fn exchanges(&self) -> Vec<Exchange> {
        self.exchanges.lock().unwrap().clone()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // The last connection wakes the listener, which then goes.
        let _ = TcpStream::connect(self.listen);
        let _ = self.accepting.take().map(JoinHandle::join);
    }
}

fn carry(
    client: &TcpStream,
    target: SocketAddr,
    exchanges: &Arc<Mutex<Vec<Exchange>>>,
    stop: &Arc<AtomicBool>,
) {
    let Ok(target) = TcpStream::connect(target) else {
        return;
    };
    let place = {
        let mut exchanges = exchanges.lock().unwrap();
        exchanges.push(Exchange::default());
        exchanges.len() - 1
    };
    for (from, to, up) in [(client, &target, true), (&target, client, false)] {
        let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        from.set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let (exchanges, stop) = (Arc::clone(exchanges), Arc::clone(stop));
        thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            while !stop.load(Ordering::Relaxed) {
                match from.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(count) => {
                        let exchange = &mut exchanges.lock().unwrap()[place];
                        let kept = if up {
                            &mut exchange.up
                        } else {
                            &mut exchange.down
                        };
                        kept.extend(&buffer[..count]);
                        if to.write_all(&buffer[..count]).is_err() {
                            break;
                        }
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(_) => break,
                }
            }
            let _ = to.shutdown(Shutdown::Write);
        });
    }
}

/// Puts the streams of a capture of loopback together, by the one who connected and the other.
/// Connections that were open before the capture are left out.
pub(super) fn streams(pcap: &[u8]) -> BTreeMap<(SocketAddrV4, SocketAddrV4), Exchange> {
    let little = pcap.starts_with(&[0xd4, 0xc3, 0xb2, 0xa1]);
    assert!(little, "a capture of this machine: {:02x?}", &pcap[..4]);
    let word = |at: usize| u32::from_le_bytes(pcap[at..at + 4].try_into().unwrap());
    assert_eq!(word(20), 1, "loopback is captured as Ethernet");
    let mut parts: BTreeMap<(SocketAddrV4, SocketAddrV4), BTreeMap<u32, &[u8]>> = BTreeMap::new();
    let mut starts: BTreeMap<(SocketAddrV4, SocketAddrV4), (u32, bool)> = BTreeMap::new();
    let mut at = 24;
    while at + 16 <= pcap.len() {
        let length = word(at + 8) as usize;
        let Some(packet) = pcap.get(at + 16..at + 16 + length) else {
            break;
        };
        at += 16 + length;
        let Some(segment) = Segment::read(packet) else {
            continue;
        };
        let way = (segment.from, segment.to);
        if segment.syn {
            // The other's answer to a SYN has ACK set too.
            starts.insert(way, (segment.number.wrapping_add(1), !segment.ack));
        } else if let (Some((start, _)), false) = (starts.get(&way), segment.payload.is_empty()) {
            let offset = segment.number.wrapping_sub(*start);
            parts
                .entry(way)
                .or_default()
                .insert(offset, segment.payload);
        }
    }
    let whole = |way| {
        let mut bytes = Vec::new();
        for (offset, payload) in parts.get(&way).into_iter().flatten() {
            // What was sent again is left out, and what the capture missed ends the stream.
            let skip = bytes.len().checked_sub(*offset as usize);
            let Some(skip) = skip else { break };
            bytes.extend(payload.get(skip..).unwrap_or_default());
        }
        bytes
    };
    let connected = starts.iter().filter(|(_, (_, first))| *first);
    connected
        .map(|((from, to), _)| {
            let exchange = Exchange {
                up: whole((*from, *to)),
                down: whole((*to, *from)),
            };
            ((*from, *to), exchange)
        })
        .collect()
}

struct Segment<'a> {
    from: SocketAddrV4,
    to: SocketAddrV4,
    number: u32,
    syn: bool,
    ack: bool,
    payload: &'a [u8],
}

impl<'a> Segment<'a> {
    /// Reads Ethernet, IPv4 and TCP; gives nothing for anything else.
    fn read(frame: &'a [u8]) -> Option<Self> {
        let packet = frame.get(12..)?.strip_prefix(&[8, 0])?;
        let total = usize::from(u16::from_be_bytes([*packet.get(2)?, *packet.get(3)?]));
        let (head, protocol) = (usize::from(packet[0] & 15) * 4, *packet.get(9)?);
        let ip = |at: usize| {
            Some(Ipv4Addr::from(
                <[u8; 4]>::try_from(packet.get(at..at + 4)?).ok()?,
            ))
        };
        let (source, destination) = (ip(12)?, ip(16)?);
        let tcp = packet.get(head..total)?;
        if protocol != 6 || tcp.len() < 20 {
            return None;
        }
        let port = |at: usize| u16::from_be_bytes([tcp[at], tcp[at + 1]]);
        Some(Self {
            from: SocketAddrV4::new(source, port(0)),
            to: SocketAddrV4::new(destination, port(2)),
            number: u32::from_be_bytes(tcp[4..8].try_into().ok()?),
            syn: tcp[13] & 2 != 0,
            ack: tcp[13] & 16 != 0,
            payload: tcp.get(usize::from(tcp[12] >> 4) * 4..)?,
        })
    }
}

#[test]
fn plain_text_and_a_late_header_are_not_taken_for_tls() {
    let record = [22, 3, 1, 0, 2, 1, 0, 23, 3, 3, 0, 1, 7];
    assert_eq!(only_tls(&record), Ok(2));
    assert!(only_tls(b"GET / HTTP/1.1\r\n").is_err());
    assert!(only_tls(&[&record[..], b"SSH-2.0-x\r\n"].concat()).is_err());
    assert!(header(&record).is_err());
    assert!(only_tls(&[SIGNATURE, &[0x20, 0, 0, 0]].concat()).is_err());
}

#[test]
fn a_header_is_read_to_its_end() {
    let body = [127, 0, 0, 9, 127, 0, 0, 2, 0, 80, 12, 8];
    let bytes = [SIGNATURE, &[0x21, 0x11, 0, 12], &body, b"rest"].concat();
    let (client, destination) = (
        "127.0.0.9:80".parse().unwrap(),
        "127.0.0.2:3080".parse().unwrap(),
    );
    let read = header(&bytes).unwrap();
    assert_eq!(
        read,
        (
            Header::Proxy {
                client,
                destination
            },
            &b"rest"[..]
        )
    );
    let local = [SIGNATURE, &[0x20, 0, 0, 0]].concat();
    assert_eq!(header(&local).unwrap(), (Header::Local, &b""[..]));
}
