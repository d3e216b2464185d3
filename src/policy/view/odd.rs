//! What is odd about views though it works: rules that nobody reaches.
//!
//! In go the DNS server's settings; out come the keys, as they stand in `dns:`, with what is odd.
//! Who has the file adds the place.

use crate::model::network::{Element, Matcher};
use crate::model::topology::{Dns, View};

use super::selector::Selector;

/// How many are told; whoever made a mistake in a script made it a thousand times.
const TOLD_MAX: usize = 50;

/// Something odd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Odd {
    /// The key, below `dns`: `views[1].match[0]`.
    pub key: String,
    /// What is odd.
    pub what: String,
    /// What would be better.
    pub cure: String,
}

/// Tells the views that no client gets, and the rules that decide about nobody.
pub fn odd(dns: &Dns, selector: &Selector) -> Vec<Odd> {
    let found = selector.unreachable();
    let views = found.views.iter().filter_map(|index| {
        let view = &dns.views[*index];
        // Who writes `none` alone means it.
        let meant = view.match_clients.iter().all(is_none);
        (!meant).then(|| Odd {
            key: format!("views[{index}]"),
            what: format!(
                "no client gets the view {}: {}",
                view.name,
                why(dns, *index)
            ),
            cure: String::from("move it, or narrow the lists of the views that get its clients"),
        })
    });
    let elements = found.elements.iter().filter_map(|(view, element)| {
        // The view as a whole has been told.
        if found.views.contains(view) {
            return None;
        }
        let rule = &dns.views[*view].match_clients[*element];
        let what = if rule.negated {
            format!(
                "{rule} turns nobody away: other elements of this list decide about all it holds"
            )
        } else {
            format!("{rule} lets nobody in: all that it holds get another rule")
        };
        Some(Odd {
            key: format!("views[{view}].match[{element}]"),
            what,
            cure: String::from("move it, or take it out"),
        })
    });
    views.chain(elements).take(TOLD_MAX).collect()
}

fn is_none(element: &Element) -> bool {
    matches!(element.what, Matcher::None)
}

/// Says where the clients of a view go instead.
fn why(dns: &Dns, index: usize) -> String {
    let view: &View = &dns.views[index];
    if !view.match_clients.iter().any(|element| !element.negated) {
        return String::from("its list only turns away");
    }
    if !view.match_destinations.is_empty() {
        return String::from("where it answers, all that its list lets in get another view");
    }
    String::from("all that its list lets in get another view")
}
