//! Names in certificates: those that a node's certificates carry, and the check of a shown one.
//!
//! In go parts of the topology, or what the other side of an SSH handshake showed; out come lists
//! of names, or a refusal in the words of Teleport (which are those of Go's SSH library). Both ends
//! of a tunnel ask [`check`]: the agent of the proxy's host key, the proxy of the agent's login.
//! Signatures are verified by the caller, who has the bytes; this has neither keys nor a clock.

use std::fmt;
use std::net::IpAddr;

use crate::model::addr::HostPort;
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

/// Lists the SSH principals of a proxy, the most telling first, each once.
///
/// First what Teleport's Auth adds (host id and node name with and without the cluster), then what
/// the proxy asks for: its host name, the hosts of *all* public addresses, the host that it listens
/// on unless that is every address, loopback, and the fixed Kubernetes name.
pub fn proxy(pool: &Pool, proxy: &Proxy, cluster: &str) -> Vec<String> {
    let nodename = proxy_nodename(proxy);
    let mut names = host(&proxy.id, &nodename, cluster);
    let web = pool.teleport.web_listen();
    let hosts = pool.teleport.public.iter().chain([&web]);
    names.extend(
        hosts
            .map(|address| address.host.to_string())
            .filter(|host| !is_unspecified(host)),
    );
    names.push(String::from("remote.kube.proxy.teleport.cluster.local"));
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

/// Lists the names of the web certificate as an operator's `https_keypairs` would have them: the
/// host of every public address and, for names, everything one label below it.
pub fn web(public_addrs: &[HostPort]) -> Vec<String> {
    let mut names = Vec::new();
    for address in public_addrs {
        let host = &address.host;
        names.push(host.to_string());
        if host.parse::<IpAddr>().is_err() {
            names.push(format!("*.{host}"));
        }
    }
    unique(names)
}

/// What Auth puts into every host certificate, in its order.
fn host(id: &str, nodename: &str, cluster: &str) -> Vec<String> {
    let mut names = vec![
        format!("{id}.{cluster}"),
        id.to_owned(),
        format!("{nodename}.{cluster}"),
        nodename.to_owned(),
    ];
    names.extend(["localhost", "127.0.0.1", "::1"].map(String::from));
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
