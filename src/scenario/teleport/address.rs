//! Addresses in Teleport's files: what must be a host of the lab, with a port.

use crate::model::addr::{self, HostPort};

use super::super::format;

/// Reads an address; `default` is the port of one that names none. The error is a sentence.
pub(super) fn read(text: &str, default: u16) -> Result<HostPort, String> {
    let addr::Written { host, port } = addr::read(text)?;
    if host.is_empty() {
        return Err(format!("{text:?} has no host"));
    }
    if !host.contains(':') && !format::is_host(host) {
        return Err(format!("{host:?} is not a host"));
    }
    if port == Some(0) {
        return Err(String::from("port 0 is none that others could dial"));
    }
    Ok(HostPort {
        host: host.to_ascii_lowercase().into(),
        port: port.unwrap_or(default),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_teleport_reads_them() {
        for (text, host, port) in [
            ("proxy.example.com", "proxy.example.com", 3080),
            ("Proxy.Example.com:443", "proxy.example.com", 443),
            (
                "https://proxy.example.com:443/web?x=1",
                "proxy.example.com",
                443,
            ),
            ("tcp://10.0.0.1", "10.0.0.1", 3080),
            ("[::1]:8080", "::1", 8080),
            ("[::1]", "::1", 3080),
            (
                "external_proxy.example.com",
                "external_proxy.example.com",
                3080,
            ),
        ] {
            let address = read(text, 3080).expect(text);
            assert_eq!((&*address.host, address.port), (host, port));
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "", ":3080", "ftp://a", "::1", "a b", "a..b", "a:http", "a:0",
        ] {
            assert!(read(text, 3080).is_err(), "{text}");
        }
    }
}
