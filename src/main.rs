//! The edge of the process: arguments, streams, exit code. Nothing else.

use std::io::{self, ErrorKind, IsTerminal};
use std::process::ExitCode;

use clap::Parser;

use twodoors::cli::{self, Cli, Exit, Io};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let color = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut out = io::stdout();
    let mut err = io::stderr();
    let mut io = Io {
        out: &mut out,
        err: &mut err,
        color,
    };
    match cli::run(cli, &mut io).and_then(|exit| Ok(io.out.flush().map(|()| exit)?)) {
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

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == ErrorKind::BrokenPipe)
}
