//! `twodoors up`: runs a lab live until Ctrl-C.
//!
//! Prints one `ready` line for programs on `out`, and a few commands to try on `err` for people.
//! SIGHUP reloads; SIGINT and SIGTERM stop; a second one ends the process at once.

mod log;
mod stand_in;

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args as ClapArgs;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use self::log::Log;
use super::found;
use super::host::{Hand, print_mistakes, reload, source, state_folder, token, write_state};
use super::state::Folder;
use super::{Exit, Io, where_labs_are};
use crate::http::Server;
use crate::http::guard::{self, Token};
use crate::http::source::Source;
use crate::lab::conduct::Conductor;
use crate::lab::load::load;
use crate::lab::record::{RecordError, Recorder};
use crate::lab::{Lab, Options, limits};
use crate::live::runner::Tap;

const EXAMPLES: &str = "\
Examples:
  twodoors up                                        the embedded example
  twodoors up lab/scenarios/split-dns.yaml --log     from disk, one line a decision
  twodoors up --dns 127.0.0.1:0 --http 127.0.0.1:0   on free ports; the `ready` line names them
  kill -HUP $(pgrep -x twodoors)                     read scenario and zones again";

/// Run a lab live until Ctrl-C.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The scenario; without one the embedded example runs.
    pub scenario: Option<PathBuf>,

    /// Where DNS listens instead of where the scenario says; port 0 takes a free one.
    #[arg(long, env = "TWODOORS_DNS", value_name = "ADDR:PORT")]
    pub dns: Option<SocketAddr>,

    /// Where the page and the API listen; port 0 takes a free one.
    #[arg(
        long,
        env = "TWODOORS_HTTP",
        value_name = "ADDR:PORT",
        default_value = "127.0.0.1:8080"
    )]
    pub http: SocketAddr,

    /// A further name that a `Host` header may hold.
    #[arg(long, value_name = "NAME", value_parser = host)]
    pub allow_host: Vec<String>,

    /// Show the lab and let nobody change it through the page; `ctl` and `fault` cannot either.
    #[arg(long)]
    pub read_only: bool,

    /// Take the token for changes from this file instead of drawing one; demanded where --http is
    /// not a loopback address.
    #[arg(long, env = "TWODOORS_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// Read the page's files from this folder instead of the binary, while one works on them.
    #[arg(long, value_name = "DIR")]
    pub web_dir: Option<PathBuf>,

    /// The state folder; by default one of the scenario's name in the user's runtime folder.
    #[arg(long, env = "TWODOORS_STATE", value_name = "DIR")]
    pub state: Option<PathBuf>,

    /// Print one line a decision.
    #[arg(long)]
    pub log: bool,

    /// Record the inputs of every machine, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
}

/// Reads the name of a host.
fn host(text: &str) -> Result<String, String> {
    if guard::is_host(text) {
        Ok(text.to_owned())
    } else {
        Err(String::from(
            "give a name or an address, without scheme and port",
        ))
    }
}

/// Runs the verb.
pub fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    let (path, files) = source(args.scenario.as_deref());
    let loaded = match load(&path, &*files) {
        Ok(loaded) => loaded,
        Err(mistakes) => return print_mistakes(&mistakes, io),
    };
    for warning in &loaded.warnings {
        writeln!(io.err, "warning: {warning}")?;
    }
    found::write_errors(&loaded, io)?;
    let token = match token(args.http, args.token_file.as_deref()) {
        Ok(token) => token,
        Err(why) => {
            writeln!(io.err, "error: {why}")?;
            return Ok(Exit::Usage);
        }
    };
    if !args.http.ip().is_loopback() {
        writeln!(
            io.err,
            "warning: the page listens on {}, which others may reach; changes need the token",
            args.http
        )?;
    }
    if let Err(why) = limits::raise(&loaded.topology) {
        writeln!(io.err, "error: {why}")?;
        return Ok(Exit::CouldNotRun);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let recorder = match &args.record {
        None => None,
        Some(file) => match Recorder::create(file, &path, &*files, &loaded.topology) {
            Ok(recorder) => Some(Arc::new(recorder)),
            Err(RecordError::Mistakes(mistakes)) => return print_mistakes(&mistakes, io),
            Err(error) => {
                writeln!(io.err, "error: {error}")?;
                return Ok(Exit::CouldNotRun);
            }
        },
    };
    let options = Options {
        path,
        files,
        loaded,
        dns: args.dns,
        tap: recorder.clone().map(|recorder| recorder as Arc<dyn Tap>),
    };
    let served = runtime.block_on(Box::pin(serve(args, options, token, io)));
    if let Some(recorder) = recorder {
        recorder.finish().context("the recording")?;
    }
    served
}

