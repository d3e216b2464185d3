//! Zones from text: every form that is read, every mistake with its place, every step of a lookup.

mod checks;
mod data;
mod directives;

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use crate::model::topology::Miss;

use super::*;

/// Files by name.
struct Texts(BTreeMap<PathBuf, String>);

impl Files for Texts {
    fn read(&self, path: &Path) -> Result<String, String> {
        let text = self.0.get(path);
        text.cloned().ok_or_else(|| String::from("no such file"))
    }
}

const TOP: &str = "$TTL 60\n@ SOA ns h 1 2 3 4 5\n NS ns\nns A 192.0.2.1\n";

fn load_files(files: &[(&str, &str)]) -> Loaded {
    let texts = files
        .iter()
        .map(|(path, text)| (PathBuf::from(path), String::from(*text)));
    let source = ZoneSource {
        origin: String::from("example.test."),
        file: PathBuf::from(files[0].0),
        miss: Miss::Nxdomain,
    };
    Zone::load(&source, &Texts(texts.collect()))
}

/// One file of any octets.
struct Octets(Vec<u8>);

impl Files for Octets {
    fn read(&self, _: &Path) -> Result<String, String> {
        Err(String::from("it is not text"))
    }

    fn open(&self, _: &Path) -> Result<Box<dyn Read + '_>, String> {
        Ok(Box::new(Cursor::new(&self.0)))
    }
}

fn load_octets(octets: Vec<u8>) -> Zone {
    let source = ZoneSource {
        origin: String::from("example.test."),
        file: PathBuf::from("zone"),
        miss: Default::default(),
    };
    let loaded = Zone::load(&source, &Octets(octets));
    assert_eq!(loaded.mistakes, []);
    loaded.zone.unwrap()
}

/// Loads a zone of [`TOP`] and this text, which begins on line 5.
fn load(text: &str) -> Loaded {
    load_files(&[("zone", &format!("{TOP}{text}"))])
}

fn zone(text: &str) -> Zone {
    let loaded = load(text);
    assert_eq!(loaded.mistakes, []);
    loaded.zone.unwrap()
}

/// Shows the records of a name.
fn records(zone: &Zone, name: &str) -> Vec<String> {
    let key = Key::new(&read_name(name).unwrap());
    let node = zone.node(&key).unwrap_or_else(|| panic!("no {name}"));
    let words = node.sets().flat_map(|set| {
        let (ttl, record_type) = (set.ttl(), set.record_type());
        set.items().map(move |item| {
            let kind = type_word(record_type);
            format!("{ttl} {kind} {}", data_words(record_type, item.data))
        })
    });
    words.collect()
}

fn check_records(text: &str, name: &str, expected: &[&str]) {
    assert_eq!(records(&zone(text), name), expected, "{text}");
}

#[track_caller]
fn check_mistakes(text: &str, expected: &[&str]) {
    let loaded = load(text);
    let found: Vec<_> = loaded.mistakes.iter().map(ToString::to_string).collect();
    assert!(loaded.zone.is_none(), "{text}");
    assert_eq!(found.len(), expected.len(), "{text}: {found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            found.starts_with(expected),
            "{text}: {found:?} is not {expected:?}"
        );
    }
}

#[test]
fn a_record_has_its_ttl_and_class_in_either_order_or_not_at_all() {
    check_records("a 5 IN A 192.0.2.1", "a.example.test", &["5 A 192.0.2.1"]);
    check_records(
        "a IN 1h30m A 192.0.2.1",
        "a.example.test",
        &["5400 A 192.0.2.1"],
    );
    check_records("a A 192.0.2.1", "a.example.test", &["60 A 192.0.2.1"]);
    check_records(
        "a class1 type1 192.0.2.1",
        "a.example.test",
        &["60 A 192.0.2.1"],
    );
    check_records("IN IN A 192.0.2.1", "in.example.test", &["60 A 192.0.2.1"]);
}

#[test]
fn a_ttl_that_is_not_written_is_the_last_one_or_the_minimum() {
    let text = "@ SOA ns h 1 2 3 4 77\n NS ns\nns A 192.0.2.1\nb 9 A 192.0.2.1\nc A 192.0.2.1\n";
    let zone = load_files(&[("zone", text)]).zone.unwrap();
    assert_eq!(records(&zone, "ns.example.test"), ["77 A 192.0.2.1"]);
    assert_eq!(records(&zone, "c.example.test"), ["9 A 192.0.2.1"]);
}

