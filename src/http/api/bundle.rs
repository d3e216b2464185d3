//! A run in one file: what the page shows of it, without a server.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::timeline::Timeline;
use super::way::{Request, Why};
use super::{Fact, Snapshot};
use crate::http::source::Source;
use crate::journal::{At, Held};
use crate::model::fact::{self, Kind};
use crate::model::id::{Node, Seq};
use crate::model::time::Time;
use crate::snapshot::history::{Severity, severity};
use crate::snapshot::journey::Journey;

/// The name and version of the shape.
pub const SCHEMA: &str = "twodoors.bundle/1";

/// How many states a bundle has at most.
pub const SNAPSHOTS_MAX: usize = 300;

/// How many bytes all states may take: of a large lab there are fewer.
pub const SNAPSHOT_BYTES_MAX: usize = 24 << 20;

/// How many facts it has at most.
pub const FACTS_MAX: usize = 20_000;

/// How many clients' ways it tells.
pub const WHYS_MAX: usize = 200;

/// How many visits and dials it has as hops.
pub const REQUESTS_MAX: usize = 200;

/// The answer to `GET /api/export`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Bundle {
    /// The shape.
    pub schema: &'static str,
    /// Which run.
    pub run: Run,
    /// What happened.
    pub timeline: Timeline,
    /// States, oldest first: even in time, and at each act, fault and turn of an expectation.
    pub snapshots: Vec<Snapshot>,
    /// Facts, oldest first: decisions before traffic.
    pub facts: Vec<Fact>,
    /// How many facts there were more.
    pub facts_more: usize,
    /// Why clients went where they went at the end, by node.
    pub whys: BTreeMap<String, Why>,
    /// Visits and dials as hops: the newest, and those that failed.
    pub visits: Vec<Request>,
    /// The report of a run that was judged.
    pub report: Option<Value>,
}

/// Which run it was.
#[derive(Debug, Serialize, ToSchema)]
pub struct Run {
    /// The scenario's name.
    pub name: String,
    /// `live` or `virtual`.
    pub mode: &'static str,
    /// The seed of every draw.
    pub seed: u64,
    /// The scenario's file.
    pub scenario: Option<String>,
    /// When it started, in microseconds since 1970.
    pub started_unix_us: Option<u64>,
}

impl Bundle {
    /// Puts together what is held of a run.
    pub fn new(source: &Source, report: Option<Value>) -> Self {
        let held = source.journal.held();
        let places = source.places.keys(&crate::model::places::Subject::Scenario);
        let run = Run {
            name: source.topology.name.to_string(),
            mode: source.mode.word(),
            seed: source.topology.seed.0,
            scenario: places.map(|keys| keys.file().display().to_string()),
            started_unix_us: source.started_unix_us,
        };
        let facts = chosen(&held.facts);
        Self {
            schema: SCHEMA,
            run,
            timeline: Timeline::new(source, None, None),
            snapshots: snapshots(source, &held),
            facts_more: held.facts.len() - facts.len(),
            facts: facts.into_iter().map(|fact| Fact::new(fact)).collect(),
            whys: whys(source, &held),
            visits: requests(source, &held),
            report,
        }
    }
}

/// Chooses facts: what went wrong, then decisions, then the rest, the newest of each first.
fn chosen(facts: &[Arc<fact::Fact>]) -> Vec<&Arc<fact::Fact>> {
    let rank = |fact: &fact::Fact| match severity(fact) {
        _ if fact.kind.is_traffic() => 2,
        Some(Severity::Bad | Severity::Notice) => 0,
        Some(Severity::Fine) => 1,
        None => 2,
    };
    let mut chosen: Vec<&Arc<fact::Fact>> = Vec::new();
    for wanted in 0..=2 {
        let room = FACTS_MAX - chosen.len();
        let those = facts.iter().rev().filter(|fact| rank(fact) == wanted);
        chosen.extend(those.take(room));
    }
    chosen.sort_by_key(|fact| fact.seq);
    chosen
}

