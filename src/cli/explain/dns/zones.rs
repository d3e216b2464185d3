//! Why one zone of a view speaks for a name, and not a wider or a deeper one.

use hickory_proto::rr::RecordType;

use crate::policy::answer::{Answer, Question, Step};
use crate::policy::name::Key;

/// How many zones are named; a view may have thousands.
const NAMED: usize = 5;

/// Says why; `None` when no zone was looked for.
pub(super) fn why(question: &Question, answer: &Answer<'_>) -> Option<String> {
    let view = answer.view?;
    let key = Key::new(&question.name);
    let above = |zone: &&std::sync::Arc<crate::policy::zone::Zone>| key.is_under(zone.key());
    let Some(zone) = answer.zone else {
        if !matches!(answer.reason.step, Step::NoZone) {
            return None;
        }
        let all: Vec<String> = view.zones().map(|zone| zone.origin().to_string()).collect();
        return Some(format!(
            "no zone of the view {} is at or above the name; it has {}",
            view.name,
            some(&all)
        ));
    };
    let mut wider: Vec<(usize, String)> = view
        .zones()
        .filter(above)
        .filter(|other| other.key().labels() < zone.key().labels())
        .map(|other| (other.key().labels(), other.origin().to_string()))
        .collect();
    wider.sort();
    let wider: Vec<String> = wider.into_iter().rev().map(|(_, origin)| origin).collect();
    let own = view.zone_at(&key);
    if question.record_type == RecordType::DS && own.is_some_and(|own| !std::ptr::eq(own, zone)) {
        return Some(format!(
            "DS is the parent side's (RFC 4035 section 3.1.4.1), so not {} itself",
            question.name
        ));
    }
    // One zone is no choice, and needs no words.
    let others = view.zones().count() > 1;
    let why = match wider.as_slice() {
        [] if !others => return None,
        [] => String::from("the only zone of the view at or above the name"),
        wider => format!(
            "the deepest zone of the view at or above the name, so not {}",
            some(wider)
        ),
    };
    Some(why)
}

fn some(names: &[String]) -> String {
    let mut shown: Vec<&str> = names.iter().take(NAMED).map(String::as_str).collect();
    let more = names.len().saturating_sub(NAMED).to_string() + " more";
    if names.len() > NAMED {
        shown.push(&more);
    }
    if shown.is_empty() {
        return String::from("none");
    }
    shown.join(", ")
}
