//! What a request says of itself: names, addresses, paths and lengths that are meant to mislead.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use twodoors::http::Server;
use twodoors::http::guard::Token;
use twodoors::http::source::Source;
use twodoors::journal::Journal;
use twodoors::live::clock::Clock;

use super::super::{Answer, FakeControl, Running, scene, serve_on, start};

/// Every way in that a path leads to.
const PATHS: [&str; 6] = [
    "/",
    "/main.js",
    "/api/snapshot",
    "/api/facts",
    "/metrics",
    "/openapi.json",
];

fn seq(server: &Running) -> u64 {
    server.journal.ask(|state| state.seq.0)
}

#[tokio::test]
async fn loopback_in_another_spelling_is_not_this_server() {
    let server = start().await;
    let port = server.address.port();
    for path in PATHS {
        for host in [
            "127.0.0.1.",
            "localhost.",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "0.0.0.0",
            "[::ffff:127.0.0.1]",
            "[::]",
            "[::1%lo]",
            "me@127.0.0.1",
            "127.0.0.1:80@evil.example",
            "127.0.0.1,evil.example",
            "127.0.0.1/",
            "http://127.0.0.1",
            "localhost%00",
            "127.0.0.1 evil.example",
        ] {
            let header = format!("Host: {host}:{port}");
            let answer = server.raw(&format!("GET {path}"), &[&header], "").await;
            assert!(
                matches!(answer.status, 400 | 421),
                "{path} {host}: {answer:?}"
            );
            assert!(!answer.body.contains("split-dns"), "{path} {host}");
        }
    }
    let header = format!("Host: 127.0.0.1:{port}");
    let answer = server.raw("GET /api/snapshot", &[&header], "").await;
    assert!(answer.body.contains("split-dns"), "{answer:?}");
    server.stop().await;
}

#[tokio::test]
async fn what_a_proxy_would_say_counts_for_nothing() {
    let server = start().await;
    let own = server.address;
    let forged = [
        format!("X-Forwarded-Host: {own}"),
        format!("X-Host: {own}"),
        format!("X-Original-Host: {own}"),
        format!("Forwarded: host={own}"),
        String::from("X-Forwarded-For: 127.0.0.1"),
    ];
    for header in &forged {
        let wrong = format!("Host: evil.example:{}", own.port());
        let answer = server.raw("GET /api/snapshot", &[&wrong, header], "").await;
        assert_eq!(answer.status, 421, "{header}");
        let answer = server.ask("GET /api/snapshot", &[header], "").await;
        assert_eq!(answer.status, 200, "{header}");
    }
    let evil = "X-Forwarded-Host: evil.example";
    assert_eq!(server.ask("GET /healthz", &[evil], "").await.status, 200);
    for header in [
        "X-HTTP-Method-Override: POST",
        "X-Original-URL: /api/reload",
        "X-Rewrite-URL: /api/reload",
    ] {
        let token = format!("Authorization: Bearer {}", server.token.reveal());
        let json = "Content-Type: application/json";
        let answer = server
            .ask("GET /healthz", &[header, &token, json], "")
            .await;
        assert_eq!((answer.status, &*answer.body), (200, "ok\n"), "{header}");
    }
    assert_eq!(seq(&server), 0, "nothing happened");
    server.stop().await;
}

#[tokio::test]
async fn a_target_that_is_no_path_of_ours_is_refused() {
    let server = start().await;
    let own = server.address;
    let cases = [
        (String::from("GET http://evil.example/api/snapshot"), 421),
        (format!("GET http://me@{own}/api/snapshot"), 400),
        (format!("GET http://{own}@evil.example/api/snapshot"), 421),
        (String::from("GET http://127.0.0.1/api/snapshot"), 421),
        (format!("GET http://{own}/api/snapshot"), 200),
        (format!("CONNECT {own}"), 400),
        (String::from("CONNECT evil.example:443"), 421),
        (String::from("OPTIONS *"), 405),
        (String::from("TRACE /api/snapshot"), 405),
        (String::from("PUT /main.js"), 405),
    ];
    for (line, status) in cases {
        let answer = server.ask(&line, &[], "").await;
        let refused = status != 200;
        assert_eq!(
            refused,
            (400..500).contains(&answer.status),
            "{line}: {answer:?}"
        );
        assert_eq!(answer.body.contains("split-dns"), !refused, "{line}");
    }
    server.stop().await;
}

