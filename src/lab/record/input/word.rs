//! A small enum in a record, as the word that faces show.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serializer, de};

use super::{Act, Cause, Ended, Failure, Purpose, Stage};

pub(super) trait Word: Copy + 'static {
    const ALL: &[Self];
    fn word(self) -> &'static str;
}

macro_rules! words {
    ($($name:ident),*) => {$(
        impl Word for $name {
            const ALL: &[Self] = Self::ALL;
            fn word(self) -> &'static str {
                Self::word(self)
            }
        }
    )*};
}

words!(Act, Cause, Ended, Failure, Purpose, Stage);

pub(super) fn serialize<T: Word, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(value.word())
}

pub(super) fn deserialize<'de, T: Word, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    let text = Cow::<'_, str>::deserialize(from)?;
    let found = T::ALL.iter().find(|value| value.word() == text);
    found
        .copied()
        .ok_or_else(|| de::Error::custom(format_args!("{text:?} is none of the known words")))
}
