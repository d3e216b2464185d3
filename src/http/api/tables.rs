//! Every table of the page as CSV and as JSON: the same columns, the same rows.
//!
//! CSV is that of RFC 4180. Names come from the wire, and a spreadsheet takes a text that begins
//! like a formula for one: such texts get a quote in front, which spreadsheets do not show. Some
//! spreadsheets part cells at a semicolon or a tab, so a text with one of them stands in quotes too.
//! The page writes its own tables by the same rule (`csvCell` in `web/table.js`); one fixture checks
//! both (`tests/fixtures/texts/csv.json`).

use serde_json::{Map, Value, json};

use super::queries::{Queries, QueryRow};
use super::runs::Scenarios;
use super::{Fact, Snapshot};
use crate::http::source::Source;
use crate::journal::Moment;

/// How many rows a table has at most; of facts and answers the newest.
pub const ROWS_MAX: usize = 20_000;

macro_rules! table {
    ($items:expr, $item:ident, { $($column:literal: $cell:expr),* $(,)? }) => {
        Table {
            columns: &[$($column),*],
            rows: $items.map(|$item| vec![$(json!($cell)),*]).collect(),
        }
    };
}

mod lists;

/// The tables of the lab.
pub const TABLES: &[&str] = &[
    "agents",
    "answers",
    "backends",
    "checks",
    "decisions",
    "doors",
    "expectations",
    "facts",
    "faults",
    "findings",
    "networks",
    "pool",
    "queries",
    "steps",
    "tunnels",
    "users",
    "zones",
];

/// The tables of what can be played in it.
pub const LISTS: &[&str] = &["advice", "runs", "scenarios"];

/// A table.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    columns: &'static [&'static str],
    rows: Vec<Vec<Value>>,
}

impl Table {
    /// Makes a table of the lab at an instant; `None` when there is none with this name.
    pub fn new(name: &str, moment: &Moment, source: &Source) -> Option<Self> {
        let state = Snapshot::new(moment, source, "");
        let mut table = match name {
            "agents" => agents(&state),
            "answers" => answers(&state),
            "backends" => backends(&state),
            "checks" => lists::checks(&state),
            "decisions" => lists::decisions(moment, source),
            "doors" => doors(&state),
            "expectations" => expectations(&state),
            "facts" => facts(moment, source),
            "faults" => faults(&state),
            "findings" => findings(&state),
            "networks" => networks(&state),
            "pool" => pool(&state),
            "queries" => Self::of_queries(&state),
            "steps" => lists::steps(source),
            "tunnels" => tunnels(&state),
            "users" => users(&state),
            "zones" => zones(&state),
            _ => return None,
        };
        table.rows.truncate(ROWS_MAX);
        Some(table)
    }

    /// Makes a table of what can be played; `None` when there is none with this name.
    pub fn of_scenarios(name: &str, scenarios: &Scenarios) -> Option<Self> {
        match name {
            "advice" => Some(lists::advice(scenarios)),
            "runs" => Some(lists::runs(scenarios)),
            "scenarios" => Some(lists::scenarios(scenarios)),
            _ => None,
        }
    }

    /// Makes the table of what was found in the query log.
    pub fn of_log(found: &Queries) -> Self {
        Self {
            columns: QUERIES,
            rows: found.queries.iter().map(logged).collect(),
        }
    }

    fn of_queries(state: &Snapshot) -> Self {
        let queries = state.dns.queries.iter().rev();
        let rows = queries.map(|query| {
            let mut row = query_cells(query);
            row.extend([Value::Null, Value::Null, Value::Null, Value::Null]);
            row
        });
        Self {
            columns: QUERIES,
            rows: rows.collect(),
        }
    }

    /// Writes it as JSON: an array of objects.
    pub fn json(&self) -> String {
        let rows = self.rows.iter().map(|row| {
            let cells = self.columns.iter().zip(row);
            let cells = cells.map(|(column, cell)| ((*column).to_owned(), cell.clone()));
            Value::Object(cells.collect::<Map<_, _>>())
        });
        Value::Array(rows.collect()).to_string()
    }

