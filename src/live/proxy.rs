//! An instance of the pool on real sockets.
//!
//! A connection's way: PROXY header, first bytes, ClientHello, the machine's choice of service, the
//! rest of TLS (`proxy/arrive`); then SSH for an agent, or HTTP for the web API and the apps
//! (`proxy/web`), and on the tunnel listener for find alone (`proxy/minimal`).

mod admission;
mod arrive;
mod database;
mod minimal;
mod sniff;
mod ssh;
mod streams;
mod tunnels;
mod web;

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard};

use hyper::body::Bytes;
use tokio::sync::Semaphore;

use super::authority::{HostIdentity, Trust};
use super::gossip::{Board, Delivery};
use super::runner::{Runner, Shared};
use super::serve::gate::{self, Gate};
use super::tasks::Tasks;
use super::tunnel::{ServerControl, Settings};
use super::{cut, peer, tls, webapi};
use crate::model::addr::ClientAddr;
use crate::model::fact::{Act, Kind};
use crate::model::id::{ConnId, Name};
use crate::model::teleport::Port;
use crate::model::topology;
use crate::policy::machines;
use crate::policy::proxy::{Input, Output, Proxy as Machine};

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
    /// What it shows to the other instances, and asks of them.
    pub peers: peer::Identity,
    /// Times and bounds of its tunnels.
    pub settings: Settings,
    /// Where it hears of the other instances.
    pub board: Board,
}

struct Inner {
    runner: Runner<Machine>,
    index: usize,
    name: Name,
    id: Name,
    cluster: Name,
    listen: SocketAddr,
    means: Means,
    answers: webapi::Answers,
    pending: Arc<Semaphore>,
    /// How many requests of peers there may be.
    peering: Semaphore,
    tasks: Tasks,
    /// Held for one operator's act at a time: the cut of a stop must not hit what a start began.
    acting: tokio::sync::Mutex<()>,
    work: Mutex<Work>,
}

/// What lives until the instance is stopped.
struct Work {
    /// Listeners that are bound and not yet used: all of them, or none.
    bound: Vec<(Port, TcpListener)>,
    /// The accept loops.
    accepting: Option<Tasks>,
    /// Accept loops that were told to end, whose listeners may still be open.
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
    /// `bound` are its listeners, those of [`listeners`]; after a stop it binds them again by itself.
    pub fn new(
        index: usize,
        shared: Shared,
        means: Means,
        bound: Vec<(Port, TcpListener)>,
        tasks: &Tasks,
    ) -> Self {
        let config = &shared.topology.pool.proxies[index];
        let (name, id, listen) = (config.name.clone(), config.id.clone(), config.listen.0);
        let cluster = shared.topology.cluster().into();
        let machine = machines::proxy(&shared.topology, index);
        let work = Work {
            bound,
            accepting: None,
            closing: None,
            conns: tasks.child(),
            group: cut::Group::default(),
            tunnels: BTreeMap::new(),
        };
        let proxy = Self {
            inner: Arc::new(Inner {
                runner: Runner::new(machine, shared),
                index,
                name,
                id,
                cluster,
                listen,
                means,
                answers: webapi::Answers::default(),
                pending: Arc::new(Semaphore::new(PENDING_MAX)),
                peering: Semaphore::new(peer::PEERS_MAX),
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
            if work.bound.is_empty() && work.accepting.is_none() {
                let shared = self.inner.runner.shared();
                let own = &shared.topology.pool.proxies[self.inner.index];
                // All or none: those that were bound are closed when a later one fails.
                let bound = listeners(own).into_iter().map(|(port, address)| {
                    let listener = shared.ports.listen(address)?;
                    Ok((port, listener))
                });
                work.bound = bound.collect::<io::Result<_>>()?;
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
                work.bound.clear();
                if let Some(accepting) = work.accepting.take() {
                    accepting.cancel();
                    work.closing = Some(accepting);
                }
            }
            // Choices go back to whoever asked: see `arrive` and `web`.
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
        let bound = std::mem::take(&mut work.bound);
        if bound.is_empty() {
            return;
        }
        let accepting = self.inner.tasks.child();
        for (port, listener) in bound {
            let proxy = self.clone();
            let gate = Gate::new(self.inner.runner.node(), &self.inner.runner.shared().faults);
            let accepted = gate::accept(listener, gate, move |stream, source| {
                proxy.accepted(port, stream, source);
            });
            accepting.spawn(async move {
                if let Err(error) = accepted.await {
                    tracing::error!(%error, %port, "a listener of the pool failed");
                }
            });
        }
        work.accepting = Some(accepting);
    }

    fn refused(&self, conn: ConnId, client: Option<ClientAddr>, why: String) {
        self.inner
            .runner
            .measured(Kind::ConnRefused { conn, client, why });
    }

    /// Gives what the web API says at a path: find, at most ten seconds old, or ping.
    fn web_api_body(&self, path: &str) -> Option<Bytes> {
        let shared = self.inner.runner.shared();
        let teleport = &shared.topology.pool.teleport;
        let cluster = shared.topology.cluster();
        let write = || webapi::document(teleport, cluster);
        self.inner.answers.at(path, shared.clock.now(), write)
    }
}

/// Gives where an instance listens, and for what: an address that two listeners share once, for the
/// first of them (reference 3.3, first row).
pub fn listeners(proxy: &topology::Proxy) -> Vec<(Port, SocketAddr)> {
    let mut listeners = vec![(Port::Web, proxy.listen.0)];
    for (port, address) in &proxy.further {
        if listeners.iter().all(|(_, known)| *known != address.0) {
            listeners.push((*port, address.0));
        }
    }
    listeners
}

fn deliver(deliveries: Vec<Delivery>) {
    for (deliver, input) in deliveries {
        deliver(input);
    }
}
