//! PROXY protocol: the header that a door sends, and its reader for the pool's side.
//!
//! A door sends what its `send_proxy` says: version 2 (PROXY for a client, LOCAL for its own checks),
//! version 1 (UNKNOWN for checks), or nothing. The reader takes both versions and reads exactly a
//! header's bytes; whether there may or must be one is not its question (reference 3.7).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use ppp::v2::{Addresses, Builder, Command, PROTOCOL_PREFIX, Protocol, Version};
use ppp::{v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::cut;
use crate::model::addr::ClientAddr;
use crate::model::teleport::SendProxy;

/// How long the header may take to arrive; Teleport's detection deadline.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// The longest body of a version 2 header that is read. Addresses take at most 216 bytes (two Unix
/// paths); the rest is room for the extensions that cloud balancers add.
const BODY_MAX: usize = 1024;

/// The fixed part of a version 2 header.
const FIXED: usize = 16;

/// The longest line of version 1, its line end included (proxy-protocol.txt, 2.1).
const LINE_MAX: usize = 107;

/// How many bytes tell a header from anything else, and version 1 from version 2.
const DETECT: usize = 6;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The client; `None` when the sender speaks for itself or does not know.
    pub client: Option<ClientAddr>,
    /// Where the client had connected to, under the same condition.
    pub destination: Option<SocketAddr>,
    /// Whether it is version 2's LOCAL, which every mode takes.
    pub local: bool,
}

/// Why no header was read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection begins with something else.
    #[error("expected a PROXY header, the connection begins with {found:02x?}")]
    Absent {
        /// Its first bytes.
        found: Vec<u8>,
    },
    /// The connection ended or broke before the header was complete.
    #[error("reading the PROXY header: {0}")]
    Io(#[from] io::Error),
    /// It did not come in time.
    #[error("no PROXY header within {}s", DEADLINE.as_secs())]
    Late,
    /// It says that it is longer than is read.
    #[error("the PROXY header's body has {length} bytes, more than {BODY_MAX}")]
    Long {
        /// What it says.
        length: usize,
    },
    /// It cannot be understood.
    #[error("malformed PROXY header: {0}")]
    Malformed(String),
}

/// Gives what a door says first on a client's connection to `destination`.
pub fn opening(send: SendProxy, client: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    match send {
        SendProxy::None => Vec::new(),
        SendProxy::V1 => line(client, destination),
        SendProxy::V2 => header(client, destination),
    }
}

/// Gives what a door says first on a check's connection.
pub fn checking(send: SendProxy) -> Vec<u8> {
    match send {
        SendProxy::None => Vec::new(),
        SendProxy::V1 => b"PROXY UNKNOWN\r\n".to_vec(),
        SendProxy::V2 => local(),
    }
}

/// Gives the version 1 header for a client's connection to `destination`.
pub fn line(client: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let (client, destination) = one_family(client, destination);
    let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (client.ip(), destination.ip());
    let ports = (client.port(), destination.port());
    format!("PROXY {family} {from} {to} {} {}\r\n", ports.0, ports.1).into_bytes()
}

/// Gives the version 2 header for a client's connection to `destination`.
pub fn header(client: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    Builder::with_addresses(
        Version::Two | Command::Proxy,
        Protocol::Stream,
        one_family(client, destination),
    )
    .build()
    .expect("two addresses fit a header")
}

/// Makes addresses of different families both IPv6, IPv4 ones mapped.
fn one_family(client: SocketAddr, destination: SocketAddr) -> (SocketAddr, SocketAddr) {
    let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    match (plain(client), plain(destination)) {
        (SocketAddr::V4(client), SocketAddr::V6(destination)) => (
            SocketAddr::new(client.ip().to_ipv6_mapped().into(), client.port()),
            SocketAddr::V6(destination),
        ),
        (SocketAddr::V6(client), SocketAddr::V4(destination)) => (
            SocketAddr::V6(client),
            SocketAddr::new(destination.ip().to_ipv6_mapped().into(), destination.port()),
        ),
        same => same,
    }
}

/// Gives the header for a connection that the sender makes for itself.
pub fn local() -> Vec<u8> {
    Builder::with_addresses(
        Version::Two | Command::Local,
        Protocol::Unspecified,
        Addresses::Unspecified,
    )
    .build()
    .expect("no addresses fit a header")
}

