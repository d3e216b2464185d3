//! `explain dial`, `principals` and `route`: what a person and a script read of Teleport's rules.

pub(crate) mod table;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use table::{CASES, Case, Expected, FINDS};

const AGENT: &str = "\
version: v3
teleport: {proxy_server: proxy.example.com:443}
auth_service: {enabled: no}
proxy_service: {enabled: no}
app_service: {enabled: yes, apps: [{name: orders, uri: 'http://localhost:8080'}]}
";

/// A folder of a user's files.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Folder {
    fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("twodoors-explain-{}-{number}", std::process::id());
        let folder = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(&folder.0).unwrap();
        folder.write("agent.yaml", AGENT)
    }

    fn write(self, name: &str, text: &str) -> Self {
        fs::write(self.0.join(name), text).unwrap();
        self
    }

    /// Runs the binary there and gives its code, what it wrote, and what it complained of.
    fn run(&self, words: &str, stdin: &str) -> (i32, String, String) {
        fs::write(self.0.join("stdin"), stdin).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_twodoors"));
        command.args(words.split_whitespace()).current_dir(&self.0);
        command
            .env_remove("TWODOORS_SCENARIO")
            .env_remove("RUST_LOG");
        command.stdin(Stdio::from(fs::File::open(self.0.join("stdin")).unwrap()));
        let ended = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            ended.status.code().unwrap(),
            text(ended.stdout),
            text(ended.stderr),
        )
    }

    fn json(&self, words: &str, stdin: &str) -> (i32, Value) {
        let (code, out, err) = self.run(&format!("explain {words} --json"), stdin);
        let value = serde_json::from_str(&out);
        (
            code,
            value.unwrap_or_else(|_| panic!("{words}: {code}\n{out}{err}")),
        )
    }
}

pub(crate) fn proxy_file(case: &Case) -> String {
    let mut text = format!(
        "version: {}\nauth_service:\n  enabled: yes\n  cluster_name: lab\n  \
         proxy_listener_mode: {}\n",
        case.version, case.mode
    );
    if !case.auth.is_empty() {
        text += &format!("  {}\n", case.auth);
    }
    text += "proxy_service:\n  enabled: yes\n";
    for line in case.proxy {
        text += &format!("  {line}\n");
    }
    text
}

#[test]
fn every_case_of_the_table_is_explained_as_teleport_decides_it() {
    for case in CASES {
        let mut folder = Folder::new().write("proxy.yaml", &proxy_file(case));
        let mut words = String::from("dial --proxy proxy.yaml --agent agent.yaml");
        if let Some(variable) = case.variable {
            let line = format!("TELEPORT_TUNNEL_PUBLIC_ADDR={variable}\n");
            folder = folder.write("teleport.env", &line);
            words += " --env teleport.env";
        }
        let (code, value) = folder.json(&words, "");
        let name = case.name;
        assert_eq!(value["schema"], "twodoors.explain/1", "{name}");
        match case.expected {
            Expected::Dial(address, rule, tls, listed, listener) => {
                let host = address.rsplit_once(':').unwrap().0.trim_matches(['[', ']']);
                assert_eq!(code, 0, "{name}: {value}");
                assert_eq!(value["tunnel_address"], address, "{name}");
                assert_eq!(value["rule"], rule, "{name}");
                let tls_name = if tls { json!(host) } else { Value::Null };
                assert_eq!(value["tls_name"], tls_name, "{name}");
                assert_eq!(value["ssh_principal_checked"], host, "{name}");
                assert_eq!(value["ssh_principal_listed"], listed, "{name}: {value}");
                assert_eq!(value["listener"], listener, "{name}");
                assert_eq!(value.get("error"), None, "{name}");
            }
            Expected::Error(part) => {
                assert_eq!(code, 1, "{name}: {value}");
                assert_eq!(value["tunnel_address"], Value::Null, "{name}");
                let error = value["error"].as_str().unwrap();
                assert!(error.contains(part), "{name}: {error}");
            }
        }
        assert!(value["findings"].is_array() && value["principals"].is_array());
    }
}

