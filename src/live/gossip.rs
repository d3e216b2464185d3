//! What the instances of a pool know of each other: the lab's stand-in for Teleport's auth server.
//!
//! Each instance announces itself and what its agents serve; the board remembers the last word of
//! each and passes it on to the others, and tells an instance that starts what it has missed. It
//! decides nothing: how long a word holds is `policy/proxy`'s business.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::session::Sessions;
use crate::model::id::Name;
use crate::policy::proxy::{Input, Serves};

/// The board of one pool. Clones are the same board.
#[derive(Clone, Default)]
pub struct Board {
    inner: Arc<Mutex<Inner>>,
    /// A login that begins at one instance ends at another.
    sessions: Sessions,
}

#[derive(Default)]
struct Inner {
    /// By host id, in its order.
    members: BTreeMap<Name, Member>,
    /// Apps by host id of the agent; as many as the topology has agents.
    serves: BTreeMap<Name, Serves>,
}

struct Member {
    deliver: Deliver,
    alive: bool,
}

/// How an input gets to an instance, which then acts on what comes of it.
pub type Deliver = Arc<dyn Fn(Input) + Send + Sync>;

/// An input and how it gets there. The caller delivers, after the board is unlocked.
pub type Delivery = (Deliver, Input);

impl Board {
    /// Gives the sessions of the pool's users.
    pub const fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Adds an instance, which has not yet said that it is alive.
    pub fn join(&self, id: &Name, deliver: Deliver) {
        self.lock().members.insert(
            id.clone(),
            Member {
                deliver,
                alive: false,
            },
        );
    }

    /// Takes what an instance says of itself; gives what the others, and it, are to be told.
    pub fn presence(&self, id: &Name, alive: bool) -> Vec<Delivery> {
        let mut inner = self.lock();
        let mut deliveries = Vec::new();
        let began = match inner.members.get_mut(id) {
            Some(member) => std::mem::replace(&mut member.alive, alive) != alive && alive,
            None => return deliveries,
        };
        for (other, member) in &inner.members {
            if other != id {
                let id = id.clone();
                let input = if alive {
                    Input::PeerSeen { id }
                } else {
                    Input::PeerGone { id }
                };
                deliveries.push((Arc::clone(&member.deliver), input));
            }
        }
        if began {
            let deliver = Arc::clone(&inner.members[id].deliver);
            let peers = inner
                .members
                .iter()
                .filter(|(other, m)| *other != id && m.alive);
            let peers = peers.map(|(other, _)| Input::PeerSeen { id: other.clone() });
            let apps = inner
                .serves
                .iter()
                .map(|(host_id, serves)| Input::Announced {
                    host_id: host_id.clone(),
                    serves: serves.clone(),
                });
            deliveries.extend(peers.chain(apps).map(|input| (Arc::clone(&deliver), input)));
        }
        deliveries
    }

    /// Takes what an agent serves from one instance; gives what the others are to be told.
    pub fn announce(&self, from: &Name, host_id: &Name, serves: &Serves) -> Vec<Delivery> {
        let mut inner = self.lock();
        inner.serves.insert(host_id.clone(), serves.clone());
        let others = inner.members.iter().filter(|(id, _)| *id != from);
        others
            .map(|(_, member)| {
                let input = Input::Announced {
                    host_id: host_id.clone(),
                    serves: serves.clone(),
                };
                (Arc::clone(&member.deliver), input)
            })
            .collect()
    }

    /// Forgets that an instance was alive, as when its process ended without a word.
    pub fn ended(&self, id: &Name) {
        if let Some(member) = self.lock().members.get_mut(id) {
            member.alive = false;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner
            .lock()
            .expect("the board only keeps what it is told")
    }
}
