//! Addresses in the files: which are told to agents, and which nobody uses.

use crate::model::addr::{self, HostPort};
use crate::model::finding::Key;
use crate::model::places;
use crate::model::teleport::Port;
use crate::policy::address::VARIABLE;

use super::scene::{Caller, Scene};
use super::told::Told;

const AUTH_PORT: u16 = 3025;
const HTTPS_PORT: u16 = 443;

/// Tells what there is to tell of addresses.
pub(super) fn tell(scene: &Scene<'_>, told: &mut Told) {
    lists(scene, told);
    multiplexed(scene, told);
    for agent in &scene.agents {
        variable(scene, agent, told);
        proxy_server(scene, agent, told);
    }
    underscores(scene, told);
}

/// Tells whether an agent's variable names this host.
fn is_named(scene: &Scene<'_>, host: &str) -> bool {
    let mut named = scene.agents.iter().filter_map(|agent| agent.variable);
    named.any(|text| addr::read(text).is_ok_and(|read| read.host.eq_ignore_ascii_case(host)))
}

/// Of each list only the first entry is advertised.
fn lists(scene: &Scene<'_>, told: &mut Told) {
    let service = scene.service;
    if let [first, rest @ ..] = &*service.public
        && !rest.is_empty()
    {
        told.pool(
            "several-public-addrs",
            "proxy_service.public_addr",
            (
                format!(
                    "tsh, app redirects and single sign-on use {first}, the first public_addr, \
                     whichever name a user came in by"
                ),
                String::from("put the name that every user can reach first"),
            ),
        );
        for (index, unused) in (1..).zip(rest) {
            if !is_named(scene, &unused.host) {
                told.pool(
                    "public-addr-unused",
                    &format!("proxy_service.public_addr[{index}]"),
                    (
                        format!(
                            "agents are told {first} only, and no agent names {} itself: \
                             {unused} is a principal that nobody asks for",
                            unused.host
                        ),
                        format!("set {VARIABLE}={unused} in the environment of those agents"),
                    ),
                );
            }
        }
    }
    if let [first, rest @ ..] = &*service.tunnel_public
        && !service.tls_routing()
    {
        for (index, unused) in (1..).zip(rest) {
            if !is_named(scene, &unused.host) {
                told.pool(
                    "only-first-tunnel-public-addr",
                    &format!("proxy_service.tunnel_public_addr[{index}]"),
                    (
                        format!("agents are told {first} only and never dial {unused}"),
                        format!(
                            "take it out, or set {VARIABLE}={unused} in the environment of the \
                             agents that shall dial it"
                        ),
                    ),
                );
            }
        }
    }
}

/// With TLS routing the tunnel's own addresses are not looked at.
fn multiplexed(scene: &Scene<'_>, told: &mut Told) {
    let service = scene.service;
    if !service.tls_routing() {
        return;
    }
    let ignored = service
        .tunnel_public
        .iter()
        .find(|address| !is_named(scene, &address.host));
    if let Some(ignored) = ignored {
        let instead = scene.tunnel(None);
        let instead = instead.map_or_else(|why| why, |address| address.to_string());
        told.pool(
            "tunnel-public-addr-ignored",
            "proxy_service.tunnel_public_addr",
            (
                format!(
                    "proxy_listener_mode is multiplex, so agents are told {instead} and never \
                     {ignored}"
                ),
                format!(
                    "write auth_service.proxy_listener_mode: separate; or keep multiplex, write \
                     {} as a further public_addr and set {VARIABLE} in the environment of the \
                     agents",
                    ignored.host
                ),
            ),
        );
    }
    let web = service.web_listen();
    let listener = service.listener(Port::Tunnel);
    let tunnels = listener.map_or(Port::Tunnel.default_port(), |address| address.port);
    for (index, address) in service.public.iter().enumerate() {
        if address.port == tunnels && tunnels != web.port {
            told.pool(
                "tunnel-port-in-public-addr",
                &format!("proxy_service.public_addr[{index}]"),
                (
                    format!(
                        "with multiplex tunnels come in on the web port {}; {address} names the \
                         port that tunnels have without it",
                        web.port
                    ),
                    format!("write {}", on_port(address, web.port)),
                ),
            );
        }
    }
}

