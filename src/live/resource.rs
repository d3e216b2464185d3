//! What an agent serves: the small built-in app, or a real one behind `host:port`.
//!
//! The built-in app answers every path with a line that says who serves it, `/bytes/N` with N bytes
//! that anybody can check, and `/echo` with the request's body.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::cut;
use super::tunnel::TunnelStream;
use crate::model::addr::HostPort;
use crate::model::id::Name;

/// The largest answer of `/bytes/N`.
pub const BYTES_MAX: u64 = 1 << 30;

/// How long it may take to resolve and connect to a real app (Teleport `DefaultIOTimeout`).
const TIMEOUT_CONNECT: Duration = Duration::from_secs(30);

/// How many bytes of an answer are made at a time.
const CHUNK: usize = 32 * 1024;

type Answer = Response<UnsyncBoxBody<Bytes, hyper::Error>>;

/// Serves the built-in app on one stream until it ends, or the other side has left.
pub async fn serve_builtin(
    stream: TunnelStream,
    app: Name,
    agent: Name,
) -> Result<(), hyper::Error> {
    let service = service_fn(move |request| {
        let answer = answer(request, &app, &agent);
        async move { Ok::<_, Infallible>(answer) }
    });
    let closed = stream.closed();
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        served = serving => served,
        () = closed => Ok(()),
    }
}

/// Relays one stream to a real app until both sides have ended, or the other side of the stream has
/// left: an app that says nothing would not see that, and be waited for. The connection to the app
/// ends with its group.
pub async fn relay(
    stream: TunnelStream,
    target: &HostPort,
    from: IpAddr,
    group: cut::Group,
) -> io::Result<()> {
    let closed = stream.closed();
    let connecting = async {
        tokio::select! {
            connected = connect(target, from) => connected.map(Some),
            () = closed => Ok(None),
        }
    };
    match connecting.await? {
        Some(target) => pump(stream, group.holds(target)).await,
        None => Ok(()),
    }
}

/// Moves bytes both ways, each end on its own, until both sides have ended, or the other side of the
/// stream has left.
pub async fn pump(mut stream: TunnelStream, mut target: cut::Stream) -> io::Result<()> {
    let closed = stream.closed();
    tokio::select! {
        pumped = tokio::io::copy_bidirectional(&mut stream, &mut target) => pumped.map(|_| ()),
        () = closed => Ok(()),
    }
}

/// Connects to a real app or database from the agent's own address.
pub async fn connect(target: &HostPort, from: IpAddr) -> io::Result<TcpStream> {
    let connecting = async {
        let address = match target.host.parse::<IpAddr>() {
            Ok(ip) => SocketAddr::new(ip, target.port),
            Err(_) => tokio::net::lookup_host((&*target.host, target.port))
                .await?
                .next()
                .ok_or_else(|| io::Error::other(format!("{target} has no address")))?,
        };
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        }?;
        // A loopback app sees the agent's own address; another one the address of the route.
        if address.ip().is_loopback() && from.is_ipv4() == address.is_ipv4() {
            socket.bind(SocketAddr::new(from, 0))?;
        }
        socket.connect(address).await
    };
    timeout(TIMEOUT_CONNECT, connecting).await?
}

fn answer(request: Request<Incoming>, app: &str, agent: &str) -> Answer {
    let path = request.uri().path();
    if let Some(count) = path.strip_prefix("/bytes/") {
        return match count.parse::<u64>() {
            Ok(count) if count <= BYTES_MAX => Response::builder()
                .header(header::CONTENT_TYPE, "application/octet-stream")
                .body(Pattern { at: 0, end: count }.boxed_unsync())
                .expect("the header is valid"),
            _ => text(
                StatusCode::BAD_REQUEST,
                format!("{count:?} is not a number of bytes from 0 to {BYTES_MAX}\n"),
            ),
        };
    }
    if path == "/echo" && request.method() == Method::POST {
        return Response::new(request.into_body().boxed_unsync());
    }
    let via = request
        .headers()
        .get("x-forwarded-host")
        .and_then(|v| v.to_str().ok());
    let client = request
        .headers()
        .get("x-forwarded-for")
        .and_then(|v| v.to_str().ok());
    let line = format!(
        "{app}: served by agent {agent} to {} for {}\n",
        client.unwrap_or("nobody known"),
        via.unwrap_or("no host"),
    );
    text(StatusCode::OK, line)
}

fn text(status: StatusCode, text: String) -> Answer {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "text/plain; charset=utf-8")
        .body(
            Full::new(Bytes::from(text))
                .map_err(|never| match never {})
                .boxed_unsync(),
        )
        .expect("the header is valid")
}

/// Gives the byte at a place of the pattern: it repeats every 251 bytes, which no buffer size does.
pub fn pattern_byte(at: u64) -> u8 {
    u8::try_from(at % 251).unwrap_or(0)
}

/// A body of pattern bytes, made as they are read.
struct Pattern {
    at: u64,
    end: u64,
}

impl Body for Pattern {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if self.at == self.end {
            return Poll::Ready(None);
        }
        let to = self.end.min(self.at + CHUNK as u64);
        let chunk: Bytes = (self.at..to).map(pattern_byte).collect();
        self.at = to;
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.end - self.at)
    }
}
