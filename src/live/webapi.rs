//! `/webapi/find` and `/webapi/ping`: what a proxy says of itself, and how an agent asks.
//!
//! The document is Teleport's own (`api/client/webclient`), as far as this lab knows its fields;
//! unknown ones are ignored, as Teleport's client does.

use std::sync::{Mutex, PoisonError};

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};

use super::tasks::Tasks;
use crate::model::teleport::{Port, ProxyService, Version};
use crate::model::time::{Span, Time};
use crate::policy::address::{Document, advertise};

/// The path of find.
pub const FIND: &str = "/webapi/find";

/// The path of ping.
pub const PING: &str = "/webapi/ping";

/// How long a proxy gives the same answer to find (Teleport `apiserver` `findEndpointCacheTTL`).
pub const FIND_FOR: Span = Span::from_secs(10);

/// How long an answer may be (Teleport's client has the same bound for ping).
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// `dial_timeout`: 30 s in nanoseconds.
const DIAL_TIMEOUT: u64 = 30_000_000_000;

/// What one proxy answers; find is kept for ten seconds whatever happens meanwhile.
#[derive(Debug, Default)]
pub struct Answers {
    find: Mutex<Option<(Time, Bytes)>>,
}

impl Answers {
    /// Gives the answer at a path, as `write` has it now or had it when find was last written.
    pub fn at(&self, path: &str, now: Time, write: impl FnOnce() -> Vec<u8>) -> Option<Bytes> {
        match path {
            PING => Some(write().into()),
            FIND => {
                let mut find = self.find.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((until, body)) = &*find
                    && now < *until
                {
                    return Some(body.clone());
                }
                let body = Bytes::from(write());
                *find = Some((now + FIND_FOR, body.clone()));
                Some(body)
            }
            _ => None,
        }
    }
}

/// `PingResponse`.
#[derive(Debug, Deserialize, Serialize)]
struct Response {
    #[serde(default)]
    auth: Auth,
    proxy: Proxy,
    #[serde(default)]
    server_version: String,
    #[serde(default)]
    min_client_version: String,
    #[serde(default)]
    cluster_name: String,
}

/// How users log in; this lab knows them by their network alone. Field names from memory.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Auth {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    second_factor: String,
}

#[derive(Debug, Deserialize, Serialize)]
struct Proxy {
    #[serde(default)]
    kube: Kube,
    ssh: Ssh,
    #[serde(default)]
    db: Db,
    #[serde(default)]
    tls_routing_enabled: bool,
}

#[derive(Debug, Default, Deserialize, Serialize)]
struct Kube {
    #[serde(default)]
    enabled: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    public_addr: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    listen_addr: String,
}

/// Every string is left out when empty; `dial_timeout` is in nanoseconds.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Ssh {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    listen_addr: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    tunnel_listen_addr: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    web_listen_addr: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    public_addr: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    ssh_public_addr: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    ssh_tunnel_public_addr: String,
    #[serde(default)]
    dial_timeout: u64,
}

#[derive(Debug, Default, Deserialize, Serialize)]
struct Db {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    postgres_listen_addr: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    postgres_public_addr: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    mysql_listen_addr: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    mysql_public_addr: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    mongo_listen_addr: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    mongo_public_addr: String,
}

