//! Scenario files: the shipped one, and valid and broken ones beside their expected messages.

use std::path::Path;

use twodoors::scenario::{embedded, load};

#[test]
fn the_embedded_scenario_has_no_mistake_and_no_warning() {
    let loaded = load(Path::new(embedded::SCENARIO), &embedded::FILES).expect("no mistakes");
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert_eq!(loaded.topology.mesh_size(), 12);
    assert_eq!(loaded.read.len(), 8);
}
