//! What question and answer say of themselves by EDNS (RFC 6891), beside the DNS proper.
//!
//! In go the options of a question as they were read; out come those of the answer. Options and
//! flags that are not known are not carried at all, padding neither: it is for encrypted carriers.

use hickory_proto::rr::{DNSClass, RecordType};

use super::reason::{Note, Step};
use super::{Answer, PAYLOAD_MAX, Question, Rules};
use crate::policy::cookie;
use crate::policy::view::Subnet;

/// How many octets of words go with an extended error, so that OPT always fits (RFC 8914
/// section 2: the text is for people).
pub const ERROR_TEXT_MAX: usize = 120;

/// How long a server's name is at most in an answer (RFC 5001 leaves it open).
pub const SERVER_NAME_MAX: usize = 64;

/// How long a stream may be silent between questions, in tenths of a second (RFC 7828 section 3.1).
pub const IDLE_TENTHS: u16 = 100;

/// What a question says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns {
    /// 0 is the only version there is.
    pub version: u8,
    /// The largest datagram that the sender takes, in bytes; below 512 it counts as 512 (RFC 6891
    /// section 6.2.3).
    pub payload: u16,
    /// DNSSEC OK, which goes back as it came (RFC 3225 section 3).
    pub dnssec_ok: bool,
    /// The client-subnet option (RFC 7871).
    pub subnet: Option<Subnet>,
    /// Whether there was such an option that could not be read.
    pub subnet_broken: bool,
    /// Whether the server's name is asked for (RFC 5001).
    pub nsid: bool,
    /// Whether a stream asks how long it may be silent (RFC 7828). The carrier of a datagram never
    /// says so: there the option has no meaning (section 3.2.1).
    pub keepalive: bool,
    /// The cookie (RFC 7873).
    pub cookie: Option<cookie::Given>,
    /// Whether there was a cookie of a length that none has (RFC 7873 section 5.2.2).
    pub cookie_broken: bool,
}

/// EDNS of the right version without options, for answers of any size that is sent.
impl Default for Edns {
    fn default() -> Self {
        Self {
            version: 0,
            payload: PAYLOAD_MAX,
            dnssec_ok: false,
            subnet: None,
            subnet_broken: false,
            nsid: false,
            keepalive: false,
            cookie: None,
            cookie_broken: false,
        }
    }
}

/// What an answer says; its version is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnEdns<'r> {
    /// The largest datagram that the server takes, in bytes.
    pub payload: u16,
    /// DNSSEC OK, as the question had it.
    pub dnssec_ok: bool,
    /// The client-subnet option with its scope.
    pub subnet: Option<Subnet>,
    /// The server's name, when it has one and was asked.
    pub nsid: Option<&'r [u8]>,
    /// How long the stream may be silent, in tenths of a second, when that was asked.
    pub keepalive: Option<u16>,
    /// The whole cookie.
    pub cookie: Option<cookie::Full>,
    /// The extended error (RFC 8914); its words are [`Answer::error_text`].
    pub error: Option<u16>,
    /// Further extended errors, without words.
    pub errors_more: &'r [u16],
}

/// The answer to plain EDNS, for what nothing is decided on.
impl Default for OwnEdns<'_> {
    fn default() -> Self {
        Self {
            payload: PAYLOAD_MAX,
            dnssec_ok: false,
            subnet: None,
            nsid: None,
            keepalive: None,
            cookie: None,
            error: None,
            errors_more: &[],
        }
    }
}

/// What a server says of itself, and asks of those who ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The name that NSID gives (RFC 5001); empty for none. Default `twodoors`.
    pub name: Box<[u8]>,
    /// Whether cookies are given, and asked for. Default off.
    pub cookies: Cookies,
    /// What it says of its software, in class CH; nothing when absent. Default absent.
    pub version: Option<Box<[u8]>>,
}

/// Whether cookies are given (RFC 7873).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cookies {
    /// The option is ignored.
    #[default]
    Off,
    /// Who sends one gets one.
    Offered(cookie::Secret),
    /// Who sends one over UDP must send the server's part too, or gets BADCOOKIE; who sends none is
    /// answered, as BIND's `require-server-cookie` does.
    Required(cookie::Secret),
}

impl Default for Server {
    fn default() -> Self {
        Self {
            name: Box::from(*b"twodoors"),
            cookies: Cookies::Off,
            version: None,
        }
    }
}

impl Cookies {
    /// Gives the secret, when there are cookies.
    pub const fn secret(&self) -> Option<&cookie::Secret> {
        match self {
            Self::Off => None,
            Self::Offered(secret) | Self::Required(secret) => Some(secret),
        }
    }
}

