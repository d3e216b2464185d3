//! Which rules were tried on the way to a view, in words.

use std::net::IpAddr;

use super::{Answer, Question};
use crate::model::network::{Element, Matcher, Mode, Verdict, judge};
use crate::policy::view::{List, Traced, trace};

/// A rule that was tried, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleTried {
    /// The view.
    pub view: String,
    /// The key of its list: `match` or `destinations`.
    pub list: &'static str,
    /// As it is written.
    pub text: String,
    /// Whether it holds the address.
    pub holds: bool,
    /// What came of it.
    pub verdict: String,
}

/// Lists the rules that were tried, in order.
pub fn tried(question: &Question, answer: &Answer<'_>) -> Vec<RuleTried> {
    let Some(selected) = answer.selected else {
        return Vec::new();
    };
    let source = selected.source.address();
    let destination = question.destination.ip();
    let mode = answer.selector.mode();
    let lists = || answer.selector.lists();
    let traced = trace(lists(), mode, source, destination).into_iter();
    let words = traced.filter_map(|step| {
        let lists = lists().nth(step.view)?;
        let (list, element, address, mode) = match step.list {
            List::Clients => ("match", lists.clients.get(step.element)?, source, mode),
            List::Destinations => (
                "destinations",
                lists.destinations.get(step.element)?,
                destination,
                Mode::FirstMatch,
            ),
        };
        Some(RuleTried {
            view: answer.views.get(step.view)?.name.to_string(),
            list,
            text: element.text.to_string(),
            holds: step.held.is_some(),
            verdict: verdict(element, step, address, mode),
        })
    });
    words.collect()
}

fn verdict(element: &Element, step: Traced, address: IpAddr, mode: Mode) -> String {
    let Some(length) = step.held else {
        return String::from("does not hold it");
    };
    let holds = format!("holds it{}", within(element, address));
    match mode {
        Mode::FirstMatch => match (step.list, element.negated) {
            (_, true) => format!("{holds}: not this view"),
            (List::Clients, false) => format!("{holds}: this view answers"),
            (List::Destinations, false) => format!("{holds}: this view answers here"),
        },
        Mode::LongestPrefix => {
            let what = match (step.wins, step.decides, element.negated) {
                (true, ..) => "the longest prefix, this view answers",
                (false, true, true) => "the longest of this view, not this view",
                (false, true, false) => "the longest of this view, another view has a longer one",
                (false, false, _) => "another element of this view is longer",
            };
            format!("{holds} by /{length}: {what}")
        }
    }
}

/// Names what holds the address within a list or a network of several ranges.
fn within(element: &Element, address: IpAddr) -> String {
    let address = address.to_canonical();
    match &element.what {
        Matcher::List(inner) => match judge(inner, address) {
            Verdict::Allowed(place) => {
                let deeper = within(&inner[place], address);
                format!(" by {} in it{deeper}", inner[place].text)
            }
            Verdict::Denied(_) | Verdict::Unmatched => String::new(),
        },
        Matcher::Ranges(ranges) if ranges.len() > 1 => {
            let mut holding = ranges.iter().filter(|range| range.contains(&address));
            let range = holding.next().map(|range| format!(" by {range}"));
            range.unwrap_or_default()
        }
        Matcher::Any | Matcher::None | Matcher::Ranges(_) => String::new(),
    }
}
