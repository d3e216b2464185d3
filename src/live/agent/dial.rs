//! An agent's way to its tunnels: asks find, dials with TLS or without, and shakes hands.
//!
//! In go what the machine wants and the life that it belongs to; what came of it is fed back to the
//! machine, which also judges each host key, inside the handshake.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::{Agent, Life, Means};
use crate::live::dial::DialError;
use crate::live::tunnel::{self, ClientTunnel, TunnelError};
use crate::live::{cut, webapi};
use crate::model::addr::{HostPort, ListenAddr};
use crate::model::fact::{Cause, Purpose, Stage};
use crate::model::id::DialId;
use crate::policy::agent::{Input, Output, TIMEOUT};
use crate::policy::alpn;
use crate::policy::principals::Shown;

impl Agent {
    pub(super) async fn find(&self, dial: DialId, seed: &HostPort, life: &Life) {
        let found = async {
            let stream = self
                .connect((dial, Purpose::Find), seed, &[alpn::HTTP], life)
                .await?;
            let found = webapi::find(stream, &seed.to_string(), &life.tasks).await;
            found.map_err(|error| DialError {
                stage: Stage::Find,
                cause: Cause::Find,
                error,
            })
        };
        let limit = Duration::from(TIMEOUT);
        let found = timeout(limit, found).await.unwrap_or_else(|_| {
            let error = format!("no answer in {}s", limit.as_secs());
            Err(DialError {
                stage: Stage::Find,
                cause: Cause::Find,
                error,
            })
        });
        match found {
            Ok(document) => self.feed(Input::FindAnswered {
                dial,
                document: document.into(),
            }),
            Err(error) => self.failed(dial, error),
        }
    }

    async fn connect(
        &self,
        (dial, purpose): (DialId, Purpose),
        to: &HostPort,
        offered: &[&str],
        life: &Life,
    ) -> Result<TlsStream<cut::Stream>, DialError> {
        let connected = |address| self.connected((dial, purpose), to, address);
        let dialer = &self.inner.means.dialer;
        let (to, group) = ((&*to.host, to.port), life.group.clone());
        dialer.dial(to, offered, group, connected).await
    }

    fn connected(&self, (dial, purpose): (DialId, Purpose), to: &HostPort, address: ListenAddr) {
        let host = to.host.to_string();
        self.feed(Input::Connected {
            dial,
            purpose,
            host,
            address,
        });
    }

    pub(super) async fn dial(&self, dial: DialId, address: &HostPort, alpn: &[&str], life: &Life) {
        // Without TLS routing SSH is spoken at once (reference 3.3).
        let dialled = if alpn.is_empty() {
            self.raw_tunnel(dial, address, life).await
        } else {
            self.tls_tunnel(dial, address, alpn, life).await
        };
        match dialled {
            Ok((tunnel, address)) => {
                let ClientTunnel { events, control } = tunnel;
                self.work().tunnels.insert(dial, control);
                self.feed(Input::TunnelUp { dial, address });
                self.hold(dial, events, life).await;
            }
            Err(error) => self.failed(dial, error),
        }
    }

    /// Dials with TLS, offers these protocols, and goes on when the one for tunnels was chosen.
    async fn tls_tunnel(
        &self,
        dial: DialId,
        to: &HostPort,
        offered: &[&str],
        life: &Life,
    ) -> Result<(ClientTunnel, ListenAddr), DialError> {
        let stream = self
            .connect((dial, Purpose::Tunnel), to, offered, life)
            .await?;
        check_protocol(stream.get_ref().1.alpn_protocol()).map_err(|error| DialError {
            stage: Stage::Tls,
            cause: Cause::Alpn,
            error,
        })?;
        let peer = peer_of(stream.get_ref().0)?;
        Ok((self.shake_hands(dial, stream, life).await?, peer))
    }

