//! Which address an agent dials for its tunnel (reference: Teleport `webclient`, `resolver`).
//!
//! In goes what `/webapi/find` said; out comes a name with its port and the rule that won. Only
//! TLS routing is known here: with it `public_addr` wins, then `web_listen_addr`, and the tunnel's
//! own settings are ignored.

use crate::model::addr::{self, HostPort};
use crate::model::time::Span;

/// How long an agent uses an answer to find again (Teleport `CachingResolver`).
pub const FOUND_FOR: Span = Span::from_secs(3);

/// The port of an address with TLS routing that names none.
pub const PORT_TLS_ROUTING: u16 = 443;

/// The port that stands in for a missing one when the host is unspecified.
const PORT_UNSPECIFIED: u16 = 3080;

/// What of the answer to find or ping decides. A text is empty when it is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// `proxy.tls_routing_enabled`.
    pub tls_routing: bool,
    /// `cluster_name`.
    pub cluster_name: String,
    /// `proxy.ssh.public_addr`.
    pub public_addr: String,
    /// `proxy.ssh.web_listen_addr`.
    pub web_listen_addr: String,
    /// `proxy.ssh.ssh_public_addr`.
    pub ssh_public_addr: String,
    /// `proxy.ssh.listen_addr`.
    pub ssh_listen_addr: String,
    /// `proxy.ssh.ssh_tunnel_public_addr`.
    pub tunnel_public_addr: String,
    /// `proxy.ssh.tunnel_listen_addr`.
    pub tunnel_listen_addr: String,
    /// `proxy.kube.public_addr`.
    pub kube_public_addr: String,
    /// `proxy.kube.listen_addr`.
    pub kube_listen_addr: String,
    /// `proxy.db.postgres_public_addr`.
    pub postgres_public_addr: String,
    /// `proxy.db.postgres_listen_addr`.
    pub postgres_listen_addr: String,
    /// `proxy.db.mysql_public_addr`.
    pub mysql_public_addr: String,
    /// `proxy.db.mysql_listen_addr`.
    pub mysql_listen_addr: String,
    /// `proxy.db.mongo_public_addr`.
    pub mongo_public_addr: String,
    /// `proxy.db.mongo_listen_addr`.
    pub mongo_listen_addr: String,
}

/// An address to dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The name and port; the name is resolved at each dial.
    pub address: HostPort,
    /// The rule that won.
    pub rule: &'static str,
}

/// Works out the tunnel address. The error is a sentence.
pub fn tunnel(document: &Document) -> Result<Found, String> {
    if !document.tls_routing {
        return Err(String::from(
            "the proxy does not use TLS routing (proxy_listener_mode: separate)",
        ));
    }
    let web = addr::read(&document.web_listen_addr).ok();
    let (text, rule) = if document.public_addr.is_empty() {
        (
            &document.web_listen_addr,
            "TLS routing: web_listen_addr, no public_addr is set",
        )
    } else {
        (&document.public_addr, "TLS routing: first public_addr")
    };
    let read = addr::read(text).map_err(|why| format!("{text:?} is not an address: {why}"))?;
    let port = read
        .port
        .or_else(|| web.and_then(|web| web.port))
        .unwrap_or(PORT_TLS_ROUTING);
    Ok(Found {
        address: specified(read.host, port),
        rule,
    })
}

/// Replaces an unspecified host, which is never a principal, by `localhost`.
fn specified(host: &str, port: u16) -> HostPort {
    if matches!(host, "" | "0.0.0.0" | "::") {
        let port = if port == 0 { PORT_UNSPECIFIED } else { port };
        return HostPort {
            host: "localhost".into(),
            port,
        };
    }
    HostPort {
        host: host.into(),
        port,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(public_addr: &str, web_listen_addr: &str, expected: Result<&str, &str>) {
        let document = Document {
            tls_routing: true,
            public_addr: public_addr.into(),
            web_listen_addr: web_listen_addr.into(),
            ..Document::default()
        };
        let found = tunnel(&document).map(|found| found.address.to_string());
        match expected {
            Ok(address) => assert_eq!(found.as_deref(), Ok(address)),
            Err(part) => assert!(found.as_ref().is_err_and(|e| e.contains(part)), "{found:?}"),
        }
    }

    #[test]
    fn the_first_public_address_wins() {
        check(
            "proxy.example.com:3080",
            "0.0.0.0:3080",
            Ok("proxy.example.com:3080"),
        );
        check(
            "https://proxy.example.com:443/web",
            "",
            Ok("proxy.example.com:443"),
        );
        check("[::1]:3080", "", Ok("[::1]:3080"));
    }

    #[test]
    fn a_missing_port_is_that_of_the_web_listener_and_else_443() {
        check(
            "proxy.example.com",
            "0.0.0.0:3080",
            Ok("proxy.example.com:3080"),
        );
        check("proxy.example.com", "", Ok("proxy.example.com:443"));
    }

    #[test]
    fn an_unspecified_host_becomes_localhost() {
        check("", "0.0.0.0:3080", Ok("localhost:3080"));
        check("", "[::]:3080", Ok("localhost:3080"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        check("ftp://proxy.example.com", "", Err("is not an address"));
        check("proxy.example.com:port", "", Err("is not an address"));
        check("", "", Err("is not an address"));
    }

    #[test]
    fn separate_listeners_are_refused() {
        assert!(tunnel(&Document::default()).is_err());
    }
}
