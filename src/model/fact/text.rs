//! Each fact as one readable line, for the page's log and for a terminal.
//!
//! In goes a fact, out comes a sentence without its instant and node ([`Kind`]) or with both
//! ([`Fact`]). It is one line whatever the wire held: what hides or moves is shown as an escape
//! ([`Escaped`]), so that nobody on the wire writes to a terminal or forges a line.

use std::fmt::{self, Display, Formatter};

use super::{DnsAnswered, DnsTraffic, Fact, Kind, Probed, Refused, Resolved, VisitAnswered};
use crate::model::escaped::Escaped;
use crate::model::id::Name;

/// `12.345 agent/orders: goes through door internal …`.
impl Display for Fact {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.at, self.node, self.kind)
    }
}

/// The sentence alone.
impl Display for Kind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Escaped(&Sentence(self).to_string()).fmt(f)
    }
}

/// The sentence as it is made, with whatever the wire held.
struct Sentence<'a>(&'a Kind);

impl Display for Sentence<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::Ready
            | Kind::Reloaded { .. }
            | Kind::ReloadRefused { .. }
            | Kind::MeshComplete { .. }
            | Kind::Operated { .. }
            | Kind::Drained
            | Kind::CertificateChanged { .. }
            | Kind::FaultSet { .. }
            | Kind::FaultLifted { .. }
            | Kind::RunBegan { .. }
            | Kind::StepBegan { .. }
            | Kind::StepEnded { .. }
            | Kind::RunEnded { .. }
            | Kind::Finding { .. } => lab(self.0, f),
            Kind::DnsCounted {
                view,
                rule,
                rcode,
                count,
            } => {
                write!(f, "{count} answers {rcode} from view {}", or_none(view))?;
                write!(f, " by rule {}", or_none(rule))
            }
            Kind::DnsCarried(traffic) => {
                let DnsTraffic {
                    udp,
                    tcp,
                    truncated,
                    malformed,
                    unlogged,
                    overflowed,
                    refused_client,
                    refused_total,
                    evicted,
                    idle,
                    slow,
                } = traffic;
                write!(
                    f,
                    "{udp} messages over udp, {tcp} over tcp; {malformed} malformed, "
                )?;
                write!(f, "{truncated} answers truncated, {unlogged} not logged")?;
                let refused = refused_client + refused_total;
                let lost = [
                    (*overflowed, "datagrams lost before they were read"),
                    (refused, "connections refused"),
                    (*evicted, "closed to make room"),
                    (*idle, "closed as idle"),
                    (*slow, "cut as too slow"),
                ];
                for (count, what) in lost.iter().filter(|(count, _)| *count > 0) {
                    write!(f, ", {count} {what}")?;
                }
                Ok(())
            }
            Kind::DnsForwarded {
                view,
                result,
                count,
                waited,
            } => write!(
                f,
                "{count} questions of view {view} passed on: {result}, {waited} waited in all"
            ),
            Kind::DnsAnswered(answered) => answered.fmt(f),
            Kind::FlowOpened { .. }
            | Kind::ClientRefused { .. }
            | Kind::FlowConnected { .. }
            | Kind::ConnectFailed { .. }
            | Kind::NoBackend { .. }
            | Kind::FlowClosed { .. }
            | Kind::Checked { .. }
            | Kind::HealthChanged { .. } => balancer(self.0, f),
            Kind::ServiceChosen { .. }
            | Kind::ConnRefused { .. }
            | Kind::TunnelRegistered { .. }
            | Kind::TunnelRemoved { .. }
            | Kind::TunnelOffline { .. }
            | Kind::StandInRegistered { .. }
            | Kind::SessionBegun { .. }
            | Kind::Peered { .. }
            | Kind::GossipSent { .. }
            | Kind::Routed { .. }
            | Kind::NoTunnel { .. }
            | Kind::RequestEnded { .. } => proxy(self.0, f),
            Kind::AddressFound { .. }
            | Kind::DoorUsed { .. }
            | Kind::Claimed { .. }
            | Kind::DialFailed { .. }
            | Kind::TunnelLost { .. }
            | Kind::BackingOff { .. }
            | Kind::Advised { .. }
            | Kind::ProxiesKnown { .. }
            | Kind::StreamCut { .. } => agent(self.0, f),
            Kind::Probed(probed) => probed.fmt(f),
            Kind::Resolved(resolved) => resolved.fmt(f),
            Kind::Roamed { network, address } => {
                write!(f, "moved to network {network}, address {address}")
            }
            Kind::Pinged { asked, web, .. } => write!(f, "asked {asked}, told to use {web}"),
            Kind::Redirected { app, to, .. } => {
                write!(f, "visit to {app} has no session: sent to log in at {to}")
            }
            Kind::VisitAnswered(answered) => answered.fmt(f),
            Kind::VisitFailed {
                app,
                balancer,
                reason,
                error,
                ..
            } => {
                write!(f, "visit to {app} through {}", door(balancer))?;
                write!(f, " failed ({reason}): {error}")
            }
        }
    }
}

