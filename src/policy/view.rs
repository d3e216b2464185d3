//! Which view answers, and why (the words of BIND's `match-clients`).
//!
//! In go the views, the listed senders, the client's address and its client-subnet option; out comes
//! the first view whose list lets the source in. The source is the client's address, or the option's
//! address when the client is a listed sender (RFC 7871 section 11.3: anybody can forge it). An
//! IPv4-mapped IPv6 address counts as IPv4. No view is an outcome: the answer is REFUSED.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::model::network::{Element, Verdict, judge};

/// A client-subnet option of a query (RFC 7871 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// The address as it was sent.
    pub address: IpAddr,
    /// How many of its bits the sender gives.
    pub source: u8,
    /// 0 in a query.
    pub scope: u8,
}

/// The address that chose the view, and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The address that the query came from; there was no option.
    Client(IpAddr),
    /// The address that the query came from, since it is no listed sender.
    Unlisted(IpAddr),
    /// The address of the option, sent by a listed sender.
    Subnet(IpAddr),
    /// The address of a listed sender whose option holds no bits (RFC 7871 section 7.1.2).
    Withheld(IpAddr),
}

/// The choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selected {
    /// The address that was matched.
    pub source: Source,
    /// The view and the element of its list that let the source in, both by index.
    pub matched: Option<(usize, usize)>,
}

/// Chooses the view. `lists` are the match lists of the views, in order.
pub fn select<'a>(
    lists: impl IntoIterator<Item = &'a [Element]>,
    trusted: &[IpNet],
    client: IpAddr,
    subnet: Option<Subnet>,
) -> Selected {
    let source = source(trusted, client, subnet);
    let matched = lists.into_iter().enumerate().find_map(|(view, elements)| {
        match judge(elements, source.address()) {
            Verdict::Allowed(element) => Some((view, element)),
            Verdict::Denied(_) | Verdict::Unmatched => None,
        }
    });
    Selected { source, matched }
}

/// One element that was looked at on the way to a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The view, by index.
    pub view: usize,
    /// The element of its list, by index.
    pub element: usize,
    /// Whether the element holds the address, which ends this view's list.
    pub held: bool,
}

/// Lists what [`select`] looks at, in order: up to the first element that lets the address in.
pub fn tried<'a>(lists: impl IntoIterator<Item = &'a [Element]>, address: IpAddr) -> Vec<Tried> {
    let address = address.to_canonical();
    let mut tried = Vec::new();
    for (view, elements) in lists.into_iter().enumerate() {
        for (element, matcher) in elements.iter().enumerate() {
            let held = matcher.what.holds(address);
            tried.push(Tried {
                view,
                element,
                held,
            });
            if held && !matcher.negated {
                return tried;
            }
            if held {
                break;
            }
        }
    }
    tried
}

/// Finds the address to match.
fn source(trusted: &[IpNet], client: IpAddr, subnet: Option<Subnet>) -> Source {
    let client = client.to_canonical();
    match subnet {
        None => Source::Client(client),
        Some(_) if !is_listed(trusted, client) => Source::Unlisted(client),
        Some(subnet) if subnet.source == 0 => Source::Withheld(client),
        Some(subnet) => Source::Subnet(subnet.address.to_canonical()),
    }
}

/// Tells whether this sender's client-subnet option is honoured.
pub fn is_listed(trusted: &[IpNet], client: IpAddr) -> bool {
    let client = client.to_canonical();
    trusted.iter().any(|network| network.contains(&client))
}

impl Source {
    /// Gives the address.
    pub const fn address(self) -> IpAddr {
        match self {
            Self::Client(address)
            | Self::Unlisted(address)
            | Self::Subnet(address)
            | Self::Withheld(address) => address,
        }
    }
}

/// `127.10.0.9`, and what an option had to do with it.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address())?;
        match self {
            Self::Client(_) => Ok(()),
            Self::Unlisted(_) => {
                f.write_str(" (its client subnet is ignored: not a listed sender)")
            }
            Self::Subnet(_) => f.write_str(" (the client subnet of a listed sender)"),
            Self::Withheld(_) => f.write_str(" (a listed sender that gives no client subnet)"),
        }
    }
}

