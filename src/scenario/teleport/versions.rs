//! The rules of the configuration versions: who may name whom (reference 6.2).
//!
//! Texts are Teleport's (`applyAuthOrProxyAddress`, `validateAuthOrProxyServices`); the cures are
//! ours.

use crate::model::addr::HostPort;
use crate::model::teleport::Version;

use super::reader::File;
use super::shape::Teleport;

/// The port of the web listener, and of `proxy_server` without a port: 3080, not 443.
pub(super) const PORT_WEB: u16 = 3080;

/// The port of the Auth Service.
const PORT_AUTH: u16 = 3025;

/// The port of HTTPS, which is no Auth Service's either.
const PORT_HTTPS: u16 = 443;

const AUTH_SERVER: &str = "teleport.auth_server";
const AUTH_SERVERS: &str = "teleport.auth_servers";
const PROXY_SERVER: &str = "teleport.proxy_server";

/// Gives the version of a file; `None` when it is unsound, which has been told.
pub(super) fn version(file: &File<'_>, written: Option<&str>) -> Option<Version> {
    match written {
        Some("v1") => Some(Version::V1),
        Some("v2") => Some(Version::V2),
        Some("v3") => Some(Version::V3),
        _ => (!file.has("version")).then_some(Version::V1),
    }
}

/// Checks which of the three addresses a file may name.
pub(super) fn rules(file: &mut File<'_>, version: Option<Version>, given: &Teleport) {
    let Some(version) = version else { return };
    let auth_server = names(given.auth_server.as_deref());
    let proxy_server = names(given.proxy_server.as_deref());
    let cure = if file.has("version") {
        "write version: v3"
    } else {
        "add version: v3; without it the file is v1"
    };
    if version != Version::V3 {
        for (given, key) in [(auth_server, AUTH_SERVER), (proxy_server, PROXY_SERVER)] {
            let what = format!("{} is supported from config version v3 onwards", word(key));
            if given {
                file.wrong(key, what, cure);
            }
        }
        return;
    }
    if given
        .auth_servers
        .as_ref()
        .is_some_and(|all| !all.is_empty())
    {
        file.wrong(
            AUTH_SERVERS,
            "config v3 has replaced auth_servers with either auth_server or proxy_server",
            "write proxy_server: proxy.example.com:3080",
        );
    }
    if auth_server && proxy_server {
        file.wrong(
            PROXY_SERVER,
            "only one of auth_server or proxy_server should be set",
            "keep proxy_server",
        );
    }
    if proxy_server && file.on("proxy_service", true) == Some(true) {
        let cure = if file.has("proxy_service.enabled") {
            "take it out"
        } else {
            "the Proxy Service is on by default: add proxy_service: {enabled: no}"
        };
        file.wrong(
            PROXY_SERVER,
            "proxy_server can not be specified when proxy service is enabled",
            cure,
        );
    }
}

/// Gives the address that an agent asks first. `None` when there is none, which has been added.
pub(super) fn seed(
    file: &mut File<'_>,
    version: Option<Version>,
    given: &Teleport,
) -> Option<HostPort> {
    if let Some(text) = given
        .proxy_server
        .as_deref()
        .filter(|text| !text.is_empty())
    {
        let server = file.public(PROXY_SERVER, text, PORT_WEB)?;
        if server.port == PORT_AUTH {
            file.warn(
                PROXY_SERVER,
                "config: proxy_server is pointing to port 3025, is this the auth server address?",
                "name the Proxy Service's web port, 3080 by default",
            );
        }
        return Some(server);
    }
    if version? != Version::V3 {
        return auth_servers(file, given);
    }
    if let Some(text) = given.auth_server.as_deref().filter(|text| !text.is_empty()) {
        auth_server(file, text);
        return None;
    }
    // Whatever is written and not sound has been told.
    if !file.has(PROXY_SERVER) && !file.has(AUTH_SERVER) && !file.has(AUTH_SERVERS) {
        file.wrong(
            PROXY_SERVER,
            "config: auth_server or proxy_server is required",
            "add teleport: {proxy_server: proxy.example.com:3080}",
        );
    }
    None
}

/// v1 and v2: the first of the list, which may be a proxy.
fn auth_servers(file: &mut File<'_>, given: &Teleport) -> Option<HostPort> {
    let all = given.auth_servers.as_deref().unwrap_or_default();
    let Some(first) = all.first() else {
        if !file.has(AUTH_SERVERS) && !file.has(PROXY_SERVER) && !file.has(AUTH_SERVER) {
            file.wrong(
                AUTH_SERVERS,
                "config: auth_servers is required",
                "add auth_servers: [proxy.example.com:3080], or write version: v3 and proxy_server",
            );
        }
        return None;
    };
    let mut read = Vec::new();
    for (index, text) in all.iter().enumerate() {
        let key = format!("{AUTH_SERVERS}[{index}]");
        read.extend(text.as_ref().map(|text| file.public(&key, text, PORT_AUTH)));
    }
    first.as_ref()?;
    let server = read.into_iter().next()??;
    let key = format!("{AUTH_SERVERS}[0]");
    if server.port == PORT_AUTH {
        // Teleport dials an Auth Service itself first, and goes through a proxy when that fails
        // (reference 1.1). The lab has no Auth Service to dial.
        file.warn(
            &key,
            "port 3025 is the Auth Service's, which the lab does not have: the agent asks there as if it were a proxy",
            "name the Proxy Service's web port, like proxy.example.com:3080",
        );
    }
    if all.len() > 1 {
        file.warn(
            &format!("{AUTH_SERVERS}[1]"),
            "agents ask the first of auth_servers alone",
            "put the proxy first",
        );
    }
    Some(server)
}

/// v3 with `auth_server` alone: dialled directly, without tunnels.
fn auth_server(file: &mut File<'_>, text: &str) {
    let address = file.public(AUTH_SERVER, text, PORT_AUTH);
    if address.is_some_and(|a| matches!(a.port, PORT_WEB | PORT_HTTPS)) {
        file.warn(
            AUTH_SERVER,
            "config: auth_server is pointing to port 3080 or 443, is this the proxy server address?",
            "write proxy_server",
        );
    }
    let no_auth = file.on("auth_service", true) == Some(false);
    let mut told = false;
    for service in ["app_service", "db_service"] {
        if no_auth && file.on(service, false) == Some(true) {
            told = true;
            file.wrong(
                AUTH_SERVER,
                format!(
                    "config: when {service} is enabled, proxy_server must be specified instead of auth_server"
                ),
                "write proxy_server: proxy.example.com:3080",
            );
        }
    }
    if !told {
        file.wrong(
            AUTH_SERVER,
            "with auth_server an agent dials the Auth Service itself and opens no tunnel; the lab has no Auth Service to dial",
            "write proxy_server: proxy.example.com:3080",
        );
    }
}

fn names(text: Option<&str>) -> bool {
    text.is_some_and(|text| !text.is_empty())
}

fn word(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}
