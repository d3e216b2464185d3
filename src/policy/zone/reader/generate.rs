//! `$GENERATE`: many records of one line, as BIND has it.
//!
//! `$GENERATE START-STOP[/STEP] OWNER [TTL] [CLASS] TYPE DATA`, where `$` in owner and data is the
//! number, and `${OFFSET,WIDTH,BASE}` the number plus the offset, with leading zeros up to the
//! width, in base d, o, x or X, or as nibbles with dots, the lowest first (n and N). A backslash
//! keeps the `$` after it.

use super::{Reader, Source, State};
use crate::policy::zone::lexer::{Lexer, Next, Token};
use crate::policy::zone::text::{self, head, number};

/// How many records $GENERATE may make in one zone.
const GENERATED_MAX: usize = 1 << 20;

/// How many octets $GENERATE may make in one zone: a line of it is short, what it makes is not.
const GENERATED_BYTES_MAX: usize = 64 << 20;

/// How wide a number may be written; a name has no more octets.
const WIDTH_MAX: usize = 255;

/// The largest number of a range.
const NUMBER_MAX: u64 = (1 << 31) - 1;

impl Reader<'_> {
    pub(super) fn generate(
        &mut self,
        source: &Source<'_>,
        word: Token<'_>,
        arguments: &[Token<'_>],
        state: &mut State,
    ) {
        let [range, owner, rest @ ..] = arguments else {
            let what = String::from("$GENERATE needs a range, an owner, a type and data");
            let cure = "write `$GENERATE 1-9 host$ A 192.0.2.$`";
            return self.mistake(source, word.spot, what, cure);
        };
        let Some(numbers) = Range::read(range.text) else {
            let what = format!("`{}` is not a range", head(range.text));
            let cure = "write START-STOP or START-STOP/STEP, START not above STOP";
            return self.mistake(source, range.spot, what, cure);
        };
        self.generated = self.generated.saturating_add(numbers.count());
        if self.generated > GENERATED_MAX {
            let what = format!("$GENERATE makes more than {GENERATED_MAX} records");
            return self.mistake(source, range.spot, what, "write a smaller range");
        }
        let Some((_, _, used)) = self.head(source, *range, rest) else {
            return;
        };
        let (head_tokens, data) = rest.split_at(used);
        if let Some(more) = data.get(1) {
            let what = String::from("$GENERATE takes its data as one word");
            let cure = "put quotes around it: `\"10 mail$\"`";
            return self.mistake(source, more.spot, what, cure);
        }
        let made = Source {
            made_at: Some(source.line_and_column(word.spot)),
            ..*source
        };
        let before = self.notes().mistakes.len();
        let (mut owner_text, mut data_text) = (Vec::new(), Vec::new());
        let mut inner = state.clone();
        for value in numbers.values() {
            owner_text.clear();
            data_text.clear();
            let mut expanded = expand(owner.text, value, &mut owner_text);
            for token in data {
                expanded = expanded.and_then(|()| expand(token.text, value, &mut data_text));
                data_text.push(b' ');
            }
            if let Err(what) = expanded {
                return self.mistake(source, range.spot, what, "");
            }
            self.generated_octets += owner_text.len() + data_text.len();
            if self.generated_octets > GENERATED_BYTES_MAX {
                let what = format!("$GENERATE makes more than {GENERATED_BYTES_MAX} octets");
                return self.mistake(source, range.spot, what, "write a smaller range");
            }
            inner.owner.clear();
            let read = text::write_wire(&owner_text, &state.origin, &mut inner.owner);
            if let Err(what) = read {
                return self.mistake(source, owner.spot, what, "");
            }
            let mut tokens = Vec::new();
            if let Next::Slip(slip) =
                Lexer::new(&data_text, word.spot.line, true).next_entry(&mut tokens)
            {
                return self.mistake(&made, word.spot, slip.what.to_owned(), slip.cure);
            }
            let whole: Vec<_> = head_tokens.iter().copied().chain(tokens).collect();
            self.record(&made, word, &whole, &mut inner);
            // What is wrong with one is mostly wrong with all.
            if self.notes().mistakes.len() > before {
                return;
            }
        }
        state.last_ttl = inner.last_ttl;
    }
}

