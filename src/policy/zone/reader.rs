//! Reads master files into records that keep their places (RFC 1035 section 5, RFC 2308 section 4).
//!
//! In go a file and an origin; out come the records in order, and every mistake up to a bound. A
//! file is read window by window, so its size costs no memory. An included file leaves origin, TTL
//! and owner as they were (BIND keeps its `$TTL`, which RFC 2308 does not ask for).
//! Whether the records make a zone is not asked here.

mod directive;
mod generate;

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use hickory_proto::rr::RecordType;

use crate::model::mistake::{Files, Mistake, Place};

use super::build::{Builder, Raw};
use super::data::{self, Wrong};
use super::kinds::{held_type, type_word};
use super::lexer::{Lexer, Next, Spot, Token};
use super::text::{self, head, number};
use crate::policy::name::Name;

/// How many mistakes of one zone are collected; a person mends ten at a time.
const MISTAKES_MAX: usize = 100;

/// How many octets of a file are looked at together.
const WINDOW: usize = 256 << 10;

/// How long one entry may be: the largest data, every octet of it escaped, and room for comments.
const ENTRY_MAX: usize = 1 << 20;

/// How many octets one zone may have, with all that it includes; its places are 32 bits.
const ZONE_BYTES_MAX: u64 = 2 << 30;

/// A byte order mark, with which some editors begin a file.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Mistakes and warnings of one zone, bounded.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) mistakes: Vec<Mistake>,
    pub(super) warnings: Vec<Mistake>,
}

impl Notes {
    pub(super) fn mistake(&mut self, place: Place, what: String, cure: &str) {
        push(&mut self.mistakes, place, what, cure);
    }

    pub(super) fn warning(&mut self, place: Place, what: String, cure: &str) {
        push(&mut self.warnings, place, what, cure);
    }

    /// Tells whether no more warnings are taken.
    pub(super) const fn is_warned(&self) -> bool {
        self.warnings.len() >= MISTAKES_MAX
    }

    /// Tells whether no more mistakes are taken.
    pub(super) const fn is_full(&self) -> bool {
        self.mistakes.len() >= MISTAKES_MAX
    }
}

fn push(list: &mut Vec<Mistake>, place: Place, what: String, cure: &str) {
    if list.len() < MISTAKES_MAX {
        let path = String::new();
        let cure = cure.to_owned();
        list.push(Mistake {
            place,
            path,
            what,
            cure,
        });
    }
}

/// Reads a master file and what it includes into a zone that is being built.
pub(super) fn read(file: &Path, files: &dyn Files, builder: &mut Builder) {
    let mut state = State {
        origin: *builder.origin(),
        default_ttl: None,
        last_ttl: None,
        owner: Vec::new(),
        owned: false,
    };
    let mut reader = Reader {
        files,
        builder,
        includes: 0,
        generated: 0,
        generated_octets: 0,
        octets: 0,
        data: Vec::new(),
    };
    match files.open(file) {
        Ok(input) => reader.file(&Arc::from(file), input, &mut state, 0),
        Err(error) => {
            let what = format!("the zone file cannot be read: {error}");
            reader.notes().mistake(top(file), what, "");
        }
    }
}

fn top(file: &Path) -> Place {
    Place {
        file: file.to_owned(),
        line: 1,
        column: 1,
    }
}

struct Reader<'a> {
    files: &'a dyn Files,
    builder: &'a mut Builder,
    includes: usize,
    /// How many records $GENERATE made.
    generated: usize,
    generated_octets: usize,
    /// How much was read of all files.
    octets: u64,
    /// The data of the record that is being read.
    data: Vec<u8>,
}

/// What an included file may change without effect on the file that includes it.
#[derive(Clone)]
struct State {
    origin: Name,
    /// Of `$TTL`.
    default_ttl: Option<u32>,
    /// The last one stated on a record (RFC 1035 section 5.1).
    last_ttl: Option<u32>,
    /// The last owner, in wire form.
    owner: Vec<u8>,
    /// Whether there is one: not before the first record, nor after one that could not be read.
    owned: bool,
}

/// The part of a file that is being read.
#[derive(Clone, Copy)]
struct Source<'a> {
    path: &'a Arc<Path>,
    /// The number that the zone knows the file by.
    file: u16,
    window: &'a [u8],
    depth: usize,
    /// The line and column of the directive that made these lines.
    made_at: Option<(usize, usize)>,
}

