//! The shapes of the wire, and how they are made of the lab's own types.
//!
//! Names are snake_case; spans and instants are whole microseconds (`_us`), instants since the
//! start of the lab. `web/types.js` mirrors these files; `tests/fixtures/wire` holds a sample of each
//! shape, and both sides are checked against it.

pub mod access;
pub mod bundle;
pub mod catalogue;
pub mod consequences;
pub mod faults;
pub mod preview;
pub mod queries;
pub mod resolve;
pub mod runs;
pub mod tables;
pub mod timeline;
pub mod way;
pub mod whatif;

mod fact;
mod measured;
mod nodes;
mod problem;
mod state;

use axum::body::Body;
use axum::http::Response;
use axum::http::header::{self, HeaderValue};
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

pub use fact::Fact;
pub use measured::{Check, Expectation, Place, Rates, Zone};
pub use nodes::{
    Agent, Backend, Balancer, DoorCount, Failures, NetworkCount, Proxy, Tunnel, Use, User, Visit,
};
pub use problem::Problem;

use crate::model::fact::Act;
use crate::model::id::Node;

/// The state of the lab.
#[derive(Debug, Serialize, ToSchema)]
pub struct Snapshot {
    /// Differs between two runs on one address.
    pub run: String,
    /// The scenario.
    pub name: String,
    /// The instant of the newest fact.
    pub at_us: u64,
    /// The newest fact.
    pub seq: u64,
    /// The instant of the oldest state that can be looked at.
    pub oldest_us: u64,
    /// The fact after which that state was.
    pub oldest_seq: u64,
    /// `live` or `virtual`.
    pub mode: &'static str,
    /// Whether nothing can be changed here.
    pub read_only: bool,
    /// When everything listened.
    pub ready_us: Option<u64>,
    /// When the timeline began to be played; null for a lab that plays no run.
    pub began_us: Option<u64>,
    /// When the run is over at the latest.
    pub ends_us: Option<u64>,
    /// When the run ended; null while it goes on, and for a lab that plays no run.
    pub ended_us: Option<u64>,
    /// Why it ended.
    pub ended_why: Option<&'static str>,
    /// The generation of the rules.
    pub generation: u64,
    /// Why the last reload was refused.
    pub reload_mistakes: Vec<String>,
    /// Tunnels of a full mesh.
    pub mesh: Mesh,
    /// The named networks.
    pub networks: Vec<Network>,
    /// The DNS server.
    pub dns: Dns,
    /// The doors.
    pub balancers: Vec<Balancer>,
    /// The pool.
    pub proxies: Vec<Proxy>,
    /// The agents.
    pub agents: Vec<Agent>,
    /// The users.
    pub users: Vec<User>,
    /// What an operator should know.
    pub findings: Vec<Finding>,
    /// The faults in force, oldest first.
    pub faults: Vec<faults::Fault>,
    /// How each expectation of the scenario stands.
    pub expectations: Vec<Expectation>,
    /// The last minute.
    pub rates: Rates,
    /// The zones in force now.
    pub zones: Vec<Zone>,
}

/// How many tunnels stand.
#[derive(Debug, Serialize, ToSchema)]
pub struct Mesh {
    /// Tunnels that stand.
    pub now: usize,
    /// Agents times proxies.
    pub full: usize,
    /// From ready to the first full mesh.
    pub complete_after_us: Option<u64>,
}

/// A named network.
#[derive(Debug, Serialize, ToSchema)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// Its ranges.
    pub ranges: Vec<String>,
    /// The view that its first address gets.
    pub view: Option<String>,
}

/// The DNS server.
#[derive(Debug, Serialize, ToSchema)]
pub struct Dns {
    /// The views, in order.
    pub views: Vec<View>,
    /// Exact counts.
    pub answers: Vec<Answers>,
    /// The latest answers of the sample, oldest first.
    pub queries: Vec<Query>,
}

/// A view.
#[derive(Debug, Serialize, ToSchema)]
pub struct View {
    /// Its name.
    pub name: String,
    /// Its match list, as written.
    pub rules: Vec<String>,
    /// Answers given from it.
    pub answers: u64,
}

/// Answers of one kind.
#[derive(Debug, Serialize, ToSchema)]
pub struct Answers {
    /// The view, null when none matched.
    pub view: Option<String>,
    /// The element that matched.
    pub rule: Option<String>,
    /// The response code.
    pub rcode: String,
    /// How many.
    pub count: u64,
}

/// One answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct Query {
    /// Its fact.
    pub seq: u64,
    /// When.
    pub at_us: u64,
    /// Who asked: address and port.
    pub client: String,
    /// The node with that address, `user/alice`.
    pub asker: Option<String>,
    /// The client-subnet option.
    pub subnet: Option<String>,
    /// `udp` or `tcp`.
    pub transport: &'static str,
    /// The name asked.
    pub name: String,
    /// The type asked.
    pub rtype: String,
    /// The view.
    pub view: Option<String>,
    /// The element that matched.
    pub rule: Option<String>,
    /// The response code.
    pub rcode: String,
    /// The answer section.
    pub answer: Vec<String>,
    /// The step that gave it.
    pub why: String,
    /// From the question read to the answer sent, a fault's delay included; null where that was not
    /// measured: a fault took the answer away, or other servers were asked.
    pub took_us: Option<u64>,
}

/// What an operator should know.
#[derive(Debug, Serialize, ToSchema)]
pub struct Finding {
    /// Its identifier.
    pub id: &'static str,
    /// `error`, `warning` or `notice`.
    pub severity: &'static str,
    /// Whom it is about.
    pub node: String,
    /// In words.
    pub detail: String,
    /// When it was first seen.
    pub at_us: u64,
}

/// Sent when facts that a reader has not seen are no longer kept.
#[derive(Debug, Serialize, ToSchema)]
pub struct Overflow {
    /// The newest fact; the stream goes on after it.
    pub seq: u64,
}

/// The answer to a reload that took.
#[derive(Debug, Serialize, ToSchema)]
pub struct Reloaded {
    /// The generation now in force.
    pub generation: u64,
    /// What changed: views and whom they let in, and names as `view/name`.
    pub changed: Vec<String>,
    /// What is odd but works, each with its place.
    pub warnings: Vec<String>,
}

/// The answer to an act that the lab took on.
#[derive(Debug, Serialize, ToSchema)]
pub struct Operated {
    /// The node.
    pub node: String,
    /// The act.
    pub act: &'static str,
}

/// The body of a change that says all in its path.
#[derive(Debug, Serialize, ToSchema)]
#[schema(max_properties = 0)]
pub struct Nothing {}

/// Writes a wire type.
pub(super) fn text(wire: &impl Serialize) -> String {
    serde_json::to_string(wire).expect("the wire types have text keys only")
}

/// Makes an answer of a wire type.
pub(super) fn json(wire: &impl Serialize) -> Response<Body> {
    let media = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, media)], text(wire)).into_response()
}

impl From<super::Reloaded> for Reloaded {
    fn from(reloaded: super::Reloaded) -> Self {
        Self {
            generation: reloaded.generation.0,
            changed: reloaded.changed,
            warnings: reloaded.warnings,
        }
    }
}

impl Operated {
    /// Writes an act.
    pub fn new(node: &Node, act: Act) -> Self {
        Self {
            node: node.to_string(),
            act: act.word(),
        }
    }
}
