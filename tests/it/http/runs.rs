//! Scenarios and runs over the wire, from a lab that is there.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use serde_json::{Value, json};
use twodoors::http::api::preview::Preview;
use twodoors::http::guard::Token;
use twodoors::http::source::Source;
use twodoors::http::{self, Control, ControlError, FaultAsked, FaultSet, Reloaded, Server};
use twodoors::lab::conduct::Conductor;
use twodoors::lab::load::load;
use twodoors::lab::stage::{RUNS_MAX, Stage};
use twodoors::lab::trial::{self, Given};
use twodoors::model::draw::Seed;
use twodoors::model::fact::{Act, Kind};
use twodoors::model::id::{FaultId, Node, Seq};
use twodoors::model::time::Span;
use twodoors::model::timeline::{Begin, Step, What};
use twodoors::scenario::embedded;
use twodoors::scenario::files::Disk;

use super::{Answer, Running, serve_on};
use crate::lab::Whole;
use crate::support::eventually;

mod flight;

/// Plays, and does nothing else.
struct Player(Arc<Stage>);

#[async_trait]
impl Control for Player {
    async fn reload(&self) -> Result<Reloaded, Vec<String>> {
        Err(Vec::new())
    }

    async fn operate(&self, _: &Node, _: Act) -> Result<(), ControlError> {
        Err(ControlError::Unknown)
    }

    async fn set_fault(&self, _: FaultAsked) -> Result<FaultSet, String> {
        Err(String::new())
    }

    async fn lift_fault(&self, _: FaultId) -> bool {
        false
    }

    async fn clear_faults(&self) -> usize {
        0
    }

    fn stage(&self) -> Option<Arc<Stage>> {
        Some(Arc::clone(&self.0))
    }
}

async fn serve(whole: &Whole) -> Running {
    let lab = &whole.lab;
    let stage = Stage::new(Arc::clone(lab), Conductor::start(lab), false);
    let token = Token::random();
    let server = Server {
        source: Source::live(lab),
        control: Arc::new(Player(Arc::new(stage))),
        token: token.clone(),
        allow_hosts: Vec::new(),
        web_dir: None,
    };
    serve_on("127.0.0.1:0", server, lab.journal().clone(), token).await
}

/// The example, played for two seconds.
fn short() -> String {
    let all = embedded::ALL.iter();
    let mut own = all.filter(|(path, _)| *path == embedded::SCENARIO);
    let (_, text) = own.next().unwrap();
    let short = text.replace("\nduration: 60s", "\nduration: 2s");
    assert_ne!(&short, text);
    short
}

fn body(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_str(&answer.body).unwrap()
}

fn begin(scenario: &str, mode: &str, seed: Option<u64>) -> String {
    json!({"scenario": scenario, "mode": mode, "seed": seed}).to_string()
}

