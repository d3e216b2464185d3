//! What can be observed of a lab: one closed list of facts.
//!
//! Facts are made in `policy/`, by the machine that decided; live makes only the measured ones.
//! Snapshot, metrics, log and page are folds over facts, so all of them show the same words.

mod text;

use std::net::IpAddr;

use super::addr::{ClientAddr, HostPort, ListenAddr};
use super::fault::Fault;
use super::id::{ConnId, DialId, FaultId, FlowId, Generation, Name, Node, RequestId, Seq};
use super::network::Element;
use super::teleport::Port;
use super::time::{Span, Time};
use super::topology::Role;

/// One observation.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// Its place in the journal.
    pub seq: Seq,
    /// When it happened.
    pub at: Time,
    /// Who says so.
    pub node: Node,
    /// What happened.
    pub kind: Kind,
}

/// What happened. Grouped by who says it; the comment of each names who makes it.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    // The lab.
    /// Everything listens.
    Ready,
    /// New rules are in force in all views.
    Reloaded {
        /// Their generation.
        generation: Generation,
        /// The views and whom each lets in, in order.
        views: Vec<(Name, Vec<Element>)>,
        /// What changed, to be read: views and whom they let in, and names whose records differ
        /// as `view/name`; bounded, empty when nothing changed.
        changed: Vec<String>,
    },
    /// A reload was refused and the old rules stay.
    ReloadRefused {
        /// Each mistake with its place.
        mistakes: Vec<String>,
    },
    /// Every agent holds a tunnel to every proxy, for the first time.
    MeshComplete {
        /// From `Ready` to now.
        after: Span,
    },
    /// An operator stopped, started or drained a node.
    Operated {
        /// Which act.
        act: Act,
    },
    /// A node that was told to drain has nothing left open.
    Drained,
    /// The pool shows another web certificate.
    CertificateChanged {
        /// Its names.
        names: Vec<Name>,
    },
    /// A fault is in force.
    FaultSet {
        /// Its number.
        fault: FaultId,
        /// What it is.
        what: Fault,
        /// When it ends by itself.
        until: Option<Time>,
    },
    /// A fault is lifted.
    FaultLifted {
        /// Its number.
        fault: FaultId,
        /// What it was.
        what: Fault,
    },
    /// A question that an expectation asks was answered.
    Probed(Box<Probed>),
    /// The timeline of a run is played from here on.
    RunBegan {
        /// When the run is over at the latest.
        ends: Time,
    },
    /// A step of the timeline begins, perhaps again.
    StepBegan {
        /// Its place in the timeline, from 0.
        step: u32,
    },
    /// A step of the timeline has ended, and does not begin again.
    StepEnded {
        /// Its place in the timeline, from 0.
        step: u32,
    },
    /// A run is over.
    RunEnded {
        /// In words: `the timeline is played`.
        why: &'static str,
    },
    /// Something that an operator should know; its text stands beside its rule.
    Finding {
        /// Its identifier: `role-follows-network`.
        id: &'static str,
        /// The case in words.
        detail: String,
    },

    // The DNS server. Traffic: counted exactly, shown as a bounded sample.
    /// So many answers were given since the last such fact.
    DnsCounted {
        /// The view, `None` when no view matched.
        view: Option<Name>,
        /// The element that matched.
        rule: Option<Name>,
        /// The response code: `NOERROR`.
        rcode: Name,
        /// How many.
        count: u64,
    },
    /// How messages came and went since the last such fact.
    DnsCarried(DnsTraffic),
    /// So many questions that were passed on to other servers were answered since the last such fact.
    DnsForwarded {
        /// The view.
        view: Name,
        /// What came of them, from a closed list: `answered`, `cached`, `failed`, `refused_full`,
        /// `timeout`.
        result: &'static str,
        /// How many.
        count: u64,
        /// How long their askers waited, all together.
        waited: Span,
    },
    /// One answer, whole; a sample.
    DnsAnswered(Box<DnsAnswered>),

    // A balancer.
    /// A client was let in.
    FlowOpened {
        /// The connection.
        flow: FlowId,
        /// Who.
        client: ClientAddr,
        /// The network that holds the client, if any.
        network: Option<Name>,
        /// Where it came in.
        listener: ListenAddr,
    },
    /// A client was refused with RST at accept.
    ClientRefused {
        /// Who.
        client: ClientAddr,
        /// The network that holds the client, if any.
        network: Option<Name>,
        /// Where it came in.
        listener: ListenAddr,
        /// What turned it away.
        why: Refused,
    },
    /// A flow was connected to an instance.
    FlowConnected {
        /// The connection.
        flow: FlowId,
        /// The instance.
        proxy: Name,
        /// The balancer's own address of the second connection.
        from: Option<ClientAddr>,
        /// Which try this was, from 1.
        attempt: u32,
        /// Why this instance.
        why: Chosen,
    },
    /// A connect to an instance failed.
    ConnectFailed {
        /// The connection.
        flow: FlowId,
        /// The instance.
        proxy: Name,
        /// In words.
        error: String,
    },
    /// A flow found no instance and was closed.
    NoBackend {
        /// The connection.
        flow: FlowId,
        /// How many instances were tried.
        tried: u32,
    },
    /// A flow ended.
    FlowClosed {
        /// The connection.
        flow: FlowId,
        /// The instance, if it had one.
        proxy: Option<Name>,
        /// Bytes from the client.
        up: u64,
        /// Bytes to the client.
        down: u64,
        /// How it ended.
        how: Ended,
    },
    /// A check of an instance ended. Traffic: a sample that is whole where few instances are checked.
    Checked {
        /// The instance.
        proxy: Name,
        /// How long it took.
        took: Span,
        /// Why it failed, in words; `None` when it passed.
        error: Option<String>,
        /// How many checks of this instance ended untold before this one.
        untold: u64,
    },
    /// This balancer's opinion of an instance flipped.
    HealthChanged {
        /// The instance.
        proxy: Name,
        /// The new opinion.
        to: Health,
        /// What made it flip, in words: `3 checks failed in a row: connection refused`.
        cause: String,
    },

    // A proxy.
    /// A ClientHello was read and a service chosen.
    ServiceChosen {
        /// The connection.
        conn: ConnId,
        /// The listener that it came in at.
        listener: Port,
        /// Who, as the PROXY header says.
        client: ClientAddr,
        /// Server name indication.
        sni: Option<Name>,
        /// The client's list.
        alpn: Vec<Name>,
        /// The service; `None` when the connection was refused.
        service: Option<Service>,
        /// Why.
        why: &'static str,
    },
    /// A connection did not get to its service.
    ConnRefused {
        /// The connection.
        conn: ConnId,
        /// Who, as far as known.
        client: Option<ClientAddr>,
        /// In words.
        why: String,
    },
    /// An agent's tunnel is registered.
    TunnelRegistered {
        /// The connection.
        conn: ConnId,
        /// The agent.
        agent: Name,
    },
    /// An agent's tunnel is gone.
    TunnelRemoved {
        /// The connection.
        conn: ConnId,
        /// The agent.
        agent: Name,
        /// In words.
        why: String,
    },
    /// A tunnel had no heartbeat for so long that it is invalid: a last resort.
    TunnelOffline {
        /// The connection.
        conn: ConnId,
        /// The agent.
        agent: Name,
        /// Since its last heartbeat.
        silent: Span,
    },
    /// A stand-in, an SSH client with a user certificate, holds a tunnel without heartbeats.
    StandInRegistered {
        /// The connection.
        conn: ConnId,
        /// The name in its certificate.
        name: Name,
        /// What it serves.
        resources: Vec<Name>,
    },
    /// A user logged in on the way to an app.
    SessionBegun {
        /// Who, as the PROXY header says.
        client: ClientAddr,
        /// The app.
        app: Name,
        /// The name of the session's user.
        user: Name,
    },
    /// A user request was passed on to another instance, which has a tunnel.
    Peered {
        /// The request.
        request: RequestId,
        /// Who asked.
        client: ClientAddr,
        /// The app or database.
        app: Name,
        /// The instance.
        peer: Name,
        /// Why this one.
        why: &'static str,
    },
    /// The list of proxies was sent to agents.
    GossipSent {
        /// How many tunnels it was sent to.
        tunnels: u32,
        /// How many proxies it names.
        proxies: u32,
    },
    /// A user request was given to a tunnel.
    Routed {
        /// The request.
        request: RequestId,
        /// Who asked.
        client: ClientAddr,
        /// The app.
        app: Name,
        /// The agent whose tunnel took it.
        agent: Name,
        /// The tunnel.
        conn: ConnId,
        /// Why this tunnel.
        why: &'static str,
    },
    /// A user request found no tunnel here, or the tunnel that it got was going or gone; it was
    /// refused, and this is its end.
    NoTunnel {
        /// The request.
        request: RequestId,
        /// Who asked.
        client: ClientAddr,
        /// The app.
        app: Name,
        /// The words that the user sees.
        text: String,
    },
    /// A routed request ended.
    RequestEnded {
        /// The request.
        request: RequestId,
        /// The status that the user got, 0 when the answer was cut.
        status: u16,
        /// Bytes of the body.
        bytes: u64,
        /// From the request's head to the end of the answer.
        took: Span,
    },

    // An agent.
    /// The tunnel address was worked out.
    AddressFound {
        /// The attempt.
        dial: DialId,
        /// Name and port to dial.
        address: HostPort,
        /// The rule that won, with its place in the reference.
        rule: &'static str,
        /// Whether the answer to find was younger than 3 s and used again.
        cached: bool,
    },
    /// A name was resolved and a connection made: the door used.
    DoorUsed {
        /// The agent's attempt or the user's visit, numbered by the node.
        attempt: u64,
        /// What for.
        purpose: Purpose,
        /// The name that was resolved.
        host: Name,
        /// The address that the answer held.
        address: ListenAddr,
        /// The balancer that listens there; `None` when none of the lab does.
        balancer: Option<Name>,
        /// The client's own network.
        network: Name,
    },
    /// A tunnel stands: the proxy is claimed and the first heartbeat sent.
    Claimed {
        /// The attempt.
        dial: DialId,
        /// The proxy.
        proxy: Name,
        /// The door that it goes through.
        balancer: Option<Name>,
        /// The SSH principal that was verified.
        principal: Name,
        /// Tunnels of this agent now.
        tunnels: u32,
        /// Since this agent's last tunnel to that proxy was lost; `None` for the first.
        gap: Option<Span>,
    },
    /// An attempt ended without a tunnel.
    DialFailed {
        /// The attempt.
        dial: DialId,
        /// How far it came.
        stage: Stage,
        /// What kind of failure, from a closed list.
        cause: Cause,
        /// In words.
        error: String,
    },
    /// A tunnel was lost or given up.
    TunnelLost {
        /// The attempt that had made it.
        dial: DialId,
        /// The proxy.
        proxy: Name,
        /// In words.
        why: String,
        /// Tunnels of this agent now.
        tunnels: u32,
    },
    /// The next attempt waits.
    BackingOff {
        /// So long.
        wait: Span,
        /// The number of waits in a row.
        step: u32,
    },
    /// A proxy advised to reconnect elsewhere; the tunnel drains.
    Advised {
        /// The proxy.
        proxy: Name,
    },
    /// The list of proxies changed: gossip named a new one, or one expired.
    ProxiesKnown {
        /// How many are known now.
        known: u32,
        /// Why it changed, in words.
        why: &'static str,
    },
    /// A stream of a tunnel was cut at its bound because nobody read it.
    StreamCut {
        /// What was served.
        app: Name,
        /// In words.
        why: String,
    },

    // A resolver.
    /// A question was answered to a client.
    Resolved(Box<Resolved>),

    // An agent or a user.
    /// It moved to another network; what it had open is gone.
    Roamed {
        /// The network.
        network: Name,
        /// Its address there.
        address: IpAddr,
    },

    // A user.
    /// Ping was answered: the user goes to the advertised name from now on (reference 5).
    Pinged {
        /// The user's attempt.
        attempt: u64,
        /// Whom they asked.
        asked: HostPort,
        /// What was advertised.
        web: HostPort,
    },
    /// A visit without a session was sent to the login.
    Redirected {
        /// The visit.
        request: RequestId,
        /// The app.
        app: Name,
        /// Where the login is.
        to: HostPort,
    },
    /// A visit was answered.
    VisitAnswered(Box<VisitAnswered>),
    /// A visit failed.
    VisitFailed {
        /// The visit.
        request: RequestId,
        /// The app.
        app: Name,
        /// The door, as far as it came.
        balancer: Option<Name>,
        /// The reason, from a closed list.
        reason: Failure,
        /// In words.
        error: String,
    },
}

