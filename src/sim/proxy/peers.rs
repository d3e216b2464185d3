//! Requests that one instance passes on to another (proxy peering, reference 4.3 and 4.6).
//!
//! The counterpart of `live/peer`: words between two instances take the model's latency. A dial with
//! its TLS is one way there and one back more than live's first byte; it costs no handshake work,
//! and the head of the request is sent with the word that a stream was taken. There are no faults
//! between instances.

use std::collections::VecDeque;

use crate::model::addr::ClientAddr;
use crate::model::id::{Name, RequestId};
use crate::model::teleport::{ConnType, Port};
use crate::policy::proxy::Input;
use crate::sim::event::{Event, Id};
use crate::sim::network::LinkId;
use crate::sim::world::World;

/// Who asked an instance for a stream.
#[derive(Clone, Copy, Debug)]
pub(in crate::sim) enum Asker {
    /// Another instance, for this request of its own.
    Peer {
        /// Its place in the pool.
        proxy: u32,
        /// Its number for the request.
        request: RequestId,
    },
    /// A user on this connection.
    User(LinkId),
}

/// A request that is passed on.
#[derive(Debug)]
pub(super) struct Passed {
    asker: Asker,
    /// Those that have not been asked.
    left: VecDeque<u32>,
    /// The one that is asked now.
    at: u32,
    wanted: (ConnType, Name, Name),
    /// What those that were asked said.
    said: Vec<String>,
}

/// What a peer made of a request.
#[derive(Clone, Debug)]
pub(in crate::sim) enum Took {
    /// The answer: its bytes and the agent.
    Answer(u64, Name),
    /// The agent took the stream.
    Stream,
}

/// What one instance says to another.
#[derive(Debug)]
pub(in crate::sim) struct PeerWord {
    from: u32,
    to: u32,
    /// The asker's number of the request.
    request: RequestId,
    says: Says,
}

#[derive(Debug)]
enum Says {
    Asks(ClientAddr, (ConnType, Name, Name)),
    Leaves,
    Replies(Result<Took, String>),
}

impl PeerWord {
    /// Gives the instance that takes it.
    pub(in crate::sim) const fn to(&self) -> u32 {
        self.to
    }
}

impl World<'_> {
    /// Begins to ask peers, in the order that was decided.
    pub(super) fn ask_peers(
        &mut self,
        (asker, index): (Asker, u32),
        request: RequestId,
        peers: Vec<Name>,
        wanted: (ConnType, Name, Name),
    ) {
        let place = |name: &Name| self.place(&crate::model::id::Node::Proxy(name.clone()));
        let left = peers.iter().filter_map(|name| match place(name) {
            Some(Id::Proxy(place)) => Some(place),
            _ => None,
        });
        let left = left.collect();
        if let Asker::User(user) = &asker
            && let Some(link) = self.links.get_mut(*user)
        {
            link.request = Some(request);
        }
        let passed = Passed {
            asker,
            left,
            at: index,
            wanted,
            said: Vec::new(),
        };
        let proxy = &mut self.proxies[index as usize];
        proxy.passed.insert(request, passed);
        self.ask_next_peer(index, request);
    }

    fn ask_next_peer(&mut self, index: u32, request: RequestId) {
        let Some(passed) = self.proxies[index as usize].passed.get_mut(&request) else {
            return;
        };
        let Some(to) = passed.left.pop_front() else {
            let why = passed.said.join("; ");
            let asker = passed.asker;
            self.proxies[index as usize].passed.remove(&request);
            return self.stream_failed((asker, None), index, request, (why, false));
        };
        passed.at = to;
        let wanted = passed.wanted.clone();
        let client = match passed.asker {
            Asker::User(user) => self.links.get(user).map(|link| link.client_seen()),
            Asker::Peer { .. } => None,
        };
        // A user who left has taken the request with him.
        let Some(client) = client else { return };
        self.say((index, to), request, Says::Asks(client, wanted));
    }

    fn say(&mut self, (from, to): (u32, u32), request: RequestId, says: Says) {
        let at = self.now + self.topology.model.latency;
        let word = PeerWord {
            from,
            to,
            request,
            says,
        };
        let event = Event::Peer(Box::new(word));
        self.queue.push(at, Id::Proxy(from), event);
    }

    /// Tells the instance that asked what came of its request.
    pub(super) fn tell_peer(
        &mut self,
        index: u32,
        proxy: u32,
        request: RequestId,
        result: Result<Took, String>,
    ) {
        self.say((index, proxy), request, Says::Replies(result));
    }

    /// Finds the connection of the user whose request was passed on.
    pub(super) fn user_of_peer(&self, proxy: u32, request: RequestId) -> Option<LinkId> {
        match self.proxies[proxy as usize].passed.get(&request)?.asker {
            Asker::User(user) => Some(user),
            Asker::Peer { .. } => None,
        }
    }

    /// A word of another instance is there.
    pub(in crate::sim) fn peer_heard(&mut self, word: PeerWord) {
        let PeerWord {
            from,
            to,
            request,
            says,
        } = word;
        match says {
            Says::Asks(client, wanted) => self.peer_asked((from, to), request, client, wanted),
            Says::Leaves => {
                let requests = self.proxies[to as usize].requests.iter();
                let is_his = |asker: &Asker| matches!(asker, Asker::Peer { proxy, request: his } if *proxy == from && *his == request);
                let own = requests
                    .filter(|(_, known)| is_his(&known.asker))
                    .map(|(own, _)| *own)
                    .next();
                self.leave(to, own);
            }
            Says::Replies(Ok(Took::Stream)) => {
                let peer = self.proxies[from as usize].name.clone();
                if self.proxies[to as usize].passed.contains_key(&request) {
                    self.feed_proxy(to, Input::PeerTook { request, peer });
                }
            }
            Says::Replies(Ok(Took::Answer(bytes, agent))) => {
                let passed = self.proxies[to as usize].passed.remove(&request);
                let Some(passed) = passed else { return };
                if let Asker::User(user) = passed.asker {
                    self.answer(user, to, (200, bytes), Some(agent), false);
                }
                self.request_ended(to, request, (200, bytes));
            }
            Says::Replies(Err(why)) => {
                let passed = self.proxies[to as usize].passed.get_mut(&request);
                let Some(passed) = passed else { return };
                passed.said.push(why);
                self.ask_next_peer(to, request);
            }
        }
    }

    fn peer_asked(
        &mut self,
        (from, to): (u32, u32),
        request: RequestId,
        client: ClientAddr,
        (kind, resource, host_id): (ConnType, Name, Name),
    ) {
        let config = &self.topology.pool.proxies[to as usize];
        let instance = &self.proxies[to as usize];
        let open = instance.listening && config.at(Port::Peer).is_some();
        if !open {
            let at = config.at(Port::Peer).unwrap_or(config.listen);
            let why = format!("{at}: Connection refused (os error 111)");
            return self.tell_peer(to, from, request, Err(why));
        }
        let peer = self.proxies[from as usize].name.clone();
        let input = Input::PeerAsked {
            peer,
            client,
            kind,
            resource,
            host_id,
        };
        let asker = Asker::Peer {
            proxy: from,
            request,
        };
        for output in self.feed_proxy(to, input) {
            self.send_on(asker, to, output);
        }
    }

    /// A user whose request was passed on has left.
    pub(super) fn leave_peer(&mut self, index: u32, request: RequestId) {
        let passed = self.proxies[index as usize].passed.remove(&request);
        let Some(passed) = passed else { return };
        self.say((index, passed.at), request, Says::Leaves);
        self.request_ended(index, request, (0, 0));
    }
}
