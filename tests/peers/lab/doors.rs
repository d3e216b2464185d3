//! Steps with curl, openssl, ssh and ss: who gets through which door, to what, and by how many
//! connections.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::bench::{Done, Lab, eventually, run};
use super::{CHECKS, MESH, Outcome, Story, failures, list, named, number, of_users, passed, text};

/// The body of a person's download.
const BYTES: usize = 5 << 20;

pub(super) fn mesh(story: &mut Story) -> Outcome {
    let lab = &story.lab;
    let state = eventually("12 tunnels", MESH, || {
        let state = lab.snapshot();
        let whole = state["mesh"]["now"] == 12 && state["mesh"]["full"] == 12;
        if whole {
            Ok(state)
        } else {
            Err(state["mesh"].to_string())
        }
    });
    for agent in list(&state["agents"]) {
        let door = if agent["name"] == "kiosk" {
            "external"
        } else {
            "internal"
        };
        for tunnel in list(&agent["tunnels"]) {
            assert_eq!(tunnel["balancer"], door, "{agent:#}");
        }
    }
    let after = number(&state["mesh"]["complete_after_us"]);
    passed(format!(
        "12 of 12, complete {:.1}s after ready",
        after as f64 / 1e6
    ))
}

pub(super) fn apps(story: &mut Story) -> Outcome {
    let lab = &story.lab;
    let doors = [
        (lab.external(99), lab.external(2)),
        (lab.internal(99), lab.internal(2)),
    ];
    for (from, door) in doors {
        let page = lab
            .curl(from, door, "orders", "/hello", &["-w", "%{http_code}"])
            .ended(0);
        let expected = format!(
            "orders: served by agent orders to {from} for orders.proxy.example.com:3080\n200"
        );
        assert_eq!(page.text(), expected);
        let file = lab
            .curl(from, door, "wiki", &format!("/bytes/{BYTES}"), &[])
            .ended(0);
        let same = file.out.len() == BYTES
            && (0..)
                .zip(&file.out)
                .all(|(at, byte)| at % 251 == u32::from(*byte));
        assert!(same, "{} bytes came of {BYTES}, or others", file.out.len());
    }
    // The twin: without the lab's authority nothing is believed.
    let mut args = lab.curl_args(lab.external(99), lab.external(2), "orders", "/");
    let authority = args.iter().position(|arg| arg == "--cacert").unwrap();
    args.drain(authority..authority + 2);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    run("curl", &args).ended(60);
    passed(format!(
        "200 and {BYTES} bytes exactly; without --cacert nothing"
    ))
}

pub(super) fn strangers(story: &mut Story) -> Outcome {
    let lab = &story.lab;
    // The reset may come while curl still connects (7), says hello (35) or waits for an answer (56).
    let refused = lab.curl(lab.external(99), lab.internal(2), "orders", "/", &["-v"]);
    let code = refused.code;
    assert!(
        matches!(code, Some(7 | 35 | 56)),
        "{code:?}: {}",
        refused.all()
    );
    let reset = refused
        .err
        .to_lowercase()
        .contains("connection reset by peer");
    assert!(reset, "{}", refused.err);
    let state = lab.snapshot();
    let count = list(&named(&state["balancers"], "internal")["networks"])
        .find(|count| count["network"] == "external")
        .map(|count| (number(&count["opened"]), number(&count["refused"])));
    assert_eq!(count, Some((0, 1)));
    passed("ECONNRESET, and counted")
}

pub(super) fn alpn(story: &mut Story) -> Outcome {
    let lab = &story.lab;
    let tunnel = s_client(lab, "teleport-reversetunnel", &["-verify_return_error"])
        .ended(0)
        .all();
    assert!(
        tunnel.contains("ALPN protocol: teleport-reversetunnel"),
        "{tunnel}"
    );
    assert!(tunnel.contains("Verify return code: 0 (ok)"), "{tunnel}");
    let unknown = s_client(lab, "no-such-protocol", &[]);
    assert_ne!(unknown.code, Some(0), "{}", unknown.all());
    let alert = "alert no application protocol";
    assert!(unknown.err.contains(alert), "{}", unknown.all());
    passed(format!("teleport-reversetunnel; unknown: {alert}"))
}

pub(super) fn s_client(lab: &Lab, alpn: &str, more: &[&str]) -> Done {
    let (from, door) = (
        format!("{}:0", lab.internal(9)),
        format!("{}:3080", lab.internal(2)),
    );
    let ca = lab.path("state/ca.pem").display().to_string();
    let mut args = vec![
        "s_client", "-bind", &from, "-connect", &door, "-CAfile", &ca,
    ];
    args.extend(["-servername", "proxy.example.com", "-alpn", alpn]);
    args.extend(more);
    run("openssl", &args)
}

