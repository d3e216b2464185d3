//! Who may speak to the API: the checks that come before routing, and the token for changes.
//!
//! A page of another site in the same browser can reach a loopback port, by name tricks (DNS
//! rebinding) or plainly (cross-site requests). So every request must name this server in `Host`,
//! and one that returns data or changes something must not come from another origin. The request's
//! `Origin` is compared with the list, never with its own `Host`: under rebinding both lie.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::body::Body;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, Request, Response, StatusCode, Uri};
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};

use super::api::Problem;
use super::assets::PAGES;

/// What a page may load: our own files, nothing else; and nobody may frame it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// The shortest token that somebody may choose.
pub const TOKEN_MIN: usize = 16;

/// The secret that a change must bring: 128 random bits, written as 32 hexadecimal digits.
#[derive(Clone)]
pub struct Token {
    text: String,
    /// Tags of equal length are compared instead of the texts, which ring does in constant time.
    key: hmac::Key,
    tag: hmac::Tag,
}

impl Token {
    /// Draws a new one from the system's random source.
    pub fn random() -> Self {
        Self::from_text(random_hex())
    }

    /// Takes one that somebody chose; the error says what is wrong with it.
    pub fn read(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.len() < TOKEN_MIN {
            return Err(format!("a token has at least {TOKEN_MIN} characters"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(String::from(
                "a token is one word of letters, digits and signs of ASCII",
            ));
        }
        Ok(Self::from_text(text.to_owned()))
    }

    fn from_text(text: String) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, random_hex().as_bytes());
        let tag = hmac::sign(&key, text.as_bytes());
        Self { text, key, tag }
    }

    /// Gives the text, for the state folder and the link with `#t=`.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// Tells whether this is the token, in a time that does not depend on what is equal.
    pub fn matches(&self, shown: &str) -> bool {
        hmac::verify(&self.key, shown.as_bytes(), self.tag.as_ref()).is_ok()
    }

    /// Tells whether the request brings the token as `Authorization: Bearer`.
    pub(super) fn is_in(&self, headers: &HeaderMap) -> bool {
        only(headers, &header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .is_some_and(|(scheme, shown)| {
                scheme.eq_ignore_ascii_case("bearer") && self.matches(shown.trim())
            })
    }
}

/// Masked: a token must not reach a log.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(****)")
    }
}

/// Draws 128 bits and writes them as hexadecimal digits.
pub(super) fn random_hex() -> String {
    let mut bytes = [0; 16];
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("the system has a random source");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A host as a header names it, parsed, so that two spellings of one address are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Address(IpAddr),
    Name(String),
}

/// The hosts by which this server may be called.
#[derive(Clone, Debug)]
pub struct Allowed {
    hosts: Vec<(Host, u16)>,
}

/// Tells whether a name can be allowed: `NAME` or `NAME:PORT`, without user information.
pub fn is_host(text: &str) -> bool {
    parse_authority(text).is_some()
}

/// A request that is not routed.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    detail: String,
    /// Whether a browser shows the answer to a person.
    html: bool,
}

impl Allowed {
    /// Allows loopback's three spellings, the listener's own address, and the names given.
    pub fn new(own: Option<IpAddr>, port: u16, names: &[String]) -> Self {
        let mut hosts = vec![
            Host::Address(Ipv4Addr::LOCALHOST.into()),
            Host::Address(Ipv6Addr::LOCALHOST.into()),
            Host::Name(String::from("localhost")),
        ];
        hosts.extend(own.filter(|own| !own.is_unspecified()).map(Host::Address));
        let names = names.iter().filter_map(|name| parse_authority(name));
        let names = names.map(|(host, own)| (host, own.unwrap_or(port)));
        let hosts = hosts.into_iter().map(|host| (host, port)).chain(names);
        Self {
            hosts: hosts.collect(),
        }
    }

    /// Lets a request on to its route, or says why not.
    pub fn check<B>(&self, request: &Request<B>) -> Result<(), Refusal> {
        let html = wants_html(request.headers());
        let checked = self.check_host(request.headers(), request.uri());
        checked.map_err(|refusal| Refusal { html, ..refusal })?;
        self.check_origin(request)
    }