/// Waits until a run is over.
async fn ended(page: &Running, id: &str) -> Value {
    for _ in 0..4_000 {
        let run = body(&page.ask(&format!("GET /api/runs/{id}"), &[], "").await);
        if run["state"] != "running" {
            return run;
        }
        assert!(run["outcome"].is_null(), "{run}");
    }
    panic!("run {id} does not end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scenarios_are_listed_and_played_in_virtual_time() {
    let whole = Whole::told(Some(&short()), |_| {}).await;
    let page = serve(&whole).await;
    let known = body(&page.ask("GET /api/scenarios", &[], "").await);
    let path = whole.scenario.display().to_string();
    assert_eq!(
        known["current"],
        json!({"name": "split-dns", "file": path, "embedded": false})
    );
    let scenarios = known["scenarios"].as_array().unwrap();
    let ids: Vec<_> = scenarios
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect();
    assert_eq!(
        ids,
        [
            "split-dns",
            "multiple-public-addresses",
            "tunnel-public-address"
        ]
    );
    assert_eq!(scenarios[0]["duration_us"], 2_000_000);
    assert_eq!(scenarios[0]["file"], path.as_str());
    for one in scenarios {
        assert!(one["question"].as_str().unwrap().ends_with('?'), "{one}");
    }
    let found = scenarios
        .iter()
        .flat_map(|one| one["findings"].as_array().unwrap());
    let found: Vec<_> = found.collect();
    assert!(!found.is_empty());
    assert!(
        found
            .iter()
            .all(|one| one["cure"] != "" && one["text"] != ""),
        "{found:?}"
    );
    assert_eq!(known["runs"], json!([]));
    for (name, rows) in [("scenarios", 3), ("advice", found.len()), ("runs", 0)] {
        let path = format!("GET /api/tables/{name}");
        let json = body(&page.ask(&format!("{path}.json"), &[], "").await);
        assert_eq!(json.as_array().unwrap().len(), rows, "{name}: {json}");
        let csv = page.ask(&format!("{path}.csv"), &[], "").await;
        assert!(csv.has("content-type: text/csv"), "{name}: {csv:?}");
        let past = page.ask(&format!("{path}.csv?at_us=1"), &[], "").await;
        assert_eq!(past.status, 400, "{name}: {past:?}");
    }
    // A scenario is one of the list: what it is called is no path.
    for id in [
        "../split-dns",
        "/etc/passwd",
        "split-dns.yaml",
        "embedded/../x",
        "",
    ] {
        let text = begin(id, "virtual", None);
        let none = page.change_by("POST /api/runs", &text).await;
        assert_eq!(none.status, 404, "{id}: {none:?}");
    }

    let plain = ["Content-Type: application/json"];
    let text = begin("split-dns", "virtual", Some(7));
    let refused = page.ask("POST /api/runs", &plain, &text).await;
    assert_eq!(refused.status, 401, "{refused:?}");
    let mut digests = Vec::new();
    for id in ["1", "2"] {
        let run = body(&page.change_by("POST /api/runs", &text).await);
        assert_eq!(
            (&run["id"], &run["mode"], &run["seed"]),
            (&json!(id), &json!("virtual"), &json!(7))
        );
        let run = ended(&page, id).await;
        assert_eq!(
            (&run["state"], &run["progress"]),
            (&json!("ended"), &json!(1.0))
        );
        let bundle = body(
            &page
                .ask(&format!("GET /api/runs/{id}/bundle"), &[], "")
                .await,
        );
        assert_eq!(bundle["schema"], "twodoors.bundle/1");
        assert_eq!(bundle["run"]["mode"], "virtual");
        assert_eq!(bundle["about"]["id"], run["scenario"]);
        assert!(bundle["snapshots"].as_array().unwrap().len() > 1);
        digests.push(bundle["report"]["digest"].clone());
        // What the terminal would say of the same run.
        let loaded = load(&whole.scenario, &Disk).unwrap();
        let given = Given {
            seed: Some(Seed(7)),
            follow: None,
        };
        let source = (
            &*whole.scenario,
            &Disk as &(dyn twodoors::model::mistake::Files + Send + Sync),
        );
        let report = trial::simulate(&loaded, source, given, &AtomicBool::new(false));
        assert_eq!(run["outcome"], report.outcome().word());
        assert_eq!(
            run["verdicts"].as_array().unwrap().len(),
            loaded.topology.expect.len()
        );
    }
    assert!(digests[0].is_string(), "{digests:?}");
    assert_eq!(digests[0], digests[1], "one seed, one run");
    let stepped = page.change("/api/runs/1/step").await;
    assert_eq!(stepped.status, 409, "{stepped:?}");
    page.stop().await;
    whole.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_runs_are_held_than_may_be_and_each_refusal_has_its_words() {
    let whole = Whole::told(Some(&short()), |_| {}).await;
    let page = serve(&whole).await;
    for number in 1..=RUNS_MAX + 1 {
        body(
            &page
                .change_by("POST /api/runs", &begin("split-dns", "virtual", None))
                .await,
        );
        ended(&page, &number.to_string()).await;
    }
    let known = body(&page.ask("GET /api/scenarios", &[], "").await);
    let runs = known["runs"].as_array().unwrap();
    let ids: Vec<_> = runs.iter().map(|run| run["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["9", "8", "7", "6", "5", "4", "3", "2"]);
    let broken = whole.scenario.with_file_name("broken.yaml");
    fs::write(&broken, "name: broken\ndns: {views: 7}\n").unwrap();
    for (line, text, status, words) in [
        ("GET /api/runs/1", String::new(), 404, "the last 8 are held"),
        (
            "GET /api/runs/1/bundle",
            String::new(),
            404,
            "the last 8 are held",
        ),
        ("GET /api/runs/x", String::new(), 404, "there is no run"),
        (
            "GET /api/runs/live",
            String::new(),
            404,
            "no live run has begun",
        ),
        (
            "GET /api/runs/live/bundle",
            String::new(),
            409,
            "/api/export",
        ),
        (
            "POST /api/runs",
            begin("nothing", "virtual", None),
            404,
            "there is no scenario",
        ),
        (
            "POST /api/runs",
            begin("../x", "virtual", None),
            404,
            "there is no scenario",
        ),
        (
            "POST /api/runs",
            begin("broken", "virtual", None),
            422,
            "broken.yaml:2:",
        ),
        (
            "POST /api/runs",
            begin("split-dns", "later", None),
            422,
            "virtual or live",
        ),
        (
            "POST /api/runs",
            begin("split-dns", "live", Some(1)),
            422,
            "the seed",
        ),
        (
            "POST /api/runs",
            begin("tunnel-public-address", "live", None),
            409,
            "twodoors run ",
        ),
        ("POST /api/runs", String::from("{}"), 400, "missing field"),
        (
            "POST /api/runs/live/step",
            String::from("{}"),
            409,
            "no live run has begun",
        ),
    ] {
        let answer = page.change_by(line, &text).await;
        assert_eq!(answer.status, status, "{line} {text}: {answer:?}");
        assert!(answer.body.contains(words), "{words}: {answer:?}");
    }
    page.stop().await;
    whole.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_timeline_of_the_lab_is_stepped_and_stopped_by_hand() {
    let whole = Whole::prepared(|options| {
        let topology = &mut options.loaded.topology;
        topology.duration = Span::from_secs(7_200);
        topology.timeline = [3_600, 7_000]
            .map(|second| Step {
                begin: Begin::At(Span::from_secs(second)),
                repeat: None,
                what: What::Wait,
                lasts: None,
                text: "nothing".into(),
            })
            .to_vec();
    })
    .await;
    let page = serve(&whole).await;
    let run = body(
        &page
            .change_by("POST /api/runs", &begin("split-dns", "live", None))
            .await,
    );
    assert_eq!(
        (&run["id"], &run["state"]),
        (&json!("live"), &json!("running"))
    );
    let again = page
        .change_by("POST /api/runs", &begin("split-dns", "live", None))
        .await;
    assert_eq!(again.status, 409, "{again:?}");
    let begun = || {
        let facts = whole.lab.journal().after(Seq(0), usize::MAX).facts;
        let begun = facts.iter().filter_map(|fact| {
            let Kind::StepBegan { step } = fact.kind else {
                return None;
            };
            Some(step)
        });
        begun.collect::<Vec<_>>()
    };
    assert_eq!(begun(), [] as [u32; 0]);
    for expected in [vec![0], vec![0, 1]] {
        // The step and its end are two things that the timeline has next.
        eventually("the step", || {
            let stepped = tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(page.change("/api/runs/live/step"))
            });
            assert_eq!(stepped.status, 200, "{stepped:?}");
            (begun() == expected).then_some(())
        })
        .await;
    }
    let none = page.change("/api/runs/live/step").await;
    assert_eq!(none.status, 409, "{none:?}");
    let run = body(&page.change("/api/runs/live/stop").await);
    assert_eq!(
        (&run["state"], &run["outcome"]),
        (&json!("stopped"), &Value::Null)
    );
    let again = page.change("/api/runs/live/stop").await;
    assert_eq!(again.status, 409, "{again:?}");
    page.stop().await;
    whole.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_is_told_before_it_happens_and_nothing_is_put_in_force() {
    let whole = Whole::prepared(|_| {}).await;
    let before = whole.lab.rules().generation;
    let preview = || {
        let preview = whole.lab.preview();
        let texts = |list: Vec<_>| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        let preview = preview.map(|preview| http::Preview {
            difference: preview.difference,
            warnings: texts(preview.warnings),
            refused: preview.refused,
        });
        serde_json::to_value(Preview::new(preview.map_err(texts))).unwrap()
    };
    let same = preview();
    assert_eq!(
        (&same["groups"], &same["changed"]),
        (&json!([]), &json!([]))
    );
    assert_eq!(same["share"], json!({"ipv4": "0%", "ipv6": "0%"}));

    let root = whole.scenario.parent().and_then(Path::parent).unwrap();
    let zone = root.join("zones/private/example.com.zone");
    let text = fs::read_to_string(&zone).unwrap();
    fs::write(
        &zone,
        format!("{text}\nfresh.example.com. 60 IN A 192.0.2.7\n"),
    )
    .unwrap();
    let more = preview();
    assert_eq!(more["groups"].as_array().unwrap().len(), 1, "{more}");
    let group = &more["groups"][0];
    // Those of the internal network, and nobody else.
    let prefixes = group["prefixes"].as_array().unwrap();
    assert_eq!(prefixes.len(), 1, "{more}");
    assert!(prefixes[0].as_str().unwrap().ends_with("/16"), "{more}");
    let change = json!({
        "view": "private", "name": "fresh.example.com.", "rtype": "A",
        "before": [], "after": ["60 192.0.2.7"],
    });
    assert!(
        group["changes"].as_array().unwrap().contains(&change),
        "{more}"
    );
    assert_ne!(more["share"]["ipv4"], "0%");

    fs::write(
        &zone,
        format!("{text}\nfresh.example.com. 60 IN A nowhere\n"),
    )
    .unwrap();
    let wrong = preview();
    assert!(
        wrong["mistakes"][0]
            .as_str()
            .unwrap()
            .contains("example.com.zone:"),
        "{wrong}"
    );
    assert_eq!(whole.lab.rules().generation, before);
    let facts = whole.lab.journal().after(Seq(0), usize::MAX).facts;
    let told = facts.iter().any(|fact| {
        matches!(
            fact.kind,
            Kind::ReloadRefused { .. } | Kind::Reloaded { .. }
        )
    });
    assert!(!told, "a look is no reload");
    whole.lab.stop().await;
}