impl Subnet {
    /// Tells whether the option is one that a query may hold: a length that the family has, no bits
    /// beyond it, no scope (RFC 7871 sections 6 and 7.1.2).
    pub fn is_proper(self) -> bool {
        let Ok(network) = IpNet::new(self.address, self.source) else {
            return false;
        };
        self.scope == 0 && network.network() == self.address
    }
}

/// `127.10.0.0/24`.
impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.source)
    }
}

#[cfg(test)]
mod tests {
    use crate::model::network::Matcher;

    use super::*;

    fn element(text: &str) -> Element {
        let (negated, bare) = match text.strip_prefix('!') {
            Some(bare) => (true, bare),
            None => (false, text),
        };
        let what = match bare {
            "any" => Matcher::Any,
            "none" => Matcher::None,
            range => Matcher::Ranges(vec![range.parse().unwrap()]),
        };
        Element {
            text: text.into(),
            negated,
            what,
        }
    }

    fn check(client: &str, subnet: Option<&str>, expected: Option<(usize, usize)>) -> Source {
        let lists = [
            vec![
                element("!10.1.0.0/16"),
                element("10.0.0.0/8"),
                element("fd00::/8"),
            ],
            vec![element("none")],
            vec![element("!192.0.2.1/32"), element("any")],
        ];
        let trusted = ["127.0.0.1/32".parse().unwrap()];
        let subnet = subnet.map(|text| {
            let network: IpNet = text.parse().unwrap();
            Subnet {
                address: network.addr(),
                source: network.prefix_len(),
                scope: 0,
            }
        });
        let slices = || lists.iter().map(Vec::as_slice);
        let selected = select(slices(), &trusted, client.parse().unwrap(), subnet);
        assert_eq!(selected.matched, expected, "{client} {subnet:?}");
        let tried = tried(slices(), selected.source.address());
        let last = tried
            .last()
            .filter(|last| last.held && !lists[last.view][last.element].negated);
        assert_eq!(last.map(|last| (last.view, last.element)), expected);
        selected.source
    }

    #[test]
    fn the_first_view_that_lets_the_source_in_answers() {
        check("10.2.0.1", None, Some((0, 1)));
        check("10.1.0.1", None, Some((2, 1)));
        check("fd00::1", None, Some((0, 2)));
        check("192.0.2.2", None, Some((2, 1)));
    }

    #[test]
    fn a_source_that_no_view_lets_in_gets_none() {
        check("192.0.2.1", None, None);
    }

    #[test]
    fn a_mapped_address_counts_as_ipv4() {
        check("::ffff:10.2.0.1", None, Some((0, 1)));
        check(
            "::ffff:127.0.0.1",
            Some("::ffff:10.2.0.0/120"),
            Some((0, 1)),
        );
    }

    #[test]
    fn only_a_listed_sender_speaks_for_others() {
        let listed = check("127.0.0.1", Some("10.2.0.0/24"), Some((0, 1)));
        assert!(matches!(listed, Source::Subnet(_)));
        let unlisted = check("127.0.0.2", Some("10.2.0.0/24"), Some((2, 1)));
        assert!(matches!(unlisted, Source::Unlisted(_)));
        let withheld = check("127.0.0.1", Some("0.0.0.0/0"), Some((2, 1)));
        assert!(matches!(withheld, Source::Withheld(_)));
    }

    #[test]
    fn a_subnet_has_no_bits_beyond_its_length() {
        let subnet = |address: &str, source, scope| Subnet {
            address: address.parse().unwrap(),
            source,
            scope,
        };
        assert!(subnet("10.2.0.0", 16, 0).is_proper());
        assert!(!subnet("10.2.0.1", 16, 0).is_proper());
        assert!(!subnet("10.2.0.0", 33, 0).is_proper());
        assert!(!subnet("10.2.0.0", 16, 16).is_proper());
    }
}