    /// Dials and speaks SSH at once.
    async fn raw_tunnel(
        &self,
        dial: DialId,
        to: &HostPort,
        life: &Life,
    ) -> Result<(ClientTunnel, ListenAddr), DialError> {
        let connected = |address| self.connected((dial, Purpose::Tunnel), to, address);
        let (name, group) = ((&*to.host, to.port), life.group.clone());
        let dialer = &self.inner.means.dialer;
        let stream = dialer.dial_raw(name, group, connected).await?;
        let peer = peer_of(&stream)?;
        Ok((self.shake_hands(dial, stream, life).await?, peer))
    }

    async fn shake_hands<S>(
        &self,
        dial: DialId,
        stream: S,
        life: &Life,
    ) -> Result<ClientTunnel, DialError>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let agent = self.clone();
        let judge = move |shown| agent.judge(dial, shown);
        let Means {
            identity,
            trust,
            settings,
            ..
        } = &self.inner.means;
        let tunnel = tunnel::connect(stream, identity, trust, judge, settings, &life.tasks).await;
        tunnel.map_err(|error| {
            let cause = match &error {
                TunnelError::Timeout(_) => Cause::Timeout,
                // A refused host key has its own cause, which the machine has given it already.
                TunnelError::Heartbeat(_)
                | TunnelError::HostKey(_)
                | TunnelError::Login
                | TunnelError::LoginRefused(_)
                | TunnelError::Ssh(_)
                | TunnelError::Stopped => Cause::Ssh,
            };
            let error = if let TunnelError::HostKey(why) = error {
                format!("ssh: handshake failed: {why}")
            } else {
                error.to_string()
            };
            DialError {
                stage: Stage::Ssh,
                cause,
                error,
            }
        })
    }

    /// Asks the machine what to make of a host key, inside the handshake.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the others do not answer this input"
    )]
    fn judge(&self, dial: DialId, shown: Shown) -> Result<(), String> {
        let unix_seconds = self.inner.runner.shared().clock.unix_seconds();
        let input = Input::HostKeyShown {
            dial,
            shown,
            unix_seconds,
        };
        for output in self.inner.runner.feed(input) {
            match output {
                Output::AcceptHostKey => return Ok(()),
                Output::RefuseHostKey { why } => return Err(why),
                other => tracing::error!(?other, "no answer to this input"),
            }
        }
        Err(String::from("the attempt was given up"))
    }
}

/// Tells whether what the proxy chose is what tunnels are spoken with; an offered
/// `teleport-reversetunnelv2` is a hint to balancers, which a proxy never chooses.
fn check_protocol(chosen: Option<&[u8]>) -> Result<(), String> {
    let wanted = alpn::REVERSE_TUNNEL;
    match chosen {
        Some(chosen) if chosen == wanted.as_bytes() => Ok(()),
        Some(chosen) => {
            let chosen = String::from_utf8_lossy(chosen);
            Err(format!(
                "ALPN: {wanted:?} was wanted and {chosen:?} chosen: this is no listener for tunnels"
            ))
        }
        None => Err(format!(
            "ALPN: {wanted:?} was offered and nothing chosen: something on the way ends TLS, or is \
             no Teleport proxy"
        )),
    }
}

fn peer_of(stream: &cut::Stream) -> Result<ListenAddr, DialError> {
    let peer = stream.peer_addr().map_err(|error| DialError {
        stage: Stage::Connect,
        cause: Cause::Connect,
        error: error.to_string(),
    })?;
    Ok(ListenAddr(peer))
}

#[cfg(test)]
mod tests {
    use super::check_protocol;

    #[test]
    fn no_protocol_and_another_one_have_their_own_words() {
        assert_eq!(check_protocol(Some(b"teleport-reversetunnel")), Ok(()));
        let other = check_protocol(Some(b"http/1.1")).unwrap_err();
        assert!(other.contains("\"http/1.1\" chosen"), "{other}");
        let none = check_protocol(None).unwrap_err();
        assert!(none.contains("nothing chosen"), "{none}");
    }
}
