//! What is known by name before all is resolved, so that a mistake elsewhere hides none here.

use std::collections::BTreeSet;

use super::fleets::Member;
use super::{Balancer, Dns, Name, Pool, Resolver, file};
use crate::scenario::names::{Kind, Names};

impl Resolver<'_> {
    /// Collects the names that steps and expectations can mean, known before all is resolved.
    pub(super) fn all_names(
        &self,
        shapes: &file::Scenario,
        agents: &[Member<'_, file::Agent>],
        users: &[Member<'_, file::User>],
    ) -> Names {
        fn some(name: Option<&str>) -> Option<Name> {
            name.map(Into::into)
        }
        fn listed<T>(list: &file::List<T>, name: impl Fn(&T) -> Option<&str>) -> Vec<Option<Name>> {
            let entries = list.iter().flatten();
            let names = entries.map(|entry| entry.as_ref().and_then(|entry| some(name(entry))));
            names.collect()
        }
        let unread = || vec![None];
        let views = shapes.dns.as_ref().and_then(|dns| dns.views.as_ref());
        let views = views.map_or_else(unread, |views| {
            let names = views.iter().map(Option::as_ref);
            names.map(|view| some(view?.name.as_deref())).collect()
        });
        let size = shapes.pool.as_ref().and_then(|pool| pool.size);
        let proxies = size.map_or_else(unread, |size| {
            let numbers = (1..=size).map(|number| Some(number.to_string().into()));
            numbers.collect()
        });
        let networks = self
            .networks
            .iter()
            .map(|network| Some(network.name.clone()));
        let networks = networks.chain(shapes.networks.is_none().then_some(None));
        // An entry that is unsound as a whole is a member, too.
        let gaps = |count: usize| vec![None; count];
        let agent_gaps = shapes
            .agents
            .iter()
            .flatten()
            .filter(|a| a.is_none())
            .count();
        let user_gaps = shapes
            .users
            .iter()
            .flatten()
            .filter(|u| u.is_none())
            .count();
        let agents = agents.iter().map(|member| member.name.clone());
        let users = users.iter().map(|member| member.name.clone());
        Names {
            networks: Kind::new(networks),
            views: Kind::new(views),
            balancers: Kind::new(listed(&shapes.balancers, |b| b.name.as_deref())),
            proxies: Kind::new(proxies),
            agents: Kind::new(agents.chain(gaps(agent_gaps))),
            users: Kind::new(users.chain(gaps(user_gaps))),
            resolvers: Kind::new(listed(&shapes.resolvers, |r| r.name.as_deref())),
            ..Names::default()
        }
    }

    /// Finds the networks that something listens in.
    pub(super) fn served(
        &self,
        dns: Option<&Dns>,
        pool: Option<&Pool>,
        balancers: &[Balancer],
    ) -> BTreeSet<Name> {
        let dns = dns.into_iter().flat_map(Dns::listeners);
        let dns = dns.map(|listen| listen.ip());
        let proxies = pool.into_iter().flat_map(|pool| &pool.proxies);
        let doors = balancers.iter().flat_map(|door| &door.listen);
        dns.chain(proxies.map(|proxy| proxy.listen.ip()))
            .chain(doors.map(|listen| listen.ip()))
            .filter_map(|address| self.first_network(address))
            .collect()
    }
}

/// Tells whether every view and zone of the file was sound.
pub(super) fn has_whole_zones(shapes: &file::Scenario) -> bool {
    let views = shapes.dns.as_ref().and_then(|dns| dns.views.as_ref());
    views.is_some_and(|views| {
        views.iter().all(|view| {
            let zones = view.as_ref().and_then(|view| view.zones.as_ref());
            zones.is_some_and(|zones| zones.iter().all(Option::is_some))
        })
    })
}
