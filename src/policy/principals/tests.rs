use super::*;
use crate::model::addr::BackendAddr;

const NOW: u64 = 1_800_000_000;

fn shown() -> Shown {
    Shown {
        kind: ShownKind::HostCertificate,
        key_id: String::from("proxy-1"),
        principals: vec![
            String::from("0f3c.lab"),
            String::from("internal_proxy.example.com"),
        ],
        ca_known: true,
        signature_valid: true,
        valid_after: NOW - 10,
        valid_before: NOW + 10,
        critical_options: Vec::new(),
        role: Some(String::from("Proxy")),
    }
}

fn refused(change: impl FnOnce(&mut Shown)) -> String {
    let mut shown = shown();
    change(&mut shown);
    check(&shown, "internal_proxy.example.com", NOW)
        .expect_err("it must be refused")
        .to_string()
}

#[test]
fn a_listed_name_of_a_trusted_authority_in_time_is_accepted() {
    assert_eq!(check(&shown(), "internal_proxy.example.com", NOW), Ok(()));
    assert_eq!(check(&shown(), "0f3c.lab", NOW), Ok(()));
}

#[test]
fn each_flaw_is_refused_in_the_words_of_go() {
    assert_eq!(
        check(&shown(), "10.0.0.1", NOW).map_err(|refusal| refusal.to_string()),
        Err(String::from(
            "ssh: principal \"10.0.0.1\" not in the set of valid principals for given \
             certificate: [\"0f3c.lab\" \"internal_proxy.example.com\"]"
        ))
    );
    assert_eq!(
        refused(|s| s.kind = ShownKind::PlainKey),
        "ssh: non-certificate host key"
    );
    assert_eq!(
        refused(|s| s.kind = ShownKind::UserCertificate),
        "ssh: certificate presented as a host key has type 1"
    );
    assert_eq!(
        refused(|s| s.ca_known = false),
        "ssh: no authorities for hostname: internal_proxy.example.com"
    );
    assert_eq!(
        refused(|s| s.critical_options = vec![String::from("source-address")]),
        "ssh: unsupported critical option \"source-address\" in certificate"
    );
    assert_eq!(
        refused(|s| s.principals.clear()),
        "ssh: certificate without principals"
    );
    assert_eq!(refused(|s| s.valid_before = NOW), "ssh: cert has expired");
    assert_eq!(
        refused(|s| s.valid_after = NOW + 1),
        "ssh: cert is not yet valid"
    );
    assert_eq!(
        refused(|s| s.signature_valid = false),
        "ssh: certificate signature does not verify"
    );
}

#[test]
fn validity_includes_its_first_second_and_not_its_last() {
    let mut edge = shown();
    (edge.valid_after, edge.valid_before) = (NOW, NOW + 1);
    assert_eq!(check(&edge, "0f3c.lab", NOW), Ok(()));
    assert_eq!(check(&edge, "0f3c.lab", NOW + 1), Err(Refusal::Expired));
}

#[test]
fn a_name_is_compared_whole() {
    assert!(check(&shown(), "internal_proxy.example", NOW).is_err());
    assert!(check(&shown(), "", NOW).is_err());
}

fn host_port(host: &str) -> HostPort {
    HostPort {
        host: host.into(),
        port: 3080,
    }
}

#[test]
fn a_proxy_lists_id_and_cluster_first_and_every_public_host() {
    let pool = Pool {
        name: "proxies".into(),
        proxies: Vec::new(),
        teleport: ProxyService::multiplexed(
            vec![
                host_port("external_proxy.example.com"),
                host_port("internal_proxy.example.com"),
            ],
            host_port("0.0.0.0"),
        ),
    };
    let one = Proxy {
        name: "1".into(),
        id: "0f3c".into(),
        listen: BackendAddr(std::net::SocketAddr::from(([127, 0, 0, 1], 0))),
        further: Vec::new(),
    };
    let names = proxy(&pool, &one, "lab");
    assert_eq!(
        names,
        [
            "0f3c.lab",
            "0f3c",
            "proxy-1.lab",
            "proxy-1",
            "localhost",
            "127.0.0.1",
            "::1",
            "external_proxy.example.com",
            "internal_proxy.example.com",
            "remote.kube.proxy.teleport.cluster.local",
        ]
    );
    assert_eq!(host_id(&names), Some("0f3c"));
    assert_eq!(host_id(&[""; 0]), None);
    assert_eq!(host_id(&[""]), None);
}

