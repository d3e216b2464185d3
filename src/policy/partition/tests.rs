//! Partitions against the lists as they are written, and what must be true of every partition.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::model::network::{Element, Mode};
use crate::policy::view::{Lists, choose};

use super::testing::{Luck, edges, list};
use super::*;

const MODES: [Mode; 2] = [Mode::FirstMatch, Mode::LongestPrefix];

/// How many sets of lists are drawn for each mode.
const DRAWN: u64 = 400;

fn partition(lists: &[Vec<Element>], mode: Mode) -> Partition {
    Partition::new(lists.iter().map(Vec::as_slice), mode)
}

fn slow(lists: &[Vec<Element>], mode: Mode, address: IpAddr) -> Option<(usize, usize)> {
    let lists = lists.iter().map(|clients| Lists {
        clients,
        destinations: &[],
    });
    choose(lists, mode, address, address)
}

/// Finds an address for which the partition says otherwise than the lists.
fn differs(partition: &Partition, lists: &[Vec<Element>], mode: Mode) -> Option<IpAddr> {
    let edges = edges(lists);
    let mut edges = edges.into_iter();
    edges.find(|edge| partition.select(*edge) != slow(lists, mode, *edge))
}

#[test]
fn a_partition_says_what_the_lists_say() {
    for mode in MODES {
        for seed in 0..DRAWN {
            let lists = Luck::new(seed).lists();
            let partition = partition(&lists, mode);
            let wrong = differs(&partition, &lists, mode);
            assert_eq!(wrong, None, "seed {seed}, {mode:?}: {lists:?}");
        }
    }
}

/// The broken twin: painted in the wrong order, or in that of the other mode, it is caught.
#[test]
fn a_partition_painted_in_the_wrong_order_is_caught() {
    for mode in MODES {
        let caught = |wrong: &dyn Fn(&[Vec<Element>]) -> Partition| {
            let caught = (0..DRAWN).filter(|seed| {
                let lists = Luck::new(*seed).lists();
                differs(&wrong(&lists), &lists, mode).is_some()
            });
            caught.count()
        };
        let backwards = caught(&|lists| {
            let views = lists.iter().map(Vec::as_slice).enumerate().rev();
            Partition::of(&views.collect::<Vec<_>>(), Mode::FirstMatch)
        });
        assert!(backwards > 100, "{mode:?}: only {backwards}");
        let other = MODES.into_iter().find(|other| *other != mode).unwrap();
        let otherwise = caught(&|lists| partition(lists, other));
        assert!(otherwise > 100, "{mode:?}: only {otherwise}");
    }
}

/// Counts the addresses of a family, and checks that each prefix begins where the last one ended and
/// that no two could be one.
fn sum_of(prefixes: &[(IpNet, Option<usize>)], bits: u8) -> Result<Option<u128>, String> {
    let mut sum = Some(0_u128);
    let mut next: Option<IpAddr> = None;
    let mut before: Option<(IpNet, Option<usize>)> = None;
    let family = prefixes
        .iter()
        .filter(|(prefix, _)| prefix.max_prefix_len() == bits);
    for (prefix, view) in family {
        if let Some(next) = next.filter(|next| *next != prefix.addr()) {
            return Err(format!("{prefix} should begin at {next}"));
        }
        let siblings = before.is_some_and(|(other, same)| {
            same == *view && other.supernet() == prefix.supernet() && other != *prefix
        });
        if siblings {
            return Err(format!("{prefix} and the one before could be one"));
        }
        let width = u32::from(bits - prefix.prefix_len());
        // All of IPv6 is one more than fits.
        sum = sum.and_then(|sum| sum.checked_add(1_u128.checked_shl(width)?));
        next = match prefix.broadcast() {
            IpAddr::V4(last) => last.to_bits().checked_add(1).map(Word::address),
            IpAddr::V6(last) => last.to_bits().checked_add(1).map(Word::address),
        };
        before = Some((*prefix, *view));
    }
    if next.is_some() {
        return Err(String::from("it ends before the last address"));
    }
    Ok(sum)
}

