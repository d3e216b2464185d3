//! What several areas' tests need: a topology to start from, and a wait that ends.

use std::net::SocketAddr;
use std::time::Duration;

use twodoors::model::addr::{BackendAddr, ListenAddr};
use twodoors::model::draw::Seed;
use twodoors::model::network::{Element, Matcher, Network};
use twodoors::model::time::Span;
use twodoors::model::topology::{Algorithm, Balancer, Check, Dns, Pool, Proxy, Topology};

/// How long anything on loopback may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(10);

/// Makes a lab of these networks, proxies and doors; no views, agents or users.
pub(crate) fn topology(
    networks: &[(&str, &str)],
    proxies: &[SocketAddr],
    balancers: Vec<Balancer>,
) -> Topology {
    let networks = networks.iter().map(|(name, range)| Network {
        name: (*name).into(),
        ranges: vec![range.parse().unwrap()],
    });
    let proxies = (1..).zip(proxies).map(|(number, listen)| Proxy {
        name: number.to_string().into(),
        id: format!("00000000-0000-4000-8000-{number:012}").into(),
        listen: BackendAddr(*listen),
        further: Vec::new(),
    });
    Topology {
        name: "test".into(),
        seed: Seed(1),
        networks: networks.collect(),
        dns: Dns::new(([127, 0, 0, 1], 0).into()),
        pool: Pool {
            name: "proxies".into(),
            proxies: proxies.collect(),
            teleport: twodoors::model::teleport::ProxyService::multiplexed(
                Vec::new(),
                twodoors::model::addr::HostPort {
                    host: "0.0.0.0".into(),
                    port: 3080,
                },
            ),
        },
        balancers,
        agents: Vec::new(),
        users: Vec::new(),
        resolvers: Vec::new(),
        timeline: Vec::new(),
        expect: Vec::new(),
        duration: Span::from_secs(60),
        model: twodoors::model::topology::Model::default(),
    }
}

/// Makes a round-robin door that lets everyone in and checks five times a second.
pub(crate) fn door(name: &str, listen: SocketAddr) -> Balancer {
    Balancer {
        name: name.into(),
        listen: vec![ListenAddr(listen)],
        allow: Vec::new(),
        algorithm: Algorithm::RoundRobin,
        check: Check {
            interval: Span::from_ms(200),
            timeout: Span::from_ms(1_000),
            rise: 2,
            fall: 3,
        },
        meant_for: None,
        timeout_connect: Span::from_secs(2),
        retries: 3,
        send_proxy: twodoors::model::teleport::SendProxy::V2,
    }
}

/// Makes an element of a match list from one range, `!` before it to negate.
pub(crate) fn element(text: &str) -> Element {
    let range = text.trim_start_matches('!');
    Element {
        text: text.into(),
        negated: text.starts_with('!'),
        what: Matcher::Ranges(vec![range.parse().unwrap()]),
    }
}

/// Waits until `check` gives something; panics with `what` when it takes too long.
pub(crate) async fn eventually<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let wait = async {
        loop {
            if let Some(found) = check() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain: {what}"))
}