#[test]
fn a_document_of_find_is_read_from_standard_input_and_tells_no_principals() {
    let folder = Folder::new();
    for case in FINDS {
        let document = format!(
            r#"{{"cluster_name": "lab", "proxy": {{"tls_routing_enabled": {}, "ssh": {{{}}}}}}}"#,
            case.tls_routing, case.ssh
        );
        let (code, value) = folder.json("dial --find - --agent agent.yaml", &document);
        match case.expected {
            Ok((address, rule)) => {
                assert_eq!(
                    (code, &value["tunnel_address"]),
                    (0, &json!(address)),
                    "{document}"
                );
                assert_eq!(value["rule"], rule, "{document}");
            }
            Err(part) => {
                assert_eq!(
                    (code, &value["tunnel_address"]),
                    (1, &Value::Null),
                    "{document}"
                );
                assert!(value["error"].as_str().unwrap().contains(part), "{value}");
            }
        }
        assert_eq!(value["principals"], Value::Null);
        assert_eq!(value["ssh_principal_listed"], Value::Null);
    }
}

const PROXY: &str = "\
version: v3
auth_service: {enabled: yes, cluster_name: lab, proxy_listener_mode: multiplex}
proxy_service:
  enabled: yes
  public_addr: [external.example.com:443, internal.example.com:3080]
  ssh_public_addr: ssh.example.com
  tunnel_public_addr: tunnel.example.com
";

#[test]
fn helm_values_are_an_agents_file_with_its_environment_in_it() {
    let values = "\
proxyAddr: internal.example.com:3080
roles: app
apps: [{name: orders, uri: 'http://localhost:8080'}]
extraEnv: [{name: TELEPORT_TUNNEL_PUBLIC_ADDR, value: 'internal.example.com:3080'}]
";
    let folder = Folder::new()
        .write("proxy.yaml", PROXY)
        .write("values.yaml", values);
    let (code, value) = folder.json("dial --proxy proxy.yaml --agent values.yaml", "");
    assert_eq!(
        (code, &value["rule"]),
        (0, &json!("environment")),
        "{value}"
    );
    assert_eq!(value["find"], "internal.example.com:3080");
}

#[test]
fn principals_are_told_in_order_and_with_a_given_host_name() {
    let folder = Folder::new().write("proxy.yaml", PROXY);
    let (code, value) = folder.json("principals --proxy proxy.yaml --hostname Px", "");
    assert_eq!(code, 0);
    let expected = [
        "<host-id>.lab",
        "<host-id>",
        "Px.lab",
        "Px",
        "localhost",
        "127.0.0.1",
        "::1",
        "px",
        "external.example.com",
        "internal.example.com",
        "remote.kube.proxy.teleport.cluster.local",
        "ssh.example.com",
        "tunnel.example.com",
    ];
    assert_eq!(value["principals"], json!(expected));
    let web = [
        "Px",
        "localhost",
        "external.example.com",
        "internal.example.com",
    ];
    assert_eq!(value["web_names"], json!(web));
}

#[test]
fn people_read_every_rule_with_why_it_lost() {
    let folder = Folder::new().write("proxy.yaml", PROXY);
    let words = "explain dial --proxy proxy.yaml --agent agent.yaml";
    let (code, out, _) = folder.run(words, "");
    assert_eq!(code, 0, "{out}");
    for part in [
        "address    external.example.com:443\n",
        "rule       TLS routing: first public_addr\n",
        "tunnel.example.com:3024          not considered with TLS routing\n",
        "SSH        verifies external.example.com: among the principals\n",
        "TLS verifies proxy.example.com: NOT in the web certificate\n",
        "finding    warning tunnel-public-addr-ignored  proxy.yaml:",
    ] {
        assert!(out.contains(part), "{part:?} is missing:\n{out}");
    }
}

