//! The command line: one file per verb, and what they share.
//!
//! Results go to the handed `out`, notes and mistakes to `err`; a verb gives back how the process
//! ends. `main` alone touches the process.

pub mod check;
pub mod client;
pub mod ctl;
pub mod dns;
pub mod explain;
pub mod fault;
mod found;
mod host;
mod html;
pub mod init;
pub mod proxy;
mod reports;
pub mod run;
pub mod schema;
pub mod shell;
pub mod sim;
pub mod state;
pub mod status;
pub mod table;
pub mod up;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::lab::report;

const EXAMPLES: &str = "\
Examples:
  twodoors up                          run the embedded example until Ctrl-C
  twodoors up --log                    and print one line a decision
  twodoors explain dns --from kiosk proxy.example.com
  twodoors init lab && twodoors up lab/scenarios/split-dns.yaml";

/// Tries the separation of internal and external proxy traffic before production does.
#[derive(Debug, Parser)]
#[command(
    name = "twodoors",
    version,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = EXAMPLES
)]
pub struct Cli {
    /// The verb.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What can be asked for.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Runs a lab live until Ctrl-C.
    Up(up::Args),
    /// Plays scenarios live and judges what they expect.
    Run(run::Args),
    /// Plays scenarios in virtual time and judges what they expect.
    Sim(sim::Args),
    /// Shows the state of a running lab.
    Status(status::Args),
    /// Acts on a running lab: stop, start, drain, reload.
    Ctl(ctl::Args),
    /// Sets, shows and lifts faults of a running lab.
    Fault(fault::Args),
    /// Opens a local port to a resource of a running lab, like `tsh proxy`.
    Proxy(proxy::Args),
    /// Runs the DNS server alone, or says what changes between two of its files.
    Dns(dns::Args),
    /// Explains one decision and its reasons; nothing is run.
    Explain(explain::Args),
    /// Checks scenarios.
    Check(check::Args),
    /// Writes the embedded example.
    Init(init::Args),
    /// Prints the JSON Schema of scenario files.
    Schema(schema::Args),
    /// Prints the completions of a shell.
    Completions(shell::CompletionsArgs),
    /// Prints the manual page.
    Man(shell::ManArgs),
}

/// How the process ends; the numbers are part of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All is well.
    Success = 0,
    /// An expectation failed, or a finding of severity error.
    Failed = 1,
    /// Wrong usage, scenario or zone.
    Usage = 2,
    /// It could not run.
    CouldNotRun = 3,
    /// Nothing failed, and not all could be judged.
    Inconclusive = 4,
    /// An interrupted `run` or `sim`, or a second Ctrl-C.
    Interrupted = 130,
}

impl Exit {
    /// Gives the exit of a report's code.
    const fn of(code: u8) -> Self {
        match code {
            report::MET => Self::Success,
            report::FAILED => Self::Failed,
            report::INCONCLUSIVE => Self::Inconclusive,
            _ => Self::Interrupted,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Where a verb writes.
pub struct Io<'a> {
    /// Results.
    pub out: &'a mut dyn Write,
    /// Notes, warnings, mistakes.
    pub err: &'a mut dyn Write,
    /// Whether `out` wants colour.
    pub color: bool,
}

/// Runs a verb.
pub fn run(cli: Cli, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    match cli.verb {
        Verb::Up(args) => up::run(&args, io),
        Verb::Run(args) => run::run(&args, io),
        Verb::Sim(args) => sim::run(&args, io),
        Verb::Status(args) => status::run(&args, io),
        Verb::Ctl(args) => ctl::run(&args, io),
        Verb::Fault(args) => fault::run(&args, io),
        Verb::Proxy(args) => proxy::run(&args, io),
        Verb::Dns(args) => dns::run(&args, io),
        Verb::Explain(args) => explain::run(&args, io),
        Verb::Check(args) => check::run(&args, io),
        Verb::Init(args) => init::run(&args, io),
        Verb::Schema(args) => schema::run(&args, io),
        Verb::Completions(args) => shell::completions(&args, io),
        Verb::Man(args) => shell::man(&args, io),
    }
}

/// Gives the folder that holds the state folders of this user's labs.
fn where_labs_are() -> PathBuf {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    state::base(runtime, &std::env::temp_dir())
}
