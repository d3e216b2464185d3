//! What would be: questions as anybody, moves and faults that may be set, of the embedded example.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde_json::{Value, json};
use twodoors::http::Server;
use twodoors::http::guard::Token;
use twodoors::http::source::Source;
use twodoors::journal::Journal;
use twodoors::lab::load::load;
use twodoors::lab::report::Mode;
use twodoors::live::clock::Clock;
use twodoors::model::fact::Kind;
use twodoors::model::fault::{Effect, Fault, Target};
use twodoors::model::id::{FaultId, Node};
use twodoors::model::time::Time;
use twodoors::policy::faults::Faults;
use twodoors::scenario::embedded;

use super::{Answer, FakeControl, Running, serve_on};

/// Serves the embedded example, of which nothing runs, with these faults in force.
pub(super) async fn example(faults: Faults) -> Running {
    let loaded = load(Path::new(embedded::SCENARIO), &embedded::FILES).unwrap();
    let topology = Arc::new(loaded.topology);
    let journal = Journal::new(&topology);
    let rules = loaded.rules.with_faults(faults);
    let source = Source {
        rules: Some(Arc::new(ArcSwap::from_pointee(rules))),
        mode: Mode::Live,
        ..Source::of(journal.clone(), topology)
    };
    serve(source, journal).await
}

async fn serve(source: Source, journal: Journal) -> Running {
    let token = Token::random();
    let server = Server {
        source,
        control: Arc::new(FakeControl {
            journal: journal.clone(),
            clock: Clock::start(),
        }),
        token: token.clone(),
        allow_hosts: Vec::new(),
        web_dir: None,
    };
    serve_on("127.0.0.1:0", server, journal, token).await
}

pub(super) fn body(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_str(&answer.body).unwrap()
}

/// Asks as one without the token.
pub(super) async fn post(lab: &Running, path: &str, body: &Value) -> Answer {
    let headers = ["Content-Type: application/json"];
    lab.ask(&format!("POST {path}"), &headers, &body.to_string())
        .await
}

