use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hickory_proto::op::OpCode;
use hickory_proto::rr::{DNSClass, RecordType};

use super::*;
use crate::model::addr::{ClientAddr, ListenAddr};
use crate::model::draw::Seed;
use crate::model::id::Generation;
use crate::model::mistake::Files;
use crate::model::network::{Element, Matcher};
use crate::model::topology::{self, Dns, Miss, Topology, ZoneSource};
use crate::policy::answer::{Question, Transport, decide};
use crate::policy::zone::read_name;

struct Texts(BTreeMap<PathBuf, String>);

impl Files for Texts {
    fn read(&self, path: &Path) -> Result<String, String> {
        let text = self.0.get(path);
        text.cloned().ok_or_else(|| String::from("no such file"))
    }
}

fn element(text: &str) -> Element {
    let bare = text.trim_start_matches('!');
    let what = match bare {
        "any" => Matcher::Any,
        range => Matcher::Ranges(vec![range.parse().unwrap()]),
    };
    Element {
        text: text.into(),
        negated: bare != text,
        what,
    }
}

/// A view: its name, its list, and its zones by origin with the lines after the SOA, which begin
/// with the serial. A zone whose origin is followed by `public` leaves what it lacks to other views.
type ViewOf<'a> = (&'a str, &'a [&'a str], &'a [(&'a str, &'a str)]);

