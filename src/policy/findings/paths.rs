//! Where names lead: to no address, to no door, to a door that refuses, or to the wrong one.

use crate::model::addr::HostPort;
use crate::model::finding::Key;
use crate::model::places;
use crate::model::topology::Role;
use crate::policy::address::VARIABLE;

use super::addresses::key_of;
use super::scene::{Caller, Lead, Scene, Visitor};
use super::told::{Said, Told};

const PUBLIC: &str = "proxy_service.public_addr";

/// Tells what there is to tell of the ways through DNS and doors.
pub(super) fn tell(scene: &Scene<'_>, told: &mut Told) {
    for agent in &scene.agents {
        ends(agent, told);
        elsewhere(agent, told);
        role(scene, agent, told);
    }
    for visitor in &scene.users {
        user(scene, visitor, told);
    }
}

/// Gives the key that named the tunnel's address.
fn key_of_tunnel(agent: &Caller<'_>) -> Key {
    match agent.variable {
        Some(_) => Key {
            of: places::Subject::Environment(agent.name.clone()),
            path: String::from(VARIABLE),
        },
        None => Key {
            of: places::Subject::Pool,
            path: String::from(PUBLIC),
        },
    }
}

/// Both addresses of an agent must end at a door that lets it in.
fn ends(agent: &Caller<'_>, told: &mut Told) {
    let seed = (agent.proxy_server, agent.seed_leads.as_ref());
    let tunnel = agent.tunnel.as_ref().ok();
    let tunnel = tunnel.filter(|tunnel| *tunnel != agent.proxy_server);
    let seed_fails = seed
        .1
        .is_some_and(|lead| dead_end(lead, seed.0, agent.network).is_some());
    if let Some((id, what, cure)) = seed
        .1
        .and_then(|lead| dead_end(lead, seed.0, agent.network))
    {
        let what = format!("find is asked at {}, {what}", seed.0);
        told.agent(id, agent.name, Some(key_of(agent)), (what, cure));
    }
    if let Some(tunnel) = tunnel
        && !seed_fails
        && let Some(lead) = &agent.tunnel_leads
        && let Some((id, what, cure)) = dead_end(lead, tunnel, agent.network)
    {
        let what = format!("its tunnel is dialled at {tunnel}, {what}");
        told.agent(id, agent.name, Some(key_of_tunnel(agent)), (what, cure));
    }
}

/// Says why an address leads a client nowhere.
fn dead_end(
    lead: &Lead<'_>,
    to: &HostPort,
    network: &str,
) -> Option<(&'static str, String, String)> {
    match lead {
        Lead::Door(..) | Lead::Proxy => None,
        Lead::NoAddress(view, code) => {
            let (said, cure) = no_address(view.map(|view| &**view), code, to);
            Some(("name-without-address", said, cure))
        }
        Lead::NoDoor(address) => Some((
            "no-door-there",
            format!("which is {address} for it, and no door listens there"),
            format!("correct the port or the record, or let a door listen on {address}"),
        )),
        Lead::Refused(door, address) => Some((
            "door-refuses",
            format!(
                "which is {address} for it: balancer/{} lets nobody of network {network} in",
                door.name
            ),
            format!(
                "add {network} to that door's allow, or answer {} with the address of another \
                 door in the view of that network",
                to.host
            ),
        )),
    }
}

fn no_address(view: Option<&str>, code: &str, to: &HostPort) -> Said {
    let host = &to.host;
    match view {
        Some(view) => (
            format!("and view {view} has no address for {host} ({code})"),
            format!("add {host} to a zone of view {view}"),
        ),
        None => (
            format!("and no view answers it ({code})"),
            String::from("let a view match its network"),
        ),
    }
}

/// Find through one door, the tunnel through another, and nobody asked for it.
fn elsewhere(agent: &Caller<'_>, told: &mut Told) {
    let door = |lead: &Option<Lead<'_>>| {
        let door = lead.as_ref().and_then(|lead| lead.door());
        door.map(|door| door.name.clone())
    };
    let (seed, tunnel) = (door(&agent.seed_leads), door(&agent.tunnel_leads));
    if agent.variable.is_some() || seed == tunnel {
        return;
    }
    if let (Some(seed), Some(tunnel), Ok(address)) = (seed, tunnel, &agent.tunnel) {
        told.agent(
            "bootstrap-then-elsewhere",
            agent.name,
            Some(key_of(agent)),
            (
                format!(
                    "find goes through balancer/{seed} and answers {address}, so its tunnels go \
                     through balancer/{tunnel}"
                ),
                format!(
                    "set {VARIABLE}={} in its environment, once that host is in \
                     public_addr",
                    agent.proxy_server
                ),
            ),
        );
    }
}

/// An agent at the users' door: because of its network, or because of the name.
fn role(scene: &Scene<'_>, agent: &Caller<'_>, told: &mut Told) {
    let door = agent.tunnel_leads.as_ref().and_then(|lead| lead.door());
    let door = door.filter(|door| door.meant_for == Some(Role::Users));
    let (Some(door), Ok(address)) = (door, &agent.tunnel) else {
        return;
    };
    let (name, network) = (&door.name, agent.network);
    if scene.doors_of(address).len() > 1 {
        told.agent(
            "role-follows-network",
            agent.name,
            None,
            (
                format!(
                    "it is in network {network}, where {} leads to balancer/{name}, the door \
                     meant for users",
                    address.host
                ),
                String::from(
                    "nothing, or a name for agents alone: DNS tells networks apart, not roles",
                ),
            ),
        );
        return;
    }
    told.agent(
        "agent-through-user-door",
        agent.name,
        Some(key_of_tunnel(agent)),
        (
            format!(
                "its tunnel is dialled at {address}, which is balancer/{name} from everywhere, \
                 the door meant for users"
            ),
            String::from(
                "give agents the internal door's name: TELEPORT_TUNNEL_PUBLIC_ADDR with \
                 multiplex, tunnel_public_addr without, or a view of their own",
            ),
        ),
    );
}

fn user(scene: &Scene<'_>, visitor: &Visitor<'_>, told: &mut Told) {
    let Some(first) = scene.service.public.first() else {
        return;
    };
    let Some(lead) = &visitor.leads else { return };
    let (name, network) = (&visitor.user.name, &*visitor.user.network);
    if let Some((_, what, cure)) = dead_end(lead, first, network) {
        let key = Some(Key {
            of: places::Subject::Pool,
            path: format!("{PUBLIC}[0]"),
        });
        let what =
            format!("tsh and every app redirect go to {first}, the first public_addr, {what}");
        told.user("first-public-addr-unreachable", name, key, (what, cure));
    }
    let door = lead
        .door()
        .filter(|door| door.meant_for == Some(Role::Agents));
    if let Some(door) = door.filter(|_| scene.doors_of(first).len() > 1) {
        told.user(
            "role-follows-network",
            name,
            None,
            (
                format!(
                    "network {network} is led by {} to balancer/{}, the door meant for agents",
                    first.host, door.name
                ),
                String::from(
                    "nothing, or a name for agents alone: DNS tells networks apart, not roles",
                ),
            ),
        );
    }
}
