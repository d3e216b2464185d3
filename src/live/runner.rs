//! Runs one machine: lock, handle, stamp the facts, unlock, and only then act.
//!
//! Whoever feeds an input gets exactly its outputs back; what a wake brings about goes to the
//! `act` of [`Runner::drive`]. A tap sees each call, which is how a run is recorded.

use std::fmt;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use super::clock::Clock;
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

struct Inner<M> {
    machine: Mutex<M>,
    node: Node,
    shared: Shared,
    changed: Notify,
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
        let machine = Mutex::new(machine);
        Self {
            inner: Arc::new(Inner {
                machine,
                node,
                shared,
                changed: Notify::new(),
            }),
        }
    }

    /// Gives the node that the machine is.
    pub fn node(&self) -> &Node {
        &self.inner.node
    }

    /// Gives what this runner shares with the others.
    pub fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    /// Feeds an input and gives its outputs, for the caller to act upon.
    pub fn feed(&self, input: M::Input) -> Vec<M::Output> {
        let recorded = self.inner.shared.tap.as_ref().map(|_| input.clone().into());
        let outputs = self.call(recorded, |machine, cx, out| machine.handle(cx, input, out));
        self.inner.changed.notify_one();
        outputs
    }

    /// Adds a measured fact in the name of this node.
    pub fn measured(&self, kind: Kind) {
        let shared = &self.inner.shared;
        shared
            .journal
            .add(shared.clock.now(), &self.inner.node, [kind]);
    }

    /// Wakes the machine at each of its deadlines, for ever, and hands the outputs to `act`.
    pub async fn drive(&self, mut act: impl FnMut(M::Output) + Send) {
        loop {
            let deadline = self.lock().deadline();
            let changed = self.inner.changed.notified();
            let Some((at, _why)) = deadline else {
                changed.await;
                continue;
            };
            tokio::select! {
                () = changed => continue,
                () = self.inner.shared.clock.sleep_until(at) => {}
            }
            // A deadline is shown with microseconds, a timer may fire a little early.
            if self.inner.shared.clock.now() < at {
                continue;
            }
            for output in self.call(None, |machine, cx, out| machine.wake(cx, out)) {
                act(output);
            }
        }
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
        // Under the machine's lock, so that the journal has this node's facts in their order.
        shared.journal.add(now, &self.inner.node, out.facts);
        drop(machine);
        out.outputs
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, M> {
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
