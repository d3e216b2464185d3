//! The names of a scenario by kind, and how texts name nodes, networks and links.
//!
//! In go the names and a text such as `proxy/2` or `network/internal -> balancer/internal`; out
//! comes what it stands for, or what is wrong with it. A kind of which some names could not be read
//! refuses none, so that one mistake is not told twice.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::fault::{End, Link};
use crate::model::id::{Name, Node};
use crate::model::topology::{Agent, Topology, User};

use super::format::{Wrong, wrong};
use super::hint;

/// The kinds of node that have names.
const KINDS: &[&str] = &["agent", "balancer", "proxy", "resolver", "user"];

/// Every name of a scenario.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// The networks.
    pub networks: Kind,
    /// The views.
    pub views: Kind,
    /// The doors.
    pub balancers: Kind,
    /// The instances of the pool.
    pub proxies: Kind,
    /// The agents, members of fleets too.
    pub agents: Kind,
    /// The users, members of fleets too.
    pub users: Kind,
    /// The resolvers.
    pub resolvers: Kind,
    /// The machines of resolvers that run on an agent's or user's.
    pub machines: BTreeMap<Name, Node>,
    /// The resolver that an agent or user asks, where it is not on their own machine.
    pub asks: BTreeMap<Node, Name>,
    /// The networks that hold a balancer, an instance or the DNS server.
    pub served: BTreeSet<Name>,
}

/// The names of one kind.
#[derive(Clone, Debug, Default)]
pub struct Kind {
    names: BTreeSet<Name>,
    /// Whether there may be others.
    more: bool,
}

impl Kind {
    /// Makes it of names, `None` for one that could not be read.
    pub fn new(names: impl IntoIterator<Item = Option<Name>>) -> Self {
        let mut kind = Self::default();
        for name in names {
            match name {
                Some(name) => drop(kind.names.insert(name)),
                None => kind.more = true,
            }
        }
        kind
    }

    /// Tells whether the name is one, as far as is known.
    pub fn may_have(&self, name: &str) -> bool {
        self.more || self.names.contains(name)
    }

    /// Tells whether every name is known.
    pub const fn is_whole(&self) -> bool {
        !self.more
    }

    /// Gives the cure for a name that is not one.
    pub fn cure(&self, name: &str) -> String {
        let first = format!("{name}-1");
        if self.names.contains(&*first) {
            return format!("{name} is a fleet: name a member of it, like {first}");
        }
        let names = self.names.iter().take(hint::COMPARED_MAX);
        let names: Vec<&str> = names.map(|name| &**name).collect();
        hint::cure(name, &names)
    }
}

impl Names {
    /// Collects the names of a topology.
    pub fn of(topology: &Topology) -> Self {
        fn all<T>(of: &[T], name: impl Fn(&T) -> &Name) -> Kind {
            Kind::new(of.iter().map(|one| Some(name(one).clone())))
        }
        let doors = topology.balancers.iter().flat_map(|door| &door.listen);
        let pool = topology.pool.proxies.iter();
        let served = doors
            .map(|listen| listen.ip())
            .chain(pool.map(|proxy| proxy.listen.ip()))
            .chain(topology.dns.listeners().map(|listen| listen.ip()))
            .filter_map(|address| topology.network_of(address))
            .map(|network| network.name.clone());
        let machines = topology.resolvers.iter().filter_map(|resolver| {
            let on = resolver.on.clone()?;
            Some((resolver.name.clone(), on))
        });
        let mut names = Self {
            networks: all(&topology.networks, |network| &network.name),
            views: all(&topology.dns.views, |view| &view.name),
            balancers: all(&topology.balancers, |balancer| &balancer.name),
            proxies: all(&topology.pool.proxies, |proxy| &proxy.name),
            agents: all(&topology.agents, |agent| &agent.name),
            users: all(&topology.users, |user| &user.name),
            resolvers: all(&topology.resolvers, |resolver| &resolver.name),
            machines: machines.collect(),
            asks: BTreeMap::new(),
            served: served.collect(),
        };
        names.note_resolvers(&topology.agents, &topology.users);
        names
    }

    /// Takes up which agents and users ask a resolver that runs elsewhere.
    pub fn note_resolvers(&mut self, agents: &[Agent], users: &[User]) {
        let agents = agents.iter().filter_map(|agent| {
            let node = Node::Agent(agent.name.clone());
            Some((node, agent.resolver.clone()?))
        });
        let users = users.iter().filter_map(|user| {
            let node = Node::User(user.name.clone());
            Some((node, user.resolver.clone()?))
        });
        for (node, resolver) in agents.chain(users) {
            if self.machines.get(&resolver) != Some(&node) {
                self.asks.insert(node, resolver);
            }
        }
    }

