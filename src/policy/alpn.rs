//! Which service a TLS client of a proxy gets, by listener, server name and offered protocols.
//!
//! In go what a ClientHello says; out comes the service and the one protocol name that the proxy
//! then offers back, or a refusal in Teleport's words (Teleport `lib/srv/alpnproxy/proxy.go`). The
//! list is walked in the *client's* order, and an empty one counts as `http/1.1`.
//!
//! What Teleport would serve and this lab does not carry ends the walk as it would there, with a
//! sentence that says so. Only `teleport-tcp-ping` is passed over, as a proxy of before the ping
//! forms does.

use std::fmt;

use crate::model::fact::Service;
use crate::model::teleport::{Port, Strategy};

#[cfg(test)]
mod tests;

/// What an agent offers for its reverse tunnel.
pub const REVERSE_TUNNEL: &str = "teleport-reversetunnel";

/// What an agent offers before it with proxy peering: a hint for balancers, never served.
pub const REVERSE_TUNNEL_V2: &str = "teleport-reversetunnelv2";

/// What browsers, curl and `/webapi/find` offer.
pub const HTTP: &str = "http/1.1";

/// What newer ones offer.
pub const H2: &str = "h2";

/// What `tsh proxy db` offers for PostgreSQL.
pub const POSTGRES: &str = "teleport-postgres";

/// The same in ping frames, which is what tsh offers first.
pub const POSTGRES_PING: &str = "teleport-postgres-ping";

/// What `tsh proxy app` offers for an app that is not HTTP.
pub const TCP: &str = "teleport-tcp";

/// What names of Kubernetes clusters begin with; beats every protocol.
pub const KUBE_SNI: &str = "kube-teleport-proxy-alpn.";

/// What follows is a cluster: its Auth Service, through the proxy.
const AUTH_PREFIX: &str = "teleport-auth@";

/// What follows is the version of a MySQL server, or `ping`.
const MYSQL_PREFIX: &str = "teleport-mysql-";

/// The end of a protocol that is wrapped in ping frames.
const PING: &str = "-ping";

/// How many names of a client's list are looked at; Teleport's own clients know about forty.
pub const OFFERED_MAX: usize = 64;

/// How many names, and characters of a name, are shown of a client's list.
const SHOWN_MAX: usize = 16;

/// Protocols that Teleport serves and this lab does not, with what they are for. The databases also
/// have a ping form.
const NOT_CARRIED: &[(&str, &str)] = &[
    ("teleport-proxy-ssh", "SSH of users"),
    ("teleport-proxy-ssh-grpc", "SSH of users over gRPC"),
    ("teleport-proxy-grpc", "gRPC for nodes that join"),
    ("teleport-proxy-grpc-mtls", "gRPC with a client certificate"),
    ("teleport-mysql", "MySQL"),
    ("teleport-mongodb", "MongoDB"),
    ("teleport-oracle", "Oracle"),
    ("teleport-redis", "Redis"),
    ("teleport-sqlserver", "SQL Server"),
    ("teleport-snowflake", "Snowflake"),
    ("teleport-cassandra", "Cassandra"),
    ("teleport-elasticsearch", "Elasticsearch"),
    ("teleport-opensearch", "OpenSearch"),
    ("teleport-dynamodb", "DynamoDB"),
    ("teleport-clickhouse", "ClickHouse"),
    ("teleport-spanner", "Spanner"),
];

/// What a ClientHello asks for, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classified {
    /// The service, or why there is none.
    pub service: Result<Service, Refusal>,
    /// The one protocol to offer back; `None` when the client offered no list or is refused.
    pub protocol: Option<&'static str>,
    /// The rule that decided, in words.
    pub why: &'static str,
}

/// Why a client gets no service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing fits what the client offers.
    NoHandler {
        /// The client's list, as far as it is shown.
        offered: Vec<String>,
    },
    /// Teleport would serve it.
    NotCarried {
        /// What it is for.
        what: &'static str,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHandler { offered } => write!(
                f,
                "failed to find ALPN handler based on received client supported protocols [{}]",
                offered.join(" ")
            ),
            Self::NotCarried { what } => write!(f, "twodoors does not carry {what}"),
        }
    }
}

/// Gives what an agent offers for its tunnel; nothing without TLS routing, where it speaks SSH at
/// once (Teleport `alpnDialerConfig`).
pub const fn offers(tls_routing: bool, strategy: Strategy) -> &'static [&'static str] {
    match (tls_routing, strategy) {
        (false, _) => &[],
        (true, Strategy::AgentMesh) => &[REVERSE_TUNNEL],
        (true, Strategy::ProxyPeering { .. }) => &[REVERSE_TUNNEL_V2, REVERSE_TUNNEL],
    }
}