fn variable(scene: &Scene<'_>, agent: &Caller<'_>, told: &mut Told) {
    let Some(text) = agent.variable else { return };
    let key = || {
        Some(Key {
            of: places::Subject::Environment(agent.name.clone()),
            path: String::from(VARIABLE),
        })
    };
    let without = scene.tunnel(None);
    match &agent.tunnel {
        Err(why) => {
            let port = without.map_or(HTTPS_PORT, |address| address.port);
            let host = addr::read(text).map_or("internal.example.com", |read| read.host);
            told.agent(
                "variable-without-port",
                agent.name,
                key(),
                (
                    format!("{VARIABLE}={text} gives no tunnel: {why}"),
                    format!(
                        "write {VARIABLE}={}",
                        on_port(
                            &HostPort {
                                host: host.into(),
                                port
                            },
                            port
                        )
                    ),
                ),
            );
        }
        Ok(address) if without.as_ref() == Ok(address) => told.agent(
            "variable-unused",
            agent.name,
            key(),
            (
                format!("{VARIABLE} names {address}, which find answers without it"),
                String::from("take it out, or name the address that was meant"),
            ),
        ),
        Ok(_) => {}
    }
}

fn proxy_server(scene: &Scene<'_>, agent: &Caller<'_>, told: &mut Told) {
    let server = agent.proxy_server;
    if server.port == AUTH_PORT {
        let port = scene.service.public.first();
        let port = port.map_or(HTTPS_PORT, |first| first.port);
        told.agent(
            "proxy-server-is-auth-port",
            agent.name,
            Some(key_of(agent)),
            (
                format!("proxy_server is {server}, and 3025 is the port of the Auth Service"),
                format!("write proxy_server: {}", on_port(server, port)),
            ),
        );
    }
    let mut public = scene.service.public.iter();
    let same = public.find(|address| address.host == server.host && address.port == HTTPS_PORT);
    if let Some(same) = same.filter(|_| server.port == Port::Web.default_port()) {
        told.agent(
            "proxy-server-port",
            agent.name,
            Some(key_of(agent)),
            (
                format!(
                    "find is asked at {server}: a proxy_server without a port means 3080, while \
                     public_addr is {same}"
                ),
                format!("write proxy_server: {same}"),
            ),
        );
    }
}

/// Gives the key of an agent's `proxy_server`.
pub(super) fn key_of(agent: &Caller<'_>) -> Key {
    Key {
        of: places::Subject::Agent(agent.name.clone()),
        path: String::from("teleport.proxy_server"),
    }
}

/// Underscores are no letters of host names (RFC 1123), and some programs say so.
fn underscores(scene: &Scene<'_>, told: &mut Told) {
    let service = scene.service;
    let lists = [
        ("public_addr", &service.public),
        ("ssh_public_addr", &service.ssh_public),
        ("tunnel_public_addr", &service.tunnel_public),
    ];
    let mut seen: Vec<&str> = Vec::new();
    for (list, addresses) in lists {
        for address in addresses {
            if address.host.contains('_') && !seen.contains(&&*address.host) {
                seen.push(&address.host);
                told.pool(
                    "underscore-in-name",
                    &format!("proxy_service.{list}"),
                    (
                        format!(
                            "{} holds an underscore: BIND refuses such a name by check-names, and \
                             public authorities issue no certificate for it",
                            address.host
                        ),
                        format!("call it {}", address.host.replace('_', "-")),
                    ),
                );
            }
        }
    }
}

fn on_port(address: &HostPort, port: u16) -> HostPort {
    let host = address.host.clone();
    HostPort { host, port }
}