impl Kind {
    /// Tells whether it is traffic: counted or sampled, so that nobody's decision hangs on it.
    pub const fn is_traffic(&self) -> bool {
        matches!(
            self,
            Self::Checked { .. }
                | Self::DnsAnswered(_)
                | Self::DnsCarried(_)
                | Self::DnsCounted { .. }
                | Self::DnsForwarded { .. }
        )
    }
}

/// How messages of the DNS server came and went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DnsTraffic {
    /// Messages that came in datagrams.
    pub udp: u64,
    /// Messages that came in streams.
    pub tcp: u64,
    /// Answers that did not fit (TC).
    pub truncated: u64,
    /// Messages that could not be read, of those that came.
    pub malformed: u64,
    /// Queries that the query log had no room for.
    pub unlogged: u64,
    /// Datagrams that the system dropped because no worker took them in time.
    pub overflowed: u64,
    /// Connections that were not served: their client has too many.
    pub refused_client: u64,
    /// Connections that were not served: there are too many, and none is idle.
    pub refused_total: u64,
    /// Idle connections that made room for others.
    pub evicted: u64,
    /// Connections that were silent for too long.
    pub idle: u64,
    /// Connections that took too long to send a message, or to read an answer.
    pub slow: u64,
}

impl DnsTraffic {
    /// Adds what came since.
    pub fn add(&mut self, more: Self) {
        let Self {
            udp,
            tcp,
            truncated,
            malformed,
            unlogged,
            overflowed,
            refused_client,
            refused_total,
            evicted,
            idle,
            slow,
        } = more;
        self.udp += udp;
        self.tcp += tcp;
        self.truncated += truncated;
        self.malformed += malformed;
        self.unlogged += unlogged;
        self.overflowed += overflowed;
        self.refused_client += refused_client;
        self.refused_total += refused_total;
        self.evicted += evicted;
        self.idle += idle;
        self.slow += slow;
    }

