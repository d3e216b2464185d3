//! Why an answer is what it is: values while deciding, words where they are shown.

use std::fmt;

use hickory_proto::op::ResponseCode;

use crate::model::fault::Fault;
use crate::model::id::{self, FaultId, Generation};
use crate::model::topology::Miss;
use crate::policy::name::Name;
use crate::policy::partition::Scope;
use crate::policy::zone::Node;

/// Why an answer is what it is.
#[derive(Clone, Debug)]
pub struct Reason<'r> {
    /// The faults that act on it, oldest first; it costs nothing while there are none.
    pub faults: Vec<Acting<'r>>,
    /// How many CNAMEs were followed.
    pub aliases: usize,
    /// The deepest name that exists above one that does not (RFC 4592 section 3.3.1).
    pub closest: Option<Node<'r>>,
    /// What a zone that does not have the name leaves to other views; the last one counts.
    pub missed: Option<Missed<'r>>,
    /// How far the answer to a client subnet is true, where the views were compared for that.
    pub scope: Option<Scope>,
    /// What the last name came to.
    pub step: Step<'r>,
}

/// A name that a view's zone does not have, where that is not the end.
#[derive(Clone, Copy, Debug)]
pub struct Missed<'r> {
    /// The view.
    pub view: &'r id::Name,
    /// The apex of the zone.
    pub zone: &'r Name,
    /// What the zone leaves it to.
    pub miss: Miss,
    /// The next view that lets the client in and holds the name, if there is one.
    pub next: Option<&'r id::Name>,
}

/// A fault that acts on an answer.
#[derive(Clone, Copy, Debug)]
pub struct Acting<'r> {
    /// Its number.
    pub id: FaultId,
    /// What it is.
    pub fault: &'r Fault,
    /// What came of it, where the fault's own words do not say it.
    pub note: Note<'r>,
}

/// What came of a fault.
#[derive(Clone, Copy, Debug)]
pub enum Note<'r> {
    /// Another view answers.
    Flipped {
        /// The client's own.
        from: &'r id::Name,
        /// The one that answers.
        to: &'r id::Name,
    },
    /// The view to answer from is not there; the client's own answers.
    NoView,
    /// There is no generation before this one; this one answers.
    NotStale,
    /// What it says.
    Plain,
    /// This generation answers.
    Stale(Generation),
}

/// What a name came to.
#[derive(Clone, Copy, Debug)]
pub enum Step<'r> {
    /// A cookie is wanted, and this one is not ours (RFC 7873 section 5.2.3).
    BadCookie,
    /// The client-subnet option is not proper (RFC 7871 section 7.1.2).
    BadSubnet,
    /// The version of EDNS is not known (RFC 6891 section 6.1.3).
    BadVersion,
    /// A chain of CNAMEs is longer than [`CHAIN_MAX`](super::CHAIN_MAX).
    ChainTooLong,
    /// The server says of itself what class CH asks (RFC 4892).
    Chaos,
    /// The class is not IN.
    Class,
    /// There is no question, and a cookie was all that was wanted (RFC 7873 section 5.4).
    CookieOnly,
    /// The name is at or below this cut.
    Delegation(Node<'r>),
    /// A fault took the answer away.
    Dropped,
    /// The name and the type exist.
    Exact,
    /// A fault made the answer SERVFAIL.
    Failed,
    /// A chain of CNAMEs leads back into itself.
    Loop,
    /// No cookie has this length (RFC 7873 section 5.2.2).
    MalformedCookie,
    /// The message does not hold exactly one question.
    NotOneQuestion,
    /// The name does not exist.
    NoName,
    /// The name exists without this type.
    NoType,
    /// The name is covered by this wildcard, which has no such type.
    NoTypeWildcard(Node<'r>),
    /// No view lets the source in.
    NoView,
    /// No zone of the view holds the name, and the view's other servers are asked.
    Forwarded,
    /// No zone of the view holds the name, and this client may not have others asked.
    NotForwarded,
    /// No zone of the view holds the name.
    NoZone,
    /// The operation is not served.
    Opcode,
    /// An alias leads to a name outside the zone that was asked first; the asker goes on there.
    Outside,
    /// The CNAME that the DNAME of this name makes is what was asked for.
    Redirected(Node<'r>),
    /// The DNAME of this name would make the name too long.
    TooLong(Node<'r>),
    /// Zone transfers are not served.
    Transfer,
    /// The type exists in messages only, or is not served.
    Type,
    /// The name is covered by this wildcard.
    Wildcard(Node<'r>),
    /// The zone does not have the name and refuses such names.
    Withheld,
}

/// Gives the mnemonic of a response code (RFC 6895 section 2.3).
pub const fn rcode_word(rcode: ResponseCode) -> &'static str {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the server gives no other code"
    )]
    match rcode {
        ResponseCode::NoError => "NOERROR",
        ResponseCode::FormErr => "FORMERR",
        ResponseCode::ServFail => "SERVFAIL",
        ResponseCode::NXDomain => "NXDOMAIN",
        ResponseCode::YXDomain => "YXDOMAIN",
        ResponseCode::NotImp => "NOTIMP",
        ResponseCode::Refused => "REFUSED",
        ResponseCode::NotAuth => "NOTAUTH",
        ResponseCode::BADCOOKIE => "BADCOOKIE",
        ResponseCode::BADVERS => "BADVERS",
        _ => "OTHER",
    }
}

/// `exact match`, `CNAME 2, wildcard *.example.com.`, `fault 3: latency 50.0ms on dns, exact match`.
impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, acting) in self.faults.iter().enumerate() {
            let gap = if place > 0 { ", " } else { "" };
            write!(f, "{gap}{acting}")?;
        }
        if matches!(self.step, Step::Dropped | Step::Failed) {
            return Ok(());
        }
        if !self.faults.is_empty() {
            f.write_str(", ")?;
        }
        if let Some(missed) = &self.missed {
            write!(f, "{missed}, ")?;
        }
        if self.aliases > 0 {
            write!(f, "CNAME {}, ", self.aliases)?;
        }
        self.step.fmt(f)
    }
}

