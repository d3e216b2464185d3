//! From a scenario to running nodes: bind, issue, make, start. In that order.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::{Lab, Options, StartError};
use crate::journal::Journal;
use crate::live::agent::{self, Agent};
use crate::live::authority::{Authority, HostRole};
use crate::live::balancer::Balancer;
use crate::live::clock::Clock;
use crate::live::dial::Dialer;
use crate::live::dns::{self as dns_server, Dns};
use crate::live::faults::InForce;
use crate::live::gossip::Board;
use crate::live::peer;
use crate::live::ports::Ports;
use crate::live::proxy::{self, Proxy};
use crate::live::resolver::{Resolver, Sockets};
use crate::live::runner::Shared;
use crate::live::tasks::Tasks;
use crate::live::tls;
use crate::live::tunnel::Settings;
use crate::live::user::User;
use crate::model::fact::{Act, Kind};
use crate::model::id::{Name, Node, Seq};
use crate::model::topology::Topology;
use crate::policy::{findings, principals};

pub(super) async fn start(options: Options) -> Result<Lab, StartError> {
    let Options {
        path,
        files,
        loaded,
        dns,
        tap,
    } = options;
    let topology = Arc::new(loaded.topology);
    let rules = loaded.rules.with_topology(Arc::clone(&topology));
    let rules = rules.with_server(dns_server::identity(&topology));
    let rules = Arc::new(ArcSwap::from_pointee(rules));
    let clock = Clock::start();
    let started_unix_us = clock.unix_us();
    let journal = Journal::new(&topology);
    let shared = Shared {
        topology: Arc::clone(&topology),
        clock,
        journal: journal.clone(),
        faults: InForce::default(),
        ports: Ports::default(),
        tap,
    };

    // Bind everything first.
    let listen = dns.unwrap_or(topology.dns.listen);
    let server = Dns::new(&topology, Arc::clone(&rules), journal.clone(), move || {
        clock.now()
    });
    let mut listen = vec![listen];
    listen.extend(&topology.dns.listen_also);
    let bound = server.bind(&listen);
    let bound = bound.map_err(|(address, error)| bind_error(Node::Dns, address, error))?;
    let addresses = bound.addresses();
    let dns = addresses.first().copied().unwrap_or(topology.dns.listen);
    let mut pool = Vec::new();
    for proxy in &topology.pool.proxies {
        let node = || Node::Proxy(proxy.name.clone());
        let listeners: Result<Vec<_>, _> = proxy::listeners(proxy)
            .into_iter()
            .map(|(port, address)| Ok((port, bind(&shared.ports, node(), address)?)))
            .collect();
        pool.push(listeners?);
    }
    let mut caches = Vec::new();
    for resolver in &topology.resolvers {
        let node = || Node::Resolver(resolver.name.clone());
        let sockets = Sockets::bind(resolver.listen).await;
        caches.push(sockets.map_err(|error| bind_error(node(), resolver.listen, error))?);
    }
    let mut doors = Vec::new();
    for door in &topology.balancers {
        let node = || Node::Balancer(door.name.clone());
        let listeners: Result<Vec<_>, _> = door
            .listen
            .iter()
            .map(|address| bind(&shared.ports, node(), address.0))
            .collect();
        doors.push(listeners?);
    }

    // Issue certificates.
    let now = clock.unix_seconds();
    let issuing = |error: &dyn std::fmt::Display| StartError::System {
        what: "the lab authority",
        error: error.to_string(),
    };
    let authority = Authority::new(now).map_err(|e| issuing(&e))?;
    let names = principals::web(&topology.pool.teleport, &topology.pool.name);
    let web = authority.issue_web(&names, now).map_err(|e| issuing(&e))?;
    let web = tls::Server::asking(web, Arc::new(authority.user_roots()));
    let known_hosts = authority.known_hosts_line("*").map_err(|e| issuing(&e))?;
    let stand_in = authority.issue_stand_in(now).map_err(|e| issuing(&e))?;
    let roots = Arc::new(authority.roots());
    let asked: Vec<SocketAddr> = caches.iter().map(Sockets::address).collect();
    let dialer = |from, resolver: &Option<Name>| {
        let names = topology.resolvers.iter().map(|resolver| &resolver.name);
        let mut asked = names.zip(&asked);
        let own = asked.find(|(name, _)| Some(*name) == resolver.as_ref());
        let dns = own.map_or(dns, |(_, address)| *address);
        let dialer = Dialer::new(from, dns, Arc::clone(&roots));
        let dialer = dialer.map_err(|error| StartError::System {
            what: "a resolver",
            error: error.to_string(),
        })?;
        Ok::<_, StartError>(dialer.knowing(shared.ports.clone()))
    };

    // Make the nodes.
    let tasks = Tasks::new();
    let board = Board::default();
    let cluster = topology.cluster();
    let settings = Settings::of(&topology.pool.teleport);
    let peering = peer::Authority::new(now).map_err(|e| issuing(&e))?;
    let mut proxies = Vec::new();
    for (index, (config, listeners)) in topology.pool.proxies.iter().zip(pool).enumerate() {
        let names = principals::proxy(&topology.pool, config, cluster);
        let name = principals::proxy_nodename(config);
        let identity = authority.issue_host(HostRole::Proxy, &name, &names, now);
        let means = proxy::Means {
            peers: peering.issue(&config.id, now).map_err(|e| issuing(&e))?,
            tls: web.clone(),
            identity: identity.map_err(|e| issuing(&e))?,
            trust: authority.trust(),
            settings: settings.clone(),
            board: board.clone(),
        };
        proxies.push(Proxy::new(index, shared.clone(), means, listeners, &tasks));
    }
    let balancers: Vec<Balancer> = (0..topology.balancers.len())
        .map(|index| Balancer::new(index, shared.clone()))
        .collect();
    let mut agents = Vec::new();
    for (index, config) in topology.agents.iter().enumerate() {
        let names = principals::agent(config, cluster);
        let identity = authority.issue_host(HostRole::App, &config.name, &names, now);
        let means = agent::Means {
            dialer: dialer(config.address, &config.resolver)?,
            identity: identity.map_err(|e| issuing(&e))?,
            trust: authority.trust(),
            settings: settings.clone(),
        };
        agents.push(Agent::new(index, shared.clone(), means, &tasks));
    }
    let mut users = Vec::new();
    for (index, config) in topology.users.iter().enumerate() {
        users.push(User::new(
            index,
            shared.clone(),
            dialer(config.address, &config.resolver)?,
            &tasks,
        ));
    }

    let resolvers: Vec<Resolver> = (0..topology.resolvers.len())
        .map(|index| {
            let config = &topology.resolvers[index];
            let route = (dns, topology.resolver_address(config));
            Resolver::new(index, shared.clone(), asked[index], route, &tasks)
        })
        .collect();

    // Start them, from the inside out.
    tasks.spawn_watching(bound.run(tasks.token()));
    for (resolver, sockets) in resolvers.iter().zip(caches) {
        resolver.start(sockets);
    }
    let starting = |error: io::Error| StartError::System {
        what: "a node",
        error: error.to_string(),
    };
    for proxy in &proxies {
        proxy.operate(Act::Start).await.map_err(starting)?;
    }
    for (door, listeners) in balancers.iter().zip(doors) {
        door.start(listeners, &tasks).map_err(starting)?;
    }
    for (node, kind) in findings::facts(&findings::all(&topology, Some(&rules.load()))) {
        journal.add(clock.now(), &node, [kind]);
    }
    journal.add(clock.now(), &Node::Lab, [Kind::Ready]);
    tasks.spawn(watch_mesh(
        journal.clone(),
        clock,
        journal.watch(),
        users.clone(),
    ));
    for agent in &agents {
        agent.operate(Act::Start);
    }
    for user in &users {
        user.operate(Act::Start);
    }
    Ok(Lab {
        shared,
        dns,
        dns_all: addresses,
        rules,
        path,
        files,
        ca_pem: authority.ca_pem().to_owned(),
        authority,
        web,
        known_hosts,
        stand_in,
        proxies,
        balancers,
        agents,
        users,
        resolvers,
        tasks,
        seed_given: loaded.seed_given,
        places: Arc::new(loaded.places),
        started_unix_us,
        reloading: Mutex::new(()),
    })
}