#[test]
fn strings_and_names_are_unescaped() {
    let text = r#"t TXT "a;b(c" d\"e "\195\164" "" ; comment"#;
    let quoted = zone(text);
    let key = Key::new(&read_name("t.example.test").unwrap());
    let txt = quoted.node(&key).unwrap().set(RecordType::TXT).unwrap();
    assert_eq!(txt.first(), b"\x05a;b(c\x03d\"e\x02\xc3\xa4\0");
    let dotted = zone(r"a\.b A 192.0.2.1");
    let key = Key::new(&Name::from_labels([&b"a.b"[..], b"example", b"test"]).unwrap());
    assert!(dotted.node(&key).is_some());
}

#[test]
fn parentheses_join_lines_and_comments_end_them() {
    let text = "( a ; one\n A ( 192.0.2.1 ) ; two\n )\n;only\n\n \t\nb A 192.0.2.2";
    check_records(text, "a.example.test", &["60 A 192.0.2.1"]);
    check_records(text, "b.example.test", &["60 A 192.0.2.2"]);
}

#[test]
fn unknown_types_are_carried_as_they_are() {
    check_records(
        "u TYPE65280 \\# 3 01 0203",
        "u.example.test",
        &["60 TYPE65280 \\# 3 010203"],
    );
    check_records(
        "u TYPE65280 \\# 0",
        "u.example.test",
        &["60 TYPE65280 \\# 0"],
    );
    check_records("u A \\# 4 c0000201", "u.example.test", &["60 A 192.0.2.1"]);
    check_mistakes("u A \\# 3 c00002", &["zone:5:5: A: not the data of A"]);
    check_mistakes(
        "u TYPE65280 \\# 2 01",
        &["zone:5:18: TYPE65280: 1 octets where \\# says 2"],
    );
    check_mistakes(
        "u TYPE65280 abc",
        &["zone:5:13: TYPE65280: there are no words"],
    );
}

#[test]
fn rfc_9460_section_2_2_parameters_are_put_in_order() {
    let zone = zone("s SVCB 1 www port=8443 alpn=\"h2,h3\" ipv4hint=192.0.2.1");
    let words = records(&zone, "s.example.test");
    let place = |word: &str| words[0].find(word).unwrap_or_else(|| panic!("{words:?}"));
    assert!(place("www.example.test.") < place("alpn") && place("alpn") < place("port"));
    assert!(place("port") < place("ipv4hint"));
}

#[test]
fn line_ends_of_other_systems_are_read_and_marks_are_not() {
    let text = TOP.replace('\n', "\r\n");
    assert_eq!(load_files(&[("zone", &text)]).mistakes, []);
    let marked = load_files(&[("zone", &format!("\u{feff}{TOP}"))]).mistakes;
    assert!(
        marked[0]
            .to_string()
            .starts_with("zone:1:1: the file begins with a byte order mark")
    );
    check_mistakes("a TXT x\ry", &["zone:5:8: a carriage return inside a line"]);
}

#[test]
fn an_included_file_leaves_origin_ttl_and_owner_as_they_were() {
    let main = format!("{TOP}x A 192.0.2.1\n$INCLUDE sub/inc inner\n TXT after\ny A 192.0.2.2\n");
    let inner = "$TTL 7\n$ORIGIN deep\nz A 192.0.2.3\n$INCLUDE more\n";
    let more = "@ A 192.0.2.4\n";
    let loaded = load_files(&[
        ("dir/zone", &main),
        ("dir/sub/inc", inner),
        ("dir/sub/more", more),
    ]);
    assert_eq!(loaded.mistakes, []);
    let zone = loaded.zone.unwrap();
    assert_eq!(
        records(&zone, "x.example.test"),
        ["60 A 192.0.2.1", "60 TXT \"after\""]
    );
    assert_eq!(records(&zone, "y.example.test"), ["60 A 192.0.2.2"]);
    assert_eq!(
        records(&zone, "z.deep.inner.example.test"),
        ["7 A 192.0.2.3"]
    );
    let deep = Key::new(&read_name("deep.inner.example.test").unwrap());
    let set = zone.node(&deep).unwrap().sets().next().unwrap();
    let item = set.items().next().unwrap();
    assert_eq!((item.file, item.line), (Path::new("dir/sub/more"), 1));
}

