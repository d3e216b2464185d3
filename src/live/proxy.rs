//! An instance of the pool on real sockets.
//!
//! A connection's way: PROXY header, ClientHello, the machine's choice of service, the rest of TLS;
//! then SSH for an agent, or HTTP/1.1 for the web API and the apps (`proxy/web`).

mod web;

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::server::TlsStream;

use super::authority::{HostIdentity, Trust};
use super::gossip::{Board, Delivery};
use super::runner::{Runner, Shared};
use super::serve::gate::{self, Gate};
use super::tasks::Tasks;
use super::tls::{self, Hello, TlsError};
use super::tunnel::{self, ServerControl, ServerEvent, ServerTunnel, Settings};
use super::{cut, proxy_protocol, serve, webapi};
use crate::model::addr::ClientAddr;
use crate::model::fact::{Act, Kind, Service};
use crate::model::id::{ConnId, Name};
use crate::model::teleport::Port;
use crate::policy::proxy::{Input, Output, Proxy as Machine, Serves};
use crate::policy::{alpn, machines};

pub use web::{HEADER_AGENT, HEADER_PROXY, HEADER_REFUSAL};

/// How many connections may be before their service is chosen; more are closed at accept.
const PENDING_MAX: usize = 1_024;

/// An instance at work. Clones are the same instance.
#[derive(Clone)]
pub struct Proxy {
    inner: Arc<Inner>,
}

/// What an instance needs beside its place in the pool.
pub struct Means {
    /// The web certificate.
    pub tls: tls::Server,
    /// Its SSH identity.
    pub identity: HostIdentity,
    /// Whom it believes.
    pub trust: Trust,
    /// Times and bounds of its tunnels.
    pub settings: Settings,
    /// Where it hears of the other instances.
    pub board: Board,
}

struct Inner {
    runner: Runner<Machine>,
    name: Name,
    id: Name,
    cluster: Name,
    listen: SocketAddr,
    means: Means,
    document: Vec<u8>,
    pending: Arc<Semaphore>,
    tasks: Tasks,
    /// Held for one operator's act at a time: the cut of a stop must not hit what a start began.
    acting: tokio::sync::Mutex<()>,
    work: Mutex<Work>,
}

/// What lives until the instance is stopped.
struct Work {
    /// A listener that is bound and not yet used.
    bound: Option<TcpListener>,
    /// The accept loop.
    accepting: Option<Tasks>,
    /// An accept loop that was told to end, whose listener may still be open.
    closing: Option<Tasks>,
    /// Every connection; cut all at once.
    conns: Tasks,
    /// How they end then.
    group: cut::Group,
    tunnels: BTreeMap<ConnId, ServerControl>,
}

impl Proxy {
    /// Makes the instance with this place in the pool and starts its clockwork.
    ///
    /// `bound` is its listener; after a stop it binds the address again by itself.
    pub fn new(
        index: usize,
        shared: Shared,
        means: Means,
        bound: TcpListener,
        tasks: &Tasks,
    ) -> Self {
        let config = &shared.topology.pool.proxies[index];
        let (name, id, listen) = (config.name.clone(), config.id.clone(), config.listen.0);
        let document = webapi::document(&shared.topology);
        let cluster = shared.topology.cluster().into();
        let machine = machines::proxy(&shared.topology, index);
        let work = Work {
            bound: Some(bound),
            accepting: None,
            closing: None,
            conns: tasks.child(),
            group: cut::Group::default(),
            tunnels: BTreeMap::new(),
        };
        let proxy = Self {
            inner: Arc::new(Inner {
                runner: Runner::new(machine, shared),
                name,
                id,
                cluster,
                listen,
                means,
                document,
                pending: Arc::new(Semaphore::new(PENDING_MAX)),
                tasks: tasks.clone(),
                acting: tokio::sync::Mutex::default(),
                work: Mutex::new(work),
            }),
        };
        // The board does not keep an instance alive: its lab does.
        let member = Arc::downgrade(&proxy.inner);
        let deliver = Arc::new(move |input| {
            if let Some(inner) = member.upgrade() {
                Self { inner }.feed(input);
            }
        });
        proxy.inner.means.board.join(&proxy.inner.id, deliver);
        let act = |inner, output| Self { inner }.act(output);
        proxy.inner.runner.act_through(&proxy.inner, act);
        let runner = proxy.inner.runner.clone();
        tasks.spawn(async move { runner.drive(drop).await });
        proxy
    }

