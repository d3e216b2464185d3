//! What goes out: our writer against hickory's, and a copied answer against one that is written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use hickory_proto::op::{Edns as HickoryEdns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::{Name as HickoryName, Record, RecordType};

use super::counts::Counts;
use super::worker::{From, Outcome, Read, Shared, Worker};
use super::writer::{Head, write};
use crate::journal::Journal;
use crate::model::fact::Kind;
use crate::model::id::Generation;
use crate::model::mistake::Files;
use crate::model::network::{Element, Matcher};
use crate::model::time::{Span, Time};
use crate::model::topology::{self, Topology, ZoneSource};
use crate::policy::answer::{Answer, Edns, PAYLOAD_MAX, Rrset, Rules, Transport, decide, records};
use crate::policy::testing;

/// A zone with a name for each way in which a name can be answered.
const ZONE: &str = "$TTL 60\n@ SOA ns Host.Master 1 2 3 4 5\n NS ns\n NS ns.other.invalid.\n\
    ns A 192.0.2.1\nwww A 192.0.2.2\nwww A 192.0.2.3\nWww TXT \"two\" \"words\"\n\
    mail MX 10 www\n MX 20 mx.Example.Test.\nalias CNAME Www\nfar CNAME www.other.invalid.\n\
    loop CNAME loop2\nloop2 CNAME loop\n*.wild A 192.0.2.4\n*.alias CNAME www.wild\n\
    tree DNAME example.test.\nempty.above TXT x\nsub NS ns.sub\n NS ns2.sub\nns.sub A 192.0.2.5\n\
    ns2.sub AAAA 2001:db8::1\nsigned NS ns.signed\nsigned DS 1 13 2 00ff\nns.signed A 192.0.2.6\n\
    srv SRV 1 2 3 www\nodd TYPE65280 \\# 3 010203\n";

/// The names that are asked for.
const NAMES: [&str; 26] = [
    ".",
    "example.test.",
    "www.example.test.",
    "WWW.Example.TEST.",
    "mail.example.test.",
    "alias.example.test.",
    "far.example.test.",
    "loop.example.test.",
    "a.wild.example.test.",
    "a.b.wild.example.test.",
    "wild.example.test.",
    "x.alias.example.test.",
    "tree.example.test.",
    "www.tree.example.test.",
    "WWW.tree.example.test.",
    "none.tree.example.test.",
    "above.example.test.",
    "empty.above.example.test.",
    "none.example.test.",
    "sub.example.test.",
    "deep.sub.example.test.",
    "signed.example.test.",
    "srv.example.test.",
    "odd.example.test.",
    "big.example.test.",
    "other.invalid.",
];

const TYPES: [RecordType; 12] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::NS,
    RecordType::SOA,
    RecordType::CNAME,
    RecordType::TXT,
    RecordType::MX,
    RecordType::DS,
    RecordType::ANY,
    RecordType::SRV,
    RecordType::DNAME,
    RecordType::Unknown(65_280),
];

struct Texts(BTreeMap<PathBuf, String>);

impl Files for Texts {
    fn read(&self, path: &Path) -> Result<String, String> {
        let text = self.0.get(path);
        text.cloned().ok_or_else(|| String::from("no such file"))
    }
}

/// Two views: `in` for 10/8, `out` for 192/8; nobody else has one.
fn topology() -> Topology {
    let view = |name: &str, range: &str| topology::View {
        name: name.into(),
        match_clients: vec![Element {
            text: range.into(),
            negated: false,
            what: Matcher::Ranges(vec![range.parse().unwrap()]),
        }],
        match_destinations: Vec::new(),
        forward: None,
        zones: vec![ZoneSource {
            origin: String::from("example.test."),
            file: PathBuf::from(name),
            miss: topology::Miss::Nxdomain,
        }],
    };
    let mut topology = testing::topology();
    topology.dns.views = vec![view("in", "10.0.0.0/8"), view("out", "192.0.0.0/8")];
    topology
}

