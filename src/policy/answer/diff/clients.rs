//! Which clients change hands: two partitions of the address space laid over one another.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::network::{Element, Matcher, canonical};
use crate::model::topology::Share;
use crate::policy::partition::{Partition, Stretch};
use crate::policy::view::Selector;

/// Clients who get the same view, before and after.
#[derive(Clone, Copy, Debug)]
pub(super) struct Class {
    /// The first of them.
    pub(super) first: IpAddr,
    /// The last of them.
    pub(super) last: IpAddr,
    /// One of the addresses at which they ask.
    pub(super) destination: IpAddr,
    /// Their view before, by index.
    pub(super) from: Option<usize>,
    /// Their view now.
    pub(super) to: Option<usize>,
}

/// Calls `each` with every range of clients and the views that answer it, before and after. Where
/// the view depends on the destination, ranges come once for each combination of partitions.
pub(super) fn classes(old: &Selector, new: &Selector, mut each: impl FnMut(Class)) {
    let mut seen: Vec<(*const Partition, *const Partition)> = Vec::new();
    for destination in destinations(old, new) {
        let both = old.partition(destination).zip(new.partition(destination));
        // Beyond the partitions that are compiled nothing can be said; a reload is not held up.
        let Some((old, new)) = both else { continue };
        let pair = (std::ptr::from_ref(old), std::ptr::from_ref(new));
        if seen.contains(&pair) {
            continue;
        }
        seen.push(pair);
        overlay(old, new, destination, &mut each);
    }
}

fn overlay(old: &Partition, new: &Partition, destination: IpAddr, each: &mut impl FnMut(Class)) {
    let (mut old, mut new) = (old.stretches(), new.stretches());
    let (mut from, mut to): (Option<Stretch>, Option<Stretch>) = (old.next(), new.next());
    // Both hold every address once and in order, so they end together.
    while let (Some(a), Some(b)) = (from, to) {
        let last = a.last.min(b.last);
        each(Class {
            first: a.first.max(b.first),
            last,
            destination,
            from: a.view,
            to: b.view,
        });
        if a.last == last {
            from = old.next();
        }
        if b.last == last {
            to = new.next();
        }
    }
}

/// Gives the addresses at which some list lets in others than just before: those where a range
/// begins, and where it has ended; sorted.
pub(super) fn sources(old: &Selector, new: &Selector) -> Vec<IpAddr> {
    let mut all = Vec::new();
    for lists in old.lists().chain(new.lists()) {
        edges(lists.clients, &mut all);
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// Cuts a class where lists begin and end, so that each piece gets the same next view.
pub(super) fn pieces(class: Class, sources: &[IpAddr]) -> impl Iterator<Item = Class> {
    let from = sources.partition_point(|edge| *edge <= class.first);
    let to = sources.partition_point(|edge| *edge <= class.last);
    let inner = sources.get(from..to).unwrap_or_default();
    let firsts = std::iter::once(class.first).chain(inner.iter().copied());
    let lasts = inner.iter().filter_map(|edge| before(*edge));
    let lasts = lasts.chain(std::iter::once(class.last));
    firsts.zip(lasts).map(move |(first, last)| Class {
        first,
        last,
        ..class
    })
}

/// Gives an address of each set of destinations that may choose other views: those where a range of
/// a list begins, and where it has ended.
fn destinations(old: &Selector, new: &Selector) -> Vec<IpAddr> {
    let mut all = vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
    let lists = old.lists().chain(new.lists());
    for lists in lists {
        edges(lists.destinations, &mut all);
    }
    all.sort_unstable();
    all.dedup();
    all
}

fn edges(elements: &[Element], all: &mut Vec<IpAddr>) {
    for element in elements {
        match &element.what {
            Matcher::Any | Matcher::None => {}
            Matcher::List(inner) => edges(inner, all),
            Matcher::Ranges(ranges) => {
                for range in ranges.iter().map(|range| canonical(*range)) {
                    all.push(range.network());
                    all.extend(next(range.broadcast()));
                }
            }
        }
    }
}

/// Gives the next higher address of the family.
fn next(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(four) => Some(Ipv4Addr::from_bits(four.to_bits().checked_add(1)?).into()),
        IpAddr::V6(six) => Some(Ipv6Addr::from_bits(six.to_bits().checked_add(1)?).into()),
    }
}

/// Gives the next lower address of the family.
fn before(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(four) => Some(Ipv4Addr::from_bits(four.to_bits().checked_sub(1)?).into()),
        IpAddr::V6(six) => Some(Ipv6Addr::from_bits(six.to_bits().checked_sub(1)?).into()),
    }
}

/// Sorts ranges and joins those that touch or overlap.
pub(super) fn join(ranges: &mut Vec<(IpAddr, IpAddr)>) {
    ranges.sort_unstable();
    let mut joined: Vec<(IpAddr, IpAddr)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges.drain(..) {
        if let Some(before) = joined.last_mut()
            && before.1.is_ipv4() == first.is_ipv4()
            && next(before.1).is_none_or(|next| first <= next)
        {
            before.1 = before.1.max(last);
        } else {
            joined.push((first, last));
        }
    }
    *ranges = joined;
}

/// Gives how much of IPv4 and of IPv6 joined ranges hold; more than nothing is never shown as
/// nothing.
pub(super) fn shares(ranges: &[(IpAddr, IpAddr)]) -> (Share, Share) {
    // IPv6 is counted in networks of 64 bits, which loses nothing that a share could show.
    let (mut four, mut six) = (0_u128, 0_u128);
    for (first, last) in ranges {
        match (first, last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => {
                four += u128::from(last.to_bits() - first.to_bits()) + 1;
            }
            (IpAddr::V6(first), IpAddr::V6(last)) => {
                six += ((last.to_bits() - first.to_bits()) >> 64) + 1;
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {}
        }
    }
    (share(four, 32), share(six, 64))
}

fn share(count: u128, bits: u32) -> Share {
    let all = u128::from(Share::ALL.0);
    let part = (count * all).div_ceil(1 << bits).min(all);
    Share(u32::try_from(part).unwrap_or(Share::ALL.0))
}
