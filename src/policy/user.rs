//! A user: visits their apps in turn, once each period, through the door that DNS names.
//!
//! In go what the driver saw of a visit; out comes the next visit. A visit that takes longer than
//! the period delays the next one to the period after it: a user has one visit open at a time.
//!
//! A user with `proxy` is `tsh`: it pings there before its first visit and goes to the advertised
//! name from then on (reference 5); after a failed visit it pings again. One without has a browser,
//! which opens the app's own name. Either is sent to the login once a visit, and no more.

mod message;
mod visit;

use std::net::IpAddr;

use self::visit::{Step, Visit};
use crate::model::addr::HostPort;
use crate::model::fact::{Act, Cut, Failure, Kind};
use crate::model::id::{Name, Node};
use crate::model::time::{Span, Time};
use crate::model::topology::{self, Start};
use crate::policy::{Context, Machine, Outbox};

pub use self::message::{Input, Output};

/// How long each step of a visit (ping, login, the visit itself) may take as a whole (curl has no
/// limit, a browser gives up about then).
pub const TIMEOUT: Span = Span::from_secs(30);

/// From the beginning of one candidate's ping to the next one's (tsh `pickDefaultAddr`).
pub const PING_EVERY: Span = Span::from_ms(250);

/// A user.
#[derive(Debug)]
pub struct User {
    node: Node,
    index: usize,
    work: Work,
    visits: u64,
    pings: u64,
    open: Option<Visit>,
    next: Option<Time>,
    /// Where ping sent them; only of a user with `proxy`.
    web: Option<HostPort>,
    role_noticed: bool,
    /// Whether the mesh was ever complete.
    mesh: bool,
    /// Where they roamed to.
    network: Option<Name>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// Makes no new visit; one is still open.
    Draining,
    Running,
    Stopped,
    /// Waits for its beginning.
    Waiting,
}

impl User {
    /// Makes the user with this place in the topology. It does nothing before `Operate(Start)`.
    pub fn new(index: usize, name: &Name) -> Self {
        Self {
            node: Node::User(name.clone()),
            index,
            work: Work::Stopped,
            visits: 0,
            pings: 0,
            open: None,
            next: None,
            web: None,
            role_noticed: false,
            mesh: false,
            network: None,
        }
    }

    fn config<'a>(&self, cx: &Context<'a>) -> &'a topology::User {
        &cx.topology.users[self.index]
    }

    /// Begins: users of one period do not visit in step, each has its own offset.
    fn begin(&mut self, cx: &Context<'_>) {
        let every = self.config(cx).every;
        let entity = self.node.to_string();
        let offset = cx
            .topology
            .seed
            .span(&entity, "offset", 0, Span::ZERO, every);
        self.work = Work::Running;
        self.next = Some(cx.now + offset);
    }

    /// Does an operator's act; one that changes nothing makes no fact.
    fn operate(&mut self, cx: &Context<'_>, act: Act, out: &mut Outbox<Output>) {
        match (act, self.work) {
            (Act::Drain, Work::Draining | Work::Stopped)
            | (Act::Start, Work::Running | Work::Waiting)
            | (Act::Kill | Act::Stop, Work::Stopped) => return,
            (Act::Drain | Act::Kill | Act::Start | Act::Stop, _) => {
                out.fact(Kind::Operated { act });
            }
        }
        match act {
            Act::Drain => {
                self.work = Work::Draining;
                self.next = None;
            }
            Act::Start => match self.config(cx).start {
                // Started again: what the user waited for has been.
                _ if self.visits > 0 => self.begin(cx),
                Start::Mesh if self.mesh => self.begin(cx),
                Start::Mesh => self.work = Work::Waiting,
                Start::After(after) => {
                    self.begin(cx);
                    self.next = self.next.map(|next| next + after);
                }
            },
            Act::Kill | Act::Stop => {
                self.work = Work::Stopped;
                self.next = None;
                let how = match act {
                    Act::Kill => Cut::Reset,
                    Act::Drain | Act::Start | Act::Stop => Cut::Finish,
                };
                if self.open.take().is_some() {
                    out.push(Output::CutAll { how });
                }
            }
        }
    }

    /// A move takes the address away, and the connection with it.
    fn roamed(&mut self, network: Name, address: IpAddr, out: &mut Outbox<Output>) {
        self.network = Some(network.clone());
        out.fact(Kind::Roamed { network, address });
        // What ping said there may not hold here.
        self.web = None;
        if self.open.is_some() {
            out.push(Output::CutAll { how: Cut::Reset });
            let error = String::from("the user moved to another network");
            self.failed(Failure::Cut, error, out);
        }
    }

    /// Gives the network that they are in now.
    fn network(&self, cx: &Context<'_>) -> Name {
        let own = || self.config(cx).network.clone();
        self.network.clone().unwrap_or_else(own)
    }
}

impl Machine for User {
    type Input = Input;
    type Output = Output;

    fn node(&self) -> Node {
        self.node.clone()
    }

    fn handle(&mut self, cx: &Context<'_>, input: Input, out: &mut Outbox<Output>) {
        let is_open =
            |user: &Self, request| user.waits_for(|visit: &Visit| visit.request == request);
        match input {
            Input::Answered {
                request,
                status,
                bytes,
                proxy,
                agent,
                no_tunnel,
            } => {
                if is_open(self, request) {
                    self.answered(cx, (status, bytes), (proxy, agent), no_tunnel, out);
                }
            }
            Input::Connected {
                request,
                purpose,
                host,
                address,
            } => self.connected(cx, (request, purpose), (&host, address), out),
            Input::Failed {
                request,
                reason,
                error,
            } => {
                if is_open(self, request) {
                    self.failed(reason, error, out);
                }
            }
            Input::LoggedIn { request } => {
                if self.waits_for(|visit| visit.request == request && visit.step == Step::LogIn) {
                    self.visit(cx, out);
                }
            }
            Input::MeshComplete => {
                self.mesh = true;
                if self.work == Work::Waiting && self.config(cx).start == Start::Mesh {
                    self.begin(cx);
                }
            }
            Input::Operate(act) => self.operate(cx, act, out),
            Input::PingAnswered {
                attempt,
                asked,
                document,
            } => self.ping_answered(cx, (attempt, asked), &document, out),
            Input::PingFailed {
                attempt,
                reason,
                error,
            } => {
                if self.waits_for(|visit| visit.step == Step::Ping(attempt)) {
                    self.failed(reason, format!("ping: {error}"), out);
                }
            }
            Input::Redirected { request, to } => self.redirected(request, to, out),
            Input::Roamed { network, address } => self.roamed(network, address, out),
        }
        if self.work == Work::Draining && self.open.is_none() {
            self.work = Work::Stopped;
            out.fact(Kind::Drained);
        }
    }

    fn is_answer(_output: &Output) -> bool {
        false
    }

    fn deadline(&self) -> Option<(Time, &'static str)> {
        self.next.map(|at| (at, "visit"))
    }

    fn wake(&mut self, cx: &Context<'_>, out: &mut Outbox<Output>) {
        let Some(at) = self.next.filter(|at| *at <= cx.now) else {
            return;
        };
        // Periods that went by during a long visit are not made up for.
        let every = self.config(cx).every;
        let missed = cx.now.since(at).as_us() / every.as_us().max(1);
        self.next = Some(at + every.times(missed + 1));
        if self.open.is_none() {
            self.begin_visit(cx, out);
        }
    }
}

#[cfg(test)]
mod tests;
