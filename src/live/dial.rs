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
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use rustls::RootCertStore;
use thiserror::Error;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::ports::Ports;
use super::{cut, tls};
use crate::model::addr::ListenAddr;
use crate::model::fact::{Cause, Stage};
use crate::policy::answer::rcode_word;
use crate::policy::zone::read_name;

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
    ports: Ports,
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
            ports: Ports::default(),
        })
    }

    /// Knows which listeners of the lab are not where the scenario says.
    #[must_use]
    pub fn knowing(mut self, ports: Ports) -> Self {
        self.ports = ports;
        self
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
        let failed = |cause, why: &str| DialError {
            stage: Stage::Resolve,
            cause,
            error: format!("{host}: {why}"),
        };
        let place = self.place.load_full();
        // Read as zones are: the guide's own names have underscores, which no host name may have.
        let name = read_name(host).map_err(|_| failed(Cause::DnsFailed, "not a name"))?;
        let answer = place.resolver.lookup_ip(name.to_hickory()).await;
        let answer = answer.map_err(|error| {
            let (cause, why) = unresolved(&error);
            failed(cause, &why)
        })?;
        let none = || failed(Cause::NoAddress, "the answer holds no address");
        answer.iter().next().ok_or_else(none)
    }

    /// Connects from the node's own address to one of the scenario, wherever that is bound.
    pub async fn connect(&self, to: SocketAddr) -> Result<TcpStream, DialError> {
        let from = self.from();
        let bound = self.ports.bound(to);
        let failed = |cause, error: String| DialError {
            stage: Stage::Connect,
            cause,
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
            let stream = socket.connect(bound).await?;
            stream.set_nodelay(true)?;
            Ok::<_, io::Error>(stream)
        };
        match timeout(TIMEOUT_CONNECT, connect).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(failed(unconnected(&error), format!("{to}: {error}"))),
            Err(_) => Err(failed(
                Cause::ConnectTimeout,
                format!("{to}: no answer in {}s", TIMEOUT_CONNECT.as_secs()),
            )),
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
        self.dial_as((host, port), alpn, group, None, connected)
            .await
    }

    /// Dials as [`Self::dial`] does, and shows this certificate when it is asked for one.
    pub async fn dial_as(
        &self,
        (host, port): (&str, u16),
        alpn: &[&str],
        group: cut::Group,
        own: Option<&tls::Own>,
        connected: impl FnOnce(ListenAddr),
    ) -> Result<TlsStream<cut::Stream>, DialError> {
        let stream = self.dial_raw((host, port), group, connected).await?;
        tls::connect_as(stream, host, alpn, Arc::clone(&self.roots), own)
            .await
            .map_err(|error| DialError {
                stage: Stage::Tls,
                cause: error.cause(),
                error: error.to_string(),
            })
    }

    /// Resolves, connects and says where to; what is spoken there is the caller's.
    pub async fn dial_raw(
        &self,
        (host, port): (&str, u16),
        group: cut::Group,
        connected: impl FnOnce(ListenAddr),
    ) -> Result<cut::Stream, DialError> {
        let address = SocketAddr::new(self.resolve(host).await?, port);
        let stream = group.holds(self.connect(address).await?);
        connected(ListenAddr(address));
        Ok(stream.reached(address))
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

/// Tells what kind of failure it is that a name has no address, and says so.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a library's list of errors, of which a few have a cure of their own"
)]
fn unresolved(error: &NetError) -> (Cause, String) {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => (Cause::NoSuchName, String::from("no such name (NXDOMAIN)")),
            ResponseCode::NoError => (
                Cause::NoAddress,
                String::from("the name has no address (NODATA)"),
            ),
            code => by_code(code),
        },
        NetError::Dns(DnsError::ResponseCode(code)) => by_code(*code),
        NetError::Timeout => (
            Cause::DnsTimeout,
            String::from("the DNS server did not answer in time"),
        ),
        NetError::Io(error) if error.kind() == io::ErrorKind::TimedOut => (
            Cause::DnsTimeout,
            String::from("the DNS server did not answer in time"),
        ),
        error => (Cause::DnsFailed, error.to_string()),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a library's list of codes, of which one has a cure of its own"
)]
fn by_code(code: ResponseCode) -> (Cause, String) {
    match code {
        ResponseCode::Refused => (
            Cause::DnsRefused,
            String::from("the DNS server refused (REFUSED): no view or zone for this source"),
        ),
        code => (
            Cause::DnsFailed,
            format!("the DNS server failed ({})", rcode_word(code)),
        ),
    }
}

/// Tells what kind of failure it is that no connection stands.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the system has many errors, and a few have a cure of their own"
)]
fn unconnected(error: &io::Error) -> Cause {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Cause::ConnectRefused,
        io::ErrorKind::TimedOut => Cause::ConnectTimeout,
        _ => Cause::Connect,
    }
}

#[cfg(test)]
mod tests {
    use hickory_resolver::net::NoRecords;
    use hickory_resolver::proto::op::Query;

    use super::*;

    fn check(error: impl Into<NetError>, expected: Cause) {
        let error = error.into();
        assert_eq!(unresolved(&error).0, expected, "{error:?}");
    }

    #[test]
    fn each_failure_of_dns_has_its_own_cause() {
        let none = |code| DnsError::NoRecordsFound(NoRecords::new(Query::default(), code));
        check(none(ResponseCode::NXDomain), Cause::NoSuchName);
        check(none(ResponseCode::NoError), Cause::NoAddress);
        check(none(ResponseCode::Refused), Cause::DnsRefused);
        check(
            DnsError::ResponseCode(ResponseCode::Refused),
            Cause::DnsRefused,
        );
        check(
            DnsError::ResponseCode(ResponseCode::ServFail),
            Cause::DnsFailed,
        );
        check(NetError::Timeout, Cause::DnsTimeout);
        check(NetError::Busy, Cause::DnsFailed);
    }

    #[tokio::test]
    async fn each_failure_of_tcp_has_its_own_cause() {
        // The port was free a moment ago and stays so: nothing listens on it.
        let listener = super::super::serve::listen(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let dns = ([127, 0, 0, 1], 1).into();
        let roots = Arc::new(RootCertStore::empty());
        let dialer = Dialer::new(IpAddr::from([127, 0, 0, 1]), dns, roots).unwrap();
        let error = dialer.connect(address).await.unwrap_err();
        assert_eq!(error.cause, Cause::ConnectRefused, "{error}");
        assert_eq!(
            unconnected(&io::ErrorKind::TimedOut.into()),
            Cause::ConnectTimeout
        );
        assert_eq!(
            unconnected(&io::ErrorKind::HostUnreachable.into()),
            Cause::Connect
        );
    }
}
