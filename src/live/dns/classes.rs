//! Which view a client gets, and by which rule of it: what was found before is remembered, and what
//! is counted is found without its words.
//!
//! A worker has one of these for one value of the rules. What is remembered is a few thousand pairs
//! of addresses at most, and the counters of so many rules; further rules are counted more slowly,
//! and what they let in is not kept.

use std::net::IpAddr;
use std::sync::Arc;

use super::counts::{Counter, Counts, Label};
use crate::policy::answer::Rules;

/// How many clients are remembered at most; a power of two.
const SEATS: usize = 1 << 10;

/// How many rules, of all views, have their counters here.
const RULES_MAX: usize = 1 << 16;

/// The words for how an answer ended that are counted here; the others are rare.
const WORDS: [&str; 8] = [
    "NOERROR", "NXDOMAIN", "REFUSED", "SERVFAIL", "FORMERR", "NOTIMP", "YXDOMAIN", "NOTAUTH",
];

/// Where a word stands among those that are counted here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Word(u8);

/// The view that a client gets and the element of its list that lets it in, by index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Class {
    /// `None` for a client that no view lets in.
    pub(super) matched: Option<(u32, u32)>,
    /// The rule among those of all views, from 1; 0 for none.
    pub(super) rule: u32,
    /// Whether the view shares zones with another one.
    pub(super) shared: bool,
}

/// A client that was there, at one of the server's addresses. Only IPv4 is remembered: a lookup
/// costs little, and an IPv6 client changes its address as it likes.
#[derive(Clone, Copy, Debug, Default)]
struct Seat {
    taken: bool,
    client: u32,
    destination: u32,
    class: Class,
}

/// What a worker knows of clients and rules.
pub(super) struct Classes {
    seats: Box<[Seat]>,
    /// The first rule of each view.
    firsts: Vec<u32>,
    /// By rule and word.
    counters: Vec<[Option<Arc<Counter>>; WORDS.len()]>,
}

impl Word {
    /// Finds a word; `None` when it is not counted here.
    pub(super) fn of(word: &str) -> Option<Self> {
        let place = WORDS.iter().position(|own| *own == word)?;
        u8::try_from(place).ok().map(Self)
    }

    fn place(self) -> usize {
        usize::from(self.0)
    }
}

impl Classes {
    pub(super) fn new(rules: &Rules) -> Self {
        let mut next = 1_u32;
        let firsts = rules.views.iter().map(|view| {
            let elements = u32::try_from(view.match_clients.len()).unwrap_or(u32::MAX);
            let after = next.saturating_add(elements);
            std::mem::replace(&mut next, after)
        });
        let firsts = firsts.collect();
        let rules = usize::try_from(next).unwrap_or(RULES_MAX).min(RULES_MAX);
        let mut counters = Vec::new();
        counters.resize_with(rules, Default::default);
        Self {
            seats: vec![Seat::default(); SEATS].into(),
            firsts,
            counters,
        }
    }

    /// Finds what a client gets; `None` when its rule is not counted here.
    pub(super) fn find(&mut self, rules: &Rules, client: IpAddr, at: IpAddr) -> Option<Class> {
        let (IpAddr::V4(four), IpAddr::V4(destination)) = (client, at) else {
            return self.choose(rules, client, at);
        };
        let (four, destination) = (four.to_bits(), destination.to_bits());
        let place = (four ^ destination.rotate_left(16)).wrapping_mul(0x9e37_79b9) >> 22;
        let place = place as usize & (SEATS - 1);
        let seat = &self.seats[place];
        if seat.taken && seat.client == four && seat.destination == destination {
            return Some(seat.class);
        }
        let class = self.choose(rules, client, at)?;
        self.seats[place] = Seat {
            taken: true,
            client: four,
            destination,
            class,
        };
        Some(class)
    }

    fn choose(&self, rules: &Rules, client: IpAddr, at: IpAddr) -> Option<Class> {
        let selector = &rules.selector;
        let source = selector.source(client, None, None);
        let Some((view, element)) = selector.select(source, at).matched else {
            return Some(Class::default());
        };
        let shared = rules.is_shared(view);
        let element = u32::try_from(element).ok()?;
        let rule = self.firsts.get(view)?.checked_add(element)?;
        let is_counted = usize::try_from(rule).ok()? < self.counters.len();
        let view = u32::try_from(view).ok()?;
        is_counted.then_some(Class {
            matched: Some((view, element)),
            rule,
            shared,
        })
    }

    /// Counts an answer to a client of this class; `named` is whether a view answered, and not the
    /// server before it looked for one.
    pub(super) fn count(
        &mut self,
        (class, named, word): (Class, bool, Word),
        rules: &Rules,
        counts: &Counts,
    ) {
        let rule = if named { class.rule } else { 0 };
        let counters = self.counters.get_mut(rule as usize);
        let Some(counter) = counters.map(|counters| &mut counters[word.place()]) else {
            return;
        };
        let counter = counter.get_or_insert_with(|| {
            let matched = class.matched.filter(|_| named);
            counts.counter(label(rules, matched, WORDS[word.place()]))
        });
        counter.add();
    }
}

/// Gives the label under which the answers of a rule are counted.
fn label(rules: &Rules, matched: Option<(u32, u32)>, word: &'static str) -> Label {
    let found = matched.and_then(|(view, element)| {
        let view = rules.views.get(view as usize)?;
        let rule = view.match_clients.get(element as usize)?;
        Some((view.name.clone(), rule.text.clone()))
    });
    let (view, rule) = found.unzip();
    (view, rule, word)
}
