//! The agent's end of a tunnel.
//!
//! In goes a connected stream and the agent's identity; out come the proxy's messages, requests for
//! streams, and a handle to send heartbeats. The proxy's host key is judged by the caller inside the
//! handshake, so that an agent that already holds a tunnel to that proxy can leave at once, with
//! its own words for why.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use russh::client::{self, ChannelOpenHandle, DisconnectReason, Handle, Msg, Session};
use russh::keys::{Algorithm, PublicKeyOrCertificate};
use russh::{Channel, ChannelOpenFailure, Disconnect, Limits, Preferred};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::ending;
use super::message::{
    self, DISCOVERY, DialReply, DialReq, Discovery, HEARTBEAT, Heartbeat, TRANSPORT,
};
use super::stream::TunnelStream;
use super::wire::Wire;
use super::{CHANNEL_MESSAGES_MAX, EVENTS_MAX, SSH_WINDOW, STREAMS_MAX, Settings, TunnelError};
use crate::live::authority::{HostIdentity, Trust};
use crate::live::tasks::Tasks;
use crate::policy::principals::Shown;
use crate::policy::proxy::Serves;

/// How many heartbeats wait to be sent: a new one makes an old one pointless.
const HEARTBEATS_MAX: usize = 2;

/// What happens on a tunnel, as the agent sees it.
#[derive(Debug)]
pub enum ClientEvent {
    /// The proxy advises to connect elsewhere.
    Advice,
    /// The tunnel is gone; the last event.
    Closed {
        /// In words.
        why: String,
    },
    /// The proxy names all proxies.
    Discovery {
        /// Their host ids.
        ids: Vec<String>,
    },
    /// A stream was cut at its bound.
    StreamCut {
        /// What it went to.
        address: String,
        /// In words.
        why: String,
    },
    /// The proxy asks for a stream to a resource.
    Transport(TransportRequest),
}

/// A request for a stream, to be answered; dropping it refuses.
#[derive(Debug)]
pub struct TransportRequest {
    /// What is asked for.
    pub dial: DialReq,
    stream: TunnelStream,
}

impl TransportRequest {
    /// Waits until whoever asked is gone.
    pub fn closed(&self) -> impl Future<Output = ()> + Send + 'static {
        self.stream.closed()
    }

    /// Accepts: what follows are the user's bytes.
    pub fn accept(mut self) -> TunnelStream {
        self.stream.push(&message::line(&DialReply {
            ok: true,
            ..DialReply::default()
        }));
        self.stream
    }

    /// Refuses, with words that the user will see.
    pub fn refuse(mut self, text: &str) {
        self.stream.push(&message::line(&DialReply {
            error: text.to_owned(),
            ..DialReply::default()
        }));
        self.stream.end();
    }
}

/// A tunnel whose heartbeat is open.
#[derive(Debug)]
pub struct ClientTunnel {
    /// What happens; at most [`EVENTS_MAX`] wait.
    pub events: mpsc::Receiver<ClientEvent>,
    /// What to do with it.
    pub control: ClientControl,
}

/// A handle to a tunnel. Cheap to clone; the tunnel closes when the last clone is gone.
#[derive(Clone)]
pub struct ClientControl {
    inner: Arc<Inner>,
}

struct Inner {
    handle: Arc<Handle<Handler>>,
    heartbeats: mpsc::Sender<Vec<u8>>,
    tasks: Tasks,
    _open: DropGuard,
}

impl fmt::Debug for ClientControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientControl").finish_non_exhaustive()
    }
}

/// Makes a tunnel: SSH handshake, login as `identity`'s host id, heartbeat channel, all within
/// `settings.timeout_login`.
///
/// `on_host_key` is asked inside the handshake what to make of the proxy's key; its refusal comes
/// out as [`TunnelError::HostKey`], word for word. Everything that the tunnel starts belongs to
/// `tasks`.
pub async fn connect<S>(
    stream: S,
    identity: &HostIdentity,
    trust: &Trust,
    on_host_key: impl FnOnce(Shown) -> Result<(), String> + Send + 'static,
    settings: &Settings,
    tasks: &Tasks,
) -> Result<ClientTunnel, TunnelError>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let tasks = tasks.child();
    let token = tasks.token();
    let open = token.clone().drop_guard();
    let (events_tx, events) = mpsc::channel(EVENTS_MAX);
    let (closed_tx, closed) = mpsc::channel(1);
    let handler = Handler {
        trust: trust.clone(),
        on_host_key: Some(Box::new(on_host_key)),
        events: events_tx.clone(),
        closed: closed_tx,
        streams: Arc::new(Semaphore::new(STREAMS_MAX)),
        discovery: false,
        settings: settings.clone(),
        tasks: tasks.clone(),
    };
    let wire = Wire::new(stream, &tasks);
    let begin = Box::pin(async {
        let config = Arc::new(config(settings));
        let mut handle = client::connect_stream(config, wire, handler).await?;
        let user = identity.host_id().unwrap_or_default().to_owned();
        let login = handle
            .authenticate_openssh_cert(
                user,
                Arc::clone(&identity.key),
                identity.certificate.clone(),
            )
            .await?;
        if !login.success() {
            return Err(TunnelError::Login);
        }
        let channel = handle
            .channel_open_direct_streamlocal(HEARTBEAT)
            .await
            .map_err(|error| TunnelError::Heartbeat(error.to_string()))?;
        Ok((handle, channel))
    });
    let (handle, channel) = tokio::select! {
        begun = timeout(settings.timeout_login, begin) => {
            begun.map_err(|_| TunnelError::Timeout(settings.timeout_login))??
        }
        () = token.cancelled() => return Err(TunnelError::Stopped),
    };

    let (heartbeats, messages) = mpsc::channel(HEARTBEATS_MAX);
    let stream = TunnelStream::new(
        channel,
        None,
        settings.stream_stall,
        ending::unreported(),
        &tasks,
    );
    tasks.spawn_watching(beat(stream, messages, token));
    tasks.spawn_watching(watch(closed, events_tx, tasks.clone()));
    Ok(ClientTunnel {
        events,
        control: ClientControl {
            inner: Arc::new(Inner {
                handle: Arc::new(handle),
                heartbeats,
                tasks,
                _open: open,
            }),
        },
    })
}

