//! What one match list says of every address: disjoint pieces, each with the element that decides.

use std::cmp::Reverse;

use crate::model::network::{Element, Matcher, Mode};

use super::space::{Canvas, Space, Word};

/// Addresses that one element of a list lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) struct Piece<W> {
    pub(in crate::policy) first: W,
    pub(in crate::policy) last: W,
    /// The length of the prefix that decided.
    pub(in crate::policy) length: u8,
    /// The element, by index.
    pub(in crate::policy) element: u32,
}

/// The element that decides about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) struct Decider {
    pub(in crate::policy) element: u32,
    length: u8,
    /// Whether it lets the address in.
    admits: bool,
}

/// Gives the addresses that a list lets in.
pub(in crate::policy) fn pieces<W: Word>(elements: &[Element], mode: Mode) -> Vec<Piece<W>> {
    // A list of one element needs no painting unless its ranges may overlap.
    if let [element] = elements
        && !element.negated
        && let [(first, last, length)] = held::<W>(&element.what, mode)[..]
    {
        return vec![Piece {
            first,
            last,
            length,
            element: 0,
        }];
    }
    let deciders = deciders::<W>(elements, mode);
    let pieces = deciders.runs().filter_map(|(first, last, decider)| {
        let decider = decider.filter(|decider| decider.admits)?;
        Some(Piece {
            first,
            last,
            length: decider.length,
            element: decider.element,
        })
    });
    pieces.collect()
}

/// Gives the element that decides about each address, of those turned away too.
pub(in crate::policy) fn deciders<W: Word>(
    elements: &[Element],
    mode: Mode,
) -> Space<W, Option<Decider>> {
    let mut strokes: Vec<(W, W, Decider)> = Vec::new();
    for (element, index) in elements.iter().zip(0_u32..) {
        let held = held::<W>(&element.what, mode).into_iter();
        strokes.extend(held.map(|(first, last, length)| {
            let decider = Decider {
                element: index,
                length,
                admits: !element.negated,
            };
            (first, last, decider)
        }));
    }
    // Whoever decides is painted last.
    match mode {
        Mode::FirstMatch => strokes.reverse(),
        Mode::LongestPrefix => {
            strokes.sort_by_key(|(_, _, decider)| (decider.length, Reverse(decider.element)));
        }
    }
    let mut canvas = Canvas::new(None);
    for (first, last, decider) in strokes {
        canvas.paint(first, last, Some(decider));
    }
    canvas.dry()
}

/// Gives what an element holds, with the lengths of the prefixes.
pub(in crate::policy) fn held<W: Word>(matcher: &Matcher, mode: Mode) -> Vec<(W, W, u8)> {
    match matcher {
        Matcher::Any => vec![(W::MIN, W::MAX, 0)],
        Matcher::List(elements) => {
            let pieces = pieces::<W>(elements, mode).into_iter();
            let pieces = pieces.map(|piece| (piece.first, piece.last, piece.length));
            pieces.collect()
        }
        Matcher::None => Vec::new(),
        Matcher::Ranges(ranges) => {
            let ranges = ranges.iter().filter_map(|range| {
                let (first, last) = W::range(*range)?;
                // The size of the range tells its length in its own family.
                let width = (last.wide() - first.wide()).trailing_ones();
                let width = u8::try_from(width).unwrap_or(W::BITS);
                Some((first, last, W::BITS - width))
            });
            ranges.collect()
        }
    }
}
