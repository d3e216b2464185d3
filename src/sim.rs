//! A scenario in virtual time: the same machines as live, with a queue in the place of sockets.
//!
//! In go a topology, its rules and who observes; out come the facts, one by one in their order, and
//! a summary. A run is event-driven, single-threaded and a function of its arguments: it has neither
//! clock nor luck of its own. What is modelled, and what is not, is [`MODEL`].
//!
//! ```text
//! timeline ─► policy/conductor ─► sim/timeline ─► acts, faults, rules
//! queue ─► sim/{agent,balancer,proxy,user,dns,resolver} ─► policy/* ─► facts ─► snapshot, observer
//!   ▲                    │
//!   └──── sim/network ◄──┘   messages with latency, silence, timers, ends
//! ```

mod agent;
mod balancer;
mod dial;
mod dns;
mod event;
mod follow;
mod gossip;
mod network;
mod proxy;
mod queue;
mod resolver;
mod timeline;
mod user;
mod world;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use self::world::World;
use crate::model::fact::Fact;
use crate::model::mistake::Mistake;
use crate::model::time::Time;
use crate::model::topology::Topology;
use crate::policy::answer::Rules;
use crate::snapshot::Snapshot;

pub use self::follow::{
    Arrival, Arrived, DIVERGED, Divergence, Heard, Order, PATIENCE, PATIENCE_AT_END, Reader,
    Through, Told,
};
pub use self::network::{SYN_AGAIN, SYN_GIVEN_UP, Timers};
pub use self::world::CALENDAR_START;

/// What is modelled and what is not, as `sim --help` shows it.
pub const MODEL: &str = "\
Modelled:
  - connection set-up with the model's latency one way per link (client to door, door to instance);
    refusal (RST), silence with SYNs sent again after 1, 3, 7, 15, 31 and 63 s until the connect's
    own timeout (30 s for agents and users, timeout_connect and check.timeout for doors), reset
  - TLS and SSH handshakes as work of the instance: model.servers at a time, in the order of
    arrival, model.tls and model.ssh each; their timeouts at both ends
  - find, the claim inside the SSH handshake, heartbeats, gossip, advice, streams of visits
  - the listener behind a door's port, raw SSH on the tunnel port, find and ping on every web port;
    PROXY modes and what a door sends; pings, logins and sessions of users (without their secrets)
  - proxy peering: a request passed on costs latency, no handshake; no faults between instances
  - health checks of doors, allow lists, algorithms, retries
  - DNS answers by views, zones and faults; a stub resolver that asks three times, 5 s apart
  - resolvers: the machine and the cache of a live one, with two tries of 2 s at the DNS server
  - faults where live asks for them: at a SYN, at a door's connect, for each message of a flow;
    what a silent way holds waits in its order
  - the four timers that outlive a TTL: SSH keepalive (5 min, lost after 4 intervals), SYNs sent
    again, and, off unless asked for, data that is not acknowledged (Linux tcp_retries2, 924.6 s)
    and idle expiry at a door; off because live the door's kernel acknowledges what a silent door
    does not read, and the lab's doors forget no flow
Not modelled:
  - bytes: messages have nominal sizes, bandwidth and windows are without limit, so nothing stalls
  - the cost of anything but handshakes; full accept queues; exhausted ports or descriptors
  - packet loss, TCP's congestion, path MTU; DNS over TCP
  - apps beside the built-in one, and how long an app takes
  - databases: agents announce them, nobody visits them; stand-in agents; HTTP/2
  - the ten seconds for which a proxy gives the same answer to find: nothing changes it in a run
  - connections past the doors: an address at which no door listens refuses
  - an agent's or a proxy's own clock: certificates do not expire
";

/// Sees each fact with the state after it; says [`ControlFlow::Break`] with why to end the run.
pub type Observe<'a> = dyn FnMut(&Fact, &Snapshot) -> ControlFlow<&'static str> + 'a;

/// How a run is made.
#[derive(Clone)]
pub struct Options<'a> {
    /// The order of a recorded run, to be compared with it.
    pub follow: Option<Order>,
    /// Reads scenario and zones again, for `do: reload`.
    pub reload: &'a dyn Fn() -> Result<Rules, Vec<Mistake>>,
    /// The timers of connections.
    pub timers: Timers,
}

impl<'a> Options<'a> {
    /// Makes those of an ordinary run.
    pub fn new(reload: &'a dyn Fn() -> Result<Rules, Vec<Mistake>>) -> Self {
        Self {
            follow: None,
            reload,
            timers: Timers::default(),
        }
    }
}

/// What came of a run, beside its facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// When it ended; it begins at zero.
    pub virtual_time: Time,
    /// How many events of each kind happened.
    pub events: BTreeMap<&'static str, u64>,
    /// How many facts were made.
    pub facts: u64,
    /// How many agents there are.
    pub agents: usize,
    /// What the simulator itself keeps for an agent and its connections when most were open, without
    /// what machines have on the heap; `None` without agents.
    pub bytes_per_agent: Option<u64>,
    /// Why it ended.
    pub why: &'static str,
    /// Where it left the order that it was to follow.
    pub diverged: Option<Divergence>,
}

/// Plays a scenario in virtual time, from ready to the end of its timeline's duration.
pub fn run<'a>(
    topology: &Arc<Topology>,
    rules: Rules,
    options: Options<'a>,
    observe: &'a mut Observe<'a>,
) -> Summary {
    let hurried = options.follow.is_some().then(|| {
        let model = follow::hurried(topology.model);
        Arc::new(Topology {
            model,
            ..Topology::clone(topology)
        })
    });
    let topology = hurried.as_ref().unwrap_or(topology);
    let mut world = World::new(topology, rules, options, observe);
    world.start();
    world.run();
    world.summary()
}
