//! The web side of an instance: `/webapi/find` and `/webapi/ping`, and apps through tunnels.
//!
//! A request for an app goes into the tunnel that the machine picked, on a stream of its own, as
//! HTTP/1.1; the answer's body is passed on as it comes and counted. A request that the machine
//! refuses gets its words, and is never sent elsewhere.

mod headers;

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio_rustls::server::TlsStream;

use self::headers::{inward, outward, set};
use super::Proxy;
use crate::live::cut;
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

/// How long a host may be: a DNS name of 253 characters, a final dot, and a port.
const HOST_MAX: usize = 260;

/// How long the head of a request may take.
const TIMEOUT_HEAD: Duration = Duration::from_secs(30);

type Answer = Response<UnsyncBoxBody<Bytes, hyper::Error>>;

/// A request that has its tunnel.
struct Route {
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
        stream: TlsStream<cut::Stream>,
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
        let Some(host) = asked_host(&request) else {
            let words = String::from("a request names one host (RFC 9112 section 3.2)\n");
            return refusal(400, false, words);
        };
        let outputs = self.inner.runner.feed(Input::RequestRead {
            client,
            host,
            path: request.uri().path().to_owned(),
            session: None,
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
                    kind: _,
                    app,
                    agent,
                    host_id,
                } => {
                    // From here on the user may leave at any time, and all below is dropped.
                    let open = Open::new(self.clone(), id);
                    let route = Route {
                        conn,
                        app,
                        agent,
                        host_id,
                    };
                    return self.forward(open, route, client, request, tasks).await;
                }
                Output::ServeWebApi => return self.web_api(request.uri().path()),
                other => tracing::error!(?other, "no answer to this input"),
            }
        }
        cut_off(tasks).await
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
        open: Open,
        route: Route,
        client: ClientAddr,
        request: Request<Incoming>,
        tasks: &Tasks,
    ) -> Answer {
        let tunnel = self.work().tunnels.get(&route.conn).cloned();
        let Some(tunnel) = tunnel else {
            let why = "the tunnel is closed";
            return self.stream_refused(open, why, true, tasks).await;
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
                let why = refused.to_string();
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
        let agent = route.agent;
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

/// Gives the host that a request is for: that of its absolute form, else of its one `Host` header
/// (RFC 9112 sections 3.2 and 3.2.2); `None` when it names none, or several.
fn asked_host(request: &Request<Incoming>) -> Option<String> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return None;
    };
    let host = match request.uri().authority() {
        Some(authority) => authority.as_str(),
        None => host.to_str().ok()?,
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

/// A routed request whose end was not told yet. It is told once: dropped, the request was cut.
struct Open {
    proxy: Proxy,
    id: RequestId,
    /// Bytes of the answer's body so far.
    bytes: u64,
    told: bool,
}

impl Open {
    fn new(proxy: Proxy, id: RequestId) -> Self {
        Self {
            proxy,
            id,
            bytes: 0,
            told: false,
        }
    }

    /// Tells the end, with status 0 for an answer that was cut.
    fn ended(&mut self, status: u16) {
        if !std::mem::replace(&mut self.told, true) {
            self.proxy.feed(Input::RequestEnded {
                request: self.id,
                status,
                bytes: self.bytes,
            });
        }
    }

    /// Leaves it to the caller to tell the end of this request.
    fn told_otherwise(mut self) -> RequestId {
        self.told = true;
        self.id
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.ended(0);
    }
}

/// A body on its way to the user. Its end is told once, also when the user gives up.
struct Counted {
    body: Incoming,
    status: u16,
    open: Open,
}

impl Body for Counted {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let status = self.status;
        match &frame {
            Some(Ok(frame)) => {
                self.open.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                // The last frame of a body with a known length is followed by no other poll.
                if self.body.is_end_stream() {
                    self.open.ended(status);
                }
            }
            Some(Err(_)) => self.open.ended(0),
            None => self.open.ended(status),
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
        // An answer without a body is never asked for a frame.
        if self.body.is_end_stream() {
            self.open.ended(self.status);
        }
    }
}
