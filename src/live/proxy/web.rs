//! The web side of an instance: `/webapi/find` and `/webapi/ping`, and apps through tunnels.
//!
//! A request for an app goes into the tunnel that the machine picked, on a stream of its own, as
//! HTTP/1.1; the answer's body is passed on as it comes and counted. A request that the machine
//! refuses gets its words, and is never sent elsewhere.

mod counted;
mod headers;
mod login;

use std::convert::Infallible;
use std::time::Duration;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header;
use hyper::http::uri::Authority;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio_rustls::server::TlsStream;

use self::counted::{Counted, Open};
use self::headers::{inward, outward, set};
use super::Proxy;
use super::streams::{NoStream, Wanted};
use crate::live::cut;
use crate::live::tasks::Tasks;
use crate::model::addr::ClientAddr;
use crate::policy::alpn;
use crate::policy::proxy::{Input, Output};

/// Names the proxy that answered.
pub const HEADER_PROXY: &str = "x-twodoors-proxy";

/// Names the agent whose tunnel took the request.
pub const HEADER_AGENT: &str = "x-twodoors-agent";

/// Says why a proxy refused: `no_tunnel`.
pub const HEADER_REFUSAL: &str = "x-twodoors-refusal";

/// How long a host may be: a DNS name of 253 characters, a final dot, and a port.
const HOST_MAX: usize = 260;

/// How long the head of a request may take.
const TIMEOUT_HEAD: Duration = Duration::from_secs(30);

/// How many requests one HTTP/2 connection may have open; browsers expect about a hundred.
const STREAMS_MAX: u32 = 100;

/// How long the headers of a request in HTTP/2 may be together; HTTP/1.1 has hyper's own bound.
const HEADERS_MAX: u32 = 16 * 1024;

/// How many bytes of answers wait for each stream of a connection whose client reads slowly.
const SEND_BUFFER_MAX: usize = 256 * 1024;

/// How many streams a client may have reset before we saw them (the "rapid reset" attack).
const RESETS_MAX: usize = 20;

/// From one sign of life that an HTTP/2 connection asks for to the next.
const PING_EVERY: Duration = Duration::from_secs(60);

type Answer = Response<UnsyncBoxBody<Bytes, hyper::Error>>;

/// Runs the streams of an HTTP/2 connection as tasks of the instance.
#[derive(Clone)]
struct OnTasks(Tasks);

impl<F> hyper::rt::Executor<F> for OnTasks
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}

impl Proxy {
    /// Serves HTTP on a TLS stream until it ends: HTTP/2 where the handshake chose it.
    pub(super) async fn serve_web(
        &self,
        client: ClientAddr,
        stream: TlsStream<cut::Stream>,
        tasks: &Tasks,
    ) {
        let service = service_fn(move |request| {
            let (proxy, tasks) = (self.clone(), tasks.clone());
            async move { Ok::<_, Infallible>(proxy.answer(client, request, &tasks).await) }
        });
        let two = stream.get_ref().1.alpn_protocol() == Some(alpn::H2.as_bytes());
        let io = TokioIo::new(stream);
        let served = if two {
            // Streams are no tasks that outlive the connection: they stop with this instance.
            hyper::server::conn::http2::Builder::new(OnTasks(tasks.clone()))
                .timer(TokioTimer::new())
                .max_concurrent_streams(STREAMS_MAX)
                .max_header_list_size(HEADERS_MAX)
                .max_send_buf_size(SEND_BUFFER_MAX)
                .max_pending_accept_reset_streams(RESETS_MAX)
                .keep_alive_interval(PING_EVERY)
                .keep_alive_timeout(TIMEOUT_HEAD)
                .serve_connection(io, service)
                .await
        } else {
            hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(TIMEOUT_HEAD)
                .serve_connection(io, service)
                .await
        };
        if let Err(error) = served {
            tracing::debug!(%error, %client, "a web connection ended");
        }
    }