/// Takes states at the instants that tell most.
fn snapshots(source: &Source, held: &Held) -> Vec<Snapshot> {
    let newest = held.now.state.seq;
    let room = SNAPSHOT_BYTES_MAX / (held.now.state.weight() * 2).max(1);
    let most = SNAPSHOTS_MAX.min(room.max(2));
    let mut at: BTreeSet<Seq> = BTreeSet::from([held.base.seq, newest]);
    let turns = held.turns.iter().map(|turn| turn.at);
    let turns: BTreeSet<Time> = turns.collect();
    // At what was done, and just before it.
    for fact in held.facts.iter().filter(|fact| is_act(&fact.kind)) {
        at.extend([
            Seq(fact.seq.0.saturating_sub(1)).max(held.base.seq),
            fact.seq,
        ]);
    }
    for turn in turns {
        let until = held.facts.partition_point(|fact| fact.at <= turn);
        at.extend(until.checked_sub(1).map(|place| held.facts[place].seq));
    }
    let mut at: Vec<Seq> = evenly(&at.into_iter().collect::<Vec<_>>(), most / 2);
    at.extend(even_in_time(held, most.saturating_sub(at.len())));
    at.sort_unstable();
    at.dedup();
    let states = at.into_iter().filter_map(|seq| {
        let moment = source.journal.moment(At::Seq(seq)).ok()?;
        Some(Snapshot::new(&moment, source, ""))
    });
    states.collect()
}

/// Gives the last fact before each of so many instants.
fn even_in_time(held: &Held, count: usize) -> Vec<Seq> {
    let (from, to) = (held.base.at.as_us(), held.now.state.at.as_us());
    let step = (to.saturating_sub(from) / (count as u64).max(1)).max(1);
    let mut seqs = Vec::new();
    let mut next = from + step;
    let mut last = held.base.seq;
    for fact in &held.facts {
        if fact.at.as_us() >= next && seqs.len() < count {
            seqs.push(last);
            next = fact.at.as_us() - (fact.at.as_us() - from) % step + step;
        }
        last = fact.seq;
    }
    seqs
}

const fn is_act(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::FaultLifted { .. }
            | Kind::FaultSet { .. }
            | Kind::Operated { .. }
            | Kind::Ready
            | Kind::Reloaded { .. }
            | Kind::Roamed { .. }
            | Kind::StepBegan { .. }
    )
}

fn evenly<T: Copy>(list: &[T], most: usize) -> Vec<T> {
    let count = list.len().min(most);
    let last = count.saturating_sub(1).max(1);
    let places = (0..count).map(|place| place * list.len().saturating_sub(1) / last);
    places
        .filter_map(|place| list.get(place).copied())
        .collect()
}

fn whys(source: &Source, held: &Held) -> BTreeMap<String, Why> {
    let state = &held.now.state;
    let agents = state
        .agents
        .iter()
        .map(|agent| Node::Agent(agent.name.clone()));
    let users = state.users.iter().map(|user| Node::User(user.name.clone()));
    let nodes = agents.take(WHYS_MAX / 2).chain(users.take(WHYS_MAX / 2));
    let told = nodes.filter_map(|node| {
        let why = Why::held(source, state, &node, &held.facts)?;
        Some((node.to_string(), why))
    });
    told.collect()
}

/// Opens the newest visits and dials, and those that failed.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "few facts end a visit or a dial"
)]
fn requests(source: &Source, held: &Held) -> Vec<Request> {
    let ends = held.facts.iter().rev().filter_map(|fact| {
        let failed = match &fact.kind {
            Kind::Claimed { .. } | Kind::VisitAnswered(_) => false,
            Kind::DialFailed { .. } | Kind::VisitFailed { .. } => true,
            _ => return None,
        };
        let number = crate::snapshot::journey::number_of(&fact.kind)?;
        Some((failed, fact.node.clone(), number))
    });
    let ends: Vec<_> = ends.collect();
    let failed = ends
        .iter()
        .filter(|(failed, ..)| *failed)
        .take(REQUESTS_MAX / 2);
    let well = ends
        .iter()
        .filter(|(failed, ..)| !failed)
        .take(REQUESTS_MAX / 2);
    let until = held.now.state.at;
    let found = failed.chain(well).filter_map(|(_, node, number)| {
        let topology = &source.topology;
        let found = Journey::find(&held.facts, topology, node, Some(*number), until)?;
        Some(Request::of(&found))
    });
    found.collect()
}