fn rules(topology: &Topology, inside: &str) -> Rules {
    let text = |more: &str| {
        let strings = (0..40).map(|n| format!("big TXT \"{n:0>100}\"\n"));
        format!("{ZONE}{}{more}", strings.collect::<String>())
    };
    let texts = [("in", text(inside)), ("out", text("only A 192.0.2.9\n"))];
    let texts = texts.map(|(name, text)| (PathBuf::from(name), text));
    let rules = Rules::load(topology, Generation(1), &Texts(texts.into()));
    rules.unwrap_or_else(|mistakes| panic!("{mistakes:?}")).0
}

fn shared(topology: &Topology, rules: Rules) -> Arc<Shared> {
    Arc::new(Shared {
        rules: Arc::new(ArcSwap::from_pointee(rules)),
        counts: Counts::new(topology),
        journal: Journal::new(topology),
        now: Arc::new(|| Time::ZERO),
        seed: topology.seed,
        delays: AtomicU64::new(0),
        forwarders: std::sync::OnceLock::new(),
        log: None,
    })
}

/// A question in wire form.
fn asked_for(name: &str, record_type: RecordType) -> Vec<u8> {
    let name = HickoryName::from_ascii(name).unwrap();
    let name = crate::policy::name::Name::from(&name);
    let mut wire = name.wire().to_vec();
    wire.extend(u16::from(record_type).to_be_bytes());
    wire.extend([0, 1]);
    wire
}

fn asked(question: &[u8], id: u16, edns: Option<Edns>, flags: bool) -> Read<'_> {
    Read {
        head: Head {
            id,
            opcode: 0,
            recursion_desired: flags,
            checking_disabled: flags,
        },
        opcode: OpCode::Query,
        count: 1,
        question,
        edns,
        plain: true,
    }
}

fn from(client: &str, transport: Transport) -> From {
    From {
        client: format!("{client}:99").parse().unwrap(),
        transport,
        destination: ([127, 0, 0, 1], 53).into(),
    }
}

fn edns(payload: u16, dnssec_ok: bool) -> Edns {
    Edns {
        payload,
        dnssec_ok,
        ..Edns::default()
    }
}

/// Writes an answer as hickory does, whatever its size.
fn by_hickory(answer: &Answer<'_>, asked: &Read<'_>, query: Query) -> Message {
    let mut message = Message::new(asked.head.id, MessageType::Response, OpCode::Query);
    message.metadata.authoritative = answer.authoritative;
    message.metadata.recursion_desired = asked.head.recursion_desired;
    message.metadata.checking_disabled = asked.head.checking_disabled;
    message.metadata.response_code = answer.rcode;
    message.add_query(query);
    let hickory = |section: &[Rrset<'_>]| -> Vec<Record> {
        let records = records(section).map(|shown| shown.to_hickory().unwrap());
        records.collect()
    };
    message.add_answers(hickory(&answer.answer));
    message.add_authorities(hickory(&answer.authority));
    message.add_additionals(hickory(&answer.additional));
    if let Some(edns) = &answer.edns {
        let mut out = HickoryEdns::new();
        out.set_max_payload(edns.payload);
        out.set_dnssec_ok(edns.dnssec_ok);
        if let Some(code) = edns.error {
            let mut content = code.to_be_bytes().to_vec();
            content.extend(answer.error_text().as_bytes());
            out.options_mut().insert(EdnsOption::Unknown(15, content));
        }
        message.set_edns(out);
    }
    Message::from_vec(&message.to_vec().unwrap()).unwrap()
}

