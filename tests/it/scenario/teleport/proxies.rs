//! The file of the pool: listeners, public addresses, certificates, the cluster's settings.

use twodoors::model::teleport::{
    ListenerMode, Port, ProxyProtocol, ProxyService, Strategy, Version, WebCertificate,
};

use super::{proxy, proxy_with, said};

/// Reads a file that has no mistake.
fn service(text: &str) -> ProxyService {
    let read = proxy(text);
    assert!(read.mistakes.is_empty(), "{text}\n{:#?}", read.mistakes);
    read.value.expect("a file without mistakes").service
}

/// Reads the keys of a `proxy_service`, one a line.
fn keys(version: &str, keys: &str) -> ProxyService {
    service(&file(version, keys))
}

fn file(version: &str, keys: &str) -> String {
    let keys: String = keys.lines().map(|line| format!("  {line}\n")).collect();
    format!("version: {version}\nproxy_service:\n  enabled: yes\n{keys}")
}

fn listen(service: &ProxyService) -> String {
    let each = service.listen.iter();
    let each = each.map(|(port, address)| format!("{port} {address}"));
    each.collect::<Vec<_>>().join(", ")
}

#[test]
fn each_version_has_its_own_listeners() {
    for (version, given, expected) in [
        (
            "v1",
            "public_addr: a",
            "web 0.0.0.0:3080, tunnel 0.0.0.0:3024, ssh 0.0.0.0:3023",
        ),
        ("v2", "public_addr: a", "web 0.0.0.0:3080"),
        ("v3", "public_addr: a", "web 0.0.0.0:3080"),
        (
            "v1",
            "public_addr: a\nkubernetes: {enabled: yes}",
            "web 0.0.0.0:3080, tunnel 0.0.0.0:3024, ssh 0.0.0.0:3023, kube 0.0.0.0:3026",
        ),
        (
            "v2",
            "public_addr: a\nkubernetes: {enabled: yes}",
            "web 0.0.0.0:3080",
        ),
        (
            "v3",
            "public_addr: a\nkubernetes: {enabled: yes, listen_addr: 0.0.0.0:13026}",
            "web 0.0.0.0:3080, kube 0.0.0.0:13026",
        ),
        (
            "v3",
            "public_addr: a\nweb_listen_addr: ':443'\ntunnel_listen_addr: 0.0.0.0:443",
            "web 0.0.0.0:443, tunnel 0.0.0.0:443",
        ),
        (
            // Every default port, from the row of its key.
            "v3",
            "public_addr: a\nweb_listen_addr: 0.0.0.0\nlisten_addr: 0.0.0.0\n\
             tunnel_listen_addr: 0.0.0.0\nkube_listen_addr: 0.0.0.0\nmysql_listen_addr: 0.0.0.0\n\
             postgres_listen_addr: 0.0.0.0\nmongo_listen_addr: 0.0.0.0",
            "web 0.0.0.0:3080, tunnel 0.0.0.0:3024, ssh 0.0.0.0:3023, kube 0.0.0.0:3026, \
             mysql 0.0.0.0:3036, postgres 0.0.0.0:5432, mongo 0.0.0.0:27017",
        ),
    ] {
        assert_eq!(listen(&keys(version, given)), expected, "{version} {given}");
    }
    // A file without a version is v1.
    assert_eq!(
        service("proxy_service: {public_addr: a}").version,
        Version::V1
    );
}

