//! `/webapi/find` and `/webapi/ping`: what a proxy says of itself, and how an agent asks.
//!
//! The document is Teleport's own (`api/client/webclient`), as far as this lab knows its fields;
//! unknown ones are ignored, as Teleport's client does.

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};

use super::tasks::Tasks;
use crate::model::topology::Topology;
use crate::policy::address::Document;

/// The path of find.
pub const FIND: &str = "/webapi/find";

/// The path of ping.
pub const PING: &str = "/webapi/ping";

/// How long an answer may be (Teleport's client has the same bound for ping).
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// `PingResponse`.
#[derive(Debug, Deserialize, Serialize)]
struct Response {
    server_version: String,
    min_client_version: String,
    cluster_name: String,
    proxy: Proxy,
}

#[derive(Debug, Deserialize, Serialize)]
struct Proxy {
    #[serde(default)]
    tls_routing_enabled: bool,
    ssh: Ssh,
}

/// Every string is left out when empty; `dial_timeout` is in nanoseconds.
#[derive(Debug, Deserialize, Serialize)]
struct Ssh {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    listen_addr: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    tunnel_listen_addr: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    web_listen_addr: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    public_addr: String,
    #[serde(default)]
    dial_timeout: u64,
}

/// Gives the document that every proxy of the pool serves.
///
/// With TLS routing all listeners are shown as the web listener (Teleport `proxy_settings`), and
/// only the first public address is told.
pub fn document(topology: &Topology) -> Vec<u8> {
    let web = topology.pool.teleport.web_listen().to_string();
    let response = Response {
        server_version: String::from("17.0.0-twodoors"),
        min_client_version: String::from("16.0.0-aa"),
        cluster_name: topology.cluster().to_owned(),
        proxy: Proxy {
            tls_routing_enabled: topology.pool.teleport.tls_routing(),
            ssh: Ssh {
                listen_addr: web.clone(),
                tunnel_listen_addr: web.clone(),
                web_listen_addr: web,
                public_addr: topology
                    .pool
                    .teleport
                    .public
                    .first()
                    .map_or_else(String::new, ToString::to_string),
                dial_timeout: 30_000_000_000,
            },
        },
    };
    serde_json::to_vec(&response).expect("strings and numbers always serialise")
}

/// Asks find over a TLS stream. The status is not looked at, as Teleport's `Find` does not.
pub async fn find<S>(stream: S, host: &str, tasks: &Tasks) -> Result<Document, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(stream);
    let handshake = hyper::client::conn::http1::handshake(io).await;
    let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
    let driver = tasks.spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "find's connection ended");
        }
    });
    let request = Request::get(FIND)
        .header(header::HOST, host)
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let answer = sender.send_request(request).await;
    let result = async {
        let answer = answer.map_err(|error| error.to_string())?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX)
            .collect()
            .await;
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        read(&body).map_err(|error| match status {
            StatusCode::OK => error,
            _ => format!("status {status}: {error}"),
        })
    }
    .await;
    drop(sender);
    driver.abort();
    result
}

/// Reads what of the document decides.
fn read(body: &[u8]) -> Result<Document, String> {
    let response: Response =
        serde_json::from_slice(body).map_err(|error| format!("the answer to find: {error}"))?;
    Ok(Document {
        tls_routing: response.proxy.tls_routing_enabled,
        public_addr: response.proxy.ssh.public_addr,
        web_listen_addr: response.proxy.ssh.web_listen_addr,
        ..Document::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::topology;

    #[test]
    fn an_agent_reads_what_a_proxy_writes() {
        let read = read(&document(&topology())).unwrap();
        assert_eq!(read.public_addr, "proxy.example.com:3080");
        assert_eq!(read.web_listen_addr, "0.0.0.0:3080");
        assert!(read.tls_routing);
    }

    #[test]
    fn what_is_no_document_is_an_error_in_words() {
        for body in ["", "{}", "null", "<html>", r#"{"proxy": 1}"#] {
            assert!(read(body.as_bytes()).is_err(), "{body}");
        }
    }
}