#[test]
fn our_writer_and_hickorys_mean_the_same() {
    let topology = topology();
    let rules = rules(&topology, "");
    let mut compared = 0;
    for name in NAMES {
        for record_type in TYPES {
            let question = asked_for(name, record_type);
            let asked = asked(&question, 7, Some(edns(1_232, true)), true);
            let from = from("10.0.0.1", Transport::Tcp);
            let answer = decide(&rules, &super::worker::question(&asked, from));
            let mut out = Vec::new();
            let cut = write(
                &mut out,
                asked.head,
                &question,
                &answer,
                usize::from(u16::MAX),
            );
            assert!(!cut, "{name} {record_type}");
            let ours = Message::from_vec(&out).unwrap();
            let query = Query::query(HickoryName::from_ascii(name).unwrap(), record_type);
            let theirs = by_hickory(&answer, &asked, query);
            assert_eq!(ours, theirs, "{name} {record_type}");
            compared += usize::from(ours.answers.len() + ours.authorities.len() > 0);
        }
    }
    // Without records both would say nothing, and agree.
    assert!(compared > 200, "{compared}");
}

#[test]
fn a_message_is_within_its_limit_and_its_sets_are_whole() {
    let topology = topology();
    let rules = rules(&topology, "");
    let question = asked_for("big.example.test.", RecordType::TXT);
    for limit in [512, 600, 1_232, 4_000, 65_535] {
        let asked = asked(&question, 7, Some(edns(512, false)), false);
        let from = from("10.0.0.1", Transport::Udp);
        let answer = decide(&rules, &super::worker::question(&asked, from));
        let mut out = Vec::new();
        let cut = write(&mut out, asked.head, &question, &answer, limit);
        let message = Message::from_vec(&out).unwrap();
        assert!(out.len() <= limit, "{limit}: {}", out.len());
        assert_eq!(
            (cut, message.metadata.truncation),
            (limit < 4_600, limit < 4_600)
        );
        assert_eq!(message.answers.len(), if cut { 0 } else { 40 });
        assert!(message.edns.is_some(), "{limit}");
    }
}

/// Asks a worker; what it copied counts as written.
fn ask(worker: &mut Worker, asked: &Read<'_>, from: From, out: &mut Vec<u8>) -> Outcome {
    let mut room = [0; 2_048];
    let outcome = worker.answer(asked, from, &mut room, out);
    let Outcome::Copied(length) = outcome else {
        return outcome;
    };
    out.clear();
    out.extend(&room[..length]);
    Outcome::Now
}

/// Asks everything twice of one worker and once of fresh ones; counts answers.
fn copies(change: impl Fn(&mut Vec<u8>)) -> Result<usize, String> {
    let topology = topology();
    let shared = shared(&topology, rules(&topology, ""));
    // What is shown whole is not copied.
    while shared.counts.wants_sample() {
        let asked_for = asked_for("www.example.test.", RecordType::A);
        let from = from("10.0.0.1", Transport::Udp);
        ask(
            &mut Worker::new(&shared),
            &asked(&asked_for, 1, None, false),
            from,
            &mut Vec::new(),
        );
    }
    let (mut worker, mut other) = (Worker::new(&shared), Worker::new(&shared));
    let shapes = [
        None,
        Some(edns(0, false)),
        Some(edns(700, true)),
        Some(edns(4_096, false)),
        Some(edns(1_232, true)),
    ];
    let mut compared = 0;
    for round in 0..2 {
        for (name, record_type) in NAMES
            .iter()
            .flat_map(|name| TYPES.map(|kind| (*name, kind)))
        {
            for (place, client) in ["10.0.0.1", "192.0.2.1", "172.16.0.1"].iter().enumerate() {
                for (id, shape) in (7_u16..).zip(shapes) {
                    let question = asked_for(name, record_type);
                    let asked = asked(&question, id, shape, (round + place) % 2 == 0);
                    for transport in [Transport::Udp, Transport::Tcp] {
                        let from = from(client, transport);
                        let (mut copied, mut fresh) = (Vec::new(), Vec::new());
                        let outcome = ask(&mut worker, &asked, from, &mut copied);
                        if round == 1 {
                            change(&mut copied);
                        }
                        let written = other.fresh(&asked, from, &mut fresh);
                        if (&outcome, &copied) != (&written, &fresh) || outcome != Outcome::Now {
                            return Err(format!("{name} {record_type} {shape:?} {transport:?}"));
                        }
                        compared += 1;
                    }
                }
            }
        }
    }
    Ok(compared)
}

