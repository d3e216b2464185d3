//! A user on real sockets: resolves, dials the door that the answer names, asks the app by HTTPS.
//!
//! It pings as tsh does, keeps a session for each app, and is led to the login where the machine
//! says so; every decision is `policy/user`'s.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use hyper::HeaderMap;

use super::browser::{Browser, Failed, Fetched, Launch, Life};
use super::dial::Dialer;
use super::proxy::{HEADER_AGENT, HEADER_PROXY, HEADER_REFUSAL};
use super::runner::{Runner, Shared};
use super::tasks::Tasks;
use super::tsh::limited;
use super::{cut, tsh};
use crate::model::addr::{HostPort, ListenAddr};
use crate::model::fact::{Act, Failure, Purpose};
use crate::model::id::{Name, RequestId};
use crate::policy::machines;
use crate::policy::user::{Input, Output, User as Machine};

/// A user at work. Clones are the same user.
#[derive(Clone)]
pub struct User {
    inner: Arc<Inner>,
}

struct Inner {
    runner: Runner<Machine>,
    browser: Arc<Browser>,
    tasks: Tasks,
    /// The open step of a visit, given up whole on stop.
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    life: Option<Life>,
    /// Where the last visit was led, and for which app's host.
    led: Option<(Launch, HostPort)>,
}

impl User {
    /// Makes the user with this place in the topology and starts its clockwork.
    pub fn new(index: usize, shared: Shared, dialer: Dialer, tasks: &Tasks) -> Self {
        let machine = machines::user(&shared.topology, index);
        let runner = Runner::new(machine, shared);
        let user = Self {
            inner: Arc::new(Inner {
                runner,
                browser: Arc::new(Browser::new(dialer)),
                tasks: tasks.clone(),
                open: Mutex::default(),
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
        self.inner.browser.dialer().roam(address)?;
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
                let life = self.open().life.take();
                if let Some(life) = life {
                    life.group.cut(how);
                    life.tasks.cancel();
                }
            }
            Output::LogIn { request, to } => {
                let led = self.open().led.take();
                self.spawn(move |user, life| async move {
                    match led {
                        Some((launch, app)) => user.log_in(request, &launch, &app, &life).await,
                        None => user.failed(request, no_launch(&to)),
                    }
                });
            }
            Output::Ping {
                attempt,
                candidates,
            } => self.spawn(move |user, life| async move {
                user.ping(attempt, candidates, &life).await;
            }),
            Output::Visit {
                request,
                host,
                port,
            } => self.spawn(move |user, life| async move {
                let host = host.as_str().into();
                user.visit(request, HostPort { host, port }, &life).await;
            }),
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.inner
            .open
            .lock()
            .expect("what is kept here is only put in and taken out")
    }

    /// Begins a step; the one before has ended.
    fn spawn<F>(&self, run: impl FnOnce(Self, Life) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let life = Life {
            tasks: self.inner.tasks.child(),
            group: cut::Group::default(),
        };
        self.open().life = Some(life.clone());
        let tasks = life.tasks.clone();
        tasks.spawn(run(self.clone(), life));
    }

    fn failed(&self, request: RequestId, (reason, error): Failed) {
        self.feed(Input::Failed {
            request,
            reason,
            error,
        });
    }

    fn connected(&self, request: RequestId, purpose: Purpose, host: &str, address: ListenAddr) {
        self.feed(Input::Connected {
            request,
            purpose,
            host: host.to_owned(),
            address,
        });
    }

    async fn visit(&self, request: RequestId, to: HostPort, life: &Life) {
        let connected = |address| self.connected(request, Purpose::Visit, &to.host, address);
        match limited(self.inner.browser.get(&to, "/", life, connected)).await {
            Ok(answer) => match answer.launch() {
                Some(launch) => {
                    let at = launch.at.clone();
                    self.open().led = Some((launch, to));
                    self.feed(Input::Redirected { request, to: at });
                }
                None => self.feed(answered(request, &answer)),
            },
            Err(failed) => self.failed(request, failed),
        }
    }

    async fn log_in(&self, request: RequestId, launch: &Launch, app: &HostPort, life: &Life) {
        let connected =
            |host: &str, address| self.connected(request, Purpose::Launch, host, address);
        let way = self
            .inner
            .browser
            .log_in(launch, &app.host, life, connected);
        match limited(way).await {
            Ok(()) => self.feed(Input::LoggedIn { request }),
            Err(failed) => self.failed(request, failed),
        }
    }

    async fn ping(&self, attempt: u64, candidates: Vec<HostPort>, life: &Life) {
        let user = self.clone();
        let connected = move |asked: &HostPort, address| {
            user.connected(RequestId(attempt), Purpose::Ping, &asked.host, address);
        };
        let input = match tsh::ping(&self.inner.browser, candidates, life, connected).await {
            Ok((asked, document)) => Input::PingAnswered {
                attempt,
                asked,
                document: document.into(),
            },
            Err((reason, error)) => Input::PingFailed {
                attempt,
                reason,
                error,
            },
        };
        self.feed(input);
    }
}

fn no_launch(to: &HostPort) -> Failed {
    (Failure::Status, format!("no launch page at {to} is known"))
}

fn answered(request: RequestId, answer: &Fetched) -> Input {
    let headers = &answer.headers;
    let refusal = headers.get(HEADER_REFUSAL);
    Input::Answered {
        request,
        status: answer.status,
        bytes: answer.bytes,
        proxy: name(headers, HEADER_PROXY),
        agent: name(headers, HEADER_AGENT),
        no_tunnel: refusal.is_some_and(|value| value == "no_tunnel"),
    }
}

fn name(headers: &HeaderMap, header: &str) -> Option<Name> {
    headers
        .get(header)
        .and_then(|value| value.to_str().ok())
        .map(Name::from)
}
