//! An app: plain HTTP here, HTTPS with the app's host and the user's session there.
//!
//! Each request goes out on a connection of its own, with the app's `Host`; the session comes of the
//! launch page, as a browser's does. Redirects of the app to its own address are passed on as they
//! are, and connections are not upgraded: no WebSockets.

use std::convert::Infallible;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::Way;
use crate::lab::access::app_host;
use crate::live::browser::{Fetched, Life};
use crate::live::session::COOKIE;
use crate::live::tsh::limited;
use crate::model::addr::HostPort;

type Answer = Response<UnsyncBoxBody<Bytes, hyper::Error>>;

impl Way {
    /// Gives where the app is: its name under the advertised address.
    pub(super) fn app(&self) -> HostPort {
        app_host(&self.name, &self.web)
    }

    /// Serves one local connection.
    pub(super) async fn serve_app(
        &self,
        local: TcpStream,
        life: &Life,
        note: &mpsc::Sender<String>,
    ) -> Result<(), String> {
        let service = service_fn(async |request| {
            let answer = match self.forward(request, life).await {
                Ok(answer) => answer,
                Err(error) => {
                    let _ = note.send(format!("app/{}: {error}", self.name)).await;
                    let body = Full::new(Bytes::from(format!("{error}\n")));
                    let mut answer =
                        Response::new(body.map_err(|never| match never {}).boxed_unsync());
                    *answer.status_mut() = StatusCode::BAD_GATEWAY;
                    answer
                }
            };
            Ok::<_, Infallible>(answer)
        });
        let served = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(local), service)
            .await;
        served.map_err(|error| error.to_string())
    }

    async fn forward(&self, request: Request<Incoming>, life: &Life) -> Result<Answer, String> {
        let to = self.app();
        let repeatable = request.body().is_end_stream();
        let (parts, body) = request.into_parts();
        if self.browser.cookie(&to.host).is_none() {
            self.log_in(&to, life).await?;
        }
        let first = self
            .send(parts.clone(), body.boxed_unsync(), &to, life)
            .await?;
        let launch = Fetched {
            status: first.status().as_u16(),
            headers: first.headers().clone(),
            body: Vec::new(),
            bytes: 0,
        }
        .launch();
        let Some(launch) = launch else {
            return Ok(first);
        };
        // The session has ended meanwhile.
        let login = self.browser.log_in(&launch, &to.host, life, |_, _| {});
        limited(login).await.map_err(|(_, error)| error)?;
        if !repeatable {
            return Err(String::from(
                "the session had ended and begins anew; send it again",
            ));
        }
        let none = Full::new(Bytes::new()).map_err(|never| match never {});
        self.send(parts, none.boxed_unsync(), &to, life).await
    }

    /// Opens the app's first page to see whether it wants a session, and gets one if so.
    async fn log_in(&self, to: &HostPort, life: &Life) -> Result<(), String> {
        let asked = limited(self.browser.get(to, "/", life, |_| {})).await;
        let answer = asked.map_err(|(_, error)| format!("{to}: {error}"))?;
        if let Some(launch) = answer.launch() {
            let login = self.browser.log_in(&launch, &to.host, life, |_, _| {});
            limited(login).await.map_err(|(_, error)| error)?;
        }
        Ok(())
    }

    async fn send(
        &self,
        mut parts: hyper::http::request::Parts,
        body: UnsyncBoxBody<Bytes, hyper::Error>,
        to: &HostPort,
        life: &Life,
    ) -> Result<Answer, String> {
        let failed = |error: &dyn std::fmt::Display| format!("{to}: {error}");
        let dialer = self.browser.dialer();
        let (address, group) = ((&*to.host, to.port), life.group.clone());
        let dialled = dialer.dial(address, &["http/1.1"], group, |_| {}).await;
        let stream = dialled.map_err(|error| failed(&error))?;
        let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.map_err(|error| failed(&error))?;
        life.tasks.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to an app ended");
            }
        });
        if let Some(path) = parts.uri.path_and_query().cloned() {
            parts.uri = path.into();
        }
        parts.version = Version::HTTP_11;
        let host = HeaderValue::try_from(to.to_string()).map_err(|error| failed(&error))?;
        parts.headers.insert(header::HOST, host);
        parts.headers.remove(header::UPGRADE);
        parts
            .headers
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
        if let Some(session) = self.browser.cookie(&to.host) {
            add_cookie(&mut parts.headers, &session);
        }
        let answer = sender.send_request(Request::from_parts(parts, body)).await;
        let mut answer = answer.map_err(|error| failed(&error))?;
        answer.headers_mut().remove(header::CONNECTION);
        Ok(answer.map(|body| body.boxed_unsync()))
    }
}

/// Adds the session to the cookies that the local client has of its own.
fn add_cookie(headers: &mut HeaderMap, session: &str) {
    let own = headers.get(header::COOKIE);
    let own = own.and_then(|own| own.to_str().ok()).unwrap_or_default();
    let between = if own.is_empty() { "" } else { "; " };
    if let Ok(cookie) = HeaderValue::try_from(format!("{own}{between}{COOKIE}={session}")) {
        headers.insert(header::COOKIE, cookie);
    }
}