/// `fault 3: view_flip to public on view/private (public answers for private)`.
impl fmt::Display for Acting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fault {}: {}", self.id, self.fault)?;
        match self.note {
            Note::Flipped { from, to } => write!(f, " ({to} answers for {from})"),
            Note::NoView => f.write_str(" (there is no such view)"),
            Note::NotStale => f.write_str(" (there is no generation before this one)"),
            Note::Plain => Ok(()),
            Note::Stale(generation) => write!(f, " (generation {generation} answers)"),
        }
    }
}

/// `not in example.com. of private, public asked`.
impl fmt::Display for Missed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not in {} of {}", self.zone, self.view)?;
        match self.next {
            Some(next) => write!(f, ", {next} asked"),
            None if self.miss == Miss::Public => f.write_str(", no further view has the zone"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Delegation(cut) => return write!(f, "delegation at {}", cut.name()),
            Self::TooLong(node) => {
                return write!(f, "DNAME at {} makes the name too long", node.name());
            }
            Self::Redirected(node) => return write!(f, "redirected by DNAME at {}", node.name()),
            Self::Wildcard(node) => return write!(f, "wildcard {}", node.name()),
            Self::NoTypeWildcard(node) => {
                return write!(f, "no such type at wildcard {}", node.name());
            }
            Self::BadCookie => "cookie not ours",
            Self::BadSubnet => "client subnet not proper",
            Self::BadVersion => "EDNS version not known",
            Self::ChainTooLong => "chain too long",
            Self::Chaos => "the server's own name or version",
            Self::Class => "class not served",
            Self::CookieOnly => "cookie given",
            Self::Dropped => "not answered",
            Self::Exact => "exact match",
            Self::Failed => "failed on purpose",
            Self::Loop => "back at a name already asked",
            Self::MalformedCookie => "cookie of no known length",
            Self::NotOneQuestion => "not exactly one question",
            Self::NoName => "no such name",
            Self::NoType => "no such type",
            Self::NoView => "no view lets the source in",
            Self::Forwarded => "no zone of the view holds the name: passed on",
            Self::NotForwarded => {
                "no zone of the view holds the name, and this client's are not passed on"
            }
            Self::NoZone => "no zone of the view holds the name",
            Self::Opcode => "operation not served",
            Self::Outside => "leads outside the zone",
            Self::Transfer => "zone transfers not served",
            Self::Type => "type not served",
            Self::Withheld => "names that the zone does not have are refused",
        })
    }
}

impl Step<'_> {
    /// Names the rule that this step follows, for whoever wants to read it.
    pub const fn rfc(&self) -> &'static str {
        match self {
            Self::BadCookie | Self::MalformedCookie => "RFC 7873 section 5.2",
            Self::CookieOnly => "RFC 7873 section 5.4",
            Self::BadSubnet => "RFC 7871 section 7.1.2",
            Self::BadVersion => "RFC 6891 section 6.1.3",
            Self::Chaos => "RFC 4892",
            Self::ChainTooLong | Self::Loop | Self::Outside => "RFC 1034 section 3.6.2",
            Self::Class
            | Self::Dropped
            | Self::Failed
            | Self::NoView
            | Self::NotForwarded
            | Self::NoZone
            | Self::Opcode
            | Self::Transfer
            | Self::Type
            | Self::Withheld => "RFC 1035 section 4.1.1",
            Self::Forwarded => "RFC 1034 section 4.3.2 step 4",
            Self::Delegation(_) => "RFC 1034 section 4.3.2 step 3b",
            Self::Exact => "RFC 1034 section 4.3.2 step 3a",
            Self::NotOneQuestion => "RFC 9619",
            Self::NoName => "RFC 2308 section 2.1, RFC 8020",
            Self::NoType => "RFC 2308 section 2.2",
            Self::NoTypeWildcard(_) | Self::Wildcard(_) => "RFC 4592 section 3.3",
            Self::Redirected(_) => "RFC 6672 section 3.1",
            Self::TooLong(_) => "RFC 6672 section 2.2",
        }
    }
}
