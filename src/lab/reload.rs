//! New rules for a running lab: read again from its files, previewed, or one record set changed.
//!
//! In go the files as they are now, or a change; out comes what changed, as a fact too, or every
//! mistake. All views change together, or nothing does, and what is fixed for the life of a lab stays.

use std::sync::{Arc, PoisonError};

use super::load::Loaded;
use super::{Lab, build, dns, load};
use crate::model::fact::Kind;
use crate::model::id::{Generation, Node};
use crate::model::mistake::Mistake;
use crate::model::timeline::RecordChange;
use crate::model::topology::Share;
use crate::policy::answer::{Difference, Rules};
use crate::policy::zone;
use crate::scenario;

/// A reload that took.
#[derive(Debug)]
pub struct Reloaded {
    /// The generation now in force.
    pub generation: Generation,
    /// What changed, as [`crate::policy::answer::diff`] says it.
    pub changed: Vec<String>,
    /// What is odd but works.
    pub warnings: Vec<Mistake>,
}

/// What a reload would change.
#[derive(Debug)]
pub struct Preview {
    /// Which clients would get which other answers.
    pub difference: Difference,
    /// What is odd but works.
    pub warnings: Vec<Mistake>,
    /// Why it would be refused all the same: it changes more than is allowed.
    pub refused: Option<String>,
}

/// What was loaded again, beside what is in force.
struct Compared {
    rules: Rules,
    difference: Difference,
    warnings: Vec<Mistake>,
    limit: Share,
}

impl Lab {
    /// Reads scenario and zones again. All views change together, or nothing does and every
    /// mistake is given.
    ///
    /// Blocks while files are read: not to be called by an async task itself.
    pub fn reload(&self) -> Result<Reloaded, Vec<Mistake>> {
        let _one = self
            .reloading
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let result = self.load_again();
        let fact = match &result {
            Ok((rules, changed, _)) => reloaded_fact(rules, changed.clone()),
            Err(mistakes) => {
                let mistakes = mistakes.iter().map(ToString::to_string).collect();
                Kind::ReloadRefused { mistakes }
            }
        };
        let reloaded = result.map(|(rules, changed, warnings)| {
            let generation = rules.generation;
            self.replace_rules(rules);
            Reloaded {
                generation,
                changed,
                warnings,
            }
        });
        self.shared
            .journal
            .add(self.shared.clock.now(), &Node::Lab, [fact]);
        reloaded
    }

    /// Reads scenario and zones again, and tells what a reload would change. Nothing is put in
    /// force.
    ///
    /// Blocks while files are read: not to be called by an async task itself.
    pub fn preview(&self) -> Result<Preview, Vec<Mistake>> {
        let Compared {
            difference,
            warnings,
            limit,
            ..
        } = self.compare()?;
        let over = difference.share() > limit;
        let refused = over.then(|| dns::too_much(&difference, limit));
        Ok(Preview {
            difference,
            warnings,
            refused,
        })
    }

    fn load_again(&self) -> Result<(Rules, Vec<String>, Vec<Mistake>), Vec<Mistake>> {
        let Compared {
            rules,
            difference,
            warnings,
            limit,
        } = self.compare()?;
        if difference.share() > limit {
            let path = "dns.reload_limit";
            let place = scenario::needs_restart(&self.path, &*self.files, path).place;
            return Err(vec![Mistake {
                place,
                path: String::from(path),
                what: dns::too_much(&difference, limit),
                cure: String::from("change less at a time, or raise the limit"),
            }]);
        }
        Ok((rules, difference.summary(), warnings))
    }

    /// Loads the files again and compares them with what is in force.
    fn compare(&self) -> Result<Compared, Vec<Mistake>> {
        let Loaded {
            topology,
            rules,
            warnings,
            ..
        } = load::load_for(&self.path, &*self.files, |topology| {
            let parts = build::fixed_parts_changed(&self.shared.topology, topology);
            let parts = parts.into_iter();
            let parts = parts.filter(|part| !self.seed_given || *part != "seed");
            parts
                .map(|part| scenario::needs_restart(&self.path, &*self.files, part))
                .collect()
        })?;
        let old = self.rules.load_full();
        let rules = rules.following(&old);
        Ok(Compared {
            difference: Difference::between(&old, &rules),
            rules,
            warnings,
            limit: topology.dns.reload_limit,
        })
    }

    /// Changes a record set in views until the next reload reads the files again.
    ///
    /// Blocks while a reload goes on: not to be called by an async task itself.
    pub fn change_record(&self, change: &RecordChange) -> Result<Reloaded, zone::Unchanged> {
        let _one = self
            .reloading
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let result = self.rules.load().with_record(change);
        let fact = match &result {
            Ok((rules, changed)) => reloaded_fact(rules, changed.clone()),
            Err(wrong) => Kind::ReloadRefused {
                mistakes: vec![wrong.to_string()],
            },
        };
        let reloaded = result.map(|(rules, changed)| {
            let generation = rules.generation;
            self.replace_rules(rules);
            Reloaded {
                generation,
                changed,
                warnings: Vec::new(),
            }
        });
        self.shared
            .journal
            .add(self.shared.clock.now(), &Node::Lab, [fact]);
        reloaded
    }

    /// Puts rules in force, with the faults that are in force now: they may have changed since.
    fn replace_rules(&self, rules: Rules) {
        self.rules
            .rcu(|old| Arc::new(rules.with_faults(old.faults().clone())));
    }
}

pub(super) fn reloaded_fact(rules: &Rules, changed: Vec<String>) -> Kind {
    let views = rules.views.iter();
    let views = views.map(|view| (view.name.clone(), view.match_clients.clone()));
    Kind::Reloaded {
        generation: rules.generation,
        views: views.collect(),
        changed,
    }
}
