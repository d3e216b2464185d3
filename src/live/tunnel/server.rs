//! The proxy's end of a tunnel.
//!
//! In goes a stream on which an agent is about to speak SSH; out comes who logged in, what the agent
//! says, and a handle to open streams to it. The login is the agent's host certificate under its
//! host id, checked by `policy/principals`. An agent may open one heartbeat and nothing else.
//!
//! Whoever logs in with a *user* certificate of the same authority is a stand-in (`ssh -N -R`): it may
//! ask for remote forwards, whose address is the name of what they lead to, and nothing else.

mod handler;

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use russh::keys::Algorithm;
use russh::server::{self, Handle, Msg};
use russh::{Channel, ChannelOpenFailure, Disconnect, Limits, MethodKind, MethodSet, Preferred};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::DropGuard;

use self::handler::Handler;
use super::ending;
use super::forwards::Forwards;
use super::message::{self, DISCOVERY, DialReply, DialReq, Discovery, Heartbeat, TRANSPORT};
use super::stream::TunnelStream;
use super::wire::Wire;
use super::{
    CHANNEL_MESSAGES_MAX, DISCOVERY_MAX, EVENTS_MAX, SSH_WINDOW, STREAMS_MAX, Settings, TunnelError,
};
use crate::live::authority::{HostIdentity, Trust};
use crate::live::tasks::Tasks;
use crate::model::id::Name;
use crate::policy::proxy::Serves;

/// The proxy starts a key exchange only as a backstop against an agent that never does: russh loses
/// sessions when a server starts one under load. 2^32 packets is where keys must not go.
const REKEY_BYTES: usize = 8 << 30;

/// See [`REKEY_BYTES`].
const REKEY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// How many logins one connection may try; an agent has one certificate.
const LOGINS_MAX: usize = 3;

/// Who logged in at the other end of a tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentLogin {
    /// The host id, which is one of the principals.
    pub host_id: String,
    /// The node name: the key id of the certificate.
    pub name: String,
    /// All principals of the certificate.
    pub principals: Vec<String>,
}

/// Who is at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// An agent, by its host certificate.
    Agent(AgentLogin),
    /// A plain SSH client, by its user certificate.
    StandIn {
        /// The key id of the certificate.
        name: String,
    },
}

/// What happens on a tunnel, as the proxy sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerEvent {
    /// The agent lives and serves this.
    Heartbeat {
        /// What it announces.
        serves: Serves,
    },
    /// A stand-in forwards these names, all so far.
    Forwards {
        /// The names.
        resources: Vec<Name>,
    },
    /// A stream was cut at its bound.
    StreamCut {
        /// What it went to.
        address: String,
        /// In words.
        why: String,
    },
    /// The tunnel is gone; the last event.
    Closed {
        /// In words.
        why: String,
    },
}

/// Why a stream to a resource did not come about.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// The agent said no, in its own words.
    #[error("{0}")]
    Agent(String),
    /// The tunnel carries all the streams that it may.
    #[error("the tunnel carries {STREAMS_MAX} streams already")]
    Busy,
    /// The tunnel is gone or broke under the request.
    #[error("the tunnel is closed: {0}")]
    Closed(String),
    /// The agent did not answer in time.
    #[error("no answer from the agent within {}s", .0.as_secs_f64())]
    Timeout(Duration),
}

/// A tunnel whose other end has logged in.
#[derive(Debug)]
pub struct ServerTunnel {
    /// Who it is.
    pub login: Login,
    /// What happens; at most [`EVENTS_MAX`] wait.
    pub events: mpsc::Receiver<ServerEvent>,
    /// What to do with it.
    pub control: ServerControl,
}

/// A handle to a tunnel. Cheap to clone; the tunnel closes when the last clone is gone.
#[derive(Clone)]
pub struct ServerControl {
    inner: Arc<Inner>,
}

struct Inner {
    handle: Handle,
    discovery: mpsc::Sender<Vec<u8>>,
    streams: Arc<Semaphore>,
    events: mpsc::WeakSender<ServerEvent>,
    /// What a stand-in forwards; an agent has none.
    forwards: Option<Forwards>,
    settings: Settings,
    tasks: Tasks,
    _open: DropGuard,
}

impl fmt::Debug for ServerControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerControl")
            .field(
                "streams",
                &(STREAMS_MAX - self.inner.streams.available_permits()),
            )
            .finish_non_exhaustive()
    }
}

