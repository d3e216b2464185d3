//! How agents and users of the lab get to a name: ask the lab's DNS from their own address, connect
//! from it to the first address of the answer, verify TLS.
//!
//! One connection a dial: further addresses of an answer are not tried, as Teleport does not. There
//! is no cache: the name is resolved at every dial, so a changed answer moves new dials at once.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use rustls::RootCertStore;
use thiserror::Error;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::{cut, tls};
use crate::model::addr::ListenAddr;
use crate::model::fact::{Cause, Stage};

/// How long a stub resolver waits for one answer, and how often it asks (resolv.conf's defaults).
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);
const RESOLVE_ATTEMPTS: usize = 2;

/// How long a TCP connect may take (Teleport `DefaultIOTimeout`).
const TIMEOUT_CONNECT: Duration = Duration::from_secs(30);

/// The way out of one agent or user. Clones are the same, also after it has moved.
#[derive(Clone)]
pub struct Dialer {
    place: Arc<ArcSwap<Place>>,
    dns: SocketAddr,
    roots: Arc<RootCertStore>,
}

/// Where it is.
struct Place {
    from: IpAddr,
    resolver: TokioResolver,
}

/// A connect that failed, and how far it came.
#[derive(Debug, Error)]
#[error("{error}")]
pub struct DialError {
    /// How far.
    pub stage: Stage,
    /// What kind of failure.
    pub cause: Cause,
    /// In words.
    pub error: String,
}

impl Dialer {
    /// Makes the way out of a node with this address, which asks the DNS server at `dns`.
    pub fn new(from: IpAddr, dns: SocketAddr, roots: Arc<RootCertStore>) -> io::Result<Self> {
        let place = ArcSwap::from_pointee(Place::new(from, dns)?);
        Ok(Self {
            place: Arc::new(place),
            dns,
            roots,
        })
    }

    /// Asks and connects from another address from now on; what is open or under way stays.
    pub fn roam(&self, from: IpAddr) -> io::Result<()> {
        self.place.store(Arc::new(Place::new(from, self.dns)?));
        Ok(())
    }

    /// Gives the node's address.
    pub fn from(&self) -> IpAddr {
        self.place.load().from
    }

    /// Resolves a name to the first address of the answer; an address stands for itself.
    pub async fn resolve(&self, host: &str) -> Result<IpAddr, DialError> {
        if let Ok(address) = host.parse() {
            return Ok(address);
        }
        let absolute = format!("{}.", host.trim_end_matches('.'));
        let failed = |error: String| DialError {
            stage: Stage::Resolve,
            cause: Cause::DnsFailed,
            error,
        };
        let place = self.place.load_full();
        let answer = place.resolver.lookup_ip(absolute).await;
        let answer = answer.map_err(|error| failed(format!("{host}: {error}")))?;
        answer
            .iter()
            .next()
            .ok_or_else(|| failed(format!("{host}: the answer holds no address")))
    }

    /// Connects from the node's own address.
    pub async fn connect(&self, to: SocketAddr) -> Result<TcpStream, DialError> {
        let from = self.from();
        let failed = |error: String| DialError {
            stage: Stage::Connect,
            cause: Cause::Connect,
            error,
        };
        let connect = async {
            let socket = if to.is_ipv4() {
                TcpSocket::new_v4()
            } else {
                TcpSocket::new_v6()
            }?;
            if from.is_ipv4() == to.is_ipv4() {
                socket.bind(SocketAddr::new(from, 0))?;
            }
            let stream = socket.connect(to).await?;
            stream.set_nodelay(true)?;
            Ok::<_, io::Error>(stream)
        };
        match timeout(TIMEOUT_CONNECT, connect).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(failed(format!("{to}: {error}"))),
            Err(_) => Err(failed(format!(
                "{to}: no answer in {}s",
                TIMEOUT_CONNECT.as_secs()
            ))),
        }
    }

    /// Resolves, connects, says where to, and finishes TLS for the name. The connection ends with its
    /// group.
    pub async fn dial(
        &self,
        (host, port): (&str, u16),
        alpn: &[&str],
        group: cut::Group,
        connected: impl FnOnce(ListenAddr),
    ) -> Result<TlsStream<cut::Stream>, DialError> {
        let address = SocketAddr::new(self.resolve(host).await?, port);
        let stream = group.holds(self.connect(address).await?);
        connected(ListenAddr(address));
        tls::connect(stream, host, alpn, Arc::clone(&self.roots))
            .await
            .map_err(|error| DialError {
                stage: Stage::Tls,
                cause: Cause::Tls,
                error: error.to_string(),
            })
    }
}

impl Place {
    fn new(from: IpAddr, dns: SocketAddr) -> io::Result<Self> {
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut config| {
            config.port = dns.port();
            config.bind_addr = Some(SocketAddr::new(from, 0));
            config
        });
        let server = NameServerConfig::new(dns.ip(), true, connections.to_vec());
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        let provider = TokioRuntimeProvider::default();
        let mut builder = TokioResolver::builder_with_config(config, provider);
        let options = builder.options_mut();
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        options.ip_strategy = LookupIpStrategy::Ipv4thenIpv6;
        options.timeout = RESOLVE_TIMEOUT;
        options.attempts = RESOLVE_ATTEMPTS;
        options.edns0 = true;
        let resolver = builder.build().map_err(io::Error::other)?;
        Ok(Self { from, resolver })
    }
}