impl Source<'_> {
    fn line_and_column(&self, spot: Spot) -> (usize, usize) {
        self.made_at
            .unwrap_or_else(|| (spot.line, spot.column(self.window)))
    }

    fn place(&self, spot: Spot) -> Place {
        let (line, column) = self.line_and_column(spot);
        Place {
            file: self.path.to_path_buf(),
            line,
            column,
        }
    }
}

impl Reader<'_> {
    const fn notes(&mut self) -> &mut Notes {
        self.builder.notes()
    }

    fn mistake(&mut self, source: &Source<'_>, spot: Spot, what: String, cure: &str) {
        self.notes().mistake(source.place(spot), what, cure);
    }

    /// Reads a file window by window.
    fn file(
        &mut self,
        path: &Arc<Path>,
        mut input: Box<dyn Read + '_>,
        state: &mut State,
        depth: usize,
    ) {
        let file = self.builder.file(path);
        let mut window: Vec<u8> = Vec::new();
        let (mut wanted, mut line) = (WINDOW, 1);
        loop {
            let place = Place { line, ..top(path) };
            let before = window.len();
            let last = match fill(&mut window, wanted, &mut *input) {
                Ok(last) => last,
                Err(error) => {
                    let what = format!("the file cannot be read on: {error}");
                    return self.notes().mistake(place, what, "");
                }
            };
            self.octets += (window.len() - before) as u64;
            if self.octets > ZONE_BYTES_MAX {
                let what = format!("the zone has more than {ZONE_BYTES_MAX} bytes");
                return self.notes().mistake(place, what, "split it");
            }
            if before == 0 && line == 1 && window.starts_with(MARK) {
                let what = String::from("the file begins with a byte order mark");
                let cure = "save it as UTF-8 without one; no DNS server reads it";
                self.notes().mistake(place.clone(), what, cure);
                window.drain(..MARK.len());
            }
            let source = Source {
                path,
                file,
                window: &window,
                depth,
                made_at: None,
            };
            let (used, next) = self.window(&source, Lexer::new(source.window, line, last), state);
            if last || self.notes().is_full() {
                return;
            }
            if used == 0 && wanted >= ENTRY_MAX {
                let what = format!("an entry that begins here is longer than {ENTRY_MAX} bytes");
                let cure = "is a `(` never closed?";
                return self.notes().mistake(place, what, cure);
            }
            wanted = if used == 0 { wanted * 2 } else { WINDOW };
            line = next;
            window.drain(..used);
        }
    }

    /// Reads the whole entries of a window; gives how far it came.
    fn window(
        &mut self,
        source: &Source<'_>,
        mut lexer: Lexer<'_>,
        state: &mut State,
    ) -> (usize, usize) {
        let mut tokens = Vec::new();
        loop {
            match lexer.next_entry(&mut tokens) {
                Next::End => return lexer.consumed(),
                Next::Slip(slip) => {
                    self.mistake(source, slip.spot, slip.what.to_owned(), slip.cure);
                }
                Next::Entry { indented } => self.entry(source, &tokens, indented, state),
            }
            if self.notes().is_full() {
                return lexer.consumed();
            }
        }
    }

    fn entry(
        &mut self,
        source: &Source<'_>,
        tokens: &[Token<'_>],
        indented: bool,
        state: &mut State,
    ) {
        let Some((first, rest)) = tokens.split_first() else {
            return;
        };
        if indented {
            if state.owned {
                self.record(source, *first, tokens, state);
            } else if self.notes().mistakes.is_empty() {
                // After an owner that could not be read, the mistake is already told.
                let what = String::from("the first record has no owner");
                let cure = "begin the line with a name, or `@` for the origin";
                self.mistake(source, first.spot, what, cure);
            }
            return;
        }
        if first.text.starts_with(b"$") && !first.quoted {
            self.directive(source, *first, rest, state);
            return;
        }
        state.owner.clear();
        let owner = text::write_wire(first.text, &state.origin, &mut state.owner);
        state.owned = owner.is_ok();
        match owner {
            Ok(()) => self.record(source, *first, rest, state),
            Err(what) => self.mistake(source, first.spot, what, ""),
        }
    }

    /// Reads `[TTL] [class] type`, or class before TTL (RFC 1035 section 5.1); gives TTL and type,
    /// and how many tokens they were.
    fn head(
        &mut self,
        source: &Source<'_>,
        first: Token<'_>,
        tokens: &[Token<'_>],
    ) -> Option<(Option<u32>, RecordType, usize)> {
        let (mut ttl, mut class) = (None, false);
        for (next, token) in tokens.iter().enumerate() {
            if ttl.is_none() && token.text.first().is_some_and(u8::is_ascii_digit) {
                match text::ttl(token.text) {
                    Ok(seconds) => ttl = Some(self.bounded(source, token.spot, seconds)),
                    Err(what) => {
                        let cure = "write seconds, or units like 1h30m";
                        self.mistake(source, token.spot, what, cure);
                        return None;
                    }
                }
                continue;
            }
            match (!class).then(|| read_class(token.text)).flatten() {
                Some(IN) => class = true,
                Some(_) => {
                    let what = format!("class {} is not served", head(token.text));
                    self.mistake(source, token.spot, what, "write IN, or nothing");
                    return None;
                }
                None => match held_type(token.text) {
                    Ok(record_type) => return Some((ttl, record_type, next + 1)),
                    Err((what, cure)) => {
                        self.mistake(source, token.spot, what, cure);
                        return None;
                    }
                },
            }
        }
        self.mistake(source, first.spot, String::from("the type is missing"), "");
        None
    }

    /// Gives a TTL that may be used: what does not fit 31 bits counts as 0 (RFC 2181 section 8).
    fn bounded(&mut self, source: &Source<'_>, spot: Spot, seconds: u32) -> u32 {
        if u64::from(seconds) <= text::TTL_MAX {
            return seconds;
        }
        let what = format!(
            "the TTL {seconds} is above {} and counts as 0",
            text::TTL_MAX
        );
        let cure = "write a smaller one (RFC 2181 section 8)";
        self.notes().warning(source.place(spot), what, cure);
        0
    }

    /// Reads a record of the owner that `state` holds; `tokens` begin after it.
    fn record(
        &mut self,
        source: &Source<'_>,
        first: Token<'_>,
        tokens: &[Token<'_>],
        state: &mut State,
    ) {
        let Some((ttl, record_type, used)) = self.head(source, first, tokens) else {
            return;
        };
        let rest = tokens.get(used..).unwrap_or_default();
        self.data.clear();
        if let Err(wrong) = data::record_data(record_type, rest, &state.origin, &mut self.data) {
            let Wrong { token, what, cure } = wrong;
            let at = rest.get(token).or_else(|| tokens.last()).unwrap_or(&first);
            let what = format!("{}: {what}", type_word(record_type));
            self.mistake(source, at.spot, what, cure);
            return;
        }
        if ttl.is_some() {
            state.last_ttl = ttl;
        }
        // Without any TTL the SOA's minimum serves, as it did before RFC 2308.
        let minimum = (record_type == RecordType::SOA).then(|| soa_minimum(&self.data));
        let minimum = minimum.flatten();
        let Some(ttl) = ttl.or(state.default_ttl).or(state.last_ttl).or(minimum) else {
            let what = String::from("no TTL here, no $TTL, and no record above with one");
            let cure = "write `$TTL 1h` at the top";
            self.mistake(source, first.spot, what, cure);
            return;
        };
        if state.last_ttl.is_none() {
            state.last_ttl = Some(ttl);
        }
        let (line, column) = source.line_and_column(first.spot);
        self.builder.add(&Raw {
            owner: &state.owner,
            ttl,
            record_type,
            data: &self.data,
            file: source.file,
            line,
            column,
        });
    }
}

/// Reads until the window holds `wanted` octets or the file ends; gives whether it ended.
fn fill(window: &mut Vec<u8>, wanted: usize, input: &mut dyn Read) -> Result<bool, std::io::Error> {
    let mut end = window.len();
    window.resize(wanted.max(end), 0);
    while end < window.len() {
        match input.read(&mut window[end..]) {
            Ok(0) => {
                window.truncate(end);
                return Ok(true);
            }
            Ok(more) => end += more,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Gives the minimum of an SOA: its last four octets.
pub(super) fn soa_minimum(data: &[u8]) -> Option<u32> {
    let minimum = data.last_chunk::<4>()?;
    Some(u32::from_be_bytes(*minimum))
}

/// The one class that is served.
const IN: u16 = 1;

/// Reads a class, by word or number.
fn read_class(text: &[u8]) -> Option<u16> {
    const CLASSES: [(&[u8], u16); 5] = [
        (b"IN", IN),
        (b"CS", 2),
        (b"CH", 3),
        (b"CHAOS", 3),
        (b"HS", 4),
    ];
    let mut known = CLASSES.iter();
    if let Some((_, class)) = known.find(|(word, _)| word.eq_ignore_ascii_case(text)) {
        return Some(*class);
    }
    let (word, digits) = text.split_at_checked(5)?;
    let class = word
        .eq_ignore_ascii_case(b"CLASS")
        .then(|| number(digits))?;
    u16::try_from(class?).ok()
}
