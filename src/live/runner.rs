//! Runs one machine: lock, handle, stamp the facts, unlock, and only then act.
//!
//! Whoever feeds an input gets the outputs that answer it. The others are acted upon by one actor,
//! in the order in which the machine gave them, also when several tasks feed it at once: a cut that
//! was asked for before a start is done before it. A tap sees each call, which is how a run is
//! recorded.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use tokio::sync::Notify;

use super::clock::Clock;
use super::faults::InForce;
use super::ports::Ports;
use crate::journal::Journal;
use crate::model::fact::Kind;
use crate::model::id::Node;
use crate::model::time::Time;
use crate::model::topology::Topology;
use crate::policy::{AnyInput, Context, Machine, Outbox};

/// What a runner shares with all others of a lab.
#[derive(Clone)]
pub struct Shared {
    /// The configuration.
    pub topology: Arc<Topology>,
    /// The clock.
    pub clock: Clock,
    /// Where facts go.
    pub journal: Journal,
    /// What is wrong on purpose.
    pub faults: InForce,
    /// Which listeners are not where the scenario says.
    pub ports: Ports,
    /// Who sees each call.
    pub tap: Option<Arc<dyn Tap>>,
}

/// One call of a machine and what it brought about.
pub struct Call<'a> {
    /// The machine.
    pub node: &'a Node,
    /// The instant.
    pub now: Time,
    /// The input; `None` for a wake.
    pub input: Option<AnyInput>,
    /// The outputs, as they are shown for debugging.
    pub outputs: Vec<String>,
    /// The facts.
    pub facts: &'a [Kind],
}

/// Sees each call of each machine, in order for each machine.
pub trait Tap: Send + Sync {
    /// Takes one call; must not block.
    fn call(&self, call: Call<'_>);
}

/// One machine at work. Clones are the same machine.
pub struct Runner<M: Machine> {
    inner: Arc<Inner<M>>,
}

struct Inner<M: Machine> {
    machine: Mutex<M>,
    node: Node,
    shared: Shared,
    changed: Notify,
    actor: OnceLock<Box<dyn Fn(M::Output) + Send + Sync>>,
    orders: Mutex<Orders<M::Output>>,
}

/// What is still to be acted upon. One call's outputs are few, and whoever adds to them acts.
struct Orders<O> {
    waiting: VecDeque<O>,
    /// Whether somebody is acting; then he takes what is added too.
    acting: bool,
}

impl<M> Runner<M>
where
    M: Machine,
    M::Input: Clone + Into<AnyInput>,
    M::Output: fmt::Debug,
{
    /// Puts a machine to work.
    pub fn new(machine: M, shared: Shared) -> Self {
        let node = machine.node();
        let orders = Orders {
            waiting: VecDeque::new(),
            acting: false,
        };
        Self {
            inner: Arc::new(Inner {
                machine: Mutex::new(machine),
                node,
                shared,
                changed: Notify::new(),
                actor: OnceLock::new(),
                orders: Mutex::new(orders),
            }),
        }
    }

    /// Says who acts upon the outputs that are no answers; said once, before the first input.
    pub fn act_by(&self, actor: impl Fn(M::Output) + Send + Sync + 'static) {
        let first = self.inner.actor.set(Box::new(actor)).is_ok();
        assert!(first, "a machine has one actor");
    }

    /// Says, as [`Self::act_by`] does, that the runner's own owner acts, without keeping it alive.
    pub fn act_through<T: Send + Sync + 'static>(
        &self,
        owner: &Arc<T>,
        act: impl Fn(Arc<T>, M::Output) + Send + Sync + 'static,
    ) {
        let owner = Arc::downgrade(owner);
        self.act_by(move |output| {
            if let Some(owner) = owner.upgrade() {
                act(owner, output);
            }
        });
    }

    /// Gives the node that the machine is.
    pub fn node(&self) -> &Node {
        &self.inner.node
    }

    /// Gives what this runner shares with the others.
    pub fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    /// Feeds an input and gives the outputs that answer it.
    pub fn feed(&self, input: M::Input) -> Vec<M::Output> {
        let recorded = self.inner.shared.tap.as_ref().map(|_| input.clone().into());
        let outputs = self.call(recorded, |machine, cx, out| machine.handle(cx, input, out));
        self.inner.changed.notify_one();
        self.obey();
        outputs
    }

    /// Adds a measured fact in the name of this node.
    pub fn measured(&self, kind: Kind) {
        let shared = &self.inner.shared;
        shared
            .journal
            .add(shared.clock.now(), &self.inner.node, [kind]);
    }

    /// Wakes the machine at each of its deadlines, for ever; outputs that would answer somebody go to
    /// `act`. While the node is paused no deadline is kept; on resume those overdue are.
    pub async fn drive(&self, mut act: impl FnMut(M::Output) + Send) {
        let mut faults = self.inner.shared.faults.watch();
        loop {
            let running = faults.wait_for(|faults| !faults.is_paused(&self.inner.node));
            if running.await.is_err() {
                return;
            }
            let deadline = self.lock().deadline();
            let changed = self.inner.changed.notified();
            let Some((at, _why)) = deadline else {
                changed.await;
                continue;
            };
            tokio::select! {
                // A pause comes before what is due.
                biased;
                _ = faults.changed() => continue,
                () = changed => continue,
                () = self.inner.shared.clock.sleep_until(at) => {}
            }
            // A deadline is shown with microseconds, a timer may fire a little early.
            if self.inner.shared.clock.now() < at {
                continue;
            }
            let answers = self.call(None, |machine, cx, out| machine.wake(cx, out));
            self.obey();
            answers.into_iter().for_each(&mut act);
        }
    }

    /// Acts upon what waits, unless somebody already does.
    fn obey(&self) {
        let Some(actor) = self.inner.actor.get() else {
            return;
        };
        if std::mem::replace(&mut self.orders().acting, true) {
            return;
        }
        loop {
            let mut orders = self.orders();
            let Some(output) = orders.waiting.pop_front() else {
                orders.acting = false;
                return;
            };
            drop(orders);
            actor(output);
        }
    }

    fn orders(&self) -> MutexGuard<'_, Orders<M::Output>> {
        self.inner
            .orders
            .lock()
            .expect("orders are only put in and taken out")
    }

    fn call(
        &self,
        input: Option<AnyInput>,
        run: impl FnOnce(&mut M, &Context<'_>, &mut Outbox<M::Output>),
    ) -> Vec<M::Output> {
        let shared = &self.inner.shared;
        let mut out = Outbox::default();
        let mut machine = self.lock();
        let now = shared.clock.now();
        run(
            &mut machine,
            &Context {
                now,
                topology: &shared.topology,
            },
            &mut out,
        );
        if let Some(tap) = &shared.tap {
            let outputs = out
                .outputs
                .iter()
                .map(|output| format!("{output:?}"))
                .collect();
            tap.call(Call {
                node: &self.inner.node,
                now,
                input,
                outputs,
                facts: &out.facts,
            });
        }
        // Under the machine's lock, so that facts and orders keep the machine's order.
        shared.journal.add(now, &self.inner.node, out.facts);
        let (answers, orders): (Vec<_>, Vec<_>) = out.outputs.into_iter().partition(M::is_answer);
        self.orders().waiting.extend(orders);
        drop(machine);
        answers
    }

    fn lock(&self) -> MutexGuard<'_, M> {
        self.inner.machine.lock().expect("a machine does not panic")
    }
}

impl<M: Machine> Clone for Runner<M> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

#[cfg(test)]
mod tests;
