//! A user in virtual time: ping, the login and the visit, each on connections of its own, as
//! `live/user`.

mod login;
mod ping;

use std::collections::BTreeSet;
use std::net::IpAddr;

use self::login::Login;
use self::ping::Ping;
use super::dial::Manner;
use super::event::{Answer, Event, Head, Id, Message, Redirection, Side};
use super::network::LinkId;
use super::world::World;
use crate::model::addr::{HostPort, ListenAddr};
use crate::model::fact::{Act, Cause, Cut, Failure, Purpose, Stage};
use crate::model::id::{Name, Node, RequestId};
use crate::model::time::Time;
use crate::policy::user::{Input, Output, TIMEOUT, User as Machine};
use crate::policy::{Context, Machine as _, Outbox, alpn};

/// A user.
#[derive(Debug)]
pub(super) struct User {
    pub(super) machine: Machine,
    pub(super) node: Node,
    pub(super) wakes: Option<Time>,
    pub(super) address: IpAddr,
    pub(super) ports: u16,
    /// Connections that are open or begun.
    pub(super) links: Vec<LinkId>,
    ping: Option<Ping>,
    login: Option<Login>,
    /// The path of the launch page that the visit was sent to.
    redirected: Option<String>,
    /// The hosts of apps at which the user has a session: the cookies of `live/user`.
    sessions: BTreeSet<String>,
}

impl User {
    /// Tells whether the launch page of the login that is under way has answered.
    pub(super) fn is_launched(&self) -> bool {
        self.login.as_ref().is_some_and(Login::is_launched)
    }

