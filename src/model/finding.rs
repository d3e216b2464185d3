//! What an operator should know before it happens: one trap that a configuration walks into.
//!
//! Made by `policy/findings`; shown by `check`, `explain dial`, the page and the log.

use std::fmt;

use super::id::Name;
use super::places;

/// How much a finding matters, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It does not work.
    Error,
    /// It works otherwise than it reads, or not always.
    Warning,
    /// It works, and one should know how.
    Notice,
}

/// What a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// An agent, or several that are alike: the first of them.
    Agent(Name),
    /// A balancer.
    Door(Name),
    /// The pool as a whole.
    Pool,
    /// The scenario.
    Scenario,
    /// A user, or several that are alike: the first of them.
    User(Name),
}

/// A key in one of the user's files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Whose file.
    pub of: places::Subject,
    /// The path in it: `proxy_service.public_addr[1]`; one that is not written stands for where it
    /// would be.
    pub path: String,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its identifier: `public-addr-unused`.
    pub id: &'static str,
    /// How much it matters; the same for all of this identifier.
    pub severity: Severity,
    /// What it is about.
    pub subject: Subject,
    /// The key that brings it about, where one does.
    pub key: Option<Key>,
    /// What will happen, with the names of this case.
    pub what: String,
    /// What would be right.
    pub cure: String,
}

impl Severity {
    /// Gives the one word that faces show.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent(name) => write!(f, "agent/{name}"),
            Self::Door(name) => write!(f, "balancer/{name}"),
            Self::Pool => f.write_str("pool"),
            Self::Scenario => f.write_str("scenario"),
            Self::User(name) => write!(f, "user/{name}"),
        }
    }
}

/// `warning public-addr-unused: what will happen; what would be right`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            id,
            severity,
            what,
            cure,
            ..
        } = self;
        write!(f, "{severity} {id}: {what}; {cure}")
    }
}
