//! Steps with faults by hand: what curl, ssh and dig see is what the word says.
//!
//! Each step sets a fault, looks from outside, lifts it, and looks again: the second look is the
//! twin that shows the first one was the fault's doing.

use super::bench::{eventually, run};
use super::visits::{BYTES, Download, Fault, curl, from_outside, says, ssh, took, well};
use super::{CHECKS, Outcome, Story, passed};

pub(super) fn refuse(story: &mut Story) -> Outcome {
    let lab = &story.lab;
    let door = lab.external(2);
    well(lab);
    // What is open goes on.
    let download = Download::begin(lab);
    let fault = Fault::set(lab, &["refuse", "balancer/external"]);
    says(&from_outside(lab).ended(7).err, "Connection refused");
    says(&ssh(lab, door), "Connection refused");
    fault.lift();
    download.whole();
    well(lab);
    // Of an instance the door takes another.
    let instance = lab.proxy(1).ip();
    let fault = Fault::set(lab, &["refuse", "proxy/1"]);
    says(&ssh(lab, instance), "Connection refused");
    well(lab);
    fault.lift();
    let said = ssh(lab, instance);
    assert!(!said.contains("refused"), "{said}");
    passed(
        "door: curl 7 and ssh, connection refused, a download goes on; instance: served by others",
    )
}

pub(super) fn blackhole(story: &mut Story) -> Outcome {
    let lab = &story.lab;
    let download = Download::begin(lab);
    let fault = Fault::set(lab, &["blackhole", "balancer/external"]);
    let silent = from_outside(lab).ended(28);
    assert!(!silent.err.contains("Connected to"), "{}", silent.err);
    // What was under way may still have come; now it stands, for as long as ssh waits.
    let stood = eventually("the download stands", CHECKS, || {
        let before = download.length();
        says(&ssh(lab, lab.external(2)), "Connection timed out");
        let now = download.length();
        if before == now {
            Ok(now)
        } else {
            Err(format!("{before}, {now}"))
        }
    });
    assert!(stood < BYTES, "it was whole before");
    fault.lift();
    download.whole();
    well(lab);
    // A kernel cannot drop the SYNs of some: on a link the connection is made, and silent.
    let link = "network/external <-> balancer/external";
    let fault = Fault::set(lab, &["blackhole", link]);
    says(&from_outside(lab).ended(28).err, "Connected to");
    curl(lab, lab.internal(99)).ended(0);
    fault.lift();
    well(lab);
    passed(format!(
        "curl 28 without a connection, ssh: timed out; a download stood at {stood} and lost no byte"
    ))
}

pub(super) fn half_open(story: &mut Story) -> Outcome {
    let lab = &story.lab;
    for link in [
        "network/external -> balancer/external",
        "balancer/external -> network/external",
    ] {
        let fault = Fault::set(lab, &["half_open", link]);
        let silent = from_outside(lab).ended(28);
        says(&silent.err, "Connected to");
        says(&ssh(lab, lab.external(2)), "during banner exchange");
        // The twin: from elsewhere the door answers.
        curl(lab, lab.internal(99)).ended(0);
        fault.lift();
        well(lab);
    }
    passed("either way: curl 28 and ssh, connected, no answer")
}

/// Faults behind the door: on its way to one instance, and at an agent.
pub(super) fn behind(story: &mut Story) -> Outcome {
    let lab = &story.lab;
    let before = took(from_outside(lab));
    let faults = ["1", "2", "3"].map(|proxy| {
        let link = format!("balancer/external <-> proxy/{proxy}");
        Fault::set(lab, &["latency", &link, "--by", "100ms"])
    });
    let slow = took(from_outside(lab));
    // The door's own connect once, then two round trips: TLS and the request.
    assert!(slow > before + 0.49, "{before}, then {slow}");
    drop(faults);
    let after = took(from_outside(lab));
    assert!(after < slow, "{slow}, then {after}");

    let fault = Fault::set(lab, &["pause", "agent/orders"]);
    let silent = from_outside(lab).ended(28);
    says(&silent.err, "SSL connection using");
    // The twin: another agent's app answers.
    lab.curl(lab.external(99), lab.external(2), "kiosk", "/", &[])
        .ended(0);
    fault.lift();
    well(lab);
    passed(format!(
        "latency to all instances: {before:.3}s, {slow:.3}s, {after:.3}s; an agent paused: TLS, then \
         nothing"
    ))
}

