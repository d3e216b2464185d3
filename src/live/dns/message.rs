//! Reads queries strictly and without allocation, whatever bytes come.
//!
//! In goes one message; out comes a borrowed [`Query`], or what can be said of a malformed one so
//! that FORMERR carries the id and, where it can be read, the question. Names are checked, not
//! decoded. Opcodes other than QUERY are only read as far as an answer needs: their sections mean
//! something else. What options say beyond their bounds is not looked at here.

use std::ops::Range;

/// The flag of a response (RFC 1035 section 4.1.1).
pub const QR: u16 = 0x8000;

/// The DO bit among an OPT record's flags (RFC 3225 section 3).
pub const DO: u16 = 0x8000;

/// The length of the header (RFC 1035 section 4.1.1).
pub const HEADER: usize = 12;

/// The longest name on the wire, its root included (RFC 1035 section 3.1).
const NAME_MAX: usize = 255;

/// The longest label (RFC 1035 section 3.1).
const LABEL_MAX: u8 = 63;

const OPCODE_QUERY: u8 = 0;
const TYPE_OPT: u16 = 41;
const TYPE_TSIG: u16 = 250;
const TYPE_IXFR: u16 = 251;

const OPTION_NSID: u16 = 3;
const OPTION_SUBNET: u16 = 8;
const OPTION_COOKIE: u16 = 10;
const OPTION_KEEPALIVE: u16 = 11;
const OPTION_PADDING: u16 = 12;

/// What a message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed<'a> {
    /// Nothing that may be answered: too short for a header, or itself a response.
    Ignored,
    /// To be answered FORMERR.
    Malformed(Malformed),
    /// A query that can be read.
    Query(Query<'a>),
}

/// A query that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query<'a> {
    /// The client's id.
    pub id: u16,
    /// The second word of the header: QR, opcode, and the bits beside them.
    pub flags: u16,
    /// The question. With opcode QUERY it is `None` only beside a cookie (RFC 7873 section 5.4);
    /// with others when there is not exactly one, or it cannot be read.
    pub question: Option<Question<'a>>,
    /// The OPT record.
    pub edns: Option<Edns<'a>>,
    /// Whether the last record is a TSIG (RFC 8945).
    pub tsig: bool,
}

/// The one question of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question<'a> {
    /// The name on the wire, as the client wrote it, its root included; no pointers.
    pub name: &'a [u8],
    /// Its type.
    pub kind: u16,
    /// Its class.
    pub class: u16,
}

/// An OPT record (RFC 6891 section 6.1.2) and the raw content of the options that we know.
///
/// Of an option that comes twice the first counts (RFC 7873 section 5.2 for cookies).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Edns<'a> {
    /// How many bytes of UDP payload the client takes, as it wrote it.
    pub payload: u16,
    /// The upper bits of the response code, without meaning in a query.
    pub extended: u8,
    /// The version; only 0 is known to anyone.
    pub version: u8,
    /// The flags; see [`DO`].
    pub flags: u16,
    /// All options, known or not.
    pub options: &'a [u8],
    /// NSID (RFC 5001).
    pub nsid: Option<&'a [u8]>,
    /// The client's subnet (RFC 7871).
    pub subnet: Option<&'a [u8]>,
    /// A cookie (RFC 7873).
    pub cookie: Option<&'a [u8]>,
    /// edns-tcp-keepalive (RFC 7828).
    pub keepalive: Option<&'a [u8]>,
    /// Padding (RFC 7830).
    pub padding: Option<&'a [u8]>,
}

/// What is known of a message that has to be answered FORMERR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The client's id.
    pub id: u16,
    /// The second word of the header.
    pub flags: u16,
    /// Where the one question is, name to class, when there is one and it could be read.
    pub question: Option<Range<usize>>,
    /// Whether an OPT record was seen before the fault: the answer then has one (RFC 6891
    /// section 7).
    pub edns: bool,
    /// What is wrong.
    pub problem: Problem,
}

