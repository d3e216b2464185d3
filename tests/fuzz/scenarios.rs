//! Any bytes as a scenario, as the files that a scenario names, and as those that people bring from
//! elsewhere: an answer, never a panic.

use std::path::Path;

use twodoors::model::mistake::Files;
use twodoors::scenario::{Mistakes, embedded, load, teleport};

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

/// Reads any bytes as each of the files that people bring from elsewhere: an environment file, Helm
/// values, an answer of find, and the file of a pool whose certificate they are as well.
///
/// Panics when something is refused without a mistake, or given beside one.
pub(crate) fn foreign(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let path = Path::new("foreign");
    let everywhere = Everywhere(&text);
    judged(|mistakes, warnings| teleport::environment(path, &text, mistakes, warnings));
    judged(|mistakes, warnings| teleport::helm(path, &text, mistakes, warnings));
    judged(|mistakes, warnings| teleport::agent(path, &text, mistakes, warnings));
    judged(|mistakes, warnings| teleport::proxy(path, &text, &everywhere, mistakes, warnings));
    let pool = "proxy_service: {https_keypairs: [{key_file: a, cert_file: b}]}";
    judged(|mistakes, warnings| teleport::proxy(path, pool, &everywhere, mistakes, warnings));
    if let Err(mistakes) = teleport::find(path, &text) {
        assert!(!mistakes.is_empty(), "refused without a mistake");
    }
}

fn judged<T>(read: impl FnOnce(&mut Mistakes, &mut Mistakes) -> Option<T>) {
    let (mut mistakes, mut warnings) = (Mistakes::default(), Mistakes::default());
    let given = read(&mut mistakes, &mut warnings).is_some();
    assert_eq!(given, mistakes.is_empty(), "{mistakes:?}");
    let warnings = warnings.into_list(Path::new("foreign"));
    assert!(warnings.len() <= 201, "{} warnings", warnings.len());
}

/// Every file holds the same text.
struct Everywhere<'a>(&'a str);

impl Files for Everywhere<'_> {
    fn read(&self, _path: &Path) -> Result<String, String> {
        Ok(self.0.to_owned())
    }
}