    /// Gives what came since an earlier count.
    #[must_use]
    pub const fn since(self, before: Self) -> Self {
        Self {
            udp: self.udp.saturating_sub(before.udp),
            tcp: self.tcp.saturating_sub(before.tcp),
            truncated: self.truncated.saturating_sub(before.truncated),
            malformed: self.malformed.saturating_sub(before.malformed),
            unlogged: self.unlogged.saturating_sub(before.unlogged),
            overflowed: self.overflowed.saturating_sub(before.overflowed),
            refused_client: self.refused_client.saturating_sub(before.refused_client),
            refused_total: self.refused_total.saturating_sub(before.refused_total),
            evicted: self.evicted.saturating_sub(before.evicted),
            idle: self.idle.saturating_sub(before.idle),
            slow: self.slow.saturating_sub(before.slow),
        }
    }
}

/// One DNS answer as the journal keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct DnsAnswered {
    /// Who asked.
    pub client: ClientAddr,
    /// The node of the scenario with that address, if any.
    pub asker: Option<Node>,
    /// The address and length of a client-subnet option, whether honoured or not.
    pub subnet: Option<String>,
    /// `udp` or `tcp`.
    pub transport: &'static str,
    /// The name asked, absolute.
    pub name: String,
    /// The type asked.
    pub rtype: String,
    /// The view, `None` when no view matched.
    pub view: Option<Name>,
    /// The element that matched.
    pub rule: Option<Name>,
    /// The response code.
    pub rcode: Name,
    /// The answer section, `TYPE DATA` a record.
    pub answer: Vec<String>,
    /// The step that gave the answer, in words: `exact match`, `wildcard *.example.com.`.
    pub why: String,
    /// From the question read to the answer sent, a fault's delay included; `None` where there is
    /// nothing to measure: a fault took the answer away, or other servers were asked.
    pub took: Option<Span>,
}

