//! `twodoors explain dial`: which address an agent dials, by which rule, and whom it believes.
//!
//! In go Teleport's own files, or a document of find, and perhaps a scenario; out come the decisions
//! of `policy/address`, `policy/principals` and `policy/alpn`, which agents and proxies ask, too.

mod show;

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;

use super::files::{self, Reader};
use super::principals;
use crate::cli::{Exit, Io, host};
use crate::lab::client::Client;
use crate::lab::lead::{self, Lead};
use crate::lab::load::{Loaded, load};
use crate::model::addr::HostPort;
use crate::model::finding::Finding;
use crate::model::id::Name;
use crate::model::teleport::{Document, Port, ProxyService};
use crate::policy::address::{self, Considered, Found, Unfound};
use crate::policy::alpn;
use crate::policy::findings::{self, Pair, PairAgent};

const EXAMPLES: &str = "\
Examples:
  twodoors explain dial --proxy proxy.yaml --agent agent.yaml --env /etc/default/teleport
  twodoors explain dial --proxy proxy.yaml --agent values.yaml --json
  curl -s https://proxy.example.com/webapi/find | twodoors explain dial --find - --agent agent.yaml
  twodoors explain dial -s lab/scenarios/split-dns.yaml --from orders";

/// Explains the address that an agent dials for its tunnel.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct DialArgs {
    /// The teleport.yaml of the proxies, their Auth Service in it; `-` is standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "find")]
    pub proxy: Option<PathBuf>,

    /// An answer of /webapi/find instead; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    pub find: Option<PathBuf>,

    /// The agent's teleport.yaml, or values of the chart teleport-kube-agent.
    #[arg(long, value_name = "FILE")]
    pub agent: Option<PathBuf>,

    /// The agent's environment file: /etc/default/teleport.
    #[arg(long, value_name = "FILE")]
    pub env: Option<PathBuf>,

    /// A scenario, for the view and the door; its pool and agent where no file is given.
    #[arg(short, long, env = "TWODOORS_SCENARIO", value_name = "FILE")]
    pub scenario: Option<PathBuf>,

    /// Who dials: an address, or the name of an agent, a user or a network of the scenario.
    #[arg(short = 'b', long, value_name = "ADDRESS|NAME", requires = "scenario")]
    pub from: Option<String>,

    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
}

/// Whatever could be found out.
struct Explained {
    document: Document,
    variable: Option<Name>,
    found: Result<Found, Unfound>,
    considered: Vec<Considered>,
    /// Where find is asked.
    seed: Option<HostPort>,
    /// What is known of the proxies beyond their document.
    pool: Option<PoolSide>,
    /// Where the scenario's DNS leads find and the dial.
    leads: Option<(Option<Lead>, Option<Lead>)>,
    findings: Vec<(Finding, Option<String>)>,
}

/// What only the proxies' own file tells.
struct PoolSide {
    principals: Vec<String>,
    web_names: Vec<String>,
    /// The listener that has the dialled port, and what it makes of the tunnel.
    listener: Option<(Port, String)>,
}

