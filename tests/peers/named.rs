//! Our answers against those of BIND's named, over the same views and zones.
//!
//! named listens on 127.0.0.1 only; the source address of the question chooses the view in both.
//! Questions are made from the zones: every name, a child, a sibling and the parent of it, by all
//! types, networks, transports, with and without EDNS. rcode, AA and TC are compared, answer and
//! authority as sets, and the glue of referrals; of a truncated answer only the header; of ANY
//! only the response code (RFC 8482).

mod client;
mod process;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::{Message, OpCode};
use hickory_proto::rr::{DNSClass, Name, Record, RecordType};
use twodoors::model::addr::{ClientAddr, ListenAddr};
use twodoors::model::topology::Topology;
use twodoors::policy::answer::{Question, Rules, Step, Transport, decide};
use twodoors::policy::name::Key;

use crate::kit::{edns, query, query_of, rules, serve, topology, view};

use self::client::Client;
use self::process::Named;

const NETWORKS: [(&str, &str, &str); 2] = [
    ("private", "127.43.0.0/16", "127.43.0.9"),
    ("public", "127.44.0.0/16", "127.44.0.9"),
];
const STRANGER: &str = "127.45.0.9";
const TYPES: [RecordType; 12] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::CNAME,
    RecordType::DS,
    RecordType::MX,
    RecordType::NS,
    RecordType::PTR,
    RecordType::SOA,
    RecordType::SRV,
    RecordType::TXT,
    RecordType::Unknown(65280),
    RecordType::ANY,
];

fn zones(view: &str) -> Vec<(String, String)> {
    let fixture = |origin: &str| {
        let path = format!("tests/fixtures/zones/{view}/{origin}zone");
        (origin.to_owned(), path)
    };
    let shipped = format!("zones/{view}/example.com.zone");
    vec![
        fixture("example.test."),
        fixture("kid.example.test."),
        fixture("other.test."),
        (String::from("example.com."), shipped),
    ]
}

fn both_views() -> Topology {
    let views = NETWORKS.iter().map(|(name, network, _)| {
        let zones = zones(name);
        let zones: Vec<_> = zones
            .iter()
            .map(|(o, f)| (o.as_str(), f.as_str()))
            .collect();
        view(name, &[network], &zones)
    });
    topology(views.collect())
}

/// What is compared of an answer.
#[derive(Debug, PartialEq, Eq)]
struct Meaning {
    rcode: String,
    authoritative: bool,
    truncated: bool,
    answer: BTreeSet<String>,
    authority: BTreeSet<String>,
    glue: BTreeSet<String>,
}

fn meaning(message: &Message, any: bool) -> Meaning {
    let metadata = &message.metadata;
    let truncated = metadata.truncation && !any;
    let words = |records: &[Record]| -> BTreeSet<String> {
        if any || truncated {
            return BTreeSet::new();
        }
        let words = records.iter().map(|record| {
            let (name, kind) = (record.name.to_lowercase(), record.record_type());
            format!("{name} {} {kind} {:?}", record.ttl, record.data)
        });
        words.collect()
    };
    let referral = !metadata.authoritative && !message.authorities.is_empty();
    let glue = if referral {
        &message.additionals[..]
    } else {
        &[]
    };
    Meaning {
        rcode: format!("{:?}", metadata.response_code),
        authoritative: metadata.authoritative && !any,
        truncated,
        answer: words(&message.answers),
        authority: words(&message.authorities),
        glue: words(glue),
    }
}

/// The names to ask for: each of the zones, a child, a sibling, its parent.
fn names(rules: &Rules) -> BTreeSet<Name> {
    let nodes = rules.views.iter().flat_map(|view| view.zones());
    let owners = nodes.flat_map(|zone| zone.nodes().map(|node| node.name().to_hickory()));
    let mut names = BTreeSet::new();
    for owner in owners {
        let parent = owner.base_name();
        for (below, label) in [(&owner, "child"), (&parent, "sibling"), (&owner, "x.y")] {
            for part in [label, "*"] {
                let mut name = below.clone();
                for label in part.split('.').rev() {
                    name = name.prepend_label(label).unwrap();
                }
                names.insert(name);
            }
        }
        names.insert(parent);
        names.insert(owner);
    }
    names.insert(Name::root());
    names.insert(Name::from_ascii("not.served.invalid.").unwrap());
    names
}

