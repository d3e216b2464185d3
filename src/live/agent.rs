//! An agent on real sockets: asks find, dials through the door that DNS names, holds its tunnels.
//!
//! Every decision is `policy/agent`'s: this moves what comes to the machine and what the machine wants
//! to the wire, and serves streams. How it finds, dials and shakes hands is in `agent/dial`.

mod dial;

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use super::authority::{HostIdentity, Trust};
use super::dial::{DialError, Dialer};
use super::runner::{Runner, Shared};
use super::tasks::Tasks;
use super::tunnel::{ClientControl, ClientEvent, Settings, TransportRequest};
use super::{cut, resource};
use crate::model::fact::Act;
use crate::model::id::{DialId, Name};
use crate::model::teleport::ConnType;
use crate::model::topology;
use crate::policy::agent::{Agent as Machine, Input, Output};
use crate::policy::machines;
use crate::policy::proxy::Serves;

/// An agent at work. Clones are the same agent.
#[derive(Clone)]
pub struct Agent {
    inner: Arc<Inner>,
}

/// What an agent needs beside its place in the topology.
pub struct Means {
    /// Its way out.
    pub dialer: Dialer,
    /// Its SSH identity.
    pub identity: HostIdentity,
    /// Whom it believes.
    pub trust: Trust,
    /// Times and bounds of its tunnels.
    pub settings: Settings,
}

struct Inner {
    runner: Runner<Machine>,
    index: usize,
    means: Means,
    serves: Serves,
    tasks: Tasks,
    work: Mutex<Work>,
}

/// What lives until the agent is stopped.
struct Work {
    /// Attempts and tunnels; cut all at once.
    tasks: Tasks,
    /// How their connections end then.
    group: cut::Group,
    tunnels: BTreeMap<DialId, ClientControl>,
}

/// What an attempt, and the tunnel that comes of it, belongs to.
struct Life {
    tasks: Tasks,
    group: cut::Group,
}

impl Agent {
    /// Makes the agent with this place in the topology and starts its clockwork.
    pub fn new(index: usize, shared: Shared, means: Means, tasks: &Tasks) -> Self {
        let config = &shared.topology.agents[index];
        let databases = config.databases.iter().map(|known| known.name.clone());
        let serves = Serves {
            apps: config.apps.iter().map(|app| app.name.clone()).collect(),
            databases: databases.collect(),
            proxies: Vec::new(),
        };
        let machine = machines::agent(&shared.topology, index);
        let work = Mutex::new(Work {
            tasks: tasks.child(),
            group: cut::Group::default(),
            tunnels: BTreeMap::new(),
        });
        let runner = Runner::new(machine, shared);
        let tasks = tasks.clone();
        let agent = Self {
            inner: Arc::new(Inner {
                runner,
                index,
                means,
                serves,
                tasks,
                work,
            }),
        };
        let act = |inner, output| Self { inner }.act(output);
        agent.inner.runner.act_through(&agent.inner, act);
        let runner = agent.inner.runner.clone();
        agent
            .inner
            .tasks
            .spawn(async move { runner.drive(drop).await });
        agent
    }

    /// Passes an operator's act on.
    pub fn operate(&self, act: Act) {
        self.feed(Input::Operate(act));
    }

    /// Moves it to another network, where it has this address; what it had open is gone.
    pub fn roam(&self, network: &Name, address: IpAddr) -> io::Result<()> {
        self.inner.means.dialer.roam(address)?;
        self.feed(Input::Roamed {
            network: network.clone(),
            address,
        });
        Ok(())
    }

    /// Feeds what nobody waits to be answered for.
    fn feed(&self, input: Input) {
        drop(self.inner.runner.feed(input));
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.inner
            .work
            .lock()
            .expect("what is kept here is only put in and taken out")
    }

    fn act(&self, output: Output) {
        match output {
            Output::Close { dial } => {
                let tunnel = self.work().tunnels.remove(&dial);
                if let Some(tunnel) = tunnel {
                    tunnel.close("the agent closed it");
                }
            }
            Output::CutAll { how } => {
                let mut work = self.work();
                std::mem::take(&mut work.group).cut(how);
                work.tasks.cancel();
                work.tasks = self.inner.tasks.child();
                work.tunnels.clear();
            }
            Output::Dial {
                dial,
                address,
                alpn,
            } => self.spawn(move |agent, life| async move {
                agent.dial(dial, &address, alpn, &life).await;
            }),
            Output::Find { dial, seed } => self.spawn(move |agent, life| async move {
                agent.find(dial, &seed, &life).await;
            }),
            Output::Heartbeat { dial, proxies } => {
                let now = self.inner.runner.shared().clock.unix_seconds();
                let serves = Serves {
                    proxies,
                    ..self.inner.serves.clone()
                };
                if let Some(tunnel) = self.work().tunnels.get(&dial)
                    && !tunnel.heartbeat(now, &serves)
                {
                    tracing::debug!(%dial, "a heartbeat was left out: earlier ones still wait");
                }
            }
            // Verdicts go back to whoever asked: see `judge` and `stream_asked`.
            Output::AcceptHostKey
            | Output::RefuseHostKey { .. }
            | Output::RefuseStream { .. }
            | Output::Serve { .. } => {}
        }
    }