#[test]
fn a_public_address_without_a_port_has_the_default_of_its_key() {
    type Get = fn(&ProxyService) -> Vec<String>;
    fn texts(addresses: &[twodoors::model::addr::HostPort]) -> Vec<String> {
        addresses.iter().map(ToString::to_string).collect()
    }
    let public: Get = |s| texts(&s.public);
    let ssh: Get = |s| texts(&s.ssh_public);
    let tunnel: Get = |s| texts(&s.tunnel_public);
    let kube: Get = |s| texts(&s.kube_public);
    let mysql: Get = |s| texts(&s.mysql_public);
    let postgres: Get = |s| texts(&s.postgres_public);
    let mongo: Get = |s| texts(&s.mongo_public);
    let peer: Get = |s| texts(s.peer_public.as_slice());
    let cases: &[(&str, Get, &[&str])] = &[
        ("public_addr: a", public, &["a:3080"]),
        (
            "public_addr: a\nweb_listen_addr: 0.0.0.0:443",
            public,
            &["a:443"],
        ),
        (
            "public_addr: [a, 'b:1', 'https://c:2/web', '[::1]']",
            public,
            &["a:3080", "b:1", "c:2", "[::1]:3080"],
        ),
        ("public_addr: ''", public, &[]),
        ("public_addr: []", public, &[]),
        ("public_addr:", public, &[]),
        ("ssh_public_addr: a", ssh, &["a:3023"]),
        ("ssh_public_addr: [a, 'b:22']", ssh, &["a:3023", "b:22"]),
        ("tunnel_public_addr: a", tunnel, &["a:3024"]),
        ("tunnel_public_addr: ['a:1', b]", tunnel, &["a:1", "b:3024"]),
        (
            "kube_listen_addr: 0.0.0.0\nkube_public_addr: a",
            kube,
            &["a:3026"],
        ),
        (
            "kubernetes: {enabled: yes, public_addr: [a]}",
            kube,
            &["a:3026"],
        ),
        (
            "mysql_listen_addr: 0.0.0.0\nmysql_public_addr: a",
            mysql,
            &["a:3036"],
        ),
        (
            "mongo_listen_addr: 0.0.0.0\nmongo_public_addr: [a]",
            mongo,
            &["a:27017"],
        ),
        (
            "peer_listen_addr: 0.0.0.0\npeer_public_addr: a",
            peer,
            &["a:3021"],
        ),
        // Postgres: its listener's port, else that of public_addr, else the web port.
        (
            "postgres_listen_addr: 0.0.0.0:1\npostgres_public_addr: p\npublic_addr: 'a:2'",
            postgres,
            &["p:1"],
        ),
        (
            "postgres_public_addr: p\npublic_addr: 'a:2'",
            postgres,
            &["p:2"],
        ),
        (
            "postgres_public_addr: p\nweb_listen_addr: 0.0.0.0:4",
            postgres,
            &["p:4"],
        ),
        ("postgres_public_addr: p", postgres, &["p:3080"]),
    ];
    for (given, get, expected) in cases {
        assert_eq!(get(&keys("v3", given)), *expected, "{given}");
    }
}

#[test]
fn wrong_values_are_mistakes_at_their_place() {
    for (given, parts) in [
        (
            "kube_public_addr: a",
            &[
                "4:21 proxy_service.kube_public_addr: kube_listen_addr must be set when kube_public_addr is set",
            ][..],
        ),
        (
            "mysql_public_addr: a",
            &["mysql_listen_addr must be set when mysql_public_addr is set"],
        ),
        (
            "mongo_public_addr: a",
            &["mongo_listen_addr must be set when mongo_public_addr is set"],
        ),
        (
            "peer_public_addr: a",
            &["peer_listen_addr must be set when peer_public_addr is set"],
        ),
        (
            "kubernetes: {enabled: yes}\nkube_listen_addr: 0.0.0.0",
            &[
                "proxy_service should either set kube_listen_addr/kube_public_addr or kubernetes.enabled, not both",
            ],
        ),
        (
            "proxy_protocol: maybe",
            &["4:19 proxy_service.proxy_protocol: \"maybe\" is not known here"],
        ),
        (
            "public_addr: ['ftp://a', 'unix:/x', ':1']",
            &[
                "public_addr[0]: the scheme \"ftp\" is not supported",
                "public_addr[1]: \"unix:/x\" is a socket",
                "public_addr[2]: \":1\" has no host",
            ],
        ),
        (
            "listen_addr: 0.0.0.0:3080",
            &["proxy_service.listen_addr: port 3080 is that of web_listen_addr already"],
        ),
        (
            "https_cert_file: a.pem",
            &["https_key_file must be set as well"],
        ),
        (
            "https_key_file: a.pem",
            &["https_cert_file must be set as well"],
        ),
        (
            "https_keypairs: [{key_file: a}]",
            &["\"cert_file\" is missing"],
        ),
        (
            "publc_addr: a",
            &[
                "4:3 proxy_service.publc_addr: \"publc_addr\": as far as is known here Teleport has no such key and refuses the file; did you mean public_addr?",
            ],
        ),
        ("ui: {}\nacme: {mail: a}", &["proxy_service.acme.mail"]),
    ] {
        let text = file("v3", given);
        said(&proxy(&text).mistakes, parts, &text);
    }
}

