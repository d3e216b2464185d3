//! The shapes of the nodes of the lab in its state: doors, instances, agents, users.

use serde::Serialize;
use utoipa::ToSchema;

use super::Check;

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
