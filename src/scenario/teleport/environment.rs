//! An environment file, `/etc/default/teleport`, as systemd reads it.
//!
//! In goes the text; out comes the one variable that decides something here. The grammar is that of
//! `EnvironmentFile=` (systemd.exec(5)): comments begin with `#` or `;`, values may be quoted, a
//! backslash at the end of a line continues it. What systemd passes over in silence is a mistake.

use std::path::Path;

use crate::model::id::Name;
use crate::model::places::Keys;

use super::super::schema::Unmodelled;
use super::super::tree::{BYTES_MAX, Mark};
use super::super::{Mistakes, hint};
use super::{Environment, reader};

/// The variable that beats all other tunnel addresses (reference 1.6, rule 0).
pub(super) const VARIABLE: &str = "TELEPORT_TUNNEL_PUBLIC_ADDR";

/// How long its value may be: a DNS name, a scheme, a port and a path to spare.
const VALUE_MAX: usize = 512;

/// The value of the variable.
pub(super) enum Variable {
    /// Empty, which is as good as unset.
    Absent,
    /// As written.
    Is(Name),
    /// No address is so long.
    TooLong,
}

/// Looks at a value of the variable.
pub(super) fn value(text: &str) -> Variable {
    match text.len() {
        0 => Variable::Absent,
        1..=VALUE_MAX => Variable::Is(text.into()),
        _ => Variable::TooLong,
    }
}

pub(super) fn read(
    path: &Path,
    text: &str,
    mistakes: &mut Mistakes,
    warnings: &mut Mistakes,
) -> Option<Environment> {
    if text.len() > BYTES_MAX {
        let what = format!("the file is longer than {BYTES_MAX} bytes");
        mistakes.add(path, Mark::START, "", what, "name the environment file");
        return None;
    }
    let mut own = Mistakes::default();
    let mut keys = Keys::new(path);
    let mut found: Option<Name> = None;
    let mut others = Vec::new();
    let mut first: Option<Mark> = None;
    for line in Lines::new(text) {
        let assignment = match line {
            Ok(assignment) => assignment,
            Err(Broken { mark, what, cure }) => {
                own.add(path, mark, "", what, cure);
                continue;
            }
        };
        let Assignment {
            name,
            at,
            value: text,
            value_at,
        } = assignment;
        if let Err((what, cure)) = check_name(&name) {
            own.add(path, at, "", what, cure);
            continue;
        }
        keys.put(name.clone(), value_at.line, value_at.column);
        if name != VARIABLE {
            if let Some(near) = hint::nearest_within(&name, &[VARIABLE], 3) {
                let what = format!("Teleport does not know the variable {name}");
                warnings.add(path, at, &name, what, format!("did you mean {near}?"));
            }
            others.push(Unmodelled {
                path: name,
                mark: at,
            });
            continue;
        }
        if let Some(first) = first {
            let what = format!("{VARIABLE} is set twice: the last one counts");
            let cure = format!("keep one; the other is in line {}", first.line);
            warnings.add(path, at, VARIABLE, what, cure);
        }
        first = Some(at);
        found = match value(&text) {
            Variable::Absent => None,
            Variable::Is(name) => Some(name),
            Variable::TooLong => {
                own.add(
                    path,
                    value_at,
                    VARIABLE,
                    "this is longer than an address can be",
                    "",
                );
                None
            }
        };
    }
    let sound = own.is_empty();
    mistakes.append(own);
    reader::list(path, others, warnings);
    sound.then_some(Environment {
        tunnel_public_addr: found,
        keys,
    })
}

fn check_name(name: &str) -> Result<(), (String, String)> {
    if let Some(rest) = name
        .strip_prefix("export")
        .filter(|rest| rest.starts_with([' ', '\t']))
    {
        let what = String::from("export is a shell's word: systemd passes over this line");
        return Err((what, format!("write {}=…", rest.trim())));
    }
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let rest = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if begins && rest {
        return Ok(());
    }
    let what = format!("{name:?} is not the name of a variable: systemd passes over this line");
    Err((
        what,
        format!("write it like {VARIABLE}=internal.example.com:443"),
    ))
}

