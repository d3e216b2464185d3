//! A record changed while the lab runs, without a file.
//!
//! In go rules and a change; out come the rules after it, or why it cannot be made. The zones are
//! made anew, by the checks that their files went through; those that do not change are shared.

use std::sync::Arc;

use crate::model::timeline::RecordChange;
use crate::policy::name::Key;
use crate::policy::zone::{Unchanged, Zone, read_name, served_type};

use super::{Rules, View, diff};

impl Rules {
    /// Gives the rules after a change, as the next generation, and what changed as [`diff()`] says it.
    ///
    /// Removing what is not there changes no records.
    pub fn with_record(&self, change: &RecordChange) -> Result<(Self, Vec<String>), Unchanged> {
        let name = read_name(&change.name).map_err(|what| Unchanged::new(what, ""))?;
        let kind = served_type(&change.rtype).map_err(|(what, cure)| Unchanged::new(what, cure))?;
        let key = Key::new(&name);
        let meant = |view: &View| change.view.as_ref().is_none_or(|name| view.name == *name);
        if let Some(wanted) = change.view.as_ref()
            && !self.views.iter().any(meant)
        {
            let views = self.views.iter().map(|view| view.name.to_string());
            let views = views.collect::<Vec<_>>().join(", ");
            let cure = format!("views are: {views}");
            return Err(Unchanged::new(format!("there is no view {wanted}"), cure));
        }
        // Views that share a zone share it afterwards, too.
        let mut made: Vec<(&Zone, Arc<Zone>)> = Vec::new();
        let mut views = self.views.clone();
        for (view, old) in views.iter_mut().zip(&self.views) {
            let Some(zone) = old.zone_for(&key, kind).filter(|_| meant(old)) else {
                continue;
            };
            let known = made.iter().find(|(old, _)| std::ptr::eq(*old, zone));
            let new = match known {
                Some((_, new)) => Arc::clone(new),
                None => {
                    let new = Arc::new(zone.with_set(&name, kind, change)?);
                    made.push((zone, Arc::clone(&new)));
                    new
                }
            };
            *view = old.with_zone(new);
        }
        if made.is_empty() {
            let place = match &change.view {
                Some(view) => format!("the view {view}"),
                None => String::from("any view"),
            };
            let what = format!("no zone of {place} holds {name}");
            return Err(Unchanged::new(what, "name one that a zone has or may have"));
        }
        let new = self.with_views(views).following(self);
        let changed = diff(self, &new);
        Ok((new, changed))
    }
}