/// `client 127.20.0.9 (user/alice) asked proxy.example.com. A: view public (rule any): …`.
impl Display for DnsAnswered {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "client {}", self.client.ip())?;
        if let Some(asker) = &self.asker {
            write!(f, " ({asker})")?;
        }
        if let Some(subnet) = &self.subnet {
            write!(f, " for {subnet}")?;
        }
        write!(f, " asked {} {}: ", self.name, self.rtype)?;
        match &self.view {
            Some(view) => write!(f, "view {view} (rule {})", or_none(&self.rule))?,
            None => f.write_str("no view")?,
        }
        write!(f, ": {}", self.rcode)?;
        if !self.answer.is_empty() {
            write!(f, " {}", self.answer.join(", "))?;
        }
        write!(f, " ({})", self.why)
    }
}

/// `asked proxy.example.com. A as 127.10.0.9: NOERROR 127.10.0.2 from view private`.
impl Display for Probed {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "asked {} {} as {}: ", self.name, self.rtype, self.from)?;
        f.write_str(self.rcode.as_deref().unwrap_or("no answer"))?;
        if !self.answer.is_empty() {
            write!(f, " {}", self.answer.join(", "))?;
        }
        match &self.view {
            Some(view) => write!(f, " from view {view}"),
            None => Ok(()),
        }
    }
}

/// `answered 127.10.0.9 from the cache: proxy.example.com. A: NOERROR A 127.10.0.2, 17s left`.
impl Display for Resolved {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "answered {}", self.client.ip())?;
        f.write_str(if self.cached {
            " from the cache: "
        } else {
            " by the DNS server: "
        })?;
        write!(f, "{} {}: {}", self.name, self.rtype, self.rcode)?;
        if !self.answer.is_empty() {
            write!(f, " {}", self.answer.join(", "))?;
        }
        write!(f, ", {}s left", self.ttl)
    }
}

