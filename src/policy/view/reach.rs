//! Rules that nobody reaches: what a check warns of.
//!
//! An element that lets in is dead when every address that it holds gets another element, of this
//! view or of another one; it is reached in part when some do. An element with `!` is dead when
//! earlier elements of its own list decide about all that it holds. `none` holds nothing and is
//! never called dead. The count is exact, over both families and all destinations.

use std::collections::BTreeMap;

use crate::model::network::{Element, Matcher, Mode};
use crate::policy::partition::space::{Canvas, Word, count};
use crate::policy::partition::{deciders, held};

use super::selector::Selector;

/// What is not reached, by index, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unreachable {
    /// Views that no client gets, at any destination.
    pub views: Vec<usize>,
    /// Views and elements of their lists of clients that are never decided by.
    pub elements: Vec<(usize, usize)>,
    /// Those that some of their addresses do not get to.
    pub partly: Vec<(usize, usize)>,
}

impl Selector {
    /// Finds the rules that are not reached. Where not every set of views by destination is
    /// compiled, nothing is known and nothing is told.
    pub fn unreachable(&self) -> Unreachable {
        let mut found = Unreachable::default();
        if !self.is_whole() {
            return found;
        }
        // What each element wins, by set of views.
        let mut won: BTreeMap<(usize, usize), Vec<Counts>> = BTreeMap::new();
        for (at, partition) in self.partitions.iter().enumerate() {
            partition.count(|winner, family, count| {
                let sums = won.entry(winner).or_default();
                sums.resize(at + 1, [None; 2]);
                add(&mut sums[at][family], count);
            });
        }
        for (view, lists) in self.views.iter().enumerate() {
            let mut reached = false;
            for (index, element) in lists.clients.iter().enumerate() {
                if element.negated {
                    if is_passed_over(&lists.clients, index, self.mode) {
                        found.elements.push((view, index));
                    }
                    continue;
                }
                let won = won.get(&(view, index));
                reached |= won.is_some();
                match won {
                    None if holds_nothing(&element.what) => {}
                    None => found.elements.push((view, index)),
                    Some(sums) if sums.contains(&total(element, self.mode)) => {}
                    Some(_) => found.partly.push((view, index)),
                }
            }
            if !reached {
                found.views.push(view);
            }
        }
        found
    }
}

const fn holds_nothing(matcher: &Matcher) -> bool {
    matches!(matcher, Matcher::None)
}

/// Tells whether an element decides about no address of its own list.
fn is_passed_over(elements: &[Element], index: usize, mode: Mode) -> bool {
    fn decides<W: Word>(elements: &[Element], index: usize, mode: Mode) -> bool {
        let deciders = deciders::<W>(elements, mode);
        let mut runs = deciders.runs();
        runs.any(|(_, _, by)| by.is_some_and(|by| by.element as usize == index))
    }
    let passed = !decides::<u32>(elements, index, mode) && !decides::<u128>(elements, index, mode);
    passed && !holds_nothing(&elements[index].what)
}

/// How many addresses of IPv4 and of IPv6: `None` for none, so that 2^128 may be written 0.
type Counts = [Option<u128>; 2];

fn add(sum: &mut Option<u128>, count: u128) {
    *sum = Some(sum.unwrap_or(0).wrapping_add(count));
}

/// Counts the addresses that an element holds.
fn total(element: &Element, mode: Mode) -> Counts {
    fn of<W: Word>(element: &Element, mode: Mode) -> Option<u128> {
        let mut canvas = Canvas::new(false);
        for (first, last, _) in held::<W>(&element.what, mode) {
            canvas.paint(first, last, true);
        }
        let runs = canvas.dry();
        let mut sum = None;
        for (first, last, _) in runs.runs().filter(|(_, _, held)| *held) {
            add(&mut sum, count::<W>(first, last));
        }
        sum
    }
    [of::<u32>(element, mode), of::<u128>(element, mode)]
}
