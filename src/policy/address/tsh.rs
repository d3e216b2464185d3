//! Addresses as `tsh` works them out, for users (Teleport `lib/client/api.go`).
//!
//! In goes what a user typed, or what ping said; out come addresses. After ping the web address is
//! the advertised one, whatever the user had typed.

use crate::model::addr::{self, HostPort};
use crate::model::teleport::{Document, Port};

use super::is_unspecified;

/// The ports that are tried when none was typed, in order. From memory.
const CANDIDATES: [u16; 2] = [3080, 443];

/// Reads `--proxy host[:web[,ssh]]` and gives the web addresses to ping, in order.
pub fn tsh_candidates(text: &str) -> Result<Vec<HostPort>, String> {
    let wrong = |why: &str| Err(format!("{text:?}: {why}; write HOST[:WEB[,SSH]]"));
    let (host, ports) = match text.strip_prefix('[') {
        Some(inner) => match inner.split_once(']') {
            Some((host, "")) => (host, None),
            Some((host, rest)) => match rest.strip_prefix(':') {
                Some(ports) => (host, Some(ports)),
                None => return wrong("what follows the bracket is no port"),
            },
            None => return wrong("the bracket is not closed"),
        },
        None => match text.split_once(':') {
            Some((_, ports)) if ports.contains(':') => return wrong("not a host and its ports"),
            Some((host, ports)) => (host, Some(ports)),
            None => (text, None),
        },
    };
    if host.is_empty() || host.contains(['/', ',']) {
        return wrong("there is no host");
    }
    let at = |port: u16| HostPort {
        host: host.into(),
        port,
    };
    let Some(ports) = ports else {
        return Ok(CANDIDATES.map(at).into());
    };
    let ports: Vec<&str> = ports.split(',').collect();
    if ports.len() > 2 {
        return wrong("more than two ports");
    }
    let mut read = Vec::new();
    for port in ports {
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        match port.parse::<u16>() {
            Ok(port) if digits && port != 0 => read.push(Some(port)),
            _ if port.is_empty() => read.push(None),
            _ => return wrong("a port is a number from 1 to 65535"),
        }
    }
    // The second is the proxy's SSH port: it is checked, and no SSH of users is carried here.
    Ok(match read.first() {
        Some(Some(web)) => vec![at(*web)],
        _ if read.len() == 2 => vec![at(Port::Web.default_port())],
        _ => CANDIDATES.map(at).into(),
    })
}

/// Gives the web address after ping: the advertised first one, where one is; else the asked one.
///
/// An advertised text that is no address leaves the asked one, where `tsh` would end: nothing here
/// advertises such.
pub fn web_after_ping(document: &Document, asked: &HostPort) -> HostPort {
    public(&document.public_addr, Port::Web.default_port()).unwrap_or_else(|| asked.clone())
}

/// Gives the address for SSH of users.
pub fn ssh(document: &Document, web: &HostPort) -> HostPort {
    if document.tls_routing {
        return web.clone();
    }
    let port = port_of(&document.ssh_listen_addr).unwrap_or(Port::Ssh.default_port());
    public(&document.ssh_public_addr, port).unwrap_or_else(|| HostPort {
        host: web.host.clone(),
        port,
    })
}

/// Gives the address for Kubernetes.
pub fn kube(document: &Document, web: &HostPort) -> HostPort {
    if document.tls_routing {
        return web.clone();
    }
    let default = Port::Kube.default_port();
    let listen = || {
        let read = public(&document.kube_listen_addr, default)?;
        Some(if is_unspecified(&read.host) {
            HostPort {
                host: web.host.clone(),
                port: read.port,
            }
        } else {
            read
        })
    };
    let public = public(&document.kube_public_addr, default);
    public.or_else(listen).unwrap_or_else(|| HostPort {
        host: web.host.clone(),
        port: default,
    })
}

/// Gives the address for a database of this protocol; with TLS routing all of them have the web
/// address, which is what `tsh proxy db` dials.
pub fn database(document: &Document, web: &HostPort, protocol: &str) -> HostPort {
    if document.tls_routing {
        return web.clone();
    }
    let (public_addr, listen, default) = match protocol {
        "postgres" => (
            &document.postgres_public_addr,
            &document.postgres_listen_addr,
            web.port,
        ),
        "mysql" => (
            &document.mysql_public_addr,
            &document.mysql_listen_addr,
            Port::Mysql.default_port(),
        ),
        "mongodb" => (
            &document.mongo_public_addr,
            &document.mongo_listen_addr,
            Port::Mongo.default_port(),
        ),
        _ => return web.clone(),
    };
    let listen = || {
        let host = web.host.clone();
        port_of(listen).map(|port| HostPort { host, port })
    };
    let found = public(public_addr, default).or_else(listen);
    found.unwrap_or_else(|| web.clone())
}

/// Reads an advertised address, with the port of one that names none; `None` for an empty one, and
/// for what is no address.
fn public(text: &str, default: u16) -> Option<HostPort> {
    let read = addr::read(text).ok()?;
    Some(HostPort {
        host: read.host.into(),
        port: read.port.unwrap_or(default),
    })
}

fn port_of(text: &str) -> Option<u16> {
    addr::read(text).ok().and_then(|read| read.port)
}
