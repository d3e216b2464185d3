//! `explain dns` with views of its own: each rule, the zone, the scope, what a cache will do.

use serde_json::Value;

use super::verb::Folder;

const VIEWS: &str = "\
networks: {inside: [10.0.0.0/8, 172.16.0.0/12]}
lists: {offices: ['!10.9.0.0/16', inside]}
ecs: {trusted: [127.0.0.1]}
views:
  - {name: back, match: [any], destinations: [192.0.2.53], zones: [{origin: a.test, file: private.zone}]}
  - name: private
    match: [offices]
    zones:
      - {origin: a.test, file: private.zone}
      - {origin: sub.a.test, file: sub.zone}
  - {name: public, match: [any], zones: [{origin: a.test, file: public.zone}]}
";

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("views.yaml", VIEWS);
    folder.zone("sub.zone", "www A 10.0.0.7");
    folder
}

/// Explains, and looks for lines.
#[track_caller]
fn check(words: &str, lines: &[&str]) {
    let ended = folder().explained(words);
    assert_eq!(ended.code, Some(0), "{words}: {ended:?}");
    for line in lines {
        let found = ended.out.lines().any(|told| told.trim_end() == *line);
        assert!(found, "{words}: {line}\n{}", ended.out);
    }
}

#[test]
fn each_rule_is_told_with_destinations_and_what_holds_within_a_list() {
    check(
        "--views views.yaml --from 172.16.0.9 www.a.test",
        &[
            "rule      back: at 192.0.2.53 does not hold it",
            "rule      private: offices holds it by inside in it by 172.16.0.0/12: this view answers",
            "view      private",
        ],
    );
    check(
        "--views views.yaml --from 172.16.0.9 --to 192.0.2.53 www.a.test",
        &[
            "question  www.a.test. A from 172.16.0.9 at 192.0.2.53 over udp",
            "rule      back: at 192.0.2.53 holds it: this view answers here",
            "rule      back: any holds it: this view answers",
            "view      back",
        ],
    );
    check(
        "--views views.yaml --from 10.9.0.1 www.a.test",
        &[
            "rule      private: offices does not hold it",
            "rule      public: any holds it: this view answers",
        ],
    );
}

#[test]
fn by_longest_prefix_the_lengths_are_told() {
    let folder = folder();
    let text = VIEWS.replace("views:\n", "mode: longest_prefix\nviews:\n");
    folder.write("views.yaml", &text);
    let ended = folder.explained("--views views.yaml --from 10.1.0.1 www.a.test");
    for line in [
        "mode      longest_prefix\n",
        "rule      private: offices holds it by inside in it by 10.0.0.0/8 by /8: the longest \
         prefix, this view answers\n",
        "rule      public: any holds it by /0: the longest of this view, another view has a longer \
         one\n",
    ] {
        assert!(ended.out.contains(line), "{line}{ended:?}");
    }
}

#[test]
fn the_choice_of_the_zone_is_told() {
    let from = "--views views.yaml --from 10.1.0.1";
    check(
        &format!("{from} www.sub.a.test"),
        &[
            "zone      sub.a.test. (generation 1)",
            "          the deepest zone of the view at or above the name, so not a.test.",
        ],
    );
    check(
        &format!("{from} www.a.test"),
        &["          the only zone of the view at or above the name"],
    );
    check(
        &format!("{from} sub.a.test DS"),
        &[
            "          DS is the parent side's (RFC 4035 section 3.1.4.1), so not sub.a.test. itself",
        ],
    );
    check(
        &format!("{from} www.b.test"),
        &[
            "          no zone of the view private is at or above the name; it has a.test., sub.a.test.",
        ],
    );
}

#[test]
fn what_a_cache_will_do_is_told_for_each_kind_of_answer() {
    let folder = Folder::new();
    folder.zone(
        "a.zone",
        "www 60 A 192.0.2.1\nftp 300 CNAME www\nnow 0 A 192.0.2.2\nsub NS ns.sub\nns.sub 90 A 192.0.2.3",
    );
    for (question, seconds, said) in [
        ("www.a.test", Some(60), "keeps it 60 s, counting down"),
        ("ftp.a.test", Some(60), "the whole 60 s: the least of them"),
        ("now.a.test", Some(0), "keeps it not at all: TTL 0"),
        (
            "x.sub.a.test",
            Some(300),
            "the name servers 300 s, their addresses 90 s",
        ),
        (
            "none.a.test",
            Some(300),
            "that neither the name nor any below it exists (RFC 8020) for 300 s",
        ),
        (
            "www.a.test AAAA",
            Some(300),
            "that the name has no AAAA for 300 s",
        ),
        (
            "www.b.test",
            None,
            "keeps no records; the failure itself at most 5 minutes",
        ),
    ] {
        let words = format!("--zone a.test=a.zone --from 192.0.2.9 --json {question}");
        let ended = folder.explained(&words);
        let json: Value = serde_json::from_str(&ended.out).unwrap();
        let cache = &json["cache"];
        assert_eq!(cache["seconds"].as_u64(), seconds, "{question}: {cache}");
        assert!(
            cache["why"].to_string().contains(said),
            "{question}: {cache}"
        );
    }
}

#[test]
fn the_scope_is_told_with_its_reason() {
    let words = "--views views.yaml --from 127.0.0.1 +subnet=172.16.5.0/24 www.a.test";
    let ended = folder().explained(words);
    assert!(
        ended
            .out
            .contains("source    172.16.5.0 (the client subnet"),
        "{ended:?}"
    );
    let subnet = ended
        .out
        .lines()
        .find(|line| line.starts_with("subnet    "));
    let subnet = subnet.unwrap_or_else(|| panic!("no scope: {ended:?}"));
    let (_, rest) = subnet.split_once("echoed with scope ").unwrap();
    let (scope, why) = rest.split_once(": ").unwrap();
    let scope: u8 = scope.parse().unwrap();
    // However exact the scope is, everybody in 172.16/12 gets this view.
    assert!((12..=24).contains(&scope), "{subnet}");
    assert!(!why.is_empty());
    assert!(
        ended
            .out
            .contains("cache     keeps it for clients in 172.16."),
        "{ended:?}"
    );
}
