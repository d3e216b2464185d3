//! The authority of the lab: every certificate that a node shows is made here, at start.
//!
//! In go names and the time (Unix seconds); out come TLS certificates of an X.509 authority and SSH
//! host certificates of an SSH authority, what to trust them by, and plain data about what the
//! other side showed. Users have an authority of their own (`authority/user`). It keeps nothing on disk and its keys never leave it; `Debug` masks them.

mod user;

mod stand_in;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use russh::keys::ssh_key::certificate::{Builder, CertType};
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::ssh_key::{self, Fingerprint};
use russh::keys::{Certificate, HashAlg, PrivateKey, PublicKey, PublicKeyOrCertificate};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;
use thiserror::Error;

use crate::policy::principals::{Shown, ShownKind};

pub use self::stand_in::{STAND_IN, StandIn};
use self::user::Users;
pub use self::user::{UserCertificate, read_user};

/// How long before its making a certificate is valid: clocks of test machines differ a little.
pub const BACKDATING: u64 = 3_600;

/// How long a certificate is valid: longer than any lab runs.
pub const VALIDITY: u64 = 365 * 86_400;

/// The extension that says what a host is, as Teleport names it.
const ROLE_EXTENSION: &str = "x-teleport-role";

/// Why a certificate could not be made.
#[derive(Debug, Error)]
pub enum AuthorityError {
    /// The system gave no random bytes.
    #[error("no random bytes from the system")]
    Random,
    /// An SSH key or certificate was refused by the library.
    #[error("SSH certificate: {0}")]
    Ssh(#[from] ssh_key::Error),
    /// A TLS key was refused by the library.
    #[error("TLS key: {0}")]
    Tls(#[from] rustls::Error),
    /// An X.509 certificate was refused by the library.
    #[error("TLS certificate: {0}")]
    X509(#[from] rcgen::Error),
}

/// What a host certificate is for, as Teleport's system roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostRole {
    /// An agent that serves apps.
    App,
    /// A proxy.
    Proxy,
}

impl HostRole {
    /// Gives Teleport's word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::App => "App",
            Self::Proxy => "Proxy",
        }
    }
}

/// The authorities of one lab.
pub struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    ca_pem: String,
    ca_der: rustls::pki_types::CertificateDer<'static>,
    ssh: PrivateKey,
    users: Users,
    random: SystemRandom,
}

/// The SSH identity of a proxy or an agent: a key and its host certificate.
#[derive(Clone)]
pub struct HostIdentity {
    /// The private key.
    pub key: Arc<PrivateKey>,
    /// The certificate of its public half.
    pub certificate: Certificate,
}

/// Which SSH authorities a node believes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Trust {
    authorities: Arc<[Fingerprint]>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("keys", &"***")
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for HostIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostIdentity")
            .field("key", &"***")
            .field("key_id", &self.certificate.key_id())
            .finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes the authorities at the time `now` (Unix seconds).
    pub fn new(now: u64) -> Result<Self, AuthorityError> {
        let random = SystemRandom::new();
        let mut params = rcgen::CertificateParams::new(Vec::new())?;
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
        params.key_usages = vec![
            rcgen::KeyUsagePurpose::KeyCertSign,
            rcgen::KeyUsagePurpose::CrlSign,
        ];
        params.distinguished_name = common_name("twodoors lab authority");
        set_validity(&mut params, now);
        let key = rcgen::KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let ssh = ed25519(&random)?;
        Ok(Self {
            ca_pem: certificate.pem(),
            ca_der: certificate.der().clone(),
            issuer: rcgen::Issuer::new(params, key),
            ssh,
            users: Users::new(now)?,
            random,
        })
    }

    /// Issues a web certificate for these names and addresses, its chain ready for rustls.
    pub fn issue_web(&self, names: &[String], now: u64) -> Result<CertifiedKey, AuthorityError> {
        let mut params = rcgen::CertificateParams::new(names)?;
        params.distinguished_name = common_name(names.first().map_or("twodoors", String::as_str));
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, now);
        let key = rcgen::KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        Ok(CertifiedKey::new(
            vec![certificate.der().clone()],
            rustls::crypto::ring::sign::any_supported_type(&key)?,
        ))
    }

    /// Issues a key and an SSH host certificate for these principals, in this order.
    pub fn issue_host(
        &self,
        role: HostRole,
        key_id: &str,
        principals: &[String],
        now: u64,
    ) -> Result<HostIdentity, AuthorityError> {
        let key = ed25519(&self.random)?;
        let (from, to) = validity(now);
        let mut builder = Builder::new(random::<32>(&self.random)?, key.public_key(), from, to)?;
        builder
            .cert_type(CertType::Host)?
            .key_id(key_id)?
            .extension(ROLE_EXTENSION, role.word())?;
        for principal in principals {
            builder.valid_principal(principal)?;
        }
        Ok(HostIdentity {
            certificate: self.sign(builder)?,
            key: Arc::new(key),
        })
    }

    /// Signs a certificate that the caller has filled in.
    ///
    /// For certificates that a lab does not issue itself: a stand-in's, or a broken one in a test.
    pub fn sign(&self, builder: Builder) -> Result<Certificate, AuthorityError> {
        Ok(builder.sign(&self.ssh)?)
    }

    /// Makes an SSH key that no authority has signed yet.
    pub fn key(&self) -> Result<PrivateKey, AuthorityError> {
        ed25519(&self.random)
    }

    /// Gives what nodes of this lab believe about SSH hosts.
    pub fn trust(&self) -> Trust {
        Trust {
            authorities: [self.ssh.fingerprint(HashAlg::Sha256)].into(),
        }
    }

    /// Gives the X.509 authority's certificate for `curl --cacert`.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Gives the roots that TLS clients of this lab believe.
    pub fn roots(&self) -> rustls::RootCertStore {
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(self.ca_der.clone())
            .expect("the lab's own authority is a valid trust anchor");
        roots
    }

    /// Gives the line of a `known_hosts` file that makes OpenSSH believe hosts of this pattern.
    pub fn known_hosts_line(&self, pattern: &str) -> Result<String, AuthorityError> {
        let key = PublicKey::new(self.ssh.public_key().key_data().clone(), "").to_openssh()?;
        Ok(format!("@cert-authority {pattern} {key} twodoors"))
    }
}

