//! From an accepted connection to its service: PROXY header, first bytes, TLS, and who serves it.
//!
//! What is served where is reference 3.3; the machine chooses, this reads and hands on. A connection
//! that says nothing at all and ends is a check, and makes no fact.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

use super::sniff::{self, Opening, Start};
use super::{Proxy, admission};
use crate::live::authority::read_user;
use crate::live::cut;
use crate::live::proxy_protocol::DEADLINE;
use crate::live::tasks::Tasks;
use crate::live::tls::{Hello, TlsError};
use crate::model::addr::ClientAddr;
use crate::model::fact::Service;
use crate::model::id::{ConnId, Name};
use crate::model::teleport::{DatabaseRoute, Port};
use crate::policy::alpn;
use crate::policy::proxy::{Input, Output};

/// How long a client of a protocol in which the server speaks first is listened to: MySQL.
const SILENT_FOR: Duration = Duration::from_millis(200);

/// How many messages a Postgres client sends before its TLS begins: GSSENCRequest, SSLRequest.
const STARTS_MAX: usize = 2;

/// What PostgreSQL's own clients offer.
const NATIVE: &str = "postgresql";

/// How a connection begins, after its PROXY header.
struct Opened {
    came: admission::Came,
    opening: Opening,
}

impl Proxy {
    pub(super) fn accepted(&self, port: Port, stream: TcpStream, source: SocketAddr) {
        let Ok(permit) = Arc::clone(&self.inner.pending).try_acquire_owned() else {
            tracing::warn!(proxy = %self.inner.name, "closed at accept: too many are pending");
            return;
        };
        let proxy = self.clone();
        let (conns, stream) = {
            let work = self.work();
            (work.conns.clone(), work.group.clone().holds(stream))
        };
        let _ = stream.tcp().set_nodelay(true);
        let own = conns.clone();
        conns.spawn(async move {
            if port == Port::Peer {
                drop(permit);
                return proxy.serve_peer(stream, &own).await;
            }
            Box::pin(proxy.arrive((port, source), stream, permit, &own)).await;
        });
    }

    /// Reads what a connection begins with, and serves it.
    async fn arrive(
        &self,
        (port, source): (Port, SocketAddr),
        mut stream: cut::Stream,
        permit: tokio::sync::OwnedSemaphorePermit,
        tasks: &Tasks,
    ) {
        let Some(opened) = self.open((port, source), &mut stream).await else {
            return;
        };
        let client = opened.came.client;
        let refused = |why: String| self.refused(ConnId(0), Some(client), why);
        if let Some(protocol) = not_carried(port)
            && opened.opening != Opening::Tls
        {
            return refused(format!(
                "twodoors does not carry {protocol}: the {port} listener ({}) takes connections \
                 and closes them",
                port.key()
            ));
        }
        match opened.opening {
            Opening::Tls => {
                let Some(hello) = self.hello(stream, opened.came).await else {
                    return;
                };
                drop(permit);
                self.serve_hello((port, client), hello, tasks).await;
            }
            Opening::Ssh => {
                drop(permit);
                self.serve_ssh((port, client), stream, tasks).await;
            }
            Opening::Postgres(start) if self.takes_postgres(port) => {
                let Some(stream) = self.postgres(opened.came, start, stream).await else {
                    return;
                };
                drop(permit);
                self.serve_route(ConnId(0), client, stream, tasks).await;
            }
            Opening::Postgres(_) => refused(format!(
                "a Postgres client on the {port} listener ({}), which does not serve them",
                port.key()
            )),
            Opening::Http => refused(format!(
                "plain HTTP on the {port} listener, which has no HTTP listener: health checks and \
                 clients must use HTTPS here"
            )),
            Opening::Proxy => refused(String::from("a PROXY header where none may be")),
            Opening::Unknown => {
                let first = stream.peek(sniff::DECISIVE);
                // They are there already.
                let first = timeout(Duration::ZERO, first).await;
                let first = first.ok().and_then(Result::ok).unwrap_or_default();
                refused(format!(
                    "no protocol that is known begins with {first:02x?} (the {port} listener)"
                ));
            }
        }
    }