/// One assignment.
struct Assignment {
    name: String,
    at: Mark,
    value: String,
    value_at: Mark,
}

/// A line that is no assignment.
struct Broken {
    mark: Mark,
    what: &'static str,
    cure: String,
}

/// The assignments of a text, comments and empty lines left out.
struct Lines<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    mark: Mark,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self {
            rest: text.chars().peekable(),
            mark: Mark::START,
        }
    }

    fn take(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        if c == '\n' {
            self.mark.line += 1;
            self.mark.column = 1;
        } else {
            self.mark.column += 1;
        }
        Some(c)
    }

    /// Takes the rest of a line, without its end.
    fn line(&mut self) -> String {
        let mut line = String::new();
        while let Some(c) = self.take().filter(|c| *c != '\n') {
            line.push(c);
        }
        line
    }

    /// Reads a value up to the end of its line.
    fn value(&mut self) -> Result<String, Broken> {
        let mut value = String::new();
        // What follows a closing quote goes on with the value; white space around is dropped.
        loop {
            match self.rest.peek().copied() {
                None => return Ok(value),
                Some('\n') => {
                    self.take();
                    return Ok(value);
                }
                Some(quote @ ('\'' | '"')) => self.quoted(quote, &mut value)?,
                Some(c) if c.is_ascii_whitespace() => {
                    self.take();
                }
                Some(_) => {
                    self.plain(&mut value);
                    return Ok(value);
                }
            }
        }
    }

    /// Reads what has no quotes before it, to the end of the line.
    fn plain(&mut self, value: &mut String) {
        let before = value.len();
        // White space that a backslash protects is kept.
        let mut keep = before;
        while let Some(c) = self.take().filter(|c| *c != '\n') {
            if c != '\\' {
                value.push(c);
                continue;
            }
            match self.take() {
                // A line that goes on.
                None | Some('\n') => {}
                Some(c) => {
                    value.push(c);
                    keep = value.len();
                }
            }
        }
        let end = value
            .trim_end_matches(|c: char| c.is_ascii_whitespace())
            .len();
        value.truncate(end.max(keep));
    }

    fn quoted(&mut self, quote: char, value: &mut String) -> Result<(), Broken> {
        let mark = self.mark;
        self.take();
        loop {
            match self.take() {
                None => {
                    return Err(Broken {
                        mark,
                        what: "this quote is never closed",
                        cure: format!("add {quote} at the end of the value"),
                    });
                }
                Some(c) if c == quote => return Ok(()),
                Some('\\') if quote == '"' => match self.take() {
                    None | Some('\n') => {}
                    Some(c @ ('"' | '\\' | '`' | '$')) => value.push(c),
                    Some(c) => value.extend(['\\', c]),
                },
                Some(c) => value.push(c),
            }
        }
    }
}

impl Iterator for Lines<'_> {
    type Item = Result<Assignment, Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let c = *self.rest.peek()?;
            if c.is_ascii_whitespace() {
                self.take();
                continue;
            }
            if matches!(c, '#' | ';') {
                self.line();
                continue;
            }
            let at = self.mark;
            let mut name = String::new();
            loop {
                match self.take() {
                    Some('=') => break,
                    None | Some('\n') => {
                        let cure = format!("write it like {VARIABLE}=internal.example.com:443");
                        return Some(Err(Broken {
                            mark: at,
                            what: "this line has no =: systemd passes over it",
                            cure,
                        }));
                    }
                    Some(c) => name.push(c),
                }
            }
            let name = name.trim_end().to_owned();
            let value_at = self.mark;
            let assignment = self.value().map(|value| Assignment {
                name,
                at,
                value,
                value_at,
            });
            return Some(assignment);
        }
    }
}
