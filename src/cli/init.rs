//! `twodoors init`: writes the embedded example to a folder, to be edited.
//!
//! In goes a folder; out come the files in the layout of the repository, so that their paths keep
//! working. It never overwrites.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args as ClapArgs;

use crate::scenario::{embedded, schema};

use super::{Exit, Io};

/// Where the schema goes; the scenario's first lines name it.
const SCHEMA: &str = "scenarios/twodoors.schema.json";

/// Write the embedded example (scenario, zones, Teleport files) to a folder, to edit.
#[derive(Clone, Debug, ClapArgs)]
pub struct Args {
    /// The folder; it is made when missing.
    #[arg(default_value = ".")]
    pub dir: PathBuf,
}

/// Runs the verb.
pub fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    let files: Vec<(PathBuf, &str)> = embedded::ALL
        .iter()
        .copied()
        .chain([(SCHEMA, schema::SCENARIO)])
        .map(|(name, text)| (args.dir.join(name), text))
        .collect();
    let there: Vec<_> = files
        .iter()
        .filter(|(path, _)| path.symlink_metadata().is_ok())
        .collect();
    if !there.is_empty() {
        for (path, _) in there {
            writeln!(io.err, "error: {} is there already", path.display())?;
        }
        writeln!(
            io.err,
            "nothing was written; name another folder: twodoors init DIR"
        )?;
        return Ok(Exit::Usage);
    }
    for (path, text) in &files {
        if let Err(error) = write_new(path, text) {
            writeln!(io.err, "error: {error:#}")?;
            return Ok(Exit::CouldNotRun);
        }
        writeln!(io.out, "{}", path.display())?;
    }
    let scenario = args.dir.join(embedded::SCENARIO);
    writeln!(io.out, "\nNext: twodoors up {}", scenario.display())?;
    Ok(Exit::Success)
}

fn write_new(path: &PathBuf, text: &str) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("the folder {} cannot be made", folder.display()))?;
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .with_context(|| format!("{} cannot be written", path.display()))?;
    file.write_all(text.as_bytes())
        .with_context(|| format!("{} cannot be written", path.display()))
}
