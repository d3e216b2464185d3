//! `twodoors dns`: the DNS server alone, without a lab and without a page.
//!
//! Prints one `ready` line for programs on `out`, words for people on `err`. SIGHUP reads everything
//! again; SIGINT and SIGTERM answer what has come and end with 0; a second one ends at once.

mod check;
mod diff;
mod serve;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, Subcommand};

use super::{Exit, Io};
use crate::lab::dns::Source;
use crate::model::topology::{Miss, ZoneSource};
use crate::policy::zone::read_name;

const EXAMPLES: &str = "\
Examples:
  twodoors dns --zone example.com=zones/everyone/example.com.zone
  twodoors dns --views views.yaml --listen 127.0.0.1:5300 --listen '[::1]:5300'
  twodoors dns --views views.yaml --listen 127.0.0.1:0     on a free port; the `ready` line names it
  kill -HUP $(pgrep -x twodoors)                           read views and zones again
  twodoors dns diff old/views.yaml views.yaml              what would change, and for whom

A file of views holds what `dns:` of a scenario holds, as top-level keys:
  networks: {office: [10.0.0.0/8]}
  views:
    - {name: private, match: [office], zones: [private/example.com.zone]}
    - {name: public, match: [any], zones: [public/example.com.zone]}";

/// Run the DNS server alone.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    deed: Option<Deed>,

    #[command(flatten)]
    serve: serve::ServeArgs,
}

/// What else can be done with zones.
#[derive(Clone, Debug, Subcommand)]
enum Deed {
    /// Checks zones: prints every mistake and warning with its place; nothing is served.
    Check(check::Args),
    /// Says which clients get which other answers when one set of zones takes the place of another.
    Diff(diff::DiffArgs),
}

/// What to serve.
#[derive(Clone, Debug, ClapArgs)]
pub(super) struct What {
    /// A zone that everybody gets: its name and its master file; can be given more than once.
    #[arg(long = "zone", value_name = "ORIGIN=FILE", value_parser = zone, conflicts_with = "views")]
    zones: Vec<ZoneSource>,

    /// A file of views, see below.
    #[arg(long, value_name = "FILE")]
    views: Option<PathBuf>,
}

impl What {
    /// Gives where views and zones come from; `None` when nothing is named.
    pub(super) fn source(&self) -> Option<Source> {
        match &self.views {
            Some(path) => Some(Source::Views(path.clone())),
            None if self.zones.is_empty() => None,
            None => Some(Source::Zones(self.zones.clone())),
        }
    }
}

/// Reads `ORIGIN=FILE`.
fn zone(text: &str) -> Result<ZoneSource, String> {
    let Some((origin, file)) = text.split_once('=').filter(|(_, file)| !file.is_empty()) else {
        return Err(String::from(
            "write it like example.com=zones/example.com.zone",
        ));
    };
    let origin = read_name(origin)?;
    Ok(ZoneSource {
        origin: origin.lower().to_ascii(),
        file: Path::new(file).to_path_buf(),
        miss: Miss::Nxdomain,
    })
}

/// Writes addresses as the `ready` line has them.
pub(super) fn list(addresses: &[SocketAddr]) -> String {
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    addresses.join(",")
}

/// Runs the verb.
pub fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    match &args.deed {
        Some(Deed::Check(args)) => check::run(args, io),
        Some(Deed::Diff(args)) => diff::run(args, io),
        None => serve::run(&args.serve, io),
    }
}
