//! Named networks, and the lists that match a source address against them.
//!
//! A list is read as BIND reads an address match list: the first element that holds the address
//! decides, and one with `!` decides "no" (BIND ARM, "Address Match Lists"). Views may be chosen by
//! the longest prefix instead, see [`Mode`]. A list within a list holds what that list lets in: what
//! it turns away is not held, so a double `!` never lets anybody in by surprise (as BIND's).

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};

use super::id::Name;

/// A network of the scenario: a name for one or more address ranges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// The name that other parts of the scenario use.
    pub name: Name,
    /// Its ranges, IPv4 and IPv6.
    pub ranges: Vec<IpNet>,
}

impl Network {
    /// Tells whether the address is in one of the ranges. IPv4-mapped IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.ranges.iter().any(|range| range.contains(&address))
    }
}

/// How views are chosen by their match lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The first view whose list lets the address in; in a list the first element that holds it
    /// decides.
    #[default]
    FirstMatch,
    /// The view with the most specific element that lets the address in, wherever it stands; in a
    /// list the most specific element that holds it decides. `any` is a prefix of length 0; of equal
    /// ones the first in the file.
    LongestPrefix,
}

impl Mode {
    /// Gives the word of the scenario file.
    pub const fn word(self) -> &'static str {
        match self {
            Self::FirstMatch => "first_match",
            Self::LongestPrefix => "longest_prefix",
        }
    }
}

/// One element of a match list, its names already resolved to ranges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// The element as it was written: `internal`, `!10.1.0.0/16`, `any`.
    pub text: Name,
    /// Whether it was written with `!`: an address that it holds is turned away.
    pub negated: bool,
    /// What it holds.
    pub what: Matcher,
}

/// What an element of a match list holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matcher {
    /// Every address.
    Any,
    /// The addresses that a named list lets in.
    List(Arc<[Element]>),
    /// No address.
    None,
    /// The addresses of these ranges.
    Ranges(Vec<IpNet>),
}

impl Matcher {
    /// Tells whether the address is held. The caller makes it canonical first.
    pub fn holds(&self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::List(elements) => matches!(judge(elements, address), Verdict::Allowed(_)),
            Self::None => false,
            Self::Ranges(ranges) => ranges
                .iter()
                .any(|range| canonical(*range).contains(&address)),
        }
    }

    /// Gives the length of the most specific prefix that holds the address. The caller makes it
    /// canonical first.
    fn length(&self, address: IpAddr) -> Option<u8> {
        match self {
            Self::Any => Some(0),
            Self::List(elements) => match judge_longest(elements, address) {
                (Verdict::Allowed(_), length) => Some(length),
                (Verdict::Denied(_) | Verdict::Unmatched, _) => None,
            },
            Self::None => None,
            Self::Ranges(ranges) => {
                let ranges = ranges.iter().map(|range| canonical(*range));
                let holding = ranges.filter(|range| range.contains(&address));
                holding.map(|range| range.prefix_len()).max()
            }
        }
    }
}

/// Makes a network of IPv4-mapped addresses one of IPv4, as sources are looked up.
pub fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(six) = network else {
        return network;
    };
    let four = six.addr().to_ipv4_mapped();
    let length = six.prefix_len().checked_sub(96);
    four.zip(length)
        .and_then(|(address, length)| Ipv4Net::new(address, length).ok())
        .map_or(network, IpNet::V4)
}

/// What a match list says of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The element with this index let it in.
    Allowed(usize),
    /// The element with this index, a negated one, turned it away.
    Denied(usize),
    /// No element holds it, which also turns it away.
    Unmatched,
}

/// Asks the list about an address: the first element that holds it decides.
pub fn judge(elements: &[Element], address: IpAddr) -> Verdict {
    let address = address.to_canonical();
    match elements
        .iter()
        .position(|element| element.what.holds(address))
    {
        Some(index) if elements[index].negated => Verdict::Denied(index),
        Some(index) => Verdict::Allowed(index),
        None => Verdict::Unmatched,
    }
}

/// Asks the list about an address as [`Mode::LongestPrefix`] does; gives the length of the prefix
/// that decided, too.
pub fn judge_longest(elements: &[Element], address: IpAddr) -> (Verdict, u8) {
    let address = address.to_canonical();
    let mut best: Option<(usize, u8)> = None;
    for (index, element) in elements.iter().enumerate() {
        let Some(length) = element.what.length(address) else {
            continue;
        };
        if best.is_none_or(|(_, longest)| length > longest) {
            best = Some((index, length));
        }
    }
    match best {
        Some((index, length)) if elements[index].negated => (Verdict::Denied(index), length),
        Some((index, length)) => (Verdict::Allowed(index), length),
        None => (Verdict::Unmatched, 0),
    }
}

/// Gives the length of the most specific prefix by which the element holds the address.
pub fn held_by(element: &Element, address: IpAddr) -> Option<u8> {
    element.what.length(address.to_canonical())
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
