//! Answers as they were written, so that a question asked again is answered by copying.
//!
//! A worker has one of these for itself. What is kept belongs to one value of the rules and to
//! clients that no fault concerns; when the rules change, all of it is dead at once. Its size is
//! fixed: a question has a few places, and where all are taken only what is asked for twice in a row
//! gets one, so that names drawn at random push nothing out.

use super::classes::Word;
use super::writer::HEAD;

/// How many groups of places there are; a power of two.
const GROUPS: usize = 1 << 13;

/// How many answers a group has; their tags and what else is looked at first share a cache line.
const WAYS: usize = 4;

/// How many octets a kept answer has at most; what is longer is written anew each time.
const ANSWER_MAX: usize = 1_232;

/// What an answer depends on besides the question's own octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    /// What answers: 0 for nobody's view, an odd number for a view, an even one for what several
    /// views share.
    pub(super) home: u32,
    /// Without EDNS, with it, with DNSSEC OK; and whether names of the client are passed on.
    pub(super) edns: u8,
}

/// The answers.
pub(super) struct Rendered {
    groups: Box<[Group]>,
    places: Box<[Place]>,
    /// The generation of the worker's rules; what is of another is dead.
    epoch: u32,
}

/// What is known of the places of a group without a look at them.
#[derive(Clone, Copy, Default)]
struct Group {
    /// Part of each hash, never 0; 0 where nothing is kept.
    tags: [u32; WAYS],
    epoch: u32,
    /// What came last and got no place.
    waiting: u32,
    /// Whose place is taken next.
    next: u8,
}

#[derive(Clone, Default)]
struct Place {
    hash: u64,
    shape: Shape,
    /// How long the question is.
    question: u16,
    counted: Counted,
    message: Vec<u8>,
}

/// How a kept answer is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) word: Word,
    /// Whether for the view and its rule, or for nobody's.
    pub(super) named: bool,
}

/// A question that may be there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'q> {
    /// Name, type and class as they came.
    pub(super) question: &'q [u8],
    pub(super) shape: Shape,
    hash: u64,
}

/// An answer that is there.
pub(super) struct Hit<'r> {
    pub(super) message: &'r [u8],
    pub(super) counted: Counted,
}

impl<'q> Wanted<'q> {
    pub(super) fn new(question: &'q [u8], shape: Shape) -> Self {
        Self {
            question,
            shape,
            hash: hash(question, shape),
        }
    }

    /// Tells whether views share what answers.
    pub(super) const fn is_shared(&self) -> bool {
        self.shape.home > 0 && self.shape.home.is_multiple_of(2)
    }

    fn group(&self) -> usize {
        usize::try_from(self.hash).unwrap_or(0) & (GROUPS - 1)
    }

    fn tag(&self) -> u32 {
        u32::try_from(self.hash >> 32).unwrap_or(0) | 1
    }
}

impl Rendered {
    pub(super) fn new() -> Self {
        Self {
            groups: vec![Group::default(); GROUPS].into(),
            places: vec![Place::default(); GROUPS * WAYS].into(),
            epoch: 1,
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            // The numbers begin anew: nothing of before may look alive.
            self.groups.fill(Group::default());
            self.epoch = 1;
        }
    }

