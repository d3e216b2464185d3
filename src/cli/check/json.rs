//! What `check --json` prints: `twodoors.check/1`.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::model::expect::Expectation;
use crate::model::mistake::Mistake;
use crate::model::network::Element;
use crate::model::teleport::{Backoff, Port, ProxyService, Strategy, WebCertificate};
use crate::model::time::Span;
use crate::model::timeline::{Step, What};
use crate::model::topology::{Balancer, Start, Topology};

use super::text::{algorithm, begin};
use super::{Examined, Sound, findings, words};

/// Makes the one document.
pub(super) fn document(examined: &[(PathBuf, Examined)], strict: bool) -> Value {
    let passes = |examined: &Examined| examined.as_ref().is_ok_and(|sound| sound.passes(strict));
    let scenarios = examined.iter().map(|(path, examined)| {
        let (mistakes, warnings, found, resolved) = match examined {
            Ok(Sound { loaded, found }) => (
                Vec::new(),
                places(&loaded.warnings),
                findings::list(found),
                topology(&loaded.topology),
            ),
            Err(mistakes) => (places(mistakes), Vec::new(), Vec::new(), Value::Null),
        };
        json!({
            "file": path.display().to_string(),
            "passed": passes(examined),
            "mistakes": mistakes,
            "warnings": warnings,
            "findings": found,
            "topology": resolved,
        })
    });
    json!({
        "schema": "twodoors.check/1",
        "passed": examined.iter().all(|(_, examined)| passes(examined)),
        "scenarios": scenarios.collect::<Vec<_>>(),
    })
}

fn places(mistakes: &[Mistake]) -> Vec<Value> {
    let each = mistakes.iter().map(|mistake| {
        json!({
            "file": mistake.place.file.display().to_string(),
            "line": mistake.place.line,
            "column": mistake.place.column,
            "path": mistake.path,
            "what": mistake.what,
            "cure": mistake.cure,
        })
    });
    each.collect()
}

