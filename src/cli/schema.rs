//! `twodoors schema`: prints the JSON Schema of scenario files, for editors.

use clap::Args as ClapArgs;

use crate::scenario::schema;

use super::{Exit, Io};

/// Print the JSON Schema of scenario files.
///
/// Example: `twodoors schema > scenarios/twodoors.schema.json`, and in the scenario a first line
/// `# yaml-language-server: $schema=./twodoors.schema.json`.
#[derive(Clone, Debug, ClapArgs)]
pub struct Args {}

/// Runs the verb.
pub fn run(_args: &Args, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    io.out.write_all(schema::SCENARIO.as_bytes())?;
    Ok(Exit::Success)
}
