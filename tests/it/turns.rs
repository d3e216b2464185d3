//! Strict turns, live: find and dial come in pairs, and with two proxies an agent that asks find
//! before every dial never reaches the second (Teleport's change 8106). Simulated in `stories.rs`.

use std::fs;
use std::time::Duration;

use twodoors::model::fact::{Cause, Kind};
use twodoors::model::id::Node;
use twodoors::model::teleport::Backoff;
use twodoors::model::time::Span;
use twodoors::snapshot::Snapshot;

use crate::lab::Whole;

/// How long one step may take on a busy machine.
const STEP: Duration = Duration::from_secs(60);

/// The finding that is about it.
const FINDING: &str = "mesh-never-completes";

/// Starts a shipped scenario without users, whose agent waits little between attempts: what is
/// tested are the turns of the door, and those do not depend on time.
async fn lab(name: &str) -> Whole {
    let text = fs::read_to_string(format!("scenarios/{name}.yaml")).unwrap();
    Whole::told(Some(&text), |options| {
        let topology = &mut options.loaded.topology;
        topology.users.clear();
        let wait = Span::from_ms(100);
        for agent in &mut topology.agents {
            agent.backoff = Backoff::Fixed { wait };
        }
    })
    .await
}

/// Gives what the finding says now.
fn said(state: &Snapshot) -> Option<String> {
    let mut findings = state.findings.iter();
    let finding = findings.find(|finding| finding.id == FINDING)?;
    assert_eq!(finding.node, Node::Agent("orders".into()));
    Some(finding.detail.clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_without_find_cache_never_reaches_the_second_of_two_proxies_and_is_told_why() {
    let whole = lab("teleport-8106").await;
    let seen = "holds 1 of 2 proxies, and its last 12 attempts ended in \"proxy already claimed\"";
    let told = |state: &Snapshot| said(state).is_some_and(|detail| detail.contains(seen));
    let state = whole.state(("the reason is told", STEP), told).await;
    assert_eq!((state.mesh.now, state.mesh.full), (1, 2));
    assert_eq!(state.mesh.complete_after, None);
    let detail = said(&state).unwrap();
    assert!(detail.contains("take turns"), "{detail}");
    let other =
        |kind: &Kind| matches!(kind, Kind::DialFailed { cause, .. } if *cause != Cause::Claimed);
    assert!(!whole.facts().iter().any(|fact| other(&fact.kind)));
    whole.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_cache_the_second_dial_meets_the_other_proxy() {
    let whole = lab("teleport-8106-fixed").await;
    whole.mesh().await;
    let facts = whole.facts();
    let failed = facts
        .iter()
        .filter(|fact| matches!(fact.kind, Kind::DialFailed { .. }));
    assert_eq!(failed.count(), 0, "at once");
    let state = whole.lab.journal().snapshot();
    assert_eq!((state.mesh.now, said(&state)), (2, None));
    whole.lab.stop().await;
}