    /// Finds the answer to a question.
    pub(super) fn get(&self, wanted: &Wanted<'_>) -> Option<Hit<'_>> {
        let at = wanted.group();
        let group = &self.groups[at];
        if group.epoch != self.epoch {
            return None;
        }
        let tag = wanted.tag();
        let places = &self.places[at * WAYS..][..WAYS];
        let tagged = group.tags.iter().zip(places);
        let mut tagged = tagged.filter(|(own, _)| **own == tag);
        let (_, place) = tagged.find(|(_, place)| place.holds(wanted))?;
        Some(Hit {
            message: &place.message,
            counted: place.counted,
        })
    }

    /// Keeps an answer that was written whole, if there is a place for it.
    pub(super) fn put(&mut self, wanted: &Wanted<'_>, message: &[u8], counted: Counted) {
        let Ok(question) = u16::try_from(wanted.question.len()) else {
            return;
        };
        if message.len() > ANSWER_MAX {
            return;
        }
        let (at, tag) = (wanted.group(), wanted.tag());
        let group = &mut self.groups[at];
        if group.epoch != self.epoch {
            *group = Group {
                epoch: self.epoch,
                ..Group::default()
            };
        }
        let free = group.tags.iter().position(|own| *own == 0);
        let way = match free {
            Some(free) => free,
            None if group.waiting != tag => {
                group.waiting = tag;
                return;
            }
            None => {
                let way = usize::from(group.next) % WAYS;
                group.next = group.next.wrapping_add(1);
                way
            }
        };
        group.tags[way] = tag;
        let place = &mut self.places[at * WAYS + way];
        place.hash = wanted.hash;
        place.shape = wanted.shape;
        place.question = question;
        place.counted = counted;
        place.message.clear();
        place.message.extend_from_slice(message);
    }
}

impl Place {
    /// Tells whether the answer to this question is here.
    fn holds(&self, wanted: &Wanted<'_>) -> bool {
        let length = wanted.question.len();
        let same = self.hash == wanted.hash
            && self.shape == wanted.shape
            && usize::from(self.question) == length;
        let own = same.then(|| self.message.get(HEAD..HEAD + length));
        let Some(own) = own.flatten() else {
            return false;
        };
        if own == wanted.question {
            return true;
        }
        // Type and class have no case, though their octets may look like letters.
        let Some((name, kind)) = own.split_last_chunk::<4>() else {
            return false;
        };
        wanted.question.ends_with(kind) && name.eq_ignore_ascii_case(&wanted.question[..name.len()])
    }
}

/// Hashes a question without regard to case, eight octets at a time; clearing the bit of case in
/// octets that are no letters only lets a few questions share a place.
fn hash(question: &[u8], shape: Shape) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    const CASE: u64 = 0xdfdf_dfdf_dfdf_dfdf;
    let mix = |state: u64, word: u64| {
        let wide = u128::from(state ^ (word & CASE)) * u128::from(FACTOR);
        let low = u64::try_from(wide & u128::from(u64::MAX)).unwrap_or(0);
        let high = u64::try_from(wide >> 64).unwrap_or(0);
        low ^ high
    };
    let first = u64::from(shape.home) << 8 | u64::from(shape.edns);
    let mut state = first.wrapping_mul(FACTOR) ^ question.len() as u64;
    let mut words = question.chunks_exact(8);
    for word in &mut words {
        state = mix(state, word.try_into().map_or(0, u64::from_le_bytes));
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        let mut word = [0; 8];
        word[..rest.len()].copy_from_slice(rest);
        state = mix(state, u64::from_le_bytes(word));
    }
    // Once more, so that each octet reaches the bits that choose the group and make the tag.
    mix(state, FACTOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(number: u32) -> Vec<u8> {
        let label = format!("n{number:07}");
        let mut wire = vec![8];
        wire.extend(label.as_bytes());
        wire.extend([0, 0, 1, 0, 1]);
        wire
    }

    fn message(question: &[u8]) -> Vec<u8> {
        [&[0; HEAD][..], question].concat()
    }

    fn keep(rendered: &mut Rendered, number: u32) -> bool {
        let question = question(number);
        let wanted = Wanted::new(&question, Shape::default());
        let known = rendered.get(&wanted).is_some();
        if !known {
            rendered.put(&wanted, &message(&question), Counted::default());
        }
        known
    }

    #[test]
    fn names_that_come_once_push_nothing_out() {
        let mut rendered = Rendered::new();
        for number in 0..500 {
            keep(&mut rendered, number);
        }
        // Many more than there is room for.
        for number in 1_000..1_000 + 200_000 {
            keep(&mut rendered, number);
        }
        let left = (0..500).filter(|number| keep(&mut rendered, *number));
        assert_eq!(left.count(), 500);
        // Nor is what was there first there for ever: what is asked for twice in a row gets in.
        for number in 300_000..300_100 {
            assert!(!keep(&mut rendered, number));
            keep(&mut rendered, number);
            assert!(keep(&mut rendered, number), "{number}");
        }
    }

    #[test]
    fn what_is_forgotten_is_not_found_and_may_be_kept_again() {
        let mut rendered = Rendered::new();
        for epoch in [3, 7, u32::MAX] {
            rendered.epoch = epoch;
            assert!(!keep(&mut rendered, 1));
            assert!(keep(&mut rendered, 1));
            rendered.clear();
            assert!(!keep(&mut rendered, 1));
            assert!(keep(&mut rendered, 1));
        }
    }
}
