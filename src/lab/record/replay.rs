//! Replays a recording into fresh machines and compares what they say.
//!
//! In goes a recording; out come the numbers of calls that agreed, or the first difference with its
//! line. A recording that is not whole is refused: a gap would look like a difference.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead, Read};
use std::path::Path;

use thiserror::Error;

use super::line::{CallLine, Header, Line, SCHEMA};
use crate::model::fact::{Fact, Kind};
use crate::model::id::{Node, Seq};
use crate::model::mistake::{Files, Mistake};
use crate::model::time::Time;
use crate::model::topology::Topology;
use crate::policy::{
    AnyInput, Context, Machine, Outbox, agent, balancer, machines, proxy, resolver, user,
};
use crate::scenario;

/// How long a line may be in bytes: the first holds every file of the scenario, and a zone file may
/// have 64 MiB.
const LINE_BYTES_MAX: u64 = 256 << 20;

/// A recording that agreed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// How many calls agreed, by kind of machine: `agent`, `balancer`, `proxy`,
    /// `resolver`, `user`.
    pub calls: BTreeMap<&'static str, u64>,
    /// How many facts agreed.
    pub facts: u64,
}

/// Why a recording did not agree, or was not looked at to its end.
#[derive(Debug, Error)]
pub enum Difference {
    /// A machine said something else than in the recording.
    #[error(transparent)]
    Call(Box<Differs>),
    /// Calls are missing, so that nothing can be said about the rest.
    #[error("line {line}: the recording is incomplete: {why}")]
    Incomplete {
        /// From 1.
        line: u64,
        /// In words.
        why: String,
    },
    /// It is no recording, or a damaged one.
    #[error("line {line}: this is no line of a recording: {why}")]
    Malformed {
        /// From 1.
        line: u64,
        /// In words.
        why: String,
    },
    /// It could not be read.
    #[error("the recording cannot be read: {0}")]
    Read(#[from] io::Error),
    /// The scenario in it has mistakes; the first is shown.
    #[error("line 1: the scenario of the recording is wrong: {}", .0.first().map_or_else(String::new, ToString::to_string))]
    Scenario(Vec<Mistake>),
}

/// One output or fact that differs.
#[derive(Debug)]
pub struct Differs {
    /// The line of the call, from 1.
    pub line: u64,
    /// The machine.
    pub node: Node,
    /// The instant of the call.
    pub at: Time,
    /// `outputs` or `facts`.
    pub what: &'static str,
    /// Its place among them, from 0.
    pub place: usize,
    /// What the recording holds; `None` when it holds no more.
    pub expected: Option<String>,
    /// What the fresh machine said; `None` when it said no more.
    pub got: Option<String>,
}

impl std::error::Error for Differs {}

impl fmt::Display for Differs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line,
            node,
            at,
            what,
            place,
            expected,
            got,
        } = self;
        let nothing = "nothing";
        write!(
            f,
            "line {line}: {node} at {at}: {what}[{place}]: expected {}, got {}",
            expected.as_deref().unwrap_or(nothing),
            got.as_deref().unwrap_or(nothing),
        )
    }
}

/// Feeds every call of a recording to fresh machines, in its order and at its instants.
pub fn replay(recording: impl BufRead) -> Result<Replayed, Difference> {
    seen(recording, &mut drop)
}

/// Gives the facts of a recording, as fresh machines make them again; they are not numbered.
pub fn facts(recording: impl BufRead) -> Result<Vec<Fact>, Difference> {
    let mut facts = Vec::new();
    seen(recording, &mut |fact| facts.push(fact))?;
    Ok(facts)
}

fn seen(recording: impl BufRead, see: &mut dyn FnMut(Fact)) -> Result<Replayed, Difference> {
    let mut lines = Lines::new(recording);
    let topology = header(&mut lines)?;
    let mut nodes = nodes(&topology);
    let mut replayed = Replayed::default();
    let mut calls = 0;
    loop {
        let text = lines.next()?;
        let Some(text) = text else {
            return Err(lines.incomplete("it ends without its last line"));
        };
        let line = Line::read(text).map_err(|why| lines.malformed(why))?;
        match line {
            Line::Lost(lost) => {
                let why = format!("{lost} calls were lost here, the disk was too slow");
                return Err(lines.incomplete(why));
            }
            Line::End(total) if total.calls != calls => {
                let why = format!("it holds {calls} calls of {}", total.calls);
                return Err(lines.incomplete(why));
            }
            Line::End(_) => break,
            Line::Call(call) => {
                let (kind, facts) = one(&topology, &mut nodes, *call, (&lines, see))?;
                calls += 1;
                *replayed.calls.entry(kind).or_default() += 1;
                replayed.facts += facts;
            }
        }
    }
    match lines.next()? {
        None => Ok(replayed),
        Some(_) => Err(lines.malformed("nothing follows the last line")),
    }
}

