//! The decisions. Nothing here has a clock, a socket, a task or luck of its own.
//!
//! Two kinds of code live here, and every driver (live, simulated, proof, explain) calls the same.
//!
//! *Questions* are pure functions over borrowed state: they may be asked anywhere.
//!
//! *Machines* remember. A driver feeds an input and gets exactly its consequences in its own
//! [`Outbox`]: outputs to act upon, and facts. A machine that wants to be woken names the instant
//! and the reason in [`Machine::deadline`]; the driver calls [`Machine::wake`] then, not before.
//! `now` never goes back, collections are bounded, and what is iterated is ordered.

pub mod address;
pub mod agent;
pub mod alpn;
pub mod answer;
pub mod backoff;
pub mod balance;
pub mod balancer;
pub mod conductor;
pub mod cookie;
pub mod faults;
pub mod findings;
pub mod health;
pub mod lease;
pub mod machines;
pub mod name;
pub mod partition;
pub mod principals;
pub mod proxy;
pub mod proxy_protocol;
pub mod resolver;
pub mod route;
#[cfg(test)]
pub(crate) mod testing;
pub mod upstream;
pub mod user;
pub mod view;
pub mod zone;

use crate::model::fact::Kind;
use crate::model::id::Node;
use crate::model::time::Time;
use crate::model::topology::Topology;

/// What a machine is handed with every call.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The instant of this call.
    pub now: Time,
    /// The shared configuration; its `seed` is the source of every draw.
    pub topology: &'a Topology,
}

/// What one call of a machine brought about, in order.
#[derive(Debug)]
pub struct Outbox<O> {
    /// What the driver must do.
    pub outputs: Vec<O>,
    /// What happened.
    pub facts: Vec<Kind>,
}

impl<O> Default for Outbox<O> {
    fn default() -> Self {
        Self {
            outputs: Vec::new(),
            facts: Vec::new(),
        }
    }
}

impl<O> Outbox<O> {
    /// Adds something for the driver to do.
    pub fn push(&mut self, output: O) {
        self.outputs.push(output);
    }

    /// Adds something that happened.
    pub fn fact(&mut self, kind: Kind) {
        self.facts.push(kind);
    }
}

/// A part of the lab that remembers.
pub trait Machine {
    /// What it is told.
    type Input;
    /// What it asks for.
    type Output;

    /// Gives the node that it is.
    fn node(&self) -> Node;

    /// Takes an input and adds its consequences to `out`.
    fn handle(&mut self, cx: &Context<'_>, input: Self::Input, out: &mut Outbox<Self::Output>);

    /// Tells whether an output answers whoever fed the input; the others ask the driver to act, and
    /// are acted upon in the order in which the machine gave them, whoever fed it.
    fn is_answer(output: &Self::Output) -> bool;

    /// Gives the next instant at which it wants to be woken, and a word for why.
    fn deadline(&self) -> Option<(Time, &'static str)>;

    /// Does what the deadline was for; does nothing when called early.
    fn wake(&mut self, cx: &Context<'_>, out: &mut Outbox<Self::Output>);
}

/// The input of any machine, for those who keep or replay calls of several.
#[derive(Clone, Debug, PartialEq)]
pub enum AnyInput {
    /// Of an agent.
    Agent(agent::Input),
    /// Of a balancer.
    Balancer(balancer::Input),
    /// Of the conductor.
    Conductor(conductor::Input),
    /// Of a proxy.
    Proxy(proxy::Input),
    /// Of a resolver.
    Resolver(resolver::Input),
    /// Of a user.
    User(user::Input),
}

macro_rules! any_input {
    ($($variant:ident($machine:ident)),*) => {$(
        impl From<$machine::Input> for AnyInput {
            fn from(input: $machine::Input) -> Self {
                Self::$variant(input)
            }
        }
    )*};
}

any_input!(
    Agent(agent),
    Balancer(balancer),
    Conductor(conductor),
    Proxy(proxy),
    Resolver(resolver),
    User(user)
);
