//! What heartbeats announced, of all agents of the pool: who serves what, and which proxies may be
//! asked for a tunnel to him.
//!
//! In go announcements, this instance's own tunnels' and those that others passed on; the last word
//! of an agent counts. It knows no tunnels: those that stand here are the machine's.

use std::collections::{BTreeMap, BTreeSet};

use super::Serves;
use crate::model::id::Name;
use crate::model::teleport::ConnType;
use crate::model::topology::Topology;

/// How many apps and databases the pool remembers; announcements are input.
pub const RESOURCES_MAX: usize = 10_000;

/// How many agents' proxies the pool remembers.
const AGENTS_MAX: usize = 2_000_000;

/// Who serves what.
#[derive(Debug, Default)]
pub(super) struct Announced {
    /// Host ids by what they serve.
    servers: BTreeMap<(ConnType, Name), BTreeSet<Name>>,
    /// Ids of the proxies that an agent is attached to, by its host id.
    attached: BTreeMap<Name, Vec<Name>>,
}

impl Announced {
    /// Takes what an agent serves, in the place of what it served before.
    pub(super) fn take(&mut self, host_id: &Name, serves: &Serves) {
        let apps = serves.apps.iter().map(|app| (ConnType::App, app));
        let databases = serves.databases.iter().map(|name| (ConnType::Db, name));
        let now: BTreeSet<(ConnType, Name)> = apps
            .chain(databases)
            .map(|(kind, name)| (kind, name.clone()))
            .collect();
        for (resource, servers) in &mut self.servers {
            if !now.contains(resource) {
                servers.remove(host_id);
            }
        }
        for resource in now {
            if self.servers.len() < RESOURCES_MAX || self.servers.contains_key(&resource) {
                let servers = self.servers.entry(resource).or_default();
                servers.insert(host_id.clone());
            }
        }
        if serves.proxies.is_empty() {
            self.attached.remove(host_id);
        } else if self.attached.len() < AGENTS_MAX || self.attached.contains_key(host_id) {
            self.attached
                .insert(host_id.clone(), serves.proxies.clone());
        }
    }

    /// Tells whether an agent ever announced it.
    pub(super) fn knows(&self, kind: ConnType, name: &str) -> bool {
        self.of(kind, name).is_some()
    }

    /// Gives the host ids of those who serve it; `skip` of them go to the end, so that several are
    /// asked in turn.
    pub(super) fn servers(&self, kind: ConnType, name: &str, skip: u64) -> Vec<Name> {
        let Some(servers) = self.of(kind, name) else {
            return Vec::new();
        };
        let skip = usize::try_from(skip).unwrap_or(0) % servers.len().max(1);
        let servers = servers.iter().skip(skip).chain(servers.iter().take(skip));
        servers.cloned().collect()
    }

    /// Gives the proxies of this pool that the agent reported; what an agent says is input.
    pub(super) fn attached<'a>(
        &'a self,
        topology: &'a Topology,
        host_id: &str,
    ) -> impl Iterator<Item = &'a Name> {
        let ids = self.attached.get(host_id).into_iter().flatten();
        ids.filter(|id| topology.pool.proxies.iter().any(|proxy| proxy.id == **id))
    }

    /// Forgets everything, as a process that ended has.
    pub(super) fn clear(&mut self) {
        self.servers.clear();
        self.attached.clear();
    }

    fn of(&self, kind: ConnType, name: &str) -> Option<&BTreeSet<Name>> {
        self.servers.get(&(kind, Name::from(name)))
    }
}
