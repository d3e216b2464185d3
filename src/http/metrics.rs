//! The snapshot as Prometheus text. Nothing is counted here.
//!
//! Label values come from the scenario or from closed lists, never from the wire, so the number of
//! series is bounded by the scenario.

use std::fmt::Display;

use crate::model::fact::{DnsTraffic, Health, Purpose};
use crate::model::time::Time;
use crate::snapshot::{Admin, Snapshot};

/// Every state that an operator can put a node in, in order.
const ADMIN_STATES: [Admin; 4] = [
    Admin::Ready,
    Admin::Draining,
    Admin::Drained,
    Admin::Stopped,
];

/// Writes all metrics of this state.
pub fn render(state: &Snapshot) -> String {
    let mut page = Page {
        text: String::new(),
        name: "",
    };
    lab(state, &mut page);
    dns(state, &mut page);
    balancers(state, &mut page);
    proxies(state, &mut page);
    clients(state, &mut page);
    page.text
}

/// Writes the metrics of a DNS server without a lab.
pub fn render_dns(state: &Snapshot) -> String {
    let mut page = Page {
        text: String::new(),
        name: "",
    };
    page.gauge("ready", "Whether everything listens.");
    page.line(&[], u8::from(state.ready.is_some()));
    reload(state, &mut page);
    dns(state, &mut page);
    page.text
}

fn lab(state: &Snapshot, page: &mut Page) {
    page.gauge("ready", "Whether everything listens.");
    page.line(&[], u8::from(state.ready.is_some()));
    page.counter("facts_total", "Facts that the journal has taken.");
    page.line(&[], state.seq.0);
    reload(state, page);
    page.gauge("mesh_tunnels", "Tunnels that stand, of all agents.");
    page.line(&[], state.mesh.now);
    page.gauge("mesh_tunnels_full", "Tunnels of a full mesh.");
    page.line(&[], state.mesh.full);
    if let Some(after) = state.mesh.complete_after {
        let help = "Time from ready to the first full mesh.";
        page.gauge("mesh_complete_seconds", help);
        page.line(&[], after.as_secs_f64());
    }
    page.gauge("findings", "Findings that an operator should know.");
    page.line(&[], state.findings.len());
    let help = "Uses of a door by the lab's own agents and users from another network than the \
                one that the door stands in.";
    page.counter("misrouted_total", help);
    page.line(&[], misrouted(state));
}

fn misrouted(state: &Snapshot) -> u64 {
    let doors = state.balancers.iter();
    let of = |door: &crate::snapshot::BalancerState| -> u64 {
        let Some(own) = &door.network else { return 0 };
        let others = door.uses.iter().filter(|((_, from), _)| from != own);
        others.map(|(_, count)| count).sum()
    };
    doors.map(of).sum()
}

fn dns(state: &Snapshot, page: &mut Page) {
    let help = "Answers by view, matching element and response code.";
    page.counter("dns_queries_total", help);
    for ((view, rule, rcode), count) in &state.dns.answers {
        let view = view.as_deref().unwrap_or("");
        let rule = rule.as_deref().unwrap_or("");
        page.line(&[("view", view), ("rule", rule), ("rcode", rcode)], count);
    }
    forwarded(state, page);
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
    } = state.dns.traffic;
    let help = "Messages that came to the DNS server, by transport.";
    page.counter("dns_messages_total", help);
    page.line(&[("transport", "udp")], udp);
    page.line(&[("transport", "tcp")], tcp);
    let help = "Messages that could not be read, and were answered FORMERR.";
    page.counter("dns_malformed_total", help);
    page.line(&[], malformed);
    let help = "Answers that did not fit, and were sent with TC.";
    page.counter("dns_truncated_total", help);
    page.line(&[], truncated);
    let help = "Queries that the query log had no room for.";
    page.counter("dns_unlogged_total", help);
    page.line(&[], unlogged);
    let help = "Datagrams that the system dropped because no worker took them in time.";
    page.counter("dns_overflowed_total", help);
    page.line(&[], overflowed);
    let help = "Connections that were closed at once, by the limit that was reached.";
    page.counter("dns_connections_refused_total", help);
    page.line(&[("limit", "client")], refused_client);
    page.line(&[("limit", "total")], refused_total);
    let help =
        "Connections that the server ended: idle, too slow, or idle and in the way of others.";
    page.counter("dns_connections_cut_total", help);
    page.line(&[("reason", "idle")], idle);
    page.line(&[("reason", "room")], evicted);
    page.line(&[("reason", "slow")], slow);
}

/// What other servers were asked.
fn forwarded(state: &Snapshot, page: &mut Page) {
    let help = "Questions that were passed on to other servers, by view and what came of them.";
    page.counter("dns_forwarded_total", help);
    for ((view, result), sum) in &state.dns.forwarded {
        page.line(&[("view", view), ("result", result)], sum.count);
    }
    let help = "Seconds that askers waited for questions that were passed on, by view and result.";
    page.counter("dns_forwarded_seconds_total", help);
    for ((view, result), sum) in &state.dns.forwarded {
        let waited = sum.waited.as_secs_f64();
        page.line(&[("view", view), ("result", result)], waited);
    }
}

