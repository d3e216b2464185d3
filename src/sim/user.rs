//! A user in virtual time: one connection a visit, as `live/user`.

use std::net::IpAddr;

use super::event::{Answer, Event, Id, Message, Side};
use super::network::LinkId;
use super::world::World;
use crate::model::addr::{HostPort, ListenAddr};
use crate::model::fact::{Act, Cut, Failure, Purpose, Stage};
use crate::model::id::{Node, RequestId};
use crate::model::time::Time;
use crate::policy::user::{Input, Output, TIMEOUT, User as Machine};
use crate::policy::{Context, Machine as _, Outbox};

/// A user.
#[derive(Debug)]
pub(super) struct User {
    pub(super) machine: Machine,
    pub(super) node: Node,
    pub(super) wakes: Option<Time>,
    pub(super) address: IpAddr,
    pub(super) ports: u16,
    pub(super) link: Option<LinkId>,
}

impl User {
    pub(super) fn new(machine: Machine, address: IpAddr) -> Self {
        Self {
            node: machine.node(),
            machine,
            wakes: None,
            address,
            ports: 0,
            link: None,
        }
    }
}

impl World<'_> {
    /// Feeds a user and does what it asks for.
    pub(super) fn feed_user(&mut self, index: u32, input: Input) {
        self.call_user(index, |machine, cx, out| machine.handle(cx, input, out));
    }

    /// Wakes a user at its deadline.
    pub(super) fn wake_user(&mut self, index: u32) {
        let user = &mut self.users[index as usize];
        user.wakes = None;
        if user
            .machine
            .deadline()
            .is_some_and(|(at, _)| at <= self.now)
        {
            self.call_user(index, |machine, cx, out| machine.wake(cx, out));
        } else {
            self.arm_user(index);
        }
    }

    fn arm_user(&mut self, index: u32) {
        let user = &mut self.users[index as usize];
        let due = user.machine.deadline().map(|(at, _)| at.max(self.now));
        if let Some(at) = due.filter(|at| user.wakes.is_none_or(|wakes| *at < wakes)) {
            user.wakes = Some(at);
            let id = Id::User(index);
            self.queue.push(at, id, Event::Wake(id));
        }
    }

    fn call_user(
        &mut self,
        index: u32,
        call: impl FnOnce(&mut Machine, &Context<'_>, &mut Outbox<Output>),
    ) {
        let mut out = Outbox::default();
        let user = &mut self.users[index as usize];
        let cx = Context {
            now: self.now,
            topology: &self.topology,
        };
        call(&mut user.machine, &cx, &mut out);
        let node = user.node.clone();
        self.emit(&node, out.facts);
        self.arm_user(index);
        for output in out.outputs {
            match output {
                Output::CutAll { how } => {
                    let last = match how {
                        Cut::Finish => Message::Fin,
                        Cut::Reset => Message::Rst,
                    };
                    if let Some(link) = self.users[index as usize].link {
                        self.close(link, Side::Client, last);
                    }
                }
                // No user pings or logs in yet.
                Output::LogIn { .. } | Output::Ping { .. } => {}
                Output::Visit {
                    request,
                    host,
                    port,
                } => {
                    let host = host.as_str().into();
                    let visit = (Purpose::Visit, request.0);
                    self.dial(
                        Id::User(index),
                        visit,
                        HostPort { host, port },
                        Some(TIMEOUT),
                    );
                }
            }
        }
    }

    /// Passes an operator's act on.
    pub(super) fn operate_user(&mut self, index: u32, act: Act) {
        self.feed_user(index, Input::Operate(act));
    }

    pub(super) fn visit_connected(
        &mut self,
        index: u32,
        attempt: u64,
        host: String,
        address: ListenAddr,
    ) {
        let request = RequestId(attempt);
        let input = Input::Connected {
            request,
            purpose: Purpose::Visit,
            host,
            address,
        };
        self.feed_user(index, input);
    }

    pub(super) fn visit_failed(&mut self, index: u32, attempt: u64, stage: Stage, error: String) {
        let reason = match stage {
            Stage::Resolve => Failure::Resolve,
            Stage::Connect => Failure::Connect,
            Stage::Tls | Stage::Find | Stage::Ssh | Stage::Claim => Failure::Tls,
        };
        self.fail_visit(index, attempt, reason, error);
    }

    /// The connection stood, and was cut before the answer.
    pub(super) fn tell_visit_cut(&mut self, client: Id, attempt: u64, words: &str) {
        if let Id::User(index) = client {
            self.fail_visit(index, attempt, Failure::Cut, format!("no answer: {words}"));
        }
    }

    /// The visit as a whole took too long.
    pub(super) fn visit_timed_out(&mut self, id: LinkId, error: String) {
        let Some(link) = self.links.get(id) else {
            return;
        };
        let (client, attempt) = (link.client, link.attempt);
        self.close(id, Side::Client, Message::Fin);
        if let Id::User(index) = client {
            self.fail_visit(index, attempt, Failure::Timeout, error);
        }
    }

    fn fail_visit(&mut self, index: u32, attempt: u64, reason: Failure, error: String) {
        let request = RequestId(attempt);
        let input = Input::Failed {
            request,
            reason,
            error,
        };
        self.feed_user(index, input);
    }

    pub(super) fn visit_answered(&mut self, id: LinkId, answer: Answer) {
        let Some(link) = self.links.get(id) else {
            return;
        };
        let (client, request) = (link.client, RequestId(link.attempt));
        self.close(id, Side::Client, Message::Fin);
        let Id::User(index) = client else { return };
        let Answer {
            status,
            bytes,
            proxy,
            agent,
            no_tunnel,
        } = answer;
        let input = Input::Answered {
            request,
            status,
            bytes,
            proxy: Some(proxy),
            agent,
            no_tunnel,
        };
        self.feed_user(index, input);
    }

    /// Moves a user to another address.
    pub(super) fn roam_user(&mut self, index: u32, roam: &crate::model::timeline::Roam) {
        let (network, address) = (roam.network.clone(), roam.address);
        self.users[index as usize].address = address;
        self.feed_user(index, Input::Roamed { network, address });
    }
}
