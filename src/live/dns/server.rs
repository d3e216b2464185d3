//! The DNS server's sockets: bound first, then run until told to stop.
//!
//! In go addresses, limits and whoever makes responders; UDP gets threads, TCP gets tasks. A stopping
//! server answers what it has received before it ends, within a bound.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::carry::{Later, Limits, Responders};
use super::losses::Losses;
use super::proxy::Trusted;
use super::{tcp, udp};
use crate::live::tasks::Tasks;

/// How often a port that is free for TCP is tried for UDP before giving up.
const PORT_TRIES_MAX: usize = 16;

/// More workers than this for one address are a mistake.
const WORKERS_MAX: usize = 64;

/// A server with its sockets, ready to run.
pub struct Server {
    listeners: Vec<Listener>,
    limits: Limits,
    trusted: Arc<Trusted>,
    losses: Arc<Losses>,
}

/// The sockets of one address.
struct Listener {
    address: SocketAddr,
    tcp: TcpListener,
    udp: Vec<Waiting>,
}

/// A socket, and the thread that will answer there.
///
/// It is there from the beginning: threads have the priority of those that start them, and the tasks
/// among which a server runs may stand behind.
struct Waiting {
    socket: UdpSocket,
    work: SyncSender<udp::Worker>,
    thread: JoinHandle<()>,
}

impl Server {
    /// Binds UDP and TCP on these addresses; port 0 takes one that is free for both.
    ///
    /// Gives the address that could not be bound, with why.
    pub fn bind(
        listens: &[SocketAddr],
        limits: Limits,
        trusted: Trusted,
    ) -> Result<Self, (SocketAddr, io::Error)> {
        let listeners = listens.iter().map(|listen| {
            let bound = Listener::bind((*listen, only_v6(listens, *listen)), &limits);
            bound.map_err(|error| (*listen, error))
        });
        let listeners: Vec<Listener> = listeners.collect::<Result<_, _>>()?;
        let sockets = listeners.iter().flat_map(|listener| &listener.udp);
        let sockets = sockets.filter_map(|waiting| udp::inode(&waiting.socket));
        Ok(Self {
            losses: Arc::new(Losses::new(sockets.collect())),
            listeners,
            limits,
            trusted: Arc::new(trusted),
        })
    }

    /// Gives the counts of what the limits take away.
    pub(super) fn losses(&self) -> Arc<Losses> {
        Arc::clone(&self.losses)
    }

    /// Gives the addresses that were bound, in the order in which they were named.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().map(|one| one.address).collect()
    }

    /// Answers until the token is cancelled, and then what was received before.
    pub async fn run(
        self,
        responders: &dyn Responders,
        shutdown: CancellationToken,
    ) -> io::Result<()> {
        let tasks = Tasks::new();
        let later = Later {
            room: Arc::new(Semaphore::new(self.limits.deferred_max)),
            tasks: tasks.child(),
            runtime: Handle::current(),
        };
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Threads {
            stop: Arc::clone(&stop),
            running: Vec::new(),
        };
        let drain = self.limits.drain;
        let service = Arc::new(tcp::Service::new(
            responders,
            self.limits,
            later.clone(),
            (Arc::clone(&self.trusted), Arc::clone(&self.losses)),
            shutdown.clone(),
        ));
        for listener in self.listeners {
            for waiting in listener.udp {
                let worker = udp::Worker {
                    outlet: udp::Outlet::new(waiting.socket)?,
                    responder: responders.responder(),
                    later: later.clone(),
                    trusted: Arc::clone(&self.trusted),
                    stop: Arc::clone(&stop),
                };
                // It waits for nothing else.
                let _ = waiting.work.send(worker);
                threads.running.push(waiting.thread);
            }
            tasks.spawn_watching(tcp::listen(
                Arc::clone(&service),
                listener.tcp,
                tasks.child(),
            ));
        }
        tasks.spawn_watching(tcp::rest(service));
        shutdown.cancelled().await;
        // Its threads answer what is in their sockets; those who wait may still answer meanwhile.
        let joined = tokio::task::spawn_blocking(move || drop(threads)).await;
        if let Err(error) = joined {
            tracing::warn!(%error, "waiting for the UDP workers failed");
        }
        if tokio::time::timeout(drain, tasks.finish()).await.is_err() {
            tracing::debug!("not everything was answered before the end");
        }
        tasks.stop().await;
        Ok(())
    }
}

/// Tells whether IPv4 clients are to be kept from an address: `[::]` takes them too, unless
/// `0.0.0.0` is named beside it.
fn only_v6(listens: &[SocketAddr], listen: SocketAddr) -> bool {
    let takes_v4 = |other: &SocketAddr| {
        other.is_ipv4() && other.ip().is_unspecified() && other.port() == listen.port()
    };
    listen.is_ipv6() && (!listen.ip().is_unspecified() || listens.iter().any(takes_v4))
}

impl Listener {
    fn bind((listen, only_v6): (SocketAddr, bool), limits: &Limits) -> io::Result<Self> {
        let mut tries = 0;
        loop {
            tries += 1;
            match Self::bind_once((listen, only_v6), limits) {
                Err(error)
                    if listen.port() == 0
                        && tries < PORT_TRIES_MAX
                        && error.kind() == io::ErrorKind::AddrInUse => {}
                result => return result,
            }
        }
    }

    fn bind_once((listen, only_v6): (SocketAddr, bool), limits: &Limits) -> io::Result<Self> {
        // TCP first: its address is ours alone, while UDP's is shared with who shares it too.
        let tcp = tcp::bind(listen, only_v6)?;
        let address = tcp.local_addr()?;
        let count = if cfg!(target_os = "linux") {
            limits.workers.clamp(1, WORKERS_MAX)
        } else {
            1
        };
        let buffer = limits.receive_buffer_bytes;
        let udp = (0..count).map(|number| {
            let socket = udp::bind((address, only_v6), count > 1, buffer)?;
            Waiting::start(socket, number, limits.batches)
        });
        Ok(Self {
            address,
            tcp,
            udp: udp.collect::<io::Result<_>>()?,
        })
    }
}

impl Waiting {
    /// Starts a thread that answers when it has work, and ends when it will have none.
    fn start(socket: UdpSocket, number: usize, batches: bool) -> io::Result<Self> {
        let (work, come) = sync_channel::<udp::Worker>(1);
        let thread = std::thread::Builder::new().name(format!("dns-udp-{number}"));
        let thread = thread.spawn(move || {
            if let Ok(worker) = come.recv() {
                worker.run(batches);
            }
        })?;
        Ok(Self {
            socket,
            work,
            thread,
        })
    }
}

/// The UDP workers' threads; dropped it stops them and waits for their end.
struct Threads {
    stop: Arc<AtomicBool>,
    running: Vec<JoinHandle<()>>,
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.running.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a UDP worker panicked");
            }
        }
    }
}
