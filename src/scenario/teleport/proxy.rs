//! The file of the pool: `proxy_service`, and what of `auth_service` belongs to it.
//!
//! Rules, defaults and texts are Teleport's (`lib/config/configuration`, `applyProxyConfig`); what
//! is absent gets the version's own default.

use std::path::Path;

use crate::model::addr::HostPort;
use crate::model::mistake::Files;
use crate::model::teleport::{Port, ProxyProtocol, ProxyService, Strategy, Version};

use super::super::{Mistakes, schema};
use super::auth::Auth;
use super::reader::File;
use super::shape::{self, OneOrMany, Shape};
use super::{ProxyFile, auth, certificate, versions};

/// Services that a real file may switch on beside the Proxy Service, without effect in the lab.
const BESIDE: &[&str] = &["app_service", "db_service", "ssh_service"];

pub(super) fn read(
    path: &Path,
    text: &str,
    files: &dyn Files,
    mistakes: &mut Mistakes,
    warnings: &mut Mistakes,
) -> Option<ProxyFile> {
    let schema = schema::teleport();
    let (mut file, shape) = File::read::<Shape>(path, text, &schema, mistakes, warnings)?;
    let version = versions::version(&file, shape.version.as_deref());
    let service = service(&mut file, version, &shape, files);
    let sound = file.is_sound();
    let keys = file.end();
    sound.then_some(ProxyFile { service, keys })
}

fn service(
    file: &mut File<'_>,
    version: Option<Version>,
    shape: &Shape,
    files: &dyn Files,
) -> ProxyService {
    let proxy_on = file.on("proxy_service", true);
    if proxy_on == Some(false) {
        file.wrong(
            "proxy_service.enabled",
            "the file of the pool has the Proxy Service switched off",
            "write enabled: yes",
        );
    }
    versions::rules(file, version, &shape.teleport);
    // An unsound version has been told; the newest makes no further mistakes.
    let version = version.unwrap_or(Version::V3);
    for key in ["auth_server", "auth_servers"] {
        file.without_effect(&format!("teleport.{key}"));
    }
    for service in BESIDE {
        if file.on(service, false) == Some(true) {
            file.without_effect(service);
        }
    }
    let auth = auth::of(file, &shape.auth_service);
    let given = &shape.proxy_service;
    let listen = listeners(file, version, given, &auth);
    let at = |port: Port| {
        let mut listen = listen.iter();
        let found = listen.find(|(known, _)| *known == port);
        found.map(|(_, address)| address.port)
    };
    let web = at(Port::Web).unwrap_or_else(|| Port::Web.default_port());
    let public = addresses(file, "public_addr", given.public_addr.as_ref(), web);
    if public.is_empty() && !file.has("proxy_service.public_addr") {
        file.warn(
            "proxy_service.public_addr",
            "without public_addr agents and users are told the listen address",
            "add public_addr: proxy.example.com:3080",
        );
    }
    // Reference 6.1: the listener's port, else that of public_addr, else the web port.
    let postgres = at(Port::Postgres)
        .or_else(|| public.first().map(|address| address.port))
        .unwrap_or(web);
    let peer = given.peer_public_addr.clone().map(OneOrMany::One);
    ProxyService {
        version,
        mode: auth.mode,
        cluster: auth.cluster,
        ssh_public: addresses(
            file,
            "ssh_public_addr",
            given.ssh_public_addr.as_ref(),
            Port::Ssh.default_port(),
        ),
        tunnel_public: addresses(
            file,
            "tunnel_public_addr",
            given.tunnel_public_addr.as_ref(),
            Port::Tunnel.default_port(),
        ),
        kube_public: kube_public(file, given),
        mysql_public: behind(file, Port::Mysql, given.mysql_public_addr.as_ref()),
        postgres_public: addresses(
            file,
            "postgres_public_addr",
            given.postgres_public_addr.as_ref(),
            postgres,
        ),
        mongo_public: behind(file, Port::Mongo, given.mongo_public_addr.as_ref()),
        peer_public: behind(file, Port::Peer, peer.as_ref()).into_iter().next(),
        proxy_protocol: match given.proxy_protocol.as_deref() {
            Some("on") => ProxyProtocol::On,
            Some("off") => ProxyProtocol::Off,
            // An empty text is what an absent key is.
            _ => ProxyProtocol::Unset,
        },
        certificate: certificate::of(file, given, &public, files),
        strategy: auth.strategy,
        keep_alive: auth.keep_alive,
        keep_alive_max: auth.keep_alive_max,
        listen,
        public,
    }
}

