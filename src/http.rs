//! The page, the API and the metrics of a running lab, over HTTP/1.1.
//!
//! In go a [`Journal`] to show and a [`Control`] to hand changes to; out come answers. Every
//! request passes [`guard`] before it is routed. Nothing is decided or counted here: state is the
//! snapshot's, a change is the lab's.

pub mod api;
mod ask;
pub mod assets;
pub mod filter;
pub mod guard;
mod look;
pub mod metrics;
pub mod openapi;
mod patient;
pub mod report;
mod routes;
mod runs;
pub mod source;
mod stream;

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::journal::Journal;
use crate::lab::stage::Stage;
use crate::live::tasks::Tasks;
use crate::model::fact::Act;
use crate::model::id::{FaultId, Generation, Node};
use crate::policy::answer::Difference;
use guard::{Allowed, Token};
use patient::Patient;
use source::Source;

/// How many connections are served at once: 32 readers of facts, and browsers open six each.
pub const CONNECTIONS_MAX: usize = 256;

/// How long a client may take for the head of a request, and may idle between two.
const TIMEOUT_HEADERS: Duration = Duration::from_secs(5);

/// The largest head of a request: a browser sends a few hundred bytes, a long filter some more.
const HEAD_MAX: usize = 64 * 1024;

/// How long open answers may go on after the stop signal; the lab itself waits about as long.
const GRACE: Duration = Duration::from_secs(1);

/// How long to wait after a failed accept: the cause is a lack of descriptors, which passes.
const PAUSE_ACCEPT: Duration = Duration::from_millis(100);

/// What the lab does when it is told to.
#[async_trait]
pub trait Control: Send + Sync {
    /// Reads scenario and zones again: all of it takes, or nothing and each mistake is given.
    async fn reload(&self) -> Result<Reloaded, Vec<String>>;

    /// Tells what a reload would change, and changes nothing; the error is each mistake.
    async fn preview(&self) -> Result<Preview, Vec<String>> {
        Err(vec![String::from("there is nothing here to read again")])
    }

    /// Stops, starts or drains a node.
    async fn operate(&self, node: &Node, act: Act) -> Result<(), ControlError>;

    /// Sets a fault; the error is a sentence with what would be right.
    async fn set_fault(&self, asked: FaultAsked) -> Result<FaultSet, String>;

    /// Lifts a fault; tells whether it was in force.
    async fn lift_fault(&self, fault: FaultId) -> bool;

    /// Lifts all faults; tells how many there were.
    async fn clear_faults(&self) -> usize;

    /// Gives what plays scenarios; a run that is over has none.
    fn stage(&self) -> Option<Arc<Stage>> {
        None
    }

    /// Gives what is needed to reach a resource as a user; the error is a sentence.
    async fn access(&self, _asked: AccessAsked) -> Result<AccessGiven, String> {
        Err(String::from(
            "nothing can be reached through this lab: it does not run",
        ))
    }
}

/// A resource that is to be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessAsked {
    /// `app` or `db`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// As whom.
    pub user: Option<String>,
    /// A network of the scenario, or an address.
    pub from: Option<String>,
    /// The database within the service.
    pub database: String,
}

/// How to reach it.
pub struct AccessGiven {
    /// The certificate in PEM, for a database.
    pub certificate: Option<String>,
    /// Its key in PEM.
    pub key: Option<String>,
    /// The user's name.
    pub user: String,
    /// The address to come from.
    pub from: IpAddr,
    /// Whom to ask for names.
    pub dns: SocketAddr,
    /// `tsh --proxy`.
    pub proxy: String,
    /// Listeners that are bound elsewhere: real address and bound one.
    pub moved: Vec<(SocketAddr, SocketAddr)>,
}

/// Masked: a key must not reach a log.
impl std::fmt::Debug for AccessGiven {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessGiven")
            .field("user", &self.user)
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

/// A fault that is to be set, in the words of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultAsked {
    /// The word: `latency`.
    pub word: String,
    /// Where: `balancer/internal`.
    pub target: String,
    /// How much.
    pub by: Option<String>,
    /// The other view.
    pub to: Option<String>,
    /// How long.
    pub lasts: Option<String>,
}

/// A fault that was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultSet {
    /// Its number.
    pub id: FaultId,
    /// In words.
    pub text: String,
}

/// A reload that took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// The generation now in force.
    pub generation: Generation,
    /// What changed: views and whom they let in, and names as `view/name`.
    pub changed: Vec<String>,
    /// What is odd but works, each with its place.
    pub warnings: Vec<String>,
}

/// What a reload would change.
#[derive(Debug)]
pub struct Preview {
    /// Which clients would get which other answers.
    pub difference: Difference,
    /// What is odd but works, each with its place.
    pub warnings: Vec<String>,
    /// Why it would be refused all the same.
    pub refused: Option<String>,
}

