//! What differs between two sets of rules: settings, and which clients get which other answers.
//!
//! In go the rules before and after; out come the settings that choose among views, and for each
//! pair of zones that does not say the same the shortest list of client prefixes that are answered
//! from it, with the record sets before and after. The text of the files is not compared: what
//! answers the same is the same. A zone that is there twice is compared once, however many views
//! share it. What a zone leaves to other views (`miss: public`) is followed there for each client:
//! the zones that are asked in turn are compared as the one that they are to him.

mod clients;
mod contents;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::model::id;
use crate::model::network::Element;
use crate::model::topology::Share;
use crate::policy::name::Key;
use crate::policy::partition::cover;
use crate::policy::zone::Zone;

use super::left::{Asker, Order};
use super::{Rules, View};

use self::clients::Class;

pub use self::contents::{CHANGES_MAX, Change, Contents, Fate, Reach, Words};

/// How many entries a report lists; whoever changed more looks into the files.
const CHANGED_MAX: usize = 100;

/// What differs.
#[derive(Debug)]
pub struct Difference {
    /// What chooses among the views and differs, a sentence each.
    pub settings: Vec<String>,
    /// Which clients get other answers, in the order of their lowest addresses.
    pub groups: Vec<Group>,
    /// How much of the IPv4 addresses get other answers; another serial alone is not counted.
    pub four: Share,
    /// How much of the IPv6 addresses.
    pub six: Share,
    /// The owner names whose records differ in views of one name, as `view/name`.
    names: BTreeSet<String>,
}

/// Clients that get the same other answers.
#[derive(Debug)]
pub struct Group {
    /// The shortest list of prefixes that holds them: IPv4 first, in order.
    pub prefixes: Vec<IpNet>,
    /// The views that answered them and that do now; `None` where they are refused.
    pub views: Vec<(Option<id::Name>, Option<id::Name>)>,
    /// What they get.
    pub contents: Contents,
}

/// Gives what differs, at most a hundred entries: `dns.ecs.trusted: [] became [10.0.0.0/8]`,
/// `view order: [a, b] became [b, a]`, `view/a: match [any] became [none]`, then the owner names
/// whose records differ as `a/name`, sorted.
pub fn diff(old: &Rules, new: &Rules) -> Vec<String> {
    Difference::between(old, new).summary()
}

impl Difference {
    /// Compares.
    pub fn between(old: &Rules, new: &Rules) -> Self {
        let mut compared = Compared {
            zones: BTreeMap::new(),
            contents: Vec::new(),
        };
        let names = compared.names(old, new);
        let mut groups: Vec<Option<Clients>> = Vec::new();
        let mut add = |places: &[usize], class: Class| {
            for place in places {
                if groups.len() <= *place {
                    groups.resize_with(*place + 1, || None);
                }
                let clients = groups[*place].get_or_insert_default();
                clients.views.insert((class.from, class.to));
                clients.ranges.push((class.first, class.last));
            }
        };
        let orders = [Order::of(old), Order::of(new)];
        let sources = clients::sources(&old.selector, &new.selector);
        // Pairs of views come back with every interval.
        let mut pairs: BTreeMap<(Option<usize>, Option<usize>), Vec<usize>> = BTreeMap::new();
        clients::classes(&old.selector, &new.selector, |class| {
            let from = class.from.map(|at| &old.views[at]);
            let to = class.to.map(|at| &new.views[at]);
            if [from, to].into_iter().flatten().any(View::leaves_names) {
                for piece in clients::pieces(class, &sources) {
                    let asker = Asker {
                        source: piece.first,
                        destination: piece.destination,
                    };
                    add(&compared.views(orders, [from, to], Some(asker)), piece);
                }
            } else {
                let own = pairs.entry((class.from, class.to));
                add(
                    own.or_insert_with(|| compared.views(orders, [from, to], None)),
                    class,
                );
            }
        });
        let mut counted = Vec::new();
        let name = |views: &[View], at: Option<usize>| at.map(|at| views[at].name.clone());
        let pairs = compared.contents.into_iter().zip(groups);
        let mut groups: Vec<(IpAddr, Group)> = pairs
            .filter_map(|(contents, clients)| {
                let Clients { views, mut ranges } = clients?;
                clients::join(&mut ranges);
                if contents.counts() {
                    counted.extend(&ranges);
                }
                let views = views.into_iter();
                let group = Group {
                    prefixes: ranges.iter().flat_map(|(a, b)| cover(*a, *b)).collect(),
                    views: views
                        .map(|(from, to)| (name(&old.views, from), name(&new.views, to)))
                        .collect(),
                    contents,
                };
                Some((ranges.first()?.0, group))
            })
            .collect();
        groups.sort_by_key(|(first, _)| *first);
        clients::join(&mut counted);
        let (four, six) = clients::shares(&counted);
        Self {
            settings: settings(old, new),
            groups: groups.into_iter().map(|(_, group)| group).collect(),
            four,
            six,
            names,
        }
    }

    /// Tells whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.settings.is_empty() && self.groups.is_empty() && self.names.is_empty()
    }

    /// Gives the greater share of the address space that gets other answers.
    pub fn share(&self) -> Share {
        self.four.max(self.six)
    }

    /// Counts the settings, and the names in each view, that differ.
    pub fn count(&self) -> usize {
        self.settings.len() + self.names.len()
    }

    /// Gives a list to read, as [`diff()`] does.
    pub fn summary(&self) -> Vec<String> {
        let all = self.settings.iter().chain(&self.names);
        all.take(CHANGED_MAX).cloned().collect()
    }
}

