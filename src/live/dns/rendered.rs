//! Answers as they were written, so that a question asked again is answered by copying.
//!
//! A worker has one of these for itself. What is kept belongs to one value of the rules and to
//! clients that no fault concerns; when the rules change, all of it is dead at once. Its size is
//! fixed: a question has one place, and whoever comes there last stays.

use std::sync::Arc;

use super::counts::Counter;
use super::writer::HEAD;

/// How many answers are kept at most; a power of two.
const PLACES: usize = 1 << 14;

/// How many octets a kept answer has at most; what is longer is written anew each time.
const ANSWER_MAX: usize = 1_232;

/// What an answer depends on besides the question's own octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    /// The view and the element of its list that let the client in, numbered as the worker likes.
    pub(super) class: u32,
    /// Without EDNS, with it, with DNSSEC OK.
    pub(super) edns: u8,
}

/// The answers.
pub(super) struct Rendered {
    places: Box<[Place]>,
    /// The generation of the worker's rules; what is of another is dead.
    epoch: u32,
}

#[derive(Default)]
struct Place {
    hash: u64,
    epoch: u32,
    shape: Shape,
    /// How long the question is.
    question: u16,
    message: Vec<u8>,
    counter: Option<Arc<Counter>>,
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
    pub(super) counter: &'r Counter,
}

impl<'q> Wanted<'q> {
    pub(super) fn new(question: &'q [u8], shape: Shape) -> Self {
        Self {
            question,
            shape,
            hash: hash(question, shape),
        }
    }
}

impl Rendered {
    pub(super) fn new() -> Self {
        let places = std::iter::repeat_with(Place::default).take(PLACES);
        Self {
            places: places.collect(),
            epoch: 1,
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            // The numbers begin anew: nothing of before may look alive.
            self.places.fill_with(Place::default);
            self.epoch = 1;
        }
    }

    /// Finds the answer to a question.
    pub(super) fn get(&self, wanted: &Wanted<'_>) -> Option<Hit<'_>> {
        let place = &self.places[index(wanted.hash)];
        let same = place.epoch == self.epoch
            && place.hash == wanted.hash
            && place.shape == wanted.shape
            && usize::from(place.question) == wanted.question.len();
        let own = same.then(|| place.message.get(HEAD..HEAD + wanted.question.len()))??;
        // Type and class have no case, though their octets may look like letters.
        let (name, kind) = own.split_at_checked(own.len().checked_sub(4)?)?;
        let (wanted_name, wanted_kind) = wanted.question.split_at_checked(name.len())?;
        if kind != wanted_kind || !name.eq_ignore_ascii_case(wanted_name) {
            return None;
        }
        Some(Hit {
            message: &place.message,
            counter: place.counter.as_deref()?,
        })
    }

    /// Keeps an answer that was written whole.
    pub(super) fn put(&mut self, wanted: &Wanted<'_>, message: &[u8], counter: &Arc<Counter>) {
        let Ok(question) = u16::try_from(wanted.question.len()) else {
            return;
        };
        if message.len() > ANSWER_MAX {
            return;
        }
        let place = &mut self.places[index(wanted.hash)];
        place.hash = wanted.hash;
        place.epoch = self.epoch;
        place.shape = wanted.shape;
        place.question = question;
        place.message.clear();
        place.message.extend(message);
        place.counter = Some(Arc::clone(counter));
    }
}

fn index(hash: u64) -> usize {
    usize::try_from(hash).unwrap_or(0) & (PLACES - 1)
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
    let first = u64::from(shape.class) << 8 | u64::from(shape.edns);
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
    state
}
