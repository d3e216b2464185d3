//! The answer that a view would give to a client who gets another one.

use std::sync::Arc;

use super::Rules;
use crate::model::fault::Effect;
use crate::model::network::{Element, Matcher, Mode};
use crate::policy::view::{Lists, Selector};

impl Rules {
    /// Gives rules by which this view, by its place, answers everybody.
    ///
    /// What the zones hold, and what a missing name is left to, stays as it is, and so do faults,
    /// but for those that have another view or another generation answer.
    pub fn answering_from(&self, view: usize) -> Self {
        let (everybody, nobody) = (everybody(false), everybody(true));
        let lists = (0..self.views.len()).map(|place| Lists {
            clients: std::slice::from_ref(if place == view { &everybody } else { &nobody }),
            destinations: &[],
        });
        let trusted = &self.ecs_trusted;
        let selector = Selector::new(lists, Mode::FirstMatch, trusted, &[]);
        let elsewhere = self
            .faults
            .iter()
            .filter(|(_, fault)| matches!(fault.effect, Effect::Stale | Effect::ViewFlip { .. }));
        let faults = elsewhere.fold(self.faults.clone(), |faults, (id, _)| faults.without(*id));
        Self {
            selector: Arc::new(selector),
            faults,
            previous: None,
            ..self.clone()
        }
    }
}

fn everybody(negated: bool) -> Element {
    Element {
        text: if negated { "none" } else { "any" }.into(),
        negated,
        what: Matcher::Any,
    }
}
