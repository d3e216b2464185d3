//! Addresses in Teleport's files: what must be a host of the lab, with a port.

use crate::model::addr::{self, HostPort};

use super::super::format;

/// An address as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Read {
    /// The address.
    pub(super) address: HostPort,
    /// What stands where the port would be and is none; the default is taken instead.
    pub(super) no_port: Option<String>,
}

/// Reads an address that others dial; `default` is the port of one that names none, and without a
/// default the port must be there. The error is a sentence.
pub(super) fn public(text: &str, default: Option<u16>) -> Result<Read, String> {
    let read = read(text, default)?;
    if read.address.host.is_empty() {
        return Err(format!("{text:?} has no host"));
    }
    Ok(read)
}

/// Reads an address to listen on: as [`public`], but without a host it is every address.
pub(super) fn listen(text: &str, default: u16) -> Result<Read, String> {
    let mut read = read(text, Some(default))?;
    if read.address.host.is_empty() {
        read.address.host = "0.0.0.0".into();
    }
    Ok(read)
}

fn read(text: &str, default: Option<u16>) -> Result<Read, String> {
    if text.starts_with("unix:") {
        return Err(format!(
            "{text:?} is a socket of this machine, which nobody in the lab can reach"
        ));
    }
    // The reference: a port that cannot be read silently becomes the default (`NetAddr.Port`). What
    // is made of digits alone can be read there, and is no port of TCP beyond 65535.
    let (bare, no_port) = without_words(text);
    let addr::Written { host, port } = addr::read(&bare)?;
    if !host.is_empty() && !host.contains(':') && !format::is_host(host) {
        return Err(format!("{host:?} is not a host"));
    }
    if port == Some(0) {
        return Err(String::from("port 0 is none that others could dial"));
    }
    let Some(port) = port.or(default) else {
        return Err(format!("missing port in address {text:?}"));
    };
    // As written: a name becomes a principal as it stands, and SSH compares bytes; only the
    // hostname gets a lower-cased copy (reference 2.1) [I].
    let host = host.into();
    let address = HostPort { host, port };
    Ok(Read { address, no_port })
}

/// Takes a port off that is not made of digits, and gives it.
fn without_words(text: &str) -> (String, Option<String>) {
    let start = text.find("://").map_or(0, |at| at + 3);
    let rest = &text[start..];
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = &rest[..end];
    let colon = match host.rfind(']') {
        Some(bracket) => host[bracket..].find(':').map(|at| bracket + at),
        None if host.matches(':').count() == 1 => host.find(':'),
        None => None,
    };
    let word = colon.map_or("", |colon| &host[colon + 1..]);
    match colon {
        Some(colon) if !word.is_empty() && !word.bytes().all(|b| b.is_ascii_digit()) => {
            (text[..start + colon].to_owned(), Some(word.to_owned()))
        }
        _ => (text.to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(read: Result<Read, String>) -> String {
        match read {
            Ok(read) => read.address.to_string(),
            Err(why) => why,
        }
    }

    #[test]
    fn addresses_are_read_as_teleport_reads_them() {
        for (text, expected) in [
            ("proxy.example.com", "proxy.example.com:3080"),
            ("proxy.example.com:", "proxy.example.com:3080"),
            ("Proxy.Example.com:443", "Proxy.Example.com:443"),
            (
                "https://proxy.example.com:443/web?x=1",
                "proxy.example.com:443",
            ),
            ("http://proxy.example.com", "proxy.example.com:3080"),
            ("tcp://10.0.0.1", "10.0.0.1:3080"),
            ("[::1]:8080", "[::1]:8080"),
            ("[::1]", "[::1]:3080"),
            (
                "external_proxy.example.com",
                "external_proxy.example.com:3080",
            ),
        ] {
            assert_eq!(shown(public(text, Some(3080))), expected);
        }
    }

    #[test]
    fn a_port_that_cannot_be_read_is_the_default_and_said() {
        for (text, expected, word) in [
            ("a:http", "a:3080", "http"),
            ("tcp://a:web/x", "a:3080", "web"),
            ("[::1]:-1", "[::1]:3080", "-1"),
            ("a:+443", "a:3080", "+443"),
        ] {
            let read = public(text, Some(3080)).expect(text);
            assert_eq!(read.address.to_string(), expected);
            assert_eq!(read.no_port.as_deref(), Some(word));
        }
        let read = public("a:443", Some(3080)).expect("an address");
        assert_eq!(read.no_port, None);
    }

    #[test]
    fn without_a_default_the_port_must_be_there() {
        assert_eq!(shown(public("a", None)), "missing port in address \"a\"");
        assert_eq!(
            shown(public("a:http", None)),
            "missing port in address \"a:http\""
        );
        assert_eq!(shown(public("a:1", None)), "a:1");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            ":3080",
            "ftp://a",
            "unix:///a",
            "::1",
            "a b",
            "a..b",
            "a:0",
            "a:65536",
            "[::1",
            "[x]:1",
        ] {
            assert!(public(text, Some(3080)).is_err(), "{text}");
        }
    }

    #[test]
    fn a_listener_without_a_host_listens_everywhere() {
        assert_eq!(shown(listen(":443", 3080)), "0.0.0.0:443");
        assert_eq!(shown(listen("127.0.0.9", 3080)), "127.0.0.9:3080");
        assert!(listen("udp://0.0.0.0", 3080).is_err());
    }
}
