//! What can happen in virtual time, and what travels on a connection.

use std::rc::Rc;

use super::network::{Cause, LinkId};
use crate::model::addr::HostPort;
use crate::model::fact::Cause as Failing;
use crate::model::id::{FlowId, Name, RequestId};
use crate::model::teleport::ConnType;
use crate::model::time::Time;
use crate::policy::proxy;

/// A node, by its place in the topology; also who an event comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Id {
    /// The lab as a whole.
    Lab,
    /// The DNS server.
    Dns,
    /// A door.
    Balancer(u32),
    /// An instance of the pool.
    Proxy(u32),
    /// An agent.
    Agent(u32),
    /// A user.
    User(u32),
    /// A resolver.
    Resolver(u32),
}

/// A way along a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// From the client.
    Up,
    /// To the client.
    Down,
}

/// An end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The agent or user.
    Client,
    /// The instance of the pool.
    Server,
}

impl Side {
    /// Gives the way that it sends on.
    pub(super) const fn sends(self) -> Way {
        match self {
            Self::Client => Way::Up,
            Self::Server => Way::Down,
        }
    }

    /// Gives the other end.
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

impl Way {
    /// Gives the end that it leads to.
    pub(super) const fn leads_to(self) -> Side {
        match self {
            Self::Up => Side::Server,
            Self::Down => Side::Client,
        }
    }
}

/// What a door connects to an instance for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    /// A check, by its number.
    Check(u64),
    /// A flow.
    Flow(FlowId),
}

/// A door's connect to an instance.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connect {
    /// The door.
    pub(super) door: u32,
    /// The instance.
    pub(super) proxy: u32,
    /// What for.
    pub(super) aim: Aim,
    /// When it began.
    pub(super) began: Time,
    /// How many SYNs were sent again.
    pub(super) again: u8,
}

/// Handshake work of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Job {
    /// TLS.
    Tls,
    /// SSH: key exchange and host key.
    Ssh,
}

/// What happens.
#[derive(Debug)]
pub(super) enum Event {
    /// A door takes a client from its listener.
    Accept(LinkId),
    /// A message is there.
    Arrive(LinkId, Way, Message),
    /// A door's SYN is at the instance.
    BackendSyn(Connect),
    /// A door's connect ended; the error is in words.
    BackendEnded(Connect, Result<(), String>),
    /// A client's SYN was answered.
    Connected(LinkId),
    /// A message that has waited at its end is heard, at the recorded instant.
    Heard(LinkId, Way, Message),
    /// An instance hears of another, or of its agents.
    Hears(u32, Box<proxy::Input>),
    /// A door's relay is done with a flow.
    FlowEnded(u32, Box<super::balancer::Over>),
    /// The DNS server's counts become facts.
    FlushDns,
    /// A resolver's question is at the DNS server.
    Forward(Box<super::resolver::Forward>),
    /// A resolver hears from the DNS server what it asked under this number, or has waited in vain.
    Forwarded(u32, u64, Option<Box<crate::policy::resolver::Reply>>),
    /// A door's next recorded arrival is due, or overdue.
    Follow(u32, usize, bool),
    /// The same gossip reaches many agents.
    Gossip(Box<[LinkId]>, Rc<[Name]>),
    /// An end of a silent connection looks whether it has waited enough.
    Liveness(LinkId, Side),
    /// A user begins to ask the candidate with this place, in the ping of this number.
    NextPing(u32, u64, usize),
    /// An agent learns what came of a dial, at the recorded instant.
    Outcome(u32, Box<crate::policy::agent::Input>),
    /// Something between two instances, about a request that one passes on to the other.
    Peer(Box<super::proxy::PeerWord>),
    /// A client's question is at the DNS server or at its resolver, or the time for its answer is over.
    Question(LinkId, u8),
    /// A client has its answer.
    Resolved(LinkId, Box<Result<std::net::IpAddr, (Failing, String)>>),
    /// A request is over, at the recorded instant.
    RequestOver(u32, RequestId, (u16, u64)),
    /// A client's SYN was refused.
    Refused(LinkId),
    /// An instance has finished a handshake's work.
    Served(u32, LinkId, Job),
    /// An agent or a user is started, at the recorded instant.
    Start(Id),
    /// A request did not get its stream, at the recorded instant.
    StreamOver(u32, Box<super::proxy::Failed>),
    /// A client's SYN is at the door, sent again so many times.
    Syn(LinkId, u8),
    /// A connection's end has waited for the other long enough.
    Timer(LinkId, Side),
    /// A door has torn a connection at one end: with RST, or with FIN.
    Torn(LinkId, Side, bool),
    /// A user learns of something, at the recorded instant.
    Told(u32, Box<crate::policy::user::Input>),
    /// An agent's own close of a tunnel is through.
    TunnelClosed(u32, crate::model::id::DialId, &'static str),
    /// An instance learns that a tunnel has ended, at the recorded instant.
    TunnelGone(u32, crate::model::id::ConnId, &'static str),
    /// An instance's own close of a tunnel is through.
    TunnelOver(
        u32,
        crate::model::id::ConnId,
        Option<super::follow::Flow>,
        &'static str,
    ),
    /// A machine's deadline.
    Wake(Id),
}

impl Event {
    /// Gives the one word of its kind.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Accept(_) => "accept",
            Self::Arrive(..) | Self::Heard(..) => "message",
            Self::BackendSyn(_) => "backend_syn",
            Self::BackendEnded(..) => "backend_connect",
            Self::Connected(_) => "connected",
            Self::Hears(..) => "board",
            Self::FlowEnded(..) => "flow_ended",
            Self::FlushDns => "dns_counts",
            Self::Follow(..) => "follow",
            Self::Forward(_) | Self::Forwarded(..) => "dns_forward",
            Self::Gossip(..) => "gossip",
            Self::Liveness(..) => "liveness",
            Self::NextPing(..) => "ping",
            Self::Outcome(..) => "outcome",
            Self::Peer(_) => "peer",
            Self::Question(..) => "dns_question",
            Self::Resolved(..) => "dns_answer",
            Self::RequestOver(..) => "request_over",
            Self::Refused(_) => "refused",
            Self::Served(..) => "handshake",
            Self::Start(_) => "start",
            Self::StreamOver(..) => "stream_over",
            Self::Syn(..) => "syn",
            Self::Timer(..) => "timer",
            Self::Told(..) => "told",
            Self::Torn(..) => "torn",
            Self::TunnelClosed(..) | Self::TunnelGone(..) | Self::TunnelOver(..) => "tunnel_closed",
            Self::Wake(_) => "wake",
        }
    }
}

