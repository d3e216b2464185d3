use super::*;
use crate::model::teleport::ListenerMode;

fn host_port(text: &str) -> HostPort {
    let read = addr::read(text).unwrap();
    HostPort {
        host: read.host.into(),
        port: read.port.unwrap(),
    }
}

/// A document with TLS routing of these fields, `key=value` each.
fn document(tls_routing: bool, fields: &[&str]) -> Document {
    let mut document = Document {
        tls_routing,
        ..Document::default()
    };
    for field in fields {
        let (key, value) = field.split_once('=').unwrap();
        *match key {
            "public" => &mut document.public_addr,
            "web_listen" => &mut document.web_listen_addr,
            "ssh_public" => &mut document.ssh_public_addr,
            "ssh_listen" => &mut document.ssh_listen_addr,
            "tunnel_public" => &mut document.tunnel_public_addr,
            "tunnel_listen" => &mut document.tunnel_listen_addr,
            "kube_public" => &mut document.kube_public_addr,
            "kube_listen" => &mut document.kube_listen_addr,
            "postgres_public" => &mut document.postgres_public_addr,
            "postgres_listen" => &mut document.postgres_listen_addr,
            "mysql_listen" => &mut document.mysql_listen_addr,
            other => panic!("{other}"),
        } = value.to_owned();
    }
    document
}

fn check(
    tls: bool,
    fields: &[&str],
    environment: Option<&str>,
    expected: Result<(&str, Rule), &str>,
) {
    let found = tunnel(&document(tls, fields), environment);
    match (&found, expected) {
        (Ok(found), Ok((address, rule))) => {
            assert_eq!(
                (found.address.to_string().as_str(), found.rule),
                (address, rule)
            );
        }
        (Err(unfound), Err(part)) => assert!(unfound.text.contains(part), "{unfound:?}"),
        _ => panic!("{fields:?} {environment:?}: {found:?}, expected {expected:?}"),
    }
    // What decides and what explains must not differ.
    let rules = considered(&document(tls, fields), environment);
    let won: Vec<Rule> = rules
        .iter()
        .filter(|c| c.fate == Fate::Won)
        .map(|c| c.rule)
        .collect();
    let rule = found.map_or_else(|unfound| unfound.rule, |found| found.rule);
    assert_eq!(won, [rule]);
}

#[test]
fn with_tls_routing_the_first_public_address_wins_and_the_tunnels_own_are_ignored() {
    let check = |fields: &[&str], expected| check(true, fields, None, expected);
    check(
        &[
            "public=proxy.example.com:3080",
            "web_listen=0.0.0.0:3080",
            "tunnel_public=internal.example.com:3024",
            "ssh_public=ssh.example.com:3023",
            "tunnel_listen=0.0.0.0:3024",
        ],
        Ok(("proxy.example.com:3080", Rule::TlsPublic)),
    );
    check(
        &["public=https://proxy.example.com:443/web"],
        Ok(("proxy.example.com:443", Rule::TlsPublic)),
    );
    check(&["public=[::1]:3080"], Ok(("[::1]:3080", Rule::TlsPublic)));
    check(
        &["public=proxy.example.com", "web_listen=0.0.0.0:3080"],
        Ok(("proxy.example.com:3080", Rule::TlsPublic)),
    );
    check(
        &["public=proxy.example.com"],
        Ok(("proxy.example.com:443", Rule::TlsPublic)),
    );
    check(
        &["web_listen=0.0.0.0:3080"],
        Ok(("localhost:3080", Rule::TlsWebListen)),
    );
    check(
        &["web_listen=[::]:3080"],
        Ok(("localhost:3080", Rule::TlsWebListen)),
    );
    check(
        &["web_listen=10.0.0.7"],
        Ok(("10.0.0.7:443", Rule::TlsWebListen)),
    );
}

#[test]
fn without_it_the_tunnels_own_come_first_and_borrowed_hosts_get_its_port() {
    let check = |fields: &[&str], expected| check(false, fields, None, expected);
    let all = [
        "tunnel_public=t.example.com:9024",
        "ssh_public=s.example.com:3023",
        "public=p.example.com:443",
        "tunnel_listen=0.0.0.0:5024",
        "web_listen=0.0.0.0:3080",
    ];
    check(&all, Ok(("t.example.com:9024", Rule::TunnelPublic)));
    check(&all[1..], Ok(("s.example.com:5024", Rule::SshPublic)));
    check(&all[2..], Ok(("p.example.com:5024", Rule::Public)));
    check(&all[3..], Ok(("localhost:5024", Rule::TunnelListen)));
    check(&all[4..], Ok(("localhost:3080", Rule::WebListen)));
    check(
        &["tunnel_public=t.example.com"],
        Ok(("t.example.com:3024", Rule::TunnelPublic)),
    );
    check(
        &["tunnel_public=t.example.com", "tunnel_listen=0.0.0.0:5024"],
        Ok(("t.example.com:5024", Rule::TunnelPublic)),
    );
    check(
        &["public=p.example.com:443"],
        Ok(("p.example.com:3024", Rule::Public)),
    );
    check(
        &["web_listen=10.0.0.7"],
        Ok(("10.0.0.7:3024", Rule::WebListen)),
    );
    check(&[], Err("find names no address"));
}

