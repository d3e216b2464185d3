//! Requests of users at an instance: to the web API, or through a tunnel to an app.

use crate::model::fact::Purpose;
use crate::model::id::{ConnId, Name, RequestId};
use crate::model::teleport::ConnType;
use crate::policy::proxy::{Input, Login, Output};
use crate::sim::event::{Answer, Event, Id, Message, Redirection, Side, Way};
use crate::sim::follow::Heard;
use crate::sim::network::{LinkId, ServerStage, TIMEOUT_HANDSHAKE};
use crate::sim::world::World;

use super::peers::Asker;

/// A request that was given to a tunnel.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) asker: Asker,
    tunnel: LinkId,
    agent: Name,
    taken: bool,
}

/// A request that did not get its stream.
#[derive(Debug)]
pub(in crate::sim) struct Failed {
    asker: Asker,
    /// The agent, where it had taken the stream.
    agent: Option<Name>,
    request: RequestId,
    why: String,
    /// Whether the tunnel itself is broken.
    broken: bool,
}

/// Where a request goes.
pub(super) struct Routed {
    pub(super) request: RequestId,
    pub(super) conn: ConnId,
    pub(super) kind: ConnType,
    pub(super) resource: Name,
    pub(super) agent: Name,
}

impl World<'_> {
    /// The head of a request is there.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what is no choice is acted upon"
    )]
    pub(super) fn request(&mut self, id: LinkId, index: u32) {
        let Some(link) = self.links.get(id) else {
            return;
        };
        let Some(dialing) = &link.dialing else { return };
        let (client, purpose) = (link.client_seen(), link.purpose);
        let host = dialing.to.to_string().to_ascii_lowercase();
        let (path, session) = match &dialing.head {
            Some(head) => (head.path.clone(), head.session.clone()),
            None => (String::from("/webapi/find"), None),
        };
        let asks_find = matches!(purpose, Purpose::Find | Purpose::Ping);
        if self.is_minimal(id) {
            // Find and ping alone; no machine is asked (as `live/proxy`).
            self.set_stage(id, ServerStage::Web);
            self.expect(id, Side::Server, Some(TIMEOUT_HANDSHAKE));
            return match asks_find {
                true => self.send(id, Way::Down, Message::Document),
                false => self.refuse(id, index, None, (404, false, "404 page not found\n")),
            };
        }
        self.set_stage(id, ServerStage::Web);
        self.expect(id, Side::Server, Some(TIMEOUT_HANDSHAKE));
        let input = Input::RequestRead {
            client,
            host,
            path,
            session,
        };
        for output in self.feed_proxy(index, input) {
            match output {
                Output::RefuseRequest { status, .. } if asks_find => {
                    self.send(id, Way::Down, Message::NoDocument(status));
                }
                Output::ServeWebApi if asks_find => {
                    self.send(id, Way::Down, Message::Document);
                }
                Output::ServeWebApi => {
                    let proxy = &self.proxies[index as usize].name;
                    let bytes = format!("proxy {proxy} of the lab\n").len() as u64;
                    self.answer(id, index, (200, bytes), None, false);
                }
                other => self.send_on(Asker::User(id), index, other),
            }
        }
    }

    /// Does what an instance decided on a request, for a user or for a peer.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what is no choice is acted upon"
    )]
    pub(super) fn send_on(&mut self, asker: Asker, index: u32, output: Output) {
        match output {
            Output::AskPeers {
                request,
                peers,
                kind,
                resource,
                host_id,
            } => self.ask_peers((asker, index), request, peers, (kind, resource, host_id)),
            Output::Redirect { to, path, login } => {
                let login = login.map(|login| match login {
                    Login::Launch { user, host } | Login::Session { user, host } => (user, host),
                });
                let redirection = Redirection { to, path, login };
                if let Asker::User(id) = asker {
                    self.send(id, Way::Down, Message::Redirect(Box::new(redirection)));
                }
            }
            Output::RefuseRequest {
                status,
                no_tunnel,
                text,
            } => self.refuse_asker(asker, index, None, (status, no_tunnel, &text)),
            Output::Route {
                request,
                conn,
                kind,
                app,
                agent,
                ..
            } => {
                let routed = Routed {
                    request,
                    conn,
                    kind,
                    resource: app,
                    agent,
                };
                self.route(asker, index, routed);
            }
            other => self.act_proxy(index, other),
        }
    }

    fn refuse_asker(
        &mut self,
        asker: Asker,
        index: u32,
        agent: Option<Name>,
        refusal: (u16, bool, &str),
    ) {
        match asker {
            Asker::Peer { proxy, request } => {
                self.tell_peer(index, proxy, request, Err(refusal.2.to_owned()));
            }
            Asker::User(id) => self.refuse(id, index, agent, refusal),
        }
    }

    pub(super) fn answer(
        &mut self,
        id: LinkId,
        index: u32,
        (status, bytes): (u16, u64),
        agent: Option<Name>,
        no_tunnel: bool,
    ) {
        if let Some(link) = self.links.get_mut(id) {
            link.request = None;
        }
        let answer = Answer {
            status,
            bytes,
            proxy: self.proxies[index as usize].name.clone(),
            agent,
            no_tunnel,
        };
        self.send(id, Way::Down, Message::Answer(Box::new(answer)));
    }

    pub(super) fn refuse(
        &mut self,
        id: LinkId,
        index: u32,
        agent: Option<Name>,
        (status, no_tunnel, text): (u16, bool, &str),
    ) {
        self.answer(id, index, (status, text.len() as u64), agent, no_tunnel);
    }

    /// Asks a tunnel for a stream.
    fn route(&mut self, asker: Asker, index: u32, routed: Routed) {
        let Routed {
            request,
            conn,
            kind,
            resource,
            agent,
        } = routed;
        let proxy = &mut self.proxies[index as usize];
        let tunnel = proxy.conns.get(&conn).copied();
        if let Asker::User(user) = &asker
            && let Some(link) = self.links.get_mut(*user)
        {
            link.request = Some(request);
        }
        match tunnel {
            Some(tunnel) => {
                let known = Request {
                    asker,
                    tunnel,
                    agent,
                    taken: false,
                };
                proxy.requests.insert(request, known);
                let asked = Box::new((kind, resource));
                self.send(tunnel, Way::Down, Message::StreamOpen(request, asked));
            }
            None => {
                let (why, broken) = (String::from("the tunnel is closed"), true);
                self.stream_failed((asker, None), index, request, (why, broken));
            }
        }
    }

    pub(super) fn stream_taken(&mut self, tunnel: LinkId, index: u32, request: RequestId) {
        let Some(known) = self.proxies[index as usize].requests.get_mut(&request) else {
            return;
        };
        known.taken = true;
        let user = match known.asker {
            Asker::User(user) => user,
            Asker::Peer { proxy, request } => {
                self.tell_peer(index, proxy, request, Ok(super::peers::Took::Stream));
                match self.user_of_peer(proxy, request) {
                    Some(user) => user,
                    None => return,
                }
            }
        };
        let Some(link) = self.links.get(user) else {
            return;
        };
        let Some(dialing) = &link.dialing else { return };
        let asked = Box::new((link.client_seen().ip(), dialing.to.clone()));
        self.send(tunnel, Way::Down, Message::StreamAsk(request, asked));
    }

    pub(super) fn stream_answered(
        &mut self,
        tunnel: LinkId,
        index: u32,
        (request, bytes): (RequestId, u64),
    ) {
        let proxy = &mut self.proxies[index as usize];
        let Some(known) = proxy.requests.remove(&request) else {
            return;
        };
        match known.asker {
            Asker::User(user) => self.answer(user, index, (200, bytes), Some(known.agent), false),
            Asker::Peer { proxy, request } => {
                let took = super::peers::Took::Answer(bytes, known.agent);
                self.tell_peer(index, proxy, request, Ok(took));
            }
        }
        self.send(tunnel, Way::Down, Message::StreamEnd);
        self.request_ended(index, request, (200, bytes));
    }

    /// A request has ended with a status and so many bytes; no earlier than in the recorded run.
    pub(super) fn request_ended(&mut self, index: u32, request: RequestId, how: (u16, u64)) {
        match self.hold_heard(index, Heard::Ended(request)) {
            Some(at) => {
                let event = Event::RequestOver(index, request, how);
                self.queue.push(at, Id::Proxy(index), event);
            }
            None => self.request_over(index, request, how),
        }
    }

    /// Tells an instance that a request has ended.
    pub(in crate::sim) fn request_over(
        &mut self,
        index: u32,
        request: RequestId,
        (status, bytes): (u16, u64),
    ) {
        let input = Input::RequestEnded {
            request,
            status,
            bytes,
        };
        self.feed_proxy(index, input);
    }

    /// The tunnel did not take the stream, or brought no answer.
    pub(super) fn refuse_stream(
        &mut self,
        index: u32,
        request: RequestId,
        why: String,
        broken: bool,
    ) {
        let known = self.proxies[index as usize].requests.remove(&request);
        let Some(known) = known else { return };
        let agent = known.taken.then_some(known.agent);
        self.stream_failed((known.asker, agent), index, request, (why, broken));
    }

    /// A request did not get its stream; its instance hears of it no earlier than in the recorded run.
    pub(super) fn stream_failed(
        &mut self,
        (asker, agent): (Asker, Option<Name>),
        index: u32,
        request: RequestId,
        (why, broken): (String, bool),
    ) {
        let failed = Failed {
            asker,
            agent,
            request,
            why,
            broken,
        };
        let heard = match broken {
            true => Heard::Broken(request),
            false => Heard::Refused(request),
        };
        match self.hold_heard(index, heard) {
            Some(at) => {
                let event = Event::StreamOver(index, Box::new(failed));
                self.queue.push(at, Id::Proxy(index), event);
            }
            None => self.stream_over(index, failed),
        }
    }

    /// Tells an instance that a request did not get its stream, and does what it makes of that.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what is no choice is acted upon"
    )]
    pub(in crate::sim) fn stream_over(&mut self, index: u32, failed: Failed) {
        let Failed {
            asker,
            agent,
            request,
            why,
            broken,
        } = failed;
        let input = Input::StreamRefused {
            request,
            why,
            broken,
        };
        for output in self.feed_proxy(index, input) {
            match output {
                Output::RefuseRequest {
                    status,
                    no_tunnel,
                    text,
                } => {
                    let refusal = (status, no_tunnel, &*text);
                    self.refuse_asker(asker, index, agent.clone(), refusal);
                }
                other => self.send_on(asker, index, other),
            }
        }
    }

    /// A user left before the answer was whole.
    pub(super) fn leave(&mut self, index: u32, request: Option<RequestId>) {
        let Some(request) = request else { return };
        if self.proxies[index as usize].passed.contains_key(&request) {
            return self.leave_peer(index, request);
        }
        let known = self.proxies[index as usize].requests.remove(&request);
        let Some(known) = known else { return };
        if known.taken {
            self.send(known.tunnel, Way::Down, Message::StreamEnd);
        }
        self.request_ended(index, request, (0, 0));
    }

    /// The streams of a tunnel break with it.
    pub(super) fn break_streams(&mut self, index: u32, tunnel: LinkId) {
        let requests = self.proxies[index as usize].requests.iter();
        let broken = requests.filter(|(_, known)| known.tunnel == tunnel);
        let broken: Vec<_> = broken
            .map(|(request, known)| (*request, known.taken, known.agent.clone()))
            .collect();
        for (request, taken, agent) in broken {
            let why = if taken {
                format!("agent {agent} got no answer from its app: the tunnel ended")
            } else {
                String::from("the tunnel is closed: it was closed")
            };
            self.refuse_stream(index, request, why, !taken);
        }
    }
}
