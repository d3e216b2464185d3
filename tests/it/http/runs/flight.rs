//! A virtual run that is stopped on its way.

use super::*;

/// The example, played for so long that nobody waits for its end.
fn long() -> String {
    let long = short().replace("\nduration: 2s", "\nduration: 24h");
    assert!(long.contains("\nduration: 24h"));
    long
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_virtual_run_is_stopped_in_flight_and_what_was_played_can_be_opened() {
    let whole = Whole::told(Some(&long()), |_| {}).await;
    let page = serve(&whole).await;
    let begun = begin("split-dns", "virtual", Some(7));
    body(&page.change_by("POST /api/runs", &begun).await);
    // It is on its way: the first minute of a day is played.
    let mut run = Value::Null;
    while run["at_us"].as_u64() < Some(60_000_000) {
        run = body(&page.ask("GET /api/runs/1", &[], "").await);
        assert_eq!(run["state"], "running", "{run}");
        assert!(run["outcome"].is_null(), "{run}");
    }
    assert!(run["progress"].as_f64() > Some(0.0), "{run}");
    // While it is, there is no second one, no file of it, and no step to take.
    for (line, text, words) in [
        ("POST /api/runs", &*begun, "run 1 is being played"),
        ("POST /api/runs/1/step", "{}", "played at once"),
    ] {
        let refused = page.change_by(line, text).await;
        assert_eq!(refused.status, 409, "{line}: {refused:?}");
        assert!(refused.body.contains(words), "{refused:?}");
    }
    let early = page.ask("GET /api/runs/1/bundle", &[], "").await;
    assert_eq!(early.status, 409, "{early:?}");
    let plain = ["Content-Type: application/json"];
    let stranger = page.ask("POST /api/runs/1/stop", &plain, "{}").await;
    assert_eq!(stranger.status, 401, "{stranger:?}");

    body(&page.change("/api/runs/1/stop").await);
    let run = ended(&page, "1").await;
    assert_eq!(run["state"], "stopped", "{run}");
    assert_eq!(run["outcome"], Value::Null, "nobody judged it");
    assert!(run["progress"].as_f64() < Some(1.0), "{run}");
    let bundle = page.ask("GET /api/runs/1/bundle", &[], "").await;
    let bundle = body(&bundle);
    let states = bundle["snapshots"].as_array().unwrap();
    assert_eq!(states.last().unwrap()["at_us"], run["at_us"]);
    // Stopping again changes nothing, and the stage is free.
    let again = body(&page.change("/api/runs/1/stop").await);
    assert_eq!(again["state"], "stopped");
    let next = body(&page.change_by("POST /api/runs", &begun).await);
    assert_eq!(
        (&next["id"], &next["state"]),
        (&json!("2"), &json!("running"))
    );
    page.stop().await;
    whole.lab.stop().await;
}
