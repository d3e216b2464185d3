//! Names that mean something elsewhere: to a browser, a spreadsheet, a terminal. In files they are
//! plain text, and files are whole whatever they hold.

use serde_json::Value;
use twodoors::http::api::tables::TABLES;
use twodoors::model::fact::{Cause, Failure, Health, Kind, Stage};
use twodoors::model::id::{DialId, Node, RequestId};
use twodoors::model::time::Time;

use super::super::{Running, scene, start};

/// Texts that come from a wire, a file or another program.
const HOSTILE: [&str; 12] = [
    "=cmd|'/c calc'!A1",
    "+1+1",
    "-2+3",
    "@SUM(A1:A9)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "a;=1+1",
    "\"quoted\",\r\n=1+1",
    "<img src=x onerror=alert(1)>",
    "\"><script>alert(1)</script>",
    "\u{202e}gnp.exe\u{0}\u{1b}[31m",
];

/// A lab of which every text that others choose is hostile.
async fn hostile() -> Running {
    let server = start().await;
    let (user, agent) = (Node::User("alice".into()), Node::Agent("orders".into()));
    let mut at = 0;
    for text in HOSTILE {
        let error = String::from(text);
        let failed = Kind::VisitFailed {
            request: RequestId(at),
            app: "wiki".into(),
            balancer: Some("external".into()),
            reason: Failure::NoTunnel,
            error: error.clone(),
        };
        let dial = Kind::DialFailed {
            dial: DialId(at),
            stage: Stage::Claim,
            cause: Cause::Claimed,
            error: error.clone(),
        };
        let down = Kind::HealthChanged {
            proxy: "3".into(),
            to: Health::Down,
            cause: error.clone(),
        };
        let finding = Kind::Finding {
            id: "role-follows-network",
            detail: error.clone(),
        };
        let refused = Kind::ReloadRefused {
            mistakes: vec![error],
        };
        let door = Node::Balancer("external".into());
        for (node, kind) in [
            (&user, failed),
            (&agent, dial),
            (&door, down),
            (&agent, finding),
            (&Node::Lab, refused),
            (
                &Node::Dns,
                scene::answered(&user, "127.46.2.1", text, "public"),
            ),
        ] {
            at += 1;
            server.journal.add(Time::from_us(at), node, [kind]);
        }
    }
    server
}

/// Reads CSV as RFC 4180 has it, character by character.
fn parse(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut rest = text.chars().peekable();
    while rest.peek().is_some() {
        if rest.next_if_eq(&'"').is_some() {
            loop {
                match rest.next().expect("a quote is closed") {
                    '"' if rest.next_if_eq(&'"').is_some() => cell.push('"'),
                    '"' => break,
                    other => cell.push(other),
                }
            }
        } else {
            while let Some(plain) = rest.next_if(|c| !matches!(c, ',' | '\r')) {
                assert!(
                    plain != '\n' && plain != '"',
                    "{cell:?} goes on with {plain:?}"
                );
                cell.push(plain);
            }
        }
        row.push(std::mem::take(&mut cell));
        match rest.next() {
            Some(',') => {}
            Some('\r') => {
                assert_eq!(rest.next(), Some('\n'), "a line ends with CR and LF");
                rows.push(std::mem::take(&mut row));
            }
            other => panic!("{row:?} goes on with {other:?}"),
        }
    }
    rows
}

#[test]
fn a_quote_inside_and_one_that_is_not_closed_would_be_found() {
    assert_eq!(parse("a,\"b\"\"\r\n\"\r\n"), [["a", "b\"\r\n"]]);
    for wrong in ["a\"b\r\n", "\"a\r\n", "a\nb\r\n", "\"a\"b\r\n"] {
        let read = std::panic::catch_unwind(|| parse(wrong));
        assert!(read.is_err(), "{wrong:?}");
    }
}

#[tokio::test]
async fn every_table_is_the_same_in_csv_and_json_and_no_cell_is_a_formula() {
    let server = hostile().await;
    let mut shown = 0;
    let tables = TABLES.iter().map(|name| format!("/api/tables/{name}"));
    for path in tables.chain([String::from("/api/queries")]) {
        let csv = server.ask(&format!("GET {path}.csv"), &[], "").await;
        assert_eq!(csv.status, 200, "{path}");
        assert!(csv.has("content-type: text/csv"), "{path}");
        assert!(csv.has("x-content-type-options: nosniff"), "{path}");
        let json = server.ask(&format!("GET {path}.json"), &[], "").await;
        let json: Vec<Value> = serde_json::from_str(&json.body).unwrap();
        let mut rows = parse(&csv.body).into_iter();
        let head = rows.next().expect("a table has a head");
        let rows: Vec<_> = rows.collect();
        assert_eq!(rows.len(), json.len(), "{path}");
        for (row, object) in rows.iter().zip(&json) {
            assert_eq!(row.len(), head.len(), "{path}: {row:?}");
            for (column, cell) in head.iter().zip(row) {
                let Value::String(text) = &object[column] else {
                    continue;
                };
                let told = cell.strip_prefix('\'').unwrap_or(cell);
                assert_eq!(told, text, "{path} {column}");
                assert!(
                    !cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']),
                    "{path} {column}: {cell:?}"
                );
                shown += usize::from(HOSTILE.contains(&text.as_str()));
            }
        }
    }
    assert!(shown > 2 * HOSTILE.len(), "{shown} cells were hostile");
    server.stop().await;
}

#[tokio::test]
async fn no_hostile_name_is_markup_in_an_answer_or_a_line_in_the_metrics() {
    let server = hostile().await;
    for path in [
        "/api/snapshot",
        "/api/timeline",
        "/api/queries",
        "/api/export",
        "/api/why?node=user/alice",
        "/api/tables/findings.json",
    ] {
        let answer = server.ask(&format!("GET {path}"), &[], "").await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        // A browser takes it for nothing but JSON, whatever stands in it.
        assert!(answer.has("content-type: application/json"), "{path}");
        assert!(answer.has("x-content-type-options: nosniff"), "{path}");
        serde_json::from_str::<Value>(&answer.body).unwrap();
    }
    let metrics = server.ask("GET /metrics", &[], "").await;
    for text in ["alert(1)", "calc", "\u{202e}", "\u{1b}"] {
        assert!(!metrics.body.contains(text), "{text:?}");
    }
    // The twin: the snapshot has them.
    let snapshot = server.ask("GET /api/snapshot", &[], "").await;
    assert!(snapshot.body.contains("alert(1)"));
    server.stop().await;
}
