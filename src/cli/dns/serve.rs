//! Runs the server and takes its signals.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::super::host::print_mistakes;
use super::super::{Exit, Io};
use super::{What, list};
use crate::http::serve_metrics;
use crate::lab::dns::{Options, Refused, Reloaded, Server, Size, too_much};
use crate::lab::limits;
use crate::live::dns::querylog::{Form, Target};
use crate::live::priority::step_back;
use crate::live::tasks::Tasks;
use crate::model::topology::Share;
use crate::policy::answer::Difference;
use crate::scenario::files::Disk;
use crate::scenario::format;

/// How long the end waits for answers that are still to be given.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// How many changes of a reload are told on standard error.
const CHANGES_TOLD: usize = 20;

/// What is served, and where.
#[derive(Args, Clone, Debug)]
pub(super) struct ServeArgs {
    /// Where to listen, UDP and TCP; can be given more than once, port 0 takes a free one. By default
    /// where the views say, or 127.0.0.1:5300.
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Vec<SocketAddr>,

    #[command(flatten)]
    what: What,

    /// Refuse a reload that gives other answers to more than this share of the IPv4 or IPv6
    /// addresses; by default what the views say, or 100%.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    reload_limit: Option<Share>,

    /// Write a line for each query to this file, or to standard output (`-`); SIGHUP opens it again.
    #[arg(long, value_name = "FILE|-")]
    log_queries: Option<PathBuf>,

    /// How these lines are written.
    #[arg(long, value_enum, default_value = "text", requires = "log_queries")]
    log_format: LogFormat,

    /// Serve metrics for Prometheus here, at /metrics.
    #[arg(long, value_name = "ADDR:PORT")]
    metrics: Option<SocketAddr>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Words, near to BIND's.
    Text,
}

fn share(text: &str) -> Result<Share, String> {
    format::share(text).map_err(|wrong| wrong.to_string())
}

/// Runs the server until it is told to end.
pub(super) fn run(args: &ServeArgs, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    let Some(source) = args.what.source() else {
        writeln!(
            io.err,
            "error: nothing to serve; give --zone ORIGIN=FILE or --views FILE (`twodoors dns --help`)"
        )?;
        return Ok(Exit::Usage);
    };
    // Signals are caught from here on, so that none is lost while zones are read.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // What they serve waits for datagrams, which take less time. The workers of those are started
        // by the main thread, which stays in front.
        .on_thread_start(step_back)
        .build()?;
    let signals = runtime.block_on(async { Signals::catch() })?;
    let loaded = match source.load(&Disk) {
        Ok(loaded) => loaded,
        Err(mistakes) => return print_mistakes(&mistakes, io),
    };
    for warning in &loaded.warnings {
        writeln!(io.err, "warning: {warning}")?;
    }
    if let Err(why) = limits::raise(&loaded.topology) {
        writeln!(io.err, "error: {why}")?;
        return Ok(Exit::CouldNotRun);
    }
    let options = Options {
        source,
        loaded,
        files: Arc::new(Disk),
        listen: args.listen.clone(),
        reload_limit: args.reload_limit,
        log: args.log_queries.as_deref().map(|path| {
            let target = match path.to_str() {
                Some("-") => Target::Out,
                _ => Target::File(path.to_path_buf()),
            };
            let form = match args.log_format {
                LogFormat::Json => Form::Json,
                LogFormat::Text => Form::Text,
            };
            (target, form)
        }),
    };
    let served = runtime.block_on(Box::pin(serve(args, options, signals, io)));
    // A reload that is still reading is not waited for.
    runtime.shutdown_background();
    served
}

