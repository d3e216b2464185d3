//! Which names answer differently after a reload.

use std::collections::BTreeSet;

use crate::policy::zone::{Item, Node};

use super::{Rules, View};

/// How many names a report lists; whoever changed more looks into the files.
const CHANGED_MAX: usize = 100;

/// Gives the owner names whose records differ, as `view/name`, sorted, at most a hundred.
pub fn diff(old: &Rules, new: &Rules) -> Vec<String> {
    let mut changed = BTreeSet::new();
    let find = |rules: &Rules, name: &str| rules.views.iter().position(|v| &*v.name == name);
    for view in &new.views {
        let before = find(old, &view.name).map(|index| &old.views[index]);
        compare(before, Some(view), &mut changed);
    }
    for view in &old.views {
        if find(new, &view.name).is_none() {
            compare(Some(view), None, &mut changed);
        }
    }
    changed.into_iter().take(CHANGED_MAX).collect()
}

fn compare(old: Option<&View>, new: Option<&View>, changed: &mut BTreeSet<String>) {
    let Some(name) = new.or(old).map(|view| &view.name) else {
        return;
    };
    for (here, there) in [(old, new), (new, old)] {
        for zone in here.into_iter().flat_map(View::zones) {
            let twin = there
                .into_iter()
                .flat_map(View::zones)
                .find(|twin| twin.origin() == zone.origin());
            for (key, node) in zone.nodes_by_key() {
                if !same(Some(node), twin.and_then(|twin| twin.node(key))) {
                    changed.insert(format!("{name}/{}", node.name.to_lowercase()));
                }
            }
        }
    }
}

fn same(a: Option<&Node>, b: Option<&Node>) -> bool {
    let records = |node: Option<&Node>| -> BTreeSet<String> {
        let sets = node.into_iter().flat_map(|node| &node.sets);
        sets.flat_map(|set| &set.items).map(word).collect()
    };
    records(a) == records(b)
}

fn word(item: &Item) -> String {
    item.record.to_string()
}