#[test]
fn a_file_that_includes_itself_ends() {
    let loaded = load("$INCLUDE zone\n");
    let last = loaded.mistakes.last().unwrap();
    assert!(
        last.to_string().contains("zone is included too deep"),
        "{last}"
    );
}

#[test]
fn every_mistake_is_told_with_its_place() {
    check_mistakes(
        "a A 192.0.2.256\nb NOSUCH x\n  c..d A 1\nfoo.other. A 192.0.2.1\n$FOO\n$TTL 1y\n\"x\n",
        &[
            "zone:5:5: A: `192.0.2.256` is not an IPv4 address",
            "zone:6:3: `NOSUCH` is not a type",
            "zone:7:3: `c..d` is not a type",
            "zone:8:1: foo.other. is not in the zone example.test.; a final dot",
            "zone:9:1: the directive $FOO is not known",
            "zone:10:6: `1y` is not a TTL",
            "zone:11:1: the quote is not closed on this line",
        ],
    );
}

#[test]
fn each_rule_of_form_has_its_mistake() {
    check_mistakes("a A (192.0.2.1\nb A 1", &["zone:5:5: `(` is never closed"]);
    check_mistakes("a A 192.0.2.1)", &["zone:5:14: `)` without `(`"]);
    check_mistakes("a TXT b\\", &["zone:5:8: `\\` at the end of a line"]);
    check_mistakes("a TXT \\999", &["zone:5:7: TXT: a bad escape"]);
    check_mistakes("a CH TXT b", &["zone:5:3: class CH is not served"]);
    check_mistakes(
        "a 4294967296 A 192.0.2.1",
        &["zone:5:3: the TTL 4294967296 is above"],
    );
    check_mistakes("a MX 10", &["zone:5:6: MX: a name is missing"]);
    check_mistakes("a A 192.0.2.1 x", &["zone:5:15: A: more than the data"]);
    check_mistakes("a", &["zone:5:1: the type is missing"]);
    check_mistakes("a AXFR b", &["zone:5:3: AXFR exists in messages only"]);
    check_mistakes(
        "$INCLUDE nowhere",
        &["zone:5:10: nowhere cannot be read: no such file"],
    );
    check_mistakes("$TTL 1 2", &["zone:5:8: $TTL takes no more than 1"]);
    let label = format!("{} A 192.0.2.1", "x".repeat(64));
    check_mistakes(&label, &["zone:5:1: `xxx"]);
    let long = format!("{}b A 192.0.2.1", "x.".repeat(122));
    check_mistakes(&long, &["zone:5:1: `x.x."]);
    let string = format!("a TXT {}", "x".repeat(256));
    check_mistakes(&string, &["zone:5:7: TXT: a string of 256 octets"]);
}

#[test]
fn each_rule_of_zones_has_its_mistake() {
    check_mistakes(
        "a CNAME b\na A 192.0.2.1",
        &["zone:6:1: a.example.test.: other data beside"],
    );
    check_mistakes(
        "a A 192.0.2.1\na CNAME b",
        &["zone:6:1: a.example.test.: a CNAME beside"],
    );
    check_mistakes(
        "a CNAME b\na CNAME c",
        &["zone:6:1: a.example.test.: a second CNAME"],
    );
    check_mistakes(
        "@ SOA ns h 2 2 3 4 5",
        &["zone:5:1: example.test.: a second SOA"],
    );
    check_mistakes(
        "a SOA ns h 2 2 3 4 5",
        &["zone:5:1: an SOA at a.example.test., not at the apex"],
    );
    let check = |text: &str, expected: &str| {
        let loaded = load_files(&[("zone", text)]);
        let first = loaded
            .mistakes
            .first()
            .map(ToString::to_string)
            .unwrap_or_default();
        assert!(first.starts_with(expected), "{text}: {first}");
    };
    check(
        "@ 1 NS ns\nns 1 A 192.0.2.1",
        "zone:1:1: the zone example.test. has no SOA",
    );
    check(
        "@ 1 SOA ns h 1 2 3 4 5",
        "zone:1:1: the zone example.test. has no NS",
    );
    check(" 1 A 192.0.2.1", "zone:1:2: the first record has no owner");
    check("a A 192.0.2.1", "zone:1:1: no TTL here");
}

