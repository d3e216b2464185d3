//! Moves the bytes of flows, and knows nothing else of them.
//!
//! In go two owned sockets per flow; out comes one [`Event`] per flow, with its counts. An end of
//! data is passed on in its direction alone, so either side may finish first; a reset is passed on
//! as a reset. A flow at rest holds no buffer.

mod pump;

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::{mpsc, oneshot};

use super::tasks::Tasks;
use crate::model::fact::Ended;
use crate::model::id::FlowId;

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

/// The flows of one balancer. Clones are the same relay.
#[derive(Clone, Debug)]
pub struct Relay {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    tasks: Tasks,
    /// Ended by a message, or by the drop of the sender.
    flows: Mutex<BTreeMap<FlowId, oneshot::Sender<Ended>>>,
    /// Not bounded by itself: a flow sends one event, and the balancer bounds the flows.
    events: mpsc::UnboundedSender<Event>,
}

impl Relay {
    /// Makes a relay whose flows are tasks of this group, and the receiver of its events.
    pub fn new(tasks: &Tasks) -> (Self, mpsc::UnboundedReceiver<Event>) {
        let (events, receiver) = mpsc::unbounded_channel();
        let inner = Inner {
            tasks: tasks.clone(),
            flows: Mutex::default(),
            events,
        };
        let inner = Arc::new(inner);
        (Self { inner }, receiver)
    }

    /// Joins two connections until both have finished, one breaks, or it is told to close.
    pub fn adopt(&self, flow: FlowId, client: TcpStream, backend: TcpStream) {
        let (close, closed) = oneshot::channel();
        self.flows().insert(flow, close);
        let relay = self.clone();
        // Boxed, because each layer around a future keeps room for it twice: 1 KiB would become 4.
        let run = Box::pin(pump::run(client, backend, closed));
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

    /// Closes both connections of a flow with FIN, and says that it ended so.
    pub fn close(&self, flow: FlowId, how: Ended) {
        if let Some(close) = self.flows().remove(&flow) {
            let _ = close.send(how);
        }
    }

    /// Closes all flows as [`Relay::close`] does.
    pub fn close_all(&self, how: Ended) {
        for (_, close) in std::mem::take(&mut *self.flows()) {
            let _ = close.send(how);
        }
    }

    fn flows(&self) -> MutexGuard<'_, BTreeMap<FlowId, oneshot::Sender<Ended>>> {
        self.inner.flows.lock().expect("a map does not panic")
    }
}