    /// Writes it as CSV.
    pub fn csv(&self) -> String {
        let mut text = String::new();
        line(
            &mut text,
            self.columns.iter().map(|column| (*column).to_owned()),
        );
        for row in &self.rows {
            line(&mut text, row.iter().map(cell));
        }
        text
    }
}

/// What a spreadsheet takes for the beginning of a formula; some take the wide forms for the same.
const FORMULA: [char; 11] = [
    '=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
];

fn line(text: &mut String, cells: impl Iterator<Item = String>) {
    for (index, cell) in cells.enumerate() {
        if index > 0 {
            text.push(',');
        }
        if cell.contains(['"', ',', ';', '\t', '\r', '\n']) {
            text.push('"');
            text.push_str(&cell.replace('"', "\"\""));
            text.push('"');
        } else {
            text.push_str(&cell);
        }
    }
    text.push_str("\r\n");
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => {
            let quote = if text.starts_with(FORMULA) { "'" } else { "" };
            format!("{quote}{text}")
        }
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

fn doors(state: &Snapshot) -> Table {
    table!(state.balancers.iter(), door, {
        "name": door.name,
        "listen": door.listen.join(" "),
        "network": door.network,
        "meant_for": door.meant_for,
        "admin": door.admin,
        "open": door.open,
        "opened": door.opened,
        "refused": door.refused,
        "no_backend": door.no_backend,
        "bytes_up": door.bytes_up,
        "bytes_down": door.bytes_down,
    })
}

fn backends(state: &Snapshot) -> Table {
    let doors = state.balancers.iter();
    let rows = doors.flat_map(|door| door.backends.iter().map(move |backend| (door, backend)));
    table!(rows, row, {
        "door": row.0.name,
        "instance": row.1.proxy,
        "admin": row.1.admin,
        "health": row.1.health,
        "since_us": row.1.since_us,
        "cause": row.1.cause,
        "open": row.1.open,
        "total": row.1.total,
        "failed": row.1.failed,
        "bytes_up": row.1.bytes_up,
        "bytes_down": row.1.bytes_down,
        "connect_p50_us": row.1.connect_p50_us,
        "connect_p95_us": row.1.connect_p95_us,
        "last_check_us": row.1.checks.last().map(|check| check.at_us),
        "last_check": row.1.checks.last().map(|check| &check.text),
    })
}

fn pool(state: &Snapshot) -> Table {
    table!(state.proxies.iter(), proxy, {
        "name": proxy.name,
        "listen": proxy.listen,
        "admin": proxy.admin,
        "tunnels": proxy.tunnels,
        "active": proxy.active,
        "routed": proxy.routed,
        "no_tunnel": proxy.no_tunnel,
        "cut": proxy.cut,
        "refused": proxy.refused,
    })
}

fn agents(state: &Snapshot) -> Table {
    table!(state.agents.iter(), agent, {
        "name": agent.name,
        "network": agent.network,
        "address": agent.address,
        "apps": agent.apps.join(" "),
        "admin": agent.admin,
        "tunnels": agent.tunnels.iter().filter(|tunnel| tunnel.up).count(),
        "failures": agent.failures.iter().map(|failures| failures.count).sum::<u64>(),
        "cut": agent.cut,
        "last_error": agent.last_error,
    })
}

fn tunnels(state: &Snapshot) -> Table {
    let agents = state.agents.iter();
    let rows = agents.flat_map(|agent| agent.tunnels.iter().map(move |tunnel| (agent, tunnel)));
    table!(rows, row, {
        "agent": row.0.name,
        "instance": row.1.proxy,
        "up": row.1.up,
        "since_us": row.1.since_us,
        "door": row.1.balancer,
        "verified": row.1.verified,
        "made": row.1.made,
        "gap_us": row.1.gap_us,
        "after_rise_us": row.1.after_rise_us,
    })
}

fn users(state: &Snapshot) -> Table {
    table!(state.users.iter(), user, {
        "name": user.name,
        "network": user.network,
        "address": user.address,
        "visits": user.visits.join(" "),
        "admin": user.admin,
        "answered": user.answered,
        "failed": user.failures.iter().map(|failures| failures.count).sum::<u64>(),
        "doors": user.doors.iter().map(|door| door.balancer.as_str()).collect::<Vec<_>>().join(" "),
        "last_took_us": user.last.as_ref().map(|last| last.took_us),
        "last_error": user.last_error,
    })
}

fn networks(state: &Snapshot) -> Table {
    table!(state.networks.iter(), network, {
        "name": network.name,
        "ranges": network.ranges.join(" "),
        "view": network.view,
    })
}

fn answers(state: &Snapshot) -> Table {
    table!(state.dns.answers.iter(), answers, {
        "view": answers.view,
        "rule": answers.rule,
        "rcode": answers.rcode,
        "count": answers.count,
    })
}

fn zones(state: &Snapshot) -> Table {
    table!(state.zones.iter(), zone, {
        "view": zone.view,
        "origin": zone.origin,
        "file": zone.file,
        "serial": zone.serial,
        "records": zone.records,
        "generation": zone.generation,
    })
}

fn findings(state: &Snapshot) -> Table {
    table!(state.findings.iter(), finding, {
        "id": finding.id,
        "severity": finding.severity,
        "node": finding.node,
        "detail": finding.detail,
        "at_us": finding.at_us,
    })
}

fn faults(state: &Snapshot) -> Table {
    table!(state.faults.iter(), fault, {
        "id": fault.id,
        "word": fault.word,
        "target": fault.target,
        "text": fault.text,
        "since_us": fault.since_us,
        "until_us": fault.until_us,
    })
}

fn expectations(state: &Snapshot) -> Table {
    table!(state.expectations.iter(), expectation, {
        "index": expectation.index,
        "text": expectation.text,
        "file": expectation.place.as_ref().map(|place| &place.file),
        "line": expectation.place.as_ref().map(|place| place.line),
        "state": expectation.state,
        "settled": expectation.settled,
        "evidence": expectation.evidence,
        "why": expectation.why,
        "measured": expectation.measured,
        "at_us": expectation.at_us,
    })
}

/// Shows the newest facts up to the state that is looked at.
fn facts(moment: &Moment, source: &Source) -> Table {
    let held = source.journal.held().facts;
    let until = held.partition_point(|fact| fact.seq <= moment.state.seq);
    let shown = held[..until].iter().skip(until.saturating_sub(ROWS_MAX));
    table!(shown.map(|fact| Fact::new(fact)), fact, {
        "seq": fact.seq,
        "at_us": fact.at_us,
        "node": fact.node,
        "kind": fact.kind,
        "text": fact.text,
    })
}

const QUERIES: &[&str] = &[
    "seq",
    "at_us",
    "client",
    "asker",
    "subnet",
    "transport",
    "name",
    "type",
    "view",
    "rule",
    "rcode",
    "answer",
    "why",
    "file",
    "line",
    "took_us",
    "dig",
];

fn query_cells(query: &super::Query) -> Vec<Value> {
    vec![
        json!(query.seq),
        json!(query.at_us),
        json!(query.client),
        json!(query.asker),
        json!(query.subnet),
        json!(query.transport),
        json!(query.name),
        json!(query.rtype),
        json!(query.view),
        json!(query.rule),
        json!(query.rcode),
        json!(query.answer.join(", ")),
        json!(query.why),
    ]
}

fn logged(row: &QueryRow) -> Vec<Value> {
    let mut cells = query_cells(&row.query);
    cells.extend([
        json!(row.place.as_ref().map(|place| &place.file)),
        json!(row.place.as_ref().map(|place| place.line)),
        json!(row.query.took_us),
        json!(row.dig),
    ]);
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        Table {
            columns: &["name", "count"],
            rows: vec![vec![json!(text), json!(-7)]],
        }
    }

    #[test]
    fn a_cell_is_quoted_as_the_page_quotes_it() {
        let fixture = include_str!("../../../tests/fixtures/texts/csv.json");
        let fixture: Value = serde_json::from_str(fixture).unwrap();
        let cases = fixture["cases"].as_array().unwrap();
        assert!(cases.len() > 20);
        for case in cases {
            let [text, cell] = ["text", "cell"].map(|name| case[name].as_str().unwrap());
            // A number is one, whatever it begins with.
            let expected = format!("name,count\r\n{cell},-7\r\n");
            assert_eq!(table(text).csv(), expected, "{text:?}");
            // In JSON a text is what it is.
            assert!(table(text).json().contains(&json!(text).to_string()));
        }
    }
}
