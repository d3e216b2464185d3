//! What goes beside the records: cookies, the server's name, extended errors; and what a name gets
//! that its zone does not have.

use crate::policy::cookie::{Given, Secret};

use super::*;

const INSIDE: &str = "10.0.0.1";

fn with_cookies(cookies: Cookies) -> Rules {
    let server = Server {
        cookies,
        ..Server::default()
    };
    rules("").with_server(server)
}

fn secret() -> Secret {
    Secret::new([7; 16])
}

/// Asks with a cookie of these octets; gives the code and the cookie that comes back.
fn ask(rules: &Rules, cookie: &[u8], transport: Transport, count: usize) -> (String, Vec<u8>) {
    let mut question = question(INSIDE, "www.child.example.test", RecordType::A);
    let given = Given::read(cookie, 1_000_000);
    question.transport = transport;
    question.count = count;
    question.edns = Some(Edns {
        cookie: given,
        cookie_broken: given.is_none(),
        ..Edns::default()
    });
    let answer = decide(rules, &question);
    let cookie = answer.edns.and_then(|edns| edns.cookie);
    let cookie = cookie.map(|cookie| cookie.to_vec());
    (answer.code().to_owned(), cookie.unwrap_or_default())
}

#[test]
fn a_cookie_is_given_and_taken() {
    let rules = with_cookies(Cookies::Offered(secret()));
    let (code, full) = ask(&rules, b"12345678", Transport::Udp, 1);
    assert_eq!((code.as_str(), full.len()), ("NOERROR", 24));
    assert_eq!(full[..8], *b"12345678");
    let again = ask(&rules, &full, Transport::Udp, 1);
    assert_eq!(again, (code, full));
    let (code, full) = ask(&rules, b"123456789", Transport::Udp, 1);
    assert_eq!((code.as_str(), full.len()), ("FORMERR", 0));
    // RFC 7873 section 5.4: a cookie alone.
    let (code, full) = ask(&rules, b"12345678", Transport::Udp, 0);
    assert_eq!((code.as_str(), full.len()), ("NOERROR", 24));
}

#[test]
fn a_cookie_is_asked_for_over_udp_where_it_is_required() {
    let rules = with_cookies(Cookies::Required(secret()));
    let (code, full) = ask(&rules, b"12345678", Transport::Udp, 1);
    assert_eq!(code, "BADCOOKIE");
    assert_eq!(ask(&rules, &full, Transport::Udp, 1).0, "NOERROR");
    assert_eq!(ask(&rules, b"12345678", Transport::Tcp, 1).0, "NOERROR");
    let plain = question(INSIDE, "www.child.example.test", RecordType::A);
    assert_eq!(decide(&rules, &plain).code(), "NOERROR");
}

#[test]
fn a_cookie_is_ignored_where_there_are_none() {
    let rules = with_cookies(Cookies::Off);
    for cookie in [&b"12345678"[..], b"1"] {
        let told = ask(&rules, cookie, Transport::Udp, 1);
        assert_eq!(told, (String::from("NOERROR"), Vec::new()));
    }
    assert_eq!(ask(&rules, b"12345678", Transport::Udp, 0).0, "FORMERR");
}

#[test]
fn the_server_says_its_name_when_asked() {
    let name = |name: &[u8], nsid: bool| {
        let server = Server {
            name: Box::from(name),
            ..Server::default()
        };
        let rules = rules("").with_server(server);
        let mut question = question(INSIDE, "www.child.example.test", RecordType::A);
        question.edns = Some(Edns {
            nsid,
            ..Edns::default()
        });
        let own = decide(&rules, &question).edns.unwrap();
        own.nsid.map(<[u8]>::to_vec)
    };
    assert_eq!(name(b"a", true).as_deref(), Some(&b"a"[..]));
    assert_eq!(name(b"a", false), None);
    assert_eq!(name(b"", true), None);
    assert_eq!(name(&[b'n'; 99], true).map(|name| name.len()), Some(64));
}

