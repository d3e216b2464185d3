//! Which service a TLS client of a proxy gets, by the protocols that it offers.
//!
//! In go the server name and the ALPN list of a ClientHello; out comes the service and the one
//! protocol name that the proxy then offers back, or a refusal in Teleport's words. Teleport's
//! rules: the list is walked in the *client's* order, and an empty list counts as `http/1.1`
//! (Teleport `lib/srv/alpnproxy/proxy.go`).
//!
//! The server name does not choose between the two services of this lab: only a Kubernetes name
//! would, and there is no Kubernetes here. `h2` is not served: a client that offers nothing else is
//! refused, one that offers `http/1.1` beside it gets that.

use std::fmt;

use crate::model::fact::Service;

/// What an agent offers for its reverse tunnel.
pub const REVERSE_TUNNEL: &str = "teleport-reversetunnel";

/// How many names of a client's list are looked at; Teleport's own clients know about forty.
pub const OFFERED_MAX: usize = 64;

/// How many names, and characters of a name, are shown of a client's list.
const SHOWN_MAX: usize = 16;

/// What browsers, curl and `/webapi/find` offer.
pub const HTTP: &str = "http/1.1";

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

/// No service fits what the client offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The client's list.
    pub offered: Vec<String>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "failed to find ALPN handler based on received client supported protocols [{}]",
            self.offered.join(" ")
        )
    }
}

/// Chooses the service for a ClientHello with this server name and ALPN list.
pub fn classify(_sni: Option<&str>, alpn: &[impl AsRef<str>]) -> Classified {
    if alpn.is_empty() {
        return Classified {
            service: Ok(Service::Web),
            protocol: None,
            why: "no ALPN counts as http/1.1",
        };
    }
    for offered in alpn.iter().take(OFFERED_MAX) {
        let (service, protocol, why) = match offered.as_ref() {
            REVERSE_TUNNEL => (
                Service::ReverseTunnel,
                REVERSE_TUNNEL,
                "offered teleport-reversetunnel",
            ),
            HTTP => (Service::Web, HTTP, "offered http/1.1"),
            _ => continue,
        };
        return Classified {
            service: Ok(service),
            protocol: Some(protocol),
            why,
        };
    }
    Classified {
        service: Err(Refusal {
            offered: shown(alpn),
        }),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(alpn: &[&str], service: Option<Service>, protocol: Option<&str>) {
        let classified = classify(Some("proxy.example.com"), alpn);
        assert_eq!(classified.service.ok(), service, "{alpn:?}");
        assert_eq!(classified.protocol, protocol, "{alpn:?}");
    }

    #[test]
    fn the_first_offer_that_is_served_wins() {
        let (tunnel, web) = (Some(Service::ReverseTunnel), Some(Service::Web));
        check(&[], web, None);
        check(&["http/1.1"], web, Some("http/1.1"));
        check(&["h2", "http/1.1"], web, Some("http/1.1"));
        check(
            &["teleport-reversetunnel"],
            tunnel,
            Some("teleport-reversetunnel"),
        );
        check(
            &["teleport-reversetunnelv2", "teleport-reversetunnel"],
            tunnel,
            Some("teleport-reversetunnel"),
        );
        check(
            &["http/1.1", "teleport-reversetunnel"],
            web,
            Some("http/1.1"),
        );
    }

    #[test]
    fn a_long_list_is_shown_in_part_and_looked_at_in_part() {
        let long = vec!["x".repeat(255); 29_000];
        let Err(refusal) = classify(None, &long).service else {
            panic!("nothing of it is served")
        };
        assert!(
            refusal.to_string().len() < 2_000,
            "{}",
            refusal.to_string().len()
        );
        assert_eq!(refusal.offered.last().unwrap(), "and 28984 more");
        let mut late = vec!["x"; OFFERED_MAX];
        late.push(HTTP);
        assert!(classify(None, &late).service.is_err());
        assert!(classify(None, &late[1..]).service.is_ok());
    }

    #[test]
    fn what_is_not_served_is_refused_in_the_words_of_the_reference() {
        check(&["h2"], None, None);
        check(&["HTTP/1.1"], None, None);
        let refused = classify(None, &["h2", "teleport-tcp"]).service;
        assert_eq!(
            refused.map_err(|refusal| refusal.to_string()),
            Err(String::from(
                "failed to find ALPN handler based on received client supported protocols \
                 [h2 teleport-tcp]"
            ))
        );
    }
}