/// Gives the listeners that stand, in the order of [`Port::ALL`] (reference 3.2).
fn listeners(
    file: &mut File<'_>,
    version: Version,
    given: &shape::ProxyService,
    auth: &Auth,
) -> Vec<(Port, HostPort)> {
    let old = version == Version::V1;
    let kube_on = file.on("proxy_service.kubernetes", false) == Some(true);
    let peering = auth.strategy != Strategy::AgentMesh;
    let mut listen: Vec<(Port, HostPort)> = Vec::new();
    for port in Port::ALL {
        let key = format!("proxy_service.{}", port.key());
        let (written, stands) = match port {
            Port::Web => (&given.web_listen_addr, true),
            Port::Tunnel => (&given.tunnel_listen_addr, old),
            Port::Ssh => (&given.listen_addr, old),
            Port::Kube if kube_on => (&given.kubernetes.listen_addr, old),
            Port::Kube => (&given.kube_listen_addr, false),
            Port::Mysql => (&given.mysql_listen_addr, false),
            Port::Postgres => (&given.postgres_listen_addr, false),
            Port::Mongo => (&given.mongo_listen_addr, false),
            // (from memory): with peering there is a listener on 3021 without the key, too.
            Port::Peer => (&given.peer_listen_addr, peering),
        };
        let key = if port == Port::Kube && kube_on {
            String::from("proxy_service.kubernetes.listen_addr")
        } else {
            key
        };
        let default = port.default_port();
        let address = match written.as_deref().filter(|text| !text.is_empty()) {
            Some(text) => file.listen(&key, text, default),
            // What is unsound has been told; a default would only be believed.
            None if stands && !(port != Port::Web && file.has(&key)) => Some(HostPort {
                host: "0.0.0.0".into(),
                port: default,
            }),
            None => None,
        };
        let Some(address) = address else { continue };
        if port == Port::Peer && !peering {
            file.without_effect(&key);
            continue;
        }
        own_port(file, &key, &address, port, &listen);
        listen.push((port, address));
    }
    listen
}

/// Says what is odd about a listener: a host that no instance uses, a port that another has.
fn own_port(
    file: &mut File<'_>,
    key: &str,
    address: &HostPort,
    port: Port,
    listen: &[(Port, HostPort)],
) {
    if !matches!(&*address.host, "0.0.0.0" | "::") {
        let what = format!(
            "the host {} is not used: every instance has its own address",
            address.host
        );
        file.warn(key, what, "write 0.0.0.0");
    }
    let other = listen.iter().find(|(_, other)| other.port == address.port);
    // Tunnels may share the web listener (reference 3.3); nothing else may share.
    let other = other.filter(|(other, _)| (*other, port) != (Port::Web, Port::Tunnel));
    if let Some((other, _)) = other {
        let what = format!("port {} is that of {} already", address.port, other.key());
        file.wrong(key, what, "give it another port");
    }
}

/// Reads a `…_public_addr` that needs its listener.
fn behind(file: &mut File<'_>, port: Port, given: Option<&OneOrMany>) -> Vec<HostPort> {
    let key = port.key().replace("_listen_", "_public_");
    let addresses = addresses(file, &key, given, port.default_port());
    if !addresses.is_empty() && !file.has(&format!("proxy_service.{}", port.key())) {
        file.wrong(
            &format!("proxy_service.{key}"),
            format!("{} must be set when {key} is set", port.key()),
            format!("add {}: 0.0.0.0:{}", port.key(), port.default_port()),
        );
    }
    addresses
}

/// Reads the public addresses for Kubernetes in the newer form or the older, never both.
fn kube_public(file: &mut File<'_>, given: &shape::ProxyService) -> Vec<HostPort> {
    let older = file.on("proxy_service.kubernetes", false) == Some(true);
    let newer = ["kube_listen_addr", "kube_public_addr"]
        .into_iter()
        .map(|key| format!("proxy_service.{key}"))
        .find(|key| file.has(key));
    if !older {
        return behind(file, Port::Kube, given.kube_public_addr.as_ref());
    }
    if let Some(key) = newer {
        file.wrong(
            &key,
            "proxy_service should either set kube_listen_addr/kube_public_addr or kubernetes.enabled, not both",
            "keep kubernetes.enabled if you don't enable kubernetes_service, or keep kube_listen_addr otherwise",
        );
    }
    let given = given.kubernetes.public_addr.as_ref();
    addresses(
        file,
        "kubernetes.public_addr",
        given,
        Port::Kube.default_port(),
    )
}

/// Reads a list of addresses, or the one.
fn addresses(
    file: &mut File<'_>,
    key: &str,
    given: Option<&OneOrMany>,
    default: u16,
) -> Vec<HostPort> {
    let key = format!("proxy_service.{key}");
    match given {
        None => Vec::new(),
        // An empty text is an absent key.
        Some(OneOrMany::One(text)) if text.is_empty() => Vec::new(),
        Some(OneOrMany::One(text)) => file.public(&key, text, default).into_iter().collect(),
        Some(OneOrMany::Many(texts)) => {
            let mut addresses = Vec::new();
            for (index, text) in texts.iter().enumerate() {
                let Some(text) = text else { continue };
                addresses.extend(file.public(&format!("{key}[{index}]"), text, default));
            }
            addresses
        }
    }
}
