//! Who is where, who runs, and who holds which tunnel: what the checks must remember of agents.
//!
//! In go facts; out come the turns that checks judge ([`Turn`]). Tunnels are counted here, from what
//! was claimed and lost, and not taken from the count that an agent says.

use std::collections::BTreeMap;

use crate::model::expect::Who;
use crate::model::fact::{Act, Kind};
use crate::model::fault::{Effect, Fault, Target};
use crate::model::id::{DialId, FaultId, Name, Node};
use crate::model::time::{Span, Time};
use crate::model::topology::Topology;

/// What turned for an agent, which is given by its number.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Turn {
    /// A tunnel stands.
    Back {
        agent: u32,
        /// Since the last tunnel to the same proxy was lost, as the agent says.
        gap: Option<Span>,
        /// What has ended with it, if the agent had no tunnel.
        outage: Option<Outage>,
    },
    /// Its last tunnel is lost, while it ran.
    Out { agent: u32 },
}

/// A time without any tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outage {
    /// When the last tunnel was lost.
    pub(super) since: Time,
    /// The network that the agent was in then.
    pub(super) network: Name,
}

/// All agents.
#[derive(Clone, Debug)]
pub(super) struct Roster {
    agents: Vec<Agent>,
    by_name: BTreeMap<Name, u32>,
    /// Whether each proxy was taken down on purpose.
    proxies: Vec<Rest>,
    proxy_by_name: BTreeMap<Name, u32>,
    /// Pauses in force: few, and each has been set on purpose.
    pauses: BTreeMap<FaultId, Node>,
}

/// One agent.
#[derive(Clone, Debug)]
pub(super) struct Agent {
    pub(super) name: Name,
    pub(super) network: Name,
    /// When it began to be live and without a tunnel, for the first time or again.
    pub(super) idle_since: Option<Time>,
    /// Set while it is live and has lost its last tunnel.
    pub(super) outage: Option<Outage>,
    rest: Rest,
    standing: u32,
    /// The newest tunnel to each proxy; those that drain beside it are only counted.
    held: Vec<Held>,
}

#[derive(Clone, Debug)]
struct Held {
    proxy: u32,
    dial: DialId,
    lost: Option<Time>,
}

/// Whether a node rests because somebody wanted it to.
#[derive(Clone, Copy, Debug, Default)]
struct Rest {
    told: bool,
    pauses: u32,
}

impl Rest {
    const fn runs(self) -> bool {
        !self.told && self.pauses == 0
    }
}

impl Roster {
    pub(super) fn new(topology: &Topology) -> Self {
        let agents = topology.agents.iter().map(|agent| Agent {
            name: agent.name.clone(),
            network: agent.network.clone(),
            idle_since: Some(Time::ZERO),
            outage: None,
            rest: Rest::default(),
            standing: 0,
            held: Vec::new(),
        });
        let by_name = (0..).zip(&topology.agents);
        let proxies = (0..).zip(&topology.pool.proxies);
        Self {
            agents: agents.collect(),
            by_name: by_name.map(|(n, agent)| (agent.name.clone(), n)).collect(),
            proxies: vec![Rest::default(); topology.pool.proxies.len()],
            proxy_by_name: proxies.map(|(n, proxy)| (proxy.name.clone(), n)).collect(),
            pauses: BTreeMap::new(),
        }
    }

    /// Gives an agent by its number.
    pub(super) fn agent(&self, number: u32) -> &Agent {
        &self.agents[number as usize]
    }

    /// Gives all agents with their numbers.
    pub(super) fn agents(&self) -> impl Iterator<Item = (u32, &Agent)> {
        (0..).zip(&self.agents)
    }

    /// Gives the loss of every tunnel that could be back and is not: both of its ends run.
    pub(super) fn lost(&self) -> impl Iterator<Item = Time> {
        let running = self.agents.iter().filter(|agent| agent.rest.runs());
        running.flat_map(|agent| {
            let could = |held: &&Held| self.proxies[held.proxy as usize].runs();
            let held = agent.held.iter().filter(could);
            held.filter_map(|held| held.lost)
        })
    }

