//! What stands behind the ports of doors: listeners that are missing, and ports that lead elsewhere.

use crate::model::addr::HostPort;
use crate::model::finding::Key;
use crate::model::places;
use crate::model::teleport::Port;

use super::addresses::key_of;
use super::scene::{Caller, Scene};
use super::told::Told;

/// What users without TLS routing have a port of their own for.
const OF_USERS: [(Port, &str); 5] = [
    (Port::Ssh, "tsh ssh"),
    (Port::Kube, "kubectl"),
    (Port::Mysql, "MySQL clients"),
    (Port::Postgres, "psql"),
    (Port::Mongo, "MongoDB clients"),
];

/// Tells what there is to tell of listeners.
pub(super) fn tell(scene: &Scene<'_>, told: &mut Told) {
    let service = scene.service;
    let separate = !service.tls_routing();
    if separate && service.listener(Port::Tunnel).is_none() {
        told.pool(
            "no-tunnel-listener",
            "proxy_service.tunnel_listen_addr",
            (
                String::from(
                    "proxy_listener_mode is separate (which is what an absent key means), and from \
                     version v2 on there is no tunnel listener unless it is written: no agent gets \
                     a tunnel",
                ),
                String::from(
                    "write tunnel_listen_addr: 0.0.0.0:3024, or proxy_listener_mode: multiplex",
                ),
            ),
        );
    } else {
        for agent in &scene.agents {
            behind_the_door(scene, agent, told);
        }
    }
    if separate {
        user_ports(scene, told);
    }
}

/// The port of the door decides which listener the tunnel's connection reaches.
fn behind_the_door(scene: &Scene<'_>, agent: &Caller<'_>, told: &mut Told) {
    let service = scene.service;
    let lead = agent.tunnel_leads.as_ref();
    let Some((door, port, listener)) = lead.and_then(|lead| lead.listener(service)) else {
        return;
    };
    let wanted = if service.tls_routing() {
        Port::Web
    } else {
        Port::Tunnel
    };
    let number = |of: Port| {
        service
            .listener(of)
            .map_or_else(|| of.default_port(), |at| at.port)
    };
    // One socket for both takes either (reference 3.3, first row).
    if listener == wanted || number(listener) == number(wanted) {
        return;
    }
    let why = if service.tls_routing() {
        format!("with multiplex tunnels come in on the {wanted} listener alone")
    } else {
        format!("without multiplex it is raw SSH, which the {wanted} listener alone takes")
    };
    told.agent(
        "no-tunnel-listener",
        agent.name,
        Some(key_of(agent)),
        (
            format!(
                "its tunnel goes to port {port} of balancer/{}, behind which is the {listener} \
                 listener: {why}",
                door.name
            ),
            format!(
                "have the tunnel's address name port {}, and let the door listen there",
                number(wanted)
            ),
        ),
    );
}

/// Without TLS routing every protocol of users has its own port, and the door must have it too.
fn user_ports(scene: &Scene<'_>, told: &mut Told) {
    let service = scene.service;
    let Some(first) = service.public.first() else {
        return;
    };
    for visitor in &scene.users {
        // Who cannot come in at all is told so elsewhere.
        if visitor
            .leads
            .as_ref()
            .and_then(|lead| lead.door())
            .is_none()
        {
            continue;
        }
        for (listener, clients) in OF_USERS {
            let Some(at) = service.listener(listener) else {
                continue;
            };
            let own = match listener {
                Port::Ssh => service.ssh_public.first(),
                Port::Kube => service.kube_public.first(),
                Port::Mysql => service.mysql_public.first(),
                Port::Postgres => service.postgres_public.first(),
                Port::Mongo => service.mongo_public.first(),
                Port::Peer | Port::Tunnel | Port::Web => None,
            };
            let (host, port) = (first.host.clone(), at.port);
            let to = own.cloned().unwrap_or(HostPort { host, port });
            let lead = scene.user_lead(visitor.user, &to);
            let behind = lead.and_then(|lead| lead.listener(service));
            if behind.is_some_and(|(_, _, behind)| behind == listener) {
                continue;
            }
            told.user(
                "user-port-not-forwarded",
                &visitor.user.name,
                Some(Key {
                    of: places::Subject::Pool,
                    path: format!("proxy_service.{}", listener.key()),
                }),
                (
                    format!(
                        "without multiplex the address for {clients} is {to}, and no door passes \
                         that on to the {listener} listener"
                    ),
                    format!(
                        "let the users' door listen on {port} too, or write proxy_listener_mode: \
                         multiplex"
                    ),
                ),
            );
        }
    }
}
