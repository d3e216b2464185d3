//! The compiled choice against the lists as they are written, and what is told of rules that nobody
//! reaches.

use std::net::{IpAddr, SocketAddr};

use crate::model::network::{Element, Matcher, Mode};
use crate::model::topology::{Dns, View};
use crate::policy::partition::testing::{Luck, edges, element, list};

use super::selector::Selector;
use super::*;

const MODES: [Mode; 2] = [Mode::FirstMatch, Mode::LongestPrefix];

/// How many sets of lists are drawn for each mode.
const DRAWN: u64 = 200;

/// Views with lists of clients and destinations.
type Both = Vec<(Vec<Element>, Vec<Element>)>;

fn drawn(seed: u64) -> Both {
    let luck = Luck::new(seed);
    let destinations = luck.lists().into_iter().map(|list| {
        let everywhere = luck.below(2) == 0;
        if everywhere { Vec::new() } else { list }
    });
    // Where one has more views than the other, the rest is left out.
    luck.lists().into_iter().zip(destinations).collect()
}

fn lists(both: &Both) -> impl Iterator<Item = Lists<'_>> + Clone {
    both.iter().map(|(clients, destinations)| Lists {
        clients,
        destinations,
    })
}

fn selector(both: &Both, mode: Mode) -> Selector {
    Selector::new(lists(both), mode, &[], &[])
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Finds a source and a destination for which the compiled choice says otherwise than the lists.
fn differs(selector: &Selector, both: &Both, mode: Mode) -> Option<(IpAddr, IpAddr)> {
    let (clients, destinations): (Vec<_>, Vec<_>) = both.iter().cloned().unzip();
    let destinations = edges(&destinations);
    let sources = edges(&clients);
    let sources = sources.iter().step_by(3);
    let mut pairs = sources.flat_map(|source| {
        let destinations = destinations.iter();
        destinations.map(|destination| (*source, *destination))
    });
    pairs.find(|(source, destination)| {
        let slow = choose(lists(both), mode, *source, *destination);
        let selected = selector.select(Source::Client(*source), *destination);
        selected.matched != slow
    })
}

#[test]
fn the_compiled_choice_is_that_of_the_lists() {
    for mode in MODES {
        for seed in 0..DRAWN {
            let both = drawn(seed);
            let wrong = differs(&selector(&both, mode), &both, mode);
            assert_eq!(wrong, None, "seed {seed}, {mode:?}: {both:?}");
        }
    }
}

/// The broken twin: a choice that ignores destinations, or the mode, is caught.
#[test]
fn a_choice_that_ignores_a_part_of_the_lists_is_caught() {
    for mode in MODES {
        let (mut everywhere, mut otherwise) = (0, 0);
        for seed in 0..DRAWN {
            let both = drawn(seed);
            let all = lists(&both).map(|lists| Lists {
                destinations: &[],
                ..lists
            });
            let ignorant = Selector::new(all, mode, &[], &[]);
            everywhere += usize::from(differs(&ignorant, &both, mode).is_some());
            let other = MODES.into_iter().find(|other| *other != mode).unwrap();
            let other = selector(&both, other);
            otherwise += usize::from(differs(&other, &both, mode).is_some());
        }
        assert!(
            everywhere > 50 && otherwise > 50,
            "{everywhere} {otherwise}"
        );
    }
}

#[test]
fn what_is_traced_ends_with_the_choice() {
    for mode in MODES {
        for seed in 0..DRAWN {
            let both = drawn(seed);
            for source in ["10.1.2.3", "10.3.0.1", "fd00:0:1::1", "203.0.113.9"].map(ip) {
                let destination = ip("10.2.1.0");
                let traced = trace(lists(&both), mode, source, destination);
                let won = traced.iter().filter(|step| step.wins);
                let won: Vec<_> = won.map(|step| (step.view, step.element)).collect();
                let chosen = choose(lists(&both), mode, source, destination);
                assert_eq!(won, Vec::from_iter(chosen), "seed {seed}, {mode:?}");
            }
        }
    }
}

fn both(views: &[(&str, &str)]) -> Both {
    let views = views.iter();
    let views = views.map(|(clients, destinations)| (list(clients), list(destinations)));
    views.collect()
}

fn check(views: &[(&str, &str)], mode: Mode, from: &str, to: &str, view: Option<usize>) {
    let selected = selector(&both(views), mode).select(Source::Client(ip(from)), ip(to));
    let selected = selected.matched.map(|(view, _)| view);
    assert_eq!(selected, view, "{mode:?} {from} {to}");
}

#[test]
fn a_view_answers_at_its_destinations_only() {
    let views = [("any", "192.0.2.1/32"), ("10.0.0.0/8", ""), ("any", "!any")];
    let first = Mode::FirstMatch;
    check(&views, first, "10.0.0.1", "192.0.2.1", Some(0));
    check(&views, first, "10.0.0.1", "::ffff:192.0.2.1", Some(0));
    check(&views, first, "10.0.0.1", "192.0.2.2", Some(1));
    check(&views, first, "172.16.0.1", "192.0.2.2", None);
    let selector = selector(&both(&views), first);
    assert_eq!(selector.partitions().len(), 2);
    assert!(selector.is_whole());
}

#[test]
fn the_longest_prefix_wins_wherever_it_stands() {
    let longest = Mode::LongestPrefix;
    let views = [
        ("any", ""),
        ("10.0.0.0/8", ""),
        ("10.1.0.0/16 0.0.0.0/0", ""),
    ];
    check(&views, longest, "10.1.0.1", "::1", Some(2));
    check(&views, longest, "10.2.0.1", "::1", Some(1));
    // `any` is as long as /0, and the first of equals wins.
    check(&views, longest, "192.0.2.1", "::1", Some(0));
    check(&views, Mode::FirstMatch, "10.1.0.1", "::1", Some(0));
    // A longer `!` turns away; a longer network within it lets in again.
    let views = [("!10.1.0.0/16 10.0.0.0/8 10.1.1.0/24", ""), ("any", "")];
    check(&views, longest, "10.1.0.1", "::1", Some(1));
    check(&views, longest, "10.1.1.1", "::1", Some(0));
    check(&views, Mode::FirstMatch, "10.1.1.1", "::1", Some(1));
}

/// BIND ARM, "Address Match Lists": a negated list in a list never lets in what it holds negated.
#[test]
fn a_list_within_a_list_holds_what_it_lets_in() {
    let inner = Element {
        text: "!inner".into(),
        negated: true,
        what: Matcher::List(list("!10.1.0.0/16 10.0.0.0/8").into()),
    };
    let both = vec![(vec![inner, element("10.1.0.0/16")], Vec::new())];
    for mode in MODES {
        let selector = selector(&both, mode);
        let view = |from: &str| selector.select(Source::Client(ip(from)), ip("::1")).matched;
        assert_eq!(view("10.1.0.1"), Some((0, 1)));
        assert_eq!(view("10.2.0.1"), None);
    }
}

#[test]
fn destinations_beyond_the_bound_get_the_same_views() {
    let texts: Vec<String> = (0..=DESTINATIONS_MAX)
        .map(|n| format!("192.0.2.{n}/32"))
        .collect();
    let views: Vec<_> = texts.iter().map(|text| ("any", text.as_str())).collect();
    let both = both(&views);
    let selector = selector(&both, Mode::FirstMatch);
    assert_eq!(selector.partitions().len(), DESTINATIONS_MAX);
    assert!(!selector.is_whole());
    assert_eq!(differs(&selector, &both, Mode::FirstMatch), None);
    assert_eq!(selector.unreachable(), Unreachable::default());
    let last = format!("192.0.2.{DESTINATIONS_MAX}");
    check(
        &views,
        Mode::FirstMatch,
        "10.0.0.1",
        &last,
        Some(DESTINATIONS_MAX),
    );
}

#[test]
fn the_real_client_is_who_a_listed_senders_header_names() {
    let local = ["127.0.0.1/32".parse().unwrap()];
    let tens = ["10.0.0.0/8".parse().unwrap()];
    let selector = Selector::new([], Mode::FirstMatch, &tens, &local);
    assert!(selector.takes_proxy(ip("::ffff:127.0.0.1")) && !selector.takes_proxy(ip("10.0.0.1")));
    let subnet = Subnet {
        address: ip("192.0.2.0"),
        source: 24,
        scope: 0,
    };
    let sender = ip("127.0.0.1");
    let source = |proxied: Option<&str>, subnet| selector.source(sender, proxied.map(ip), subnet);
    assert_eq!(source(None, None), Source::Client(sender));
    assert_eq!(
        source(Some("10.0.0.1"), None),
        Source::Proxied(ip("10.0.0.1"))
    );
    // Whether an option is honoured depends on the real client, not on the balancer before it.
    assert_eq!(source(None, Some(subnet)), Source::Unlisted(sender));
    assert_eq!(
        source(Some("10.0.0.1"), Some(subnet)),
        Source::Subnet(ip("192.0.2.0"))
    );
    assert!(Source::Proxied(sender).to_string().contains("PROXY"));
}

fn check_unreachable(
    views: &[(&str, &str)],
    mode: Mode,
    dead: (&[usize], &[(usize, usize)]),
    partly: &[(usize, usize)],
) {
    let found = selector(&both(views), mode).unreachable();
    assert_eq!(found.views, dead.0, "views {views:?}");
    assert_eq!(found.elements, dead.1, "elements {views:?}");
    assert_eq!(found.partly, partly, "partly {views:?}");
}

#[test]
fn rules_that_nobody_reaches_are_found() {
    let first = Mode::FirstMatch;
    // A catch-all before the others.
    let views = [("any", ""), ("10.0.0.0/8 none", "")];
    check_unreachable(&views, first, (&[1], &[(1, 0)]), &[]);
    // By longest prefix it does no harm, and is reached in part itself.
    check_unreachable(&views, Mode::LongestPrefix, (&[], &[]), &[(0, 0)]);
    // Two halves before the whole, in one element and in two views.
    let halves = [
        ("10.0.0.0/9", ""),
        ("10.128.0.0/9", ""),
        ("10.0.0.0/8 ::/0", ""),
    ];
    check_unreachable(&halves, first, (&[], &[(2, 0)]), &[]);
    // A wide network before the narrow `!`.
    let late = [("10.0.0.0/8 !10.1.0.0/16", "")];
    check_unreachable(&late, first, (&[], &[(0, 1)]), &[]);
    check_unreachable(&late, Mode::LongestPrefix, (&[], &[]), &[(0, 0)]);
    // All of IPv6 is taken by another view, and that is not nothing.
    let six = [("::/0", ""), ("any", "")];
    check_unreachable(&six, first, (&[], &[]), &[(1, 0)]);
}

#[test]
fn a_rule_that_is_reached_at_one_destination_is_reached() {
    let first = Mode::FirstMatch;
    let views = [("any", "192.0.2.1/32"), ("10.0.0.0/8", ""), ("any", "!any")];
    check_unreachable(&views, first, (&[2], &[(2, 0)]), &[]);
}

#[test]
fn modes_that_disagree_are_told_with_a_source() {
    let agree = |views: &[(&str, &str)]| selector(&both(views), Mode::FirstMatch).modes_agree();
    assert!(agree(&[
        ("10.1.0.0/16", ""),
        ("10.0.0.0/8", ""),
        ("any", "")
    ]));
    assert!(!agree(&[
        ("10.0.0.0/8", ""),
        ("10.1.0.0/16", ""),
        ("any", "")
    ]));
    let wide_first = both(&[("10.0.0.0/8", ""), ("10.1.0.0/16", "")]);
    for mode in MODES {
        let found = selector(&wide_first, mode).disagreement();
        let wanted = Disagreement {
            source: ip("10.1.0.0"),
            first_match: Some(0),
            longest_prefix: Some(1),
        };
        assert_eq!(found, Some(wanted), "{mode:?}");
    }
}

#[test]
fn what_is_odd_is_told_by_its_key() {
    let keys = |views: &[&str]| {
        let views = views.iter().map(|clients| View {
            name: "v".into(),
            match_clients: list(clients),
            match_destinations: Vec::new(),
            forward: None,
            zones: Vec::new(),
        });
        let dns = Dns {
            views: views.collect(),
            ..Dns::new(SocketAddr::from(([127, 0, 0, 1], 0)))
        };
        let odd = odd(&dns, &Selector::compile(&dns)).into_iter();
        odd.map(|odd| odd.key).collect::<Vec<_>>()
    };
    assert_eq!(keys(&["10.0.0.0/8", "none", "any"]), Vec::<String>::new());
    assert_eq!(keys(&["any", "10.0.0.0/8"]), ["views[1]"]);
    assert_eq!(keys(&["!10.0.0.0/8"]), ["views[0]"]);
    assert_eq!(
        keys(&["10.0.0.0/8", "10.1.0.0/16 !10.0.0.0/8 !10.2.0.0/16 any"]),
        ["views[1].match[0]", "views[1].match[2]"]
    );
}

fn check_source(client: &str, subnet: Option<&str>, expected: Option<(usize, usize)>) -> Source {
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
    let views = || {
        lists.iter().map(|clients| Lists {
            clients,
            destinations: &[],
        })
    };
    let here: IpAddr = [127, 0, 0, 1].into();
    let selector = Selector::new(views(), Mode::FirstMatch, &trusted, &[]);
    let source = selector.source(client.parse().unwrap(), None, subnet);
    let selected = selector.select(source, here);
    assert_eq!(selected.matched, expected, "{client} {subnet:?}");
    let traced = trace(views(), Mode::FirstMatch, source.address(), here);
    let wins = traced.iter().find(|traced| traced.wins);
    assert_eq!(wins.map(|wins| (wins.view, wins.element)), expected);
    selected.source
}

#[test]
fn the_first_view_that_lets_the_source_in_answers() {
    check_source("10.2.0.1", None, Some((0, 1)));
    check_source("10.1.0.1", None, Some((2, 1)));
    check_source("fd00::1", None, Some((0, 2)));
    check_source("192.0.2.2", None, Some((2, 1)));
}

#[test]
fn a_source_that_no_view_lets_in_gets_none() {
    check_source("192.0.2.1", None, None);
}

#[test]
fn a_mapped_address_counts_as_ipv4() {
    check_source("::ffff:10.2.0.1", None, Some((0, 1)));
    check_source(
        "::ffff:127.0.0.1",
        Some("::ffff:10.2.0.0/120"),
        Some((0, 1)),
    );
}

#[test]
fn only_a_listed_sender_speaks_for_others() {
    let listed = check_source("127.0.0.1", Some("10.2.0.0/24"), Some((0, 1)));
    assert!(matches!(listed, Source::Subnet(_)));
    let unlisted = check_source("127.0.0.2", Some("10.2.0.0/24"), Some((2, 1)));
    assert!(matches!(unlisted, Source::Unlisted(_)));
    let withheld = check_source("127.0.0.1", Some("0.0.0.0/0"), Some((2, 1)));
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
