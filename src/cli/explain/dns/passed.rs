//! Whether a name that no zone holds is passed on: by which rule, and to whom.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::model::network::{Verdict, judge};
use crate::model::topology::Forward;
use crate::policy::answer::{Answer, Question, Step};

/// The part of a view that decides, and what it says of the client.
fn decided<'r>(question: &Question, answer: &Answer<'r>) -> Option<(&'r Forward, Verdict)> {
    let passed = matches!(answer.reason.step, Step::Forwarded | Step::NotForwarded);
    let unwanted = matches!(answer.reason.step, Step::NoZone) && !question.recursion_desired;
    let forward = answer.view?.forward.as_ref()?;
    (passed || unwanted).then(|| (forward, judge(&forward.allow, question.source.ip())))
}

/// Says it, a line each.
pub(super) fn lines(question: &Question, answer: &Answer<'_>) -> Vec<String> {
    let Some((forward, verdict)) = decided(question, answer) else {
        return Vec::new();
    };
    let element = |place: usize| forward.allow.get(place).map_or("", |element| &element.text);
    let client = question.source.ip();
    let first = match verdict {
        Verdict::Allowed(place) => format!("{client} may, by {} of allow", element(place)),
        Verdict::Denied(place) => format!("{client} may not, by {} of allow", element(place)),
        Verdict::Unmatched => format!("{client} may not: nothing in allow holds it"),
    };
    let mut lines = vec![first];
    if matches!(verdict, Verdict::Allowed(_)) {
        let servers: Vec<String> = forward.servers.iter().map(SocketAddr::to_string).collect();
        let fastest = match servers.len() {
            0 | 1 => "",
            _ => ", then the fastest first",
        };
        lines.push(format!("to {}{fastest}", servers.join(", ")));
    }
    lines
}

/// Says it as JSON; null where it was not asked.
pub(super) fn as_json(question: &Question, answer: &Answer<'_>) -> Value {
    let Some((forward, verdict)) = decided(question, answer) else {
        return Value::Null;
    };
    let (allowed, place) = match verdict {
        Verdict::Allowed(place) => (true, Some(place)),
        Verdict::Denied(place) => (false, Some(place)),
        Verdict::Unmatched => (false, None),
    };
    let rule = place.and_then(|place| forward.allow.get(place));
    json!({
        "allowed": allowed,
        "rule": rule.map(|element| element.text.to_string()),
        "servers": forward.servers,
    })
}
