//! Views that share zones: what has one number is answered alike.

use std::collections::BTreeMap;

use super::*;
use crate::policy::testing;

const TOP: &str = "$TTL 60\n@ SOA ns h 1 2 3 4 5\n NS ns\nns A 192.0.2.1\n";

/// What each view has: origin, file and what it leaves missing names to. All names that are asked
/// for are of `common`, or below an apex that only some views have.
const VIEWS: [&[(&str, &str, Miss)]; 7] = [
    &[
        ("example.test.", "common", Miss::Nxdomain),
        ("door.example.test.", "one", Miss::Nxdomain),
    ],
    &[
        ("door.example.test.", "two", Miss::Nxdomain),
        ("example.test.", "common", Miss::Nxdomain),
    ],
    &[("example.test.", "common", Miss::Nxdomain)],
    &[("example.test.", "common", Miss::Refuse)],
    &[("example.test.", "own", Miss::Nxdomain)],
    &[
        ("example.test.", "common", Miss::Nxdomain),
        ("door.example.test.", "one", Miss::Nxdomain),
        ("other.test.", "own", Miss::Nxdomain),
    ],
    &[("example.test.", "common", Miss::Nxdomain)],
];

const NAMES: [&str; 9] = [
    "example.test.",
    "www.example.test.",
    "alias.example.test.",
    "door.example.test.",
    "www.door.example.test.",
    "none.door.example.test.",
    "none.example.test.",
    "www.other.test.",
    "www.elsewhere.test.",
];

const TYPES: [RecordType; 4] = [
    RecordType::A,
    RecordType::SOA,
    RecordType::DS,
    RecordType::AAAA,
];

fn shared() -> Rules {
    let view = |number: usize, zones: &[(&str, &str, Miss)]| topology::View {
        name: format!("v{number}").into(),
        match_clients: vec![Element {
            text: "any".into(),
            negated: false,
            what: Matcher::Any,
        }],
        match_destinations: Vec::new(),
        forward: None,
        zones: zones
            .iter()
            .map(|(origin, file, miss)| ZoneSource {
                origin: (*origin).to_owned(),
                file: PathBuf::from(file),
                miss: *miss,
            })
            .collect(),
    };
    let mut topology = testing::topology();
    let views = VIEWS.iter().enumerate();
    topology.dns.views = views.map(|(number, zones)| view(number, zones)).collect();
    let texts = [
        (
            "common",
            "www A 192.0.2.2\nalias CNAME door\ndoor A 192.0.2.3\n",
        ),
        ("one", "@ A 192.0.2.11\nwww A 192.0.2.12\n"),
        ("two", "@ A 192.0.2.21\nwww A 192.0.2.22\n"),
        ("own", "www A 192.0.2.32\n"),
    ];
    let texts = texts.map(|(name, text)| (PathBuf::from(name), format!("{TOP}{text}")));
    let rules = Rules::load(&topology, Generation(1), &Texts(texts.into()));
    rules.unwrap_or_else(|mistakes| panic!("{mistakes:?}")).0
}

/// Shows what a view answers, with the data.
fn told(rules: &Rules, view: &View, name: &Name, record_type: RecordType) -> String {
    let mut answer = Answer::empty(rules);
    answer.follow(view, None, name, record_type);
    let sections = [&answer.answer, &answer.authority, &answer.additional];
    let words = sections.map(|section| {
        let words = records(section).map(|shown| shown.words());
        words.collect::<Vec<_>>()
    });
    format!("{} {} {words:?}", answer.rcode, answer.authoritative)
}

/// Asks every view everything; gives how often two views had one number, or two answers for one.
fn alike<H: Ord>(
    rules: &Rules,
    home: impl Fn(usize, &Key, RecordType) -> Option<H>,
) -> Result<usize, String> {
    let mut pairs = 0;
    for name in NAMES {
        for record_type in TYPES {
            let name = read_name(name)?;
            let key = Key::new(&name);
            let mut known: BTreeMap<H, String> = BTreeMap::new();
            for (index, view) in rules.views.iter().enumerate() {
                let Some(home) = home(index, &key, record_type) else {
                    continue;
                };
                let told = told(rules, view, &name, record_type);
                match known.get(&home) {
                    Some(other) if *other != told => {
                        return Err(format!("{name} {record_type}: {other}, and {told}"));
                    }
                    Some(_) => pairs += 1,
                    None => drop(known.insert(home, told)),
                }
            }
        }
    }
    Ok(pairs)
}

#[test]
fn views_with_one_home_for_a_name_answer_alike() {
    let rules = shared();
    let pairs = alike(&rules, |view, key, kind| rules.home(view, key, kind)).unwrap();
    // v2 and v6 share all that they have, v0 and v1 the common zone but for the door.
    assert!(pairs > 30, "{pairs}");
    // The broken twin: the zone alone, whatever zones stand beside it and whatever it leaves missing
    // names to.
    let zone = |view: usize, key: &Key, kind| {
        let (zone, _) = rules.views[view].held_for(key, kind)?;
        Some(std::ptr::from_ref(zone))
    };
    let wrong = alike(&rules, zone);
    assert!(wrong.is_err(), "{wrong:?}");
}

#[test]
fn the_zone_of_a_home_is_the_one_that_answers() {
    let rules = shared();
    let mut homes = BTreeMap::new();
    for name in NAMES {
        for record_type in TYPES {
            let key = Key::new(&read_name(name).unwrap());
            for (index, view) in rules.views.iter().enumerate() {
                let held = view.held_for(&key, record_type);
                let held = held.map(|(zone, miss)| (std::ptr::from_ref(zone), miss));
                let home = rules.home(index, &key, record_type);
                let expected = held.filter(|_| rules.is_shared(index));
                assert_eq!(home.is_some(), expected.is_some(), "{name} in v{index}");
                if let Some(home) = home {
                    assert_eq!(Some(*homes.entry(home).or_insert(held)), Some(held));
                }
            }
        }
    }
    let shared: Vec<bool> = (0..VIEWS.len()).map(|view| rules.is_shared(view)).collect();
    assert_eq!(shared, [true, true, true, false, false, false, true]);
}

#[test]
fn a_changed_record_makes_new_homes() {
    let old = shared();
    let change = crate::model::timeline::RecordChange {
        view: Some("v2".into()),
        name: "www.example.test.".into(),
        rtype: "A".into(),
        ttl: 17,
        data: vec!["192.0.2.9".into()],
    };
    let (new, _) = old.with_record(&change).unwrap();
    assert!(old.is_shared(2) && old.is_shared(6));
    // Now the view has a zone of its own, and nobody is left to share with the other.
    assert!(!new.is_shared(2) && !new.is_shared(6));
    assert!(new.is_shared(0) && new.is_shared(1));
}
