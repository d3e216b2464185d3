//! An instance of the pool: chooses the service, registers tunnels, gossips, routes requests.
//!
//! In go ClientHellos, logins, heartbeats and request heads as the driver reads them; out come the
//! service, gossip to send, and the tunnel that takes a request, or the words of the refusal.
//! What the instances of a pool know of each other goes through Teleport's auth server; here an
//! instance announces itself and its apps, and the driver tells the others.

mod arrival;
mod liveness;
mod login;
mod message;
mod peers;
mod requests;
mod routing;

use std::collections::{BTreeMap, BTreeSet};

use crate::model::fact::{Act, Cut, Kind};
use crate::model::id::{ConnId, Name, Node, RequestId};
use crate::model::time::{Span, Time};
use crate::model::topology;
use crate::policy::{Context, Machine, Outbox};

use self::liveness::Holder;
use self::peers::Announced;
use self::routing::Routed;

pub use self::liveness::FORWARDS_MAX;
pub use self::login::{AUTH, GUEST, LAUNCH, location, name_of};
pub use self::message::{Input, Login, Output, Serves};
pub use self::peers::RESOURCES_MAX;
pub use self::requests::POSTGRES;

/// From one list of proxies to the next when nothing changed: two thirds of the agents' three
/// minutes (Teleport `discovery`).
pub const GOSSIP_EVERY: Span = Span::from_secs(120);

/// From one sign of life of this instance to the next (Teleport, from memory).
pub const PRESENCE_EVERY: Span = Span::from_secs(60);

/// How long an instance counts as alive after its last sign of life (Teleport, from memory).
pub const PRESENCE_FOR: Span = Span::from_secs(600);

/// How long a drain waits for open requests (Teleport's graceful timeout).
pub const DRAIN_FOR: Span = Span::from_secs(300);

/// How many connections are open at most at one instance; two descriptors each, with the tunnels. A
/// lab with more agents takes two of each agent.
pub const CONNS_MAX: usize = 4_096;

/// An instance of the pool.
#[derive(Debug)]
pub struct Proxy {
    node: Node,
    index: usize,
    work: Work,
    conns: u64,
    open: BTreeSet<ConnId>,
    tunnels: BTreeMap<ConnId, Tunnel>,
    /// Other instances by id, and until when they count as alive.
    peers: BTreeMap<Name, Time>,
    announced: Announced,
    /// When to look at tunnels for late heartbeats.
    watched: BTreeSet<(Time, ConnId)>,
    requests: u64,
    routed: BTreeMap<RequestId, Routed>,
    gossip_at: Option<Time>,
    presence_at: Option<Time>,
    /// The agents of the topology in the order of their host ids, once one has logged in.
    agents_by_id: Vec<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Draining { until: Time },
    Running,
    Stopped,
}

#[derive(Debug)]
struct Tunnel {
    agent: Name,
    holder: Holder,
    since: Time,
    beat: Option<Time>,
    /// When it is looked at: its entry in `watched`.
    look: Option<Time>,
    offline: bool,
    refused: bool,
    open: u32,
}

impl Proxy {
    /// Makes the instance with this place in the pool. It does nothing before `Operate(Start)`.
    pub fn new(index: usize, name: &Name) -> Self {
        Self {
            node: Node::Proxy(name.clone()),
            index,
            work: Work::Stopped,
            conns: 0,
            open: BTreeSet::new(),
            tunnels: BTreeMap::new(),
            peers: BTreeMap::new(),
            announced: Announced::default(),
            watched: BTreeSet::new(),
            requests: 0,
            routed: BTreeMap::new(),
            gossip_at: None,
            presence_at: None,
            agents_by_id: Vec::new(),
        }
    }

