//! The edge of the process: arguments, logging, streams, exit code. Nothing else.

use std::io::{self, ErrorKind, IsTerminal};
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use twodoors::cli::{self, Cli, Exit, Io};

/// What developers see on standard error unless `TWODOORS_TRACE` says otherwise. hickory says two
/// lines a query at its INFO.
const TRACE: &str =
    "warn,hickory_server=error,hickory_resolver=error,hickory_net=error,russh=error";

fn main() -> ExitCode {
    let cli = Cli::parse();
    let wanted = std::env::var("TWODOORS_TRACE").ok();
    let filter: Option<Targets> = wanted.and_then(|wanted| wanted.parse().ok());
    let filter = filter.unwrap_or_else(|| TRACE.parse().expect("the default is a list of levels"));
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal() && wants_color());
    tracing_subscriber::registry()
        .with(filter)
        .with(layer)
        .init();
    let mut out = io::stdout();
    let mut err = io::stderr();
    let color = out.is_terminal() && wants_color();
    let mut io = Io {
        out: &mut out,
        err: &mut err,
        color,
    };
    let ended = cli::run(cli, &mut io);
    // Whoever has left before the last byte takes no verdict away.
    let flushed = io.out.flush().or_else(|error| {
        let left = error.kind() == ErrorKind::BrokenPipe;
        if left { Ok(()) } else { Err(error) }
    });
    match ended.and_then(|exit| Ok(flushed.map(|()| exit)?)) {
        Ok(exit) => exit.into(),
        // Whoever reads the output has seen enough: `twodoors schema | head`.
        Err(error) if is_closed_pipe(&error) => Exit::Success.into(),
        Err(error) => {
            // Standard error may be closed too; the exit code says it all the same.
            let _ = writeln!(io.err, "error: {error:#}");
            Exit::CouldNotRun.into()
        }
    }
}

/// `NO_COLOR` counts when it is set and not empty.
fn wants_color() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == ErrorKind::BrokenPipe)
}