/// What makes a message malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Records where a query has none; NSD refuses them too, BIND does not look.
    #[error("the query has records in its answer or authority section")]
    Filled,
    /// A label that is too long or of an unknown kind, or a name that is too long.
    #[error("a name cannot be read")]
    Name,
    /// A pointer in the question, where there is nothing before it to point to.
    #[error("the question's name has a compression pointer")]
    Pointer,
    /// An option that goes beyond its record.
    #[error("an EDNS option is longer than its record")]
    Option,
    /// An OPT record that is not at the root, not alone or in another section (RFC 6891, 6.1.1).
    #[error("an OPT record is not at the root, not alone, or not in the additional section")]
    Opt,
    /// Not exactly one question (RFC 9619), and no cookie that would excuse none.
    #[error("a query has exactly one question")]
    Questions,
    /// It ends before what it announces.
    #[error("the message ends too early")]
    Short,
    /// Bytes after the last record; Knot and NSD refuse them too.
    #[error("there are bytes after the last record")]
    Trailing,
    /// A TSIG that is not the last record (RFC 8945 section 5.1).
    #[error("a TSIG record is not the last one")]
    Tsig,
}

impl Query<'_> {
    /// Gives the opcode.
    pub const fn opcode(&self) -> u8 {
        opcode(self.flags)
    }
}

impl Question<'_> {
    /// Gives how many bytes it takes in the message, from [`HEADER`] on.
    pub const fn length(&self) -> usize {
        self.name.len() + 4
    }
}

impl Edns<'_> {
    /// Tells whether the client wants DNSSEC's records.
    pub const fn wants_dnssec(&self) -> bool {
        self.flags & DO != 0
    }
}

impl Malformed {
    /// Gives the opcode.
    pub const fn opcode(&self) -> u8 {
        opcode(self.flags)
    }
}

/// Tells whether a message may be answered at all: it has a header and is not a response.
pub fn is_answerable(message: &[u8]) -> bool {
    message.len() >= HEADER && message[2] & 0x80 == 0
}

/// Reads a message.
pub fn parse(message: &[u8]) -> Parsed<'_> {
    if !is_answerable(message) {
        return Parsed::Ignored;
    }
    let mut reading = Reading {
        cursor: Cursor {
            bytes: message,
            at: HEADER,
        },
        question: None,
        edns: None,
        tsig: false,
    };
    let word = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
    let (id, flags) = (word(0), word(2));
    let counts = [word(4), word(6), word(8), word(10)];
    let result = if opcode(flags) == OPCODE_QUERY {
        reading.query(counts)
    } else {
        reading.other(counts);
        Ok(())
    };
    let Reading {
        question,
        edns,
        tsig,
        ..
    } = reading;
    match result {
        Ok(()) => Parsed::Query(Query {
            id,
            flags,
            question,
            edns,
            tsig,
        }),
        Err(problem) => Parsed::Malformed(Malformed {
            id,
            flags,
            question: question.map(|question| HEADER..HEADER + question.length()),
            edns: edns.is_some(),
            problem,
        }),
    }
}

const fn opcode(flags: u16) -> u8 {
    (flags >> 11) as u8 & 0x0f
}

/// What was read so far; kept when a fault is met.
struct Reading<'a> {
    cursor: Cursor<'a>,
    question: Option<Question<'a>>,
    edns: Option<Edns<'a>>,
    tsig: bool,
}

impl<'a> Reading<'a> {
    fn query(&mut self, counts: [u16; 4]) -> Result<(), Problem> {
        let [questions, answers, authorities, additionals] = counts;
        match questions {
            0 => {}
            1 => self.question = Some(self.cursor.question()?),
            _ => return Err(Problem::Questions),
        }
        // An incremental transfer names the version that the client has (RFC 1995 section 3).
        let is_ixfr = self.question.is_some_and(|asked| asked.kind == TYPE_IXFR);
        let filled = answers > 0 || (authorities > 0 && !is_ixfr);
        for _ in 0..u32::from(answers) + u32::from(authorities) {
            match self.cursor.record()?.kind {
                TYPE_OPT => return Err(Problem::Opt),
                TYPE_TSIG => return Err(Problem::Tsig),
                _ => {}
            }
        }
        self.additionals(additionals)?;
        if filled {
            return Err(Problem::Filled);
        }
        if self.cursor.at < self.cursor.bytes.len() {
            return Err(Problem::Trailing);
        }
        let is_cookie = self.edns.is_some_and(|edns| edns.cookie.is_some());
        if questions == 0 && !is_cookie {
            return Err(Problem::Questions);
        }
        Ok(())
    }

