//! How the inputs of the five machines are written and read.
//!
//! `policy/` and `model/` know no serde, so their types are mirrored here field by field: the
//! compiler refuses a mirror that has fallen behind. Small enums are written as their words,
//! numbers and addresses as themselves.

mod plain;
mod wire;
mod word;

use std::net::IpAddr;
use std::sync::Arc;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name as DnsName, Record, RecordType};
use serde::{Deserialize, Serialize};

use crate::model::addr::{ClientAddr, HostPort, ListenAddr};
use crate::model::fact::{Act, Cause, Ended, Failure, Purpose, Stage};
use crate::model::id::{ConnId, DialId, FlowId, Name, RequestId};
use crate::model::teleport::{ConnType, DatabaseRoute, Port};
use crate::model::time::Span;
use crate::policy::address::Document;
use crate::policy::principals::{Shown, ShownKind};
use crate::policy::{AnyInput, agent, balancer, conductor, proxy, resolver, user};

/// [`AnyInput`], keyed by the kind of machine.
#[derive(Deserialize, Serialize)]
#[serde(remote = "AnyInput", rename_all = "snake_case")]
pub(super) enum AnyInputShape {
    Agent(#[serde(with = "AgentShape")] agent::Input),
    Balancer(#[serde(with = "BalancerShape")] balancer::Input),
    /// Nobody's decision but the timeline's, which the recording holds: it is not recorded.
    #[serde(skip)]
    Conductor(conductor::Input),
    Proxy(#[serde(with = "ProxyShape")] proxy::Input),
    Resolver(#[serde(with = "ResolverShape")] resolver::Input),
    User(#[serde(with = "UserShape")] user::Input),
}

#[derive(Deserialize, Serialize)]
#[serde(
    remote = "agent::Input",
    rename_all = "snake_case",
    deny_unknown_fields
)]
enum AgentShape {
    Advised {
        #[serde(with = "plain")]
        dial: DialId,
    },
    Connected {
        #[serde(with = "plain")]
        dial: DialId,
        #[serde(with = "word")]
        purpose: Purpose,
        host: String,
        #[serde(with = "plain")]
        address: ListenAddr,
    },
    Failed {
        #[serde(with = "plain")]
        dial: DialId,
        #[serde(with = "word")]
        stage: Stage,
        #[serde(with = "word")]
        cause: Cause,
        error: String,
    },
    FindAnswered {
        #[serde(with = "plain")]
        dial: DialId,
        #[serde(with = "document")]
        document: Arc<Document>,
    },
    Gossip {
        #[serde(with = "plain")]
        dial: DialId,
        proxies: Vec<Name>,
    },
    HostKeyShown {
        #[serde(with = "plain")]
        dial: DialId,
        #[serde(with = "ShownShape")]
        shown: Shown,
        unix_seconds: u64,
    },
    Operate(#[serde(with = "word")] Act),
    Roamed {
        network: Name,
        address: IpAddr,
    },
    StreamAsked {
        #[serde(with = "plain")]
        dial: DialId,
        #[serde(with = "ConnTypeShape")]
        kind: ConnType,
        app: Name,
    },
    StreamCut {
        #[serde(with = "plain")]
        dial: DialId,
        app: Name,
        why: String,
    },
    StreamEnded {
        #[serde(with = "plain")]
        dial: DialId,
    },
    TunnelClosed {
        #[serde(with = "plain")]
        dial: DialId,
        why: String,
    },
    TunnelUp {
        #[serde(with = "plain")]
        dial: DialId,
        #[serde(with = "plain")]
        address: ListenAddr,
    },
}

#[derive(Deserialize, Serialize)]
#[serde(
    remote = "balancer::Input",
    rename_all = "snake_case",
    deny_unknown_fields
)]
enum BalancerShape {
    Accepted {
        #[serde(with = "plain")]
        client: ClientAddr,
        #[serde(with = "plain")]
        listener: ListenAddr,
    },
    Checked {
        check: u64,
        proxy: u32,
        error: Option<String>,
    },
    ConnectFailed {
        #[serde(with = "plain")]
        flow: FlowId,
        error: String,
    },
    Connected {
        #[serde(with = "plain")]
        flow: FlowId,
        #[serde(with = "plain_option")]
        from: Option<ClientAddr>,
    },
    FlowEnded {
        #[serde(with = "plain")]
        flow: FlowId,
        up: u64,
        down: u64,
        #[serde(with = "word")]
        how: Ended,
    },
    Operated {
        #[serde(with = "word")]
        act: Act,
    },
}

#[derive(Deserialize, Serialize)]
#[serde(
    remote = "proxy::Input",
    rename_all = "snake_case",
    deny_unknown_fields
)]
enum ProxyShape {
    Announced {
        host_id: Name,
        #[serde(with = "ServesShape")]
        serves: proxy::Serves,
    },
    ConnClosed {
        #[serde(with = "plain")]
        conn: ConnId,
    },
    Heartbeat {
        #[serde(with = "plain")]
        conn: ConnId,
        #[serde(with = "ServesShape")]
        serves: proxy::Serves,
    },
    DatabaseAsked {
        #[serde(with = "plain")]
        client: ClientAddr,
        #[serde(with = "DatabaseRouteShape")]
        route: DatabaseRoute,
    },
    HelloRead {
        #[serde(with = "PortShape")]
        listener: Port,
        #[serde(with = "plain")]
        client: ClientAddr,
        sni: Option<Name>,
        alpn: Vec<Name>,
    },
    Operate(#[serde(with = "word")] Act),
    PeerAsked {
        peer: Name,
        #[serde(with = "plain")]
        client: ClientAddr,
        #[serde(with = "ConnTypeShape")]
        kind: ConnType,
        resource: Name,
        host_id: Name,
    },
    PeerTook {
        #[serde(with = "plain")]
        request: RequestId,
        peer: Name,
    },
    PeerGone {
        id: Name,
    },
    PeerSeen {
        id: Name,
    },
    RequestEnded {
        #[serde(with = "plain")]
        request: RequestId,
        status: u16,
        bytes: u64,
    },
    RequestRead {
        #[serde(with = "plain")]
        client: ClientAddr,
        host: String,
        path: String,
        session: Option<Name>,
    },
    SshRead {
        #[serde(with = "PortShape")]
        listener: Port,
        #[serde(with = "plain")]
        client: ClientAddr,
    },
    StandInOpened {
        #[serde(with = "plain")]
        conn: ConnId,
        name: Name,
        resources: Vec<Name>,
    },
    StreamRefused {
        #[serde(with = "plain")]
        request: RequestId,
        why: String,
        broken: bool,
    },
    TunnelOpened {
        #[serde(with = "plain")]
        conn: ConnId,
        host_id: Name,
    },
    TunnelClosed {
        #[serde(with = "plain")]
        conn: ConnId,
        why: String,
    },
}

#[derive(Deserialize, Serialize)]
#[serde(
    remote = "resolver::Input",
    rename_all = "snake_case",
    deny_unknown_fields
)]
enum ResolverShape {
    Answered {
        forward: u64,
        #[serde(with = "ReplyShape")]
        reply: resolver::Reply,
    },
    Asked {
        ask: u64,
        #[serde(with = "plain")]
        client: ClientAddr,
        #[serde(with = "wire")]
        name: DnsName,
        #[serde(with = "plain")]
        record_type: RecordType,
    },
    Failed {
        forward: u64,
    },
    Floor(#[serde(with = "plain_option")] Option<Span>),
    Operate(#[serde(with = "word")] Act),
    Roamed {
        network: Name,
        address: IpAddr,
    },
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "resolver::Reply", deny_unknown_fields)]
struct ReplyShape {
    #[serde(with = "plain")]
    rcode: ResponseCode,
    #[serde(with = "wire::list")]
    records: Vec<Record>,
    #[serde(with = "wire::option")]
    soa: Option<Box<Record>>,
    /// A lab's resolver takes none from the lab's DNS server.
    #[serde(skip)]
    errors: Vec<resolver::Extended>,
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "user::Input", rename_all = "snake_case", deny_unknown_fields)]
enum UserShape {
    Answered {
        #[serde(with = "plain")]
        request: RequestId,
        status: u16,
        bytes: u64,
        proxy: Option<Name>,
        agent: Option<Name>,
        no_tunnel: bool,
    },
    Connected {
        #[serde(with = "plain")]
        request: RequestId,
        #[serde(with = "word")]
        purpose: Purpose,
        host: String,
        #[serde(with = "plain")]
        address: ListenAddr,
    },
    Failed {
        #[serde(with = "plain")]
        request: RequestId,
        #[serde(with = "word")]
        reason: Failure,
        error: String,
    },
    LoggedIn {
        #[serde(with = "plain")]
        request: RequestId,
    },
    MeshComplete,
    PingAnswered {
        attempt: u64,
        #[serde(with = "HostPortShape")]
        asked: HostPort,
        #[serde(with = "document")]
        document: Arc<Document>,
    },
    PingFailed {
        attempt: u64,
        #[serde(with = "word")]
        reason: Failure,
        error: String,
    },
    Redirected {
        #[serde(with = "plain")]
        request: RequestId,
        #[serde(with = "HostPortShape")]
        to: HostPort,
    },
    Operate(#[serde(with = "word")] Act),
    Roamed {
        network: Name,
        address: IpAddr,
    },
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "proxy::Serves", deny_unknown_fields)]
struct ServesShape {
    apps: Vec<Name>,
    databases: Vec<Name>,
    proxies: Vec<Name>,
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "DatabaseRoute", deny_unknown_fields)]
struct DatabaseRouteShape {
    user: Name,
    service: Name,
    database: Name,
    protocol: Name,
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "HostPort", deny_unknown_fields)]
struct HostPortShape {
    host: Name,
    port: u16,
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "Port", rename_all = "snake_case")]
enum PortShape {
    Web,
    Tunnel,
    Ssh,
    Kube,
    Mysql,
    Postgres,
    Mongo,
    Peer,
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "ConnType", rename_all = "snake_case")]
enum ConnTypeShape {
    App,
    Db,
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "Document", deny_unknown_fields)]
struct DocumentShape {
    tls_routing: bool,
    cluster_name: String,
    public_addr: String,
    web_listen_addr: String,
    ssh_public_addr: String,
    ssh_listen_addr: String,
    tunnel_public_addr: String,
    tunnel_listen_addr: String,
    kube_public_addr: String,
    kube_listen_addr: String,
    postgres_public_addr: String,
    postgres_listen_addr: String,
    mysql_public_addr: String,
    mysql_listen_addr: String,
    mongo_public_addr: String,
    mongo_listen_addr: String,
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "Shown", deny_unknown_fields)]
struct ShownShape {
    #[serde(with = "ShownKindShape")]
    kind: ShownKind,
    key_id: String,
    principals: Vec<String>,
    ca_known: bool,
    signature_valid: bool,
    valid_after: u64,
    valid_before: u64,
    critical_options: Vec<String>,
    role: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(remote = "ShownKind", rename_all = "snake_case")]
enum ShownKindShape {
    HostCertificate,
    PlainKey,
    UserCertificate,
}

/// A document that is shared.
mod document {
    use std::sync::Arc;

    use serde::{Deserializer, Serializer};

    use super::{Document, DocumentShape};

    pub(super) fn serialize<S: Serializer>(
        value: &Arc<Document>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        DocumentShape::serialize(value, to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Arc<Document>, D::Error> {
        DocumentShape::deserialize(from).map(Arc::new)
    }
}

/// What [`plain`] writes, where it may be missing.
mod plain_option {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::plain::Plain;

    #[expect(clippy::ref_option, reason = "serde's signature")]
    pub(super) fn serialize<T: Plain, S: Serializer>(
        value: &Option<T>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(Plain::inner).serialize(to)
    }

    pub(super) fn deserialize<'de, T: Plain, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<T>, D::Error> {
        Ok(Option::<T::Inner>::deserialize(from)?.map(T::wrap))
    }
}
