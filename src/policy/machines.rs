//! The machines of a topology, as every driver makes them: live, replayed, simulated.
//!
//! In go the topology and a node's place in its list; out comes a machine that has seen nothing.

use super::{agent, balancer, conductor, proxy, resolver, user};
use crate::model::topology::Topology;

/// Makes the machine of `topology.agents[index]`.
///
/// # Panics
/// When there is no such agent.
pub fn agent(topology: &Topology, index: usize) -> agent::Agent {
    let place = u32::try_from(index).expect("a scenario has fewer agents than 2^32");
    agent::Agent::new(place, &topology.agents[index].name)
}

/// Makes the machine of `topology.balancers[index]`.
///
/// # Panics
/// When there is no such balancer.
pub fn balancer(topology: &Topology, index: usize) -> balancer::Balancer {
    balancer::Balancer::new(topology, index)
}

/// Makes the machine that plays the timeline.
pub fn conductor(topology: &Topology) -> conductor::Conductor {
    conductor::Conductor::new(topology)
}

/// Makes the machine of `topology.pool.proxies[index]`.
///
/// # Panics
/// When there is no such instance.
pub fn proxy(topology: &Topology, index: usize) -> proxy::Proxy {
    proxy::Proxy::new(index, &topology.pool.proxies[index].name)
}

/// Makes the machine of `topology.resolvers[index]`.
///
/// # Panics
/// When there is no such resolver.
pub fn resolver(topology: &Topology, index: usize) -> resolver::Resolver {
    resolver::Resolver::new(&topology.resolvers[index].name)
}

/// Makes the machine of `topology.users[index]`.
///
/// # Panics
/// When there is no such user.
pub fn user(topology: &Topology, index: usize) -> user::User {
    user::User::new(index, &topology.users[index].name)
}