/// `visited orders from external through door external, proxy 2, agent orders: 200, …`.
impl Display for VisitAnswered {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "visited {} from {}", self.app, self.network)?;
        write!(f, " through {}", door(&self.balancer))?;
        write!(f, ", proxy {}", or_none(&self.proxy))?;
        write!(f, ", agent {}", or_none(&self.agent))?;
        write!(f, ": {}, {} bytes", self.status, self.bytes)?;
        write!(f, " in {}", self.took)
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the caller hands each group its own kinds"
)]
fn lab(kind: &Kind, f: &mut Formatter<'_>) -> fmt::Result {
    match kind {
        Kind::Ready => f.write_str("everything listens"),
        Kind::Reloaded {
            generation,
            changed,
            ..
        } if changed.is_empty() => {
            write!(f, "reloaded, generation {generation}: nothing changed")
        }
        Kind::Reloaded {
            generation,
            changed,
            ..
        } => {
            write!(f, "reloaded, generation {generation}: changed ")?;
            f.write_str(&changed.join(", "))
        }
        Kind::ReloadRefused { mistakes } => {
            write!(f, "reload refused, the old rules stay: ")?;
            f.write_str(&mistakes.join("; "))
        }
        Kind::MeshComplete { after } => {
            write!(
                f,
                "every agent holds a tunnel to every proxy, {after} after ready"
            )
        }
        Kind::Operated { act } => write!(f, "operator: {act}"),
        Kind::Drained => f.write_str("drained: nothing is open"),
        Kind::CertificateChanged { names } => {
            write!(f, "the pool shows another certificate, for ")?;
            f.write_str(&names.join(", "))
        }
        Kind::FaultSet { fault, what, until } => {
            write!(f, "fault {fault}: {what}")?;
            until.map_or(Ok(()), |until| write!(f, ", until {until}"))
        }
        Kind::FaultLifted { fault, what } => write!(f, "fault {fault} lifted: {what}"),
        Kind::RunBegan { ends } => write!(f, "the run begins, until {ends}"),
        Kind::StepBegan { step } => write!(f, "step {} begins", step + 1),
        Kind::StepEnded { step } => write!(f, "step {} has ended", step + 1),
        Kind::RunEnded { why } => write!(f, "the run is over: {why}"),
        Kind::Finding { id, detail } => write!(f, "finding {id}: {detail}"),
        other => unreachable_here(other, f),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the caller hands each group its own kinds"
)]
fn balancer(kind: &Kind, f: &mut Formatter<'_>) -> fmt::Result {
    match kind {
        Kind::FlowOpened {
            flow,
            client,
            network,
            listener,
        } => {
            write!(
                f,
                "flow {flow}: client {client}, network {}",
                or_none(network)
            )?;
            write!(f, ", let in at {listener}")
        }
        Kind::ClientRefused {
            client,
            network,
            listener,
            why,
        } => {
            write!(f, "client {client}, network {}", or_none(network))?;
            write!(f, ", refused at {listener}: ")?;
            match why {
                Refused::Denied(rule) => write!(f, "allow has {rule}"),
                Refused::Draining => f.write_str("the door is draining"),
                Refused::Full => f.write_str("the door has as many flows as it takes"),
                Refused::NotAllowed(list) => write!(f, "not in allow: {list}"),
                Refused::Stopped => f.write_str("the door is stopped"),
            }
        }
        Kind::FlowConnected {
            flow,
            proxy,
            attempt,
            why,
            ..
        } => write!(f, "flow {flow}: proxy {proxy}, {why}, attempt {attempt}"),
        Kind::ConnectFailed { flow, proxy, error } => {
            write!(f, "flow {flow}: proxy {proxy} not reached: {error}")
        }
        Kind::NoBackend { flow, tried } => {
            write!(f, "flow {flow}: closed, no proxy left after {tried} tried")
        }
        Kind::FlowClosed {
            flow,
            proxy,
            up,
            down,
            how,
        } => {
            write!(f, "flow {flow}: closed ({how}), proxy {}", or_none(proxy))?;
            write!(f, ", {up} bytes up, {down} down")
        }
        Kind::Checked {
            proxy,
            took,
            error,
            untold,
        } => {
            match error {
                None => write!(f, "check of proxy {proxy} passed in {took}")?,
                Some(error) => write!(f, "check of proxy {proxy} failed after {took}: {error}")?,
            }
            match untold {
                0 => Ok(()),
                untold => write!(f, " ({untold} before it are not told)"),
            }
        }
        Kind::HealthChanged { proxy, to, cause } => write!(f, "proxy {proxy} is {to}: {cause}"),
        other => unreachable_here(other, f),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the caller hands each group its own kinds"
)]
fn proxy(kind: &Kind, f: &mut Formatter<'_>) -> fmt::Result {
    match kind {
        Kind::ServiceChosen {
            conn,
            listener,
            client,
            sni,
            alpn,
            service,
            why,
        } => {
            write!(f, "connection {conn} of {client} at {listener}: ")?;
            write!(f, "name {}", or_none(sni))?;
            write!(f, ", ALPN [{}]: ", alpn.join(", "))?;
            match service {
                Some(service) => write!(f, "{service} ({why})"),
                None => write!(f, "refused ({why})"),
            }
        }
        Kind::ConnRefused { conn, client, why } => {
            write!(f, "connection {conn}")?;
            if let Some(client) = client {
                write!(f, " of {client}")?;
            }
            write!(f, " refused: {why}")
        }
        Kind::TunnelRegistered { conn, agent } => {
            write!(f, "tunnel of agent {agent} registered on connection {conn}")
        }
        Kind::TunnelRemoved { conn, agent, why } => {
            write!(
                f,
                "tunnel of agent {agent} on connection {conn} removed: {why}"
            )
        }
        Kind::TunnelOffline {
            conn,
            agent,
            silent,
        } => write!(
            f,
            "tunnel of agent {agent} on connection {conn} is invalid: no heartbeat for {silent}"
        ),
        Kind::StandInRegistered {
            conn,
            name,
            resources,
        } => write!(
            f,
            "stand-in {name} serves {} on connection {conn}, without heartbeats",
            resources.join(", ")
        ),
        Kind::SessionBegun { client, app, user } => {
            write!(f, "{client} logged in as {user} for {app}")
        }
        Kind::Peered {
            request,
            client,
            app,
            peer,
            why,
        } => write!(
            f,
            "request {request} of {client} for {app}: passed on to proxy {peer} ({why})"
        ),
        Kind::GossipSent { tunnels, proxies } => {
            write!(f, "told {tunnels} tunnels of {proxies} proxies")
        }
        Kind::Routed {
            request,
            client,
            app,
            agent,
            conn,
            why,
        } => {
            write!(f, "request {request} of {client} for {app}: ")?;
            write!(f, "agent {agent}, tunnel {conn} ({why})")
        }
        Kind::NoTunnel {
            request,
            client,
            app,
            text,
        } => {
            write!(f, "request {request} of {client} for {app}: no tunnel:")?;
            // What the user saw has several lines.
            text.split_whitespace()
                .try_for_each(|word| write!(f, " {word}"))
        }
        // How much had gone through is known only where a user left, not where the proxy stopped.
        Kind::RequestEnded {
            request,
            status: 0,
            took,
            ..
        } => write!(f, "request {request} was cut after {took}"),
        Kind::RequestEnded {
            request,
            status,
            bytes,
            took,
        } => write!(
            f,
            "request {request} ended: {status}, {bytes} bytes in {took}"
        ),
        other => unreachable_here(other, f),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the caller hands each group its own kinds"
)]
fn agent(kind: &Kind, f: &mut Formatter<'_>) -> fmt::Result {
    match kind {
        Kind::AddressFound {
            dial,
            address,
            rule,
            cached,
        } => {
            let cached = if *cached { ", used again" } else { "" };
            write!(f, "dial {dial}: tunnel address {address} ({rule}{cached})")
        }
        Kind::DoorUsed {
            purpose,
            host,
            address,
            balancer,
            network,
            ..
        } => {
            write!(f, "{purpose} from {network} to {host}: {address}")?;
            write!(f, ", {}", door(balancer))
        }
        Kind::Claimed {
            dial,
            proxy,
            balancer,
            principal,
            tunnels,
            gap,
        } => {
            write!(
                f,
                "dial {dial}: tunnel to proxy {proxy} through {}",
                door(balancer)
            )?;
            write!(f, ", principal {principal}, {tunnels} in all")?;
            match gap {
                Some(gap) => write!(f, ", {gap} after the last was lost"),
                None => Ok(()),
            }
        }
        Kind::DialFailed {
            dial,
            stage,
            cause,
            error,
        } => write!(f, "dial {dial} failed at {stage} ({cause}): {error}"),
        Kind::TunnelLost {
            dial,
            proxy,
            why,
            tunnels,
        } => write!(
            f,
            "tunnel {dial} to proxy {proxy} lost: {why}, {tunnels} left"
        ),
        Kind::BackingOff { wait, step } => write!(f, "waits {wait}, wait {step} in a row"),
        Kind::Advised { proxy } => write!(f, "proxy {proxy} advised to reconnect elsewhere"),
        Kind::ProxiesKnown { known, why } => write!(f, "knows {known} proxies: {why}"),
        Kind::StreamCut { app, why } => write!(f, "stream of {app} cut: {why}"),
        other => unreachable_here(other, f),
    }
}

/// A wrong group above would show the debug form, never panic.
fn unreachable_here(kind: &Kind, f: &mut Formatter<'_>) -> fmt::Result {
    write!(f, "{kind:?}")
}

fn or_none(name: &Option<Name>) -> &str {
    name.as_deref().unwrap_or("none")
}

fn door(balancer: &Option<Name>) -> String {
    match balancer {
        Some(name) => format!("door {name}"),
        None => String::from("no door of the lab"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::{ConnId, Node, Seq};
    use crate::model::time::Time;

    #[test]
    fn what_the_wire_held_stays_on_one_line_and_off_the_terminal() {
        let why = String::from("name \u{1b}[31m\n99.9 proxy/1: forged\u{9b}");
        let kind = Kind::ConnRefused {
            conn: ConnId(1),
            client: None,
            why,
        };
        let node = Node::Proxy("1".into());
        let line = Fact {
            seq: Seq(1),
            at: Time::ZERO,
            node,
            kind,
        }
        .to_string();
        assert!(!line.contains(char::is_control), "{line:?}");
        assert!(
            line.ends_with("name \\u{1b}[31m\\n99.9 proxy/1: forged\\u{9b}"),
            "{line}"
        );
    }
}
