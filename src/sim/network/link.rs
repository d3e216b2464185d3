//! Connections as they are kept: how far each end is, what is under way, what waits.

use std::collections::VecDeque;

use crate::model::addr::{ClientAddr, HostPort, ListenAddr};
use crate::model::fact::{Purpose, Service};
use crate::model::id::{ConnId, FlowId, RequestId};
use crate::model::time::Time;
use crate::policy::faults::Shape;
use crate::sim::event::{Head, Id, Message, Side, Way};

/// A connection, by its place; another life is another connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) struct LinkId {
    index: u32,
    life: u32,
}

/// How far a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::sim) enum ClientStage {
    Resolving,
    Connecting,
    Tls,
    /// A request is under way.
    Asking,
    /// SSH, the login and the heartbeat's opening.
    Ssh,
    /// The tunnel stands.
    Up,
    Closed,
}

/// How far an instance is with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::sim) enum ServerStage {
    /// No connection has come yet.
    Nothing,
    /// Waits for the ClientHello.
    Hello,
    Tls,
    /// Serves requests.
    Web,
    /// SSH and the login.
    Ssh,
    Tunnel,
    Closed,
}

/// Why an end is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) enum Cause {
    /// An end of data.
    Fin,
    /// A reset.
    Rst,
    /// The other end said why.
    Said(&'static str),
    /// No sign of life.
    Silence,
    /// What was sent was not acknowledged.
    Unacknowledged,
}

impl Cause {
    /// Gives the words of the system, or of the SSH library.
    pub(in crate::sim) const fn words(self) -> &'static str {
        match self {
            Self::Fin => "Connection closed by the remote side",
            Self::Rst => "Connection reset by peer (os error 104)",
            Self::Said(words) => words,
            Self::Silence => "Keepalive timeout",
            Self::Unacknowledged => "Connection timed out (os error 110)",
        }
    }
}

/// What is needed until a tunnel stands, or a request is answered.
#[derive(Debug)]
pub(in crate::sim) struct Dialing {
    /// Name and port.
    pub(in crate::sim) to: HostPort,
    /// Until when the whole may take, where it has a limit as a whole.
    pub(in crate::sim) whole: Option<Time>,
    /// When the first question, and then the first SYN, was sent.
    pub(in crate::sim) began: Time,
    /// What is offered in TLS; nothing means raw SSH for a tunnel.
    pub(in crate::sim) alpn: &'static [&'static str],
    /// What the request says.
    pub(in crate::sim) head: Option<Box<Head>>,
}

/// A connection.
#[derive(Debug)]
pub(in crate::sim) struct Link {
    pub(super) life: u32,
    pub(in crate::sim) client: Id,
    pub(in crate::sim) purpose: Purpose,
    /// The agent's dial or the user's visit.
    pub(in crate::sim) attempt: u64,
    pub(in crate::sim) source: ClientAddr,
    /// Whom the instance takes for the client, where the door or the PROXY mode hides him.
    pub(in crate::sim) seen: Option<ClientAddr>,
    pub(in crate::sim) service: Option<Service>,
    pub(in crate::sim) listener: ListenAddr,
    pub(in crate::sim) door: u32,
    pub(in crate::sim) flow: Option<FlowId>,
    pub(in crate::sim) proxy: u32,
    pub(in crate::sim) conn: ConnId,
    pub(in crate::sim) request: Option<RequestId>,
    pub(in crate::sim) client_stage: ClientStage,
    pub(in crate::sim) server_stage: ServerStage,
    /// Whether both links are joined at the door.
    pub(in crate::sim) relayed: bool,
    pub(super) torn: bool,
    /// When each end gives up waiting, and whether an event looks for it.
    pub(super) due: [Option<Time>; 2],
    pub(super) armed: [bool; 2],
    /// When the last message of each way arrives.
    pub(super) free: [Time; 2],
    /// When what waited on each way arrives; nothing overtakes it.
    pub(super) floor: [Time; 2],
    /// When each end last heard of the other.
    pub(super) heard: [Time; 2],
    /// Since when something that each end sent is not acknowledged.
    pub(super) unacknowledged: [Option<Time>; 2],
    pub(super) moved: [u64; 2],
    pub(super) shape: Option<Box<Shape>>,
    pub(super) held: Option<Box<[VecDeque<Message>; 2]>>,
    pub(in crate::sim) dialing: Option<Box<Dialing>>,
}

