//! Reads master files into records that keep their places (RFC 1035 section 5, RFC 2308 section 4).
//!
//! In go a file and an origin; out come the records in order, and every mistake up to a bound.
//! $ORIGIN, $TTL and $INCLUDE are known; an included file leaves origin, TTL and owner as they were
//! (BIND keeps its `$TTL`, which RFC 2308 does not ask for).
//! Whether the records make a zone is not asked here.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hickory_proto::rr::RecordType;

use crate::model::mistake::{Files, Mistake, Place};

use super::build::{Builder, Raw};
use super::data::{self, Wrong};
use super::lexer::{Entry, Lexer, Spot, Token};
use super::text::{self, head, type_word};
use crate::policy::name::Name;

/// How many mistakes of one zone are collected; a person mends ten at a time.
const MISTAKES_MAX: usize = 100;

/// How deep files include files; a file that includes itself ends here.
const INCLUDE_DEPTH_MAX: usize = 8;

/// How many files one zone may include, since each could name the next twice.
const INCLUDES_MAX: usize = 100;

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
        owner: None,
    };
    let mut reader = Reader {
        files,
        builder,
        includes: 0,
        data: Vec::new(),
    };
    match files.read(file) {
        Ok(text) => reader.file(&Arc::from(file), &text, &mut state, 0),
        Err(error) => {
            let place = Place {
                file: file.to_owned(),
                line: 1,
                column: 1,
            };
            let what = format!("the zone file cannot be read: {error}");
            reader.notes().mistake(place, what, "");
        }
    }
}

struct Reader<'a> {
    files: &'a dyn Files,
    builder: &'a mut Builder,
    includes: usize,
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
    /// `None` before the first record, and after one whose owner could not be read.
    owner: Option<Name>,
}

/// The file being read.
#[derive(Clone, Copy)]
struct Source<'a> {
    path: &'a Arc<Path>,
    text: &'a str,
    depth: usize,
}

impl Source<'_> {
    fn place(&self, spot: Spot) -> Place {
        Place {
            file: self.path.to_path_buf(),
            line: spot.line,
            column: spot.column(self.text),
        }
    }
}

