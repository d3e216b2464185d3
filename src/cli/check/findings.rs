//! Findings for people and for programs.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::lab::found::Found;

/// Writes each with its severity, place, consequence and cure; nothing when there is none.
pub(super) fn write(found: &[Found], out: &mut dyn Write) -> io::Result<()> {
    if found.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nfindings (`twodoors explain finding ID` says more)")?;
    for Found { finding, place } in found {
        let place = match (place, &finding.key) {
            (Some(place), Some(key)) => format!("{place} {}", key.path),
            _ => finding.subject.to_string(),
        };
        writeln!(out, "  {:<7} {}  {place}", finding.severity, finding.id)?;
        writeln!(out, "          {}", finding.what)?;
        writeln!(out, "          cure: {}", finding.cure)?;
    }
    Ok(())
}

/// Makes the list of `check --json`.
pub(super) fn list(found: &[Found]) -> Vec<Value> {
    let each = found.iter().map(|Found { finding, place }| {
        json!({
            "id": finding.id,
            "severity": finding.severity.word(),
            "subject": finding.subject.to_string(),
            "file": place.as_ref().map(|place| place.file.display().to_string()),
            "line": place.as_ref().map(|place| place.line),
            "column": place.as_ref().map(|place| place.column),
            "path": finding.key.as_ref().map(|key| &key.path),
            "what": finding.what,
            "cure": finding.cure,
        })
    });
    each.collect()
}
