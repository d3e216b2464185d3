//! A door: who is let in, which instance a flow goes to, which instances are up, and the
//! operator's acts.
//!
//! In go accepted clients, results of connects and checks, ends of flows and acts; out come what to
//! do with sockets, and facts. The configuration is `topology.balancers[index]` and the pool; only
//! state is kept here. Bytes never come here: a relay reports how a flow ended.

mod flow;
mod message;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::BTreeMap;

use self::flow::Flow;
pub use self::message::{Input, Output};
use self::watch::Watch;
use super::balance::{self, Seen, Turn};
use super::{Context, Machine, Outbox};
use crate::model::addr::{BackendAddr, ClientAddr, ListenAddr};
use crate::model::fact::{Act, Cut, Ended, Health, Kind, Refused};
use crate::model::id::{FlowId, Name, Node};
use crate::model::network::{self, Verdict};
use crate::model::time::Time;
use crate::model::topology;

/// How many flows one door keeps open, those still connecting included.
///
/// A flow costs the lab up to four descriptors (client, two here, instance) and one port of the
/// door's own address; two doors at this bound need 80,000 descriptors, and a third of the 28,232
/// ports that Linux gives. A lab whose full mesh is greater takes twice that.
pub const FLOWS_MAX: usize = 10_000;

/// What the operator wants of the balancer, as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Admin {
    Drained,
    Draining,
    Ready,
    Stopped,
}

/// The machine of one balancer.
#[derive(Debug)]
pub struct Balancer {
    index: usize,
    name: Name,
    /// `allow` as it was written, to be named when no element of it holds a client.
    allow: Name,
    admin: Admin,
    flows: BTreeMap<FlowId, Flow>,
    flows_made: u64,
    turn: Turn,
    watch: Watch,
    /// Flows that are at each instance or on their way, by its index in the pool.
    open: Vec<u32>,
}

impl Balancer {
    /// Makes the machine of `topology.balancers[index]`, working from the start: the first wake
    /// checks every instance at once.
    ///
    /// # Panics
    /// When there is no such balancer.
    pub fn new(topology: &topology::Topology, index: usize) -> Self {
        let proxies = topology.pool.proxies.len();
        let config = &topology.balancers[index];
        let allow: Vec<&str> = config.allow.iter().map(|element| &*element.text).collect();
        Self {
            index,
            name: config.name.clone(),
            allow: format!("[{}]", allow.join(", ")).into(),
            admin: Admin::Ready,
            flows: BTreeMap::new(),
            flows_made: 0,
            turn: Turn::default(),
            watch: Watch::new(proxies),
            open: vec![0; proxies],
        }
    }

    /// Gives this door's opinion of an instance.
    pub fn health(&self, proxy: usize) -> Option<Health> {
        self.watch.health(proxy)
    }

    fn accepted(
        &mut self,
        cx: &Context<'_>,
        client: ClientAddr,
        listener: ListenAddr,
        out: &mut Outbox<Output>,
    ) {
        let found = cx.topology.network_of(client.ip());
        let network = found.map(|network| network.name.clone());
        if let Err(why) = self.admit(cx, client) {
            out.fact(Kind::ClientRefused {
                client,
                network,
                listener,
                why,
            });
            return out.push(Output::Refuse { client });
        }
        self.flows_made += 1;
        let id = FlowId(self.flows_made);
        out.fact(Kind::FlowOpened {
            flow: id,
            client,
            network,
            listener,
        });
        self.place(cx, (id, listener), Vec::new(), out);
    }

    /// Decides whether a client is let in; the error is what turned it away.
    fn admit(&self, cx: &Context<'_>, client: ClientAddr) -> Result<(), Refused> {
        let allow = &cx.topology.balancers[self.index].allow;
        if !allow.is_empty() {
            match network::judge(allow, client.ip()) {
                Verdict::Allowed(_) => {}
                Verdict::Denied(index) => return Err(Refused::Denied(allow[index].text.clone())),
                Verdict::Unmatched => return Err(Refused::NotAllowed(self.allow.clone())),
            }
        }
        // A client may have been accepted just before the listener was closed.
        match self.admin {
            Admin::Ready if self.flows.len() < FLOWS_MAX.max(2 * cx.topology.mesh_size()) => Ok(()),
            Admin::Ready => Err(Refused::Full),
            Admin::Drained | Admin::Draining => Err(Refused::Draining),
            Admin::Stopped => Err(Refused::Stopped),
        }
    }