#[test]
fn what_looks_wrong_is_warned_and_served() {
    let text = "under_score A 192.0.2.1\nt 5 A 192.0.2.1\nt 6 A 192.0.2.2\nt 5 A 192.0.2.1\n\
                sub NS ns.sub\n";
    let loaded = load(text);
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 3, "{warnings:#?}");
    assert!(warnings[0].starts_with("zone:5:1: underscore-in-name: under_score.example.test."));
    assert!(warnings[1].starts_with("zone:7:1: TTL 6 differs from the 5"));
    assert!(warnings[2].starts_with("zone:9:1: no address for the name server ns.sub"));
    let records = records(&loaded.zone.unwrap(), "t.example.test");
    assert_eq!(records, ["5 A 192.0.2.1", "5 A 192.0.2.2"]);
}

#[test]
fn a_final_dot_that_is_missing_is_warned_of() {
    let text = "www.example.test A 192.0.2.1\na CNAME www.example.test\nb CNAME www.example.test.\n\
                example A 192.0.2.1\ntest A 192.0.2.1\n";
    let warnings = load(text).warnings;
    let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 2, "{warnings:#?}");
    let doubled = "final-dot-missing: www.example.test.example.test. holds the origin twice";
    assert!(warnings[0].starts_with(&format!("zone:5:1: {doubled}")));
    assert!(warnings[1].starts_with(&format!("zone:6:1: {doubled}")));
}

#[test]
fn mistakes_are_bounded() {
    let loaded = load(&"x NOSUCH\n".repeat(1_000));
    assert_eq!(loaded.mistakes.len(), 100);
}

/// Asks for a type below the origin and shows what the zone says.
fn said(zone: &Zone, name: &str, record_type: RecordType) -> String {
    let of = |node: Node<'_>, wildcard| match wildcard {
        true => format!(" {}", node.name()),
        false => String::new(),
    };
    let absolute = read_name(&format!("{name}.example.test")).unwrap();
    match lookup(zone, &Key::new(&absolute), record_type) {
        Found::Records { node, wildcard, .. } => format!("records{}", of(node, wildcard)),
        Found::Alias { node, wildcard, .. } => format!("alias{}", of(node, wildcard)),
        Found::Subtree { node, .. } => format!("dname {}", node.name()),
        Found::Delegation { cut, .. } => format!("delegation {}", cut.name()),
        Found::NoType { node, wildcard } => format!("no type{}", of(node, wildcard)),
        Found::NoName { .. } => String::from("no name"),
    }
}

#[test]
fn rfc_4592_section_2_2_1_wildcards() {
    // The example of the RFC, in our zone.
    let zone = zone(
        "* TXT wild\n* MX 10 host1\nsub.* TXT \"this is not a wildcard\"\nhost1 A 192.0.2.1\n\
         _ssh._tcp.host1 SRV 0 0 22 host1\n_ssh._tcp.host2 SRV 0 0 22 host2\nsubdel NS ns\n",
    );
    let check = |name, record_type, expected: &str| {
        assert_eq!(
            said(&zone, name, record_type),
            expected,
            "{name} {record_type}"
        );
    };
    check("host3", RecordType::MX, "records *.example.test.");
    check("host3", RecordType::A, "no type *.example.test.");
    check("foo.bar", RecordType::TXT, "records *.example.test.");
    check("host1", RecordType::MX, "no type");
    check("sub.*", RecordType::MX, "no type");
    check("_telnet._tcp.host1", RecordType::SRV, "no name");
    check(
        "host.subdel",
        RecordType::A,
        "delegation subdel.example.test.",
    );
    check("ghost.*", RecordType::MX, "no name");
    check("_tcp.host2", RecordType::A, "no type");
    check("host2", RecordType::TXT, "no type");
}

#[test]
fn a_cut_hides_what_is_below_it_but_the_parent_keeps_ds() {
    let zone = zone(
        "sub NS ns.sub\nns.sub A 192.0.2.2\nwww.sub A 192.0.2.3\ndeep.sub NS ns.sub\n\
         signed NS ns\nsigned DS 1 13 2 00\n",
    );
    let check = |name, record_type, expected: &str| {
        assert_eq!(
            said(&zone, name, record_type),
            expected,
            "{name} {record_type}"
        );
    };
    check("www.sub", RecordType::A, "delegation sub.example.test.");
    check("x.deep.sub", RecordType::A, "delegation sub.example.test.");
    check("sub", RecordType::NS, "delegation sub.example.test.");
    check("sub", RecordType::DS, "no type");
    check("signed", RecordType::DS, "records");
    check(
        "x.signed",
        RecordType::DS,
        "delegation signed.example.test.",
    );
}
