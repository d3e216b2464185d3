//! The files of agents: versions, services, Helm values.

use super::{agent, helm, said};

/// What nearly every agent's file says.
const OFF: &str = "auth_service: {enabled: no}\nproxy_service: {enabled: no}\n";

/// An app.
const APP: &str = "app_service: {enabled: yes, apps: [{name: orders, uri: 'http://a:1'}]}\n";

fn file(version: &str, teleport: &str, services: &str) -> String {
    let version = match version {
        "" => String::new(),
        version => format!("version: {version}\n"),
    };
    format!("{version}teleport: {{{teleport}}}\n{OFF}{services}")
}

#[test]
fn an_agent_asks_the_first_address_that_its_version_lets_it_name() {
    for (version, teleport, expected) in [
        ("v3", "proxy_server: a", "a:3080"),
        ("v3", "proxy_server: 'a:443'", "a:443"),
        ("v3", "proxy_server: 'https://a:443'", "a:443"),
        ("v2", "auth_servers: ['a:3080']", "a:3080"),
        ("v1", "auth_servers: ['a:443', 'b:443']", "a:443"),
        ("", "auth_servers: [a]", "a:3025"),
    ] {
        let text = file(version, teleport, APP);
        let read = agent(&text);
        assert_eq!(read.mistakes, Vec::<String>::new(), "{text}");
        let file = read.value.expect("sound");
        assert_eq!(file.proxy_server.to_string(), expected, "{text}");
        assert_eq!(file.apps.len(), 1);
    }
}

#[test]
fn the_rules_of_the_versions_have_teleports_words() {
    for (version, teleport, parts) in [
        (
            "v1",
            "auth_server: a",
            &["2:25 teleport.auth_server: auth_server is supported from config version v3 onwards"]
                [..],
        ),
        (
            "v2",
            "auth_server: a",
            &["auth_server is supported from config version v3 onwards; write version: v3"],
        ),
        (
            "",
            "proxy_server: a",
            &["proxy_server is supported from config version v3 onwards; add version: v3"],
        ),
        (
            "v2",
            "proxy_server: a",
            &["proxy_server is supported from config version v3 onwards; write version: v3"],
        ),
        ("v2", "", &["config: auth_servers is required"]),
        (
            "v3",
            "auth_servers: [a]",
            &["config v3 has replaced auth_servers with either auth_server or proxy_server"],
        ),
        (
            "v3",
            "auth_server: a, proxy_server: b",
            &["only one of auth_server or proxy_server should be set"],
        ),
        (
            "v3",
            "",
            &["config: auth_server or proxy_server is required"],
        ),
        (
            "v3",
            "auth_server: a",
            &[
                "config: when app_service is enabled, proxy_server must be specified instead of auth_server",
            ],
        ),
        (
            "v3",
            "proxy_server: 'ftp://a'",
            &["the scheme \"ftp\" is not supported"],
        ),
        ("v9", "proxy_server: a", &["\"v9\" is not known here"]),
    ] {
        let text = file(version, teleport, APP);
        said(&agent(&text).mistakes, parts, &text);
    }
    let text = format!("version: v3\nteleport: {{proxy_server: a}}\n{APP}");
    said(
        &agent(&text).mistakes,
        &[
            "proxy_server can not be specified when proxy service is enabled; the Proxy Service is on by default",
        ],
        &text,
    );
    let databases = file("v3", "auth_server: a", "db_service: {enabled: yes}\n");
    said(
        &agent(&databases).mistakes,
        &[
            "config: when db_service is enabled, proxy_server must be specified instead of auth_server",
        ],
        &databases,
    );
    let direct = file("v3", "auth_server: a", "");
    said(
        &agent(&direct).mistakes,
        &["the lab has no Auth Service to dial"],
        &direct,
    );
    let none = file("v3", "proxy_server: a", "ssh_service: {enabled: no}\n");
    said(
        &agent(&none).mistakes,
        &["config: enable at least one of auth_service, ssh_service, proxy_service, app_service"],
        &none,
    );
}

#[test]
fn a_port_of_the_other_service_is_a_warning_only() {
    for (version, teleport, part) in [
        (
            "v3",
            "proxy_server: 'a:3025'",
            "config: proxy_server is pointing to port 3025, is this the auth server address?",
        ),
        (
            "v2",
            "auth_servers: [a]",
            "port 3025 is the Auth Service's, which the lab does not have",
        ),
        (
            "v2",
            "auth_servers: ['a:443', b]",
            "agents ask the first of auth_servers alone",
        ),
        (
            "v3",
            "proxy_server: 'a:web'",
            "\"web\" is not a port: Teleport takes 3080 instead",
        ),
    ] {
        let text = file(version, teleport, APP);
        let read = agent(&text);
        said(&read.mistakes, &[], &text);
        said(&read.warnings, &[part], &text);
    }
    for port in [3080, 443] {
        let text = file("v3", &format!("auth_server: 'a:{port}'"), APP);
        let part = "config: auth_server is pointing to port 3080 or 443";
        said(&agent(&text).warnings, &[part], &text);
    }
}

