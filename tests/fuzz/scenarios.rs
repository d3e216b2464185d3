//! Any bytes as a scenario, and as the files that a scenario names: an answer, never a panic.

use std::path::Path;

use twodoors::model::mistake::Files;
use twodoors::scenario::{embedded, load};

/// Loads the embedded scenario with one of its files replaced by these bytes, each in turn; tells
/// whether one of these was sound.
///
/// Panics when what comes back breaks a promise: a refusal without a mistake, or more mistakes than
/// are shown.
pub(crate) fn scenario(bytes: &[u8]) -> bool {
    let mut sound = false;
    let text = String::from_utf8_lossy(bytes);
    for replaced in [
        embedded::SCENARIO,
        "scenarios/teleport/proxy.yaml",
        "scenarios/teleport/orders.yaml",
    ] {
        let files = Mutated {
            replaced: Path::new(replaced),
            text: &text,
        };
        if let Err(unsound) = load(Path::new(embedded::SCENARIO), &files) {
            let mistakes = unsound.mistakes;
            assert!(!mistakes.is_empty(), "refused without a mistake");
            assert!(mistakes.len() <= 201, "{} mistakes", mistakes.len());
        } else {
            sound = true;
        }
    }
    sound
}

struct Mutated<'a> {
    replaced: &'a Path,
    text: &'a str,
}

impl Files for Mutated<'_> {
    fn read(&self, path: &Path) -> Result<String, String> {
        if path == self.replaced {
            return Ok(self.text.to_owned());
        }
        embedded::FILES.read(path)
    }
}
