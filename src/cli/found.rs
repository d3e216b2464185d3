//! Findings of a loaded scenario, with their places in the user's own files.

use std::io;

use super::Io;
use crate::lab::load::Loaded;
use crate::model::finding::{Finding, Severity};
use crate::model::mistake::Place;
use crate::policy::findings;

/// A finding and where it can be mended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The finding.
    pub finding: Finding,
    /// The key in the user's file, or where it would be; `None` when no key brings it about.
    pub place: Option<Place>,
}

/// Gives what there is to tell of a scenario.
pub fn findings(loaded: &Loaded) -> Vec<Found> {
    let found = findings::all(&loaded.topology, Some(&loaded.rules)).into_iter();
    let found = found.map(|finding| {
        let key = finding.key.as_ref();
        let place = key.and_then(|key| loaded.places.place(&key.of, &key.path));
        Found { finding, place }
    });
    found.collect()
}

/// Writes findings of severity error, one a line: a lab that starts is not what it seems.
pub(super) fn write_errors(loaded: &Loaded, io: &mut Io<'_>) -> io::Result<()> {
    for Found { finding, place } in findings(loaded) {
        if finding.severity == Severity::Error {
            let place = place.map_or_else(String::new, |place| format!("{place}: "));
            let Finding { id, what, cure, .. } = finding;
            writeln!(io.err, "finding: {place}{id}: {what}; {cure}")?;
        }
    }
    Ok(())
}