/// Chooses the service for a ClientHello at this listener with this server name and ALPN list.
///
/// The listener mode does not come into it: the web listener of a cluster without TLS routing
/// routes as well, only nobody is told to go there (inferred).
pub fn classify(listener: Port, sni: Option<&str>, alpn: &[impl AsRef<str>]) -> Classified {
    match listener {
        Port::Web => web(sni, alpn),
        Port::Tunnel => tunnel(alpn),
        Port::Peer => served(Service::Peer, None, "the listener of other instances"),
        // Its clients may offer their own name, which Teleport does not look at.
        Port::Postgres => served(Service::Database, None, "the PostgreSQL listener"),
        Port::Ssh => not_carried("SSH of users", "the listener for SSH of users"),
        Port::Kube => not_carried("Kubernetes", "the Kubernetes listener"),
        Port::Mysql => not_carried("MySQL", "the MySQL listener"),
        Port::Mongo => not_carried("MongoDB", "the MongoDB listener"),
    }
}

fn web(sni: Option<&str>, alpn: &[impl AsRef<str>]) -> Classified {
    if sni.is_some_and(|name| name.starts_with(KUBE_SNI)) {
        return not_carried("Kubernetes", "the server name is one of Kubernetes");
    }
    if alpn.is_empty() {
        return served(Service::Web, None, "no ALPN counts as http/1.1");
    }
    let mut ping = false;
    for offered in alpn.iter().take(OFFERED_MAX) {
        let offered = offered.as_ref();
        match offered {
            REVERSE_TUNNEL => {
                let why = "offered teleport-reversetunnel";
                return served(Service::ReverseTunnel, Some(REVERSE_TUNNEL), why);
            }
            HTTP => return served(Service::Web, Some(HTTP), "offered http/1.1"),
            H2 => return served(Service::Web, Some(H2), "offered h2"),
            POSTGRES => {
                let why = "offered teleport-postgres";
                return served(Service::Database, Some(POSTGRES), why);
            }
            POSTGRES_PING => {
                let why = "offered teleport-postgres-ping: the bytes are in ping frames";
                return served(Service::Database, Some(POSTGRES_PING), why);
            }
            TCP => return served(Service::Tcp, Some(TCP), "offered teleport-tcp"),
            _ => {}
        }
        let plain = offered.strip_suffix(PING);
        ping |= plain.is_some_and(|plain| plain == TCP);
        if let Some(what) = known(offered) {
            return not_carried(what, "Teleport serves what is offered, twodoors does not");
        }
    }
    if ping {
        return not_carried(
            "TCP apps in ping frames",
            "offered teleport-tcp-ping without teleport-tcp",
        );
    }
    no_handler(alpn)
}

/// The tunnel listener has a web API that is enough to find and to join.
fn tunnel(alpn: &[impl AsRef<str>]) -> Classified {
    if alpn.is_empty() {
        let why = "no ALPN counts as http/1.1: the minimal web API";
        return served(Service::WebMinimal, None, why);
    }
    for offered in alpn.iter().take(OFFERED_MAX) {
        match offered.as_ref() {
            HTTP => {
                let why = "offered http/1.1: the minimal web API";
                return served(Service::WebMinimal, Some(HTTP), why);
            }
            H2 => {
                let why = "offered h2: the minimal web API";
                return served(Service::WebMinimal, Some(H2), why);
            }
            "teleport-proxy-grpc" => {
                let why = "Teleport serves what is offered, twodoors does not";
                return not_carried("gRPC for nodes that join", why);
            }
            _ => {}
        }
    }
    no_handler(alpn)
}

/// Gives what a protocol is for that Teleport serves and this lab does not carry.
fn known(offered: &str) -> Option<&'static str> {
    if offered.starts_with(AUTH_PREFIX) {
        return Some("the way to Auth");
    }
    if offered.starts_with(MYSQL_PREFIX) {
        return Some("MySQL");
    }
    let mut names = NOT_CARRIED.iter();
    let known = names.find(|(name, _)| {
        let rest = offered.strip_prefix(name);
        let database = !name.starts_with("teleport-proxy");
        rest.is_some_and(|rest| rest.is_empty() || (database && rest == PING))
    });
    known.map(|(_, what)| *what)
}

const fn served(service: Service, protocol: Option<&'static str>, why: &'static str) -> Classified {
    Classified {
        service: Ok(service),
        protocol,
        why,
    }
}

const fn not_carried(what: &'static str, why: &'static str) -> Classified {
    Classified {
        service: Err(Refusal::NotCarried { what }),
        protocol: None,
        why,
    }
}

fn no_handler(alpn: &[impl AsRef<str>]) -> Classified {
    let offered = shown(alpn);
    Classified {
        service: Err(Refusal::NoHandler { offered }),
        protocol: None,
        why: "no offered protocol is served",
    }
}

/// Gives as much of a client's list as a fact or a refusal shows.
pub fn shown(alpn: &[impl AsRef<str>]) -> Vec<String> {
    let short = |name: &str| match name.char_indices().nth(4 * SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    };
    let first = alpn.iter().take(SHOWN_MAX).map(|name| short(name.as_ref()));
    let more = alpn.len().saturating_sub(SHOWN_MAX);
    first
        .chain((more > 0).then(|| format!("and {more} more")))
        .collect()
}
