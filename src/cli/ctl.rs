//! `twodoors ctl`: acts on a running lab: stop, start, drain a node, or reload.

use clap::{Args as ClapArgs, Subcommand};

use super::client::{Answer, Which};
use super::{Exit, Io};

const EXAMPLES: &str = "\
Examples:
  twodoors ctl stop proxy/2
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
    /// Read scenario and zones again: all of it, or nothing.
    Reload,
    /// Begin again.
    Start {
        /// The node.
        node: String,
    },
    /// Close the listener and cut what is open.
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
        Act::Reload => (String::from("/api/reload"), String::from("reloaded")),
        Act::Start { node } => (
            format!("/api/nodes/{node}/start"),
            format!("{node} started"),
        ),
        Act::Stop { node } => (format!("/api/nodes/{node}/stop"), format!("{node} stopped")),
    };
    if let Act::Drain { node } | Act::Start { node } | Act::Stop { node } = &args.act
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
        writeln!(io.out, "{done}{}", changed(&answer))?;
        return Ok(Exit::Success);
    }
    let detail = answer.body.get("detail").and_then(|detail| detail.as_str());
    writeln!(
        io.err,
        "error: {}",
        detail.unwrap_or(answer.status.as_str())
    )?;
    for mistake in answer
        .body
        .get("mistakes")
        .and_then(|m| m.as_array())
        .into_iter()
        .flatten()
    {
        writeln!(io.err, "error: {}", mistake.as_str().unwrap_or_default())?;
    }
    Ok(if matches!(args.act, Act::Reload) {
        Exit::Usage
    } else {
        Exit::CouldNotRun
    })
}

/// What a reload changed.
fn changed(answer: &Answer) -> String {
    let Some(names) = answer
        .body
        .get("changed")
        .and_then(|changed| changed.as_array())
    else {
        return String::new();
    };
    let names: Vec<&str> = names.iter().filter_map(|name| name.as_str()).collect();
    match &*names {
        [] => String::from(", nothing changed"),
        names => format!(", changed: {}", names.join(", ")),
    }
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