/// The further types that each name has, so that every record is asked for.
fn types_owned(rules: &Rules) -> BTreeMap<Name, BTreeSet<RecordType>> {
    let zones = rules.views.iter().flat_map(|view| view.zones());
    let mut owned: BTreeMap<Name, BTreeSet<RecordType>> = BTreeMap::new();
    for node in zones.flat_map(|zone| zone.nodes()) {
        let types = node.sets().map(|set| set.record_type());
        let types = types.filter(|known| !TYPES.contains(known));
        owned
            .entry(node.name().to_hickory())
            .or_default()
            .extend(types);
    }
    owned
}

/// The word for what a question meets, by our own reason.
fn construct(rules: &Rules, from: &str, message: &Message) -> String {
    let query = &message.queries[0];
    let question = Question {
        source: ClientAddr(SocketAddr::new(from.parse().unwrap(), 1)),
        destination: ListenAddr(SocketAddr::from(([127, 0, 0, 1], 53))),
        transport: Transport::Tcp,
        opcode: OpCode::Query,
        count: 1,
        name: (&query.name).into(),
        record_type: query.query_type,
        class: query.query_class,
        recursion_desired: false,
        edns: None,
    };
    let answer = decide(rules, &question);
    let reason = &answer.reason;
    // A name that exists only because of those below it (RFC 4592 section 2.2.2).
    let key = Key::new(&(&query.name).into());
    let node = answer.zone.and_then(|zone| zone.node(&key));
    if matches!(reason.step, Step::NoType)
        && reason.aliases == 0
        && node.is_some_and(|node| node.sets().len() == 0)
    {
        return String::from("empty non-terminal");
    }
    let words = reason.step.to_string();
    // The words without the name that some of them end in.
    let step = match words.rsplit_once(' ') {
        Some((words, name)) if name.ends_with('.') => words,
        _ => &words,
    };
    let alias = if reason.aliases > 0 { "CNAME, " } else { "" };
    format!("{alias}{step}")
}

/// What the comparison found.
#[derive(Default)]
struct Tally {
    asked: usize,
    truncated: usize,
    glue_cut: usize,
    met: BTreeMap<String, usize>,
    differences: Vec<String>,
}

/// Asks both servers one question and compares.
fn compare(
    tally: &mut Tally,
    client: &mut Client,
    servers: [SocketAddr; 2],
    message: &Message,
    tcp: bool,
) {
    let any = message.queries[0].query_type == RecordType::ANY;
    let [ours, theirs] = servers.map(|server| client.ask(server, message, tcp));
    let (our, their) = (meaning(&ours, any), meaning(&theirs, any));
    tally.asked += 1;
    tally.truncated += usize::from(our.truncated);
    if our == their {
        return;
    }
    // RFC 9471 wants TC when glue does not fit; BIND 9.18 leaves it out and says nothing.
    if !tcp && our.truncated && !their.glue.is_empty() {
        let whole = meaning(&client.ask(servers[1], message, true), any);
        let less = whole.glue.is_superset(&their.glue) && whole.glue.len() > their.glue.len();
        if less && whole.authority == their.authority && !their.authoritative {
            tally.glue_cut += 1;
            return;
        }
    }
    if tally.differences.len() < 20 {
        let query = &message.queries[0];
        let how = format!(
            "{} {} tcp {tcp} edns {}",
            query.name,
            query.query_type,
            message.edns.is_some()
        );
        tally.differences.push(format!(
            "{how} from {}\n ours   {our:?}\n theirs {their:?}",
            client.from
        ));
    }
}

