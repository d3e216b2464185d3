//! A user: visits their apps in turn, once each period, through the door that DNS names.
//!
//! In go what the driver saw of a visit; out comes the next visit. A visit that takes longer than
//! the period delays the next one to the period after it: a user has one visit open at a time.

use std::net::IpAddr;
use std::sync::Arc;

use crate::model::addr::{HostPort, ListenAddr};
use crate::model::fact::{Act, Cut, Failure, Kind, Purpose, VisitAnswered};
use crate::model::id::{Name, Node, RequestId};
use crate::model::time::{Span, Time};
use crate::model::topology::{self, Role, Start};
use crate::policy::address::Document;
use crate::policy::{Context, Machine, Outbox, findings};

/// How long a visit may take as a whole (curl has no limit, a browser gives up about then).
pub const TIMEOUT: Span = Span::from_secs(30);

/// A user.
#[derive(Debug)]
pub struct User {
    node: Node,
    index: usize,
    work: Work,
    visits: u64,
    open: Option<Visit>,
    next: Option<Time>,
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

#[derive(Debug)]
struct Visit {
    request: RequestId,
    app: Name,
    since: Time,
    balancer: Option<Name>,
}

/// What a user is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The app or the proxy answered.
    Answered {
        /// The visit.
        request: RequestId,
        /// The HTTP status.
        status: u16,
        /// Bytes of the body.
        bytes: u64,
        /// The proxy, as the answer's header says.
        proxy: Option<Name>,
        /// The agent, as the answer's header says.
        agent: Option<Name>,
        /// Whether the proxy refused for want of a tunnel, as the answer's header says.
        no_tunnel: bool,
    },
    /// The name was resolved and TCP stands.
    Connected {
        /// The visit, or the number of the ping.
        request: RequestId,
        /// What for: a ping, the login or the visit itself.
        purpose: Purpose,
        /// The name that was resolved.
        host: String,
        /// The address of the answer, with the port.
        address: ListenAddr,
    },
    /// The visit failed without an answer.
    Failed {
        /// The visit.
        request: RequestId,
        /// Why.
        reason: Failure,
        /// In words.
        error: String,
    },
    /// Every agent has a tunnel to every proxy.
    MeshComplete,
    /// The login is through: the visit may be made again, with its session.
    LoggedIn {
        /// The visit.
        request: RequestId,
    },
    /// Ping was answered.
    PingAnswered {
        /// The number of the ping.
        attempt: u64,
        /// The candidate that answered.
        asked: HostPort,
        /// What it said.
        document: Arc<Document>,
    },
    /// Ping failed at every candidate.
    PingFailed {
        /// The number of the ping.
        attempt: u64,
        /// In words.
        error: String,
    },
    /// The visit was sent to a login.
    Redirected {
        /// The visit.
        request: RequestId,
        /// Where.
        to: HostPort,
    },
    /// An operator acts; the lab's own start counts as one.
    Operate(Act),
    /// They are in another network now; what they had open is gone.
    Roamed {
        /// The network.
        network: Name,
        /// Their address there.
        address: IpAddr,
    },
}

/// What a user asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Cut the visit that is open.
    CutAll {
        /// With FIN or with RST.
        how: Cut,
    },
    /// Follow the visit's redirect to this login.
    LogIn {
        /// The visit.
        request: RequestId,
        /// Where.
        to: HostPort,
    },
    /// Ask `/webapi/ping` at these, the next begun every 250 ms, the first 200 wins.
    Ping {
        /// The number of the ping.
        attempt: u64,
        /// In order.
        candidates: Vec<HostPort>,
    },
    /// Visit this app, with its session if there is one.
    Visit {
        /// The visit.
        request: RequestId,
        /// The host name.
        host: String,
        /// The port.
        port: u16,
    },
}

