//! A door on real sockets: accepts, connects, checks, and hands pairs of sockets to the relay.
//!
//! What to do is `policy/balancer`'s answer to what happened; here it is only done. The second
//! connection comes from the door's own address, so that a list of connections shows which door a
//! flow went through.

mod connect;

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use super::relay::{Event, Means, Origin, Relay};
use super::runner::{Runner, Shared};
use super::serve::gate::{self, Gate};
use super::tasks::Tasks;
use super::{cut, proxy_protocol, serve};
use crate::model::addr::{BackendAddr, ClientAddr, ListenAddr};
use crate::model::fact::{Act, Cut, Ended};
use crate::model::id::{FlowId, Name, Node};
use crate::model::topology;
use crate::policy::balancer::{self, Input, Output};
use crate::policy::faults::{Flow, Shape};
use crate::policy::machines;

/// A door at work. Clones are the same door.
#[derive(Clone)]
pub struct Balancer {
    inner: Arc<Inner>,
}

struct Inner {
    index: usize,
    runner: Runner<balancer::Balancer>,
    running: OnceLock<Running>,
    /// Held for one operator's act at a time.
    acting: tokio::sync::Mutex<()>,
    /// The accept loops; stopped to close the listeners.
    accepting: Mutex<Option<Tasks>>,
    /// Cancelled and replaced by each cut.
    cut: Mutex<Cutting>,
}

/// What ends flows that are not with the relay yet.
#[derive(Clone, Default)]
struct Cutting {
    token: CancellationToken,
    group: cut::Group,
}

impl Cutting {
    /// Ends a client that has no second connection, as the cut says when there was one.
    fn leave(&self, client: &TcpStream) {
        match self.group.how() {
            None | Some(Cut::Finish) => serve::finish(client),
            Some(Cut::Reset) => serve::reset(client),
        }
    }
}

struct Running {
    tasks: Tasks,
    relay: Relay,
    /// Where the listeners are for the scenario, with the port that was taken for one of 0, so that
    /// a start takes the same ports again.
    real: Vec<SocketAddr>,
}

impl Balancer {
    /// Makes the door of `topology.balancers[index]`.
    ///
    /// # Panics
    /// When there is no such balancer.
    pub fn new(index: usize, shared: Shared) -> Self {
        let machine = machines::balancer(&shared.topology, index);
        let inner = Inner {
            index,
            runner: Runner::new(machine, shared),
            running: OnceLock::new(),
            acting: tokio::sync::Mutex::default(),
            accepting: Mutex::default(),
            cut: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Gives the node that it is.
    pub fn node(&self) -> &Node {
        self.inner.runner.node()
    }

    /// Begins to accept, and to check the pool at once; called once, inside the runtime.
    pub fn start(&self, listeners: Vec<TcpListener>, tasks: &Tasks) -> io::Result<()> {
        let real = listeners.iter().zip(&self.config().listen);
        let real = real.map(|(listener, listen)| match listen.0.port() {
            0 => listener.local_addr(),
            _ => Ok(listen.0),
        });
        let real = real.collect::<io::Result<Vec<_>>>()?;
        let shared = self.inner.runner.shared();
        let means = Means {
            clock: shared.clock,
            seed: shared.topology.seed,
            door: self.config().name.clone(),
        };
        let (own, index) = (shared.clone(), self.inner.index);
        let (relay, events) = Relay::new(tasks, means, move |origin| {
            let proxy = &own.topology.pool.proxies[origin.proxy].name;
            shape(&own, index, (origin.client, origin.listener), Some(proxy))
        });
        let running = Running {
            tasks: tasks.clone(),
            relay,
            real,
        };
        if self.inner.running.set(running).is_err() {
            return Err(io::Error::other("a balancer is started once"));
        }
        let weak = Arc::downgrade(&self.inner);
        shared.faults.tell(move || {
            if let Some(running) = weak.upgrade().as_ref().and_then(|door| door.running.get()) {
                running.relay.reshape();
            }
        });
        tasks.spawn(self.clone().watch_flows(events));
        self.accept(listeners);
        let this = self.clone();
        tasks.spawn(async move {
            let runner = this.inner.runner.clone();
            runner.drive(move |output| this.act(output)).await;
        });
        Ok(())
    }

    /// Does an operator's act; fails when the listeners cannot be bound again.
    ///
    /// When it returns, the listeners are open or closed as the act wants.
    pub async fn operate(&self, act: Act) -> io::Result<()> {
        let _one = self.inner.acting.lock().await;
        let closed = lock(&self.inner.accepting).is_none();
        let mut listeners = Vec::new();
        if act == Act::Start && closed {
            let ports = &self.inner.runner.shared().ports;
            for address in &self.running().real {
                listeners.push(ports.listen(*address)?);
            }
        }
        let mut closing = None;
        for output in self.inner.runner.feed(Input::Operated { act }) {
            if output == Output::Listen {
                self.accept(std::mem::take(&mut listeners));
            } else if output == Output::Unlisten {
                closing = lock(&self.inner.accepting).take();
            } else {
                self.act(output);
            }
        }
        // Only now is there something to wait for: what the machine asked for is all done.
        if let Some(accepting) = closing {
            accepting.stop().await;
        }
        Ok(())
    }

    /// Does what needs neither a client nor a listener at hand.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the others belong to one client or one act, and their callers do them"
    )]
    fn act(&self, output: Output) {
        match output {
            Output::Check {
                check,
                proxy,
                backend,
            } => {
                let this = self.clone();
                self.running().tasks.spawn(async move {
                    let error = this.check(check, proxy, backend).await.err();
                    let input = Input::Checked {
                        check,
                        proxy,
                        error,
                    };
                    for output in this.inner.runner.feed(input) {
                        this.act(output);
                    }
                });
            }
            Output::CutAll { how } => {
                let cut = std::mem::take(&mut *lock(&self.inner.cut));
                cut.group.cut(how);
                cut.token.cancel();
                self.running().relay.close_all(Ended::Cut, how);
            }
            output => tracing::error!(?output, "an output of nobody's input"),
        }
    }

