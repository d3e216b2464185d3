//! What a reload would change, and for whom.

use serde::Serialize;
use utoipa::ToSchema;

use crate::http;
use crate::model::id::Name;
use crate::policy::answer::{self, Difference, Words};
use crate::policy::zone::type_word;

/// How many groups of clients, prefixes of a group and changes of a group are written; the rest is
/// counted.
const GROUPS_MAX: usize = 100;
const PREFIXES_MAX: usize = 100;
const CHANGES_MAX: usize = 200;

/// The answer to `POST /api/reload/preview`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Preview {
    /// Why nothing would be reloaded: each mistake with its place.
    pub mistakes: Vec<String>,
    /// What is odd but works, each with its place.
    pub warnings: Vec<String>,
    /// How much of the address space would get another answer to some name.
    pub share: Share,
    /// What would change, as `POST /api/reload` says it.
    pub changed: Vec<String>,
    /// Which clients would get which other answers.
    pub groups: Vec<Group>,
    /// How many groups are not written.
    pub more: usize,
    /// Why it would be refused though it has no mistakes.
    pub refused_by_limit: Option<String>,
}

/// Parts of the address space, `0.4%`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Share {
    /// Of the IPv4 addresses.
    pub ipv4: String,
    /// Of the IPv6 addresses.
    pub ipv6: String,
}

/// Clients that would get the same other answers.
#[derive(Debug, Serialize, ToSchema)]
pub struct Group {
    /// Who they are, the shortest list.
    pub prefixes: Vec<String>,
    /// How many prefixes are not written.
    pub prefixes_more: usize,
    /// What they would get.
    pub changes: Vec<Change>,
    /// How many changes are not written.
    pub more: usize,
}

/// A record set that differs.
#[derive(Debug, Serialize, ToSchema)]
pub struct Change {
    /// The view, or `old → new` where the clients change theirs; null where none lets them in.
    pub view: Option<String>,
    /// The owner.
    pub name: String,
    /// The type.
    pub rtype: String,
    /// TTL and data of each record; empty when there is none.
    pub before: Vec<String>,
    /// The same after.
    pub after: Vec<String>,
}

impl Preview {
    /// Writes what would change, or why nothing would.
    pub fn new(preview: Result<http::Preview, Vec<String>>) -> Self {
        let none = || String::from("0%");
        match preview {
            Err(mistakes) => Self {
                mistakes,
                warnings: Vec::new(),
                share: Share {
                    ipv4: none(),
                    ipv6: none(),
                },
                changed: Vec::new(),
                groups: Vec::new(),
                more: 0,
                refused_by_limit: None,
            },
            Ok(http::Preview {
                difference,
                warnings,
                refused,
            }) => Self {
                mistakes: Vec::new(),
                warnings,
                share: Share {
                    ipv4: difference.four.to_string(),
                    ipv6: difference.six.to_string(),
                },
                changed: difference.summary(),
                groups: groups(&difference),
                more: difference.groups.len().saturating_sub(GROUPS_MAX),
                refused_by_limit: refused,
            },
        }
    }
}

fn groups(difference: &Difference) -> Vec<Group> {
    let groups = difference.groups.iter().take(GROUPS_MAX);
    groups.map(Group::new).collect()
}

impl Group {
    fn new(group: &answer::Group) -> Self {
        let view = views(&group.views);
        let contents = &group.contents;
        let serial = contents.serial.map(|(old, new)| Change {
            view: view.clone(),
            name: contents.zone.to_ascii(),
            rtype: String::from("SOA"),
            before: vec![format!("serial {old}")],
            after: vec![format!("serial {new}")],
        });
        let changes = contents.changes.iter().map(|change| Change {
            view: view.clone(),
            name: change.owner.to_string(),
            rtype: change
                .record_type
                .map_or_else(|| "(name)".into(), type_word),
            before: words(change.old.as_ref()),
            after: words(change.new.as_ref()),
        });
        let all = contents.changes.len() + contents.more + usize::from(serial.is_some());
        let changes: Vec<Change> = serial
            .into_iter()
            .chain(changes)
            .take(CHANGES_MAX)
            .collect();
        let prefixes = group.prefixes.iter().take(PREFIXES_MAX);
        Self {
            prefixes: prefixes.map(ToString::to_string).collect(),
            prefixes_more: group.prefixes.len().saturating_sub(PREFIXES_MAX),
            more: all - changes.len(),
            changes,
        }
    }
}

/// `private`, `private → public`; several where several views share the zone.
fn views(pairs: &[(Option<Name>, Option<Name>)]) -> Option<String> {
    let word = |view: &Option<Name>| view.as_deref().unwrap_or("none (refused)").to_owned();
    let one = |(old, new): &(Option<Name>, Option<Name>)| {
        if old == new {
            return word(old);
        }
        format!("{} → {}", word(old), word(new))
    };
    let words: Vec<String> = pairs.iter().map(one).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

fn words(set: Option<&Words>) -> Vec<String> {
    match set {
        None => Vec::new(),
        Some(words) if words.data.is_empty() => vec![String::from("exists without records")],
        Some(words) => {
            let data = words.data.iter();
            data.map(|data| format!("{} {data}", words.ttl)).collect()
        }
    }
}
