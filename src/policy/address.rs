//! Which address an agent dials for its tunnel, and what a proxy advertises.
//!
//! In go what `/webapi/find` said and the agent's environment; out comes a name with its port and
//! the rule that won (Teleport `webclient` `TunnelAddr`, `resolver`). [`considered`] tells of every
//! rule whether it won and why not. [`advertise`] is the other end: what a proxy's file makes its
//! find say (Teleport `proxy_settings`). Users have rules of their own, in `tsh`. Names stay names:
//! nothing is resolved here.

mod tsh;

use std::fmt;

use crate::model::addr::{self, HostPort};
use crate::model::fact::Cause;
use crate::model::teleport::{Port, ProxyService, Version};

pub use self::tsh::{database, kube, ssh, tsh_candidates, web_after_ping};
pub use crate::model::teleport::Document;

#[cfg(test)]
mod tests;

/// The variable of an agent's environment that beats everything which find says.
pub const VARIABLE: &str = "TELEPORT_TUNNEL_PUBLIC_ADDR";

/// The port of an address with TLS routing that names none (Teleport `webclient`).
pub const PORT_TLS_ROUTING: u16 = 443;

/// The port that stands in for a missing one when the host is unspecified.
const PORT_UNSPECIFIED: u16 = Port::Web.default_port();

/// A rule that may give the tunnel address. In the order in which they are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// The variable of the agent's environment; nothing else is considered then.
    Environment,
    /// TLS routing: the first `public_addr`.
    TlsPublic,
    /// TLS routing: `web_listen_addr`.
    TlsWebListen,
    /// `tunnel_public_addr`.
    TunnelPublic,
    /// The host of `ssh_public_addr` with the tunnel's port.
    SshPublic,
    /// The host of `public_addr` with the tunnel's port.
    Public,
    /// `tunnel_listen_addr`.
    TunnelListen,
    /// `web_listen_addr`.
    WebListen,
}

impl Rule {
    /// Every rule, in the order in which they are asked.
    pub const ALL: [Self; 8] = [
        Self::Environment,
        Self::TlsPublic,
        Self::TlsWebListen,
        Self::TunnelPublic,
        Self::SshPublic,
        Self::Public,
        Self::TunnelListen,
        Self::WebListen,
    ];

    /// Gives the word that scripts read; it does not change.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::TlsPublic => "tls_routing_public_addr",
            Self::TlsWebListen => "tls_routing_web_listen_addr",
            Self::TunnelPublic => "tunnel_public_addr",
            Self::SshPublic => "ssh_public_addr",
            Self::Public => "public_addr",
            Self::TunnelListen => "tunnel_listen_addr",
            Self::WebListen => "web_listen_addr",
        }
    }

    /// Gives the words of facts.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Environment => "environment: TELEPORT_TUNNEL_PUBLIC_ADDR",
            Self::TlsPublic => "TLS routing: first public_addr",
            Self::TlsWebListen => "TLS routing: web_listen_addr, no public_addr is set",
            Self::TunnelPublic => "first tunnel_public_addr",
            Self::SshPublic => "host of the first ssh_public_addr, port of the tunnel listener",
            Self::Public => "host of the first public_addr, port of the tunnel listener",
            Self::TunnelListen => "tunnel_listen_addr, no public address is set",
            Self::WebListen => "web_listen_addr, nothing else is set",
        }
    }

    /// Gives the field of find's answer that it reads, or the variable.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Environment => VARIABLE,
            Self::TlsPublic | Self::Public => "public_addr",
            Self::TlsWebListen | Self::WebListen => "web_listen_addr",
            Self::TunnelPublic => "ssh_tunnel_public_addr",
            Self::SshPublic => "ssh_public_addr",
            Self::TunnelListen => "tunnel_listen_addr",
        }
    }

    /// Tells whether it is for TLS routing; `None` when it is for both modes.
    const fn tls_routing(self) -> Option<bool> {
        match self {
            Self::Environment => None,
            Self::TlsPublic | Self::TlsWebListen => Some(true),
            Self::TunnelPublic
            | Self::SshPublic
            | Self::Public
            | Self::TunnelListen
            | Self::WebListen => Some(false),
        }
    }

    /// Gives what it reads; empty when that is not set.
    fn value<'a>(self, document: &'a Document, environment: Option<&'a str>) -> &'a str {
        match self {
            Self::Environment => environment.unwrap_or_default(),
            Self::TlsPublic | Self::Public => &document.public_addr,
            Self::TlsWebListen | Self::WebListen => &document.web_listen_addr,
            Self::TunnelPublic => &document.tunnel_public_addr,
            Self::SshPublic => &document.ssh_public_addr,
            Self::TunnelListen => &document.tunnel_listen_addr,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
}

/// An address to dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The name and port; the name is resolved at each dial, and verified in TLS and SSH.
    pub address: HostPort,
    /// The rule that won.
    pub rule: Rule,
}