    fn accept(&self, listeners: Vec<TcpListener>) {
        let accepting = self.running().tasks.child();
        for (listener, address) in listeners.into_iter().zip(&self.running().real) {
            let this = self.clone();
            let listener_address = ListenAddr(*address);
            accepting.spawn(async move {
                let take = |stream, source| this.accepted(stream, source, listener_address);
                let gate = Gate::new(this.node(), &this.inner.runner.shared().faults);
                if let Err(error) = gate::accept(listener, gate, take).await {
                    tracing::error!(%error, node = %this.node(), "cannot accept");
                }
            });
        }
        *lock(&self.inner.accepting) = Some(accepting);
    }

    fn accepted(&self, client: TcpStream, source: SocketAddr, listener: ListenAddr) {
        let input = Input::Accepted {
            client: ClientAddr(source),
            listener,
        };
        let outputs = self.inner.runner.feed(input);
        if let [Output::Refuse { .. }] = outputs[..] {
            return serve::reset(&client);
        }
        // A door that listens everywhere was still reached at one address.
        let destination = client.local_addr().unwrap_or(listener.0);
        // The port of the scenario: a lower one may be bound elsewhere.
        let destination = SocketAddr::new(destination.ip(), listener.0.port());
        if self.is_reset(source.ip(), destination.ip().to_canonical()) {
            if let Some(Output::Connect { flow, .. } | Output::Close { flow }) = outputs.first() {
                self.ended(Event {
                    flow: *flow,
                    up: 0,
                    down: 0,
                    how: Ended::Cut,
                });
            }
            return serve::reset(&client);
        }
        // Read after the machine took the flow in: a cut before that is the machine's to answer.
        let cut = lock(&self.inner.cut).clone();
        let this = self.clone();
        let carry = async move {
            let flow = Carried {
                client,
                source,
                destination,
                own: Some(listener.ip()),
            };
            let outputs = VecDeque::from(outputs);
            this.carry(flow, outputs, cut).await;
        };
        self.running().tasks.spawn(carry);
    }

