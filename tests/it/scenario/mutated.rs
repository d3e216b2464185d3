//! Mutated and hostile files: an answer in bounded time, never a panic.

use std::time::Duration;

use twodoors::model::draw::Seed;

use super::fixtures;
use crate::fuzz::scenarios as fuzz;

/// What a mutation puts in: what means something to YAML, to the schema, or to numbers.
const WORDS: &[&str] = &[
    "&a ",
    "*a",
    "<<: ",
    "[",
    "]",
    "{",
    "}",
    ": ",
    "- ",
    "? ",
    "\n",
    "\n---\n",
    "\t",
    "#",
    "|\n",
    "\"",
    "'",
    "!",
    "!!str ",
    "%",
    "0",
    "-1",
    "1e999",
    "99999999999999999999999999999999999999999",
    "~",
    "any",
    "none",
    "name: ",
    "127.10.0.0/16",
    "::/0",
    "0.0.0.0:0",
    "2s",
    "x-a: ",
    "timeline: ",
    "expect: ",
    "parallel: ",
    "do: ",
    "latency",
    "count: 3",
    " -> ",
    " <-> ",
    "network/internal",
    "balancer/internal",
    "dns",
    "1%",
    "proxy_service: {",
    "public_addr: ",
    "tunnel_strategy: ",
    "https_keypairs: ",
    "TELEPORT_TUNNEL_PUBLIC_ADDR=",
    "-----BEGIN CERTIFICATE-----\n",
    "\\\n",
    "\u{0}",
    "\u{feff}",
    "\u{1f6aa}",
];

#[test]
fn mutated_scenarios_get_an_answer() {
    let mut texts: Vec<Vec<u8>> = fixtures("valid")
        .iter()
        .chain(&fixtures("invalid"))
        .map(|path| std::fs::read(path).expect("the fixture can be read"))
        .filter(|text| text.len() < 8_000)
        .collect();
    let embedded = twodoors::scenario::embedded::ALL.iter();
    texts.extend(embedded.map(|(_, text)| text.as_bytes().to_vec()));
    for round in 0..600 {
        let luck = Luck { round };
        let text = luck.of("text", 0, texts.len());
        let mut bytes = texts[text].clone();
        for step in 0..=luck.of("steps", 0, 8) {
            luck.mutate(step as u64, &mut bytes);
        }
        fuzz::scenario(&bytes);
    }
}

#[test]
fn mutated_files_from_elsewhere_get_an_answer() {
    let key = rcgen::KeyPair::generate().expect("a key");
    let names = rcgen::CertificateParams::new(vec![String::from("proxy.example.com")]);
    let certificate = names.expect("a name").self_signed(&key);
    let texts = [
        PROXY.as_bytes().to_vec(),
        HELM.as_bytes().to_vec(),
        ENVIRONMENT.as_bytes().to_vec(),
        FIND.as_bytes().to_vec(),
        certificate.expect("a certificate").pem().into_bytes(),
    ];
    for round in 0..1_500 {
        let luck = Luck { round };
        let mut bytes = texts[luck.of("text", 0, texts.len())].clone();
        for step in 0..=luck.of("steps", 0, 6) {
            luck.mutate(step as u64, &mut bytes);
        }
        fuzz::foreign(&bytes);
    }
}

/// A file of a pool with a bit of everything.
const PROXY: &str = "version: v3
teleport: {nodename: a, auth_server: 'a:3025', proxy_server: b}
auth_service: {enabled: no, cluster_name: c, proxy_listener_mode: multiplex, keep_alive_interval: 5m0s}
proxy_service:
  public_addr: [a, 'https://b:443/x', '[::1]']
  postgres_public_addr: p
  tunnel_listen_addr: 0.0.0.0:3024
  peer_public_addr: c
  kubernetes: {enabled: yes}
  https_keypairs: [{key_file: a, cert_file: b}]
db_service: {enabled: yes, databases: [{name: l, protocol: postgres, uri: 'b:1'}]}
";

/// Helm values with a bit of everything.
const HELM: &str = "proxyAddr: a:443
roles: kube,app,db
apps: [{name: o, uri: 'http://a'}]
extraEnv: [{name: TELEPORT_TUNNEL_PUBLIC_ADDR, value: b}, {name: A, valueFrom: {}}]
";

/// An environment file with a bit of everything.
const ENVIRONMENT: &str = "# a
A='b' \"c\\\"\" d\\
e
TELEPORT_TUNNEL_PUBLIC_ADDR=x:443
export B=1
";

