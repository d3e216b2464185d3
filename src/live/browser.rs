//! A browser of the lab: asks by HTTPS from one node's address, keeps a session cookie for each app,
//! and goes the way of a login.
//!
//! In go names and paths; out come statuses and counts of bytes, or how far it came. It follows no
//! redirect by itself but those of a login: what a redirect means is the caller's to say.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::{HeaderMap, Request, header};
use hyper_util::rt::TokioIo;

use super::cut;
use super::dial::{DialError, Dialer};
use super::session::COOKIE;
use super::tasks::Tasks;
use crate::model::addr::{self, HostPort, ListenAddr};
use crate::model::fact::{Cause, Failure, Stage};
use crate::policy::proxy::{AUTH, LAUNCH};

/// How many apps a browser keeps a cookie for; the first by name goes for a new one.
const COOKIES_MAX: usize = 256;

/// How much of an answer's body is kept; the rest is counted (tsh reads as much of a ping).
pub const BODY_MAX: usize = 16 * 1024;

/// The port of an address by HTTPS that names none.
const PORT_HTTPS: u16 = 443;

/// A browser.
pub struct Browser {
    dialer: Dialer,
    /// Session cookies by the app's host.
    jar: Mutex<BTreeMap<String, String>>,
}

/// What one way through a door belongs to.
#[derive(Clone)]
pub struct Life {
    /// Its tasks.
    pub tasks: Tasks,
    /// How its connections end when they are cut.
    pub group: cut::Group,
}

/// An answer.
#[derive(Debug)]
pub struct Fetched {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The first [`BODY_MAX`] bytes of the body.
    pub body: Vec<u8>,
    /// All bytes of the body.
    pub bytes: u64,
}

/// A launch page, as a proxy's redirect names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// Where.
    pub at: HostPort,
    /// The path, with its query.
    pub path: String,
}

/// Why there is no answer.
pub type Failed = (Failure, String);

impl Browser {
    /// Makes a browser with an empty jar.
    pub const fn new(dialer: Dialer) -> Self {
        Self {
            dialer,
            jar: Mutex::new(BTreeMap::new()),
        }
    }

    /// Gives its way out.
    pub const fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    /// Gives the cookie that it has for a host.
    pub fn cookie(&self, host: &str) -> Option<String> {
        self.jar().get(host).cloned()
    }

    /// Asks for a path; says where to when TCP stands.
    pub async fn get(
        &self,
        to: &HostPort,
        path: &str,
        life: &Life,
        connected: impl FnOnce(ListenAddr),
    ) -> Result<Fetched, Failed> {
        let stream = self
            .dialer
            .dial(
                (&to.host, to.port),
                &["http/1.1"],
                life.group.clone(),
                connected,
            )
            .await
            .map_err(dial_failure)?;
        // There was a connection, end to end, so whatever happens to the request now is a cut.
        let before = |error: hyper::Error| (Failure::Cut, format!("no answer: {error}"));
        let io = TokioIo::new(stream);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io)
            .await
            .map_err(before)?;
        life.tasks.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a browser's connection ended");
            }
        });
        let mut request = Request::get(path)
            .header(header::HOST, to.to_string())
            .header(header::USER_AGENT, "twodoors-user")
            .header(header::CONNECTION, "close");
        if let Some(cookie) = self.cookie(&to.host) {
            request = request.header(header::COOKIE, format!("{COOKIE}={cookie}"));
        }
        let request = request
            .body(Empty::<Bytes>::new())
            .map_err(|error| (Failure::Connect, error.to_string()))?;
        let answer = sender.send_request(request).await.map_err(before)?;
        let (parts, mut body) = answer.into_parts();
        self.keep(&to.host, &parts.headers);
        let mut fetched = Fetched {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: Vec::new(),
            bytes: 0,
        };
        while let Some(frame) = body.frame().await {
            let bytes = fetched.bytes;
            let frame =
                frame.map_err(|error| (Failure::Cut, format!("after {bytes} bytes: {error}")))?;
            if let Some(data) = frame.data_ref() {
                let room = BODY_MAX - fetched.body.len();
                fetched.body.extend(data.iter().take(room));
                fetched.bytes += data.len() as u64;
            }
        }
        Ok(fetched)
    }

    /// Goes the way of a login, from its launch page to the session of the app at `host`.
    pub async fn log_in(
        &self,
        launch: &Launch,
        host: &str,
        life: &Life,
        connected: impl Fn(&str, ListenAddr),
    ) -> Result<(), Failed> {
        let at =
            |at: &HostPort, (reason, error): Failed| (reason, format!("login at {at}: {error}"));
        let Launch { at: page, path } = launch;
        let answer = self
            .get(page, path, life, |address| connected(&page.host, address))
            .await
            .map_err(|failed| at(page, failed))?;
        let led = location(&answer.headers).filter(|_| answer.status == 302);
        let Some((to, path)) = led else {
            let words = String::from_utf8_lossy(&answer.body);
            let error = format!("status {}: {}", answer.status, words.trim());
            return Err(at(page, (Failure::Status, error)));
        };
        if !to.host.eq_ignore_ascii_case(host) || !path.starts_with(AUTH) {
            let error = format!("it led to {to}, which is not {host}");
            return Err(at(page, (Failure::Status, error)));
        }
        self.jar().remove(host);
        let answer = self
            .get(&to, &path, life, |address| connected(&to.host, address))
            .await
            .map_err(|failed| at(&to, failed))?;
        if self.cookie(host).is_none() {
            let words = String::from_utf8_lossy(&answer.body);
            let error = format!("status {} and no session: {}", answer.status, words.trim());
            return Err(at(&to, (Failure::Status, error)));
        }
        Ok(())
    }

    /// Keeps the session cookie of an answer. A `__Host-` cookie belongs to this host alone.
    fn keep(&self, host: &str, headers: &HeaderMap) {
        let cookies = headers.get_all(header::SET_COOKIE).iter();
        let mut cookies = cookies.filter_map(|cookie| cookie.to_str().ok());
        let own = cookies.find_map(|cookie| {
            let (name, value) = cookie.split(';').next()?.split_once('=')?;
            (name.trim() == COOKIE).then(|| value.trim().to_owned())
        });
        if let Some(own) = own {
            let mut jar = self.jar();
            if jar.len() >= COOKIES_MAX {
                jar.pop_first();
            }
            jar.insert(host.to_owned(), own);
        }
    }

    fn jar(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.jar
            .lock()
            .expect("cookies are only put in and taken out")
    }
}

