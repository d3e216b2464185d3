//! Names that no zone of a view holds: asked of the view's other servers, and kept.
//!
//! Each view has a cache of its own, so what one network is told never reaches another. The cache is
//! the machine of `policy/resolver`, which counts TTLs down, keeps negative answers (RFC 2308) and
//! asks once for all who wait; here are the sockets. hickory-resolver is not used: it has a cache of
//! its own, and changes what it passes on (aliases of missing names, SRV, localhost).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::runtime::Handle;

use super::carry::Answerer;
use super::worker::From;
use super::writer::{Head, limit, write_resolved};
use crate::live::clock::Clock;
use crate::live::forward;
use crate::live::tasks::Tasks;
use crate::model::addr::ClientAddr;
use crate::model::fact::Act;
use crate::model::id::Name;
use crate::model::topology::{Forward, Topology};
use crate::policy::answer::Edns;
use crate::policy::resolver::{Input, Output, Reply, Resolver};
use crate::policy::{Context, Machine as _, Outbox, name};

/// The forwarders of all views that have one, made when they are first needed.
pub(super) struct Forwarders {
    views: Mutex<BTreeMap<Name, Arc<Forwarder>>>,
    topology: Topology,
    runtime: Handle,
    tasks: Tasks,
}

/// One view's.
struct Forwarder {
    machine: Mutex<Resolver>,
    servers: Vec<SocketAddr>,
    topology: Topology,
    clock: Clock,
    /// Who waits; as many as the machine lets wait.
    waiting: Mutex<BTreeMap<u64, Waiting>>,
    asks: AtomicU64,
    runtime: Handle,
    tasks: Tasks,
}

/// A question that waits for its answer.
pub(super) struct Waiting {
    pub(super) head: Head,
    /// Name, type and class as they came.
    pub(super) question: Vec<u8>,
    pub(super) edns: Option<Edns>,
    pub(super) from: From,
    pub(super) answerer: Answerer,
}

impl Forwarders {
    /// Makes those of a server; it needs the runtime in which it is called.
    pub(super) fn new(topology: &Topology, runtime: &Handle, tasks: &Tasks) -> Self {
        Self {
            views: Mutex::default(),
            topology: topology.clone(),
            runtime: runtime.clone(),
            tasks: tasks.clone(),
        }
    }

    /// Asks the servers of the rules in force for a view's client. When they are others than before,
    /// what the old ones said is forgotten.
    pub(super) fn ask(&self, view: &Name, forward: &Forward, waiting: Waiting) {
        let mut views = self.views.lock().expect("views are only looked up and set");
        let known = views
            .get(view)
            .filter(|known| known.servers == forward.servers);
        let forwarder = known.map(Arc::clone).unwrap_or_else(|| {
            let around = (&self.runtime, &self.tasks);
            let new = Arc::new(Forwarder::new(view, forward, &self.topology, around));
            views.insert(view.clone(), Arc::clone(&new));
            new
        });
        drop(views);
        forwarder.ask(waiting);
    }
}

impl Forwarder {
    fn new(
        view: &Name,
        forward: &Forward,
        topology: &Topology,
        (runtime, tasks): (&Handle, &Tasks),
    ) -> Self {
        let forwarder = Self {
            machine: Mutex::new(Resolver::new(view)),
            servers: forward.servers.clone(),
            topology: topology.clone(),
            clock: Clock::start(),
            waiting: Mutex::default(),
            asks: AtomicU64::new(0),
            runtime: runtime.clone(),
            tasks: tasks.clone(),
        };
        drop(forwarder.feed(Input::Operate(Act::Start)));
        forwarder
    }

    fn ask(self: &Arc<Self>, waiting: Waiting) {
        let ask = self.asks.fetch_add(1, Ordering::Relaxed);
        let (wire, kind) = waiting
            .question
            .split_at(waiting.question.len().saturating_sub(4));
        let name = name::Name::from_wire(wire).unwrap_or(name::Name::ROOT);
        let kind = kind
            .first_chunk()
            .map_or(0, |kind| u16::from_be_bytes(*kind));
        let input = Input::Asked {
            ask,
            client: ClientAddr(waiting.from.client),
            name: name.to_hickory(),
            record_type: kind.into(),
        };
        self.waiting().insert(ask, waiting);
        self.act(self.feed(input));
    }

    /// Feeds the machine; its facts are of a `resolver:` of a scenario, which this is not.
    fn feed(&self, input: Input) -> Vec<Output> {
        let mut out = Outbox::default();
        let cx = Context {
            now: self.clock.now(),
            topology: &self.topology,
        };
        let mut machine = self.machine.lock().expect("a machine does not panic");
        machine.handle(&cx, input, &mut out);
        out.outputs
    }

    fn act(self: &Arc<Self>, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Close | Output::Listen => {}
                Output::Forward {
                    forward,
                    name,
                    record_type,
                } => {
                    let own = Arc::clone(self);
                    let _entered = self.runtime.enter();
                    self.tasks.spawn(async move {
                        let input = match forward::any(&own.servers, &name, record_type).await {
                            Ok(reply) => Input::Answered { forward, reply },
                            Err(error) => {
                                tracing::debug!(%error, %name, "no server answered");
                                Input::Failed { forward }
                            }
                        };
                        let outputs = own.feed(input);
                        own.act(outputs);
                    });
                }
                Output::Reply { ask, reply } => {
                    let waiting = self.waiting().remove(&ask);
                    if let Some(waiting) = waiting {
                        waiting.answer(&reply);
                    }
                }
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<u64, Waiting>> {
        let waiting = self.waiting.lock();
        waiting.expect("askers are only put in and taken out")
    }
}

impl Waiting {
    /// Sends the answer.
    pub(super) fn answer(self, reply: &Reply) {
        let limit = limit(self.from.transport, self.edns.as_ref());
        let mut message = Vec::new();
        let edns = self.edns.as_ref();
        write_resolved(
            &mut message,
            (self.head, &self.question, edns),
            reply,
            limit,
        );
        self.answerer.send(&message);
    }
}