    /// Brings one client to an instance, trying as often as the machine says.
    async fn carry(&self, flow: Carried, mut outputs: VecDeque<Output>, cut: Cutting) {
        let mut connected = None;
        while let Some(output) = outputs.pop_front() {
            match output {
                Output::Connect {
                    flow: id,
                    proxy,
                    backend,
                    attempt,
                } => {
                    let send = self.config().send_proxy;
                    let header = proxy_protocol::opening(send, flow.source, flow.destination);
                    let way = self.way(&id.to_string(), u64::from(attempt), proxy);
                    let timeout = self.config().timeout_connect;
                    let connect = connect::open(&way, flow.own, backend, &header, timeout);
                    let Some(result) = cut.token.run_until_cancelled(connect).await else {
                        // The machine has ended the flow when it asked for the cut.
                        return cut.leave(&flow.client);
                    };
                    let input = match result {
                        Ok(stream) => {
                            let from = stream.local_addr().ok().map(ClientAddr);
                            connected = Some((stream, proxy));
                            Input::Connected { flow: id, from }
                        }
                        Err(error) => Input::ConnectFailed { flow: id, error },
                    };
                    outputs.extend(self.inner.runner.feed(input));
                }
                Output::Relay { flow: id } => {
                    let Some((backend, proxy)) = connected.take() else {
                        tracing::error!(flow = %id, "a relay without a connection");
                        return;
                    };
                    let origin = Origin {
                        client: flow.source.ip(),
                        listener: flow.destination.ip().to_canonical(),
                        proxy: proxy as usize,
                    };
                    return self.relay((id, origin), flow.client, backend, &cut);
                }
                Output::Close { .. } => return cut.leave(&flow.client),
                Output::Refuse { .. } => return serve::reset(&flow.client),
                output @ (Output::Check { .. }
                | Output::CutAll { .. }
                | Output::Listen
                | Output::Unlisten) => self.act(output),
            }
        }
    }

    fn relay(
        &self,
        (id, origin): (FlowId, Origin),
        client: TcpStream,
        backend: TcpStream,
        cut: &Cutting,
    ) {
        let relay = &self.running().relay;
        match (client.into_std(), backend.into_std()) {
            (Ok(client), Ok(backend)) => {
                relay.adopt(id, origin, client, backend);
                // The cut may have come between the machine's word and the adoption.
                if cut.token.is_cancelled() {
                    relay.close(id, Ended::Cut, cut.group.how().unwrap_or(Cut::Finish));
                }
            }
            (client, backend) => {
                let how = if client.is_err() {
                    Ended::ClientError
                } else {
                    Ended::BackendError
                };
                drop((client, backend));
                self.ended(Event {
                    flow: id,
                    up: 0,
                    down: 0,
                    how,
                });
            }
        }
    }

    async fn watch_flows(self, mut events: UnboundedReceiver<Event>) {
        while let Some(event) = events.recv().await {
            self.ended(event);
        }
    }

    fn ended(&self, event: Event) {
        let input = Input::FlowEnded {
            flow: event.flow,
            up: event.up,
            down: event.down,
            how: event.how,
        };
        for output in self.inner.runner.feed(input) {
            self.act(output);
        }
    }

    /// An active check: it connects, says that it speaks for itself, and closes.
    async fn check(&self, check: u64, proxy: u32, backend: BackendAddr) -> Result<(), String> {
        let way = self.way("check", check, proxy);
        let timeout = self.config().check.timeout;
        let own = self.config().listen.first().map(|listen| listen.ip());
        let header = proxy_protocol::checking(self.config().send_proxy);
        connect::open(&way, own, backend, &header, timeout)
            .await
            .map(drop)
    }

    /// Gives the link that a connect goes over; `who` and `number` are its luck.
    fn way(&self, who: &str, number: u64, proxy: u32) -> connect::Way<'_> {
        let shared = self.inner.runner.shared();
        connect::Way {
            shared,
            balancer: &self.config().name,
            proxy: &shared.topology.pool.proxies[proxy as usize].name,
            luck: (format!("{} {who}", self.node()), number),
        }
    }

    /// Tells whether a client's connection is to be reset, whichever instance it would go to.
    fn is_reset(&self, client: IpAddr, door: IpAddr) -> bool {
        let shared = self.inner.runner.shared();
        shape(shared, self.inner.index, (client, door), None).reset
    }

    fn config(&self) -> &topology::Balancer {
        &self.inner.runner.shared().topology.balancers[self.inner.index]
    }

    fn running(&self) -> &Running {
        let running = self.inner.running.get();
        running.expect("a door acts only after its start")
    }
}

/// A client on its way to an instance.
struct Carried {
    client: TcpStream,
    source: SocketAddr,
    destination: SocketAddr,
    /// The door's address that it came in at, from which the second connection goes out.
    own: Option<IpAddr>,
}

/// Gives what the faults in force do to a flow of a client at a door's address.
fn shape(
    shared: &Shared,
    index: usize,
    (client, listener): (IpAddr, IpAddr),
    proxy: Option<&Name>,
) -> Shape {
    let faults = shared.faults.current();
    let flow = Flow {
        client,
        balancer: &shared.topology.balancers[index].name,
        listener,
        proxy,
    };
    faults.flow(&shared.topology, &flow)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nothing panics under these locks")
}
