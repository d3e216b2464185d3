//! Answers from text zones: views, codes, sections, client subnets, and what a reload changed.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use ipnet::Ipv4Net;

use crate::model::addr::HostPort;
use crate::model::draw::Seed;
use crate::model::id::Generation;
use crate::model::mistake::{Files, Mistake};
use crate::model::network::{Element, Matcher};
use crate::model::topology::{self, Miss, Pool, Topology, ZoneSource};
use crate::policy::view::Subnet;
use crate::policy::zone::read_name;

use super::*;

struct Texts(BTreeMap<PathBuf, String>);

impl Files for Texts {
    fn read(&self, path: &Path) -> Result<String, String> {
        let text = self.0.get(path);
        text.cloned().ok_or_else(|| String::from("no such file"))
    }
}

/// Two views, `in` for 10/8 and `out` for anybody; a zone of each, and one that both share.
fn load(inside: &str, outside: &str) -> Result<(Rules, Vec<Mistake>), Vec<Mistake>> {
    load_with(Miss::Nxdomain, inside, outside)
}

/// The same, with what a name gets that the zone of `in` does not have.
fn load_with(
    miss: Miss,
    inside: &str,
    outside: &str,
) -> Result<(Rules, Vec<Mistake>), Vec<Mistake>> {
    let source = |origin: &str, file: &str| ZoneSource {
        origin: origin.to_owned(),
        file: PathBuf::from(file),
        miss: if file == "in" { miss } else { Miss::Nxdomain },
    };
    let view = |name: &str, text: &str, what| topology::View {
        name: name.into(),
        match_clients: vec![Element {
            text: text.into(),
            negated: false,
            what,
        }],
        match_destinations: Vec::new(),
        forward: None,
        zones: vec![
            source("example.test.", name),
            source("child.example.test.", "shared"),
        ],
    };
    let ten = Matcher::Ranges(vec![
        Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8).into(),
    ]);
    let topology = Topology {
        name: "test".into(),
        seed: Seed(1),
        networks: Vec::new(),
        dns: topology::Dns {
            ecs_trusted: vec![Ipv4Net::from(Ipv4Addr::LOCALHOST).into()],
            views: vec![
                view("in", "10.0.0.0/8", ten),
                view("out", "any", Matcher::Any),
            ],
            ..topology::Dns::new(([127, 0, 0, 1], 0).into())
        },
        pool: Pool {
            name: "proxies".into(),
            proxies: Vec::new(),
            teleport: crate::model::teleport::ProxyService::multiplexed(
                Vec::new(),
                HostPort {
                    host: "0.0.0.0".into(),
                    port: 3080,
                },
            ),
        },
        balancers: Vec::new(),
        agents: Vec::new(),
        users: Vec::new(),
        resolvers: Vec::new(),
        timeline: Vec::new(),
        expect: Vec::new(),
        duration: Span::from_secs(60),
        model: topology::Model::default(),
    };
    let top = "$TTL 60\n@ SOA ns h 1 2 3 4 5\n NS ns\nns A 192.0.2.1\n";
    let texts = [
        ("in", inside),
        ("out", outside),
        ("shared", "www A 192.0.2.9\n"),
    ];
    let texts = texts.map(|(name, text)| (PathBuf::from(name), format!("{top}{text}")));
    Rules::load(&topology, Generation(1), &Texts(texts.into()))
}

fn rules(inside: &str) -> Rules {
    load(inside, "www A 192.0.2.2\n").unwrap().0
}

fn question(from: &str, name: &str, record_type: RecordType) -> Question {
    Question {
        source: ClientAddr(SocketAddr::new(from.parse().unwrap(), 99)),
        destination: ListenAddr(([127, 0, 0, 1], 53).into()),
        transport: Transport::Udp,
        opcode: OpCode::Query,
        count: 1,
        name: read_name(name).unwrap(),
        record_type,
        class: DNSClass::IN,
        recursion_desired: false,
        edns: None,
    }
}

/// Shows an answer: code, flag, reason, and the names and types of its sections.
fn shown(answer: &Answer<'_>) -> String {
    let section = |section: &[Rrset<'_>]| {
        let words = records(section).map(|shown| format!("{} {}", shown.owner, shown.record_type));
        words.collect::<Vec<_>>().join(", ")
    };
    let aa = if answer.authoritative { " aa" } else { "" };
    let sections = [&answer.answer, &answer.authority, &answer.additional].map(|s| section(s));
    let [records, authority, additional] = sections;
    let code = rcode_word(answer.rcode);
    format!(
        "{code}{aa} ({}) [{records}] [{authority}] [{additional}]",
        answer.reason
    )
}

fn check(rules: &Rules, name: &str, record_type: RecordType, expected: &str) {
    let answer = decide(rules, &question("10.0.0.1", name, record_type));
    assert_eq!(shown(&answer), expected, "{name} {record_type}");
}

