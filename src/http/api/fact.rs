//! A fact on the wire: what all have, the fields of its kind, and the readable line.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::state::named;
use crate::model::fact::{self, DnsAnswered, Kind, VisitAnswered};
use crate::model::id::Name;
use crate::model::time::{Span, Time};

/// One fact.
#[derive(Debug, Serialize, ToSchema)]
pub struct Fact {
    /// Its place in the journal.
    pub seq: u64,
    /// When.
    pub at_us: u64,
    /// Who says so: `agent/orders`.
    pub node: String,
    /// What happened, in snake_case.
    pub kind: &'static str,
    /// The fields of this kind, beside the others.
    #[serde(flatten)]
    #[schema(value_type = std::collections::BTreeMap<String, Value>)]
    pub fields: Value,
    /// The whole in one readable line.
    pub text: String,
}

impl Fact {
    /// Writes a fact.
    pub fn new(fact: &fact::Fact) -> Self {
        let (kind, fields) = fields(&fact.kind);
        Self {
            seq: fact.seq.0,
            at_us: fact.at.as_us(),
            node: fact.node.to_string(),
            kind,
            fields,
            text: fact.kind.to_string(),
        }
    }
}

/// Gives the word for a kind of fact.
pub(super) fn word(kind: &Kind) -> &'static str {
    fields(kind).0
}