async fn serve(
    args: &ServeArgs,
    options: Options,
    mut signals: Signals,
    io: &mut Io<'_>,
) -> anyhow::Result<Exit> {
    let page = match args.metrics {
        None => None,
        Some(address) => match TcpListener::bind(address).await {
            Ok(page) => Some(page),
            Err(error) => {
                writeln!(
                    io.err,
                    "error: the metrics cannot listen on {address}: {error}; choose another address \
                     with --metrics"
                )?;
                return Ok(Exit::CouldNotRun);
            }
        },
    };
    if let Some(address) = args.metrics.filter(|address| !address.ip().is_loopback()) {
        writeln!(
            io.err,
            "warning: the metrics listen on {address}, which others may reach"
        )?;
    }
    let server = match Server::start(options) {
        Ok(server) => Arc::new(server),
        Err(error) => {
            writeln!(io.err, "error: {error}")?;
            return Ok(Exit::CouldNotRun);
        }
    };
    let (tasks, shutdown) = (Tasks::new(), CancellationToken::new());
    let metrics = page.as_ref().map(TcpListener::local_addr).transpose()?;
    if let Some(page) = page {
        let journal = server.journal().clone();
        tasks.spawn_watching(serve_metrics(page, journal, shutdown.clone()));
    }
    let rules = server.rules();
    let Size { zones, records } = Size::of(&rules);
    let metrics = metrics.map(|address| format!(" metrics={address}"));
    writeln!(
        io.out,
        "ready dns={} zones={zones} records={records} generation={}{}",
        list(server.addresses()),
        rules.generation,
        metrics.unwrap_or_default()
    )?;
    io.out.flush()?;
    drop(rules);
    let ended = operate(&server, &mut signals, io).await;
    shutdown.cancel();
    let stopped = tokio::time::timeout(DRAIN_MAX, async {
        server.stop().await;
        tasks.finish().await;
    });
    let exit = tokio::select! {
        stopped = stopped => {
            if stopped.is_err() {
                writeln!(io.err, "some clients did not take their answers in {DRAIN_MAX:?}")?;
            }
            Exit::Success
        }
        () = signals.end() => Exit::Interrupted,
    };
    ended?;
    Ok(exit)
}

/// The signals of the server.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn catch() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits until the process is told to end.
    async fn end(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Takes signals until the server is to end. A reload goes on beside them; a second one asked for
/// meanwhile comes after it, further ones are the same as that.
async fn operate(
    server: &Arc<Server>,
    signals: &mut Signals,
    io: &mut Io<'_>,
) -> anyhow::Result<()> {
    let mut reload: Option<JoinHandle<Result<Reloaded, Refused>>> = None;
    let mut again = false;
    loop {
        if again && reload.is_none() {
            again = false;
            let server = Arc::clone(server);
            reload = Some(tokio::task::spawn_blocking(move || server.reload()));
        }
        let done = async {
            match reload.as_mut() {
                Some(reload) => reload.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = signals.interrupt.recv() => return Ok(()),
            _ = signals.terminate.recv() => return Ok(()),
            _ = signals.hangup.recv() => again = true,
            ended = done => {
                reload = None;
                told(server, ended?, io)?;
            }
        }
    }
}

/// Says what came of a reload: a line for programs, the rest for people.
fn told(server: &Server, ended: Result<Reloaded, Refused>, io: &mut Io<'_>) -> anyhow::Result<()> {
    match ended {
        Ok(reloaded) => {
            let Reloaded {
                generation,
                difference,
                warnings,
            } = reloaded;
            for warning in &warnings {
                writeln!(io.err, "warning: {warning}")?;
            }
            changes(&difference, io)?;
            let count = difference.count();
            let (four, six) = (difference.four, difference.six);
            writeln!(
                io.out,
                "reloaded generation={generation} changed={count} ipv4={four} ipv6={six}"
            )?;
        }
        Err(refused) => {
            let generation = server.rules().generation;
            let why = match refused {
                Refused::Mistakes(mistakes) => {
                    for mistake in &mistakes {
                        writeln!(io.err, "error: {mistake}")?;
                    }
                    format!("mistakes={}", mistakes.len())
                }
                Refused::TooMuch { difference, limit } => {
                    changes(&difference, io)?;
                    writeln!(io.err, "error: {}", too_much(&difference, limit))?;
                    let (four, six) = (difference.four, difference.six);
                    format!("ipv4={four} ipv6={six} limit={limit}")
                }
            };
            writeln!(
                io.err,
                "nothing was reloaded; generation {generation} stays in force"
            )?;
            writeln!(io.out, "refused generation={generation} {why}")?;
        }
    }
    io.out.flush()?;
    Ok(())
}

/// Tells the first changes.
fn changes(difference: &Difference, io: &mut Io<'_>) -> anyhow::Result<()> {
    for change in difference.summary().iter().take(CHANGES_TOLD) {
        writeln!(io.err, "changed: {change}")?;
    }
    let more = difference.count().saturating_sub(CHANGES_TOLD);
    if more > 0 {
        writeln!(
            io.err,
            "changed: {more} more (`twodoors dns diff` lists them)"
        )?;
    }
    Ok(())
}
