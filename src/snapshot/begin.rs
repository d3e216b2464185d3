//! The state of a lab in which nothing has happened yet.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::measure::{Connecting, Connects, Minute, Spans};
use super::{
    Admin, AgentState, BackendState, BalancerState, DnsState, Mesh, NetworkState, ProxyState,
    ResolverState, Snapshot, StepState, TunnelState, UserState,
};
use crate::model::fact::Health;
use crate::model::id::{Generation, Name, Seq};
use crate::model::time::Time;
use crate::model::topology::Topology;

impl Snapshot {
    /// Makes the state of a lab in which nothing has happened yet.
    pub fn new(topology: &Topology) -> Self {
        let proxies = || topology.pool.proxies.iter();
        let backends = || {
            proxies().map(|proxy| BackendState {
                proxy: proxy.name.clone(),
                health: Health::Unknown,
                since: Time::ZERO,
                cause: String::from("not checked yet"),
                open: 0,
                total: 0,
                failed: 0,
                bytes_up: 0,
                bytes_down: 0,
                rate: Minute::default(),
                connects: Connects::default(),
                checks: VecDeque::new(),
            })
        };
        let tunnels = || {
            proxies().map(|proxy| TunnelState {
                proxy: proxy.name.clone(),
                up: false,
                since: None,
                balancer: None,
                dial: None,
                made: 0,
                gap: None,
                after_rise: None,
                verified: None,
            })
        };
        let agent = |place: &u32| topology.agents.get(*place as usize);
        let mut agents_by_name: Vec<u32> = (0..).take(topology.agents.len()).collect();
        agents_by_name.sort_by_key(|place| agent(place).map(|agent| &agent.name));
        let mut state = Self {
            agents_by_name: agents_by_name.into(),
            name: topology.name.clone(),
            at: Time::ZERO,
            seq: Seq(0),
            ready: None,
            ended: None,
            run: None,
            steps: vec![StepState::default(); topology.timeline.len()],
            generation: Generation(1),
            reload_mistakes: Vec::new(),
            reloaded: None,
            networks: topology
                .networks
                .iter()
                .map(|network| NetworkState {
                    name: network.name.clone(),
                    ranges: network.ranges.clone(),
                    view: None,
                })
                .collect(),
            mesh: Mesh {
                now: 0,
                full: topology.mesh_size(),
                complete_after: None,
            },
            dns: DnsState::default(),
            balancers: topology
                .balancers
                .iter()
                .map(|balancer| BalancerState {
                    name: balancer.name.clone(),
                    listen: balancer.listen.clone(),
                    network: balancer
                        .listen
                        .first()
                        .and_then(|listen| topology.network_of(listen.ip()))
                        .map(|network| network.name.clone()),
                    meant_for: balancer.meant_for,
                    admin: Admin::Ready,
                    open: 0,
                    bytes_up: 0,
                    bytes_down: 0,
                    no_backend: 0,
                    networks: BTreeMap::new(),
                    uses: BTreeMap::new(),
                    backends: backends().collect(),
                    flows: Minute::default(),
                    failures: Minute::default(),
                    latency: Spans::default(),
                    connecting: Connecting::default(),
                })
                .collect(),
            proxies: proxies()
                .map(|proxy| ProxyState {
                    name: proxy.name.clone(),
                    listen: proxy.listen,
                    admin: Admin::Ready,
                    tunnels: 0,
                    routed: 0,
                    no_tunnel: 0,
                    cut: 0,
                    refused: 0,
                    requests: BTreeSet::new(),
                })
                .collect(),
            agents: topology
                .agents
                .iter()
                .map(|agent| AgentState {
                    name: agent.name.clone(),
                    network: agent.network.clone(),
                    address: agent.address,
                    apps: agent.apps.iter().map(|app| app.name.clone()).collect(),
                    admin: Admin::Ready,
                    tunnels: tunnels().collect(),
                    failures: BTreeMap::new(),
                    causes: BTreeMap::new(),
                    cut: 0,
                    last_error: None,
                })
                .collect(),
            users: topology
                .users
                .iter()
                .map(|user| UserState {
                    name: user.name.clone(),
                    network: user.network.clone(),
                    address: user.address,
                    visits: user.visits.clone(),
                    admin: Admin::Ready,
                    answered: 0,
                    failures: BTreeMap::new(),
                    doors: BTreeMap::new(),
                    last: None,
                    last_error: None,
                })
                .collect(),
            resolvers: topology
                .resolvers
                .iter()
                .map(|resolver| ResolverState {
                    name: resolver.name.clone(),
                    admin: Admin::Ready,
                    hits: 0,
                    misses: 0,
                })
                .collect(),
            findings: Vec::new(),
            faults: Vec::new(),
        };
        let views = topology.dns.views.iter();
        state.show_views(views.map(|view| (&view.name, &*view.match_clients)));
        state
    }

    /// Estimates how many bytes it takes.
    pub fn weight(&self) -> usize {
        let agents = self.agents.iter().map(|agent| {
            let tunnels = agent.tunnels.len() * size_of::<TunnelState>();
            size_of::<AgentState>() + tunnels + agent.apps.len() * size_of::<Name>() + LOOSE
        });
        let doors = self.balancers.iter().map(|door| {
            size_of::<BalancerState>() + door.backends.len() * (size_of::<BackendState>() + LOOSE)
        });
        let users = self.users.len() * (size_of::<UserState>() + LOOSE);
        let pool = self.proxies.len() * (size_of::<ProxyState>() + LOOSE);
        size_of::<Self>() + agents.sum::<usize>() + doors.sum::<usize>() + users + pool
    }
}

/// What a node keeps on the heap beside what is counted: words, counts, the last error.
const LOOSE: usize = 512;
