//! Steps about one proxy that stops and comes back: who notices, who is cut, how long the gap is.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::bench::{Lab, eventually};
use super::{CHECKS, Outcome, Story, failures, list, named, number, of_users, passed, text};

/// How long agents may take to come back: their waits have grown to eight seconds, and one attempt
/// in three meets the proxy that they miss.
const BACK: Duration = Duration::from_secs(240);

pub(super) fn stopped(story: &mut Story) -> Outcome {
    let lab = &story.lab;
    let (from, door) = (lab.external(99), lab.external(2));
    let (head, body) = (lab.path("head"), lab.path("body"));
    let mut slow = Command::new("curl");
    slow.args(lab.curl_args(from, door, "orders", "/bytes/1000000000"));
    slow.args(["--limit-rate", "1M", "-D"])
        .arg(&head)
        .arg("-o")
        .arg(&body);
    let mut slow = slow
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let number_of = eventually("the slow download has begun", CHECKS, || {
        let head = fs::read_to_string(&head).unwrap_or_default();
        let proxy = head
            .lines()
            .find_map(|line| line.strip_prefix("x-twodoors-proxy: "));
        let begun = fs::metadata(&body).is_ok_and(|body| body.len() > 0);
        proxy
            .filter(|_| begun)
            .and_then(|proxy| proxy.trim().parse().ok())
            .ok_or(head)
    });
    story.stopped = number_of;
    let (lab, name) = (&story.lab, number_of.to_string());
    lab.twodoors(&["ctl", "stop", &format!("proxy/{name}")])
        .ended(0);

    // Requests that come before any check has failed are tried again elsewhere.
    for _ in 0..4 {
        for (from, door) in [(from, door), (lab.internal(99), lab.internal(2))] {
            let served = lab
                .curl(from, door, "orders", "/", &["-w", "%{http_code}"])
                .ended(0);
            assert!(served.text().ends_with("200"), "{}", served.text());
        }
    }
    let code = slow.wait().unwrap().code();
    assert!(
        matches!(code, Some(18 | 56)),
        "the download was cut: {code:?}"
    );
    let state = lab.snapshot();
    let cut = number(&named(&state["proxies"], &name)["cut"]);
    assert!(cut >= 1, "{:#}", state["proxies"]);
    let tunnels = list(&state["agents"]).flat_map(|agent| list(&agent["tunnels"]));
    assert_eq!(
        tunnels
            .filter(|t| t["proxy"] == *name && t["up"] == true)
            .count(),
        0
    );

    // A visit may have been open when the proxy stopped; none fails after that.
    let (failed, answered) = (
        failures(&state),
        of_users(&state, |user| number(&user["answered"])),
    );
    let causes = eventually("both doors find the proxy down", CHECKS, || {
        health(lab, &name, "down", "check")
    });
    let more = eventually("twelve more visits", CHECKS, || {
        let state = lab.snapshot();
        assert_eq!(failures(&state), failed, "{:#}", state["users"]);
        let more = of_users(&state, |user| number(&user["answered"])) - answered;
        if more >= 12 {
            Ok(more)
        } else {
            Err(more.to_string())
        }
    });
    passed(format!(
        "proxy {name}: {cut} cut, then 8 and {more} served; doors: {causes}"
    ))
}

pub(super) fn back(story: &mut Story) -> Outcome {
    let (lab, name) = (&story.lab, story.stopped.to_string());
    assert_ne!(story.stopped, 0, "no proxy was stopped");
    let counts = || {
        let state = lab.snapshot();
        let refused = number(&named(&state["proxies"], &name)["no_tunnel"]);
        let missed = of_users(&state, |user| {
            let of = list(&user["failures"]).filter(|failure| failure["reason"] == "no_tunnel");
            of.map(|failure| number(&failure["count"])).sum()
        });
        (refused, missed, number(&state["mesh"]["now"]))
    };
    let (refused_before, missed_before, _) = counts();
    lab.twodoors(&["ctl", "start", &format!("proxy/{name}")])
        .ended(0);
    let mut by_hand = 0;
    eventually("the full mesh again", BACK, || {
        for app in ["orders", "billing", "wiki", "kiosk"] {
            let ask = [
                "-o",
                "/dev/null",
                "-w",
                "%{http_code} %header{x-twodoors-refusal}",
            ];
            let said = lab
                .curl(lab.external(99), lab.external(2), app, "/", &ask)
                .ended(0)
                .text();
            match &*said {
                "200 " | "200" => {}
                said if said.ends_with(" no_tunnel") => by_hand += 1,
                said => panic!("{app}: {said}"),
            }
        }
        let now = counts().2;
        if now == 12 {
            Ok(())
        } else {
            Err(now.to_string())
        }
    });
    // A user hears of a refusal a moment after the proxy has counted it.
    let refused = eventually("as many refusals counted as were heard", CHECKS, || {
        let (refused, missed, _) = counts();
        let (refused, missed) = (refused - refused_before, missed - missed_before);
        let same = refused == missed + by_hand;
        if same {
            Ok(refused)
        } else {
            Err(format!("{refused}, heard {missed} and {by_hand}"))
        }
    });
    assert!(
        refused > 0,
        "agents reconnect later than the doors send users there"
    );
    let state = lab.snapshot();
    let gaps = list(&state["agents"]).map(|agent| {
        let tunnel = list(&agent["tunnels"])
            .find(|tunnel| tunnel["proxy"] == *name)
            .unwrap();
        let after = tunnel["after_rise_us"].as_u64();
        let after = after.unwrap_or_else(|| panic!("no after_rise_us: {tunnel:#}"));
        assert!(
            tunnel["gap_us"].as_u64().is_some_and(|gap| gap > after),
            "{tunnel:#}"
        );
        format!("{} {:.1}s", text(&agent["name"]), after as f64 / 1e6)
    });
    let gaps = gaps.collect::<Vec<_>>().join(", ");
    passed(format!(
        "after rise: {gaps}; {refused} no_tunnel, {by_hand} of them curl's"
    ))
}

/// Gives the doors' reasons once both hold this opinion of a proxy for this reason.
pub(super) fn health(lab: &Lab, proxy: &str, health: &str, cause: &str) -> Result<String, String> {
    let state = lab.snapshot();
    let opinions = || {
        let backends = list(&state["balancers"]).flat_map(|door| list(&door["backends"]));
        backends.filter(|backend| backend["proxy"] == *proxy)
    };
    let holds =
        |backend: &Value| backend["health"] == health && text(&backend["cause"]).contains(cause);
    if opinions().filter(|backend| holds(backend)).count() == 2 {
        Ok(text(&opinions().next().unwrap()["cause"]).to_owned())
    } else {
        Err(opinions().map(Value::to_string).collect())
    }
}
