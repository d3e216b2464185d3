//! What is wrong with whom a view passes questions on for, and to: nobody serves everybody, or asks
//! itself.

use std::net::{IpAddr, SocketAddr};

use crate::model::network::{Element, Mode};
use crate::model::topology::Dns;
use crate::policy::partition::Partition;

/// A key that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Where it stands: `views[0].forward.allow`.
    pub key: String,
    /// What is wrong.
    pub what: String,
    /// What helps.
    pub cure: &'static str,
}

/// Gives what is wrong with a server that listens at these addresses.
pub fn wrong(dns: &Dns, listeners: &[SocketAddr]) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    for (view, forward) in dns.views.iter().enumerate() {
        let Some(forward) = &forward.forward else {
            continue;
        };
        if let Some(family) = open_family(&forward.allow) {
            wrong.push(Wrong {
                key: format!("views[{view}].forward.allow"),
                what: format!(
                    "this passes on the questions of more than half of all {family} addresses: an \
                     open resolver"
                ),
                cure: "name the networks that may",
            });
        }
        for (place, server) in forward.servers.iter().enumerate() {
            if let Some(own) = own(listeners, *server) {
                wrong.push(Wrong {
                    key: format!("views[{view}].forward.servers[{place}]"),
                    what: format!("{server} is this server itself, which listens on {own}"),
                    cure: "name a server that asks others",
                });
            }
        }
    }
    wrong
}

/// Names the family of which a list lets in more than half, however it is written.
///
/// Of IPv6 only the addresses that are given out count (2000::/3, RFC 4291 section 2.4).
fn open_family(list: &[Element]) -> Option<&'static str> {
    let partition = Partition::new([list], Mode::FirstMatch);
    // What is smaller than a part of the whole does not make it open.
    const WHOLE: u128 = 1 << 64;
    let (mut four, mut six) = (0_u128, 0_u128);
    for (prefix, matched) in partition.prefixes() {
        if matched.is_none() {
            continue;
        }
        let length = prefix.prefix_len();
        match prefix.network() {
            IpAddr::V4(_) => four += WHOLE >> length,
            IpAddr::V6(first) if first.segments()[0] >> 13 == 1 => {
                six += (WHOLE << 3).checked_shr(length.into()).unwrap_or(0);
            }
            IpAddr::V6(first) if length < 3 && first.segments()[0] >> 14 == 0 => six += WHOLE,
            IpAddr::V6(_) => {}
        }
    }
    if four > WHOLE / 2 {
        Some("IPv4")
    } else if six > WHOLE / 2 {
        Some("IPv6")
    } else {
        None
    }
}

/// Finds the address of these at which a server that listens there would ask itself.
///
/// Which addresses a wildcard listener has is not known; those of the loopback network it has.
fn own(listeners: &[SocketAddr], server: SocketAddr) -> Option<SocketAddr> {
    let mut listeners = listeners.iter().copied();
    listeners.find(|listen| {
        let (own, other) = (listen.ip().to_canonical(), server.ip().to_canonical());
        let everywhere = own.is_unspecified() && (own.is_ipv6() || other.is_ipv4());
        listen.port() == server.port()
            && listen.port() != 0
            && (own == other || everywhere && (other.is_loopback() || other.is_unspecified()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::model::network::Matcher;

    fn family(texts: &[&str]) -> Option<&'static str> {
        let elements: Vec<Element> = texts
            .iter()
            .map(|text| Element {
                text: (*text).into(),
                negated: text.starts_with('!'),
                what: Matcher::Ranges(vec![text.trim_start_matches('!').parse().unwrap()]),
            })
            .collect();
        open_family(&elements)
    }

    #[test]
    fn halves_that_make_a_whole_are_one() {
        assert_eq!(family(&["0.0.0.0/1", "128.0.0.0/1"]), Some("IPv4"));
        assert_eq!(family(&["0.0.0.0/1", "128.0.0.0/2"]), Some("IPv4"));
        assert_eq!(family(&["!10.0.0.0/8", "0.0.0.0/0"]), Some("IPv4"));
        assert_eq!(family(&["::/1", "8000::/1"]), Some("IPv6"));
        assert_eq!(family(&["2000::/4", "3000::/5"]), Some("IPv6"));
        // What is left of a whole may be little.
        assert_eq!(family(&["!0.0.0.0/1", "0.0.0.0/0"]), None);
        assert_eq!(family(&["10.0.0.0/8", "fd00::/8", "2001:db8::/32"]), None);
        assert_eq!(family(&["0.0.0.0/1"]), None);
    }

    #[test]
    fn a_server_knows_its_own_address() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let own = |listen: &str, server: &str| own(&[at(listen)], at(server)).is_some();
        assert!(own("192.0.2.1:53", "192.0.2.1:53"));
        assert!(own("192.0.2.1:53", "[::ffff:192.0.2.1]:53"));
        assert!(own("0.0.0.0:53", "127.0.0.1:53"));
        assert!(own("[::]:53", "127.0.0.1:53"));
        assert!(own("[::]:53", "[::1]:53"));
        assert!(!own("0.0.0.0:53", "[::1]:53"));
        assert!(!own("192.0.2.1:53", "192.0.2.1:54"));
        assert!(!own("192.0.2.1:53", "192.0.2.2:53"));
        assert!(!own("0.0.0.0:53", "192.0.2.2:53"));
    }
}
