//! Headers on their way through an instance: what concerns one hop is taken out, what we say is set.
//!
//! In goes a head as it came, out comes the head that is passed on. Bodies are not touched.

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Version};

use crate::live::session::COOKIE;
use crate::model::addr::ClientAddr;

/// What our own headers begin with; an app cannot speak in our name.
const OURS: &str = "x-twodoors-";

/// Headers of one hop (RFC 9110 §7.6.1), which are not passed on.
const HOP_BY_HOP: &[HeaderName] = &[
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Headers that stay though `Connection` names them: without them the message is another one.
const ESSENTIAL: &[HeaderName] = &[header::CONTENT_LENGTH, header::HOST];

/// Makes the request that goes into the tunnel.
pub(super) fn outward<B>(request: Request<B>, client: ClientAddr) -> Request<B> {
    let (mut parts, body) = request.into_parts();
    if parts.version == Version::HTTP_2 {
        // An agent's app speaks HTTP/1.1, where the authority is the `Host` (RFC 9113 §8.3.1).
        parts.version = Version::HTTP_11;
        if let Some(authority) = parts.uri.authority() {
            set(&mut parts.headers, "host", authority.as_str());
        }
    }
    let host = parts.headers.get(header::HOST).cloned();
    strip(&mut parts.headers);
    one_cookie_header(&mut parts.headers);
    if let Some(path) = parts.uri.path_and_query().cloned() {
        // From absolute form to origin form, which an origin server expects (RFC 9112 §3.2.1).
        parts.uri = path.into();
    }
    if let Some(host) = host {
        parts.headers.insert("x-forwarded-host", host);
    }
    set(
        &mut parts.headers,
        "x-forwarded-for",
        &client.ip().to_string(),
    );
    set(&mut parts.headers, "x-forwarded-proto", "https");
    Request::from_parts(parts, body)
}

/// Joins what HTTP/2 may have split (RFC 9113 §8.2.3), and keeps the session for ourselves: an app
/// could otherwise use it at the proxy in its user's name.
fn one_cookie_header(headers: &mut HeaderMap) {
    let kept: Vec<&str> = cookies(headers)
        .filter(|cookie| cookie.split('=').next() != Some(COOKIE))
        .collect();
    let kept = kept.join("; ");
    headers.remove(header::COOKIE);
    if !kept.is_empty() {
        set(headers, "cookie", &kept);
    }
}

/// Gives the value of the session cookie, if there is exactly one.
pub(super) fn session(headers: &HeaderMap) -> Option<&str> {
    let mut sessions = cookies(headers)
        .filter_map(|cookie| cookie.split_once('='))
        .filter(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value);
    let session = sessions.next()?;
    sessions.next().is_none().then_some(session)
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(header::COOKIE).iter();
    let values = values.filter_map(|value| value.to_str().ok());
    let cookies = values.flat_map(|value| value.split(';'));
    cookies.map(str::trim).filter(|cookie| !cookie.is_empty())
}

/// Leaves of an app's answer what concerns the user.
pub(super) fn inward(headers: &mut HeaderMap) {
    strip(headers);
    let ours: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with(OURS))
        .cloned()
        .collect();
    for name in ours {
        headers.remove(name);
    }
}

/// Takes out what concerns one hop: the listed headers, and those that `Connection` names.
fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .filter(|name| !ESSENTIAL.contains(name))
        .collect();
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
    headers.remove("keep-alive");
}

/// Sets a header, unless the value cannot be one.
pub(super) fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
        all.iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn what_connection_names_is_taken_out_but_never_host_and_length() {
        let mut request = Request::get("https://orders.example.com/a?b").body(());
        *request.as_mut().unwrap().headers_mut() = headers(&[
            ("connection", "x-secret, host, Content-Length, close"),
            ("content-length", "3"),
            ("host", "orders.example.com"),
            ("keep-alive", "timeout=5"),
            ("x-kept", "1"),
            ("x-secret", "1"),
        ]);
        let client = ClientAddr("127.20.0.21:4000".parse().unwrap());
        let request = outward(request.unwrap(), client);
        assert_eq!(request.uri(), "/a?b");
        let expected = headers(&[
            ("content-length", "3"),
            ("host", "orders.example.com"),
            ("x-forwarded-for", "127.20.0.21"),
            ("x-forwarded-host", "orders.example.com"),
            ("x-forwarded-proto", "https"),
            ("x-kept", "1"),
        ]);
        assert_eq!(*request.headers(), expected);
    }

    #[test]
    fn a_request_of_http_2_becomes_one_of_http_1() {
        let mut request = Request::get("https://orders.example.com:3080/a")
            .version(Version::HTTP_2)
            .body(())
            .unwrap();
        request
            .headers_mut()
            .append("cookie", HeaderValue::from_static("a=1"));
        request
            .headers_mut()
            .append("cookie", HeaderValue::from_static("b=2"));
        let client = ClientAddr("127.20.0.21:4000".parse().unwrap());
        let request = outward(request, client);
        assert_eq!(
            (request.version(), request.uri().path()),
            (Version::HTTP_11, "/a")
        );
        assert_eq!(request.headers()["host"], "orders.example.com:3080");
        assert_eq!(
            request.headers()["x-forwarded-host"],
            "orders.example.com:3080"
        );
        assert_eq!(request.headers()["cookie"], "a=1; b=2");
    }

    #[test]
    fn an_app_never_sees_the_session() {
        let cookie = "a=1; __Host-grv_app_session=secret; b=2";
        let mut all = headers(&[("cookie", cookie)]);
        assert_eq!(session(&all), Some("secret"));
        one_cookie_header(&mut all);
        assert_eq!(all, headers(&[("cookie", "a=1; b=2")]));
        let mut only = headers(&[("cookie", "__Host-grv_app_session=secret")]);
        one_cookie_header(&mut only);
        assert_eq!(only, HeaderMap::new());
        let twice = "__Host-grv_app_session=x; __Host-grv_app_session=y";
        assert_eq!(
            session(&headers(&[("cookie", twice)])),
            None,
            "whose would it be?"
        );
    }

    #[test]
    fn an_app_cannot_speak_in_the_name_of_a_proxy() {
        let mut answer = headers(&[
            ("x-kept", "1"),
            ("x-twodoors-proxy", "9"),
            ("x-twodoors-refusal", "no_tunnel"),
        ]);
        inward(&mut answer);
        assert_eq!(answer, headers(&[("x-kept", "1")]));
    }
}
