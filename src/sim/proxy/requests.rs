//! Requests of users at an instance: to the web API, or through a tunnel to an app.

use crate::model::fact::Purpose;
use crate::model::id::{ConnId, Name, RequestId};
use crate::policy::proxy::{Input, Output};
use crate::sim::event::{Answer, Event, Message, Side, Way};
use crate::sim::follow::Heard;
use crate::sim::network::{LinkId, ServerStage, TIMEOUT_HANDSHAKE};
use crate::sim::world::World;

/// A user's request that was given to a tunnel.
#[derive(Debug)]
pub(super) struct Request {
    user: LinkId,
    tunnel: LinkId,
    agent: Name,
    taken: bool,
}

impl World<'_> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what is no choice is acted upon"
    )]
    pub(super) fn request(&mut self, id: LinkId, index: u32) {
        let Some(link) = self.links.get(id) else {
            return;
        };
        let Some(dialing) = &link.dialing else { return };
        let (client, purpose, from) = (link.source, link.purpose, link.client);
        let host = dialing.to.to_string().to_ascii_lowercase();
        if let Some(at) = self.hold_back(index, &Heard::Request(client.ip(), host.clone())) {
            let again = Event::Arrive(id, Way::Up, Message::Request);
            return self.queue.push(at, from, again);
        }
        self.set_stage(id, ServerStage::Web);
        self.expect(id, Side::Server, Some(TIMEOUT_HANDSHAKE));
        let input = Input::RequestRead {
            client,
            host,
            path: String::from("/"),
            session: None,
        };
        for output in self.feed_proxy(index, input) {
            match output {
                Output::RefuseRequest { status, .. } if purpose == Purpose::Find => {
                    self.send(id, Way::Down, Message::NoDocument(status));
                }
                Output::RefuseRequest {
                    status,
                    no_tunnel,
                    text,
                } => self.refuse(id, index, None, (status, no_tunnel, &text)),
                Output::Route {
                    request,
                    conn,
                    app,
                    agent,
                    ..
                } => self.route(id, index, (request, conn), (app, agent)),
                Output::ServeWebApi if purpose == Purpose::Find => {
                    self.send(id, Way::Down, Message::Document);
                }
                Output::ServeWebApi => {
                    let proxy = &self.proxies[index as usize].name;
                    let bytes = format!("proxy {proxy} of the lab\n").len() as u64;
                    self.answer(id, index, (200, bytes), None, false);
                }
                other => self.act_proxy(index, other),
            }
        }
    }

    fn answer(
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

    fn refuse(
        &mut self,
        id: LinkId,
        index: u32,
        agent: Option<Name>,
        (status, no_tunnel, text): (u16, bool, &str),
    ) {
        self.answer(id, index, (status, text.len() as u64), agent, no_tunnel);
    }

    /// Asks a tunnel for a stream.
    fn route(
        &mut self,
        user: LinkId,
        index: u32,
        (request, conn): (RequestId, ConnId),
        (app, agent): (Name, Name),
    ) {
        let proxy = &mut self.proxies[index as usize];
        let tunnel = proxy.conns.get(&conn).copied();
        if let Some(link) = self.links.get_mut(user) {
            link.request = Some(request);
        }
        let known = Request {
            user,
            tunnel: tunnel.unwrap_or(user),
            agent,
            taken: false,
        };
        proxy.requests.insert(request, known);
        match tunnel {
            Some(tunnel) => self.send(tunnel, Way::Down, Message::StreamOpen(request, app)),
            None => self.refuse_stream(index, request, "the tunnel is closed".into(), true),
        }
    }

    pub(super) fn stream_taken(&mut self, tunnel: LinkId, index: u32, request: RequestId) {
        let proxy = &mut self.proxies[index as usize];
        let Some(known) = proxy.requests.get_mut(&request) else {
            return;
        };
        known.taken = true;
        let Some(link) = self.links.get(known.user) else {
            return;
        };
        let Some(dialing) = &link.dialing else { return };
        let asked = Box::new((link.source.ip(), dialing.to.clone()));
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
        self.answer(known.user, index, (200, bytes), Some(known.agent), false);
        self.send(tunnel, Way::Down, Message::StreamEnd);
        let status = 200;
        self.feed_proxy(
            index,
            Input::RequestEnded {
                request,
                status,
                bytes,
            },
        );
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
        let input = Input::StreamRefused {
            request,
            why,
            broken,
        };
        for output in self.feed_proxy(index, input) {
            if let Output::RefuseRequest {
                status,
                no_tunnel,
                text,
            } = output
            {
                let agent = known.taken.then(|| known.agent.clone());
                self.refuse(known.user, index, agent, (status, no_tunnel, &text));
            }
        }
    }

    /// A user left before the answer was whole.
    pub(super) fn leave(&mut self, index: u32, request: Option<RequestId>) {
        let Some(request) = request else { return };
        let known = self.proxies[index as usize].requests.remove(&request);
        let Some(known) = known else { return };
        if known.taken {
            self.send(known.tunnel, Way::Down, Message::StreamEnd);
        }
        let (status, bytes) = (0, 0);
        self.feed_proxy(
            index,
            Input::RequestEnded {
                request,
                status,
                bytes,
            },
        );
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
