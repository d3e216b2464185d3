//! Made-up match lists for tests: a few networks that hold one another, so that order matters.

use std::cell::Cell;
use std::net::IpAddr;

use crate::model::draw::Seed;
use crate::model::network::{Element, Matcher};
use crate::policy::partition::space::Word;

/// Luck that can be repeated.
pub(in crate::policy) struct Luck(Seed, Cell<u64>);

impl Luck {
    pub(in crate::policy) fn new(seed: u64) -> Self {
        Self(Seed(seed), Cell::new(0))
    }

    /// Draws a number below `bound`.
    pub(in crate::policy) fn below(&self, bound: u64) -> u64 {
        self.1.set(self.1.get() + 1);
        self.0.draw("test", "lists", self.1.get()) % bound
    }

    /// Draws the lists of up to eight views.
    pub(in crate::policy) fn lists(&self) -> Vec<Vec<Element>> {
        let views = 1 + self.below(8);
        (0..views).map(|_| self.list(2)).collect()
    }

    fn list(&self, depth: u32) -> Vec<Element> {
        let length = 1 + self.below(5);
        (0..length).map(|_| self.element(depth)).collect()
    }

    fn element(&self, depth: u32) -> Element {
        let what = match self.below(16) {
            0 => Matcher::Any,
            1 => Matcher::None,
            2..5 if depth > 0 => Matcher::List(self.list(depth - 1).into()),
            _ => {
                let count = 1 + self.below(3);
                Matcher::Ranges((0..count).map(|_| self.range()).collect())
            }
        };
        Element {
            text: "drawn".into(),
            negated: self.below(3) == 0,
            what,
        }
    }

    fn range(&self) -> ipnet::IpNet {
        let (second, third) = (self.below(4), self.below(4));
        let (text, lengths): (String, &[u8]) = match self.below(8) {
            0 => (String::from("0.0.0.0"), &[0, 1, 4]),
            1 => (String::from("255.255.255.255"), &[1, 8, 32]),
            2 => (format!("::ffff:10.{second}.0.0"), &[104, 112, 128]),
            3 => (
                format!("fd00:0:{second}:{third}::"),
                &[0, 8, 47, 48, 64, 128],
            ),
            4 => (String::from("ffff:ffff::ffff"), &[1, 32, 128]),
            _ => (
                format!("10.{second}.{third}.0"),
                &[8, 14, 15, 16, 22, 23, 24, 32],
            ),
        };
        let at = usize::try_from(self.below(lengths.len() as u64)).unwrap();
        let network = ipnet::IpNet::new(text.parse().unwrap(), lengths[at]);
        network.unwrap().trunc()
    }
}

/// Makes an element: a network, `any` or `none`, perhaps with `!`; several with `+` between them.
pub(in crate::policy) fn element(text: &str) -> Element {
    let bare = text.trim_start_matches('!');
    let what = match bare {
        "any" => Matcher::Any,
        "none" => Matcher::None,
        ranges => Matcher::Ranges(ranges.split('+').map(|net| net.parse().unwrap()).collect()),
    };
    Element {
        text: text.into(),
        negated: bare != text,
        what,
    }
}

/// Makes a list of elements with a space between them.
pub(in crate::policy) fn list(text: &str) -> Vec<Element> {
    text.split_whitespace().map(element).collect()
}

/// Gives the addresses at which anything can change: the first and the last of every network, and
/// their neighbours.
pub(in crate::policy) fn edges(lists: &[Vec<Element>]) -> Vec<IpAddr> {
    fn add<W: Word>(network: ipnet::IpNet, edges: &mut Vec<IpAddr>) {
        let Some((first, last)) = W::range(network) else {
            return;
        };
        let near = [first.before(), Some(first), Some(last), last.next()];
        edges.extend(near.into_iter().flatten().map(Word::address));
    }
    fn collect(elements: &[Element], edges: &mut Vec<IpAddr>) {
        for element in elements {
            match &element.what {
                Matcher::Any | Matcher::None => {}
                Matcher::List(inner) => collect(inner, edges),
                Matcher::Ranges(ranges) => {
                    for range in ranges {
                        add::<u32>(*range, edges);
                        add::<u128>(*range, edges);
                    }
                }
            }
        }
    }
    let ends = ["0.0.0.0", "255.255.255.255", "::", "ffff::"];
    let mut edges: Vec<IpAddr> = ends.iter().map(|text| text.parse().unwrap()).collect();
    for list in lists {
        collect(list, &mut edges);
    }
    // What is IPv4 in the clothes of IPv6 is looked up as IPv4, and so is no edge of IPv6.
    edges.retain(|edge| edge.to_canonical() == *edge);
    edges.sort_unstable();
    edges.dedup();
    edges
}
