//! Names that somebody verifies, and certificates that do not hold them.

use std::net::IpAddr;

use crate::model::addr::HostPort;
use crate::model::finding::Key;
use crate::model::places;
use crate::model::teleport::{ProxyService, WebCertificate};
use crate::model::topology::Topology;
use crate::policy::principals;

use super::addresses::key_of;
use super::scene::{Caller, Scene};
use super::told::Told;

const KEYPAIRS: &str = "proxy_service.https_keypairs";

/// Tells what there is to tell of certificates.
pub(super) fn tell(scene: &Scene<'_>, told: &mut Told) {
    let service = scene.service;
    if service.certificate == WebCertificate::Elsewhere {
        told.pool(
            "certificate-elsewhere",
            KEYPAIRS,
            (
                String::from(
                    "the files that it names are not here, so the lab's authority issues a \
                     certificate for every host of public_addr and tunnel_public_addr and for *. \
                     of each",
                ),
                String::from(
                    "see that the real one holds these names, or put a copy where the key points",
                ),
            ),
        );
    }
    apps(scene, told);
    for agent in &scene.agents {
        web(scene, agent, told);
        ssh(scene, agent, told);
    }
}

/// Apps have names one label below the first public address.
fn apps(scene: &Scene<'_>, told: &mut Told) {
    let Some(first) = scene.service.public.first() else {
        return;
    };
    let serves = |topology: &Topology| topology.agents.iter().any(|agent| !agent.apps.is_empty());
    let app = format!("app.{}", first.host);
    if !scene.topology.is_none_or(serves) || covers(&web_names(scene.service), &app) {
        return;
    }
    let own = match scene.service.certificate {
        WebCertificate::SelfSigned => "without https_keypairs the web certificate",
        WebCertificate::Elsewhere | WebCertificate::Read(_) => "the web certificate",
    };
    told.pool(
        "app-names-not-in-certificate",
        KEYPAIRS,
        (
            format!(
                "{own} holds no *.{}: a browser that opens an app by its name refuses it",
                first.host
            ),
            format!("name a pair for {} and *.{0} in https_keypairs", first.host),
        ),
    );
}

/// Find verifies the name in `proxy_server`; a tunnel over TLS that of its own address.
fn web(scene: &Scene<'_>, agent: &Caller<'_>, told: &mut Told) {
    let names = web_names(scene.service);
    let tunnel = agent.tunnel.as_ref().ok();
    let tunnel = tunnel.filter(|_| scene.service.tls_routing());
    let seed = (&*agent.proxy_server.host, "find", "proxy_server");
    let tunnel = tunnel.map(|address| (&*address.host, "the tunnel's TLS", "the tunnel's address"));
    let tunnel = tunnel.filter(|(host, ..)| *host != seed.0);
    for (host, who, of) in [Some(seed), tunnel].into_iter().flatten() {
        if covers(&names, host) {
            continue;
        }
        let stands_in = match scene.service.certificate {
            WebCertificate::Elsewhere => {
                " (the lab's own, which stands in for one that is elsewhere)"
            }
            WebCertificate::Read(_) | WebCertificate::SelfSigned => "",
        };
        told.agent(
            "web-name-not-in-certificate",
            agent.name,
            key_of(agent),
            (
                format!(
                    "{who} verifies {host}, the name in {of}, and the web certificate{stands_in} \
                     is for {}: the handshake ends there",
                    list(&names)
                ),
                format!("have the certificate of https_keypairs hold {host} too"),
            ),
        );
    }
}

/// The host key's certificate must hold the host of the tunnel's address.
fn ssh(scene: &Scene<'_>, agent: &Caller<'_>, told: &mut Told) {
    let Ok(tunnel) = &agent.tunnel else { return };
    let principals = principals_of(scene.service);
    let host = &*tunnel.host;
    if principals.iter().any(|name| name == host) || shown_by_all(scene, host) {
        return;
    }
    let key = match agent.variable {
        Some(_) => Some(Key {
            of: places::Subject::Environment(agent.name.clone()),
            path: String::from("TELEPORT_TUNNEL_PUBLIC_ADDR"),
        }),
        None => Some(Key {
            of: places::Subject::Pool,
            path: String::from("proxy_service.public_addr"),
        }),
    };
    told.agent(
        "not-a-principal",
        agent.name,
        key,
        (
            format!(
                "ssh: principal {:?} not in the set of valid principals: of the names that a file \
                 can give the pool's host certificates hold {}",
                tunnel.host,
                list(&principals)
            ),
            format!("add {tunnel} to public_addr, after the first"),
        ),
    );
}

/// Tells whether every instance's certificate holds a name, those of its own included.
fn shown_by_all(scene: &Scene<'_>, host: &str) -> bool {
    scene.topology.is_some_and(|topology| {
        let pool = &topology.pool;
        pool.proxies.iter().all(|proxy| {
            let names = principals::proxy(pool, proxy, topology.cluster());
            names.iter().any(|name| name == host)
        })
    })
}

/// Lists the principals that a file gives to every instance: the hosts of all its addresses, not of
/// the first ones only (reference 2.1), and loopback.
fn principals_of(service: &ProxyService) -> Vec<String> {
    let lists = [
        &service.public,
        &service.ssh_public,
        &service.tunnel_public,
        &service.postgres_public,
        &service.mysql_public,
        &service.kube_public,
    ];
    let listen = service.listen.iter().map(|(_, address)| address);
    let lists = lists.into_iter().flatten().chain(&service.peer_public);
    let hosts = lists.chain(listen).map(|address| &*address.host);
    let hosts = hosts.filter(|host| !matches!(*host, "" | "0.0.0.0" | "::"));
    let mut names: Vec<String> = Vec::new();
    for host in hosts.chain(["localhost", "127.0.0.1", "::1"]) {
        if !names.iter().any(|known| known == host) {
            names.push(host.to_owned());
        }
    }
    names
}

/// Lists the names of the web certificate (reference 2.3). A self-signed one also holds the host
/// name of its instance, which is not another's.
fn web_names(service: &ProxyService) -> Vec<String> {
    let hosts = |lists: &[&Vec<HostPort>]| -> Vec<String> {
        let addresses = lists.iter().flat_map(|list| list.iter());
        addresses.map(|address| address.host.to_string()).collect()
    };
    match &service.certificate {
        WebCertificate::Elsewhere => hosts(&[&service.public, &service.tunnel_public])
            .into_iter()
            .flat_map(|host| {
                let below = host.parse::<IpAddr>().is_err().then(|| format!("*.{host}"));
                [Some(host), below]
            })
            .flatten()
            .collect(),
        WebCertificate::Read(names) => names.iter().map(ToString::to_string).collect(),
        WebCertificate::SelfSigned => {
            let mut names = hosts(&[&service.public]);
            names.push(String::from("localhost"));
            names
        }
    }
}

/// Tells whether a certificate for these names is valid for a host (RFC 6125 section 6.4: a star
/// stands for one label).
fn covers(names: &[String], host: &str) -> bool {
    let host = host.trim_end_matches('.');
    names.iter().any(|name| match name.strip_prefix("*.") {
        Some(above) => host
            .split_once('.')
            .is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(above)),
        None => name.eq_ignore_ascii_case(host),
    })
}

/// How many names of a certificate a sentence lists.
const LISTED_MAX: usize = 8;

fn list(names: &[String]) -> String {
    let shown = names.get(..LISTED_MAX).unwrap_or(names).join(", ");
    match names.len().saturating_sub(LISTED_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
