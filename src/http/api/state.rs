//! The state of the lab, made of the snapshot.

use super::faults::Fault;
use super::{
    Agent, Answers, Backend, Balancer, Check, Dns, DoorCount, Expectation, Failures, Finding, Mesh,
    Network, NetworkCount, Proxy, Query, Rates, Snapshot, Tunnel, Use, User, View, Visit, Zone,
};
use crate::http::source::Source;
use crate::journal::Moment;
use crate::model::fact::VisitAnswered;
use crate::model::finding::Severity;
use crate::model::id::Name;
use crate::model::time::{Span, Time};
use crate::policy::findings;
use crate::snapshot;
use crate::snapshot::measure::Connects;

impl Snapshot {
    /// Writes the state of a run at an instant.
    pub fn new(moment: &Moment, source: &Source, run: &str) -> Self {
        let state = &moment.state;
        let (oldest_seq, oldest) = moment.oldest;
        let doors = state.balancers.iter();
        Self {
            oldest_us: oldest.as_us(),
            oldest_seq: oldest_seq.0,
            mode: source.mode.word(),
            read_only: source.read_only,
            began_us: state.run.map(|(began, _)| began.as_us()),
            ends_us: state.run.map(|(_, ends)| ends.as_us()),
            ended_us: state.ended.map(|(at, _)| at.as_us()),
            ended_why: state.ended.map(|(_, why)| why),
            expectations: moment.stands.iter().map(Expectation::new).collect(),
            rates: Rates::new(state),
            zones: Zone::all(source),
            run: run.to_owned(),
            name: state.name.to_string(),
            at_us: state.at.as_us(),
            seq: state.seq.0,
            ready_us: state.ready.map(Time::as_us),
            generation: state.generation.0,
            reload_mistakes: state.reload_mistakes.clone(),
            mesh: Mesh {
                now: state.mesh.now,
                full: state.mesh.full,
                complete_after_us: state.mesh.complete_after.map(Span::as_us),
            },
            networks: state.networks.iter().map(Network::new).collect(),
            dns: Dns::new(&state.dns),
            balancers: doors
                .map(|door| Balancer::new(door, &state.proxies))
                .collect(),
            proxies: state.proxies.iter().map(Proxy::new).collect(),
            agents: state.agents.iter().map(Agent::new).collect(),
            users: state.users.iter().map(User::new).collect(),
            findings: state.findings.iter().map(Finding::new).collect(),
            faults: state.faults.iter().map(Fault::new).collect(),
        }
    }
}

impl Network {
    fn new(network: &snapshot::NetworkState) -> Self {
        Self {
            name: network.name.to_string(),
            ranges: network.ranges.iter().map(ToString::to_string).collect(),
            view: named(&network.view),
        }
    }
}

impl Dns {
    fn new(dns: &snapshot::DnsState) -> Self {
        let answers_of = |view: &Name| {
            let of = dns.answers.iter();
            let of = of.filter(|((of, ..), _)| of.as_ref() == Some(view));
            of.map(|(_, count)| count).sum()
        };
        let view = |view: &Name| View {
            name: view.to_string(),
            rules: dns.rules.get(view).map_or_else(Vec::new, |rules| {
                rules.iter().map(ToString::to_string).collect()
            }),
            answers: answers_of(view),
        };
        let answers = dns
            .answers
            .iter()
            .map(|((view, rule, rcode), count)| Answers {
                view: named(view),
                rule: named(rule),
                rcode: rcode.to_string(),
                count: *count,
            });
        Self {
            views: dns.views.iter().map(view).collect(),
            answers: answers.collect(),
            queries: dns.queries.iter().map(Query::new).collect(),
        }
    }
}

impl Query {
    pub(super) fn new(query: &snapshot::Query) -> Self {
        let answered = &query.answered;
        Self {
            seq: query.seq.0,
            at_us: query.at.as_us(),
            client: answered.client.to_string(),
            asker: answered.asker.as_ref().map(ToString::to_string),
            subnet: answered.subnet.clone(),
            transport: answered.transport,
            name: answered.name.clone(),
            rtype: answered.rtype.clone(),
            view: named(&answered.view),
            rule: named(&answered.rule),
            rcode: answered.rcode.to_string(),
            answer: answered.answer.clone(),
            why: answered.why.clone(),
            took_us: answered.took.map(Span::as_us),
        }
    }
}

