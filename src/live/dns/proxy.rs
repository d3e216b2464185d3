//! PROXY protocol version 2 before DNS: at the front of each datagram and of each TCP connection.
//!
//! In go the first bytes and who sent them; out comes where DNS begins and who really asks. A sender
//! of the trusted list must send a header and nobody else may: were it optional, a client behind a
//! proxy that sends none could write its own (proxy-protocol.txt, section 5).

use std::net::SocketAddr;

use ipnet::IpNet;
use ppp::v2::{Addresses, Command, Header};

/// The fixed part of a header.
const FIXED: usize = 16;

/// The longest body that is read: two Unix paths take 216 bytes, the rest is room for extensions.
const BODY_MAX: usize = 1024;

/// Whose headers are believed.
#[derive(Clone, Debug, Default)]
pub struct Trusted(Vec<IpNet>);

/// What the front of a datagram or connection says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Front {
    /// It is not what this sender has to send.
    Malformed,
    /// It may become right with more bytes; a datagram gets no more.
    More,
    /// DNS begins after so many bytes.
    Read {
        /// The length of the header, 0 without one.
        length: usize,
        /// The client and the address it had asked; `None` when the sender speaks for itself.
        real: Option<(SocketAddr, SocketAddr)>,
    },
}

impl Trusted {
    /// Believes these senders.
    pub fn new(networks: &[IpNet]) -> Self {
        Self(networks.to_vec())
    }

    /// Tells whether this sender has to begin with a header.
    pub fn expects(&self, sender: SocketAddr) -> bool {
        !self.0.is_empty() && {
            let ip = sender.ip().to_canonical();
            self.0.iter().any(|network| network.contains(&ip))
        }
    }

    /// Reads the front of what `sender` sent.
    ///
    /// A header of somebody else is no DNS message and is met as such by who parses it: its first
    /// octets are an operation that is not served, so the answer is NOTIMP. Twelve octets for the 28
    /// or more of a header amplify nothing, and who set up a proxy that is not listed here sees at
    /// once that it is not believed; silence looks like a lost packet.
    pub fn read(&self, bytes: &[u8], sender: SocketAddr) -> Front {
        if !self.expects(sender) {
            return Front::Read {
                length: 0,
                real: None,
            };
        }
        let Some(fixed) = bytes.first_chunk::<FIXED>() else {
            return match Header::try_from(bytes) {
                Err(ppp::v2::ParseError::Incomplete(_)) => Front::More,
                _ => Front::Malformed,
            };
        };
        let body = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
        if body > BODY_MAX {
            return Front::Malformed;
        }
        let header = match Header::try_from(bytes) {
            Ok(header) => header,
            Err(ppp::v2::ParseError::Partial(..)) => return Front::More,
            Err(_) => return Front::Malformed,
        };
        let real = match (header.command, header.addresses) {
            (Command::Local, _) => None,
            (_, Addresses::IPv4(a)) => Some((
                (a.source_address, a.source_port).into(),
                (a.destination_address, a.destination_port).into(),
            )),
            (_, Addresses::IPv6(a)) => Some((
                canonical((a.source_address, a.source_port).into()),
                canonical((a.destination_address, a.destination_port).into()),
            )),
            // The sender does not know: its own address is all there is.
            (_, Addresses::Unix(_) | Addresses::Unspecified) => None,
        };
        Front::Read {
            length: FIXED + body,
            real,
        }
    }
}

/// Writes an IPv4 address in IPv6's clothes as what it is.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::proxy_protocol::{header, local};
    use crate::model::draw::Seed;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn trusted() -> Trusted {
        Trusted::new(&["10.0.0.0/8".parse().unwrap()])
    }

    #[test]
    fn each_truncated_header_waits_for_the_rest() {
        for (client, to) in [
            ("192.0.2.1:5353", "192.0.2.53:53"),
            ("[2001:db8::1]:5353", "[2001:db8::53]:53"),
        ] {
            let (client, to) = (address(client), address(to));
            let mut bytes = header(client, to);
            let sender = address("10.1.2.3:99");
            for end in 0..bytes.len() {
                assert_eq!(trusted().read(&bytes[..end], sender), Front::More, "{end}");
            }
            let length = bytes.len();
            bytes.extend(b"DNS");
            let real = Some((client, to));
            assert_eq!(trusted().read(&bytes, sender), Front::Read { length, real });
        }
    }

    #[test]
    fn who_is_trusted_must_send_one_and_nobody_else_is_believed() {
        let bytes = header(address("192.0.2.1:5353"), address("192.0.2.53:53"));
        let none = Front::Read {
            length: 0,
            real: None,
        };
        assert_eq!(trusted().read(&bytes, address("11.0.0.1:9")), none);
        let mapped = address("[::ffff:10.0.0.1]:9");
        assert_ne!(trusted().read(&bytes, mapped), none, "the same address");
        let query = [0xbe, 0xef, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let sender = address("10.0.0.1:9");
        assert_eq!(trusted().read(&query, sender), Front::Malformed);
        assert_eq!(Trusted::default().read(&query, sender), none);
    }

    #[test]
    fn a_local_header_keeps_the_sender() {
        let bytes = local();
        let length = bytes.len();
        let read = trusted().read(&bytes, address("10.0.0.1:9"));
        assert_eq!(read, Front::Read { length, real: None });
    }

    #[test]
    fn mutated_headers_never_panic_nor_reach_beyond_the_bytes() {
        let good = header(address("192.0.2.1:5353"), address("192.0.2.53:53"));
        let mut kinds = [0; 3];
        for round in 0..40_000_u64 {
            let draw = |what: &str, bound: usize| {
                let drawn = Seed(7).draw("front", what, round);
                usize::try_from(drawn % bound as u64).unwrap()
            };
            let mut bytes = good.clone();
            bytes.extend([0; 30]);
            let at = draw("at", bytes.len());
            bytes[at] = u8::try_from(draw("byte", 256)).unwrap();
            bytes.truncate(draw("end", bytes.len() + 1));
            match trusted().read(&bytes, address("10.0.0.1:9")) {
                Front::Malformed => kinds[0] += 1,
                Front::More => kinds[1] += 1,
                Front::Read { length, .. } => {
                    kinds[2] += 1;
                    assert!(length <= bytes.len(), "round {round}");
                }
            }
        }
        assert!(kinds.iter().all(|count| *count > 1_000), "{kinds:?}");
    }
}
