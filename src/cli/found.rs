//! Findings of a scenario that starts: those that make it not what it seems.

use std::io;

use super::Io;
use crate::lab::found::{Found, findings};
use crate::lab::load::Loaded;
use crate::model::finding::{Finding, Severity};

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
