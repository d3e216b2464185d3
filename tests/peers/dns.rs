//! Our answers against those of BIND, Knot and NSD, over the same zones.
//!
//! In go the zones of `dns/zones` and thousands of questions made from them: every name, names above,
//! beside and below it, by all types, carriers, EDNS shapes, flags and cases; and messages that are
//! broken or unknown (RFC 8906). Where the three say the same in a field (response code, each flag,
//! each section as a set of records, EDNS), so must we. Sections are not compared where TC is set.

mod exchange;
mod meaning;
mod peers;
mod probes;
mod questions;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use twodoors::model::topology::Topology;

use crate::kit::{root, rules, serve, topology, view};

use self::exchange::Client;
use self::meaning::{FIELDS, Meaning};
use self::peers::{Kind, Peer};
use self::questions::{Asked, questions};

const ORIGINS: [&str; 5] = [
    "all.test.",
    "kid.all.test.",
    "odd.test.",
    "other.test.",
    "single.",
];

/// Where a zone's file is, from the root of the repository.
fn file(origin: &str) -> String {
    format!("tests/peers/dns/zones/{origin}zone")
}

/// One view for everybody with all zones; `folder` has other files for some.
fn everything(folder: Option<&Path>) -> Topology {
    let files = ORIGINS.map(|origin| {
        let other = folder.map(|folder| folder.join(format!("{origin}zone")));
        match other.filter(|other| other.exists()) {
            Some(other) => other.display().to_string(),
            None => file(origin),
        }
    });
    let zones: Vec<_> = ORIGINS
        .iter()
        .zip(&files)
        .map(|(origin, file)| (*origin, file.as_str()))
        .collect();
    topology(vec![view("everybody", &["any"], &zones)])
}

/// What the comparison found.
#[derive(Default)]
struct Tally {
    /// By kind of question: asked, and how many the peers say the same to in every field.
    kinds: BTreeMap<String, (usize, usize)>,
    /// By field: on how many questions the peers agree.
    fields: BTreeMap<&'static str, usize>,
    differences: Vec<String>,
    different: usize,
}

/// How many differences are told.
const TOLD_MAX: usize = 25;

impl Tally {
    fn compare(&mut self, kind: &str, words: &dyn Fn() -> String, all: [Option<Meaning>; 4]) {
        let [ours, theirs @ ..] = all;
        let (asked, alike) = self.kinds.entry(kind.to_owned()).or_default();
        *asked += 1;
        let first = &theirs[0];
        if theirs.iter().all(|one| one == first) {
            *alike += 1;
        }
        let mut wrong = Vec::new();
        for (place, field) in FIELDS.into_iter().enumerate() {
            let of = |one: &Option<Meaning>| one.as_ref().map(|one| one.0[place].clone());
            if !theirs.iter().all(|one| of(one) == of(first)) {
                continue;
            }
            // A truncated answer holds what its server likes.
            let cut = |one: &Option<Meaning>| one.as_ref().is_some_and(Meaning::is_cut);
            if Meaning::is_section(place) && (cut(&ours) || theirs.iter().any(cut)) {
                continue;
            }
            *self.fields.entry(field).or_default() += 1;
            if of(&ours) != of(first) {
                wrong.push(format!(
                    "  {field}: ours {:?} theirs {:?}",
                    of(&ours),
                    of(first)
                ));
            }
        }
        if !wrong.is_empty() {
            self.different += 1;
            if self.differences.len() < TOLD_MAX {
                let all = format!("{kind}: {}\n{}", words(), wrong.join("\n"));
                self.differences.push(all);
            }
        }
    }

    fn table(&self) -> String {
        let mut lines = vec![format!(
            "{:<44} {:>8} {:>12}",
            "kind", "asked", "three alike"
        )];
        for (kind, (asked, alike)) in &self.kinds {
            lines.push(format!("{kind:<44} {asked:>8} {alike:>12}"));
        }
        let fields = self.fields.iter();
        let fields: Vec<_> = fields
            .map(|(field, count)| format!("{field} {count}"))
            .collect();
        lines.push(format!("compared: {}", fields.join(", ")));
        lines.join("\n")
    }
}

