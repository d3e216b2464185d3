//! Addresses that cannot be swapped by mistake, and how they are written.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

macro_rules! addresses {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub SocketAddr);

        impl $name {
            /// Gives the address without the port, IPv4-mapped IPv6 made IPv4.
            pub fn ip(self) -> IpAddr {
                self.0.ip().to_canonical()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

addresses! {
    /// Where a connection or a query comes from, as the balancer or the DNS server sees it.
    ClientAddr,
    /// Where a balancer, a proxy or the DNS server listens.
    ListenAddr,
    /// Where a balancer reaches an instance of the pool.
    BackendAddr,
}

/// A host, by name or address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// A DNS name without the final dot, or an address without brackets.
    pub host: Arc<str>,
    /// The TCP port.
    pub port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A host and perhaps a port, as Teleport writes addresses in its files and its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written<'a> {
    /// A name or an address without brackets, not looked at further; empty in `:3080`.
    pub host: &'a str,
    /// The port; 0 is possible.
    pub port: Option<u16>,
}

/// Reads an address as Teleport does (`ParseAddr`, which is Go's `url.Parse`): perhaps a scheme, a
/// host, perhaps a port; what follows is dropped. A port that is none is refused, as there.
pub fn read(text: &str) -> Result<Written<'_>, String> {
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
            let port = after.strip_prefix(':');
            if port.is_none() && !after.is_empty() {
                return Err(format!("{after:?} follows the bracket, which is no port"));
            }
            (host, port)
        }
        None => match rest.split_once(':') {
            Some((_, port)) if port.contains(':') => {
                return Err(format!("{text:?} is IPv6 without brackets"));
            }
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        },
    };
    if host.is_empty() && port.is_none() {
        return Err(format!("{text:?} has no host"));
    }
    let port = match port.filter(|port| !port.is_empty()) {
        None => None,
        Some(port) => {
            let digits = port.bytes().all(|byte| byte.is_ascii_digit());
            let read = port.parse().ok().filter(|_| digits);
            Some(read.ok_or_else(|| format!("{port:?} is not a port"))?)
        }
    };
    Ok(Written { host, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_teleport_reads_them() {
        for (text, host, port) in [
            ("proxy.example.com", "proxy.example.com", None),
            ("proxy.example.com:", "proxy.example.com", None),
            ("proxy.example.com:443", "proxy.example.com", Some(443)),
            ("https://a:443/web?x=1", "a", Some(443)),
            ("tcp://10.0.0.1", "10.0.0.1", None),
            ("[::1]:8080", "::1", Some(8080)),
            ("[::1]", "::1", None),
            (":3080", "", Some(3080)),
            ("a:0", "a", Some(0)),
        ] {
            assert_eq!(read(text), Ok(Written { host, port }), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "unix:///x",
            "ftp://a",
            "::1",
            "[::1",
            "[x]:1",
            "[::1]1",
            "a:http",
            "a:65536",
            "a:+1",
            "a:-1",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
