//! Samples of what is asked for beyond the state: questions, previews, scenarios, runs, tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use twodoors::http::api::bundle::Bundle;
use twodoors::http::api::preview::{Change, Group, Preview, Share};
use twodoors::http::api::runs::{Current, Found, Run, Scenario, Scenarios};
use twodoors::http::api::tables::{LISTS, TABLES, Table};
use twodoors::http::api::{self, Place, access, faults};
use twodoors::http::source::Source;
use twodoors::journal::Journal;
use twodoors::lab::report::Mode;
use twodoors::lab::stage::{Content, Listed};
use twodoors::model::fact::Kind;
use twodoors::model::id::Node;
use twodoors::model::time::{Span, Time};
use twodoors::policy::faults::Faults;
use twodoors::scenario::intro::Intro;

use super::super::{ask, scene};
use super::{check, name};

#[tokio::test]
async fn answers_to_questions_are_as_their_samples_show() {
    let lab = ask::example(Faults::default()).await;
    let asked = json!({"as": "agent/orders", "name": "proxy.example.com"});
    let resolution = ask::post(&lab, "/api/resolve", &asked).await;
    check("resolution", &ask::body(&resolution));
    let moved = json!({"node": "agent/orders", "network": "external"});
    let moved = ask::post(&lab, "/api/whatif", &moved).await;
    check("moved", &ask::body(&moved));
    let catalogue = lab.ask("GET /api/faults/catalogue", &[], "").await;
    check("catalogue", &ask::body(&catalogue));
    let refusal = lab.ask("GET /api/refusals/127.0.0.1:9", &[], "").await;
    check("refusal", &ask::body(&refusal));
    lab.stop().await;
}

#[test]
fn what_is_played_and_changed_is_as_its_samples_show() {
    let place = |line| Place {
        file: String::from("scenarios/split-dns.yaml"),
        line,
        column: 5,
    };
    check(
        "preview",
        &Preview {
            mistakes: vec![String::from("a.zone:9:1: bad owner")],
            warnings: vec![String::from("a.zone:3:1: the serial did not grow")],
            share: Share {
                ipv4: String::from("0.4%"),
                ipv6: String::from("0%"),
            },
            changed: vec![String::from("public/new.example.com.")],
            groups: vec![Group {
                prefixes: vec![String::from("0.0.0.0/0")],
                prefixes_more: 1,
                changes: vec![Change {
                    view: Some(String::from("public")),
                    name: String::from("new.example.com."),
                    rtype: String::from("A"),
                    before: Vec::new(),
                    after: vec![String::from("60 192.0.2.7")],
                }],
                more: 0,
            }],
            more: 0,
            refused_by_limit: Some(String::from("more than --reload-limit 25%")),
        },
    );
    let topology = Arc::new(scene::expecting());
    let journal = Journal::new(&topology);
    let verdicts = journal.now().stands;
    let run = || Run {
        id: String::from("1"),
        scenario: String::from("split-dns"),
        mode: "virtual",
        state: "ended",
        progress: 1.0,
        at_us: 60_000_000,
        outcome: Some("met"),
        verdicts: verdicts.iter().map(api::Expectation::new).collect(),
        seed: 7,
    };
    assert!(!run().verdicts.is_empty());
    check("run", &run());
    check("scenarios", &played(place(51), run()));
    check(
        "set",
        &faults::Set {
            id: 1,
            text: String::from("balancer/internal refuses"),
        },
    );
    check("lifted", &faults::Lifted { lifted: 2 });
    check(
        "given",
        &access::Given {
            certificate: Some(String::from("-----BEGIN CERTIFICATE-----\n")),
            key: Some(String::from("-----BEGIN PRIVATE KEY-----\n")),
            user: String::from("alice"),
            from: "127.46.0.21".parse().unwrap(),
            dns: scene::socket("127.0.0.1:5300"),
            proxy: String::from("proxy.example.com:3080"),
            moved: vec![(
                scene::socket("127.46.0.2:3080"),
                scene::socket("127.0.0.1:40000"),
            )],
        },
    );
    check("bundle", &bundle(topology));
}

fn played(place: Place, run: Run) -> Scenarios {
    Scenarios {
        current: Current {
            name: String::from("split-dns"),
            file: Some(String::from("scenarios/split-dns.yaml")),
            embedded: false,
        },
        scenarios: vec![Scenario {
            id: String::from("split-dns"),
            name: String::from("split-dns"),
            file: None,
            question: String::from("can one name lead through different doors?"),
            lesson: String::from("yes."),
            steps: 0,
            expectations: 8,
            duration_us: Some(60_000_000),
            findings: vec![Found {
                id: "role-follows-network",
                severity: "notice",
                node: Some(String::from("user/olga")),
                detail: String::from("olga uses the door for agents"),
                cure: String::from("Give users a name of their own."),
                place: Some(place),
                text: "DNS separates by network, not by role.",
            }],
        }],
        runs: vec![run],
    }
}

/// A run of three facts.
fn bundle(topology: Arc<twodoors::model::topology::Topology>) -> Bundle {
    let journal = Journal::new(&topology);
    let user = Node::User(name("alice"));
    let facts = [
        (Node::Lab, Kind::Ready),
        (
            Node::Dns,
            scene::answered(&user, "127.46.2.1", "orders.proxy.example.com.", "public"),
        ),
        (user, scene::visited(1, "orders", "external", "2")),
    ];
    for (second, (node, kind)) in (1..).zip(facts) {
        journal.add(Time::from_us(second * 1_000_000), &node, [kind]);
    }
    let listed = Listed {
        id: String::from("doors"),
        name: String::from("doors"),
        file: Some(String::from("scenarios/doors.yaml")),
        intro: Intro::of("# Question: who uses which door?\n# Lesson: it depends.\n"),
        content: Ok(Content {
            steps: 0,
            expectations: 2,
            duration: Span::from_secs(3),
            findings: Vec::new(),
        }),
    };
    let source = Source {
        mode: Mode::Virtual,
        scenario: Some(Arc::new(listed)),
        ..Source::of(journal, topology)
    };
    Bundle::new(&source, None)
}

#[test]
fn every_table_has_the_columns_of_its_sample() {
    let topology = Arc::new(scene::expecting());
    let source = Source::of(Journal::new(&topology), topology);
    let moment = source.journal.now();
    let none = Scenarios {
        current: Current {
            name: String::from("split-dns"),
            file: None,
            embedded: true,
        },
        scenarios: Vec::new(),
        runs: Vec::new(),
    };
    let tables = TABLES.iter().chain(LISTS).map(|name| {
        let table = Table::new(name, &moment, &source);
        let table = table.or_else(|| Table::of_scenarios(name, &none)).unwrap();
        let csv = table.csv();
        let head: Vec<Value> = csv
            .lines()
            .next()
            .unwrap()
            .split(',')
            .map(Value::from)
            .collect();
        (*name, head)
    });
    check("tables", &tables.collect::<BTreeMap<_, _>>());
    assert!(Table::of_scenarios("nothing", &none).is_none());
}
