//! `explain dns`: what a person and a script read.

use clap::Parser;
use twodoors::cli::explain::{DnsArgs, dns};
use twodoors::cli::{Exit, Io};
use twodoors::model::fault::{Effect, Fault, Target};
use twodoors::model::id::FaultId;
use twodoors::policy::faults::Faults;

use super::kit::{rules, shipped};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: DnsArgs,
}

/// Runs it and gives how it ended, and both outputs.
fn explain(words: &str) -> (Exit, String, String) {
    explain_under(words, Faults::default())
}

/// Runs it while these faults are in force.
fn explain_under(words: &str, faults: Faults) -> (Exit, String, String) {
    let topology = shipped();
    let (rules, _) = rules(&topology).unwrap();
    let rules = rules.with_faults(faults);
    let line = Line::try_parse_from(words.split(' ')).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut io = Io {
        out: &mut out,
        err: &mut err,
        color: false,
    };
    let exit = dns(&line.args, &topology, &rules, &mut io).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (exit, text(out), text(err))
}

/// Runs it and reads its JSON.
pub(crate) fn json(words: &str) -> serde_json::Value {
    serde_json::from_str(&explain(words).1).unwrap()
}

fn check(words: &str, expected: &str) {
    let (exit, out, err) = explain(words);
    assert_eq!((exit, err.as_str()), (Exit::Success, ""), "{words}");
    let lines: Vec<_> = out.lines().map(str::trim_end).collect();
    let expected: Vec<_> = expected.trim().lines().map(str::trim).collect();
    assert_eq!(lines, expected, "{words}:\n{out}");
}

#[test]
fn every_rule_that_was_tried_is_told_with_the_place_of_each_record() {
    check(
        "dns --from 127.42.0.9 teleport.example.com",
        "scenario  test
        question  teleport.example.com. A from 127.42.0.9 over udp
        source    127.42.0.9
        rule      private: !127.41.255.0/24 does not hold it
        rule      private: 127.41.0.0/16 does not hold it
        rule      private: 127.10.0.0/16 does not hold it
        rule      public: 127.42.0.0/16 holds it: this view answers
        view      public
        zone      example.com. (generation 1)
        step      CNAME 1, exact match (RFC 1034 section 4.3.2 step 3a)
        answer    NOERROR aa
        answer    teleport.example.com. 300 CNAME proxy.example.com.  zones/public/example.com.zone:22
        answer    proxy.example.com. 300 A 127.20.0.2                 zones/public/example.com.zone:18
        cache     keeps each set for its own TTL, and the whole 300 s: the least of them
        cache     may give it up to 3 days longer, 30 s at a time, while no server answers \
         (RFC 8767 section 5)",
    );
}

#[test]
fn a_negation_that_turns_away_is_told() {
    let (_, out, _) = explain("dns -b 127.41.255.9 proxy.example.com");
    assert!(out.contains("rule      private: !127.41.255.0/24 holds it: not this view\n"));
    assert!(out.contains("view      none\n"));
    assert!(out.contains("step      no view lets the source in"));
}

#[test]
fn a_referral_shows_its_cut_and_its_glue() {
    let (_, out, _) = explain("dns --from 127.41.0.9 deep.lab.example.com AAAA");
    assert!(
        out.contains("step      delegation at lab.example.com."),
        "{out}"
    );
    assert!(out.contains("answer    NOERROR\n"), "{out}");
    assert!(
        out.contains("glue      ns1.lab.example.com. 300 A 127.10.0.53"),
        "{out}"
    );
}

#[test]
fn dig_habits_are_understood() {
    let subnet = "dns -b 127.0.0.1 +subnet=127.41.0.0/24 +short proxy.example.com A";
    check(subnet, "127.10.0.2");
    check(
        "dns -b 127.42.0.1 +tcp +short proxy.example.com",
        "127.20.0.2",
    );
    let (_, out, _) = explain("dns -b 127.42.0.1 --subnet 127.41.0.0/24 proxy.example.com");
    assert!(out.contains("is ignored: not a listed sender"), "{out}");
}

#[test]
fn json_has_a_schema() {
    let value = json("dns --json --from 127.41.0.9 nosuch.example.com");
    assert_eq!(value["schema"], "twodoors.explain/1");
    assert_eq!(value["rcode"], "NXDOMAIN");
    assert_eq!(value["authority"][0]["ttl_seconds"], 60);
    assert_eq!(value["authority"][0]["line"], 7);
    assert_eq!(value["rule"], "127.41.0.0/16");
}

#[test]
fn wrong_words_are_wrong_usage() {
    for words in [
        "dns --from nobody proxy.example.com",
        "dns --from 127.41.0.9 proxy.example.com NOSUCHTYPE",
        "dns --from 127.41.0.9 proxy..example.com",
        "dns --from 127.41.0.9 proxy.example.com A B",
    ] {
        let (exit, out, err) = explain(words);
        assert_eq!((exit, out.as_str()), (Exit::Usage, ""), "{words}");
        assert!(err.starts_with("twodoors explain dns: "), "{words}: {err}");
    }
}

#[test]
fn faults_in_force_are_told() {
    let under = |effect| {
        let target = Target::View("private".into());
        let faults = Faults::default().with(FaultId(3), Fault { target, effect });
        explain_under("dns --from 127.41.0.9 proxy.example.com", faults).1
    };
    let dropped = under(Effect::Drop);
    assert!(
        dropped.contains("acting    fault 3: drop on view/private\n"),
        "{dropped}"
    );
    assert!(dropped.contains("answer    dropped\n"), "{dropped}");
    let flipped = under(Effect::ViewFlip {
        to: "public".into(),
    });
    assert!(flipped.contains("view_flip to public on view/private (public answers for private)"));
    assert!(
        flipped.contains("view      public\n")
            && flipped.contains("private: 127.41.0.0/16 holds it")
    );
    let none = under(Effect::Pause);
    assert!(!none.contains("fault"), "{none}");
}