/// Serves the page from a folder, beside which there is a secret.
async fn start_from_folder() -> (Running, PathBuf) {
    let root = std::env::temp_dir().join(format!("twodoors-folder-{}", std::process::id()));
    fs::create_dir_all(root.join("web/views")).unwrap();
    fs::write(root.join("secret.js"), "secret").unwrap();
    fs::write(root.join("web/.hidden.js"), "secret").unwrap();
    fs::write(root.join("web/views/page.js"), "page").unwrap();
    let journal = Journal::new(&scene::topology());
    let token = Token::random();
    let server = Server {
        source: Source::of(journal.clone(), Arc::new(scene::topology())),
        control: Arc::new(FakeControl {
            journal: journal.clone(),
            clock: Clock::start(),
        }),
        token: token.clone(),
        allow_hosts: Vec::new(),
        web_dir: Some(root.join("web")),
    };
    (serve_on("127.0.0.1:0", server, journal, token).await, root)
}

#[tokio::test]
async fn no_path_leads_out_of_the_pages_folder() {
    let (server, root) = start_from_folder().await;
    let absolute = root.join("secret.js").display().to_string();
    for path in [
        "/../secret.js",
        "/views/../../secret.js",
        "/%2e%2e/secret.js",
        "/..%2fsecret.js",
        "/%2e%2e%2fsecret.js",
        "/..%5csecret.js",
        "/..\\secret.js",
        "/views/..%00/../../secret.js",
        "//secret.js",
        "/./../secret.js",
        "/.hidden.js",
        "/views/",
        &absolute,
        &format!("/{absolute}"),
        "/api/tables/../../secret.js",
        "/api/runs/..%2f..%2fsecret/bundle",
    ] {
        let answer = server.ask(&format!("GET {path}"), &[], "").await;
        assert!((400..500).contains(&answer.status), "{path}: {answer:?}");
        assert!(!answer.body.contains("secret\""), "{path}: {answer:?}");
        assert_ne!(answer.body, "secret", "{path}");
    }
    let own = server.ask("GET /views/page.js", &[], "").await;
    assert_eq!((own.status, &*own.body), (200, "page"));
    fs::remove_dir_all(root).unwrap();
    server.stop().await;
}

#[tokio::test]
async fn names_in_a_path_or_a_query_neither_split_nor_reach_an_answers_head() {
    let server = start().await;
    let hostile = "%0d%0aX-Evil:%201%0d%0a%0d%0a%3Cscript%3E";
    for line in [
        format!("POST /api/nodes/proxy/{hostile}/stop"),
        format!("POST /api/nodes/{hostile}/1/stop"),
        format!("DELETE /api/faults/{hostile}"),
        format!("GET /api/why?node=agent/{hostile}"),
        format!("GET /api/visits/{hostile}/1"),
        format!("GET /api/tables/{hostile}.csv"),
        format!("GET /api/queries?limit={hostile}"),
        format!("GET /api/queries?{hostile}=1"),
        format!("GET /api/refusals/{hostile}"),
        format!("GET /{hostile}"),
    ] {
        let answer = server.change_by(&line, "").await;
        assert!((400..500).contains(&answer.status), "{line}: {answer:?}");
        assert!(!answer.has("x-evil"), "{line}: {answer:?}");
        // A problem may repeat the name, as JSON: never as a page.
        assert!(
            answer.has("content-type: application/problem+json"),
            "{line}"
        );
        assert!(answer.has("x-content-type-options: nosniff"), "{line}");
        serde_json::from_str::<serde_json::Value>(&answer.body).unwrap();
    }
    assert_eq!(seq(&server), 0, "nothing happened");
    server.stop().await;
}

#[tokio::test]
async fn a_request_inside_a_body_is_not_a_request() {
    let server = start().await;
    let inner = format!(
        "POST /api/nodes/proxy/1/stop HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}",
        server.address,
        server.token.reveal()
    );
    let length = format!("Content-Length: {}", inner.len());
    for lengths in [
        // Two lengths, and a length beside chunks: RFC 9112, section 6.3.
        vec!["Content-Length: 0", &*length],
        vec![&*length, "Content-Length: 0"],
        vec!["Transfer-Encoding: chunked, identity", "Content-Length: 0"],
        vec!["Content-Length: 0,0"],
        vec!["Content-Length: +0"],
    ] {
        let text = lengths.join("\r\n");
        let body = format!("{text}\r\n\r\n{inner}");
        let mut headers: Vec<&str> = body.split("\r\n").collect();
        headers.truncate(headers.len() - 1);
        let answer = server.ask("GET /healthz", &headers, "").await;
        assert!(
            answer.status == 400 || answer.status == 200,
            "{lengths:?}: {answer:?}"
        );
    }
    assert_eq!(seq(&server), 0, "nothing of it happened");
    // The twin: by itself it is one.
    assert_eq!(server.change("/api/nodes/proxy/1/stop").await.status, 200);
    assert_eq!(seq(&server), 1);
    server.stop().await;
}