impl User {
    /// Makes the user with this place in the topology. It does nothing before `Operate(Start)`.
    pub fn new(index: usize, name: &Name) -> Self {
        Self {
            node: Node::User(name.clone()),
            index,
            work: Work::Stopped,
            visits: 0,
            open: None,
            next: None,
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
        if let Some(Visit {
            request,
            app,
            balancer,
            ..
        }) = self.open.take()
        {
            out.push(Output::CutAll { how: Cut::Reset });
            out.fact(Kind::VisitFailed {
                request,
                app,
                balancer,
                reason: Failure::Cut,
                error: String::from("the user moved to another network"),
            });
        }
    }

    /// Gives the network that they are in now.
    fn network(&self, cx: &Context<'_>) -> Name {
        let own = || self.config(cx).network.clone();
        self.network.clone().unwrap_or_else(own)
    }

    fn visit(&mut self, cx: &Context<'_>, out: &mut Outbox<Output>) {
        let config = self.config(cx);
        let (Some(public), false) = (
            cx.topology.pool.teleport.public.first(),
            config.visits.is_empty(),
        ) else {
            return;
        };
        let turn = usize::try_from(self.visits).unwrap_or(0) % config.visits.len();
        let app = config.visits[turn].clone();
        let Some(host) = cx.topology.app_host(&app) else {
            return;
        };
        self.visits += 1;
        let request = RequestId(self.visits);
        self.open = Some(Visit {
            request,
            app,
            since: cx.now,
            balancer: None,
        });
        out.push(Output::Visit {
            request,
            host,
            port: public.port,
        });
    }

    fn ended(&mut self, request: RequestId) -> Option<Visit> {
        self.open.take_if(|visit| visit.request == request)
    }

    fn connected(
        &mut self,
        cx: &Context<'_>,
        request: RequestId,
        (host, address): (&str, ListenAddr),
        out: &mut Outbox<Output>,
    ) {
        let network = self.network(cx);
        let door = cx.topology.balancer_at(address.0);
        let Some(visit) = self.open.as_mut().filter(|visit| visit.request == request) else {
            return;
        };
        visit.balancer = door.map(|door| door.name.clone());
        if let Some(door) = door.filter(|door| door.meant_for == Some(Role::Agents))
            && !self.role_noticed
        {
            self.role_noticed = true;
            out.fact(findings::role_follows_network(
                &self.node, &network, &door.name,
            ));
        }
        out.fact(Kind::DoorUsed {
            attempt: request.0,
            purpose: Purpose::Visit,
            host: host.into(),
            address,
            balancer: visit.balancer.clone(),
            network,
        });
    }
}

impl Machine for User {
    type Input = Input;
    type Output = Output;

    fn node(&self) -> Node {
        self.node.clone()
    }

    fn handle(&mut self, cx: &Context<'_>, input: Input, out: &mut Outbox<Output>) {
        match input {
            Input::Answered {
                request,
                status,
                bytes,
                proxy,
                agent,
                no_tunnel,
            } => {
                let Some(visit) = self.ended(request) else {
                    return;
                };
                let Visit {
                    app,
                    since,
                    balancer,
                    ..
                } = visit;
                if status < 400 {
                    let network = self.network(cx);
                    let took = cx.now.since(since);
                    out.fact(Kind::VisitAnswered(Box::new(VisitAnswered {
                        request,
                        app,
                        balancer,
                        network,
                        proxy,
                        agent,
                        status,
                        bytes,
                        took,
                    })));
                } else {
                    let reason = if no_tunnel {
                        Failure::NoTunnel
                    } else {
                        Failure::Status
                    };
                    let at = proxy.map_or_else(String::new, |proxy| format!(" at proxy/{proxy}"));
                    let error = format!("status {status}{at}");
                    out.fact(Kind::VisitFailed {
                        request,
                        app,
                        balancer,
                        reason,
                        error,
                    });
                }
            }
            Input::Connected {
                request,
                purpose: _,
                host,
                address,
            } => {
                self.connected(cx, request, (&host, address), out);
            }
            Input::Failed {
                request,
                reason,
                error,
            } => {
                let Some(Visit { app, balancer, .. }) = self.ended(request) else {
                    return;
                };
                out.fact(Kind::VisitFailed {
                    request,
                    app,
                    balancer,
                    reason,
                    error,
                });
            }
            Input::LoggedIn { .. }
            | Input::PingAnswered { .. }
            | Input::PingFailed { .. }
            | Input::Redirected { .. } => {}
            Input::MeshComplete => {
                self.mesh = true;
                if self.work == Work::Waiting && self.config(cx).start == Start::Mesh {
                    self.begin(cx);
                }
            }
            Input::Operate(act) => self.operate(cx, act, out),
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
            self.visit(cx, out);
        }
    }
}

#[cfg(test)]
mod tests;
