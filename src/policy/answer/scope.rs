//! For whom an answer that a client-subnet option chose is true (RFC 7871 section 7.2.1).
//!
//! The views cut the address space into intervals; the scope is the shortest prefix of the given
//! address within which everybody gets this answer. Views that answer this question alike count as
//! one, so a name that is the same for all has scope 0.

use super::{Answer, Question, Rrset, Rules, Step, View};
use crate::model::topology::Miss;
use crate::policy::name::Key;
use crate::policy::partition::Scope;
use crate::policy::zone::Zone;

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
    let exactly = |length| Scope {
        length,
        mixed: length > subnet.source,
        exact: true,
    };
    let left_to_others = |miss: Miss| miss == Miss::Public;
    let scope = if subnet.source == 0 {
        // The sender's own address chose: the answer is for all that it sends.
        exactly(0)
    } else if answer.reason.aliases == 0 && matches!(answer.reason.step, Step::Delegation(_)) {
        // RFC 7871 section 7.4: what a referral says of subnets is not kept.
        exactly(0)
    } else if answer
        .reason
        .missed
        .is_some_and(|missed| left_to_others(missed.miss))
    {
        // The further view is chosen by lists that the partition does not have.
        let length = if subnet.address.is_ipv4() { 32 } else { 128 };
        Scope {
            exact: false,
            ..exactly(length)
        }
    } else {
        let same = |one, other| alike(rules, one, other, question);
        rules.selector.scope(subnet, destination, same)
    };
    answer.reason.scope = Some(scope);
    if let Some(subnet) = answer.edns.as_mut().and_then(|edns| edns.subnet.as_mut()) {
        subnet.scope = scope.length;
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
    let held = |view: &View| -> Option<(*const Zone, Miss)> {
        let (zone, miss) = view.held_for(&key, question.record_type)?;
        Some((std::ptr::from_ref(zone), miss))
    };
    // Aliases are followed within one zone: the same zone says the same.
    if held(one) == held(other) && held(one).is_none_or(|(_, miss)| miss != Miss::Public) {
        return true;
    }
    let (one, other) = (of(rules, one, question), of(rules, other, question));
    // Where a further view is asked, it depends on the client which one.
    one.reason
        .missed
        .is_none_or(|missed| missed.miss != Miss::Public)
        && other
            .reason
            .missed
            .is_none_or(|missed| missed.miss != Miss::Public)
        && one.rcode == other.rcode
        && one.authoritative == other.authoritative
        && is_same(&one.answer, &other.answer)
        && is_same(&one.authority, &other.authority)
        && is_same(&one.additional, &other.additional)
}

/// Asks a view as if it had been chosen.
fn of<'r>(rules: &'r Rules, view: &'r View, question: &Question) -> Answer<'r> {
    let mut answer = Answer::empty(rules);
    answer.follow(view, None, &question.name, question.record_type);
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
