//! Scenario and zones together: all that a lab is started or reloaded from, or every mistake.
//!
//! In go a path and files; out come the topology, its rules and what is odd. A mistake of the
//! scenario does not hide those of its zones, as far as the zones could be told. Nothing is run.

use std::collections::BTreeSet;
use std::path::Path;

use crate::model::id::Generation;
use crate::model::mistake::{Files, Mistake};
use crate::model::timeline::{RecordChange, Step, What};
use crate::model::topology::{Topology, ZoneSource};
use crate::policy::answer::Rules;
use crate::policy::zone::Zone;
use crate::scenario;

/// A scenario and its zones, without mistakes.
#[derive(Debug)]
pub struct Loaded {
    /// What the scenario says, resolved.
    pub topology: Topology,
    /// What its views answer; the first generation.
    pub rules: Rules,
    /// What is odd but works: the scenario's first, then the zones'.
    pub warnings: Vec<Mistake>,
}

/// Loads a scenario and its zones, or gives every mistake of both.
pub fn load(path: &Path, files: &dyn Files) -> Result<Loaded, Vec<Mistake>> {
    load_for(path, files, |_| Vec::new())
}

/// Loads as [`load`] does for someone who has further wishes: what `unfit` says of the topology
/// counts as mistakes, too.
pub(super) fn load_for(
    path: &Path,
    files: &dyn Files,
    unfit: impl FnOnce(&Topology) -> Vec<Mistake>,
) -> Result<Loaded, Vec<Mistake>> {
    let scenario::Loaded {
        topology,
        mut warnings,
        ..
    } = scenario::load(path, files).map_err(|unsound| {
        let mut mistakes = unsound.mistakes;
        mistakes.extend(of_zones(&unsound.zones, files));
        mistakes
    })?;
    let mut mistakes = unfit(&topology);
    let loaded = Rules::load(&topology, Generation(1), files);
    if let Ok((rules, _)) = &loaded {
        mistakes.extend(of_changes(&topology.timeline, rules, path, files));
    }
    match loaded {
        Ok((rules, more)) if mistakes.is_empty() => {
            warnings.extend(more);
            Ok(Loaded {
                topology,
                rules,
                warnings,
            })
        }
        Ok(_) => Err(mistakes),
        Err(more) => {
            mistakes.extend(more);
            Err(mistakes)
        }
    }
}

/// Reads each zone once for its mistakes.
fn of_zones(zones: &[ZoneSource], files: &dyn Files) -> Vec<Mistake> {
    let mut seen = BTreeSet::new();
    let zones = zones.iter();
    zones
        .filter(|zone| seen.insert((&zone.origin, &zone.file)))
        .flat_map(|zone| Zone::load(zone, files).mistakes)
        .collect()
}

/// Makes each record change of a timeline for the mistakes in it.
///
/// Steps need not come in the order of the file, so a change is wrong only when it can be made
/// neither after those above it nor by itself.
fn of_changes(steps: &[Step], rules: &Rules, path: &Path, files: &dyn Files) -> Vec<Mistake> {
    let mut changes = Vec::new();
    collect_changes(steps, &mut changes);
    let mut after = rules.clone();
    let mut mistakes = Vec::new();
    for (text, change) in changes {
        match after.with_record(change) {
            Ok((next, _)) => after = next,
            Err(wrong) => {
                if rules.with_record(change).is_err() {
                    let place = scenario::needs_restart(path, files, "timeline").place;
                    mistakes.push(Mistake {
                        place,
                        path: String::from("timeline"),
                        what: format!("`{text}` cannot be done: {}", wrong.what),
                        cure: wrong.cure,
                    });
                }
            }
        }
    }
    mistakes
}

fn collect_changes<'a>(steps: &'a [Step], changes: &mut Vec<(&'a str, &'a RecordChange)>) {
    for step in steps {
        match &step.what {
            What::Record(change) => changes.push((&step.text, change)),
            What::Parallel(steps) => collect_changes(steps, changes),
            What::Act { .. }
            | What::Certificate { .. }
            | What::Fault(_)
            | What::Reload
            | What::Roam(_)
            | What::Wait => {}
        }
    }
}
