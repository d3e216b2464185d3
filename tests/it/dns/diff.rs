//! `twodoors dns diff` as a process: who gets which other answers, and the exit codes.

use serde_json::Value;

use super::verb::Folder;

const VIEWS: &str = "\
networks: {inside: [10.0.0.0/8]}
views:
  - {name: private, match: ['!10.1.0.0/16', inside], zones: [{origin: a.test, file: private.zone}]}
  - {name: public, match: [any], zones: [{origin: a.test, file: public.zone}]}
";

/// A folder with views, and a second file of views beside them.
fn folder(views: &str) -> Folder {
    let folder = Folder::new();
    folder.write("views.yaml", VIEWS);
    folder.write("new.yaml", views);
    folder
}

#[test]
fn the_clients_of_a_change_are_told_without_those_that_are_negated() {
    let folder = folder(&VIEWS.replace("private.zone", "other.zone"));
    folder.zone("other.zone", "www 60 A 10.0.0.1\n*.apps CNAME www");
    let ended = folder.ended("diff views.yaml new.yaml");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let expected = "\
clients   10.0.0.0/16, 10.2.0.0/15, 10.4.0.0/14, 10.8.0.0/13, 10.16.0.0/12, 10.32.0.0/11, \
10.64.0.0/10, 10.128.0.0/9
views     private
zone      a.test.
  apps.a.test.    (name)  none -> exists without records
  *.apps.a.test.  CNAME   none -> 300 www.a.test.  (wildcard)
  www.a.test.     A       300 10.0.0.1 -> 60 10.0.0.1

other answers for 0.3891% of the IPv4 and 0% of the IPv6 addresses
";
    assert_eq!(ended.out, expected);
}

#[test]
fn clients_that_change_their_view_are_told_with_both() {
    let folder = folder(&VIEWS.replace("'!10.1.0.0/16', ", ""));
    let ended = folder.ended("diff --json views.yaml new.yaml");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let json: Value = serde_json::from_str(&ended.out).unwrap();
    let [group] = json["groups"].as_array().unwrap().as_slice() else {
        panic!("one group: {json}");
    };
    assert_eq!(group["prefixes"], serde_json::json!(["10.1.0.0/16"]));
    assert_eq!(group["views"][0]["old"], "public");
    assert_eq!(group["views"][0]["new"], "private");
    assert_eq!(group["changes"][0]["name"], "www.a.test.");
    assert_eq!(group["changes"][0]["old"]["data"][0], "192.0.2.1");
    assert_eq!(group["changes"][0]["new"]["data"][0], "10.0.0.1");
    assert_eq!(json["ipv4_percent"], 0.001526);
    let settings = json["settings"].as_array().unwrap();
    assert_eq!(settings.len(), 1, "{json}");
}

#[test]
fn what_answers_the_same_does_not_differ() {
    // Other words for the same lists, and another file with the same records in another order.
    let text = VIEWS
        .replace("inside: [10.0.0.0/8]", "inside: [10.0.0.0/9, 10.128.0.0/9]")
        .replace("public.zone", "same.zone");
    let folder = folder(&text);
    folder.zone("public.zone", "www A 192.0.2.1\nwww A 192.0.2.2");
    folder.zone("same.zone", "www A 192.0.2.2\nwww A 192.0.2.1");
    let ended = folder.ended("diff views.yaml new.yaml");
    assert_eq!(
        (ended.code, ended.out.as_str()),
        (Some(0), "nothing differs\n")
    );
    // The twin: one octet.
    folder.zone("same.zone", "www A 192.0.2.2\nwww A 192.0.2.3");
    assert_eq!(folder.ended("diff views.yaml new.yaml").code, Some(1));
}

#[test]
fn a_view_that_goes_is_told_with_who_is_refused_now() {
    let text = VIEWS.replace("match: [any]", "match: [192.0.2.0/24]");
    let folder = folder(&text);
    let ended = folder.ended("diff views.yaml new.yaml");
    assert!(
        ended.out.contains("views     public -> none (refused)\n"),
        "{ended:?}"
    );
    assert!(
        ended.out.contains("zone      a.test. removed\n"),
        "{ended:?}"
    );
    assert!(
        ended
            .out
            .contains("www.a.test.  A    300 192.0.2.1 -> none\n"),
        "{ended:?}"
    );
}

#[test]
fn two_files_of_one_zone_are_compared_for_everybody() {
    let folder = Folder::new();
    let ended = folder.ended("diff --zone a.test private.zone public.zone");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.out.starts_with("clients   0.0.0.0/0, ::/0\n"),
        "{ended:?}"
    );
    let same = folder.ended("diff --zone a.test private.zone private.zone");
    assert_eq!(same.code, Some(0), "{same:?}");
}

#[test]
fn mistakes_of_both_are_told_and_end_with_2() {
    let folder = folder("views: [{name: a, match: [any], zones: [none.zone]}]\n");
    folder.zone("private.zone", "www A nonsense");
    let ended = folder.ended("diff views.yaml new.yaml");
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.err.contains("private.zone:5:7: A: "), "{ended:?}");
    assert!(ended.err.contains("new.yaml:1:"), "{ended:?}");
    assert_eq!(ended.out, "");
}
