//! Names in certificates: those that a node's certificates carry, and the check of a shown one.
//!
//! In go parts of the topology, or what the other side of an SSH handshake showed; out come lists
//! of names, or a refusal in the words of Teleport (which are those of Go's SSH library). Both ends
//! of a tunnel ask [`check`]: the agent of the proxy's host key, the proxy of the agent's login; of
//! a stand-in's login it asks [`check_user`].
//! Signatures are verified by the caller, who has the bytes; this has neither keys nor a clock.

use std::fmt;
use std::net::IpAddr;

use crate::model::addr::HostPort;
use crate::model::teleport::{Port, ProxyService, Version, WebCertificate};
use crate::model::topology::{Agent, Pool, Proxy};

#[cfg(test)]
mod tests;

/// What the other side of an SSH handshake showed, as plain data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// A plain key, or which type of certificate.
    pub kind: ShownKind,
    /// The certificate's key id; empty for a plain key.
    pub key_id: String,
    /// The names that the certificate is valid for, in its order.
    pub principals: Vec<String>,
    /// Whether the signer is one of the authorities that the asker trusts.
    pub ca_known: bool,
    /// Whether the signer's signature verifies.
    pub signature_valid: bool,
    /// First second of validity, Unix time.
    pub valid_after: u64,
    /// First second after validity, Unix time.
    pub valid_before: u64,
    /// Names of the critical options.
    pub critical_options: Vec<String>,
    /// The role, from the extension `x-teleport-role`.
    pub role: Option<String>,
}

/// The kind of key in an SSH handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShownKind {
    /// A certificate of type host.
    HostCertificate,
    /// A key without a certificate.
    PlainKey,
    /// A certificate of type user.
    UserCertificate,
}

/// Why a shown key is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The certificate demands something that nobody here understands.
    CriticalOption(String),
    /// Its validity is over.
    Expired,
    /// It is a certificate of type host, shown by a user.
    HostCertificate,
    /// It names nobody, which would make it valid for everybody.
    NoPrincipals,
    /// Its validity has not begun.
    NotYetValid,
    /// It is a key without a certificate.
    PlainKey,
    /// It is for other names than the expected one.
    Principal {
        /// The name that was expected.
        expected: String,
        /// The names that it is for.
        listed: Vec<String>,
    },
    /// The signer's signature does not verify.
    Signature,
    /// It was signed by an authority that is not trusted; holds the expected name.
    UnknownAuthority(String),
    /// It is a certificate of type user.
    UserCertificate,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CriticalOption(name) => write!(
                f,
                "ssh: unsupported critical option {name:?} in certificate"
            ),
            Self::Expired => f.write_str("ssh: cert has expired"),
            Self::HostCertificate => {
                f.write_str("ssh: certificate presented as a user key has type 2")
            }
            Self::NoPrincipals => f.write_str("ssh: certificate without principals"),
            Self::NotYetValid => f.write_str("ssh: cert is not yet valid"),
            Self::PlainKey => f.write_str("ssh: non-certificate host key"),
            Self::Principal { expected, listed } => {
                write!(
                    f,
                    "ssh: principal {expected:?} not in the set of valid principals for given \
                     certificate: ["
                )?;
                for (n, name) in listed.iter().enumerate() {
                    write!(f, "{}{name:?}", if n == 0 { "" } else { " " })?;
                }
                f.write_str("]")
            }
            Self::Signature => f.write_str("ssh: certificate signature does not verify"),
            Self::UnknownAuthority(host) => {
                write!(f, "ssh: no authorities for hostname: {host}")
            }
            Self::UserCertificate => {
                f.write_str("ssh: certificate presented as a host key has type 1")
            }
        }
    }
}