/// What the last reload came to.
fn reload(state: &Snapshot, page: &mut Page) {
    page.gauge("rules_generation", "Generation of the rules in force.");
    page.line(&[], state.generation.0);
    let help = "Whether the last reload was refused.";
    page.gauge("reload_refused", help);
    page.line(&[], u8::from(!state.reload_mistakes.is_empty()));
    if let Some(reloaded) = state.reloaded {
        let help = "When the last reload took, in seconds since the start.";
        page.gauge("reloaded_seconds", help);
        page.line(&[], reloaded.since(Time::ZERO).as_secs_f64());
    }
}

fn balancers(state: &Snapshot, page: &mut Page) {
    page.gauge("balancer_connections", "Flows that are open at a door.");
    for door in &state.balancers {
        page.line(&[("balancer", &door.name)], door.open);
    }
    let help = "Flows that a door let in, by the client's network.";
    page.counter("balancer_opened_total", help);
    for door in &state.balancers {
        for (network, count) in &door.networks {
            let labels = [("balancer", &*door.name), ("network", network)];
            page.line(&labels, count.opened);
        }
    }
    let help = "Clients that a door refused at accept, by the client's network.";
    page.counter("balancer_refused_total", help);
    for door in &state.balancers {
        for (network, count) in &door.networks {
            let labels = [("balancer", &*door.name), ("network", network)];
            page.line(&labels, count.refused);
        }
    }
    let help = "Bytes of flows that ended: up is from the client, down is to the client.";
    page.counter("balancer_bytes_total", help);
    for door in &state.balancers {
        let labels = |direction| [("balancer", &*door.name), ("direction", direction)];
        page.line(&labels("up"), door.bytes_up);
        page.line(&labels("down"), door.bytes_down);
    }
    let help = "Flows that a door closed because no proxy was left to try.";
    page.counter("balancer_no_backend_total", help);
    for door in &state.balancers {
        page.line(&[("balancer", &door.name)], door.no_backend);
    }
    let help = "Uses of a door by the lab's own agents and users, by purpose and network.";
    page.counter("balancer_uses_total", help);
    for door in &state.balancers {
        for ((purpose, network), count) in &door.uses {
            let purpose: Purpose = *purpose;
            let door = ("balancer", &*door.name);
            let labels = [door, ("purpose", purpose.word()), ("network", network)];
            page.line(&labels, count);
        }
    }
    backends(state, page);
}

fn backends(state: &Snapshot, page: &mut Page) {
    let each = || {
        let doors = state.balancers.iter();
        doors.flat_map(|door| {
            door.backends
                .iter()
                .map(move |backend| (&door.name, backend))
        })
    };
    let help = "A door's opinion of a proxy: 1 for the state that holds, 0 for the others.";
    page.gauge("balancer_health", help);
    for (door, backend) in each() {
        for health in Health::ALL {
            let proxy = ("proxy", &*backend.proxy);
            let labels = [("balancer", &**door), proxy, ("state", health.word())];
            page.line(&labels, u8::from(backend.health == *health));
        }
    }
    let help = "Flows that a door connected to a proxy.";
    page.counter("balancer_connected_total", help);
    for (door, backend) in each() {
        let labels = [("balancer", &**door), ("proxy", &*backend.proxy)];
        page.line(&labels, backend.total);
    }
    let help = "Connects of a door to a proxy that failed.";
    page.counter("balancer_connect_failed_total", help);
    for (door, backend) in each() {
        let labels = [("balancer", &**door), ("proxy", &*backend.proxy)];
        page.line(&labels, backend.failed);
    }
}

fn proxies(state: &Snapshot, page: &mut Page) {
    let help = "Whether at least one door sends new connections to a proxy.";
    page.gauge("proxy_up", help);
    for proxy in &state.proxies {
        let mut opinions = state.balancers.iter().flat_map(|door| &door.backends);
        let up = opinions.any(|seen| seen.proxy == proxy.name && seen.health.usable());
        page.line(&[("proxy", &proxy.name)], u8::from(up));
    }
    let help = "What the operator wants of a proxy: 1 for the state that holds, 0 for the others.";
    page.gauge("proxy_state", help);
    for proxy in &state.proxies {
        for admin in ADMIN_STATES {
            let labels = [("proxy", &*proxy.name), ("state", admin.word())];
            page.line(&labels, u8::from(proxy.admin == admin));
        }
    }
    page.gauge("proxy_tunnels", "Tunnels registered at a proxy.");
    for proxy in &state.proxies {
        page.line(&[("proxy", &proxy.name)], proxy.tunnels);
    }
    page.counter(
        "proxy_routed_total",
        "Requests that a proxy gave to a tunnel.",
    );
    for proxy in &state.proxies {
        page.line(&[("proxy", &proxy.name)], proxy.routed);
    }
    let help = "Requests that a proxy refused because that agent has no tunnel to it.";
    page.counter("proxy_no_tunnel_total", help);
    for proxy in &state.proxies {
        page.line(&[("proxy", &proxy.name)], proxy.no_tunnel);
    }
    let help = "Requests whose answer was cut at a proxy.";
    page.counter("proxy_cut_total", help);
    for proxy in &state.proxies {
        page.line(&[("proxy", &proxy.name)], proxy.cut);
    }
    let help = "Connections to a proxy that did not get to a service.";
    page.counter("proxy_refused_total", help);
    for proxy in &state.proxies {
        page.line(&[("proxy", &proxy.name)], proxy.refused);
    }
}

