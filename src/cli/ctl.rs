//! `twodoors ctl`: acts on a running lab: stop, kill, start, drain a node, or reload.

use clap::{Args as ClapArgs, Subcommand};

use super::client::{Answer, Which};
use super::{Exit, Io};

const EXAMPLES: &str = "\
Examples:
  twodoors ctl stop proxy/2
  twodoors ctl kill balancer/internal
  twodoors ctl drain balancer/external
  twodoors ctl start agent/orders
  twodoors ctl reload";

/// Act on a running lab.
#[derive(Clone, Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    which: Which,

    #[command(subcommand)]
    act: Act,
}

#[derive(Clone, Debug, Subcommand)]
enum Act {
    /// Take nothing new, let what is open finish: `balancer/external`, `proxy/2`, `agent/orders`.
    Drain {
        /// The node.
        node: String,
    },
    /// Close the listener and cut what is open with a reset, as a crash does.
    Kill {
        /// The node.
        node: String,
    },
    /// Read scenario and zones again: all of it, or nothing.
    Reload,
    /// Begin again.
    Start {
        /// The node.
        node: String,
    },
    /// Close the listener and end what is open, as a process that ends does.
    Stop {
        /// The node.
        node: String,
    },
}

/// Runs the verb.
pub fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    let client = args.which.find()?;
    let (path, done) = match &args.act {
        Act::Drain { node } => (format!("/api/nodes/{node}/drain"), format!("{node} drains")),
        Act::Kill { node } => (format!("/api/nodes/{node}/kill"), format!("{node} killed")),
        Act::Reload => (String::from("/api/reload"), String::from("reloaded")),
        Act::Start { node } => (
            format!("/api/nodes/{node}/start"),
            format!("{node} started"),
        ),
        Act::Stop { node } => (format!("/api/nodes/{node}/stop"), format!("{node} stopped")),
    };
    if let Act::Drain { node } | Act::Kill { node } | Act::Start { node } | Act::Stop { node } =
        &args.act
        && (node.split('/').count() != 2 || !node.bytes().all(is_plain))
    {
        writeln!(
            io.err,
            "error: {node:?} is not KIND/NAME, such as proxy/2 or balancer/external"
        )?;
        return Ok(Exit::Usage);
    }
    let answer = client.post(&path)?;
    if answer.status.is_success() {
        for warning in list(&answer, "warnings") {
            writeln!(io.err, "warning: {warning}")?;
        }
        writeln!(io.out, "{done}{}", changed(&answer))?;
        return Ok(Exit::Success);
    }
    writeln!(io.err, "error: {}", answer.detail())?;
    for mistake in list(&answer, "mistakes") {
        writeln!(io.err, "error: {mistake}")?;
    }
    Ok(if matches!(args.act, Act::Reload) {
        Exit::Usage
    } else {
        Exit::CouldNotRun
    })
}

/// What a reload changed.
fn changed(answer: &Answer) -> String {
    if answer.body.get("changed").is_none() {
        return String::new();
    }
    let changed: Vec<&str> = list(answer, "changed").collect();
    match &*changed {
        [] => String::from(", nothing changed"),
        changed => format!(", changed: {}", changed.join(", ")),
    }
}

/// The texts of a list in an answer; nothing when it has no such list.
fn list<'a>(answer: &'a Answer, name: &str) -> impl Iterator<Item = &'a str> {
    let list = answer.body.get(name).and_then(|list| list.as_array());
    list.into_iter().flatten().filter_map(|text| text.as_str())
}

/// Names of nodes need no escapes in a path.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;

    use crate::cli::{Cli, Verb};

    #[test]
    fn the_state_folder_may_be_named_before_the_act_or_after_the_node() {
        for words in ["ctl --state D stop proxy/2", "ctl stop proxy/2 --state D"] {
            let words = ["twodoors"].into_iter().chain(words.split(' '));
            let Verb::Ctl(args) = Cli::try_parse_from(words).unwrap().verb else {
                panic!("another verb");
            };
            assert_eq!(args.which.state.as_deref(), Some(Path::new("D")));
        }
    }
}
