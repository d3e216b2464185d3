//! Names that no zone of a view holds: asked of the view's other servers, and kept.
//!
//! Each view has a cache of its own, so what one network is told never reaches another. The cache is
//! the machine of `policy/resolver`, which counts TTLs down, keeps negative answers (RFC 2308) and
//! asks once for all who wait; here are the sockets. hickory-resolver is not used: it has a cache of
//! its own, and changes what it passes on (aliases of missing names, SRV, localhost).

mod counts;
mod pending;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::runtime::Handle;

use self::counts::ForwardCounts;
use self::pending::{Ledger, Outcome, Pending};
use super::carry::Answerer;
use super::querylog::QueryLog;
use super::worker::{From, Read};
use crate::live::clock::Clock;
use crate::live::forward::race::{Heard, Others};
use crate::live::tasks::Tasks;
use crate::model::addr::ClientAddr;
use crate::model::fact::{Act, Kind};
use crate::model::id::Name;
use crate::model::topology::{Forward, Topology};
use crate::policy::answer::Rules;
use crate::policy::resolver::{Input, Output, QUESTION_MAX, Resolver};
use crate::policy::{Context, Machine as _, Outbox, name};

/// The forwarders of all views that have one, made when they are first needed.
pub(super) struct Forwarders {
    views: Mutex<BTreeMap<Name, Arc<Forwarder>>>,
    topology: Topology,
    ledger: Arc<Ledger>,
    runtime: Handle,
    tasks: Tasks,
}

/// One view's.
struct Forwarder {
    machine: Mutex<Resolver>,
    servers: Vec<SocketAddr>,
    others: Others,
    topology: Topology,
    ledger: Arc<Ledger>,
    /// Who waits; as many as the machine lets wait.
    waiting: Mutex<BTreeMap<u64, (Pending, Answerer)>>,
    asks: AtomicU64,
    runtime: Handle,
    tasks: Tasks,
}

/// A question that is to be passed on.
pub(super) struct Asked<'a> {
    pub(super) view: &'a Name,
    pub(super) read: &'a Read<'a>,
    pub(super) from: From,
    pub(super) rules: &'a Arc<Rules>,
    /// Where the answer goes; `None` when too many wait already.
    pub(super) answerer: Option<Answerer>,
}

impl Forwarders {
    /// Makes those of a server; it needs the runtime in which it is called.
    pub(super) fn new(
        topology: &Topology,
        log: Option<&Arc<QueryLog>>,
        (runtime, tasks): (&Handle, &Tasks),
    ) -> Self {
        Self {
            views: Mutex::default(),
            topology: topology.clone(),
            ledger: Arc::new(Ledger {
                clock: Clock::start(),
                counts: ForwardCounts::default(),
                log: log.map(Arc::clone),
            }),
            runtime: runtime.clone(),
            tasks: tasks.clone(),
        }
    }

    /// Asks the servers of the rules in force for a view's client. When they are others than before,
    /// what the old ones said is forgotten. Gives whether it is asked; otherwise the answer, a
    /// failure, is written into `out`.
    pub(super) fn ask(&self, asked: Asked<'_>, out: &mut Vec<u8>) -> bool {
        let Asked {
            view,
            read,
            from,
            rules,
            answerer,
        } = asked;
        let pending = Pending::new(view, read, from, rules, &self.ledger);
        let mut of_rules = rules.views.iter().filter(|other| other.name == *view);
        let forward = of_rules.find_map(|view| view.forward.as_ref());
        let (Some(answerer), Some(forward)) = (answerer, forward) else {
            pending.write_full(out, &self.ledger);
            return false;
        };
        self.forwarder(view, forward).ask(pending, answerer);
        true
    }

    fn forwarder(&self, view: &Name, forward: &Forward) -> Arc<Forwarder> {
        let mut views = self.views.lock().expect("views are only looked up and set");
        let known = views
            .get(view)
            .filter(|known| known.servers == forward.servers);
        known.map(Arc::clone).unwrap_or_else(|| {
            let new = Arc::new(Forwarder::new(view, forward, self));
            views.insert(view.clone(), Arc::clone(&new));
            new
        })
    }

