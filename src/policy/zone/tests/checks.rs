//! What looks wrong with a whole zone, and what is.

use super::*;

#[track_caller]
fn check_warnings(text: &str, expected: &[&str]) {
    let loaded = load(text);
    assert_eq!(loaded.mistakes, [], "{text}");
    let found: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), expected.len(), "{text}: {found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found:?} is not {expected:?}");
    }
}

#[test]
fn a_target_that_is_an_alias_or_has_no_address_is_warned_of() {
    let alias = "b CNAME ns\n";
    check_warnings(
        &format!("{alias}@ MX 1 b\n@ NS b\n_s._tcp SRV 0 0 1 b"),
        &[
            "zone:6:1: alias-as-target: b.example.test. is an alias; MX",
            "zone:7:1: alias-as-target: b.example.test. is an alias; NS",
            "zone:8:1: alias-as-target: b.example.test. is an alias; SRV",
        ],
    );
    check_warnings(
        "@ MX 1 nothing",
        &["zone:5:1: no address for the mail server nothing"],
    );
    check_warnings("@ MX 0 .\n* A 192.0.2.1\n@ NS wild\n@ NS ns.other.", &[]);
    check_warnings(
        "@ MX 1 192.0.2.1",
        &[
            "zone:5:1: address-as-name: 192.0.2.1.ex",
            "zone:5:1: no address for the mail",
        ],
    );
    check_warnings(
        "sub NS ns.sub",
        &["zone:5:1: no address for the name server ns.sub"],
    );
    check_warnings("sub NS ns.sub\nns.sub A 192.0.2.1\n@ MX 1 mail.sub", &[]);
}

#[test]
fn names_that_are_no_hosts_are_warned_of() {
    check_warnings(
        "a\\032b A 192.0.2.1",
        &["zone:5:1: no-host-name: a\\032b.example.test. has A"],
    );
    check_warnings("_a._tcp TXT x\n*.w A 192.0.2.1", &[]);
    check_warnings(
        "a.*.b TXT x",
        &["zone:5:1: asterisk-inside: a.*.b.example.test. is no wildcard"],
    );
}

#[test]
fn what_serves_nobody_is_warned_of() {
    check_warnings(
        "sub NS ns\nx.sub TXT hidden\nglue.sub A 192.0.2.1",
        &["zone:6:1: below-a-cut: x.sub.example.test. belongs to the zone below"],
    );
    let digest = "00".repeat(32);
    check_warnings(
        &format!("a DS 1 13 2 {digest}"),
        &["zone:5:1: ds-without-ns: a.example"],
    );
    check_warnings(&format!("@ DS 1 13 2 {digest}"), &["zone:5:1: ds-at-apex"]);
    check_warnings(
        "s NS ns\ns DS 1 13 2 00",
        &["zone:6:1: digest-length: the digest should have 32"],
    );
    check_warnings("a SPF \"v=spf1 -all\"", &["zone:5:1: spf-without-txt"]);
    check_warnings(
        "a 4294967295 A 192.0.2.1",
        &["zone:5:3: the TTL 4294967295 is above 2147483647 and counts as 0"],
    );
}

#[test]
fn what_is_below_a_dname_is_a_mistake() {
    check_mistakes(
        "d DNAME other.\nx.d A 192.0.2.1\ny.x.d TXT x",
        &[
            "zone:6:1: x.d.example.test. is below a DNAME",
            "zone:7:1: y.x.d.example.test. is",
        ],
    );
    assert_eq!(load("d DNAME other.\nd A 192.0.2.1").mistakes, []);
}

#[test]
fn the_same_record_twice_counts_once() {
    let zone = zone(
        "a CNAME ns\na CNAME NS\nb TXT x\nb TXT X\nb TXT x\nm MX 10 a\nm MX 10 A\nm MX 20 a\n",
    );
    assert_eq!(
        records(&zone, "a.example.test"),
        ["60 CNAME ns.example.test."]
    );
    assert_eq!(
        records(&zone, "b.example.test"),
        ["60 TXT \"x\"", "60 TXT \"X\""]
    );
    assert_eq!(records(&zone, "m.example.test").len(), 2);
    // A letter in a number is no letter: 65 and 97.
    assert_eq!(
        records(&self::zone("m MX 65 a\nm MX 97 a"), "m.example.test").len(),
        2
    );
}

#[test]
fn large_sets_are_kept_and_told() {
    let text: String = (0..300)
        .map(|n| format!("a A 192.0.{}.{}\n", n / 200, n % 200))
        .collect();
    let text = format!("{text}{text}");
    check_warnings(
        &text,
        &["zone:5:1: a.example.test. has 300 A records; BIND"],
    );
    let types: String = (1_000..1_101)
        .map(|n| format!("a TYPE{n} \\# 0\n"))
        .collect();
    check_warnings(
        &types,
        &["zone:105:1: a.example.test. has more than 100 types"],
    );
    let types: String = (1_000..1_256)
        .map(|n| format!("a TYPE{n} \\# 0\n"))
        .collect();
    check_mistakes(
        &types,
        &["zone:260:1: a.example.test.: more than 255 types"],
    );
}