/// Why a node was not operated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// The node cannot do that; the sentence says why.
    #[error("{0}")]
    NotPossible(String),
    /// The lab has no such node.
    #[error("the lab has no such node")]
    Unknown,
}

/// The server of one lab.
pub struct Server {
    /// What is shown.
    pub source: Source,
    /// Who makes changes.
    pub control: Arc<dyn Control>,
    /// What a change must bring.
    pub token: Token,
    /// Further names that a `Host` header may hold: `NAME`, which means the listener's port, or
    /// `NAME:PORT`; [`guard::is_host`] tells whether one is well formed.
    pub allow_hosts: Vec<String>,
    /// Where the page's files are read from instead of the binary, while one works on them.
    pub web_dir: Option<PathBuf>,
}

/// What every request shares.
struct App {
    journal: Journal,
    source: Source,
    control: Arc<dyn Control>,
    token: Token,
    /// Tells this run from another one on the same address.
    run: String,
    readers: Arc<Semaphore>,
    exports: Arc<Semaphore>,
    snapshots: stream::Snapshots,
    web_dir: Option<PathBuf>,
    tasks: Tasks,
    shutdown: CancellationToken,
}

/// Ends one connection; each request of it carries a clone.
#[derive(Clone)]
struct Cut(CancellationToken);

impl Server {
    /// Serves until `shutdown`; then tells readers that the lab ended, and returns.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) {
        let tasks = Tasks::new();
        let app = Arc::new(App {
            journal: self.source.journal.clone(),
            source: self.source,
            control: self.control,
            token: self.token,
            run: guard::random_hex(),
            readers: Arc::new(Semaphore::new(stream::READERS_MAX)),
            exports: Arc::new(Semaphore::new(1)),
            snapshots: stream::Snapshots::default(),
            web_dir: self.web_dir,
            tasks: tasks.clone(),
            shutdown: shutdown.clone(),
        });
        serve(
            listener,
            routes::router(app),
            &self.allow_hosts,
            tasks,
            shutdown,
        )
        .await;
    }
}

/// Serves nothing but the metrics of a DNS server, until `shutdown`.
pub async fn serve_metrics(listener: TcpListener, journal: Journal, shutdown: CancellationToken) {
    let router = routes::metrics_only(journal);
    serve(listener, router, &[], Tasks::new(), shutdown).await;
}

/// Takes connections until `shutdown`, and waits for their ends.
async fn serve(
    listener: TcpListener,
    router: axum::Router,
    allow_hosts: &[String],
    tasks: Tasks,
    shutdown: CancellationToken,
) {
    let port = listener.local_addr().map_or(0, |address| address.port());
    let own = listener.local_addr().map(|address| address.ip()).ok();
    let allowed = Arc::new(Allowed::new(own, port, allow_hosts));
    let router = TowerToHyperService::new(router);
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let Some((stream, slot)) = accepted else {
            tokio::time::sleep(PAUSE_ACCEPT).await;
            continue;
        };
        let (router, allowed) = (router.clone(), Arc::clone(&allowed));
        let shutdown = shutdown.clone();
        tasks.spawn(async move {
            connection(stream, router, allowed, shutdown).await;
            drop(slot);
        });
    }
    drop(listener);
    // Each connection ends by itself within its grace, so this wait is bounded.
    tasks.finish().await;
}

type Router = TowerToHyperService<axum::Router>;

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    let (stream, _) = listener.accept().await.ok()?;
    Some((stream, slot))
}

async fn connection(
    stream: TcpStream,
    router: Router,
    allowed: Arc<Allowed>,
    shutdown: CancellationToken,
) {
    let cut = CancellationToken::new();
    let service = service_fn(|mut request: Request<Incoming>| {
        let refusal = allowed.check(&request).err();
        request.extensions_mut().insert(Cut(cut.clone()));
        let head = request.method() == axum::http::Method::HEAD;
        let secret = routes::never_stored(request.uri().path());
        let router = router.clone();
        async move {
            let mut response: Response<Body> = match refusal {
                Some(refusal) => refusal.into_response(head),
                None => match router.call(request).await {
                    Ok(response) => response,
                    Err(never) => match never {},
                },
            };
            guard::add_headers(response.headers_mut(), secret);
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(TIMEOUT_HEADERS)
        .max_buf_size(HEAD_MAX);
    let served = builder.serve_connection(TokioIo::new(Patient::new(stream)), service);
    tokio::pin!(served);
    tokio::select! {
        _ended = served.as_mut() => return,
        () = cut.cancelled() => return,
        () = shutdown.cancelled() => {}
    }
    served.as_mut().graceful_shutdown();
    // Past the grace a peer that does not read is dropped.
    let _ended = tokio::time::timeout(GRACE, served).await;
}
