//! Tunnels at an instance, from the login to the end: agents' and stand-ins', over TLS and raw.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use super::{Means, Proxy};
use crate::live::tasks::Tasks;
use crate::live::tunnel::{self, Login, ServerEvent, ServerTunnel};
use crate::model::addr::ClientAddr;
use crate::model::fact::Kind;
use crate::model::id::{ConnId, Name};
use crate::policy::proxy::Input;

impl Proxy {
    /// Holds a tunnel on a stream on which SSH is about to be spoken, until it ends.
    pub(super) async fn serve_tunnel<S>(
        &self,
        conn: ConnId,
        client: ClientAddr,
        stream: S,
        tasks: &Tasks,
    ) where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let Means {
            identity,
            trust,
            settings,
            ..
        } = &self.inner.means;
        let now = self.inner.runner.shared().clock.unix_seconds();
        match tunnel::accept(stream, identity, trust, now, settings, tasks).await {
            Ok(ServerTunnel {
                login,
                events,
                control,
            }) => {
                self.work().tunnels.insert(conn, control);
                let stand_in = match login {
                    Login::Agent(agent) => {
                        let host_id = agent.host_id.into();
                        self.feed(Input::TunnelOpened { conn, host_id });
                        None
                    }
                    Login::StandIn { name } => Some(name.into()),
                };
                self.hold(conn, stand_in, events).await;
            }
            Err(error) => self.refused(conn, Some(client), error.to_string()),
        }
    }

    /// Takes what happens on a tunnel until it ends.
    async fn hold(
        &self,
        conn: ConnId,
        stand_in: Option<Name>,
        mut events: mpsc::Receiver<ServerEvent>,
    ) {
        let mut why = String::from("the tunnel ended");
        while let Some(event) = events.recv().await {
            match event {
                ServerEvent::Closed { why: cause } => {
                    why = cause;
                    break;
                }
                ServerEvent::Forwards { resources } => {
                    if let Some(name) = stand_in.clone() {
                        self.feed(Input::StandInOpened {
                            conn,
                            name,
                            resources,
                        });
                    }
                }
                ServerEvent::Heartbeat { serves } => {
                    self.feed(Input::Heartbeat { conn, serves });
                }
                ServerEvent::StreamCut { address, why } => {
                    self.inner.runner.measured(Kind::StreamCut {
                        app: address.into(),
                        why,
                    });
                }
            }
        }
        self.work().tunnels.remove(&conn);
        self.feed(Input::TunnelClosed { conn, why });
    }
}
