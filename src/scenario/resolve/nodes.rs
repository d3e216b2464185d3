//! Agents and users: their networks, resolvers and visits.

use std::net::IpAddr;

use super::addresses::Addresses;
use super::configured::Like;
use super::fleets::Member;
use super::{
    Agent, EVERY_MIN, LabNode, Name, Network, Resolver, Seed, Span, Start, Step, Subject, User,
    file, format, hint, host_id, present, with,
};
use Step::{Index as I, Key as K};

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
            let keys = all.keys.clone();
            self.places.put(Subject::Agent(name.clone()), keys);
            if let Some(keys) = &all.environment {
                let subject = Subject::Environment(name.clone());
                self.places.put(subject, keys.clone());
            }
            resolved.push(Agent {
                id: host_id(seed, &LabNode::Agent(name.clone())),
                name,
                network: all.network.clone(),
                address: address.unwrap_or(nowhere),
                resolver: all.resolver.clone(),
                proxy_server: all.proxy_server.clone(),
                tunnel_public_addr: all.tunnel_public_addr.clone(),
                find_cache: all.find_cache,
                backoff: all.backoff,
                apps: all.apps.clone(),
                databases: all.databases.clone(),
            });
        }
        // An unsound entry is an agent too, of unknown apps.
        let all = shapes.agents.as_ref();
        self.apps_known &= all.is_none_or(|all| all.iter().all(Option::is_some));
        resolved
    }

    /// Gives the network's own name, shared by all who are in it; without a network a mistake has
    /// been added.
    pub(super) fn name_of(&self, network: Option<&str>) -> Name {
        let network = network.unwrap_or_default();
        self.network(network)
            .map_or_else(|| network.into(), |network| network.name.clone())
    }

    /// Looks for the resolver that an agent or user asks.
    pub(super) fn asks(&mut self, steps: &[Step<'_>], resolver: Option<&str>) -> Option<Name> {
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
            proxy: user.proxy.as_deref().map(Into::into),
            visits,
            every: every_span,
            start,
        })
    }
}
