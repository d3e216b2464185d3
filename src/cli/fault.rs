//! `twodoors fault`: sets, shows and lifts faults of a running lab, by hand.
//!
//! The words and targets are those of a scenario's timeline; the lab reads them, and knows which of
//! its links can have which fault.

use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Value, json};

use super::client::{Answer, Which};
use super::status::{list, text};
use super::{Exit, Io};
use crate::model::time::Time;

const EXAMPLES: &str = "\
Examples:
  twodoors fault set refuse balancer/internal
  twodoors fault set latency 'agent/orders <-> balancer/internal' --by 50ms --for 30s
  twodoors fault set view_flip view/private --to public
  twodoors fault show
  twodoors fault clear 1
  twodoors fault clear --all";

/// Set, show and lift faults of a running lab.
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
    /// Lift one fault, or all.
    #[command(override_usage = "twodoors fault clear [OPTIONS] <NUMBER>|--all")]
    Clear {
        /// The number that `fault show` gives; or --all.
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        number: Option<u64>,

        /// Lift all of them.
        #[arg(long)]
        all: bool,
    },
    /// Put a fault in force.
    Set {
        /// What: blackhole, drop, half_open, jitter, latency, partition, pause, refuse, reset_peer,
        /// servfail, stale, ttl_floor or view_flip.
        word: String,

        /// Where: a node, a link `A -> B` or `A <-> B`, or `view/NAME`.
        target: String,

        /// How much, for latency, jitter and ttl_floor: `50ms`.
        #[arg(long, value_name = "SPAN")]
        by: Option<String>,

        /// The view whose answers are given, for view_flip.
        #[arg(long, value_name = "VIEW")]
        to: Option<String>,

        /// How long; until it is lifted when absent.
        #[arg(long = "for", value_name = "SPAN")]
        lasts: Option<String>,
    },
    /// List the faults in force.
    Show {
        /// Print them as JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Runs the verb.
pub fn run(args: &Args, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    let client = args.which.find()?;
    let answer = match &args.act {
        Act::Clear { number, .. } => {
            let path = match number {
                Some(number) => format!("/api/faults/{number}"),
                None => String::from("/api/faults"),
            };
            client.delete(&path)?
        }
        Act::Set {
            word,
            target,
            by,
            to,
            lasts,
        } => {
            let body = json!({
                "word": word, "target": target, "by": by, "to": to, "for": lasts,
            });
            client.post_json("/api/faults", &body)?
        }
        Act::Show { .. } => client.get("/api/faults")?,
    };
    if !answer.status.is_success() {
        writeln!(io.err, "error: {}", answer.detail())?;
        return Ok(refused(&answer));
    }
    let body = &answer.body;
    match &args.act {
        Act::Clear {
            number: Some(number),
            ..
        } => writeln!(io.out, "fault {number} lifted")?,
        Act::Clear { .. } => writeln!(io.out, "{} lifted", count(body["lifted"].as_u64()))?,
        Act::Set { lasts, .. } => writeln!(io.out, "{}", put(body, lasts.as_deref()))?,
        Act::Show { json: true } => writeln!(io.out, "{body:#}")?,
        Act::Show { json: false } => {
            for fault in list(&body["faults"]) {
                writeln!(io.out, "{}", line(fault))?;
            }
            // On standard output there is nothing, as there are none.
            if list(&body["faults"]).next().is_none() {
                writeln!(io.err, "no fault is in force")?;
            }
        }
    }
    Ok(Exit::Success)
}

/// What cannot be asked for is the caller's mistake; anything else is the lab's.
fn refused(answer: &Answer) -> Exit {
    match answer.status.as_u16() {
        400 | 404 | 422 => Exit::Usage,
        _ => Exit::CouldNotRun,
    }
}

/// `fault 1: refuse on balancer/internal, for 30s`; one without an end says how it ends.
fn put(fault: &Value, lasts: Option<&str>) -> String {
    let (id, what) = (&fault["id"], text(&fault["text"]));
    match lasts {
        Some(lasts) => format!("fault {id}: {what}, for {lasts}"),
        None => format!("fault {id}: {what}, until `twodoors fault clear {id}`"),
    }
}

/// `fault 1: refuse on balancer/internal, since 12.345, until 42.345`.
pub(super) fn line(fault: &Value) -> String {
    let since = Time::from_us(fault["since_us"].as_u64().unwrap_or(0));
    let until = fault["until_us"].as_u64().map(Time::from_us);
    let until = until.map_or_else(String::new, |until| format!(", until {until}"));
    let (id, what) = (&fault["id"], text(&fault["text"]));
    format!("fault {id}: {what}, since {since}{until}")
}

fn count(lifted: Option<u64>) -> String {
    match lifted {
        Some(1) => String::from("1 fault"),
        lifted => format!("{} faults", lifted.unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Verb};

    fn parse(words: &[&str]) -> Option<Args> {
        let words = ["twodoors", "fault"].iter().chain(words);
        let Verb::Fault(args) = Cli::try_parse_from(words).ok()?.verb else {
            return None;
        };
        Some(args)
    }

    #[test]
    fn a_link_is_one_word_and_doses_are_options() {
        let link = "agent/orders <-> balancer/internal";
        let args = parse(&["set", "latency", link, "--by", "50ms", "--for", "30s"]).unwrap();
        let Act::Set {
            word,
            target,
            by,
            to,
            lasts,
        } = args.act
        else {
            panic!("another act");
        };
        assert_eq!((&*word, &*target, to), ("latency", link, None));
        assert_eq!(
            (by.as_deref(), lasts.as_deref()),
            (Some("50ms"), Some("30s"))
        );
        assert!(parse(&["set", "latency"]).is_none(), "no target");
    }

    #[test]
    fn one_fault_is_cleared_or_all_but_not_by_accident() {
        assert!(parse(&["clear", "1"]).is_some());
        assert!(parse(&["clear", "--all"]).is_some());
        assert!(parse(&["clear"]).is_none());
        assert!(parse(&["clear", "1", "--all"]).is_none());
        assert!(parse(&["clear", "one"]).is_none());
    }

    #[test]
    fn a_fault_is_shown_on_one_line_with_its_end_if_it_has_one() {
        let mut fault = json!({
            "id": 1, "text": "refuse on balancer/internal", "since_us": 12_345_000, "until_us": null,
        });
        assert_eq!(
            line(&fault),
            "fault 1: refuse on balancer/internal, since 12.345"
        );
        fault["until_us"] = json!(42_345_000);
        assert!(line(&fault).ends_with(", since 12.345, until 42.345"));
    }

    #[test]
    fn whoever_sets_a_fault_is_told_when_or_how_it_ends() {
        let fault = json!({"id": 2, "text": "refuse on proxy/1"});
        assert_eq!(
            put(&fault, Some("1m")),
            "fault 2: refuse on proxy/1, for 1m"
        );
        assert_eq!(
            put(&fault, None),
            "fault 2: refuse on proxy/1, until `twodoors fault clear 2`"
        );
    }
}
