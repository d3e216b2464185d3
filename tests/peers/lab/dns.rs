//! Steps with dig: views by source address and client subnet, and a zone that is edited.

use std::net::IpAddr;

use super::{Outcome, Story, passed};

pub(super) fn views(story: &mut Story) -> Outcome {
    let lab = &story.lab;
    let (inside, outside) = (lab.internal(9), lab.external(9));
    for (from, door) in [(inside, lab.internal(2)), (outside, lab.external(2))] {
        for transport in ["+notcp", "+tcp"] {
            let answer = lab.dig(from, &[transport, "+short", "proxy.example.com"]);
            assert_eq!(answer.text(), door.to_string(), "{from} {transport}");
        }
        let nodata = lab.dig(from, &["proxy.example.com", "AAAA"]).text();
        assert!(
            nodata.contains("status: NOERROR") && nodata.contains("ANSWER: 0, AUTHORITY: 1"),
            "{nodata}"
        );
        assert!(nodata.contains("\tSOA\tns1.example.com."), "{nodata}");
    }
    let status = |from, name| {
        let answer = lab.dig(from, &[name]).text();
        let at = answer.find("status: ").unwrap() + 8;
        answer[at..].split(',').next().unwrap().to_owned()
    };
    let one_view = ["git.example.com", "www.example.com"];
    assert_eq!(
        one_view.map(|name| status(inside, name)),
        ["NOERROR", "NXDOMAIN"]
    );
    assert_eq!(
        one_view.map(|name| status(outside, name)),
        ["NXDOMAIN", "NOERROR"]
    );
    passed("UDP and TCP, NODATA with SOA, names of one view only")
}

pub(super) fn subnets(story: &mut Story) -> Outcome {
    let lab = &story.lab;
    let subnet = |address: IpAddr| format!("+subnet={address}/24");
    let listed = [127, 0, 0, 1].into();
    for (network, door) in [
        (lab.internal(0), lab.internal(2)),
        (lab.external(0), lab.external(2)),
    ] {
        let answer = lab
            .dig(listed, &[&subnet(network), "proxy.example.com"])
            .text();
        assert!(answer.contains(&format!("\tA\t{door}")), "{answer}");
        // The scope is exact: no longer than asked, and not for everybody.
        let (_, echoed) = answer
            .split_once(&format!("CLIENT-SUBNET: {network}/24/"))
            .unwrap_or_else(|| panic!("{answer}"));
        let scope = echoed.split_whitespace().next().map(str::parse::<u8>);
        assert!(matches!(scope, Some(Ok(1..=24))), "{answer}");
    }
    let unlisted = lab
        .dig(
            lab.external(9),
            &[&subnet(lab.internal(0)), "proxy.example.com"],
        )
        .text();
    assert!(
        unlisted.contains(&format!("\tA\t{}", lab.external(2))),
        "{unlisted}"
    );
    assert!(!unlisted.contains("CLIENT-SUBNET"), "{unlisted}");
    passed("honoured and echoed for 127.0.0.1 alone")
}

pub(super) fn reload(story: &mut Story) -> Outcome {
    const PRIVATE: &str = "zones/private/example.com.zone";
    const PUBLIC: &str = "zones/public/example.com.zone";
    const SCENARIO: &str = "scenarios/split-dns.yaml";
    let lab = &story.lab;
    let git = || {
        lab.dig(lab.internal(9), &["+short", "git.example.com"])
            .text()
    };
    let address = |last| lab.internal(last).to_string();
    assert_eq!(git(), address(10));

    // The very next question after the line sees the new zone.
    lab.edit(PRIVATE, &address(10), &address(77));
    let seen = lab.out.count();
    lab.signal("HUP");
    let line = lab.out.wait_for(seen, "reloaded generation=2");
    assert!(line.contains("private/git.example.com."), "{line}");
    assert_eq!(git(), address(77));

    // One broken zone keeps the other view as it is too, and says where.
    lab.edit(PRIVATE, &address(77), &address(78));
    let whole = lab.edit(PUBLIC, &lab.external(10).to_string(), "127.20.0.300");
    let seen = lab.err.count();
    lab.signal("HUP");
    let line = lab.err.wait_for(seen, "zones/public/example.com.zone:");
    let place = line.split("example.com.zone:").nth(1).unwrap();
    let numbers = place.split(':').take(2).map(str::parse::<u32>);
    assert_eq!(numbers.flatten().count(), 2, "line and column in {line}");
    lab.err.wait_for(seen, "generation 2 stays in force");
    assert_eq!(git(), address(77));
    let refused = lab.twodoors(&["ctl", "reload"]).ended(2);
    assert!(
        refused.err.contains("public/example.com.zone:29:"),
        "{}",
        refused.err
    );
    assert_eq!(git(), address(77));

    lab.restore(PUBLIC, &whole);
    let done = lab.twodoors(&["ctl", "reload"]).ended(0);
    assert_eq!(done.text(), "reloaded, changed: private/git.example.com.");
    assert_eq!(git(), address(78));

    // Whole networks that move are named, and what is odd in a zone is told.
    let scenario = lab.edit(SCENARIO, "match: [internal]", "match: [none]");
    let with_odd = "odd 1 A 127.0.0.1\nodd 2 A 127.0.0.2\n; Only private";
    let odd = lab.edit(PRIVATE, "; Only private", with_odd);
    let done = lab.twodoors(&["ctl", "reload"]).ended(0);
    assert_eq!(
        done.text(),
        "reloaded, changed: view/private: match [internal] became [none], \
         private/odd.example.com."
    );
    assert!(done.err.contains("warning: "), "{}", done.err);
    lab.restore(SCENARIO, &scenario);
    lab.restore(PRIVATE, &odd);
    lab.twodoors(&["ctl", "reload"]).ended(0);
    assert_eq!(git(), address(78));
    passed("by SIGHUP and ctl; a broken zone changed nothing; a moved network is named")
}