/// No address to dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfound {
    /// The rule that won and gave none.
    pub rule: Rule,
    /// [`Cause::NoPort`], or [`Cause::Find`].
    pub cause: Cause,
    /// In words.
    pub text: String,
}

impl fmt::Display for Unfound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A rule, what it reads, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Considered {
    /// The rule.
    pub rule: Rule,
    /// What it reads; empty when that is not set.
    pub value: String,
    /// Whether it won.
    pub fate: Fate,
}

/// What became of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It did not win, for this reason.
    Lost(&'static str),
    /// It decides.
    Won,
}

/// Works out the tunnel address.
///
/// The variable does not bypass find: whoever asks has its answer, which gives the listener mode
/// (Teleport `resolver`). Its value gets no default port, so that one without a port is dialled in
/// vain ((inferred): read from `parseAndJoinHostPort` and `ParseAddr`).
pub fn tunnel(document: &Document, environment: Option<&str>) -> Result<Found, Unfound> {
    let rule = winner(document, environment);
    let unread = |text: String| Unfound {
        rule,
        cause: Cause::Find,
        text,
    };
    let text = rule.value(document, environment);
    if text.is_empty() {
        let text = String::from("find names no address for tunnels");
        return Err(unread(text));
    }
    let read = addr::read(text);
    let read =
        read.map_err(|why| unread(format!("{}: {text:?} is not an address: {why}", rule.key())))?;
    let port = match rule {
        Rule::Environment => read.port,
        Rule::TlsPublic | Rule::TlsWebListen => {
            let web = port_of(&document.web_listen_addr).unwrap_or(PORT_TLS_ROUTING);
            Some(read.port.unwrap_or(web))
        }
        Rule::SshPublic | Rule::Public => Some(tunnel_port(document)),
        Rule::TunnelPublic | Rule::TunnelListen | Rule::WebListen => {
            Some(read.port.unwrap_or_else(|| tunnel_port(document)))
        }
    };
    if is_unspecified(read.host) {
        let address = replace_unspecified(read.host, port);
        return Ok(Found { address, rule });
    }
    let Some(port) = port else {
        return Err(Unfound {
            rule,
            cause: Cause::NoPort,
            text: format!("dial tcp: address {}: missing port in address", read.host),
        });
    };
    let host = read.host.into();
    let address = HostPort { host, port };
    Ok(Found { address, rule })
}

/// Tells of every rule, in order, what it reads and whether it won.
pub fn considered(document: &Document, environment: Option<&str>) -> Vec<Considered> {
    let winner = winner(document, environment);
    let fate = |rule: Rule, value: &str| {
        if rule == winner {
            Fate::Won
        } else if rule == Rule::Environment {
            Fate::Lost("not set")
        } else if winner == Rule::Environment {
            Fate::Lost("not considered: the variable is set")
        } else if rule.tls_routing() != winner.tls_routing() {
            Fate::Lost(if document.tls_routing {
                "not considered with TLS routing"
            } else {
                "not considered without TLS routing"
            })
        } else if value.is_empty() {
            Fate::Lost("not set")
        } else {
            Fate::Lost("an earlier rule won")
        }
    };
    let rules = Rule::ALL.into_iter();
    let rules = rules.map(|rule| {
        let value = rule.value(document, environment);
        Considered {
            rule,
            fate: fate(rule, value),
            value: value.to_owned(),
        }
    });
    rules.collect()
}