/// Waits for the first full mesh, makes it a fact and tells the users.
async fn watch_mesh(
    journal: Journal,
    clock: Clock,
    mut grown: watch::Receiver<Seq>,
    users: Vec<User>,
) {
    loop {
        let (ready, mesh) = journal.ask(|state| (state.ready, state.mesh));
        if let Some(ready) = ready
            && mesh.now == mesh.full
        {
            let now = clock.now();
            journal.add(
                now,
                &Node::Lab,
                [Kind::MeshComplete {
                    after: now.since(ready),
                }],
            );
            for user in &users {
                user.mesh_complete();
            }
            return;
        }
        if grown.changed().await.is_err() {
            return;
        }
    }
}

fn bind(ports: &Ports, what: Node, address: SocketAddr) -> Result<TcpListener, StartError> {
    let bound = ports.listen(address);
    bound.map_err(|error| bind_error(what, address, error))
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the system has many errors, and a few have a cure"
)]
pub(super) fn bind_error(what: Node, address: SocketAddr, error: io::Error) -> StartError {
    let ip = address.ip();
    let cure = match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "another program (another lab?) listens there: `ss -ltnup 'sport = {}'` names it",
            address.port()
        ),
        io::ErrorKind::AddrNotAvailable if ip.is_loopback() => format!(
            "this system has no such loopback address; on macOS add it: `sudo ifconfig lo0 alias \
             {ip}`"
        ),
        io::ErrorKind::AddrNotAvailable => {
            String::from("no interface of this machine has that address")
        }
        io::ErrorKind::PermissionDenied => {
            String::from("ports below 1024 need privileges: choose a higher one")
        }
        _ => String::from("look at the scenario's addresses"),
    };
    StartError::Bind {
        what,
        address,
        error,
        cure,
    }
}

/// Names the parts of a scenario that differ and that a running lab cannot take over.
pub(super) fn fixed_parts_changed(old: &Topology, new: &Topology) -> Vec<&'static str> {
    // Field by field, so that a new one is not forgotten.
    let Topology {
        name,
        seed,
        networks,
        dns,
        pool,
        balancers,
        agents,
        users,
        resolvers,
        // What a run does and expects is read when it begins.
        timeline: _,
        expect: _,
        duration: _,
        model: _,
    } = new;
    [
        ("name", old.name != *name),
        ("seed", old.seed != *seed),
        ("networks", old.networks != *networks),
        ("dns.listen", !old.dns.listeners().eq(dns.listeners())),
        ("pool", old.pool != *pool),
        ("balancers", old.balancers != *balancers),
        ("agents", old.agents != *agents),
        ("users", old.users != *users),
        ("resolvers", old.resolvers != *resolvers),
    ]
    .into_iter()
    .filter_map(|(part, differs)| differs.then_some(part))
    .collect()
}