pub(super) fn certificate(story: &mut Story) -> Outcome {
    let lab = &story.lab;
    let shown = ssh(lab, "proxy.example.com");
    let principals: BTreeSet<&str> = shown
        .lines()
        .filter_map(|line| line.strip_prefix("debug2: Server host certificate hostname: "))
        .map(str::trim_end)
        .collect();
    assert!(principals.contains("proxy.example.com"), "{shown}");
    assert!(
        shown.contains("matches the ED25519-CERT host certificate"),
        "{shown}"
    );
    assert!(shown.contains("Permission denied (publickey)"), "{shown}");
    let wrong = ssh(lab, "proxy.example.org");
    assert!(
        wrong.contains("Certificate invalid: name is not a listed principal"),
        "{wrong}"
    );
    assert!(wrong.contains("Host key verification failed"), "{wrong}");
    passed(format!(
        "{} principals; another name refused",
        principals.len()
    ))
}

/// Goes as far as a stranger's ssh comes; gives what it tells of its way.
fn ssh(lab: &Lab, alias: &str) -> String {
    let through = format!(
        "openssl s_client -quiet -bind {}:0 -alpn teleport-reversetunnel -connect {}:3080 \
         -servername proxy.example.com",
        lab.internal(9),
        lab.internal(2),
    );
    let known = lab.path("state/known_hosts").display().to_string();
    let options = [
        format!("ProxyCommand={through}"),
        format!("UserKnownHostsFile={known}"),
        format!("HostKeyAlias={alias}"),
        String::from("GlobalKnownHostsFile=/dev/null"),
        String::from("StrictHostKeyChecking=yes"),
        String::from("BatchMode=yes"),
        String::from("IdentityAgent=none"),
        String::from("IdentityFile=none"),
    ];
    let mut args = vec!["-vv", "-F", "none"];
    for option in &options {
        args.extend(["-o", option]);
    }
    args.push("nobody@proxy.example.com");
    run("ssh", &args).ended(255).err
}

pub(super) fn sockets(story: &mut Story) -> Outcome {
    let lab = &story.lab;
    let mut doors = vec![(lab.external(14), lab.external(2))];
    doors.extend([11, 12, 13].map(|agent| (lab.internal(agent), lab.internal(2))));
    let mut expected = BTreeMap::new();
    for (agent, door) in doors {
        *expected.entry((agent, door)).or_insert(0) += 3;
        for proxy in 1..=3 {
            *expected.entry((door, lab.proxy(proxy).ip())).or_insert(0) += 1;
        }
    }
    assert_eq!(expected.values().sum::<i32>(), 24);
    // Visits of users come and go between two looks; tunnels stay.
    eventually(
        "12 connections to the doors and 12 to the pool",
        CHECKS,
        || {
            let mut found = BTreeMap::new();
            let owner = format!("pid={},", lab.pid());
            for line in run("ss", &["-Htnp", "state", "established", "dport = :3080"])
                .ended(0)
                .text()
                .lines()
            {
                let fields: Vec<&str> = line.split_whitespace().collect();
                let [_, _, from, to, who] = fields[..] else {
                    continue;
                };
                let address = |text: &str| text.parse::<SocketAddr>().map(|address| address.ip());
                if let (Ok(from), Ok(to), true) = (address(from), address(to), who.contains(&owner))
                {
                    *found.entry((from, to)).or_insert(0) += 1;
                }
            }
            if found == expected {
                Ok(())
            } else {
                Err(format!("{found:?}"))
            }
        },
    );
    passed("12 agent to door, 12 door to proxy, from the scenario's addresses")
}

pub(super) fn two_minutes(story: &mut Story) -> Outcome {
    let lab = &story.lab;
    // Two minutes from the start; more only where Teleport's backoff has used them up.
    let left = MESH.saturating_sub(lab.started.elapsed()).max(CHECKS);
    let (state, answered) = eventually("50 user requests within two minutes", left, || {
        let state = lab.snapshot();
        let answered = of_users(&state, |user| number(&user["answered"]));
        if answered >= 50 {
            Ok((state, answered))
        } else {
            Err(answered.to_string())
        }
    });
    assert_eq!(state["mesh"]["now"], 12);
    assert_eq!(failures(&state), 0);
    for (door, other) in [("internal", "external"), ("external", "internal")] {
        let state = named(&state["balancers"], door);
        for network in list(&state["networks"]) {
            assert!(
                network["network"] == door || number(&network["opened"]) == 0,
                "{state:#}"
            );
        }
        let uses: BTreeMap<&str, u64> = list(&state["uses"])
            .inspect(|used| assert_ne!(used["network"], other, "{state:#}"))
            .map(|used| (used["purpose"].as_str().unwrap(), number(&used["count"])))
            .collect();
        let tunnels = if door == "internal" { 9 } else { 3 };
        assert!(
            uses["tunnel"] >= tunnels && uses["visit"] > 0 && uses["find"] > 0,
            "{uses:?}"
        );
    }
    let findings: BTreeSet<String> = list(&state["findings"])
        .map(|finding| format!("{} {}", text(&finding["id"]), text(&finding["node"])))
        .collect();
    let expected = [
        "role-follows-network agent/kiosk",
        "role-follows-network user/olga",
    ];
    assert_eq!(findings, expected.map(str::to_owned).into());
    let after = lab.started.elapsed().as_secs();
    passed(format!(
        "{answered} requests answered after {after}s, none failed, two findings"
    ))
}
