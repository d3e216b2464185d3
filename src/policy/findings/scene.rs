//! What findings look at: the pool's file, its agents, and where each client's names lead.
//!
//! In go a topology and its rules, or a pair of files without a scenario; the questions of
//! `policy/address` and `policy/answer` are asked once for each agent and user.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use hickory_proto::op::OpCode;
use hickory_proto::rr::{DNSClass, RecordType};

use crate::model::addr::{ClientAddr, HostPort, ListenAddr};
use crate::model::id::Name;
use crate::model::network::{Verdict, judge};
use crate::model::teleport::{Port, ProxyService};
use crate::model::topology::{Balancer, Topology, User};
use crate::policy::address::{self, Document};
use crate::policy::answer::{Question, Rules, Transport, decide};
use crate::policy::zone;

/// How many aliases a stub resolver follows from one answer to the next.
const ALIASES_MAX: usize = 8;

/// What findings look at.
pub(super) struct Scene<'a> {
    pub(super) service: &'a ProxyService,
    /// What find answers.
    document: Document,
    pub(super) agents: Vec<Caller<'a>>,
    pub(super) users: Vec<Visitor<'a>>,
    pub(super) topology: Option<&'a Topology>,
    rules: Option<&'a Rules>,
}

/// An agent, and where its names lead.
pub(super) struct Caller<'a> {
    pub(super) name: &'a Name,
    pub(super) network: &'a str,
    pub(super) proxy_server: &'a HostPort,
    pub(super) variable: Option<&'a str>,
    /// What it dials for its tunnel, or why it cannot.
    pub(super) tunnel: Result<HostPort, String>,
    /// Where `proxy_server` leads.
    pub(super) seed_leads: Option<Lead<'a>>,
    /// Where the tunnel's address leads.
    pub(super) tunnel_leads: Option<Lead<'a>>,
}

/// A user, and where the first public address leads.
pub(super) struct Visitor<'a> {
    pub(super) user: &'a User,
    pub(super) leads: Option<Lead<'a>>,
}