#[test]
fn answers_mean_what_bind_means() {
    let topology = both_views();
    let served = serve(&topology);
    let (rules, _) = rules(&topology).unwrap();
    let named = Named::start();
    let servers = [served.address, named.address];
    let carriers = [
        (false, None),
        (false, Some(1232)),
        (true, None),
        (true, Some(4096)),
    ];
    let owned = types_owned(&rules);
    let mut tally = Tally::default();
    for (_, _, from) in NETWORKS {
        let mut client = Client::new(from, Duration::from_secs(5));
        for name in names(&rules) {
            let own = owned.get(&name).into_iter().flatten().copied();
            for record_type in TYPES.into_iter().chain(own) {
                for (tcp, payload) in carriers {
                    let message = query_of(name.clone(), record_type, payload.map(edns));
                    compare(&mut tally, &mut client, servers, &message, tcp);
                    *tally
                        .met
                        .entry(construct(&rules, from, &message))
                        .or_default() += 1;
                }
            }
        }
    }
    let Tally {
        asked,
        truncated,
        glue_cut,
        met,
        differences,
    } = tally;
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    let agreed = asked - glue_cut;
    let met: Vec<_> = met
        .iter()
        .map(|(construct, count)| format!("{construct}: {count}"))
        .collect();
    println!(
        "{agreed} of {asked} questions agree with BIND, {glue_cut} more but for TC where glue does not fit (RFC 9471); {}; truncated: {truncated}",
        met.join("; ")
    );
    for construct in [
        "CNAME, back at a name",
        "CNAME, delegation at",
        "CNAME, exact match",
        "CNAME, leads outside",
        "CNAME, no such name",
        "CNAME, no such type",
        "CNAME, wildcard",
        "delegation",
        "empty non-terminal",
        "exact match",
        "no such name",
        "no such type",
        "no such type at wildcard",
        "no zone of the view",
        "wildcard",
    ] {
        let seen = met.iter().any(|line| line.starts_with(construct));
        assert!(seen, "no question met: {construct}");
    }
    assert!(truncated > glue_cut, "no answer was truncated");
}

#[test]
fn refusals_mean_what_bind_means() {
    let served = serve(&both_views());
    let named = Named::start();
    let mut stranger = Client::new(STRANGER, Duration::from_secs(5));
    let mut client = Client::new(NETWORKS[0].2, Duration::from_secs(5));
    let plain = query("www.example.test.", RecordType::A, None);
    let mut hesiod = plain.clone();
    hesiod.queries[0].query_class = DNSClass::HS;
    let mut chaos = plain.clone();
    chaos.queries[0].query_class = DNSClass::CH;
    let mut status = plain.clone();
    status.metadata.op_code = OpCode::Status;
    let mut unknown = plain.clone();
    unknown.metadata.op_code = OpCode::Unknown(9);
    let mut version = query("www.example.test.", RecordType::A, Some(edns(1232)));
    version.edns.as_mut().unwrap().set_version(1);
    let mut two = plain.clone();
    two.queries.push(two.queries[0].clone());
    let types = [41, 249, 250, 251, 252, 253, 254, 128, 0, 65535];
    let types = types.map(|number| query("www.example.test.", RecordType::from(number), None));
    let mut wrong = Vec::new();
    let messages = [plain.clone(), hesiod, chaos, status, unknown, version, two];
    for message in messages.iter().chain(&types) {
        for tcp in [false, true] {
            // BIND closes a stream after some of these; each gets its own.
            client.streams.clear();
            let ours = client.ask(served.address, message, tcp);
            let theirs = client.ask(named.address, message, tcp);
            if meaning(&ours, false) != meaning(&theirs, false) {
                let of = |answer: &Message| answer.metadata.response_code;
                let query = &message.queries[0];
                wrong.push(format!(
                    "{:?} {} {:?} tcp {tcp}: ours {} theirs {}",
                    message.metadata.op_code,
                    query.query_class,
                    query.query_type,
                    of(&ours),
                    of(&theirs)
                ));
            }
        }
    }
    let ours = stranger.ask(served.address, &plain, false);
    let theirs = stranger.ask(named.address, &plain, false);
    assert_eq!(meaning(&ours, false), meaning(&theirs, false));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The broken twin: what the comparison is for must be seen by it.
#[test]
fn a_difference_is_seen() {
    let served = serve(&both_views());
    let message = query("proxy.example.com.", RecordType::A, None);
    let mut answers = NETWORKS.map(|(_, _, from)| {
        let mut client = Client::new(from, Duration::from_secs(5));
        client.ask(served.address, &message, false)
    });
    assert_ne!(meaning(&answers[0], false), meaning(&answers[1], false));
    let same = answers[0].clone();
    answers[0].metadata.authoritative = false;
    assert_ne!(meaning(&answers[0], false), meaning(&same, false));
}