/// Decides whether what was shown may stand for `expected` at `now` (Unix seconds).
///
/// The order is that of Go's `CertChecker`: kind, authority, critical options, principals,
/// validity, signature. Stricter than Go and OpenSSH in one point: an empty list of principals,
/// which they take for "anyone", is refused.
pub fn check(shown: &Shown, expected: &str, now: u64) -> Result<(), Refusal> {
    match shown.kind {
        ShownKind::PlainKey => return Err(Refusal::PlainKey),
        ShownKind::UserCertificate => return Err(Refusal::UserCertificate),
        ShownKind::HostCertificate => {}
    }
    check_signed(shown, expected, now)
}

/// Decides whether what a stand-in shows at its login may stand for `user` at `now`, as [`check`]
/// does but for the type.
pub fn check_user(shown: &Shown, user: &str, now: u64) -> Result<(), Refusal> {
    match shown.kind {
        ShownKind::PlainKey => return Err(Refusal::PlainKey),
        ShownKind::HostCertificate => return Err(Refusal::HostCertificate),
        ShownKind::UserCertificate => {}
    }
    check_signed(shown, user, now)
}

/// The part that is the same for both types. The order of it is (from memory) in the reference.
fn check_signed(shown: &Shown, expected: &str, now: u64) -> Result<(), Refusal> {
    if !shown.ca_known {
        return Err(Refusal::UnknownAuthority(expected.to_owned()));
    }
    if let Some(name) = shown.critical_options.first() {
        return Err(Refusal::CriticalOption(name.clone()));
    }
    if shown.principals.is_empty() {
        return Err(Refusal::NoPrincipals);
    }
    if !shown.principals.iter().any(|name| name == expected) {
        return Err(Refusal::Principal {
            expected: expected.to_owned(),
            listed: shown.principals.clone(),
        });
    }
    if now < shown.valid_after {
        return Err(Refusal::NotYetValid);
    }
    if now >= shown.valid_before {
        return Err(Refusal::Expired);
    }
    if !shown.signature_valid {
        return Err(Refusal::Signature);
    }
    Ok(())
}

/// Gives the host id from the first principal: the text before the first dot.
pub fn host_id(principals: &[impl AsRef<str>]) -> Option<&str> {
    let first = principals.first()?.as_ref();
    let id = first.split('.').next().unwrap_or(first);
    (!id.is_empty()).then_some(id)
}

/// What Auth puts into every host certificate of its own accord, and what a proxy asks for, too.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Where proxies of any cluster reach Kubernetes.
const KUBE: &str = "remote.kube.proxy.teleport.cluster.local";

/// The host of an address that names a port alone (Teleport `AnyAddress`).
const ANY: &str = "0.0.0.0";

/// Lists the SSH principals of a proxy, the most telling first, each once.
pub fn proxy(pool: &Pool, proxy: &Proxy, cluster: &str) -> Vec<String> {
    let nodename = proxy_nodename(proxy);
    let requested = requested(&pool.teleport, &nodename);
    issued((&proxy.id, &nodename), cluster, requested)
}

/// Lists what a proxy asks Auth for, in Teleport's order (`getAdditionalPrincipals`).
///
/// All entries of a list become principals, not only the advertised first. Ports are dropped; an
/// address that has a port alone is `0.0.0.0` here, which [`issued`] takes out again.
pub fn requested(service: &ProxyService, hostname: &str) -> Vec<String> {
    let mut names = vec![hostname.to_owned()];
    let lower = hostname.to_lowercase();
    if lower != hostname {
        names.push(lower);
    }
    let mut add = |addresses: &[HostPort]| {
        let hosts = addresses.iter().map(|address| match &*address.host {
            "" => ANY.to_owned(),
            host => host.to_owned(),
        });
        names.extend(hosts);
    };
    add(&service.public);
    add(&[service.web_listen()]);
    for port in [Port::Ssh, Port::Tunnel, Port::Mysql, Port::Peer] {
        add(service.listener(port).map_or(&[], std::slice::from_ref));
    }
    let fixed = LOOPBACK.into_iter().chain([KUBE]);
    let fixed: Vec<HostPort> = fixed
        .map(|host| HostPort {
            host: host.into(),
            port: 0,
        })
        .collect();
    add(&fixed);
    add(&service.ssh_public);
    add(&service.tunnel_public);
    add(&service.postgres_public);
    add(&service.mysql_public);
    add(&service.kube_public);
    add(service.peer_public.as_slice());
    names
}

