//! Faults by hand over the API: set, shown, lifted, and who may not.

use serde_json::{Value, json};

use super::start;

const REFUSE: &str = r#"{"word": "refuse", "target": "internal"}"#;

#[tokio::test]
async fn a_fault_is_set_shown_and_lifted() {
    let server = start().await;
    let shown = async || -> Value {
        let answer = server.ask("GET /api/faults", &[], "").await;
        assert_eq!(answer.status, 200);
        serde_json::from_str(&answer.body).unwrap()
    };
    assert_eq!(shown().await, json!({"faults": []}));
    let answer = server.change_by("POST /api/faults", REFUSE).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let set: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(set, json!({"id": 1, "text": "refuse on balancer/internal"}));
    let for_a_while = r#"{"word": "refuse", "target": "external", "for": "3s"}"#;
    server.change_by("POST /api/faults", for_a_while).await;
    let both = shown().await;
    let both = both["faults"].as_array().unwrap();
    assert_eq!(both[0]["until_us"], Value::Null);
    assert!(both[1]["until_us"].is_u64(), "{both:?}");
    assert_eq!(
        (&both[1]["id"], &both[1]["word"]),
        (&json!(2), &json!("refuse"))
    );
    assert_eq!(both[1]["target"], "balancer/external");
    let snapshot = server.ask("GET /api/snapshot", &[], "").await;
    let snapshot: Value = serde_json::from_str(&snapshot.body).unwrap();
    assert_eq!(snapshot["faults"].as_array(), Some(both));

    let lifted = server.change_by("DELETE /api/faults/1", "").await;
    assert_eq!((lifted.status, &*lifted.body), (200, r#"{"lifted":1}"#));
    assert_eq!(shown().await["faults"][0]["id"], 2);
    let lifted = server.change_by("DELETE /api/faults", "{}").await;
    assert_eq!((lifted.status, &*lifted.body), (200, r#"{"lifted":1}"#));
    let lifted = server.change_by("DELETE /api/faults", "").await;
    assert_eq!((lifted.status, &*lifted.body), (200, r#"{"lifted":0}"#));
    server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_refused_in_a_sentence() {
    let server = start().await;
    let cases = [
        ("POST /api/faults", "", 400, "\\\"word\\\""),
        ("POST /api/faults", "[]", 400, "\\\"word\\\""),
        ("POST /api/faults", r#"{"word": "refuse"}"#, 400, "target"),
        (
            "POST /api/faults",
            r#"{"word": "refuse", "target": "internal", "until": "3s"}"#,
            400,
            "until",
        ),
        (
            "POST /api/faults",
            r#"{"word": "refuze", "target": "internal"}"#,
            422,
            "did you mean refuse?",
        ),
        ("DELETE /api/faults/7", "", 404, "no fault 7 is in force"),
        (
            "DELETE /api/faults/one",
            "",
            404,
            "no fault one is in force",
        ),
        ("DELETE /api/faults", r#"{"word": "refuse"}"#, 400, "empty"),
        ("PUT /api/faults", REFUSE, 405, "method"),
        ("GET /api/faults/1", "", 405, "method"),
    ];
    for (line, body, status, words) in cases {
        let answer = server.change_by(line, body).await;
        assert_eq!(answer.status, status, "{line} {body}: {}", answer.body);
        assert!(answer.body.contains(words), "{line}: {}", answer.body);
        assert!(answer.has("content-type: application/problem+json"));
    }
    assert!(server.journal.ask(|state| state.faults.is_empty()));
    server.stop().await;
}

#[tokio::test]
async fn a_fault_needs_what_every_change_needs() {
    let server = start().await;
    let token = format!("Authorization: Bearer {}", server.token.reveal());
    let json = "Content-Type: application/json";
    let changes = [
        ("POST /api/faults", REFUSE),
        ("DELETE /api/faults/1", ""),
        ("DELETE /api/faults", ""),
    ];
    for (line, body) in changes {
        let cases: [(&[&str], u16); 4] = [
            (&[json], 401),
            (&[&token, json, "Origin: http://evil.example"], 403),
            (&[&token, json, "Sec-Fetch-Site: cross-site"], 403),
            (&[&token], 415),
        ];
        for (headers, status) in cases {
            let answer = server.ask(line, headers, body).await;
            assert_eq!(answer.status, status, "{line} {headers:?}");
        }
        let headers = [token.as_str(), json, "Host: evil.example"];
        let answer = server.raw(line, &headers, body).await;
        assert_eq!(answer.status, 421, "{line}");
    }
    assert!(server.journal.ask(|state| state.faults.is_empty()));
    // The twin: with all of it, each is done.
    for (line, body) in changes {
        let answer = server.change_by(line, body).await;
        assert_eq!(answer.status, 200, "{line}: {}", answer.body);
    }
    server.stop().await;
}
