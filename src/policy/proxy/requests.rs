//! Requests of users: which app a `Host` header asks for, which database a certificate names.

use super::routing::{From, Wanted};
use super::{Output, Proxy, Work, login};
use crate::model::addr::ClientAddr;
use crate::model::id::Name;
use crate::model::teleport::{ConnType, DatabaseRoute};
use crate::model::topology::Topology;
use crate::policy::{Context, Outbox};

/// The one protocol of databases that is carried.
pub const POSTGRES: &str = "postgres";

impl Proxy {
    pub(super) fn request_read(
        &mut self,
        cx: &Context<'_>,
        client: ClientAddr,
        (host, path): (&str, &str),
        session: Option<Name>,
        out: &mut Outbox<Output>,
    ) {
        if self.work == Work::Stopped {
            // Its connection is about to be cut.
            return;
        }
        let app = match app_of(cx.topology, host) {
            Asked::WebApi => {
                if !Self::launch(cx, client, path, out) {
                    out.push(Output::ServeWebApi);
                }
                return;
            }
            Asked::Nothing => {
                let text = format!("no app has the public address {host:?}\n");
                return refuse(404, text, out);
            }
            Asked::App(app) => app,
        };
        if !Self::check_session(cx, client, (host, app), (path, session), out) {
            return;
        }
        let resource = Name::from(app);
        if !self.knows(ConnType::App, &resource) {
            let text = format!("no agent announces an app named {app:?}\n");
            return refuse(404, text, out);
        }
        let wanted = Wanted {
            client,
            kind: ConnType::App,
            resource,
            from: From::User,
        };
        self.send_on(cx, wanted, out);
    }

    /// A client certificate names a database: its agents are tried in turn.
    pub(super) fn database_asked(
        &mut self,
        cx: &Context<'_>,
        client: ClientAddr,
        route: &DatabaseRoute,
        out: &mut Outbox<Output>,
    ) {
        if self.work == Work::Stopped {
            return;
        }
        let DatabaseRoute {
            service, protocol, ..
        } = route;
        if &**protocol != POSTGRES {
            let text = format!("twodoors carries {POSTGRES}, not {protocol}\n");
            return refuse(404, text, out);
        }
        if !self.knows(ConnType::Db, service) {
            let text = format!("no agent announces a database named {service:?}\n");
            return refuse(404, text, out);
        }
        let wanted = Wanted {
            client,
            kind: ConnType::Db,
            resource: service.clone(),
            from: From::User,
        };
        self.send_on(cx, wanted, out);
    }
}

/// Refuses for another reason than the want of a tunnel.
pub(super) fn refuse(status: u16, text: String, out: &mut Outbox<Output>) {
    out.push(Output::RefuseRequest {
        status,
        no_tunnel: false,
        text,
    });
}

/// What a `Host` header asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked<'a> {
    App(&'a str),
    Nothing,
    WebApi,
}

/// Any host that is not local, not an address and not a public address asks for an app; the app is
/// the first label of a name directly under a public address. Without a public address nothing is
/// an app (Teleport `web-app`).
pub(super) fn app_of<'a>(topology: &Topology, host: &'a str) -> Asked<'a> {
    let name = login::name_of(host);
    let is_address = name
        .trim_matches(['[', ']'])
        .parse::<std::net::IpAddr>()
        .is_ok();
    let public = &topology.pool.teleport.public;
    let is_public = |name: &str| {
        let mut hosts = public.iter();
        hosts.any(|public| name.eq_ignore_ascii_case(&public.host))
    };
    if name.eq_ignore_ascii_case("localhost") || is_address || public.is_empty() || is_public(name)
    {
        return Asked::WebApi;
    }
    match name.split_once('.') {
        Some((app, rest)) if is_public(rest) => Asked::App(app),
        _ => Asked::Nothing,
    }
}
