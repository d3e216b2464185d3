//! PROXY headers of a connection, read and judged one by one (reference 3.7).
//!
//! Which may be there is `policy/proxy_protocol`'s table. Teleport-signed headers are read as unsigned
//! ones: their signature is of Teleport's own authority, which is not here.

use std::io;
use std::net::SocketAddr;

use crate::live::{cut, proxy_protocol};
use crate::model::addr::ClientAddr;
use crate::model::teleport::ProxyProtocol;
use crate::policy::proxy_protocol::{Admission, Header, PASSES_MAX, Seen, admit};

/// Why a connection is refused for its headers.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// By the table of modes.
    #[error("{0}")]
    Mode(&'static str),
    /// A header could not be read.
    #[error(transparent)]
    Read(#[from] proxy_protocol::Error),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Read(error.into())
    }
}

/// Who came, by the connection and its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Came {
    /// The client.
    pub(super) client: ClientAddr,
    /// Whether a header named it.
    pub(super) named: bool,
}

/// Reads the headers, if there are any, and asks whether they may be there; what follows is left.
///
/// `None` for a connection that ended without a word, as a plain check does: with `on` too, nobody is
/// refused by that (inferred).
pub(super) async fn read(
    stream: &mut cut::Stream,
    mode: ProxyProtocol,
    source: SocketAddr,
) -> Result<Option<Came>, Refused> {
    let own = stream.tcp().local_addr()?;
    let to_self = source.ip() == own.ip();
    let mut seen = Seen::default();
    let mut came = Came {
        client: ClientAddr(source),
        named: false,
    };
    // Few: the second unsigned header is refused, and signed ones are not told from others here.
    for pass in 0..PASSES_MAX {
        let header = proxy_protocol::read_any(stream).await?;
        let kind = match header {
            Some(header) if header.local => Header::Local,
            // Both versions mean the same.
            Some(_) => Header::V2,
            None => Header::None,
        };
        if header.is_none() && pass == 0 && stream.peek(1).await?.is_empty() {
            return Ok(None);
        }
        let port_zero = match admit(mode, &mut seen, kind, to_self) {
            Admission::Refused(words) => return Err(Refused::Mode(words)),
            Admission::Socket if header.is_none() => return Ok(Some(came)),
            Admission::Socket => None,
            Admission::Header => Some(false),
            Admission::PortZero => Some(true),
        };
        if let (Some(zero), Some(client)) = (port_zero, header.and_then(|header| header.client)) {
            let mut address = client.0;
            if zero {
                address.set_port(0);
            }
            came = Came {
                client: ClientAddr(address),
                named: true,
            };
        }
    }
    Ok(Some(came))
}
