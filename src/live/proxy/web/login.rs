//! Secrets of a login: cookies and one-time tokens are made and checked here, never by the machine.

use hyper::header::{self, HeaderValue};
use hyper::{Request, Response, StatusCode};

use super::headers::session;
use super::{Answer, full, refusal};
use crate::live::proxy::Proxy;
use crate::live::session::{COOKIE, SESSION_FOR, TOKEN};
use crate::model::addr::HostPort;
use crate::model::id::Name;
use crate::policy::proxy::{AUTH, Login, location, name_of};

impl Proxy {
    /// Gives a request's path without a login's token, and whose session it has for this host.
    pub(super) fn session_of<B>(&self, request: &Request<B>, host: &str) -> (String, Option<Name>) {
        let uri = request.uri();
        // A login is for the lower-case name; clients write it as they like.
        let (now, host) = (self.now(), name_of(host).to_ascii_lowercase());
        let host = host.as_str();
        let sessions = self.inner.means.board.sessions();
        if uri.path() == AUTH {
            let (path, token) = without_token(uri.path(), uri.query().unwrap_or_default());
            return (
                path,
                token.and_then(|token| sessions.take(token, host, now)),
            );
        }
        let whole = uri.path_and_query();
        let path = whole.map_or_else(|| String::from("/"), ToString::to_string);
        let cookie = session(request.headers());
        (
            path,
            cookie.and_then(|cookie| sessions.check(cookie, host, now)),
        )
    }

    /// Answers by a redirect, with the secret that belongs to it.
    pub(super) fn redirect(
        &self,
        to: &HostPort,
        mut path: String,
        login: Option<&Login>,
    ) -> Answer {
        let sessions = self.inner.means.board.sessions();
        let mut cookie = None;
        match login {
            Some(Login::Launch { user, host }) => {
                let token = sessions.launch(user, host, self.now());
                path = format!("{path}&{TOKEN}={token}");
            }
            Some(Login::Session { user, host }) => {
                let value = sessions.begin(user, host, self.now());
                cookie = Some(format!(
                    "{COOKIE}={value}; Path=/; Max-Age={SESSION_FOR}; Secure; HttpOnly; SameSite=Lax"
                ));
            }
            None => {}
        }
        let Ok(location) = HeaderValue::try_from(location(to, &path)) else {
            let words = String::from("the address to go to cannot be written in a header\n");
            return refusal(400, false, words);
        };
        let mut answer = Response::builder()
            .status(StatusCode::FOUND)
            .header(header::LOCATION, location)
            // A token in an address is nobody else's business, and no redirect here is for ever.
            .header(header::REFERRER_POLICY, "no-referrer")
            .header(header::CACHE_CONTROL, "no-store")
            .body(full(hyper::body::Bytes::new()))
            .expect("the headers are valid");
        if let Some(Ok(cookie)) = cookie.map(HeaderValue::try_from) {
            answer.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        answer
    }

    fn now(&self) -> u64 {
        self.inner.runner.shared().clock.unix_seconds()
    }
}

/// Takes the token out of a query; the rest stays in its order.
fn without_token<'a>(path: &str, query: &'a str) -> (String, Option<&'a str>) {
    let mut token = None;
    let rest: Vec<&str> = query
        .split('&')
        .filter(|pair| match pair.split_once('=') {
            Some((TOKEN, value)) => {
                token = token.or(Some(value));
                false
            }
            Some(_) | None => !pair.is_empty(),
        })
        .collect();
    (format!("{path}?{}", rest.join("&")), token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_never_reaches_the_machine() {
        let (path, token) = without_token("/x-teleport-auth", "path=%2Fa&token=s3&b");
        assert_eq!(
            (&*path, token),
            ("/x-teleport-auth?path=%2Fa&b", Some("s3"))
        );
        let (path, token) = without_token("/x-teleport-auth", "token=s3&token=s4");
        assert_eq!((&*path, token), ("/x-teleport-auth?", Some("s3")));
        assert_eq!(without_token("/x-teleport-auth", "").1, None);
    }
}
