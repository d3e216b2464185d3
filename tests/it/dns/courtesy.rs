//! What a server says beside the records: of itself, addresses of hosts, whom it asks.

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{DNSClass, RData, RecordType};
use serde_json::Value;

use super::kit::{ask, edns, query};
use super::verb::Folder;

const INSIDE: &str = "127.41.0.9";

/// A question of class CH for TXT.
fn chaos(name: &str) -> Message {
    let mut message = query(name, RecordType::TXT, Some(edns(1_232)));
    message.queries[0].set_query_class(DNSClass::CH);
    message
}

/// The only text of an answer, which is of class CH.
fn text(answer: &Message) -> Option<String> {
    let [record] = &answer.answers[..] else {
        return None;
    };
    assert_eq!(record.dns_class, DNSClass::CH);
    assert!(answer.metadata.authoritative);
    let RData::TXT(text) = &record.data else {
        panic!("{record} is no text");
    };
    Some(text.to_string())
}

#[tokio::test]
async fn class_ch_gives_the_name_and_hides_the_version() {
    let folder = Folder::new();
    let words = "--views views.yaml --listen 127.0.0.1:0";
    let views = folder.read("views.yaml");
    let served = folder.running(words);
    let address = served.addresses()[0];
    for name in ["id.server.", "Hostname.BIND."] {
        let answer = ask(address, INSIDE, &chaos(name), false).await;
        assert_eq!(text(&answer).as_deref(), Some("twodoors"), "{name}");
    }
    for name in [
        "version.bind.",
        "version.server.",
        "www.a.test.",
        "authors.bind.",
    ] {
        let answer = ask(address, INSIDE, &chaos(name), false).await;
        assert_eq!(
            answer.metadata.response_code,
            ResponseCode::Refused,
            "{name}"
        );
        assert_eq!(text(&answer), None, "{name}");
    }
    drop(served);
    folder.write(
        "views.yaml",
        &format!("nsid: \"\"\nversion: a server\n{views}"),
    );
    let served = folder.running(words);
    let address = served.addresses()[0];
    for name in ["version.bind.", "version.server."] {
        for tcp in [false, true] {
            let answer = ask(address, INSIDE, &chaos(name), tcp).await;
            assert_eq!(text(&answer).as_deref(), Some("a server"), "{name}");
        }
    }
    let answer = ask(address, INSIDE, &chaos("id.server."), false).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::Refused);
}

#[tokio::test]
async fn the_hosts_of_mx_and_srv_come_along_where_they_fit() {
    let folder = Folder::new();
    let many: Vec<String> = (10..26)
        .map(|number| format!("many MX 1 m{number}\nm{number} A 10.0.0.{number}\n"))
        .collect();
    let lines = format!(
        "@ MX 10 mail\n@ MX 20 mail\n@ MX 30 mail.other.test.\n@ MX 40 mail.cut\nmail A 10.0.0.25\n\
         mail AAAA fd00::25\n_x._tcp SRV 1 1 1 mail\ncut NS ns\nmail.cut A 10.0.0.26\n{}",
        many.concat()
    );
    folder.zone("private.zone", &lines);
    let served = folder.running("--views views.yaml --listen 127.0.0.1:0");
    let address = served.addresses()[0];
    let asked = |name: &str, kind| query(name, kind, None);
    for (name, kind) in [
        ("a.test.", RecordType::MX),
        ("_x._tcp.a.test.", RecordType::SRV),
    ] {
        let answer = ask(address, INSIDE, &asked(name, kind), false).await;
        let owners: Vec<String> = answer
            .additionals
            .iter()
            .map(|record| record.name.to_ascii())
            .collect();
        // Once each; what is below a cut is for others to say.
        assert_eq!(owners, ["mail.a.test.", "mail.a.test."], "{name}");
    }
    let answer = ask(
        address,
        INSIDE,
        &asked("many.a.test.", RecordType::MX),
        false,
    )
    .await;
    assert_eq!(answer.answers.len(), 16);
    assert!(answer.additionals.len() < 16, "not all of them fit");
    assert!(!answer.metadata.truncation, "and nobody misses them");
    let answer = ask(
        address,
        INSIDE,
        &asked("many.a.test.", RecordType::MX),
        true,
    )
    .await;
    assert_eq!(answer.additionals.len(), 16);
}

#[tokio::test]
async fn a_missing_name_is_left_to_the_next_wider_view() {
    let folder = Folder::new();
    let views = |mode: &str| {
        format!(
            "mode: {mode}\nviews:\n\
             \x20 - {{name: all, match: [any], zones: [{{origin: a.test, file: public.zone}}]}}\n\
             \x20 - {{name: office, match: [127.41.0.0/16], zones: [{{origin: a.test, file: \
             office.zone}}]}}\n\
             \x20 - {{name: desk, match: [127.41.0.0/24], zones: [{{origin: a.test, file: \
             private.zone, miss: public}}]}}\n"
        )
    };
    folder.zone("office.zone", "far A 10.0.0.7");
    folder.zone("public.zone", "far A 192.0.2.7");
    folder.write("views.yaml", &views("longest_prefix"));
    let explained = |from: &str, name: &str| {
        let words = format!("--views views.yaml --from {from} {name} +short");
        folder.explained(&words).out
    };
    assert_eq!(explained("127.41.0.9", "www.a.test"), "10.0.0.1\n");
    assert_eq!(explained("127.41.0.9", "far.a.test"), "10.0.0.7\n");
    assert_eq!(explained("127.42.0.9", "far.a.test"), "192.0.2.7\n");
    // By first match the first view lets everybody in, and leaves nothing to others.
    folder.write("views.yaml", &views("first_match"));
    assert_eq!(explained("127.41.0.9", "far.a.test"), "192.0.2.7\n");
}

#[test]
fn explain_says_who_may_have_whom_asked() {
    let folder = Folder::new();
    let forward = "forward: {allow: [\"!127.41.7.0/24\", inside], servers: [127.0.0.1:5398, \
                   127.0.0.1:5397]}, zones:";
    let views = folder.read("views.yaml").replacen("zones:", forward, 1);
    folder.write("views.yaml", &views);
    let explained = |from: &str, words: &str| {
        let words = format!("--views views.yaml --from {from} {words}");
        folder.explained(&words).out
    };
    let out = explained(INSIDE, "known.test");
    assert!(
        out.contains("forward   127.41.0.9 may, by inside of allow\n"),
        "{out}"
    );
    let servers = "forward   to 127.0.0.1:5398, 127.0.0.1:5397, then the fastest first\n";
    assert!(out.contains(servers), "{out}");
    let out = explained("127.41.7.9", "known.test");
    let denied = "forward   127.41.7.9 may not, by !127.41.7.0/24 of allow\n";
    assert!(out.contains(denied) && !out.contains("5398"), "{out}");
    // Neither what a zone holds nor a view that asks nobody.
    for (from, name) in [(INSIDE, "www.a.test"), ("127.42.0.9", "known.test")] {
        let out = explained(from, name);
        assert!(!out.contains("forward "), "{out}");
    }
    let json: Value = serde_json::from_str(&explained(INSIDE, "--json known.test")).unwrap();
    assert_eq!(json["forward"]["allowed"], true);
    assert_eq!(json["forward"]["rule"], "inside");
    assert_eq!(json["forward"]["servers"][0], "127.0.0.1:5398");
    let json: Value = serde_json::from_str(&explained(INSIDE, "--json www.a.test")).unwrap();
    assert_eq!(json["forward"], Value::Null);
}
