//! A user on real sockets: resolves, dials the door that the answer names, asks the app by HTTPS.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::{HeaderMap, Request, header};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::cut;
use super::dial::{DialError, Dialer};
use super::proxy::{HEADER_AGENT, HEADER_PROXY, HEADER_REFUSAL};
use super::runner::{Runner, Shared};
use super::tasks::Tasks;
use crate::model::fact::{Act, Failure, Purpose, Stage};
use crate::model::id::{Name, RequestId};
use crate::policy::machines;
use crate::policy::user::{Input, Output, TIMEOUT, User as Machine};

/// A user at work. Clones are the same user.
#[derive(Clone)]
pub struct User {
    inner: Arc<Inner>,
}

struct Inner {
    runner: Runner<Machine>,
    dialer: Dialer,
    tasks: Tasks,
    /// The open visit, given up whole on stop.
    visit: Mutex<Option<Visit>>,
}

/// What a visit is made of, and how its connection ends when it is cut.
#[derive(Clone)]
struct Visit {
    tasks: Tasks,
    group: cut::Group,
}

/// What an answer said.
struct Answered {
    status: u16,
    bytes: u64,
    headers: HeaderMap,
}

impl User {
    /// Makes the user with this place in the topology and starts its clockwork.
    pub fn new(index: usize, shared: Shared, dialer: Dialer, tasks: &Tasks) -> Self {
        let machine = machines::user(&shared.topology, index);
        let runner = Runner::new(machine, shared);
        let visit = Mutex::new(None);
        let user = Self {
            inner: Arc::new(Inner {
                runner,
                dialer,
                tasks: tasks.clone(),
                visit,
            }),
        };
        let act = |inner, output| Self { inner }.act(output);
        user.inner.runner.act_through(&user.inner, act);
        let runner = user.inner.runner.clone();
        tasks.spawn(async move { runner.drive(drop).await });
        user
    }

    /// Passes an operator's act on.
    pub fn operate(&self, act: Act) {
        self.feed(Input::Operate(act));
    }

    /// Tells that the mesh is complete.
    pub fn mesh_complete(&self) {
        self.feed(Input::MeshComplete);
    }

    /// Moves the user to another network; what was open is gone.
    pub fn roam(&self, network: &Name, address: IpAddr) -> io::Result<()> {
        self.inner.dialer.roam(address)?;
        self.feed(Input::Roamed {
            network: network.clone(),
            address,
        });
        Ok(())
    }

    fn feed(&self, input: Input) {
        drop(self.inner.runner.feed(input));
    }

    fn act(&self, output: Output) {
        match output {
            Output::CutAll { how } => {
                if let Some(visit) = self.visit_slot().take() {
                    visit.group.cut(how);
                    visit.tasks.cancel();
                }
            }
            // No user pings or logs in yet.
            Output::LogIn { .. } | Output::Ping { .. } => {}
            Output::Visit {
                request,
                host,
                port,
            } => {
                let visit = Visit {
                    tasks: self.inner.tasks.child(),
                    group: cut::Group::default(),
                };
                *self.visit_slot() = Some(visit.clone());
                let user = self.clone();
                let tasks = visit.tasks.clone();
                tasks.spawn(async move { user.visit(request, (&host, port), &visit).await });
            }
        }
    }

    fn visit_slot(&self) -> std::sync::MutexGuard<'_, Option<Visit>> {
        self.inner
            .visit
            .lock()
            .expect("the slot is only set and taken")
    }

    async fn visit(&self, request: RequestId, to: (&str, u16), visit: &Visit) {
        let whole = self.ask(request, to, visit);
        let result = timeout(Duration::from(TIMEOUT), whole)
            .await
            .unwrap_or_else(|_| {
                Err((
                    Failure::Timeout,
                    format!("no answer in {}s", Duration::from(TIMEOUT).as_secs()),
                ))
            });
        let input = match result {
            Ok(answered) => Input::Answered {
                request,
                status: answered.status,
                bytes: answered.bytes,
                proxy: name(&answered.headers, HEADER_PROXY),
                agent: name(&answered.headers, HEADER_AGENT),
                no_tunnel: answered
                    .headers
                    .get(HEADER_REFUSAL)
                    .is_some_and(|v| v == "no_tunnel"),
            },
            Err((reason, error)) => Input::Failed {
                request,
                reason,
                error,
            },
        };
        self.feed(input);
    }

    async fn ask(
        &self,
        request: RequestId,
        (host, port): (&str, u16),
        visit: &Visit,
    ) -> Result<Answered, (Failure, String)> {
        let connected = |address| {
            self.feed(Input::Connected {
                request,
                purpose: Purpose::Visit,
                host: host.to_owned(),
                address,
            });
        };
        let stream = self
            .inner
            .dialer
            .dial((host, port), &["http/1.1"], visit.group.clone(), connected)
            .await;
        let stream = stream.map_err(dial_failure)?;
        // There was a connection, end to end, so whatever happens to the request now is a cut.
        let before = |error: hyper::Error| (Failure::Cut, format!("no answer: {error}"));
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(before)?;
        visit.tasks.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a visit's connection ended");
            }
        });
        let get = Request::get("/")
            .header(header::HOST, format!("{host}:{port}"))
            .header(header::USER_AGENT, "twodoors-user")
            .header(header::CONNECTION, "close")
            .body(Empty::<Bytes>::new())
            .map_err(|error| (Failure::Connect, error.to_string()))?;
        let answer = sender.send_request(get).await.map_err(before)?;
        let (parts, mut body) = answer.into_parts();
        let mut bytes = 0;
        while let Some(frame) = body.frame().await {
            let frame =
                frame.map_err(|error| (Failure::Cut, format!("after {bytes} bytes: {error}")))?;
            bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        Ok(Answered {
            status: parts.status.as_u16(),
            bytes,
            headers: parts.headers,
        })
    }
}

fn dial_failure(error: DialError) -> (Failure, String) {
    let reason = match error.stage {
        Stage::Resolve => Failure::Resolve,
        Stage::Connect => Failure::Connect,
        Stage::Tls | Stage::Find | Stage::Ssh | Stage::Claim => Failure::Tls,
    };
    (reason, error.error)
}

fn name(headers: &HeaderMap, header: &str) -> Option<Name> {
    headers
        .get(header)
        .and_then(|value| value.to_str().ok())
        .map(Name::from)
}
