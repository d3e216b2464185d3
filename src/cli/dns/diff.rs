//! `twodoors dns diff`: which clients get which other answers; nothing is run.
//!
//! In go two files of views, two scenarios, or two files of one zone; out come groups of clients, each
//! with the record sets before and after. Exit 0 when nothing differs, 1 when something does, 2 for
//! mistakes in either.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::super::host::print_mistakes;
use super::super::{Exit, Io};
use crate::lab::dns::Source;
use crate::model::id::Name;
use crate::model::topology::{Miss, ZoneSource};
use crate::policy::answer::{Change, Contents, Difference, Fate, Group, Words};
use crate::policy::zone::{read_name, type_word};
use crate::scenario::files::Disk;

/// How many entries of a list are shown unless all are wanted.
const SHOWN: usize = 20;

const EXAMPLES: &str = "\
Examples:
  twodoors dns diff old/views.yaml new/views.yaml
  twodoors dns diff --json scenarios/split-dns.yaml changed.yaml
  twodoors dns diff --zone example.com old.zone new.zone     everybody gets that zone";

/// Say what changes between two sets of zones, and for which clients.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct DiffArgs {
    /// What is in force: a file of views or a scenario; with --zone a master file.
    old: PathBuf,

    /// What would take its place.
    new: PathBuf,

    /// Both files are master files of this zone.
    #[arg(long, value_name = "ORIGIN")]
    zone: Option<String>,

    /// Shows every prefix, view and record set.
    #[arg(long)]
    all: bool,

    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Compares.
pub(super) fn run(args: &DiffArgs, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    let origin = args.zone.as_deref().map(read_name).transpose();
    let origin = match origin {
        Ok(origin) => origin.map(|origin| origin.lower().to_ascii()),
        Err(what) => {
            writeln!(io.err, "error: --zone: {what}")?;
            return Ok(Exit::Usage);
        }
    };
    let load = |path: &Path| {
        let source = match &origin {
            Some(origin) => Source::Zones(vec![ZoneSource {
                origin: origin.clone(),
                file: path.to_path_buf(),
                miss: Miss::Nxdomain,
            }]),
            None => Source::of(path, &Disk),
        };
        source.load(&Disk)
    };
    let (old, new) = match (load(&args.old), load(&args.new)) {
        (Ok(old), Ok(new)) => (old, new),
        (old, new) => {
            let mistakes = [old.err(), new.err()].into_iter().flatten();
            let mistakes: Vec<_> = mistakes.flatten().collect();
            return print_mistakes(&mistakes, io);
        }
    };
    let difference = Difference::between(&old.rules, &new.rules);
    if args.json {
        let value = as_json(&difference);
        writeln!(io.out, "{}", serde_json::to_string_pretty(&value)?)?;
    } else {
        let shown = if args.all { usize::MAX } else { SHOWN };
        io.out.write_all(as_text(&difference, shown)?.as_bytes())?;
    }
    Ok(if difference.is_empty() {
        Exit::Success
    } else {
        Exit::Failed
    })
}

fn as_text(difference: &Difference, shown: usize) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    if difference.is_empty() {
        return Ok(String::from("nothing differs\n"));
    }
    for setting in &difference.settings {
        writeln!(text, "{setting}")?;
    }
    for group in &difference.groups {
        if !text.is_empty() {
            writeln!(text)?;
        }
        write_group(group, shown, &mut text)?;
    }
    if difference.groups.is_empty() {
        // A view whose clients all go elsewhere.
        let names = difference.count() - difference.settings.len();
        writeln!(text, "{names} names differ, in views that nobody gets")?;
    }
    let (four, six) = (difference.four, difference.six);
    let gap = if text.is_empty() { "" } else { "\n" };
    writeln!(
        text,
        "{gap}other answers for {four} of the IPv4 and {six} of the IPv6 addresses"
    )?;
    Ok(text)
}