pub(super) fn reset_peer(story: &mut Story) -> Outcome {
    let lab = &story.lab;
    let download = Download::begin(lab);
    let fault = Fault::set(lab, &["reset_peer", "balancer/external"]);
    let (code, said) = download.end();
    assert_eq!(code, Some(56), "{said}");
    says(&said.to_lowercase(), "reset by peer");
    let done = from_outside(lab);
    assert!(matches!(done.code, Some(7 | 35 | 56)), "{}", done.all());
    says(&done.err.to_lowercase(), "reset by peer");
    // Where the reset comes first, ssh names the door instead of the peer.
    says(&ssh(lab, lab.external(2)).to_lowercase(), "reset by ");
    fault.lift();
    well(lab);
    passed("curl, new and half way through, and ssh: connection reset by peer")
}

pub(super) fn pause(story: &mut Story) -> Outcome {
    let lab = &story.lab;
    // It ends by itself.
    let fault = Fault::set(lab, &["pause", "balancer/external", "--for", "10s"]);
    let silent = from_outside(lab).ended(28);
    says(&silent.err, "Connected to");
    says(&ssh(lab, lab.external(2)), "during banner exchange");
    fault.over();
    well(lab);
    passed("curl 28: the kernel accepts, nobody answers; over by itself")
}

pub(super) fn partition(story: &mut Story) -> Outcome {
    let lab = &story.lab;
    let inside = || curl(lab, lab.internal(99));
    inside().ended(0);
    let fault = Fault::set(lab, &["partition", "network/internal <-> network/external"]);
    inside().ended(28);
    // The twin: whoever needs not cross it.
    well(lab);
    fault.lift();
    eventually("the other side again", CHECKS, || {
        let done = inside();
        if done.code == Some(0) {
            Ok(())
        } else {
            Err(done.all())
        }
    });
    passed("from inside to the external door nothing, from outside all")
}

pub(super) fn latency(story: &mut Story) -> Outcome {
    let lab = &story.lab;
    let before = took(from_outside(lab));
    let link = "network/external <-> balancer/external";
    let one = Fault::set(lab, &["latency", link, "--by", "100ms"]);
    let once = took(from_outside(lab));
    let other = Fault::set(lab, &["latency", link, "--by", "100ms"]);
    let twice = took(from_outside(lab));
    // TLS and the request are two round trips, each with the delay both ways.
    assert!(once > before + 0.39, "{before}, then {once}");
    assert!(twice > before + 0.79, "{before}, then {twice}");
    one.lift();
    let left = took(from_outside(lab));
    assert!((0.39..twice).contains(&left), "{twice}, then {left}");
    other.lift();
    let after = took(from_outside(lab));
    assert!(after < 0.39, "{once}, then {after}");
    passed(format!(
        "{before:.3}s, {once:.3}s, with a second one {twice:.3}s; then {left:.3}s and {after:.3}s"
    ))
}

pub(super) fn jitter(story: &mut Story) -> Outcome {
    let lab = &story.lab;
    let link = "network/external <-> balancer/external";
    let fault = Fault::set(lab, &["jitter", link, "--by", "300ms"]);
    let mut visits: Vec<f64> = (0..6).map(|_| took(from_outside(lab))).collect();
    fault.lift();
    visits.sort_by(f64::total_cmp);
    let (least, most) = (visits[0], visits[5]);
    // Four draws from 0 to 300 ms a visit: their spread over six visits is hundreds of ms.
    assert!(most - least > 0.05, "{visits:?}");
    well(lab);
    passed(format!("six visits from {least:.3}s to {most:.3}s"))
}

