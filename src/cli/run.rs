//! `twodoors run`: plays scenarios live and judges what they expect.
//!
//! Each runs as `up` runs it, with page and state folder, so that one can watch; by default on free
//! ports and in a folder of its own. The exit code is that of the worst.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args as ClapArgs;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::host::{Hand, print_mistakes, state_folder, token, write_state};
use super::html;
use super::reports::{self, Outcome, Reports, Scenario, Where};
use super::{Exit, Io, where_labs_are};
use crate::http::Server;
use crate::http::source::Source;
use crate::lab::conduct::Conductor;
use crate::lab::record::{RecordError, Recorder};
use crate::lab::report::Report;
use crate::lab::{Lab, Options, limits, trial};
use crate::live::runner::Tap;
use crate::model::draw::Seed;

const EXAMPLES: &str = "\
Examples:
  twodoors run                                       the embedded example
  twodoors run lab/scenarios/*.yaml --junit lab.xml  one after another, for a CI server
  twodoors run lab/scenarios/split-dns.yaml --json | jq .exit_code

Exit codes: 0 all expectations met, 1 one failed, 2 wrong scenario, 3 could not run,
4 inconclusive, 130 interrupted.";

/// Play scenarios live and judge what they expect.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The scenarios, one after another; without one the embedded example.
    pub scenario: Vec<PathBuf>,

    #[command(flatten)]
    to: Where,

    /// The seed of every draw instead of the scenario's own.
    #[arg(long, value_name = "N", conflicts_with = "record")]
    pub seed: Option<u64>,

    /// Where DNS listens; a free port of the scenario's address by default.
    #[arg(long, env = "TWODOORS_DNS", value_name = "ADDR:PORT")]
    pub dns: Option<SocketAddr>,

    /// Where the page and the API listen; a free port by default.
    #[arg(long, env = "TWODOORS_HTTP", value_name = "ADDR:PORT")]
    pub http: Option<SocketAddr>,

    /// The state folder; by default one of its own, which goes with the run.
    #[arg(long, env = "TWODOORS_STATE", value_name = "DIR")]
    pub state: Option<PathBuf>,

    /// Record the inputs of every machine, one JSON object a line; of one scenario.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
}

/// Runs the verb.
pub fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    if args.record.is_some() && args.scenario.len() > 1 {
        writeln!(
            io.err,
            "error: a recording holds one scenario; run them one by one with --record"
        )?;
        return Ok(Exit::Usage);
    }
    let scenarios = match reports::load_all(&args.scenario, io)? {
        Ok(scenarios) => scenarios,
        Err(exit) => return Ok(exit),
    };
    if let Some(exit) = html::refuse(args.to.html.as_deref(), &scenarios, false, io)? {
        return Ok(exit);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let mut reports = Reports::new(&args.to, scenarios.len());
    let mut broke = None;
    for scenario in scenarios {
        match runtime.block_on(Box::pin(one(args, scenario, io)))? {
            Ok((report, written)) => {
                reports.take(written, io)?;
                if !reports.add(Outcome::One(Box::new(report)), io)? {
                    break;
                }
            }
            // What was judged before is written all the same.
            Err(exit) => {
                broke = Some(exit);
                break;
            }
        }
    }
    reports.finish(broke, io)
}

/// A run, and what came of writing it as HTML.
type Played = (Report, anyhow::Result<()>);

/// Plays one scenario; `Err` is how the process ends when it could not be played.
async fn one(
    args: &Args,
    scenario: Scenario,
    io: &mut Io<'_>,
) -> anyhow::Result<Result<Played, Exit>> {
    let Scenario {
        path,
        files,
        loaded,
        ..
    } = scenario;
    if let Err(why) = limits::raise(&loaded.topology) {
        writeln!(io.err, "error: {why}")?;
        return Ok(Err(Exit::CouldNotRun));
    }
    let recorder = match &args.record {
        None => None,
        Some(file) => match Recorder::create(file, &path, &*files, &loaded.topology) {
            Ok(recorder) => Some(Arc::new(recorder)),
            Err(RecordError::Mistakes(mistakes)) => {
                return print_mistakes(&mistakes, io).map(Err);
            }
            Err(error) => {
                writeln!(io.err, "error: {error}")?;
                return Ok(Err(Exit::CouldNotRun));
            }
        },
    };
    let loaded = match args.seed {
        Some(seed) => loaded.with_seed(Seed(seed)),
        None => loaded,
    };
    let free = SocketAddr::new(loaded.topology.dns.listen.ip(), 0);
    let options = Options {
        path: path.clone(),
        files,
        dns: Some(args.dns.unwrap_or(free)),
        loaded,
        tap: recorder.clone().map(|recorder| recorder as Arc<dyn Tap>),
    };
    let played = watched(args, options, io).await;
    if let Some(recorder) = recorder {
        recorder.finish().context("the recording")?;
    }
    played
}

/// Starts the lab with its page, plays it, and takes it down.
async fn watched(
    args: &Args,
    options: Options,
    io: &mut Io<'_>,
) -> anyhow::Result<Result<Played, Exit>> {
    // Caught from here on, so that none is lost while the lab starts.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let http = args.http.unwrap_or(free);
    let page = match TcpListener::bind(http).await {
        Ok(page) => page,
        Err(error) => {
            writeln!(
                io.err,
                "error: the page cannot listen on {http}: {error}; leave --http out to take a free \
                 port"
            )?;
            return Ok(Err(Exit::CouldNotRun));
        }
    };
    let http = page.local_addr()?;
    let own = || {
        where_labs_are().join(format!(
            "{}-{}",
            options.loaded.topology.name,
            std::process::id()
        ))
    };
    let folder = state_folder(&args.state.clone().unwrap_or_else(own))?;
    let (path, embedded) = (options.path.clone(), args.scenario.is_empty());
    let listed = options.listed(embedded);
    let lab = match Lab::start(options).await {
        Ok(lab) => Arc::new(lab),
        Err(error) => {
            writeln!(io.err, "error: {error}")?;
            return Ok(Err(Exit::CouldNotRun));
        }
    };
    let conductor = Conductor::start(&lab);
    let Ok(token) = token(http, None) else {
        writeln!(
            io.err,
            "error: others may reach {http}; give --http an address of 127.0.0.0/8"
        )?;
        return Ok(Err(Exit::Usage));
    };
    write_state(&folder, &lab, http, &token)?;
    let stop = CancellationToken::new();
    let shown = Source {
        scenario: Some(Arc::new(listed)),
        ..Source::live(&lab)
    };
    let server = Server {
        source: shown.clone(),
        control: Arc::new(Hand::new(&lab, conductor.clone(), embedded)),
        token,
        allow_hosts: Vec::new(),
        web_dir: None,
    };
    let page = server.serve(page, stop.clone());
    tokio::pin!(page);
    note(&lab, http, io)?;
    let interrupted = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    let playing = trial::play(&lab, &conductor, &path, interrupted);
    tokio::pin!(playing);
    // The page is served until it is told to stop.
    let played = tokio::select! {
        played = &mut playing => played,
        () = &mut page => anyhow::bail!("the page ended before the run"),
    };
    stop.cancel();
    let whole = or_again(async {
        page.await;
        lab.stop().await;
    });
    let whole = whole.await?;
    folder.close();
    if args.state.is_none()
        && let Err(error) = std::fs::remove_dir_all(folder.path())
    {
        tracing::debug!(%error, "left a state folder");
    }
    if !whole {
        return Ok(Err(Exit::Interrupted));
    }
    match played {
        Ok(report) => {
            let written = args.to.html.as_deref();
            let written = written.map(|file| html::write(file, &shown, &report));
            Ok(Ok((report, written.unwrap_or(Ok(())))))
        }
        Err(failures) => {
            for failure in failures {
                writeln!(
                    io.err,
                    "error: the lab could not do a step of the timeline: {failure}"
                )?;
            }
            Ok(Err(Exit::CouldNotRun))
        }
    }
}

/// Says where one can watch, and how long it takes.
fn note(lab: &Lab, http: SocketAddr, io: &mut Io<'_>) -> anyhow::Result<()> {
    let topology = lab.topology();
    writeln!(
        io.err,
        "{}: plays for {}, watch it on http://{http}/",
        topology.name, topology.duration
    )?;
    Ok(())
}

/// Waits for an end, or for a second Ctrl-C; tells whether it was the end.
async fn or_again(end: impl Future<Output = ()>) -> anyhow::Result<bool> {
    let mut again = signal(SignalKind::interrupt())?;
    Ok(tokio::select! {
        () = end => true,
        _ = again.recv() => false,
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::{Cli, Verb};

    fn parses(words: &str) -> bool {
        let words = ["twodoors", "run"]
            .into_iter()
            .chain(words.split_whitespace());
        let cli = Cli::try_parse_from(words);
        matches!(cli.map(|cli| cli.verb), Ok(Verb::Run(_)))
    }

    #[test]
    fn a_recording_has_the_scenarios_own_seed() {
        assert!(parses("a.yaml --record r.jsonl"));
        assert!(parses(
            "a.yaml b.yaml --seed 7 --junit j.xml --report r.json --json"
        ));
        assert!(!parses("a.yaml --record r.jsonl --seed 7"));
    }
}