/// Which numbers.
struct Range {
    start: u64,
    stop: u64,
    step: u64,
}

impl Range {
    fn read(text: &[u8]) -> Option<Self> {
        let mut parts = text.splitn(2, |byte| *byte == b'/');
        let (range, step) = (parts.next()?, parts.next());
        let step = match step {
            Some(step) => number(step)?,
            None => 1,
        };
        let mut ends = range.splitn(2, |byte| *byte == b'-');
        let (start, stop) = (number(ends.next()?)?, number(ends.next()?)?);
        let sound = start <= stop && stop <= NUMBER_MAX && (1..=NUMBER_MAX).contains(&step);
        sound.then_some(Self { start, stop, step })
    }

    fn count(&self) -> usize {
        let count = (self.stop - self.start) / self.step + 1;
        usize::try_from(count).unwrap_or(usize::MAX)
    }

    fn values(&self) -> impl Iterator<Item = u64> + use<> {
        let (start, step) = (self.start, self.step);
        (0..self.count() as u64).map(move |index| start + index * step)
    }
}

/// Puts the number where `$` stands.
fn expand(text: &[u8], value: u64, out: &mut Vec<u8>) -> Result<(), String> {
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match (byte, rest.first()) {
            (b'\\', Some(&next)) => {
                out.extend([b'\\', next]);
                rest = &rest[1..];
            }
            // Two of them are an old way to write one.
            (b'$', Some(b'$')) => {
                out.push(b'$');
                rest = &rest[1..];
            }
            (b'$', Some(b'{')) => {
                let bad = || format!("`{}` has a bad `${{}}`", head(text));
                let end = rest.iter().position(|byte| *byte == b'}').ok_or_else(bad)?;
                let form = Form::read(&rest[1..end]).ok_or_else(bad)?;
                form.write(value, out).ok_or_else(|| {
                    format!("`{}`: {value} and the offset are below 0", head(text))
                })?;
                rest = &rest[end + 1..];
            }
            (b'$', _) => out.extend(value.to_string().bytes()),
            _ => out.push(byte),
        }
    }
    Ok(())
}

/// What `${}` holds.
struct Form {
    offset: i64,
    width: usize,
    base: u8,
}

impl Form {
    fn read(text: &[u8]) -> Option<Self> {
        let mut parts = text.split(|byte| *byte == b',');
        let offset = parts.next()?;
        let (negative, digits) = match offset.strip_prefix(b"-") {
            Some(digits) => (true, digits),
            None => (false, offset),
        };
        let offset = number(digits).filter(|offset| *offset <= NUMBER_MAX)?;
        let offset = i64::try_from(offset).ok()?;
        let width = match parts.next() {
            Some(width) => usize::try_from(number(width)?).ok()?,
            None => 0,
        };
        let base = match parts.next() {
            Some([base @ (b'd' | b'o' | b'x' | b'X' | b'n' | b'N')]) => *base,
            Some(_) => return None,
            None => b'd',
        };
        let sound = width <= WIDTH_MAX && parts.next().is_none();
        sound.then_some(Self {
            offset: if negative { -offset } else { offset },
            width,
            base,
        })
    }

    fn write(&self, value: u64, out: &mut Vec<u8>) -> Option<()> {
        let value = value.checked_add_signed(self.offset)?;
        let width = self.width;
        let text = match self.base {
            b'o' => format!("{value:0width$o}"),
            b'x' => format!("{value:0width$x}"),
            b'X' => format!("{value:0width$X}"),
            b'n' | b'N' => nibbles(value, width),
            _ => format!("{value:0width$}"),
        };
        match self.base {
            b'N' => out.extend(text.to_ascii_uppercase().bytes()),
            _ => out.extend(text.bytes()),
        }
        Some(())
    }
}

/// Writes hexadecimal digits with dots between them, the lowest first; the width counts the dots.
fn nibbles(mut value: u64, width: usize) -> String {
    let mut text = String::new();
    loop {
        text.push_str(&format!("{:x}", value & 15));
        value >>= 4;
        if value == 0 && text.len() >= width {
            return text;
        }
        text.push('.');
        if value == 0 && text.len() >= width {
            return text;
        }
    }
}
