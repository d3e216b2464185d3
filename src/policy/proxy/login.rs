//! The way to a session: from an app without one to the launch page and back (reference 5).
//!
//! 1. `https://APP/path` without a session → `https://PUBLIC/web/launch/APP?path=…`, where PUBLIC is
//!    the *first* public address: a user whose network cannot reach it fails here (#16046).
//! 2. The launch page logs the lab's user in at once → `https://APP/x-teleport-auth?path=…` with a
//!    one-time token for that app, which the driver makes.
//! 3. There the driver takes the token → the session cookie, and back to the path.
//!
//! Nobody is led elsewhere: an APP is a host of the pool's own apps, and a path begins with one
//! slash. Tokens and cookies never come here; the driver says whose they are.

use std::fmt::Write as _;

use super::requests::{Asked, app_of};
use super::{Login, Output, Proxy};
use crate::model::addr::{ClientAddr, HostPort};
use crate::model::fact::Kind;
use crate::model::id::{Name, Node};
use crate::model::topology::Topology;
use crate::policy::{Context, Outbox};

/// Where the launch page is, on a public host (Teleport `web-app`).
pub const LAUNCH: &str = "/web/launch/";

/// Where an app's host takes the result of a login (Teleport `web-app`).
pub const AUTH: &str = "/x-teleport-auth";

/// The name of who logs in from an address that is no user's of the scenario.
pub const GUEST: &str = "guest";

/// The port that an address by HTTPS need not name.
const PORT_HTTPS: u16 = 443;

/// The longest path that a login leads back to; a longer one is led to `/`. Browsers' own bounds
/// begin at 2,000.
const PATH_MAX: usize = 2_000;

/// Writes an address by HTTPS.
pub fn location(to: &HostPort, path: &str) -> String {
    if to.port == PORT_HTTPS {
        let written = to.to_string();
        let host = written.strip_suffix(":443").unwrap_or(&written);
        return format!("https://{host}{path}");
    }
    format!("https://{to}{path}")
}

impl Proxy {
    /// Answers a request for an app that needs a session; gives back whether it may go on.
    pub(super) fn check_session(
        cx: &Context<'_>,
        client: ClientAddr,
        (host, app): (&str, &str),
        (path, session): (&str, Option<Name>),
        out: &mut Outbox<Output>,
    ) -> bool {
        let needed = needs_session(cx.topology, app);
        let asked = path.split('?').next().unwrap_or(path);
        match session {
            Some(user) if needed && asked == AUTH => {
                let to = app_at(cx.topology, host);
                let path = parameter(path, "path").filter(|path| is_local(path));
                out.fact(Kind::SessionBegun {
                    client,
                    app: app.into(),
                    user: user.clone(),
                });
                let host = to.host.to_string();
                out.push(Output::Redirect {
                    to,
                    path: path.unwrap_or_else(|| String::from("/")),
                    login: Some(Login::Session { user, host }),
                });
                false
            }
            None if needed && asked == AUTH => {
                let text = String::from(
                    "the login's token does not hold: it was used, is too old or is for another \
                     app; open the app's own address to begin again\n",
                );
                refuse(403, text, out);
                false
            }
            None if needed => {
                let Some(to) = cx.topology.pool.teleport.public.first().cloned() else {
                    return true;
                };
                let path = if is_local(path) { path } else { "/" };
                let path = format!("{LAUNCH}{}?path={}", name_of(host), escaped(path));
                out.push(Output::Redirect {
                    to,
                    path,
                    login: None,
                });
                false
            }
            Some(_) | None => true,
        }
    }

    /// Answers the launch page; gives back whether the path was one.
    pub(super) fn launch(
        cx: &Context<'_>,
        client: ClientAddr,
        path: &str,
        out: &mut Outbox<Output>,
    ) -> bool {
        let Some(rest) = path.strip_prefix(LAUNCH) else {
            return false;
        };
        let host = rest.split(['?', '/']).next().unwrap_or_default();
        let Asked::App(app) = app_of(cx.topology, host) else {
            let text = format!("{host:?} is not the host of an app of this cluster\n");
            refuse(404, text, out);
            return true;
        };
        if !is_of_the_pool(cx.topology, app) {
            let text = format!("no agent of this cluster has an app named {app:?}\n");
            refuse(404, text, out);
            return true;
        }
        let back = parameter(path, "path").unwrap_or_else(|| String::from("/"));
        if !is_local(&back) {
            let text = String::from("the path to go back to does not begin with one slash\n");
            refuse(400, text, out);
            return true;
        }
        let user = match cx.topology.client_at(client.ip()) {
            Some(Node::User(name)) => name,
            Some(_) | None => GUEST.into(),
        };
        let to = app_at(cx.topology, host);
        let host = to.host.to_string();
        out.push(Output::Redirect {
            to,
            path: format!("{AUTH}?path={}", escaped(&back)),
            login: Some(Login::Launch { user, host }),
        });
        true
    }
}

fn refuse(status: u16, text: String, out: &mut Outbox<Output>) {
    out.push(Output::RefuseRequest {
        status,
        no_tunnel: false,
        text,
    });
}

/// Tells whether an app wants a session. One that only a stand-in announces has no file that could
/// say so, and is open.
fn needs_session(topology: &Topology, app: &str) -> bool {
    let mut apps = topology.agents.iter().flat_map(|agent| &agent.apps);
    apps.any(|own| *own.name == *app && own.login)
}

fn is_of_the_pool(topology: &Topology, app: &str) -> bool {
    let mut apps = topology.agents.iter().flat_map(|agent| &agent.apps);
    apps.any(|own| *own.name == *app)
}

/// Gives the host of a `Host` header without its port and final dot.
pub fn name_of(host: &str) -> &str {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name.strip_suffix('.').unwrap_or(name)
}

/// Gives where an app is: its host, on the port of the public address that it is under.
fn app_at(topology: &Topology, host: &str) -> HostPort {
    let host = name_of(host).to_ascii_lowercase();
    let under = host.split_once('.').map_or("", |(_, under)| under);
    let public = &topology.pool.teleport.public;
    let own = public
        .iter()
        .find(|public| under.eq_ignore_ascii_case(&public.host));
    let port = own
        .or_else(|| public.first())
        .map_or(PORT_HTTPS, |own| own.port);
    HostPort {
        host: host.into(),
        port,
    }
}

/// Tells whether a path stays on its host: one slash, and nothing that a browser takes for two.
fn is_local(path: &str) -> bool {
    path.len() <= PATH_MAX
        && path.starts_with('/')
        && !path[1..].starts_with(['/', '\\'])
        && path.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Writes a text as the value of a query parameter (RFC 3986 section 2.1).
fn escaped(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            written.push(char::from(byte));
        } else {
            let _ = write!(written, "%{byte:02X}");
        }
    }
    written
}

/// Reads a parameter of a path's query; `None` also for one that is no text.
fn parameter(path: &str, name: &str) -> Option<String> {
    let (_, query) = path.split_once('?')?;
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| *key == name)?;
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        bytes.push(match byte {
            b'%' => {
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests;
