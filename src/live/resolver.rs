//! A resolver with sockets: listens on UDP and TCP, asks the DNS server from its own address.
//!
//! In go messages of clients and of the DNS server; the machine of `policy/resolver` decides which
//! come from the cache. What a resolver does not do (other operations, classes, transfers) is
//! answered as the DNS server does. Questions to the server go out from a fresh port each, and over
//! TCP when the answer was cut (RFC 7766 section 5).

mod reply;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use hickory_server::Server;
use hickory_server::net::runtime::Time as HickoryTime;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::oneshot;

use self::reply::{Reply as Rendered, nothing_sent, question, send};
use super::forward;
use super::runner::{Runner, Shared};
use super::tasks::Tasks;
use crate::model::addr::ListenAddr;
use crate::model::fact::Act;
use crate::model::id::Name;
use crate::model::time::Span;
use crate::policy::answer::{Question, unserved};
use crate::policy::machines;
use crate::policy::resolver::{Input, Output, Reply, Resolver as Machine};

/// How long a TCP connection may be silent, as at the DNS server.
const TCP_IDLE: Duration = Duration::from_secs(10);

/// How many answers of one connection wait for a slow reader before it is cut.
const TCP_ANSWERS_MAX: usize = 64;

/// How often a port that is free for UDP is tried for TCP before giving up.
const PORT_TRIES_MAX: usize = 16;

/// A resolver at work. Clones are the same resolver.
#[derive(Clone)]
pub struct Resolver {
    inner: Arc<Inner>,
}

struct Inner {
    runner: Runner<Machine>,
    /// Where it listens.
    address: SocketAddr,
    /// The DNS server.
    server: SocketAddr,
    /// Where it asks from; another one after a move.
    from: Mutex<IpAddr>,
    tasks: Tasks,
    /// The tasks of the time that it listens, given up whole on stop.
    listening: Mutex<Option<Tasks>>,
    /// Who waits for an answer; as many as the machine lets wait.
    waiting: Mutex<BTreeMap<u64, oneshot::Sender<Reply>>>,
    asks: AtomicU64,
    /// Held for one operator's act at a time.
    acting: tokio::sync::Mutex<()>,
}

/// The sockets of a resolver, bound before anything starts.
pub struct Sockets {
    address: SocketAddr,
    udp: UdpSocket,
    tcp: TcpListener,
}

/// Binds UDP and TCP on one port; port 0 takes one that is free for both.
async fn bind(listen: SocketAddr) -> io::Result<(SocketAddr, UdpSocket, TcpListener)> {
    let mut tries = 0;
    loop {
        tries += 1;
        let udp = UdpSocket::bind(listen).await?;
        let address = udp.local_addr()?;
        match TcpListener::bind(address).await {
            Ok(tcp) => return Ok((address, udp, tcp)),
            Err(error)
                if listen.port() != 0
                    || tries == PORT_TRIES_MAX
                    || error.kind() != io::ErrorKind::AddrInUse =>
            {
                return Err(error);
            }
            Err(_) => {}
        }
    }
}

impl Sockets {
    /// Binds UDP and TCP on one port; port 0 takes one that is free for both.
    pub async fn bind(listen: SocketAddr) -> io::Result<Self> {
        let (address, udp, tcp) = bind(listen).await?;
        Ok(Self { address, udp, tcp })
    }

    /// Gives the address that was bound.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Resolver {
    /// Makes the resolver with this place in the topology, which asks the DNS server at `server`
    /// from the address `from`. It listens from [`Resolver::start`] on.
    pub fn new(
        index: usize,
        shared: Shared,
        address: SocketAddr,
        (server, from): (SocketAddr, IpAddr),
        tasks: &Tasks,
    ) -> Self {
        let machine = machines::resolver(&shared.topology, index);
        let resolver = Self {
            inner: Arc::new(Inner {
                runner: Runner::new(machine, shared),
                address,
                server,
                from: Mutex::new(from),
                tasks: tasks.clone(),
                listening: Mutex::new(None),
                waiting: Mutex::default(),
                asks: AtomicU64::new(0),
                acting: tokio::sync::Mutex::default(),
            }),
        };
        let act = |inner, output| Self { inner }.act(output);
        resolver.inner.runner.act_through(&resolver.inner, act);
        resolver
    }

    /// Gives where it listens.
    pub fn address(&self) -> SocketAddr {
        self.inner.address
    }

    /// Begins to answer on sockets that were bound before.
    pub fn start(&self, sockets: Sockets) {
        // In this order: a question that found the machine stopped would wait in vain.
        self.feed(Input::Operate(Act::Start));
        self.listen(sockets);
    }

    /// Does an operator's act; a start binds the sockets again.
    pub async fn operate(&self, act: Act) -> io::Result<()> {
        let _one = self.inner.acting.lock().await;
        self.closed().await;
        if act == Act::Start && self.listening().is_none() {
            let sockets = Sockets::bind(self.inner.address).await?;
            self.start(sockets);
        } else {
            self.feed(Input::Operate(act));
        }
        self.closed().await;
        Ok(())
    }