#[test]
fn prefixes_hold_every_address_once_and_are_as_few_as_can_be() {
    for mode in MODES {
        for seed in 0..DRAWN {
            let lists = Luck::new(seed).lists();
            let partition = partition(&lists, mode);
            let prefixes: Vec<_> = partition.prefixes().collect();
            assert_eq!(sum_of(&prefixes, 32), Ok(Some(1 << 32)), "seed {seed}");
            assert_eq!(sum_of(&prefixes, 128), Ok(None), "seed {seed}");
            for (prefix, view) in prefixes {
                for address in [prefix.network(), prefix.broadcast()] {
                    if address.to_canonical() == address {
                        let selected = partition.select(address).map(|(view, _)| view);
                        assert_eq!(selected, view, "seed {seed}, {address}");
                    }
                }
            }
        }
    }
}

/// The broken twin: a hole, an overlap, an end too early and two halves are noticed.
#[test]
fn prefixes_that_do_not_add_up_are_noticed() {
    let sum = |texts: &[&str]| {
        let prefixes = texts.iter().map(|text| (text.parse().unwrap(), Some(0)));
        sum_of(&prefixes.collect::<Vec<_>>(), 32)
    };
    assert_eq!(sum(&["0.0.0.0/0"]), Ok(Some(1 << 32)));
    assert!(sum(&["0.0.0.0/1", "192.0.0.0/2"]).is_err());
    assert!(sum(&["0.0.0.0/1", "64.0.0.0/2"]).is_err());
    assert!(sum(&["0.0.0.0/1"]).is_err());
    assert!(sum(&["0.0.0.0/1", "128.0.0.0/1"]).is_err());
}

