//! One family's addresses as numbers, cut into intervals.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::model::network::canonical;

/// An address of one family as a number.
pub(in crate::policy) trait Word: Copy + Ord + Debug {
    /// How many bits it has.
    const BITS: u8;
    /// The lowest.
    const MIN: Self;
    /// The highest.
    const MAX: Self;

    /// Gives the next higher one.
    fn next(self) -> Option<Self>;

    /// Gives the next lower one.
    fn before(self) -> Option<Self>;

    /// Gives the first and the last of the block of this length that it is in.
    fn block(self, length: u8) -> (Self, Self);

    /// Counts the zero bits at its end.
    fn zeros(self) -> u8;

    /// Widens it.
    fn wide(self) -> u128;

    /// Gives the address.
    fn address(self) -> IpAddr;

    /// Gives the first and the last address of a network of this family.
    fn range(network: IpNet) -> Option<(Self, Self)>;
}

macro_rules! word {
    ($word:ident, $bits:literal, $address:ident, $family:ident) => {
        impl Word for $word {
            const BITS: u8 = $bits;
            const MIN: Self = Self::MIN;
            const MAX: Self = Self::MAX;

            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }

            fn before(self) -> Option<Self> {
                self.checked_sub(1)
            }

            fn block(self, length: u8) -> (Self, Self) {
                let host = Self::MAX.checked_shr(u32::from(length)).unwrap_or(0);
                (self & !host, self | host)
            }

            fn zeros(self) -> u8 {
                u8::try_from(self.trailing_zeros()).unwrap_or($bits)
            }

            fn wide(self) -> u128 {
                u128::from(self)
            }

            fn address(self) -> IpAddr {
                IpAddr::from($address::from_bits(self))
            }

            fn range(network: IpNet) -> Option<(Self, Self)> {
                match canonical(network) {
                    IpNet::$family(network) => Some((
                        network.network().to_bits(),
                        network.addr().to_bits() | network.hostmask().to_bits(),
                    )),
                    _ => None,
                }
            }
        }
    };
}

word!(u32, 32, Ipv4Addr, V4);
word!(u128, 128, Ipv6Addr, V6);

/// Counts the addresses from `first` to `last`; all of IPv6, 2^128, counts as 0.
pub(in crate::policy) fn count<W: Word>(first: W, last: W) -> u128 {
    (last.wide() - first.wide()).wrapping_add(1)
}

/// Gives the shortest list of prefixes that hold the addresses from `first` to `last`.
pub(super) fn cover<W: Word>(first: W, last: W) -> Vec<IpNet> {
    let mut prefixes = Vec::new();
    let mut next = Some(first);
    while let Some(first) = next.filter(|first| *first <= last) {
        // The largest block that begins here and does not reach beyond the end.
        let mut length = W::BITS - first.zeros().min(W::BITS);
        while first.block(length).1 > last {
            length += 1;
        }
        let network = IpNet::new(first.address(), length);
        prefixes.push(network.expect("a block is no longer than an address"));
        next = first.block(length).1.next();
    }
    prefixes
}

/// Every address with a value, as sorted intervals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) struct Space<W, V> {
    /// Where the intervals begin; the first begins at the lowest address.
    pub(super) starts: Vec<W>,
    /// The value of each.
    pub(super) values: Vec<V>,
}

impl<W: Word, V: Copy + PartialEq> Space<W, V> {
    /// Finds the interval of an address.
    pub(super) fn index(&self, address: W) -> usize {
        self.starts.partition_point(|start| *start <= address) - 1
    }

    /// Finds the value of an address.
    pub(in crate::policy) fn at(&self, address: W) -> V {
        self.values[self.index(address)]
    }

    /// Gives the intervals: first address, last address, value.
    pub(in crate::policy) fn runs(&self) -> impl Iterator<Item = (W, W, V)> {
        self.values.iter().enumerate().map(|(index, value)| {
            let next = self.starts.get(index + 1);
            // Before a start that is not the first there is an address.
            let last = next.and_then(|next| next.before()).unwrap_or(W::MAX);
            (self.starts[index], last, *value)
        })
    }

    /// Gives the same with other values, equal neighbours joined.
    pub(in crate::policy) fn map<U: Copy + PartialEq>(&self, of: impl Fn(V) -> U) -> Space<W, U> {
        let values = self.values.iter().map(|value| of(*value));
        join(self.starts.iter().copied().zip(values))
    }

    /// Finds the lowest address with another value in the other one.
    pub(super) fn first_difference(&self, other: &Self) -> Option<W> {
        let mut starts: Vec<W> = self.starts.iter().chain(&other.starts).copied().collect();
        starts.sort_unstable();
        let mut starts = starts.into_iter();
        starts.find(|start| self.at(*start) != other.at(*start))
    }
}

/// Joins neighbours of equal value.
pub(in crate::policy) fn join<W: Word, V: Copy + PartialEq>(
    runs: impl Iterator<Item = (W, V)>,
) -> Space<W, V> {
    let (mut starts, mut values) = (Vec::new(), Vec::new());
    for (start, value) in runs {
        if values.last() != Some(&value) {
            starts.push(start);
            values.push(value);
        }
    }
    Space { starts, values }
}

/// Intervals that are painted over one another.
#[derive(Debug)]
pub(in crate::policy) struct Canvas<W, V> {
    /// Where a value begins; it holds until the next edge.
    edges: BTreeMap<W, V>,
    /// The edges that a stroke covers, kept to use the room again.
    covered: Vec<W>,
}

impl<W: Word, V: Copy + PartialEq> Canvas<W, V> {
    /// Gives every address the same value.
    pub(in crate::policy) fn new(ground: V) -> Self {
        Self {
            edges: BTreeMap::from([(W::MIN, ground)]),
            covered: Vec::new(),
        }
    }

    /// Gives the addresses from `first` to `last` this value.
    pub(in crate::policy) fn paint(&mut self, first: W, last: W, value: V) {
        if let Some(after) = last.next() {
            let holding = self.edges.range(..=after).next_back();
            let (_, below) = holding.expect("the lowest address is an edge");
            let below = *below;
            self.edges.entry(after).or_insert(below);
        }
        self.covered.clear();
        let covered = self.edges.range(first..=last).map(|(edge, _)| *edge);
        self.covered.extend(covered);
        for edge in &self.covered {
            self.edges.remove(edge);
        }
        self.edges.insert(first, value);
    }

    /// Gives the intervals.
    pub(in crate::policy) fn dry(self) -> Space<W, V> {
        join(self.edges.into_iter())
    }
}
