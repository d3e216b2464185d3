//! What a run came to: for a person, for a program, for a CI server.
//!
//! In go verdicts, digest and figures of one run ([`Report`]) or of the same scenario with several
//! seeds ([`Series`]); out come a table that fits one screen, JSON with a versioned schema, JUnit
//! XML, the exit code, and a last line that says how to repeat the run. Nothing is judged here.

mod interval;
mod json;
mod junit;
mod series;
mod story;
mod table;

use std::borrow::Cow;
use std::path::PathBuf;

use crate::judge::{Outcome, Verdict, overall};
use crate::model::draw::Seed;
use crate::model::id::Name;
use crate::model::time::Span;

pub use self::interval::Interval;
pub use self::json::{SCHEMA, SCHEMA_SEEDS};
pub use self::junit::junit;
pub use self::series::{Series, Told};
pub use self::story::{EVENTS_MAX, Event, Noted, Story};

/// Exit code: every expectation was met.
pub const MET: u8 = 0;
/// Exit code: an expectation failed.
pub const FAILED: u8 = 1;
/// Exit code: nothing failed, and not everything could be judged.
pub const INCONCLUSIVE: u8 = 4;
/// Exit code: somebody ended the run.
pub const INTERRUPTED: u8 = 130;

/// On which clock a scenario was played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// On sockets, `twodoors run`.
    Live,
    /// In virtual time, `twodoors sim`.
    Virtual,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// An expectation with `abort` failed; its index.
    Aborted(usize),
    /// Somebody ended it.
    Interrupted,
    /// It lasted as long as it should.
    Played,
}

/// Figures of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// How long it lasted on its own clock, live or virtual.
    pub lasted: Span,
    /// How long one had to wait for it.
    pub wall: Span,
    /// How many facts were made.
    pub facts: u64,
    /// How many events the simulation handled, by kind, in the order of their names; empty live.
    pub events: Vec<(&'static str, u64)>,
    /// What an agent takes in memory, in the simulation.
    pub bytes_per_agent: Option<u64>,
}

/// One run.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The scenario as it was named on the command line.
    pub path: PathBuf,
    /// The scenario's own name.
    pub name: Name,
    /// The seed of every draw.
    pub seed: Seed,
    /// On which clock.
    pub mode: Mode,
    /// How it ended.
    pub ending: Ending,
    /// What the expectations came to, in the order of the file.
    pub verdicts: Vec<Verdict>,
    /// The digest of the facts; live runs have one that says little, and leave it out.
    pub digest: Option<u128>,
    /// The figures.
    pub summary: Summary,
    /// What was done to the lab, and what an operator should know of it.
    pub story: Story,
}

impl Mode {
    /// Gives the word that faces show.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Virtual => "virtual",
        }
    }

    /// Gives the verb that plays a scenario so.
    pub const fn verb(self) -> &'static str {
        match self {
            Self::Live => "run",
            Self::Virtual => "sim",
        }
    }
}

impl Report {
    /// Gives the word for the whole run.
    pub fn outcome(&self) -> Outcome {
        overall(&self.verdicts)
    }

    /// Gives the exit code.
    pub fn exit_code(&self) -> u8 {
        match self.ending {
            Ending::Interrupted => INTERRUPTED,
            Ending::Aborted(_) | Ending::Played => code(self.outcome()),
        }
    }

    /// Gives the command that plays it again with the same seed.
    pub fn repeat(&self) -> String {
        let path = self.path.to_string_lossy();
        format!(
            "twodoors {} {} --seed {}",
            self.mode.verb(),
            quoted(&path),
            self.seed.0
        )
    }

    /// Gives the last line: the exit code, why, and how to repeat the run unless all is well.
    pub fn last_line(&self) -> String {
        let code = self.exit_code();
        let counts = Counts::of(&self.verdicts);
        let what = match self.ending {
            Ending::Interrupted => format!("interrupted; until then {}", counts.text()),
            Ending::Aborted(_) | Ending::Played => counts.text(),
        };
        if code == MET {
            format!("exit {code}: {what}")
        } else {
            format!("exit {code}: {what}; repeat: {}", self.repeat())
        }
    }

    /// Gives the digest as it is shown.
    pub fn digest_text(&self) -> Option<String> {
        self.digest.map(|digest| format!("{digest:032x}"))
    }
}

/// Gives the exit code of several reports: one that failed fails all, one that is open leaves all
/// open. None at all judged nothing.
pub fn exit_code(codes: impl IntoIterator<Item = u8>) -> u8 {
    let gravity = |code: &u8| match *code {
        MET => 0,
        INCONCLUSIVE => 1,
        FAILED => 2,
        _ => 3,
    };
    codes
        .into_iter()
        .max_by_key(gravity)
        .unwrap_or(INCONCLUSIVE)
}

const fn code(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Met => MET,
        Outcome::Inconclusive => INCONCLUSIVE,
        Outcome::Failed => FAILED,
    }
}

/// How many expectations came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    all: usize,
    failed: usize,
    inconclusive: usize,
}

impl Counts {
    fn of(verdicts: &[Verdict]) -> Self {
        let count = |outcome| {
            let those = verdicts.iter().filter(|verdict| verdict.outcome == outcome);
            those.count()
        };
        Self {
            all: verdicts.len(),
            failed: count(Outcome::Failed),
            inconclusive: count(Outcome::Inconclusive),
        }
    }

    fn text(self) -> String {
        let Self {
            all,
            failed,
            inconclusive,
        } = self;
        let of = if all == 1 {
            String::from("1 expectation")
        } else {
            format!("{all} expectations")
        };
        match (failed, inconclusive) {
            _ if all == 0 => String::from("the scenario expects nothing"),
            (0, 0) if all == 1 => String::from("the expectation is met"),
            (0, 0) => format!("all {of} met"),
            (0, open) => format!("{open} of {of} inconclusive"),
            (failed, 0) => format!("{failed} of {of} failed"),
            (failed, open) => format!("{failed} of {of} failed, {open} inconclusive"),
        }
    }
}

/// Writes an argument so that a shell reads it as one.
fn quoted(argument: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:@%,".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        Cow::Borrowed(argument)
    } else {
        Cow::Owned(format!("'{}'", argument.replace('\'', "'\\''")))
    }
}
