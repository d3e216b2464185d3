//! What a reload changed: views, whom they let in, and names that answer differently.
//!
//! In go the rules before and after; out come entries to read, the ones that move whole networks
//! first. The text of the files is not compared: what answers the same is the same.

use std::collections::BTreeSet;
use std::fmt::Display;

use crate::policy::name::Key;
use crate::policy::zone::Node;

use super::{Rules, View};

/// How many entries a report lists; whoever changed more looks into the files.
const CHANGED_MAX: usize = 100;

/// Gives what differs, at most a hundred entries: `dns.ecs.trusted: [] became [10.0.0.0/8]`,
/// `view order: [a, b] became [b, a]`, `view/a: match [any] became [none]`, then the owner names
/// whose records differ as `a/name`, sorted.
pub fn diff(old: &Rules, new: &Rules) -> Vec<String> {
    let mut changed = choices(old, new);
    changed.extend(names(old, new));
    changed.truncate(CHANGED_MAX);
    changed
}

/// Gives what chooses among the views and differs.
fn choices(old: &Rules, new: &Rules) -> Vec<String> {
    let mut changed = Vec::new();
    if old.ecs_trusted != new.ecs_trusted {
        let (old, new) = (list(&old.ecs_trusted), list(&new.ecs_trusted));
        changed.push(format!("dns.ecs.trusted: {old} became {new}"));
    }
    let common = |from: &Rules, with: &Rules| {
        let views = from.views.iter().map(|view| view.name.clone());
        let both = views.filter(|name| find(with, name).is_some());
        both.collect::<Vec<_>>()
    };
    let (before, after) = (common(old, new), common(new, old));
    if before != after {
        let (before, after) = (list(&before), list(&after));
        changed.push(format!("view order: {before} became {after}"));
    }
    for view in old
        .views
        .iter()
        .filter(|view| find(new, &view.name).is_none())
    {
        let matched = list(&view.match_clients);
        changed.push(format!("view/{}: removed, match {matched}", view.name));
    }
    for (view, place) in new.views.iter().zip(1..) {
        let matched = list(&view.match_clients);
        match find(old, &view.name) {
            None => {
                let what = format!(
                    "view/{}: added in place {place}, match {matched}",
                    view.name
                );
                changed.push(what);
            }
            Some(before) if before.match_clients != view.match_clients => {
                let before = list(&before.match_clients);
                changed.push(format!(
                    "view/{}: match {before} became {matched}",
                    view.name
                ));
            }
            Some(_) => {}
        }
    }
    changed
}

/// Gives the owner names whose records differ, as `view/name`.
fn names(old: &Rules, new: &Rules) -> BTreeSet<String> {
    let mut changed = BTreeSet::new();
    for view in &new.views {
        compare(find(old, &view.name), Some(view), &mut changed);
    }
    for view in &old.views {
        if find(new, &view.name).is_none() {
            compare(Some(view), None, &mut changed);
        }
    }
    changed
}

fn find<'r>(rules: &'r Rules, name: &str) -> Option<&'r View> {
    rules.views.iter().find(|view| &*view.name == name)
}

/// `[internal, !10.1.0.0/16]`.
fn list(elements: &[impl Display]) -> String {
    let elements: Vec<String> = elements.iter().map(ToString::to_string).collect();
    format!("[{}]", elements.join(", "))
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
            for node in zone.nodes() {
                let owner = node.name();
                let other = twin.and_then(|twin| twin.node(&Key::new(&owner)));
                if !same(node, other) {
                    changed.insert(format!("{name}/{}", owner.lower()));
                }
            }
        }
    }
}

fn same(a: Node<'_>, b: Option<Node<'_>>) -> bool {
    records(Some(a)) == records(b)
}

/// Gives what a name owns, for comparison.
fn records(node: Option<Node<'_>>) -> BTreeSet<(u16, u32, &[u8])> {
    let sets = node.into_iter().flat_map(|node| node.sets());
    let records = sets.flat_map(|set| {
        let (kind, ttl) = (set.code(), set.ttl());
        set.items().map(move |item| (kind, ttl, item.data))
    });
    records.collect()
}
