//! From a question to an answer: the only way, for every listener, `explain` and the proof.
//!
//! In go the rules in force, faults included, and a question; out comes an answer: response code,
//! flags, sections with the file and line of every record, and the reason. Here is what is refused,
//! and which view answers; how a name is followed through its zones is in `answer/follow`. What fits
//! into a datagram is the writer's affair.

mod beside;
mod change;
mod diff;
mod edns;
mod faulty;
mod follow;
mod homes;
mod hosts;
mod kept;
mod left;
mod reason;
mod rules;
mod scope;
mod section;
#[cfg(test)]
mod tests;
mod tried;

use hickory_proto::op::{OpCode, ResponseCode};
use hickory_proto::rr::{DNSClass, RecordType};

use crate::model::addr::{ClientAddr, ListenAddr};
use crate::model::draw::Seed;
use crate::model::id::Generation;
use crate::model::time::Span;

use self::left::Asker;
use super::cookie::Worth;
use super::name::{Key, Name};
use super::view::{Selected, Selector};
use super::zone::Zone;

pub use self::diff::{CHANGES_MAX, Change, Contents, Difference, Fate, Group, Reach, Words, diff};
pub use self::edns::{
    Cookies, ERROR_TEXT_MAX, Edns, IDLE_TENTHS, OwnEdns, SERVER_NAME_MAX, Server,
};
pub use self::kept::{Kept, kept, scope_words};
pub use self::reason::{Acting, Missed, Note, Reason, Step, rcode_word};
pub use self::rules::{Rules, View};
pub use self::section::{Rrset, Section, Shown, records};
pub use self::tried::{RuleTried, tried};

/// How many CNAMEs one answer follows, as BIND's `max-query-restarts`.
pub const CHAIN_MAX: usize = 11;

/// The largest datagram that is sent, and what the server says it takes (DNS flag day 2020).
pub const PAYLOAD_MAX: u16 = 1232;

/// A question, as any carrier brings it.
#[derive(Clone, Debug)]
pub struct Question {
    /// Who asks.
    pub source: ClientAddr,
    /// Where the question came in.
    pub destination: ListenAddr,
    /// How it came in.
    pub transport: Transport,
    /// What is wanted of the server.
    pub opcode: OpCode,
    /// How many questions the message holds; more or fewer than one is a format error.
    pub count: usize,
    /// The name, absolute, as it was written.
    pub name: Name,
    /// The type.
    pub record_type: RecordType,
    /// The class.
    pub class: DNSClass,
    /// Whether the server may ask others (RD).
    pub recursion_desired: bool,
    /// EDNS, when the message has it (RFC 6891).
    pub edns: Option<Edns>,
}

/// How a question came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// A stream (RFC 7766).
    Tcp,
    /// A datagram.
    Udp,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer<'r> {
    /// Whether a fault took it away: nothing is sent, by no carrier.
    pub dropped: bool,
    /// It is sent so much later.
    pub latency: Span,
    /// And up to so much later, see [`Answer::delay`].
    pub jitter: Span,
    /// Which generation answers.
    pub generation: Generation,
    /// The views that were looked through, of that generation.
    pub views: &'r [View],
    /// What chose among them.
    pub selector: &'r Selector,
    /// The response code.
    pub rcode: ResponseCode,
    /// Whether the server speaks for the name (AA).
    pub authoritative: bool,
    /// Whether the view has other servers asked for this client (RA); so BIND, on every answer.
    pub recursion_available: bool,
    /// What the server says of itself in class CH, the only record then (RFC 4892).
    pub chaos: Option<&'r [u8]>,
    /// The records asked for, aliases first.
    pub answer: Section<'r>,
    /// The SOA of a negative answer, or the name servers of a delegation.
    pub authority: Section<'r>,
    /// Addresses of the name servers of a delegation (RFC 9471).
    pub additional: Section<'r>,
    /// EDNS of the answer, when the question had it.
    pub edns: Option<OwnEdns<'r>>,
    /// The address that chose the view, and the choice; `None` when it was not asked.
    pub selected: Option<Selected>,
    /// The view.
    pub view: Option<&'r View>,
    /// The zone that was asked, if any.
    pub zone: Option<&'r Zone>,
    /// Why.
    pub reason: Reason<'r>,
}