    /// Asks for a connect to the next candidate; without one the flow ends.
    ///
    /// The door's own port chooses the instances' listener; an instance without it fails at once.
    fn place(
        &mut self,
        cx: &Context<'_>,
        (id, listener): (FlowId, ListenAddr),
        mut tried: Vec<usize>,
        out: &mut Outbox<Output>,
    ) {
        let config = &cx.topology.balancers[self.index];
        let attempts = u32::try_from(tried.len()).unwrap_or(u32::MAX);
        let choice = if attempts > config.retries {
            None
        } else {
            let see = |index: usize| Seen {
                usable: self.watch.is_usable(index),
                open: self.open[index],
            };
            let count = self.open.len();
            balance::next(config.algorithm, count, see, &tried, &mut self.turn)
        };
        let Some(choice) = choice else {
            out.fact(Kind::NoBackend {
                flow: id,
                tried: attempts,
            });
            out.push(Output::Close { flow: id });
            return self.ended(cx, id, (0, 0), Ended::BackendError, out);
        };
        let backend = match behind(cx, choice.backend, listener) {
            Ok(backend) => backend,
            Err(error) => {
                tried.push(choice.backend);
                out.fact(Kind::ConnectFailed {
                    flow: id,
                    proxy: proxy_name(cx, choice.backend),
                    error,
                });
                // Each round tries one more, so this ends.
                return self.place(cx, (id, listener), tried, out);
            }
        };
        self.open[choice.backend] += 1;
        tried.push(choice.backend);
        let flow = Flow::connecting(choice, listener, tried);
        self.flows.insert(id, flow);
        out.push(Output::Connect {
            flow: id,
            proxy: number(choice.backend),
            backend,
            attempt: attempts + 1,
        });
    }

    fn connected(
        &mut self,
        cx: &Context<'_>,
        id: FlowId,
        from: Option<ClientAddr>,
        out: &mut Outbox<Output>,
    ) {
        // A flow that is not known any more was cut while it connected.
        let Some((flow, tried)) = self.flows.get_mut(&id).and_then(Flow::connect) else {
            return out.push(Output::Close { flow: id });
        };
        out.fact(Kind::FlowConnected {
            flow: id,
            proxy: proxy_name(cx, flow.proxy),
            from,
            attempt: number(tried),
            why: flow.why,
        });
        out.push(Output::Relay { flow: id });
    }

    fn connect_failed(
        &mut self,
        cx: &Context<'_>,
        id: FlowId,
        error: String,
        out: &mut Outbox<Output>,
    ) {
        if !self.flows.get(&id).is_some_and(Flow::is_connecting) {
            return out.push(Output::Close { flow: id });
        }
        let Some(flow) = self.flows.remove(&id) else {
            return;
        };
        self.left(flow.proxy);
        out.fact(Kind::ConnectFailed {
            flow: id,
            proxy: proxy_name(cx, flow.proxy),
            error,
        });
        self.place(cx, (id, flow.listener), flow.into_tried(), out);
    }

    /// Takes a flow from an instance's count.
    fn left(&mut self, proxy: usize) {
        self.open[proxy] = self.open[proxy].saturating_sub(1);
    }

    /// Ends a flow, known or not yet placed.
    fn ended(
        &mut self,
        cx: &Context<'_>,
        id: FlowId,
        (up, down): (u64, u64),
        how: Ended,
        out: &mut Outbox<Output>,
    ) {
        let flow = self.flows.remove(&id);
        if let Some(flow) = &flow {
            self.left(flow.proxy);
        }
        // The snapshot counts an instance's flows from `FlowConnected`, so name it only then.
        let proxy = flow
            .filter(|flow| !flow.is_connecting())
            .map(|flow| proxy_name(cx, flow.proxy));
        out.fact(Kind::FlowClosed {
            flow: id,
            proxy,
            up,
            down,
            how,
        });
        self.settle(out);
    }