/// One answer of a resolver.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// Who asked.
    pub client: ClientAddr,
    /// The name asked, absolute.
    pub name: Name,
    /// The type asked.
    pub rtype: Name,
    /// Whether it came from the cache.
    pub cached: bool,
    /// The response code.
    pub rcode: Name,
    /// The seconds that the client may keep it.
    pub ttl: u32,
    /// The answer section, `TYPE DATA` a record.
    pub answer: Vec<Name>,
}

/// What an expectation's question was answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Probed {
    /// The expectation, by its index.
    pub expectation: u32,
    /// Who asked.
    pub from: IpAddr,
    /// The name asked, absolute.
    pub name: Name,
    /// The type asked.
    pub rtype: Name,
    /// The view that answered, where the asker can know it.
    pub view: Option<Name>,
    /// The response code; `None` when there was no answer.
    pub rcode: Option<Name>,
    /// The answer's data, of the type asked.
    pub answer: Vec<Name>,
}

/// One visit that was answered, whatever the status.
#[derive(Clone, Debug, PartialEq)]
pub struct VisitAnswered {
    /// The visit.
    pub request: RequestId,
    /// The app.
    pub app: Name,
    /// The door.
    pub balancer: Option<Name>,
    /// The user's own network.
    pub network: Name,
    /// The proxy that answered, as its response header says.
    pub proxy: Option<Name>,
    /// The agent that served it, as its response header says.
    pub agent: Option<Name>,
    /// The HTTP status.
    pub status: u16,
    /// Bytes of the body.
    pub bytes: u64,
    /// From the start to the last byte, the name's resolution included.
    pub took: Span,
}