/// Takes a connection of an agent: SSH handshake and login, within `settings.timeout_login`.
///
/// `now` (Unix seconds) is what the agent's certificate is checked against. The caller bounds how
/// many of these run at a time; this bounds how long one takes. Everything that the tunnel starts
/// belongs to `tasks`.
pub async fn accept<S>(
    stream: S,
    identity: &HostIdentity,
    trust: &Trust,
    now: u64,
    settings: &Settings,
    tasks: &Tasks,
) -> Result<ServerTunnel, TunnelError>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let tasks = tasks.child();
    let token = tasks.token();
    let open = token.clone().drop_guard();
    let (login_tx, login) = oneshot::channel();
    let (heartbeat_tx, heartbeat) = oneshot::channel();
    let refusal = Arc::new(Mutex::new(None));
    let forwards = Forwards::default();
    let (events_tx, events) = mpsc::channel(EVENTS_MAX);
    let handler = Handler {
        trust: trust.clone(),
        now,
        refusal: Arc::clone(&refusal),
        candidate: None,
        login: Some(login_tx),
        heartbeat: Some(heartbeat_tx),
        stand_in: false,
        forwards: forwards.clone(),
        events: events_tx.downgrade(),
    };
    let wire = Wire::new(stream, &tasks);
    let begin = Box::pin(async {
        let mut session =
            server::run_stream(Arc::new(config(identity, settings)), wire, handler).await?;
        let handle = session.handle();
        tokio::select! {
            biased;
            login = login => if let Ok(login) = login {
                return Ok((session, handle, login));
            },
            () = token.cancelled() => return Err(TunnelError::Stopped),
        }
        // The handler is gone without a login: the session's end says why, unless we did.
        let ended = (&mut session).await;
        let refusal = refusal
            .lock()
            .expect("nothing panics under this lock")
            .take();
        Err(match (refusal, ended) {
            (Some(why), _) => TunnelError::LoginRefused(why),
            (None, Err(error)) => error,
            (None, Ok(())) => TunnelError::Ssh(russh::Error::Disconnect),
        })
    });
    let (session, handle, login) = timeout(settings.timeout_login, begin)
        .await
        .map_err(|_| TunnelError::Timeout(settings.timeout_login))??;

    let (discovery, messages) = mpsc::channel(DISCOVERY_MAX);
    let weak = events_tx.downgrade();
    let control = ServerControl {
        inner: Arc::new(Inner {
            handle: handle.clone(),
            discovery,
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            events: weak,
            forwards: matches!(login, Login::StandIn { .. }).then_some(forwards),
            settings: settings.clone(),
            tasks: tasks.clone(),
            _open: open,
        }),
    };
    let stall = settings.stream_stall;
    tasks.spawn_watching(discover(handle, messages, stall, tasks.clone()));
    tasks.spawn_watching(watch(session, heartbeat, events_tx, stall, tasks.clone()));
    Ok(ServerTunnel {
        login,
        events,
        control,
    })
}

fn config(identity: &HostIdentity, settings: &Settings) -> server::Config {
    server::Config {
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        keys: vec![identity.key.as_ref().clone()],
        certificates: vec![identity.certificate.clone()],
        limits: Limits {
            rekey_write_limit: REKEY_BYTES,
            rekey_read_limit: REKEY_BYTES,
            rekey_time_limit: REKEY_AFTER,
        },
        preferred: Preferred {
            key: Cow::Borrowed(&[Algorithm::Ed25519]),
            ..Preferred::default()
        },
        window_size: SSH_WINDOW,
        channel_buffer_size: CHANNEL_MESSAGES_MAX,
        max_auth_attempts: LOGINS_MAX,
        inactivity_timeout: Some(settings.inactivity()),
        keepalive_interval: Some(settings.keepalive_interval),
        keepalive_max: settings.keepalive_max,
        ..server::Config::default()
    }
}

impl ServerControl {
    /// Opens a stream to a resource behind the agent, and waits for the agent's answer.
    pub async fn open_transport(&self, dial: &DialReq) -> Result<TunnelStream, Refused> {
        let limit = self.inner.settings.timeout_dial;
        let token = self.inner.tasks.token();
        tokio::select! {
            opened = timeout(limit, self.open(dial)) => {
                opened.map_err(|_| Refused::Timeout(limit))?
            }
            () = token.cancelled() => Err(Refused::Closed(String::from("it was closed"))),
        }
    }

    async fn open(&self, dial: &DialReq) -> Result<TunnelStream, Refused> {
        let inner = &self.inner;
        let permit = Arc::clone(&inner.streams)
            .try_acquire_owned()
            .map_err(|_| Refused::Busy)?;
        let events = inner.events.clone();
        let address = dial.address.clone();
        let token = inner.tasks.token();
        let on_cut = ending::report(events, token, |why| ServerEvent::StreamCut { address, why });
        let stall = inner.settings.stream_stall;
        if let Some(forwards) = &inner.forwards {
            let channel = forwards.open(&inner.handle, dial).await?;
            let tasks = &inner.tasks;
            return Ok(TunnelStream::plain(
                channel,
                Some(permit),
                stall,
                on_cut,
                tasks,
            ));
        }
        let channel = inner
            .handle
            .channel_open_forwarded_streamlocal(TRANSPORT)
            .await
            .map_err(|error| {
                let shortage = ChannelOpenFailure::ResourceShortage;
                if matches!(&error, russh::Error::ChannelOpenFailure(why) if *why == shortage) {
                    Refused::Busy
                } else {
                    Refused::Closed(error.to_string())
                }
            })?;
        let mut stream = TunnelStream::new(channel, Some(permit), stall, on_cut, &inner.tasks);
        stream.push(&message::line(dial));
        let line = stream
            .line()
            .await
            .map_err(|error| Refused::Closed(error.to_string()))?;
        let reply: DialReply = message::parse(&line).map_err(Refused::Agent)?;
        if reply.ok {
            Ok(stream)
        } else {
            Err(Refused::Agent(reply.error))
        }
    }

