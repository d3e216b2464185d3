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
        teleport: crate::model::teleport::ProxyService::multiplexed(
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
fn the_web_certificate_has_every_public_host_and_one_label_below() {
    let names = web(&[
        host_port("proxy.example.com"),
        host_port("127.0.0.1"),
        host_port("proxy.example.com"),
    ]);
    assert_eq!(
        names,
        ["proxy.example.com", "*.proxy.example.com", "127.0.0.1"]
    );
}
