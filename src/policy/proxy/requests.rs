//! Requests of users: which app a `Host` header asks for, which tunnel takes it, and how it ends.

use super::{OFFLINE_AFTER, Output, Proxy, Routed, Work};
use crate::model::addr::ClientAddr;
use crate::model::fact::Kind;
use crate::model::id::RequestId;
use crate::model::teleport::ConnType;
use crate::model::topology::Topology;
use crate::policy::{Context, Outbox, agent, route};

impl Proxy {
    pub(super) fn request_read(
        &mut self,
        cx: &Context<'_>,
        client: ClientAddr,
        host: &str,
        out: &mut Outbox<Output>,
    ) {
        if self.work == Work::Stopped {
            // Its connection is about to be cut.
            return;
        }
        let app = match app_of(cx.topology, host) {
            Asked::WebApi => {
                out.push(Output::ServeWebApi);
                return;
            }
            Asked::Nothing => {
                let text = format!("no app has the public address {host:?}\n");
                out.push(Output::RefuseRequest {
                    status: 404,
                    no_tunnel: false,
                    text,
                });
                return;
            }
            Asked::App(app) => app,
        };
        let Some((app, servers)) = self.apps.get_key_value(app) else {
            let text = format!("no agent announces an app named {app:?}\n");
            out.push(Output::RefuseRequest {
                status: 404,
                no_tunnel: false,
                text,
            });
            return;
        };
        self.requests += 1;
        let request = RequestId(self.requests);
        // Several servers of one app are asked in turn, a different one first each time.
        let skip = usize::try_from(self.requests).unwrap_or(0) % servers.len().max(1);
        let servers = servers.iter().skip(skip).chain(servers.iter().take(skip));
        let candidates = self.tunnels.iter().map(|(conn, tunnel)| route::Candidate {
            conn: *conn,
            host_id: &tunnel.host_id,
            ready: tunnel.beat.is_some(),
            invalid: tunnel.refused
                || tunnel
                    .beat
                    .is_some_and(|beat| cx.now.since(beat) > OFFLINE_AFTER),
        });
        let app = app.clone();
        match route::pick(candidates, servers) {
            Err(cause) => {
                let text = route::refusal(&cause);
                out.fact(Kind::NoTunnel {
                    request,
                    client,
                    app,
                    text: text.clone(),
                });
                out.push(Output::RefuseRequest {
                    status: 502,
                    no_tunnel: true,
                    text,
                });
            }
            Ok(picked) => {
                let Some(tunnel) = self.tunnels.get_mut(&picked.conn) else {
                    return;
                };
                tunnel.open += 1;
                let (conn, why) = (picked.conn, picked.why);
                let agent = tunnel.agent.clone();
                let host_id = tunnel.host_id.clone();
                self.routed.insert(
                    request,
                    Routed {
                        conn,
                        client,
                        app: app.clone(),
                        since: cx.now,
                    },
                );
                let fact_app = app.clone();
                let agent_name = agent.clone();
                out.fact(Kind::Routed {
                    request,
                    client,
                    app: fact_app,
                    agent: agent_name,
                    conn,
                    why,
                });
                out.push(Output::Route {
                    request,
                    conn,
                    kind: ConnType::App,
                    app,
                    agent,
                    host_id,
                });
            }
        }
    }

    pub(super) fn stream_refused(
        &mut self,
        cx: &Context<'_>,
        request: RequestId,
        why: &str,
        broken: bool,
        out: &mut Outbox<Output>,
    ) {
        let Some(routed) = self.finish(request) else {
            return;
        };
        if let Some(tunnel) = self.tunnels.get_mut(&routed.conn)
            && broken
        {
            // A tunnel that takes no stream is invalid, and closed at once if it has no session.
            tunnel.refused = true;
            if tunnel.open == 0 {
                out.push(Output::CloseTunnel { conn: routed.conn });
            }
        }
        // Only what is for want of a tunnel is counted as such; an agent may have other reasons.
        let no_tunnel = broken || [agent::CLOSED, agent::DRAINING].contains(&why);
        let text = if no_tunnel {
            let text = route::refusal(why);
            out.fact(Kind::NoTunnel {
                request,
                client: routed.client,
                app: routed.app,
                text: text.clone(),
            });
            text
        } else {
            let text = format!("no answer through the tunnel: {why}\n");
            out.fact(Kind::RequestEnded {
                request,
                status: 502,
                bytes: text.len() as u64,
                took: cx.now.since(routed.since),
            });
            text
        };
        out.push(Output::RefuseRequest {
            status: 502,
            no_tunnel,
            text,
        });
        self.note_drained(out);
    }

    pub(super) fn finish(&mut self, request: RequestId) -> Option<Routed> {
        let routed = self.routed.remove(&request)?;
        if let Some(tunnel) = self.tunnels.get_mut(&routed.conn) {
            tunnel.open = tunnel.open.saturating_sub(1);
        }
        Some(routed)
    }

    /// Ends every open request without an answer.
    pub(super) fn cut_requests(&mut self, cx: &Context<'_>, out: &mut Outbox<Output>) {
        for (request, routed) in std::mem::take(&mut self.routed) {
            out.fact(Kind::RequestEnded {
                request,
                status: 0,
                bytes: 0,
                took: cx.now.since(routed.since),
            });
        }
    }
}

/// What a `Host` header asks for.
enum Asked<'a> {
    App(&'a str),
    Nothing,
    WebApi,
}

/// Any host that is not local, not an address and not a public address asks for an app; the app is
/// the first label of a name directly under a public address (Teleport `web-app`).
fn app_of<'a>(topology: &Topology, host: &'a str) -> Asked<'a> {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_address = name
        .trim_matches(['[', ']'])
        .parse::<std::net::IpAddr>()
        .is_ok();
    let public = || topology.pool.teleport.public.iter();
    if name.eq_ignore_ascii_case("localhost")
        || is_address
        || public().any(|public| name.eq_ignore_ascii_case(&public.host))
    {
        return Asked::WebApi;
    }
    match name.split_once('.') {
        Some((app, rest)) if public().any(|public| rest.eq_ignore_ascii_case(&public.host)) => {
            Asked::App(app)
        }
        _ => Asked::Nothing,
    }
}
