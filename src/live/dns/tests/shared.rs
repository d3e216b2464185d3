//! Views that share a zone: one answer is kept for all of them, and each counts its own.

use std::net::Ipv4Addr;

use super::*;
use crate::live::dns::classes::Classes;
use crate::model::fact::Kind;

/// Who asks: one client of each view, and one that none lets in.
const CLIENTS: [&str; 5] = ["10.0.0.1", "10.1.0.1", "10.2.0.1", "10.3.0.1", "172.16.0.1"];

/// Names of the zones that only some views have.
const DOORS: [&str; 4] = [
    "door.example.test.",
    "www.door.example.test.",
    "none.door.example.test.",
    "todoor.example.test.",
];

/// Three views with the common zone, of which two have another door each; one with its own zone.
fn topology() -> Topology {
    let source = |origin: &str, file: &str| ZoneSource {
        origin: origin.to_owned(),
        file: PathBuf::from(file),
        miss: topology::Miss::Nxdomain,
    };
    let common = || source("example.test.", "common");
    let view = |name: &str, range: &str, zones| topology::View {
        name: name.into(),
        match_clients: vec![Element {
            text: range.into(),
            negated: false,
            what: Matcher::Ranges(vec![range.parse().unwrap()]),
        }],
        match_destinations: Vec::new(),
        forward: None,
        zones,
    };
    let door = |file| source("door.example.test.", file);
    let mut topology = testing::topology();
    topology.dns.views = vec![
        view("one", "10.0.0.0/16", vec![common(), door("one")]),
        view("two", "10.1.0.0/16", vec![common(), door("two")]),
        view("plain", "10.2.0.0/16", vec![common()]),
        view("own", "10.3.0.0/16", vec![source("example.test.", "own")]),
    ];
    topology
}

fn started(topology: &Topology) -> Arc<Shared> {
    let top = "$TTL 60\n@ SOA ns h 1 2 3 4 5\n NS ns\nns A 192.0.2.1\n";
    let more = "todoor CNAME Door\ndoor A 192.0.2.40\nbig TXT x\n";
    let texts = [
        ("common", format!("{ZONE}{more}")),
        ("own", format!("{ZONE}{more}only A 192.0.2.9\n")),
        ("one", format!("{top}@ A 192.0.2.41\nwww A 192.0.2.42\n")),
        ("two", format!("{top}@ A 192.0.2.51\nwww A 192.0.2.52\n")),
    ];
    let texts = texts.map(|(name, text)| (PathBuf::from(name), text));
    let rules = Rules::load(topology, Generation(1), &Texts(texts.into()));
    let rules = rules.unwrap_or_else(|mistakes| panic!("{mistakes:?}")).0;
    let shared = shared(topology, rules);
    let question = asked_for("www.example.test.", RecordType::A);
    // What is shown whole is not copied.
    while shared.counts.wants_sample() {
        let asked = asked(&question, 1, None, false);
        let from = from(CLIENTS[0], Transport::Udp);
        Worker::new(&shared).fresh(&asked, from, &mut Vec::new());
    }
    shared
}

/// Gives what was counted by view, rule and response code.
fn counted(shared: &Shared) -> Vec<Kind> {
    let mut kinds = shared.counts.take();
    kinds.retain(|kind| matches!(kind, Kind::DnsCounted { .. }));
    kinds
}

/// Asks everything of a worker that keeps and of one that does not; gives how many were copied.
fn copies(change: impl Fn(&mut [u8])) -> Result<usize, String> {
    let topology = topology();
    let (keeping, fresh) = (started(&topology), started(&topology));
    let (mut worker, mut other) = (Worker::new(&keeping), Worker::new(&fresh));
    let shapes = [None, Some(edns(1_232, false)), Some(edns(1_232, true))];
    let names = || NAMES.iter().chain(&DOORS);
    let mut copied = 0;
    for client in CLIENTS.iter().cycle().take(2 * CLIENTS.len()) {
        for (name, record_type) in names().flat_map(|name| TYPES.map(|kind| (*name, kind))) {
            for (id, shape) in (7_u16..).zip(shapes) {
                let question = asked_for(name, record_type);
                let asked = asked(&question, id, shape, id % 2 == 0);
                let from = from(client, Transport::Udp);
                let (mut room, mut out) = ([0; 2_048], Vec::new());
                let outcome = worker.answer(&asked, from, &mut room, &mut out);
                let got = match outcome {
                    Outcome::Copied(length) => {
                        copied += 1;
                        change(&mut room[..length]);
                        &room[..length]
                    }
                    Outcome::Now => &out[..],
                    other @ (Outcome::Forward(_) | Outcome::Later(_) | Outcome::Nothing) => {
                        return Err(format!("{client} {name} {record_type}: {other:?}"));
                    }
                };
                let mut written = Vec::new();
                other.fresh(&asked, from, &mut written);
                if got != written {
                    return Err(format!("{client} {name} {record_type} {shape:?}"));
                }
            }
        }
    }
    let (kept, decided) = (counted(&keeping), counted(&fresh));
    if kept != decided {
        return Err(format!("counted {kept:?}, not {decided:?}"));
    }
    Ok(copied)
}

#[test]
fn views_that_share_a_zone_are_answered_as_if_they_did_not() {
    let asked = 2 * CLIENTS.len() * (NAMES.len() + DOORS.len()) * TYPES.len() * 3;
    let copied = copies(|_| {}).unwrap();
    // Half of all comes again; more than that is what one view takes of another's.
    assert!(copied > asked / 2, "{copied} of {asked}");
    // The broken twin: an answer that was copied with another question's flags.
    let wrong = copies(|bytes| bytes[2] ^= 1);
    assert!(wrong.is_err(), "{wrong:?}");
}

#[test]
fn a_client_that_is_remembered_gets_the_view_that_is_chosen() {
    let topology = topology();
    let shared = started(&topology);
    let rules = shared.rules.load_full();
    let mut classes = Classes::new(&rules);
    let destination = Ipv4Addr::LOCALHOST.into();
    for round in 0..3_u32 {
        for number in 0..6_000_u32 {
            let client =
                Ipv4Addr::from_bits(0x0a00_0000 | number.wrapping_mul(0x0001_3579) & 0x7_ffff);
            let selector = &rules.selector;
            let source = selector.source(client.into(), None, None);
            let expected = selector.select(source, destination).matched;
            let class = classes.find(&rules, client.into(), destination).unwrap();
            let matched = class
                .matched
                .map(|(view, element)| (view as usize, element as usize));
            assert_eq!(matched, expected, "round {round}, {client}");
            assert_eq!(class.rule > 0, expected.is_some());
        }
    }
}