#[expect(
    clippy::too_many_lines,
    reason = "one line a field of the whole list; it has no logic"
)]
fn fields(kind: &Kind) -> (&'static str, Value) {
    match kind {
        Kind::Ready => ("ready", json!({})),
        Kind::Reloaded {
            generation,
            changed,
            ..
        } => (
            "reloaded",
            json!({"generation": generation.0, "changed": changed}),
        ),
        Kind::ReloadRefused { mistakes } => ("reload_refused", json!({"mistakes": mistakes})),
        Kind::MeshComplete { after } => ("mesh_complete", json!({"after_us": after.as_us()})),
        Kind::Operated { act } => ("operated", json!({"act": act.word()})),
        Kind::Drained => ("drained", json!({})),
        Kind::CertificateChanged { names } => {
            ("certificate_changed", json!({"names": texts(names)}))
        }
        Kind::FaultSet { fault, what, until } => (
            "fault_set",
            json!({
                "fault": fault.0, "word": what.effect.word(), "target": what.target.to_string(),
                "what": what.to_string(), "until_us": until.map(Time::as_us),
            }),
        ),
        Kind::FaultLifted { fault, what } => (
            "fault_lifted",
            json!({
                "fault": fault.0, "word": what.effect.word(), "target": what.target.to_string(),
                "what": what.to_string(),
            }),
        ),
        Kind::Probed(probed) => (
            "probed",
            json!({
                "expectation": probed.expectation, "from": probed.from.to_string(),
                "name": probed.name.to_string(), "rtype": probed.rtype.to_string(),
                "view": named(&probed.view), "rcode": named(&probed.rcode),
                "answer": texts(&probed.answer),
            }),
        ),
        Kind::RunBegan { ends } => ("run_began", json!({"ends_us": ends.as_us()})),
        Kind::StepBegan { step } => ("step_began", json!({"step": step})),
        Kind::StepEnded { step } => ("step_ended", json!({"step": step})),
        Kind::RunEnded { why } => ("run_ended", json!({"why": why})),
        Kind::Resolved(resolved) => (
            "resolved",
            json!({
                "client": resolved.client.to_string(), "name": resolved.name.to_string(),
                "rtype": resolved.rtype.to_string(), "cached": resolved.cached,
                "rcode": resolved.rcode.to_string(), "ttl_seconds": resolved.ttl,
                "answer": texts(&resolved.answer),
            }),
        ),
        Kind::Roamed { network, address } => (
            "roamed",
            json!({"network": network.to_string(), "address": address.to_string()}),
        ),
        Kind::Finding { id, detail } => ("finding", json!({"id": id, "detail": detail})),
        Kind::DnsCarried(traffic) => (
            "dns_carried",
            json!({
                "udp": traffic.udp, "tcp": traffic.tcp, "truncated": traffic.truncated,
                "malformed": traffic.malformed, "unlogged": traffic.unlogged,
                "overflowed": traffic.overflowed, "refused_client": traffic.refused_client,
                "refused_total": traffic.refused_total, "evicted": traffic.evicted,
                "idle": traffic.idle, "slow": traffic.slow,
            }),
        ),
        Kind::DnsCounted {
            view,
            rule,
            rcode,
            count,
        } => (
            "dns_counted",
            json!({
                "view": named(view), "rule": named(rule), "rcode": rcode.to_string(),
                "count": count,
            }),
        ),
        Kind::DnsForwarded {
            view,
            result,
            count,
            waited,
        } => (
            "dns_forwarded",
            json!({
                "view": view.to_string(), "result": result, "count": count,
                "waited_us": waited.as_us(),
            }),
        ),
        Kind::DnsAnswered(answered) => ("dns_answered", dns_answered(answered)),
        Kind::FlowOpened {
            flow,
            client,
            network,
            listener,
        } => (
            "flow_opened",
            json!({
                "flow": flow.0, "client": client.to_string(), "network": named(network),
                "listener": listener.to_string(),
            }),
        ),
        Kind::ClientRefused {
            client,
            network,
            listener,
            why,
        } => (
            "client_refused",
            json!({
                "client": client.to_string(), "network": named(network),
                "listener": listener.to_string(), "why": why.word(), "rule": why.rule(),
            }),
        ),
        Kind::FlowConnected {
            flow,
            proxy,
            from,
            attempt,
            why,
        } => (
            "flow_connected",
            json!({
                "flow": flow.0, "proxy": proxy.to_string(),
                "from": from.map(|from| from.to_string()), "attempt": attempt,
                "why": why.to_string(),
            }),
        ),
        Kind::ConnectFailed { flow, proxy, error } => (
            "connect_failed",
            json!({"flow": flow.0, "proxy": proxy.to_string(), "error": error}),
        ),
        Kind::NoBackend { flow, tried } => ("no_backend", json!({"flow": flow.0, "tried": tried})),
        Kind::FlowClosed {
            flow,
            proxy,
            up,
            down,
            how,
        } => (
            "flow_closed",
            json!({
                "flow": flow.0, "proxy": named(proxy), "up": up, "down": down,
                "how": how.word(),
            }),
        ),
        Kind::Checked {
            proxy,
            took,
            error,
            untold,
        } => (
            "checked",
            json!({
                "proxy": proxy.to_string(), "took_us": took.as_us(), "error": error,
                "untold": untold,
            }),
        ),
        Kind::HealthChanged { proxy, to, cause } => (
            "health_changed",
            json!({"proxy": proxy.to_string(), "to": to.word(), "cause": cause}),
        ),
        Kind::ServiceChosen {
            conn,
            listener,
            client,
            sni,
            alpn,
            service,
            why,
        } => (
            "service_chosen",
            json!({
                "conn": conn.0, "listener": listener.word(), "client": client.to_string(),
                "sni": named(sni), "alpn": texts(alpn),
                "service": service.map(|service| service.word()), "why": why,
            }),
        ),
        Kind::ConnRefused { conn, client, why } => (
            "conn_refused",
            json!({
                "conn": conn.0, "client": client.map(|client| client.to_string()), "why": why,
            }),
        ),
        Kind::TunnelRegistered { conn, agent } => (
            "tunnel_registered",
            json!({"conn": conn.0, "agent": agent.to_string()}),
        ),
        Kind::TunnelRemoved { conn, agent, why } => (
            "tunnel_removed",
            json!({"conn": conn.0, "agent": agent.to_string(), "why": why}),
        ),
        Kind::TunnelOffline {
            conn,
            agent,
            silent,
        } => (
            "tunnel_offline",
            json!({
                "conn": conn.0, "agent": agent.to_string(), "silent_us": silent.as_us(),
            }),
        ),
        Kind::StandInRegistered {
            conn,
            name,
            resources,
        } => (
            "stand_in_registered",
            json!({"conn": conn.0, "name": name.to_string(), "resources": texts(resources)}),
        ),
        Kind::SessionBegun { client, app, user } => (
            "session_begun",
            json!({
                "client": client.to_string(), "app": app.to_string(), "user": user.to_string(),
            }),
        ),
        Kind::Peered {
            request,
            client,
            app,
            peer,
            why,
        } => (
            "peered",
            json!({
                "request": request.0, "client": client.to_string(), "app": app.to_string(),
                "peer": peer.to_string(), "why": why,
            }),
        ),
        Kind::GossipSent { tunnels, proxies } => (
            "gossip_sent",
            json!({"tunnels": tunnels, "proxies": proxies}),
        ),
        Kind::Routed {
            request,
            client,
            app,
            agent,
            conn,
            why,
        } => (
            "routed",
            json!({
                "request": request.0, "client": client.to_string(), "app": app.to_string(),
                "agent": agent.to_string(), "conn": conn.0, "why": why,
            }),
        ),
        // The words that the user saw are in the line that every fact has.
        Kind::NoTunnel {
            request,
            client,
            app,
            text: _,
        } => (
            "no_tunnel",
            json!({
                "request": request.0, "client": client.to_string(), "app": app.to_string(),
            }),
        ),
        Kind::RequestEnded {
            request,
            status,
            bytes,
            took,
        } => (
            "request_ended",
            json!({
                "request": request.0, "status": status, "bytes": bytes, "took_us": took.as_us(),
            }),
        ),
        Kind::AddressFound {
            dial,
            address,
            rule,
            cached,
        } => (
            "address_found",
            json!({
                "dial": dial.0, "address": address.to_string(), "rule": rule, "cached": cached,
            }),
        ),
        Kind::DoorUsed {
            attempt,
            purpose,
            host,
            address,
            balancer,
            network,
        } => (
            "door_used",
            json!({
                "attempt": attempt, "purpose": purpose.word(), "host": host.to_string(),
                "address": address.to_string(), "balancer": named(balancer),
                "network": network.to_string(),
            }),
        ),
        Kind::Claimed {
            dial,
            proxy,
            balancer,
            principal,
            tunnels,
            gap,
        } => (
            "claimed",
            json!({
                "dial": dial.0, "proxy": proxy.to_string(), "balancer": named(balancer),
                "principal": principal.to_string(), "tunnels": tunnels,
                "gap_us": gap.map(Span::as_us),
            }),
        ),
        Kind::DialFailed {
            dial,
            stage,
            cause,
            error,
        } => (
            "dial_failed",
            json!({
                "dial": dial.0, "stage": stage.word(), "cause": cause.word(), "error": error,
            }),
        ),
        Kind::TunnelLost {
            dial,
            proxy,
            why,
            tunnels,
        } => (
            "tunnel_lost",
            json!({"dial": dial.0, "proxy": proxy.to_string(), "why": why, "tunnels": tunnels}),
        ),
        Kind::BackingOff { wait, step } => (
            "backing_off",
            json!({"wait_us": wait.as_us(), "step": step}),
        ),
        Kind::Advised { proxy } => ("advised", json!({"proxy": proxy.to_string()})),
        Kind::ProxiesKnown { known, why } => ("proxies_known", json!({"known": known, "why": why})),
        Kind::StreamCut { app, why } => ("stream_cut", json!({"app": app.to_string(), "why": why})),
        Kind::Pinged {
            attempt,
            asked,
            web,
        } => (
            "pinged",
            json!({"attempt": attempt, "asked": asked.to_string(), "web": web.to_string()}),
        ),
        Kind::Redirected { request, app, to } => (
            "redirected",
            json!({"request": request.0, "app": app.to_string(), "to": to.to_string()}),
        ),
        Kind::VisitAnswered(answered) => ("visit_answered", visit_answered(answered)),
        Kind::VisitFailed {
            request,
            app,
            balancer,
            reason,
            error,
        } => (
            "visit_failed",
            json!({
                "request": request.0, "app": app.to_string(), "balancer": named(balancer),
                "reason": reason.word(), "error": error,
            }),
        ),
    }
}

fn texts(names: &[Name]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn dns_answered(answered: &DnsAnswered) -> Value {
    json!({
        "client": answered.client.to_string(),
        "asker": answered.asker.as_ref().map(ToString::to_string),
        "subnet": answered.subnet,
        "transport": answered.transport,
        "name": answered.name,
        "rtype": answered.rtype,
        "view": named(&answered.view),
        "rule": named(&answered.rule),
        "rcode": answered.rcode.to_string(),
        "answer": answered.answer,
        "why": answered.why,
        "took_us": answered.took.map(Span::as_us),
    })
}

fn visit_answered(answered: &VisitAnswered) -> Value {
    json!({
        "request": answered.request.0,
        "app": answered.app.to_string(),
        "balancer": named(&answered.balancer),
        "network": answered.network.to_string(),
        "proxy": named(&answered.proxy),
        "agent": named(&answered.agent),
        "status": answered.status,
        "bytes": answered.bytes,
        "took_us": answered.took.as_us(),
    })
}