    /// Names all proxies to the agent; gives `false` when too many such messages wait, and this one
    /// is lost, as it may be.
    pub fn send_discovery(&self, ids: &[impl AsRef<str>]) -> bool {
        self.say(&Discovery::proxies(ids))
    }

    /// Advises the agent to connect elsewhere; gives `false` as [`Self::send_discovery`] does.
    pub fn advise_reconnect(&self) -> bool {
        self.say(&Discovery::reconnect())
    }

    fn say(&self, message: &Discovery) -> bool {
        let sent = self.inner.discovery.try_send(message::line(message));
        // A tunnel that has ended waits for nothing.
        !matches!(sent, Err(TrySendError::Full(_)))
    }

    /// Closes the tunnel and every stream in it, telling the agent why.
    pub fn close(&self, why: &str) {
        let handle = self.inner.handle.clone();
        let why = why.to_owned();
        ending::close(&self.inner.tasks, async move {
            handle
                .disconnect(Disconnect::ByApplication, why, String::new())
                .await
        });
    }
}

/// Sends discovery messages on a channel that is opened for the first of them.
async fn discover(
    handle: Handle,
    mut messages: mpsc::Receiver<Vec<u8>>,
    stall: Duration,
    tasks: Tasks,
) {
    let token = tasks.token();
    let mut stream: Option<TunnelStream> = None;
    loop {
        let message = tokio::select! {
            message = messages.recv() => message,
            () = token.cancelled() => None,
        };
        let Some(message) = message else {
            return;
        };
        if stream.is_none() {
            let opened = tokio::select! {
                opened = handle.channel_open_forwarded_streamlocal(DISCOVERY) => opened,
                () = token.cancelled() => return,
            };
            match opened {
                Ok(channel) => {
                    stream = Some(TunnelStream::new(
                        channel,
                        None,
                        stall,
                        ending::unreported(),
                        &tasks,
                    ));
                }
                Err(error) => {
                    tracing::debug!(%error, "an agent takes no discovery");
                    return;
                }
            }
        }
        if let Some(stream) = &mut stream {
            let written = tokio::select! {
                written = tokio::io::AsyncWriteExt::write_all(stream, &message) => written,
                () = token.cancelled() => return,
            };
            if let Err(error) = written {
                tracing::debug!(%error, "an agent closed its discovery");
                return;
            }
        }
    }
}

/// Reads heartbeats until the tunnel ends one way or the other, and says why.
async fn watch(
    mut session: server::RunningSession<Handler>,
    heartbeat: oneshot::Receiver<Channel<Msg>>,
    events: mpsc::Sender<ServerEvent>,
    stall: Duration,
    tasks: Tasks,
) {
    let token = tasks.token();
    let why = tokio::select! {
        ended = &mut session => match ended {
            Ok(()) => String::from("the agent closed the connection"),
            Err(error) => error.to_string(),
        },
        why = heartbeats(heartbeat, &events, stall, &tasks) => why,
        () = token.cancelled() => String::from("closed by the proxy"),
    };
    token.cancel();
    ending::tell(events, ServerEvent::Closed { why }).await;
}

async fn heartbeats(
    channel: oneshot::Receiver<Channel<Msg>>,
    events: &mpsc::Sender<ServerEvent>,
    stall: Duration,
    tasks: &Tasks,
) -> String {
    let Ok(channel) = channel.await else {
        // The session is over, and its end says why.
        return std::future::pending().await;
    };
    let mut stream = TunnelStream::new(channel, None, stall, ending::unreported(), tasks);
    loop {
        let line = match stream.line().await {
            Ok(line) => line,
            Err(error) => {
                tracing::debug!(%error, "the heartbeat ended");
                return String::from("agent disconnected");
            }
        };
        match message::parse::<Heartbeat>(&line) {
            Ok(heartbeat) => {
                let serves = heartbeat.serves();
                if events
                    .send(ServerEvent::Heartbeat { serves })
                    .await
                    .is_err()
                {
                    return String::from("closed by the proxy");
                }
            }
            Err(error) => return format!("the agent's heartbeat is {error}"),
        }
    }
}
