//! Steps with OpenSSH as an agent's stand-in: `ssh -N -R`, with the key and the certificate that `up`
//! leaves in the state folder.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use super::bench::{Lab, Lines, eventually, run};
use super::{CHECKS, Outcome, Story, passed};

/// How many bytes the app of this test sends: more than the windows on the way hold.
const BYTES: usize = 5 << 20;

/// A name that no agent serves.
const APP: &str = "notes";

/// How often a name is tried that only one instance of three has: the door takes turns.
const TRIES: usize = 15;

/// OpenSSH's words for a certificate without the name.
const UNLISTED: &str = "Certificate invalid: name is not a listed principal";

/// An `ssh` at work, ended with the value.
struct Ssh {
    child: Child,
    err: Lines,
}

impl Drop for Ssh {
    fn drop(&mut self) {
        // An ssh that is asked to end takes its ProxyCommand along; a killed one leaves it behind,
        // and `openssl s_client -quiet` holds the connection without it.
        let asked = run("kill", &["-s", "TERM", &self.child.id().to_string()]);
        if asked.code != Some(0) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// Gives ssh's arguments for a stand-in that believes the host under this name.
fn arguments(lab: &Lab, alias: &str, forward: &str) -> Vec<String> {
    let through = format!(
        "openssl s_client -quiet -bind {}:0 -alpn teleport-reversetunnel -connect {}:3080 \
         -servername proxy.example.com",
        lab.internal(9),
        lab.internal(2),
    );
    let state = |file: &str| lab.path("state").join(file).display().to_string();
    let options = [
        format!("ProxyCommand={through}"),
        format!("UserKnownHostsFile={}", state("known_hosts")),
        format!("HostKeyAlias={alias}"),
        String::from("GlobalKnownHostsFile=/dev/null"),
        String::from("StrictHostKeyChecking=yes"),
        String::from("BatchMode=yes"),
        String::from("IdentitiesOnly=yes"),
        String::from("IdentityAgent=none"),
        String::from("ExitOnForwardFailure=yes"),
    ];
    let mut args = vec![String::from("-vv"), String::from("-N")];
    args.extend([String::from("-F"), String::from("none")]);
    args.extend([String::from("-i"), state("agent_key")]);
    for option in options {
        args.extend([String::from("-o"), option]);
    }
    args.extend([String::from("-R"), forward.to_owned()]);
    args.push(String::from("stand-in@proxy.example.com"));
    args
}

fn ssh(lab: &Lab, alias: &str, forward: &str) -> Ssh {
    let mut command = Command::new("ssh");
    command.args(arguments(lab, alias, forward));
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap_or_else(|error| panic!("ssh: {error}"));
    let err = Lines::collect(child.stderr.take().unwrap());
    Ssh { child, err }
}

impl Ssh {
    /// Waits until the forward stands (`true`) or the host's name was refused (`false`).
    fn settles(&self) -> bool {
        eventually("ssh decides", CHECKS, || {
            let has = |part: &str| !self.err.with(part).is_empty();
            if has("remote forward success for") {
                Ok(true)
            } else if has(UNLISTED) {
                Ok(false)
            } else {
                Err(self.err.with("").join("\n"))
            }
        })
    }
}

/// Serves one answer a connection, with as many bytes as are asked for.
fn app() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || answer(stream));
        }
    });
    address
}

fn answer(mut stream: std::net::TcpStream) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            return;
        }
        head.push(byte[0]);
    }
    let whole = head.starts_with(b"GET /whole ");
    let body: Vec<u8> = if whole {
        (0..=250).cycle().take(BYTES).collect()
    } else {
        b"hello from behind ssh\n".to_vec()
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(&body);
}

