//! The named formats of the schema: what may stand in a text, and how it is read.
//!
//! The checker asks [`check`]; `resolve` reads the same texts with the same functions, so a text
//! that passed cannot fail later.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

use crate::model::addr::HostPort;
use crate::model::network::canonical;
use crate::model::time::Span;

mod run;
mod teleport;

pub use teleport::{AppKind, app_uri, go_duration, proxy_host};

pub use run::{
    Bound, RCODES, RECORD_TYPES, bound, owner, question, rcode, record_type, server, share,
};

/// The longest duration that makes sense in a lab.
pub const DURATION_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// The longest name: it becomes a label of a DNS name.
const NAME_MAX: usize = 63;

/// The longest DNS name in text, without the final dot (RFC 1035, section 2.3.4).
const HOST_MAX: usize = 253;

/// What is wrong with a text, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// What is wrong.
    pub what: String,
    /// What would be right.
    pub cure: String,
}

/// Every format that a schema may name.
pub const NAMES: &[&str] = &[
    "app-name",
    "app-uri",
    "bound",
    "cidr",
    "database-name",
    "duration",
    "go-duration",
    "host-port",
    "ip-address",
    "match-element",
    "name",
    "origin",
    "owner",
    "path",
    "proxy-host",
    "question",
    "rcode",
    "record-type",
    "server",
    "share",
    "socket-address",
    "start",
    "switch",
];

/// Checks a text against a format; a format that is not in [`NAMES`] allows every text.
pub fn check(format: &str, text: &str) -> Result<(), Wrong> {
    match format {
        "app-name" => app_name(text),
        "app-uri" => app_uri(text).map(drop),
        "bound" => bound(text).map(drop),
        "cidr" => cidr(text).map(drop),
        "database-name" => database_name(text),
        "duration" => duration(text).map(drop),
        "go-duration" => go_duration(text).map(drop),
        "host-port" => host_port(text).map(drop),
        "ip-address" => ip_address(text).map(drop),
        "match-element" => match_element(text),
        "name" => name(text),
        "origin" => origin(text).map(drop),
        "owner" => owner(text).map(drop),
        "path" => path(text),
        "proxy-host" => proxy_host(text),
        "question" => question(text).map(drop),
        "rcode" => rcode(text).map(drop),
        "record-type" => record_type(text).map(drop),
        "server" => server(text).map(drop),
        "share" => share(text).map(drop),
        "socket-address" => socket_address(text).map(drop),
        "start" => start(text),
        "switch" => switch(text).map(drop),
        _ => Ok(()),
    }
}

/// `what is wrong; what would be right`.
impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if !self.cure.is_empty() {
            write!(f, "; {}", self.cure)?;
        }
        Ok(())
    }
}

pub(super) fn wrong(what: impl Into<String>, cure: impl Into<String>) -> Wrong {
    Wrong {
        what: what.into(),
        cure: cure.into(),
    }
}

fn name(text: &str) -> Result<(), Wrong> {
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    let rest = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if begins && rest && text.len() <= NAME_MAX {
        return Ok(());
    }
    Err(wrong(
        format!("{text:?} is not a name"),
        "use letters, digits, - and _, beginning with a letter or a digit, at most 63",
    ))
}

fn app_name(text: &str) -> Result<(), Wrong> {
    let label = text
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    let edges = !text.starts_with('-') && !text.ends_with('-');
    if label && edges && !text.is_empty() && text.len() <= NAME_MAX {
        return Ok(());
    }
    Err(wrong(
        format!("{text:?} is not a name for an app: it becomes a label of a DNS name"),
        "use lower-case letters, digits and -, like orders",
    ))
}

fn path(text: &str) -> Result<(), Wrong> {
    if text.is_empty() || text.contains('\0') {
        return Err(wrong(
            "this is not a path",
            "write a path relative to this file",
        ));
    }
    Ok(())
}

