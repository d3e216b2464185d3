//! Databases through tunnels: the client's certificate has named one, and its bytes go there.
//!
//! The agents that serve it are asked one after the other, in the machine's order. What the client
//! and the database say to each other is not looked at; a client whose database nobody reached sees
//! a closed socket, as Teleport's do, and the fact has the words.

use tokio_rustls::server::TlsStream;

use super::Proxy;
use super::streams::{NoStream, ResourceStream, Wanted};
use crate::live::cut;
use crate::live::ping::{self, Carried, PING_EVERY};
use crate::live::tasks::Tasks;
use crate::model::addr::ClientAddr;
use crate::model::id::{ConnId, RequestId};
use crate::model::teleport::DatabaseRoute;
use crate::policy::proxy::{Input, Output};

/// What a database protocol's name ends with when its bytes are in ping frames.
const PING_SUFFIX: &[u8] = b"-ping";

/// The status of a connection that both sides ended: facts of requests have HTTP's.
const STATUS_ENDED: u16 = 200;

impl Proxy {
    /// Serves the database of this route until the stream ends.
    pub(super) async fn serve_database(
        &self,
        conn: ConnId,
        client: ClientAddr,
        route: DatabaseRoute,
        stream: TlsStream<cut::Stream>,
        _tasks: &Tasks,
    ) {
        let mut outputs = self.feed_for(Input::DatabaseAsked { client, route });
        // Each agent is asked once at most, so this ends.
        loop {
            let wanted = match self.choice(outputs) {
                Ok(wanted) => wanted,
                Err(text) => {
                    // A NoTunnel fact has been made where it was for want of one.
                    return self.refused(conn, Some(client), text.trim_end().to_owned());
                }
            };
            // From here on the client may leave at any time, and all below is dropped.
            let routed = Routed::new(self.clone(), wanted.request);
            match self.open_stream(&wanted, client).await {
                Ok(database) => return routed.carry(stream, database).await,
                Err(NoStream { why, broken }) => {
                    outputs = self.feed_for(Input::StreamRefused {
                        request: routed.told_otherwise(),
                        why,
                        broken,
                    });
                }
            }
        }
    }

    fn feed_for(&self, input: Input) -> Vec<Output> {
        self.inner.runner.feed(input)
    }

    /// Finds the machine's choice of a way, or its words of refusal.
    fn choice(&self, outputs: Vec<Output>) -> Result<Wanted, String> {
        for output in outputs {
            if let Some(wanted) = Wanted::of(self, &output) {
                return Ok(wanted);
            }
            if let Output::RefuseRequest { text, .. } = output {
                return Err(text);
            }
        }
        Err(String::from("the proxy was stopped"))
    }
}

/// A connection that was routed and whose end is told once: dropped, it was cut.
struct Routed {
    proxy: Proxy,
    request: RequestId,
    status: u16,
    carried: Carried,
    told: bool,
}

impl Routed {
    fn new(proxy: Proxy, request: RequestId) -> Self {
        Self {
            proxy,
            request,
            status: 0,
            carried: Carried::default(),
            told: false,
        }
    }

    /// Leaves it to the caller to tell the end.
    fn told_otherwise(mut self) -> RequestId {
        self.told = true;
        self.request
    }

    async fn carry(mut self, stream: TlsStream<cut::Stream>, database: ResourceStream) {
        let protocol = stream.get_ref().1.alpn_protocol();
        let framed = protocol.is_some_and(|name| name.ends_with(PING_SUFFIX));
        let carried = &mut self.carried;
        let ended = if framed {
            ping::carry(database, stream, Some(PING_EVERY), carried).await
        } else {
            ping::carry_bare(database, stream, carried).await
        };
        match ended {
            Ok(()) => self.status = STATUS_ENDED,
            Err(error) => tracing::debug!(%error, "a database connection broke"),
        }
    }
}

impl Drop for Routed {
    fn drop(&mut self) {
        if !self.told {
            self.proxy.feed(Input::RequestEnded {
                request: self.request,
                status: self.status,
                // To the client: the database is the plain side.
                bytes: self.carried.inward,
            });
        }
    }
}