    /// Takes a fact that bears on agents.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "few kinds bear on who holds which tunnel"
    )]
    pub(super) fn fold(&mut self, at: Time, node: &Node, kind: &Kind) -> Option<Turn> {
        match kind {
            Kind::Claimed {
                dial, proxy, gap, ..
            } => self.claimed(node, *dial, proxy, *gap),
            Kind::TunnelLost { dial, proxy, .. } => self.tunnel_lost(at, node, *dial, proxy),
            Kind::Roamed { network, .. } => {
                if let Some(agent) = self.number(node) {
                    self.agents[agent as usize].network = network.clone();
                }
                None
            }
            Kind::Operated { act } => {
                let told = *act != Act::Start;
                self.change(at, node, |rest| rest.told = told);
                None
            }
            Kind::FaultSet { fault, what, .. } => {
                if let Some(node) = paused_by(what)
                    && self.pauses.insert(*fault, node.clone()).is_none()
                {
                    self.change(at, node, |rest| rest.pauses += 1);
                }
                None
            }
            Kind::FaultLifted { fault, .. } => {
                if let Some(node) = self.pauses.remove(fault) {
                    self.change(at, &node, |rest| {
                        rest.pauses = rest.pauses.saturating_sub(1);
                    });
                }
                None
            }
            _ => None,
        }
    }

    fn number(&self, node: &Node) -> Option<u32> {
        match node {
            Node::Agent(name) => self.by_name.get(name).copied(),
            Node::Balancer(_)
            | Node::Dns
            | Node::Lab
            | Node::Proxy(_)
            | Node::Resolver(_)
            | Node::User(_) => None,
        }
    }

    fn claimed(
        &mut self,
        node: &Node,
        dial: DialId,
        proxy: &Name,
        gap: Option<Span>,
    ) -> Option<Turn> {
        let number = self.number(node)?;
        let proxy = self.proxy_by_name.get(proxy).copied();
        let agent = &mut self.agents[number as usize];
        agent.standing += 1;
        agent.idle_since = None;
        let outage = agent.outage.take();
        if let Some(proxy) = proxy {
            agent.held.retain(|held| held.proxy != proxy);
            let lost = None;
            agent.held.push(Held { proxy, dial, lost });
        }
        let agent = number;
        Some(Turn::Back { agent, gap, outage })
    }

    fn tunnel_lost(&mut self, at: Time, node: &Node, dial: DialId, proxy: &Name) -> Option<Turn> {
        let number = self.number(node)?;
        let proxy = self.proxy_by_name.get(proxy).copied();
        let agent = &mut self.agents[number as usize];
        let of = |held: &&mut Held| Some(held.proxy) == proxy && held.dial == dial;
        if let Some(held) = agent.held.iter_mut().find(of) {
            held.lost = Some(at);
        }
        let stood = agent.standing > 0;
        agent.standing = agent.standing.saturating_sub(1);
        if !stood || agent.standing > 0 || !agent.rest.runs() {
            return None;
        }
        agent.idle_since = Some(at);
        agent.outage = Some(Outage {
            since: at,
            network: agent.network.clone(),
        });
        Some(Turn::Out { agent: number })
    }

    /// Changes whether a node rests. Who is put to rest is not out; who wakes is live again.
    fn change(&mut self, at: Time, node: &Node, change: impl FnOnce(&mut Rest)) {
        if let Node::Proxy(name) = node
            && let Some(proxy) = self.proxy_by_name.get(name)
        {
            change(&mut self.proxies[*proxy as usize]);
        } else if let Some(number) = self.number(node) {
            let agent = &mut self.agents[number as usize];
            let ran = agent.rest.runs();
            change(&mut agent.rest);
            match (ran, agent.rest.runs()) {
                (true, false) => {
                    agent.outage = None;
                    agent.idle_since = None;
                }
                (false, true) if agent.standing == 0 => agent.idle_since = Some(at),
                _ => {}
            }
        }
    }
}

impl Agent {
    pub(super) const fn has_tunnel(&self) -> bool {
        self.standing > 0
    }

    /// Tells whether this agent, in this network, is meant.
    pub(super) fn is(&self, who: &Who, network: &Name) -> bool {
        match who {
            Who::Agents(None) => true,
            Who::Agents(Some(wanted)) => wanted == network,
            Who::Node(Node::Agent(name)) => *name == self.name,
            Who::Node(_) | Who::Users(_) => false,
        }
    }

    /// Gives its node.
    pub(super) fn node(&self) -> Node {
        Node::Agent(self.name.clone())
    }
}

fn paused_by(fault: &Fault) -> Option<&Node> {
    match (&fault.target, &fault.effect) {
        (Target::Node(node), Effect::Pause) => Some(node),
        _ => None,
    }
}
