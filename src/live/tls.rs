//! TLS of the lab, both ends: the ClientHello is read before anything is answered.
//!
//! In goes a stream; out comes what the client asks for (server name, ALPN list), and after the
//! caller has decided, a TLS stream whose handshake offered exactly the one protocol that he chose.
//! Deciding is `policy/alpn`'s work. A refused client gets the alert `no_application_protocol`.
//! A ClientHello is at most 64 KiB, rustls's own bound.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::server::Acceptor;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::{LazyConfigAcceptor, StartHandshake, TlsConnector, client, server};

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
    /// The name to verify is neither a DNS name nor an address.
    #[error("{0:?} is neither a DNS name nor an address")]
    Name(String),
    /// It took too long.
    #[error("TLS handshake: nothing came for {}s", .0.as_secs())]
    Timeout(Duration),
}

/// The certificate that servers show, ready for handshakes. Clones show the same one.
#[derive(Clone, Debug)]
pub struct Server {
    base: Arc<ArcSwap<ServerConfig>>,
}

impl Server {
    /// Makes a server that shows this certificate to everyone.
    pub fn new(certificate: CertifiedKey) -> Self {
        Self {
            base: Arc::new(ArcSwap::from(showing(certificate))),
        }
    }

    /// Shows this certificate from the next handshake on; what stands is not touched.
    pub fn show(&self, certificate: CertifiedKey) {
        self.base.store(showing(certificate));
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

fn showing(certificate: CertifiedKey) -> Arc<ServerConfig> {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has cipher suites of TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certificate)));
    Arc::new(config)
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
    let server_name =
        ServerName::try_from(name.to_owned()).map_err(|_| TlsError::Name(name.to_owned()))?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has cipher suites of TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let connecting = TlsConnector::from(Arc::new(config)).connect(server_name, stream);
    timeout(TIMEOUT_HANDSHAKE, connecting)
        .await
        .map_err(|_| TlsError::Timeout(TIMEOUT_HANDSHAKE))?
        .map_err(TlsError::Handshake)
}