    /// Reads a node: `balancer/internal`, `dns`.
    pub fn node(&self, text: &str) -> Result<Node, Wrong> {
        if text == "dns" {
            return Ok(Node::Dns);
        }
        let Some((kind, name)) = text.split_once('/') else {
            return Err(wrong(
                format!("{text:?} is not a node"),
                self.kind_of(text)
                    .unwrap_or_else(|| String::from("write it like balancer/internal, or dns")),
            ));
        };
        let node = match kind {
            "dns" => {
                return Err(wrong(
                    format!("{text:?} is not a node: there is one DNS server"),
                    "write dns",
                ));
            }
            "network" | "view" => {
                return Err(wrong(
                    format!("{text:?} is not a node"),
                    format!("name a node here: {}", KINDS.join("/…, ") + "/… or dns"),
                ));
            }
            _ => Node::named(kind, name),
        };
        let Some(node) = node else {
            return Err(wrong(
                format!("there is no kind of node {kind:?}"),
                hint::cure(kind, KINDS),
            ));
        };
        let known = self.kind(&node);
        if known.may_have(name) {
            return Ok(node);
        }
        Err(wrong(
            format!("there is no {kind} {name:?}"),
            known.cure(name),
        ))
    }

    /// Reads a network: `network/internal`, or its bare name.
    pub fn network(&self, text: &str) -> Result<Name, Wrong> {
        let name = text.strip_prefix("network/").unwrap_or(text);
        if self.networks.may_have(name) {
            return Ok(name.into());
        }
        Err(wrong(
            format!("there is no network {name:?}"),
            self.networks.cure(name),
        ))
    }

    /// Reads a view: `view/private`, or its bare name.
    pub fn view(&self, text: &str) -> Result<Name, Wrong> {
        let name = text.strip_prefix("view/").unwrap_or(text);
        if self.views.may_have(name) {
            return Ok(name.into());
        }
        Err(wrong(
            format!("there is no view {name:?}"),
            self.views.cure(name),
        ))
    }

    /// Reads a balancer: `balancer/internal`, or its bare name.
    pub fn balancer(&self, text: &str) -> Result<Name, Wrong> {
        let name = text.strip_prefix("balancer/").unwrap_or(text);
        if self.balancers.may_have(name) {
            return Ok(name.into());
        }
        Err(wrong(
            format!("there is no balancer {name:?}"),
            self.balancers.cure(name),
        ))
    }

    /// Reads a link: `network/internal -> balancer/internal`. `None` when there is no arrow.
    pub fn link(&self, text: &str) -> Option<Result<Link, Wrong>> {
        let (from, to, both) = if let Some((from, to)) = text.split_once("<->") {
            (from, to, true)
        } else if let Some((from, to)) = text.split_once("->") {
            (from, to, false)
        } else if let Some((to, from)) = text.split_once("<-") {
            let cure = format!("write {} -> {}", from.trim(), to.trim());
            return Some(Err(wrong("a link is written from left to right", cure)));
        } else {
            return None;
        };
        let ends = self
            .end(from.trim())
            .and_then(|from| Ok((from, self.end(to.trim())?)));
        Some(ends.map(|(from, to)| Link { from, to, both }))
    }

    fn end(&self, text: &str) -> Result<End, Wrong> {
        if text.is_empty() {
            return Err(wrong(
                "one end of the link is missing",
                "write it like network/internal -> balancer/internal",
            ));
        }
        if text.starts_with("network/") {
            return self.network(text).map(End::Network);
        }
        let is_network = self.networks.is_whole() && self.networks.may_have(text);
        self.node(text).map(End::Node).map_err(|mut wrong| {
            if is_network {
                wrong.cure = format!("write network/{text}");
            }
            wrong
        })
    }

    fn kind(&self, node: &Node) -> &Kind {
        match node {
            Node::Agent(_) => &self.agents,
            Node::Balancer(_) => &self.balancers,
            Node::Proxy(_) => &self.proxies,
            Node::Resolver(_) | Node::Dns | Node::Lab => &self.resolvers,
            Node::User(_) => &self.users,
        }
    }

    /// Gives the cure for a bare name that some kind has.
    fn kind_of(&self, name: &str) -> Option<String> {
        let kinds = KINDS.iter().filter(|kind| {
            let node = Node::named(kind, name);
            node.is_some_and(|node| self.kind(&node).names.contains(name))
        });
        let written: Vec<String> = kinds.map(|kind| format!("{kind}/{name}")).collect();
        (!written.is_empty()).then(|| format!("write {}", written.join(" or ")))
    }
}
