//! `twodoors explain route`: which tunnel takes a user's request, or the refusal, at each proxy.
//!
//! In go a scenario, a user and an app or database; out come the door that the user gets, and for
//! each instance behind it what `policy/route` decides there. It is static: every agent is taken to
//! hold all the tunnels that it wants, and the instance to be any that the door may choose.

use std::path::PathBuf;

use clap::Args;

use crate::cli::{Exit, Io, host};
use crate::lab::client::Client;
use crate::lab::lead::lead;
use crate::lab::load::{Loaded, load};
use crate::model::addr::HostPort;
use crate::model::id::{ConnId, Name};
use crate::model::teleport::{ConnType, Strategy};
use crate::model::topology::Agent;
use crate::policy::address;
use crate::policy::route::{self, Candidate, Over};

const EXAMPLES: &str = "\
Examples:
  twodoors explain route --from alice orders
  twodoors explain route -s lab/scenarios/split-dns.yaml --from external orders";

/// Explains which tunnel takes a user's request.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct RouteArgs {
    /// The scenario; by default the embedded example.
    #[arg(short, long, env = "TWODOORS_SCENARIO", value_name = "FILE")]
    pub scenario: Option<PathBuf>,

    /// Who asks: an address, or the name of an agent, a user or a network of the scenario.
    #[arg(short = 'b', long, value_name = "ADDRESS|NAME")]
    pub from: String,

    /// The app or database.
    pub resource: String,
}

/// Explains it; exit 1 where the request is refused everywhere.
pub fn route(args: &RouteArgs, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    let (path, files) = host::source(args.scenario.as_deref());
    let loaded = match load(&path, &*files) {
        Ok(loaded) => loaded,
        Err(mistakes) => return host::print_mistakes(&mistakes, io),
    };
    let topology = &loaded.topology;
    let (from, who) = match Client::named(&args.from, topology) {
        Ok(client) => (client.address, client.name),
        Err(mistake) => {
            writeln!(io.err, "twodoors explain route: --from {mistake}")?;
            return Ok(Exit::Usage);
        }
    };
    let named = |agent: &&Agent, database: bool| {
        let name = &*args.resource;
        if database {
            agent.databases.iter().any(|known| &*known.name == name)
        } else {
            agent.apps.iter().any(|known| &*known.name == name)
        }
    };
    let mut database = false;
    let agents = topology.agents.iter();
    let mut servers: Vec<&Agent> = agents.clone().filter(|agent| named(agent, false)).collect();
    if servers.is_empty() {
        servers = agents.filter(|agent| named(agent, true)).collect();
        database = !servers.is_empty();
    }
    let kind = if database {
        ConnType::Db
    } else {
        ConnType::App
    };
    writeln!(io.out, "scenario  {}", topology.name)?;
    let who = who.unwrap_or_else(|| from.to_string());
    writeln!(
        io.out,
        "request   {} {} from {who} ({from})",
        kind.word(),
        args.resource
    )?;
    for agent in &servers {
        writeln!(io.out, "served    by agent/{} ({})", agent.name, agent.id)?;
    }
    if let Some(to) = asked(&loaded, &args.resource, database) {
        let lead = lead(topology, &loaded.rules, from, &to);
        writeln!(io.out, "name      {}", lead.words())?;
    }
    let strategy = topology.pool.teleport.strategy;
    let mut taken = false;
    for proxy in &topology.pool.proxies {
        let steps = at_proxy((strategy, kind), &servers, topology.pool.proxies.len());
        for (n, (step, takes)) in steps.iter().enumerate() {
            let name = if n == 0 {
                format!("proxy/{}", proxy.name)
            } else {
                String::new()
            };
            writeln!(io.out, "{name:<9} {step}")?;
            taken |= takes;
        }
    }
    Ok(if taken { Exit::Success } else { Exit::Failed })
}

/// Gives the address that the user dials for it.
fn asked(loaded: &Loaded, resource: &str, database: bool) -> Option<HostPort> {
    let topology = &loaded.topology;
    let service = &topology.pool.teleport;
    let public = service.public.first()?;
    if database {
        let document = address::advertise(service, topology.cluster());
        return Some(address::database(&document, public, "postgres"));
    }
    Some(HostPort {
        host: topology.app_host(resource)?.into(),
        port: public.port,
    })
}

/// Gives the steps of an instance, each with whether the request is taken.
fn at_proxy(
    (strategy, kind): (Strategy, ConnType),
    servers: &[&Agent],
    proxies: usize,
) -> Vec<(String, bool)> {
    let numbered = (1..).map(ConnId).zip(servers);
    let candidates: Vec<Candidate<'_>> = numbered
        .map(|(conn, agent)| Candidate {
            conn,
            host_id: &agent.id,
            ready: true,
            invalid: false,
        })
        .collect();
    let ids: Vec<Name> = servers.iter().map(|agent| agent.id.clone()).collect();
    let picked = match route::pick(kind, candidates.into_iter(), &ids, None) {
        Ok(picked) => picked,
        Err(cause) => {
            let refusal = route::refusal(kind, Over::by(strategy), &cause).replace('\n', " ");
            return vec![(format!("refused: {}", refusal.trim()), false)];
        }
    };
    let place = usize::try_from(picked.conn.0).unwrap_or_default();
    let agent = servers.get(place.saturating_sub(1));
    let agent = agent.map_or("?", |agent| &*agent.name);
    let own = format!("its tunnel to agent/{agent} takes it: {}", picked.why);
    match strategy {
        Strategy::ProxyPeering { connections } if (connections as usize) < proxies => vec![
            (format!("where the agent is attached here, {own}"), true),
            (
                format!(
                    "else, the agent holding {connections} of {proxies} tunnels: the proxies in its \
                     heartbeat are asked in random order"
                ),
                true,
            ),
            (
                String::from(
                    "a request that is itself from a peer ends here: no tunnel, no further peer",
                ),
                false,
            ),
        ],
        Strategy::AgentMesh | Strategy::ProxyPeering { .. } => vec![
            (own, true),
            (
                String::from(
                    "without that tunnel it is refused: proxies of a mesh ask nobody else",
                ),
                false,
            ),
        ],
    }
}
