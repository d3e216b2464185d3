//! The identity of a stand-in: what plain `ssh` needs to hold a tunnel (reference 4.4).

use std::fmt;

use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::certificate::{Builder, CertType};

use super::{Authority, AuthorityError, random, validity};

/// The name that a stand-in logs in with, and the one principal of its certificate.
pub const STAND_IN: &str = "stand-in";

/// A key and its user certificate, as OpenSSH keeps them in files.
#[derive(Clone)]
pub struct StandIn {
    /// The private key, for `agent_key`.
    pub key: String,
    /// The certificate, for `agent_key-cert.pub`.
    pub certificate: String,
}

impl fmt::Debug for StandIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StandIn")
            .field("key", &"***")
            .field("certificate", &self.certificate)
            .finish()
    }
}

impl Authority {
    /// Issues a key and an SSH user certificate for stand-ins.
    pub fn issue_stand_in(&self, now: u64) -> Result<StandIn, AuthorityError> {
        let key = self.key()?;
        let (from, to) = validity(now);
        let nonce = random::<32>(&self.random)?;
        let mut builder = Builder::new(nonce, key.public_key(), from, to)?;
        builder
            .cert_type(CertType::User)?
            .key_id(STAND_IN)?
            .valid_principal(STAND_IN)?
            .extension("permit-port-forwarding", "")?;
        Ok(StandIn {
            certificate: self.sign(builder)?.to_openssh()? + "\n",
            key: key.to_openssh(LineEnding::LF)?.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stand_in_has_a_user_certificate_and_a_key_that_is_not_printed() {
        let authority = Authority::new(1_800_000_000).unwrap();
        let stand_in = authority.issue_stand_in(1_800_000_000).unwrap();
        assert!(
            stand_in
                .key
                .starts_with("-----BEGIN OPENSSH PRIVATE KEY-----\n")
        );
        assert!(
            stand_in
                .certificate
                .starts_with("ssh-ed25519-cert-v01@openssh.com AAAA")
        );
        assert!(!format!("{stand_in:?}").contains("PRIVATE"));
    }
}