    /// Asks from another address from now on; what is in the cache stays.
    pub fn roam(&self, network: Name, address: IpAddr) {
        *self.from() = address;
        self.feed(Input::Roamed { network, address });
    }

    /// Keeps answers that come from now on at least so long.
    pub fn floor(&self, floor: Option<Span>) {
        self.feed(Input::Floor(floor));
    }

    fn feed(&self, input: Input) {
        drop(self.inner.runner.feed(input));
    }

    fn listen(&self, sockets: Sockets) {
        let Sockets { address, udp, tcp } = sockets;
        let tasks = self.inner.tasks.child();
        *self.listening() = Some(tasks.clone());
        let mut server = Server::new(Handler {
            resolver: self.clone(),
            address: ListenAddr(address),
        });
        server.register_socket(udp);
        server.register_listener(tcp, TCP_IDLE, TCP_ANSWERS_MAX);
        // A server that is merely dropped closes its sockets some time later.
        let (token, stop) = (tasks.token(), server.shutdown_token().clone());
        tasks.spawn_watching(async move {
            let mut done = Box::pin(server.block_until_done());
            let ended = tokio::select! {
                () = token.cancelled() => {
                    stop.cancel();
                    done.await
                }
                ended = &mut done => ended,
            };
            if let Err(error) = ended {
                tracing::warn!(%error, %address, "the resolver ended");
            }
        });
    }

    fn act(&self, output: Output) {
        match output {
            Output::Close => {
                if let Some(tasks) = &*self.listening() {
                    tasks.cancel();
                }
                self.waiting().clear();
            }
            Output::Forward {
                forward,
                name,
                record_type,
                since: _,
            } => {
                let from = *self.from();
                let (resolver, server) = (self.clone(), self.inner.server);
                self.inner.tasks.spawn(async move {
                    let asked = forward::ask(server, from, &name, record_type).await;
                    resolver.feed(match asked {
                        Ok(reply) => Input::Answered { forward, reply },
                        Err(error) => {
                            tracing::debug!(%error, %server, "the DNS server was not reached");
                            Input::Failed { forward }
                        }
                    });
                });
            }
            // The sockets are bound before the machine hears of the start.
            Output::Listen => {}
            Output::Reply { ask, reply, .. } => {
                if let Some(asker) = self.waiting().remove(&ask) {
                    // A client that left is owed nothing.
                    let _ = asker.send(reply);
                }
            }
        }
    }

    /// Asks the machine; `None` when it was stopped meanwhile.
    async fn ask(&self, question: &Question) -> Option<Reply> {
        let ask = self.inner.asks.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        self.waiting().insert(ask, answer);
        let waits = Waits {
            resolver: self,
            ask,
        };
        self.feed(Input::Asked {
            ask,
            client: question.source,
            name: question.name.to_hickory(),
            record_type: question.record_type,
        });
        let reply = answered.await.ok();
        drop(waits);
        reply
    }

    /// Waits for the sockets of a time of listening that is over.
    async fn closed(&self) {
        let over = |tasks: &mut Tasks| tasks.token().is_cancelled();
        let closing = self.listening().take_if(over);
        if let Some(tasks) = closing {
            tasks.stop().await;
        }
    }

    fn listening(&self) -> MutexGuard<'_, Option<Tasks>> {
        self.inner
            .listening
            .lock()
            .expect("the slot is only set and taken")
    }

    fn from(&self) -> MutexGuard<'_, IpAddr> {
        self.inner.from.lock().expect("an address is only copied")
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<u64, oneshot::Sender<Reply>>> {
        self.inner
            .waiting
            .lock()
            .expect("askers are only put in and taken out")
    }
}

/// Takes an asker off the list however his wait ends.
struct Waits<'a> {
    resolver: &'a Resolver,
    ask: u64,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.resolver.waiting().remove(&self.ask);
    }
}

/// Translates between hickory and the machine.
struct Handler {
    resolver: Resolver,
    address: ListenAddr,
}

#[async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: HickoryTime>(
        &self,
        request: &Request,
        response_handle: R,
    ) -> ResponseInfo {
        let question = question(request, self.address);
        let transfer = matches!(question.record_type, RecordType::AXFR | RecordType::IXFR);
        let reply = match unserved(&question) {
            Some((rcode, _)) => Some(Reply {
                rcode,
                ..Reply::failure()
            }),
            None if transfer => Some(Reply {
                rcode: ResponseCode::NotImp,
                ..Reply::failure()
            }),
            None => self.resolver.ask(&question).await,
        };
        let Some(reply) = reply else {
            return nothing_sent(request);
        };
        let reply = Rendered::resolved(request, &question, reply);
        send(request, &reply, response_handle).await
    }
}
