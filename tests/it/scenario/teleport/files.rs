//! Environment files and answers of find.

use std::path::Path;

use twodoors::scenario::teleport;

use super::{environment, said};

#[test]
fn an_environment_file_is_read_as_systemd_reads_it() {
    for (text, expected) in [
        ("", None),
        ("TELEPORT_TUNNEL_PUBLIC_ADDR=a:443", Some("a:443")),
        ("TELEPORT_TUNNEL_PUBLIC_ADDR=a:443\n", Some("a:443")),
        ("TELEPORT_TUNNEL_PUBLIC_ADDR=a:443\r\n", Some("a:443")),
        ("\u{feff}TELEPORT_TUNNEL_PUBLIC_ADDR=a", Some("a")),
        (
            "# words\n; more\n\n  TELEPORT_TUNNEL_PUBLIC_ADDR = a:443  \n",
            Some("a:443"),
        ),
        ("#TELEPORT_TUNNEL_PUBLIC_ADDR=a\n", None),
        ("TELEPORT_TUNNEL_PUBLIC_ADDR=\n", None),
        ("TELEPORT_TUNNEL_PUBLIC_ADDR=''\n", None),
        ("TELEPORT_TUNNEL_PUBLIC_ADDR=\"a:443\"\n", Some("a:443")),
        ("TELEPORT_TUNNEL_PUBLIC_ADDR='a:443'\n", Some("a:443")),
        ("TELEPORT_TUNNEL_PUBLIC_ADDR='a':443\n", Some("a:443")),
        ("TELEPORT_TUNNEL_PUBLIC_ADDR=a\\\n:443\n", Some("a:443")),
        ("TELEPORT_TUNNEL_PUBLIC_ADDR=\"a\\\"b\"\n", Some("a\"b")),
        // A # within a value is part of it: there are no comments at the end of a line.
        ("TELEPORT_TUNNEL_PUBLIC_ADDR=a # b\n", Some("a # b")),
        ("TELEPORT_TUNNEL_PUBLIC_ADDR=a=b\n", Some("a=b")),
        ("TELEPORT_TUNNEL_PUBLIC_ADDR=a\\ \n", Some("a ")),
    ] {
        let read = environment(text);
        said(&read.mistakes, &[], text);
        let value = read.value.expect("sound").tunnel_public_addr;
        assert_eq!(value.as_deref(), expected, "{text:?}");
    }
}

#[test]
fn what_systemd_passes_over_is_a_mistake_with_a_cure() {
    let long = format!("TELEPORT_TUNNEL_PUBLIC_ADDR={}", "a".repeat(600));
    for (text, part) in [
        (
            "A=1\nexport TELEPORT_TUNNEL_PUBLIC_ADDR=a\n",
            "t.yaml:2:1: export is a shell's word: systemd passes over this line; write TELEPORT_TUNNEL_PUBLIC_ADDR=…",
        ),
        (
            "\nTELEPORT_TUNNEL_PUBLIC_ADDR\n",
            "t.yaml:2:1: this line has no =",
        ),
        (
            "TELEPORT-ADDR=a\n",
            "\"TELEPORT-ADDR\" is not the name of a variable",
        ),
        ("=a\n", "\"\" is not the name of a variable"),
        ("A='b\nC=d\n", "t.yaml:1:3: this quote is never closed"),
        (
            &long,
            "t.yaml:1:29 TELEPORT_TUNNEL_PUBLIC_ADDR: this is longer than an address can be",
        ),
    ] {
        said(&environment(text).mistakes, &[part], text);
    }
    let both = "export A=1\nB\nexport C=2\n";
    assert_eq!(environment(both).mistakes.len(), 3);
}

#[test]
fn other_variables_are_listed_once() {
    let text = "HTTPS_PROXY=http://p:1\nNO_PROXY=a\nTELEPORT_TUNEL_PUBLIC_ADDR=x\nTELEPORT_TUNNEL_PUBLIC_ADDR=a\nTELEPORT_TUNNEL_PUBLIC_ADDR=b\n";
    let read = environment(text);
    said(
        &read.warnings,
        &[
            "not modelled, so without effect here: HTTPS_PROXY (line 1), NO_PROXY (line 2), TELEPORT_TUNEL_PUBLIC_ADDR (line 3)",
            "did you mean TELEPORT_TUNNEL_PUBLIC_ADDR?",
            "TELEPORT_TUNNEL_PUBLIC_ADDR is set twice: the last one counts",
        ],
        text,
    );
    let environment = read.value.expect("sound");
    assert_eq!(environment.tunnel_public_addr.as_deref(), Some("b"));
    let place = environment.keys.nearest("TELEPORT_TUNNEL_PUBLIC_ADDR");
    assert_eq!(place.to_string(), "t.yaml:5:29");
}

