//! Whether a connection with or without a PROXY header is let in (Teleport `lib/multiplexer`).
//!
//! In go the setting, the headers of a connection one after the other, and whether the peer is this
//! host itself; out comes whose address counts, or a refusal. Bytes are read by the caller.

use crate::model::teleport::ProxyProtocol;

/// How many times Teleport looks for a header before it must know the protocol.
pub const PASSES_MAX: u32 = 3;

/// What a connection begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// Something that is no header.
    None,
    /// A line of text.
    V1,
    /// Version 2 with addresses.
    V2,
    /// Version 2, LOCAL: the sender speaks for itself.
    Local,
    /// Version 2 with Teleport's own signature.
    Signed,
}

/// The headers that a connection has brought so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    unsigned: bool,
    signed: bool,
}

/// Whose address counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// The client's, as the header says.
    Header,
    /// The client's, with port 0, so that it cannot be pinned to an address.
    PortZero,
    /// The connection is closed; in Teleport's words where the reference has them.
    Refused(&'static str),
    /// That of the connection.
    Socket,
}

/// Decides on the next header of a connection; on [`Header::None`] when something else begins.
///
/// A connection from this host itself needs no header [S: `mux`, self connection].
pub fn admit(
    mode: ProxyProtocol,
    seen: &mut Seen,
    header: Header,
    peer_is_self: bool,
) -> Admission {
    let unsigned = match header {
        Header::None => return without(mode, *seen, peer_is_self),
        Header::Signed if seen.signed => {
            return Admission::Refused("duplicate signed PROXY header");
        }
        Header::Signed => {
            seen.signed = true;
            return Admission::Header;
        }
        Header::V1 | Header::V2 | Header::Local => std::mem::replace(&mut seen.unsigned, true),
    };
    if seen.signed {
        return Admission::Refused("unsigned PROXY header after a signed one");
    }
    if unsigned {
        return Admission::Refused("duplicate PROXY header");
    }
    match (header, mode) {
        // Handled before the mode is looked at, so that `off` does not refuse it.
        (Header::Local, _) => Admission::Socket,
        (_, ProxyProtocol::On) => Admission::Header,
        (_, ProxyProtocol::Off) => {
            Admission::Refused("external PROXY protocol support is disabled")
        }
        (_, ProxyProtocol::Unset) => Admission::PortZero,
    }
}

const fn without(mode: ProxyProtocol, seen: Seen, peer_is_self: bool) -> Admission {
    let satisfied = seen.unsigned || seen.signed || peer_is_self;
    match mode {
        ProxyProtocol::On if !satisfied => {
            Admission::Refused("PROXY header required by proxy_protocol: on, and there is none")
        }
        ProxyProtocol::On | ProxyProtocol::Off | ProxyProtocol::Unset => Admission::Socket,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ProxyProtocol::{Off, On, Unset};

    fn check(mode: ProxyProtocol, headers: &[Header], expected: Admission) {
        let mut seen = Seen::default();
        let mut last = Admission::Socket;
        for header in headers {
            last = admit(mode, &mut seen, *header, false);
        }
        assert_eq!(last, expected, "{mode:?} {headers:?}");
    }

    #[test]
    fn the_table_of_modes_and_headers() {
        let disabled = Admission::Refused("external PROXY protocol support is disabled");
        for version in [Header::V1, Header::V2] {
            check(On, &[version], Admission::Header);
            check(Off, &[version], disabled);
            check(Unset, &[version], Admission::PortZero);
        }
        for mode in [On, Off, Unset] {
            check(mode, &[Header::Local], Admission::Socket);
            check(mode, &[Header::Signed], Admission::Header);
        }
        check(Off, &[Header::None], Admission::Socket);
        check(Unset, &[Header::None], Admission::Socket);
        let required = "PROXY header required by proxy_protocol: on, and there is none";
        check(On, &[Header::None], Admission::Refused(required));
    }

    #[test]
    fn a_connection_from_this_host_needs_none() {
        let own = admit(On, &mut Seen::default(), Header::None, true);
        assert_eq!(own, Admission::Socket);
    }

    #[test]
    fn local_is_the_one_header_and_satisfies_on() {
        check(On, &[Header::Local, Header::None], Admission::Socket);
        let twice = Admission::Refused("duplicate PROXY header");
        check(On, &[Header::Local, Header::V2], twice);
        check(Off, &[Header::Local, Header::Local], twice);
        check(Unset, &[Header::V1, Header::V2], twice);
    }

    #[test]
    fn a_signed_header_may_follow_and_not_be_followed() {
        check(On, &[Header::V2, Header::Signed], Admission::Header);
        let after = Admission::Refused("unsigned PROXY header after a signed one");
        check(On, &[Header::Signed, Header::V2], after);
        let twice = Admission::Refused("duplicate signed PROXY header");
        check(Off, &[Header::Signed, Header::Signed], twice);
    }
}
