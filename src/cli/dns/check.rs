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
        let sound = sizes.is_some() && (!args.strict || warnings.is_empty());
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

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, run};

    const GOOD: &str = "tests/fixtures/zones/private/other.test.zone";

    /// Runs the verb over zones; gives its exit, `out` and `err`.
    fn check(arguments: &[&str]) -> (Exit, String, String) {
        let words = [&["twodoors", "dns", "check"], arguments].concat();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut io = Io {
            out: &mut out,
            err: &mut err,
            color: false,
        };
        let exit = run(Cli::try_parse_from(words).unwrap(), &mut io).unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (exit, text(out), text(err))
    }

    #[test]
    fn a_zone_that_can_be_served_is_counted() {
        let zone = format!("other.test={GOOD}");
        let (exit, out, err) = check(&["--zone", &zone]);
        assert_eq!(exit, Exit::Success, "{err}");
        assert!(out.starts_with("other.test.: "), "{out}");
        assert!(
            out.contains(" records, ") && out.contains(", serial "),
            "{out}"
        );
    }

    #[test]
    fn one_zone_of_two_that_cannot_be_served_is_enough_for_2() {
        let good = format!("other.test={GOOD}");
        // Its names are not below this origin.
        let zones = [
            "--zone",
            &good,
            "--zone",
            "wrong.test=zones/public/example.com.zone",
        ];
        let (exit, out, err) = check(&zones);
        assert_eq!(exit, Exit::Usage);
        assert!(out.contains("wrong.test.: cannot be served, "), "{out}");
        let place = "zones/public/example.com.zone:";
        assert!(err.lines().any(|line| line.starts_with(place)), "{err}");
        let (exit, ..) = check(&["--zone", "a.test=nowhere.zone"]);
        assert_eq!(exit, Exit::Usage);
    }

    #[test]
    fn json_holds_counts_and_places() {
        let good = format!("other.test={GOOD}");
        let (exit, out, err) = check(&["--json", "--zone", &good, "--zone", "a.test=nowhere.zone"]);
        let document: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((exit, err.as_str()), (Exit::Usage, ""));
        assert_eq!(document["schema"], "twodoors.dns-check/1");
        assert_eq!(document["passed"], false);
        let [good, bad] = [&document["zones"][0], &document["zones"][1]];
        assert!(
            good["passed"] == true && good["records"].as_u64() > Some(2),
            "{good}"
        );
        assert_eq!(bad["mistakes"][0]["line"], 1);
        assert!(bad.get("records").is_none(), "{bad}");
    }

    #[test]
    fn strict_counts_warnings() {
        let folder = std::env::temp_dir().join(format!("twodoors-check-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("zone");
        let text = "$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\na_b A 192.0.2.1\n";
        std::fs::write(&file, text).unwrap();
        let zone = format!("example.test={}", file.display());
        let (lenient, out, err) = check(&["--zone", &zone]);
        let (strict, ..) = check(&["--strict", "--zone", &zone]);
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!((lenient, strict), (Exit::Success, Exit::Usage));
        assert!(
            err.contains(":5:1: underscore-in-name: a_b.example.test."),
            "{err}"
        );
        assert!(
            out.ends_with("4 records, 3 names, serial 1, 1 warning\n"),
            "{out}"
        );
    }
}