/// Gives the document that every proxy of the pool serves.
pub fn document(teleport: &ProxyService, cluster: &str) -> Vec<u8> {
    let Document {
        tls_routing,
        cluster_name,
        public_addr,
        web_listen_addr,
        ssh_public_addr,
        ssh_listen_addr,
        tunnel_public_addr,
        tunnel_listen_addr,
        kube_public_addr,
        kube_listen_addr,
        postgres_public_addr,
        postgres_listen_addr,
        mysql_public_addr,
        mysql_listen_addr,
        mongo_public_addr,
        mongo_listen_addr,
    } = advertise(teleport, cluster);
    let response = Response {
        auth: Auth {
            kind: String::from("local"),
            second_factor: String::from("off"),
        },
        proxy: Proxy {
            kube: Kube {
                // Every version but the first enables it (reference 3.2).
                enabled: teleport.version > Version::V1 || teleport.listener(Port::Kube).is_some(),
                public_addr: kube_public_addr,
                listen_addr: kube_listen_addr,
            },
            ssh: Ssh {
                listen_addr: ssh_listen_addr,
                tunnel_listen_addr,
                web_listen_addr,
                public_addr,
                ssh_public_addr,
                ssh_tunnel_public_addr: tunnel_public_addr,
                dial_timeout: DIAL_TIMEOUT,
            },
            db: Db {
                postgres_listen_addr,
                postgres_public_addr,
                mysql_listen_addr,
                mysql_public_addr,
                mongo_listen_addr,
                mongo_public_addr,
            },
            tls_routing_enabled: tls_routing,
        },
        server_version: String::from("17.0.0-twodoors"),
        min_client_version: String::from("16.0.0-aa"),
        cluster_name,
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
pub fn read(body: &[u8]) -> Result<Document, String> {
    let response: Response =
        serde_json::from_slice(body).map_err(|error| format!("the answer to find: {error}"))?;
    let Proxy {
        kube,
        ssh,
        db,
        tls_routing_enabled,
    } = response.proxy;
    Ok(Document {
        tls_routing: tls_routing_enabled,
        cluster_name: response.cluster_name,
        public_addr: ssh.public_addr,
        web_listen_addr: ssh.web_listen_addr,
        ssh_public_addr: ssh.ssh_public_addr,
        ssh_listen_addr: ssh.listen_addr,
        tunnel_public_addr: ssh.ssh_tunnel_public_addr,
        tunnel_listen_addr: ssh.tunnel_listen_addr,
        kube_public_addr: kube.public_addr,
        kube_listen_addr: kube.listen_addr,
        postgres_public_addr: db.postgres_public_addr,
        postgres_listen_addr: db.postgres_listen_addr,
        mysql_public_addr: db.mysql_public_addr,
        mysql_listen_addr: db.mysql_listen_addr,
        mongo_public_addr: db.mongo_public_addr,
        mongo_listen_addr: db.mongo_listen_addr,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::addr::HostPort;
    use crate::model::teleport::ListenerMode;
    use crate::policy::testing::topology;

    fn host(host: &str, port: u16) -> HostPort {
        HostPort {
            host: host.into(),
            port,
        }
    }

    #[test]
    fn an_agent_reads_what_a_proxy_writes() {
        let teleport = topology().pool.teleport;
        let read = read(&document(&teleport, "lab")).unwrap();
        assert_eq!(read.public_addr, "proxy.example.com:3080");
        assert_eq!(read.web_listen_addr, "0.0.0.0:3080");
        assert_eq!(read.tunnel_listen_addr, "0.0.0.0:3080");
        assert_eq!(read.cluster_name, "lab");
        assert!(read.tls_routing);
        assert_eq!(read, advertise(&teleport, "lab"));
    }

    #[test]
    fn separate_listeners_are_advertised_each_and_of_each_list_the_first() {
        let mut teleport = topology().pool.teleport;
        teleport.mode = ListenerMode::Separate;
        teleport.listen.push((Port::Tunnel, host("0.0.0.0", 3024)));
        teleport
            .listen
            .push((Port::Postgres, host("0.0.0.0", 5432)));
        teleport.tunnel_public = vec![host("internal.example.com", 3024), host("second", 3024)];
        let body = document(&teleport, "lab");
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let proxy = &json["proxy"];
        assert_eq!(proxy["tls_routing_enabled"], false);
        assert_eq!(
            proxy["ssh"]["ssh_tunnel_public_addr"],
            "internal.example.com:3024"
        );
        assert_eq!(proxy["ssh"]["tunnel_listen_addr"], "0.0.0.0:3024");
        assert_eq!(proxy["ssh"]["dial_timeout"], 30_000_000_000_u64);
        assert!(proxy["ssh"].get("listen_addr").is_none(), "there is none");
        assert_eq!(
            proxy["db"]["postgres_public_addr"],
            "proxy.example.com:5432"
        );
        assert!(proxy["db"].get("mysql_listen_addr").is_none());
    }

    #[test]
    fn find_is_ten_seconds_old_at_most_and_ping_is_not_kept() {
        let answers = Answers::default();
        let at = |path: &str, seconds: u64, now: &'static str| {
            let now = (Time::ZERO + Span::from_secs(seconds), now);
            answers.at(path, now.0, || now.1.as_bytes().to_vec())
        };
        assert_eq!(at(FIND, 0, "old").unwrap(), "old");
        assert_eq!(at(PING, 1, "new").unwrap(), "new");
        assert_eq!(at(FIND, 9, "new").unwrap(), "old");
        assert_eq!(at(FIND, 10, "new").unwrap(), "new");
        assert_eq!(at("/webapi/other", 11, "new"), None);
    }

    #[test]
    fn what_is_no_document_is_an_error_in_words() {
        for body in ["", "{}", "null", "<html>", r#"{"proxy": 1}"#] {
            assert!(read(body.as_bytes()).is_err(), "{body}");
        }
    }
}
