//! A text that somebody else chose, as it may be shown: nothing in it is unseen, none of it moves or
//! covers what stands beside it.
//!
//! In goes any text, out comes one line in which these stand as escapes, `\u{202e}`:
//!
//! - what has no shape of its own, always: controls, format characters and separators of lines (the
//!   general categories Cc, Cf, Zl and Zp; among them the controls of direction of UAX #9), and
//!   whatever else Unicode lets a font leave out (`Default_Ignorable_Code_Point`: fillers, variation
//!   selectors, tags);
//! - what draws over its neighbours or pushes them away, from the fifth in a row on, or where it
//!   begins a text: marks (`Grapheme_Extend`), odd spaces, private and unassigned characters. Four
//!   nonspacing marks in a row are the limit of UTS #39, section 5.4.
//!
//! The page has the same rule (`shown` in `web/format.js`), and one fixture checks both
//! (`tests/fixtures/texts/shown.json`). Letters that look like others stay as they are, and so does the
//! direction of letters: the page isolates what reads from right to left, a terminal has its own way.

use std::fmt::{self, Display, Formatter, Write};

/// How many characters that draw over their neighbours are shown in a row.
const LOOSE_MAX: usize = 4;

/// What is always an escape, beyond the control characters: first and last of each range, sorted.
/// The general category Cf, Zl, Zp, and `Default_Ignorable_Code_Point`, of Unicode 17.
const HIDDEN: [(char, char); 25] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{600}', '\u{605}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{6dd}', '\u{6dd}'),
    ('\u{70f}', '\u{70f}'),
    ('\u{890}', '\u{891}'),
    ('\u{8e2}', '\u{8e2}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{110bd}', '\u{110bd}'),
    ('\u{110cd}', '\u{110cd}'),
    ('\u{13430}', '\u{1343f}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// A text with what hides, covers or moves shown as escapes: `\u{1b}`.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        // Nearly every text is plain, and there are many.
        if self.0.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return f.write_str(self.0);
        }
        let mut row = 0;
        for (at, c) in self.0.char_indices() {
            let hidden = is_hidden(c);
            row = if !hidden && is_loose(c) { row + 1 } else { 0 };
            if hidden || row > LOOSE_MAX || (row > 0 && at == 0) {
                c.escape_default().fmt(f)?;
            } else {
                f.write_char(c)?;
            }
        }
        Ok(())
    }
}

/// Tells whether a character has no shape of its own.
fn is_hidden(c: char) -> bool {
    let after = HIDDEN.partition_point(|(first, _)| *first <= c);
    let within = after.checked_sub(1).and_then(|at| HIDDEN.get(at));
    c.is_control() || within.is_some_and(|(_, last)| c <= *last)
}

/// Tells whether a character draws over its neighbours or is empty: the standard library escapes
/// those, and a few of ASCII.
fn is_loose(c: char) -> bool {
    !c.is_ascii() && c.escape_debug().len() > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_loose_is_a_mark_or_empty() {
        for c in [
            '\u{301}', '\u{e47}', '\u{20dd}', '\u{a0}', '\u{3000}', '\u{e000}', '\u{ffff}',
        ] {
            assert!(is_loose(c), "{c:?}");
        }
        for c in [
            'a', '"', '\\', '\'', ' ', 'é', 'ש', 'م', '代', '…', '\u{fffd}',
        ] {
            assert!(!is_loose(c), "{c:?}");
        }
    }
}
