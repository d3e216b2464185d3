//! Cuts a master file into entries of tokens (RFC 1035 section 5.1).
//!
//! In goes text; out come entries: the tokens of one line, or of several that parentheses join,
//! without comments. Escapes stay as written, because only the reader of a name or a string knows
//! what `\.` means there. It runs once over the text, and a slip costs one entry, not the file.

/// One token, as written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    /// Its text; without the quotes when it was quoted.
    pub(super) text: &'a str,
    /// Whether it was quoted.
    pub(super) quoted: bool,
    /// Where it begins.
    pub(super) spot: Spot,
}

/// A place in the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spot {
    /// From 1.
    pub(super) line: usize,
    /// Where the line begins, in bytes.
    start: usize,
    /// Where this place is, in bytes.
    offset: usize,
}

impl Spot {
    /// Gives the column, from 1, in characters.
    pub(super) fn column(self, text: &str) -> usize {
        let before = text.get(self.start..self.offset).unwrap_or_default();
        before.chars().count() + 1
    }
}

/// One entry.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    /// Whether its line begins with white space: the owner is the last one's.
    pub(super) indented: bool,
    /// Its tokens, at least one.
    pub(super) tokens: Vec<Token<'a>>,
}

/// A slip of form, with its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slip {
    pub(super) spot: Spot,
    pub(super) what: &'static str,
    pub(super) cure: &'static str,
}

/// The text and how far it was read.
pub(super) struct Lexer<'a> {
    text: &'a str,
    offset: usize,
    line: usize,
    start: usize,
}

impl<'a> Lexer<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self {
            text,
            offset: 0,
            line: 1,
            start: 0,
        }
    }

    /// Gives the next entry; `None` at the end.
    pub(super) fn next_entry(&mut self) -> Option<Result<Entry<'a>, Slip>> {
        loop {
            let indented = matches!(self.peek(), Some(b' ' | b'\t'));
            let mut tokens = Vec::new();
            match self.entry(&mut tokens) {
                Err(slip) => {
                    self.skip_line();
                    return Some(Err(slip));
                }
                Ok(()) if !tokens.is_empty() => return Some(Ok(Entry { indented, tokens })),
                Ok(()) if self.peek().is_none() => return None,
                Ok(()) => {}
            }
        }
    }

    /// Reads tokens up to the end of the entry, which it takes.
    fn entry(&mut self, tokens: &mut Vec<Token<'a>>) -> Result<(), Slip> {
        let mut opened = Vec::new();
        while let Some(byte) = self.peek() {
            match byte {
                b'\n' => {
                    self.take_newline();
                    if opened.is_empty() {
                        return Ok(());
                    }
                }
                b' ' | b'\t' | b'\r' => self.offset += 1,
                b';' => self.skip_comment(),
                b'(' => {
                    opened.push(self.spot());
                    self.offset += 1;
                }
                b')' => {
                    if opened.pop().is_none() {
                        return Err(self.slip("`)` without `(`", "remove it"));
                    }
                    self.offset += 1;
                }
                b'"' => tokens.push(self.quoted()?),
                _ => tokens.push(self.plain()?),
            }
        }
        match opened.first() {
            Some(spot) => Err(Slip {
                spot: *spot,
                what: "`(` is never closed",
                cure: "close it with `)`",
            }),
            None => Ok(()),
        }
    }

    fn quoted(&mut self) -> Result<Token<'a>, Slip> {
        let spot = self.spot();
        self.offset += 1;
        let start = self.offset;
        self.skip_quoted(spot)?;
        let text = self.text.get(start..self.offset - 1).unwrap_or_default();
        Ok(Token {
            text,
            quoted: true,
            spot,
        })
    }

    fn plain(&mut self) -> Result<Token<'a>, Slip> {
        let spot = self.spot();
        let start = self.offset;
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')' => break,
                b'\\' => self.skip_escape()?,
                // `alpn="h2,h3"`: a quote within a token belongs to it (RFC 9460 section 2.1).
                b'"' => {
                    let quote = self.spot();
                    self.offset += 1;
                    self.skip_quoted(quote)?;
                }
                _ => self.offset += 1,
            }
        }
        let text = self.text.get(start..self.offset).unwrap_or_default();
        Ok(Token {
            text,
            quoted: false,
            spot,
        })
    }

    /// Goes past the closing quote.
    fn skip_quoted(&mut self, opened: Spot) -> Result<(), Slip> {
        loop {
            match self.peek() {
                None | Some(b'\n') => {
                    return Err(Slip {
                        spot: opened,
                        what: "the quote is not closed on this line",
                        cure: "close it with `\"`",
                    });
                }
                Some(b'"') => {
                    self.offset += 1;
                    return Ok(());
                }
                Some(b'\\') => self.skip_escape()?,
                Some(_) => self.offset += 1,
            }
        }
    }

    fn skip_escape(&mut self) -> Result<(), Slip> {
        let rest = self.text.get(self.offset + 1..).unwrap_or_default();
        match rest.chars().next() {
            None | Some('\n' | '\r') => Err(self.slip(
                "`\\` at the end of a line escapes nothing",
                "write `\\\\` for a backslash",
            )),
            Some(next) => {
                self.offset += 1 + next.len_utf8();
                Ok(())
            }
        }
    }

    fn skip_comment(&mut self) {
        let rest = &self.text.as_bytes()[self.offset..];
        let length = rest.iter().position(|byte| *byte == b'\n');
        self.offset += length.unwrap_or(rest.len());
    }

    fn skip_line(&mut self) {
        self.skip_comment();
        if self.peek().is_some() {
            self.take_newline();
        }
    }

    fn take_newline(&mut self) {
        self.offset += 1;
        self.line += 1;
        self.start = self.offset;
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.offset).copied()
    }

    const fn spot(&self) -> Spot {
        Spot {
            line: self.line,
            start: self.start,
            offset: self.offset,
        }
    }

    const fn slip(&self, what: &'static str, cure: &'static str) -> Slip {
        Slip {
            spot: self.spot(),
            what,
            cure,
        }
    }
}