/// Decides the answer to a question.
pub fn decide<'r>(rules: &'r Rules, question: &Question) -> Answer<'r> {
    let mut answer = Answer::empty(rules);
    answer.edns = question.edns.map(|edns| edns::own(rules, question, edns));
    let refusal = unserved(question).or_else(|| without_cookie(rules, question));
    if refusal.is_none() {
        answer.choose(&rules.selector, question);
    }
    let ended = !rules.faults.is_empty() && faulty::apply(&mut answer, rules, question);
    if ended && (answer.dropped || refusal.is_none()) {
        return answer.with_error();
    }
    if let Some((_, Step::Class)) = refusal
        && without_cookie(rules, question).is_none()
        && let Some(text) = edns::chaos(&rules.server, question)
    {
        answer.chaos = Some(text);
        answer.authoritative = true;
        answer.reason.step = Step::Chaos;
        return answer.with_error();
    }
    if let Some((rcode, step)) = refusal {
        return answer.refused(rcode, step).with_error();
    }
    let Some(view) = answer.view else {
        answer.reason.step = Step::NoView;
        scope::narrow(&mut answer, rules, question);
        return answer
            .refused(ResponseCode::Refused, Step::NoView)
            .with_error();
    };
    if matches!(question.record_type, RecordType::AXFR | RecordType::IXFR) {
        let rcode = match view.zone_at(&Key::new(&question.name)) {
            Some(_) => ResponseCode::Refused,
            None => ResponseCode::NotAuth,
        };
        return answer.refused(rcode, Step::Transfer).with_error();
    }
    let asker = answer.selected.map(|selected| Asker {
        source: selected.source.address(),
        destination: question.destination.0.ip(),
    });
    answer.follow(view, asker, &question.name, question.record_type);
    if matches!(answer.reason.step, Step::NoZone) {
        answer.pass_on(view, question);
    }
    scope::narrow(&mut answer, rules, question);
    answer.with_error()
}

/// Refuses what needs no view; `None` when the question can be asked of one.
pub fn unserved(question: &Question) -> Option<(ResponseCode, Step<'static>)> {
    let edns = question.edns;
    if edns.is_some_and(|edns| edns.version > 0) {
        return Some((ResponseCode::BADVERS, Step::BadVersion));
    }
    if edns.is_some_and(|edns| {
        edns.subnet_broken || edns.subnet.is_some_and(|subnet| !subnet.is_proper())
    }) {
        return Some((ResponseCode::FormErr, Step::BadSubnet));
    }
    if question.opcode != OpCode::Query {
        return Some((ResponseCode::NotImp, Step::Opcode));
    }
    if question.count == 0 && edns.is_some_and(|edns| edns.cookie.is_some()) {
        // Whether there are cookies here is looked at later.
        return None;
    }
    if question.count != 1 {
        return Some((ResponseCode::FormErr, Step::NotOneQuestion));
    }
    if question.class != DNSClass::IN {
        return Some((ResponseCode::Refused, Step::Class));
    }
    match u16::from(question.record_type) {
        // MAILB and MAILA (RFC 1035 section 3.2.3) are obsolete; so BIND.
        253 | 254 => Some((ResponseCode::NotImp, Step::Type)),
        // OPT and the meta types (RFC 6895 section 3.1) are no types to ask for; so BIND.
        41 | 128..=250 => Some((ResponseCode::FormErr, Step::Type)),
        _ => None,
    }
}

/// Ends what a cookie ends (RFC 7873 section 5.2).
fn without_cookie(rules: &Rules, question: &Question) -> Option<(ResponseCode, Step<'static>)> {
    let edns = question.edns?;
    let cookies = &rules.server.cookies;
    let Some(secret) = cookies.secret() else {
        // The option is not known here.
        return (question.count != 1).then_some((ResponseCode::FormErr, Step::NotOneQuestion));
    };
    if edns.cookie_broken {
        return Some((ResponseCode::FormErr, Step::MalformedCookie));
    }
    let (worth, _) = edns.cookie?.check(secret, question.source.ip());
    let required = matches!(cookies, Cookies::Required(_));
    if required && worth != Worth::Good && question.transport == Transport::Udp {
        return Some((ResponseCode::BADCOOKIE, Step::BadCookie));
    }
    // RFC 7873 section 5.4.
    (question.count == 0).then_some((ResponseCode::NoError, Step::CookieOnly))
}