/// Reads a header, which must be there, and nothing after it.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Header, Error> {
    match tokio::time::timeout(DEADLINE, detect(stream)).await {
        Ok(result) => result,
        Err(_) => Err(Error::Late),
    }
}

/// Reads a header if the connection begins with one, and nothing else; the deadline is the caller's.
pub async fn read_any(stream: &mut cut::Stream) -> Result<Option<Header>, Error> {
    for count in 1..=DETECT {
        let seen = stream.peek(count).await?;
        let begins = b"PROXY ".starts_with(seen) || PROTOCOL_PREFIX.starts_with(seen);
        if seen.len() < count || !begins {
            return Ok(None);
        }
    }
    detect(stream).await.map(Some)
}

async fn detect(stream: &mut (impl AsyncRead + Unpin)) -> Result<Header, Error> {
    let mut bytes = Vec::with_capacity(LINE_MAX);
    // Byte by byte: what is not a header may be shorter than a header's beginning.
    while bytes.len() < DETECT {
        bytes.push(stream.read_u8().await?);
        if !b"PROXY ".starts_with(&bytes) && !PROTOCOL_PREFIX.starts_with(&bytes) {
            return Err(Error::Absent { found: bytes });
        }
    }
    if bytes[0] == b'P' {
        read_line(stream, bytes).await
    } else {
        read_binary(stream, bytes).await
    }
}

async fn read_line(
    stream: &mut (impl AsyncRead + Unpin),
    mut bytes: Vec<u8>,
) -> Result<Header, Error> {
    while !bytes.ends_with(b"\r\n") {
        if bytes.len() == LINE_MAX {
            return Err(Error::Malformed(format!("no line end in {LINE_MAX} bytes")));
        }
        bytes.push(stream.read_u8().await?);
    }
    let header = v1::Header::try_from(bytes.as_slice())
        .map_err(|error| Error::Malformed(error.to_string()))?;
    Ok(match header.addresses {
        v1::Addresses::Tcp4(a) => Header::of(
            (a.source_address, a.source_port).into(),
            (a.destination_address, a.destination_port).into(),
        ),
        v1::Addresses::Tcp6(a) => Header::of(
            (a.source_address, a.source_port).into(),
            (a.destination_address, a.destination_port).into(),
        ),
        v1::Addresses::Unknown => Header::NOBODY,
    })
}

async fn read_binary(
    stream: &mut (impl AsyncRead + Unpin),
    mut bytes: Vec<u8>,
) -> Result<Header, Error> {
    bytes.resize(FIXED, 0);
    stream.read_exact(&mut bytes[DETECT..]).await?;
    let length = usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
    if length > BODY_MAX {
        return Err(Error::Long { length });
    }
    bytes.resize(FIXED + length, 0);
    stream.read_exact(&mut bytes[FIXED..]).await?;
    let header = v2::Header::try_from(bytes.as_slice())
        .map_err(|error| Error::Malformed(error.to_string()))?;
    if header.command == Command::Local {
        return Ok(Header::LOCAL);
    }
    Ok(match header.addresses {
        Addresses::IPv4(a) => Header::of(
            (a.source_address, a.source_port).into(),
            (a.destination_address, a.destination_port).into(),
        ),
        Addresses::IPv6(a) => Header::of(
            (a.source_address, a.source_port).into(),
            (a.destination_address, a.destination_port).into(),
        ),
        Addresses::Unix(_) | Addresses::Unspecified => Header::NOBODY,
    })
}

impl Header {
    /// The sender speaks for itself: the addresses of the connection are the real ones.
    const NOBODY: Self = Self {
        client: None,
        destination: None,
        local: false,
    };

    /// As [`Self::NOBODY`], said in the way that every mode takes.
    const LOCAL: Self = Self {
        local: true,
        ..Self::NOBODY
    };

    fn of(client: SocketAddr, destination: SocketAddr) -> Self {
        Self {
            client: Some(ClientAddr(client)),
            destination: Some(destination),
            local: false,
        }
    }
}

#[cfg(test)]
mod tests;
