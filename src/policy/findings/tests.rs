//! What needs no files: the turn of a door, and pairs without a scenario.

use super::*;
use crate::model::teleport::{Backoff, ListenerMode, Port, Strategy};
use crate::model::time::Span;
use crate::model::topology::Algorithm;
use crate::policy::testing;

fn at(text: &str) -> HostPort {
    let (host, port) = text.rsplit_once(':').unwrap();
    let (host, port) = (host.into(), port.parse().unwrap());
    HostPort { host, port }
}

/// Asks whether an agent alone at a strict round-robin door says that its mesh never completes.
fn never(proxies: usize, cache_ms: u64, backoff: Backoff) -> bool {
    let mut topology = testing::topology();
    let first = topology.pool.proxies[0].clone();
    topology.pool.proxies = vec![first; proxies];
    topology.balancers[0].algorithm = Algorithm::RoundRobin;
    topology.agents[0].find_cache = Span::from_ms(cache_ms);
    topology.agents[0].backoff = backoff;
    let (agent, door) = (&topology.agents[0], &topology.balancers[0]);
    let said = mesh_never_completes(&topology, agent, door, (1, proxies));
    let mut twin = topology.clone();
    twin.balancers[0].algorithm = Algorithm::LeastConnections;
    let other = mesh_never_completes(&twin, agent, &twin.balancers[0], (1, proxies));
    assert_eq!(other, None);
    twin = topology.clone();
    twin.pool.teleport.strategy = Strategy::ProxyPeering { connections: 2 };
    assert_eq!(mesh_never_completes(&twin, agent, door, (1, proxies)), None);
    said.is_some()
}

#[test]
fn an_even_pool_in_strict_turn_is_never_reached_whole_without_the_cache() {
    for (proxies, cache_ms, expected) in [
        (2, 0, true),
        (2, 3_000, false),
        (3, 0, false),
        (4, 0, true),
        // The second dial follows at once and the third after half a second or more.
        (2, 100, false),
        (4, 100, true),
        (4, 3_000, false),
        (5, 100, false),
    ] {
        let said = never(proxies, cache_ms, Backoff::Teleport);
        assert_eq!(said, expected, "{proxies} proxies, {cache_ms} ms");
    }
    let wait = Span::from_secs(5);
    assert!(never(2, 3_000, Backoff::Fixed { wait }));
    assert!(!never(2, 6_000, Backoff::Fixed { wait }));
}

fn service(public: &[&str]) -> ProxyService {
    let public = public.iter().map(|text| at(text)).collect();
    ProxyService::multiplexed(public, at("0.0.0.0:3080"))
}

fn ids(service: &ProxyService, server: &str, variable: Option<&str>) -> Vec<&'static str> {
    let (name, proxy_server) = ("orders".into(), at(server));
    let found = for_pair(&Pair {
        service,
        agent: Some(PairAgent {
            name: &name,
            proxy_server: &proxy_server,
            tunnel_public_addr: variable,
        }),
    });
    assert!(found.is_sorted_by_key(|finding| finding.severity));
    found.iter().map(|finding| finding.id).collect()
}

#[test]
fn a_pair_without_a_scenario_is_told_what_its_files_say() {
    let one = service(&["a.example.com:443"]);
    assert_eq!(
        ids(&one, "a.example.com:443", None),
        ["certificate-elsewhere"]
    );
    let server = "a.example.com:3080";
    assert_eq!(
        ids(&one, server, None),
        ["proxy-server-port", "certificate-elsewhere"]
    );
    let variable = Some("b.example.com:443");
    assert_eq!(
        ids(&one, "a.example.com:443", variable),
        [
            "web-name-not-in-certificate",
            "not-a-principal",
            "certificate-elsewhere"
        ]
    );
    let two = service(&["a.example.com:443", "b.example.com:443"]);
    assert_eq!(
        ids(&two, "a.example.com:443", variable),
        ["several-public-addrs", "certificate-elsewhere"]
    );
    let mut separate = one;
    separate.mode = ListenerMode::Separate;
    assert!(ids(&separate, "a.example.com:443", None).contains(&"no-tunnel-listener"));
    separate.listen.push((Port::Tunnel, at("0.0.0.0:3024")));
    assert!(!ids(&separate, "a.example.com:443", None).contains(&"no-tunnel-listener"));
}