/// An operator's act on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Accept nothing new, let what is open finish.
    Drain,
    /// Close the listener and reset what is open, as a process that is killed.
    Kill,
    /// Begin again.
    Start,
    /// Close the listener and cut what is open.
    Stop,
}

/// Why a balancer chose an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// The next candidate after a connect failed.
    AfterFailure,
    /// It had the fewest open connections.
    FewestConnections {
        /// How many.
        open: u32,
    },
    /// Its turn.
    Turn,
}

/// Why a door turned a client away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A negated element of `allow` holds it: `!10.1.0.0/16`.
    Denied(Name),
    /// The door is draining.
    Draining,
    /// The door has as many flows as it takes.
    Full,
    /// No element of `allow` holds it; the list as it was written: `[internal, office]`.
    NotAllowed(Name),
    /// The door was stopped.
    Stopped,
}

impl Refused {
    /// Gives the word of the case.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Denied(_) => "denied",
            Self::Draining => "draining",
            Self::Full => "full",
            Self::NotAllowed(_) => "not_allowed",
            Self::Stopped => "stopped",
        }
    }

    /// Gives the rule, where the client's address was the reason: `allow: !10.1.0.0/16`.
    pub fn rule(&self) -> Option<String> {
        match self {
            Self::Denied(rule) | Self::NotAllowed(rule) => Some(format!("allow: {rule}")),
            Self::Draining | Self::Full | Self::Stopped => None,
        }
    }
}

/// How a flow ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The balancer was stopped or killed, or a fault reset it.
    Cut,
    /// Both sides had finished.
    Finished,
    /// The backend reset or broke it.
    BackendError,
    /// The client reset or broke it.
    ClientError,
}

/// A balancer's opinion of an instance (HAProxy's words).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Failed `fall` checks in a row.
    Down,
    /// Up, with failed checks that are not yet enough.
    Falling,
    /// Down, with passed checks that are not yet enough.
    Rising,
    /// Never checked.
    Unknown,
    /// Passed `rise` checks in a row.
    Up,
}

/// How everything that is open is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// With FIN, as an ending process does.
    Finish,
    /// With RST.
    Reset,
}

/// The service that a proxy chose by listener, ALPN and server name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// `teleport-postgres` and its like, or a client certificate with a database in it.
    Database,
    /// Another instance of the pool, on its own listener.
    Peer,
    /// `teleport-reversetunnel`, or raw SSH on the tunnel listener: an agent.
    ReverseTunnel,
    /// SSH of users.
    Ssh,
    /// `teleport-tcp`: an app that is not HTTP.
    Tcp,
    /// `http/1.1`, `h2` or no ALPN: the web API and the apps.
    Web,
    /// The same on the tunnel listener: find and ping alone.
    WebMinimal,
}

/// What a connection was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// An agent asked `/webapi/find`.
    Find,
    /// A user was sent to the login.
    Launch,
    /// A user asked `/webapi/ping`.
    Ping,
    /// An agent dialled a tunnel.
    Tunnel,
    /// A user visited an app.
    Visit,
}