/// An answer as Teleport writes it, with fields that nobody here knows.
const FIND: &str = r#"{
  "auth": {"type": "local", "second_factor": "on", "local": {"name": ""}},
  "proxy": {
    "kube": {"enabled": true, "public_addr": "k:3026", "listen_addr": "0.0.0.0:3026"},
    "ssh": {
      "listen_addr": "[::]:3023", "tunnel_listen_addr": "0.0.0.0:3024",
      "web_listen_addr": "0.0.0.0:3080", "public_addr": "a:443", "ssh_public_addr": "s:22",
      "ssh_tunnel_public_addr": "t:3024", "dial_timeout": 30000000000
    },
    "db": {"postgres_listen_addr": "0.0.0.0:5432", "postgres_public_addr": "p:5432",
      "mysql_listen_addr": "0.0.0.0:3036", "mysql_public_addr": "m:3036",
      "mongo_listen_addr": "0.0.0.0:27017", "mongo_public_addr": "g:27017"},
    "tls_routing_enabled": true, "assist_enabled": null
  },
  "server_version": "17.0.0", "min_client_version": "16.0.0", "cluster_name": "example.com",
  "automatic_upgrades": false
}"#;

#[test]
fn a_saved_answer_of_find_is_read_whole() {
    let read = teleport::find(Path::new("-"), FIND).expect("an answer");
    assert!(read.tls_routing);
    let texts = [
        (read.cluster_name, "example.com"),
        (read.public_addr, "a:443"),
        (read.web_listen_addr, "0.0.0.0:3080"),
        (read.ssh_public_addr, "s:22"),
        (read.ssh_listen_addr, "[::]:3023"),
        (read.tunnel_public_addr, "t:3024"),
        (read.tunnel_listen_addr, "0.0.0.0:3024"),
        (read.kube_public_addr, "k:3026"),
        (read.kube_listen_addr, "0.0.0.0:3026"),
        (read.postgres_public_addr, "p:5432"),
        (read.postgres_listen_addr, "0.0.0.0:5432"),
        (read.mysql_public_addr, "m:3036"),
        (read.mysql_listen_addr, "0.0.0.0:3036"),
        (read.mongo_public_addr, "g:27017"),
        (read.mongo_listen_addr, "0.0.0.0:27017"),
    ];
    for (text, expected) in texts {
        assert_eq!(text, expected);
    }
    let little = teleport::find(
        Path::new("-"),
        r#"{"proxy": {"ssh": {"public_addr": null}}}"#,
    );
    let little = little.expect("fields may be absent");
    assert_eq!((little.tls_routing, &*little.public_addr), (false, ""));
}

#[test]
fn what_is_no_answer_of_find_is_said_with_its_place() {
    for (text, part) in [
        ("", "the file is empty"),
        (
            "<html>",
            "-:1:1 proxy: this is not an answer of /webapi/find",
        ),
        ("{}", "it has no mapping proxy"),
        (r#"{"proxy": 1}"#, "-:1:11 proxy: this is not an answer"),
        (
            r#"{"proxy": {"tls_routing_enabled": "yes"}}"#,
            "text is found where true or false is wanted",
        ),
        (
            r#"{"proxy": {"ssh": {"public_addr": ["a"]}}}"#,
            "-:1:35 proxy.ssh.public_addr: a list is found where text is wanted",
        ),
        (
            r#"{"proxy": {"ssh": {"public_addr": "a\u001b[31m:443"}}}"#,
            "holds a control character",
        ),
        (r#"{"error": {"message": "not found"}"#, "this is not YAML"),
    ] {
        let mistakes = teleport::find(Path::new("-"), text).expect_err(text);
        let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        said(&lines, &[part], text);
    }
}
