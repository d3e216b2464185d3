//! Agents and users: their networks, apps and visits.

use std::net::IpAddr;
use std::sync::Arc;

use super::addresses::Addresses;
use super::fleets::Member;
use super::{
    Agent, App, EVERY_MIN, HostPort, LabNode, Name, Network, Resolver, Seed, Span, Start, Step,
    User, file, format, hint, host_id, present, teleport, with,
};
use Step::{Index as I, Key as K};

use crate::model::teleport::{Backoff, FIND_CACHE};

/// What all of an agent's entry have in common.
struct Like {
    network: Name,
    resolver: Option<Name>,
    proxy_server: HostPort,
    apps: Vec<App>,
}

impl Resolver<'_> {
    pub(super) fn network(&self, name: &str) -> Option<&Network> {
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
        members: &[Member<'_, file::Agent>],
        seed: Seed,
        addresses: &Addresses,
    ) -> Vec<Agent> {
        let mut resolved = Vec::new();
        let mut like: Option<(usize, Option<Like>)> = None;
        for (member, address) in members.iter().zip(&addresses.agents) {
            // The members of a fleet are alike, and what is wrong with one is told once.
            let known = like.take().filter(|(index, _)| *index == member.index);
            let (_, all) = like.insert(known.unwrap_or_else(|| {
                let index = member.index;
                self.known_network("agents", index, member.shape.network.as_deref());
                (index, self.agent(member))
            }));
            let Some(all) = all else {
                self.apps_known = false;
                continue;
            };
            let name: Name = member.name.clone().unwrap_or_else(|| "?".into());
            // Without an address a mistake has been added; the apps are known all the same.
            let nowhere = IpAddr::from([0, 0, 0, 0]);
            resolved.push(Agent {
                id: host_id(seed, &LabNode::Agent(name.clone())),
                name,
                network: all.network.clone(),
                address: address.unwrap_or(nowhere),
                resolver: all.resolver.clone(),
                proxy_server: all.proxy_server.clone(),
                tunnel_public_addr: None,
                find_cache: FIND_CACHE,
                backoff: Backoff::Teleport,
                apps: all.apps.clone(),
                databases: Vec::new(),
            });
        }
        // An unsound entry is an agent too, of unknown apps.
        let all = shapes.agents.as_ref();
        self.apps_known &= all.is_none_or(|all| all.iter().all(Option::is_some));
        resolved
    }

    fn agent(&mut self, member: &Member<'_, file::Agent>) -> Option<Like> {
        let agent = member.shape;
        let steps = [K("agents"), I(member.index)];
        let resolver = self.asks(&steps, agent.resolver.as_deref());
        let path = agent.teleport.as_deref()?;
        let (path, text) = self.file(&with(&steps, &[K("teleport")]), path)?;
        let known = self.agent_files.get(&path).cloned();
        let file = known.unwrap_or_else(|| {
            let file = teleport::agent(&path, &text, &mut self.mistakes, &mut self.warnings);
            let file = file.map(Arc::new);
            self.agent_files.insert(path.clone(), file.clone());
            file
        })?;
        for app in &file.apps {
            let Some((other, from)) = self.apps.get(app) else {
                let owner = member.name.clone().unwrap_or_else(|| "?".into());
                self.apps.insert(app.clone(), (owner, path.clone()));
                continue;
            };
            // One file for several agents says that they are alike; two files may be an accident.
            if *from != path {
                let what = format!("the app {app} is served by agent/{other} too, by another file");
                let steps = with(&steps, &[K("teleport")]);
                self.odd(
                    &steps,
                    what,
                    "requests go to either; rename one if that is not meant",
                );
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
            login: false,
        });
        Some(Like {
            network: self.name_of(agent.network.as_deref()),
            resolver,
            proxy_server: file.proxy_server.clone(),
            apps: apps.collect(),
        })
    }

    /// Gives the network's own name, shared by all who are in it; without a network a mistake has
    /// been added.
    fn name_of(&self, network: Option<&str>) -> Name {
        let network = network.unwrap_or_default();
        self.network(network)
            .map_or_else(|| network.into(), |network| network.name.clone())
    }

    /// Looks for the resolver that an agent or user asks.
    fn asks(&mut self, steps: &[Step<'_>], resolver: Option<&str>) -> Option<Name> {
        let name = resolver?;
        if !self.names.resolvers.may_have(name) {
            let what = format!("there is no resolver {name:?}");
            let cure = self.names.resolvers.cure(name);
            let cure = if cure.is_empty() {
                format!("add resolvers: [{{name: {name}, listen: 127.10.0.53:5353}}]")
            } else {
                cure
            };
            self.wrong(&with(steps, &[K("resolver")]), what, cure);
        }
        Some(name.into())
    }

    pub(super) fn users(
        &mut self,
        members: &[Member<'_, file::User>],
        addresses: &Addresses,
    ) -> Vec<User> {
        let mut resolved = Vec::new();
        let mut like: Option<(usize, Option<User>)> = None;
        for (member, address) in members.iter().zip(&addresses.users) {
            let known = like.take().filter(|(index, _)| *index == member.index);
            let (_, all) = like.insert(known.unwrap_or_else(|| {
                let index = member.index;
                self.known_network("users", index, member.shape.network.as_deref());
                (index, self.user(index, member.shape))
            }));
            let (Some(all), Some(name), Some(address)) = (all, &member.name, address) else {
                continue;
            };
            resolved.push(User {
                name: name.clone(),
                address: *address,
                ..all.clone()
            });
        }
        resolved
    }

    /// Resolves what all of an entry have in common; name and address are each one's own.
    fn user(&mut self, index: usize, user: &file::User) -> Option<User> {
        let steps = [K("users"), I(index)];
        let resolver = self.asks(&steps, user.resolver.as_deref());
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
            network: self.name_of(Some(user.network.as_deref()?)),
            address: IpAddr::from([0, 0, 0, 0]),
            resolver,
            proxy: None,
            visits,
            every: every_span,
            start,
        })
    }
}
