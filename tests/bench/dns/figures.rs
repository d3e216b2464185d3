//! Figures and how they are shown: medians of ratios inside a round, tables for a README, goals.

use std::fmt::Write;

/// Gives the middle of some figures; of none, not a number.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[odd / 2],
        even => f64::midpoint(sorted[even / 2 - 1], sorted[even / 2]),
    }
}

/// Gives the smallest of some figures.
pub(crate) fn smallest(figures: &[f64]) -> f64 {
    figures.iter().copied().fold(f64::INFINITY, f64::min)
}

/// Gives the largest of some figures.
pub(crate) fn largest(figures: &[f64]) -> f64 {
    figures.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

/// Gives the median of the ratios of two series, round by round; both have a figure for each round.
///
/// The machine has slow and fast spells, which a ratio inside a round takes out.
pub(crate) fn ratio(over: &[f64], under: &[f64]) -> f64 {
    let ratios: Vec<f64> = over.iter().zip(under).map(|(a, b)| a / b).collect();
    median(&ratios)
}

/// A table in Markdown, with columns that also line up on a terminal.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(head: &[&str]) -> Self {
        Self {
            rows: vec![head.iter().map(ToString::to_string).collect()],
        }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Gives the table as text.
    pub(crate) fn text(&self) -> String {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            for (place, (cell, width)) in row.iter().zip(&widths).enumerate() {
                // Names to the left, figures to the right.
                let _ = if place == 0 {
                    write!(text, "| {cell:<width$} ")
                } else {
                    write!(text, "| {cell:>width$} ")
                };
            }
            text.push_str("|\n");
            if number == 0 {
                for (place, width) in widths.iter().enumerate() {
                    let (dashes, end) = ("-".repeat(width + 1), if place == 0 { "-" } else { ":" });
                    let _ = write!(text, "|{dashes}{end}");
                }
                text.push_str("|\n");
            }
        }
        text
    }
}

/// The goals that were looked at, and which of them were missed.
#[derive(Default)]
pub(crate) struct Goals {
    looked: Vec<(bool, String)>,
}

impl Goals {
    /// Notes a goal: whether it is met, and what was measured against what.
    ///
    /// A figure that is not a number compares as false, so nothing measured is nothing met.
    pub(crate) fn note(&mut self, met: bool, what: String) {
        self.looked.push((met, what));
    }

    /// Takes in the goals of another part.
    pub(crate) fn take(&mut self, other: Self) {
        self.looked.extend(other.looked);
    }

    /// Gives a line for each goal, and a last one that says how it ended.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (met, what) in &self.looked {
            let _ = writeln!(text, "{}: {what}", if *met { "met   " } else { "MISSED" });
        }
        let missed: Vec<&str> = self.missed().collect();
        let _ = match &*missed {
            [] => write!(text, "pass: {} goals met", self.looked.len()),
            missed => write!(text, "fail: missed {}", missed.join("; ")),
        };
        text
    }

    /// Tells whether no goal was missed.
    pub(crate) fn pass(&self) -> bool {
        self.missed().next().is_none()
    }

    fn missed(&self) -> impl Iterator<Item = &str> {
        let missed = self.looked.iter().filter(|(met, _)| !met);
        missed.map(|(_, what)| &**what)
    }
}
