//! Whether the lab is in a state that a step of the timeline waits for.
//!
//! In go a condition and the state now; out comes yes or no. Nodes that are stopped or paused do
//! not count. Of nobody nothing holds: `agents have tunnels` is false where none runs.

use super::{Admin, AgentState, ProxyState, Snapshot, TunnelState};
use crate::model::fact::Health;
use crate::model::fault::{Effect, Target};
use crate::model::id::{Name, Node};
use crate::model::timeline::Condition;
use crate::model::topology::Topology;

/// Tells whether a condition holds now.
pub fn holds(condition: &Condition, state: &Snapshot, topology: &Topology) -> bool {
    match condition {
        Condition::Drained(node) => is_drained(node, state),
        Condition::Health {
            balancer,
            proxy,
            up,
        } => {
            let door = state.balancers.iter().find(|door| door.name == *balancer);
            let backends = door.map_or(&[][..], |door| &*door.backends);
            let backend = backends.iter().find(|backend| backend.proxy == *proxy);
            // An instance that was never checked is neither up nor down.
            backend.is_some_and(|backend| {
                backend.health != Health::Unknown && backend.health.usable() == *up
            })
        }
        Condition::Mesh => {
            let pool = topology.pool.proxies.iter().map(|proxy| &proxy.name);
            let pool: Vec<&Name> = pool.filter(|name| runs(name, state)).collect();
            let whole = |agent: &AgentState| {
                let stands = |name: &&Name| standing(agent).any(|tunnel| tunnel.proxy == **name);
                pool.iter().all(stands)
            };
            !pool.is_empty() && all(agents(state), whole)
        }
        Condition::Tunnels => all(agents(state), |agent| standing(agent).next().is_some()),
        Condition::Through(door) => {
            let tunnels = agents(state).flat_map(standing);
            all(tunnels, |tunnel| tunnel.balancer.as_ref() == Some(door))
        }
    }
}

/// Tells whether there is one and all of them are so.
fn all<T>(items: impl Iterator<Item = T>, is: impl Fn(T) -> bool) -> bool {
    let mut items = items.peekable();
    items.peek().is_some() && items.all(is)
}

/// Gives the agents that run.
fn agents(state: &Snapshot) -> impl Iterator<Item = &AgentState> {
    let agents = state.agents.iter();
    agents.filter(|agent| {
        agent.admin != Admin::Stopped && !state.is_paused(&Node::Agent(agent.name.clone()))
    })
}

/// Tells whether an instance of the pool runs.
fn runs(proxy: &Name, state: &Snapshot) -> bool {
    let stopped = |state: &ProxyState| state.name == *proxy && state.admin == Admin::Stopped;
    !state.proxies.iter().any(stopped) && !state.is_paused(&Node::Proxy(proxy.clone()))
}

fn standing(agent: &AgentState) -> impl Iterator<Item = &TunnelState> {
    agent.tunnels.iter().filter(|tunnel| tunnel.up)
}

fn is_drained(node: &Node, state: &Snapshot) -> bool {
    let admin = match node {
        Node::Agent(name) => {
            let mut agents = state.agents.iter();
            agents.find(|agent| agent.name == *name).map(|a| a.admin)
        }
        Node::Balancer(name) => {
            let mut doors = state.balancers.iter();
            doors.find(|door| door.name == *name).map(|d| d.admin)
        }
        Node::Proxy(name) => {
            let mut pool = state.proxies.iter();
            pool.find(|proxy| proxy.name == *name).map(|p| p.admin)
        }
        Node::User(name) => {
            let mut users = state.users.iter();
            users.find(|user| user.name == *name).map(|u| u.admin)
        }
        Node::Dns | Node::Lab | Node::Resolver(_) => None,
    };
    admin == Some(Admin::Drained)
}

impl Snapshot {
    fn is_paused(&self, node: &Node) -> bool {
        let mut faults = self.faults.iter();
        faults.any(|fault| {
            fault.what.effect == Effect::Pause
                && matches!(&fault.what.target, Target::Node(target) if target == node)
        })
    }
}

#[cfg(test)]
mod tests;
