//! The tables of what stands in no snapshot as rows: checks, decisions, steps, scenarios, runs.

use serde_json::json;

use super::super::Snapshot;
use super::super::runs::Scenarios;
use super::super::timeline::Timeline;
use super::Table;
use crate::http::source::Source;
use crate::journal::Moment;

/// The last checks of each instance by each door.
pub(super) fn checks(state: &Snapshot) -> Table {
    let rows = state.balancers.iter().flat_map(|door| {
        let backends = door.backends.iter();
        backends.flat_map(move |one| one.checks.iter().map(move |check| (door, one, check)))
    });
    table!(rows, row, {
        "door": row.0.name,
        "instance": row.1.proxy,
        "at_us": row.2.at_us,
        "ok": row.2.ok,
        "text": row.2.text,
        "took_us": row.2.took_us,
    })
}

/// The decisions of the timeline until the state that is looked at, lane by lane.
pub(super) fn decisions(moment: &Moment, source: &Source) -> Table {
    let timeline = Timeline::new(source, None, Some(moment.state.at));
    let lanes = timeline.lanes.iter();
    let rows = lanes.flat_map(|lane| lane.marks.iter().map(move |mark| (lane.lane, mark)));
    table!(rows, row, {
        "lane": row.0,
        "seq": row.1.seq,
        "at_us": row.1.at_us,
        "node": row.1.node,
        "kind": row.1.kind,
        "severity": row.1.severity,
        "request": row.1.request,
        "text": row.1.text,
    })
}

/// The steps of the scenario, as they stand now.
pub(super) fn steps(source: &Source) -> Table {
    let timeline = Timeline::new(source, None, None);
    table!(timeline.steps.iter(), step, {
        "index": step.index,
        "at_us": step.at_us,
        "ended_us": step.ended_us,
        "text": step.text,
        "file": step.place.as_ref().map(|place| &place.file),
        "line": step.place.as_ref().map(|place| place.line),
        "state": step.state,
    })
}

/// What `check` finds in each scenario, with its cure.
pub(super) fn advice(scenarios: &Scenarios) -> Table {
    let all = scenarios.scenarios.iter();
    let rows = all.flat_map(|one| one.findings.iter().map(move |found| (one, found)));
    table!(rows, row, {
        "scenario": row.0.id,
        "id": row.1.id,
        "severity": row.1.severity,
        "node": row.1.node,
        "detail": row.1.detail,
        "cure": row.1.cure,
        "file": row.1.place.as_ref().map(|place| &place.file),
        "line": row.1.place.as_ref().map(|place| place.line),
    })
}

/// The runs that are held, the newest first.
pub(super) fn runs(scenarios: &Scenarios) -> Table {
    table!(scenarios.runs.iter(), run, {
        "id": run.id,
        "scenario": run.scenario,
        "mode": run.mode,
        "seed": run.seed,
        "state": run.state,
        "progress": run.progress,
        "at_us": run.at_us,
        "outcome": run.outcome,
    })
}

/// The scenarios at hand.
pub(super) fn scenarios(scenarios: &Scenarios) -> Table {
    table!(scenarios.scenarios.iter(), one, {
        "id": one.id,
        "name": one.name,
        "file": one.file,
        "question": one.question,
        "lesson": one.lesson,
        "steps": one.steps,
        "expectations": one.expectations,
        "duration_us": one.duration_us,
        "findings": one.findings.len(),
    })
}