    /// Passes an operator's act on; fails when a listener cannot be bound again.
    ///
    /// When it returns, the listener is open or closed as the act wants.
    pub async fn operate(&self, act: Act) -> io::Result<()> {
        let _one = self.inner.acting.lock().await;
        if act == Act::Start {
            let mut work = self.work();
            if work.bound.is_none() && work.accepting.is_none() {
                work.bound = Some(serve::listen(self.inner.listen)?);
            }
        }
        self.feed(Input::Operate(act));
        let closing = self.work().closing.take();
        if let Some(closing) = closing {
            closing.stop().await;
        }
        Ok(())
    }

    /// Feeds what nobody waits to be answered for.
    fn feed(&self, input: Input) {
        drop(self.inner.runner.feed(input));
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.inner
            .work
            .lock()
            .expect("what is kept here is only put in and taken out")
    }

    fn act(&self, output: Output) {
        let board = &self.inner.means.board;
        match output {
            Output::Advise { conns } => {
                let work = self.work();
                for tunnel in conns.iter().filter_map(|conn| work.tunnels.get(conn)) {
                    // Advice that cannot be given would hold up the drain.
                    if !tunnel.advise_reconnect() {
                        tunnel.close("the proxy drains");
                    }
                }
            }
            Output::Announce { host_id, serves } => {
                deliver(board.announce(&self.inner.id, &host_id, &serves));
            }
            Output::BeginListening => self.begin_listening(),
            Output::CloseTunnel { conn } => {
                let tunnel = self.work().tunnels.remove(&conn);
                if let Some(tunnel) = tunnel {
                    tunnel.close("the proxy closed it");
                }
            }
            Output::CutAll { how } => {
                let mut work = self.work();
                std::mem::take(&mut work.group).cut(how);
                work.conns.cancel();
                work.conns = self.inner.tasks.child();
                work.tunnels.clear();
                board.ended(&self.inner.id);
            }
            Output::Gossip { conns, proxies } => {
                let work = self.work();
                for tunnel in conns.iter().filter_map(|conn| work.tunnels.get(conn)) {
                    if !tunnel.send_discovery(&proxies) {
                        tracing::warn!(proxy = %self.inner.name, "gossip was lost: queue full");
                    }
                }
            }
            Output::Presence { alive } => deliver(board.presence(&self.inner.id, alive)),
            Output::StopListening => {
                let mut work = self.work();
                work.bound = None;
                if let Some(accepting) = work.accepting.take() {
                    accepting.cancel();
                    work.closing = Some(accepting);
                }
            }
            // Choices go back to whoever asked: see `serve_conn` and `web`.
            Output::AskPeers { .. }
            | Output::Redirect { .. }
            | Output::RefuseHello { .. }
            | Output::RefuseRequest { .. }
            | Output::Route { .. }
            | Output::Serve { .. }
            | Output::ServeWebApi => {}
        }
    }

    fn begin_listening(&self) {
        let mut work = self.work();
        let Some(listener) = work.bound.take() else {
            return;
        };
        let accepting = self.inner.tasks.child();
        let proxy = self.clone();
        let gate = Gate::new(self.inner.runner.node(), &self.inner.runner.shared().faults);
        let accepted = gate::accept(listener, gate, move |stream, source| {
            proxy.accepted(stream, source);
        });
        accepting.spawn(async move {
            if let Err(error) = accepted.await {
                tracing::error!(%error, "a listener of the pool failed");
            }
        });
        work.accepting = Some(accepting);
    }

    fn accepted(&self, stream: TcpStream, source: SocketAddr) {
        let Ok(permit) = Arc::clone(&self.inner.pending).try_acquire_owned() else {
            tracing::warn!(proxy = %self.inner.name, "closed at accept: too many are pending");
            return;
        };
        let proxy = self.clone();
        let (conns, stream) = {
            let work = self.work();
            (work.conns.clone(), work.group.clone().holds(stream))
        };
        let own = conns.clone();
        conns.spawn(async move {
            let Some((client, hello)) = proxy.hello(stream, ClientAddr(source)).await else {
                return;
            };
            drop(permit);
            Box::pin(proxy.serve_conn(client, hello, &own)).await;
        });
    }

