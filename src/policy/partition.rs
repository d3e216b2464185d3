//! Which view every address of IPv4 and IPv6 gets: the exact partition that match lists make.
//!
//! In go the views' lists and the mode; out come sorted intervals that hold every address once, each
//! with the view and the element that won it. A lookup is a binary search without allocation.
//! IPv4-mapped addresses count as IPv4, so no client is in that part of IPv6; it is carried all the
//! same, so that the counts add up to 2^32 and 2^128. Destinations are the affair of `policy/view`.
//!
//! ```text
//! list ─ pieces (disjoint, per view) ─ painted over one another, the winner last ─► intervals
//! ```
//!
//! Painting keeps a map of edges: each interval painted adds at most two, and each that it covers
//! goes for good, so a thousand lists of ten networks cost ten thousand short steps.

mod pieces;
mod scope;
pub(super) mod space;
#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::model::network::{Element, Mode};

use self::space::{Canvas, Space, Word};

pub(super) use self::pieces::{Piece, deciders, held, pieces};
pub use self::scope::{SCOPE_STEPS_MAX, Scope};

/// The view and the element of its list that win an address, by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Winner {
    pub(super) view: u32,
    pub(super) element: u32,
}

/// An interval of addresses, all won by the same element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Its first address.
    pub first: IpAddr,
    /// Its last address.
    pub last: IpAddr,
    /// The view and the element, by index; `None` where no view lets the addresses in.
    pub winner: Option<(usize, usize)>,
}

/// An interval of addresses that get the same view, as long as it can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Its first address.
    pub first: IpAddr,
    /// Its last address.
    pub last: IpAddr,
    /// The view, by index; `None` where no view lets the addresses in.
    pub view: Option<usize>,
}

/// The partition of both families.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    four: Family<u32>,
    six: Family<u128>,
}

/// The partition of one family: by element, and by view with equal neighbours joined.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Family<W> {
    winners: Space<W, Option<Winner>>,
    views: Space<W, Option<u32>>,
}

impl Partition {
    /// Makes the partition of these views' lists, in order.
    pub fn new<'a>(lists: impl IntoIterator<Item = &'a [Element]>, mode: Mode) -> Self {
        let lists: Vec<_> = lists.into_iter().enumerate().collect();
        Self::of(&lists, mode)
    }

    /// Makes the partition of some views, each with its index.
    pub(super) fn of(lists: &[(usize, &[Element])], mode: Mode) -> Self {
        Self {
            four: Family::new(lists, mode),
            six: Family::new(lists, mode),
        }
    }

    /// Finds the view and the element that win an address; IPv4-mapped IPv6 counts as IPv4.
    pub fn select(&self, address: IpAddr) -> Option<(usize, usize)> {
        let winner = match address.to_canonical() {
            IpAddr::V4(four) => self.four.winners.at(four.to_bits()),
            IpAddr::V6(six) => self.six.winners.at(six.to_bits()),
        };
        winner.map(Winner::indices)
    }

    /// Gives the intervals by element: IPv4 first, in the order of addresses.
    pub fn intervals(&self) -> impl Iterator<Item = Interval> {
        let of = |(first, last, winner): (IpAddr, IpAddr, Option<Winner>)| Interval {
            first,
            last,
            winner: winner.map(Winner::indices),
        };
        let four = self.four.winners.runs().map(addresses);
        four.chain(self.six.winners.runs().map(addresses)).map(of)
    }

    /// Gives the intervals by view: IPv4 first, in the order of addresses.
    pub fn stretches(&self) -> impl Iterator<Item = Stretch> {
        let of = |(first, last, view): (IpAddr, IpAddr, Option<u32>)| Stretch {
            first,
            last,
            view: view.map(|view| view as usize),
        };
        let four = self.four.views.runs().map(addresses);
        four.chain(self.six.views.runs().map(addresses)).map(of)
    }

    /// Gives the shortest list of prefixes that says which view every address gets: IPv4 first, in
    /// the order of addresses.
    pub fn prefixes(&self) -> impl Iterator<Item = (IpNet, Option<usize>)> {
        let stretches = self.stretches();
        stretches.flat_map(|stretch| {
            let cover = cover(stretch.first, stretch.last).into_iter();
            cover.map(move |prefix| (prefix, stretch.view))
        })
    }

    /// Tells whether both give every address the same view.
    pub fn agrees(&self, other: &Self) -> bool {
        self.four.views == other.four.views && self.six.views == other.six.views
    }

    /// Finds the lowest address that the other gives another view.
    pub fn first_difference(&self, other: &Self) -> Option<IpAddr> {
        let four = self.four.views.first_difference(&other.four.views);
        let six = || self.six.views.first_difference(&other.six.views);
        four.map(Word::address).or_else(|| six().map(Word::address))
    }

    /// Counts the addresses of each interval that somebody wins: `add` gets the winner, 0 for IPv4 or
    /// 1 for IPv6, and how many, 2^128 being 0.
    pub(super) fn count(&self, mut add: impl FnMut((usize, usize), usize, u128)) {
        for (first, last, winner) in self.four.winners.runs() {
            if let Some(winner) = winner {
                add(winner.indices(), 0, space::count(first, last));
            }
        }
        for (first, last, winner) in self.six.winners.runs() {
            if let Some(winner) = winner {
                add(winner.indices(), 1, space::count(first, last));
            }
        }
    }
}

/// Gives the shortest list of prefixes that hold the addresses from `first` to `last`, which are of
/// one family; none when they are not.
pub fn cover(first: IpAddr, last: IpAddr) -> Vec<IpNet> {
    match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => space::cover(first.to_bits(), last.to_bits()),
        (IpAddr::V6(first), IpAddr::V6(last)) => space::cover(first.to_bits(), last.to_bits()),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => Vec::new(),
    }
}

fn addresses<W: Word, V>((first, last, value): (W, W, V)) -> (IpAddr, IpAddr, V) {
    (first.address(), last.address(), value)
}

impl Winner {
    pub(super) fn new(view: usize, element: u32) -> Self {
        let view = u32::try_from(view).expect("views are counted by the lines of a file");
        Self { view, element }
    }

    const fn indices(self) -> (usize, usize) {
        (self.view as usize, self.element as usize)
    }
}

impl<W: Word> Family<W> {
    fn new(lists: &[(usize, &[Element])], mode: Mode) -> Self {
        let each = lists.iter();
        let mut all: Vec<(Winner, Piece<W>)> = each
            .flat_map(|(view, elements)| {
                let pieces = pieces::<W>(elements, mode).into_iter();
                pieces.map(|piece| (Winner::new(*view, piece.element), piece))
            })
            .collect();
        // Whoever wins is painted last. A view's own pieces are disjoint.
        match mode {
            Mode::FirstMatch => all.reverse(),
            Mode::LongestPrefix => {
                all.sort_by_key(|(winner, piece)| (piece.length, Reverse(winner.view)));
            }
        }
        let mut canvas = Canvas::new(None);
        for (winner, piece) in all {
            canvas.paint(piece.first, piece.last, Some(winner));
        }
        let winners = canvas.dry();
        let views = winners.map(|winner| winner.map(|winner| winner.view));
        Self { winners, views }
    }
}