/// Asks everybody all of it.
fn ask_all(servers: [SocketAddr; 4], asked: &[Asked]) -> Tally {
    let mut tally = Tally::default();
    let mut client = Client::new();
    for question in asked {
        let meanings = servers.map(|server| {
            let answer = client.ask(server, &question.message, question.tcp);
            let answer =
                answer.unwrap_or_else(|| panic!("{server}: no answer to {}", question.words()));
            Some(Meaning::of(&answer))
        });
        tally.compare(&question.kind, &|| question.words(), meanings);
    }
    tally
}

fn peers() -> [Peer; 3] {
    [Kind::Bind, Kind::Knot, Kind::Nsd].map(Peer::start)
}

#[test]
fn answers_are_what_bind_and_knot_and_nsd_agree_on() {
    let topology = everything(None);
    let served = serve(&topology);
    let (rules, _) = rules(&topology).unwrap();
    let peers = peers();
    let [bind, knot, nsd] = peers.each_ref().map(|peer| peer.address);
    let asked = questions(&rules, |_| true);
    let tally = ask_all([served.address, bind, knot, nsd], &asked);
    println!("{} questions\n{}", asked.len(), tally.table());
    let (count, told) = (tally.different, tally.differences.join("\n"));
    assert!(count == 0, "{count} differ, the first:\n{told}");
    for kind in [
        "CNAME, delegation",
        "CNAME, leads outside",
        "CNAME, no such name",
        "CNAME, wildcard",
        "back at a name",
        "delegation",
        "exact match",
        "makes the name too long",
        "no such name",
        "no such type",
        "no such type at wildcard",
        "no zone of the view",
        "redirected by DNAME",
        "wildcard",
    ] {
        let met = tally.kinds.keys().any(|known| known.contains(kind));
        assert!(met, "no question met: {kind}");
    }
}

#[test]
fn odd_messages_are_met_as_bind_and_knot_and_nsd_agree() {
    let served = serve(&everything(None));
    let peers = peers();
    let [bind, knot, nsd] = peers.each_ref().map(|peer| peer.address);
    let mut tally = Tally::default();
    for probe in probes::all() {
        let meanings = [served.address, bind, knot, nsd].map(|server| {
            // A server may close a stream after some of these, or remember the sender.
            let answer = Client::new().probe(server, &probe.message, probe.tcp)?;
            Some(Meaning::of(&answer))
        });
        tally.compare(probe.name, &|| format!("tcp {}", probe.tcp), meanings);
    }
    println!("{}", tally.table());
    let (count, told) = (tally.different, tally.differences.join("\n"));
    assert!(count == 0, "{count} differ, the first:\n{told}");
}

/// The broken twin: each flaw of our zone is seen.
#[test]
fn a_flaw_in_our_zone_is_seen() {
    let peers = peers();
    let [bind, knot, nsd] = peers.each_ref().map(|peer| peer.address);
    let (rules, _) = rules(&everything(None)).unwrap();
    let text = std::fs::read_to_string(root().join(file("all.test."))).unwrap();
    for (right, wrong) in [
        ("www\tA 192.0.2.10", "www\tA 192.0.2.13"),
        ("*.wild\tMX 5 www\n", "x.wild\tMX 5 www\n"),
        ("a.ent.deep\tA", "ent.deep\tA"),
        ("del\tNS ns.sib\n", "\n"),
        ("600 86400 120", "600 86400 121"),
        ("ns.del\tAAAA 2001:db8::50\n", "\n"),
        ("signed\tDS 12345", "signed\tDS 12346"),
    ] {
        assert!(text.contains(right), "the zone lost {right:?}");
        let folder = peers[0].folder.join("twin");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("all.test.zone"), text.replacen(right, wrong, 1)).unwrap();
        let served = serve(&everything(Some(&folder)));
        let owner = right.split(['\t', ' ']).next().unwrap();
        let near = |name: &str| name.contains(owner.trim_start_matches("*.")) || owner == "600";
        let asked = questions(&rules, near);
        let tally = ask_all([served.address, bind, knot, nsd], &asked);
        assert!(tally.different > 0, "{wrong:?} for {right:?} is not seen");
    }
}