    /// An act that changes nothing is no fact.
    fn operated(&mut self, cx: &Context<'_>, act: Act, out: &mut Outbox<Output>) {
        match (act, self.admin) {
            (Act::Drain, Admin::Ready) => {
                self.admin = Admin::Draining;
                out.fact(Kind::Operated { act });
                out.push(Output::Unlisten);
                self.settle(out);
            }
            (Act::Start, Admin::Draining | Admin::Drained | Admin::Stopped) => {
                if self.admin == Admin::Stopped {
                    self.watch.start(cx.now);
                }
                self.admin = Admin::Ready;
                out.fact(Kind::Operated { act });
                out.push(Output::Listen);
            }
            (Act::Kill | Act::Stop, Admin::Draining | Admin::Drained | Admin::Ready) => {
                self.admin = Admin::Stopped;
                out.fact(Kind::Operated { act });
                out.push(Output::Unlisten);
                let how = match act {
                    Act::Kill => Cut::Reset,
                    Act::Drain | Act::Start | Act::Stop => Cut::Finish,
                };
                self.stop(cx, how, out);
            }
            (Act::Drain, Admin::Draining | Admin::Drained | Admin::Stopped)
            | (Act::Start, Admin::Ready)
            | (Act::Kill | Act::Stop, Admin::Stopped) => {}
        }
    }

    fn stop(&mut self, cx: &Context<'_>, how: Cut, out: &mut Outbox<Output>) {
        out.push(Output::CutAll { how });
        // Flows that are open end when the relay reports their bytes; the others end now.
        let waiting = self.flows.iter().filter(|(_, flow)| flow.is_connecting());
        let waiting: Vec<FlowId> = waiting.map(|(id, _)| *id).collect();
        for id in waiting {
            self.ended(cx, id, (0, 0), Ended::Cut, out);
        }
        self.watch.stop(cx, out);
    }

    /// Says that draining is over when it is.
    fn settle(&mut self, out: &mut Outbox<Output>) {
        if self.admin == Admin::Draining && self.flows.is_empty() {
            self.admin = Admin::Drained;
            out.fact(Kind::Drained);
        }
    }
}

impl Machine for Balancer {
    type Input = Input;
    type Output = Output;

    fn node(&self) -> Node {
        Node::Balancer(self.name.clone())
    }

    fn handle(&mut self, cx: &Context<'_>, input: Input, out: &mut Outbox<Output>) {
        match input {
            Input::Accepted { client, listener } => self.accepted(cx, client, listener, out),
            Input::Checked {
                check,
                proxy,
                error,
            } => {
                let config = &cx.topology.balancers[self.index].check;
                let result = (check, proxy as usize, error.as_deref());
                self.watch.checked(cx, config, result, out);
            }
            Input::ConnectFailed { flow, error } => self.connect_failed(cx, flow, error, out),
            Input::Connected { flow, from } => self.connected(cx, flow, from, out),
            Input::FlowEnded {
                flow,
                up,
                down,
                how,
            } => {
                if self.flows.contains_key(&flow) {
                    self.ended(cx, flow, (up, down), how, out);
                }
            }
            Input::Operated { act } => self.operated(cx, act, out),
        }
    }

    /// Each output is about the one client, check or act that was fed.
    fn is_answer(_output: &Output) -> bool {
        true
    }

    fn deadline(&self) -> Option<(Time, &'static str)> {
        if self.admin == Admin::Stopped {
            return None;
        }
        Some((self.watch.next_check()?, "check"))
    }

    fn wake(&mut self, cx: &Context<'_>, out: &mut Outbox<Output>) {
        if self.admin == Admin::Stopped {
            return;
        }
        self.watch.wake(cx, &cx.topology.balancers[self.index], out);
    }
}

/// Gives the listener of an instance that a door's address leads to: the one with the same port, else
/// the web listener. The error is in words.
fn behind(cx: &Context<'_>, proxy: usize, listener: ListenAddr) -> Result<BackendAddr, String> {
    let pool = &cx.topology.pool;
    let port = pool.teleport.behind(listener.0.port());
    pool.proxies[proxy].at(port).ok_or_else(|| {
        format!(
            "the instance has no {port} listener ({}), to which {listener} leads",
            port.key()
        )
    })
}

fn proxy_name(cx: &Context<'_>, index: usize) -> Name {
    cx.topology.pool.proxies[index].name.clone()
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
