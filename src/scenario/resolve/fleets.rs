//! Fleets: one entry of `agents` or `users` that stands for many, written out.

use std::collections::BTreeMap;

use super::{CLIENTS_MAX, Name, Resolver, Step, file, format, present, with};
use Step::{Index as I, Key as K};

/// One agent or user: an entry of the file, or one of the fleet that an entry is.
pub(super) struct Member<'a, T> {
    /// The entry.
    pub(super) index: usize,
    /// What it says.
    pub(super) shape: &'a T,
    /// The name, if it could be read.
    pub(super) name: Option<Name>,
}

/// An entry that may be a fleet.
pub(super) trait Fleet {
    /// Gives its name, and how many it stands for.
    fn named(&self) -> (Option<&str>, Option<usize>);

    /// Gives its network and its address.
    fn wants(&self) -> (Option<&str>, Option<&str>);
}

impl Fleet for file::Agent {
    fn named(&self) -> (Option<&str>, Option<usize>) {
        (self.name.as_deref(), self.count)
    }

    fn wants(&self) -> (Option<&str>, Option<&str>) {
        (self.network.as_deref(), self.address.as_deref())
    }
}

impl Fleet for file::User {
    fn named(&self) -> (Option<&str>, Option<usize>) {
        (self.name.as_deref(), self.count)
    }

    fn wants(&self) -> (Option<&str>, Option<&str>) {
        (self.network.as_deref(), self.address.as_deref())
    }
}

impl Resolver<'_> {
    /// Writes the fleets of a list out.
    pub(super) fn members<'a, T: Fleet>(
        &mut self,
        list: &'static str,
        entries: &'a file::List<T>,
    ) -> Vec<Member<'a, T>> {
        let mut members = Vec::new();
        let mut seen: BTreeMap<Name, usize> = BTreeMap::new();
        for (index, shape) in present(entries) {
            let steps = [K(list), I(index)];
            let (name, count) = shape.named();
            let count_at = with(&steps, &[K("count")]);
            let unread = count.is_none() && self.written(&count_at);
            let (Some(name), false) = (name, unread) else {
                let name = None;
                members.push(Member { index, shape, name });
                continue;
            };
            let left = CLIENTS_MAX - members.len().min(CLIENTS_MAX);
            if count.unwrap_or(1) > left {
                let what = format!("with these there are more than {CLIENTS_MAX} {list}");
                self.wrong(&count_at, what, format!("at most {left} here"));
                let name = None;
                members.push(Member { index, shape, name });
                continue;
            }
            if count.is_some() && shape.wants().1.is_some() {
                self.wrong(
                    &with(&steps, &[K("address")]),
                    "a fleet has an address for each of its members",
                    "take it out, and each gets a free one",
                );
            }
            let mut first = None;
            for number in 1..=count.unwrap_or(1) {
                let name: Name = match count {
                    Some(_) => format!("{name}-{number}").into(),
                    None => name.into(),
                };
                first = first.or_else(|| Some((name.clone(), *seen.get(&name)?)));
                seen.insert(name.clone(), index);
                let name = Some(name);
                members.push(Member { index, shape, name });
            }
            if let Some((name, other)) = first {
                let kind = list.trim_end_matches('s');
                let name = &*name;
                let what = format!("another {kind} has the name {name:?} (entry {})", other + 1);
                let at = with(&steps, &[K("name")]);
                self.wrong(&at, what, "give each a name of its own");
            }
            let last = count.map(|count| format!("{name}-{count}"));
            if let Some(last) = last.filter(|last| format::check("name", last).is_err()) {
                let what = format!("{last:?} is too long for a name");
                self.wrong(&with(&steps, &[K("name")]), what, "make it shorter");
            }
        }
        members
    }
}
