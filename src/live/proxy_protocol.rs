//! PROXY protocol: the header that a door sends, and its reader for the pool's side.
//!
//! A door sends version 2: PROXY for a client, LOCAL for its own checks. The reader takes versions
//! 1 and 2, needs a header (Teleport's `proxy_protocol: on`), reads exactly its bytes, and is done
//! within a deadline. It does not look at what follows except to refuse a second header.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use ppp::v2::{Addresses, Builder, Command, PROTOCOL_PREFIX, Protocol, Version};
use ppp::{v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpStream;

use crate::model::addr::ClientAddr;

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
    /// A second header follows.
    #[error("a second PROXY header follows the first")]
    Duplicate,
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

/// Gives the header for a client's connection to `destination`.
///
/// Addresses of different families are both sent as IPv6, IPv4 ones mapped.
pub fn header(client: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let (client, destination) = match (plain(client), plain(destination)) {
        (SocketAddr::V4(client), SocketAddr::V6(destination)) => (
            SocketAddr::new(client.ip().to_ipv6_mapped().into(), client.port()),
            SocketAddr::V6(destination),
        ),
        (SocketAddr::V6(client), SocketAddr::V4(destination)) => (
            SocketAddr::V6(client),
            SocketAddr::new(destination.ip().to_ipv6_mapped().into(), destination.port()),
        ),
        same => same,
    };
    Builder::with_addresses(
        Version::Two | Command::Proxy,
        Protocol::Stream,
        (client, destination),
    )
    .build()
    .expect("two addresses fit a header")
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

/// Waits for what follows a header and refuses a second one; an end of data is no mistake here.
///
/// The first byte decides: nothing that a proxy serves begins with `P` or a carriage return.
pub async fn refuse_duplicate(stream: &TcpStream) -> Result<(), Error> {
    let mut first = [0; 1];
    match tokio::time::timeout(DEADLINE, stream.peek(&mut first)).await {
        Ok(Ok(1)) if first[0] == b'P' || first[0] == PROTOCOL_PREFIX[0] => Err(Error::Duplicate),
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(Error::Late),
    }
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
        return Ok(Header::NOBODY);
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
    };

    fn of(client: SocketAddr, destination: SocketAddr) -> Self {
        Self {
            client: Some(ClientAddr(client)),
            destination: Some(destination),
        }
    }
}

#[cfg(test)]
mod tests;
