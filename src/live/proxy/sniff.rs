//! What a connection begins with (Teleport's `multiplexer`, reference 3.7).
//!
//! In go the first bytes, as they come; out comes the protocol, as soon as it is certain. PROXY
//! headers are read before.

/// How many bytes decide at most.
pub(super) const DECISIVE: usize = 8;

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// Plain HTTP.
    Http,
    /// A message that begins a Postgres connection.
    Postgres(Start),
    /// A second or third PROXY header, or one where none may be.
    Proxy,
    /// SSH.
    Ssh,
    /// TLS.
    Tls,
    /// None of these.
    Unknown,
}

/// The three messages that may begin a Postgres connection to a proxy; which three is from memory
/// (from memory), their codes are PostgreSQL's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// `CancelRequest`.
    Cancel,
    /// `GSSENCRequest`.
    Gss,
    /// `SSLRequest`.
    Ssl,
}

/// The beginnings that are told apart. HTTP's verbs end with their space.
const KNOWN: [(&[u8], Opening); 16] = [
    (b"\x16", Opening::Tls),
    (b"SSH", Opening::Ssh),
    (b"PROXY ", Opening::Proxy),
    (b"\r\n\r\n\0\r\nQ", Opening::Proxy),
    (b"GET ", Opening::Http),
    (b"POST ", Opening::Http),
    (b"PUT ", Opening::Http),
    (b"HEAD ", Opening::Http),
    (b"DELETE ", Opening::Http),
    (b"OPTIONS ", Opening::Http),
    (b"PATCH ", Opening::Http),
    (b"CONNECT ", Opening::Http),
    (b"TRACE ", Opening::Http),
    (b"\0\0\0\x08\x04\xd2\x16\x2f", Opening::Postgres(Start::Ssl)),
    (b"\0\0\0\x08\x04\xd2\x16\x30", Opening::Postgres(Start::Gss)),
    (
        b"\0\0\0\x10\x04\xd2\x16\x2e",
        Opening::Postgres(Start::Cancel),
    ),
];

/// Tells what begins with these bytes; `None` when more are needed.
pub(super) fn opening(bytes: &[u8]) -> Option<Opening> {
    let mut known = KNOWN.iter();
    if let Some((_, found)) = known.find(|(begins, _)| bytes.starts_with(begins)) {
        return Some(*found);
    }
    let open = KNOWN.iter().any(|(begins, _)| begins.starts_with(bytes));
    (!open).then_some(Opening::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_beginning_is_known_at_its_last_byte_and_not_before() {
        for (begins, expected) in KNOWN {
            assert!(begins.len() <= DECISIVE, "{begins:02x?}");
            assert_eq!(opening(begins), Some(expected), "{begins:02x?}");
            assert_eq!(opening(&[begins, b"x"].concat()), Some(expected));
            let last = begins.len() - 1;
            assert_eq!(opening(&begins[..last]), None, "{begins:02x?}");
        }
    }

    #[test]
    fn anything_else_is_unknown_at_its_first_wrong_byte() {
        for bytes in [
            &b"\x15"[..],
            b"SSL",
            b"get ",
            b"PROXX",
            b"\0\0\0\x09",
            b"\0\0\0\x08\x00\x03\x00\x00",
            b"\r\nX",
        ] {
            assert_eq!(opening(bytes), Some(Opening::Unknown), "{bytes:02x?}");
        }
    }
}