    /// Reads the PROXY header and enough of what follows; `None` when that was the end of it.
    async fn open(
        &self,
        (port, source): (Port, SocketAddr),
        stream: &mut cut::Stream,
    ) -> Option<Opened> {
        let mode = self
            .inner
            .runner
            .shared()
            .topology
            .pool
            .teleport
            .proxy_protocol;
        let mut came = None;
        let whole = async {
            let Some(known) = admission::read(stream, mode, source).await? else {
                return Ok(None);
            };
            came = Some(known);
            for count in 1..=sniff::DECISIVE {
                let seen = stream.peek(count).await;
                let seen = seen.map_err(crate::live::proxy_protocol::Error::Io)?;
                if let Some(opening) = sniff::opening(seen)
                    && !seen.is_empty()
                {
                    return Ok(Some((known, opening)));
                }
                if seen.len() < count {
                    // It ended: without a word behind a header that names nobody it was a check.
                    let silent = seen.is_empty() && !known.named;
                    return Ok((!silent).then_some((known, Opening::Unknown)));
                }
            }
            Ok(Some((known, Opening::Unknown)))
        };
        let patience = if port == Port::Mysql {
            SILENT_FOR
        } else {
            DEADLINE
        };
        match timeout(patience, whole).await {
            Ok(Ok(opened)) => {
                let (came, opening) = opened?;
                Some(Opened { came, opening })
            }
            Ok(Err(error)) => {
                let error: admission::Refused = error;
                self.refused(ConnId(0), Some(ClientAddr(source)), error.to_string());
                None
            }
            // A client of MySQL waits for the server's greeting.
            Err(_) if port == Port::Mysql => Some(Opened {
                came: came.unwrap_or(admission::Came {
                    client: ClientAddr(source),
                    named: false,
                }),
                opening: Opening::Unknown,
            }),
            Err(_) => {
                let why = format!(
                    "nothing that tells a protocol came within {}s",
                    DEADLINE.as_secs()
                );
                let client = came.map_or(ClientAddr(source), |came| came.client);
                self.refused(ConnId(0), Some(client), why);
                None
            }
        }
    }

    /// Tells whether a Postgres client may begin here: on a listener of its own, or where there is
    /// none on the web listener (Teleport `muxPostgresOnWebPort` (from memory)).
    fn takes_postgres(&self, port: Port) -> bool {
        let teleport = &self.inner.runner.shared().topology.pool.teleport;
        port == Port::Postgres || (port == Port::Web && teleport.listener(Port::Postgres).is_none())
    }

    /// Reads the ClientHello.
    async fn hello(
        &self,
        stream: cut::Stream,
        came: admission::Came,
    ) -> Option<Hello<cut::Stream>> {
        match Hello::read(stream).await {
            Ok(hello) => Some(hello),
            // A check that looks for TLS says no more.
            Err(TlsError::Hello(_)) if !came.named => None,
            Err(error) => {
                self.refused(ConnId(0), Some(came.client), error.to_string());
                None
            }
        }
    }

    /// Answers what a Postgres client says first, up to the end of its TLS handshake.
    async fn postgres(
        &self,
        came: admission::Came,
        mut start: Start,
        mut stream: cut::Stream,
    ) -> Option<TlsStream<cut::Stream>> {
        let refused = |why: String| {
            self.refused(ConnId(0), Some(came.client), why);
            None
        };
        for _ in 0..STARTS_MAX {
            stream.skip(sniff::DECISIVE);
            match start {
                Start::Cancel => {
                    return refused(String::from(
                        "a Postgres CancelRequest without TLS: nobody is known by it",
                    ));
                }
                Start::Ssl => {
                    if let Err(error) = stream.write_all(b"S").await {
                        return refused(format!("answering SSLRequest: {error}"));
                    }
                    let hello = self.hello(stream, came).await?;
                    let protocol = native(Service::Database, &hello.alpn);
                    return match hello.finish(&self.inner.means.tls, protocol).await {
                        Ok(stream) => Some(stream),
                        Err(error) => refused(error.to_string()),
                    };
                }
                Start::Gss => {
                    if let Err(error) = stream.write_all(b"N").await {
                        return refused(format!("answering GSSENCRequest: {error}"));
                    }
                    let next = timeout(DEADLINE, stream.peek(sniff::DECISIVE)).await;
                    let next = next.ok().and_then(Result::ok).and_then(sniff::opening);
                    let Some(Opening::Postgres(next)) = next else {
                        return refused(String::from(
                            "a Postgres client went on without TLS: sslmode must be require or \
                             stronger",
                        ));
                    };
                    start = next;
                }
            }
        }
        refused(String::from(
            "a Postgres client asks for GSSENC again and again",
        ))
    }

