//! A step with a second lab that plays a timeline: dig, openssl, curl and ss look at it meanwhile.

use std::net::IpAddr;
use std::time::Duration;

use super::bench::{Done, Lab, eventually, run};
use super::{CHECKS, Outcome, Story, passed};

/// How long an agent may take to connect anew from another network.
const ROAMED: Duration = Duration::from_secs(60);

/// What the example does not have. Looks that must come before a step are quick.
const MORE: &str = r#"
duration: 5m
resolvers:
  - {name: cache, listen: 127.20.0.53:5353}
timeline:
  - {do: record, view: public, name: moving.example.com, type: A, ttl: 1s, data: [192.0.2.1]}
  - {at: 8s, do: ttl_floor, target: resolver/cache, by: 12s}
  - {at: 14s, do: record, view: public, name: moving.example.com, type: A, ttl: 1s, data: [192.0.2.2]}
  - do: certificate
    names: [proxy.example.com, "*.proxy.example.com", swapped.example.com]
  - {do: roam, target: agent/kiosk, to: internal, address: 127.10.0.77}
expect:
  - {query: proxy.example.com A, from: external, answer: [127.20.0.2]}
"#;

/// The name that the other certificate has.
const SWAPPED: &str = "swapped.example.com";

/// Asks for the address that moves: its TTL and what it is.
fn dig(lab: &Lab, server: (IpAddr, u16)) -> Result<(u32, String), String> {
    let (at, port) = (format!("@{}", server.0), server.1.to_string());
    let from = lab.external(99).to_string();
    let args = [
        &at,
        "-p",
        &port,
        "-b",
        &from,
        "+noall",
        "+answer",
        "moving.example.com",
        "A",
    ];
    let text = run("dig", &args).ended(0).text();
    let fields: Vec<&str> = text.split_whitespace().collect();
    match fields[..] {
        [_, ttl, _, _, address] => {
            let ttl = ttl.parse().map_err(|error| format!("{error}: {text}"))?;
            Ok((ttl, address.to_owned()))
        }
        _ => Err(text),
    }
}

/// Visits the other certificate's name.
fn curl(lab: &Lab) -> Done {
    let (ca, from) = (
        lab.path("state/ca.pem").display().to_string(),
        lab.external(99).to_string(),
    );
    let place = format!("{SWAPPED}:3080:{}", lab.external(2));
    let url = format!("https://{SWAPPED}:3080/");
    let args = [
        "-q",
        "-sS",
        "--noproxy",
        "*",
        "--cacert",
        &ca,
        "--interface",
        &from,
        "--resolve",
        &place,
        &url,
    ];
    run("curl", &args)
}

/// Gives the names in the certificate that the external door's pool shows.
fn names(lab: &Lab) -> String {
    let look = format!(
        "openssl s_client -connect {}:3080 -servername proxy.example.com </dev/null 2>/dev/null | \
         openssl x509 -noout -ext subjectAltName",
        lab.external(2)
    );
    run("sh", &["-c", &look]).ended(0).text()
}

/// Tells whether a connection stands between these two.
fn connected(from: IpAddr, door: IpAddr) -> Result<(), String> {
    let filter = format!("src {from} and dst {door} and dport = :3080");
    let text = run("ss", &["-Htn", "state", "established", &filter])
        .ended(0)
        .text();
    if text.is_empty() {
        Err(format!("none from {from} to {door}"))
    } else {
        Ok(())
    }
}

pub(super) fn looked_at(_: &mut Story) -> Outcome {
    let mut lab = Lab::play(MORE);
    let cache = (lab.external(53), 5353);
    let authority = (lab.dns.ip(), lab.dns.port());
    let (kiosk, roamed) = (lab.external(14), lab.internal(77));
    let (outside, inside) = (lab.external(2), lab.internal(2));

    let short = |found: (u32, String)| {
        let right = found.0 <= 1 && found.1 == "192.0.2.1";
        if right {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    };
    eventually("the resolver gives what it heard", CHECKS, || {
        dig(&lab, cache).and_then(short)
    });
    let before = names(&lab);
    assert!(before.contains("DNS:proxy.example.com"), "{before}");
    assert!(!before.contains(SWAPPED), "{before}");
    curl(&lab).ended(60);
    eventually("kiosk is outside", CHECKS, || connected(kiosk, outside));

    let floor = eventually("the resolver keeps it longer", CHECKS, || {
        let (ttl, address) = dig(&lab, cache)?;
        if ttl > 1 {
            Ok(ttl)
        } else {
            Err(format!("{ttl} {address}"))
        }
    });
    let new = eventually("the record changes", CHECKS, || {
        let (ttl, address) = dig(&lab, authority)?;
        if address == "192.0.2.2" {
            Ok(ttl)
        } else {
            Err(address)
        }
    });
    assert_eq!(new, 1, "the floor is the resolver's alone");
    let (left, old) = dig(&lab, cache).unwrap();
    assert_eq!(old, "192.0.2.1", "the resolver still has what it had");
    eventually("the resolver hears of it", CHECKS, || {
        let (_, address) = dig(&lab, cache)?;
        if address == "192.0.2.2" {
            Ok(())
        } else {
            Err(address)
        }
    });

    let after = eventually("the other certificate", CHECKS, || {
        let names = names(&lab);
        if names.contains(SWAPPED) {
            Ok(names)
        } else {
            Err(names)
        }
    });
    assert!(after.contains("DNS:proxy.example.com"), "{after}");
    let visited = curl(&lab);
    assert_ne!(visited.code, Some(60), "{}", visited.all());

    eventually("kiosk is inside", ROAMED, || connected(roamed, inside));
    assert!(connected(kiosk, outside).is_err(), "kiosk is still outside");
    let (code, _) = lab.interrupt();
    assert_eq!(code, Some(130), "{}", lab.err.with("").join("\n"));
    passed(format!(
        "TTL 1 became {floor}; the old answer with {left}s left after the change; {SWAPPED} after \
         the swap; kiosk from {kiosk} to {roamed}; exit 130"
    ))
}
