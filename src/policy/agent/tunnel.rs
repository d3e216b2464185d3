//! A tunnel that stands: heartbeats, gossip, streams, advice and its end.

use crate::model::addr::ListenAddr;
use crate::model::fact::Kind;
use crate::model::id::{DialId, Name};
use crate::model::teleport::{ConnType, Strategy};
use crate::policy::{Context, Outbox};

use super::{Agent, CLOSED, DRAINING, Output, Phase, Tunnel};

impl Agent {
    pub(super) fn tunnel_up(
        &mut self,
        cx: &Context<'_>,
        dial: DialId,
        address: ListenAddr,
        out: &mut Outbox<Output>,
    ) {
        let held = self.leases.claimed_by(dial).cloned();
        let (Some(id), Phase::Trying { dial: current, .. }) = (held, self.phase) else {
            out.push(Output::Close { dial });
            return;
        };
        if current != dial {
            out.push(Output::Close { dial });
            return;
        }
        self.in_vain = 0;
        let gap = self.leases.lost(&id).map(|lost| cx.now.since(lost));
        self.tunnels.push(Tunnel {
            dial,
            proxy: id.clone(),
            draining: false,
            streams: 0,
            beat: cx.now,
        });
        // The others tell of the new one, too, where proxies ask each other.
        let told = is_peering(cx);
        self.beat(cx, |tunnel| told || tunnel.dial == dial, out);
        out.fact(Kind::Claimed {
            dial,
            proxy: cx.topology.proxy_name(&id),
            balancer: cx
                .topology
                .balancer_at(address.0)
                .map(|door| door.name.clone()),
            principal: self
                .found
                .as_ref()
                .map_or_else(|| id.clone(), |f| f.address.host.clone()),
            tunnels: self.standing(),
            gap,
        });
        self.rest(cx, out);
    }

    pub(super) fn tunnel_closed(
        &mut self,
        cx: &Context<'_>,
        dial: DialId,
        why: String,
        out: &mut Outbox<Output>,
    ) {
        let Some(place) = self.tunnels.iter().position(|tunnel| tunnel.dial == dial) else {
            return;
        };
        let tunnel = self.tunnels.remove(place);
        self.leases.unclaim(dial, Some(cx.now));
        let (proxy, tunnels) = (cx.topology.proxy_name(&tunnel.proxy), self.standing());
        out.fact(Kind::TunnelLost {
            dial,
            proxy,
            why,
            tunnels,
        });
        self.tell_attached(cx, out);
        self.something_happened(cx, out);
        self.note_drained(out);
    }

    pub(super) fn advised(&mut self, cx: &Context<'_>, dial: DialId, out: &mut Outbox<Output>) {
        let Some(tunnel) = self.tunnels.iter_mut().find(|tunnel| tunnel.dial == dial) else {
            return;
        };
        if tunnel.draining {
            return;
        }
        tunnel.draining = true;
        let idle = tunnel.streams == 0;
        out.fact(Kind::Advised {
            proxy: cx.topology.proxy_name(&tunnel.proxy),
        });
        self.leases.unclaim(dial, Some(cx.now));
        if idle {
            out.push(Output::Close { dial });
        }
        self.tell_attached(cx, out);
        self.something_happened(cx, out);
    }

    pub(super) fn stream_asked(
        &mut self,
        cx: &Context<'_>,
        dial: DialId,
        (kind, name): (ConnType, &str),
        out: &mut Outbox<Output>,
    ) {
        let config = self.config(cx);
        let place = match kind {
            ConnType::App => config.apps.iter().position(|app| *app.name == *name),
            ConnType::Db => {
                let mut databases = config.databases.iter();
                databases.position(|database| *database.name == *name)
            }
        };
        let why = match self.tunnels.iter_mut().find(|tunnel| tunnel.dial == dial) {
            None => String::from(CLOSED),
            Some(tunnel) if tunnel.draining => String::from(DRAINING),
            Some(tunnel) => match place {
                Some(place) => {
                    tunnel.streams += 1;
                    out.push(Output::Serve { kind, place });
                    return;
                }
                None => match kind {
                    ConnType::App => format!("this agent serves no app {name:?}"),
                    ConnType::Db => format!("this agent serves no database {name:?}"),
                },
            },
        };
        out.push(Output::RefuseStream { why });
    }

    pub(super) fn stream_ended(&mut self, dial: DialId, out: &mut Outbox<Output>) {
        if let Some(tunnel) = self.tunnels.iter_mut().find(|tunnel| tunnel.dial == dial) {
            tunnel.streams = tunnel.streams.saturating_sub(1);
            if tunnel.draining && tunnel.streams == 0 {
                out.push(Output::Close { dial });
            }
        }
    }

    pub(super) fn gossip(
        &mut self,
        cx: &Context<'_>,
        dial: DialId,
        proxies: &[Name],
        out: &mut Outbox<Output>,
    ) {
        if !self.tunnels.iter().any(|tunnel| tunnel.dial == dial) {
            return;
        }
        if self.leases.learn(cx.now, proxies) {
            self.note_known(cx, "gossip named a new one", out);
        }
        self.look_again(cx);
    }

    /// An event of a tunnel restarts a wait, and may free a lease.
    pub(super) fn something_happened(&mut self, cx: &Context<'_>, out: &mut Outbox<Output>) {
        if matches!(self.phase, Phase::Waiting { .. }) {
            self.rest(cx, out);
        }
        self.look_again(cx);
    }

    pub(super) fn note_known(&self, cx: &Context<'_>, why: &'static str, out: &mut Outbox<Output>) {
        let known = u32::try_from(self.leases.known(cx.now)).unwrap_or(u32::MAX);
        out.fact(Kind::ProxiesKnown { known, why });
    }

    pub(super) fn standing(&self) -> u32 {
        u32::try_from(self.tunnels.len()).unwrap_or(u32::MAX)
    }

    /// Beats on those of the tunnels that are not draining.
    pub(super) fn beat(
        &mut self,
        cx: &Context<'_>,
        which: impl Fn(&Tunnel) -> bool,
        out: &mut Outbox<Output>,
    ) {
        let attached: Vec<Name> = if is_peering(cx) {
            self.attached().cloned().collect()
        } else {
            Vec::new()
        };
        let standing = self.tunnels.iter_mut().filter(|tunnel| !tunnel.draining);
        for tunnel in standing.filter(|tunnel| which(tunnel)) {
            tunnel.beat = cx.now + cx.topology.pool.teleport.keep_alive;
            let proxies = attached.clone();
            let dial = tunnel.dial;
            out.push(Output::Heartbeat { dial, proxies });
        }
    }

    /// Tells whom it is still attached to, where proxies ask each other. Teleport's announcement
    /// follows a change within seconds; here it does at once (inferred).
    fn tell_attached(&mut self, cx: &Context<'_>, out: &mut Outbox<Output>) {
        if is_peering(cx) {
            self.beat(cx, |_| true, out);
        }
    }
}

/// Tells whether proxies ask each other for tunnels.
fn is_peering(cx: &Context<'_>) -> bool {
    matches!(
        cx.topology.pool.teleport.strategy,
        Strategy::ProxyPeering { .. }
    )
}
