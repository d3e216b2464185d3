//! `twodoors explain`: one decision and its reasons, from a scenario; nothing is run.

mod dial;
mod dns;
mod files;
mod principals;
mod route;

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use super::dns::What as Served;
use super::{Exit, Io, host};
use crate::lab::dns::Source;
use crate::policy::findings;
use crate::scenario;
use crate::scenario::files::Disk;

pub use dial::{DialArgs, dial};
pub use dns::{DnsArgs, dns};
pub use principals::{PrincipalsArgs, principals};
pub use route::{RouteArgs, route};

/// Explain one decision and its reasons; nothing is run.
#[derive(Clone, Debug, ClapArgs)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// Which address an agent dials for its tunnel, by which rule, and whom it believes.
    Dial(DialArgs),
    /// Why a DNS question gets its answer: view, rule, records with file and line.
    Dns {
        /// The scenario; by default the embedded example.
        #[arg(short, long, env = "TWODOORS_SCENARIO", value_name = "FILE")]
        scenario: Option<PathBuf>,

        #[command(flatten)]
        served: Served,

        #[command(flatten)]
        question: DnsArgs,
    },
    /// What a finding means and what to do about it.
    Finding {
        /// Its identifier; without one all are listed.
        id: Option<String>,
    },
    /// Which names the certificates of a proxy carry, in order.
    Principals(PrincipalsArgs),
    /// Which tunnel takes a user's request, or the refusal, at each proxy.
    Route(RouteArgs),
}

/// Runs the verb.
pub fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    match &args.what {
        What::Dial(args) => dial(args, io),
        What::Principals(args) => principals(args, io),
        What::Route(args) => route(args, io),
        What::Dns {
            scenario,
            served,
            question,
        } => {
            let (path, files) = host::source(scenario.as_deref());
            let loaded = match served.source() {
                Some(source) => source.load(&Disk),
                None => Source::Scenario(path).load(&*files),
            };
            match loaded {
                Ok(loaded) => dns(question, &loaded.topology, &loaded.rules, io),
                Err(mistakes) => {
                    for mistake in &mistakes {
                        writeln!(io.err, "error: {mistake}")?;
                    }
                    Ok(Exit::Usage)
                }
            }
        }
        What::Finding { id: None } => {
            for known in findings::KNOWN {
                let mut lines = known.text.lines();
                let said = |line: &&str| !line.starts_with('#') && !line.is_empty();
                let first = lines.find(said);
                let first = first.unwrap_or_default();
                writeln!(io.out, "{:<8} {}: {first}", known.severity, known.id)?;
            }
            Ok(Exit::Success)
        }
        What::Finding { id: Some(id) } => match findings::known(id) {
            Some(known) => {
                writeln!(io.out, "severity: {}\n", known.severity)?;
                io.out.write_all(known.text.as_bytes())?;
                Ok(Exit::Success)
            }
            None => {
                let known: Vec<&str> = findings::KNOWN.iter().map(|known| known.id).collect();
                let cure = scenario::hint::cure(id, &known);
                writeln!(io.err, "error: there is no finding {id:?}; {cure}")?;
                Ok(Exit::Usage)
            }
        },
    }
}
