//! TLS of the lab, both ends: the ClientHello is read before anything is answered.
//!
//! In goes a stream; out comes what the client asks for (server name, ALPN list), and after the
//! caller has decided, a TLS stream whose handshake offered exactly the one protocol that he chose.
//! Deciding is `policy/alpn`'s work. A server may ask for a certificate of the lab's users and never
//! demands one (reference 3.5, rule 6). A refused client gets the alert `no_application_protocol`.
//! A ClientHello is at most 64 KiB, rustls's own bound.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{Acceptor, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore, ServerConfig};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::{LazyConfigAcceptor, StartHandshake, TlsConnector, client, server};

use crate::model::fact::Cause;

/// How long a client may take to send its ClientHello (Teleport `lib/srv/alpnproxy/proxy.go`).
pub const TIMEOUT_HELLO: Duration = Duration::from_secs(15);

/// How long the rest of a handshake may take; Teleport's `DefaultIOTimeout`.
pub const TIMEOUT_HANDSHAKE: Duration = Duration::from_secs(30);

/// A protocol name that no client offers: offering it makes rustls send the alert.
const NEVER: &[u8] = b"\0";

/// Why a TLS connection did not come about.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The handshake failed; for a client that includes alerts and names that do not match.
    #[error("TLS handshake: {0}")]
    Handshake(io::Error),
    /// No ClientHello came in time, or something else than one.
    #[error("no TLS ClientHello: {0}")]
    Hello(io::Error),
    /// A certificate or key of one's own cannot be used.
    #[error("the own certificate: {0}")]
    Own(String),
    /// The name to verify is neither a DNS name nor an address.
    #[error("{0:?} is neither a DNS name nor an address")]
    Name(String),
    /// It took too long.
    #[error("TLS handshake: nothing came for {}s", .0.as_secs())]
    Timeout(Duration),
}

impl TlsError {
    /// Tells what kind of failure it is, to a client.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a library's list of errors, of which a few have a cure of their own"
    )]
    pub fn cause(&self) -> Cause {
        let error = match self {
            Self::Handshake(error) | Self::Hello(error) => error,
            Self::Name(_) => return Cause::TlsName,
            Self::Own(_) => return Cause::Tls,
            Self::Timeout(_) => return Cause::Timeout,
        };
        let inner = error.get_ref();
        match inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Cause::TlsName,
            // Another lab's authority has the name of ours, and so only its signature is wrong.
            Some(rustls::Error::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::BadSignature,
            )) => Cause::TlsAuthority,
            Some(
                rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol)
                | rustls::Error::NoApplicationProtocol,
            ) => Cause::Alpn,
            Some(_) => Cause::Tls,
            // It ended, or was reset, without a word of TLS: a refusing proxy behind a door does so.
            None => match error.kind() {
                io::ErrorKind::BrokenPipe
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::UnexpectedEof => Cause::Connect,
                _ => Cause::Tls,
            },
        }
    }
}

/// A client's own certificate with its key. Clones are the same one.
#[derive(Clone)]
pub struct Own {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivateKeyDer<'static>>,
}

impl std::fmt::Debug for Own {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Own")
            .field("key", &"***")
            .finish_non_exhaustive()
    }
}

impl Own {
    /// Reads what [`super::authority::Authority::issue_user`] gives.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, TlsError> {
        let chain: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(certificate.as_bytes()).collect();
        let chain = chain.map_err(|error| TlsError::Own(error.to_string()))?;
        if chain.is_empty() {
            return Err(TlsError::Own(String::from("no certificate is in the text")));
        }
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes());
        let key = key.map_err(|error| TlsError::Own(error.to_string()))?;
        Ok(Self {
            chain,
            key: Arc::new(key),
        })
    }
}

/// The certificate that servers show, ready for handshakes. Clones show the same one.
#[derive(Clone, Debug)]
pub struct Server {
    base: Arc<ArcSwap<ServerConfig>>,
    /// Whose certificates clients may show; nobody is asked without it.
    clients: Option<Arc<RootCertStore>>,
}

impl Server {
    /// Makes a server that shows this certificate to everyone.
    pub fn new(certificate: CertifiedKey) -> Self {
        Self {
            base: Arc::new(ArcSwap::from(showing(certificate, None))),
            clients: None,
        }
    }

    /// Makes a server that also asks clients for a certificate of this authority, and takes those
    /// who have none.
    pub fn asking(certificate: CertifiedKey, clients: Arc<RootCertStore>) -> Self {
        let base = showing(certificate, Some(&clients));
        Self {
            base: Arc::new(ArcSwap::from(base)),
            clients: Some(clients),
        }
    }

    /// Shows this certificate from the next handshake on; what stands is not touched.
    pub fn show(&self, certificate: CertifiedKey) {
        let base = showing(certificate, self.clients.as_ref());
        self.base.store(base);
    }

    fn offering(&self, protocol: Option<&[u8]>) -> Arc<ServerConfig> {
        let base = self.base.load_full();
        let Some(protocol) = protocol else {
            return base;
        };
        let mut config = ServerConfig::clone(&base);
        config.alpn_protocols = vec![protocol.to_vec()];
        Arc::new(config)
    }
}

fn showing(certificate: CertifiedKey, clients: Option<&Arc<RootCertStore>>) -> Arc<ServerConfig> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("ring has cipher suites of TLS 1.2 and 1.3");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(roots) => {
            let roots = Arc::clone(roots);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                .allow_unauthenticated()
                .build()
                .expect("the lab's own authority is a valid trust anchor");
            builder.with_client_cert_verifier(verifier)
        }
    };
    Arc::new(builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certificate))))
}