    fn config<'a>(&self, cx: &Context<'a>) -> &'a topology::Proxy {
        &cx.topology.pool.proxies[self.index]
    }

    fn tunnel_opened(
        &mut self,
        cx: &Context<'_>,
        conn: ConnId,
        host_id: Name,
        out: &mut Outbox<Output>,
    ) {
        if !self.open.contains(&conn) {
            // It was cut while its agent logged in.
            out.push(Output::CloseTunnel { conn });
            return;
        }
        let Some(agent) = self.agent_with(cx.topology, &host_id) else {
            let why = format!("no agent with host id {host_id} belongs to this cluster");
            out.fact(Kind::ConnRefused {
                conn,
                client: None,
                why,
            });
            out.push(Output::CloseTunnel { conn });
            return;
        };
        let agent = agent.name.clone();
        out.fact(Kind::TunnelRegistered {
            conn,
            agent: agent.clone(),
        });
        let tunnel = Tunnel::new(agent, Holder::Agent(host_id), cx.now);
        self.tunnels.insert(conn, tunnel);
        self.watch(cx, conn);
        if matches!(self.work, Work::Draining { .. }) {
            // It came too late for the advice that the others got.
            out.push(Output::Advise { conns: vec![conn] });
        }
    }

    /// Finds an agent by its host id: a fleet logs in at once, and is not searched for each.
    fn agent_with<'a>(
        &mut self,
        topology: &'a topology::Topology,
        host_id: &Name,
    ) -> Option<&'a topology::Agent> {
        let agents = &topology.agents;
        let id = |place: u32| agents.get(place as usize).map(|agent| &agent.id);
        if self.agents_by_id.len() != agents.len() {
            self.agents_by_id = (0..).take(agents.len()).collect();
            self.agents_by_id.sort_by_key(|place| id(*place));
        }
        let found = self
            .agents_by_id
            .binary_search_by(|place| id(*place).cmp(&Some(host_id)));
        agents.get(self.agents_by_id[found.ok()?] as usize)
    }

    fn heartbeat(
        &mut self,
        cx: &Context<'_>,
        conn: ConnId,
        serves: Serves,
        out: &mut Outbox<Output>,
    ) {
        let Some(tunnel) = self.tunnels.get_mut(&conn) else {
            return;
        };
        let Some(host_id) = tunnel.host_id().cloned() else {
            return;
        };
        let first = tunnel.beat.is_none();
        let late = std::mem::replace(&mut tunnel.offline, false);
        tunnel.beat = Some(cx.now);
        tunnel.refused = false;
        if late {
            self.watch(cx, conn);
        }
        self.announced.take(&host_id, &serves);
        out.push(Output::Announce { host_id, serves });
        if first {
            self.gossip(cx, vec![conn], out);
        }
    }

    fn gossip(&mut self, cx: &Context<'_>, conns: Vec<ConnId>, out: &mut Outbox<Output>) {
        if conns.is_empty() {
            return;
        }
        let own = matches!(self.work, Work::Running).then(|| self.config(cx).id.clone());
        let peers = self.peers.iter().filter(|(_, until)| cx.now < **until);
        let proxies: Vec<Name> = own
            .into_iter()
            .chain(peers.map(|(id, _)| id.clone()))
            .collect();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        out.fact(Kind::GossipSent {
            tunnels: count(conns.len()),
            proxies: count(proxies.len()),
        });
        out.push(Output::Gossip { conns, proxies });
    }

    /// Every sign of life counts as a change, so the list goes out again (Teleport `srv`).
    fn gossip_to_all(&mut self, cx: &Context<'_>, out: &mut Outbox<Output>) {
        self.gossip_at = Some(cx.now + GOSSIP_EVERY);
        let beaten = self
            .tunnels
            .iter()
            .filter(|(_, tunnel)| tunnel.beat.is_some());
        self.gossip(cx, beaten.map(|(conn, _)| *conn).collect(), out);
    }

    fn tunnel_closed(&mut self, conn: ConnId, why: String, out: &mut Outbox<Output>) {
        self.open.remove(&conn);
        if let Some(tunnel) = self.tunnels.remove(&conn) {
            out.fact(Kind::TunnelRemoved {
                conn,
                agent: tunnel.agent,
                why,
            });
            self.note_drained(out);
        }
    }

    /// Does an operator's act; one that changes nothing makes no fact.
    fn operate(&mut self, cx: &Context<'_>, act: Act, out: &mut Outbox<Output>) {
        match (act, self.work) {
            (Act::Drain, Work::Draining { .. } | Work::Stopped)
            | (Act::Start, Work::Running)
            | (Act::Kill | Act::Stop, Work::Stopped) => return,
            (Act::Drain | Act::Kill | Act::Start | Act::Stop, _) => {
                out.fact(Kind::Operated { act });
            }
        }
        match act {
            Act::Start => {
                if self.work == Work::Stopped {
                    // A new process has heard of nobody yet; the auth server tells it.
                    self.presence_at = Some(cx.now);
                    self.gossip_at = Some(cx.now + GOSSIP_EVERY);
                }
                self.work = Work::Running;
                out.push(Output::BeginListening);
            }
            Act::Drain => {
                self.work = Work::Draining {
                    until: cx.now + DRAIN_FOR,
                };
                out.push(Output::StopListening);
                self.advise_all(out);
                self.note_drained(out);
            }
            Act::Kill | Act::Stop => {
                let (how, why) = match act {
                    Act::Kill => (Cut::Reset, "the proxy was killed"),
                    Act::Drain | Act::Start | Act::Stop => (Cut::Finish, "the proxy was stopped"),
                };
                out.push(Output::StopListening);
                out.push(Output::CutAll { how });
                for (conn, tunnel) in std::mem::take(&mut self.tunnels) {
                    let why = why.to_owned();
                    out.fact(Kind::TunnelRemoved {
                        conn,
                        agent: tunnel.agent,
                        why,
                    });
                }
                self.cut_requests(cx, out);
                self.forget();
            }
        }
    }

    /// Ends as a process does: the next one knows nobody and nothing.
    fn forget(&mut self) {
        self.work = Work::Stopped;
        self.presence_at = None;
        self.gossip_at = None;
        self.peers.clear();
        self.announced.clear();
        self.watched.clear();
        // Their ends are not told one by one when they are cut.
        self.open.clear();
    }

    /// A drain is over when no request and no tunnel is left; then the instance says good-bye.
    fn note_drained(&mut self, out: &mut Outbox<Output>) {
        let draining = matches!(self.work, Work::Draining { .. });
        if draining && self.routed.is_empty() && self.tunnels.is_empty() {
            self.forget();
            out.fact(Kind::Drained);
            out.push(Output::Presence { alive: false });
            out.push(Output::CutAll { how: Cut::Finish });
        }
    }
}

