//! Data of every type: its words are read, and written as they were.

use super::*;
use crate::model::draw::Seed;
use crate::policy::zone::data::record_data;
use crate::policy::zone::kinds::fields;
use crate::policy::zone::lexer::Lexer;

/// Types and words that come back as they are.
const PLAIN: &[(&str, &str)] = &[
    ("A", "192.0.2.1"),
    ("A6", "0 2001:db8::1"),
    ("A6", "64 ::1 ns.example.test."),
    ("A6", "128 ns.example.test."),
    ("AAAA", "2001:db8::1"),
    ("AFSDB", "1 ns.example.test."),
    ("AMTRELAY", "10 0 0 ."),
    ("AMTRELAY", "10 0 1 203.0.113.15"),
    ("AMTRELAY", "10 1 2 2001:db8::15"),
    ("AMTRELAY", "128 1 3 relay.example.test."),
    (
        "APL",
        "1:192.0.2.0/24 !1:192.0.2.128/25 2:2001:db8::/32 1:0.0.0.0/0",
    ),
    ("APL", ""),
    ("AVC", "\"app-name:x\""),
    ("CAA", "128 issue \"ca.test; a=b\""),
    ("CAA", "0 iodef \"\""),
    ("CDNSKEY", "0 3 0 AA=="),
    ("CDS", "0 0 0 00"),
    ("CERT", "3 0 0 AAECAwQ="),
    ("CNAME", "."),
    ("CSYNC", "66 3 A NS AAAA"),
    ("DHCID", "AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA="),
    ("DLV", "1 13 2 00ff"),
    ("DNAME", "other.test."),
    ("DNSKEY", "257 3 13 AAECAwQF"),
    ("DS", "60485 5 1 2bb183af5f22588179a53b0a98631fad1a292118"),
    ("DSYNC", "CDS 1 5359 sync.example.test."),
    ("EID", "00ff"),
    ("EUI48", "00-00-5e-00-53-2a"),
    ("EUI64", "00-00-5e-ef-10-00-00-2a"),
    ("GPOS", "\"-32.6882\" \"116.8652\" \"10.0\""),
    ("HINFO", "\"a b\" \"c\\\"d\""),
    (
        "HIP",
        "2 200100107b1a74df AAECAwQF a.example.test. b.example.test.",
    ),
    (
        "HTTPS",
        "1 . alpn=\"h2,h3\" ipv4hint=192.0.2.1,192.0.2.2 ech=AAECAw==",
    ),
    ("IPSECKEY", "10 0 2 . AAEC"),
    ("IPSECKEY", "10 1 0 192.0.2.38"),
    ("IPSECKEY", "10 2 2 2001:db8::38 AAEC"),
    ("IPSECKEY", "10 3 2 gate.example.test. AAEC"),
    ("ISDN", "\"150862028003217\""),
    ("ISDN", "\"150862028003217\" \"004\""),
    ("KEY", "256 3 5 AAEC"),
    ("KX", "10 ns.example.test."),
    ("L32", "10 10.1.2.0"),
    ("L64", "10 2001:0db8:1140:1000"),
    ("LOC", "42 21 54.000 N 71 6 18.500 W -24.05m 30m 10000m 10m"),
    (
        "LOC",
        "90 0 0.000 S 180 0 0.000 E 42849672.95m 0m 90000000m 0.01m",
    ),
    ("LP", "10 l.example.test."),
    ("MB", "ns.example.test."),
    ("MG", "ns.example.test."),
    ("MINFO", "a.example.test. b.example.test."),
    ("MR", "ns.example.test."),
    ("MX", "0 ."),
    ("NAPTR", "100 10 \"u\" \"E2U+sip\" \"!^.*$!sip:x@y!\" ."),
    ("NID", "10 0014:4fff:ff20:ee64"),
    ("NIMLOC", "00ff"),
    ("NSAP", "0x47000580005a0000000001e133ffffff00016100"),
    ("NSAP-PTR", "ns.example.test."),
    ("NSEC", "b.example.test. A RRSIG NSEC NXNAME TYPE1234"),
    (
        "NSEC3",
        "1 1 10 aabbccdd 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom A RRSIG",
    ),
    ("NSEC3", "1 0 0 - 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"),
    ("NSEC3PARAM", "1 0 10 -"),
    ("OPENPGPKEY", "AAEC"),
    ("PTR", "ns.example.test."),
    ("PX", "10 a.example.test. b.example.test."),
    ("RESINFO", "\"qnamemin\" \"exterr=15,16,17\""),
    ("RP", "h.example.test. t.example.test."),
    (
        "RRSIG",
        "A 13 3 60 20300101000000 20240229235959 1 example.test. AAEC",
    ),
    ("RT", "1 ns.example.test."),
    ("SMIMEA", "3 1 1 00ff"),
    ("SPF", "\"v=spf1 -all\""),
    ("SRV", "0 0 5060 ns.example.test."),
    ("SSHFP", "4 2 00ff"),
    ("SVCB", "0 other.test."),
    (
        "SVCB",
        "1 . mandatory=alpn,key65280 alpn=\"h2\" no-default-alpn port=53 key65280=\"x\"",
    ),
    (
        "SVCB",
        "1 . alpn=\"f\\\\\\\\oo\\\\,bar,h2\" dohpath=\"/dns-query{?dns}\" ohttp",
    ),
    (
        "SVCB",
        "1 . ipv6hint=2001:db8::1,2001:db8::2 tls-supported-groups=29,23 key65535",
    ),
    ("TALINK", "a.example.test. b.example.test."),
    ("TLSA", "3 1 1 00ff"),
    ("TXT", "\"\" \"a;b\" \"\\000\\255\" \"\\\\\""),
    ("TYPE65280", "\\# 0"),
    ("URI", "10 1 \"https://example.test/?a=\\\"b\\\"\""),
    ("WALLET", "\"x\""),
    ("X25", "\"311061700956\""),
    ("ZONEMD", "1 1 1 00ff"),
];

