//! A zone with one record set replaced or removed.
//!
//! The zone is built anew from its records and the new ones, so that every check of a zone file
//! holds of the change, too; the serial number of the SOA goes up by one.

use std::path::Path;
use std::sync::Arc;

use hickory_proto::rr::RecordType;
use thiserror::Error;

use crate::model::mistake::Place;
use crate::model::timeline::RecordChange;
use crate::policy::name::Name;

use super::build::{Builder, Raw};
use super::kinds::type_word;
use super::lexer::{Lexer, Next};
use super::text::TTL_MAX;
use super::{Zone, data};

/// What stands in the place of a file for records that come from none.
const NO_FILE: &str = "(changed while running)";

/// Why a record change cannot be made.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{what}{}{cure}", if cure.is_empty() { "" } else { "; " })]
pub struct Unchanged {
    /// What is wrong.
    pub what: String,
    /// What would be right; empty when `what` says it.
    pub cure: String,
}

impl Unchanged {
    pub(crate) fn new(what: impl Into<String>, cure: impl Into<String>) -> Self {
        let (what, cure) = (what.into(), cure.into());
        Self { what, cure }
    }
}

impl Zone {
    /// Gives the zone with the set of this name and type replaced, or removed when the change has
    /// no data.
    pub(in crate::policy) fn with_set(
        &self,
        name: &Name,
        record_type: RecordType,
        change: &RecordChange,
    ) -> Result<Self, Unchanged> {
        let RecordChange { ttl, data, .. } = change;
        if u64::from(*ttl) > TTL_MAX {
            let what = format!("the TTL {ttl} is above {TTL_MAX} seconds");
            return Err(Unchanged::new(what, ""));
        }
        let mut builder = Builder::new(*self.origin());
        let file = builder.file(&Arc::from(Path::new(NO_FILE)));
        let mut kept = Vec::new();
        for node in self.nodes() {
            let owner = node.name();
            for set in node.sets() {
                let kind = set.record_type();
                if kind == record_type && owner == *name {
                    continue;
                }
                for item in set.items() {
                    kept.clear();
                    kept.extend(item.data);
                    if kind == RecordType::SOA {
                        raise_serial(&mut kept);
                    }
                    let file = builder.file(&Arc::from(item.file));
                    builder.add(&Raw {
                        owner: owner.wire(),
                        ttl: set.ttl(),
                        record_type: kind,
                        data: &kept,
                        file,
                        line: item.line,
                        column: 1,
                    });
                }
            }
        }
        for text in data {
            kept.clear();
            self.data(record_type, text, &mut kept)?;
            builder.add(&Raw {
                owner: name.wire(),
                ttl: *ttl,
                record_type,
                data: &kept,
                file,
                line: 1,
                column: 1,
            });
        }
        let top = Place {
            file: Path::new(NO_FILE).to_path_buf(),
            line: 1,
            column: 1,
        };
        let loaded = builder.finish(top);
        let wrong = |what: String, cure: String| {
            let what = format!("{name} {}: {what}", type_word(record_type));
            Unchanged::new(what, cure)
        };
        match (loaded.zone, loaded.mistakes.into_iter().next()) {
            (Some(zone), _) => Ok(zone),
            (None, Some(mistake)) => Err(wrong(mistake.what, mistake.cure)),
            (None, None) => Err(wrong(String::from("no zone is left"), String::new())),
        }
    }

    /// Reads the data of one record as a line of this zone's file would hold it.
    fn data(
        &self,
        record_type: RecordType,
        text: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), Unchanged> {
        let kind = type_word(record_type);
        let mut lexer = Lexer::new(text.as_bytes(), 1, true);
        let (mut tokens, mut further) = (Vec::new(), Vec::new());
        let first = lexer.next_entry(&mut tokens);
        if !matches!(lexer.next_entry(&mut further), Next::End) {
            let what = format!("{kind} {text:?}: more than one line of data");
            return Err(Unchanged::new(what, "give each record its own entry"));
        }
        if let Next::Slip(slip) = first {
            let what = format!("{kind} {text:?}: {}", slip.what);
            return Err(Unchanged::new(what, slip.cure));
        }
        data::record_data(record_type, &tokens, self.origin(), out).map_err(|wrong| {
            let what = format!("{kind} {text:?}: {}", wrong.what);
            Unchanged::new(what, wrong.cure)
        })
    }
}

/// Raises the serial number of an SOA by one: the first of its last five numbers.
fn raise_serial(data: &mut [u8]) {
    let Some(start) = data.len().checked_sub(20) else {
        return;
    };
    if let Some(serial) = data[start..].first_chunk_mut::<4>() {
        *serial = u32::from_be_bytes(*serial).wrapping_add(1).to_be_bytes();
    }
}
