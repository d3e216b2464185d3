//! Steps with faults by hand: what curl, ssh and dig see is what the word says.
//!
//! Each step sets a fault, looks from outside, lifts it, and looks again: the second look is the
//! twin that shows the first one was the fault's doing.

use std::fs;
use std::net::IpAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::bench::{Done, Lab, eventually, run};
use super::{CHECKS, Outcome, Story, passed};

/// The body of a download that a fault meets half way, and how fast it is read.
const BYTES: u64 = 8_000_000;
const RATE: &str = "2M";

/// A fault that is lifted when the step ends, however it ends.
struct Fault<'a> {
    lab: &'a Lab,
}

impl<'a> Fault<'a> {
    fn set(lab: &'a Lab, args: &[&str]) -> Self {
        let whole: Vec<&str> = ["fault", "set"].iter().chain(args).copied().collect();
        lab.twodoors(&whole).ended(0);
        Self { lab }
    }

    fn lift(self) {
        drop(self);
    }
}

impl Drop for Fault<'_> {
    fn drop(&mut self) {
        let done = self.lab.twodoors(&["fault", "clear", "--all"]);
        assert!(
            std::thread::panicking() || done.code == Some(0),
            "{}",
            done.all()
        );
    }
}

/// Visits the orders app through the external door, giving up after three seconds.
fn curl(lab: &Lab, from: IpAddr) -> Done {
    let more = [
        "-v",
        "--connect-timeout",
        "2",
        "--max-time",
        "3",
        "-w",
        "\n%{time_total}",
    ];
    lab.curl(from, lab.external(2), "orders", "/", &more)
}

fn from_outside(lab: &Lab) -> Done {
    curl(lab, lab.external(99))
}

/// Comes as far as a stranger's ssh comes, straight at a door or an instance; gives what it says.
fn ssh(lab: &Lab, to: IpAddr) -> String {
    let (from, whom) = (lab.external(99).to_string(), format!("nobody@{to}"));
    let mut args = vec!["-F", "none", "-p", "3080", "-b", &from];
    for option in [
        "BatchMode=yes",
        "ConnectTimeout=2",
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
    ] {
        args.extend(["-o", option]);
    }
    args.push(&whom);
    run("ssh", &args).ended(255).err
}

/// Fails unless the app answers, which it may do only after the doors have looked again.
#[track_caller]
fn well(lab: &Lab) {
    eventually("the app answers again", CHECKS, || {
        let done = from_outside(lab);
        if done.code == Some(0) {
            Ok(())
        } else {
            Err(done.all())
        }
    });
    // ssh speaks first, and no instance knows its words: the connection is made and closed.
    says(&ssh(lab, lab.external(2)), "kex_exchange_identification");
}

#[track_caller]
fn says(text: &str, part: &str) {
    assert!(text.contains(part), "{part:?} in:\n{text}");
}

/// A download through the external door that takes its time.
struct Download<'a> {
    lab: &'a Lab,
    child: Child,
}

impl<'a> Download<'a> {
    /// Begins it, and waits until bytes have come.
    fn begin(lab: &'a Lab) -> Self {
        let path = format!("/bytes/{BYTES}");
        let mut command = Command::new("curl");
        command.args(lab.curl_args(lab.external(99), lab.external(2), "orders", &path));
        command.args(["--limit-rate", RATE, "--max-time", "30", "-v", "-o"]);
        command.arg(lab.path("download"));
        let errors = fs::File::create(lab.path("download.err")).unwrap();
        let _ = fs::remove_file(lab.path("download"));
        command.stdin(Stdio::null()).stderr(errors);
        let download = Self {
            lab,
            child: command.spawn().unwrap(),
        };
        eventually("the download has begun", CHECKS, || {
            let length = download.length();
            if length > 0 {
                Ok(())
            } else {
                Err(length.to_string())
            }
        });
        download
    }

    fn length(&self) -> u64 {
        let meta = fs::metadata(self.lab.path("download"));
        meta.map_or(0, |meta| meta.len())
    }

    /// Waits for its end: the exit code and what curl said.
    fn end(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        let said = fs::read_to_string(self.lab.path("download.err")).unwrap();
        (code, said)
    }

    /// Waits for its end and fails unless every byte came, in its place.
    #[track_caller]
    fn whole(self) {
        let lab = self.lab;
        let (code, said) = self.end();
        assert_eq!(code, Some(0), "{said}");
        let bytes = fs::read(lab.path("download")).unwrap();
        let right = (0_u32..)
            .zip(&bytes)
            .all(|(at, byte)| at % 251 == u32::from(*byte));
        assert!(
            right && bytes.len() as u64 == BYTES,
            "{} bytes",
            bytes.len()
        );
    }
}

/// What a visit took that went well.
#[track_caller]
fn took(done: Done) -> f64 {
    let text = done.ended(0).text();
    let seconds = text.lines().last().unwrap_or_default().parse::<f64>();
    seconds.unwrap_or_else(|error| panic!("{error}: {text}"))
}

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
    says(&ssh(lab, lab.external(2)), "Connection timed out");
    // What was under way may still have come; now it stands.
    let stood = eventually("the download stands", CHECKS, || {
        let before = download.length();
        std::thread::sleep(Duration::from_secs(1));
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
    says(&ssh(lab, lab.external(2)).to_lowercase(), "reset by peer");
    fault.lift();
    well(lab);
    passed("curl, new and half way through, and ssh: connection reset by peer")
}

pub(super) fn pause(story: &mut Story) -> Outcome {
    let lab = &story.lab;
    // It ends by itself.
    let _fault = Fault::set(lab, &["pause", "balancer/external", "--for", "10s"]);
    let silent = from_outside(lab).ended(28);
    says(&silent.err, "Connected to");
    says(&ssh(lab, lab.external(2)), "during banner exchange");
    eventually("the fault has ended", CHECKS, || {
        let shown = lab.twodoors(&["fault", "show", "--json"]).ended(0).text();
        if shown.contains("pause") {
            Err(shown)
        } else {
            Ok(())
        }
    });
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
    let mut faults = vec![Fault::set(lab, &["latency", link, "--by", "100ms"])];
    let once = took(from_outside(lab));
    faults.push(Fault::set(lab, &["latency", link, "--by", "100ms"]));
    let twice = took(from_outside(lab));
    // TLS and the request are two round trips, each with the delay both ways.
    assert!(once > before + 0.39, "{before}, then {once}");
    assert!(twice > once + 0.35, "{once}, then {twice}");
    faults.pop();
    drop(faults);
    let after = took(from_outside(lab));
    assert!(after < once, "{once}, then {after}");
    passed(format!(
        "{before:.3}s, {once:.3}s, with a second one {twice:.3}s, then {after:.3}s"
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
    let (stopped, said) = ended("stop");
    assert!(matches!(stopped, Some(18 | 56)), "{stopped:?}: {said}");
    assert!(!said.to_lowercase().contains("reset by peer"), "{said}");
    let (killed, said) = ended("kill");
    assert_eq!(killed, Some(56), "{said}");
    says(&said.to_lowercase(), "reset by peer");
    passed("a stop ends a download without, a kill with a reset; then refused until the start")
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
    fault.lift();

    says(&ask(&["+short"]), &outside);

    let fault = Fault::set(lab, &["view_flip", "view/public", "--to", "private"]);
    says(&ask(&["+short"]), &lab.internal(2).to_string());
    fault.lift();

    says(&ask(&["+short"]), &outside);

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
    passed("SERVFAIL, the other view, silence on UDP and TCP, the old answer after a reload")
}
