//! The web side of an instance: `/webapi/find` and `/webapi/ping`, and apps through tunnels.
//!
//! A request for an app goes into the tunnel that the machine picked, on a stream of its own, as
//! HTTP/1.1; the answer's body is passed on as it comes and counted. A request that the machine
//! refuses gets its words, and is never sent elsewhere.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::Proxy;
use crate::live::tasks::Tasks;
use crate::live::tunnel::{DialReq, Refused};
use crate::live::webapi;
use crate::model::addr::ClientAddr;
use crate::model::id::{ConnId, Name, RequestId};
use crate::policy::proxy::{Input, Output};

/// Names the proxy that answered.
pub const HEADER_PROXY: &str = "x-twodoors-proxy";

/// Names the agent whose tunnel took the request.
pub const HEADER_AGENT: &str = "x-twodoors-agent";

/// Says why a proxy refused: `no_tunnel`.
pub const HEADER_REFUSAL: &str = "x-twodoors-refusal";

/// How long the head of a request may take.
const TIMEOUT_HEAD: Duration = Duration::from_secs(30);

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

type Answer = Response<UnsyncBoxBody<Bytes, hyper::Error>>;

/// A request that has its tunnel.
struct Route {
    request: RequestId,
    conn: ConnId,
    app: Name,
    agent: Name,
    host_id: Name,
}

impl Proxy {
    /// Serves HTTP/1.1 on a TLS stream until it ends.
    pub(super) async fn serve_web(
        &self,
        client: ClientAddr,
        stream: TlsStream<TcpStream>,
        tasks: &Tasks,
    ) {
        let service = service_fn(move |request| {
            let (proxy, tasks) = (self.clone(), tasks.clone());
            async move { Ok::<_, Infallible>(proxy.answer(client, request, &tasks).await) }
        });
        let served = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(TIMEOUT_HEAD)
            .serve_connection(TokioIo::new(stream), service)
            .await;
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
        let host = request
            .headers()
            .get(header::HOST)
            .and_then(|value| value.to_str().ok());
        let host = host.or_else(|| request.uri().authority().map(|a| a.as_str()));
        let host = host.unwrap_or_default().to_ascii_lowercase();
        let outputs = self.inner.runner.feed(Input::RequestRead { client, host });
        let mut answer = self.choose(outputs, client, request, tasks).await;
        set(answer.headers_mut(), HEADER_PROXY, &self.inner.name);
        answer
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what is no choice is acted upon"
    )]
    async fn choose(
        &self,
        outputs: Vec<Output>,
        client: ClientAddr,
        request: Request<Incoming>,
        tasks: &Tasks,
    ) -> Answer {
        for output in outputs {
            match output {
                Output::RefuseRequest {
                    status,
                    no_tunnel,
                    text,
                } => {
                    return refusal(status, no_tunnel, text);
                }
                Output::Route {
                    request: id,
                    conn,
                    app,
                    agent,
                    host_id,
                } => {
                    let route = Route {
                        request: id,
                        conn,
                        app,
                        agent,
                        host_id,
                    };
                    return self.forward(route, client, request, tasks).await;
                }
                Output::ServeWebApi => return self.web_api(request.uri().path()),
                other => self.act(other),
            }
        }
        refusal(503, false, String::from("the proxy is stopped\n"))
    }

    fn web_api(&self, path: &str) -> Answer {
        match path {
            webapi::FIND | webapi::PING => {
                let body = Bytes::from(self.inner.document.clone());
                Response::builder()
                    .header(header::CONTENT_TYPE, "application/json")
                    .body(full(body))
                    .expect("the header is valid")
            }
            "/" => text(
                StatusCode::OK,
                format!("proxy {} of the lab\n", self.inner.name),
            ),
            _ => text(StatusCode::NOT_FOUND, format!("no page {path:?} here\n")),
        }
    }

    async fn forward(
        &self,
        route: Route,
        client: ClientAddr,
        request: Request<Incoming>,
        tasks: &Tasks,
    ) -> Answer {
        let tunnel = self.work().tunnels.get(&route.conn).cloned();
        let Some(tunnel) = tunnel else {
            return self.stream_refused(&route, "the tunnel is closed", true);
        };
        let dial = DialReq {
            address: route.app.to_string(),
            server_id: format!("{}.{}", route.host_id, self.inner.cluster),
            conn_type: String::from("app"),
            client_src_addr: client.to_string(),
            client_dst_addr: self.inner.listen.to_string(),
        };
        let stream = match tunnel.open_transport(&dial).await {
            Ok(stream) => stream,
            Err(refused) => {
                let broken = matches!(refused, Refused::Closed(_) | Refused::Timeout(_));
                return self.stream_refused(&route, &refused.to_string(), broken);
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
        let (id, agent) = (route.request, route.agent);
        match sent.await {
            Ok(answer) => {
                let (mut parts, body) = answer.into_parts();
                strip(&mut parts.headers);
                set(&mut parts.headers, HEADER_AGENT, &agent);
                let status = parts.status.as_u16();
                let proxy = self.clone();
                let body = Counted {
                    body,
                    bytes: 0,
                    end: Some(End { proxy, id, status }),
                };
                Response::from_parts(parts, body.boxed_unsync())
            }
            Err(error) => {
                self.feed(Input::RequestEnded {
                    request: id,
                    status: 502,
                    bytes: 0,
                });
                let mut answer = text(
                    StatusCode::BAD_GATEWAY,
                    format!("agent {agent} did not get an answer from its app: {error}\n"),
                );
                set(answer.headers_mut(), HEADER_AGENT, &agent);
                answer
            }
        }
    }

    /// The tunnel did not take the stream: the machine has the words, and may close the tunnel.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "what is no answer is acted upon"
    )]
    fn stream_refused(&self, route: &Route, why: &str, broken: bool) -> Answer {
        let input = Input::StreamRefused {
            request: route.request,
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
                other => self.act(other),
            }
        }
        answer.unwrap_or_else(|| refusal(503, false, String::from("the proxy is stopped\n")))
    }
}

/// Makes the request that goes into the tunnel.
fn outward(request: Request<Incoming>, client: ClientAddr) -> Request<Incoming> {
    let (mut parts, body) = request.into_parts();
    let host = parts.headers.get(header::HOST).cloned();
    strip(&mut parts.headers);
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

/// Takes out what concerns one hop: the listed headers, and those that `Connection` names.
fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
    headers.remove("keep-alive");
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
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

/// A body on its way to the user. Its end is told once, also when the user gives up.
struct Counted {
    body: Incoming,
    bytes: u64,
    end: Option<End>,
}

struct End {
    proxy: Proxy,
    id: RequestId,
    status: u16,
}

impl Counted {
    fn ended(&mut self, whole: bool) {
        if let Some(End { proxy, id, status }) = self.end.take() {
            let status = if whole { status } else { 0 };
            proxy.feed(Input::RequestEnded {
                request: id,
                status,
                bytes: self.bytes,
            });
        }
    }
}

impl Body for Counted {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                self.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                // The last frame of a body with a known length is followed by no other poll.
                if self.body.is_end_stream() {
                    self.ended(true);
                }
            }
            Some(Err(_)) => self.ended(false),
            None => self.ended(true),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let whole = self.body.is_end_stream();
        self.ended(whole);
    }
}