    pub(super) fn new(machine: Machine, address: IpAddr) -> Self {
        Self {
            node: machine.node(),
            machine,
            wakes: None,
            address,
            ports: 0,
            links: Vec::new(),
            ping: None,
            login: None,
            redirected: None,
            sessions: BTreeSet::new(),
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
        let due = user.machine.deadline().map(|(at, _)| at);
        if let Some(due) = due.filter(|at| *at <= self.now) {
            let id = Id::User(index);
            if let Some(at) = self.hold_wake(id, due) {
                self.users[index as usize].wakes = Some(at);
                return self.queue.push(at, id, Event::Wake(id));
            }
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
            self.act_user(index, output);
        }
    }

    fn act_user(&mut self, index: u32, output: Output) {
        match output {
            Output::CutAll { how } => {
                let last = match how {
                    Cut::Finish => Message::Fin,
                    Cut::Reset => Message::Rst,
                };
                self.hang_up(index, &last);
            }
            Output::LogIn { request, to } => self.begin_login(index, request, to),
            Output::Ping {
                attempt,
                candidates,
            } => self.begin_ping(index, attempt, candidates),
            Output::Visit {
                request,
                host,
                port,
            } => {
                let session = self.users[index as usize].sessions.contains(&host);
                let session = session.then(|| self.topology.users[index as usize].name.clone());
                let host = host.as_str().into();
                let visit = (Purpose::Visit, request.0);
                let whole = self.now + TIMEOUT;
                let path = String::from("/");
                self.ask_as_user(
                    index,
                    visit,
                    HostPort { host, port },
                    whole,
                    (path, session),
                );
            }
        }
    }

    /// Sends a request of a user on a connection of its own.
    fn ask_as_user(
        &mut self,
        index: u32,
        what: (Purpose, u64),
        to: HostPort,
        whole: Time,
        (path, session): (String, Option<Name>),
    ) {
        let manner = Manner {
            whole: Some(whole),
            alpn: &[alpn::HTTP],
            head: Some(Box::new(Head { path, session })),
        };
        self.dial(Id::User(index), what, to, manner);
    }

    /// Ends whatever a user has open, and forgets what it was for.
    fn hang_up(&mut self, index: u32, last: &Message) {
        let user = &mut self.users[index as usize];
        user.ping = None;
        user.login = None;
        for link in std::mem::take(&mut user.links) {
            self.close(link, Side::Client, last.clone());
        }
    }

    /// Passes an operator's act on.
    pub(super) fn operate_user(&mut self, index: u32, act: Act) {
        self.feed_user(index, Input::Operate(act));
    }

    pub(super) fn user_connected(
        &mut self,
        index: u32,
        (purpose, attempt): (Purpose, u64),
        host: String,
        address: ListenAddr,
    ) {
        let request = RequestId(attempt);
        let input = Input::Connected {
            request,
            purpose,
            host,
            address,
        };
        self.feed_user(index, input);
    }

    /// A connection of a user did not come to its request.
    pub(super) fn user_failed(
        &mut self,
        (index, id): (u32, LinkId),
        (purpose, attempt): (Purpose, u64),
        (stage, cause): (Stage, Cause),
        error: String,
    ) {
        let reason = match (stage, cause) {
            (Stage::Resolve, _) => Failure::Resolve,
            // It was reset or ended before a word of TLS, as by a door that lets nobody in.
            (Stage::Connect, _) | (_, Cause::Connect) => Failure::Connect,
            (Stage::Tls | Stage::Find | Stage::Ssh | Stage::Claim, _) => Failure::Tls,
        };
        self.step_failed((index, id), (purpose, attempt), reason, error);
    }

    /// The connection stood, and was cut before the answer.
    pub(super) fn tell_user_cut(
        &mut self,
        (client, id): (Id, LinkId),
        what: (Purpose, u64),
        words: &str,
    ) {
        if let Id::User(index) = client {
            let error = format!("no answer: {words}");
            self.step_failed((index, id), what, Failure::Cut, error);
        }
    }

    /// What a user waits for took too long as a whole.
    pub(super) fn user_timed_out(&mut self, id: LinkId, error: String) {
        let Some(link) = self.links.get(id) else {
            return;
        };
        let (client, what) = (link.client, (link.purpose, link.attempt));
        self.close(id, Side::Client, Message::Fin);
        if let Id::User(index) = client {
            self.step_failed((index, id), what, Failure::Timeout, error);
        }
    }

    /// A step of a visit has failed: one candidate of a ping, the login, or the visit itself.
    fn step_failed(
        &mut self,
        (index, id): (u32, LinkId),
        (purpose, attempt): (Purpose, u64),
        reason: Failure,
        error: String,
    ) {
        let error = match purpose {
            Purpose::Ping => return self.candidate_failed(index, id, reason, error),
            Purpose::Launch => {
                let login = self.users[index as usize].login.take();
                let at = login.map_or_else(String::new, |login| format!(" at {}", login.at()));
                format!("login{at}: {error}")
            }
            Purpose::Find | Purpose::Tunnel | Purpose::Visit => error,
        };
        let request = RequestId(attempt);
        let input = Input::Failed {
            request,
            reason,
            error,
        };
        self.tell_user(index, input);
    }

    /// An answer is at a user's end.
    pub(super) fn user_heard(&mut self, id: LinkId, message: Message) {
        let Some(link) = self.links.get(id) else {
            return;
        };
        let (purpose, attempt) = (link.purpose, link.attempt);
        let Id::User(index) = link.client else { return };
        match (message, purpose) {
            (Message::Document, Purpose::Ping) => self.ping_answered(index, id, attempt),
            (Message::NoDocument(status), Purpose::Ping) => {
                self.close(id, Side::Client, Message::Fin);
                let error = format!("status {status}: the answer to ping: no document");
                self.candidate_failed(index, id, Failure::Status, error);
            }
            (Message::Redirect(redirection), Purpose::Launch) => {
                self.close(id, Side::Client, Message::Fin);
                self.login_led_on(index, attempt, *redirection);
            }
            (Message::Answer(answer), Purpose::Launch) => {
                self.close(id, Side::Client, Message::Fin);
                let error = format!("status {}", answer.status);
                self.step_failed((index, id), (purpose, attempt), Failure::Status, error);
            }
            (Message::Redirect(redirection), Purpose::Visit) => {
                self.close(id, Side::Client, Message::Fin);
                let Redirection { to, path, .. } = *redirection;
                self.users[index as usize].redirected = Some(path);
                let request = RequestId(attempt);
                self.tell_user(index, Input::Redirected { request, to });
            }
            (Message::Answer(answer), Purpose::Visit) => self.visit_answered(id, index, *answer),
            _ => {}
        }
    }

    fn visit_answered(&mut self, id: LinkId, index: u32, answer: Answer) {
        let Some(link) = self.links.get(id) else {
            return;
        };
        let request = RequestId(link.attempt);
        self.close(id, Side::Client, Message::Fin);
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
        self.tell_user(index, input);
    }

    /// Moves a user to another address.
    pub(super) fn roam_user(&mut self, index: u32, roam: &crate::model::timeline::Roam) {
        let (network, address) = (roam.network.clone(), roam.address);
        self.users[index as usize].address = address;
        self.feed_user(index, Input::Roamed { network, address });
    }
}
