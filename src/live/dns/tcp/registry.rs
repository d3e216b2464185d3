//! Which connections there are, and which one makes room for a new one.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio_util::sync::CancellationToken;

use crate::live::dns::carry::Limits;
use crate::live::dns::losses::Loss;
use crate::model::time::Time;

/// Stands for a connection that is not idle.
const BUSY: u64 = u64::MAX;

/// All connections of a server.
#[derive(Default)]
pub(super) struct Registry(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    next: u64,
    /// By age; its size is the limit on connections.
    entries: BTreeMap<u64, Entry>,
}

struct Entry {
    /// `None` for a trusted proxy, which speaks for many clients.
    client: Option<IpAddr>,
    idle_since: Arc<AtomicU64>,
    evicted: CancellationToken,
}

/// A connection's place; dropped it is free again.
pub(super) struct Ticket {
    id: u64,
    idle_since: Arc<AtomicU64>,
    /// Cancelled when the connection has to make room.
    pub(super) evicted: CancellationToken,
    inner: Arc<Mutex<Inner>>,
}

/// Why there is no place: the connections that count are all busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// Those of the client.
    Client,
    /// All.
    Total,
}

impl From<Full> for Loss {
    fn from(full: Full) -> Self {
        match full {
            Full::Client => Self::RefusedClient,
            Full::Total => Self::RefusedTotal,
        }
    }
}

impl Registry {
    /// Gives a place to a new connection, or says why there is none.
    pub(super) fn admit(
        &self,
        sender: SocketAddr,
        trusted: bool,
        now: Time,
        limits: &Limits,
    ) -> Result<Ticket, Full> {
        let client = (!trusted).then(|| client(sender));
        let mut inner = lock(&self.0);
        let own = inner.entries.values();
        let own = own.filter(|entry| entry.client == client).count();
        if client.is_some() && own >= limits.connections_per_client_max {
            let room = inner.make_room(|entry| entry.client == client);
            room.ok_or(Full::Client)?;
        } else if inner.entries.len() >= limits.connections_max {
            inner.make_room(|_| true).ok_or(Full::Total)?;
        }
        let id = inner.next;
        inner.next += 1;
        let idle_since = Arc::new(AtomicU64::new(now.as_us()));
        let evicted = CancellationToken::new();
        inner.entries.insert(
            id,
            Entry {
                client,
                idle_since: Arc::clone(&idle_since),
                evicted: evicted.clone(),
            },
        );
        Ok(Ticket {
            id,
            idle_since,
            evicted,
            inner: Arc::clone(&self.0),
        })
    }
}

impl Inner {
    /// Closes the connection of these that has been idle the longest, if one is.
    fn make_room(&mut self, among: impl Fn(&Entry) -> bool) -> Option<()> {
        let idle = self.entries.iter().filter(|(_, entry)| among(entry));
        let idle = idle.map(|(id, entry)| (entry.idle_since.load(Ordering::Relaxed), *id));
        let (since, id) = idle.min()?;
        if since == BUSY {
            return None;
        }
        self.entries.remove(&id)?.evicted.cancel();
        Some(())
    }
}

impl Ticket {
    /// Says that the connection has a query to answer.
    pub(super) fn busy(&self) {
        self.idle_since.store(BUSY, Ordering::Relaxed);
    }

    /// Says since when the connection has had nothing to answer.
    pub(super) fn idle(&self, since: Time) {
        self.idle_since.store(since.as_us(), Ordering::Relaxed);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        lock(&self.inner).entries.remove(&self.id);
    }
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().expect("counting connections does not panic")
}

/// Gives who counts as one client: an IPv4 address, or an IPv6 /64, which one host may fill.
fn client(sender: SocketAddr) -> IpAddr {
    match sender.ip().to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits {
            connections_max: 3,
            connections_per_client_max: 2,
            ..Limits::default()
        }
    }

    #[expect(clippy::unwrap_in_result, reason = "no test gives a wrong address")]
    fn admit(registry: &Registry, from: &str, at: u64) -> Result<Ticket, Full> {
        registry.admit(from.parse().unwrap(), false, Time::from_us(at), &limits())
    }

    #[test]
    fn the_longest_idle_connection_makes_room() {
        let registry = Registry::default();
        let first = admit(&registry, "10.0.0.1:1", 1).unwrap();
        let second = admit(&registry, "10.0.0.2:1", 2).unwrap();
        let third = admit(&registry, "10.0.0.3:1", 3).unwrap();
        first.busy();
        let fourth = admit(&registry, "10.0.0.4:1", 4).unwrap();
        assert!(second.evicted.is_cancelled());
        assert!(!first.evicted.is_cancelled() && !third.evicted.is_cancelled());
        third.busy();
        fourth.busy();
        let refused = admit(&registry, "10.0.0.5:1", 5).err();
        assert_eq!(refused, Some(Full::Total), "all are busy");
        drop(third);
        assert!(admit(&registry, "10.0.0.5:1", 5).is_ok());
    }

    #[test]
    fn a_client_with_too_many_closes_its_own() {
        let registry = Registry::default();
        let other = admit(&registry, "10.0.0.1:1", 1).unwrap();
        let first = admit(&registry, "[2001:db8::1]:1", 2).unwrap();
        let second = admit(&registry, "[2001:db8::2]:1", 3).unwrap();
        let third = admit(&registry, "[2001:db8::3]:1", 4).unwrap();
        assert!(first.evicted.is_cancelled(), "one /64 is one client");
        assert!(!other.evicted.is_cancelled());
        second.busy();
        third.busy();
        let refused = admit(&registry, "[2001:db8::4]:1", 5).err();
        assert_eq!(refused, Some(Full::Client));
    }
}