    /// Reads what an answer to another opcode can use; nothing there is a fault.
    fn other(&mut self, counts: [u16; 4]) {
        let [questions, answers, authorities, additionals] = counts;
        if questions == 1 {
            self.question = self.cursor.question().ok();
        }
        if answers == 0 && authorities == 0 && (questions == 0 || self.question.is_some()) {
            let _ = self.additionals(additionals);
        }
    }

    fn additionals(&mut self, count: u16) -> Result<(), Problem> {
        for _ in 0..count {
            let record = self.cursor.record()?;
            if self.tsig {
                return Err(Problem::Tsig);
            }
            match record.kind {
                TYPE_OPT => {
                    if self.edns.is_some() || !record.is_root {
                        return Err(Problem::Opt);
                    }
                    let [extended, version, high, low] = record.ttl;
                    let edns = self.edns.insert(Edns {
                        payload: record.class,
                        extended,
                        version,
                        flags: u16::from_be_bytes([high, low]),
                        options: record.data,
                        ..Edns::default()
                    });
                    edns.sort_options()?;
                }
                TYPE_TSIG => self.tsig = true,
                _ => {}
            }
        }
        Ok(())
    }
}

impl Edns<'_> {
    fn sort_options(&mut self) -> Result<(), Problem> {
        let mut rest = self.options;
        while !rest.is_empty() {
            let [c0, c1, l0, l1, after @ ..] = rest else {
                return Err(Problem::Option);
            };
            let length = usize::from(u16::from_be_bytes([*l0, *l1]));
            let (content, next) = after.split_at_checked(length).ok_or(Problem::Option)?;
            let place = match u16::from_be_bytes([*c0, *c1]) {
                OPTION_NSID => Some(&mut self.nsid),
                OPTION_SUBNET => Some(&mut self.subnet),
                OPTION_COOKIE => Some(&mut self.cookie),
                OPTION_KEEPALIVE => Some(&mut self.keepalive),
                OPTION_PADDING => Some(&mut self.padding),
                _ => None,
            };
            if let Some(place) = place {
                place.get_or_insert(content);
            }
            rest = next;
        }
        Ok(())
    }
}

/// A record as far as a query's reader looks.
struct Record<'a> {
    is_root: bool,
    kind: u16,
    class: u16,
    ttl: [u8; 4],
    data: &'a [u8],
}

/// Where the reader is.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Problem> {
        let end = self.at + count;
        let taken = self.bytes.get(self.at..end).ok_or(Problem::Short)?;
        self.at = end;
        Ok(taken)
    }

    fn word(&mut self) -> Result<u16, Problem> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn question(&mut self) -> Result<Question<'a>, Problem> {
        let start = self.at;
        if self.name()? {
            return Err(Problem::Pointer);
        }
        let name = &self.bytes[start..self.at];
        Ok(Question {
            name,
            kind: self.word()?,
            class: self.word()?,
        })
    }

    /// Passes a name; tells whether it ended in a pointer.
    fn name(&mut self) -> Result<bool, Problem> {
        let start = self.at;
        loop {
            let length = self.take(1)?[0];
            match length {
                0 => break,
                1..=LABEL_MAX => {
                    self.take(usize::from(length))?;
                }
                0xc0.. => {
                    let low = self.take(1)?[0];
                    let target = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                    // A name before this one, so that no chain of pointers comes back to itself.
                    // The question's own pointer is a fault of its own, wherever it points.
                    if start > HEADER && !(HEADER..start).contains(&target) {
                        return Err(Problem::Name);
                    }
                    return Ok(true);
                }
                _ => return Err(Problem::Name),
            }
            if self.at - start >= NAME_MAX {
                return Err(Problem::Name);
            }
        }
        if self.at - start > NAME_MAX {
            return Err(Problem::Name);
        }
        Ok(false)
    }

    fn record(&mut self) -> Result<Record<'a>, Problem> {
        let start = self.at;
        self.name()?;
        // A root has one byte; a pointer is not one, even to a root.
        let is_root = self.at == start + 1;
        let (kind, class) = (self.word()?, self.word()?);
        let ttl = self.take(4)?;
        let ttl = [ttl[0], ttl[1], ttl[2], ttl[3]];
        let length = self.word()?;
        Ok(Record {
            is_root,
            kind,
            class,
            ttl,
            data: self.take(usize::from(length))?,
        })
    }
}

#[cfg(test)]
mod tests;
