//! What Teleport's own files say, with its defaults filled in: plain data, no text any more.
//!
//! Made by `scenario/teleport`; read by `policy/address`, `policy/principals`, `policy/findings`,
//! the machines and their drivers. Keys are named as in `teleport.yaml`, without `_addr`.

use super::addr::HostPort;
use super::id::Name;
use super::time::Span;

/// The default of `keep_alive_interval` (Teleport `api-defaults`).
pub const KEEP_ALIVE: Span = Span::from_secs(300);

/// The default of `keep_alive_count_max` (Teleport `netcfg`).
pub const KEEP_ALIVE_MAX: u32 = 3;

/// How long an agent uses an answer to find again (Teleport `CachingResolver`).
pub const FIND_CACHE: Span = Span::from_secs(3);

/// `version` of a file; a file without one is v1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// Fills in listeners for SSH and tunnels.
    #[default]
    V1,
    /// Has only the listeners that are written.
    V2,
    /// As v2; agents name `proxy_server` or `auth_server`.
    V3,
}

/// `auth_service.proxy_listener_mode`, of the cluster as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListenerMode {
    /// TLS routing: one port for everything.
    Multiplex,
    /// A port for each protocol; what the absent key means.
    #[default]
    Separate,
}

/// `proxy_protocol`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// A header is refused.
    Off,
    /// A header is demanded.
    On,
    /// Both are taken; with a header the source port is lost.
    #[default]
    Unset,
}

/// What a door says about the client before the client's own bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SendProxy {
    /// Nothing: the pool sees the door's own address.
    None,
    /// A line of text.
    V1,
    /// Version 2; checks say LOCAL.
    #[default]
    V2,
}

/// A listener of a proxy instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Port {
    /// `web_listen_addr`, 3080; with TLS routing the one for everything.
    Web,
    /// `tunnel_listen_addr`, 3024: raw SSH, and a minimal web API over TLS.
    Tunnel,
    /// `listen_addr`, 3023: SSH of users.
    Ssh,
    /// `kube_listen_addr`, 3026.
    Kube,
    /// `mysql_listen_addr`, 3036.
    Mysql,
    /// `postgres_listen_addr`, 5432.
    Postgres,
    /// `mongo_listen_addr`, 27017.
    Mongo,
    /// `peer_listen_addr`, 3021: other instances of the pool.
    Peer,
}

impl Port {
    /// Every listener, in the order in which they are shown.
    pub const ALL: [Self; 8] = [
        Self::Web,
        Self::Tunnel,
        Self::Ssh,
        Self::Kube,
        Self::Mysql,
        Self::Postgres,
        Self::Mongo,
        Self::Peer,
    ];

    /// Gives the word that faces show.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Tunnel => "tunnel",
            Self::Ssh => "ssh",
            Self::Kube => "kube",
            Self::Mysql => "mysql",
            Self::Postgres => "postgres",
            Self::Mongo => "mongo",
            Self::Peer => "peer",
        }
    }

    /// Gives the key of `proxy_service` that says where it listens.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Web => "web_listen_addr",
            Self::Tunnel => "tunnel_listen_addr",
            Self::Ssh => "listen_addr",
            Self::Kube => "kube_listen_addr",
            Self::Mysql => "mysql_listen_addr",
            Self::Postgres => "postgres_listen_addr",
            Self::Mongo => "mongo_listen_addr",
            Self::Peer => "peer_listen_addr",
        }
    }

    /// Gives Teleport's default port (`lib/defaults`).
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Web => 3080,
            Self::Tunnel => 3024,
            Self::Ssh => 3023,
            Self::Kube => 3026,
            Self::Mysql => 3036,
            Self::Postgres => 5432,
            Self::Mongo => 27017,
            Self::Peer => 3021,
        }
    }
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.word())
    }
}

/// What a tunnel is for: the `conn_type` of a dial request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConnType {
    /// An app.
    App,
    /// A database.
    Db,
}

impl ConnType {
    /// Gives Teleport's word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Db => "db",
        }
    }

    /// Reads Teleport's word.
    pub fn read(word: &str) -> Option<Self> {
        [Self::App, Self::Db]
            .into_iter()
            .find(|known| known.word() == word)
    }
}

/// A database as a client certificate names it (`RouteToDatabase`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseRoute {
    /// Who asks.
    pub user: Name,
    /// The database service: `db_service.databases[].name`.
    pub service: Name,
    /// The database within it; may be empty.
    pub database: Name,
    /// `postgres`.
    pub protocol: Name,
}

/// `tunnel_strategy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// A tunnel to every proxy.
    #[default]
    AgentMesh,
    /// So many tunnels; proxies pass requests on to each other.
    ProxyPeering {
        /// `agent_connection_count`, 1 by default.
        connections: u32,
    },
}

/// Where the names of the web certificate come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum WebCertificate {
    /// `https_keypairs` names files that are not here: the lab's authority issues one for every
    /// host of `public_addr` and `tunnel_public_addr`, and `*.` of each.
    Elsewhere,
    /// `https_keypairs` names files that could be read: these are the names in them.
    Read(Vec<Name>),
    /// No pair is named: Teleport makes one of its own (reference 2.3).
    #[default]
    SelfSigned,
}