    /// Reads the PROXY header and the ClientHello.
    async fn hello(
        &self,
        mut stream: cut::Stream,
        source: ClientAddr,
    ) -> Option<(ClientAddr, Hello<cut::Stream>)> {
        let _ = stream.tcp().set_nodelay(true);
        let header = async {
            let header = proxy_protocol::read(&mut stream).await?;
            proxy_protocol::refuse_duplicate(stream.tcp()).await?;
            Ok::<_, proxy_protocol::Error>(header)
        };
        let header = match header.await {
            Ok(header) => header,
            Err(error) => {
                self.refused(ConnId(0), Some(source), error.to_string());
                return None;
            }
        };
        match Hello::read(stream).await {
            Ok(hello) => Some((header.client.unwrap_or(source), hello)),
            // A health check speaks for itself and says no more.
            Err(TlsError::Hello(_)) if header.client.is_none() => None,
            Err(error) => {
                self.refused(ConnId(0), header.client, error.to_string());
                None
            }
        }
    }

    fn refused(&self, conn: ConnId, client: Option<ClientAddr>, why: String) {
        self.inner
            .runner
            .measured(Kind::ConnRefused { conn, client, why });
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the others do not answer this input"
    )]
    async fn serve_conn(&self, client: ClientAddr, hello: Hello<cut::Stream>, tasks: &Tasks) {
        let input = Input::HelloRead {
            listener: Port::Web,
            client,
            sni: hello.sni.as_deref().map(Into::into),
            alpn: hello
                .alpn
                .iter()
                .take(alpn::OFFERED_MAX)
                .map(|name| Name::from(name.as_str()))
                .collect(),
        };
        for output in self.inner.runner.feed(input) {
            match output {
                Output::RefuseHello { .. } => {
                    hello.refuse(&self.inner.means.tls).await;
                    return;
                }
                Output::Serve {
                    conn,
                    service,
                    protocol,
                } => {
                    match hello.finish(&self.inner.means.tls, protocol).await {
                        Ok(stream) => {
                            self.serve_service(conn, client, service, stream, tasks)
                                .await;
                        }
                        Err(error) => self.refused(conn, Some(client), error.to_string()),
                    }
                    self.feed(Input::ConnClosed { conn });
                    return;
                }
                other => tracing::error!(?other, "no answer to this input"),
            }
        }
    }

    async fn serve_service(
        &self,
        conn: ConnId,
        client: ClientAddr,
        service: Service,
        stream: TlsStream<cut::Stream>,
        tasks: &Tasks,
    ) {
        match service {
            Service::ReverseTunnel => self.serve_tunnel(conn, client, stream, tasks).await,
            Service::Web | Service::WebMinimal => self.serve_web(client, stream, tasks).await,
            Service::Database | Service::Peer | Service::Ssh | Service::Tcp => {
                self.refused(conn, Some(client), format!("{service} is not served here"));
            }
        }
    }

    async fn serve_tunnel(
        &self,
        conn: ConnId,
        client: ClientAddr,
        stream: TlsStream<cut::Stream>,
        tasks: &Tasks,
    ) {
        let Means {
            identity,
            trust,
            settings,
            ..
        } = &self.inner.means;
        let now = self.inner.runner.shared().clock.unix_seconds();
        match tunnel::accept(stream, identity, trust, now, settings, tasks).await {
            Ok(ServerTunnel {
                agent,
                events,
                control,
            }) => {
                self.work().tunnels.insert(conn, control);
                self.feed(Input::TunnelOpened {
                    conn,
                    host_id: agent.host_id.into(),
                });
                self.hold(conn, events).await;
            }
            Err(error) => self.refused(conn, Some(client), error.to_string()),
        }
    }

    /// Takes what happens on a tunnel until it ends.
    async fn hold(&self, conn: ConnId, mut events: mpsc::Receiver<ServerEvent>) {
        let mut why = String::from("the tunnel ended");
        while let Some(event) = events.recv().await {
            match event {
                ServerEvent::Closed { why: cause } => {
                    why = cause;
                    break;
                }
                ServerEvent::Heartbeat { resources } => {
                    let serves = Serves {
                        apps: resources.into_iter().map(Into::into).collect(),
                        ..Serves::default()
                    };
                    self.feed(Input::Heartbeat { conn, serves });
                }
                ServerEvent::StreamCut { address, why } => {
                    self.inner.runner.measured(Kind::StreamCut {
                        app: address.into(),
                        why,
                    });
                }
            }
        }
        self.work().tunnels.remove(&conn);
        self.feed(Input::TunnelClosed { conn, why });
    }
}

fn deliver(deliveries: Vec<Delivery>) {
    for (deliver, input) in deliveries {
        deliver(input);
    }
}
