//! A small lab for the tests of the machines: three proxies, two doors, two agents, one user.

use crate::model::addr::{BackendAddr, HostPort, ListenAddr};
use crate::model::draw::Seed;
use crate::model::id::Name;
use crate::model::network::Network;
use crate::model::time::{Span, Time};
use crate::model::topology::{
    Agent, Algorithm, App, Balancer, Check, Dns, Model, Pool, Proxy, Role, Start, Topology, User,
};
use crate::policy::{Context, Machine, Outbox};

/// Makes the topology.
pub(crate) fn topology() -> Topology {
    let net = |name: &str, range: &str| Network {
        name: name.into(),
        ranges: vec![range.parse().expect("a range")],
    };
    let proxy_server = HostPort {
        host: "proxy.example.com".into(),
        port: 3080,
    };
    let proxy = |n: u8| Proxy {
        name: n.to_string().into(),
        id: format!("proxy-id-{n}").into(),
        listen: BackendAddr(format!("127.30.0.{n}:3080").parse().expect("an address")),
        further: Vec::new(),
    };
    let balancer = |name: &str, listen: &str, role| Balancer {
        name: name.into(),
        listen: vec![ListenAddr(listen.parse().expect("an address"))],
        allow: Vec::new(),
        algorithm: Algorithm::RoundRobin,
        check: Check {
            interval: Span::from_secs(2),
            timeout: Span::from_secs(1),
            rise: 2,
            fall: 3,
        },
        meant_for: Some(role),
        timeout_connect: Span::from_secs(5),
        retries: 3,
        send_proxy: crate::model::teleport::SendProxy::V2,
    };
    let agent = |name: &str, network: &str, address: &str| Agent {
        name: name.into(),
        id: format!("{name}-id").into(),
        network: network.into(),
        address: address.parse().expect("an address"),
        resolver: None,
        proxy_server: proxy_server.clone(),
        tunnel_public_addr: None,
        find_cache: crate::model::teleport::FIND_CACHE,
        backoff: crate::model::teleport::Backoff::Teleport,
        databases: Vec::new(),
        apps: vec![App {
            name: name.into(),
            target: None,
            login: false,
        }],
    };
    Topology {
        name: "testing".into(),
        seed: Seed(1),
        networks: vec![
            net("internal", "127.10.0.0/16"),
            net("external", "127.20.0.0/16"),
        ],
        dns: Dns::new("127.0.0.1:0".parse().expect("an address")),
        pool: Pool {
            name: "proxies".into(),
            proxies: (1..=3).map(proxy).collect(),
            teleport: crate::model::teleport::ProxyService::multiplexed(
                vec![proxy_server.clone()],
                HostPort {
                    host: "0.0.0.0".into(),
                    port: 3080,
                },
            ),
        },
        balancers: vec![
            balancer("internal", "127.10.0.2:3080", Role::Agents),
            balancer("external", "127.20.0.2:3080", Role::Users),
        ],
        agents: vec![
            agent("orders", "internal", "127.10.0.11"),
            agent("kiosk", "external", "127.20.0.11"),
        ],
        users: vec![User {
            name: "alice".into(),
            network: "external".into(),
            address: "127.20.0.21".parse().expect("an address"),
            resolver: None,
            proxy: None,
            visits: vec![Name::from("orders"), Name::from("kiosk")],
            every: Span::from_secs(2),
            start: Start::Mesh,
        }],
        resolvers: Vec::new(),
        timeline: Vec::new(),
        expect: Vec::new(),
        duration: Span::from_secs(60),
        model: Model::default(),
    }
}

/// One machine on a bench with a clock of its own.
pub(crate) struct Bench<M> {
    pub(crate) machine: M,
    pub(crate) topology: Topology,
    pub(crate) now: Time,
}

impl<M: Machine> Bench<M> {
    pub(crate) fn new(machine: M) -> Self {
        Self {
            machine,
            topology: topology(),
            now: Time::ZERO,
        }
    }

    pub(crate) fn feed(&mut self, input: M::Input) -> Outbox<M::Output> {
        let mut out = Outbox::default();
        let cx = Context {
            now: self.now,
            topology: &self.topology,
        };
        self.machine.handle(&cx, input, &mut out);
        out
    }

    /// Goes on to the next deadline and wakes the machine there.
    pub(crate) fn wake(&mut self) -> Outbox<M::Output> {
        let (at, _) = self
            .machine
            .deadline()
            .expect("the machine wants to be woken");
        self.now = self.now.max(at);
        let mut out = Outbox::default();
        self.machine.wake(
            &Context {
                now: self.now,
                topology: &self.topology,
            },
            &mut out,
        );
        out
    }

    pub(crate) fn pass(&mut self, span: Span) {
        self.now += span;
    }
}
