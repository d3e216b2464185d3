//! Records changed while running: by the checks of a zone file, in the views that are meant.

use super::*;
use crate::model::fault::{Effect, Fault, Target};
use crate::model::id::FaultId;
use crate::model::timeline::RecordChange;
use crate::policy::faults::Faults;

fn change(view: Option<&str>, name: &str, rtype: &str, data: &[&str]) -> RecordChange {
    RecordChange {
        view: view.map(Into::into),
        name: name.into(),
        rtype: rtype.into(),
        ttl: 17,
        data: data.iter().map(|text| (*text).into()).collect(),
    }
}

fn base() -> Rules {
    load("www A 192.0.2.2\n", "www A 192.0.2.8\nonly A 192.0.2.9\n")
        .unwrap()
        .0
}

/// Gives the records of a name as a client from there gets them.
fn records(rules: &Rules, from: &str, name: &str, kind: RecordType) -> Vec<String> {
    let answer = decide(rules, &question(from, name, kind));
    let records = answer.records();
    records
        .map(|shown| format!("{} {}", shown.ttl, shown.data_words()))
        .collect()
}

fn www(rules: &Rules, from: &str) -> Vec<String> {
    records(rules, from, "www.example.test", RecordType::A)
}

const IN: &str = "10.0.0.1";
const OUT: &str = "192.0.2.99";

#[test]
fn a_change_is_the_next_generation_of_the_views_that_are_meant() {
    let old = base();
    let data = ["192.0.2.5", "192.0.2.6"];
    let one = change(Some("in"), "WWW.example.test.", "A", &data);
    let (new, changed) = old.with_record(&one).unwrap();
    assert_eq!(new.generation, Generation(2));
    assert_eq!(www(&new, IN), ["17 192.0.2.5", "17 192.0.2.6"]);
    assert_eq!(www(&new, OUT), www(&old, OUT));
    assert_eq!(
        www(&old, IN),
        ["60 192.0.2.2"],
        "the old rules stay as they were"
    );
    assert_eq!(changed, ["in/example.test.", "in/www.example.test."]);
    let soa = |rules, from| records(rules, from, "example.test", RecordType::SOA)[0].clone();
    assert!(soa(&new, IN).contains(" 2 "), "{}", soa(&new, IN));
    assert_eq!(soa(&new, OUT), soa(&old, OUT));
    let all = change(None, "www.example.test.", "A", &["192.0.2.5"]);
    let (new, _) = old.with_record(&all).unwrap();
    assert_eq!(
        (www(&new, IN), www(&new, OUT)),
        (vec!["17 192.0.2.5".into()], vec!["17 192.0.2.5".into()])
    );
}

#[test]
fn a_zone_that_two_views_share_is_changed_for_the_one_that_is_meant() {
    let old = base();
    let one = change(Some("in"), "www.child.example.test.", "A", &["192.0.2.5"]);
    let (new, changed) = old.with_record(&one).unwrap();
    let child = |from| records(&new, from, "www.child.example.test", RecordType::A);
    assert_eq!(child(IN), ["17 192.0.2.5"]);
    assert_eq!(child(OUT), ["60 192.0.2.9"]);
    assert_eq!(changed.len(), 2, "{changed:?}");
}

#[test]
fn a_name_comes_and_goes_and_its_names_are_completed_with_the_origin() {
    let new = change(None, "a.b.example.test.", "CNAME", &["www"]);
    let (rules, _) = base().with_record(&new).unwrap();
    let alias = records(&rules, IN, "a.b.example.test", RecordType::A);
    assert_eq!(alias, ["17 www.example.test.", "60 192.0.2.2"]);
    let gone = change(None, "a.b.example.test.", "CNAME", &[]);
    let (rules, _) = rules.with_record(&gone).unwrap();
    check(
        &rules,
        "b.example.test",
        RecordType::A,
        &format!("NXDOMAIN aa (no such name) [] {SOA} []"),
    );
    assert!(
        rules.with_record(&gone).is_ok(),
        "removing nothing is no mistake"
    );
}

#[test]
fn what_a_zone_file_could_not_hold_is_refused() {
    let refused = |change: RecordChange, expected: &str| {
        let error = base().with_record(&change).unwrap_err().to_string();
        assert!(error.contains(expected), "{change:?}: {error}");
    };
    let www = "www.example.test.";
    refused(change(None, www, "CNAME", &["ns"]), "beside other data");
    refused(
        change(None, www, "A", &["nonsense"]),
        "is not an IPv4 address",
    );
    refused(change(None, www, "A", &[""]), "is missing");
    refused(
        change(None, www, "A", &["192.0.2.1\n192.0.2.2"]),
        "more than one line",
    );
    refused(change(None, www, "B", &["x"]), "`B` is not a type");
    refused(change(None, www, "AXFR", &["x"]), "exists in messages only");
    refused(
        change(None, "www.other.test.", "A", &["192.0.2.1"]),
        "no zone of any view",
    );
    refused(
        change(Some("none"), www, "A", &["192.0.2.1"]),
        "views are: in, out",
    );
    refused(change(None, "example.test.", "SOA", &[]), "has no SOA");
    refused(change(None, "x..test.", "A", &["192.0.2.1"]), "empty label");
    let mut long = change(None, www, "A", &["192.0.2.1"]);
    long.ttl = u32::MAX;
    refused(long, "is above");
}

#[test]
fn faults_stay_and_stale_is_what_was_before_the_change() {
    let stale = Faults::default().with(
        FaultId(1),
        Fault {
            target: Target::View("in".into()),
            effect: Effect::Stale,
        },
    );
    let one = change(None, "www.example.test.", "A", &["192.0.2.5"]);
    let (rules, _) = base().with_faults(stale).with_record(&one).unwrap();
    assert_eq!(www(&rules, IN), ["60 192.0.2.2"]);
    assert_eq!(www(&rules, OUT), ["17 192.0.2.5"]);
}
