//! The words for what Teleport's files set, as those files write them.

use crate::model::addr::HostPort;
use crate::model::teleport::{
    Backoff, ListenerMode, Port, ProxyProtocol, ProxyService, SendProxy, Strategy, Version,
    WebCertificate,
};

pub(super) const fn version(version: Version) -> &'static str {
    match version {
        Version::V1 => "v1",
        Version::V2 => "v2",
        Version::V3 => "v3",
    }
}

pub(super) const fn mode(mode: ListenerMode) -> &'static str {
    match mode {
        ListenerMode::Multiplex => "multiplex",
        ListenerMode::Separate => "separate",
    }
}

pub(super) const fn proxy_protocol(mode: ProxyProtocol) -> &'static str {
    match mode {
        ProxyProtocol::Off => "off",
        ProxyProtocol::On => "on",
        ProxyProtocol::Unset => "unset",
    }
}

pub(super) const fn send_proxy(header: SendProxy) -> &'static str {
    match header {
        SendProxy::None => "none",
        SendProxy::V1 => "v1",
        SendProxy::V2 => "v2",
    }
}

pub(super) const fn strategy(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::AgentMesh => "agent_mesh",
        Strategy::ProxyPeering { .. } => "proxy_peering",
    }
}

pub(super) const fn backoff(backoff: Backoff) -> &'static str {
    match backoff {
        Backoff::Fixed { .. } => "fixed",
        Backoff::FullJitter { .. } => "full_jitter",
        Backoff::JitterBeforeCap { .. } => "jitter_before_cap",
        Backoff::Teleport => "teleport",
    }
}

pub(super) const fn certificate(certificate: &WebCertificate) -> &'static str {
    match certificate {
        WebCertificate::Elsewhere => "elsewhere",
        WebCertificate::Read(_) => "read",
        WebCertificate::SelfSigned => "self_signed",
    }
}

/// Gives the public addresses for what a listener serves.
pub(super) fn public(service: &ProxyService, port: Port) -> &[HostPort] {
    match port {
        Port::Web => &service.public,
        Port::Tunnel => &service.tunnel_public,
        Port::Ssh => &service.ssh_public,
        Port::Kube => &service.kube_public,
        Port::Mysql => &service.mysql_public,
        Port::Postgres => &service.postgres_public,
        Port::Mongo => &service.mongo_public,
        Port::Peer => service.peer_public.as_slice(),
    }
}
