//! Scenario and zones together: all that a lab is started or reloaded from, or every mistake.
//!
//! In go a path and files; out come the topology, its rules and what is odd. A mistake of the
//! scenario does not hide those of its zones, as far as the zones could be told. Nothing is run.

use std::collections::BTreeSet;
use std::path::Path;

use crate::model::draw::Seed;
use crate::model::id::Generation;
use crate::model::mistake::{Files, Mistake};
use crate::model::places::{Places, Subject};
use crate::model::timeline::{RecordChange, Step, What};
use crate::model::topology::{Dns, Topology, ZoneSource};
use crate::policy::answer::Rules;
use crate::policy::upstream;
use crate::policy::view::{Selector, odd};
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
    /// Whether the seed is not the scenario's own.
    pub seed_given: bool,
    /// Where each key of the scenario and of its Teleport files stands.
    pub places: Places,
}

impl Loaded {
    /// Gives the same with another seed than the scenario's own.
    pub fn with_seed(mut self, seed: Seed) -> Self {
        self.topology.seed = seed;
        self.seed_given = true;
        self
    }
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
        places,
        ..
    } = scenario::load(path, files).map_err(|unsound| {
        let mut mistakes = unsound.mistakes;
        mistakes.extend(of_zones(&unsound.zones, files));
        mistakes
    })?;
    let mut mistakes = unfit(&topology);
    mistakes.extend(of_forwards(&topology.dns, "dns.", &places));
    let loaded = Rules::load(&topology, Generation(1), files);
    if let Ok((rules, _)) = &loaded {
        mistakes.extend(of_changes(&topology.timeline, rules, path, files));
    }
    match loaded {
        Ok((rules, more)) if mistakes.is_empty() => {
            warnings.extend(of_views(&topology.dns, "dns.", &places));
            warnings.extend(more);
            Ok(Loaded {
                topology,
                rules,
                warnings,
                seed_given: false,
                places,
            })
        }
        Ok(_) => Err(mistakes),
        Err(more) => {
            mistakes.extend(more);
            Err(mistakes)
        }
    }
}

/// Warns of views and rules that nobody reaches; `prefix` is where the keys of the DNS server stand.
pub fn of_views(dns: &Dns, prefix: &str, places: &Places) -> Vec<Mistake> {
    let odd = odd(dns, &Selector::compile(dns)).into_iter();
    let placed = odd.filter_map(|odd| {
        let path = format!("{prefix}{}", odd.key);
        Some(Mistake {
            place: places.place(&Subject::Scenario, &path)?,
            path,
            what: odd.what,
            cure: odd.cure,
        })
    });
    let mut placed: Vec<Mistake> = placed.collect();
    placed.sort();
    placed
}

/// Gives what is wrong with whom views pass questions on for, and to.
pub(super) fn of_forwards(dns: &Dns, prefix: &str, places: &Places) -> Vec<Mistake> {
    let listeners: Vec<_> = dns.listeners().collect();
    let wrong = upstream::wrong(dns, &listeners).into_iter();
    let placed = wrong.filter_map(|wrong| {
        let path = format!("{prefix}{}", wrong.key);
        let place = |path: &str| places.place(&Subject::Scenario, path);
        Some(Mistake {
            place: place(&path).or_else(|| place(&format!("{prefix}views")))?,
            path,
            what: wrong.what,
            cure: wrong.cure.into(),
        })
    });
    placed.collect()
}

/// Reads each zone once for its mistakes.
pub(super) fn of_zones(zones: &[ZoneSource], files: &dyn Files) -> Vec<Mistake> {
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

#[cfg(test)]
mod tests {
    use crate::model::time::Span;
    use crate::model::timeline::Begin;
    use crate::scenario::embedded;

    use super::*;

    fn step(what: What) -> Step {
        Step {
            begin: Begin::Then(Span::ZERO),
            repeat: None,
            what,
            lasts: None,
            text: "record of the test".into(),
        }
    }

    fn change(rtype: &str, data: &[&str]) -> Step {
        step(What::Record(RecordChange {
            view: None,
            name: "git.example.com.".into(),
            rtype: rtype.into(),
            ttl: 60,
            data: data.iter().map(|text| (*text).into()).collect(),
        }))
    }

    fn check(steps: &[Step], expected: &[&str]) {
        let path = Path::new(embedded::SCENARIO);
        let loaded = load(path, &embedded::FILES).unwrap();
        let mistakes = of_changes(steps, &loaded.rules, path, &embedded::FILES);
        let words: Vec<_> = mistakes.iter().map(|mistake| &mistake.what).collect();
        assert_eq!(words, expected);
        assert!(mistakes.iter().all(|mistake| mistake.path == "timeline"));
    }

    #[test]
    fn a_record_change_that_cannot_be_made_is_a_mistake_of_the_scenario() {
        check(&[change("A", &["192.0.2.1"]), change("A", &[])], &[]);
        let wrong = "`record of the test` cannot be done: ";
        let both = format!(
            "{wrong}git.example.com. CNAME: git.example.com.: a CNAME beside other data (RFC 1034 \
             section 3.6.2)"
        );
        check(&[change("CNAME", &["proxy"])], &[&both]);
        let inside = step(What::Parallel(vec![change("A", &["x"])]));
        let data = format!("{wrong}A \"x\": `x` is not an IPv4 address");
        check(&[inside], &[&data]);
    }

    #[test]
    fn a_change_may_need_the_ones_before_it_and_steps_any_order() {
        let moved = [change("A", &[]), change("CNAME", &["proxy"])];
        check(&moved, &[]);
        let first = [
            change("A", &["192.0.2.9"]),
            moved[0].clone(),
            moved[1].clone(),
        ];
        check(&first, &[]);
        let back = [
            moved[0].clone(),
            moved[1].clone(),
            change("A", &["192.0.2.9"]),
        ];
        check(&back, &[]);
    }
}
