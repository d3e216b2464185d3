//! What a name resolves to, whenever an expectation asks.
//!
//! Judged over the answers to its own questions alone; samples of live traffic are never used. No
//! answer is a failure, unless `rcode: none` expects it; so is an error where no response code is
//! expected, since an answer that failed has no address either.

use std::net::IpAddr;

use super::verdict::{Ruling, Tally, counted};
use crate::model::expect::AnswerCheck;
use crate::model::fact::Probed;
use crate::model::id::{Name, Node};
use crate::model::time::Time;

/// What a scenario writes where it expects silence.
const SILENCE: &str = "none";

/// One `query: …`.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    index: usize,
    check: AnswerCheck,
    asked: u64,
    tally: Tally,
}

impl Answer {
    pub(super) fn new(index: usize, check: &AnswerCheck) -> Self {
        Self {
            index,
            check: check.clone(),
            asked: 0,
            tally: Tally::default(),
        }
    }

    /// Takes an answer.
    pub(super) fn fold(&mut self, at: Time, node: &Node, probed: &Probed) {
        if usize::try_from(probed.expectation) != Ok(self.index) {
            return;
        }
        self.asked += 1;
        match compare(&self.check, probed) {
            Compared::Same => self.tally.evidence += 1,
            Compared::Silent => {}
            Compared::Differs(why) => {
                self.tally.evidence += 1;
                self.tally.refute(at, node, || format!("{probed}; {why}"));
            }
        }
    }

    pub(super) const fn failed(&self) -> bool {
        self.tally.wrong > 0
    }

    pub(super) fn rule(&self, needed: u64) -> Ruling {
        let wrong = self.tally.wrong;
        let of = counted(self.asked, "answer");
        let measured = match wrong {
            _ if self.asked == 0 => String::from("no question asked"),
            0 => format!("all of {of} as expected"),
            wrong => format!("{wrong} of {of} not as expected"),
        };
        let verb = if wrong == 1 { "was" } else { "were" };
        let why = format!("{wrong} of {of} {verb} not as expected");
        self.tally.rule(needed, "answer", measured, why)
    }
}

/// What an answer says about an expectation.
enum Compared {
    /// It is against it, and why.
    Differs(String),
    /// It is as expected.
    Same,
    /// It says nothing about what is expected.
    Silent,
}

fn compare(check: &AnswerCheck, probed: &Probed) -> Compared {
    use Compared::{Differs, Same, Silent};
    let Some(rcode) = &probed.rcode else {
        let expected = check.rcode.as_deref();
        let expected = expected.is_some_and(|rcode| rcode.eq_ignore_ascii_case(SILENCE));
        return if expected {
            Same
        } else {
            Differs(String::from("there was no answer"))
        };
    };
    match &check.rcode {
        Some(expected) if !expected.eq_ignore_ascii_case(rcode) => {
            return Differs(format!("the response code should be {expected}"));
        }
        None if !matches!(&**rcode, "NOERROR" | "NXDOMAIN") => {
            return Differs(String::from("the question failed"));
        }
        Some(_) | None => {}
    }
    if let Some(expected) = &check.answer
        && set(expected) != set(&probed.answer)
    {
        let expected = match &**expected {
            [] => String::from("nothing"),
            data => data.join(", "),
        };
        return Differs(format!("the answer should be {expected}"));
    }
    let addresses = || {
        probed
            .answer
            .iter()
            .filter_map(|data| data.parse::<IpAddr>().ok())
    };
    for address in addresses() {
        let address = address.to_canonical();
        if let Some(net) = check.not_in.iter().find(|net| net.contains(&address)) {
            return Differs(format!("{address} is in {net}"));
        }
    }
    match (&check.view, &probed.view) {
        (Some(expected), Some(view)) if expected != view => {
            return Differs(format!("the view should be {expected}"));
        }
        // Who asks over the wire cannot know the view.
        (Some(_), None) => return Silent,
        (Some(_) | None, _) => {}
    }
    let only_addresses = check.answer.is_none() && check.rcode.is_none() && check.view.is_none();
    if only_addresses && addresses().next().is_none() {
        return Silent;
    }
    Same
}

/// Gives data as a sorted set, in one form each.
fn set(data: &[Name]) -> Vec<String> {
    let mut set: Vec<String> = data.iter().map(|data| in_one_form(data)).collect();
    set.sort_unstable();
    set.dedup();
    set
}

/// Writes addresses as addresses are written, and the rest as it stands but for case and final dot.
fn in_one_form(data: &str) -> String {
    match data.parse::<IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => data.strip_suffix('.').unwrap_or(data).to_ascii_lowercase(),
    }
}
