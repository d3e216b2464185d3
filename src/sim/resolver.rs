//! Resolvers in virtual time: the machine with its cache, between clients and the DNS server.
//!
//! The counterpart of `live/resolver`. A client's question and a question to the server cross the
//! network once each way; what the server says is decided as for anybody else, from the resolver's
//! address. A resolver that does not listen is silent, and whoever waited for it asks again when a
//! stub resolver does.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use hickory_proto::rr::{Name, RecordType};

use super::event::{Event, Id};
use super::network::LinkId;
use super::world::World;
use crate::model::addr::ClientAddr;
use crate::model::fact::Act;
use crate::model::id::Node;
use crate::model::time::{Span, Time};
use crate::model::timeline::Roam;
use crate::policy::resolver::{
    FORWARD_TIMEOUT, FORWARD_TRIES, Input, Output, Reply, Resolver as Machine,
};
use crate::policy::{Context, Machine as _, Outbox};

/// A resolver.
#[derive(Debug)]
pub(super) struct Resolver {
    machine: Machine,
    pub(super) node: Node,
    listening: bool,
    /// Where it asks from.
    address: IpAddr,
    ports: u16,
    asks: u64,
    /// Clients that wait, by the number of their question.
    waiting: BTreeMap<u64, Asked>,
}

/// A client's question.
#[derive(Debug)]
struct Asked {
    link: LinkId,
    tried: u8,
    at: Time,
}

/// A question to the DNS server.
#[derive(Clone, Debug)]
pub(super) struct Forward {
    resolver: u32,
    number: u64,
    name: Name,
    record_type: RecordType,
    tried: u32,
}

impl Resolver {
    pub(super) fn new(machine: Machine, address: IpAddr) -> Self {
        Self {
            node: machine.node(),
            machine,
            listening: false,
            address,
            ports: 0,
            asks: 0,
            waiting: BTreeMap::new(),
        }
    }
}

impl World<'_> {
    /// Gives the resolver that a client asks; `None` for those that ask the DNS server.
    pub(super) fn resolver_of(&self, client: Id) -> Option<u32> {
        let name = match client {
            Id::Agent(index) => self.topology.agents[index as usize].resolver.as_ref()?,
            Id::User(index) => self.topology.users[index as usize].resolver.as_ref()?,
            Id::Lab | Id::Dns | Id::Balancer(_) | Id::Proxy(_) | Id::Resolver(_) => return None,
        };
        let mut resolvers = (0..).zip(&self.topology.resolvers);
        let found = resolvers.find(|(_, resolver)| resolver.name == *name);
        found.map(|(index, _)| index)
    }

    /// A client's question is at a resolver.
    pub(super) fn ask_resolver(
        &mut self,
        index: u32,
        (link, tried): (LinkId, u8),
        client: ClientAddr,
        (name, record_type): (Name, RecordType),
    ) {
        let resolver = &mut self.resolvers[index as usize];
        if !resolver.listening {
            return self.ask_again(link, tried, self.now);
        }
        resolver.asks += 1;
        let ask = resolver.asks;
        let at = self.now;
        resolver.waiting.insert(ask, Asked { link, tried, at });
        let input = Input::Asked {
            ask,
            client,
            name,
            record_type,
        };
        self.feed_resolver(index, input);
    }

    /// Passes an operator's act on.
    pub(super) fn operate_resolver(&mut self, index: u32, act: Act) {
        self.feed_resolver(index, Input::Operate(act));
    }

    /// Tells every resolver how long the faults in force have it keep answers.
    pub(super) fn set_floors(&mut self) {
        for index in 0..self.resolvers.len() {
            let name = &self.topology.resolvers[index].name;
            let floor = self.faults.ttl_floor(name);
            let index = u32::try_from(index).expect("a scenario has few resolvers");
            self.feed_resolver(index, Input::Floor(floor));
        }
    }

    /// Moves the resolvers that run on a node's machine.
    pub(super) fn roam_resolvers(&mut self, roam: &Roam) {
        let topology = std::sync::Arc::clone(&self.topology);
        for (index, config) in (0..).zip(&topology.resolvers) {
            if config.on.as_ref() == Some(&roam.node) {
                let (network, address) = (roam.network.clone(), roam.address);
                self.resolvers[index as usize].address = address;
                self.feed_resolver(index, Input::Roamed { network, address });
            }
        }
    }

    /// Feeds a resolver and does what it asks for.
    pub(super) fn feed_resolver(&mut self, index: u32, input: Input) {
        let mut out = Outbox::default();
        let resolver = &mut self.resolvers[index as usize];
        let cx = Context {
            now: self.now,
            topology: &self.topology,
        };
        resolver.machine.handle(&cx, input, &mut out);
        let node = resolver.node.clone();
        self.emit(&node, out.facts);
        for output in out.outputs {
            self.act_resolver(index, output);
        }
    }

    fn act_resolver(&mut self, index: u32, output: Output) {
        let resolver = &mut self.resolvers[index as usize];
        match output {
            Output::Close => {
                resolver.listening = false;
                for (_, Asked { link, tried, at }) in std::mem::take(&mut resolver.waiting) {
                    self.ask_again(link, tried, at);
                }
            }
            Output::Forward {
                forward,
                name,
                record_type,
                since: _,
            } => {
                let forward = Forward {
                    resolver: index,
                    number: forward,
                    name,
                    record_type,
                    tried: 0,
                };
                let at = self.now + self.topology.model.latency;
                self.queue
                    .push(at, Id::Resolver(index), Event::Forward(Box::new(forward)));
            }
            Output::Listen => resolver.listening = true,
            Output::Reply { ask, reply, .. } => {
                if let Some(Asked { link, tried, .. }) = resolver.waiting.remove(&ask) {
                    let heard = super::dns::Heard::of(&reply);
                    self.heard(Id::Resolver(index), (link, tried), heard, Span::ZERO);
                }
            }
        }
    }

    /// A resolver's question is at the DNS server.
    pub(super) fn forwarded(&mut self, mut forward: Forward) {
        let index = forward.resolver;
        let resolver = &mut self.resolvers[index as usize];
        let address = SocketAddr::new(resolver.address, super::dial::port(&mut resolver.ports));
        let question = self.question(
            ClientAddr(address),
            (&forward.name).into(),
            forward.record_type,
        );
        let asker = self.topology.client_at(address.ip());
        let answered = self.decide(&question, asker.as_ref());
        let latency = self.topology.model.latency;
        // An answer that comes after the wait for it is none.
        let answered = answered.filter(|(_, delay)| latency.times(2) + *delay <= FORWARD_TIMEOUT);
        forward.tried += 1;
        let (from, number) = (Id::Resolver(index), forward.number);
        let (at, event) = match answered {
            Some((reply, delay)) => {
                let event = Event::Forwarded(index, number, Some(Box::new(reply)));
                (latency + delay, event)
            }
            None if forward.tried < FORWARD_TRIES => {
                (FORWARD_TIMEOUT, Event::Forward(Box::new(forward)))
            }
            None => {
                // The question took its way already.
                let left = Span::from_us(FORWARD_TIMEOUT.as_us().saturating_sub(latency.as_us()));
                (left, Event::Forwarded(index, number, None))
            }
        };
        self.queue.push(self.now + at, from, event);
    }

    /// A resolver hears from the DNS server, or has waited long enough.
    pub(super) fn forward_ended(&mut self, index: u32, forward: u64, reply: Option<Reply>) {
        let input = match reply {
            Some(reply) => Input::Answered { forward, reply },
            None => Input::Failed { forward },
        };
        self.feed_resolver(index, input);
    }
}