impl Machine for Proxy {
    type Input = Input;
    type Output = Output;

    fn node(&self) -> Node {
        self.node.clone()
    }

    fn handle(&mut self, cx: &Context<'_>, input: Input, out: &mut Outbox<Output>) {
        match input {
            Input::Announced { host_id, serves } => {
                if self.work != Work::Stopped {
                    self.announced.take(&host_id, &serves);
                }
            }
            Input::ConnClosed { conn } => {
                self.open.remove(&conn);
            }
            Input::Heartbeat { conn, serves } => self.heartbeat(cx, conn, serves, out),
            Input::HelloRead {
                listener,
                client,
                sni,
                alpn,
            } => self.hello_read(cx, (listener, client), (sni, alpn), out),
            Input::SshRead { listener, client } => self.ssh_read(cx, (listener, client), out),
            Input::DatabaseAsked { client, route } => {
                self.database_asked(cx, client, &route, out);
            }
            Input::PeerAsked { .. } | Input::PeerTook { .. } => self.peering(cx, input, out),
            Input::StandInOpened {
                conn,
                name,
                resources,
            } => self.stand_in_opened(cx, conn, (name, resources), out),
            Input::Operate(act) => self.operate(cx, act, out),
            Input::PeerGone { id } => {
                if self.peers.remove(&id).is_some() {
                    self.gossip_to_all(cx, out);
                }
            }
            Input::PeerSeen { id } => {
                if id != self.config(cx).id && self.work != Work::Stopped {
                    self.peers.retain(|_, until| cx.now < *until);
                    self.peers.insert(id, cx.now + PRESENCE_FOR);
                    self.gossip_to_all(cx, out);
                }
            }
            Input::RequestEnded {
                request,
                status,
                bytes,
            } => {
                self.request_ended(cx, request, (status, bytes), out);
            }
            Input::RequestRead {
                client,
                host,
                path,
                session,
            } => self.request_read(cx, client, (&host, &path), session, out),
            Input::StreamRefused {
                request,
                why,
                broken,
            } => {
                self.stream_refused(cx, request, &why, broken, out);
            }
            Input::TunnelOpened { conn, host_id } => self.tunnel_opened(cx, conn, host_id, out),
            Input::TunnelClosed { conn, why } => self.tunnel_closed(conn, why, out),
        }
    }

    fn is_answer(output: &Output) -> bool {
        match output {
            Output::AskPeers { .. }
            | Output::Redirect { .. }
            | Output::RefuseHello { .. }
            | Output::RefuseRequest { .. }
            | Output::Route { .. }
            | Output::Serve { .. }
            | Output::ServeWebApi => true,
            Output::Advise { .. }
            | Output::Announce { .. }
            | Output::BeginListening
            | Output::CloseTunnel { .. }
            | Output::CutAll { .. }
            | Output::Gossip { .. }
            | Output::Presence { .. }
            | Output::StopListening => false,
        }
    }

    fn deadline(&self) -> Option<(Time, &'static str)> {
        let drain = match self.work {
            Work::Draining { until } => Some((until, "end of drain")),
            Work::Running | Work::Stopped => None,
        };
        let gossip = self.gossip_at.map(|at| (at, "gossip"));
        let presence = self.presence_at.map(|at| (at, "sign of life"));
        let late = self.late_at().map(|at| (at, "late heartbeat"));
        [drain, gossip, presence, late].into_iter().flatten().min()
    }

    fn wake(&mut self, cx: &Context<'_>, out: &mut Outbox<Output>) {
        if self.presence_at.is_some_and(|at| at <= cx.now) {
            self.presence_at = Some(cx.now + PRESENCE_EVERY);
            out.push(Output::Presence { alive: true });
        }
        if self.gossip_at.is_some_and(|at| at <= cx.now) {
            self.gossip_to_all(cx, out);
        }
        if self.late_at().is_some_and(|at| at <= cx.now) {
            self.note_late(cx, out);
        }
        if let Work::Draining { until } = self.work
            && until <= cx.now
        {
            for (conn, tunnel) in std::mem::take(&mut self.tunnels) {
                let why = String::from("the drain's time was over");
                out.fact(Kind::TunnelRemoved {
                    conn,
                    agent: tunnel.agent,
                    why,
                });
            }
            self.cut_requests(cx, out);
            self.note_drained(out);
        }
    }
}

#[cfg(test)]
mod tests;