/// Where a name and a port lead a client.
#[derive(Clone, Debug)]
pub(super) enum Lead<'a> {
    /// To a door that lets it in.
    Door(&'a Balancer, SocketAddr),
    /// The view (none when no view lets the client in) has no address for it.
    NoAddress(Option<&'a Name>, String),
    /// To no door.
    NoDoor(SocketAddr),
    /// To an instance of the pool itself.
    Proxy,
    /// To a door that turns it away.
    Refused(&'a Balancer, SocketAddr),
}

impl<'a> Lead<'a> {
    /// Gives the door that lets the client in.
    pub(super) fn door(&self) -> Option<&'a Balancer> {
        match self {
            Self::Door(door, _) => Some(door),
            Self::NoAddress(..) | Self::NoDoor(_) | Self::Proxy | Self::Refused(..) => None,
        }
    }

    /// Gives the listener behind that door's port.
    pub(super) fn listener(&self, service: &ProxyService) -> Option<(&'a Balancer, u16, Port)> {
        match self {
            Self::Door(door, address) => {
                let port = address.port();
                Some((door, port, service.behind(port)))
            }
            Self::NoAddress(..) | Self::NoDoor(_) | Self::Proxy | Self::Refused(..) => None,
        }
    }
}

impl<'a> Scene<'a> {
    /// Looks at a whole scenario; without rules no name leads anywhere.
    pub(super) fn of(topology: &'a Topology, rules: Option<&'a Rules>) -> Self {
        let mut scene = Self {
            service: &topology.pool.teleport,
            document: address::advertise(&topology.pool.teleport, topology.cluster()),
            agents: Vec::new(),
            users: Vec::new(),
            topology: Some(topology),
            rules,
        };
        let agents = topology.agents.iter().map(|agent| {
            let asks = scene.asks_from(agent.resolver.as_ref(), agent.address);
            let variable = agent.tunnel_public_addr.as_deref();
            let tunnel = scene.tunnel(variable);
            let lead = |to: &HostPort| scene.lead((asks, agent.address), to);
            Caller {
                name: &agent.name,
                network: &agent.network,
                proxy_server: &agent.proxy_server,
                variable,
                seed_leads: lead(&agent.proxy_server),
                tunnel_leads: tunnel.as_ref().ok().and_then(lead),
                tunnel,
            }
        });
        let agents = agents.collect();
        let first = scene.service.public.first();
        let users = topology.users.iter().map(|user| {
            let leads = first.and_then(|first| scene.user_lead(user, first));
            Visitor { user, leads }
        });
        let users = users.collect();
        scene.agents = agents;
        scene.users = users;
        scene
    }

    /// Looks at the pool's file and perhaps one agent's, without a scenario.
    pub(super) fn of_pair(service: &'a ProxyService, agent: Option<super::PairAgent<'a>>) -> Self {
        let document = address::advertise(service, "");
        let agents = agent.map(|agent| Caller {
            name: agent.name,
            network: "",
            proxy_server: agent.proxy_server,
            variable: agent.tunnel_public_addr,
            tunnel: tunnel(&document, agent.tunnel_public_addr),
            seed_leads: None,
            tunnel_leads: None,
        });
        Self {
            service,
            agents: agents.into_iter().collect(),
            document,
            users: Vec::new(),
            topology: None,
            rules: None,
        }
    }

    /// Works out what an agent with this variable dials for its tunnel.
    pub(super) fn tunnel(&self, variable: Option<&str>) -> Result<HostPort, String> {
        tunnel(&self.document, variable)
    }

    /// Gives where an address leads a user.
    pub(super) fn user_lead(&self, user: &User, to: &HostPort) -> Option<Lead<'a>> {
        let asks = self.asks_from(user.resolver.as_ref(), user.address);
        self.lead((asks, user.address), to)
    }

    /// Gives the names of all doors that an address leads to, from every network.
    pub(super) fn doors_of(&self, to: &HostPort) -> BTreeSet<&'a Name> {
        let networks = self.topology.iter().flat_map(|topology| &topology.networks);
        let sources = networks.filter_map(|network| network.ranges.first()?.hosts().next());
        let leads = sources.filter_map(|source| self.lead((source, source), to));
        let doors = leads.filter_map(|lead| match lead {
            Lead::Door(door, _) | Lead::Refused(door, _) => Some(&door.name),
            Lead::NoAddress(..) | Lead::NoDoor(_) | Lead::Proxy => None,
        });
        doors.collect()
    }

    /// Gives the address from which the DNS server is asked.
    fn asks_from(&self, resolver: Option<&Name>, own: IpAddr) -> IpAddr {
        let resolver = resolver.and_then(|name| {
            let topology = self.topology?;
            Some(topology.resolver_address(topology.resolver(name)?))
        });
        resolver.unwrap_or(own)
    }

    /// Gives where an address leads a client who asks from one address and connects from another.
    fn lead(&self, (asks, from): (IpAddr, IpAddr), to: &HostPort) -> Option<Lead<'a>> {
        let (topology, rules) = (self.topology?, self.rules?);
        let address = match to.host.parse() {
            Ok(address) => Ok(address),
            // No zone is asked for it: a resolver knows it by itself (RFC 6761 section 6.3).
            Err(_) if to.host.eq_ignore_ascii_case("localhost") => Ok(Ipv4Addr::LOCALHOST.into()),
            Err(_) => resolve(topology, rules, asks, &to.host),
        };
        let address = match address {
            Ok(address) => SocketAddr::new(address, to.port),
            Err(none) => return Some(none),
        };
        let Some(door) = topology.balancer_at(address) else {
            let mut proxies = topology.pool.proxies.iter();
            let own = proxies.any(|proxy| {
                let further = proxy.further.iter().map(|(_, at)| at.0);
                further.chain([proxy.listen.0]).any(|at| at == address)
            });
            return Some(if own {
                Lead::Proxy
            } else {
                Lead::NoDoor(address)
            });
        };
        let allowed = matches!(judge(&door.allow, from), Verdict::Allowed(_));
        Some(if door.allow.is_empty() || allowed {
            Lead::Door(door, address)
        } else {
            Lead::Refused(door, address)
        })
    }
}

/// Gives the first address of a name, IPv4 before IPv6: one is dialled, no others are tried.
fn resolve<'a>(
    topology: &'a Topology,
    rules: &'a Rules,
    from: IpAddr,
    host: &str,
) -> Result<IpAddr, Lead<'a>> {
    let mut none = Lead::NoAddress(None, format!("{host} is not a DNS name"));
    let Ok(asked) = zone::read_name(host) else {
        return Err(none);
    };
    for record_type in [RecordType::A, RecordType::AAAA] {
        let mut name = asked;
        for _ in 0..ALIASES_MAX {
            let question = Question {
                source: ClientAddr(SocketAddr::new(from, 0)),
                destination: ListenAddr(topology.dns.listen),
                transport: Transport::Udp,
                opcode: OpCode::Query,
                count: 1,
                name,
                record_type,
                class: DNSClass::IN,
                recursion_desired: false,
                edns: None,
            };
            let answer = decide(rules, &question);
            if let Some(address) = answer.records().find_map(|shown| shown.address()) {
                return Ok(address);
            }
            // An alias out of its zone is the client's to follow.
            let last = answer.records().next_back();
            match last.and_then(|shown| shown.alias()) {
                Some(target) => name = target,
                None => {
                    let view = answer.view.map(|view| &view.name);
                    none = Lead::NoAddress(view, answer.code().to_string());
                    break;
                }
            }
        }
    }
    Err(none)
}

fn tunnel(document: &Document, variable: Option<&str>) -> Result<HostPort, String> {
    let found = address::tunnel(document, variable);
    found
        .map(|found| found.address)
        .map_err(|why| why.to_string())
}
