//! The shapes of a `teleport.yaml` and of Helm values: optional all through, as in `file`.
//!
//! They are made from what the schema checker left as sound. Keys that are only accepted are not
//! here; whether a service is switched on is read from the tree.

use serde::Deserialize;

use super::super::file::List;

/// A whole `teleport.yaml`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Shape {
    pub(super) version: Option<String>,
    pub(super) teleport: Teleport,
    pub(super) auth_service: AuthService,
    pub(super) proxy_service: ProxyService,
    pub(super) app_service: AppService,
    pub(super) db_service: DbService,
}

/// `teleport`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Teleport {
    pub(super) proxy_server: Option<String>,
    pub(super) auth_server: Option<String>,
    pub(super) auth_servers: List<String>,
}

/// `auth_service`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AuthService {
    pub(super) cluster_name: Option<String>,
    pub(super) proxy_listener_mode: Option<String>,
    pub(super) tunnel_strategy: Option<TunnelStrategy>,
    pub(super) keep_alive_interval: Option<String>,
    pub(super) keep_alive_count_max: Option<u32>,
}

/// `auth_service.tunnel_strategy`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TunnelStrategy {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) agent_connection_count: Option<u32>,
}

/// `proxy_service`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ProxyService {
    pub(super) web_listen_addr: Option<String>,
    pub(super) tunnel_listen_addr: Option<String>,
    pub(super) listen_addr: Option<String>,
    pub(super) kube_listen_addr: Option<String>,
    pub(super) mysql_listen_addr: Option<String>,
    pub(super) postgres_listen_addr: Option<String>,
    pub(super) mongo_listen_addr: Option<String>,
    pub(super) peer_listen_addr: Option<String>,
    pub(super) public_addr: Option<OneOrMany>,
    pub(super) ssh_public_addr: Option<OneOrMany>,
    pub(super) tunnel_public_addr: Option<OneOrMany>,
    pub(super) kube_public_addr: Option<OneOrMany>,
    pub(super) mysql_public_addr: Option<OneOrMany>,
    pub(super) postgres_public_addr: Option<OneOrMany>,
    pub(super) mongo_public_addr: Option<OneOrMany>,
    pub(super) peer_public_addr: Option<String>,
    pub(super) kubernetes: Kubernetes,
    pub(super) proxy_protocol: Option<String>,
    pub(super) https_keypairs: List<KeyPair>,
    pub(super) https_key_file: Option<String>,
    pub(super) https_cert_file: Option<String>,
}

/// `proxy_service.kubernetes`, the older form.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Kubernetes {
    pub(super) listen_addr: Option<String>,
    pub(super) public_addr: Option<OneOrMany>,
}

/// `proxy_service.https_keypairs[]`; the key is never read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct KeyPair {
    pub(super) cert_file: Option<String>,
}

/// `app_service`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AppService {
    pub(super) apps: List<App>,
}

/// `app_service.apps[]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct App {
    pub(super) name: Option<String>,
    /// Where the app is for a real agent; in the lab the scenario's `apps` says it.
    pub(super) uri: Option<String>,
}

/// `db_service`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct DbService {
    pub(super) databases: List<Database>,
}

/// `db_service.databases[]`; in the lab the scenario's `databases` says where it is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Database {
    pub(super) name: Option<String>,
    pub(super) protocol: Option<String>,
}

/// An address, or a list of them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<Option<String>>),
}

/// Values of the chart `teleport-kube-agent`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Helm {
    #[serde(rename = "proxyAddr")]
    pub(super) proxy_addr: Option<String>,
    pub(super) roles: Option<String>,
    pub(super) apps: List<App>,
    pub(super) databases: List<Database>,
    #[serde(rename = "extraEnv")]
    pub(super) extra_env: List<Variable>,
}

/// `extraEnv[]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Variable {
    pub(super) name: Option<String>,
    pub(super) value: Option<String>,
}
