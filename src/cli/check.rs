//! `twodoors check`: reads scenarios, prints every mistake, or what the scenario resolves to and
//! what an operator should know of it.
//!
//! Mistakes and warnings go to `err`, one a line; the resolved topology to `out`. With `--json` all
//! of it is one document on `out`.

mod findings;
mod json;
mod text;
mod words;

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

use crate::lab::found::{self, Found};
use crate::lab::load::{Loaded, load};
use crate::model::finding::Severity;
use crate::model::mistake::{Files, Mistake};
use crate::scenario::embedded;
use crate::scenario::files::Disk;

use super::{Exit, Io};

/// Check scenarios: print every mistake with its place, or the resolved lab and its findings.
#[derive(Clone, Debug, ClapArgs)]
pub struct Args {
    /// Scenario files; without one the embedded example is checked.
    pub scenarios: Vec<PathBuf>,

    /// Exit with 1 for findings of severity warning, too.
    #[arg(long)]
    pub strict: bool,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Runs the verb.
pub fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    let look = |path: &Path, files: &dyn Files| {
        load(path, files).map(|loaded| Sound {
            found: found::findings(&loaded),
            loaded,
        })
    };
    let examined: Vec<(PathBuf, Examined)> = if args.scenarios.is_empty() {
        let path = PathBuf::from(embedded::SCENARIO);
        let examined = look(&path, &embedded::FILES);
        vec![(path, examined)]
    } else {
        let each = args.scenarios.iter();
        each.map(|path| (path.clone(), look(path, &Disk))).collect()
    };
    if args.json {
        writeln!(io.out, "{:#}", json::document(&examined, args.strict))?;
    } else {
        for (index, (path, examined)) in examined.iter().enumerate() {
            if index > 0 {
                writeln!(io.out)?;
            }
            print(path, examined, io)?;
        }
    }
    let mut exit = Exit::Success;
    for (_, examined) in &examined {
        match examined {
            Ok(sound) if sound.passes(args.strict) => {}
            Ok(_) => exit = Exit::Failed,
            Err(_) => return Ok(Exit::Usage),
        }
    }
    Ok(exit)
}

/// A scenario without mistakes.
struct Sound {
    loaded: Loaded,
    found: Vec<Found>,
}

impl Sound {
    /// Tells whether no finding is grave enough to fail.
    fn passes(&self, strict: bool) -> bool {
        let mut found = self.found.iter().map(|found| found.finding.severity);
        found.all(|severity| match severity {
            Severity::Error => false,
            Severity::Warning => !strict,
            Severity::Notice => true,
        })
    }
}

/// A scenario without mistakes, or its mistakes.
type Examined = Result<Sound, Vec<Mistake>>;

fn print(path: &Path, examined: &Examined, io: &mut Io<'_>) -> std::io::Result<()> {
    match examined {
        Ok(Sound { loaded, found }) => {
            for warning in &loaded.warnings {
                writeln!(io.err, "warning: {warning}")?;
            }
            text::topology(path, &loaded.topology, io.out)?;
            findings::write(found, io.out)
        }
        Err(mistakes) => mistakes
            .iter()
            .try_for_each(|mistake| writeln!(io.err, "{mistake}")),
    }
}
