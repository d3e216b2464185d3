use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::scenario::{embedded, load};

fn topology() -> Topology {
    let loaded = load(Path::new(embedded::SCENARIO), &embedded::FILES);
    loaded.expect("the embedded scenario is sound").topology
}

/// Every fault with each target: `+` is taken, `-` is refused.
const TABLE: &[(&str, &str)] = &[
    (
        "balancer/internal",
        "blackhole jitter latency pause refuse reset_peer",
    ),
    (
        "proxy/1",
        "blackhole jitter latency pause refuse reset_peer",
    ),
    ("agent/orders", "jitter latency pause"),
    ("user/alice", "jitter latency pause"),
    ("dns", "drop jitter latency servfail stale"),
    ("view/private", "drop servfail stale view_flip"),
    (
        "agent/orders <-> balancer/internal",
        "blackhole jitter latency reset_peer",
    ),
    (
        "network/internal -> balancer/internal",
        "blackhole half_open jitter latency reset_peer",
    ),
    (
        "balancer/internal -> proxy/1",
        "blackhole half_open jitter latency refuse reset_peer",
    ),
    (
        "proxy/1 -> balancer/internal",
        "blackhole half_open jitter latency reset_peer",
    ),
    (
        "user/alice <-> dns",
        "blackhole drop jitter latency servfail",
    ),
    ("network/internal <-> network/external", "partition"),
    ("network/internal -> network/external", ""),
    ("network/internal", ""),
    ("agent/orders -> proxy/1", ""),
    ("agent/orders <-> user/alice", ""),
    ("balancer/internal <-> balancer/external", ""),
    ("proxy/1 <-> dns", ""),
    ("agent/nobody", ""),
    ("lab", ""),
    ("", ""),
    ("->", ""),
    ("<->", ""),
];

#[test]
fn each_word_acts_where_it_can_and_nowhere_else() {
    let topology = topology();
    let mut taken = BTreeSet::new();
    for (target, fitting) in TABLE {
        let fitting: BTreeSet<&str> = fitting.split_whitespace().collect();
        for word in WORDS {
            let dosed = matches!(*word, "jitter" | "latency" | "ttl_floor");
            let by = dosed.then_some("50ms");
            let to = (*word == "view_flip").then_some("public");
            let read = parse(&topology, word, target, by, to);
            assert_eq!(
                read.is_ok(),
                fitting.contains(word),
                "{word} on {target:?}: {read:?}"
            );
            match read {
                Ok(fault) => {
                    assert_eq!(fault.effect.word(), *word);
                    assert_eq!(
                        fault.target.to_string(),
                        *target,
                        "it is shown as it is read"
                    );
                    taken.insert(*word);
                }
                Err(wrong) => assert!(!wrong.what.is_empty() && !wrong.cure.is_empty(), "{wrong}"),
            }
        }
    }
    // The embedded scenario has no resolver.
    assert_eq!(taken.len(), WORDS.len() - 1);
}

#[test]
fn doses_are_asked_for_and_refused_where_they_mean_nothing() {
    let topology = topology();
    let check = |word, target, by, to| parse(&topology, word, target, by, to).unwrap_err();
    let door = "balancer/internal";
    assert_eq!(check("latency", door, None, None).cure, "add by: 50ms");
    assert_eq!(check("latency", door, Some("50"), None).cure, "write 50s");
    assert_eq!(
        check("latency", door, Some("0s"), None).cure,
        "add by: 50ms"
    );
    assert_eq!(check("pause", door, Some("5s"), None).cure, "take by out");
    assert_eq!(check("pause", door, None, Some("x")).cure, "take to out");
    let view = "view/private";
    assert_eq!(check("view_flip", view, None, None).cure, "add to: VIEW");
    assert_eq!(
        check("view_flip", view, None, Some("publc")).cure,
        "did you mean public?"
    );
    assert_eq!(
        check("view_flip", view, None, Some("private")).cure,
        "name another view"
    );
    assert_eq!(check("pauze", door, None, None).cure, "did you mean pause?");
}

#[test]
fn who_asks_through_a_resolver_has_no_link_to_the_server() {
    let mut topology = topology();
    let listen = ([127, 10, 0, 53], 5353).into();
    let name: Name = "company".into();
    topology.resolvers.push(crate::model::topology::Resolver {
        name: name.clone(),
        listen,
        on: None,
    });
    let link = "agent/orders <-> dns";
    assert!(parse(&topology, "drop", link, None, None).is_ok());
    topology.agents[0].resolver = Some(name);
    let wrong = parse(&topology, "drop", link, None, None).unwrap_err();
    assert_eq!(wrong.cure, "name resolver/company in its place");
    assert!(parse(&topology, "drop", "resolver/company <-> dns", None, None).is_ok());
    // Its own machine's resolver asks from its own address: the link is its own.
    topology.resolvers[0].on = Some(Node::Agent("orders".into()));
    assert!(parse(&topology, "drop", link, None, None).is_ok());
}
