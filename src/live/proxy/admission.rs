//! Whether a connection may come with, or without, a PROXY header (reference 3.7).
//!
//! Teleport-signed headers are not modelled: their signature comes from Teleport's own authority.

use std::net::SocketAddr;

use crate::live::cut;
use crate::live::proxy_protocol::{self, Header};
use crate::model::addr::ClientAddr;
use crate::model::teleport::ProxyProtocol;

/// Why a connection is refused for its header.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// The mode demands a header.
    #[error(
        "connection from {0} has no PROXY header, and proxy_protocol is on: a door with send_proxy: \
         none stands before it, or none at all"
    )]
    Absent(SocketAddr),
    /// A second header.
    #[error("a second PROXY header follows the first")]
    Duplicate,
    /// The mode refuses headers.
    #[error("external PROXY protocol support is disabled")]
    Off,
    /// It could not be read.
    #[error(transparent)]
    Read(#[from] proxy_protocol::Error),
}

/// Who came, by the connection and its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Came {
    /// The client.
    pub(super) client: ClientAddr,
    /// Whether a header named it.
    pub(super) named: bool,
}

/// Decides by the mode and the one header, if there is one.
pub(super) fn admit(
    mode: ProxyProtocol,
    header: Option<Header>,
    (source, own): (SocketAddr, SocketAddr),
) -> Result<Came, Refused> {
    let real = Came {
        client: ClientAddr(source),
        named: false,
    };
    match (mode, header) {
        // LOCAL is taken before the mode is looked at.
        (_, Some(header)) if header.local => Ok(real),
        (ProxyProtocol::Off, Some(_)) => Err(Refused::Off),
        (mode, Some(header)) => Ok(header.client.map_or(real, |client| {
            let mut client = client.0;
            if mode == ProxyProtocol::Unset {
                // Teleport marks an address that it was not told to believe.
                client.set_port(0);
            }
            Came {
                client: ClientAddr(client),
                named: true,
            }
        })),
        (ProxyProtocol::On, None) if source.ip() != own.ip() => Err(Refused::Absent(source)),
        (ProxyProtocol::On | ProxyProtocol::Off | ProxyProtocol::Unset, None) => Ok(real),
    }
}

/// Reads the header, if there is one, and decides; what follows is left. `None` for a connection
/// that ended without a word, as a plain check does: with `on` too, since nobody is refused by it.
pub(super) async fn read(
    stream: &mut cut::Stream,
    mode: ProxyProtocol,
    source: SocketAddr,
) -> Result<Option<Came>, Refused> {
    let own = stream
        .tcp()
        .local_addr()
        .map_err(proxy_protocol::Error::Io)?;
    let header = proxy_protocol::read_any(stream).await?;
    if header.is_some() && proxy_protocol::read_any(stream).await?.is_some() {
        return Err(Refused::Duplicate);
    }
    if header.is_none() {
        let first = stream.peek(1).await.map_err(proxy_protocol::Error::Io)?;
        if first.is_empty() {
            return Ok(None);
        }
    }
    admit(mode, header, (source, own)).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// Checks one cell; a client's port of 0 is written so.
    fn check(mode: ProxyProtocol, header: Option<Header>, own: &str, expected: Result<&str, &str>) {
        let source = address("127.61.0.2:5000");
        let admitted = admit(mode, header, (source, address(own)));
        match (admitted, expected) {
            (Ok(came), Ok(client)) => assert_eq!(came.client.0, address(client), "{mode:?}"),
            (Err(refused), Err(words)) => {
                assert!(refused.to_string().contains(words), "{refused}");
            }
            (admitted, expected) => panic!("{mode:?}: {admitted:?} is not {expected:?}"),
        }
    }

    #[test]
    fn the_mode_decides_about_headers() {
        use ProxyProtocol::{Off, On, Unset};
        let named = Header {
            client: Some(ClientAddr(address("127.62.0.9:4000"))),
            destination: None,
            local: false,
        };
        let local = Header {
            client: None,
            local: true,
            ..named
        };
        let nobody = Header {
            client: None,
            ..named
        };
        let (door, own) = ("127.63.0.1:3080", "127.61.0.2:3080");
        check(On, Some(named), door, Ok("127.62.0.9:4000"));
        check(Off, Some(named), door, Err("support is disabled"));
        check(Unset, Some(named), door, Ok("127.62.0.9:0"));
        check(On, None, door, Err("has no PROXY header"));
        check(On, None, own, Ok("127.61.0.2:5000"));
        check(Off, None, door, Ok("127.61.0.2:5000"));
        check(Unset, None, door, Ok("127.61.0.2:5000"));
        for mode in [On, Off, Unset] {
            check(mode, Some(local), door, Ok("127.61.0.2:5000"));
        }
        check(On, Some(nobody), door, Ok("127.61.0.2:5000"));
        check(Off, Some(nobody), door, Err("support is disabled"));
    }
}