    async fn answer(
        &self,
        client: ClientAddr,
        request: Request<Incoming>,
        tasks: &Tasks,
    ) -> Answer {
        let Some(host) = asked_host(&request) else {
            let words = String::from("a request names one host (RFC 9112 section 3.2)\n");
            return refusal(400, false, words);
        };
        let (path, session) = self.session_of(&request, &host);
        let outputs = self.inner.runner.feed(Input::RequestRead {
            client,
            host,
            path,
            session,
        });
        let mut answer = self.choose(outputs, client, request, tasks).await;
        set(answer.headers_mut(), HEADER_PROXY, &self.inner.name);
        answer
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the others do not answer this input"
    )]
    async fn choose(
        &self,
        outputs: Vec<Output>,
        client: ClientAddr,
        request: Request<Incoming>,
        tasks: &Tasks,
    ) -> Answer {
        for output in outputs {
            if let Some(wanted) = Wanted::of(self, &output) {
                // From here on the user may leave at any time, and all below is dropped.
                let open = Open::new(self.clone(), wanted.request);
                return self.forward(open, wanted, client, request, tasks).await;
            }
            match output {
                Output::RefuseRequest {
                    status,
                    no_tunnel,
                    text,
                } => {
                    return refusal(status, no_tunnel, text);
                }
                Output::Redirect { to, path, login } => {
                    return self.redirect(&to, path, login.as_ref());
                }
                Output::ServeWebApi => return self.web_api(request.uri().path()),
                other => tracing::error!(?other, "no answer to this input"),
            }
        }
        cut_off(tasks).await
    }

    fn web_api(&self, path: &str) -> Answer {
        if let Some(body) = self.web_api_body(path) {
            return Response::builder()
                .header(header::CONTENT_TYPE, "application/json")
                .body(full(body))
                .expect("the header is valid");
        }
        match path {
            "/" => text(
                StatusCode::OK,
                format!("proxy {} of the lab\n", self.inner.name),
            ),
            _ => text(StatusCode::NOT_FOUND, format!("no page {path:?} here\n")),
        }
    }

    async fn forward(
        &self,
        open: Open,
        wanted: Wanted,
        client: ClientAddr,
        request: Request<Incoming>,
        tasks: &Tasks,
    ) -> Answer {
        let stream = match self.open_stream(&wanted, client).await {
            Ok(stream) => stream,
            Err(NoStream { why, broken }) => {
                return self.stream_refused(open, &why, broken, tasks).await;
            }
        };
        let sent = async {
            let io = TokioIo::new(stream);
            let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
            tasks.spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a stream ended");
                }
            });
            sender.send_request(outward(request, client)).await
        };
        let agent = wanted.agent;
        let mut answer = match sent.await {
            Ok(answer) => {
                let (mut parts, body) = answer.into_parts();
                inward(&mut parts.headers);
                let status = parts.status.as_u16();
                let body = Counted { body, status, open };
                Response::from_parts(parts, body.boxed_unsync())
            }
            Err(error) => {
                let why = format!("agent {agent} got no answer from its app: {error}");
                self.stream_refused(open, &why, false, tasks).await
            }
        };
        set(answer.headers_mut(), HEADER_AGENT, &agent);
        answer
    }

    /// The tunnel did not take the stream, or brought no answer: the machine has the words, and may
    /// close the tunnel.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the others do not answer this input"
    )]
    async fn stream_refused(&self, open: Open, why: &str, broken: bool, tasks: &Tasks) -> Answer {
        let input = Input::StreamRefused {
            request: open.told_otherwise(),
            why: why.to_owned(),
            broken,
        };
        let mut answer = None;
        for output in self.inner.runner.feed(input) {
            match output {
                Output::RefuseRequest {
                    status,
                    no_tunnel,
                    text,
                } => {
                    answer = Some(refusal(status, no_tunnel, text));
                }
                other => tracing::error!(?other, "no answer to this input"),
            }
        }
        match answer {
            Some(answer) => answer,
            None => cut_off(tasks).await,
        }
    }
}

/// Waits to be cut. The machine has no word for a request only when it was stopped, and then every
/// connection is about to be cut; tunnels may be so first, and their users get no answer either.
async fn cut_off(tasks: &Tasks) -> Answer {
    tasks.token().cancelled().await;
    std::future::pending().await
}

/// Gives the host that a request is for: the authority of its target, else that of its one `Host`
/// header; `None` when it names none, or several.
///
/// HTTP/1.1 wants the header always, and prefers the target (RFC 9112 sections 3.2 and 3.2.2); in
/// HTTP/2 `:authority` is the target's, and a `Host` beside it must be the same (RFC 9113 section
/// 8.3.1).
fn asked_host<B>(request: &Request<B>) -> Option<String> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let header = match (hosts.next(), hosts.next()) {
        (_, Some(_)) => return None,
        (header, None) => header.map(|header| header.to_str().ok()),
    };
    let target = request.uri().authority().map(Authority::as_str);
    let two = request.version() == Version::HTTP_2;
    let host = match (target, header) {
        (Some(target), None) if two => target,
        (Some(target), Some(header)) if two && !header?.eq_ignore_ascii_case(target) => {
            return None;
        }
        (Some(target), Some(_)) => target,
        (None, Some(header)) => header?,
        (_, None) => return None,
    };
    (!host.is_empty() && host.len() <= HOST_MAX).then(|| host.to_ascii_lowercase())
}

fn refusal(status: u16, no_tunnel: bool, words: String) -> Answer {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut answer = text(status, words);
    if no_tunnel {
        set(answer.headers_mut(), HEADER_REFUSAL, "no_tunnel");
    }
    answer
}

fn text(status: StatusCode, text: String) -> Answer {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "text/plain; charset=utf-8")
        .body(full(Bytes::from(text)))
        .expect("the header is valid")
}

fn full(body: Bytes) -> UnsyncBoxBody<Bytes, hyper::Error> {
    Full::new(body)
        .map_err(|never| match never {})
        .boxed_unsync()
}
