//! Who may speak to the API, and how: each refusal beside its permitted twin.

mod hostile;
mod limits;
mod targets;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use twodoors::http::guard::{Token, is_host};

use super::{PATIENCE, Running, start};

#[tokio::test]
async fn a_request_that_names_another_host_is_misdirected_everywhere() {
    let server = start().await;
    let port = server.address.port();
    for path in [
        "/",
        "/timeline",
        "/style.css",
        "/api/snapshot",
        "/api/facts",
        "/metrics",
        "/healthz",
        "/none",
    ] {
        let hosts = [
            format!("evil.example:{port}"),
            format!("127.0.0.1.evil.example:{port}"),
            format!("localhost.:{port}"),
            format!("127.0.0.2:{port}"),
            format!("127.0.0.1:{}", port ^ 1),
            String::from("127.0.0.1"),
            String::from("localhost"),
        ];
        for host in hosts {
            let header = format!("Host: {host}");
            let answer = server.raw(&format!("GET {path}"), &[&header], "").await;
            assert_eq!(answer.status, 421, "{path} {host}");
            assert!(answer.body.contains("--allow-host"), "{}", answer.body);
            assert!(answer.has("content-type: application/problem+json"));
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_request_without_one_plain_host_is_bad() {
    let server = start().await;
    let port = server.address.port();
    let good = format!("Host: 127.0.0.1:{port}");
    let cases: [&[&str]; 7] = [
        &[],
        &[&good, &good],
        &[&good, "Host: evil.example"],
        &[&format!("Host: evil@127.0.0.1:{port}")],
        &[&format!("Host: [::1%25lo]:{port}")],
        &["Host: 127.0.0.1:99999"],
        &["Host:"],
    ];
    for headers in cases {
        let answer = server.raw("GET /healthz", headers, "").await;
        assert_eq!(answer.status, 400, "{headers:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn the_three_names_of_loopback_are_served_with_the_port_as_a_number() {
    let server = start().await;
    let port = server.address.port();
    for host in ["127.0.0.1", "localhost", "LOCALHOST", "[::1]", "[0:0::1]"] {
        let header = format!("Host: {host}:{port}");
        let answer = server.raw("GET /healthz", &[&header], "").await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (200, "ok\n"),
            "{host}"
        );
    }
    let padded = format!("Host: 127.0.0.1:0{port}");
    assert_eq!(server.raw("GET /healthz", &[&padded], "").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn an_allowed_name_is_served_with_its_port_only() {
    let server = super::start_allowing(&["lab.test", "front.test:9000", "no good"]).await;
    let port = server.address.port();
    let cases = [
        (format!("lab.test:{port}"), 200),
        (format!("LAB.test:{port}"), 200),
        (String::from("lab.test"), 421),
        (format!("sub.lab.test:{port}"), 421),
        (String::from("front.test:9000"), 200),
        (format!("front.test:{port}"), 421),
        (format!("no good:{port}"), 400),
    ];
    for (host, status) in cases {
        let answer = server
            .raw("GET /healthz", &[&format!("Host: {host}")], "")
            .await;
        assert_eq!(answer.status, status, "{host}");
    }
    assert!(is_host("lab.test:1") && !is_host("no good") && !is_host("a@b") && !is_host("a:b"));
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_sends_no_request_is_dropped() {
    let server = start().await;
    let half = format!("GET / HTTP/1.1\r\nHost: {}\r\nX: ", server.address);
    let whole = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
    let mut open = tokio::task::JoinSet::new();
    for text in [String::new(), half, whole] {
        let address = server.address;
        open.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(text.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            text
        });
    }
    while !open.is_empty() {
        let dropped = tokio::time::timeout(PATIENCE, open.join_next()).await;
        dropped.expect("each is dropped in time").unwrap().unwrap();
    }
    server.stop().await;
}

#[tokio::test]
async fn a_target_with_another_authority_is_misdirected() {
    let server = start().await;
    let answer = server.ask("GET http://evil.example/healthz", &[], "").await;
    assert_eq!(answer.status, 421);
    let own = format!("GET http://{}/healthz", server.address);
    assert_eq!(server.ask(&own, &[], "").await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn another_origin_or_site_gets_no_data() {
    let server = start().await;
    let own = format!("Origin: http://{}", server.address);
    let other_scheme = format!("Origin: https://{}", server.address);
    let foreign = [
        "Origin: http://evil.example",
        "Origin: null",
        other_scheme.as_str(),
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
    ];
    for path in ["/api/snapshot", "/metrics", "/healthz", "/main.js"] {
        for header in foreign {
            let answer = server.ask(&format!("GET {path}"), &[header], "").await;
            assert_eq!(answer.status, 403, "{path} {header}");
        }
        for header in [
            own.as_str(),
            "Sec-Fetch-Site: same-origin",
            "Sec-Fetch-Site: none",
        ] {
            let answer = server.ask(&format!("GET {path}"), &[header], "").await;
            assert_eq!(answer.status, 200, "{path} {header}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_link_from_another_site_opens_the_page_but_not_the_api() {
    let server = start().await;
    let link = ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"];
    assert_eq!(server.ask("GET /", &link, "").await.status, 200);
    assert_eq!(server.ask("GET /api/snapshot", &link, "").await.status, 403);
    assert_eq!(server.ask("POST /", &link, "").await.status, 403);
    server.stop().await;
}

#[tokio::test]
async fn a_change_needs_the_token() {
    let server = start().await;
    let json = "Content-Type: application/json";
    let short = format!("Authorization: Bearer {}", &server.token.reveal()[1..]);
    let other = format!("Authorization: Bearer {}", Token::random().reveal());
    let basic = format!("Authorization: Basic {}", server.token.reveal());
    let own = format!("Authorization: Bearer {}", server.token.reveal());
    let cases: [&[&str]; 6] = [
        &[json],
        &[json, "Authorization: Bearer "],
        &[json, &short],
        &[json, &other],
        &[json, &basic],
        &[json, &own, &other],
    ];
    for path in ["/api/reload", "/api/nodes/proxy/2/stop"] {
        for headers in cases {
            let answer = server.ask(&format!("POST {path}"), headers, "{}").await;
            assert_eq!(answer.status, 401, "{path} {headers:?}");
            assert!(answer.has("www-authenticate: Bearer"));
        }
        assert_eq!(server.change(path).await.status, 200);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_change_from_another_origin_is_refused_even_with_the_token() {
    let server = start().await;
    let token = format!("Authorization: Bearer {}", server.token.reveal());
    let headers = [
        &token,
        "Content-Type: application/json",
        "Origin: http://evil.example",
    ];
    let answer = server.ask("POST /api/reload", &headers, "{}").await;
    assert_eq!(answer.status, 403);
    server.stop().await;
}

#[tokio::test]
async fn a_change_is_an_empty_json_object() {
    let server = start().await;
    let token = format!("Authorization: Bearer {}", server.token.reveal());
    let post = async |server: &Running, media: &str, body: &str| {
        let media = format!("Content-Type: {media}");
        let headers = [token.as_str(), media.as_str()];
        server.ask("POST /api/reload", &headers, body).await.status
    };
    assert_eq!(
        post(&server, "application/x-www-form-urlencoded", "a=b").await,
        415
    );
    assert_eq!(post(&server, "text/plain", "{}").await, 415);
    assert_eq!(post(&server, "application/jsonp", "{}").await, 415);
    assert_eq!(
        server.ask("POST /api/reload", &[&token], "").await.status,
        415
    );
    assert_eq!(post(&server, "application/json", "{").await, 400);
    assert_eq!(post(&server, "application/json", "[]").await, 400);
    assert_eq!(post(&server, "application/json", "{\"a\":1}").await, 400);
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(64 * 1024));
    assert_eq!(post(&server, "application/json", &large).await, 413);
    assert_eq!(
        post(&server, "application/json; charset=utf-8", "{}").await,
        200
    );
    assert_eq!(post(&server, "application/json", "").await, 200);
    server.stop().await;
}

#[tokio::test]
async fn an_act_reaches_the_lab_or_says_why_not() {
    let server = start().await;
    let cases = [
        ("/api/nodes/balancer/external/drain", 200),
        ("/api/nodes/proxy/2/start", 200),
        ("/api/nodes/agent/orders/stop", 200),
        ("/api/nodes/proxy/2/kill", 200),
        ("/api/nodes/proxy/nobody/kill", 404),
        ("/api/nodes/agent/nobody/stop", 404),
        ("/api/nodes/user/alice/stop", 409),
        ("/api/nodes/dns/dns/stop", 404),
        ("/api/nodes/lab/lab/stop", 404),
        ("/api/nodes/proxy/2/explode", 404),
        ("/api/nodes/proxy/2", 404),
    ];
    for (path, status) in cases {
        let answer = server.change(path).await;
        assert_eq!(answer.status, status, "{path} {}", answer.body);
        if status != 200 {
            assert!(
                answer.has("content-type: application/problem+json"),
                "{path}"
            );
            assert!(
                answer.body.contains(&format!("\"status\":{status}")),
                "{path}"
            );
        }
    }
    let drained = server.journal.ask(|state| state.balancers[1].admin.word());
    assert_eq!(drained, "draining");
    assert_eq!(server.ask("GET /api/reload", &[], "").await.status, 405);
    assert_eq!(server.ask("POST /main.js", &[], "").await.status, 405);
    server.stop().await;
}

#[tokio::test]
async fn every_answer_carries_the_headers_and_the_api_is_never_stored() {
    let server = start().await;
    for path in [
        "/",
        "/main.js",
        "/api/snapshot",
        "/metrics",
        "/api/reload",
        "/none",
    ] {
        let answer = server.ask(&format!("GET {path}"), &[], "").await;
        for header in [
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self';",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cross-origin-opener-policy: same-origin",
            "cross-origin-resource-policy: same-origin",
        ] {
            assert!(answer.has(header), "{path} {header}: {}", answer.head);
        }
        assert!(!answer.has("access-control-"), "{path}");
        assert!(!answer.body.contains(server.token.reveal()), "{path}");
        let api = path.starts_with("/api") || path == "/metrics";
        assert_eq!(answer.has("cache-control: no-store"), api, "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_file_is_sent_once_and_then_only_confirmed() {
    let server = start().await;
    let first = server.ask("GET /style.css", &[], "").await;
    assert_eq!(first.status, 200);
    assert!(first.has("content-type: text/css"));
    let tag = first
        .head
        .lines()
        .find_map(|line| line.strip_prefix("etag: "))
        .unwrap();
    let known = format!("If-None-Match: {tag}");
    let again = server.ask("GET /style.css", &[&known], "").await;
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    assert_eq!(server.ask("GET /index.html", &[], "").await.status, 404);
    assert_eq!(server.ask("GET /../Cargo.toml", &[], "").await.status, 404);
    let head = server.ask("HEAD /", &[], "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    server.stop().await;
}

#[tokio::test]
async fn a_path_where_nothing_is_tells_people_in_html_and_programs_as_a_problem() {
    let server = start().await;
    let html = "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8";
    let page = server.ask("GET /dnss", &[html], "").await;
    assert_eq!(page.status, 404);
    assert!(page.has("content-type: text/html; charset=utf-8"));
    assert!(page.has("content-security-policy: "));
    assert!(page.body.contains("Nothing at this path"), "{}", page.body);
    for accept in [
        "Accept: */*",
        "Accept: application/json",
        "X-Other: text/html",
    ] {
        let problem = server.ask("GET /dnss", &[accept], "").await;
        assert_eq!(problem.status, 404, "{accept}");
        assert!(
            problem.has("content-type: application/problem+json"),
            "{accept}"
        );
    }
    server.stop().await;
}

#[test]
fn a_token_is_128_random_bits_and_never_shown_by_accident() {
    let (one, two) = (Token::random(), Token::random());
    assert_eq!(one.reveal().len(), 32);
    assert_ne!(one.reveal(), two.reveal());
    assert!(one.matches(one.reveal()) && !one.matches(two.reveal()) && !one.matches(""));
    assert!(!format!("{one:?}").contains(one.reveal()));
}

#[test]
fn every_file_of_the_page_is_in_the_binary_and_the_reverse() {
    fn files(folder: &std::path::Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path, found);
            } else {
                let root = concat!(env!("CARGO_MANIFEST_DIR"), "/web");
                let below = path.strip_prefix(root).unwrap();
                found.push(below.to_str().unwrap().to_owned());
            }
        }
    }
    let mut on_disk = Vec::new();
    files(
        std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/web")),
        &mut on_disk,
    );
    on_disk.sort();
    // Typedefs alone, for the checker of types: no browser asks for it.
    let typedefs = on_disk.iter().position(|path| path == "types.js");
    on_disk.remove(typedefs.unwrap());
    let mut embedded: Vec<_> = twodoors::http::assets::ASSETS
        .iter()
        .map(|a| a.path)
        .collect();
    embedded.sort_unstable();
    assert_eq!(on_disk, embedded);
}
