//! Any text as a zone file, through reader, checks and lookup.

use std::io::Read;
use std::path::Path;

use hickory_proto::rr::RecordType;
use twodoors::model::mistake::Files;
use twodoors::model::topology::{Miss, ZoneSource};
use twodoors::policy::name::Key;
use twodoors::policy::zone::{Zone, data_words, lookup};

/// Every path is these octets, so a file that includes another includes itself.
struct Same<'a>(&'a [u8]);

impl Files for Same<'_> {
    fn read(&self, _: &Path) -> Result<String, String> {
        Err(String::from("it need be no text"))
    }

    fn open(&self, _: &Path) -> Result<Box<dyn Read + '_>, String> {
        Ok(Box::new(self.0))
    }
}

/// Reads the text as a zone; gives whether it is one.
pub(crate) fn feed(bytes: &[u8]) -> bool {
    let source = ZoneSource {
        origin: String::from("example.test."),
        file: "zone".into(),
        miss: Miss::Nxdomain,
    };
    let loaded = Zone::load(&source, &Same(bytes));
    assert!(loaded.mistakes.len() <= 100 && loaded.warnings.len() <= 100);
    for mistake in loaded.mistakes.iter().chain(&loaded.warnings) {
        assert!(
            mistake.place.line > 0 && mistake.place.column > 0,
            "{mistake}"
        );
        assert!(!mistake.what.is_empty());
    }
    assert_eq!(loaded.zone.is_some(), loaded.mistakes.is_empty());
    let Some(zone) = loaded.zone else {
        return false;
    };
    for node in zone.nodes() {
        for set in node.sets() {
            assert!(
                set.items().len() > 0 && !data_words(set.record_type(), set.first()).is_empty()
            );
        }
        for record_type in [
            RecordType::A,
            RecordType::NS,
            RecordType::ANY,
            RecordType::DS,
        ] {
            let _ = lookup(&zone, &Key::new(&node.name()), record_type);
        }
    }
    true
}