/// Gives what a question of class CH is told of the server (RFC 4892): its name, as NSID says it, and
/// its version if that is no secret. `None` when such a question is refused.
pub(super) fn chaos<'r>(server: &'r Server, question: &Question) -> Option<&'r [u8]> {
    let wanted = matches!(question.record_type, RecordType::TXT | RecordType::ANY);
    if question.class != DNSClass::CH || !wanted {
        return None;
    }
    let text = match question.name.to_ascii().to_ascii_lowercase().as_str() {
        "hostname.bind." | "id.server." => &server.name,
        "version.bind." | "version.server." => server.version.as_ref()?,
        _ => return None,
    };
    let text = &text[..text.len().min(SERVER_NAME_MAX)];
    (!text.is_empty()).then_some(text)
}

/// Makes what the answer says before anything is decided.
pub(super) fn own<'r>(rules: &'r Rules, question: &Question, edns: Edns) -> OwnEdns<'r> {
    let listed = rules.selector.takes_subnet(question.source.ip());
    let proper = edns.subnet.filter(|subnet| subnet.is_proper() && listed);
    let server = &rules.server;
    let name = &server.name[..server.name.len().min(SERVER_NAME_MAX)];
    let known = edns.version == 0;
    let secret = server.cookies.secret().filter(|_| known);
    let cookie = secret.zip(edns.cookie).map(|(secret, given)| {
        let (_, full) = given.check(secret, question.source.ip());
        full
    });
    OwnEdns {
        payload: PAYLOAD_MAX,
        dnssec_ok: edns.dnssec_ok,
        // What is refused before a view is asked is true for just the bits that were given.
        subnet: proper.map(|subnet| Subnet {
            scope: subnet.source,
            ..subnet
        }),
        nsid: (known && edns.nsid && !name.is_empty()).then_some(name),
        keepalive: (known && edns.keepalive).then_some(IDLE_TENTHS),
        cookie,
        error: None,
        errors_more: &[],
    }
}

/// Gives the extended error of an answer (RFC 8914 section 4).
pub(super) const fn error(step: &Step<'_>) -> Option<u16> {
    match step {
        Step::NoView | Step::NotForwarded | Step::Withheld | Step::Transfer => Some(PROHIBITED),
        Step::NoZone => Some(NOT_AUTHORITATIVE),
        Step::Class | Step::Opcode | Step::Type => Some(NOT_SUPPORTED),
        Step::ChainTooLong | Step::Failed | Step::Loop => Some(OTHER),
        Step::BadCookie
        | Step::BadSubnet
        | Step::BadVersion
        | Step::Chaos
        | Step::CookieOnly
        | Step::Delegation(_)
        | Step::Dropped
        | Step::Exact
        | Step::Forwarded
        | Step::MalformedCookie
        | Step::NotOneQuestion
        | Step::NoName
        | Step::NoType
        | Step::NoTypeWildcard(_)
        | Step::Outside
        | Step::Redirected(_)
        | Step::TooLong(_)
        | Step::Wildcard(_) => None,
    }
}

/// Codes of extended errors (RFC 8914 section 4).
const OTHER: u16 = 0;
const STALE: u16 = 3;
const PROHIBITED: u16 = 18;
const NOT_AUTHORITATIVE: u16 = 20;
const NOT_SUPPORTED: u16 = 21;

impl Answer<'_> {
    /// Gives the code of the extended error, whether or not the question had EDNS.
    pub fn error(&self) -> Option<u16> {
        let stale = |note: &Note<'_>| matches!(note, Note::Stale(_));
        let own = error(&self.reason.step);
        let acting = &self.reason.faults;
        own.or_else(|| acting.iter().any(|one| stale(&one.note)).then_some(STALE))
    }

    /// Writes the words of the extended error: the view, and why.
    pub fn error_text(&self) -> String {
        let mut text = match self.view {
            Some(view) => format!("view {}: {}", view.name, self.reason),
            None => self.reason.to_string(),
        };
        if text.len() > ERROR_TEXT_MAX {
            let end = (0..=ERROR_TEXT_MAX)
                .rev()
                .find(|end| text.is_char_boundary(*end));
            text.truncate(end.unwrap_or(0));
        }
        text
    }

    /// Says the extended error by EDNS, if the question had that.
    pub(super) fn with_error(mut self) -> Self {
        let error = self.error();
        if let Some(edns) = &mut self.edns {
            edns.error = error;
        }
        self
    }
}