#[test]
fn an_agent_serves_what_it_lists_and_switches_on() {
    let services = "app_service:\n  enabled: yes\n  apps:\n    - {name: orders, uri: 'http://a:1', public_addr: o.example.com}\n    - {name: shell, uri: 'tcp://a:22'}\n    - {name: console, cloud: AWS}\ndb_service:\n  enabled: yes\n  databases:\n    - {name: ledger, protocol: postgres, uri: 'b:5432', static_labels: {env: dev}}\n    - {name: cache, protocol: redis, uri: 'b:6379'}\n";
    let text = file("v3", "proxy_server: a", services);
    let read = agent(&text);
    said(
        &read.warnings,
        &[
            "the app shell is not one of HTTP",
            "the app console is not one of HTTP",
            "the lab carries postgres alone: whoever asks for cache is refused",
            "not modelled, so without effect here: app_service.apps[0].public_addr (line 8), app_service.apps[2].cloud (line 10), db_service.databases[0].static_labels (line 14)",
        ],
        &text,
    );
    let file_ = read.value.expect("sound");
    let apps: Vec<&str> = file_.apps.iter().map(|app| &**app).collect();
    assert_eq!(apps, ["orders"]);
    let databases = file_.databases.iter();
    let databases: Vec<_> = databases.map(|db| (&*db.name, &*db.protocol)).collect();
    assert_eq!(databases, [("ledger", "postgres"), ("cache", "redis")]);
    // The broken twins: a name twice, a protocol that is none, a place that is missing.
    for (from, to, part) in [
        (
            "name: cache",
            "name: ledger",
            "the database ledger is there twice",
        ),
        (
            "name: shell",
            "name: orders",
            "the app orders is there twice",
        ),
        ("protocol: redis", "protocol: redisk", "did you mean redis?"),
        (
            "name: ledger",
            "name: 1ledger",
            "\"1ledger\" is not a name for a database",
        ),
        (", cloud: AWS", "", "\"uri\" is missing"),
        (
            "tcp://a:22",
            "gopher://a",
            "\"gopher://a\" is not the address of an app",
        ),
    ] {
        let twin = text.replace(from, to);
        said(&agent(&twin).mistakes, &[part], &twin);
    }
}

#[test]
fn what_is_off_by_default_serves_nothing_and_is_said() {
    let services = "app_service: {apps: [{name: orders, uri: 'http://a:1'}]}\ndb_service: {databases: [{name: ledger, protocol: postgres, uri: 'b:1'}]}\n";
    let text = file("v3", "proxy_server: a", services);
    let read = agent(&text);
    said(
        &read.warnings,
        &[
            "app_service is off unless it is switched on",
            "db_service is off unless it is switched on",
            "the SSH Service, on by default, holds its tunnels alone",
        ],
        &text,
    );
    let file = read.value.expect("sound");
    assert!(file.apps.is_empty() && file.databases.is_empty());
}

#[test]
fn helm_values_are_those_of_the_chart() {
    let text = "proxyAddr: proxy.example.com:443\nroles: app,db\nauthToken: secret\napps:\n  - {name: orders, uri: 'http://a:1'}\ndatabases:\n  - {name: ledger, protocol: postgres, uri: 'b:1'}\nextraEnv:\n  - {name: HTTPS_PROXY, value: 'http://p:1'}\n  - name: TELEPORT_TUNNEL_PUBLIC_ADDR\n    value: internal.example.com:443\n";
    let read = helm(text);
    said(&read.mistakes, &[], text);
    said(
        &read.warnings,
        &["not modelled, so without effect here: authToken (line 3), extraEnv[0] (line 9)"],
        text,
    );
    let file = read.value.expect("sound");
    assert_eq!(file.proxy_server.to_string(), "proxy.example.com:443");
    assert_eq!((file.apps.len(), file.databases.len()), (1, 1));
    assert_eq!(
        file.tunnel_public_addr.as_deref(),
        Some("internal.example.com:443")
    );
    for (key, at) in [
        ("teleport.proxy_server", "t.yaml:1:12"),
        ("TELEPORT_TUNNEL_PUBLIC_ADDR", "t.yaml:11:12"),
    ] {
        assert_eq!(file.keys.nearest(key).to_string(), at);
    }
    for (from, to, part) in [
        (
            "proxyAddr: proxy.example.com:443\n",
            "",
            "\"proxyAddr\" is missing",
        ),
        (
            "proxy.example.com:443",
            "''",
            "proxyAddr is required in chart values",
        ),
        ("roles: app,db", "roles: apps,db", "did you mean app?"),
        (
            "uri: 'http://a:1'",
            "uri: a",
            "\"a\" is not the address of an app",
        ),
        (
            "value: internal.example.com:443",
            "value: 443",
            "443 is a number where text is wanted",
        ),
        (
            "    value: internal",
            "    valu: internal",
            "Kubernetes has no such key here",
        ),
    ] {
        let twin = text.replace(from, to);
        said(&helm(&twin).mistakes, &[part], &twin);
    }
}

#[test]
fn what_helm_values_leave_open_is_said() {
    let text = "proxyAdr: x\nproxyAddr: a\napps: [{name: orders, uri: 'http://a:1'}]\nextraEnv:\n  - {name: TELEPORT_TUNNEL_PUBLIC_ADDR, valueFrom: {secretKeyRef: {name: a, key: b}}}\n";
    let read = helm(text);
    said(
        &read.warnings,
        &[
            "proxyAdr: the chart takes \"proxyAdr\" and does nothing with it; did you mean proxyAddr?",
            "roles does not name app, so these are not served",
            "comes from the cluster here, so its value cannot be known",
            "not modelled, so without effect here: proxyAdr (line 1)",
        ],
        text,
    );
    let file = read.value.expect("sound");
    // Without a port it is 3080, as in the v3 file that the chart renders.
    assert_eq!(file.proxy_server.to_string(), "a:3080");
    assert_eq!((file.apps.len(), file.tunnel_public_addr), (0, None));
}