fn config(settings: &Settings) -> client::Config {
    client::Config {
        limits: Limits {
            rekey_write_limit: settings.rekey_bytes,
            rekey_read_limit: settings.rekey_bytes,
            rekey_time_limit: settings.rekey_after,
        },
        preferred: Preferred {
            // Plain keys are let through so that the refusal is ours and has words.
            key: Cow::Borrowed(&[Algorithm::Ed25519]),
            host_key_certificates: Cow::Borrowed(&[Algorithm::Ed25519]),
            ..Preferred::default()
        },
        window_size: SSH_WINDOW,
        channel_buffer_size: CHANNEL_MESSAGES_MAX,
        inactivity_timeout: Some(settings.inactivity()),
        keepalive_interval: Some(settings.keepalive_interval),
        keepalive_max: settings.keepalive_max,
        ..client::Config::default()
    }
}

impl ClientControl {
    /// Sends a sign of life of this instant (Unix seconds); gives `false` when earlier ones still
    /// wait, and this one is not needed.
    pub fn heartbeat(&self, now: u64, serves: &Serves) -> bool {
        let line = message::line(&Heartbeat::new(now, serves));
        self.inner.heartbeats.try_send(line).is_ok()
    }

    /// Starts a key exchange now; otherwise the limits of [`Settings`] do.
    pub async fn rekey(&self) -> Result<(), TunnelError> {
        Ok(self.inner.handle.rekey_soon().await?)
    }

    /// Closes the tunnel and every stream in it, telling the proxy why.
    pub fn close(&self, why: &str) {
        let handle = Arc::clone(&self.inner.handle);
        let why = why.to_owned();
        ending::close(&self.inner.tasks, async move {
            handle.disconnect(Disconnect::ByApplication, &why, "").await
        });
    }
}

/// Sends heartbeats until there is nobody left to make them, or to take them.
async fn beat(
    mut stream: TunnelStream,
    mut messages: mpsc::Receiver<Vec<u8>>,
    token: CancellationToken,
) {
    let beating = async {
        while let Some(message) = messages.recv().await {
            stream.write_all(&message).await?;
        }
        Ok::<_, std::io::Error>(())
    };
    tokio::select! {
        ended = beating => if let Err(error) = ended {
            tracing::debug!(%error, "the heartbeat ended");
        },
        () = token.cancelled() => {}
    }
}

/// Says why the tunnel ended, when it did.
async fn watch(
    mut closed: mpsc::Receiver<String>,
    events: mpsc::Sender<ClientEvent>,
    tasks: Tasks,
) {
    let token = tasks.token();
    let why = tokio::select! {
        biased;
        why = closed.recv() => {
            why.unwrap_or_else(|| String::from("the proxy closed the connection"))
        }
        () = token.cancelled() => String::from("closed by the agent"),
    };
    token.cancel();
    ending::tell(events, ClientEvent::Closed { why }).await;
}

type OnHostKey = Box<dyn FnOnce(Shown) -> Result<(), String> + Send>;

/// Answers the SSH library: a proxy may open one discovery channel and transports, nothing else.
pub(super) struct Handler {
    trust: Trust,
    on_host_key: Option<OnHostKey>,
    events: mpsc::Sender<ClientEvent>,
    closed: mpsc::Sender<String>,
    streams: Arc<Semaphore>,
    /// Whether the discovery channel was opened.
    discovery: bool,
    settings: Settings,
    tasks: Tasks,
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handler").finish_non_exhaustive()
    }
}