#[test]
fn a_proxy_asks_for_every_host_of_every_list_in_order() {
    let listen = |port, host: &str| (port, host_port(host));
    let service = ProxyService {
        listen: vec![
            listen(Port::Web, "0.0.0.0"),
            listen(Port::Tunnel, "10.0.0.3"),
            listen(Port::Ssh, ""),
            listen(Port::Postgres, "10.0.0.9"),
            listen(Port::Mysql, "10.0.0.4"),
            listen(Port::Peer, "10.0.0.5"),
        ],
        ssh_public: vec![host_port("s1"), host_port("s2")],
        tunnel_public: vec![host_port("t1"), host_port("t2")],
        kube_public: vec![host_port("k1")],
        mysql_public: vec![host_port("m1")],
        postgres_public: vec![host_port("p1")],
        peer_public: Some(host_port("peer")),
        ..ProxyService::multiplexed(vec![host_port("a"), host_port("b")], host_port("0.0.0.0"))
    };
    let asked = requested(&service, "Proxy-1");
    assert_eq!(
        asked,
        [
            "Proxy-1",
            "proxy-1",
            "a",
            "b",
            "0.0.0.0",
            "0.0.0.0",
            "10.0.0.3",
            "10.0.0.4",
            "10.0.0.5",
            "localhost",
            "127.0.0.1",
            "::1",
            "remote.kube.proxy.teleport.cluster.local",
            "s1",
            "s2",
            "t1",
            "t2",
            "p1",
            "m1",
            "k1",
            "peer",
        ]
    );
    assert_eq!(
        issued(("0f3c", "Proxy-1"), "lab", asked),
        [
            "0f3c.lab",
            "0f3c",
            "Proxy-1.lab",
            "Proxy-1",
            "localhost",
            "127.0.0.1",
            "::1",
            "proxy-1",
            "a",
            "b",
            "10.0.0.3",
            "10.0.0.4",
            "10.0.0.5",
            "remote.kube.proxy.teleport.cluster.local",
            "s1",
            "s2",
            "t1",
            "t2",
            "p1",
            "m1",
            "k1",
            "peer",
        ]
    );
}

#[test]
fn names_of_the_identity_have_stars_where_kubernetes_is() {
    let mut service = ProxyService::multiplexed(
        vec![host_port("a.example"), host_port("10.0.0.1")],
        host_port("0.0.0.0"),
    );
    let fixed = ["*.teleport.cluster.local", "teleport.cluster.local"];
    assert_eq!(
        identity_dns_names(&service),
        [fixed[0], fixed[1], "*.a.example"]
    );
    service.version = Version::V1;
    assert_eq!(identity_dns_names(&service), fixed);
}

#[test]
fn the_web_certificate_follows_where_its_pair_is() {
    let mut service = ProxyService::multiplexed(
        vec![
            host_port("proxy.example.com"),
            host_port("127.0.0.1"),
            host_port("proxy.example.com"),
        ],
        host_port("0.0.0.0"),
    );
    service.tunnel_public = vec![host_port("tunnel.example.com")];
    service.ssh_public = vec![host_port("ssh.example.com")];
    assert_eq!(
        web(&service, "proxy-1"),
        [
            "proxy.example.com",
            "*.proxy.example.com",
            "127.0.0.1",
            "tunnel.example.com",
            "*.tunnel.example.com"
        ]
    );
    service.certificate = WebCertificate::Read(vec!["*.example.com".into()]);
    assert_eq!(web(&service, "proxy-1"), ["*.example.com"]);
    service.certificate = WebCertificate::SelfSigned;
    assert_eq!(
        web(&service, "proxy-1"),
        ["proxy-1", "localhost", "proxy.example.com", "127.0.0.1"]
    );
}

#[test]
fn a_star_stands_for_one_label() {
    for (name, host, expected) in [
        ("a.example", "a.example", true),
        ("a.example", "A.Example.", true),
        ("a.example", "b.a.example", false),
        ("*.a.example", "b.a.example", true),
        ("*.a.example", "a.example", false),
        ("*.a.example", "c.b.a.example", false),
    ] {
        assert_eq!(covers(name, host), expected, "{name} for {host}");
    }
}

#[test]
fn a_stand_in_shows_a_user_certificate_in_its_own_name() {
    let mut user = shown();
    user.kind = ShownKind::UserCertificate;
    user.principals = vec![String::from("stand-in")];
    assert_eq!(check_user(&user, "stand-in", NOW), Ok(()));
    assert!(matches!(
        check_user(&user, "root", NOW),
        Err(Refusal::Principal { .. })
    ));
    assert_eq!(
        check_user(&user, "stand-in", NOW + 10),
        Err(Refusal::Expired)
    );
    user.ca_known = false;
    assert!(matches!(
        check_user(&user, "stand-in", NOW),
        Err(Refusal::UnknownAuthority(_))
    ));
    assert_eq!(
        check_user(&shown(), "0f3c.lab", NOW),
        Err(Refusal::HostCertificate)
    );
    user.kind = ShownKind::PlainKey;
    assert_eq!(check_user(&user, "stand-in", NOW), Err(Refusal::PlainKey));
}
