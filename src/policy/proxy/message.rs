//! What an instance of the pool is told and what it asks for.

use crate::model::addr::{ClientAddr, HostPort};
use crate::model::fact::{Act, Cut, Service};
use crate::model::id::{ConnId, Name, RequestId};
use crate::model::teleport::{ConnType, DatabaseRoute, Port};

/// What an agent announces in a heartbeat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Serves {
    /// Its apps.
    pub apps: Vec<Name>,
    /// Its databases.
    pub databases: Vec<Name>,
    /// Ids of the proxies that it is attached to; told with proxy peering (reference 4.3).
    pub proxies: Vec<Name>,
}

/// What a redirect on the way to an app brings; the driver makes the secret, the machine has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// A one-time token for the app of this host, added to the query.
    Launch {
        /// Whose.
        user: Name,
        /// The app's host.
        host: String,
    },
    /// The session cookie for the app of this host.
    Session {
        /// Whose.
        user: Name,
        /// The app's host.
        host: String,
    },
}

/// What an instance is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Another instance passed on what an agent serves.
    Announced {
        /// The agent's host id.
        host_id: Name,
        /// What it serves.
        serves: Serves,
    },
    /// A connection has ended, whatever it was.
    ConnClosed {
        /// The connection.
        conn: ConnId,
    },
    /// A heartbeat came on a tunnel.
    Heartbeat {
        /// The tunnel.
        conn: ConnId,
        /// What the agent serves.
        serves: Serves,
    },
    /// A client showed a certificate that names a database; its TLS stands (reference 3.5, rule 6).
    DatabaseAsked {
        /// Who, as the PROXY header says.
        client: ClientAddr,
        /// What the certificate names.
        route: DatabaseRoute,
    },
    /// A ClientHello was read.
    HelloRead {
        /// The listener that it came in at.
        listener: Port,
        /// Who, as the PROXY header says.
        client: ClientAddr,
        /// Server name indication.
        sni: Option<Name>,
        /// The client's list.
        alpn: Vec<Name>,
    },
    /// An operator acts.
    Operate(Act),
    /// Another instance passes on a request that it has no tunnel for; its TLS stands.
    PeerAsked {
        /// The other instance's name.
        peer: Name,
        /// The user, as the other instance says.
        client: ClientAddr,
        /// What for.
        kind: ConnType,
        /// The app or database.
        resource: Name,
        /// The agent's host id.
        host_id: Name,
    },
    /// A peer took a request that was passed on: bytes may follow.
    PeerTook {
        /// The request.
        request: RequestId,
        /// The peer's name.
        peer: Name,
    },
    /// Another instance left in good order.
    PeerGone {
        /// Its id.
        id: Name,
    },
    /// Another instance gave a sign of life.
    PeerSeen {
        /// Its id.
        id: Name,
    },
    /// The answer to a routed request has ended.
    RequestEnded {
        /// The request.
        request: RequestId,
        /// The status, 0 when the answer was cut.
        status: u16,
        /// Bytes of the body.
        bytes: u64,
    },
    /// The head of a request was read.
    RequestRead {
        /// Who, as the PROXY header says.
        client: ClientAddr,
        /// The `Host` header.
        host: String,
        /// The path with its query, but without a login's token.
        path: String,
        /// Whose session it has: the driver has verified the cookie for this host, or, at
        /// `/x-teleport-auth`, taken the one-time token.
        session: Option<Name>,
    },
    /// Raw SSH began, without TLS.
    SshRead {
        /// The listener that it came in at.
        listener: Port,
        /// Who, as the PROXY header says.
        client: ClientAddr,
    },
    /// An SSH client with a user certificate logged in and asked for remote forwards.
    StandInOpened {
        /// The connection.
        conn: ConnId,
        /// The name in its certificate.
        name: Name,
        /// The names that it forwards.
        resources: Vec<Name>,
    },
    /// The tunnel did not take the stream of a routed request, or brought no answer.
    StreamRefused {
        /// The request.
        request: RequestId,
        /// In words.
        why: String,
        /// Whether the tunnel itself is broken, and not only this stream refused.
        broken: bool,
    },
    /// An agent logged in; its certificate was checked.
    TunnelOpened {
        /// The connection.
        conn: ConnId,
        /// The agent's host id.
        host_id: Name,
    },
    /// A tunnel has ended.
    TunnelClosed {
        /// The tunnel.
        conn: ConnId,
        /// In words.
        why: String,
    },
}

/// What an instance asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Pass on to the other instances what an agent serves.
    Announce {
        /// The agent's host id.
        host_id: Name,
        /// What it serves.
        serves: Serves,
    },
    /// Pass the request on to one of these instances, tried in this order.
    AskPeers {
        /// The request.
        request: RequestId,
        /// Names of instances.
        peers: Vec<Name>,
        /// What for.
        kind: ConnType,
        /// The app or database.
        resource: Name,
        /// The agent's host id.
        host_id: Name,
    },
    /// Advise the agents of these tunnels to reconnect elsewhere.
    Advise {
        /// The tunnels.
        conns: Vec<ConnId>,
    },
    /// Open the listener.
    BeginListening,
    /// Close a tunnel.
    CloseTunnel {
        /// The tunnel.
        conn: ConnId,
    },
    /// Cut every connection.
    CutAll {
        /// With FIN or with RST.
        how: Cut,
    },
    /// Send the list of proxies on these tunnels.
    Gossip {
        /// The tunnels.
        conns: Vec<ConnId>,
        /// Ids of proxies.
        proxies: Vec<Name>,
    },
    /// Tell the other instances of this one.
    Presence {
        /// Whether it is alive, or leaves.
        alive: bool,
    },
    /// The connection gets no service; its TLS ends with `no_application_protocol`.
    RefuseHello {
        /// The connection.
        conn: ConnId,
    },
    /// The request is answered by a redirect.
    Redirect {
        /// Where, by HTTPS.
        to: HostPort,
        /// The path there, with its query.
        path: String,
        /// What the driver gives with it.
        login: Option<Login>,
    },
    /// The request is refused with this status and these words.
    RefuseRequest {
        /// The status.
        status: u16,
        /// Whether it is for want of a tunnel.
        no_tunnel: bool,
        /// In words.
        text: String,
    },
    /// The request goes to this tunnel.
    Route {
        /// The request.
        request: RequestId,
        /// The tunnel.
        conn: ConnId,
        /// What for.
        kind: ConnType,
        /// The app or database.
        app: Name,
        /// The agent.
        agent: Name,
        /// The agent's host id.
        host_id: Name,
    },
    /// The connection gets this service; TLS offers exactly this protocol.
    Serve {
        /// The connection.
        conn: ConnId,
        /// The service.
        service: Service,
        /// The one ALPN name to offer, if any.
        protocol: Option<&'static str>,
    },
    /// The request is for the web API.
    ServeWebApi,
    /// Close the listener.
    StopListening,
}