    /// Takes what was counted, as facts.
    pub(super) fn take(&self) -> Vec<Kind> {
        self.ledger.counts.take()
    }
}

impl Forwarder {
    fn new(view: &Name, forward: &Forward, around: &Forwarders) -> Self {
        let ledger = &around.ledger;
        let forwarder = Self {
            machine: Mutex::new(Resolver::new(view).keeping_failures()),
            servers: forward.servers.clone(),
            others: Others::new(&forward.servers, ledger.clock),
            topology: around.topology.clone(),
            ledger: Arc::clone(ledger),
            waiting: Mutex::default(),
            asks: AtomicU64::new(0),
            runtime: around.runtime.clone(),
            tasks: around.tasks.clone(),
        };
        drop(forwarder.feed(Input::Operate(Act::Start)));
        forwarder
    }

    fn ask(self: &Arc<Self>, pending: Pending, answerer: Answerer) {
        let ask = self.asks.fetch_add(1, Ordering::Relaxed);
        let (wire, kind) = pending
            .question
            .split_at(pending.question.len().saturating_sub(4));
        let name = name::Name::from_wire(wire).unwrap_or(name::Name::ROOT);
        let kind = kind
            .first_chunk()
            .map_or(0, |kind| u16::from_be_bytes(*kind));
        let input = Input::Asked {
            ask,
            client: ClientAddr(pending.from.client),
            name: name.to_hickory(),
            record_type: kind.into(),
        };
        self.waiting().insert(ask, (pending, answerer));
        let outputs = self.feed(input);
        self.act(outputs, None);
    }

    /// Feeds the machine; its facts are of a `resolver:` of a scenario, which this is not.
    fn feed(&self, input: Input) -> Vec<Output> {
        let mut out = Outbox::default();
        // Inside the lock, so that the machine's time never goes back.
        let mut machine = self.machine.lock().expect("a machine does not panic");
        let cx = Context {
            now: self.ledger.clock.now(),
            topology: &self.topology,
        };
        machine.handle(&cx, input, &mut out);
        out.outputs
    }

    /// Does what the machine wants after it was told of an answer, or of none.
    fn act(self: &Arc<Self>, outputs: Vec<Output>, from: Option<(Option<SocketAddr>, bool)>) {
        for output in outputs {
            match output {
                Output::Close | Output::Listen => {}
                Output::Forward {
                    forward,
                    name,
                    record_type,
                    since,
                } => {
                    let own = Arc::clone(self);
                    let _entered = self.runtime.enter();
                    self.tasks.spawn(async move {
                        let gone = own.ledger.clock.now().since(since);
                        let left = QUESTION_MAX - gone.min(QUESTION_MAX);
                        let heard = Box::pin(own.others.ask(&name, record_type, left)).await;
                        own.told(forward, heard);
                    });
                }
                Output::Reply { ask, reply, source } => {
                    let waiting = self.waiting().remove(&ask);
                    let Some((pending, answerer)) = waiting else {
                        continue;
                    };
                    let (server, timed_out) = from.unwrap_or_default();
                    let outcome = Outcome {
                        reply: &reply,
                        source,
                        server,
                        timed_out,
                    };
                    let mut message = Vec::new();
                    pending.write(&mut message, outcome, &self.ledger);
                    answerer.send(&message);
                }
            }
        }
    }

    /// Takes what the servers said.
    fn told(self: &Arc<Self>, forward: u64, heard: Heard) {
        let Heard {
            reply,
            server,
            timed_out,
        } = heard;
        let outputs = self.feed(Input::Answered { forward, reply });
        self.act(outputs, Some((server, timed_out)));
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<u64, (Pending, Answerer)>> {
        let waiting = self.waiting.lock();
        waiting.expect("askers are only put in and taken out")
    }
}