#[test]
fn a_scenario_tells_the_view_and_the_door_of_each_who_dials() {
    let folder = Folder::new();
    let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/split-dns.yaml");
    for (from, view, door) in [
        ("orders", "private", "internal"),
        ("kiosk", "public", "external"),
        ("external", "public", "external"),
    ] {
        let (code, value) = folder.json(&format!("dial -s {scenario} --from {from}"), "");
        assert_eq!(code, 0, "{value}");
        let leads = &value["dial_leads"];
        assert_eq!(
            (&leads["view"], &leads["balancer"]),
            (&json!(view), &json!(door)),
            "{from}"
        );
    }
}

#[test]
fn a_route_is_told_for_each_proxy_and_a_refusal_ends_with_1() {
    let folder = Folder::new();
    let (code, out, err) = folder.run("explain route --from alice orders", "");
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(
        out.contains("view public -> 127.20.0.2:3080 -> balancer/external\n"),
        "{out}"
    );
    for proxy in ["proxy/1", "proxy/2", "proxy/3"] {
        let line = format!("{proxy}   its tunnel to agent/orders takes it: newest valid tunnel\n");
        assert!(out.contains(&line), "{out}");
    }
    let (code, out, _) = folder.run("explain route --from alice nosuch", "");
    assert_eq!(code, 1, "{out}");
    assert!(
        out.contains("refused: Teleport proxy failed to connect to \"app\" agent"),
        "{out}"
    );
}

#[test]
fn wrong_files_and_words_end_with_2_and_say_where() {
    let folder = Folder::new()
        .write(
            "both.yaml",
            "version: v3\nteleport: {proxy_server: a:1, auth_server: b:1}\n",
        )
        .write("proxy.yaml", PROXY);
    for (words, part) in [
        ("dial --proxy nosuch.yaml", "nosuch.yaml"),
        ("dial --proxy proxy.yaml --agent both.yaml", "both.yaml:2:"),
        ("dial --find - --agent agent.yaml", "error: -:"),
        ("dial --proxy - --agent -", "standard input is read already"),
        ("dial", "give --proxy FILE"),
        ("principals", "--proxy"),
        ("route --from nobody orders", "--from nobody is neither"),
    ] {
        let (code, out, err) = folder.run(&format!("explain {words}"), "no document");
        assert_eq!((code, out.as_str()), (2, ""), "{words}: {err}");
        assert!(err.contains(part), "{words}: {err}");
    }
}

#[test]
fn names_of_others_reach_a_terminal_without_control_characters() {
    let folder = Folder::new()
        .write("proxy.yaml", PROXY)
        .write("env", "TELEPORT_TUNNEL_PUBLIC_ADDR=a\u{1b}[31mb:443\n");
    let words = "explain dial --proxy proxy.yaml --agent agent.yaml --env env";
    let (_, out, err) = folder.run(words, "");
    let plain = |c: char| c == '\n' || !c.is_control();
    assert!(out.contains("b:443") && out.chars().all(plain), "{out:?}");
    assert!(err.chars().all(plain), "{err:?}");
}

#[test]
fn principals_stand_as_they_are_written() {
    let file = "version: v3\nauth_service: {enabled: yes, cluster_name: lab}\n\
                proxy_service: {enabled: yes, public_addr: Proxy.Example.com:443}\n";
    let folder = Folder::new().write("proxy.yaml", file);
    let (code, value) = folder.json("principals --proxy proxy.yaml --hostname Bastion", "");
    assert_eq!(code, 0, "{value}");
    let expected = json!([
        "<host-id>.lab",
        "<host-id>",
        "Bastion.lab",
        "Bastion",
        "localhost",
        "127.0.0.1",
        "::1",
        "bastion",
        "Proxy.Example.com",
        "remote.kube.proxy.teleport.cluster.local"
    ]);
    assert_eq!(value["principals"], expected);
}