/// Words that mean the same as others.
const SAME: &[(&str, &str, &str)] = &[
    ("TXT", "a b", "\"a\" \"b\""),
    (
        "LOC",
        "42 N 71 W 0m",
        "42 0 0.000 N 71 0 0.000 W 0m 1m 10000m 10m",
    ),
    (
        "LOC",
        "42 21 5.5 n 71 w -1.5",
        "42 21 5.500 N 71 0 0.000 W -1.50m 1m 10000m 10m",
    ),
    ("DS", "1 ECDSAP256SHA256 2 00 ff", "1 13 2 00ff"),
    ("DNSKEY", "256 3 rsasha256 AA EC", "256 3 8 AAEC"),
    ("CERT", "pgp 0 ED25519 AAEC", "3 0 15 AAEC"),
    (
        "RRSIG",
        "A 13 3 1h 1893456000 0 1 @ AAEC",
        "A 13 3 3600 20300101000000 19700101000000 1 example.test. AAEC",
    ),
    (
        "SVCB",
        "1 @ port=1 alpn=h2 key4=\\192\\000\\002\\001",
        "1 example.test. alpn=\"h2\" port=1 ipv4hint=192.0.2.1",
    ),
    ("NSEC", "b.test. AAAA A A", "b.test. A AAAA"),
    ("MX", "\\# 4 000a 0161 00", "\\# 4 000a0161 x"),
    ("MX", "\\# 5 000a 0161 00", "10 a."),
    ("NSAP", "0x47.0005", "0x470005"),
    ("L64", "10 1:2:3:4", "10 0001:0002:0003:0004"),
    ("A", "\\# 4 c0000201", "192.0.2.1"),
];

fn read(kind: RecordType, words: &str) -> Result<Vec<u8>, String> {
    let mut tokens = Vec::new();
    Lexer::new(words.as_bytes(), 1, true).next_entry(&mut tokens);
    let origin = read_name("example.test")?;
    let mut data = Vec::new();
    let read = record_data(kind, &tokens, &origin, &mut data);
    read.map(|()| data).map_err(|wrong| wrong.what)
}

