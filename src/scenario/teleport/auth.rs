//! `auth_service`: what the cluster as a whole is set to, read from the pool's file.

use crate::model::id::Name;
use crate::model::teleport::{KEEP_ALIVE, KEEP_ALIVE_MAX, ListenerMode, Strategy};
use crate::model::time::Span;

use super::super::format;
use super::reader::File;
use super::shape::AuthService;

/// The settings, with Teleport's defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Auth {
    pub(super) mode: ListenerMode,
    pub(super) cluster: Option<Name>,
    pub(super) strategy: Strategy,
    pub(super) keep_alive: Span,
    pub(super) keep_alive_max: u32,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            mode: ListenerMode::Separate,
            cluster: None,
            strategy: Strategy::AgentMesh,
            keep_alive: KEEP_ALIVE,
            keep_alive_max: KEEP_ALIVE_MAX,
        }
    }
}

/// Gives the settings of a file.
pub(super) fn of(file: &mut File<'_>, given: &AuthService) -> Auth {
    if file.on("auth_service", true) == Some(false) {
        // Teleport does not read the section then; the settings are in the file of another host.
        file.warn(
            "auth_service.enabled",
            "the Auth Service is switched off here, so proxy_listener_mode is what another file says: separate is taken",
            "write the auth_service of that file here, switched on",
        );
        for key in [
            "cluster_name",
            "proxy_listener_mode",
            "tunnel_strategy",
            "keep_alive_interval",
            "keep_alive_count_max",
        ] {
            file.without_effect(&format!("auth_service.{key}"));
        }
        return Auth::default();
    }
    let strategy = given
        .tunnel_strategy
        .as_ref()
        .map_or_else(Strategy::default, |strategy| {
            match strategy.kind.as_deref() {
                Some("proxy_peering") => Strategy::ProxyPeering {
                    connections: strategy.agent_connection_count.unwrap_or(1),
                },
                _ => Strategy::AgentMesh,
            }
        });
    if strategy == Strategy::AgentMesh
        && file.has("auth_service.tunnel_strategy.agent_connection_count")
    {
        // Unknown keys of a strategy are errors (reference 4.3), and this is one of the other's.
        file.wrong(
            "auth_service.tunnel_strategy.agent_connection_count",
            "agent_mesh has no such key: it connects to every proxy",
            "take it out, or write type: proxy_peering",
        );
    }
    let keep_alive = given.keep_alive_interval.as_deref();
    let keep_alive = keep_alive.and_then(|text| format::go_duration(text).ok());
    Auth {
        mode: match given.proxy_listener_mode.as_deref() {
            Some("multiplex") => ListenerMode::Multiplex,
            // Absent means separate: the zero value of the cluster networking configuration.
            _ => ListenerMode::Separate,
        },
        cluster: given
            .cluster_name
            .as_deref()
            .filter(|name| !name.is_empty())
            .map(Into::into),
        strategy,
        keep_alive: keep_alive
            .filter(|span| *span > Span::ZERO)
            .unwrap_or(KEEP_ALIVE),
        keep_alive_max: given.keep_alive_count_max.unwrap_or(KEEP_ALIVE_MAX),
    }
}