/// All connections.
#[derive(Debug, Default)]
pub(in crate::sim) struct Links {
    slots: Vec<Option<Link>>,
    free: Vec<u32>,
    lives: u32,
}

impl Links {
    /// Gives a connection, unless it is over.
    pub(in crate::sim) fn get(&self, id: LinkId) -> Option<&Link> {
        let link = self.slots.get(id.index as usize)?.as_ref()?;
        (link.life == id.life).then_some(link)
    }

    /// Gives a connection to change it, unless it is over.
    pub(in crate::sim) fn get_mut(&mut self, id: LinkId) -> Option<&mut Link> {
        let link = self.slots.get_mut(id.index as usize)?.as_mut()?;
        (link.life == id.life).then_some(link)
    }

    /// Begins a connection of a client.
    pub(in crate::sim) fn begin(
        &mut self,
        client: Id,
        (purpose, attempt): (Purpose, u64),
        source: ClientAddr,
        dialing: Dialing,
    ) -> LinkId {
        self.lives = self.lives.wrapping_add(1);
        let life = self.lives;
        let link = Link {
            life,
            client,
            purpose,
            attempt,
            source,
            seen: None,
            service: None,
            listener: ListenAddr(source.0),
            door: u32::MAX,
            flow: None,
            proxy: u32::MAX,
            conn: ConnId(0),
            request: None,
            client_stage: ClientStage::Resolving,
            server_stage: ServerStage::Nothing,
            relayed: false,
            torn: false,
            due: [None; 2],
            armed: [false; 2],
            free: [Time::ZERO; 2],
            floor: [Time::ZERO; 2],
            heard: [dialing.began; 2],
            unacknowledged: [None; 2],
            moved: [0; 2],
            shape: None,
            held: None,
            dialing: Some(Box::new(dialing)),
        };
        let index = if let Some(index) = self.free.pop() {
            self.slots[index as usize] = Some(link);
            index
        } else {
            self.slots.push(Some(link));
            u32::try_from(self.slots.len() - 1).expect("fewer connections than 2^32 are open")
        };
        LinkId { index, life }
    }

    pub(super) fn end(&mut self, id: LinkId) {
        if self.get(id).is_some() {
            self.slots[id.index as usize] = None;
            self.free.push(id.index);
        }
    }

    /// Gives those that are open, in the order of their places.
    pub(in crate::sim) fn ids(&self) -> Vec<LinkId> {
        let open = (0..).zip(&self.slots);
        open.filter_map(|(index, link)| {
            let life = link.as_ref()?.life;
            Some(LinkId { index, life })
        })
        .collect()
    }

    /// Counts those that are open.
    pub(in crate::sim) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

impl Link {
    /// Tells whether an end is there.
    pub(in crate::sim) fn is_open(&self, side: Side) -> bool {
        match side {
            Side::Client => self.client_stage != ClientStage::Closed,
            Side::Server => !matches!(
                self.server_stage,
                ServerStage::Nothing | ServerStage::Closed
            ),
        }
    }

    pub(super) fn is_silent(&self, way: Way) -> bool {
        self.shape.as_ref().is_some_and(|shape| match way {
            Way::Up => shape.up.silent,
            Way::Down => shape.down.silent,
        })
    }

    pub(super) fn end_of(&self, side: Side) -> Id {
        match side {
            Side::Client => self.client,
            Side::Server => Id::Proxy(self.proxy),
        }
    }

    /// Gives whom the instance takes for the client.
    pub(in crate::sim) fn client_seen(&self) -> ClientAddr {
        self.seen.unwrap_or(self.source)
    }

    /// Gives the bytes from and to the client.
    pub(in crate::sim) const fn moved(&self) -> (u64, u64) {
        (self.moved[0], self.moved[1])
    }

    pub(super) fn hold(&mut self, way: Way, message: Message) {
        self.held.get_or_insert_default()[way as usize].push_back(message);
    }

    pub(super) fn holds(&self, way: Way) -> bool {
        let held = self.held.as_ref();
        held.is_some_and(|held| !held[way as usize].is_empty())
    }
}