#[test]
fn words_of_every_type_come_back_as_they_were() {
    for (kind, words) in PLAIN {
        let kind = read_type(kind).unwrap_or_else(|| panic!("no type {kind}"));
        let data = read(kind, words).unwrap_or_else(|what| panic!("{kind} {words}: {what}"));
        assert_eq!(data_words(kind, &data), *words, "{kind}");
    }
    let written = |kind: &str| PLAIN.iter().any(|(known, _)| *known == kind);
    for kind in (1..=u16::MAX).filter(|kind| fields(*kind).is_some()) {
        let word = type_word(kind.into());
        let obvious = ["NS", "MD", "MF", "SOA", "SIG", "NINFO", "RKEY", "TA"];
        assert!(
            written(&word) || obvious.contains(&word.as_str()),
            "no words of {word} are tried"
        );
    }
}

#[test]
fn words_that_mean_the_same_come_back_as_one() {
    for (kind, words, same) in SAME {
        let record_type = read_type(kind).unwrap();
        match read(record_type, words) {
            Ok(data) => assert_eq!(data_words(record_type, &data), *same, "{kind} {words}"),
            Err(what) => assert!(same.ends_with('x'), "{kind} {words}: {what}"),
        }
    }
}

/// Whatever octets a type's data can be, their words mean these octets again.
#[test]
fn words_of_changed_octets_mean_these_octets() {
    let seed = Seed(9);
    let (mut worded, mut draws) = (0, 0);
    let mut below = |bound: usize| {
        draws += 1;
        usize::try_from(seed.draw("zone", "octets", draws) % bound.max(1) as u64).unwrap()
    };
    for (kind, words) in PLAIN {
        let record_type = read_type(kind).unwrap();
        let plain = read(record_type, words).unwrap();
        for _ in 0..300 {
            let mut data = plain.clone();
            for _ in 0..=below(2) {
                let at = below(data.len());
                match below(3) {
                    0 if at < data.len() => data[at] = u8::try_from(below(256)).unwrap(),
                    1 if at < data.len() => drop(data.remove(at)),
                    _ => data.insert(at, u8::try_from(below(256)).unwrap()),
                }
            }
            let words = data_words(record_type, &data);
            if words.starts_with("\\#") {
                continue;
            }
            worded += 1;
            let back = read(record_type, &words);
            assert_eq!(back.as_ref(), Ok(&data), "{kind} {words}");
        }
    }
    assert!(worded > 2_000, "only {worded} changes left words");
}

#[test]
fn octets_above_127_are_kept() {
    let mut text = TOP.as_bytes().to_vec();
    text.extend(b"t TXT \"\xe4\" \xc3\xa4\n\xe4 A 192.0.2.1\n");
    let zone = load_octets(text);
    let txt = zone
        .node(&Key::new(&read_name("t.example.test").unwrap()))
        .and_then(|node| node.set(RecordType::TXT))
        .unwrap();
    assert_eq!(txt.first(), b"\x01\xe4\x02\xc3\xa4");
    assert!(
        zone.nodes()
            .any(|node| node.name().wire().starts_with(b"\x01\xe4"))
    );
}

#[test]
fn parameters_of_services_are_checked() {
    let check = |words: &str, expected: &str| {
        let what = read(RecordType::SVCB, words).expect_err(words);
        assert!(what.contains(expected), "{words}: {what}");
    };
    check("1 . port=1 port=2", "the parameter port is there twice");
    check("1 . port=1 key3=2", "the parameter key3 is there twice");
    check(
        "1 . mandatory=port",
        "mandatory lists port, which is not there",
    );
    check("1 . mandatory=mandatory", "not a value of mandatory");
    check("1 . mandatory=port,port port=1", "not a value of mandatory");
    check("1 . no-default-alpn", "no-default-alpn without alpn");
    check("1 . no-default-alpn=x alpn=h2", "has no value");
    check("1 . alpn=h2,", "not a value of alpn");
    check("1 . port", "port needs a value");
    check("1 . nosuch=x", "not a service parameter");
    check("1 . key01=x", "not a service parameter");
    check("1 . dohpath=dns", "not a value of dohpath");
}