const SOA: &str = "[example.test. SOA]";

#[test]
fn a_question_ends_in_one_of_these_steps() {
    let rules = rules(
        "a A 192.0.2.3\n*.w A 192.0.2.4\nc CNAME a\nn CNAME none\nd CNAME e.w\no CNAME x.test.\n\
         l CNAME m\nm CNAME l\ns NS ns.s\nns.s A 192.0.2.5\nv CNAME x.s\nk CNAME www.child\n\
         child NS ns.child\nns.child A 192.0.2.6\n",
    );
    let a = RecordType::A;
    let check = |name, kind, expected: &str| check(&rules, name, kind, expected);
    check(
        "A.example.test",
        a,
        "NOERROR aa (exact match) [a.example.test. A] [] []",
    );
    let wild = "NOERROR aa (wildcard *.w.example.test.) [e.w.example.test. A] [] []";
    check("e.w.example.test", a, wild);
    let nodata = format!("NOERROR aa (no such type) [] {SOA} []");
    check("a.example.test", RecordType::MX, &nodata);
    check("w.example.test", a, &nodata);
    let none = format!("NXDOMAIN aa (no such name) [] {SOA} []");
    check("none.example.test", a, &none);
    let both = "NOERROR aa (CNAME 1, exact match) [c.example.test. CNAME, a.example.test. A] [] []";
    check("c.example.test", a, both);
    let nothing = format!("NXDOMAIN aa (CNAME 1, no such name) [n.example.test. CNAME] {SOA} []");
    check("n.example.test", a, &nothing);
    check(
        "d.example.test",
        a,
        "NOERROR aa (CNAME 1, wildcard *.w.example.test.) \
         [d.example.test. CNAME, e.w.example.test. A] [] []",
    );
    let outside = "NOERROR aa (CNAME 1, leads outside the zone) ";
    check(
        "o.example.test",
        a,
        &format!("{outside}[o.example.test. CNAME] [] []"),
    );
    check(
        "k.example.test",
        a,
        &format!("{outside}[k.example.test. CNAME] [] []"),
    );
    check(
        "l.example.test",
        a,
        "SERVFAIL aa (CNAME 2, back at a name already asked) \
         [l.example.test. CNAME, m.example.test. CNAME] [] []",
    );
    let referral = "[s.example.test. NS] [ns.s.example.test. A]";
    let cut = "delegation at s.example.test.";
    check(
        "x.s.example.test",
        a,
        &format!("NOERROR ({cut}) [] {referral}"),
    );
    let alias = format!("NOERROR aa (CNAME 1, {cut}) [v.example.test. CNAME] {referral}");
    check("v.example.test", a, &alias);
    check(
        "other.test",
        a,
        "REFUSED (no zone of the view holds the name) [] [] []",
    );
}

#[test]
fn the_most_specific_zone_answers_but_the_parent_has_ds() {
    let rules = rules("child NS ns.child\nchild DS 1 13 2 00\nns.child A 192.0.2.6\n");
    let exact = "NOERROR aa (exact match) ";
    let www = format!("{exact}[www.child.example.test. A] [] []");
    check(&rules, "www.child.example.test", RecordType::A, &www);
    let ds = format!("{exact}[child.example.test. DS] [] []");
    check(&rules, "child.example.test", RecordType::DS, &ds);
    let ns = format!("{exact}[child.example.test. NS] [] [ns.child.example.test. A]");
    check(&rules, "child.example.test", RecordType::NS, &ns);
    let own = format!("NOERROR aa (no such type) [] {SOA} []");
    check(&rules, "example.test", RecordType::DS, &own);
}

#[test]
fn rfc_2308_a_negative_answer_has_the_lesser_ttl() {
    let rules = rules("");
    let answer = decide(
        &rules,
        &question("10.0.0.1", "none.example.test", RecordType::A),
    );
    assert_eq!(answer.authority[0].ttl, 5);
    let soa = decide(
        &rules,
        &question("10.0.0.1", "example.test", RecordType::SOA),
    );
    assert_eq!(soa.answer[0].ttl, 60);
}

#[test]
fn what_is_not_served_is_refused_with_its_code() {
    let rules = rules("");
    let check = |change: &dyn Fn(&mut Question), expected: &str| {
        let mut question = question("10.0.0.1", "ns.example.test", RecordType::A);
        change(&mut question);
        let answer = decide(&rules, &question);
        assert!(shown(&answer).starts_with(expected), "{}", shown(&answer));
        assert!(answer.answer.is_empty());
    };
    check(&|q| q.class = DNSClass::CH, "REFUSED (class not served)");
    check(
        &|q| q.opcode = OpCode::Notify,
        "NOTIMP (operation not served)",
    );
    check(&|q| q.count = 2, "FORMERR (not exactly one question)");
    check(
        &|q| q.record_type = RecordType::AXFR,
        "NOTAUTH (zone transfers",
    );
    check(
        &|q| q.record_type = RecordType::OPT,
        "FORMERR (type not served)",
    );
    let edns = Edns {
        version: 0,
        payload: 1232,
        dnssec_ok: false,
        subnet: None,
        subnet_broken: false,
        ..Edns::default()
    };
    check(&|q| q.edns = Some(Edns { version: 1, ..edns }), "BADVERS");
    let broken = Edns {
        subnet_broken: true,
        ..edns
    };
    check(
        &|q| q.edns = Some(broken),
        "FORMERR (client subnet not proper)",
    );
}