/// `proxy_service`, and what of `auth_service` belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyService {
    /// `version` of the file.
    pub version: Version,
    /// `auth_service.proxy_listener_mode`.
    pub mode: ListenerMode,
    /// `auth_service.cluster_name`.
    pub cluster: Option<Name>,
    /// Listeners that stand, the version's defaults among them, in the order of [`Port::ALL`].
    pub listen: Vec<(Port, HostPort)>,
    /// `public_addr`; the first is advertised.
    pub public: Vec<HostPort>,
    /// `ssh_public_addr`.
    pub ssh_public: Vec<HostPort>,
    /// `tunnel_public_addr`.
    pub tunnel_public: Vec<HostPort>,
    /// `kube_public_addr`.
    pub kube_public: Vec<HostPort>,
    /// `mysql_public_addr`.
    pub mysql_public: Vec<HostPort>,
    /// `postgres_public_addr`.
    pub postgres_public: Vec<HostPort>,
    /// `mongo_public_addr`.
    pub mongo_public: Vec<HostPort>,
    /// `peer_public_addr`.
    pub peer_public: Option<HostPort>,
    /// `proxy_service.proxy_protocol`.
    pub proxy_protocol: ProxyProtocol,
    /// `https_keypairs` and its older forms.
    pub certificate: WebCertificate,
    /// `auth_service.tunnel_strategy`.
    pub strategy: Strategy,
    /// `auth_service.keep_alive_interval`.
    pub keep_alive: Span,
    /// `auth_service.keep_alive_count_max`.
    pub keep_alive_max: u32,
}

impl ProxyService {
    /// Makes the service of a file that says nothing but this: TLS routing, v3.
    pub fn multiplexed(public: Vec<HostPort>, web_listen: HostPort) -> Self {
        Self {
            version: Version::V3,
            mode: ListenerMode::Multiplex,
            cluster: None,
            listen: vec![(Port::Web, web_listen)],
            public,
            ssh_public: Vec::new(),
            tunnel_public: Vec::new(),
            kube_public: Vec::new(),
            mysql_public: Vec::new(),
            postgres_public: Vec::new(),
            mongo_public: Vec::new(),
            peer_public: None,
            proxy_protocol: ProxyProtocol::On,
            certificate: WebCertificate::Elsewhere,
            strategy: Strategy::AgentMesh,
            keep_alive: KEEP_ALIVE,
            keep_alive_max: KEEP_ALIVE_MAX,
        }
    }

    /// Tells whether TLS routing is on.
    pub fn tls_routing(&self) -> bool {
        self.mode == ListenerMode::Multiplex
    }

    /// Gives where a listener is written to be, if there is one.
    pub fn listener(&self, port: Port) -> Option<&HostPort> {
        let mut listen = self.listen.iter();
        listen
            .find(|(known, _)| *known == port)
            .map(|(_, address)| address)
    }

    /// Gives the web listener; there always is one.
    pub fn web_listen(&self) -> HostPort {
        self.listener(Port::Web)
            .cloned()
            .unwrap_or_else(|| HostPort {
                host: "0.0.0.0".into(),
                port: Port::Web.default_port(),
            })
    }

    /// Gives the listener that a door's port leads to: the one with the same port, else web.
    pub fn behind(&self, door_port: u16) -> Port {
        let mut listen = self.listen.iter();
        listen
            .find(|(_, address)| address.port == door_port)
            .map_or(Port::Web, |(port, _)| *port)
    }

    /// Gives how long a tunnel may be without a heartbeat and be valid: interval times count.
    pub fn offline_after(&self) -> Span {
        self.keep_alive.times(u64::from(self.keep_alive_max))
    }
}

/// How an agent waits between attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backoff {
    /// The same wait each time.
    Fixed {
        /// How long.
        wait: Span,
    },
    /// Uniform in [0, min(cap, first * 2^n)).
    FullJitter {
        /// The first bound.
        first: Span,
        /// The greatest bound.
        cap: Span,
    },
    /// min(cap, uniform in [d/2, d)) with d = first * 2^n: at the cap agents fall into step.
    JitterBeforeCap {
        /// The first bound.
        first: Span,
        /// The longest wait.
        cap: Span,
    },
    /// Linear by 1 s up to 8 s, half jitter, anew after 32 s (reference 4.1).
    #[default]
    Teleport,
}

/// What of the answer to find or ping decides. A text is empty when it is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// `proxy.tls_routing_enabled`.
    pub tls_routing: bool,
    /// `cluster_name`.
    pub cluster_name: String,
    /// `proxy.ssh.public_addr`.
    pub public_addr: String,
    /// `proxy.ssh.web_listen_addr`.
    pub web_listen_addr: String,
    /// `proxy.ssh.ssh_public_addr`.
    pub ssh_public_addr: String,
    /// `proxy.ssh.listen_addr`.
    pub ssh_listen_addr: String,
    /// `proxy.ssh.ssh_tunnel_public_addr`.
    pub tunnel_public_addr: String,
    /// `proxy.ssh.tunnel_listen_addr`.
    pub tunnel_listen_addr: String,
    /// `proxy.kube.public_addr`.
    pub kube_public_addr: String,
    /// `proxy.kube.listen_addr`.
    pub kube_listen_addr: String,
    /// `proxy.db.postgres_public_addr`.
    pub postgres_public_addr: String,
    /// `proxy.db.postgres_listen_addr`.
    pub postgres_listen_addr: String,
    /// `proxy.db.mysql_public_addr`.
    pub mysql_public_addr: String,
    /// `proxy.db.mysql_listen_addr`.
    pub mysql_listen_addr: String,
    /// `proxy.db.mongo_public_addr`.
    pub mongo_public_addr: String,
    /// `proxy.db.mongo_listen_addr`.
    pub mongo_listen_addr: String,
}