fn database_name(text: &str) -> Result<(), Wrong> {
    // Teleport's own rule for databases: a label that begins with a letter.
    if text.starts_with(|c: char| c.is_ascii_lowercase()) && app_name(text).is_ok() {
        return Ok(());
    }
    Err(wrong(
        format!("{text:?} is not a name for a database"),
        "use lower-case letters, digits and -, beginning with a letter, like ledger",
    ))
}

/// Reads a switch as Teleport does: `yes`, `on`, `true`, `1`, … or their opposites.
pub fn switch(text: &str) -> Result<bool, Wrong> {
    match text.to_lowercase().as_str() {
        "yes" | "yeah" | "y" | "true" | "1" | "on" => Ok(true),
        "no" | "nope" | "n" | "false" | "0" | "off" => Ok(false),
        _ => Err(wrong(
            format!("{text:?} is neither yes nor no"),
            "write yes or no",
        )),
    }
}

/// Gives the cure for a number of seconds without its unit.
pub fn add_unit(number: &str) -> String {
    match number.parse::<f64>() {
        Ok(seconds) if number.contains('.') && (0.0..1e6).contains(&seconds) => {
            format!("write {:.0}ms", seconds * 1e3)
        }
        _ => format!("write {number}s"),
    }
}

/// Reads a length of time: one or more numbers, each with its unit.
pub fn duration(text: &str) -> Result<Span, Wrong> {
    let cure = "write a number with its unit, like 250ms, 2s or 5m";
    if !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return Err(wrong(format!("{text} has no unit"), add_unit(text)));
    }
    let Ok(duration) = humantime::parse_duration(text) else {
        return Err(wrong(format!("{text:?} is not a duration"), cure));
    };
    if duration > DURATION_MAX {
        return Err(wrong(
            format!("{text} is longer than 7 days"),
            "write a shorter duration",
        ));
    }
    Ok(Span::from(duration))
}

fn start(text: &str) -> Result<(), Wrong> {
    if text == "mesh" {
        return Ok(());
    }
    duration(text).map(drop).map_err(|mut wrong| {
        wrong.cure = format!("{}, or mesh", wrong.cure);
        wrong
    })
}

/// Reads a network; one address is a network of itself.
pub fn cidr(text: &str) -> Result<IpNet, Wrong> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address.to_canonical()));
    }
    let Ok(network) = text.parse::<IpNet>().map(canonical) else {
        return Err(wrong(
            format!("{text:?} is not a network in CIDR form"),
            "write it like 127.10.0.0/16",
        ));
    };
    if network.trunc() != network {
        return Err(wrong(
            format!("{text} has bits set beyond its length"),
            format!("write {}", network.trunc()),
        ));
    }
    Ok(network)
}

/// Reads an address, IPv4-mapped IPv6 made IPv4.
pub fn ip_address(text: &str) -> Result<IpAddr, Wrong> {
    text.parse::<IpAddr>()
        .map(|address| address.to_canonical())
        .map_err(|_| {
            wrong(
                format!("{text:?} is not an address"),
                "write it like 127.10.0.11",
            )
        })
}

/// Reads an address with a port.
pub fn socket_address(text: &str) -> Result<SocketAddr, Wrong> {
    text.parse::<SocketAddr>().map_err(|_| {
        wrong(
            format!("{text:?} is not an address and a port"),
            "write it like 127.10.0.2:3080",
        )
    })
}

/// Gives the cure for an address whose port is missing: the port of the example.
pub fn with_port(text: &str, example: &str) -> Option<String> {
    let address = text.parse::<IpAddr>().ok()?;
    let port = example.parse::<SocketAddr>().ok()?.port();
    Some(format!("write {}", SocketAddr::new(address, port)))
}