/// Explains it; exit 1 where no dial can be made.
pub fn dial(args: &DialArgs, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    let mut reader = Reader::default();
    let proxy = args.proxy.as_deref().and_then(|path| reader.proxy(path));
    let find = args.find.as_deref().and_then(|path| reader.find(path));
    let agent = args.agent.as_deref().and_then(|path| reader.agent(path));
    let environment = args
        .env
        .as_deref()
        .and_then(|path| reader.environment(path));
    let wrong = reader.end(io)?;
    let scenario = match args
        .scenario
        .as_deref()
        .map(|path| host::source(Some(path)))
    {
        None => None,
        Some((path, files)) => match load(&path, &*files) {
            Ok(loaded) => Some(loaded),
            Err(mistakes) => return host::print_mistakes(&mistakes, io),
        },
    };
    if let Some(exit) = wrong {
        return Ok(exit);
    }
    let from = match (&args.from, &scenario) {
        (Some(from), Some(loaded)) => match Client::named(from, &loaded.topology) {
            Ok(client) => Some(client.address),
            Err(mistake) => {
                writeln!(io.err, "twodoors explain dial: --from {mistake}")?;
                return Ok(Exit::Usage);
            }
        },
        _ => None,
    };
    let own = |loaded: &Loaded| loaded.topology.pool.teleport.clone();
    let service = match (&proxy, &find, &scenario) {
        (Some(proxy), ..) => Some(proxy.service.clone()),
        (None, Some(_), _) => None,
        (None, None, Some(loaded)) => Some(own(loaded)),
        (None, None, None) => {
            writeln!(
                io.err,
                "twodoors explain dial: whose address? give --proxy FILE, --find FILE or a scenario"
            )?;
            return Ok(Exit::Usage);
        }
    };
    let node = agent_at(scenario.as_ref(), from);
    let in_scenario = node.filter(|_| agent.is_none());
    let variable = environment
        .as_ref()
        .and_then(|environment| environment.tunnel_public_addr.clone())
        .or_else(|| {
            agent
                .as_ref()
                .and_then(|agent| agent.tunnel_public_addr.clone())
        })
        .or_else(|| in_scenario.and_then(|agent| agent.tunnel_public_addr.clone()));
    let seed = agent.as_ref().map(|agent| agent.proxy_server.clone());
    let seed = seed.or_else(|| in_scenario.map(|agent| agent.proxy_server.clone()));
    let cluster = principals::cluster(service.as_ref(), scenario.as_ref());
    let document = find.unwrap_or_else(|| match &service {
        Some(service) => address::advertise(service, &cluster),
        None => Document::default(),
    });
    let found = address::tunnel(&document, variable.as_deref());
    let name = node.map_or_else(|| Name::from("agent"), |agent| agent.name.clone());
    let findings = service.as_ref().map_or_else(Vec::new, |service| {
        findings::for_pair(&Pair {
            service,
            agent: seed.as_ref().map(|seed| PairAgent {
                name: &name,
                proxy_server: seed,
                tunnel_public_addr: variable.as_deref(),
            }),
        })
    });
    let places = |finding: Finding| {
        let place = files::place(
            &finding,
            proxy.as_ref().map(|file| &file.keys),
            agent.as_ref().map(|file| &file.keys),
            environment.as_ref().map(|file| &file.keys),
        );
        (finding, place)
    };
    let dialled = found.as_ref().ok().map(|found| found.address.clone());
    let leads = scenario.as_ref().zip(from).map(|(loaded, from)| {
        let to = |to: &HostPort| lead::lead(&loaded.topology, &loaded.rules, from, to);
        (seed.as_ref().map(to), dialled.as_ref().map(to))
    });
    let explained = Explained {
        considered: address::considered(&document, variable.as_deref()),
        pool: service.as_ref().map(|service| {
            let (principals, web_names) = principals::of(service, scenario.as_ref(), None);
            PoolSide {
                principals,
                web_names,
                listener: dialled.as_ref().map(|to| listener(service, &document, to)),
            }
        }),
        findings: findings.into_iter().map(places).collect(),
        document,
        variable,
        found,
        seed,
        leads,
    };
    let text = if args.json {
        format!("{}\n", serde_json::to_string_pretty(&explained.json())?)
    } else {
        explained.text()?
    };
    io.out.write_all(text.as_bytes())?;
    Ok(match explained.found {
        Ok(_) => Exit::Success,
        Err(_) => Exit::Failed,
    })
}

/// Finds the agent of the scenario that has this address.
fn agent_at(
    scenario: Option<&Loaded>,
    from: Option<IpAddr>,
) -> Option<&crate::model::topology::Agent> {
    let (scenario, from) = (scenario?, from?);
    let mut agents = scenario.topology.agents.iter();
    agents.find(|agent| agent.address == from)
}

/// Gives the listener that has the dialled port, and what it makes of the tunnel, in words.
fn listener(service: &ProxyService, document: &Document, to: &HostPort) -> (Port, String) {
    let port = service.behind(to.port);
    let offers = alpn::offers(document.tls_routing, service.strategy);
    if !offers.is_empty() {
        let classified = alpn::classify(port, Some(&to.host), offers);
        let words = match classified.service {
            Ok(service) => format!("{service}: {}", classified.why),
            Err(refusal) => format!("refused: {refusal}"),
        };
        return (port, words);
    }
    // Raw SSH is for tunnels where they have a socket of their own, or share that of the web.
    let shared = service.listener(Port::Tunnel) == Some(&service.web_listen());
    let words = match port {
        Port::Tunnel => "reverse_tunnel: raw SSH on the tunnel listener",
        Port::Web if shared => "reverse_tunnel: raw SSH, tunnels share the web listener",
        Port::Ssh => "refused: raw SSH here is that of users",
        Port::Web | Port::Kube | Port::Mysql | Port::Postgres | Port::Mongo | Port::Peer => {
            "refused: nothing here takes raw SSH"
        }
    };
    (port, words.to_owned())
}