pub(super) fn killed(story: &mut Story) -> Outcome {
    let lab = &story.lab;
    let ended = |act: &str| {
        let download = Download::begin(lab);
        lab.twodoors(&["ctl", act, "balancer/external"]).ended(0);
        let end = download.end();
        says(&from_outside(lab).ended(7).err, "Connection refused");
        lab.twodoors(&["ctl", "start", "balancer/external"])
            .ended(0);
        well(lab);
        end
    };
    // The operator's drain lets it finish.
    let download = Download::begin(lab);
    lab.twodoors(&["ctl", "drain", "balancer/external"])
        .ended(0);
    says(&from_outside(lab).ended(7).err, "Connection refused");
    download.whole();
    lab.twodoors(&["ctl", "start", "balancer/external"])
        .ended(0);
    well(lab);
    let (stopped, said) = ended("stop");
    assert!(matches!(stopped, Some(18 | 56)), "{stopped:?}: {said}");
    assert!(!said.to_lowercase().contains("reset by peer"), "{said}");
    let (killed, said) = ended("kill");
    assert_eq!(killed, Some(56), "{said}");
    says(&said.to_lowercase(), "reset by peer");
    passed(
        "a drain lets a download finish, a stop ends it without, a kill with a reset; then refused",
    )
}

pub(super) fn dns(story: &mut Story) -> Outcome {
    let lab = &story.lab;
    let from = lab.external(99);
    let ask = |more: &[&str]| {
        let question: Vec<&str> = ["proxy.example.com", "A"]
            .iter()
            .chain(more)
            .copied()
            .collect();
        lab.dig(from, &question).text()
    };
    let outside = lab.external(2).to_string();
    says(&ask(&["+short"]), &outside);

    let fault = Fault::set(lab, &["servfail", "view/public"]);
    says(&ask(&[]), "status: SERVFAIL");
    says(&ask(&["+tcp"]), "status: SERVFAIL");
    // The twin: the other view answers.
    let inside = lab.dig(lab.internal(99), &["proxy.example.com", "A", "+short"]);
    assert_eq!(inside.text(), lab.internal(2).to_string());
    fault.lift();

    says(&ask(&["+short"]), &outside);

    let fault = Fault::set(lab, &["view_flip", "view/public", "--to", "private"]);
    says(&ask(&["+short"]), &lab.internal(2).to_string());
    fault.lift();

    says(&ask(&["+short"]), &outside);

    let fault = Fault::set(lab, &["latency", "dns", "--by", "200ms"]);
    let slow = ask(&[]);
    fault.lift();
    let took = |text: &str| {
        let time = text
            .lines()
            .find_map(|line| line.strip_prefix(";; Query time: "));
        let time = time.and_then(|time| time.strip_suffix(" msec")?.parse::<u32>().ok());
        time.unwrap_or_else(|| panic!("no time in {text}"))
    };
    let (slow, quick) = (took(&slow), took(&ask(&[])));
    // dig reads a coarse clock.
    assert!(slow >= 190 && quick < 190, "{slow} and {quick} ms");

    let fault = Fault::set(lab, &["drop", "dns"]);
    let (server, port, from) = (
        format!("@{}", lab.dns.ip()),
        lab.dns.port().to_string(),
        from.to_string(),
    );
    for transport in ["+notcp", "+tcp"] {
        let args = [
            &server,
            "-p",
            &port,
            "-b",
            &from,
            "+time=1",
            "+tries=1",
            transport,
            "proxy.example.com",
        ];
        let none = run("dig", &args);
        assert_ne!(none.code, Some(0), "{}", none.all());
    }
    fault.lift();

    let zone = "zones/public/example.com.zone";
    let fault = Fault::set(lab, &["stale", "view/public"]);
    let before = lab.edit(zone, &outside, &lab.external(77).to_string());
    lab.twodoors(&["ctl", "reload"]).ended(0);
    says(&ask(&["+short"]), &outside);
    fault.lift();
    says(&ask(&["+short"]), &lab.external(77).to_string());
    lab.restore(zone, &before);
    lab.twodoors(&["ctl", "reload"]).ended(0);
    says(&ask(&["+short"]), &outside);
    passed(
        "SERVFAIL, the other view, 200 ms more, silence on UDP and TCP, the old answer after a reload",
    )
}