/// Reads a host and a port, both required.
pub fn host_port(text: &str) -> Result<HostPort, Wrong> {
    let read = || {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse::<u16>().ok().filter(|port| *port > 0)?;
        let host = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
            Some(inner) => inner.parse::<std::net::Ipv6Addr>().ok()?.to_string(),
            None if is_host(host) => host.to_owned(),
            None => return None,
        };
        Some(HostPort {
            host: host.into(),
            port,
        })
    };
    read().ok_or_else(|| {
        wrong(
            format!("{text:?} is not a host and a port"),
            "write it like 127.0.0.1:9000",
        )
    })
}

/// Tells whether a text is an IPv4 address or a host name; underscores are taken.
pub fn is_host(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= HOST_MAX
        && text.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= NAME_MAX
                && label
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        })
}

/// Reads the origin of a zone: lower case, with the final dot.
pub fn origin(text: &str) -> Result<String, Wrong> {
    let bare = text.strip_suffix('.').unwrap_or(text);
    if text == "." || is_host(bare) {
        let dot = if text == "." { "" } else { "." };
        let bare = if text == "." { "." } else { bare };
        return Ok(format!("{}{dot}", bare.to_ascii_lowercase()));
    }
    Err(wrong(
        format!("{text:?} is not the name of a zone"),
        "write it like example.com",
    ))
}

fn match_element(text: &str) -> Result<(), Wrong> {
    let bare = text.strip_prefix('!').unwrap_or(text).trim_start();
    if name(bare).is_ok() {
        return Ok(());
    }
    cidr(bare).map(drop).map_err(|wrong| {
        if bare.parse::<IpNet>().is_ok() {
            return wrong;
        }
        Wrong {
            what: format!("{text:?} matches nothing that can be meant"),
            cure: String::from(
                "write a network's name, a CIDR, an address, any or none, with ! before it to turn away",
            ),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_takes_what_is_right_and_refuses_what_is_wrong() {
        for (format, right, wrong) in [
            ("app-name", "orders-1", "Orders"),
            ("app-uri", "http://a", "http://"),
            ("bound", "2000/s", "-1%"),
            ("cidr", "fd00::/8", "10.0.0.0/33"),
            ("database-name", "ledger-1", "1ledger"),
            ("duration", "1m 30s", "2"),
            ("go-duration", "1h30m", "5"),
            ("host-port", "[::1]:80", "[::1]"),
            ("ip-address", "::1", "127.1"),
            ("match-element", "!10.0.0.0/8", "!"),
            ("name", "a_b-1", "-a"),
            ("origin", "example.com.", "a..b"),
            ("owner", "*.example.com", "a.*.b"),
            ("path", "../a b", ""),
            ("proxy-host", "a:443,3023", "a:443,3023,1"),
            ("question", "example.com. AAAA", "example.com"),
            ("rcode", "NXDOMAIN", "noerror"),
            ("record-type", "TXT", "ANY"),
            ("server", "127.0.0.1", "ns1"),
            ("share", "25%", "101%"),
            ("socket-address", "[::1]:53", "::1"),
            ("start", "mesh", "later"),
            ("switch", "Yes", "maybe"),
        ] {
            assert_eq!(check(format, right), Ok(()), "{format}");
            assert!(check(format, wrong).is_err(), "{format}");
        }
        assert_eq!(NAMES.len(), 23);
    }

    #[test]
    fn mapped_networks_are_those_of_ipv4() {
        assert_eq!(cidr("::ffff:10.0.0.0/104"), cidr("10.0.0.0/8"));
        assert_eq!(cidr("::ffff:10.0.0.1"), cidr("10.0.0.1/32"));
        assert_eq!(origin("Example.COM").as_deref(), Ok("example.com."));
        assert_eq!(origin(".").as_deref(), Ok("."));
    }

    #[test]
    fn absurd_durations_are_refused() {
        for text in ["99999999999999999999s", "8d", "-1s", "s", "1e9s"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert_eq!(add_unit("2"), "write 2s");
        assert_eq!(add_unit("0.25"), "write 250ms");
    }
}
