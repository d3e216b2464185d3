//! One visit of a user: the ping before it, the way through a door, the login, and how it ends.

use super::{Output, User};
use crate::model::addr::{HostPort, ListenAddr};
use crate::model::fact::{Failure, Kind, Purpose, VisitAnswered};
use crate::model::id::{Name, RequestId};
use crate::model::time::Time;
use crate::model::topology::Role;
use crate::policy::address::{self, Document};
use crate::policy::{Context, Outbox, findings};

#[derive(Debug)]
pub(super) struct Visit {
    pub(super) request: RequestId,
    pub(super) app: Name,
    pub(super) since: Time,
    pub(super) balancer: Option<Name>,
    pub(super) step: Step,
    /// Whether it was at the login already.
    pub(super) logged_in: bool,
}

/// What a visit waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Ping(u64),
    LogIn,
    Visit,
}

impl User {
    /// Begins a visit: with a ping where the user has yet to be told where to go.
    pub(super) fn begin_visit(&mut self, cx: &Context<'_>, out: &mut Outbox<Output>) {
        let config = self.config(cx);
        if config.visits.is_empty() {
            return;
        }
        let turn = usize::try_from(self.visits).unwrap_or(0) % config.visits.len();
        let app = config.visits[turn].clone();
        let proxy = config.proxy.as_deref();
        if proxy.is_none() && cx.topology.app_host(&app).is_none() {
            return;
        }
        self.visits += 1;
        let request = RequestId(self.visits);
        self.open = Some(Visit {
            request,
            app,
            since: cx.now,
            balancer: None,
            step: Step::Visit,
            logged_in: false,
        });
        match proxy {
            Some(proxy) if self.web.is_none() => self.ping(proxy, out),
            _ => self.visit(cx, out),
        }
    }

    fn ping(&mut self, proxy: &str, out: &mut Outbox<Output>) {
        match address::tsh_candidates(proxy) {
            Ok(candidates) => {
                self.pings += 1;
                if let Some(visit) = &mut self.open {
                    visit.step = Step::Ping(self.pings);
                }
                out.push(Output::Ping {
                    attempt: self.pings,
                    candidates,
                });
            }
            // `check` refuses such a scenario; a visit that cannot begin has failed all the same.
            Err(error) => self.failed(Failure::Resolve, error, out),
        }
    }

    /// Asks for the open visit's app, where this user finds it.
    pub(super) fn visit(&mut self, cx: &Context<'_>, out: &mut Outbox<Output>) {
        let public = cx.topology.pool.teleport.public.first();
        let (Some(visit), Some(web)) = (&mut self.open, self.web.as_ref().or(public)) else {
            return;
        };
        visit.step = Step::Visit;
        out.push(Output::Visit {
            request: visit.request,
            // As browsers do with the host of a URL (RFC 3986 section 3.2.2).
            host: format!("{}.{}", visit.app, web.host).to_ascii_lowercase(),
            port: web.port,
        });
    }

    pub(super) fn ping_answered(
        &mut self,
        cx: &Context<'_>,
        (attempt, asked): (u64, HostPort),
        document: &Document,
        out: &mut Outbox<Output>,
    ) {
        if !self.waits_for(|visit| visit.step == Step::Ping(attempt)) {
            return;
        }
        let web = address::web_after_ping(document, &asked);
        out.fact(Kind::Pinged {
            attempt,
            asked,
            web: web.clone(),
        });
        self.web = Some(web);
        self.visit(cx, out);
    }

    pub(super) fn redirected(
        &mut self,
        request: RequestId,
        to: HostPort,
        out: &mut Outbox<Output>,
    ) {
        if !self.waits_for(|visit| visit.request == request && visit.step == Step::Visit) {
            return;
        }
        let Some(visit) = &mut self.open else { return };
        out.fact(Kind::Redirected {
            request,
            app: visit.app.clone(),
            to: to.clone(),
        });
        if visit.logged_in {
            let error = format!("sent to the login at {to} again, after a login on this visit");
            return self.failed(Failure::Status, error, out);
        }
        visit.logged_in = true;
        visit.step = Step::LogIn;
        out.push(Output::LogIn { request, to });
    }

    pub(super) fn waits_for(&self, is: impl FnOnce(&Visit) -> bool) -> bool {
        self.open.as_ref().is_some_and(is)
    }

    /// Ends the open visit as a failed one. A user of tsh starts over with a ping.
    pub(super) fn failed(&mut self, reason: Failure, error: String, out: &mut Outbox<Output>) {
        let Some(visit) = self.open.take() else {
            return;
        };
        self.web = None;
        out.fact(Kind::VisitFailed {
            request: visit.request,
            app: visit.app,
            balancer: visit.balancer,
            reason,
            error,
        });
    }

    pub(super) fn answered(
        &mut self,
        cx: &Context<'_>,
        (status, bytes): (u16, u64),
        (proxy, agent): (Option<Name>, Option<Name>),
        no_tunnel: bool,
        out: &mut Outbox<Output>,
    ) {
        if status >= 400 {
            let reason = if no_tunnel {
                Failure::NoTunnel
            } else {
                Failure::Status
            };
            let at = proxy.map_or_else(String::new, |proxy| format!(" at proxy/{proxy}"));
            return self.failed(reason, format!("status {status}{at}"), out);
        }
        let Some(visit) = self.open.take() else {
            return;
        };
        out.fact(Kind::VisitAnswered(Box::new(VisitAnswered {
            request: visit.request,
            app: visit.app,
            balancer: visit.balancer,
            network: self.network(cx),
            proxy,
            agent,
            status,
            bytes,
            took: cx.now.since(visit.since),
        })));
    }

    pub(super) fn connected(
        &mut self,
        cx: &Context<'_>,
        (attempt, purpose): (RequestId, Purpose),
        (host, address): (&str, ListenAddr),
        out: &mut Outbox<Output>,
    ) {
        let network = self.network(cx);
        let door = cx.topology.balancer_at(address.0);
        let own = |visit: &&mut Visit| match (purpose, visit.step) {
            (Purpose::Ping, step) => step == Step::Ping(attempt.0),
            (Purpose::Launch, step) => visit.request == attempt && step == Step::LogIn,
            (Purpose::Find | Purpose::Tunnel | Purpose::Visit, step) => {
                visit.request == attempt && step == Step::Visit
            }
        };
        let Some(visit) = self.open.as_mut().filter(own) else {
            return;
        };
        visit.balancer = door.map(|door| door.name.clone());
        if let Some(door) = door.filter(|door| door.meant_for == Some(Role::Agents))
            && !self.role_noticed
        {
            self.role_noticed = true;
            out.fact(findings::role_follows_network(
                &self.node, &network, &door.name,
            ));
        }
        out.fact(Kind::DoorUsed {
            attempt: attempt.0,
            purpose,
            host: host.into(),
            address,
            balancer: visit.balancer.clone(),
            network,
        });
    }
}