#[test]
fn an_extended_error_says_why() {
    let rules = rules("");
    let check = |name: &str, kind: RecordType, edns: bool, expected: Option<(u16, &str)>| {
        let mut question = question(INSIDE, name, kind);
        question.edns = edns.then(Edns::default);
        let answer = decide(&rules, &question);
        let error = answer.edns.and_then(|edns| edns.error);
        let text = error.map(|_| answer.error_text());
        assert_eq!(error.zip(text.as_deref()), expected, "{name}");
    };
    let nowhere = "view in: no zone of the view holds the name";
    check("nowhere.invalid", RecordType::A, true, Some((20, nowhere)));
    check("nowhere.invalid", RecordType::A, false, None);
    check("www.child.example.test", RecordType::A, true, None);
    let transfer = "view in: zone transfers not served";
    check("example.test", RecordType::AXFR, true, Some((18, transfer)));
}

#[test]
fn a_name_that_the_zone_lacks_gets_what_the_zone_says() {
    let out = "www A 192.0.2.2\nonly A 192.0.2.3\nhost.deep A 192.0.2.4\n";
    let inside = "www A 192.0.2.1\nalias CNAME only\ndeep TXT x\n";
    let check = |miss: Miss, name: &str, expected: &str| {
        let rules = load_with(miss, inside, out).unwrap().0;
        check(&rules, name, RecordType::A, expected);
    };
    let only = "only.example.test";
    let none = "NXDOMAIN aa (no such name) [] [example.test. SOA] []";
    check(Miss::Nxdomain, only, none);
    let refused =
        "REFUSED (not in example.test. of in, names that the zone does not have are refused)";
    check(Miss::Refuse, only, &format!("{refused} [] [] []"));
    let asked = "not in example.test. of in, out asked";
    let found = format!("NOERROR aa ({asked}, exact match) [only.example.test. A] [] []");
    check(Miss::Public, only, &found);
    // A name that is there without the type is not missing; an alias into the gap is followed.
    let there = "NOERROR aa (no such type) [] [example.test. SOA] []";
    check(Miss::Public, "deep.example.test", there);
    let both = "[alias.example.test. CNAME, only.example.test. A] [] []";
    let alias = format!("NOERROR aa ({asked}, CNAME 1, exact match) {both}");
    check(Miss::Public, "alias.example.test", &alias);
    let gone = format!("NXDOMAIN aa ({asked}, no such name) [] [example.test. SOA] []");
    check(Miss::Public, "gone.example.test", &gone);
}

#[test]
fn what_a_dname_makes_ends_a_question_for_it() {
    let rules = rules("dn DNAME target\nx.target A 192.0.2.9\n");
    let both = "[dn.example.test. DNAME, x.dn.example.test. CNAME";
    let made = "redirected by DNAME at dn.example.test.";
    let whole = format!("NOERROR aa ({made}) {both}] [] []");
    check(&rules, "x.dn.example.test", RecordType::CNAME, &whole);
    check(&rules, "x.dn.example.test", RecordType::ANY, &whole);
    let led = format!("NOERROR aa (CNAME 1, exact match) {both}, x.target.example.test. A] [] []");
    check(&rules, "x.dn.example.test", RecordType::A, &led);
}

#[test]
fn signatures_are_looked_for_at_an_alias_itself() {
    let rules = rules("alias CNAME www\nwww A 192.0.2.9\n");
    let none = "NOERROR aa (no such type) [] [example.test. SOA] []";
    for kind in [RecordType::RRSIG, RecordType::NSEC] {
        check(&rules, "alias.example.test", kind, none);
    }
}

/// RFC 7828: the idle time is told to streams that ask, beside any answer of version 0.
#[test]
fn a_stream_that_asks_is_told_how_long_it_may_be_silent() {
    let told = |keepalive: bool, version: u8, name: &str| {
        let mut question = question(INSIDE, name, RecordType::A);
        question.transport = Transport::Tcp;
        question.edns = Some(Edns {
            version,
            keepalive,
            ..Edns::default()
        });
        decide(&rules(""), &question).edns.unwrap().keepalive
    };
    let name = "www.child.example.test";
    assert_eq!(told(true, 0, name), Some(IDLE_TENTHS));
    assert_eq!(told(true, 0, "elsewhere.test"), Some(IDLE_TENTHS));
    assert_eq!(told(false, 0, name), None);
    assert_eq!(told(true, 1, name), None, "BADVERS says nothing else");
}