async fn serve(
    args: &Args,
    options: Options,
    token: Token,
    io: &mut Io<'_>,
) -> anyhow::Result<Exit> {
    let embedded = args.scenario.is_none();
    let page = match TcpListener::bind(args.http).await {
        Ok(page) => page,
        Err(error) => {
            writeln!(
                io.err,
                "error: the page cannot listen on {}: {error}; another lab may run (`twodoors \
                 status`), or choose another address with --http",
                args.http
            )?;
            return Ok(Exit::CouldNotRun);
        }
    };
    let http = page.local_addr()?;
    // Signals are caught from here on, so that none is lost while the lab starts.
    let (interrupt, terminate, hangup) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
        signal(SignalKind::hangup())?,
    );
    let own = || where_labs_are().join(&*options.loaded.topology.name);
    let folder = state_folder(&args.state.clone().unwrap_or_else(own))?;
    let listed = options.listed(embedded);
    let lab = match Lab::start(options).await {
        Ok(lab) => Arc::new(lab),
        Err(error) => {
            writeln!(io.err, "error: {error}")?;
            return Ok(Exit::CouldNotRun);
        }
    };
    write_state(&folder, &lab, http, &token)?;

    let stop = CancellationToken::new();
    let server = Server {
        source: Source {
            read_only: args.read_only,
            scenario: Some(Arc::new(listed)),
            ..Source::live(&lab)
        },
        control: Arc::new(Hand::new(&lab, Conductor::start(&lab), embedded)),
        token: token.clone(),
        allow_hosts: args.allow_host.clone(),
        web_dir: args.web_dir.clone(),
    };
    let page = server.serve(page, stop.clone());
    tokio::pin!(page);

    write_ready(&lab, http, &folder, io.out)?;
    write_help(&lab, http, &folder, &token, io.err)?;
    let log = args.log.then(|| Log::start(lab.journal().clone()));
    let work = operate(
        &lab,
        log.as_ref(),
        embedded,
        (interrupt, terminate, hangup),
        io,
    );
    let ended = tokio::select! {
        ended = work => ended,
        () = &mut page => Ok(()),
    };
    stop.cancel();
    let whole = async {
        page.await;
        lab.stop().await;
        if let Some(log) = &log {
            log.finish().await;
        }
    };
    let second = async {
        let again = signal(SignalKind::interrupt());
        match again {
            Ok(mut again) => drop(again.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    let exit = tokio::select! {
        () = whole => Exit::Success,
        () = second => Exit::Interrupted,
    };
    folder.close();
    ended?;
    Ok(exit)
}

/// Takes signals until the lab is to stop.
async fn operate(
    lab: &Arc<Lab>,
    log: Option<&Log>,
    embedded: bool,
    (mut interrupt, mut terminate, mut hangup): (Signal, Signal, Signal),
    io: &mut Io<'_>,
) -> anyhow::Result<()> {
    let unread = async {
        match log {
            Some(log) => log.ended.cancelled().await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(unread);
    loop {
        tokio::select! {
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            _ = hangup.recv() => print_reload(lab, embedded, io).await?,
            () = &mut unread => return Err(io::Error::from(io::ErrorKind::BrokenPipe).into()),
        }
    }
}

async fn print_reload(lab: &Arc<Lab>, embedded: bool, io: &mut Io<'_>) -> anyhow::Result<()> {
    match reload(lab, embedded).await {
        Ok(reloaded) => {
            for warning in &reloaded.warnings {
                writeln!(io.err, "warning: {warning}")?;
            }
            let changed = match &*reloaded.changed {
                [] => String::from("nothing changed"),
                names => format!("changed: {}", names.join(", ")),
            };
            writeln!(
                io.out,
                "reloaded generation={} {changed}",
                reloaded.generation
            )?;
        }
        Err(mistakes) => {
            for mistake in &mistakes {
                writeln!(io.err, "error: {mistake}")?;
            }
            let generation = lab.rules().generation;
            writeln!(
                io.err,
                "nothing was reloaded; generation {generation} stays in force"
            )?;
        }
    }
    io.out.flush()?;
    Ok(())
}

fn write_ready(
    lab: &Lab,
    http: SocketAddr,
    folder: &Folder,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    write!(
        out,
        "ready dns={} http={http} state={}",
        super::dns::list(lab.dns_all()),
        folder.path().display()
    )?;
    for (name, listen) in lab.doors_bound() {
        let listen: Vec<String> = listen.iter().map(ToString::to_string).collect();
        write!(out, " {name}={}", listen.join(","))?;
    }
    writeln!(out)?;
    out.flush()?;
    Ok(())
}

/// Prints what a person can do next. The link with the token is shown on a terminal only.
fn write_help(
    lab: &Lab,
    http: SocketAddr,
    folder: &Folder,
    token: &Token,
    err: &mut dyn Write,
) -> anyhow::Result<()> {
    let topology = lab.topology();
    let secret = if io::stderr().is_terminal() {
        format!("#t={}", token.reveal())
    } else {
        String::new()
    };
    writeln!(err, "\n  the page:     http://{http}/{secret}")?;
    let dns = lab.dns();
    if let (Some(public), Some(agent)) = (
        topology.pool.teleport.public.first(),
        topology.agents.first(),
    ) {
        writeln!(
            err,
            "  as an agent:  dig @{} -p {} -b {} {} +short",
            dns.ip(),
            dns.port(),
            agent.address,
            public.host
        )?;
        // The user whose commands are shown is one whom DNS sends to a door of this lab.
        let visit = topology.users.iter().find_map(|user| {
            let app = topology.app_host(user.visits.first()?)?;
            Some((
                user.address,
                lab.resolve(user.address, &format!("{app}."))?,
                app,
            ))
        });
        if let Some((user, door, app)) = visit {
            let bound = lab.bound(SocketAddr::new(door, public.port));
            let (port, ca) = (bound.port(), folder.path().join("ca.pem"));
            writeln!(
                err,
                "  as a user:    curl --interface {user} --cacert {} --resolve {app}:{port}:{door} \
                 https://{app}:{port}/",
                ca.display(),
            )?;
        }
    }
    let agent = topology.agents.first();
    let command = agent.and_then(|agent| stand_in::command(lab, folder.path(), agent.address));
    if let Some(command) = command {
        writeln!(err, "  a stand-in:   {command}")?;
    }
    writeln!(
        err,
        "  who and why:  twodoors status --state {}",
        folder.path().display()
    )?;
    writeln!(err)?;
    Ok(())
}