impl Handler {
    fn discover(&mut self, channel: Channel<Msg>) {
        let stall = self.settings.stream_stall;
        let mut stream = TunnelStream::new(channel, None, stall, ending::unreported(), &self.tasks);
        let events = self.events.clone();
        let token = self.tasks.token();
        self.tasks.spawn_watching(async move {
            loop {
                let read = stream.line().await.map_err(|error| error.to_string());
                let event = match read.and_then(|line| message::parse(&line)) {
                    Ok(Discovery::Proxies { proxies }) => ClientEvent::Discovery {
                        ids: proxies.into_iter().map(|p| p.metadata.name).collect(),
                    },
                    Ok(Discovery::Request { request }) if request == message::RECONNECT => {
                        ClientEvent::Advice
                    }
                    Ok(Discovery::Request { request }) => {
                        tracing::debug!(request, "an unknown request on the discovery channel");
                        continue;
                    }
                    Err(error) => {
                        tracing::debug!(error, "the discovery ended");
                        return;
                    }
                };
                let sent = tokio::select! {
                    sent = events.send(event) => sent.is_ok(),
                    () = token.cancelled() => false,
                };
                if !sent {
                    return;
                }
            }
        });
    }

    fn transport(&self, channel: Channel<Msg>, permit: tokio::sync::OwnedSemaphorePermit) {
        let limit = self.settings.timeout_dial;
        let address = Arc::new(std::sync::OnceLock::<String>::new());
        let (events, served) = (self.events.downgrade(), Arc::clone(&address));
        let token = self.tasks.token();
        let on_cut = ending::report(events, token, move |why| {
            let address = served.get().cloned().unwrap_or_default();
            ClientEvent::StreamCut { address, why }
        });
        let stall = self.settings.stream_stall;
        let mut stream = TunnelStream::new(channel, Some(permit), stall, on_cut, &self.tasks);
        let events = self.events.clone();
        self.tasks.spawn_watching(async move {
            let Ok(Ok(line)) = timeout(limit, stream.line()).await else {
                return;
            };
            let request = match message::parse::<DialReq>(&line) {
                Ok(dial) => TransportRequest { dial, stream },
                Err(error) => {
                    let dial = DialReq::default();
                    return TransportRequest { dial, stream }.refuse(&error);
                }
            };
            // Set once: this task is the only one that does.
            let _ = address.set(request.dial.address.clone());
            if let Err(
                mpsc::error::TrySendError::Full(ClientEvent::Transport(request))
                | mpsc::error::TrySendError::Closed(ClientEvent::Transport(request)),
            ) = events.try_send(ClientEvent::Transport(request))
            {
                request.refuse("the agent has too many requests to answer");
            }
        });
    }
}

impl client::Handler for Handler {
    type Error = TunnelError;

    async fn check_server_key(
        &mut self,
        key: &PublicKeyOrCertificate,
    ) -> Result<bool, TunnelError> {
        let Some(judge) = self.on_host_key.take() else {
            return Ok(false);
        };
        judge(self.trust.shown(key)).map_err(TunnelError::HostKey)?;
        Ok(true)
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        path: &str,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), TunnelError> {
        match path {
            DISCOVERY if !self.discovery => {
                self.discovery = true;
                reply.accept().await;
                self.discover(channel);
            }
            DISCOVERY => {
                reply
                    .reject(ChannelOpenFailure::AdministrativelyProhibited)
                    .await;
            }
            TRANSPORT => match Arc::clone(&self.streams).try_acquire_owned() {
                Ok(permit) => {
                    reply.accept().await;
                    self.transport(channel, permit);
                }
                Err(_) => reply.reject(ChannelOpenFailure::ResourceShortage).await,
            },
            _ => reply.reject(ChannelOpenFailure::UnknownChannelType).await,
        }
        Ok(())
    }

    // The library accepts everything below unless told otherwise.

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _channel: Channel<Msg>,
        _connected_address: &str,
        _connected_port: u32,
        _originator_address: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), TunnelError> {
        reply
            .reject(ChannelOpenFailure::AdministrativelyProhibited)
            .await;
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), TunnelError> {
        reply
            .reject(ChannelOpenFailure::AdministrativelyProhibited)
            .await;
        Ok(())
    }

    async fn server_channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), TunnelError> {
        reply
            .reject(ChannelOpenFailure::AdministrativelyProhibited)
            .await;
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _channel: Channel<Msg>,
        _host_to_connect: &str,
        _port_to_connect: u32,
        _originator_address: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), TunnelError> {
        reply
            .reject(ChannelOpenFailure::AdministrativelyProhibited)
            .await;
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _channel: Channel<Msg>,
        _socket_path: &str,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), TunnelError> {
        reply
            .reject(ChannelOpenFailure::AdministrativelyProhibited)
            .await;
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _channel: Channel<Msg>,
        _originator_address: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), TunnelError> {
        reply
            .reject(ChannelOpenFailure::AdministrativelyProhibited)
            .await;
        Ok(())
    }

    async fn disconnected(
        &mut self,
        reason: DisconnectReason<TunnelError>,
    ) -> Result<(), TunnelError> {
        let why = match reason {
            DisconnectReason::ReceivedDisconnect(info) => info.message,
            DisconnectReason::Error(error) => error.to_string(),
        };
        // One ending is enough.
        let _ = self.closed.try_send(why);
        Ok(())
    }
}
