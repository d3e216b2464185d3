//! Proxy peering: an instance passes a request on to another one that holds the agent's tunnel.
//!
//! In goes a connected stream; out comes one on which a line of JSON was said each way: the dial
//! request of a tunnel, then `{"ok":true}` or `{"error":"…"}`; bytes follow. One connection a request.
//! Both ends show an identity of the pool's own authority, which no user and no agent has, and both
//! check it: the asker that this is the instance that it dialled, the asked that it is one of the
//! pool. Teleport speaks gRPC here (reference 4.3); the meaning is its, the bytes are not.
//!
//! It decides nothing: whom to ask is `policy/route`, who may be asked is `policy/proxy`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use super::authority::{BACKDATING, VALIDITY};
use super::tls::TIMEOUT_HANDSHAKE;
use super::tunnel::message::{self, DialReply, DialReq, LINE_MAX};
use crate::model::id::Name;

/// How long a connect to a peer may take: a user waits, and another peer may be next.
pub const TIMEOUT_CONNECT: Duration = Duration::from_secs(5);

/// How long a peer may take to say what it asks for.
pub const TIMEOUT_ASK: Duration = Duration::from_secs(10);

/// How long a peer may take to answer: it asks its agent meanwhile, for at most 30 s.
pub const TIMEOUT_ANSWER: Duration = Duration::from_secs(35);

/// How many requests of peers are served at a time; more are closed at accept.
pub const PEERS_MAX: usize = 1_024;

/// The names in every proxy's identity beside its own (reference 2.1).
const NAMES: [&str; 2] = ["*.teleport.cluster.local", "teleport.cluster.local"];

/// Why a peer took no request.
#[derive(Debug, Error)]
pub enum PeerError {
    /// The other side showed an identity of no instance of this pool.
    #[error("the other side is no instance of this pool")]
    Stranger,
    /// TCP or TLS failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// An identity could not be made or used.
    #[error("identity: {0}")]
    Identity(String),
    /// What was said is not the message expected.
    #[error("{0}")]
    Message(String),
    /// The peer said no, in its own words.
    #[error("{0}")]
    Refused(String),
    /// It took too long.
    #[error("{what}: nothing came for {}s", limit.as_secs())]
    Timeout {
        /// What was waited for.
        what: &'static str,
        /// For how long.
        limit: Duration,
    },
}

/// The authority of a pool's identities.
pub struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    root: CertificateDer<'static>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority")
            .field("keys", &"***")
            .finish_non_exhaustive()
    }
}

/// The identity of one instance, ready for handshakes both ways. Cheap to clone.
#[derive(Clone)]
pub struct Identity {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

fn identity_error(error: impl std::fmt::Display) -> PeerError {
    PeerError::Identity(error.to_string())
}

impl Authority {
    /// Makes the authority at the time `now` (Unix seconds).
    pub fn new(now: u64) -> Result<Self, PeerError> {
        let mut params = rcgen::CertificateParams::new(Vec::new()).map_err(identity_error)?;
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
        params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
        set_validity(&mut params, now);
        let key = rcgen::KeyPair::generate().map_err(identity_error)?;
        let certificate = params.self_signed(&key).map_err(identity_error)?;
        Ok(Self {
            root: certificate.der().clone(),
            issuer: rcgen::Issuer::new(params, key),
        })
    }

    /// Issues the identity of the instance with this host id.
    pub fn issue(&self, id: &str, now: u64) -> Result<Identity, PeerError> {
        let names: Vec<String> = [id].into_iter().chain(NAMES).map(String::from).collect();
        let mut params = rcgen::CertificateParams::new(names).map_err(identity_error)?;
        params.extended_key_usages = vec![
            rcgen::ExtendedKeyUsagePurpose::ServerAuth,
            rcgen::ExtendedKeyUsagePurpose::ClientAuth,
        ];
        set_validity(&mut params, now);
        let key = rcgen::KeyPair::generate().map_err(identity_error)?;
        let certificate = params
            .signed_by(&key, &self.issuer)
            .map_err(identity_error)?;
        let chain = || vec![certificate.der().clone()];
        let private = || PrivateKeyDer::Pkcs8(key.serialize_der().into());

        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).map_err(identity_error)?;
        let roots = Arc::new(roots);
        let provider = Arc::new(ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
                .build()
                .map_err(identity_error)?;
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(identity_error)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain(), private())
            .map_err(identity_error)?;
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(identity_error)?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain(), private())
            .map_err(identity_error)?;
        Ok(Identity {
            server: Arc::new(server),
            client: Arc::new(client),
        })
    }
}

