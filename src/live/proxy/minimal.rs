//! The minimal web API of the tunnel listener: find and ping, and nothing else.
//!
//! It is what lets `proxy_server: internal:3024` work (reference 3.3). Teleport's also serves what
//! joining needs, which this lab has no use for.

use std::convert::Infallible;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio_rustls::server::TlsStream;

use super::Proxy;
use super::web::HEADER_PROXY;
use crate::live::cut;
use crate::live::tasks::Tasks;
use crate::model::addr::ClientAddr;

/// How long the head of a request may take.
const TIMEOUT_HEAD: Duration = Duration::from_secs(30);

/// How many requests one HTTP/2 connection may have open: a client of find has one.
const STREAMS_MAX: u32 = 16;

/// Runs what HTTP/2 needs beside its connection, as tasks of the instance.
#[derive(Clone)]
struct Beside(Tasks);

impl<F> hyper::rt::Executor<F> for Beside
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}

impl Proxy {
    /// Serves find and ping on a TLS stream until it ends.
    pub(super) async fn serve_minimal(
        &self,
        client: ClientAddr,
        stream: TlsStream<cut::Stream>,
        tasks: &Tasks,
    ) {
        let over_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let service = service_fn(move |request: Request<Incoming>| {
            let answer = self.clone().answer_minimal(&request);
            async move { Ok::<_, Infallible>(answer) }
        });
        let io = TokioIo::new(stream);
        let served = if over_h2 {
            hyper::server::conn::http2::Builder::new(Beside(tasks.clone()))
                .timer(TokioTimer::new())
                .max_concurrent_streams(STREAMS_MAX)
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
            tracing::debug!(%error, %client, "a connection to the minimal web API ended");
        }
    }

    fn answer_minimal(self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        let (status, kind, body) = match self.web_api_body(path) {
            Some(body) => (StatusCode::OK, "application/json", body),
            None => (
                StatusCode::NOT_FOUND,
                "text/plain; charset=utf-8",
                Bytes::from(format!(
                    "no page {path:?} on the tunnel listener: find and ping alone\n"
                )),
            ),
        };
        Response::builder()
            .status(status)
            .header(header::CONTENT_TYPE, kind)
            .header(HEADER_PROXY, &*self.inner.name)
            .body(Full::new(body))
            .expect("the headers are valid")
    }
}