impl Fetched {
    /// Gives the launch page that this answer leads to, if it does; an app's own redirects do not.
    pub fn launch(&self) -> Option<Launch> {
        let (at, path) = location(&self.headers).filter(|_| self.status == 302)?;
        path.starts_with(LAUNCH).then_some(Launch { at, path })
    }
}

/// Reads `Location` when it is an absolute address by HTTPS.
fn location(headers: &HeaderMap) -> Option<(HostPort, String)> {
    let text = headers.get(header::LOCATION)?.to_str().ok()?;
    let rest = text.strip_prefix("https://")?;
    let path = rest.find('/').map_or("/", |at| &rest[at..]);
    let written = addr::read(text).ok()?;
    let to = HostPort {
        host: written.host.into(),
        port: written.port.unwrap_or(PORT_HTTPS),
    };
    Some((to, path.to_owned()))
}

fn dial_failure(error: DialError) -> Failed {
    let reason = match error.stage {
        Stage::Resolve => Failure::Resolve,
        Stage::Connect => Failure::Connect,
        // It was reset or ended before a word of TLS, as by a door that lets nobody in.
        Stage::Tls if error.cause == Cause::Connect => Failure::Connect,
        Stage::Tls | Stage::Find | Stage::Ssh | Stage::Claim => Failure::Tls,
    };
    (reason, error.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, location: &str) -> Fetched {
        let mut headers = HeaderMap::new();
        headers.insert(header::LOCATION, location.parse().unwrap());
        Fetched {
            status,
            headers,
            body: Vec::new(),
            bytes: 0,
        }
    }

    #[test]
    fn only_a_launch_page_is_a_login() {
        let page = "https://proxy.example.com:3080/web/launch/a.proxy.example.com?path=%2F";
        let launch = answer(302, page).launch().unwrap();
        assert_eq!(launch.at.to_string(), "proxy.example.com:3080");
        assert_eq!(launch.path, "/web/launch/a.proxy.example.com?path=%2F");
        let short = answer(302, "https://proxy.example.com/web/launch/a");
        assert_eq!(short.launch().unwrap().at.port, PORT_HTTPS);
        for (status, location) in [
            (200, page),
            (302, "/web/launch/a"),
            (302, "https://proxy.example.com/login"),
            (302, "http://proxy.example.com/web/launch/a"),
        ] {
            assert_eq!(answer(status, location).launch(), None, "{location}");
        }
    }
}
