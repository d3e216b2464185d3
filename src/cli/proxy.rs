//! `twodoors proxy`: a local port to a database or an app of a running lab, like `tsh proxy`.
//!
//! It comes from a user's own address, or one of a network, asks the lab's DNS from there, pings and
//! goes to the advertised name as tsh does. The local side is plain. What fails on the way is
//! printed; the local client sees a closed socket, as tsh's clients do.

mod app;
mod database;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use clap::{Args as ClapArgs, Subcommand};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc};

use super::client::{Client, Which};
use super::{Exit, Io};
use crate::http::api::access::Given;
use crate::live::browser::{Browser, Life};
use crate::live::dial::Dialer;
use crate::live::ports::Ports;
use crate::live::tasks::Tasks;
use crate::live::{cut, tsh};
use crate::model::addr::{HostPort, ListenAddr};
use crate::model::teleport::ConnType;
use crate::policy::address::{Document, tsh_candidates, web_after_ping};

/// How many local connections are served at once; more are closed at accept.
const CONNECTIONS_MAX: usize = 64;

/// How many notes wait to be printed; a task waits with the next one.
const NOTES_WAITING: usize = 64;

const EXAMPLES: &str = "\
Examples:
  twodoors proxy db ledger --as alice --database shop
  twodoors proxy db ledger --from external --listen 127.0.0.1:15432
  twodoors proxy app orders --as alice --from internal";

/// Open a local port to a resource of a running lab, like `tsh proxy`.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    which: Which,

    #[command(subcommand)]
    resource: Resource,
}

#[derive(Clone, Debug, Subcommand)]
enum Resource {
    /// An app: plain HTTP here; the login is done and its session sent along.
    App {
        #[command(flatten)]
        common: Common,
    },
    /// A database: plain Postgres here; a short-lived certificate is shown to the proxy.
    Db {
        #[command(flatten)]
        common: Common,

        /// The database within the service, as the certificate names it.
        #[arg(long, value_name = "NAME", default_value = "")]
        database: String,
    },
}

#[derive(Clone, Debug, ClapArgs)]
struct Common {
    /// The app or the database service.
    name: String,

    /// The user; one of the scenario comes from their own address and by their own --proxy.
    #[arg(long = "as", value_name = "USER", required_unless_present = "from")]
    user: Option<String>,

    /// Where to come from: a network of the scenario, or an address.
    #[arg(long, value_name = "NETWORK")]
    from: Option<String>,

    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

/// What is asked of the lab, again at each connection: a certificate lives for minutes.
#[derive(Clone)]
struct Asker {
    client: Arc<Client>,
    body: serde_json::Value,
}

/// The way to the resource, found once.
struct Way {
    asker: Asker,
    name: String,
    browser: Arc<Browser>,
    roots: Arc<RootCertStore>,
    /// What ping told.
    document: Document,
    /// Where the web side is.
    web: HostPort,
}

impl Asker {
    /// Asks for access; the other error is the lab's own sentence.
    fn ask(&self) -> anyhow::Result<Result<Given, String>> {
        let answer = self.client.post_json("/api/certificates", &self.body)?;
        if !answer.status.is_success() {
            return Ok(Err(answer.detail().to_owned()));
        }
        let given = serde_json::from_value(answer.body).context("the lab's answer")?;
        Ok(Ok(given))
    }

    /// The same, from a task.
    async fn ask_again(&self) -> Result<Given, String> {
        let asker = self.clone();
        let asked = tokio::task::spawn_blocking(move || asker.ask()).await;
        let asked = asked.map_err(|error| error.to_string())?;
        asked.map_err(|error| format!("{error:#}"))?
    }