/// What kind of failure ended an attempt. One word for each that has its own cure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The name does not exist.
    NoSuchName,
    /// The name exists and has no address.
    NoAddress,
    /// The DNS server refused: no view for this source, or no zone.
    DnsRefused,
    /// The DNS server failed.
    DnsFailed,
    /// The DNS server did not answer.
    DnsTimeout,
    /// The address to dial has no port.
    NoPort,
    /// TCP was refused: nobody listens there.
    ConnectRefused,
    /// TCP was not answered.
    ConnectTimeout,
    /// TCP failed otherwise, or the connection was reset or ended before TLS had begun to answer.
    Connect,
    /// The web certificate is for other names.
    TlsName,
    /// The web certificate is signed by an authority that is not trusted.
    TlsAuthority,
    /// The proxy serves none of the offered protocols, or chose none.
    Alpn,
    /// TLS failed otherwise.
    Tls,
    /// Find did not give an address.
    Find,
    /// The host key is no host certificate.
    HostKey,
    /// The host certificate is signed by an authority that is not trusted.
    HostAuthority,
    /// The host certificate is for other names.
    Principal,
    /// The host certificate is not valid now, or broken.
    HostCertificate,
    /// The proxy refused the agent's login, or SSH failed otherwise.
    Ssh,
    /// Another tunnel of this agent goes to that proxy.
    Claimed,
    /// It took too long after TCP stood.
    Timeout,
}

/// How far an attempt came. In order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The name.
    Resolve,
    /// TCP.
    Connect,
    /// TLS: name, trust, ALPN.
    Tls,
    /// `/webapi/find`.
    Find,
    /// The SSH host certificate, or the login.
    Ssh,
    /// The claim: another tunnel to the same proxy stands already.
    Claim,
}

/// Why a visit failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// TCP was refused, reset or not answered.
    Connect,
    /// The connection stood, and was cut before the answer was whole.
    Cut,
    /// The proxy had no tunnel to the agent.
    NoTunnel,
    /// The name had no address.
    Resolve,
    /// The proxy answered with another error.
    Status,
    /// It took too long.
    Timeout,
    /// TLS failed.
    Tls,
}

macro_rules! words {
    ($($name:ident { $($variant:ident => $word:literal),* $(,)? })*) => {$(
        impl $name {
            /// Every value, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Gives the one word that faces show.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),*
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.word())
            }
        }
    )*};
}

words! {
    Act { Drain => "drain", Kill => "kill", Start => "start", Stop => "stop" }
    Ended { Cut => "cut", Finished => "finished", BackendError => "backend_error", ClientError => "client_error" }
    Failure {
        Connect => "connect", Cut => "cut", NoTunnel => "no_tunnel", Resolve => "resolve",
        Status => "status", Timeout => "timeout", Tls => "tls",
    }
    Health { Down => "down", Falling => "falling", Rising => "rising", Unknown => "unknown", Up => "up" }
    Cause {
        NoSuchName => "no_such_name", NoAddress => "no_address", DnsRefused => "dns_refused",
        DnsFailed => "dns_failed", DnsTimeout => "dns_timeout", NoPort => "no_port",
        ConnectRefused => "connect_refused", ConnectTimeout => "connect_timeout",
        Connect => "connect", TlsName => "tls_name", TlsAuthority => "tls_authority",
        Alpn => "alpn", Tls => "tls", Find => "find", HostKey => "host_key",
        HostAuthority => "host_authority", Principal => "principal",
        HostCertificate => "host_certificate", Ssh => "ssh", Claimed => "claimed",
        Timeout => "timeout",
    }
    Purpose {
        Find => "find", Launch => "launch", Ping => "ping", Tunnel => "tunnel", Visit => "visit",
    }
    Role { Agents => "agents", Users => "users" }
    Service {
        Database => "database", Peer => "peer", ReverseTunnel => "reverse_tunnel", Ssh => "ssh",
        Tcp => "tcp", Web => "web", WebMinimal => "web_minimal",
    }
    Stage {
        Resolve => "resolve", Connect => "connect", Tls => "tls", Find => "find", Ssh => "ssh",
        Claim => "claim",
    }
}

impl Health {
    /// Tells whether the balancer sends new connections there.
    pub const fn usable(self) -> bool {
        matches!(self, Self::Falling | Self::Up)
    }
}

impl std::fmt::Display for Chosen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AfterFailure => f.write_str("next candidate"),
            Self::FewestConnections { open } => write!(f, "fewest connections ({open} open)"),
            Self::Turn => f.write_str("its turn"),
        }
    }
}
