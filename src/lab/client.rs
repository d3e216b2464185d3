//! Who asks: an address, or an agent, a user or a network by its name, where they are now.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::model::topology::Topology;
use crate::snapshot::Snapshot;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// From where; of a network its first address.
    pub address: IpAddr,
    /// In words, `agent/orders`, where a name was given.
    pub name: Option<String>,
}

impl Client {
    /// Finds who is meant by an address or a name; the error says which names there are.
    pub fn named(text: &str, topology: &Topology) -> Result<Self, String> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self {
                address,
                name: None,
            });
        }
        let agents = topology.agents.iter();
        let agents = agents.map(|agent| (format!("agent/{}", agent.name), agent.address));
        let users = topology.users.iter();
        let users = users.map(|user| (format!("user/{}", user.name), user.address));
        let networks = topology.networks.iter().filter_map(|network| {
            let address = network.ranges.first()?.hosts().next()?;
            Some((format!("network/{}", network.name), address))
        });
        let known: Vec<_> = agents.chain(users).chain(networks).collect();
        let meant = known.iter().filter(|(name, _)| {
            let bare = name.split_once('/').map(|(_, bare)| bare);
            name == text || bare == Some(text)
        });
        match meant.collect::<Vec<_>>().as_slice() {
            [(name, address)] => Ok(Self {
                address: *address,
                name: Some(name.clone()),
            }),
            [] => {
                let names: Vec<_> = known.into_iter().map(|(name, _)| name).collect();
                Err(format!(
                    "{text} is neither an address nor a name of the scenario; names are: {}",
                    names.join(", ")
                ))
            }
            [(one, _), (other, _), ..] => {
                Err(format!("{text} may be {one} or {other}: write it so"))
            }
        }
    }
}

/// Reads a subnet as dig does: `0` gives no bits, an address all of them.
pub fn read_subnet(text: &str) -> Result<IpNet, String> {
    let text = if text == "0" { "0.0.0.0/0" } else { text };
    let network = text.parse::<IpNet>().ok();
    let network = network.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    network.ok_or_else(|| format!("{text} is not a network, like 127.10.0.0/24"))
}

/// Gives a topology in which those who roamed are where they are now.
pub fn present(topology: &Topology, state: &Snapshot) -> Topology {
    let mut topology = topology.clone();
    for (agent, now) in topology.agents.iter_mut().zip(&state.agents) {
        agent.network.clone_from(&now.network);
        agent.address = now.address;
    }
    for (user, now) in topology.users.iter_mut().zip(&state.users) {
        user.network.clone_from(&now.network);
        user.address = now.address;
    }
    topology
}