async fn resolve(lab: &Running, r#as: &str, name: &str) -> Value {
    body(&post(lab, "/api/resolve", &json!({"as": r#as, "name": name})).await)
}

fn data(view: &Value) -> Vec<&str> {
    let records = view["answer"].as_array().unwrap().iter();
    records.map(|rec| rec["data"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn both_views_answer_side_by_side_and_what_differs_is_marked() {
    let lab = example(Faults::default()).await;
    for (who, client, chosen, rule) in [
        ("agent/orders", "127.10.0.11", "private", "internal"),
        ("kiosk", "127.20.0.14", "public", "any"),
        ("network/external", "127.20.0.1", "public", "any"),
        ("127.10.9.9", "127.10.9.9", "private", "internal"),
    ] {
        let said = resolve(&lab, who, "proxy.example.com").await;
        assert_eq!(said["client"], client);
        assert_eq!(said["chosen"], chosen, "{who}");
        let why = format!("{rule} of the view {chosen} is the first rule that lets {client} in");
        assert_eq!(said["why"], why.as_str());
        let dig = format!("dig -b {client} @127.0.0.1 -p 5300 proxy.example.com. A");
        assert_eq!(said["dig"], dig.as_str());
        let views = said["views"].as_array().unwrap();
        let found: Vec<_> = views
            .iter()
            .map(|view| (&view["view"], data(view)))
            .collect();
        let answers = [("private", "127.10.0.2"), ("public", "127.20.0.2")];
        for ((name, data), (view, address)) in found.into_iter().zip(answers) {
            assert_eq!((name, data), (&json!(view), vec![address]));
        }
        for view in views {
            let own = view["view"] == chosen;
            assert_eq!(view["chosen"], own);
            assert_eq!(view["differs"], !own, "{view}");
            assert_eq!(view["rule"], if own { json!(rule) } else { Value::Null });
            assert_eq!(view["answer"][0]["differs"], true);
            let file = view["answer"][0]["place"]["file"].as_str().unwrap();
            let zone = format!("zones/{}/example.com.zone", view["view"].as_str().unwrap());
            assert!(file.ends_with(&zone), "{file}");
        }
        assert_eq!(said["same"], json!([]));
    }
    lab.stop().await;
}

#[tokio::test]
async fn what_every_view_answers_is_told_once_and_not_marked() {
    let lab = example(Faults::default()).await;
    let said = resolve(&lab, "user/olga", "nowhere.example.com").await;
    for view in said["views"].as_array().unwrap() {
        assert_eq!(
            (&view["rcode"], &view["differs"]),
            (&json!("NXDOMAIN"), &json!(false))
        );
    }
    let alias = resolve(&lab, "user/olga", "orders.proxy.example.com").await;
    let twin = resolve(&lab, "user/olga", "proxy.example.com").await;
    // The alias, where there is one, is the same in both; the address it ends at never is.
    for said in [&alias, &twin] {
        for view in said["views"].as_array().unwrap() {
            for rec in view["answer"].as_array().unwrap() {
                let common = said["same"].as_array().unwrap().contains(&rec["text"]);
                assert_eq!(rec["differs"], !common, "{rec}");
            }
        }
    }
    lab.stop().await;
}

#[tokio::test]
async fn a_fault_shows_in_the_view_that_the_client_gets_and_each_view_keeps_its_own() {
    let flip = Fault {
        target: Target::View("private".into()),
        effect: Effect::ViewFlip {
            to: "public".into(),
        },
    };
    let lab = example(Faults::default().with(FaultId(1), flip)).await;
    let said = resolve(&lab, "agent/orders", "proxy.example.com").await;
    assert_eq!(said["chosen"], "public");
    assert!(said["why"].as_str().unwrap().contains("private"), "{said}");
    assert_eq!(data(&said["views"][0]), ["127.10.0.2"]);
    assert_eq!(data(&said["views"][1]), ["127.20.0.2"]);
    lab.stop().await;

    let fail = Fault {
        target: Target::View("private".into()),
        effect: Effect::ServFail,
    };
    let lab = example(Faults::default().with(FaultId(1), fail)).await;
    // Whoever asks: that view would fail for them, too, if they got it.
    for who in ["agent/orders", "user/alice"] {
        let said = resolve(&lab, who, "proxy.example.com").await;
        assert_eq!(said["views"][0]["rcode"], "SERVFAIL", "{who}");
        assert_eq!(said["views"][1]["rcode"], "NOERROR", "{who}");
    }
    lab.stop().await;
}

#[tokio::test]
async fn the_command_to_repeat_a_question_is_safe_to_paste() {
    let lab = example(Faults::default()).await;
    let asked = json!({
        "as": "127.0.0.1", "name": "a';$(reboot)\\032b.example.com", "type": "TXT",
        "transport": "tcp", "subnet": "127.20.0.0/16", "do": true,
    });
    let said = body(&post(&lab, "/api/resolve", &asked).await);
    let dig = said["dig"].as_str().unwrap();
    let (before, rest) = dig.split_once(" -p 5300 ").unwrap();
    assert_eq!(before, "dig -b 127.0.0.1 @127.0.0.1");
    let (name, after) = rest.split_once(" TXT ").unwrap();
    assert_eq!(after, "+tcp +dnssec +subnet=127.20.0.0/16");
    // Within single quotes, and the one inside cannot end them.
    let inside = name
        .strip_prefix('\'')
        .and_then(|name| name.strip_suffix('\''))
        .unwrap();
    assert!(!inside.replace(r"'\''", "").contains('\''), "{name}");
    assert!(
        said["scope"].as_str().unwrap().contains("127.20.0.0/16"),
        "{said}"
    );
    lab.stop().await;
}

#[tokio::test]
async fn a_wrong_question_is_refused_in_words() {
    let lab = example(Faults::default()).await;
    let long = "a".repeat(2_000);
    for (asked, status, words) in [
        (
            json!({"as": "agent/nobody", "name": "x"}),
            422,
            "names are: agent/orders",
        ),
        (json!({"as": "127.0.0.1", "name": ""}), 422, "name: "),
        (json!({"as": "127.0.0.1", "name": long}), 422, "too long"),
        (
            json!({"as": "127.0.0.1", "name": "x", "type": "NONE"}),
            422,
            "is not a record type",
        ),
        (
            json!({"as": "127.0.0.1", "name": "x", "transport": "doh"}),
            422,
            "neither udp nor tcp",
        ),
        (
            json!({"as": "127.0.0.1", "name": "x", "subnet": "x"}),
            422,
            "is not a network",
        ),
        (
            json!({"as": "127.0.0.1", "name": "x", "more": 1}),
            400,
            "unknown field",
        ),
        (json!({"name": "x"}), 400, "missing field"),
    ] {
        let answer = post(&lab, "/api/resolve", &asked).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.body.contains(words), "{words}: {answer:?}");
        assert!(answer.has("application/problem+json"), "{answer:?}");
    }
    let form = lab
        .ask("POST /api/resolve", &["Content-Type: text/plain"], "{}")
        .await;
    assert_eq!(form.status, 415, "{form:?}");
    let evil = [
        "Content-Type: application/json",
        "Origin: http://evil.example",
    ];
    for path in ["/api/resolve", "/api/whatif"] {
        let refused = lab.ask(&format!("POST {path}"), &evil, "{}").await;
        assert_eq!(refused.status, 403, "{refused:?}");
    }
    lab.stop().await;
}

#[tokio::test]
async fn a_run_that_is_over_cannot_be_asked() {
    let loaded = load(Path::new(embedded::SCENARIO), &embedded::FILES).unwrap();
    let topology = Arc::new(loaded.topology);
    let journal = Journal::new(&topology);
    let lab = serve(Source::of(journal.clone(), topology), journal).await;
    let asked = json!({"as": "agent/orders", "name": "proxy.example.com"});
    let answer = post(&lab, "/api/resolve", &asked).await;
    assert_eq!(answer.status, 409, "{answer:?}");
    lab.stop().await;
}

async fn whatif(lab: &Running, node: &str, network: &str) -> Value {
    body(
        &post(
            lab,
            "/api/whatif",
            &json!({"node": node, "network": network}),
        )
        .await,
    )
}

#[tokio::test]
async fn a_move_is_told_with_what_it_changes_and_nothing_moves() {
    let lab = example(Faults::default()).await;
    let before = lab.journal.snapshot().seq;
    let moved = whatif(&lab, "agent/orders", "external").await;
    assert_eq!(moved["from"]["door"], "internal");
    assert_eq!(moved["to"]["door"], "external");
    assert_eq!(moved["to"]["view"], "public");
    assert_eq!(moved["to"]["address"], "127.20.0.2:3080");
    let changes = moved["changes"].as_array().unwrap();
    for change in [
        "the network: internal → external",
        "the view: private → public",
        "the door: internal → external",
    ] {
        assert!(changes.contains(&json!(change)), "{change}: {changes:?}");
    }
    // `agents in external use balancer/external` holds for it there.
    assert_eq!(moved["expectations"], json!([]));
    assert_eq!(lab.journal.snapshot().seq, before);

    let stays = whatif(&lab, "user/alice", "network/external").await;
    assert_eq!(stays["changes"], json!([]));

    // Where they are now counts, not where they began.
    let roamed = Kind::Roamed {
        network: "internal".into(),
        address: "127.10.0.99".parse().unwrap(),
    };
    let alice = Node::User("alice".into());
    lab.journal.add(Time::from_us(1), &alice, [roamed]);
    let back = whatif(&lab, "user/alice", "external").await;
    assert_eq!(back["from"]["client"], "127.10.0.99");
    assert_eq!(back["from"]["door"], "internal");
    assert_eq!(back["to"]["door"], "external");
    lab.stop().await;
}

#[tokio::test]
async fn a_move_that_fails_an_expectation_says_which() {
    let fail = Fault {
        target: Target::View("public".into()),
        effect: Effect::ServFail,
    };
    let lab = example(Faults::default().with(FaultId(1), fail)).await;
    let moved = whatif(&lab, "agent/orders", "external").await;
    assert_eq!(moved["to"]["door"], Value::Null);
    assert_eq!(moved["to"]["answer"], json!(["SERVFAIL"]));
    assert_eq!(moved["expectations"], json!(["every agent keeps a tunnel"]));
    assert!(
        moved["text"]
            .as_str()
            .unwrap()
            .contains("does not come in at all"),
        "{moved}"
    );
    for (node, network, words) in [
        ("agent/orders", "moon", "networks are: internal, external"),
        ("agent/nobody", "external", "has no agent/nobody"),
        ("balancer/internal", "external", "does not move"),
        ("orders", "external", "is no node"),
    ] {
        let answer = post(
            &lab,
            "/api/whatif",
            &json!({"node": node, "network": network}),
        )
        .await;
        assert_eq!(answer.status, 422, "{answer:?}");
        assert!(answer.body.contains(words), "{words}: {answer:?}");
    }
    lab.stop().await;
}

#[tokio::test]
async fn the_catalogue_holds_what_this_lab_can_have() {
    let lab = example(Faults::default()).await;
    let said = body(&lab.ask("GET /api/faults/catalogue", &[], "").await);
    let words = said["words"].as_array().unwrap();
    let of = |word: &str| words.iter().find(|known| known["word"] == word);
    assert!(of("ttl_floor").is_none(), "there is no resolver");
    let latency = of("latency").unwrap();
    assert_eq!(
        (&latency["by"]["unit"], &latency["by"]["required"]),
        (&json!("ms"), &json!(true))
    );
    assert_eq!(of("refuse").unwrap()["by"], Value::Null);
    assert_eq!(of("view_flip").unwrap()["to"], json!(["private", "public"]));
    assert!(
        words
            .iter()
            .all(|word| word["duration_default_us"] == 30_000_000)
    );
    lab.stop().await;
}

#[tokio::test]
async fn a_preview_needs_the_token_and_a_lab_with_files() {
    let lab = example(Faults::default()).await;
    let answer = post(&lab, "/api/reload/preview", &json!({})).await;
    assert_eq!(answer.status, 401, "{answer:?}");
    let said = body(&lab.change("/api/reload/preview").await);
    assert_eq!(said["mistakes"].as_array().unwrap().len(), 1);
    assert_eq!(said["share"], json!({"ipv4": "0%", "ipv6": "0%"}));
    lab.stop().await;
}
