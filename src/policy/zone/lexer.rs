//! Cuts a master file into entries of tokens (RFC 1035 section 5.1).
//!
//! In goes a window of a file; out come entries: the tokens of one line, or of several that
//! parentheses join, without comments. Escapes stay as written, because only the reader of a name
//! or a string knows what `\.` means there. It runs once over the octets, and a slip costs one
//! entry, not the file. An entry that the window cuts is left for the next window.

/// One token, as written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    /// Its octets; without the quotes when it was quoted.
    pub(super) text: &'a [u8],
    /// Whether it was quoted.
    pub(super) quoted: bool,
    /// Where it begins.
    pub(super) spot: Spot,
}

impl Token<'_> {
    /// Tells whether it is this word, which is never quoted.
    pub(super) fn is(&self, word: &str) -> bool {
        !self.quoted && self.text.eq_ignore_ascii_case(word.as_bytes())
    }
}

/// A place in the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spot {
    /// From 1, in the file.
    pub(super) line: usize,
    /// Where the line begins, in octets.
    start: usize,
    /// Where this place is, in octets.
    offset: usize,
}

impl Spot {
    /// Gives the column, from 1, in characters.
    pub(super) fn column(self, window: &[u8]) -> usize {
        let before = window.get(self.start..self.offset).unwrap_or_default();
        if before.is_ascii() {
            return before.len() + 1;
        }
        String::from_utf8_lossy(before).chars().count() + 1
    }
}

/// What comes next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Next {
    /// The window holds no further whole entry.
    End,
    /// An entry, whose tokens were handed over; at least one.
    Entry {
        /// Whether its line begins with white space: the owner is the last one's.
        indented: bool,
    },
    /// A slip of form; its entry is lost.
    Slip(Slip),
}

/// A slip of form, with its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slip {
    pub(super) spot: Spot,
    pub(super) what: &'static str,
    pub(super) cure: &'static str,
}

/// The window and how far it was read.
pub(super) struct Lexer<'a> {
    text: &'a [u8],
    /// Whether the file ends where the window does.
    last: bool,
    offset: usize,
    line: usize,
    start: usize,
}

/// What ends or changes a token that is not quoted.
const SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    let octets = b" \t\r\n;()\\\"";
    let mut at = 0;
    while at < octets.len() {
        special[octets[at] as usize] = true;
        at += 1;
    }
    special
};

impl<'a> Lexer<'a> {
    /// Begins a window at its first octet, which is the first of a line.
    pub(super) const fn new(text: &'a [u8], line: usize, last: bool) -> Self {
        Self {
            text,
            last,
            offset: 0,
            line,
            start: 0,
        }
    }

    /// Gives how many octets were read, and the line that comes next.
    pub(super) const fn consumed(&self) -> (usize, usize) {
        (self.offset, self.line)
    }

    /// Gives the next entry; its tokens replace those in `tokens`.
    pub(super) fn next_entry(&mut self, tokens: &mut Vec<Token<'a>>) -> Next {
        loop {
            tokens.clear();
            let before = (self.offset, self.line, self.start);
            let indented = matches!(self.peek(), Some(b' ' | b'\t'));
            let slip = self.entry(tokens).err();
            if slip.is_some() {
                self.skip_line();
            }
            if self.offset >= self.text.len() && !self.last {
                // More of it may come; it is read again from its beginning.
                (self.offset, self.line, self.start) = before;
                return Next::End;
            }
            match slip {
                Some(slip) => return Next::Slip(slip),
                None if !tokens.is_empty() => return Next::Entry { indented },
                None if self.peek().is_none() => return Next::End,
                None => {}
            }
        }
    }

    /// Reads tokens up to the end of the entry, which it takes.
    fn entry(&mut self, tokens: &mut Vec<Token<'a>>) -> Result<(), Slip> {
        let mut depth = 0_usize;
        let mut opened = None;
        while let Some(byte) = self.peek() {
            match byte {
                b'\n' => {
                    self.take_newline();
                    if depth == 0 {
                        return Ok(());
                    }
                }
                b' ' | b'\t' => self.offset += 1,
                b'\r' => self.skip_return()?,
                b';' => self.skip_comment(),
                b'(' => {
                    if depth == 0 {
                        opened = Some(self.spot());
                    }
                    depth += 1;
                    self.offset += 1;
                }
                b')' => {
                    if depth == 0 {
                        return Err(self.slip("`)` without `(`", "remove it"));
                    }
                    depth -= 1;
                    self.offset += 1;
                }
                b'"' => tokens.push(self.quoted()?),
                _ => tokens.push(self.plain()?),
            }
        }
        match opened.filter(|_| depth > 0) {
            Some(spot) => Err(Slip {
                spot,
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
        loop {
            let rest = &self.text[self.offset..];
            let special = rest.iter().position(|byte| SPECIAL[usize::from(*byte)]);
            self.offset += special.unwrap_or(rest.len());
            match self.peek() {
                Some(b'\\') => self.skip_escape()?,
                // `alpn="h2,h3"`: a quote within a token belongs to it (RFC 9460 section 2.1).
                Some(b'"') => {
                    let quote = self.spot();
                    self.offset += 1;
                    self.skip_quoted(quote)?;
                }
                _ => break,
            }
        }
        Ok(Token {
            text: &self.text[start..self.offset],
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
        match self.text.get(self.offset + 1) {
            None | Some(b'\n' | b'\r') => {
                let slip = self.slip(
                    "`\\` at the end of a line escapes nothing",
                    "write `\\\\` for a backslash",
                );
                self.offset += 1;
                Err(slip)
            }
            Some(_) => {
                self.offset += 2;
                Ok(())
            }
        }
    }

    /// Goes past a carriage return, which must end the line with the line feed after it.
    fn skip_return(&mut self) -> Result<(), Slip> {
        if let Some(after) = self.text.get(self.offset + 1)
            && *after != b'\n'
        {
            let cure = "end lines with a line feed";
            let slip = self.slip("a carriage return inside a line", cure);
            self.offset += 1;
            return Err(slip);
        }
        self.offset += 1;
        Ok(())
    }

    fn skip_comment(&mut self) {
        let rest = &self.text[self.offset..];
        let length = rest.iter().position(|byte| *byte == b'\n');
        self.offset += length.unwrap_or(rest.len());
    }

    fn skip_line(&mut self) {
        self.skip_comment();
        if self.peek().is_some() {
            self.take_newline();
        }
    }

    const fn take_newline(&mut self) {
        self.offset += 1;
        self.line += 1;
        self.start = self.offset;
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.offset).copied()
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