#[test]
fn the_clusters_settings_are_those_of_the_auth_service() {
    let given = |text: &str| {
        service(&format!(
            "version: v3\nauth_service:\n{text}proxy_service: {{public_addr: a}}\n"
        ))
    };
    let none = service("version: v3\nproxy_service: {public_addr: a}\n");
    assert_eq!(none.mode, ListenerMode::Separate);
    assert_eq!(
        (none.cluster.clone(), none.strategy),
        (None, Strategy::AgentMesh)
    );
    assert_eq!(
        (none.keep_alive.as_us(), none.keep_alive_max),
        (300_000_000, 3)
    );
    assert_eq!(none.proxy_protocol, ProxyProtocol::Unset);
    let all = given(
        "  proxy_listener_mode: multiplex\n  cluster_name: example.com\n  keep_alive_interval: 1m30s\n  \
         keep_alive_count_max: 5\n  tunnel_strategy: {type: proxy_peering, agent_connection_count: 2}\n",
    );
    assert_eq!(all.mode, ListenerMode::Multiplex);
    assert_eq!(all.cluster.as_deref(), Some("example.com"));
    assert_eq!(all.strategy, Strategy::ProxyPeering { connections: 2 });
    assert_eq!(
        (all.keep_alive.as_us(), all.keep_alive_max),
        (90_000_000, 5)
    );
    // With peering instances listen for each other.
    assert_eq!(
        all.listener(Port::Peer).map(ToString::to_string).as_deref(),
        Some("0.0.0.0:3021")
    );
    let one = given("  tunnel_strategy: {type: proxy_peering}\n");
    assert_eq!(one.strategy, Strategy::ProxyPeering { connections: 1 });
    for (word, mode) in [
        ("on", ProxyProtocol::On),
        ("off", ProxyProtocol::Off),
        ("''", ProxyProtocol::Unset),
    ] {
        let service = keys("v3", &format!("public_addr: a\nproxy_protocol: {word}"));
        assert_eq!(service.proxy_protocol, mode, "{word}");
    }
    for (text, part) in [
        (
            "tunnel_strategy: {type: star}",
            "auth_service.tunnel_strategy.type: \"star\" is not known here",
        ),
        (
            "tunnel_strategy: {type: agent_mesh, extra: 1}",
            "auth_service.tunnel_strategy.extra",
        ),
        (
            "tunnel_strategy: {type: agent_mesh, agent_connection_count: 1}",
            "agent_mesh has no such key",
        ),
        ("tunnel_strategy: {}", "\"type\" is missing"),
        (
            "proxy_listener_mode: multiplexed",
            "did you mean multiplex?",
        ),
        ("keep_alive_interval: 5", "5 has no unit; write 5s"),
        ("keep_alive_interval: 5d", "\"5d\" is not a duration"),
        ("keep_alive_count_max: many", "keep_alive_count_max"),
    ] {
        let text =
            format!("version: v3\nauth_service:\n  {text}\nproxy_service: {{public_addr: a}}\n");
        said(&proxy(&text).mistakes, &[part], &text);
    }
}

#[test]
fn an_auth_service_elsewhere_says_nothing_here() {
    let text = "version: v3\nteleport: {auth_server: 'auth.example.com:3025'}\nauth_service: {enabled: no, proxy_listener_mode: multiplex}\nproxy_service: {public_addr: a}\n";
    let read = proxy(text);
    said(
        &read.warnings,
        &[
            "proxy_listener_mode is what another file says: separate is taken",
            "not modelled, so without effect here: teleport.auth_server (line 2), auth_service.proxy_listener_mode (line 3)",
        ],
        text,
    );
    let service = read.value.expect("sound").service;
    assert_eq!(service.mode, ListenerMode::Separate);
}

#[test]
fn keys_that_are_not_modelled_are_listed_once() {
    let text = "version: v3\nteleport:\n  nodename: a\n  data_dir: /var/lib/teleport\n  log: {output: stderr, severity: INFO}\n  ca_pin: ''\nauth_service:\n  enabled: 'yes'\n  listen_addr: 0.0.0.0:3025\nssh_service:\n  enabled: 'yes'\n  commands: [{name: hostname, command: [hostname], period: 1m0s}]\nproxy_service:\n  enabled: 'yes'\n  public_addr: a\n  https_keypairs: []\n  https_keypairs_reload_interval: 0s\nmetrics_service: {enabled: no}\n";
    let read = proxy(text);
    said(&read.mistakes, &[], text);
    said(
        &read.warnings,
        &[
            "t.yaml:3:3: not modelled, so without effect here: teleport.nodename (line 3), \
           teleport.data_dir (line 4), teleport.log (line 5), teleport.ca_pin (line 6), \
           auth_service.listen_addr (line 9), ssh_service (line 11), ssh_service.commands (line 12), \
           proxy_service.https_keypairs_reload_interval (line 17), metrics_service (line 18)",
        ],
        text,
    );
    // The broken twin: what Teleport does not have either is a mistake.
    let twin = text.replace("nodename", "nodenam");
    said(&proxy(&twin).mistakes, &["did you mean nodename?"], &twin);
}

