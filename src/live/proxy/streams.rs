//! A stream to an app or a database, whichever way the machine chose: through a tunnel that is held
//! here, or through a peer that holds one; and the other end of the latter.
//!
//! In goes the machine's choice; out comes something to read and write, or the words of the refusal.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::Proxy;
use crate::live::peer::{self, PeerError};
use crate::live::tunnel::{DialReq, Refused};
use crate::live::{cut, tasks::Tasks};
use crate::model::addr::ClientAddr;
use crate::model::id::{ConnId, Name, RequestId};
use crate::model::teleport::{ConnType, Port};
use crate::policy::proxy::{Input, Output};

/// A stream to a resource, ready for the user's bytes.
pub(super) type ResourceStream = Box<dyn Duplex>;

/// Both directions of a stream.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// A request for which the machine chose a way.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// The request.
    pub(super) request: RequestId,
    /// What for.
    pub(super) kind: ConnType,
    /// The app or database.
    pub(super) resource: Name,
    /// The agent's name, or the stand-in's.
    pub(super) agent: Name,
    host_id: Name,
    way: Way,
}

#[derive(Clone, Debug)]
enum Way {
    /// Names of instances, in the order in which to ask them.
    Peers(Vec<Name>),
    Tunnel(ConnId),
}

/// Why there is no stream.
#[derive(Debug)]
pub(super) struct NoStream {
    /// In words.
    pub(super) why: String,
    /// Whether the tunnel itself is broken, and not only this stream refused.
    pub(super) broken: bool,
}

impl Wanted {
    /// Takes the machine's choice; `None` when it is no choice of a way.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "two outputs name a way, all others do not"
    )]
    pub(super) fn of(proxy: &Proxy, output: &Output) -> Option<Self> {
        match output {
            Output::Route {
                request,
                conn,
                kind,
                app,
                agent,
                host_id,
            } => Some(Self {
                request: *request,
                kind: *kind,
                resource: app.clone(),
                agent: agent.clone(),
                host_id: host_id.clone(),
                way: Way::Tunnel(*conn),
            }),
            Output::AskPeers {
                request,
                peers,
                kind,
                resource,
                host_id,
            } => {
                let mut agents = proxy.inner.runner.shared().topology.agents.iter();
                let agent = agents.find(|agent| agent.id == *host_id);
                Some(Self {
                    request: *request,
                    kind: *kind,
                    resource: resource.clone(),
                    agent: agent.map_or_else(|| host_id.clone(), |agent| agent.name.clone()),
                    host_id: host_id.clone(),
                    way: Way::Peers(peers.clone()),
                })
            }
            _ => None,
        }
    }
}

impl Proxy {
    /// Opens the stream of a request. What is refused is for `StreamRefused`.
    pub(super) async fn open_stream(
        &self,
        wanted: &Wanted,
        client: ClientAddr,
    ) -> Result<ResourceStream, NoStream> {
        let dial = DialReq {
            address: wanted.resource.to_string(),
            server_id: format!("{}.{}", wanted.host_id, self.inner.cluster),
            conn_type: String::from(wanted.kind.word()),
            client_src_addr: client.to_string(),
            client_dst_addr: self.inner.listen.to_string(),
        };
        match &wanted.way {
            Way::Tunnel(conn) => self.through_tunnel(*conn, &dial).await,
            Way::Peers(peers) => self.through_peers(wanted.request, peers, &dial).await,
        }
    }