impl Identity {
    /// Finishes TLS with the instance that has this host id, and no other.
    pub async fn connect<S>(&self, stream: S, id: &str) -> Result<client::TlsStream<S>, PeerError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = ServerName::try_from(id.to_owned()).map_err(identity_error)?;
        let connecting = TlsConnector::from(Arc::clone(&self.client)).connect(name, stream);
        Ok(within("TLS handshake", TIMEOUT_HANDSHAKE, connecting).await??)
    }

    /// Takes a connection of one of these instances; gives the host id of the one it is.
    pub async fn accept<'a, S>(
        &self,
        stream: S,
        pool: impl IntoIterator<Item = &'a Name>,
    ) -> Result<(Name, server::TlsStream<S>), PeerError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let accepting = TlsAcceptor::from(Arc::clone(&self.server)).accept(stream);
        let stream = within("TLS handshake", TIMEOUT_HANDSHAKE, accepting).await??;
        let shown = stream.get_ref().1.peer_certificates();
        let shown = shown.and_then(<[_]>::first).ok_or(PeerError::Stranger)?;
        let shown = ParsedCertificate::try_from(shown).map_err(identity_error)?;
        let is = |id: &&Name| {
            let name = ServerName::try_from(id.to_string());
            name.is_ok_and(|name| rustls::client::verify_server_name(&shown, &name).is_ok())
        };
        let id = pool.into_iter().find(is).ok_or(PeerError::Stranger)?;
        Ok((id.clone(), stream))
    }
}

/// Asks for a stream, and waits for the answer; bytes may follow then.
pub async fn ask<S>(stream: &mut S, dial: &DialReq) -> Result<(), PeerError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    say(stream, &message::line(dial)).await?;
    let line = within("answer", TIMEOUT_ANSWER, read_line(stream)).await??;
    let reply: DialReply = message::parse(&line).map_err(PeerError::Message)?;
    if reply.ok {
        Ok(())
    } else {
        Err(PeerError::Refused(reply.error))
    }
}

/// Reads what a peer asks for.
pub async fn asked<S: AsyncRead + Unpin>(stream: &mut S) -> Result<DialReq, PeerError> {
    let line = within("request", TIMEOUT_ASK, read_line(stream)).await??;
    message::parse(&line).map_err(PeerError::Message)
}

/// Answers a peer: yes, or why not.
pub async fn answer<S: AsyncWrite + Unpin>(
    stream: &mut S,
    verdict: Result<(), String>,
) -> Result<(), PeerError> {
    let reply = DialReply {
        ok: verdict.is_ok(),
        error: verdict.err().unwrap_or_default(),
    };
    say(stream, &message::line(&reply)).await
}

async fn say<S: AsyncWrite + Unpin>(stream: &mut S, line: &[u8]) -> Result<(), PeerError> {
    let saying = async {
        stream.write_all(line).await?;
        stream.flush().await
    };
    Ok(within("a peer that reads", TIMEOUT_ASK, saying).await??)
}

/// Reads a line byte by byte: what follows it is not ours.
async fn read_line<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Vec<u8>, PeerError> {
    let mut line = Vec::new();
    loop {
        match stream.read_u8().await? {
            b'\n' => return Ok(line),
            _ if line.len() == LINE_MAX => {
                let why = format!("a line of more than {LINE_MAX} bytes");
                return Err(PeerError::Message(why));
            }
            byte => line.push(byte),
        }
    }
}

async fn within<T>(
    what: &'static str,
    limit: Duration,
    waited: impl Future<Output = T>,
) -> Result<T, PeerError> {
    let waited = timeout(limit, waited).await;
    waited.map_err(|_| PeerError::Timeout { what, limit })
}

fn set_validity(params: &mut rcgen::CertificateParams, now: u64) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(now.saturating_sub(BACKDATING));
    params.not_after = epoch + Duration::from_secs(now.saturating_add(VALIDITY));
}

#[cfg(test)]
mod tests;