/// Lists what Auth issues to a host of this id and node name that asks for these: its own first,
/// the unspecified host taken out, each once (Teleport `BuildPrincipals`).
pub fn issued((id, nodename): (&str, &str), cluster: &str, requested: Vec<String>) -> Vec<String> {
    let mut names = host(id, nodename, cluster);
    // Teleport puts the address that the request came from in its place (inferred); here nobody has one.
    names.extend(requested.into_iter().filter(|name| !is_unspecified(name)));
    unique(names)
}

/// Lists the DNS names in a proxy's identity certificate, which other proxies and Auth verify.
pub fn identity_dns_names(service: &ProxyService) -> Vec<String> {
    let mut names = ["*.teleport.cluster.local", "teleport.cluster.local"]
        .map(String::from)
        .to_vec();
    let kube = service.version != Version::V1 || service.listener(Port::Kube).is_some();
    if kube {
        let public = service.public.iter().chain(&service.kube_public);
        let hosts = public.filter(|address| address.host.parse::<IpAddr>().is_err());
        names.extend(hosts.map(|address| format!("*.{}", address.host)));
    }
    unique(names)
}

/// Lists the SSH principals of an agent.
pub fn agent(agent: &Agent, cluster: &str) -> Vec<String> {
    unique(host(&agent.id, &agent.name, cluster))
}

/// Gives the node name of a proxy: `proxy-1`.
pub fn proxy_nodename(proxy: &Proxy) -> String {
    format!("proxy-{}", proxy.name)
}

/// Lists the names of the web certificate.
///
/// Those of a pair that was read are its own. For a pair that is elsewhere the lab issues what an
/// operator would have: every public host of web and tunnels, and all names one label below. One
/// that Teleport makes itself has the host name, `localhost` and the public hosts, without apps.
pub fn web(service: &ProxyService, hostname: &str) -> Vec<String> {
    match &service.certificate {
        WebCertificate::Read(names) => unique(names.iter().map(ToString::to_string).collect()),
        WebCertificate::Elsewhere => {
            let mut names = Vec::new();
            for address in service.public.iter().chain(&service.tunnel_public) {
                let host = &address.host;
                names.push(host.to_string());
                if host.parse::<IpAddr>().is_err() {
                    names.push(format!("*.{host}"));
                }
            }
            unique(names)
        }
        WebCertificate::SelfSigned => {
            let mut names = vec![hostname.to_owned(), String::from("localhost")];
            names.extend(
                service
                    .public
                    .iter()
                    .map(|address| address.host.to_string()),
            );
            unique(names)
        }
    }
}

/// Tells whether a name of a certificate stands for a host: itself, or a star for one label.
pub fn covers(name: &str, host: &str) -> bool {
    let host = host.trim_end_matches('.');
    match name.strip_prefix("*.") {
        Some(parent) => host
            .split_once('.')
            .is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(parent)),
        None => name.eq_ignore_ascii_case(host),
    }
}

/// What Auth puts into every host certificate, in its order.
fn host(id: &str, nodename: &str, cluster: &str) -> Vec<String> {
    let mut names = vec![
        format!("{id}.{cluster}"),
        id.to_owned(),
        format!("{nodename}.{cluster}"),
        nodename.to_owned(),
    ];
    names.extend(LOOPBACK.map(String::from));
    names
}

fn is_unspecified(host: &str) -> bool {
    host.is_empty()
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_unspecified())
}

fn unique(names: Vec<String>) -> Vec<String> {
    let mut seen: Vec<String> = Vec::with_capacity(names.len());
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}
