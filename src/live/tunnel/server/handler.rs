//! Who logs in at the proxy's end of a tunnel, and what they may ask for.
//!
//! In goes what the SSH library was asked; out come the login, the one channel of an agent's heartbeat
//! and the forwards of a stand-in. Everything else is refused.

use std::fmt;
use std::sync::{Arc, Mutex};

use russh::keys::Certificate;
use russh::server::{self, Auth, ChannelOpenHandle, Msg, Session};
use russh::{Channel, ChannelOpenFailure};
use tokio::sync::{mpsc, oneshot};

use super::{AgentLogin, Login, ServerEvent};
use crate::live::authority::Trust;
use crate::live::tunnel::TunnelError;
use crate::live::tunnel::forwards::Forwards;
use crate::live::tunnel::message::HEARTBEAT;
use crate::policy::principals::{self, ShownKind};

/// Answers the SSH library; everything that is not named here it refuses by default.
pub(super) struct Handler {
    pub(super) trust: Trust,
    pub(super) now: u64,
    pub(super) refusal: Arc<Mutex<Option<String>>>,
    /// Who is about to be logged in.
    pub(super) candidate: Option<Login>,
    pub(super) login: Option<oneshot::Sender<Login>>,
    /// Taken by the one heartbeat channel.
    pub(super) heartbeat: Option<oneshot::Sender<Channel<Msg>>>,
    /// Whether a stand-in logged in.
    pub(super) stand_in: bool,
    pub(super) forwards: Forwards,
    pub(super) events: mpsc::WeakSender<ServerEvent>,
}

impl Handler {
    fn judge(&self, user: &str, certificate: &Certificate) -> Result<Login, String> {
        let shown = self.trust.shown_certificate(certificate);
        if shown.kind == ShownKind::UserCertificate {
            principals::check_user(&shown, user, self.now)
                .map_err(|refusal| refusal.to_string())?;
            return Ok(Login::StandIn { name: shown.key_id });
        }
        principals::check(&shown, user, self.now).map_err(|refusal| refusal.to_string())?;
        if principals::host_id(&shown.principals) != Some(user) {
            return Err(format!("{user:?} is not the host id of the certificate"));
        }
        match shown.role.as_deref() {
            None => Err(String::from("the certificate has no role")),
            Some("Proxy") => Err(String::from("a proxy cannot log in as an agent")),
            Some(_) => Ok(Login::Agent(AgentLogin {
                host_id: user.to_owned(),
                name: shown.key_id,
                principals: shown.principals,
            })),
        }
    }
}

impl server::Handler for Handler {
    type Error = TunnelError;

    async fn auth_openssh_certificate(
        &mut self,
        user: &str,
        certificate: &Certificate,
    ) -> Result<Auth, Self::Error> {
        match self.judge(user, certificate) {
            Ok(login) => {
                self.candidate = Some(login);
                Ok(Auth::Accept)
            }
            Err(why) => {
                *self.refusal.lock().expect("nothing panics under this lock") = Some(why);
                Ok(Auth::reject())
            }
        }
    }

    async fn auth_succeeded(&mut self, _session: &mut Session) -> Result<(), Self::Error> {
        if let (Some(login), Some(candidate)) = (self.login.take(), self.candidate.take()) {
            self.stand_in = matches!(candidate, Login::StandIn { .. });
            // Whoever waited may have given up; then the tunnel is being closed.
            let _ = login.send(candidate);
        }
        Ok(())
    }

    async fn channel_open_direct_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        path: &str,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        if path != HEARTBEAT || self.stand_in {
            reply.reject(ChannelOpenFailure::UnknownChannelType).await;
            return Ok(());
        }
        let Some(heartbeat) = self.heartbeat.take() else {
            reply
                .reject(ChannelOpenFailure::AdministrativelyProhibited)
                .await;
            return Ok(());
        };
        reply.accept().await;
        // The tunnel may be closing; then the channel goes with it.
        let _ = heartbeat.send(channel);
        Ok(())
    }

    async fn tcpip_forward(
        &mut self,
        address: &str,
        port: &mut u32,
        _session: &mut Session,
    ) -> Result<bool, Self::Error> {
        Ok(self.stand_in && self.forward(|forwards| forwards.add_tcp(address, port)))
    }

    async fn streamlocal_forward(
        &mut self,
        socket_path: &str,
        _session: &mut Session,
    ) -> Result<bool, Self::Error> {
        Ok(self.stand_in && self.forward(|forwards| forwards.add_path(socket_path)))
    }
}

impl Handler {
    /// Takes a forward, and tells of all that there are; refuses it when nobody can be told.
    fn forward(&self, add: impl FnOnce(&Forwards) -> bool) -> bool {
        if !add(&self.forwards) {
            return false;
        }
        let resources = self.forwards.names();
        let event = ServerEvent::Forwards { resources };
        // Not awaited: this runs in the session's own loop.
        let events = self.events.upgrade();
        events.is_some_and(|events| events.try_send(event).is_ok())
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handler").finish_non_exhaustive()
    }
}