fn clients(state: &Snapshot, page: &mut Page) {
    page.gauge("tunnels", "Whether an agent's tunnel to a proxy stands.");
    for agent in &state.agents {
        for tunnel in &agent.tunnels {
            let labels = [("agent", &*agent.name), ("proxy", &*tunnel.proxy)];
            page.line(&labels, u8::from(tunnel.up));
        }
    }
    let help = "Attempts of an agent that ended without a tunnel, by how far they came.";
    page.counter("dial_failures_total", help);
    for agent in &state.agents {
        for (stage, count) in &agent.failures {
            page.line(&[("agent", &agent.name), ("stage", stage.word())], count);
        }
    }
    let help = "Visits of a user that were answered with success, by door.";
    page.counter("visits_answered_total", help);
    for user in &state.users {
        for (door, count) in &user.doors {
            page.line(&[("user", &user.name), ("balancer", door)], count);
        }
    }
    page.counter(
        "visits_failed_total",
        "Visits of a user that failed, by reason.",
    );
    for user in &state.users {
        for (reason, count) in &user.failures {
            page.line(&[("user", &user.name), ("reason", reason.word())], count);
        }
    }
}

/// The text so far, and the metric that samples are added to.
struct Page {
    text: String,
    name: &'static str,
}

impl Page {
    fn gauge(&mut self, name: &'static str, help: &str) {
        self.open(name, help, "gauge");
    }

    fn counter(&mut self, name: &'static str, help: &str) {
        self.open(name, help, "counter");
    }

    fn open(&mut self, name: &'static str, help: &str, kind: &str) {
        self.name = name;
        let head = format!("# HELP twodoors_{name} {help}\n# TYPE twodoors_{name} {kind}\n");
        self.text.push_str(&head);
    }

    /// Adds a sample of the metric that was opened last.
    fn line(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str("twodoors_");
        self.text.push_str(self.name);
        for (index, (label, content)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            let content = content.replace('\\', "\\\\").replace('"', "\\\"");
            let content = content.replace('\n', "\\n");
            let pair = format!("{before}{label}=\"{content}\"");
            self.text.push_str(&pair);
        }
        let end = if labels.is_empty() { "" } else { "}" };
        self.text.push_str(&format!("{end} {value}\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::{Page, render_dns};
    use crate::journal::Journal;
    use crate::model::fact::DnsTraffic;
    use crate::model::topology::{Dns, Topology};

    #[test]
    fn each_loss_of_the_dns_server_has_its_own_line() {
        let listen = "127.0.0.1:5300".parse().expect("an address");
        let topology = Topology::of_dns("dns".into(), Vec::new(), Dns::new(listen));
        let mut state = Journal::new(&topology).snapshot();
        state.dns.traffic = DnsTraffic {
            overflowed: 1,
            refused_client: 2,
            refused_total: 3,
            evicted: 4,
            idle: 5,
            slow: 6,
            ..DnsTraffic::default()
        };
        let page = render_dns(&state);
        for line in [
            "dns_overflowed_total 1",
            "dns_connections_refused_total{limit=\"client\"} 2",
            "dns_connections_refused_total{limit=\"total\"} 3",
            "dns_connections_cut_total{reason=\"room\"} 4",
            "dns_connections_cut_total{reason=\"idle\"} 5",
            "dns_connections_cut_total{reason=\"slow\"} 6",
        ] {
            let line = format!("twodoors_{line}");
            assert!(page.lines().any(|one| one == line), "{line} in {page}");
        }
    }

    #[test]
    fn a_name_cannot_leave_its_quotes() {
        let mut page = Page {
            text: String::new(),
            name: "",
        };
        page.gauge("x", "A sentence.");
        page.line(&[("a", "q\"b\\s\nn"), ("b", "")], 1);
        let line = page.text.lines().nth(2);
        assert_eq!(line, Some(r#"twodoors_x{a="q\"b\\s\nn",b=""} 1"#));
    }
}