fn rules(views: &[ViewOf<'_>]) -> Rules {
    let mut texts = BTreeMap::new();
    let mut files: Vec<(String, PathBuf)> = Vec::new();
    let views = views.iter().map(|(name, list, zones)| topology::View {
        name: (*name).into(),
        match_clients: list.iter().map(|text| element(text)).collect(),
        match_destinations: Vec::new(),
        forward: None,
        zones: zones
            .iter()
            .map(|(origin, text)| {
                let leaving = origin.strip_suffix(" public");
                let (origin, miss) = match leaving {
                    Some(origin) => (origin, Miss::Public),
                    None => (*origin, Miss::Nxdomain),
                };
                // Equal zones are one file, as views that share a zone name it.
                let text = format!("{origin} {text}");
                let known = files.iter().find(|(known, _)| *known == text);
                let known = known.map(|(_, file)| file.clone());
                let file = known.unwrap_or_else(|| {
                    let file = PathBuf::from(format!("{}.zone", files.len()));
                    files.push((text.clone(), file.clone()));
                    file
                });
                let (_, lines) = text.split_once(' ').unwrap();
                let (serial, lines) = lines.split_once('\n').unwrap_or((lines, ""));
                let text = format!(
                    "$TTL 300\n@ SOA ns h {serial} 1h 1h 1h 5m\n@ NS ns\nns A 192.0.2.53\n{lines}\n"
                );
                texts.insert(file.clone(), text);
                ZoneSource {
                    origin: origin.to_owned(),
                    file,
                    miss,
                }
            })
            .collect(),
    });
    let dns = Dns {
        views: views.collect(),
        ..Dns::new("127.0.0.1:0".parse().unwrap())
    };
    let topology = Topology::of_dns("test".into(), Vec::new(), dns);
    let loaded = Rules::load(&topology, Generation(1), &Texts(texts));
    loaded.unwrap_or_else(|mistakes| panic!("{mistakes:?}")).0
}

/// Writes each group as `PREFIXES: CHANGES`.
fn told(difference: &Difference) -> Vec<String> {
    let groups = difference.groups.iter();
    let text = |group: &Group| {
        let prefixes: Vec<String> = group.prefixes.iter().map(ToString::to_string).collect();
        let Contents {
            zone,
            fate,
            serial,
            changes,
            ..
        } = &group.contents;
        let serial = serial.map(|(old, new)| format!(" serial {old} {new}"));
        let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
        format!(
            "{}: {zone} {fate:?}{} {}",
            prefixes.join(" "),
            serial.unwrap_or_default(),
            changes.join("; ")
        )
    };
    groups.map(text).collect()
}

const BOTH: &[&str] = &["any"];

#[test]
fn the_clients_of_a_change_are_the_shortest_list_of_prefixes() {
    let views = |address: &str| {
        let inner = format!("1\nwww A {address}\n");
        rules(&[
            (
                "in",
                &["!10.1.0.0/16", "10.0.0.0/14"],
                &[("example.", &inner)],
            ),
            ("out", BOTH, &[("example.", "1\nwww A 192.0.2.1\n")]),
        ])
    };
    let difference = Difference::between(&views("10.0.0.1"), &views("10.0.0.2"));
    assert_eq!(
        told(&difference),
        ["10.0.0.0/16 10.2.0.0/15: example. Changed \
          www.example. A: 300 10.0.0.1 became 300 10.0.0.2"]
    );
    assert_eq!(difference.four.to_string(), "0.004578%");
    assert_eq!(difference.six, Share(0));
    assert_eq!(difference.summary(), ["in/www.example."]);
    let same = Difference::between(&views("10.0.0.1"), &views("10.0.0.1"));
    assert!(same.is_empty() && told(&same).is_empty());
}

#[test]
fn a_view_that_takes_clients_of_another_changes_their_answers_alone() {
    let views = |list: &[&str]| {
        rules(&[
            ("in", list, &[("example.", "1\nwww A 10.0.0.1\n")]),
            ("out", BOTH, &[("example.", "1\nwww A 192.0.2.1\n")]),
        ])
    };
    let difference =
        Difference::between(&views(&["10.0.0.0/8"]), &views(&["10.0.0.0/9", "fd00::/8"]));
    assert_eq!(
        told(&difference),
        [
            "10.128.0.0/9: example. Changed \
             www.example. A: 300 10.0.0.1 became 300 192.0.2.1",
            "fd00::/8: example. Changed \
             www.example. A: 300 192.0.2.1 became 300 10.0.0.1",
        ]
    );
    assert_eq!(difference.four.to_string(), "0.195313%");
    assert_eq!(difference.six.to_string(), "0.390625%");
}

#[test]
fn another_serial_alone_is_told_and_not_counted() {
    let views = |serial: &str| rules(&[("all", BOTH, &[("example.", serial)])]);
    let difference = Difference::between(&views("1"), &views("2"));
    assert_eq!(
        told(&difference),
        ["0.0.0.0/0 ::/0: example. Changed serial 1 2 "]
    );
    assert_eq!(difference.share(), Share(0));
    let more = Difference::between(&views("1"), &views("2\nwww A 192.0.2.1\n"));
    assert_eq!(more.share(), Share::ALL);
}

#[test]
fn wildcards_delegations_glue_and_bare_names_are_told_as_such() {
    let views = |lines: &str| rules(&[("all", BOTH, &[("example.", lines)])]);
    let old = views("1\n*.w A 192.0.2.1\na.b A 192.0.2.2\n");
    let new =
        views("1\n*.w A 192.0.2.9\nsub NS ns.sub\nns.sub A 192.0.2.3\nd DNAME example.net.\n");
    let difference = Difference::between(&old, &new);
    let changes = &difference.groups[0].contents.changes;
    let told: Vec<_> = changes
        .iter()
        .map(|change| (&*change.owner, change.reach, change.to_string()))
        .collect();
    let owners: Vec<_> = told
        .iter()
        .map(|(owner, reach, _)| (*owner, *reach))
        .collect();
    assert_eq!(
        owners,
        [
            ("b.example.", Reach::Own),
            ("a.b.example.", Reach::Own),
            ("d.example.", Reach::Subtree),
            ("sub.example.", Reach::Delegation),
            ("ns.sub.example.", Reach::Glue),
            ("*.w.example.", Reach::Wildcard),
        ]
    );
    assert_eq!(
        told[0].2,
        "b.example.: does not exist any more, without records"
    );
    assert_eq!(told[1].2, "a.b.example. A: 300 192.0.2.2 became none");
}

#[test]
fn a_zone_that_came_is_compared_with_the_one_that_spoke_for_its_names() {
    let wide = ("example.", "1\nwww.sub A 192.0.2.1\nmail.sub A 192.0.2.2\n");
    let own = ("sub.example.", "7\nwww A 192.0.2.1\n");
    let old = rules(&[("all", BOTH, &[wide])]);
    let new = rules(&[("all", BOTH, &[wide, own])]);
    for (from, to, fate) in [(&old, &new, Fate::Added), (&new, &old, Fate::Removed)] {
        let difference = Difference::between(from, to);
        let [group] = &*difference.groups else {
            panic!("{:?}", told(&difference));
        };
        assert_eq!(group.contents.fate, fate);
        let owners: Vec<_> = group.contents.changes.iter().map(|c| &*c.owner).collect();
        assert!(owners.contains(&"mail.sub.example."), "{owners:?}");
        assert!(!owners.contains(&"www.sub.example."), "{owners:?}");
    }
}

#[test]
fn a_zone_that_views_share_is_compared_once() {
    let views = |address: &str| {
        let text = format!("1\nwww A {address}\n");
        let lists: Vec<[String; 1]> = (0..50).map(|n| [format!("10.{n}.0.0/16")]).collect();
        let lists: Vec<[&str; 1]> = lists
            .iter()
            .map(|list| list.each_ref().map(|t| &**t))
            .collect();
        let names: Vec<String> = (0..50).map(|n| format!("v{n}")).collect();
        let zones = [("example.", &*text)];
        let views: Vec<ViewOf<'_>> = names
            .iter()
            .zip(&lists)
            .map(|(name, list)| (&**name, list.as_slice(), zones.as_slice()))
            .collect();
        rules(&views)
    };
    let difference = Difference::between(&views("10.0.0.1"), &views("10.0.0.2"));
    let [group] = &*difference.groups else {
        panic!("{:?}", told(&difference));
    };
    assert_eq!(group.views.len(), 50);
    let prefixes: Vec<String> = group.prefixes.iter().map(ToString::to_string).collect();
    assert_eq!(prefixes, ["10.0.0.0/11", "10.32.0.0/12", "10.48.0.0/15"]);
}

#[test]
fn what_a_view_leaves_to_another_changes_for_its_clients_too() {
    let views = |miss: &str, public: &str| {
        let public = format!("1\n{public}");
        rules(&[
            (
                "in",
                &["10.0.0.0/9"],
                &[(miss, "1\nwww A 10.0.0.1\n*.w A 10.0.0.2\n")],
            ),
            ("far", &["10.64.0.0/10"], &[("other.", "1\n")]),
            ("out", &["!10.1.0.0/16", "any"], &[("example.", &public)]),
        ])
    };
    let (public, own) = ("example. public", "example.");
    let text = "www A 192.0.2.1\na.w A 192.0.2.2\nshop A 192.0.2.3\n";
    let before = views(public, text);
    // Who is not let into the view that is left with the name has no part in it; what the first
    // view has, by a wildcard too, stays.
    let moved = "www A 192.0.2.9\na.w A 192.0.2.9\nshop A 192.0.2.9\n";
    let difference = Difference::between(&before, &views(public, moved));
    let groups = told(&difference);
    let shop = "shop.example. A: 300 192.0.2.3 became 300 192.0.2.9";
    assert_eq!(groups.len(), 2, "{groups:?}");
    assert!(
        groups[0].starts_with("0.0.0.0/5 8.0.0.0/7 10.128.0.0/9 "),
        "{groups:?}"
    );
    assert_eq!(
        groups[1],
        format!(
            "10.0.0.0/16 10.2.0.0/15 10.4.0.0/14 10.8.0.0/13 10.16.0.0/12 10.32.0.0/11 10.64.0.0/10: example. Changed {shop}"
        )
    );
    assert!(
        groups[0].contains(shop) && groups[0].contains("a.w.example."),
        "{groups:?}"
    );
    // The twin: a view that keeps what it lacks.
    let difference = Difference::between(&views(own, text), &views(own, moved));
    assert_eq!(told(&difference).len(), 1);
    // To leave them or not makes names come and go, and counts.
    let difference = Difference::between(&views(own, text), &before);
    let groups = told(&difference);
    assert_eq!(groups.len(), 1, "{groups:?}");
    assert!(groups[0].ends_with("example. Changed shop.example. A: none became 300 192.0.2.3"));
    assert_eq!(difference.four.to_string(), "0.193787%");
}

/// What a client is told, without the serial.
fn asked(rules: &Rules, client: IpAddr, name: &str, record_type: RecordType) -> String {
    let question = Question {
        source: ClientAddr((client, 0).into()),
        destination: ListenAddr("127.0.0.1:53".parse().unwrap()),
        transport: Transport::Udp,
        opcode: OpCode::Query,
        count: 1,
        name: read_name(name).unwrap(),
        record_type,
        class: DNSClass::IN,
        recursion_desired: false,
        edns: None,
    };
    let answer = decide(rules, &question);
    let sections = [&answer.answer, &answer.authority, &answer.additional];
    let sections = sections.map(|section| {
        let shown = super::super::records(section);
        let mut words: Vec<String> = shown.map(|shown| shown.words()).collect();
        words.sort();
        words
    });
    format!("{} {} {sections:?}", answer.code(), answer.authoritative)
}

const LISTS: [&[&str]; 5] = [
    &["10.0.0.0/8"],
    &["!10.1.0.0/16", "10.0.0.0/8"],
    &["10.1.0.0/16", "192.0.2.0/24"],
    &["any"],
    &["!192.0.2.128/25", "any"],
];

const ZONES: [&str; 7] = [
    "1\nwww A 192.0.2.1\n",
    "1\nwww A 192.0.2.2\n",
    "1\nwww 60 A 192.0.2.1\nftp CNAME www\n",
    "1\n*.w A 192.0.2.3\na.w A 192.0.2.4\n",
    "1\n*.w A 192.0.2.5\n",
    "1\nsub NS ns.sub\nns.sub A 192.0.2.6\n",
    "1\nwww A 192.0.2.1\nwww A 192.0.2.2\n",
];

const CLIENTS: [&str; 7] = [
    "10.0.0.1",
    "10.1.2.3",
    "10.255.255.255",
    "192.0.2.1",
    "192.0.2.129",
    "198.51.100.1",
    "fd00::1",
];

const NAMES: [&str; 9] = [
    "example.",
    "www.example.",
    "ftp.example.",
    "a.w.example.",
    "b.w.example.",
    "w.example.",
    "x.sub.example.",
    "ns.sub.example.",
    "none.example.",
];

fn drawn(seed: u64, purpose: &str) -> Rules {
    let draw =
        |n: u64, of: usize| usize::try_from(Seed(seed).draw(purpose, "diff", n)).unwrap() % of;
    let count = 1 + draw(0, 3);
    let names = ["a", "b", "c"];
    let parts: Vec<_> = (0..count as u64)
        .map(|n| {
            let zone = ZONES[draw(2 * n + 2, ZONES.len())];
            let origin = ["example.", "example. public"][draw(n + 100, 2)];
            (LISTS[draw(2 * n + 1, LISTS.len())], [(origin, zone)])
        })
        .collect();
    let views: Vec<ViewOf<'_>> = names
        .iter()
        .zip(&parts)
        .map(|(name, (list, zones))| (*name, *list, zones.as_slice()))
        .collect();
    rules(&views)
}

#[test]
fn whoever_is_in_no_group_gets_the_same_answers_and_everybody_else_another() {
    let (mut changed, mut same) = (0, 0);
    for seed in 0..300 {
        let (old, new) = (drawn(seed, "old"), drawn(seed, "new"));
        let difference = Difference::between(&old, &new);
        for client in CLIENTS {
            let client: IpAddr = client.parse().unwrap();
            let holds = |group: &&Group| group.prefixes.iter().any(|net| net.contains(&client));
            let own: Vec<&Group> = difference.groups.iter().filter(holds).collect();
            let differs = |name: &str, record_type| {
                asked(&old, client, name, record_type) != asked(&new, client, name, record_type)
            };
            if own.is_empty() {
                same += 1;
                for name in NAMES {
                    assert!(!differs(name, RecordType::A), "{seed} {client} {name}");
                }
                continue;
            }
            changed += 1;
            for change in own.iter().flat_map(|group| &group.contents.changes) {
                if change.reach == Reach::Glue {
                    continue;
                }
                let record_type = change.record_type.unwrap_or(RecordType::A);
                assert!(
                    differs(&change.owner, record_type),
                    "{seed} {client} {change}"
                );
            }
        }
    }
    // The draw makes both kinds, or this test says nothing.
    assert!(changed > 200 && same > 200, "{changed} {same}");
}
