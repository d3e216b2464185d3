//! Findings of a loaded scenario, with their places in the user's own files.

use super::load::Loaded;
use crate::model::finding::Finding;
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
