//! Moves the bytes of flows as their orders say, and knows nothing else of them.
//!
//! In go two owned sockets per flow, and what a fault does to it; out comes one [`Event`] per flow,
//! with its counts. An end of data is passed on in its direction alone, so either side may finish
//! first; a reset is passed on as a reset. A flow at rest holds no buffer. Orders may change at any
//! time: no byte is lost, doubled or overtaken by that.

mod lane;
mod pump;

use std::collections::BTreeMap;
use std::net::{IpAddr, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::{Notify, mpsc};

use super::clock::Clock;
use super::tasks::Tasks;
use crate::model::draw::Seed;
use crate::model::fact::{Cut, Ended};
use crate::model::id::{FlowId, Name};
use crate::model::time::Span;
use crate::policy::faults::Shape;

/// What a relay reports: exactly one for each flow that it adopted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The flow that ended.
    pub flow: FlowId,
    /// Bytes from the client.
    pub up: u64,
    /// Bytes to the client.
    pub down: u64,
    /// How it ended.
    pub how: Ended,
}

/// Whose a flow is: what a fault asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Where the client comes from.
    pub client: IpAddr,
    /// The door's address that it came in at.
    pub listener: IpAddr,
    /// The instance, by its index in the pool.
    pub proxy: usize,
}

/// What the flows of a relay share.
#[derive(Debug)]
pub struct Means {
    /// The lab's clock.
    pub clock: Clock,
    /// Where luck comes from.
    pub seed: Seed,
    /// The door.
    pub door: Name,
}

/// The flows of one balancer. Clones are the same relay.
#[derive(Clone)]
pub struct Relay {
    inner: Arc<Inner>,
}

struct Inner {
    tasks: Tasks,
    means: Arc<Means>,
    shape: Box<dyn Fn(&Origin) -> Shape + Send + Sync>,
    flows: Mutex<BTreeMap<FlowId, (Origin, Arc<Control>)>>,
    /// Not bounded by itself: a flow sends one event, and the balancer bounds the flows.
    events: mpsc::UnboundedSender<Event>,
}

/// What a flow is told while it runs.
#[derive(Debug)]
struct Control {
    flow: FlowId,
    means: Arc<Means>,
    order: Mutex<Order>,
    /// Counts the orders, so that a direction sees without a lock that its own are old.
    epoch: AtomicU32,
    /// There are other orders; only the flow itself waits.
    changed: Notify,
}

/// The orders of a flow.
#[derive(Clone, Copy, Debug)]
struct Order {
    shape: Shape,
    /// It is to end so; the first word counts.
    end: Option<(Ended, Cut)>,
    epoch: u32,
}

impl Relay {
    /// Makes a relay whose flows are tasks of this group, and the receiver of its events. `shape`
    /// says what the faults in force do to a flow; it is asked anew by [`Relay::reshape`].
    pub fn new(
        tasks: &Tasks,
        means: Means,
        shape: impl Fn(&Origin) -> Shape + Send + Sync + 'static,
    ) -> (Self, mpsc::UnboundedReceiver<Event>) {
        let (events, receiver) = mpsc::unbounded_channel();
        let inner = Inner {
            tasks: tasks.clone(),
            means: Arc::new(means),
            shape: Box::new(shape),
            flows: Mutex::default(),
            events,
        };
        let inner = Arc::new(inner);
        (Self { inner }, receiver)
    }

    /// Joins two connections until both have finished, one breaks, or it is told to close.
    pub fn adopt(&self, flow: FlowId, origin: Origin, client: TcpStream, backend: TcpStream) {
        let control = {
            // Asked under the lock, so that a change of the faults finds either none or both.
            let mut flows = self.flows();
            let shape = (self.inner.shape)(&origin);
            let control = Arc::new(Control::new(flow, Arc::clone(&self.inner.means), shape));
            flows.insert(flow, (origin, Arc::clone(&control)));
            control
        };
        let relay = self.clone();
        // Boxed, because each layer around a future keeps room for it twice: 1 KiB would become 4.
        let run = Box::pin(async move { pump::run(client, backend, &control).await });
        self.inner.tasks.spawn(async move {
            let (up, down, how) = run.await;
            relay.flows().remove(&flow);
            // Nobody listens any more only when the whole lab ends.
            let _ = relay.inner.events.send(Event {
                flow,
                up,
                down,
                how,
            });
        });
    }

    /// Closes both connections of a flow with FIN or RST, and says that it ended so.
    pub fn close(&self, flow: FlowId, how: Ended, cut: Cut) {
        if let Some((_, control)) = self.flows().get(&flow) {
            control.end(how, cut);
        }
    }

    /// Closes all flows as [`Relay::close`] does.
    pub fn close_all(&self, how: Ended, cut: Cut) {
        for (_, control) in self.flows().values() {
            control.end(how, cut);
        }
    }

    /// Asks again what the faults in force do to each flow.
    pub fn reshape(&self) {
        let flows = self.flows();
        for (origin, control) in flows.values() {
            control.shape((self.inner.shape)(origin));
        }
    }

    fn flows(&self) -> MutexGuard<'_, BTreeMap<FlowId, (Origin, Arc<Control>)>> {
        self.inner.flows.lock().expect("a map does not panic")
    }
}

impl Control {
    fn new(flow: FlowId, means: Arc<Means>, shape: Shape) -> Self {
        let order = Order {
            shape,
            end: shape.reset.then_some((Ended::Cut, Cut::Reset)),
            epoch: 0,
        };
        Self {
            flow,
            means,
            order: Mutex::new(order),
            epoch: AtomicU32::new(0),
            changed: Notify::new(),
        }
    }

    fn order(&self) -> Order {
        *self.lock()
    }

    fn end(&self, how: Ended, cut: Cut) {
        let mut order = self.lock();
        order.end.get_or_insert((how, cut));
        self.renew(order);
    }

    /// Tells whether these are still the orders.
    fn holds(&self, order: &Order) -> bool {
        self.epoch.load(Ordering::Acquire) == order.epoch
    }

    fn renew(&self, mut order: MutexGuard<'_, Order>) {
        order.epoch = order.epoch.wrapping_add(1);
        self.epoch.store(order.epoch, Ordering::Release);
        drop(order);
        self.changed.notify_one();
    }

    fn shape(&self, shape: Shape) {
        let mut order = self.lock();
        if shape.reset {
            // Also when the fault is lifted before the flow has looked.
            order.end.get_or_insert((Ended::Cut, Cut::Reset));
        } else if order.shape == shape {
            return;
        }
        order.shape = shape;
        self.renew(order);
    }

    /// Draws how much longer a piece takes.
    fn jitter(&self, most: Span, number: u64) -> Span {
        if most == Span::ZERO {
            return most;
        }
        let Means { seed, door, .. } = &*self.means;
        let entity = format!("balancer/{door} {}", self.flow);
        seed.span(&entity, "jitter", number, Span::ZERO, most)
    }

    fn lock(&self) -> MutexGuard<'_, Order> {
        self.order.lock().expect("orders are only read and set")
    }
}
