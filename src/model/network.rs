//! Named networks, and the lists that match a source address against them.
//!
//! A list is read as BIND reads an address match list: the first element that holds the address
//! decides, and one with `!` decides "no" (BIND ARM, "Address Match Lists").

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

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
            Self::None => false,
            Self::Ranges(ranges) => ranges.iter().any(|range| range.contains(&address)),
        }
    }
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

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