    fn spawn<F>(&self, run: impl FnOnce(Self, Life) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let life = {
            let work = self.work();
            Life {
                tasks: work.tasks.clone(),
                group: work.group.clone(),
            }
        };
        let tasks = life.tasks.clone();
        tasks.spawn(run(self.clone(), life));
    }

    fn failed(&self, dial: DialId, error: DialError) {
        self.feed(Input::Failed {
            dial,
            stage: error.stage,
            cause: error.cause,
            error: error.error,
        });
    }

    /// Takes what happens on a tunnel until it ends.
    async fn hold(
        &self,
        dial: DialId,
        mut events: tokio::sync::mpsc::Receiver<ClientEvent>,
        life: &Life,
    ) {
        let mut why = String::from("the tunnel ended");
        while let Some(event) = events.recv().await {
            match event {
                ClientEvent::Advice => self.feed(Input::Advised { dial }),
                ClientEvent::Closed { why: cause } => {
                    why = cause;
                    break;
                }
                ClientEvent::Discovery { ids } => {
                    let proxies = ids.into_iter().map(Into::into).collect();
                    self.feed(Input::Gossip { dial, proxies });
                }
                ClientEvent::StreamCut { address, why } => {
                    self.feed(Input::StreamCut {
                        dial,
                        app: address.into(),
                        why,
                    });
                }
                ClientEvent::Transport(request) => self.stream_asked(dial, request, life),
            }
        }
        self.work().tunnels.remove(&dial);
        self.feed(Input::TunnelClosed { dial, why });
    }

    fn stream_asked(&self, dial: DialId, request: TransportRequest, life: &Life) {
        let asked = &request.dial;
        let Some(kind) = ConnType::read(&asked.conn_type) else {
            let why = format!("this agent has no tunnels of type {:?}", asked.conn_type);
            request.refuse(&why);
            return;
        };
        let app = asked.address.as_str().into();
        let mut request = Some(request);
        let input = Input::StreamAsked { dial, kind, app };
        for output in self.inner.runner.feed(input) {
            match (output, request.take()) {
                (Output::Serve { kind, place }, Some(request)) => {
                    let (agent, group) = (self.clone(), life.group.clone());
                    life.tasks.spawn(async move {
                        match kind {
                            ConnType::App => agent.serve_app(place, request, group).await,
                            ConnType::Db => agent.serve_database(place, request, group).await,
                        }
                        agent.feed(Input::StreamEnded { dial });
                    });
                }
                (Output::RefuseStream { why }, Some(request)) => request.refuse(&why),
                (other, _) => tracing::error!(?other, "no answer to a stream"),
            }
        }
    }

    fn config(&self) -> &topology::Agent {
        &self.inner.runner.shared().topology.agents[self.inner.index]
    }

    async fn serve_app(&self, place: usize, request: TransportRequest, group: cut::Group) {
        let config = self.config();
        let Some(app) = config.apps.get(place) else {
            request.refuse("no such app");
            return;
        };
        let stream = request.accept();
        match &app.target {
            None => {
                let served =
                    resource::serve_builtin(stream, app.name.clone(), config.name.clone()).await;
                if let Err(error) = served {
                    tracing::debug!(%error, app = %app.name, "the built-in app's stream broke");
                }
            }
            Some(target) => {
                let from = self.inner.means.dialer.from();
                if let Err(error) = resource::relay(stream, target, from, group).await {
                    tracing::info!(%error, app = %app.name, %target, "the app was not reached");
                }
            }
        }
    }

    /// Connects before it accepts: whoever asks for a database is told why there is none.
    async fn serve_database(&self, place: usize, request: TransportRequest, group: cut::Group) {
        let Some(database) = self.config().databases.get(place) else {
            request.refuse("no such database");
            return;
        };
        let name = &database.name;
        let Some(target) = &database.target else {
            let why = format!(
                "the database {name:?} has no target: the scenario's agents[].databases names one"
            );
            request.refuse(&why);
            return;
        };
        let connected = tokio::select! {
            connected = resource::connect(target, self.inner.means.dialer.from()) => connected,
            () = request.closed() => return,
        };
        match connected {
            Ok(connected) => {
                let relayed = resource::pump(request.accept(), group.holds(connected)).await;
                if let Err(error) = relayed {
                    tracing::debug!(%error, database = %name, %target, "a stream broke");
                }
            }
            Err(error) => request.refuse(&format!("{name} at {target}: {error}")),
        }
    }
}
