//! For whom an answer that a client-subnet option chose is true (RFC 7871 section 7.2.1).
//!
//! The views cut the address space into intervals; the scope is the shortest prefix of the given
//! address within which everybody gets this answer. Views that answer this question alike count as
//! one, so a name that is the same for all has scope 0.

use super::{Answer, Question, Rrset, Rules, View};
use crate::policy::name::Key;

/// Puts the exact scope into the option that is echoed, if one is.
pub(super) fn narrow(answer: &mut Answer<'_>, rules: &Rules, question: &Question) {
    let Some(subnet) = answer.edns.and_then(|edns| edns.subnet) else {
        return;
    };
    // Somebody else's view answers, or another generation: true for just the bits that were given.
    if !answer.reason.faults.is_empty() {
        return;
    }
    let destination = question.destination.0.ip();
    let scope = match subnet.source {
        // The sender's own address chose: the answer is for all that it sends.
        0 => 0,
        _ => {
            let same = |one, other| alike(rules, one, other, question);
            rules.selector.scope(subnet, destination, same).length
        }
    };
    if let Some(subnet) = answer.edns.as_mut().and_then(|edns| edns.subnet.as_mut()) {
        subnet.scope = scope;
    }
}

/// Tells whether two views, by index, answer a question alike; no view refuses.
fn alike(rules: &Rules, one: Option<usize>, other: Option<usize>, question: &Question) -> bool {
    let view = |index: Option<usize>| index.and_then(|index| rules.views.get(index));
    let (one, other) = match (view(one), view(other)) {
        (None, None) => return true,
        (Some(one), Some(other)) => (one, other),
        (Some(_), None) | (None, Some(_)) => return false,
    };
    let key = Key::new(&question.name);
    let zone = |view: &'_ View| {
        view.zone_for(&key, question.record_type)
            .map(std::ptr::from_ref)
    };
    // Aliases are followed within one zone: the same zone says the same.
    if zone(one) == zone(other) {
        return true;
    }
    let (one, other) = (of(rules, one, question), of(rules, other, question));
    one.rcode == other.rcode
        && one.authoritative == other.authoritative
        && is_same(&one.answer, &other.answer)
        && is_same(&one.authority, &other.authority)
        && is_same(&one.additional, &other.additional)
}

/// Asks a view as if it had been chosen.
fn of<'r>(rules: &'r Rules, view: &'r View, question: &Question) -> Answer<'r> {
    let mut answer = Answer::empty(rules);
    answer.follow(view, &question.name, question.record_type);
    answer
}

fn is_same(one: &[Rrset<'_>], other: &[Rrset<'_>]) -> bool {
    let set = |one: &Rrset<'_>, other: &Rrset<'_>| {
        one.record_type() == other.record_type()
            && one.ttl == other.ttl
            && one.owner() == other.owner()
            && one
                .items()
                .map(|item| item.data)
                .eq(other.items().map(|item| item.data))
    };
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| set(one, other))
}