/// Loads the scenario that the first line holds.
pub(super) fn header(lines: &mut Lines<impl BufRead>) -> Result<Topology, Difference> {
    let Some(text) = lines.next()? else {
        return Err(lines.incomplete("it is empty"));
    };
    let header: Result<Header, _> = serde_json::from_slice(text);
    let header = header.map_err(|error| lines.malformed(error.to_string()))?;
    if header.schema != SCHEMA {
        let why = format!("its schema is {:?}; this reads {SCHEMA:?}", header.schema);
        return Err(lines.malformed(why));
    }
    let files = Texts(header.files);
    let loaded = scenario::load(Path::new(&header.scenario), &files);
    let topology = loaded
        .map_err(|unsound| Difference::Scenario(unsound.mistakes))?
        .topology;
    if topology.seed.0 != header.seed {
        let why = format!("the scenario's seed is {}", topology.seed.0);
        return Err(lines.malformed(why));
    }
    Ok(topology)
}

/// Replays one call; gives the kind of machine and the number of facts.
fn one(
    topology: &Topology,
    nodes: &mut BTreeMap<String, Replaying>,
    call: CallLine,
    (lines, see): (&Lines<impl BufRead>, &mut dyn FnMut(Fact)),
) -> Result<(&'static str, u64), Difference> {
    let CallLine {
        node,
        at_us,
        input,
        outputs,
        facts,
    } = call;
    let Some(replaying) = nodes.get_mut(&node) else {
        return Err(lines.malformed(format!("the scenario has no machine {node:?}")));
    };
    let now = Time::from_us(at_us);
    if now < replaying.last {
        let why = format!("the time of {node} goes back from {}", replaying.last);
        return Err(lines.malformed(why));
    }
    replaying.last = now;
    let cx = Context { now, topology };
    let said = replaying.machine.call(&cx, input.map(|input| input.0));
    let Some(said) = said else {
        return Err(lines.malformed(format!("the input is none for {node}")));
    };
    let count = facts.len() as u64;
    let kinds = said.1;
    let told = kinds.iter().map(|fact| format!("{fact:?}")).collect();
    let pairs = [("outputs", outputs, said.0), ("facts", facts, told)];
    for (what, expected, got) in pairs {
        if let Some((place, expected, got)) = first_difference(expected, got) {
            return Err(Difference::Call(Box::new(Differs {
                line: lines.line,
                node: replaying.node.clone(),
                at: now,
                what,
                place,
                expected,
                got,
            })));
        }
    }
    for kind in kinds {
        see(Fact {
            seq: Seq(0),
            at: now,
            node: replaying.node.clone(),
            kind,
        });
    }
    Ok((replaying.node.kind(), count))
}

fn first_difference(
    expected: Vec<String>,
    got: Vec<String>,
) -> Option<(usize, Option<String>, Option<String>)> {
    let (mut expected, mut got) = (expected.into_iter(), got.into_iter());
    let mut place = 0;
    loop {
        match (expected.next(), got.next()) {
            (None, None) => return None,
            (a, b) if a == b => place += 1,
            (a, b) => return Some((place, a, b)),
        }
    }
}

/// A machine and the instant of its last call.
struct Replaying {
    node: Node,
    machine: AnyMachine,
    last: Time,
}

enum AnyMachine {
    Agent(Box<agent::Agent>),
    Balancer(Box<balancer::Balancer>),
    Proxy(Box<proxy::Proxy>),
    Resolver(Box<resolver::Resolver>),
    User(Box<user::User>),
}

/// Makes every machine of a scenario, by the text of its node.
fn nodes(topology: &Topology) -> BTreeMap<String, Replaying> {
    let agents = (0..topology.agents.len())
        .map(|index| AnyMachine::Agent(Box::new(machines::agent(topology, index))));
    let balancers = (0..topology.balancers.len())
        .map(|index| AnyMachine::Balancer(Box::new(machines::balancer(topology, index))));
    let proxies = (0..topology.pool.proxies.len())
        .map(|index| AnyMachine::Proxy(Box::new(machines::proxy(topology, index))));
    let users = (0..topology.users.len())
        .map(|index| AnyMachine::User(Box::new(machines::user(topology, index))));
    let resolvers = (0..topology.resolvers.len())
        .map(|index| AnyMachine::Resolver(Box::new(machines::resolver(topology, index))));
    let all = agents.chain(balancers).chain(proxies).chain(users);
    let all = all.chain(resolvers);
    all.map(|machine| {
        let node = machine.node();
        let replaying = Replaying {
            node: node.clone(),
            machine,
            last: Time::ZERO,
        };
        (node.to_string(), replaying)
    })
    .collect()
}

