//! Teleport's grammar of addresses in configuration files (`ParseHostPortAddr`).

use std::net::Ipv6Addr;
use std::str::FromStr;

use crate::model::addr::HostPort;

use super::super::format;

/// Reads an address as Teleport does: an optional scheme, a host, an optional port; what follows is
/// dropped. Gives the port's text as well when it is no port and the default took its place.
pub(super) fn read(text: &str, default: u16) -> Result<(HostPort, Option<String>), String> {
    let rest = match text.split_once("://") {
        Some(("tcp" | "http" | "https", rest)) => rest,
        Some((scheme, _)) => return Err(format!("the scheme {scheme:?} is not supported")),
        None => text,
    };
    let rest = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = match rest.strip_prefix('[') {
        Some(inner) => {
            let (host, after) = inner
                .split_once(']')
                .ok_or_else(|| format!("{text:?} opens a bracket and does not close it"))?;
            if host.parse::<Ipv6Addr>().is_err() {
                return Err(format!("{host:?} is not an IPv6 address"));
            }
            (host, after.strip_prefix(':'))
        }
        None => match rest.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            Some(_) => return Err(format!("{text:?} is IPv6 without brackets")),
            None => (rest, None),
        },
    };
    if host.is_empty() {
        return Err(format!("{text:?} has no host"));
    }
    if !host.contains(':') && !format::is_host(host) {
        return Err(format!("{host:?} is not a host"));
    }
    let read = port.map(|port| u16::from_str(port).ok().filter(|port| *port > 0));
    let odd = match (port, read) {
        (Some(port), Some(None)) if !port.is_empty() => Some(port.to_owned()),
        _ => None,
    };
    let address = HostPort {
        host: host.to_ascii_lowercase().into(),
        port: read.flatten().unwrap_or(default),
    };
    Ok((address, odd))
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
            let (address, odd) = read(text, 3080).expect(text);
            assert_eq!((&*address.host, address.port, odd), (host, port, None));
        }
    }

    #[test]
    fn a_port_that_is_none_falls_back_and_is_told() {
        for (text, odd) in [("a:http", "http"), ("a:0", "0"), ("a:65536", "65536")] {
            let (address, told) = read(text, 3080).expect(text);
            assert_eq!((address.port, told.as_deref()), (3080, Some(odd)));
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            ":3080",
            "unix:///x",
            "ftp://a",
            "::1",
            "[::1",
            "[x]:1",
            "a b",
            "a..b",
        ] {
            assert!(read(text, 3080).is_err(), "{text}");
        }
    }
}
