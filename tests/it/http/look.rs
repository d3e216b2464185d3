//! Looking at what was: states at an instant, over the wire.

use serde_json::Value;
use twodoors::model::fact::{Act, Kind};
use twodoors::model::id::{Generation, Node};
use twodoors::model::time::Time;
use twodoors::policy::faults::Faults;

use super::ask::example;
use super::{Answer, Running, start};

fn json(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

/// A lab in which an instance drains at 2 s and is back at 4 s.
async fn drained() -> Running {
    let lab = start().await;
    let proxy = Node::Proxy("2".into());
    lab.journal
        .add(Time::from_us(1_000_000), &Node::Lab, [Kind::Ready]);
    for (second, act) in [(2, Act::Drain), (4, Act::Start)] {
        let at = Time::from_us(second * 1_000_000);
        lab.journal.add(at, &proxy, [Kind::Operated { act }]);
    }
    lab
}

#[tokio::test]
async fn the_state_at_an_instant_is_as_it_was_then() {
    let lab = drained().await;
    for (asked, admin, seq) in [
        ("", "ready", 3),
        ("?at_us=3999999", "draining", 2),
        ("?at_us=2000000", "draining", 2),
        ("?at_us=1999999", "ready", 1),
        ("?seq=2", "draining", 2),
        ("?seq=0", "ready", 0),
        ("?at_us=99000000", "ready", 3),
    ] {
        let answer = lab.ask(&format!("GET /api/snapshot{asked}"), &[], "").await;
        let state = json(&answer);
        assert_eq!(state["proxies"][1]["admin"], admin, "{asked}");
        assert_eq!(
            state["balancers"][0]["backends"][1]["admin"], admin,
            "{asked}"
        );
        assert_eq!(state["seq"], seq, "{asked}");
        assert_eq!(state["oldest_seq"], 0, "{asked}");
    }
    lab.stop().await;
}

#[tokio::test]
async fn a_state_that_is_gone_or_asked_for_wrongly_is_a_problem_in_words() {
    let lab = drained().await;
    let proxy = Node::Proxy("2".into());
    let at = Time::from_us(5_000_000);
    let many = std::iter::repeat_n(Kind::Drained, twodoors::journal::FACTS_MAX + 5_000);
    lab.journal.add(at, &proxy, many);
    let gone = lab.ask("GET /api/snapshot?at_us=3000000", &[], "").await;
    assert_eq!(gone.status, 410, "{gone:?}");
    let detail = json(&gone)["detail"].to_string();
    assert!(detail.contains("at_us=5000000"), "{detail}");
    for wrong in ["at_us=soon", "at_us=1&seq=1", "when=1", "seq=-1"] {
        let line = format!("GET /api/snapshot?{wrong}");
        let answer = lab.ask(&line, &[], "").await;
        assert_eq!(answer.status, 400, "{wrong}: {answer:?}");
        assert!(answer.has("application/problem+json"), "{answer:?}");
    }
    lab.stop().await;
}

#[tokio::test]
async fn the_timeline_tells_what_happened_between_two_instants() {
    let lab = drained().await;
    let timeline = json(&lab.ask("GET /api/timeline", &[], "").await);
    assert_eq!(timeline["to_us"], 4_000_000);
    let rest = &timeline["rests"][0];
    assert_eq!(
        (&rest["node"], &rest["act"]),
        (&"proxy/2".into(), &"drain".into())
    );
    assert_eq!(
        (&rest["from_us"], &rest["to_us"]),
        (&2_000_000.into(), &4_000_000.into())
    );
    let lane = &timeline["lanes"][3];
    assert_eq!(lane["lane"], "proxies");
    assert_eq!(lane["marks"][0]["severity"], "notice");
    let part = "GET /api/timeline?from_us=3000000&to_us=3500000";
    let part = json(&lab.ask(part, &[], "").await);
    assert_eq!(
        part["rests"][0]["from_us"], 2_000_000,
        "it reaches into the part"
    );
    assert_eq!(part["lanes"][3]["marks"], Value::Array(Vec::new()));
    let wrong = lab
        .ask("GET /api/timeline?from_us=3&to_us=2", &[], "")
        .await;
    assert_eq!(wrong.status, 400, "{wrong:?}");
    lab.stop().await;
}

#[tokio::test]
async fn tables_and_bundles_are_files_of_their_kind() {
    let lab = drained().await;
    let csv = lab
        .ask("GET /api/tables/pool.csv?at_us=3000000", &[], "")
        .await;
    assert!(csv.has("content-type: text/csv"), "{csv:?}");
    assert!(
        csv.body.contains("\r\n2,127.47.0.2:3080,draining,"),
        "{csv:?}"
    );
    let rows = json(&lab.ask("GET /api/tables/pool.json", &[], "").await);
    assert_eq!(rows[1]["admin"], "ready");
    for (path, status) in [
        ("/api/tables/nothing.csv", 404),
        ("/api/tables/pool.xml", 404),
        ("/api/tables/pool", 404),
        ("/api/tables/pool.csv?when=1", 400),
        ("/api/queries.csv?limit=3", 200),
        ("/api/queries.json?filter=x:y", 400),
    ] {
        let answer = lab.ask(&format!("GET {path}"), &[], "").await;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
    }
    let bundle = lab.ask("GET /api/export", &[], "").await;
    assert!(
        bundle.has("attachment; filename=\"split-dns.twodoors.json\""),
        "{bundle:?}"
    );
    assert_eq!(json(&bundle)["schema"], "twodoors.bundle/1");
    let packed = lab.ask("HEAD /api/export?form=gz", &[], "").await;
    assert!(packed.has("content-type: application/gzip"), "{packed:?}");
    assert!(
        packed.has("attachment; filename=\"split-dns.twodoors.json.gz\""),
        "{packed:?}"
    );
    let wrong = lab.ask("GET /api/export?form=zip", &[], "").await;
    assert_eq!(wrong.status, 400, "{wrong:?}");
    lab.stop().await;
}

#[tokio::test]
async fn zones_of_now_are_not_given_for_those_of_an_instant() {
    let lab = example(Faults::default()).await;
    let zones = async |tail: &str| {
        let path = format!("GET /api/tables/zones.csv{tail}");
        lab.ask(&path, &[], "").await.status
    };
    let generation = json(&lab.ask("GET /api/snapshot", &[], "").await)["generation"].clone();
    let another = Kind::Reloaded {
        generation: Generation(generation.as_u64().unwrap() + 1),
        views: Vec::new(),
        changed: Vec::new(),
    };
    let at = Time::from_us(5_000_000);
    lab.journal.add(at, &Node::Lab, [another]);
    assert_eq!(zones("?at_us=3000000").await, 200);
    assert_eq!(zones("?at_us=6000000").await, 410);
    assert_eq!(zones("").await, 200);
    lab.stop().await;
}