/// What travels on a connection: messages, not bytes.
#[derive(Clone, Debug)]
pub(super) enum Message {
    /// The proxy advises to reconnect elsewhere.
    Advice,
    /// The answer to a visit.
    Answer(Box<Answer>),
    /// The agent opens its heartbeat.
    BeatOpen,
    /// The heartbeat is open.
    BeatOpened,
    /// The answer to find.
    Document,
    /// An end of data.
    Fin,
    /// A request for find or ping.
    Find,
    /// SSH's good-bye, with its words.
    Goodbye(&'static str),
    /// The list of proxies.
    Gossip(Rc<[Name]>),
    /// A sign of life, with what the agent serves, and the proxies that it reports.
    Heartbeat(Box<[Name]>),
    /// A ClientHello.
    Hello,
    /// The server's part of TLS.
    HelloDone,
    /// No service: `no_application_protocol`.
    HelloRefused,
    /// The proxy's host key.
    HostKey,
    /// The agent logs in.
    Login,
    /// The login is through.
    LoggedIn,
    /// Elsewhere, perhaps with what the way to a session brings.
    Redirect(Box<Redirection>),
    /// A user's request.
    Request,
    /// A reset.
    Rst,
    /// The answer to find is an error of this status.
    NoDocument(u16),
    /// SSH's greeting and the agent's part of the key exchange.
    Ssh,
    /// The answer of an app, and its bytes.
    StreamAnswer(RequestId, u64),
    /// The request that is for an app, for a user with this address and this host.
    StreamAsk(RequestId, Box<(std::net::IpAddr, HostPort)>),
    /// A stream is done with.
    StreamEnd,
    /// A stream for an app or a database is asked for.
    StreamOpen(RequestId, Box<(ConnType, Name)>),
    /// The agent takes the stream.
    StreamTaken(RequestId),
    /// The agent does not take it.
    StreamRefused(RequestId, Box<str>),
}

/// A redirect, with what live is a token or a cookie.
#[derive(Clone, Debug)]
pub(super) struct Redirection {
    /// Where.
    pub(super) to: HostPort,
    /// The path there, with its query.
    pub(super) path: String,
    /// Who is logged in, at the app of this host.
    pub(super) login: Option<(Name, String)>,
}

/// What a request says of itself beside where it goes.
#[derive(Clone, Debug)]
pub(super) struct Head {
    /// The path, with its query.
    pub(super) path: String,
    /// Whose session or token it has.
    pub(super) session: Option<Name>,
}

/// An answer to a visit.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// The HTTP status.
    pub(super) status: u16,
    /// Bytes of the body.
    pub(super) bytes: u64,
    /// The proxy that answered.
    pub(super) proxy: Name,
    /// The agent that served it.
    pub(super) agent: Option<Name>,
    /// Whether it is a refusal for want of a tunnel.
    pub(super) no_tunnel: bool,
}

impl Message {
    /// Gives why the sender's end is gone, if that is what it says.
    #[expect(clippy::wildcard_enum_match_arm, reason = "few messages are ends")]
    pub(super) const fn ends(&self) -> Option<Cause> {
        match self {
            Self::Fin => Some(Cause::Fin),
            Self::Goodbye(words) => Some(Cause::Said(words)),
            Self::Rst => Some(Cause::Rst),
            _ => None,
        }
    }

    /// Gives a plausible number of bytes, for the counts of flows.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Advice | Self::BeatOpen | Self::BeatOpened | Self::StreamEnd => 100,
            Self::NoDocument(_) => 200,
            Self::Redirect(redirection) => 200 + redirection.path.len() as u64,
            Self::Answer(answer) => 200 + answer.bytes,
            Self::Document => 500,
            Self::Fin | Self::Rst => 0,
            Self::Find | Self::Request | Self::StreamAsk(..) => 250,
            Self::Goodbye(_) | Self::HelloRefused => 50,
            Self::Gossip(proxies) => 60 + 80 * proxies.len() as u64,
            Self::Heartbeat(proxies) => 120 + 40 * proxies.len() as u64,
            Self::LoggedIn => 120,
            Self::Hello => 250,
            Self::HelloDone | Self::HostKey | Self::Login | Self::Ssh => 1_200,
            Self::StreamAnswer(_, bytes) => 150 + bytes,
            Self::StreamOpen(..) | Self::StreamTaken(_) | Self::StreamRefused(..) => 200,
        }
    }
}