pub(super) fn principals(story: &mut Story) -> Outcome {
    let lab = &story.lab;
    // Whatever the certificates of the instances list, ssh takes as the name of the host.
    let mut listed = std::collections::BTreeSet::new();
    let seen = |listed: &std::collections::BTreeSet<String>| {
        let nodes = listed.iter().filter(|name| name.starts_with("proxy-"));
        nodes.filter(|name| !name.contains('.')).count()
    };
    for _ in 0..TRIES {
        if seen(&listed) == 3 {
            break;
        }
        let ssh = ssh(lab, "proxy.example.com", "unused:0:127.0.0.1:1");
        assert!(ssh.settles());
        let shown = ssh.err.with("Server host certificate hostname: ");
        listed.extend(shown.iter().filter_map(|line| {
            let name = line.split("hostname: ").nth(1)?;
            Some(name.trim().to_owned())
        }));
    }
    assert_eq!(
        seen(&listed),
        3,
        "the certificates of all instances: {listed:?}"
    );
    // What is foretold of the file is there, but for what only an instance knows of itself.
    let file = lab.path("example/scenarios/teleport/proxy.yaml");
    let file = file.display().to_string();
    let told = lab.twodoors(&["explain", "principals", "--json", "--proxy", &file]);
    let told: serde_json::Value = serde_json::from_slice(&told.ended(0).out).unwrap();
    let foretold: Vec<&str> = super::list(&told["principals"])
        .map(super::text)
        .filter(|name| !name.contains('<'))
        .collect();
    assert!(foretold.contains(&"proxy.example.com"), "{told:#}");
    for name in &foretold {
        assert!(listed.contains(*name), "{name} is not in {listed:?}");
    }
    for name in &listed {
        let accepted = (0..TRIES).any(|_| ssh(lab, name, "unused:0:127.0.0.1:1").settles());
        assert!(accepted, "{name} is listed and never accepted");
    }
    for name in ["proxy.example.org", "external_proxy.example.com"] {
        let mut refused = ssh(lab, name, "unused:0:127.0.0.1:1");
        assert!(!refused.settles(), "{name} is not listed");
        assert_eq!(refused.child.wait().unwrap().code(), Some(255));
    }
    passed(format!(
        "{} names accepted, {} of them foretold; two others refused",
        listed.len(),
        foretold.len()
    ))
}

pub(super) fn serves(story: &mut Story) -> Outcome {
    let lab = &story.lab;
    let (user, door): (IpAddr, IpAddr) = (lab.external(99), lab.external(2));
    let curl = |path: &str| lab.curl(user, door, APP, path, &[]).ended(0);
    assert!(
        curl("/").text().contains("no agent announces"),
        "nobody yet"
    );
    let forward = format!("{APP}:0:{}", app());
    let ssh = ssh(lab, "proxy.example.com", &forward);
    assert!(ssh.settles());
    // One instance of three has it, and the door leads to each.
    eventually("the app through ssh", CHECKS, || {
        let text = curl("/").text();
        (text == "hello from behind ssh").then_some(()).ok_or(text)
    });
    let whole = eventually("many bytes through ssh", CHECKS, || {
        let done = curl("/whole");
        (done.out.len() == BYTES)
            .then_some(done.out)
            .ok_or_else(|| String::from("another instance answered"))
    });
    assert!(
        (0..)
            .zip(&whole)
            .all(|(at, byte): (usize, _)| at % 251 == usize::from(*byte))
    );
    // A name that stands for no app, and a login that the certificate does not have.
    let nameless = run("timeout", &strs(&with_timeout(lab, "0:127.0.0.1:1")));
    assert!(
        nameless.err.contains("remote port forwarding failed"),
        "{}",
        nameless.err
    );
    let mut other = with_timeout(lab, &forward);
    *other.last_mut().unwrap() = String::from("root@proxy.example.com");
    let other = run("timeout", &strs(&other));
    assert!(other.err.contains("Permission denied"), "{}", other.err);
    drop(ssh);
    eventually("it is gone with ssh", CHECKS, || {
        let gone = (0..6).all(|_| curl("/").text().contains("no agent announces"));
        gone.then_some(()).ok_or_else(|| String::from("served"))
    });
    passed(format!("an app and {BYTES} bytes, gone with ssh"))
}

fn with_timeout(lab: &Lab, forward: &str) -> Vec<String> {
    let limit = Duration::from_secs(20).as_secs().to_string();
    let mut args = vec![limit, String::from("ssh")];
    args.extend(arguments(lab, "proxy.example.com", forward));
    args
}

fn strs(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}
