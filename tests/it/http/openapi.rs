//! The description of the API has every route, and no other.

use std::collections::BTreeSet;

use serde_json::Value;
use twodoors::http::openapi;

use super::start;

/// Reads the table of routes of the lab: `METHOD PATH`.
fn routes(source: &str) -> BTreeSet<String> {
    let from = source.find("pub(super) fn router(").unwrap();
    let to = source.find("pub(super) fn metrics_only(").unwrap();
    let text: String = source[from..to].split_whitespace().collect();
    let mut found = BTreeSet::new();
    for route in text.split(".route(\"").skip(1) {
        let (path, handlers) = route.split_once("\",").unwrap();
        for method in ["get", "post", "delete", "put", "patch"] {
            let first = handlers.starts_with(&format!("{method}("));
            if first || handlers.contains(&format!(".{method}(")) {
                found.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    found
}

fn described() -> BTreeSet<String> {
    let document: Value = serde_json::from_str(&openapi::TEXT).unwrap();
    let paths = document["paths"].as_object().unwrap().iter();
    let all = paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().keys();
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    all.collect()
}

#[test]
fn every_route_is_described_and_every_description_is_a_route() {
    let routes = routes(include_str!("../../../src/http/routes.rs"));
    assert!(routes.len() > 20, "{routes:?}");
    assert!(routes.contains("DELETE /api/faults") && routes.contains("GET /api/snapshot"));
    assert_eq!(routes, described());
}

#[test]
fn a_route_more_would_be_found() {
    let source = "pub(super) fn router( .route(\"/x\", get(a).post(b)) pub(super) fn metrics_only(";
    let expected = ["GET /x", "POST /x"].map(String::from);
    assert_eq!(routes(source), BTreeSet::from(expected));
}

#[tokio::test]
async fn every_change_that_is_described_asks_for_the_token() {
    let lab = start().await;
    let document: Value = serde_json::from_str(&openapi::TEXT).unwrap();
    let mut tried = 0;
    for change in described()
        .iter()
        .filter(|route| !route.starts_with("GET "))
    {
        let (method, path) = change.split_once(' ').unwrap();
        let operation = &document["paths"][path][method.to_lowercase()];
        let headers = ["Content-Type: application/json"];
        let filled = path.replace(['{', '}'], "");
        let answer = lab.ask(&format!("{method} {filled}"), &headers, "{}").await;
        if operation["security"].is_null() {
            continue;
        }
        assert_eq!(answer.status, 401, "{change}: {answer:?}");
        tried += 1;
    }
    assert!(tried >= 6, "{tried}");
    lab.stop().await;
}