    /// Asks the lab why it refused this client.
    async fn why(&self, client: SocketAddr) -> String {
        let asker = Arc::clone(&self.client);
        let path = format!("/api/refusals/{client}");
        let asked = tokio::task::spawn_blocking(move || asker.get(&path)).await;
        let answer = asked.ok().and_then(Result::ok);
        let text = answer.and_then(|answer| Some(answer.body.get("text")?.as_str()?.to_owned()));
        text.unwrap_or_else(|| format!("the lab knows of no refusal of {client}"))
    }
}

/// Runs the verb.
pub fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    let client = Arc::new(args.which.find()?);
    let (kind, common, database) = match &args.resource {
        Resource::App { common } => (ConnType::App, common, ""),
        Resource::Db { common, database } => (ConnType::Db, common, &**database),
    };
    let asker = Asker {
        client,
        body: json!({
            "kind": kind.word(), "name": common.name, "user": common.user, "from": common.from,
            "database": database,
        }),
    };
    let given = match asker.ask()? {
        Ok(given) => given,
        Err(why) => {
            writeln!(io.err, "error: {why}")?;
            return Ok(Exit::Usage);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(Box::pin(serve(kind, common, database, asker, given, io)))
}

async fn serve(
    kind: ConnType,
    common: &Common,
    database: &str,
    asker: Asker,
    given: Given,
    io: &mut Io<'_>,
) -> anyhow::Result<Exit> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let tasks = Tasks::new();
    let found = tokio::select! {
        found = find(&common.name, asker, &given, &tasks) => found,
        _ = interrupt.recv() => return Ok(Exit::Success),
        _ = terminate.recv() => return Ok(Exit::Success),
    };
    let way = match found {
        Ok(way) => Arc::new(way),
        Err(error) => {
            writeln!(io.err, "error: {error:#}")?;
            return Ok(Exit::CouldNotRun);
        }
    };
    let listener = TcpListener::bind(common.listen)
        .await
        .with_context(|| format!("cannot listen on {}; choose with --listen", common.listen))?;
    let local = listener.local_addr()?;
    let (word, name, user) = (kind.word(), &common.name, &given.user);
    let to = match kind {
        ConnType::App => way.app(),
        ConnType::Db => way.database(),
    };
    writeln!(
        io.out,
        "ready proxy={local} resource={word}/{name} user={user} from={} to={to}",
        given.from
    )?;
    io.out.flush()?;
    match kind {
        ConnType::App => writeln!(io.err, "  try: curl http://{local}/")?,
        ConnType::Db => writeln!(
            io.err,
            "  try: psql -h {} -p {} -U {user} {database}",
            local.ip(),
            local.port()
        )?,
    }
    let (note, mut notes) = mpsc::channel::<String>(NOTES_WAITING);
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.context("accepting")?;
                let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
                    writeln!(io.err, "closed at accept: {CONNECTIONS_MAX} connections are open")?;
                    continue;
                };
                let (way, note) = (Arc::clone(&way), note.clone());
                let life = Life { tasks: tasks.clone(), group: cut::Group::default() };
                tasks.spawn(async move {
                    way.connection(kind, stream, &life, &note).await;
                    drop(permit);
                });
            }
            Some(note) = notes.recv() => writeln!(io.err, "{note}")?,
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        }
    }
    tasks.stop().await;
    Ok(Exit::Success)
}

/// Pings as tsh does, from the user's address, and for an app logs in.
async fn find(name: &str, asker: Asker, given: &Given, tasks: &Tasks) -> anyhow::Result<Way> {
    let ca = asker.client.folder().join("ca.pem");
    let pem =
        CertificateDer::from_pem_file(&ca).map_err(|error| anyhow!("{}: {error}", ca.display()))?;
    let mut roots = RootCertStore::empty();
    roots.add(pem).context("the lab's authority")?;
    let roots = Arc::new(roots);
    let dialer = Dialer::new(given.from, given.dns, Arc::clone(&roots))?;
    let dialer = dialer.knowing(Ports::of(given.moved.iter().copied()));
    let browser = Arc::new(Browser::new(dialer));
    let candidates = tsh_candidates(&given.proxy).map_err(anyhow::Error::msg)?;
    let life = Life {
        tasks: tasks.child(),
        group: cut::Group::default(),
    };
    let unseen = |_: &HostPort, _: ListenAddr| {};
    let pinged = tsh::ping(&browser, candidates, &life, unseen).await;
    let (asked, document) =
        pinged.map_err(|(_, error)| anyhow!("ping from {}: {error}", given.from))?;
    let web = web_after_ping(&document, &asked);
    Ok(Way {
        asker,
        name: name.to_owned(),
        browser,
        roots,
        document,
        web,
    })
}

impl Way {
    async fn connection(
        &self,
        kind: ConnType,
        stream: TcpStream,
        life: &Life,
        note: &mpsc::Sender<String>,
    ) {
        let ended = match kind {
            ConnType::App => self.serve_app(stream, life, note).await,
            ConnType::Db => self.serve_database(stream, life).await,
        };
        if let Err(error) = ended {
            // The loop that prints lives as long as this task may.
            let _ = note
                .send(format!("{}/{}: {error}", kind.word(), self.name))
                .await;
        }
    }
}
