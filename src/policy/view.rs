//! Which view answers, and why (the words of BIND's `match-clients` and `match-destinations`).
//!
//! In go the views, the listed senders, the client's address, its client-subnet option and where the
//! query came in; out comes the view whose lists let the source and the destination in. The source
//! is the client's address, or the option's address when the client is a listed sender (RFC 7871
//! section 11.3: anybody can forge it). Behind a listed sender of PROXY headers the client is the one
//! that the header names. An IPv4-mapped IPv6 address counts as IPv4. No view is an outcome: the
//! answer is REFUSED.
//!
//! [`Selector`] is compiled when rules are loaded and asked for every query. [`choose`] reads the
//! lists as they are written; [`trace`] tells it step by step for `explain`.

mod choice;
mod odd;
mod reach;
mod selector;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

pub use self::choice::{List, Lists, Traced, choose, trace};
pub use self::odd::{Odd, odd};
pub use self::reach::Unreachable;
pub use self::selector::{DESTINATIONS_MAX, Disagreement, Selector};

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
    /// The real client's address, told by a listed sender's PROXY header.
    Proxied(IpAddr),
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
fn is_listed(trusted: &[IpNet], client: IpAddr) -> bool {
    let client = client.to_canonical();
    trusted.iter().any(|network| network.contains(&client))
}

impl Source {
    /// Gives the address.
    pub const fn address(self) -> IpAddr {
        match self {
            Self::Client(address)
            | Self::Proxied(address)
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
            Self::Proxied(_) => f.write_str(" (the client that a PROXY header names)"),
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