/// A connection whose ClientHello has been read and not yet been answered.
pub struct Hello<S> {
    /// Server name indication.
    pub sni: Option<String>,
    /// The client's ALPN list, in its order; bytes that are not UTF-8 are replaced.
    pub alpn: Vec<String>,
    start: StartHandshake<S>,
}

impl<S> std::fmt::Debug for Hello<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hello")
            .field("sni", &self.sni)
            .field("alpn", &self.alpn)
            .finish_non_exhaustive()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Hello<S> {
    /// Reads the ClientHello, for at most [`TIMEOUT_HELLO`].
    pub async fn read(stream: S) -> Result<Self, TlsError> {
        let acceptor = LazyConfigAcceptor::new(Acceptor::default(), stream);
        let start = timeout(TIMEOUT_HELLO, acceptor)
            .await
            .map_err(|_| TlsError::Timeout(TIMEOUT_HELLO))?
            .map_err(TlsError::Hello)?;
        let hello = start.client_hello();
        let sni = hello.server_name().map(str::to_owned);
        let alpn = hello.alpn().map_or_else(Vec::new, |names| {
            names
                .map(|name| String::from_utf8_lossy(name).into_owned())
                .collect()
        });
        Ok(Self { sni, alpn, start })
    }

    /// Finishes the handshake, offering exactly this protocol, or none.
    pub async fn finish(
        self,
        server: &Server,
        protocol: Option<&str>,
    ) -> Result<server::TlsStream<S>, TlsError> {
        let config = server.offering(protocol.map(str::as_bytes));
        timeout(TIMEOUT_HANDSHAKE, self.start.into_stream(config))
            .await
            .map_err(|_| TlsError::Timeout(TIMEOUT_HANDSHAKE))?
            .map_err(TlsError::Handshake)
    }

    /// Refuses: sends the alert `no_application_protocol` and closes.
    ///
    /// Works for a client that offered a list; one that did not is never refused for its protocols.
    pub async fn refuse(self, server: &Server) {
        let refusing = self.start.into_stream(server.offering(Some(NEVER)));
        if let Ok(Ok(_)) = timeout(TIMEOUT_HANDSHAKE, refusing).await {
            tracing::warn!("a client without an ALPN list was refused for its protocols");
        }
    }
}

/// Connects as a client that believes `roots`, verifies `name` and offers `alpn` in this order.
pub async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    name: &str,
    alpn: &[&str],
    roots: Arc<RootCertStore>,
) -> Result<client::TlsStream<S>, TlsError> {
    connect_as(stream, name, alpn, roots, None).await
}

/// Connects as [`connect`] does, and shows this certificate to a server that asks for one.
pub async fn connect_as<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    name: &str,
    alpn: &[&str],
    roots: Arc<RootCertStore>,
    own: Option<&Own>,
) -> Result<client::TlsStream<S>, TlsError> {
    let server_name =
        ServerName::try_from(name.to_owned()).map_err(|_| TlsError::Name(name.to_owned()))?;
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has cipher suites of TLS 1.2 and 1.3")
        .with_root_certificates(roots);
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some(own) => builder
            .with_client_auth_cert(own.chain.clone(), own.key.clone_key())
            .map_err(|error| TlsError::Own(error.to_string()))?,
    };
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let connecting = TlsConnector::from(Arc::new(config)).connect(server_name, stream);
    timeout(TIMEOUT_HANDSHAKE, connecting)
        .await
        .map_err(|_| TlsError::Timeout(TIMEOUT_HANDSHAKE))?
        .map_err(TlsError::Handshake)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;
    use crate::live::authority::Authority;

    fn now() -> u64 {
        std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()
    }

    /// Shakes hands with a server for `a.example` that serves `alpn`, as a client of `name` does.
    async fn check(name: &str, alpn: &[&str], known: bool, expected: Option<Cause>) {
        let authority = Authority::new(now()).unwrap();
        let other = Authority::new(now()).unwrap();
        let certificate = authority.issue_web(&[String::from("a.example")], now());
        let server = Server::new(certificate.unwrap());
        let roots = if known {
            authority.roots()
        } else {
            other.roots()
        };
        let (near, far) = duplex(64 * 1024);
        let serve = async {
            let hello = Hello::read(far).await.unwrap();
            if hello.alpn == ["served"] {
                drop(hello.finish(&server, Some("served")).await);
            } else {
                hello.refuse(&server).await;
            }
        };
        let dial = connect(near, name, alpn, Arc::new(roots));
        let (_, dialled) = tokio::join!(serve, dial);
        let cause = dialled.as_ref().err().map(TlsError::cause);
        assert_eq!(cause, expected, "{name} {alpn:?}: {dialled:?}");
    }

    #[tokio::test]
    async fn each_failure_of_tls_has_its_own_cause() {
        check("a.example", &["served"], true, None).await;
        check("b.example", &["served"], true, Some(Cause::TlsName)).await;
        check("a.example", &["served"], false, Some(Cause::TlsAuthority)).await;
        check("a.example", &["other"], true, Some(Cause::Alpn)).await;
    }

    #[tokio::test]
    async fn who_ends_instead_of_answering_is_not_a_failure_of_tls() {
        let roots = || Arc::new(RootCertStore::empty());
        let (near, far) = duplex(64 * 1024);
        drop(far);
        let error = connect(near, "a.example", &[], roots()).await.unwrap_err();
        assert_eq!(error.cause(), Cause::Connect, "{error}");
        let (near, mut far) = duplex(64 * 1024);
        let talk = async {
            far.read_u8().await.unwrap();
            far.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .await
                .unwrap();
        };
        let (_, error) = tokio::join!(talk, connect(near, "a.example", &[], roots()));
        let error = error.unwrap_err();
        assert_eq!(error.cause(), Cause::Tls, "{error}");
    }
}
