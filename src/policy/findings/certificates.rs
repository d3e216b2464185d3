//! Names that somebody verifies, and certificates that do not hold them.

use crate::model::finding::Key;
use crate::model::places;
use crate::model::teleport::{ProxyService, WebCertificate};
use crate::model::topology::Topology;
use crate::policy::address::VARIABLE;
use crate::policy::principals;

use super::addresses::key_of;
use super::scene::{Caller, Scene};
use super::told::Told;

const KEYPAIRS: &str = "proxy_service.https_keypairs";

/// The fixed principal for Kubernetes, which no agent dials.
const KUBE: &str = "remote.kube.proxy.teleport.cluster.local";

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
            Some(key_of(agent)),
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
            path: String::from(VARIABLE),
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
                "every handshake ends in `ssh: principal {:?} not in the set of valid principals \
                 for given certificate`; the names that the pool's file gives are {}",
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
    let requested = principals::requested(service, "");
    let mut names = principals::issued(("", ""), "", requested);
    names.retain(|name| !matches!(&**name, "" | "." | KUBE));
    names
}

/// Lists the names of the web certificate that every instance shows. A self-signed one also holds
/// the host name of its instance, which is not another's.
fn web_names(service: &ProxyService) -> Vec<String> {
    let mut names = principals::web(service, "");
    names.retain(|name| !name.is_empty());
    names
}

/// Tells whether a certificate for these names is valid for a host.
fn covers(names: &[String], host: &str) -> bool {
    names.iter().any(|name| principals::covers(name, host))
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