/// An answer of find.
const FIND: &str = r#"{"cluster_name": "a", "proxy": {"tls_routing_enabled": true, "kube": {"enabled": false},
"ssh": {"public_addr": "a:443", "dial_timeout": 30000000000}, "db": {}}}"#;

#[test]
fn hostile_texts_end_in_bounded_time() {
    let many = 50_000;
    let hostile = [
        "[".repeat(many),
        "{".repeat(many),
        "- ".repeat(many),
        "? ".repeat(many),
        "a: ".repeat(many),
        "[a, ".repeat(many),
        "&a ".repeat(many),
        "!a ".repeat(many),
        "\"".repeat(many),
        format!("\"{}", "\\n".repeat(many)),
        "a\n".repeat(many),
        "---\n".repeat(many),
        "%a b\n".repeat(many),
        "# \n".repeat(many),
        " ".repeat(many),
        "x: |\n".repeat(many),
        format!("a: |\n{}", " b\n".repeat(many)),
        format!("[{}]", "a: b, ".repeat(many)),
        (0..many / 4).map(|n| format!("k{n}: 1\n")).collect(),
        (0..many / 4)
            .map(|n| format!("x-{n}: &a{n} [1]\n"))
            .collect(),
        format!("x-a: &a {{b: 1}}\nagents: [{}]", "*a, ".repeat(many / 4)),
        format!(
            "agents: [{}]",
            "{name: a, network: internal, teleport: t}, ".repeat(9_999)
        ),
        format!(
            "name: a\nnetworks: {{internal: [127.10.0.0/16]}}\nagents: [{}]",
            "{name: a, network: internal, teleport: teleport/orders.yaml}, ".repeat(9_999)
        ),
        hostile_run(
            "timeline",
            "{do: latency, target: agent/branch-7x -> balancer/interna, by: 5}, ",
        ),
        hostile_run("timeline", "{do: roam, target: user/a, to: internal}, "),
        hostile_run(
            "timeline",
            &format!(
                "{{parallel: [{}]}}, ",
                "{do: stop, target: agent/a}, ".repeat(50)
            ),
        ),
        hostile_run("expect", "agent/branch-7x uses balancer/interna, "),
        // One long key, and many below it: their paths together would be far longer than the text.
        format!("{}: [{}]", "k".repeat(many), "a, ".repeat(many)),
        format!(
            "version: v3\nproxy_service: {{{}}}",
            "public_adr: x, ".repeat(many / 4)
        ),
        format!(
            "proxy_service: {{public_addr: [{}]}}",
            "'a:b', ".repeat(many)
        ),
        format!("apps: [{}]", "{name: a, uri: 'tcp://b'}, ".repeat(900)),
        format!("extraEnv: [{}]", "{name: A}, ".repeat(900)),
        "A='".repeat(many),
        "A=\\\n".repeat(many),
        "export A=1\n".repeat(many),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".repeat(many / 50),
    ];
    for text in hostile {
        let start = cpu_time();
        fuzz::scenario(text.as_bytes());
        fuzz::foreign(text.as_bytes());
        let took = cpu_time().saturating_sub(start);
        let begins: String = text.chars().take(20).collect();
        assert!(took < Duration::from_secs(20), "{begins:?} took {took:?}");
    }
}

/// A scenario with many agents and a thousand times the same in a list.
fn hostile_run(list: &str, entry: &str) -> String {
    format!(
        "name: a\nnetworks: {{internal: [127.10.0.0/16]}}\n\
         agents: [{{name: branch, count: 50000, network: internal, teleport: teleport/orders.yaml}}]\n\
         {list}: [{}]",
        entry.repeat(1_000)
    )
}

/// The time that this thread has used, so that a busy machine fails no test.
pub(super) fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = stat.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

struct Luck {
    round: u64,
}

impl Luck {
    fn of(&self, purpose: &str, n: u64, below: usize) -> usize {
        let entity = self.round.to_string();
        let drawn = Seed(2).draw(&entity, purpose, n);
        usize::try_from(drawn % below.max(1) as u64).expect("below a usize")
    }

    fn mutate(&self, step: u64, bytes: &mut Vec<u8>) {
        let at = self.of("at", step, bytes.len() + 1);
        let end = (at + self.of("length", step, 40)).min(bytes.len());
        match self.of("kind", step, 5) {
            0 if at < bytes.len() => bytes[at] ^= 1 << self.of("bit", step, 8),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            3 => bytes.truncate(at.max(20)),
            _ => {
                let word = WORDS[self.of("word", step, WORDS.len())];
                bytes.splice(at..at, word.bytes());
            }
        }
    }
}