impl Reader<'_> {
    const fn notes(&mut self) -> &mut Notes {
        self.builder.notes()
    }

    fn file(&mut self, path: &Arc<Path>, text: &str, state: &mut State, depth: usize) {
        // Some editors begin a file with a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let source = Source { path, text, depth };
        let mut lexer = Lexer::new(text);
        while let Some(entry) = lexer.next_entry() {
            match entry {
                Err(slip) => {
                    self.notes()
                        .mistake(source.place(slip.spot), slip.what.to_owned(), slip.cure);
                }
                Ok(entry) => self.entry(&source, &entry, state),
            }
            if self.notes().mistakes.len() == MISTAKES_MAX {
                return;
            }
        }
    }

    fn entry(&mut self, source: &Source<'_>, entry: &Entry<'_>, state: &mut State) {
        let Some((first, rest)) = entry.tokens.split_first() else {
            return;
        };
        if first.text.starts_with('$') && !first.quoted && !entry.indented {
            self.directive(source, *first, rest, state);
            return;
        }
        let rest = if entry.indented {
            entry.tokens.as_slice()
        } else {
            match text::name(first.text, &state.origin) {
                Ok(owner) => state.owner = Some(owner),
                Err(what) => {
                    state.owner = None;
                    self.notes().mistake(source.place(first.spot), what, "");
                    return;
                }
            }
            rest
        };
        let Some(owner) = state.owner else {
            // After an owner that could not be read, the mistake is already told.
            if self.notes().mistakes.is_empty() {
                self.notes().mistake(
                    source.place(first.spot),
                    String::from("the first record has no owner"),
                    "begin the line with a name, or `@` for the origin",
                );
            }
            return;
        };
        self.record(source, *first, rest, owner, state);
    }

    /// Reads `[TTL] [class] type data`, or class before TTL (RFC 1035 section 5.1).
    fn record(
        &mut self,
        source: &Source<'_>,
        first: Token<'_>,
        tokens: &[Token<'_>],
        owner: Name,
        state: &mut State,
    ) {
        let (mut ttl, mut class, mut next) = (None, false, 0);
        let record_type = loop {
            let Some(token) = tokens.get(next) else {
                let what = String::from("the type is missing");
                self.notes().mistake(source.place(first.spot), what, "");
                return;
            };
            next += 1;
            if ttl.is_none() && token.text.starts_with(|c: char| c.is_ascii_digit()) {
                match text::ttl(token.text) {
                    Ok(seconds) => ttl = Some(seconds),
                    Err(what) => {
                        let cure = "write seconds, or units like 1h30m";
                        self.notes().mistake(source.place(token.spot), what, cure);
                        return;
                    }
                }
            } else if !class && is_class(token.text) {
                class = true;
                if !token.text.eq_ignore_ascii_case("IN")
                    && !token.text.eq_ignore_ascii_case("CLASS1")
                {
                    let what = format!("class {} is not served", token.text);
                    let cure = "write IN, or nothing";
                    self.notes().mistake(source.place(token.spot), what, cure);
                    return;
                }
            } else {
                match self.record_type(source, *token) {
                    Some(record_type) => break record_type,
                    None => return,
                }
            }
        };
        let rest = tokens.get(next..).unwrap_or_default();
        self.data.clear();
        match data::record_data(record_type, rest, &state.origin, &mut self.data) {
            Ok(()) => {}
            Err(Wrong { token, what, cure }) => {
                let at = rest.get(token).or_else(|| tokens.last()).unwrap_or(&first);
                let what = format!("{}: {what}", type_word(record_type));
                self.notes().mistake(source.place(at.spot), what, cure);
                return;
            }
        }
        if ttl.is_some() {
            state.last_ttl = ttl;
        }
        // Without any TTL the SOA's minimum serves, as it did before RFC 2308.
        let minimum = match record_type {
            RecordType::SOA => soa_minimum(&self.data),
            _ => None,
        };
        let Some(ttl) = ttl.or(state.default_ttl).or(state.last_ttl).or(minimum) else {
            let what = String::from("no TTL here, no $TTL, and no record above with one");
            let cure = "write `$TTL 1h` at the top";
            self.notes().mistake(source.place(first.spot), what, cure);
            return;
        };
        if state.last_ttl.is_none() {
            state.last_ttl = Some(ttl);
        }
        let raw = Raw {
            owner: &owner,
            ttl,
            record_type,
            data: &self.data,
            file: source.path,
            line: first.spot.line,
            column: first.spot.column(source.text),
        };
        self.builder.add(&raw);
    }

    fn record_type(&mut self, source: &Source<'_>, token: Token<'_>) -> Option<RecordType> {
        let found = served_type(token.text);
        let told = found.map_err(|(what, cure)| {
            self.notes().mistake(source.place(token.spot), what, cure);
        });
        told.ok()
    }

    fn directive(
        &mut self,
        source: &Source<'_>,
        word: Token<'_>,
        arguments: &[Token<'_>],
        state: &mut State,
    ) {
        let upper = word.text.to_ascii_uppercase();
        let most = if upper == "$INCLUDE" { 2 } else { 1 };
        let known = matches!(upper.as_str(), "$INCLUDE" | "$ORIGIN" | "$TTL");
        if !known {
            let what = format!("the directive {} is not known", head(word.text));
            let cure = "known are $ORIGIN, $TTL and $INCLUDE";
            self.notes().mistake(source.place(word.spot), what, cure);
            return;
        }
        let Some(argument) = arguments.first() else {
            let what = format!("{upper} needs an argument");
            self.notes().mistake(source.place(word.spot), what, "");
            return;
        };
        if let Some(more) = arguments.get(most) {
            let what = format!("{upper} takes no more than {most}");
            self.notes()
                .mistake(source.place(more.spot), what, "remove it");
            return;
        }
        let result = match upper.as_str() {
            "$TTL" => text::ttl(argument.text).map(|seconds| state.default_ttl = Some(seconds)),
            "$ORIGIN" => {
                text::name(argument.text, &state.origin).map(|origin| state.origin = origin)
            }
            _ => {
                self.include(source, *argument, arguments.get(1).copied(), state);
                Ok(())
            }
        };
        if let Err(what) = result {
            self.notes().mistake(source.place(argument.spot), what, "");
        }
    }

    fn include(
        &mut self,
        source: &Source<'_>,
        file: Token<'_>,
        origin: Option<Token<'_>>,
        state: &State,
    ) {
        let mut inner = state.clone();
        if let Some(origin) = origin {
            match text::name(origin.text, &state.origin) {
                Ok(origin) => inner.origin = origin,
                Err(what) => {
                    self.notes().mistake(source.place(origin.spot), what, "");
                    return;
                }
            }
        }
        self.includes += 1;
        if source.depth == INCLUDE_DEPTH_MAX || self.includes > INCLUDES_MAX {
            let what = format!(
                "{} is included too deep; at most {INCLUDE_DEPTH_MAX} levels and {INCLUDES_MAX} files",
                head(file.text)
            );
            self.notes()
                .mistake(source.place(file.spot), what, "does it include itself?");
            return;
        }
        let folder = source.path.parent().unwrap_or_else(|| Path::new(""));
        let path: PathBuf = folder.join(file.text);
        match self.files.read(&path) {
            Ok(text) => self.file(&Arc::from(path), &text, &mut inner, source.depth + 1),
            Err(error) => {
                let what = format!("{} cannot be read: {error}", path.display());
                self.notes().mistake(source.place(file.spot), what, "");
            }
        }
    }
}

/// Reads a type that a zone may hold, or says why not and what would be right.
pub fn served_type(text: &str) -> Result<RecordType, (String, &'static str)> {
    match text::record_type(text) {
        None => Err((
            format!("`{}` is not a type", head(text)),
            "types without a name here are written TYPE123 and `\\# LENGTH HEX` (RFC 3597)",
        )),
        Some(
            RecordType::AXFR
            | RecordType::IXFR
            | RecordType::OPT
            | RecordType::TSIG
            | RecordType::ZERO
            | RecordType::Unknown(128..=255),
        ) => Err((
            format!("{} exists in messages only", text.to_ascii_uppercase()),
            "remove it",
        )),
        Some(known) => Ok(known),
    }
}

/// Gives the minimum of an SOA: its last four octets.
pub(super) fn soa_minimum(data: &[u8]) -> Option<u32> {
    let minimum = data.last_chunk::<4>()?;
    Some(u32::from_be_bytes(*minimum))
}

fn is_class(text: &str) -> bool {
    ["IN", "CH", "HS", "CS"]
        .iter()
        .any(|class| text.eq_ignore_ascii_case(class))
        || text
            .get(..5)
            .is_some_and(|head| head.eq_ignore_ascii_case("CLASS"))
            && text[5..].parse::<u16>().is_ok()
}