#[test]
fn the_variable_beats_everything_and_gets_no_default_port() {
    for tls in [true, false] {
        let fields = [
            "public=p.example.com:443",
            "tunnel_public=t.example.com:3024",
        ];
        let check = |environment, expected| check(tls, &fields, Some(environment), expected);
        check(
            "i.example.com:3080",
            Ok(("i.example.com:3080", Rule::Environment)),
        );
        check(
            "tcp://i.example.com:1",
            Ok(("i.example.com:1", Rule::Environment)),
        );
        check(":3024", Ok(("localhost:3024", Rule::Environment)));
        check("0.0.0.0", Ok(("localhost:3080", Rule::Environment)));
        check("i.example.com", Err("missing port in address"));
        check("ftp://i.example.com:1", Err("is not an address"));
    }
    let missing = tunnel(&document(true, &[]), Some("i.example.com")).unwrap_err();
    assert_eq!(missing.cause, Cause::NoPort);
    check(
        true,
        &["public=p:1"],
        Some(""),
        Ok(("p:1", Rule::TlsPublic)),
    );
}

#[test]
fn what_is_no_address_is_refused_and_no_later_rule_steps_in() {
    for text in ["ftp://proxy.example.com", "proxy.example.com:port", "::1"] {
        let public = format!("public={text}");
        let fields = [public.as_str(), "web_listen=0.0.0.0:3080"];
        check(true, &fields, None, Err("is not an address"));
    }
    check(true, &[], None, Err("find names no address"));
}

#[test]
fn every_rule_is_told_with_its_value_and_why_it_lost() {
    let fields = ["public=p:1", "tunnel_public=t:2", "web_listen=0.0.0.0:1"];
    let lost = |tls, environment| {
        let rules = considered(&document(tls, &fields), environment);
        assert_eq!(rules.iter().map(|c| c.rule).collect::<Vec<_>>(), Rule::ALL);
        let of = |rule| {
            let rule = rules.iter().find(|c| c.rule == rule).unwrap();
            match rule.fate {
                Fate::Won => String::from("won"),
                Fate::Lost(why) => format!("{} {why}", rule.value),
            }
        };
        (
            of(Rule::TlsWebListen),
            of(Rule::TunnelPublic),
            of(Rule::SshPublic),
        )
    };
    let words = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
    assert_eq!(
        lost(true, None),
        words(
            "0.0.0.0:1 an earlier rule won",
            "t:2 not considered with TLS routing",
            " not considered with TLS routing"
        )
    );
    assert_eq!(
        lost(false, None),
        words(
            "0.0.0.0:1 not considered without TLS routing",
            "won",
            " not set"
        )
    );
    let variable = "not considered: the variable is set";
    assert_eq!(
        lost(false, Some("i:3")),
        words(
            &format!("0.0.0.0:1 {variable}"),
            &format!("t:2 {variable}"),
            &format!(" {variable}")
        )
    );
}

/// A service with every listener and two of each public address.
fn service(version: Version, mode: ListenerMode) -> ProxyService {
    let two = |name: &str, port: u16| {
        let host = |n: u8| host_port(&format!("{name}{n}.example.com:{port}"));
        vec![host(1), host(2)]
    };
    let listen = |port: Port| (port, host_port(&format!("0.0.0.0:{}", port.default_port())));
    ProxyService {
        version,
        mode,
        listen: Port::ALL.map(listen).into(),
        ssh_public: two("ssh", 3023),
        tunnel_public: two("tunnel", 3024),
        ..ProxyService::multiplexed(two("public", 443), host_port("0.0.0.0:3080"))
    }
}