#[test]
fn a_client_subnet_chooses_the_view_and_comes_back_with_its_exact_scope() {
    let rules = load("www A 192.0.2.1\n", "www A 192.0.2.2\n").unwrap().0;
    let ask = |from: &str, subnet: &str, name: &str| {
        let network: ipnet::IpNet = subnet.parse().unwrap();
        let mut question = question(from, name, RecordType::A);
        question.edns = Some(Edns {
            version: 0,
            payload: 1232,
            dnssec_ok: true,
            subnet: Some(Subnet {
                address: network.addr(),
                source: network.prefix_len(),
                scope: 0,
            }),
            subnet_broken: false,
            ..Edns::default()
        });
        let answer = decide(&rules, &question);
        let edns = answer.edns.unwrap();
        assert!(edns.dnssec_ok && edns.payload == PAYLOAD_MAX);
        let view = answer.view.map(|view| view.name.to_string());
        (view.unwrap(), edns.subnet.map(|subnet| subnet.scope))
    };
    let check = |from: &str, subnet: &str, name: &str, view: &str, scope: Option<u8>| {
        let expected = (String::from(view), scope);
        assert_eq!(ask(from, subnet, name), expected, "{from} {subnet} {name}");
    };
    let www = "www.example.test";
    check("127.0.0.1", "10.9.0.0/16", www, "in", Some(8));
    check("127.0.0.1", "11.9.0.0/16", www, "out", Some(8));
    check("127.0.0.1", "192.0.2.0/24", www, "out", Some(1));
    // Within the block that was given not everybody gets this answer.
    check("127.0.0.1", "0.0.0.0/4", www, "out", Some(5));
    check("127.0.0.1", "0.0.0.0/0", www, "out", Some(0));
    // Only a listed sender's option is looked at.
    check("10.0.0.1", "11.9.0.0/16", www, "in", None);
    // What both views say alike is true for everybody, and so is what they do not have.
    check("127.0.0.1", "10.9.0.0/16", "ns.example.test", "in", Some(0));
    check(
        "127.0.0.1",
        "10.9.0.0/16",
        "none.example.test",
        "in",
        Some(0),
    );
    check(
        "127.0.0.1",
        "10.9.0.0/16",
        "www.child.example.test",
        "in",
        Some(0),
    );
}

#[test]
fn the_mistakes_of_all_views_are_told_at_once() {
    let mistakes = load("a A x\n", "b A y\n").unwrap_err();
    let mistakes: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
    assert_eq!(mistakes.len(), 2, "{mistakes:?}");
    assert!(mistakes[0].starts_with("in:5:5: ") && mistakes[1].starts_with("out:5:5: "));
}

#[test]
fn a_reload_names_what_changed() {
    let old = load("same A 192.0.2.1\nold A 192.0.2.1\nttl 5 A 192.0.2.1\n", "")
        .unwrap()
        .0;
    let new = load("same A 192.0.2.1\nnew A 192.0.2.1\nttl 6 A 192.0.2.1\n", "")
        .unwrap()
        .0;
    let changed = [
        "in/new.example.test.",
        "in/old.example.test.",
        "in/ttl.example.test.",
    ];
    assert_eq!(diff(&old, &new), changed);
    assert_eq!(diff(&new, &new), Vec::<String>::new());
}

#[test]
fn a_reload_that_moves_a_network_says_so() {
    let check = |change: &dyn Fn(&mut Rules), expected: &[&str]| {
        let (old, mut new) = (rules(""), rules(""));
        change(&mut new);
        let mut changed = diff(&old, &new);
        // Records of views that came or went follow; the other test is about them.
        changed.retain(|entry| entry.contains(' '));
        assert_eq!(changed, expected);
    };
    check(&|_| {}, &[]);
    check(
        &|new| new.views[0].match_clients.clear(),
        &["view/in: match [10.0.0.0/8] became []"],
    );
    check(
        &|new| new.views.swap(0, 1),
        &["view order: [in, out] became [out, in]"],
    );
    check(
        &|new| new.views[1].name = "away".into(),
        &[
            "view/out: removed, match [any]",
            "view/away: added in place 2, match [any]",
        ],
    );
    check(
        &|new| new.ecs_trusted.clear(),
        &["dns.ecs.trusted: [127.0.0.1/32] became []"],
    );
}

mod faults;
mod homes;
mod options;
mod records;
