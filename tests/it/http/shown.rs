//! A lab that is only shown, a token that somebody chose, and a refusal that a person reads.

use twodoors::http::guard::{TOKEN_MIN, Token};

use super::{start, start_read_only};

#[tokio::test]
async fn a_lab_that_is_only_shown_changes_for_nobody() {
    let lab = start_read_only().await;
    for line in [
        "POST /api/reload",
        "POST /api/reload/preview",
        "POST /api/runs",
        "POST /api/runs/1/stop",
        "POST /api/runs/live/stop",
        "POST /api/runs/live/step",
        "POST /api/nodes/proxy/1/stop",
        "POST /api/faults",
        "DELETE /api/faults",
        "DELETE /api/faults/1",
        "POST /api/certificates",
    ] {
        let answer = lab.change_by(line, "{}").await;
        assert_eq!(answer.status, 404, "{line}: {answer:?}");
        assert!(answer.body.contains("--read-only"), "{line}: {answer:?}");
    }
    assert_eq!(lab.journal.snapshot().seq.0, 0, "nothing happened");
    let state = lab.ask("GET /api/snapshot", &[], "").await;
    assert!(state.body.contains("\"read_only\":true"), "{state:?}");
    assert_eq!(lab.ask("GET /api/faults", &[], "").await.status, 200);
    // What only asks is answered as before: that nothing runs here is another refusal.
    let json = "Content-Type: application/json";
    let question = "{\"as\":\"agent/orders\",\"name\":\"proxy.example.com\"}";
    let answer = lab.ask("POST /api/resolve", &[json], question).await;
    assert_eq!(answer.status, 409, "{answer:?}");
    lab.stop().await;
    // The twin: where changes are served, the same are made.
    let lab = start().await;
    assert_eq!(lab.change("/api/nodes/proxy/1/stop").await.status, 200);
    lab.stop().await;
}

#[tokio::test]
async fn a_person_under_a_wrong_name_reads_a_page_and_a_program_a_problem() {
    let lab = start().await;
    let wrong = "Host: evil.example";
    let page = "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8";
    for path in ["/", "/api/snapshot", "/nothing"] {
        let line = format!("GET {path}");
        let shown = lab.raw(&line, &[wrong, page], "").await;
        assert_eq!(shown.status, 421, "{shown:?}");
        assert!(
            shown.has("content-type: text/html; charset=utf-8"),
            "{shown:?}"
        );
        assert!(
            shown.has("content-security-policy: default-src 'none'"),
            "{shown:?}"
        );
        assert!(shown.body.contains("--allow-host NAME"), "{shown:?}");
        // What the request says is not said again.
        assert!(!shown.body.contains("evil.example"), "{shown:?}");
        for accept in [
            "Accept: application/json, text/html",
            "Accept: */*",
            "X-Other: 1",
        ] {
            let told = lab.raw(&line, &[wrong, accept], "").await;
            assert_eq!(told.status, 421, "{told:?}");
            assert!(told.has("application/problem+json"), "{told:?}");
        }
        let head = lab.raw(&format!("HEAD {path}"), &[wrong, page], "").await;
        assert_eq!((head.status, &*head.body), (421, ""), "{head:?}");
    }
    lab.stop().await;
}

#[test]
fn a_token_of_ones_own_is_long_enough_and_one_word() {
    let own = Token::read(" 0123456789abcdef\n").unwrap();
    assert!(own.matches("0123456789abcdef"));
    assert!(!own.matches("0123456789abcdeg"));
    let short = "x".repeat(TOKEN_MIN - 1);
    for wrong in ["", " \n", &short, "0123456789 abcdef", "0123456789abcdefé"] {
        assert!(Token::read(wrong).is_err(), "{wrong:?}");
    }
}
