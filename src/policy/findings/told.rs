//! Collects findings: agents and users of whom the same is to be said are told once.

use std::collections::BTreeMap;

use crate::model::finding::{Finding, Key, Severity, Subject};
use crate::model::id::Name;
use crate::model::places;

use super::severity;

/// How many are kept; nobody reads more, and a fleet may be wrong in as many ways as it has agents.
const TOLD_MAX: usize = 1_000;

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Told {
    list: Vec<Finding>,
    /// Where in the list a sentence about agents or users stands, and how many more it holds for.
    alike: BTreeMap<(&'static str, bool, String), (usize, usize)>,
}

/// A sentence: what will happen, and what would be right.
pub(super) type Said = (String, String);

impl Told {
    /// Adds one about the pool; `key` is a path in the pool's file.
    pub(super) fn pool(&mut self, id: &'static str, key: &str, said: Said) {
        let key = in_file(places::Subject::Pool, key);
        self.add(id, Subject::Pool, Some(key), said);
    }

    /// Adds one about a door; `key` is a path in the scenario.
    pub(super) fn door(&mut self, id: &'static str, door: &Name, key: &str, said: Said) {
        let key = in_file(places::Subject::Scenario, key);
        self.add(id, Subject::Door(door.clone()), Some(key), said);
    }

    /// Adds one about an agent, after whose name and a colon the sentence stands.
    pub(super) fn agent(&mut self, id: &'static str, name: &Name, key: Option<Key>, said: Said) {
        self.one_of_many(id, Subject::Agent(name.clone()), key, said);
    }

    /// Adds one about a user, after whose name and a colon the sentence stands.
    pub(super) fn user(&mut self, id: &'static str, name: &Name, key: Option<Key>, said: Said) {
        self.one_of_many(id, Subject::User(name.clone()), key, said);
    }

    fn one_of_many(&mut self, id: &'static str, subject: Subject, key: Option<Key>, said: Said) {
        let same = (id, matches!(subject, Subject::User(_)), said.0.clone());
        if let Some((_, more)) = self.alike.get_mut(&same) {
            *more += 1;
            return;
        }
        if self.add(id, subject, key, said) {
            self.alike.insert(same, (self.list.len() - 1, 0));
        }
    }

    /// Adds one unless there are too many.
    fn add(
        &mut self,
        id: &'static str,
        subject: Subject,
        key: Option<Key>,
        (what, cure): Said,
    ) -> bool {
        let room = self.list.len() < TOLD_MAX;
        if room {
            self.list.push(Finding {
                id,
                severity: severity(id).unwrap_or(Severity::Error),
                subject,
                key,
                what,
                cure,
            });
        }
        room
    }

    /// Gives them all, the gravest first; within that in the order in which they were found.
    pub(super) fn finish(mut self) -> Vec<Finding> {
        for ((.., rest), (place, more)) in self.alike {
            let finding = &mut self.list[place];
            let others = match more {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            finding.what = format!("{}{others}: {rest}", finding.subject);
        }
        self.list.sort_by_key(|finding| finding.severity);
        self.list
    }
}

fn in_file(of: places::Subject, path: &str) -> Key {
    let path = path.to_owned();
    Key { of, path }
}
