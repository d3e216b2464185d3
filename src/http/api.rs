//! The shapes of the wire, and how they are made of the lab's own types.
//!
//! Names are snake_case; spans and instants are whole microseconds (`_us`), instants since the
//! start of the lab. `web/types.js` mirrors this file; `tests/fixtures/wire` holds a sample of each
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
mod state;

use axum::body::Body;
use axum::http::header::{self, HeaderValue};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

pub use fact::Fact;
pub use measured::{Check, Expectation, Place, Rates, Zone};

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

/// A door.
#[derive(Debug, Serialize, ToSchema)]
pub struct Balancer {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub listen: Vec<String>,
    /// The network that holds its first address.
    pub network: Option<String>,
    /// `agents`, `users` or null.
    pub meant_for: Option<&'static str>,
    /// `ready`, `draining`, `drained` or `stopped`.
    pub admin: &'static str,
    /// Flows that are open.
    pub open: u64,
    /// Flows ever let in.
    pub opened: u64,
    /// Clients refused.
    pub refused: u64,
    /// Flows that found no instance.
    pub no_backend: u64,
    /// Bytes from clients.
    pub bytes_up: u64,
    /// Bytes to clients.
    pub bytes_down: u64,
    /// By the client's network; null for clients of no network.
    pub networks: Vec<NetworkCount>,
    /// By purpose and network, of the lab's own agents and users.
    pub uses: Vec<Use>,
    /// The pool as this door sees it.
    pub backends: Vec<Backend>,
}

/// Clients of one network at a door.
#[derive(Debug, Serialize, ToSchema)]
pub struct NetworkCount {
    /// The network.
    pub network: Option<String>,
    /// Let in.
    pub opened: u64,
    /// Refused.
    pub refused: u64,
}

/// What a door was used for.
#[derive(Debug, Serialize, ToSchema)]
pub struct Use {
    /// `find`, `tunnel` or `visit`.
    pub purpose: &'static str,
    /// The client's network.
    pub network: String,
    /// How often.
    pub count: u64,
}

/// An instance as one door sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Backend {
    /// The instance.
    pub proxy: String,
    /// `up`, `rising`, `falling`, `down` or `unknown`.
    pub health: &'static str,
    /// Since when.
    pub since_us: u64,
    /// What made it flip.
    pub cause: String,
    /// Flows that are open.
    pub open: u64,
    /// Flows ever connected.
    pub total: u64,
    /// Connects that failed.
    pub failed: u64,
    /// What the operator wants of the instance: `ready`, `draining`, `drained` or `stopped`.
    pub admin: &'static str,
    /// From a client's arrival to the connection with the instance, the median of the last ones.
    pub connect_p50_us: Option<u64>,
    /// The same, the 95th percentile.
    pub connect_p95_us: Option<u64>,
    /// Bytes from clients, of flows that ended.
    pub bytes_up: u64,
    /// Bytes to clients, of flows that ended.
    pub bytes_down: u64,
    /// The last checks, oldest first.
    pub checks: Vec<Check>,
}

/// An instance of the pool.
#[derive(Debug, Serialize, ToSchema)]
pub struct Proxy {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub listen: String,
    /// `ready`, `draining`, `drained` or `stopped`.
    pub admin: &'static str,
    /// Tunnels registered.
    pub tunnels: u64,
    /// Requests that are being answered.
    pub active: usize,
    /// Requests given to a tunnel.
    pub routed: u64,
    /// Requests without a tunnel here.
    pub no_tunnel: u64,
    /// Requests whose answer was cut.
    pub cut: u64,
    /// Connections that did not get to a service.
    pub refused: u64,
}