    async fn through_tunnel(
        &self,
        conn: ConnId,
        dial: &DialReq,
    ) -> Result<ResourceStream, NoStream> {
        let tunnel = self.work().tunnels.get(&conn).cloned();
        let Some(tunnel) = tunnel else {
            return Err(NoStream {
                why: String::from("the tunnel is closed"),
                broken: true,
            });
        };
        match tunnel.open_transport(dial).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(refused) => Err(NoStream {
                broken: matches!(refused, Refused::Closed(_) | Refused::Timeout(_)),
                why: refused.to_string(),
            }),
        }
    }

    /// Asks one peer after the other; the first that takes the stream has it.
    async fn through_peers(
        &self,
        request: RequestId,
        peers: &[Name],
        dial: &DialReq,
    ) -> Result<ResourceStream, NoStream> {
        let mut whys = Vec::new();
        for name in peers {
            match Box::pin(self.ask_peer(name, dial)).await {
                Ok(stream) => {
                    let peer = name.clone();
                    self.feed(Input::PeerTook { request, peer });
                    return Ok(stream);
                }
                Err(error) => whys.push(format!("proxy {name}: {error}")),
            }
        }
        Err(NoStream {
            why: whys.join("\n"),
            broken: false,
        })
    }

    async fn ask_peer(&self, name: &Name, dial: &DialReq) -> Result<ResourceStream, PeerError> {
        let pool = &self.inner.runner.shared().topology.pool;
        let known = pool.proxies.iter().find(|proxy| proxy.name == *name);
        let at = known.and_then(|proxy| Some((proxy, proxy.at(Port::Peer)?.0)));
        let Some((proxy, address)) = at else {
            let why = String::from("it has no peer_listen_addr");
            return Err(PeerError::Refused(why));
        };
        let limit = peer::TIMEOUT_CONNECT;
        let connected = timeout(limit, self.connect_from_own(address)).await;
        let connected = connected.map_err(|_| PeerError::Timeout {
            what: "TCP connect",
            limit,
        })??;
        // It ends as everything of this instance does when it is stopped or killed.
        let stream = self.work().group.clone().holds(connected);
        let mut stream = self.inner.means.peers.connect(stream, &proxy.id).await?;
        peer::ask(&mut stream, dial).await?;
        Ok(Box::new(stream))
    }

    /// Connects from the instance's own address, so that others see who asks.
    async fn connect_from_own(&self, to: SocketAddr) -> std::io::Result<TcpStream> {
        let own = self.inner.listen.ip();
        let socket = if to.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        }?;
        if own.is_loopback() && own.is_ipv4() == to.is_ipv4() {
            socket.bind(SocketAddr::new(own, 0))?;
        }
        let stream = socket.connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Serves one request of a peer, from TLS to the last byte.
    pub(super) async fn serve_peer(&self, stream: cut::Stream, tasks: &Tasks) {
        let Ok(_permit) = self.inner.peering.try_acquire() else {
            tracing::warn!(proxy = %self.inner.name, "closed at accept: too many peers ask");
            return;
        };
        let source = stream.peer_addr().ok().map(ClientAddr);
        if let Err(error) = Box::pin(self.pass(stream, tasks)).await {
            self.refused(ConnId(0), source, format!("peer: {error}"));
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the others do not answer this input"
    )]
    async fn pass(&self, stream: cut::Stream, tasks: &Tasks) -> Result<(), PeerError> {
        let _ = stream.tcp().set_nodelay(true);
        let topology = &self.inner.runner.shared().topology;
        let pool = topology.pool.proxies.iter().map(|proxy| &proxy.id);
        let (id, mut stream) = self.inner.means.peers.accept(stream, pool).await?;
        let dial = peer::asked(&mut stream).await?;
        let wrong = |what: &str| PeerError::Message(format!("no {what} in a peer's request"));
        let kind = ConnType::read(&dial.conn_type).ok_or_else(|| wrong("known conn_type"))?;
        let client = dial.client_src_addr.parse().map(ClientAddr);
        let client = client.map_err(|_| wrong("client_src_addr"))?;
        let host_id = dial.server_id.split('.').next().unwrap_or_default();
        let outputs = self.inner.runner.feed(Input::PeerAsked {
            peer: topology.proxy_name(&id),
            client,
            kind,
            resource: dial.address.as_str().into(),
            host_id: host_id.into(),
        });
        for output in outputs {
            if let Some(wanted) = Wanted::of(self, &output) {
                return self.pass_on(stream, wanted, client).await;
            }
            match output {
                Output::RefuseRequest { text, .. } => {
                    return peer::answer(&mut stream, Err(text)).await;
                }
                other => tracing::error!(?other, "no answer to this input"),
            }
        }
        // The machine has no word only when it was stopped: everything here is about to be cut.
        tasks.token().cancelled().await;
        Ok(())
    }

    async fn pass_on<S>(
        &self,
        mut stream: S,
        wanted: Wanted,
        client: ClientAddr,
    ) -> Result<(), PeerError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut passing = Passing::new(self.clone(), wanted.request);
        match self.open_stream(&wanted, client).await {
            Ok(mut inner) => {
                peer::answer(&mut stream, Ok(())).await?;
                // A broken end is the asker's to report: he has the user.
                if let Ok((_, bytes)) = copy_bidirectional(&mut stream, &mut inner).await {
                    passing.ended(200, bytes);
                }
                Ok(())
            }
            Err(NoStream { why, broken }) => {
                let request = passing.told_otherwise();
                let input = Input::StreamRefused {
                    request,
                    why,
                    broken,
                };
                for output in self.inner.runner.feed(input) {
                    if let Output::RefuseRequest { text, .. } = output {
                        return peer::answer(&mut stream, Err(text)).await;
                    }
                }
                Ok(())
            }
        }
    }
}

/// A request of a peer whose end was not told yet; dropped, it was cut.
struct Passing {
    proxy: Proxy,
    request: RequestId,
    told: bool,
}

impl Passing {
    const fn new(proxy: Proxy, request: RequestId) -> Self {
        Self {
            proxy,
            request,
            told: false,
        }
    }

    fn ended(&mut self, status: u16, bytes: u64) {
        if !std::mem::replace(&mut self.told, true) {
            self.proxy.feed(Input::RequestEnded {
                request: self.request,
                status,
                bytes,
            });
        }
    }

    fn told_otherwise(mut self) -> RequestId {
        self.told = true;
        self.request
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        self.ended(0, 0);
    }
}
