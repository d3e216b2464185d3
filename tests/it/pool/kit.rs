//! A lab of one instance whose listeners a test chooses, and clients that speak to them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::client::TlsStream;
use twodoors::live::tls::{self, Own, TlsError};
use twodoors::live::{cut, proxy_protocol};
use twodoors::model::addr::{BackendAddr, HostPort};
use twodoors::model::fact::{Fact, Kind, Service};
use twodoors::model::id::Seq;
use twodoors::model::teleport::{ListenerMode, Port, ProxyProtocol};
use twodoors::model::topology::Topology;

use crate::lab::Whole;

/// How long anything may take on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The name in the pool's certificate.
pub(crate) const NAME: &str = "proxy.example.com";

/// A lab with one instance and nobody else.
pub(crate) struct Pool {
    pub(crate) whole: Whole,
}

impl Pool {
    /// Starts it after `edit`; PROXY headers may and need not be there.
    pub(crate) async fn start(edit: impl Fn(&mut Topology)) -> Self {
        let whole = Whole::prepared(|options| {
            let topology = &mut options.loaded.topology;
            topology.agents.clear();
            topology.users.clear();
            topology.timeline.clear();
            topology.expect.clear();
            topology.pool.proxies.truncate(1);
            topology.pool.teleport.proxy_protocol = ProxyProtocol::Unset;
            edit(topology);
        })
        .await;
        Self { whole }
    }

    /// Gives where the instance listens, with this port.
    pub(crate) fn at(&self, port: Port) -> SocketAddr {
        self.whole.lab.topology().pool.proxies[0]
            .at(port)
            .unwrap()
            .0
    }

    /// Connects from the internal network.
    pub(crate) async fn connect(&self, to: SocketAddr) -> TcpStream {
        let from: IpAddr = self.whole.moved("127.10.0.9").parse().unwrap();
        connect(from, self.whole.lab.bound(to)).await
    }

    /// Connects to a listener and says this.
    pub(crate) async fn say(&self, port: Port, bytes: &[u8]) -> TcpStream {
        let mut stream = self.connect(self.at(port)).await;
        stream.write_all(bytes).await.unwrap();
        stream
    }

    /// Shakes hands over a stream that stands.
    pub(crate) async fn tls(
        &self,
        stream: TcpStream,
        alpn: &[&str],
        own: Option<&Own>,
    ) -> Result<TlsStream<cut::Stream>, TlsError> {
        let stream = cut::Group::default().holds(stream);
        tls::connect_as(stream, NAME, alpn, self.roots(), own).await
    }

    /// Connects to a listener and shakes hands.
    pub(crate) async fn dial(
        &self,
        port: Port,
        alpn: &[&str],
        own: Option<&Own>,
    ) -> Result<TlsStream<cut::Stream>, TlsError> {
        let stream = self.connect(self.at(port)).await;
        self.tls(stream, alpn, own).await
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        let pem = self.whole.lab.ca_pem().as_bytes();
        let der = CertificateDer::from_pem_slice(pem).unwrap();
        roots.add(der).unwrap();
        Arc::new(roots)
    }

    /// Waits for a connection to be refused with these words since then.
    pub(crate) async fn refused(&self, since: Seq, words: &str) -> Arc<Fact> {
        let what = format!("a connection is refused: {words}");
        let is = |fact: &Fact| match &fact.kind {
            Kind::ConnRefused { why, .. } => why.contains(words),
            _ => false,
        };
        self.whole.fact((&what, PATIENCE), since, is).await
    }

    /// Waits for a connection to get this service since then, and gives its client.
    pub(crate) async fn chosen(&self, since: Seq, expected: Option<Service>) -> SocketAddr {
        let what = format!("a connection gets {expected:?}");
        let is = |fact: &Fact| match &fact.kind {
            Kind::ServiceChosen { service, .. } => *service == expected,
            _ => false,
        };
        let fact = self.whole.fact((&what, PATIENCE), since, is).await;
        match &fact.kind {
            Kind::ServiceChosen { client, .. } => client.0,
            other => panic!("{other:?}"),
        }
    }
}

/// Adds listeners on the instances' own addresses: `separate` mode.
pub(crate) fn separate(topology: &mut Topology, ports: &[(Port, u16)]) {
    let pool = &mut topology.pool;
    pool.teleport.mode = ListenerMode::Separate;
    for (port, number) in ports {
        let written = HostPort {
            host: "0.0.0.0".into(),
            port: *number,
        };
        pool.teleport.listen.push((*port, written));
        for proxy in &mut pool.proxies {
            let address = SocketAddr::new(proxy.listen.0.ip(), *number);
            proxy.further.push((*port, BackendAddr(address)));
        }
    }
}

/// Connects from an address.
pub(crate) async fn connect(from: IpAddr, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from, 0)).unwrap();
    let connecting = tokio::time::timeout(PATIENCE, socket.connect(to)).await;
    connecting.unwrap().unwrap_or_else(|e| panic!("{to}: {e}"))
}

/// Reads this many bytes.
pub(crate) async fn read(stream: &mut (impl AsyncReadExt + Unpin), count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    let read = tokio::time::timeout(PATIENCE, stream.read_exact(&mut bytes)).await;
    read.unwrap().unwrap();
    bytes
}

/// Reads to the end, which must come; a reset is one.
pub(crate) async fn rest(stream: &mut (impl AsyncReadExt + Unpin)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    drop(read.unwrap());
    bytes
}

/// Asks a path over HTTP/1.1 and gives the whole answer.
pub(crate) async fn get(stream: &mut TlsStream<cut::Stream>, path: &str) -> String {
    let head = format!("GET {path} HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    String::from_utf8(rest(stream).await).unwrap()
}

/// A client that a header names.
pub(crate) fn named(whole: &Whole) -> SocketAddr {
    SocketAddr::new(whole.moved("127.20.0.77").parse().unwrap(), 40_404)
}

/// The headers of the table: none, v1, v2, LOCAL, UNKNOWN.
pub(crate) fn headers(client: SocketAddr) -> [(&'static str, Vec<u8>); 5] {
    [
        ("none", Vec::new()),
        ("v1", proxy_protocol::line(client, client)),
        ("v2", proxy_protocol::header(client, client)),
        ("LOCAL", proxy_protocol::local()),
        ("UNKNOWN", b"PROXY UNKNOWN\r\n".to_vec()),
    ]
}
