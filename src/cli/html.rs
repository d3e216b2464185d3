//! `--html FILE` of `run` and `sim`: the page with the whole run in it, in one file.

use std::path::Path;

use anyhow::Context as _;

use super::reports::Scenario;
use super::{Exit, Io};
use crate::http::api::bundle::Bundle;
use crate::http::report;
use crate::http::source::Source;
use crate::lab::report::Report;

/// Refuses `--html` where there is more than one run to write; `None` when all is well.
pub(super) fn refuse(
    file: Option<&Path>,
    scenarios: &[Scenario],
    seeds: bool,
    io: &mut Io<'_>,
) -> anyhow::Result<Option<Exit>> {
    if file.is_none() || (scenarios.len() == 1 && !seeds) {
        return Ok(None);
    }
    writeln!(
        io.err,
        "error: --html writes one run of one scenario; name one, without --seeds"
    )?;
    Ok(Some(Exit::Usage))
}

/// Writes a run that is over.
pub(super) fn write(file: &Path, source: &Source, report: &Report) -> anyhow::Result<()> {
    let bundle = Bundle::new(source, Some(report.json()));
    let packed = bundle.packed().context("the run, packed")?;
    let page = report::page(&packed).context("the page")?;
    std::fs::write(file, page).with_context(|| format!("the report {}", file.display()))
}
