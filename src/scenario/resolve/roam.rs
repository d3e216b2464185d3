//! Moves to another network: who, where to, and which address they get there.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::model::timeline::Roam;

use super::addresses::Wish;
use super::{Agent, LabNode, Name, Resolver, Step, User, file, with};
use Step::Key as K;

/// Where agents and users are, and which addresses they have had where.
pub(super) struct Homes<'a> {
    agents: BTreeMap<&'a Name, (&'a Name, IpAddr)>,
    users: BTreeMap<&'a Name, (&'a Name, IpAddr)>,
    /// Who comes back to a network gets the address that they had there.
    known: BTreeMap<(LabNode, Name), IpAddr>,
}

impl<'a> Homes<'a> {
    pub(super) fn new(agents: &'a [Agent], users: &'a [User]) -> Self {
        let agents = agents.iter();
        let users = users.iter();
        Self {
            agents: agents
                .map(|agent| (&agent.name, (&agent.network, agent.address)))
                .collect(),
            users: users
                .map(|user| (&user.name, (&user.network, user.address)))
                .collect(),
            known: BTreeMap::new(),
        }
    }

    /// Gives the network and the address that an agent or a user begins with.
    pub(super) fn of(&self, node: &LabNode) -> Option<(Name, IpAddr)> {
        let (network, address) = match node {
            LabNode::Agent(name) => self.agents.get(name)?,
            LabNode::User(name) => self.users.get(name)?,
            LabNode::Balancer(_)
            | LabNode::Dns
            | LabNode::Lab
            | LabNode::Proxy(_)
            | LabNode::Resolver(_) => return None,
        };
        Some(((*network).clone(), *address))
    }

    fn has_moved(&self, node: &LabNode) -> bool {
        self.known.keys().any(|(moved, _)| moved == node)
    }
}

impl Resolver<'_> {
    pub(super) fn roam(
        &mut self,
        steps: &[Step<'_>],
        step: &file::Step,
        homes: &mut Homes<'_>,
    ) -> Option<Roam> {
        let node = self.client(steps, step);
        let network = self.destination(steps, step);
        let (node, network) = (node?, network?);
        if let Some((home, address)) = homes.of(&node)
            && home == network
            && step.address.is_none()
        {
            if homes.has_moved(&node) {
                return Some(Roam {
                    node,
                    network,
                    address,
                });
            }
            let what = format!("{node} is in the network {network} from the beginning");
            let cure = "name another network, or an address: there";
            self.wrong(&with(steps, &[K("to")]), what, cure);
            return None;
        }
        let key = (node.clone(), network.clone());
        let address = match (&step.address, homes.known.get(&key)) {
            (None, Some(address)) => *address,
            (address, _) => {
                let wish = Wish {
                    steps,
                    who: node.to_string(),
                    network: Some(&network),
                };
                let found = match address {
                    Some(address) => self.explicit(&wish, address),
                    None => self.free(&wish, "to"),
                };
                found?
            }
        };
        homes.known.insert(key, address);
        Some(Roam {
            node,
            network,
            address,
        })
    }

    fn client(&mut self, steps: &[Step<'_>], step: &file::Step) -> Option<LabNode> {
        let text = self.target(steps, step, "user/alice")?;
        let at = with(steps, &[K("target")]);
        match self.names.node(text) {
            Ok(node @ (LabNode::Agent(_) | LabNode::User(_))) => Some(node),
            Ok(other) => {
                let what = format!("{other} does not roam");
                self.wrong(&at, what, "name an agent or a user");
                None
            }
            Err(wrong) => {
                self.wrong(&at, wrong.what, wrong.cure);
                None
            }
        }
    }

    fn destination(&mut self, steps: &[Step<'_>], step: &file::Step) -> Option<Name> {
        let at = with(steps, &[K("to")]);
        let Some(to) = step.to.as_deref() else {
            if !self.written(&at) {
                let what = "roam needs to know which network to go to";
                self.wrong(steps, what, "add to: NETWORK");
            }
            return None;
        };
        match self.names.network(to) {
            Ok(network) => Some(network),
            Err(wrong) => {
                self.wrong(&at, wrong.what, wrong.cure);
                None
            }
        }
    }
}
