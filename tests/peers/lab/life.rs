//! Steps about the process: what it leaves in the state folder, how it refuses, how it ends.

use super::{Outcome, Story, passed};

pub(super) fn ready(story: &mut Story) -> Outcome {
    let lab = &story.lab;
    for file in ["ca.pem", "known_hosts", "token", "lab.json"] {
        assert!(lab.path("state").join(file).is_file(), "{file}");
    }
    passed(format!("after {:.0?}", lab.ready_after))
}

pub(super) fn second(story: &mut Story) -> Outcome {
    let lab = &story.lab;
    let taken = lab.second().ended(3);
    assert!(
        taken
            .err
            .contains(&format!("cannot listen on {}", lab.proxy(1))),
        "{}",
        taken.err
    );
    let scenario = "scenarios/split-dns.yaml";
    let whole = lab.edit(scenario, "network: external", "network: extrenal");
    let broken = lab.second().ended(2);
    assert!(
        broken.err.contains("split-dns.yaml:") && broken.err.contains("extrenal"),
        "{}",
        broken.err
    );
    lab.restore(scenario, &whole);
    let zone = "zones/public/example.com.zone";
    let whole = lab.edit(zone, "teleport    CNAME", "teleport    CNAEM");
    let broken = lab.second().ended(2);
    assert!(
        broken.err.contains("public/example.com.zone:22:13:"),
        "{}",
        broken.err
    );
    lab.restore(zone, &whole);
    passed("exit 3, 2 and 2, each with a sentence")
}

pub(super) fn interrupted(story: &mut Story) -> Outcome {
    let lab = &mut story.lab;
    let (code, took) = lab.interrupt();
    assert_eq!(code, Some(0));
    for gone in ["token", "lab.json"] {
        assert!(!lab.path("state").join(gone).exists(), "{gone} is left");
    }
    let errors = lab.err.with("ERROR");
    assert!(errors.is_empty(), "{}", errors.join("\n"));
    passed(format!("exit 0 after {took:.0?}, the token is gone"))
}
