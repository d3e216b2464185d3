//! The choice as it is written: every list read in order, slow and plain.
//!
//! It is the reference that the compiled [`Selector`](super::Selector) is held to, and what `explain`
//! shows.

use std::net::IpAddr;

use crate::model::network::{Element, Mode, Verdict, held_by, judge, judge_longest};

/// The lists of one view.
#[derive(Clone, Copy, Debug)]
pub struct Lists<'a> {
    /// Who gets it.
    pub clients: &'a [Element],
    /// At which addresses of the server; empty is at all. It is read by first match in both modes.
    pub destinations: &'a [Element],
}

/// One of a view's lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// Who gets it.
    Clients,
    /// Where.
    Destinations,
}

/// One element that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traced {
    /// The view, by index.
    pub view: usize,
    /// Which of its lists.
    pub list: List,
    /// The element of that list, by index.
    pub element: usize,
    /// The length of the prefix by which it holds the address; `None` when it does not.
    pub held: Option<u8>,
    /// Whether it decides about its list.
    pub decides: bool,
    /// Whether it is the one by which the view answers.
    pub wins: bool,
}

/// Chooses the view and the element of its list that let the source in.
pub fn choose<'a>(
    views: impl IntoIterator<Item = Lists<'a>>,
    mode: Mode,
    source: IpAddr,
    destination: IpAddr,
) -> Option<(usize, usize)> {
    let views = views.into_iter().enumerate();
    let mut admitting = views.filter(|(_, lists)| lists.take(destination));
    match mode {
        Mode::FirstMatch => admitting.find_map(|(view, lists)| {
            let Verdict::Allowed(element) = judge(lists.clients, source) else {
                return None;
            };
            Some((view, element))
        }),
        Mode::LongestPrefix => {
            let mut best: Option<(u8, usize, usize)> = None;
            for (view, lists) in admitting {
                let (Verdict::Allowed(element), length) = judge_longest(lists.clients, source)
                else {
                    continue;
                };
                if best.is_none_or(|(longest, ..)| length > longest) {
                    best = Some((length, view, element));
                }
            }
            best.map(|(_, view, element)| (view, element))
        }
    }
}

/// Lists what [`choose`] looks at, in order: by first match up to the element that wins, by longest
/// prefix every element that holds the address.
pub fn trace<'a>(
    views: impl IntoIterator<Item = Lists<'a>>,
    mode: Mode,
    source: IpAddr,
    destination: IpAddr,
) -> Vec<Traced> {
    let views: Vec<Lists<'a>> = views.into_iter().collect();
    let winner = choose(views.iter().copied(), mode, source, destination);
    let mut traced = Vec::new();
    for (view, lists) in views.iter().enumerate() {
        let destinations = lists.destinations;
        follow(destinations, Mode::FirstMatch, destination, |step| {
            traced.push(Traced {
                view,
                list: List::Destinations,
                ..step
            });
        });
        if !lists.take(destination) {
            continue;
        }
        follow(lists.clients, mode, source, |step| {
            let wins = winner == Some((view, step.element));
            traced.push(Traced { view, wins, ..step });
        });
        let ended = winner.is_some_and(|(winner, _)| winner == view);
        if ended && mode == Mode::FirstMatch {
            break;
        }
    }
    traced
}

/// Tells what is looked at in one list.
fn follow(elements: &[Element], mode: Mode, address: IpAddr, mut step: impl FnMut(Traced)) {
    let address = address.to_canonical();
    let verdict = match mode {
        Mode::FirstMatch => judge(elements, address),
        Mode::LongestPrefix => judge_longest(elements, address).0,
    };
    let decider = match verdict {
        Verdict::Allowed(element) | Verdict::Denied(element) => Some(element),
        Verdict::Unmatched => None,
    };
    for (index, element) in elements.iter().enumerate() {
        let held = match mode {
            // A list within the list is read by first match, too; its length says nothing here.
            Mode::FirstMatch => element.what.holds(address).then(|| {
                let length = held_by(element, address);
                length.unwrap_or(0)
            }),
            Mode::LongestPrefix => held_by(element, address),
        };
        let decides = decider == Some(index);
        if held.is_some() || mode == Mode::FirstMatch {
            step(Traced {
                view: 0,
                list: List::Clients,
                element: index,
                held,
                decides,
                wins: false,
            });
        }
        if decides && mode == Mode::FirstMatch {
            return;
        }
    }
}

impl Lists<'_> {
    /// Tells whether the view answers at this address of the server.
    pub fn take(&self, destination: IpAddr) -> bool {
        self.destinations.is_empty()
            || matches!(judge(self.destinations, destination), Verdict::Allowed(_))
    }
}
