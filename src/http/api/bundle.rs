//! A run in one file: what the page shows of it, without a server.

mod earlier;
mod states;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::runs::Scenario;
use super::timeline::Timeline;
use super::way::{Request, Why};
use super::{Fact, Snapshot};
use crate::http::source::Source;
use crate::journal::{At, Held};
use crate::model::fact::{self, Kind};
use crate::model::id::Node;
use crate::model::time::Span;
use crate::snapshot::history::{Severity, severity};
use crate::snapshot::journey::Journey;

pub use earlier::Earlier;

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

/// How often it tells that a client's way became another one.
pub const EARLIER_MAX: usize = 600;

/// A gap between two states that is worth a word.
const GAP: Span = Span::from_secs(2);

/// How many visits and dials it has as hops.
pub const REQUESTS_MAX: usize = 200;

/// The answer to `GET /api/export`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Bundle {
    /// The shape.
    pub schema: &'static str,
    /// Which run.
    pub run: Run,
    /// What its scenario says of itself, and what `check` finds in it.
    pub about: Option<Scenario>,
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
    /// The same at the states before, each time that a client's way is another one, oldest first.
    pub earlier: BTreeMap<String, Vec<Earlier>>,
    /// Visits and dials as hops: the newest, and those that failed.
    pub visits: Vec<Request>,
    /// What of the run is not in here, in sentences.
    pub left_out: Vec<String>,
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
        let run = Run {
            name: source.topology.name.to_string(),
            mode: source.mode.word(),
            seed: source.topology.seed.0,
            scenario: source.file(),
            started_unix_us: source.started_unix_us,
        };
        let facts = chosen(&held.facts);
        let nodes = clients(&held);
        let room = SNAPSHOT_BYTES_MAX / (held.now.state.weight() * 2).max(1);
        let chosen = states::choose(&held, SNAPSHOTS_MAX.min(room.max(2)));
        let mut ways = earlier::Ways::new(&held.facts, &chosen.seqs, &nodes);
        let mut snapshots = Vec::new();
        for (place, seq) in chosen.seqs.iter().enumerate() {
            // A running lab may have let go of it meanwhile.
            let Ok(moment) = source.journal.moment(At::Seq(*seq)) else {
                continue;
            };
            ways.tell(place, source, &moment.state, &held.facts);
            snapshots.push(Snapshot::new(&moment, source, ""));
        }
        let (visits, hops_more) = requests(source, &held);
        let mut bundle = Self {
            schema: SCHEMA,
            run,
            about: source.scenario.as_deref().map(Scenario::new),
            timeline: Timeline::new(source, None, None),
            snapshots,
            facts_more: held.facts.len() - facts.len(),
            facts: facts.into_iter().map(|fact| Fact::new(fact)).collect(),
            whys: whys(source, &held, &nodes),
            visits,
            left_out: Vec::new(),
            report,
            earlier: BTreeMap::new(),
        };
        bundle.left_out = bundle.left_out(&held, &[chosen.thinned, ways.more, hops_more]);
        bundle.earlier = ways.told();
        bundle
    }

    /// Packs it as a file of gzip.
    pub fn packed(&self) -> io::Result<Vec<u8>> {
        pack(&super::text(self))
    }

    /// Says what is not in here.
    fn left_out(&self, held: &Held, more: &[usize; 3]) -> Vec<String> {
        let [thinned, ways, hops] = *more;
        let mut said = Vec::new();
        let (begin, end) = (held.base.at, held.now.state.at);
        if held.base.seq.0 > 0 {
            said.push(format!(
                "What was before {begin} s: the journal had let it go."
            ));
        }
        // Where nothing happened, nothing is left out.
        let pairs = self.snapshots.windows(2);
        let pairs = pairs.filter(|pair| pair[1].seq > pair[0].seq + 1);
        let gaps = pairs.map(|pair| pair[1].at_us.saturating_sub(pair[0].at_us));
        let widest = Span::from_us(gaps.max().unwrap_or(0));
        if widest > GAP {
            said.push(format!(
                "Most states: {} of {} are kept, one at each act, fault and turn of an \
                 expectation and more of them in the seconds after; elsewhere up to {widest} lie \
                 between two. An instant shows the newest state before it.",
                self.snapshots.len(),
                end.since(begin)
            ));
        }
        if thinned > 0 {
            said.push(format!(
                "The states at {thinned} acts, faults and turns, thinned out evenly."
            ));
        }
        if self.facts_more > 0 {
            said.push(format!(
                "{} facts, traffic before decisions and the oldest first; {} are kept.",
                self.facts_more,
                self.facts.len()
            ));
        }
        let marks: usize = self.timeline.lanes.iter().map(|lane| lane.more).sum();
        if marks > 0 {
            said.push(format!(
                "{marks} marks of the timeline, thinned out evenly; what went wrong is kept."
            ));
        }
        if ways > 0 {
            said.push(format!(
                "{ways} times that a client's way changed: the chain shown may be an older one."
            ));
        }
        if hops > 0 {
            said.push(format!(
                "The hops of {hops} visits and dials; kept are the newest, and those that failed."
            ));
        }
        said
    }
}

/// Packs a text with gzip: states differ little from each other, so it shrinks to some hundredths.
pub fn pack(text: &str) -> io::Result<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(text.as_bytes())?;
    packer.finish()
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

/// Gives the clients whose ways are told.
fn clients(held: &Held) -> Vec<Node> {
    let state = &held.now.state;
    let agents = state.agents.iter();
    let agents = agents.map(|agent| Node::Agent(agent.name.clone()));
    let users = state.users.iter().map(|user| Node::User(user.name.clone()));
    let agents = agents.take(WHYS_MAX / 2);
    agents.chain(users.take(WHYS_MAX / 2)).collect()
}

fn whys(source: &Source, held: &Held, nodes: &[Node]) -> BTreeMap<String, Why> {
    let told = nodes.iter().filter_map(|node| {
        let why = Why::held(source, &held.now.state, node, &held.facts)?;
        Some((node.to_string(), why))
    });
    told.collect()
}

/// Opens the newest visits and dials, and those that failed; says how many there were more.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "few facts end a visit or a dial"
)]
fn requests(source: &Source, held: &Held) -> (Vec<Request>, usize) {
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
    let found: Vec<Request> = found.collect();
    let more = ends.len() - found.len();
    (found, more)
}
