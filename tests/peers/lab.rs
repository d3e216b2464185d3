//! A whole lab of the real binary, looked at with other people's programs: dig, curl, openssl, ssh,
//! psql, ss and tcpdump. Real sockets, not shortcuts.
//!
//! One lab serves all steps, in their order; each prints a line, and a step that fails does not
//! keep the later ones from being tried. What needs root is not run without it, and says so.

mod bench;
mod capture;
mod dns;
mod doors;
mod faults;
mod life;
mod outage;
mod played;
mod stand_in;
mod users;
mod visits;
mod wire;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use serde_json::Value;

use bench::Lab;

/// How long a full mesh may take: Teleport's backoff is not shortened.
const MESH: Duration = Duration::from_secs(120);

/// How long a door may take to change its mind: five checks, two seconds apart, on a busy machine.
const CHECKS: Duration = Duration::from_secs(40);

/// A step: what it found out, in a few words.
type Step = fn(&mut Story) -> Outcome;

enum Outcome {
    Passed(String),
    NotRun(&'static str),
}

/// The lab, and what one step leaves to the next.
struct Story {
    lab: Lab,
    /// The proxy that was stopped.
    stopped: u8,
}

const STEPS: &[(&str, Step)] = &[
    ("ready line", life::ready),
    ("dig: a view by source address", dns::views),
    (
        "dig: a view by client subnet, for listed senders",
        dns::subnets,
    ),
    ("full mesh", doors::mesh),
    ("curl: the app through both doors", doors::apps),
    ("curl: the internal door resets strangers", doors::strangers),
    ("openssl: ALPN answered and refused", doors::alpn),
    (
        "ssh: the host certificate and its principals",
        doors::certificate,
    ),
    (
        "ssh -R: every listed name, and no other",
        stand_in::principals,
    ),
    ("ssh -R: an app through a stand-in", stand_in::serves),
    ("ss: two connections a tunnel", doors::sockets),
    ("tcpdump: PROXY header, then TLS only", wire::captured),
    ("two minutes after ready", doors::two_minutes),
    // For a moment no view is private, so whoever dials then takes the other door.
    ("dig: a zone edited and reloaded", dns::reload),
    ("a proxy stopped: cut, noticed, avoided", outage::stopped),
    ("tap: PROXY header, then TLS only", wire::tapped),
    ("the proxy back: the gap is shown", outage::back),
    ("refuse", faults::refuse),
    ("blackhole", faults::blackhole),
    ("half_open", faults::half_open),
    ("reset_peer", faults::reset_peer),
    ("pause", faults::pause),
    ("partition", faults::partition),
    ("latency, twice", faults::latency),
    ("jitter", faults::jitter),
    ("latency and pause behind the door", faults::behind),
    ("drain, stop and kill", faults::killed),
    ("servfail, view_flip, latency, drop, stale", faults::dns),
    (
        "a run: ttl_floor, record, certificate, roam",
        played::looked_at,
    ),
    ("a second lab: port in use, broken files", life::second),
    ("SIGINT", life::interrupted),
];

#[test]
fn a_lab_stands_up_to_other_peoples_programs() {
    let lab = Lab::start();
    let mut story = Story { lab, stopped: 0 };
    let (mut failed, mut not_run) = (Vec::new(), 0);
    for (name, step) in STEPS {
        #[expect(
            clippy::disallowed_methods,
            reason = "a step is timed by the wall clock"
        )]
        let start = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| step(&mut story)));
        let took = start.elapsed().as_secs_f32();
        match outcome {
            Ok(Outcome::Passed(note)) => println!("step ok       {took:6.1}s  {name}: {note}"),
            Ok(Outcome::NotRun(why)) => {
                not_run += 1;
                println!("step NOT RUN  {took:6.1}s  {name}: {why}");
            }
            Err(_) => {
                println!("step FAILED   {took:6.1}s  {name}");
                failed.push(*name);
            }
        }
    }
    let passed = STEPS.len() - failed.len() - not_run;
    println!(
        "{passed} steps passed, {} failed, {not_run} not run",
        failed.len()
    );
    assert!(failed.is_empty(), "failed: {failed:?}");
}

/// Says that a step passed, and what it saw.
fn passed(note: impl Into<String>) -> Outcome {
    Outcome::Passed(note.into())
}

/// Counts the visits that failed, of all users.
fn failures(state: &Value) -> u64 {
    of_users(state, |user| {
        list(&user["failures"])
            .map(|failure| number(&failure["count"]))
            .sum()
    })
}

/// Adds something up over all users.
fn of_users(state: &Value, count: impl Fn(&Value) -> u64) -> u64 {
    list(&state["users"]).map(count).sum()
}

/// Gives the node of this name.
#[track_caller]
fn named<'a>(nodes: &'a Value, name: &str) -> &'a Value {
    let node = list(nodes).find(|node| node["name"] == *name);
    node.unwrap_or_else(|| panic!("{name} in {nodes:#}"))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[track_caller]
fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("a number, not {value}"))
}

#[track_caller]
fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("text, not {value}"))
}