/// Gives what a proxy with this service says of itself.
///
/// Only the first element of each list is told. With TLS routing a file of v2 or v3 shows every
/// listener as the web listener; one of v1 keeps them apart.
pub fn advertise(service: &ProxyService, cluster: &str) -> Document {
    let text = |address: Option<&HostPort>| address.map_or_else(String::new, ToString::to_string);
    let web = service.web_listen();
    let one_port = service.tls_routing() && service.version != Version::V1;
    let listen = |port: Port| {
        if one_port {
            web.to_string()
        } else {
            text(service.listener(port))
        }
    };
    // The listener's own port, even where the listener is shown as the web listener.
    let postgres = service.listener(Port::Postgres).map(|listener| HostPort {
        host: service.public.first().unwrap_or(&web).host.clone(),
        port: listener.port,
    });
    let postgres = service.postgres_public.first().or(postgres.as_ref());
    Document {
        tls_routing: service.tls_routing(),
        cluster_name: cluster.to_owned(),
        public_addr: text(service.public.first()),
        web_listen_addr: web.to_string(),
        ssh_public_addr: text(service.ssh_public.first()),
        ssh_listen_addr: listen(Port::Ssh),
        tunnel_public_addr: text(service.tunnel_public.first()),
        tunnel_listen_addr: listen(Port::Tunnel),
        kube_public_addr: text(service.kube_public.first()),
        kube_listen_addr: listen(Port::Kube),
        postgres_public_addr: text(postgres),
        postgres_listen_addr: listen(Port::Postgres),
        mysql_public_addr: text(service.mysql_public.first()),
        mysql_listen_addr: listen(Port::Mysql),
        mongo_public_addr: text(service.mongo_public.first()),
        // Not among those that Teleport overwrites.
        mongo_listen_addr: text(service.listener(Port::Mongo)),
    }
}

/// Replaces an unspecified host, which is never a principal, by `localhost`; a port that is missing
/// then becomes 3080. Any other host is left alone, with port 0 for a missing one.
pub fn replace_unspecified(host: &str, port: Option<u16>) -> HostPort {
    if !is_unspecified(host) {
        return HostPort {
            host: host.into(),
            port: port.unwrap_or_default(),
        };
    }
    let port = port.filter(|port| *port != 0);
    HostPort {
        host: "localhost".into(),
        port: port.unwrap_or(PORT_UNSPECIFIED),
    }
}

fn is_unspecified(host: &str) -> bool {
    matches!(host, "" | "0.0.0.0" | "::")
}

/// Gives the rule that decides, whether or not what it reads can be dialled.
fn winner(document: &Document, environment: Option<&str>) -> Rule {
    let of_mode = |rule: &Rule| {
        let mode = rule.tls_routing();
        mode.is_none_or(|tls_routing| tls_routing == document.tls_routing)
    };
    let last = if document.tls_routing {
        Rule::TlsWebListen
    } else {
        Rule::WebListen
    };
    let mut rules = Rule::ALL.into_iter().filter(of_mode);
    let set = |rule: &Rule| !rule.value(document, environment).is_empty();
    rules.find(set).unwrap_or(last)
}

/// Gives the port that addresses for tunnels get without TLS routing.
fn tunnel_port(document: &Document) -> u16 {
    port_of(&document.tunnel_listen_addr).unwrap_or(Port::Tunnel.default_port())
}

fn port_of(text: &str) -> Option<u16> {
    addr::read(text).ok().and_then(|read| read.port)
}
