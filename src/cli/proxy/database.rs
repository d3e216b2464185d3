//! A database: one TLS connection, with a certificate of its own, for each local one.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::Way;
use crate::live::browser::Life;
use crate::live::ping::{self, Carried};
use crate::live::{cut, tls};
use crate::model::addr::HostPort;
use crate::policy::address;
use crate::policy::proxy::POSTGRES;

/// What tsh offers, the wrapped protocol first.
const OFFERS: [&str; 2] = ["teleport-postgres-ping", "teleport-postgres"];

/// How a Postgres client asks for TLS on a listener of Postgres alone.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

impl Way {
    /// Gives where the database's connections go (reference 5).
    pub(super) fn database(&self) -> HostPort {
        address::database(&self.document, &self.web, POSTGRES)
    }

    /// Carries one local connection; the error says why it ended without a word of the database.
    pub(super) async fn serve_database(&self, local: TcpStream, life: &Life) -> Result<(), String> {
        let _ = local.set_nodelay(true);
        let stream = self.dial(life).await?;
        let mine = stream.get_ref().0.tcp().local_addr();
        let mine: SocketAddr = mine.map_err(|error| error.to_string())?;
        let framed = stream.get_ref().1.alpn_protocol() == Some(OFFERS[0].as_bytes());
        let mut carried = Carried::default();
        let ended = if framed {
            ping::carry(local, stream, None, &mut carried).await
        } else {
            ping::carry_bare(local, stream, &mut carried).await
        };
        match ended {
            _ if carried.outward == 0 => {
                let why = self.asker.why(mine).await;
                Err(format!("closed without an answer: {why}"))
            }
            // Whoever has had an answer knows from it what there is to know.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    async fn dial(&self, life: &Life) -> Result<TlsStream<cut::Stream>, String> {
        let given = self.asker.ask_again().await?;
        let (Some(certificate), Some(key)) = (given.certificate, given.key) else {
            return Err(String::from("the lab gave no certificate"));
        };
        let own = tls::Own::from_pem(&certificate, &key).map_err(|error| error.to_string())?;
        let to = self.database();
        let (address, group) = ((&*to.host, to.port), life.group.clone());
        let dialer = self.browser.dialer();
        if self.document.tls_routing {
            let dialled = dialer.dial_as(address, &OFFERS, group, Some(&own), |_| {});
            return dialled.await.map_err(|error| format!("{to}: {error}"));
        }
        let failed = |error: &dyn std::fmt::Display| format!("{to}: {error}");
        let dialled = dialer.dial_raw(address, group, |_| {}).await;
        let mut stream = dialled.map_err(|error| failed(&error))?;
        let asked = stream.write_all(&SSL_REQUEST).await;
        asked.map_err(|error| failed(&error))?;
        let mut said = [0];
        let read = stream.read_exact(&mut said).await;
        read.map_err(|error| failed(&error))?;
        if said != *b"S" {
            return Err(failed(&"the proxy speaks no TLS to Postgres clients there"));
        }
        let roots = Arc::clone(&self.roots);
        let connected = tls::connect_as(stream, &to.host, &[], roots, Some(&own)).await;
        connected.map_err(|error| failed(&error))
    }
}