impl HostIdentity {
    /// Gives the host id, as the first principal tells it.
    pub fn host_id(&self) -> Option<&str> {
        crate::policy::principals::host_id(self.certificate.valid_principals())
    }
}

impl Trust {
    /// Turns what the other side of a handshake showed into plain data.
    ///
    /// The SSH library has already verified that the other side holds the key.
    pub fn shown(&self, key: &PublicKeyOrCertificate) -> Shown {
        match key.certificate() {
            Some(certificate) => self.shown_certificate(certificate),
            None => Shown {
                kind: ShownKind::PlainKey,
                key_id: String::new(),
                principals: Vec::new(),
                ca_known: false,
                signature_valid: false,
                valid_after: 0,
                valid_before: 0,
                critical_options: Vec::new(),
                role: None,
            },
        }
    }

    /// Turns a shown certificate into plain data.
    pub fn shown_certificate(&self, certificate: &Certificate) -> Shown {
        let signer = certificate.signature_key().fingerprint(HashAlg::Sha256);
        Shown {
            kind: match certificate.cert_type() {
                CertType::Host => ShownKind::HostCertificate,
                CertType::User => ShownKind::UserCertificate,
            },
            key_id: certificate.key_id().to_owned(),
            principals: certificate.valid_principals().to_vec(),
            ca_known: self.authorities.contains(&signer),
            signature_valid: certificate.verify_signature().is_ok(),
            valid_after: certificate.valid_after(),
            valid_before: certificate.valid_before(),
            critical_options: certificate.critical_options().keys().cloned().collect(),
            role: certificate.extensions().get(ROLE_EXTENSION).cloned(),
        }
    }
}

fn ed25519(random: &SystemRandom) -> Result<PrivateKey, AuthorityError> {
    let pair = Ed25519Keypair::from_seed(&self::random::<32>(random)?);
    Ok(PrivateKey::new(KeypairData::Ed25519(pair), "")?)
}

fn random<const N: usize>(random: &SystemRandom) -> Result<[u8; N], AuthorityError> {
    let mut bytes = [0; N];
    random
        .fill(&mut bytes)
        .map_err(|ring::error::Unspecified| AuthorityError::Random)?;
    Ok(bytes)
}

fn validity(now: u64) -> (u64, u64) {
    (now.saturating_sub(BACKDATING), now.saturating_add(VALIDITY))
}

fn set_validity(params: &mut rcgen::CertificateParams, now: u64) {
    let (from, to) = validity(now);
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(from);
    params.not_after = epoch + Duration::from_secs(to);
}

fn common_name(name: &str) -> rcgen::DistinguishedName {
    let mut distinguished = rcgen::DistinguishedName::new();
    distinguished.push(rcgen::DnType::CommonName, name);
    distinguished
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    #[test]
    fn certificates_are_backdated_and_end_after_a_year() {
        let authority = Authority::new(NOW).unwrap();
        let names = [String::from("a1.lab"), String::from("a1")];
        let host = authority
            .issue_host(HostRole::App, "orders", &names, NOW)
            .unwrap();
        let shown = authority.trust().shown_certificate(&host.certificate);
        assert_eq!(shown.kind, ShownKind::HostCertificate);
        assert_eq!(shown.principals, names);
        assert_eq!(shown.role.as_deref(), Some("App"));
        assert!(shown.ca_known && shown.signature_valid);
        assert_eq!(shown.valid_after, NOW - BACKDATING);
        assert_eq!(shown.valid_before, NOW + VALIDITY);
        assert_eq!(host.host_id(), Some("a1"));
        let other = Authority::new(NOW).unwrap();
        assert!(!other.trust().shown_certificate(&host.certificate).ca_known);
    }

    #[test]
    fn openssh_is_told_whom_to_believe() {
        let authority = Authority::new(NOW).unwrap();
        let line = authority.known_hosts_line("*").unwrap();
        assert!(
            line.starts_with("@cert-authority * ssh-ed25519 AAAA"),
            "{line}"
        );
        assert!(
            authority
                .ca_pem()
                .starts_with("-----BEGIN CERTIFICATE-----")
        );
    }

    #[test]
    fn no_key_is_ever_printed() {
        let authority = Authority::new(NOW).unwrap();
        let host = authority.issue_host(HostRole::Proxy, "proxy-1", &[], NOW);
        assert!(
            host.is_err(),
            "a certificate without principals would be for everyone"
        );
        assert_eq!(format!("{authority:?}"), "Authority { keys: \"***\", .. }");
    }
}