impl AnyMachine {
    fn node(&self) -> Node {
        match self {
            Self::Agent(machine) => machine.node(),
            Self::Balancer(machine) => machine.node(),
            Self::Proxy(machine) => machine.node(),
            Self::Resolver(machine) => machine.node(),
            Self::User(machine) => machine.node(),
        }
    }

    /// Gives outputs as they are shown for debugging, and facts; `None` when the input is another
    /// machine's.
    fn call(
        &mut self,
        cx: &Context<'_>,
        input: Option<AnyInput>,
    ) -> Option<(Vec<String>, Vec<Kind>)> {
        match (self, input) {
            (Self::Agent(machine), None) => Some(call(&mut **machine, cx, None)),
            (Self::Agent(machine), Some(AnyInput::Agent(input))) => {
                Some(call(&mut **machine, cx, Some(input)))
            }
            (Self::Balancer(machine), None) => Some(call(&mut **machine, cx, None)),
            (Self::Balancer(machine), Some(AnyInput::Balancer(input))) => {
                Some(call(&mut **machine, cx, Some(input)))
            }
            (Self::Proxy(machine), None) => Some(call(&mut **machine, cx, None)),
            (Self::Proxy(machine), Some(AnyInput::Proxy(input))) => {
                Some(call(&mut **machine, cx, Some(input)))
            }
            (Self::Resolver(machine), None) => Some(call(&mut **machine, cx, None)),
            (Self::Resolver(machine), Some(AnyInput::Resolver(input))) => {
                Some(call(&mut **machine, cx, Some(input)))
            }
            (Self::User(machine), None) => Some(call(&mut **machine, cx, None)),
            (Self::User(machine), Some(AnyInput::User(input))) => {
                Some(call(&mut **machine, cx, Some(input)))
            }
            (
                Self::Agent(_)
                | Self::Balancer(_)
                | Self::Proxy(_)
                | Self::Resolver(_)
                | Self::User(_),
                Some(
                    AnyInput::Agent(_)
                    | AnyInput::Balancer(_)
                    | AnyInput::Conductor(_)
                    | AnyInput::Proxy(_)
                    | AnyInput::Resolver(_)
                    | AnyInput::User(_),
                ),
            ) => None,
        }
    }
}

fn call<M: Machine>(
    machine: &mut M,
    cx: &Context<'_>,
    input: Option<M::Input>,
) -> (Vec<String>, Vec<Kind>)
where
    M::Output: fmt::Debug,
{
    let mut out = Outbox::default();
    match input {
        Some(input) => machine.handle(cx, input, &mut out),
        None => machine.wake(cx, &mut out),
    }
    let Outbox { outputs, facts } = out;
    let outputs = outputs.iter().map(|output| format!("{output:?}"));
    (outputs.collect(), facts)
}

/// The files of a recording.
struct Texts(BTreeMap<String, String>);

impl Files for Texts {
    fn read(&self, path: &Path) -> Result<String, String> {
        let text = self.0.get(&*path.to_string_lossy());
        text.cloned()
            .ok_or_else(|| String::from("the recording does not hold this file"))
    }
}

/// The lines of a recording, counted.
pub(super) struct Lines<R> {
    recording: R,
    /// The number of the last line that was read, from 1.
    line: u64,
    buffer: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    pub(super) const fn new(recording: R) -> Self {
        Self {
            recording,
            line: 0,
            buffer: Vec::new(),
        }
    }

    /// Gives the next line without its end; `None` after the last.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, Difference> {
        self.buffer.clear();
        let mut limited = (&mut self.recording).take(LINE_BYTES_MAX);
        let length = limited.read_until(b'\n', &mut self.buffer)?;
        self.line += 1;
        match self.buffer.split_last() {
            None => Ok(None),
            Some((b'\n', _)) => Ok(Some(&self.buffer[..length - 1])),
            Some(_) if length as u64 == LINE_BYTES_MAX => {
                Err(self.malformed("the line is too long"))
            }
            Some(_) => Err(self.incomplete("it ends in the middle of this line")),
        }
    }

    pub(super) fn incomplete(&self, why: impl Into<String>) -> Difference {
        let (line, why) = (self.line, why.into());
        Difference::Incomplete { line, why }
    }

    pub(super) fn malformed(&self, why: impl Into<String>) -> Difference {
        let (line, why) = (self.line, why.into());
        Difference::Malformed { line, why }
    }
}