    fn check_host(&self, headers: &HeaderMap, uri: &Uri) -> Result<(), Refusal> {
        let bad = |detail: &str| Refusal::new(StatusCode::BAD_REQUEST, detail);
        let host = only(headers, &header::HOST)
            .ok_or_else(|| bad("a request needs exactly one Host header"))?;
        let host = host.to_str().ok().and_then(parse_authority);
        let host = host.ok_or_else(|| bad("the Host header is not HOST or HOST:PORT"))?;
        let target = match uri.authority() {
            Some(authority) => {
                let target = parse_authority(authority.as_str());
                target.ok_or_else(|| bad("the request's target is not HOST or HOST:PORT"))?
            }
            None => host.clone(),
        };
        if self.holds(&host) && self.holds(&target) {
            return Ok(());
        }
        let detail = "this server answers only to its own names, so that a page of another site \
                      cannot speak to it through a name of its own; allow a name with \
                      --allow-host NAME";
        Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, detail))
    }

    fn check_origin<B>(&self, request: &Request<B>) -> Result<(), Refusal> {
        if is_plain_navigation(request) {
            return Ok(());
        }
        let headers = request.headers();
        let refused = |detail: &str| Err(Refusal::new(StatusCode::FORBIDDEN, detail));
        if headers.contains_key(header::ORIGIN) {
            let origin = only(headers, &header::ORIGIN).and_then(|value| value.to_str().ok());
            let host = origin.and_then(|origin| origin.strip_prefix("http://"));
            if !host
                .and_then(parse_authority)
                .is_some_and(|host| self.holds(&host))
            {
                return refused("the request comes from another origin");
            }
        }
        if headers.contains_key(&SEC_FETCH_SITE) {
            let site = only(headers, &SEC_FETCH_SITE).map(HeaderValue::as_bytes);
            if !matches!(site, Some(b"same-origin" | b"none")) {
                return refused("the request comes from another site");
            }
        }
        Ok(())
    }

    fn holds(&self, (host, port): &(Host, Option<u16>)) -> bool {
        let port = port.unwrap_or(80);
        self.hosts
            .iter()
            .any(|known| *known == (host.clone(), port))
    }
}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// A link to the page from anywhere is fine; the API is never a place to go to.
fn is_plain_navigation<B>(request: &Request<B>) -> bool {
    let mode = only(request.headers(), &SEC_FETCH_MODE).map(HeaderValue::as_bytes);
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    reads && PAGES.contains(&request.uri().path()) && mode == Some(b"navigate")
}

/// Gives the header's value when there is exactly one.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let value = values.next();
    value.filter(|_| values.next().is_none())
}

/// Reads `HOST` or `HOST:PORT` as RFC 3986, section 3.2, without user information.
fn parse_authority(text: &str) -> Option<(Host, Option<u16>)> {
    let (host, port) = match text.rfind(':') {
        Some(colon) if !text[colon..].contains(']') => {
            let digits = &text[colon + 1..];
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            let port = if plain { digits.parse().ok() } else { None };
            (&text[..colon], Some(port?))
        }
        _ => (text, None),
    };
    Some((parse_host(host)?, port))
}

fn parse_host(text: &str) -> Option<Host> {
    if let Some(inner) = text.strip_prefix('[') {
        let address: Ipv6Addr = inner.strip_suffix(']')?.parse().ok()?;
        return Some(Host::Address(address.into()));
    }
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Some(Host::Address(address.into()));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let named = !text.is_empty() && text.len() <= 253 && text.bytes().all(plain);
    named.then(|| Host::Name(text.to_ascii_lowercase()))
}

impl Refusal {
    fn new(status: StatusCode, detail: &str) -> Self {
        Self {
            status,
            detail: detail.to_owned(),
            html: false,
        }
    }

    /// Makes the answer; without a body for HEAD.
    pub(super) fn into_response(self, head: bool) -> Response<Body> {
        let mut response = if self.html {
            self.page()
        } else {
            Problem::new(self.status, self.detail).into()
        };
        if head {
            *Response::body_mut(&mut response) = Body::empty();
        }
        response
    }
}

impl Refusal {
    /// Writes the refusal for a person who typed another name of this machine.
    ///
    /// Nothing of the request is repeated in it.
    fn page(&self) -> Response<Body> {
        let title = self.status.canonical_reason().unwrap_or("Refused");
        let text = format!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n\
             <title>{title} · twodoors</title>\n<main>\n<h1>{title}</h1>\n<p>{}.</p>\n\
             <p>If the name in the address bar is one of your own for this machine, start the lab \
             with <code>--allow-host NAME</code>; otherwise use the link that the lab printed.</p>\n\
             </main>\n",
            self.detail
        );
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = self.status;
        let media = HeaderValue::from_static("text/html; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, media);
        response
    }
}

/// Tells whether the first kind of answer that a client names is a page, as browsers do.
fn wants_html(headers: &HeaderMap) -> bool {
    let accept = only(headers, &header::ACCEPT).and_then(|value| value.to_str().ok());
    let first = accept.and_then(|accept| accept.split([',', ';']).next());
    first.is_some_and(|first| first.trim().eq_ignore_ascii_case("text/html"))
}

/// Adds what every answer carries; `secret` ones may not be stored anywhere.
pub(super) fn add_headers(headers: &mut HeaderMap, secret: bool) {
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if secret {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}