/// The clients of a group, as they are found.
#[derive(Default)]
struct Clients {
    views: BTreeSet<(Option<usize>, Option<usize>)>,
    ranges: Vec<(IpAddr, IpAddr)>,
}

/// The zones asked in turn, by where they are kept, before and after, and the key of the apex below
/// which they are asked.
type Pair = (Vec<usize>, Vec<usize>, Box<[u8]>);

/// Pairs of zones that were compared.
struct Compared {
    /// Which contents came of the zones below an apex; `None` when they say the same.
    zones: BTreeMap<Pair, Option<usize>>,
    contents: Vec<Contents>,
}

impl Compared {
    /// Compares what two views serve, and what they leave to others of what this client asks; gives
    /// the places of what differs.
    fn views(
        &mut self,
        orders: [Order<'_>; 2],
        views: [Option<&View>; 2],
        asker: Option<Asker>,
    ) -> Vec<usize> {
        let both = views.into_iter().flatten();
        let apexes: BTreeMap<&[u8], &Key> = both
            .flat_map(View::zones)
            .map(|zone| (zone.key().whole(), zone.key()))
            .collect();
        let apexes = apexes.into_values();
        apexes
            .filter_map(|apex| {
                let zones = |side: usize| {
                    let view = views[side];
                    view.map_or_else(Vec::new, |view| orders[side].zones(view, asker, apex))
                };
                self.zones(&zones(0), &zones(1), apex)
            })
            .collect()
    }

    /// Compares what zones say that are asked in turn, at and below an apex.
    fn zones(&mut self, old: &[&Zone], new: &[&Zone], apex: &Key) -> Option<usize> {
        let addresses = |zones: &[&Zone]| -> Vec<usize> {
            let each = zones.iter();
            each.map(|zone| std::ptr::from_ref::<Zone>(zone).addr())
                .collect()
        };
        let key = (addresses(old), addresses(new), apex.whole().into());
        if key.0 == key.1 {
            return None;
        }
        if let Some(known) = self.zones.get(&key) {
            return *known;
        }
        let found = contents::compare(old, new, apex);
        let place = found.map(|contents| {
            self.contents.push(contents);
            self.contents.len() - 1
        });
        self.zones.insert(key, place);
        place
    }

    /// Gives the owner names whose records differ, as `view/name`.
    fn names(&mut self, old: &Rules, new: &Rules) -> BTreeSet<String> {
        let gone = old.views.iter();
        let gone = gone.filter(|view| find(new, &view.name).is_none());
        let pairs = new
            .views
            .iter()
            .map(|view| (find(old, &view.name), Some(view)))
            .chain(gone.map(|view| (Some(view), None)));
        let mut names = BTreeSet::new();
        let orders = [Order::of(old), Order::of(new)];
        for (from, to) in pairs {
            let Some(view) = to.or(from) else { continue };
            // Of its own zones: names that it leaves to other views are told as theirs.
            for place in self.views(orders, [from, to], None) {
                let owners = self.contents[place].owners();
                names.extend(owners.map(|owner| format!("{}/{owner}", view.name)));
            }
        }
        names
    }
}

/// Gives what chooses among the views and differs.
fn settings(old: &Rules, new: &Rules) -> Vec<String> {
    let mut changed = Vec::new();
    if old.ecs_trusted != new.ecs_trusted {
        let (old, new) = (list(&old.ecs_trusted), list(&new.ecs_trusted));
        changed.push(format!("dns.ecs.trusted: {old} became {new}"));
    }
    let modes = [old, new].map(|rules| rules.selector.mode().word());
    if modes[0] != modes[1] {
        changed.push(format!("dns.mode: {} became {}", modes[0], modes[1]));
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
    // The same words may stand for other networks, or for the same in other words.
    let partitions = |rules: &'_ Rules| rules.selector.partitions().len();
    let pairs = old.selector.partitions().iter();
    let mut pairs = pairs.zip(new.selector.partitions());
    let agree = partitions(old) == partitions(new) && pairs.all(|(old, new)| old.agrees(new));
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
                if before != matched {
                    let what = format!("view/{}: match {before} became {matched}", view.name);
                    changed.push(what);
                } else if !agree {
                    let what = format!("view/{}: match {matched} means others now", view.name);
                    changed.push(what);
                }
            }
            Some(_) => {}
        }
        for (origin, miss) in view.misses() {
            let mut earlier = find(old, &view.name).into_iter().flat_map(View::misses);
            let before = earlier.find(|(known, _)| *known == origin);
            if let Some((_, before)) = before.filter(|(_, before)| *before != miss) {
                let (before, miss) = (before.word(), miss.word());
                let what = format!(
                    "view/{}: miss of {origin} {before} became {miss}",
                    view.name
                );
                changed.push(what);
            }
        }
        let (before, after) = (destinations(old, &view.name), destinations(new, &view.name));
        if let Some((before, after)) = before.zip(after)
            && before != after
        {
            let (before, after) = (list(before), list(after));
            let what = format!("view/{}: destinations {before} became {after}", view.name);
            changed.push(what);
        }
    }
    changed
}

/// Gives where a view answers.
fn destinations<'r>(rules: &'r Rules, name: &str) -> Option<&'r [Element]> {
    let place = rules.views.iter().position(|view| &*view.name == name)?;
    Some(rules.selector.lists().nth(place)?.destinations)
}

fn find<'r>(rules: &'r Rules, name: &str) -> Option<&'r View> {
    rules.views.iter().find(|view| &*view.name == name)
}

/// `[internal, !10.1.0.0/16]`.
fn list(elements: &[impl Display]) -> String {
    let elements: Vec<String> = elements.iter().map(ToString::to_string).collect();
    format!("[{}]", elements.join(", "))
}
