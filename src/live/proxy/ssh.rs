//! The SSH listener of users: it shows the instance's host certificate and lets nobody in.
//!
//! `ssh -p 3023` can so check the principals; sessions are not carried, and the banner says so.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::Algorithm;
use russh::server::{self, Auth, Handler};
use russh::{MethodKind, MethodSet, Preferred};
use tokio::time::timeout;

use super::Proxy;
use crate::live::authority::HostIdentity;
use crate::live::cut;
use crate::model::addr::ClientAddr;
use crate::model::id::ConnId;

/// What a client reads before it is refused.
const WORDS: &str = "twodoors carries no SSH sessions: it shows its host certificate, no more";

/// How long a client may take until it gives up (OpenSSH's `LoginGraceTime`).
const TIMEOUT_LOGIN: Duration = Duration::from_secs(120);

/// How many logins one connection may try.
const LOGINS_MAX: usize = 3;

/// A refused login is told at once: there is nothing to guess here.
const REJECTION: Duration = Duration::from_millis(10);

struct Refusing;

impl Handler for Refusing {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        _user: &str,
        _offer: server::PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(Auth::reject())
    }

    async fn authentication_banner(&mut self) -> Result<Option<String>, Self::Error> {
        Ok(Some(format!("{WORDS}\r\n")))
    }
}

impl Proxy {
    /// Shakes hands and refuses every login; the refusal is a fact.
    pub(super) async fn serve_login(&self, conn: ConnId, client: ClientAddr, stream: cut::Stream) {
        let config = Arc::new(config(&self.inner.means.identity));
        let session = async {
            let session = server::run_stream(config, stream, Refusing).await?;
            session.await
        };
        let ended = timeout(TIMEOUT_LOGIN, Box::pin(session)).await;
        if let Ok(Err(error)) = ended {
            tracing::debug!(%error, %client, "an SSH client left");
        }
        self.refused(conn, Some(client), String::from(WORDS));
    }
}

fn config(identity: &HostIdentity) -> server::Config {
    server::Config {
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        keys: vec![identity.key.as_ref().clone()],
        certificates: vec![identity.certificate.clone()],
        preferred: Preferred {
            key: Cow::Borrowed(&[Algorithm::Ed25519]),
            ..Preferred::default()
        },
        auth_rejection_time: REJECTION,
        auth_rejection_time_initial: Some(Duration::ZERO),
        max_auth_attempts: LOGINS_MAX,
        inactivity_timeout: Some(TIMEOUT_LOGIN),
        ..server::Config::default()
    }
}