#[test]
fn the_names_of_the_web_certificate_come_from_its_file() {
    let pem = |names: &[&str]| {
        let key = rcgen::KeyPair::generate().expect("a key");
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let params = rcgen::CertificateParams::new(names).expect("names");
        params.self_signed(&key).expect("a certificate").pem()
    };
    let one = "public_addr: [a, b]\nhttps_keypairs: [{key_file: k, cert_file: tls/one.pem}]";
    let both = "public_addr: a\nhttps_keypairs: [{key_file: k, cert_file: tls/one.pem}]\nhttps_key_file: k\nhttps_cert_file: two.pem";
    let files = || {
        vec![
            (
                "tls/one.pem",
                pem(&["Proxy.example.com", "*.proxy.example.com", "127.0.0.1"]),
            ),
            ("two.pem", pem(&["proxy.example.com", "second.example.com"])),
        ]
    };
    let read = |keys: &str, files| {
        let text = file("v3", keys);
        let read = proxy_with(&text, files);
        (
            read.value.map(|file| file.service.certificate),
            read.mistakes,
            read.warnings,
        )
    };
    let names = |names: &[&str]| {
        Some(WebCertificate::Read(
            names.iter().map(|name| (*name).into()).collect(),
        ))
    };
    let first = ["proxy.example.com", "*.proxy.example.com", "127.0.0.1"];
    assert_eq!(read(one, files()).0, names(&first));
    let four = [&first[..], &["second.example.com"]].concat();
    assert_eq!(read(both, files()).0, names(&four));
    assert_eq!(
        read("public_addr: a", files()).0,
        Some(WebCertificate::SelfSigned)
    );
    // One that is elsewhere: the lab issues one, and says so.
    let (certificate, _, warnings) = read(both, files().split_off(1));
    assert_eq!(certificate, Some(WebCertificate::Elsewhere));
    said(
        &warnings,
        &[
            "https_keypairs[0].cert_file: tls/one.pem cannot be read (there is no such file): the lab's authority issues a certificate",
        ],
        both,
    );
    let acme =
        "public_addr: ['a:443', 'b:443', 'a:1']\nacme: {enabled: yes, email: ops@example.com}";
    let (certificate, _, warnings) = read(acme, files());
    assert_eq!(certificate, names(&["a", "b"]));
    said(&warnings, &["the lab asks no ACME authority"], acme);
    for text in [
        "",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    ] {
        let (_, mistakes, _) = read(one, vec![("tls/one.pem", text.to_owned())]);
        said(&mistakes, &["tls/one.pem is not a certificate"], text);
    }
}

#[test]
fn a_file_of_the_pool_follows_the_rules_of_its_version() {
    for (text, parts) in [
        (
            "version: v3\nteleport: {proxy_server: a}\nproxy_service: {public_addr: a}\n",
            &["proxy_server can not be specified when proxy service is enabled"][..],
        ),
        (
            "version: v2\nteleport: {auth_server: a}\nproxy_service: {public_addr: a}\n",
            &["auth_server is supported from config version v3 onwards"],
        ),
        (
            "teleport: {proxy_server: a}\nproxy_service: {public_addr: a}\n",
            &["proxy_server is supported from config version v3 onwards; add version: v3"],
        ),
        (
            "version: v3\nteleport: {auth_servers: [a]}\nproxy_service: {public_addr: a}\n",
            &["config v3 has replaced auth_servers with either auth_server or proxy_server"],
        ),
        ("version: v4\n", &["\"v4\" is not known here"]),
        (
            "version: v3\nproxy_service: {enabled: no}\n",
            &["the file of the pool has the Proxy Service switched off"],
        ),
        (
            "version: v3\nproxy_service: {enabled: perhaps}\n",
            &["\"perhaps\" is neither yes nor no"],
        ),
    ] {
        said(&proxy(text).mistakes, parts, text);
    }
    // Old files that Teleport takes are taken.
    let old = "teleport: {auth_servers: ['auth.example.com:3025']}\nauth_service: {enabled: no}\nproxy_service: {public_addr: a}\n";
    said(&proxy(old).mistakes, &[], old);
}

#[test]
fn keys_are_found_where_they_stand() {
    let text = "version: v3\nauth_service:\n  proxy_listener_mode: multiplex\nproxy_service:\n  public_addr:\n    - a\n    - b:3024\n";
    let keys = proxy(text).value.expect("sound").keys;
    for (key, at) in [
        ("proxy_service.public_addr[1]", "t.yaml:7:7"),
        ("auth_service.proxy_listener_mode", "t.yaml:3:24"),
        ("proxy_service.tunnel_public_addr[0]", "t.yaml:5:3"),
    ] {
        assert_eq!(keys.nearest(key).to_string(), at, "{key}");
    }
}
