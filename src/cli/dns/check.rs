//! `twodoors dns check`: reads zones and says what is wrong or looks wrong; nothing is served.
//!
//! One line a zone goes to `out`; mistakes and warnings to `err`, one a line. With `--json` all of
//! it is one document on `out`. It ends with 0 when every zone can be served, with 2 otherwise.

use clap::Args as ClapArgs;
use serde_json::{Value, json};

use super::zone;
use crate::cli::{Exit, Io};
use crate::model::mistake::Mistake;
use crate::model::topology::ZoneSource;
use crate::policy::zone::{Loaded, Zone};
use crate::scenario::files::Disk;

/// Check zones: print every mistake and warning with its place; nothing is served.
#[derive(Clone, Debug, ClapArgs)]
pub(super) struct Args {
    /// A zone: its name and its master file; can be given more than once.
    #[arg(long = "zone", value_name = "ORIGIN=FILE", value_parser = zone, required = true)]
    zones: Vec<ZoneSource>,

    /// Exit with 2 for warnings, too.
    #[arg(long)]
    strict: bool,

    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What is told of a zone that can be served.
struct Sizes {
    records: usize,
    names: usize,
    serial: Option<u32>,
}

/// Runs the verb.
pub(super) fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    let mut passed = true;
    let mut documents = Vec::new();
    for source in &args.zones {
        let Loaded {
            zone,
            mistakes,
            warnings,
        } = Zone::load(source, &Disk);
        let sizes = zone.as_ref().map(sizes);
        // A large zone goes before the next is read.
        drop(zone);
        let sound = sizes.is_some() && !(args.strict && !warnings.is_empty());
        passed &= sound;
        if args.json {
            documents.push(document(source, sizes, sound, &mistakes, &warnings));
            continue;
        }
        for mistake in &mistakes {
            writeln!(io.err, "{mistake}")?;
        }
        for warning in &warnings {
            writeln!(io.err, "warning: {warning}")?;
        }
        let warned = counted(warnings.len(), "warning");
        match sizes {
            Some(sizes) => {
                let (records, names) = (
                    counted(sizes.records, "record"),
                    counted(sizes.names, "name"),
                );
                let serial = sizes.serial.unwrap_or(0);
                let zone = &source.origin;
                writeln!(
                    io.out,
                    "{zone}: {records}, {names}, serial {serial}, {warned}"
                )?;
            }
            None => {
                let told = counted(mistakes.len(), "mistake");
                writeln!(
                    io.out,
                    "{}: cannot be served, {told}, {warned}",
                    source.origin
                )?;
            }
        }
    }
    if args.json {
        let document = json!({
            "schema": "twodoors.dns-check/1",
            "passed": passed,
            "zones": documents,
        });
        writeln!(io.out, "{document:#}")?;
    }
    Ok(if passed { Exit::Success } else { Exit::Usage })
}

fn sizes(zone: &Zone) -> Sizes {
    let sets = zone.nodes().flat_map(|node| node.sets());
    Sizes {
        records: sets.map(|set| set.items().len()).sum(),
        names: zone.size(),
        serial: zone.serial(),
    }
}

fn counted(count: usize, word: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {word}{ending}")
}

fn document(
    source: &ZoneSource,
    sizes: Option<Sizes>,
    passed: bool,
    mistakes: &[Mistake],
    warnings: &[Mistake],
) -> Value {
    let mut document = json!({
        "origin": source.origin,
        "file": source.file.display().to_string(),
        "passed": passed,
        "mistakes": places(mistakes),
        "warnings": places(warnings),
    });
    if let Some(sizes) = sizes {
        document["records"] = json!(sizes.records);
        document["names"] = json!(sizes.names);
        document["serial"] = json!(sizes.serial);
    }
    document
}

fn places(mistakes: &[Mistake]) -> Vec<Value> {
    let each = mistakes.iter().map(|mistake| {
        json!({
            "file": mistake.place.file.display().to_string(),
            "line": mistake.place.line,
            "column": mistake.place.column,
            "what": mistake.what,
            "cure": mistake.cure,
        })
    });
    each.collect()
}
