//! Certificates of users: X.509 of an authority of its own, which says nothing about hosts.
//!
//! In go a user and perhaps a database; out comes a short-lived certificate and its key. The route
//! is in extensions under Teleport's private arc 1.3.9999.2; the numbers within it are Teleport's
//! from memory, the encoding (a UTF-8 string each) is ours, and no Teleport reads these.

use std::fmt;
use std::time::Duration;

use rcgen::CustomExtension;
use rustls::RootCertStore;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{Authority, AuthorityError, BACKDATING, common_name, set_validity};
use crate::model::id::Name;
use crate::model::teleport::DatabaseRoute;

/// Teleport's private arc for what a user's database certificate says (from memory).
const ARC: [u64; 5] = [1, 3, 9999, 2, 0];

/// The last number of each extension (from memory).
const SERVICE: u64 = 1;
const PROTOCOL: u64 = 2;
const DATABASE_USER: u64 = 3;
const DATABASE: u64 = 4;

/// The authority of users.
pub(super) struct Users {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    der: rustls::pki_types::CertificateDer<'static>,
}

/// A user's certificate with its key.
#[derive(Clone)]
pub struct UserCertificate {
    /// The certificate.
    pub certificate_pem: String,
    /// Its private key.
    pub key_pem: String,
}

impl fmt::Debug for UserCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserCertificate")
            .field("certificate_pem", &self.certificate_pem)
            .field("key_pem", &"***")
            .finish()
    }
}

impl Users {
    pub(super) fn new(now: u64) -> Result<Self, AuthorityError> {
        let mut params = rcgen::CertificateParams::new(Vec::new())?;
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
        params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
        params.distinguished_name = common_name("twodoors user authority");
        set_validity(&mut params, now);
        let key = rcgen::KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        Ok(Self {
            der: certificate.der().clone(),
            issuer: rcgen::Issuer::new(params, key),
        })
    }
}

impl Authority {
    /// Issues a certificate for a user, and for a database when there is a route.
    ///
    /// `now` is in Unix seconds; the certificate ends `lifetime` later.
    pub fn issue_user(
        &self,
        route: Option<&DatabaseRoute>,
        user: &str,
        now: u64,
        lifetime: Duration,
    ) -> Result<UserCertificate, AuthorityError> {
        let mut params = rcgen::CertificateParams::new(Vec::new())?;
        params.distinguished_name = common_name(user);
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, now);
        params.not_after = params.not_before + Duration::from_secs(BACKDATING) + lifetime;
        if let Some(route) = route {
            let said = [
                (SERVICE, &route.service),
                (PROTOCOL, &route.protocol),
                (DATABASE_USER, &route.user),
                (DATABASE, &route.database),
            ];
            for (number, text) in said {
                let oid: Vec<u64> = ARC.into_iter().chain([number]).collect();
                let content = text.as_bytes().to_vec();
                let extension = CustomExtension::from_oid_content(&oid, content);
                params.custom_extensions.push(extension);
            }
        }
        let key = rcgen::KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.users.issuer)?;
        Ok(UserCertificate {
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        })
    }

    /// Gives the roots by which proxies verify what clients show.
    pub fn user_roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots
            .add(self.users.der.clone())
            .expect("the lab's own authority is a valid trust anchor");
        roots
    }
}

/// Reads the user, and the database where one is named, of a certificate that TLS has verified.
///
/// `None` when it is no certificate of a user: it has no name, or says a part of a route only.
pub fn read_user(der: &[u8]) -> Option<(Name, Option<DatabaseRoute>)> {
    let (rest, certificate) = X509Certificate::from_der(der).ok()?;
    if !rest.is_empty() {
        return None;
    }
    let name = certificate.subject().iter_common_name().next()?;
    let name = name.as_str().ok()?;
    if name.is_empty() {
        return None;
    }
    let said = |number: u64| {
        let extensions = certificate.extensions().iter();
        let mut found = extensions.filter(|extension| {
            let parts = extension.oid.iter();
            parts.is_some_and(|parts| parts.eq(ARC.into_iter().chain([number])))
        });
        let text = std::str::from_utf8(found.next()?.value).ok()?;
        Some(Name::from(text))
    };
    let route = match (
        said(SERVICE),
        said(PROTOCOL),
        said(DATABASE_USER),
        said(DATABASE),
    ) {
        (None, None, None, None) => None,
        (Some(service), Some(protocol), Some(user), Some(database)) => Some(DatabaseRoute {
            user,
            service,
            database,
            protocol,
        }),
        _ => return None,
    };
    Some((name.into(), route))
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    use super::*;

    const NOW: u64 = 1_800_000_000;
    const HOUR: Duration = Duration::from_secs(3_600);

    fn der(certificate: &UserCertificate) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(certificate.certificate_pem.as_bytes()).unwrap()
    }

    fn route() -> DatabaseRoute {
        DatabaseRoute {
            user: "alice".into(),
            service: "orders-db".into(),
            database: "".into(),
            protocol: "postgres".into(),
        }
    }

    #[test]
    fn a_certificate_says_who_asks_and_for_what() {
        let authority = Authority::new(NOW).unwrap();
        let issued = authority.issue_user(Some(&route()), "alice", NOW, HOUR);
        let read = read_user(&der(&issued.unwrap()));
        assert_eq!(read, Some(("alice".into(), Some(route()))));
        let issued = authority.issue_user(None, "bob", NOW, HOUR).unwrap();
        assert_eq!(read_user(&der(&issued)), Some(("bob".into(), None)));
    }

    #[test]
    fn it_ends_when_it_was_told_to() {
        let authority = Authority::new(NOW).unwrap();
        let issued = authority.issue_user(None, "alice", NOW, HOUR).unwrap();
        let der = der(&issued);
        let (_, certificate) = X509Certificate::from_der(&der).unwrap();
        let end = certificate.validity().not_after.timestamp();
        assert_eq!(u64::try_from(end).unwrap(), NOW + 3_600);
    }

    #[test]
    fn what_is_no_certificate_of_a_user_is_nobody() {
        let authority = Authority::new(NOW).unwrap();
        let issued = authority.issue_user(None, "alice", NOW, HOUR).unwrap();
        let whole = der(&issued).to_vec();
        for bytes in [&[][..], b"text", &whole[..whole.len() - 1]] {
            assert_eq!(read_user(bytes), None);
        }
        assert_eq!(read_user(&[&whole[..], b"more"].concat()), None);
        let unnamed = authority.issue_user(None, "", NOW, HOUR).unwrap();
        assert_eq!(read_user(&der(&unnamed)), None);
    }

    #[test]
    fn a_users_key_is_never_printed() {
        let authority = Authority::new(NOW).unwrap();
        let issued = authority.issue_user(None, "alice", NOW, HOUR).unwrap();
        assert!(!format!("{issued:?}").contains("PRIVATE"), "{issued:?}");
        assert!(issued.key_pem.contains("PRIVATE"));
    }
}