#[test]
fn a_copied_answer_is_the_one_that_would_be_written() {
    let compared = copies(|_| {}).unwrap();
    assert_eq!(compared, 2 * NAMES.len() * TYPES.len() * 3 * 5 * 2);
    // The broken twin: an answer that was copied with another question's number.
    let wrong = copies(|bytes| bytes[1] ^= 1);
    assert!(wrong.is_err(), "{wrong:?}");
}

#[test]
fn types_whose_numbers_differ_by_the_bit_of_case_are_not_mixed_up() {
    let topology = topology();
    // 65 is HTTPS, 97 is nobody's.
    let more = "www HTTPS 1 . alpn=h2\nwww TYPE97 \\# 1 ff\n";
    let shared = shared(&topology, rules(&topology, more));
    let mut worker = Worker::new(&shared);
    let mut out = Vec::new();
    for _ in 0..100 {
        for kind in [65_u16, 97] {
            let question = asked_for("www.example.test.", kind.into());
            let from = from("10.0.0.1", Transport::Udp);
            ask(
                &mut worker,
                &asked(&question, 1, None, false),
                from,
                &mut out,
            );
            let message = Message::from_vec(&out).unwrap();
            assert_eq!(u16::from(message.answers[0].record_type()), kind);
        }
    }
}

#[test]
fn what_was_written_dies_with_its_rules() {
    let topology = topology();
    let shared = shared(&topology, rules(&topology, "x A 192.0.2.10\n"));
    let mut worker = Worker::new(&shared);
    let question = asked_for("x.example.test.", RecordType::A);
    let from = from("10.0.0.1", Transport::Udp);
    let mut ask = || {
        let mut out = Vec::new();
        ask(
            &mut worker,
            &asked(&question, 1, None, false),
            from,
            &mut out,
        );
        let message = Message::from_vec(&out).unwrap();
        (message.metadata.response_code, message.answers.len())
    };
    for _ in 0..200 {
        assert_eq!(ask(), (ResponseCode::NoError, 1));
    }
    shared.rules.store(Arc::new(rules(&topology, "")));
    assert_eq!(ask(), (ResponseCode::NXDomain, 0));
    assert_eq!(PAYLOAD_MAX, 1_232);
}

mod shared;

#[test]
fn the_clock_is_read_for_what_is_shown_whole_only() {
    let topology = topology();
    let reads = Arc::new(AtomicU64::new(0));
    let shared = shared(&topology, rules(&topology, ""));
    let mut shared = Arc::into_inner(shared).expect("nobody else has it");
    let counted = Arc::clone(&reads);
    shared.now = Arc::new(move || Time::from_us(41 * counted.fetch_add(1, Ordering::Relaxed)));
    let shared = Arc::new(shared);
    let mut worker = Worker::new(&shared);
    let question = asked_for("www.example.test.", RecordType::A);
    let ask_all = |worker: &mut Worker| {
        let from = from("10.0.0.1", Transport::Udp);
        for id in 0..200 {
            let asked = asked(&question, id, None, false);
            ask(worker, &asked, from, &mut Vec::new());
        }
    };
    ask_all(&mut worker);
    let shown = shared.journal.held().facts;
    let took = shown.iter().map(|fact| {
        let Kind::DnsAnswered(answered) = &fact.kind else {
            panic!("{fact:?}")
        };
        answered.took
    });
    let took: Vec<_> = took.collect();
    assert!(!took.is_empty() && took.len() < 200, "{}", took.len());
    assert_eq!(took, vec![Some(Span::from_us(41)); took.len()]);
    assert_eq!(reads.load(Ordering::Relaxed), 2 * took.len() as u64);
    // The twin: once the counts are taken, answers are shown whole again, and measured.
    ask_all(&mut worker);
    assert_eq!(reads.load(Ordering::Relaxed), 2 * took.len() as u64);
    drop(shared.counts.take());
    ask_all(&mut worker);
    assert_eq!(reads.load(Ordering::Relaxed), 4 * took.len() as u64);
}
