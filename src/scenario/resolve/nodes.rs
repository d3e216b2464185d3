//! Agents and users: their networks, addresses, apps and visits.

use std::net::IpAddr;
use std::sync::Arc;

use super::{
    Agent, App, EVERY_MIN, FIRST_HOST, HOSTS_MAX, LabNode, Name, Network, Resolver, Seed, Span,
    Start, Step, User, file, format, hint, host_id, present, teleport, with,
};
use Step::{Index as I, Key as K};

/// The addresses of agents and users, by their index; `None` where there is none to be had.
pub(super) struct Addresses {
    agents: Vec<Option<IpAddr>>,
    users: Vec<Option<IpAddr>>,
}

/// An agent or a user, as far as addresses are concerned.
struct Wish<'a> {
    list: &'static str,
    index: usize,
    name: &'a str,
    network: Option<&'a str>,
    address: Option<&'a str>,
}

impl Wish<'_> {
    fn who(&self) -> String {
        format!("{}/{}", self.list.trim_end_matches('s'), self.name)
    }
}

impl Resolver<'_> {
    /// Gives every agent and user an address: first those that name one, then the others, in the
    /// order of the file.
    pub(super) fn addresses(&mut self, shapes: &file::Scenario) -> Addresses {
        let agents = present(&shapes.agents)
            .into_iter()
            .map(|(index, agent)| Wish {
                list: "agents",
                index,
                name: agent.name.as_deref().unwrap_or("?"),
                network: agent.network.as_deref(),
                address: agent.address.as_deref(),
            });
        let users = present(&shapes.users)
            .into_iter()
            .map(|(index, user)| Wish {
                list: "users",
                index,
                name: user.name.as_deref().unwrap_or("?"),
                network: user.network.as_deref(),
                address: user.address.as_deref(),
            });
        let wishes: Vec<Wish<'_>> = agents.chain(users).collect();
        let mut given = Addresses {
            agents: vec![None; shapes.agents.as_ref().map_or(0, Vec::len)],
            users: vec![None; shapes.users.as_ref().map_or(0, Vec::len)],
        };
        for wish in wishes.iter().filter(|wish| wish.address.is_some()) {
            let address = self.explicit(wish);
            given.set(wish, address);
        }
        for wish in wishes.iter().filter(|wish| wish.address.is_none()) {
            let address = self.free(wish);
            given.set(wish, address);
        }
        given
    }

    fn explicit(&mut self, wish: &Wish<'_>) -> Option<IpAddr> {
        let address = format::ip_address(wish.address?).ok()?;
        let steps = [K(wish.list), I(wish.index), K("address")];
        if let Some(other) = self.taken.get(&address) {
            let what = format!("{address} is the address of {other} already");
            self.wrong(
                &steps,
                what,
                "give it another one, or none to get a free one",
            );
            return None;
        }
        self.taken.insert(address, wish.who());
        if let Some(network) = wish.network.and_then(|name| self.network(name)) {
            let (name, ranges) = (network.name.clone(), ranges(network));
            if !network.contains(address) && !network.ranges.is_empty() {
                let what = format!("{address} is outside the network {name}");
                self.wrong(&steps, what, format!("take one of {ranges}"));
            } else if let Some(first) = self.first_network(address).filter(|first| *first != name) {
                let what = format!("{address} is in the network {first} too, which comes first");
                self.wrong(
                    &steps,
                    what,
                    "let networks that agents and users are in not overlap",
                );
            }
        }
        Some(address)
    }

    /// Finds the first free host of a node's network, from [`FIRST_HOST`] on, then below it.
    fn free(&mut self, wish: &Wish<'_>) -> Option<IpAddr> {
        let name = wish.network?;
        let network = self.network(name)?.clone();
        if network.ranges.is_empty() {
            return None;
        }
        let hosts = |skip: usize| {
            let ranges = network.ranges.iter();
            ranges.flat_map(move |range| range.hosts().skip(skip).take(HOSTS_MAX))
        };
        let is_free = |address: &IpAddr| {
            !self.taken.contains_key(address)
                && self
                    .first_network(*address)
                    .is_some_and(|first| &*first == name)
        };
        // What was taken stays taken, so the search goes on where the last one ended. Bounded for
        // IPv6, whose networks have more hosts than can be looked at.
        let searched = self.searched.get(name).copied().unwrap_or(0);
        let found = hosts(FIRST_HOST - 1)
            .take(HOSTS_MAX)
            .chain(hosts(0).take(HOSTS_MAX))
            .enumerate()
            .skip(searched)
            .find(|(_, address)| is_free(address));
        let end = found.map_or(usize::MAX, |(index, _)| index);
        self.searched.insert(name.to_owned(), end);
        let found = found.map(|(_, address)| address);
        if let Some(address) = found {
            self.taken.insert(address, wish.who());
        } else {
            let ranges = ranges(&network);
            self.wrong(
                &[K(wish.list), I(wish.index), K("network")],
                format!("the network {name} has no free address in {ranges}"),
                "give the network a larger range",
            );
        }
        found
    }

    fn first_network(&self, address: IpAddr) -> Option<Name> {
        let networks = self.networks.iter();
        let mut holding = networks.filter(|network| network.contains(address));
        holding.next().map(|network| network.name.clone())
    }

    fn network(&self, name: &str) -> Option<&Network> {
        self.networks.iter().find(|network| &*network.name == name)
    }

    /// Adds a mistake when there is no such network.
    fn known_network(&mut self, list: &'static str, index: usize, name: Option<&str>) {
        let Some(name) = name.filter(|name| self.network(name).is_none()) else {
            return;
        };
        let cure = self.network_cure(name, &[]);
        let what = format!("there is no network {name:?}");
        self.wrong(&[K(list), I(index), K("network")], what, cure);
    }

    /// Gives the cure for a name that is no network's.
    pub(super) fn network_cure(&self, name: &str, more: &[&str]) -> String {
        let networks = self.networks.iter().map(|network| &*network.name);
        let more = more.iter().copied();
        let allowed: Vec<&str> = networks
            .filter(|name| !matches!(*name, "any" | "none"))
            .chain(more)
            .collect();
        hint::cure(name, &allowed)
    }

    pub(super) fn agents(
        &mut self,
        shapes: &file::Scenario,
        seed: Seed,
        addresses: &Addresses,
    ) -> Vec<Agent> {
        let agents = present(&shapes.agents);
        let names: Vec<_> = agents.iter().map(|(_, a)| a.name.as_deref()).collect();
        self.unique(&[K("agents")], "agent", &agents, &names);
        let mut resolved = Vec::new();
        for (index, agent) in agents {
            self.known_network("agents", index, agent.network.as_deref());
            let address = addresses.agents.get(index).copied().flatten();
            match self.agent(index, agent, seed, address) {
                Some(agent) => resolved.push(agent),
                None => self.apps_known = false,
            }
        }
        // An unsound entry is an agent too, of unknown apps.
        let all = shapes.agents.as_ref();
        self.apps_known &= all.is_none_or(|all| all.iter().all(Option::is_some));
        resolved
    }

    fn agent(
        &mut self,
        index: usize,
        agent: &file::Agent,
        seed: Seed,
        address: Option<IpAddr>,
    ) -> Option<Agent> {
        let steps = [K("agents"), I(index)];
        let path = agent.teleport.as_deref()?;
        let (path, text) = self.file(&with(&steps, &[K("teleport")]), path)?;
        let known = self.agent_files.get(&path).cloned();
        let file = known.unwrap_or_else(|| {
            let file = teleport::agent(&path, &text, &mut self.mistakes, &mut self.warnings);
            let file = file.map(Arc::new);
            self.agent_files.insert(path.clone(), file.clone());
            file
        })?;
        let owner = agent.name.as_deref().unwrap_or("?");
        for app in &file.apps {
            if let Some(other) = self.apps.get(app) {
                let what = format!("the app {app} is served by agent/{other} already");
                let steps = with(&steps, &[K("teleport")]);
                self.wrong(&steps, what, "in this version an app has one agent");
            } else {
                self.apps.insert(app.clone(), owner.into());
            }
        }
        let targets = agent.apps.iter().flatten();
        for (name, _) in targets {
            if !file.apps.iter().any(|app| **app == **name) {
                let known: Vec<&str> = file.apps.iter().map(|app| &**app).collect();
                let what = format!("{} has no app {name:?}", path.display());
                let steps = with(&steps, &[K("apps"), K(name)]);
                self.wrong(&steps, what, hint::cure(name, &known));
            }
        }
        let target = |app: &Name| {
            let targets = agent.apps.as_ref()?;
            format::host_port(targets.get(&**app)?.as_deref()?).ok()
        };
        let apps = file.apps.iter().map(|app| App {
            name: app.clone(),
            target: target(app),
        });
        let name: Name = owner.into();
        // Without a network or an address a mistake has been added; the apps are known all the same.
        let nowhere = IpAddr::from([0, 0, 0, 0]);
        Some(Agent {
            id: host_id(seed, &LabNode::Agent(name.clone())),
            name,
            network: agent.network.as_deref().unwrap_or_default().into(),
            address: address.unwrap_or(nowhere),
            resolver: None,
            proxy_server: file.proxy_server.clone(),
            apps: apps.collect(),
        })
    }

    pub(super) fn users(&mut self, shapes: &file::Scenario, addresses: &Addresses) -> Vec<User> {
        let users = present(&shapes.users);
        let names: Vec<_> = users.iter().map(|(_, user)| user.name.as_deref()).collect();
        self.unique(&[K("users")], "user", &users, &names);
        let mut resolved = Vec::new();
        for (index, user) in users {
            self.known_network("users", index, user.network.as_deref());
            let address = addresses.users.get(index).copied().flatten();
            resolved.extend(self.user(index, user, address));
        }
        resolved
    }

    fn user(&mut self, index: usize, user: &file::User, address: Option<IpAddr>) -> Option<User> {
        let steps = [K("users"), I(index)];
        let mut visits: Vec<Name> = Vec::new();
        for (at, app) in present(&user.visits) {
            if !self.apps.contains_key(app.as_str()) && self.apps_known {
                let known: Vec<&str> = self.apps.keys().map(|app| &**app).collect();
                let cure = hint::cure(app, &known);
                let what = format!("no agent serves an app {app:?}");
                self.wrong(&with(&steps, &[K("visits"), I(at)]), what, cure);
            }
            visits.push(app.as_str().into());
        }
        let every = with(&steps, &[K("every")]);
        let every_span = self.span(&every, user.every.as_deref(), Span::from_secs(2));
        if every_span < EVERY_MIN {
            let what = format!("{every_span} is too short: it would measure only this machine");
            self.wrong(&every, what, "at least 10ms");
        }
        let start = match user.start.as_deref() {
            None | Some("mesh") => Start::Mesh,
            Some(text) => Start::After(format::duration(text).ok()?),
        };
        Some(User {
            name: user.name.as_deref()?.into(),
            network: user.network.as_deref()?.into(),
            address: address?,
            resolver: None,
            visits,
            every: every_span,
            start,
        })
    }
}

impl Addresses {
    fn set(&mut self, wish: &Wish<'_>, address: Option<IpAddr>) {
        let list = match wish.list {
            "agents" => &mut self.agents,
            _ => &mut self.users,
        };
        if let Some(slot) = list.get_mut(wish.index) {
            *slot = address;
        }
    }
}

fn ranges(network: &Network) -> String {
    let ranges: Vec<String> = network.ranges.iter().map(ToString::to_string).collect();
    ranges.join(", ")
}