#[test]
fn an_interval_becomes_the_fewest_prefixes() {
    let cover = |first: &str, last: &str| {
        let cover = cover(first.parse().unwrap(), last.parse().unwrap());
        cover.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(cover("0.0.0.0", "255.255.255.255"), ["0.0.0.0/0"]);
    assert_eq!(
        cover("10.0.0.1", "10.0.0.6"),
        ["10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/31", "10.0.0.6/32"]
    );
    let last = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    assert_eq!(cover("::", last), ["::/0"]);
    assert_eq!(cover("8000::", last), ["8000::/1"]);
    assert_eq!(cover("10.0.0.1", "::1"), Vec::<String>::new());
}

#[test]
fn prefixes_say_who_gets_what() {
    let lists = [list("!10.1.0.0/16 10.0.0.0/14"), list("none"), list("::/0")];
    let partition = partition(&lists, Mode::FirstMatch);
    let said: Vec<String> = partition
        .prefixes()
        .filter(|(_, view)| view.is_some())
        .map(|(prefix, view)| format!("{prefix} {}", view.unwrap()))
        .collect();
    assert_eq!(said, ["10.0.0.0/16 0", "10.2.0.0/15 0", "::/0 2"]);
}

#[test]
fn a_thousand_lists_of_ten_networks_are_cut_at_their_edges_only() {
    let lists: Vec<Vec<Element>> = (0..1000)
        .map(|view| {
            let nets = (0..10).map(|n| format!("10.{}.{}.0/25", view / 4, (view % 4) * 64 + n));
            list(&nets.collect::<Vec<_>>().join(" "))
        })
        .collect();
    let partition = partition(&lists, Mode::FirstMatch);
    let held = partition.intervals().filter(|at| at.winner.is_some());
    assert_eq!(held.count(), 10_000);
    let address = "10.249.199.5".parse().unwrap();
    assert_eq!(partition.select(address), Some((999, 7)));
    assert_eq!(partition.select("10.249.199.128".parse().unwrap()), None);
}

/// Gives the shortest uniform prefix by asking the lists at every edge.
fn slow_scope(lists: &[Vec<Element>], mode: Mode, address: IpAddr, alike: &[usize]) -> u8 {
    let answer = |address: IpAddr| {
        let view = slow(lists, mode, address).map(|(view, _)| view);
        view.map(|view| alike[view])
    };
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let edges = edges(lists);
    let uniform = |length: &u8| {
        let block = IpNet::new(address, *length).unwrap();
        let mut inside = edges.iter().filter(|edge| block.contains(*edge));
        inside.all(|edge| answer(*edge) == answer(address))
    };
    (0..=bits).find(uniform).unwrap()
}

#[test]
fn a_scope_is_the_shortest_prefix_with_one_answer() {
    let (mut zero, mut nested) = (0, 0);
    for mode in MODES {
        // The slow way looks at every edge for every length.
        for seed in 0..DRAWN / 10 {
            let luck = Luck::new(seed);
            let lists = luck.lists();
            let partition = partition(&lists, mode);
            // Some views answer alike: the first of those of equal remainder.
            let kinds = 1 + usize::try_from(luck.below(3)).unwrap();
            let alike: Vec<usize> = (0..lists.len()).map(|view| view % kinds).collect();
            let kind = |view: Option<usize>| view.map(|view| alike[view]);
            for address in edges(&lists).into_iter().step_by(3) {
                let bits = if address.is_ipv4() { 32 } else { 128 };
                let scope = partition.scope(address, bits, |a, b| kind(a) == kind(b));
                let wanted = slow_scope(&lists, mode, address, &alike);
                let whose = format!("seed {seed} {mode:?} {address}");
                assert_eq!(scope.length, wanted, "{whose}");
                assert!(scope.exact && !scope.mixed);
                zero += usize::from(wanted == 0);
                nested += usize::from(wanted > 8);
            }
        }
    }
    assert!(zero > 20 && nested > 100, "{zero} {nested}");
}

fn check_scope(lists: &[Vec<Element>], subnet: &str, length: u8, mixed: bool) {
    let partition = partition(lists, Mode::FirstMatch);
    let (address, source) = subnet.split_once('/').unwrap();
    let scope = partition.scope(
        address.parse().unwrap(),
        source.parse().unwrap(),
        |one, other| one == other,
    );
    assert_eq!((scope.length, scope.mixed), (length, mixed), "{subnet}");
}

/// RFC 7871 section 7.2.1: an answer for the outer network is not true within the inner one.
#[test]
fn a_scope_ends_where_a_nested_view_begins() {
    let lists = [list("10.1.0.0/16"), list("10.0.0.0/8"), list("any")];
    check_scope(&lists, "10.1.2.0/24", 16, false);
    // The matched network is 10/8, which would be wrong for 10.1.0.0/16.
    check_scope(&lists, "10.0.3.0/24", 16, false);
    check_scope(&lists, "10.128.0.0/24", 9, false);
    check_scope(&lists, "192.0.2.0/24", 1, false);
    check_scope(&lists, "::ffff:10.1.2.0/120", 112, false);
    check_scope(&lists, "2001:db8::/48", 0, false);
}

/// RFC 7871 section 7.2.1: more bits than were given are asked for next time.
#[test]
fn a_block_with_several_answers_gets_that_of_its_first_address() {
    let lists = [list("10.1.0.0/16"), list("any")];
    check_scope(&lists, "10.0.0.0/8", 16, true);
    check_scope(&lists, "10.0.0.0/15", 16, true);
    check_scope(&lists, "10.0.0.0/16", 16, false);
}

/// RFC 7871 section 7.1.2: no bits were given.
#[test]
fn an_option_without_bits_gets_scope_zero() {
    let lists = [list("10.1.0.0/16"), list("any")];
    check_scope(&lists, "0.0.0.0/0", 0, false);
}

#[test]
fn the_other_answers_are_asked_for_once_each() {
    let lists: Vec<Vec<Element>> = (0..8)
        .map(|view| {
            let nets = (0..16).map(|n| format!("10.{n}.{view}.0/24"));
            list(&nets.collect::<Vec<_>>().join(" "))
        })
        .collect();
    let partition = partition(&lists, Mode::FirstMatch);
    let mut asked = Vec::new();
    let scope = partition.scope("10.0.0.0".parse().unwrap(), 24, |own, other| {
        asked.push((own, other));
        true
    });
    assert_eq!(scope.length, 0);
    asked.sort_unstable();
    let wanted: Vec<_> = [None].into_iter().chain((1..8).map(Some)).collect();
    let asked: Vec<_> = asked.into_iter().map(|(_, other)| other).collect();
    assert_eq!(asked, wanted);
}
