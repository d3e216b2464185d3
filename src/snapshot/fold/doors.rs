//! What facts of doors and of the pool change.

use crate::model::fact::{Ended, Fact, Kind};
use crate::model::id::Name;
use crate::snapshot::measure::{CHECKS_MAX, CheckState};
use crate::snapshot::{BackendState, BalancerState, REQUESTS_MAX, Snapshot};

impl Snapshot {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "each node folds its own facts"
    )]
    pub(super) fn fold_balancer(&mut self, name: &Name, fact: &Fact) {
        let Some(door) = self.balancers.iter_mut().find(|b| b.name == *name) else {
            return;
        };
        match &fact.kind {
            Kind::FlowOpened { flow, network, .. } => {
                door.open += 1;
                door.flows.add(fact.at, 1);
                door.connecting.begin(*flow, fact.at);
                door.networks
                    .entry(network_key(network.as_ref()))
                    .or_default()
                    .opened += 1;
            }
            Kind::ClientRefused { network, .. } => {
                door.failures.add(fact.at, 1);
                door.networks
                    .entry(network_key(network.as_ref()))
                    .or_default()
                    .refused += 1;
            }
            Kind::FlowConnected { flow, proxy, .. } => {
                let took = door.connecting.end(*flow, fact.at);
                if let Some(backend) = door.backend(proxy) {
                    took.into_iter().for_each(|took| backend.connects.add(took));
                    backend.rate.add(fact.at, 1);
                    backend.open += 1;
                    backend.total += 1;
                }
            }
            Kind::ConnectFailed { proxy, .. } => {
                if let Some(backend) = door.backend(proxy) {
                    backend.failed += 1;
                }
            }
            Kind::NoBackend { .. } => door.no_backend += 1,
            Kind::FlowClosed {
                flow,
                proxy,
                up,
                down,
                how,
            } => {
                door.open = door.open.saturating_sub(1);
                // One that never connected is timed no longer.
                let _ = door.connecting.end(*flow, fact.at);
                if matches!(how, Ended::BackendError | Ended::Cut) {
                    door.failures.add(fact.at, 1);
                }
                door.bytes_up += up;
                door.bytes_down += down;
                if let Some(backend) = proxy.as_ref().and_then(|proxy| door.backend(proxy)) {
                    backend.open = backend.open.saturating_sub(1);
                    backend.bytes_up += up;
                    backend.bytes_down += down;
                }
            }
            Kind::Checked {
                proxy, took, error, ..
            } => {
                if let Some(backend) = door.backend(proxy) {
                    if backend.checks.len() == CHECKS_MAX {
                        backend.checks.pop_front();
                    }
                    backend.checks.push_back(CheckState {
                        at: fact.at,
                        took: *took,
                        error: error.clone(),
                    });
                }
            }
            Kind::HealthChanged { proxy, to, cause } => {
                if let Some(backend) = door.backend(proxy) {
                    backend.health = *to;
                    backend.since = fact.at;
                    backend.cause.clone_from(cause);
                }
            }
            kind => door.admin.fold(kind),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "each node folds its own facts"
    )]
    pub(super) fn fold_proxy(&mut self, name: &Name, fact: &Fact) {
        let Some(proxy) = self.proxies.iter_mut().find(|p| p.name == *name) else {
            return;
        };
        match &fact.kind {
            Kind::TunnelRegistered { .. } => proxy.tunnels += 1,
            // One is told of anew with each name that it forwards.
            Kind::StandInRegistered { resources, .. } if resources.len() == 1 => {
                proxy.tunnels += 1;
            }
            Kind::TunnelRemoved { .. } => proxy.tunnels = proxy.tunnels.saturating_sub(1),
            Kind::Routed { request, .. } => {
                proxy.routed += 1;
                if proxy.requests.len() < REQUESTS_MAX {
                    proxy.requests.insert(*request);
                }
            }
            Kind::NoTunnel { request, .. } => {
                proxy.no_tunnel += 1;
                proxy.requests.remove(request);
            }
            Kind::RequestEnded {
                request, status, ..
            } => {
                proxy.cut += u64::from(*status == 0);
                proxy.requests.remove(request);
            }
            Kind::ConnRefused { .. } => proxy.refused += 1,
            kind => proxy.admin.fold(kind),
        }
    }
}

impl BalancerState {
    fn backend(&mut self, proxy: &Name) -> Option<&mut BackendState> {
        self.backends
            .iter_mut()
            .find(|backend| backend.proxy == *proxy)
    }
}

fn network_key(network: Option<&Name>) -> Name {
    network.cloned().unwrap_or_else(|| Name::from(""))
}