fn topology(topology: &Topology) -> Value {
    let dns = &topology.dns;
    let pool = &topology.pool;
    json!({
        "name": &*topology.name,
        "seed": topology.seed.0,
        "networks": topology.networks.iter().map(|network| json!({
            "name": &*network.name,
            "ranges": texts(&network.ranges),
        })).collect::<Vec<_>>(),
        "dns": {
            "listen": dns.listen.to_string(),
            "listen_also": texts(&dns.listen_also),
            "mode": dns.mode.word(),
            "proxy_trusted": texts(&dns.proxy_trusted),
            "reload_limit": dns.reload_limit.to_string(),
            "ecs_trusted": texts(&dns.ecs_trusted),
            "views": dns.views.iter().map(|view| json!({
                "name": &*view.name,
                "match": elements(&view.match_clients),
                "destinations": elements(&view.match_destinations),
                "zones": view.zones.iter().map(|zone| json!({
                    "origin": zone.origin,
                    "file": zone.file.display().to_string(),
                    "miss": zone.miss.word(),
                })).collect::<Vec<_>>(),
            })).collect::<Vec<_>>(),
        },
        "balancers": topology.balancers.iter().map(balancer).collect::<Vec<_>>(),
        "pool": {
            "name": &*pool.name,
            "public_addrs": texts(&pool.teleport.public),
            "web_listen_addr": pool.teleport.web_listen().to_string(),
            "tls_routing": pool.teleport.tls_routing(),
            "teleport": service(&pool.teleport),
            "proxies": pool.proxies.iter().map(|proxy| json!({
                "name": &*proxy.name,
                "id": &*proxy.id,
                "listen": proxy.listen.to_string(),
                "further": proxy.further.iter().map(|(port, address)| json!({
                    "listener": port.word(),
                    "listen": address.to_string(),
                })).collect::<Vec<_>>(),
            })).collect::<Vec<_>>(),
        },
        "resolvers": topology.resolvers.iter().map(|resolver| json!({
            "name": &*resolver.name,
            "listen": resolver.listen.to_string(),
            "on": resolver.on.as_ref().map(ToString::to_string),
        })).collect::<Vec<_>>(),
        "agents": topology.agents.iter().map(|agent| json!({
            "name": &*agent.name,
            "id": &*agent.id,
            "network": &*agent.network,
            "address": agent.address.to_string(),
            "resolver": agent.resolver.as_deref(),
            "proxy_server": agent.proxy_server.to_string(),
            "tunnel_public_addr": agent.tunnel_public_addr.as_deref(),
            "find_cache_us": agent.find_cache.as_us(),
            "backoff": backoff(agent.backoff),
            "apps": agent.apps.iter().map(|app| json!({
                "name": &*app.name,
                "target": app.target.as_ref().map(ToString::to_string),
                "login": app.login,
            })).collect::<Vec<_>>(),
            "databases": agent.databases.iter().map(|database| json!({
                "name": &*database.name,
                "protocol": &*database.protocol,
                "target": database.target.as_ref().map(ToString::to_string),
            })).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "users": topology.users.iter().map(|user| json!({
            "name": &*user.name,
            "network": &*user.network,
            "address": user.address.to_string(),
            "resolver": user.resolver.as_deref(),
            "proxy": user.proxy.as_deref(),
            "visits": texts(&user.visits),
            "every_us": user.every.as_us(),
            "start": match user.start {
                Start::After(span) => json!({"after_us": span.as_us()}),
                Start::Mesh => json!("mesh"),
            },
        })).collect::<Vec<_>>(),
        "duration_us": topology.duration.as_us(),
        "model": {
            "latency_us": topology.model.latency.as_us(),
            "handshake": {
                "servers": topology.model.servers,
                "tls_us": topology.model.tls.as_us(),
                "ssh_us": topology.model.ssh.as_us(),
            },
        },
        "timeline": topology.timeline.iter().map(step).collect::<Vec<_>>(),
        "expect": topology.expect.iter().map(expectation).collect::<Vec<_>>(),
    })
}

/// What the pool's `teleport.yaml` says, its defaults filled in.
fn service(service: &ProxyService) -> Value {
    let listeners = Port::ALL.into_iter().filter_map(|port| {
        let listen = service.listener(port);
        let public = words::public(service, port);
        (listen.is_some() || !public.is_empty()).then(|| {
            json!({
                "listener": port.word(),
                "listen_addr": listen.map(ToString::to_string),
                "public_addrs": texts(public),
            })
        })
    });
    json!({
        "version": words::version(service.version),
        "proxy_listener_mode": words::mode(service.mode),
        "cluster_name": service.cluster.as_deref(),
        "listeners": listeners.collect::<Vec<_>>(),
        "proxy_protocol": words::proxy_protocol(service.proxy_protocol),
        "certificate": {
            "names_from": words::certificate(&service.certificate),
            "names": match &service.certificate {
                WebCertificate::Read(names) => texts(names),
                WebCertificate::Elsewhere | WebCertificate::SelfSigned => Vec::new(),
            },
        },
        "tunnel_strategy": {
            "type": words::strategy(service.strategy),
            "agent_connection_count": match service.strategy {
                Strategy::AgentMesh => None,
                Strategy::ProxyPeering { connections } => Some(connections),
            },
        },
        "keep_alive_interval_us": service.keep_alive.as_us(),
        "keep_alive_count_max": service.keep_alive_max,
    })
}

fn backoff(backoff: Backoff) -> Value {
    let (wait, first, cap) = match backoff {
        Backoff::Fixed { wait } => (Some(wait), None, None),
        Backoff::FullJitter { first, cap } | Backoff::JitterBeforeCap { first, cap } => {
            (None, Some(first), Some(cap))
        }
        Backoff::Teleport => (None, None, None),
    };
    json!({
        "kind": words::backoff(backoff),
        "wait_us": wait.map(Span::as_us),
        "first_us": first.map(Span::as_us),
        "cap_us": cap.map(Span::as_us),
    })
}

fn step(step: &Step) -> Value {
    let parallel = match &step.what {
        What::Parallel(steps) => steps.iter().map(self::step).collect(),
        What::Act { .. }
        | What::Certificate { .. }
        | What::Fault(_)
        | What::Record(_)
        | What::Reload
        | What::Roam(_)
        | What::Wait => Vec::new(),
    };
    json!({
        "begins": begin(&step.begin),
        "text": &*step.text,
        "lasts_us": step.lasts.map(Span::as_us),
        "every_us": step.repeat.map(|repeat| repeat.every.as_us()),
        "until_us": step.repeat.and_then(|repeat| repeat.until).map(Span::as_us),
        "parallel": parallel,
    })
}

fn expectation(expectation: &Expectation) -> Value {
    json!({
        "text": &*expectation.text,
        "line": expectation.place.line,
        "column": expectation.place.column,
        "after_us": expectation.after.as_us(),
        "before_us": expectation.before.map(Span::as_us),
        "evidence": expectation.evidence,
        "abort": expectation.abort,
    })
}

fn balancer(balancer: &Balancer) -> Value {
    json!({
        "name": &*balancer.name,
        "listen": texts(&balancer.listen),
        "allow": elements(&balancer.allow),
        "algorithm": algorithm(balancer.algorithm),
        "check": {
            "interval_us": balancer.check.interval.as_us(),
            "timeout_us": balancer.check.timeout.as_us(),
            "rise": balancer.check.rise,
            "fall": balancer.check.fall,
        },
        "for": balancer.meant_for.map(|role| role.word()),
        "timeout_connect_us": balancer.timeout_connect.as_us(),
        "retries": balancer.retries,
        "send_proxy": words::send_proxy(balancer.send_proxy),
    })
}

fn elements(elements: &[Element]) -> Vec<String> {
    texts(elements)
}

fn texts<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}