fn write_group(group: &Group, shown: usize, text: &mut String) -> std::fmt::Result {
    writeln!(text, "clients   {}", some(&group.prefixes, shown))?;
    let views: Vec<String> = group.views.iter().map(views).collect();
    writeln!(text, "views     {}", some(&views, shown))?;
    let Contents {
        zone,
        fate,
        serial,
        changes,
        more,
    } = &group.contents;
    let fate = match fate {
        Fate::Added => " added",
        Fate::Changed => "",
        Fate::Removed => " removed",
    };
    let serial = serial.map(|(old, new)| format!(", serial {old} -> {new}"));
    writeln!(text, "zone      {zone}{fate}{}", serial.unwrap_or_default())?;
    let listed = &changes[..changes.len().min(shown)];
    let width = |of: fn(&Change) -> usize| listed.iter().map(of).max().unwrap_or(0);
    let (owners, kinds) = (width(|change| change.owner.len()), width(|c| kind(c).len()));
    for change in listed {
        let note = match change.reach.word() {
            "" => String::new(),
            word => format!("  ({word})"),
        };
        writeln!(
            text,
            "  {:owners$}  {:kinds$}  {} -> {}{note}",
            change.owner,
            kind(change),
            words(change.old.as_ref()),
            words(change.new.as_ref()),
        )?;
    }
    let more = more + (changes.len() - listed.len());
    if more > 0 {
        writeln!(text, "  and {more} more")?;
    }
    Ok(())
}

/// `private -> public`, or one name when it is the same.
fn views((old, new): &(Option<Name>, Option<Name>)) -> String {
    let name = |view: &Option<Name>| view.as_deref().unwrap_or("none (refused)").to_owned();
    if old == new {
        return name(old);
    }
    format!("{} -> {}", name(old), name(new))
}

fn kind(change: &Change) -> String {
    change
        .record_type
        .map_or_else(|| String::from("(name)"), type_word)
}

fn words(set: Option<&Words>) -> String {
    match set {
        None => String::from("none"),
        Some(words) if words.data.is_empty() => String::from("exists without records"),
        Some(words) => words.to_string(),
    }
}

/// Writes the first of a list and how many more there are.
fn some(list: &[impl ToString], shown: usize) -> String {
    let mut words: Vec<String> = list.iter().take(shown).map(ToString::to_string).collect();
    if list.len() > shown {
        words.push(format!("and {} more", list.len() - shown));
    }
    words.join(", ")
}

fn as_json(difference: &Difference) -> Value {
    let set = |words: &Option<Words>| {
        words
            .as_ref()
            .map(|words| json!({"ttl_seconds": words.ttl, "data": words.data}))
    };
    let change = |change: &Change| {
        json!({
            "name": change.owner,
            "type": change.record_type.map(type_word),
            "old": set(&change.old),
            "new": set(&change.new),
            "reach": match change.reach.word() { "" => "own", word => word },
        })
    };
    let group = |group: &Group| {
        let Contents {
            zone,
            fate,
            serial,
            changes,
            more,
        } = &group.contents;
        let views = group.views.iter();
        json!({
            "prefixes": group.prefixes.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "views": views
                .map(|(old, new)| json!({"old": old.as_deref(), "new": new.as_deref()}))
                .collect::<Vec<_>>(),
            "zone": zone.to_ascii(),
            "fate": match fate {
                Fate::Added => "added",
                Fate::Changed => "changed",
                Fate::Removed => "removed",
            },
            "serial": serial.map(|(old, new)| json!({"old": old, "new": new})),
            "changes": changes.iter().map(change).collect::<Vec<_>>(),
            "changes_not_listed": more,
        })
    };
    json!({
        "schema": "twodoors.dns-diff/1",
        "differs": !difference.is_empty(),
        "settings": difference.settings,
        "groups": difference.groups.iter().map(group).collect::<Vec<_>>(),
        "ipv4_percent": percent(difference.four.0),
        "ipv6_percent": percent(difference.six.0),
    })
}

/// Gives a share as a number of percent.
fn percent(millionths: u32) -> f64 {
    f64::from(millionths) / 1e6
}
