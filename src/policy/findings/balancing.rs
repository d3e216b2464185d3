//! How doors choose, how agents wait, and which proxies they therefore never reach.

use std::collections::BTreeMap;

use crate::model::fact::Kind;
use crate::model::finding::Key;
use crate::model::id::Name;
use crate::model::places;
use crate::model::teleport::{Backoff, Strategy};
use crate::model::time::Span;
use crate::model::topology::{Agent, Algorithm, Balancer, Topology};

use super::scene::Scene;
use super::told::Told;

/// After so many attempts in a row that ended in "proxy already claimed" an agent that the rule
/// holds for says so; by then it has waited about a minute.
pub const IN_VAIN: u8 = 12;

/// After so many rounds of a strict turn the same things happen again.
const ROUNDS: usize = 4;

/// Waits of Teleport's backoff stop growing after so many.
const LONGEST_STEP: u64 = 8;

/// Tells what there is to tell of balancing.
pub(super) fn tell(scene: &Scene<'_>, told: &mut Told) {
    if (scene.service.strategy == Strategy::ProxyPeering { connections: 1 }) {
        told.pool(
            "peering-one-connection",
            "auth_service.tunnel_strategy.agent_connection_count",
            (
                String::from(
                    "each agent holds one tunnel: while its proxy restarts, nothing behind the \
                     agent can be reached",
                ),
                String::from("write agent_connection_count: 2"),
            ),
        );
    }
    let Some(topology) = scene.topology else {
        return;
    };
    mesh(topology, scene, told);
    in_step(topology, told);
}

fn mesh(topology: &Topology, scene: &Scene<'_>, told: &mut Told) {
    let mut clients: BTreeMap<&Name, u32> = BTreeMap::new();
    let agents = scene.agents.iter().map(|agent| &agent.tunnel_leads);
    let users = scene.users.iter().map(|visitor| &visitor.leads);
    for door in agents.chain(users).filter_map(|lead| lead.as_ref()?.door()) {
        *clients.entry(&door.name).or_default() += 1;
    }
    for (agent, caller) in topology.agents.iter().zip(&scene.agents) {
        let seed = caller.seed_leads.as_ref().and_then(|lead| lead.door());
        let door = caller.tunnel_leads.as_ref().and_then(|lead| lead.door());
        // Find through another door does not take a turn of this one.
        let door = match (seed, door) {
            (Some(seed), Some(door)) if seed.name == door.name => door,
            _ => continue,
        };
        let Some(unreached) = unreached(topology, agent, door) else {
            continue;
        };
        let unless = if clients.get(&door.name) == Some(&1) {
            "nobody else uses that door, so it stays so"
        } else {
            "only others who use that door shift the turn, by chance"
        };
        told.agent(
            "mesh-never-completes",
            &agent.name,
            Some(Key {
                of: places::Subject::Scenario,
                path: String::from("agents"),
            }),
            (
                format!(
                    "{}; {unless}",
                    reason(topology, agent, &door.name, unreached)
                ),
                format!(
                    "keep find's answer longer (Teleport's own cache is 3 s), have an odd number \
                     of proxies, use least_connections at balancer/{}, or tunnel_strategy: \
                     {{type: proxy_peering, agent_connection_count: 2}}",
                    door.name
                ),
            ),
        );
    }
}

/// Says that an agent's mesh does not complete, once it has tried in vain [`IN_VAIN`] times: a fact
/// when the reason is the turn of its door.
pub fn mesh_never_completes(
    topology: &Topology,
    agent: &Agent,
    door: &Balancer,
    (held, known): (usize, usize),
) -> Option<Kind> {
    let unreached = unreached(topology, agent, door)?;
    Some(Kind::Finding {
        id: "mesh-never-completes",
        detail: format!(
            "agent {} holds {held} of {known} proxies, and its last {IN_VAIN} attempts ended in \
             \"proxy already claimed\": {}",
            agent.name,
            reason(topology, agent, &door.name, unreached)
        ),
    })
}

fn reason(topology: &Topology, agent: &Agent, door: &Name, unreached: usize) -> String {
    let proxies = topology.pool.proxies.len();
    let cache = agent.find_cache;
    format!(
        "find and the dial after it take turns at balancer/{door}, and with {proxies} proxies in \
         strict round robin and find's answer kept for {cache} the dials always fall on the same \
         ones: {unreached} of {proxies} are never reached"
    )
}

/// Counts the proxies that an agent never reaches through a door that is its alone; `None` when it
/// reaches them all, or its door's choice is not a strict turn.
fn unreached(topology: &Topology, agent: &Agent, door: &Balancer) -> Option<usize> {
    let proxies = topology.pool.proxies.len();
    let strict = door.algorithm == Algorithm::RoundRobin;
    let mesh = topology.pool.teleport.strategy == Strategy::AgentMesh;
    if !strict || !mesh || proxies % 2 == 1 {
        return None;
    }
    let mut reached = vec![false; proxies];
    let (mut turn, mut found_ago) = (0, None);
    let attempts = proxies * ROUNDS + usize::from(IN_VAIN);
    for (step, _) in (0..).zip(0..attempts) {
        // With the shortest waits that can be drawn find is asked most seldom: what is not reached
        // then is reached by no luck.
        let cached = found_ago.is_some_and(|ago| ago < agent.find_cache);
        if !cached {
            turn += 1;
            found_ago = Some(Span::ZERO);
        }
        reached[turn % proxies] = true;
        turn += 1;
        found_ago = found_ago.map(|ago| ago + shortest(agent.backoff, step));
    }
    let unreached = reached.iter().filter(|reached| !**reached).count();
    (unreached > 0).then_some(unreached)
}

/// Gives the shortest wait after an attempt; `step` counts the waits before it.
fn shortest(backoff: Backoff, step: u64) -> Span {
    let half = |span: Span| Span::from_us(span.as_us() / 2);
    match backoff {
        Backoff::Fixed { wait } => wait,
        Backoff::FullJitter { .. } => Span::ZERO,
        Backoff::JitterBeforeCap { first, cap } => {
            let doubled = (0..step.min(32)).fold(first, |span, _| cap.min(span.times(2)));
            cap.min(half(doubled))
        }
        Backoff::Teleport => half(Span::from_secs(step.min(LONGEST_STEP))),
    }
}

/// Waits that are the same for all bring agents back together.
fn in_step(topology: &Topology, told: &mut Told) {
    if topology.agents.len() < 2 {
        return;
    }
    for agent in &topology.agents {
        let how = match agent.backoff {
            Backoff::Fixed { wait } => format!("it waits {wait} after each attempt"),
            Backoff::JitterBeforeCap { cap, .. } => {
                format!("its waits are drawn before they are cut at {cap}, so all end at {cap}")
            }
            Backoff::FullJitter { .. } | Backoff::Teleport => continue,
        };
        told.agent(
            "backoff-in-step",
            &agent.name,
            Some(Key {
                of: places::Subject::Scenario,
                path: String::from("agents"),
            }),
            (
                format!("{how}: agents that lose their tunnels together come back together"),
                String::from("draw the wait after the cut: backoff: {kind: teleport}"),
            ),
        );
    }
}
