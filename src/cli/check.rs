//! `twodoors check`: reads scenarios, prints every mistake, or what the scenario resolves to.
//!
//! Mistakes and warnings go to `err`, one a line; the resolved topology to `out`. With `--json` all
//! of it is one document on `out`.

mod json;
mod text;

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

use crate::lab::load::{Loaded, load};
use crate::model::mistake::Mistake;
use crate::scenario::embedded;
use crate::scenario::files::Disk;

use super::{Exit, Io};

/// Check scenarios: print every mistake with its place, or the resolved lab.
#[derive(Clone, Debug, ClapArgs)]
pub struct Args {
    /// Scenario files; without one the embedded example is checked.
    pub scenarios: Vec<PathBuf>,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Runs the verb.
pub fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    let examined: Vec<(PathBuf, Examined)> = if args.scenarios.is_empty() {
        let path = PathBuf::from(embedded::SCENARIO);
        let examined = load(&path, &embedded::FILES);
        vec![(path, examined)]
    } else {
        let each = args.scenarios.iter();
        each.map(|path| (path.clone(), load(path, &Disk))).collect()
    };
    if args.json {
        writeln!(io.out, "{:#}", json::document(&examined))?;
    } else {
        for (index, (path, examined)) in examined.iter().enumerate() {
            if index > 0 {
                writeln!(io.out)?;
            }
            print(path, examined, io)?;
        }
    }
    let sound = examined.iter().all(|(_, examined)| examined.is_ok());
    Ok(if sound { Exit::Success } else { Exit::Usage })
}

/// A scenario without mistakes, or its mistakes.
type Examined = Result<Loaded, Vec<Mistake>>;

fn print(path: &Path, examined: &Examined, io: &mut Io<'_>) -> std::io::Result<()> {
    match examined {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                writeln!(io.err, "warning: {warning}")?;
            }
            text::topology(path, &loaded.topology, io.out)
        }
        Err(mistakes) => mistakes
            .iter()
            .try_for_each(|mistake| writeln!(io.err, "{mistake}")),
    }
}