#[test]
fn only_first_elements_are_advertised_and_listeners_by_version_and_mode() {
    let of = |version, mode| advertise(&service(version, mode), "lab");
    let v3 = of(Version::V3, ListenerMode::Multiplex);
    assert_eq!(v3.public_addr, "public1.example.com:443");
    assert_eq!(v3.tunnel_public_addr, "tunnel1.example.com:3024");
    assert_eq!(v3.cluster_name, "lab");
    let web = "0.0.0.0:3080";
    for listen in [
        &v3.ssh_listen_addr,
        &v3.tunnel_listen_addr,
        &v3.kube_listen_addr,
        &v3.mysql_listen_addr,
        &v3.postgres_listen_addr,
        &v3.web_listen_addr,
    ] {
        assert_eq!(listen, web);
    }
    assert_eq!(v3.mongo_listen_addr, "0.0.0.0:27017");
    for (version, mode) in [
        (Version::V1, ListenerMode::Multiplex),
        (Version::V1, ListenerMode::Separate),
        (Version::V3, ListenerMode::Separate),
    ] {
        let apart = of(version, mode);
        assert_eq!(
            apart.tunnel_listen_addr, "0.0.0.0:3024",
            "{version:?} {mode:?}"
        );
        assert_eq!(
            apart.ssh_listen_addr, "0.0.0.0:3023",
            "{version:?} {mode:?}"
        );
    }
}

#[test]
fn postgres_borrows_the_public_host_only_where_it_has_a_listener() {
    let mut with = service(Version::V2, ListenerMode::Separate);
    let told = |service: &ProxyService| advertise(service, "lab").postgres_public_addr;
    assert_eq!(told(&with), "public1.example.com:5432");
    with.public.clear();
    assert_eq!(told(&with), "0.0.0.0:5432");
    with.postgres_public.push(host_port("db.example.com:9"));
    assert_eq!(told(&with), "db.example.com:9");
    with.postgres_public.clear();
    with.listen.retain(|(port, _)| *port != Port::Postgres);
    assert_eq!(told(&with), "");
}

#[test]
fn a_typed_proxy_gives_the_addresses_to_ping() {
    let check = |text: &str, expected: &[&str]| {
        let read = tsh_candidates(text).unwrap();
        let read: Vec<String> = read.iter().map(ToString::to_string).collect();
        assert_eq!(read, expected, "{text}");
    };
    check("a.example", &["a.example:3080", "a.example:443"]);
    check("a.example:", &["a.example:3080", "a.example:443"]);
    check("a.example:1234", &["a.example:1234"]);
    check("a.example:1234,5678", &["a.example:1234"]);
    check("a.example:1234,", &["a.example:1234"]);
    check("a.example:,5678", &["a.example:3080"]);
    check("[::1]:1", &["[::1]:1"]);
    check("[::1]", &["[::1]:3080", "[::1]:443"]);
    for text in [
        "",
        ":1",
        "a:1,2,3",
        "a:x",
        "a:1,x",
        "a:0",
        "a:65536",
        "::1",
        "[::1",
        "https://a",
    ] {
        assert!(tsh_candidates(text).is_err(), "{text}");
    }
}

#[test]
fn after_ping_users_go_where_they_are_told() {
    let asked = host_port("10.0.0.7:3080");
    let after = |fields: &[&str]| web_after_ping(&document(true, fields), &asked).to_string();
    assert_eq!(after(&["public=p.example.com:443"]), "p.example.com:443");
    assert_eq!(after(&["public=p.example.com"]), "p.example.com:3080");
    assert_eq!(after(&[]), "10.0.0.7:3080");
}

#[test]
fn other_protocols_have_their_own_addresses_without_tls_routing() {
    let web = host_port("p.example.com:443");
    let all = [
        "ssh_listen=0.0.0.0:5023",
        "kube_listen=0.0.0.0:5026",
        "postgres_public=pg.example.com",
        "postgres_listen=0.0.0.0:5432",
        "mysql_listen=0.0.0.0:5036",
    ];
    let of = |tls, fields: &[&str]| {
        let document = document(tls, fields);
        let database = |protocol| database(&document, &web, protocol).to_string();
        [
            ssh(&document, &web).to_string(),
            kube(&document, &web).to_string(),
            database("postgres"),
            database("mysql"),
        ]
    };
    assert_eq!(of(true, &all), ["p.example.com:443"; 4]);
    assert_eq!(
        of(false, &all),
        [
            "p.example.com:5023",
            "p.example.com:5026",
            "pg.example.com:443",
            "p.example.com:5036"
        ]
    );
    assert_eq!(
        of(false, &[]),
        [
            "p.example.com:3023",
            "p.example.com:3026",
            "p.example.com:443",
            "p.example.com:443"
        ]
    );
    assert_eq!(
        of(
            false,
            &[
                "ssh_public=s.example.com",
                "kube_public=k.example.com",
                "postgres_listen=:7"
            ]
        )[..3],
        [
            "s.example.com:3023",
            "k.example.com:3026",
            "p.example.com:7"
        ]
    );
}