impl<'r> Answer<'r> {
    /// Makes an answer that nothing was decided about.
    fn empty(rules: &'r Rules) -> Self {
        Self {
            dropped: false,
            latency: Span::ZERO,
            jitter: Span::ZERO,
            generation: rules.generation,
            views: rules.views.as_slice(),
            selector: &rules.selector,
            rcode: ResponseCode::NoError,
            authoritative: false,
            recursion_available: false,
            chaos: None,
            answer: Section::default(),
            authority: Section::default(),
            additional: Section::default(),
            edns: None,
            selected: None,
            view: None,
            zone: None,
            reason: Reason {
                faults: Vec::new(),
                aliases: 0,
                closest: None,
                missed: None,
                scope: None,
                step: Step::NoView,
            },
        }
    }

    const fn refused(mut self, rcode: ResponseCode, step: Step<'r>) -> Self {
        self.rcode = rcode;
        self.reason.step = step;
        self
    }

    /// Chooses the view among those of the generation that answers.
    fn choose(&mut self, selector: &Selector, question: &Question) {
        let subnet = question.edns.and_then(|edns| edns.subnet);
        let source = selector.source(question.source.ip(), None, subnet);
        let selected = selector.select(source, question.destination.0.ip());
        self.selected = Some(selected);
        self.view = selected.matched.map(|(view, _)| &self.views[view]);
        self.recursion_available = self
            .view
            .is_some_and(|view| view.asks_for(question.source.ip()));
    }

    /// Leaves a name that no zone of the view holds to other servers, if the view has some and the
    /// client may ask them. The address of an option moves nobody: it could be anybody's.
    fn pass_on(&mut self, view: &'r View, question: &Question) {
        if view.forward.is_none() || !question.recursion_desired {
            return;
        }
        if view.asks_for(question.source.ip()) {
            self.rcode = ResponseCode::NoError;
            self.reason.step = Step::Forwarded;
        } else {
            self.reason.step = Step::NotForwarded;
        }
    }

    /// Tells whether the answer is that others are to be asked, whose addresses go with it.
    pub const fn is_referral(&self) -> bool {
        matches!(self.reason.step, Step::Delegation(_))
    }

    /// Tells whether other servers are to be asked; the sections are empty then.
    pub const fn is_forwarded(&self) -> bool {
        matches!(self.reason.step, Step::Forwarded)
    }

    /// Gives the element that let the source in; it is of the client's own view, also when a fault
    /// makes another view answer.
    pub fn rule(&self) -> Option<&'r crate::model::id::Name> {
        let (view, element) = self.selected?.matched?;
        let view = self.views.get(view).filter(|_| self.view.is_some())?;
        Some(&view.match_clients.get(element)?.text)
    }

    /// Gives the word for how it ended: the mnemonic of the response code, or `dropped`.
    pub const fn code(&self) -> &'static str {
        if self.dropped {
            "dropped"
        } else if self.is_forwarded() {
            "forwarded"
        } else {
            rcode_word(self.rcode)
        }
    }

    /// Draws how much later the server sends its `n`-th answer.
    pub fn delay(&self, seed: Seed, n: u64) -> Span {
        self.latency + seed.span("dns", "jitter", n, Span::ZERO, self.jitter)
    }

    /// Gives the records of the answer section, one by one.
    pub fn records(&self) -> impl DoubleEndedIterator<Item = Shown<'_>> {
        records(&self.answer)
    }

    /// Tells whether it has words that name the view (RFC 8914 section 2).
    pub fn names_its_view(&self) -> bool {
        self.view.is_some() && self.edns.as_ref().is_some_and(|edns| edns.error.is_some())
    }

    /// Tells whether everybody whom the same view lets in gets this answer to this question, however
    /// they write its letters.
    pub fn is_for_its_class(&self) -> bool {
        // What a DNAME makes shows the case of the question.
        let made = self.answer.iter().any(Rrset::is_made);
        // Which view a missing name is left to depends on who else lets the client in, and whose
        // names are passed on has a list of its own.
        let forwards = self.view.is_some_and(|view| view.forward.is_some());
        let outside = matches!(
            self.reason.step,
            Step::Forwarded | Step::NotForwarded | Step::NoZone
        );
        !made && self.reason.missed.is_none() && !(forwards && outside)
    }
}

impl Transport {
    /// Gives the one word that faces show.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}
