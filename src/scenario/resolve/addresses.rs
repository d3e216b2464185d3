//! Addresses of agents and users: those that the file names, and free ones of their networks.

use std::net::IpAddr;

use super::fleets::{Fleet, Member};
use super::{FIRST_HOST, HOSTS_MAX, Hosts, Name, Network, Resolver, Step, file, format, with};
use Step::{Index as I, Key as K};

/// The addresses of agents and users, in the order of members; `None` where there is none to be
/// had.
pub(super) struct Addresses {
    pub(super) agents: Vec<Option<IpAddr>>,
    pub(super) users: Vec<Option<IpAddr>>,
}

/// Who wants an address, and where that is written.
pub(super) struct Wish<'a> {
    pub(super) steps: &'a [Step<'a>],
    pub(super) who: String,
    pub(super) network: Option<&'a str>,
}

impl Resolver<'_> {
    /// Gives every agent and user an address: first those that name one, then the others, in the
    /// order of the file.
    pub(super) fn addresses(
        &mut self,
        agents: &[Member<'_, file::Agent>],
        users: &[Member<'_, file::User>],
    ) -> Addresses {
        let mut given = Addresses {
            agents: vec![None; agents.len()],
            users: vec![None; users.len()],
        };
        for explicit in [true, false] {
            self.some_addresses("agents", agents, explicit, &mut given.agents);
            self.some_addresses("users", users, explicit, &mut given.users);
        }
        given
    }

    fn some_addresses<T: Fleet>(
        &mut self,
        list: &'static str,
        members: &[Member<'_, T>],
        explicit: bool,
        given: &mut [Option<IpAddr>],
    ) {
        let mut full = None;
        for (member, slot) in members.iter().zip(given) {
            let (_, count) = member.shape.named();
            let (network, address) = member.shape.wants();
            let address = address.filter(|_| count.is_none());
            let steps = [K(list), I(member.index)];
            // One mistake for a whole fleet that finds no room.
            if address.is_some() != explicit || full == Some(member.index) {
                continue;
            }
            let name = member.name.as_deref().unwrap_or("?");
            let wish = Wish {
                steps: &steps,
                who: format!("{}/{name}", list.trim_end_matches('s')),
                network,
            };
            *slot = match address {
                Some(address) => self.explicit(&wish, address),
                None => self.free(&wish, "network"),
            };
            if slot.is_none() && !explicit {
                full = Some(member.index);
            }
        }
    }

    pub(super) fn explicit(&mut self, wish: &Wish<'_>, address: &str) -> Option<IpAddr> {
        let address = format::ip_address(address).ok()?;
        let steps = with(wish.steps, &[K("address")]);
        if let Some(other) = self.taken.get(&address) {
            let what = format!("{address} is the address of {other} already");
            self.wrong(
                &steps,
                what,
                "give it another one, or none to get a free one",
            );
            return None;
        }
        self.taken.insert(address, wish.who.clone());
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

    /// Finds the first free host of a node's network, from [`FIRST_HOST`] on, then below it; `key`
    /// is where the network is named.
    pub(super) fn free(&mut self, wish: &Wish<'_>, key: &str) -> Option<IpAddr> {
        let name = wish.network?;
        let network = self.network(name)?;
        if network.ranges.is_empty() {
            return None;
        }
        let name = network.name.clone();
        // What was taken stays taken, so the search goes on where the last one ended.
        let fresh = (!self.hosts.contains_key(&name)).then(|| hosts(network));
        let mut hosts = fresh.or_else(|| self.hosts.remove(&name))?;
        let found = hosts.find(|address| {
            let mut networks = self.networks.iter();
            let first = networks.find(|network| network.contains(*address));
            !self.taken.contains_key(address) && first.is_some_and(|first| first.name == name)
        });
        self.hosts.insert(name.clone(), hosts);
        if let Some(address) = found {
            self.taken.insert(address, wish.who.clone());
        } else {
            let ranges = self.network(&name).map(ranges).unwrap_or_default();
            self.wrong(
                &with(wish.steps, &[K(key)]),
                format!("the network {name} has no free address in {ranges}"),
                "give the network a larger range",
            );
        }
        found
    }

    pub(super) fn first_network(&self, address: IpAddr) -> Option<Name> {
        let networks = self.networks.iter();
        let mut holding = networks.filter(|network| network.contains(address));
        holding.next().map(|network| network.name.clone())
    }
}

/// Gives the hosts of a network as nodes without an address get them. Bounded for IPv6, whose
/// networks have more hosts than can be looked at.
fn hosts(network: &Network) -> Hosts {
    let from = |skip: usize| {
        let ranges = network.ranges.clone().into_iter();
        let hosts = ranges.flat_map(move |range| range.hosts().skip(skip).take(HOSTS_MAX));
        hosts.take(HOSTS_MAX)
    };
    Box::new(from(FIRST_HOST - 1).chain(from(0)))
}

fn ranges(network: &Network) -> String {
    let ranges: Vec<String> = network.ranges.iter().map(ToString::to_string).collect();
    ranges.join(", ")
}
