//! What the instances of a pool know of each other, in virtual time.
//!
//! The counterpart of `live/gossip`: the last word of each is remembered and passed on; the network
//! between them has its latency and no faults.

use std::collections::BTreeMap;

use crate::model::id::Name;
use crate::policy::proxy::{Input, Serves};

/// The board of one pool.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// By host id, in its order: the place in the pool, and whether it said that it is alive.
    members: BTreeMap<Name, (u32, bool)>,
    ids: Vec<Name>,
    serves: BTreeMap<Name, Serves>,
}

impl Board {
    /// Adds the next instance of the pool.
    pub(super) fn join(&mut self, id: &Name) {
        let place = u32::try_from(self.ids.len()).expect("a pool is far smaller than 2^32");
        self.ids.push(id.clone());
        self.members.insert(id.clone(), (place, false));
    }

    /// Takes what an instance says of itself; gives what the others, and it, are to be told.
    pub(super) fn presence(&mut self, from: u32, alive: bool) -> Vec<(u32, Input)> {
        let id = self.ids[from as usize].clone();
        let Some((_, known)) = self.members.get_mut(&id) else {
            return Vec::new();
        };
        let began = std::mem::replace(known, alive) != alive && alive;
        let others = || self.members.iter().filter(|(_, (place, _))| *place != from);
        let mut told: Vec<_> = others()
            .map(|(_, (place, _))| {
                let id = id.clone();
                let input = if alive {
                    Input::PeerSeen { id }
                } else {
                    Input::PeerGone { id }
                };
                (*place, input)
            })
            .collect();
        if began {
            let peers = others().filter(|(_, (_, alive))| *alive);
            let peers = peers.map(|(id, _)| Input::PeerSeen { id: id.clone() });
            let apps = self
                .serves
                .iter()
                .map(|(host_id, serves)| Input::Announced {
                    host_id: host_id.clone(),
                    serves: serves.clone(),
                });
            told.extend(peers.chain(apps).map(|input| (from, input)));
        }
        told
    }

    /// Takes what an agent serves from one instance; gives what the others are to be told.
    pub(super) fn announce(
        &mut self,
        from: u32,
        host_id: &Name,
        serves: &Serves,
    ) -> Vec<(u32, Input)> {
        self.serves.insert(host_id.clone(), serves.clone());
        let others = self.members.values().filter(|(place, _)| *place != from);
        others
            .map(|(place, _)| {
                let (host_id, serves) = (host_id.clone(), serves.clone());
                (*place, Input::Announced { host_id, serves })
            })
            .collect()
    }

    /// Forgets that an instance was alive, as when its process ended without a word.
    pub(super) fn ended(&mut self, place: u32) {
        if let Some((_, alive)) = self.members.get_mut(&self.ids[place as usize]) {
            *alive = false;
        }
    }
}