    /// Asks the machine about a ClientHello, finishes TLS and serves.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the others do not answer this input"
    )]
    async fn serve_hello(
        &self,
        (listener, client): (Port, ClientAddr),
        hello: Hello<cut::Stream>,
        tasks: &Tasks,
    ) {
        let input = Input::HelloRead {
            listener,
            client,
            sni: hello.sni.as_deref().map(Into::into),
            alpn: hello
                .alpn
                .iter()
                .take(alpn::OFFERED_MAX)
                .map(|name| Name::from(name.as_str()))
                .collect(),
        };
        for output in self.inner.runner.feed(input) {
            match output {
                Output::RefuseHello { .. } => {
                    // Without a list there is nothing to refuse; closing is all that can be said.
                    if !hello.alpn.is_empty() {
                        hello.refuse(&self.inner.means.tls).await;
                    }
                    return;
                }
                Output::Serve {
                    conn,
                    service,
                    protocol,
                } => {
                    let protocol = protocol.or_else(|| native(service, &hello.alpn));
                    match hello.finish(&self.inner.means.tls, protocol).await {
                        Ok(stream) => {
                            self.serve_service(conn, client, service, stream, tasks)
                                .await;
                        }
                        Err(error) => self.refused(conn, Some(client), error.to_string()),
                    }
                    self.feed(Input::ConnClosed { conn });
                    return;
                }
                other => tracing::error!(?other, "no answer to this input"),
            }
        }
    }

    async fn serve_service(
        &self,
        conn: ConnId,
        client: ClientAddr,
        service: Service,
        stream: TlsStream<cut::Stream>,
        tasks: &Tasks,
    ) {
        // A certificate with a database in it goes there whatever the ALPN (reference 3.5, rule 6).
        if route(&stream).is_some() {
            return self.serve_route(conn, client, stream, tasks).await;
        }
        match service {
            Service::Database => self.serve_route(conn, client, stream, tasks).await,
            Service::ReverseTunnel => self.serve_tunnel(conn, client, stream, tasks).await,
            Service::Web => self.serve_web(client, stream, tasks).await,
            Service::WebMinimal => self.serve_minimal(client, stream, tasks).await,
            Service::Peer | Service::Ssh | Service::Tcp => {
                let why = format!("twodoors does not carry {service} over TLS here");
                self.refused(conn, Some(client), why);
            }
        }
    }

    /// Serves the database that the client's certificate names.
    async fn serve_route(
        &self,
        conn: ConnId,
        client: ClientAddr,
        stream: TlsStream<cut::Stream>,
        tasks: &Tasks,
    ) {
        match route(&stream) {
            Some(route) => {
                self.serve_database(conn, client, route, stream, tasks)
                    .await;
            }
            None => self.refused(
                conn,
                Some(client),
                String::from(
                    "a database client without a client certificate that names a database",
                ),
            ),
        }
    }

    /// Asks the machine about raw SSH, and serves it.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the others do not answer this input"
    )]
    async fn serve_ssh(
        &self,
        (listener, client): (Port, ClientAddr),
        stream: cut::Stream,
        tasks: &Tasks,
    ) {
        for output in self.inner.runner.feed(Input::SshRead { listener, client }) {
            match output {
                Output::RefuseHello { .. } => return,
                Output::Serve { conn, service, .. } => {
                    if service == Service::ReverseTunnel {
                        self.serve_tunnel(conn, client, stream, tasks).await;
                    } else {
                        self.serve_login(conn, client, stream).await;
                    }
                    self.feed(Input::ConnClosed { conn });
                    return;
                }
                other => tracing::error!(?other, "no answer to this input"),
            }
        }
    }
}

/// Gives PostgreSQL's own protocol name where its client offers it: one that begins with TLS
/// (`sslnegotiation=direct`) insists on an answer.
fn native(service: Service, offered: &[String]) -> Option<&'static str> {
    let wanted = service == Service::Database && offered.iter().any(|name| name == NATIVE);
    wanted.then_some(NATIVE)
}

/// Names what a listener is for that this lab does not carry.
const fn not_carried(port: Port) -> Option<&'static str> {
    match port {
        Port::Kube => Some("Kubernetes"),
        Port::Mysql => Some("MySQL"),
        Port::Mongo => Some("MongoDB"),
        Port::Web | Port::Tunnel | Port::Ssh | Port::Postgres | Port::Peer => None,
    }
}

/// Gives the database that a client's certificate names; TLS has verified the certificate.
fn route(stream: &TlsStream<cut::Stream>) -> Option<DatabaseRoute> {
    let shown = stream.get_ref().1.peer_certificates()?.first()?;
    let (_user, route) = read_user(shown)?;
    route
}