impl Balancer {
    fn new(door: &snapshot::BalancerState, pool: &[snapshot::ProxyState]) -> Self {
        let networks = door.networks.iter().map(|(network, count)| NetworkCount {
            network: Some(network.to_string()).filter(|name| !name.is_empty()),
            opened: count.opened,
            refused: count.refused,
        });
        let uses = door.uses.iter().map(|((purpose, network), count)| Use {
            purpose: purpose.word(),
            network: network.to_string(),
            count: *count,
        });
        let admin = |name: &Name| {
            let proxy = pool.iter().find(|proxy| proxy.name == *name);
            proxy.map_or("ready", |proxy| proxy.admin.word())
        };
        let quantile = |connects: &Connects, quantile| connects.quantile(quantile).map(Span::as_us);
        let backends = door.backends.iter().map(|backend| Backend {
            admin: admin(&backend.proxy),
            connect_p50_us: quantile(&backend.connects, 0.5),
            connect_p95_us: quantile(&backend.connects, 0.95),
            bytes_up: backend.bytes_up,
            bytes_down: backend.bytes_down,
            checks: backend.checks.iter().map(Check::new).collect(),
            proxy: backend.proxy.to_string(),
            health: backend.health.word(),
            since_us: backend.since.as_us(),
            cause: backend.cause.clone(),
            open: backend.open,
            total: backend.total,
            failed: backend.failed,
        });
        Self {
            name: door.name.to_string(),
            listen: door.listen.iter().map(ToString::to_string).collect(),
            network: named(&door.network),
            meant_for: door.meant_for.map(|role| role.word()),
            admin: door.admin.word(),
            open: door.open,
            opened: door.networks.values().map(|count| count.opened).sum(),
            refused: door.networks.values().map(|count| count.refused).sum(),
            no_backend: door.no_backend,
            bytes_up: door.bytes_up,
            bytes_down: door.bytes_down,
            networks: networks.collect(),
            uses: uses.collect(),
            backends: backends.collect(),
        }
    }
}

impl Proxy {
    fn new(proxy: &snapshot::ProxyState) -> Self {
        Self {
            name: proxy.name.to_string(),
            listen: proxy.listen.to_string(),
            admin: proxy.admin.word(),
            tunnels: proxy.tunnels,
            active: proxy.active(),
            routed: proxy.routed,
            no_tunnel: proxy.no_tunnel,
            cut: proxy.cut,
            refused: proxy.refused,
        }
    }
}

impl Agent {
    fn new(agent: &snapshot::AgentState) -> Self {
        let tunnels = agent.tunnels.iter().map(|tunnel| Tunnel {
            proxy: tunnel.proxy.to_string(),
            up: tunnel.up,
            since_us: tunnel.since.map(Time::as_us),
            balancer: named(&tunnel.balancer),
            verified: named(&tunnel.verified),
            made: tunnel.made,
            gap_us: tunnel.gap.map(Span::as_us),
            after_rise_us: tunnel.after_rise.map(Span::as_us),
        });
        let failures = agent.failures.iter().map(|(stage, count)| Failures {
            reason: stage.word(),
            count: *count,
        });
        let causes = agent.causes.iter().map(|(cause, count)| Failures {
            reason: cause.word(),
            count: *count,
        });
        Self {
            name: agent.name.to_string(),
            network: agent.network.to_string(),
            address: agent.address.to_string(),
            apps: agent.apps.iter().map(ToString::to_string).collect(),
            admin: agent.admin.word(),
            tunnels: tunnels.collect(),
            failures: failures.collect(),
            causes: causes.collect(),
            cut: agent.cut,
            last_error: agent.last_error.clone(),
        }
    }
}

impl User {
    fn new(user: &snapshot::UserState) -> Self {
        let failures = user.failures.iter().map(|(reason, count)| Failures {
            reason: reason.word(),
            count: *count,
        });
        let doors = user.doors.iter().map(|(door, count)| DoorCount {
            balancer: door.to_string(),
            count: *count,
        });
        Self {
            name: user.name.to_string(),
            network: user.network.to_string(),
            address: user.address.to_string(),
            visits: user.visits.iter().map(ToString::to_string).collect(),
            admin: user.admin.word(),
            answered: user.answered,
            failures: failures.collect(),
            doors: doors.collect(),
            last: user.last.as_ref().map(Visit::new),
            last_error: user.last_error.clone(),
        }
    }
}

impl Visit {
    fn new(visit: &VisitAnswered) -> Self {
        Self {
            request: visit.request.0,
            app: visit.app.to_string(),
            balancer: named(&visit.balancer),
            proxy: named(&visit.proxy),
            agent: named(&visit.agent),
            status: visit.status,
            bytes: visit.bytes,
            took_us: visit.took.as_us(),
        }
    }
}

impl Finding {
    fn new(finding: &snapshot::Finding) -> Self {
        Self {
            id: finding.id,
            severity: findings::severity(finding.id).map_or("notice", Severity::word),
            node: finding.node.to_string(),
            detail: finding.detail.clone(),
            at_us: finding.at.as_us(),
        }
    }
}

pub(super) fn named(name: &Option<Name>) -> Option<String> {
    name.as_ref().map(ToString::to_string)
}