/// An agent.
#[derive(Debug, Serialize, ToSchema)]
pub struct Agent {
    /// Its name.
    pub name: String,
    /// Its network.
    pub network: String,
    /// Its address.
    pub address: String,
    /// Its apps.
    pub apps: Vec<String>,
    /// `ready`, `draining`, `drained` or `stopped`.
    pub admin: &'static str,
    /// One per proxy, in the order of the pool.
    pub tunnels: Vec<Tunnel>,
    /// Attempts that failed, by stage.
    pub failures: Vec<Failures>,
    /// The same, by kind of failure.
    pub causes: Vec<Failures>,
    /// Streams cut at their bound.
    pub cut: u64,
    /// The last failure.
    pub last_error: Option<String>,
}

/// One agent's tunnel to one proxy.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tunnel {
    /// The proxy.
    pub proxy: String,
    /// Whether it stands.
    pub up: bool,
    /// When it was made or lost.
    pub since_us: Option<u64>,
    /// The door that it goes through.
    pub balancer: Option<String>,
    /// The name that was verified in the proxy's host certificate.
    pub verified: Option<String>,
    /// How often it was made.
    pub made: u64,
    /// From the loss of the last one to this one.
    pub gap_us: Option<u64>,
    /// From the door's `up` for the proxy to this tunnel.
    pub after_rise_us: Option<u64>,
}

/// Failures of one kind.
#[derive(Debug, Serialize, ToSchema)]
pub struct Failures {
    /// The stage or cause of an agent's attempt, or the reason of a user's failure.
    pub reason: &'static str,
    /// How many.
    pub count: u64,
}

/// A user.
#[derive(Debug, Serialize, ToSchema)]
pub struct User {
    /// Their name.
    pub name: String,
    /// Their network.
    pub network: String,
    /// Their address.
    pub address: String,
    /// The apps that they visit.
    pub visits: Vec<String>,
    /// `ready`, `draining`, `drained` or `stopped`.
    pub admin: &'static str,
    /// Visits answered.
    pub answered: u64,
    /// Visits that failed, by reason.
    pub failures: Vec<Failures>,
    /// Visits answered, by door.
    pub doors: Vec<DoorCount>,
    /// The last visit that was answered.
    pub last: Option<Visit>,
    /// The last failure.
    pub last_error: Option<String>,
}

/// Visits through one door.
#[derive(Debug, Serialize, ToSchema)]
pub struct DoorCount {
    /// The door.
    pub balancer: String,
    /// How many.
    pub count: u64,
}

/// A visit that was answered.
#[derive(Debug, Serialize, ToSchema)]
pub struct Visit {
    /// Its number.
    pub request: u64,
    /// The app.
    pub app: String,
    /// The door.
    pub balancer: Option<String>,
    /// The proxy.
    pub proxy: Option<String>,
    /// The agent.
    pub agent: Option<String>,
    /// The HTTP status.
    pub status: u16,
    /// Bytes of the body.
    pub bytes: u64,
    /// From the start to the last byte.
    pub took_us: u64,
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

/// An error (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: the status says which.
    pub r#type: &'static str,
    /// The status in words.
    pub title: &'static str,
    /// The status.
    pub status: u16,
    /// The case, and what would be right.
    pub detail: String,
    /// Each mistake of a refused reload.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mistakes: Vec<String>,
    /// The character of a filter at which it goes wrong, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
}

impl Problem {
    /// Makes an error of this status.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            mistakes: Vec::new(),
            column: None,
        }
    }

    /// Adds where a filter goes wrong.
    pub fn with_column(mut self, column: usize) -> Self {
        self.column = Some(column);
        self
    }

    /// Adds the mistakes of a reload.
    pub fn with_mistakes(mut self, mistakes: Vec<String>) -> Self {
        self.mistakes = mistakes;
        self
    }
}

impl From<Problem> for Response<Body> {
    fn from(problem: Problem) -> Self {
        let status = StatusCode::from_u16(problem.status);
        let mut response = Self::new(Body::from(text(&problem)));
        *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let media = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, media);
        if problem.status == StatusCode::UNAUTHORIZED.as_u16() {
            let scheme = HeaderValue::from_static("Bearer");
            let name = header::WWW_AUTHENTICATE;
            response.headers_mut().insert(name, scheme);
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        self.into()
    }
}

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