#[tokio::test]
async fn no_answer_allows_another_origin_or_sets_a_cookie() {
    let server = start().await;
    let asks = [
        "Origin: http://evil.example",
        "Access-Control-Request-Method: POST",
        "Access-Control-Request-Headers: authorization, content-type",
        "Access-Control-Request-Private-Network: true",
    ];
    let check = |answer: &Answer, line: &str| {
        assert!(!answer.has("access-control-"), "{line}: {answer:?}");
        assert!(!answer.has("set-cookie"), "{line}: {answer:?}");
    };
    for path in [
        "/api/reload",
        "/api/nodes/proxy/1/stop",
        "/api/resolve",
        "/api/snapshot",
        "/",
    ] {
        let line = format!("OPTIONS {path}");
        let answer = server.ask(&line, &asks, "").await;
        assert_eq!(answer.status, 403, "{line}");
        check(&answer, &line);
    }
    let own = format!("Origin: http://{}", server.address);
    for path in PATHS.iter().filter(|path| **path != "/api/facts") {
        let line = format!("GET {path}");
        let answer = server.ask(&line, &[&own], "").await;
        assert_eq!(answer.status, 200, "{line}");
        check(&answer, &line);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_stream_of_another_origin_is_refused_whatever_it_calls_itself() {
    let server = start().await;
    let upgrade = [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    ];
    let foreign = "Origin: http://evil.example";
    let streams = [
        vec![foreign, "Accept: text/event-stream"],
        [&[foreign], &upgrade[..]].concat(),
        vec!["Sec-Fetch-Site: same-site", "Accept: text/event-stream"],
        vec!["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"],
        vec!["Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"],
        vec!["Origin: http://evil.example", "Sec-Fetch-Site: same-origin"],
    ];
    for headers in &streams {
        let answer = server.ask("GET /api/facts", headers, "").await;
        assert_eq!(answer.status, 403, "{headers:?}");
    }
    // One's own is a plain request: there are no sockets to upgrade to.
    let own = format!("Origin: http://{}", server.address);
    let headers = [&[&*own], &upgrade[..]].concat();
    let answer = server.ask("GET /healthz", &headers, "").await;
    assert_eq!((answer.status, &*answer.body), (200, "ok\n"));
    server.stop().await;
}

#[tokio::test]
async fn a_body_that_nests_without_end_or_has_odd_keys_is_refused() {
    let server = start().await;
    for body in [
        "[".repeat(60_000),
        "{\"a\":".repeat(10_000),
        String::from("{\"__proto__\":{}}"),
        String::from("{\"constructor\":1}"),
        String::from("null"),
        String::from("NaN"),
        String::from("\u{feff}{}"),
    ] {
        for line in ["POST /api/reload", "POST /api/faults", "POST /api/runs"] {
            let answer = server.change_by(line, &body).await;
            assert_eq!(answer.status, 400, "{line} {}", &body[..body.len().min(40)]);
        }
    }
    assert_eq!(seq(&server), 0, "nothing happened");
    server.stop().await;
}

#[tokio::test]
async fn a_token_counts_in_its_own_header_alone_and_wrong_ones_look_alike() {
    let server = start().await;
    let own = server.token.reveal();
    let json = "Content-Type: application/json";
    for line in [
        format!("POST /api/reload?t={own}"),
        format!("POST /api/reload?token={own}"),
        format!("POST /api/reload?access_token={own}"),
    ] {
        assert_eq!(server.ask(&line, &[json], "{}").await.status, 401, "{line}");
    }
    let near = format!(
        "{}{}",
        &own[..31],
        if own.ends_with('0') { '1' } else { '0' }
    );
    let mut told = Vec::new();
    for header in [
        format!("Cookie: token={own}; t={own}"),
        format!("X-Token: {own}"),
        format!("Authorization: {own}"),
        format!("Authorization: Bearer {near}"),
        format!("Authorization: Bearer {own}0"),
        format!("Authorization: Bearer {}", own.to_uppercase() + "x"),
        format!("Authorization: Bearer {own}, Bearer {own}"),
        String::from("Authorization: Bearer"),
        String::from("X-Nothing: 1"),
    ] {
        let answer = server.ask("POST /api/reload", &[&header, json], "{}").await;
        assert_eq!(answer.status, 401, "{header}");
        assert!(!answer.body.contains(own), "{header}");
        told.push(answer.body);
    }
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(seq(&server), 0, "nothing happened");
    assert_eq!(server.change("/api/reload").await.status, 200);
    server.stop().await;
}
