//! Which proxies an agent still wants: leases, claims and what gossip said (Teleport `track`).
//!
//! A lease is the permission to try one connection. A claim says which proxy a connection reached.
//! A proxy is known from the gossip that names it until [`KNOWN_FOR`] after the last one.

use crate::model::id::{DialId, Name};
use crate::model::teleport::Strategy;
use crate::model::time::{Span, Time};

/// How long a proxy is wanted after the last gossip that named it.
pub const KNOWN_FOR: Span = Span::from_secs(180);

/// How many proxies an agent remembers; pools are far smaller, and gossip is input.
pub const PROXIES_MAX: usize = 1_024;

/// Gives how many proxies an agent wants at most: all of a mesh, the connection count with peering.
///
/// Teleport takes 0 for "no cap", so a count of 0 makes a mesh.
pub fn cap(strategy: Strategy) -> usize {
    match strategy {
        Strategy::AgentMesh | Strategy::ProxyPeering { connections: 0 } => usize::MAX,
        Strategy::ProxyPeering { connections } => connections as usize,
    }
}

/// What an agent knows of the proxies, and its permissions to dial.
#[derive(Clone, Debug, Default)]
pub struct Leases {
    proxies: Vec<Proxy>,
    in_flight: u32,
}

#[derive(Clone, Debug)]
struct Proxy {
    id: Name,
    known_until: Option<Time>,
    claimed: Option<DialId>,
    lost: Option<Time>,
}

/// What a claim found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nobody else of this agent is connected to that proxy.
    Granted,
    /// Another tunnel of this agent goes there already.
    Taken,
}

impl Leases {
    /// Takes a lease if one is to be had.
    ///
    /// Granted when nothing is in flight and nothing claimed, or nothing known and nothing in
    /// flight; otherwise when more proxies are known, but for those beyond the cap, than claimed or
    /// being tried.
    pub fn acquire(&mut self, now: Time, cap: usize) -> bool {
        let granted = self.available(now, cap);
        self.in_flight += u32::from(granted);
        granted
    }

    /// Tells whether a lease could be taken.
    pub fn available(&self, now: Time, cap: usize) -> bool {
        let known = self.known(now);
        let claimed = self
            .proxies
            .iter()
            .filter(|proxy| proxy.claimed.is_some())
            .count();
        if self.in_flight == 0 && (claimed == 0 || known == 0) {
            return true;
        }
        let served = self
            .proxies
            .iter()
            .filter(|p| p.is_known(now) && p.claimed.is_some());
        known.min(cap) > served.count() + self.in_flight as usize
    }

    /// Gives a lease back without a claim.
    pub fn release(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Claims a proxy for an attempt that holds a lease; on success the lease becomes the claim.
    pub fn claim(&mut self, id: &Name, dial: DialId) -> Claim {
        let Some(proxy) = self.entry(id) else {
            return Claim::Taken;
        };
        if proxy.claimed.is_some() {
            return Claim::Taken;
        }
        proxy.claimed = Some(dial);
        self.release();
        Claim::Granted
    }

    /// Gives up the claim of an attempt. `lost` is the instant when a tunnel that stood was lost.
    pub fn unclaim(&mut self, dial: DialId, lost: Option<Time>) {
        if let Some(proxy) = self
            .proxies
            .iter_mut()
            .find(|proxy| proxy.claimed == Some(dial))
        {
            proxy.claimed = None;
            proxy.lost = lost.or(proxy.lost);
        }
    }

    /// Gives the proxy that this attempt has claimed.
    pub fn claimed_by(&self, dial: DialId) -> Option<&Name> {
        self.proxies
            .iter()
            .find(|proxy| proxy.claimed == Some(dial))
            .map(|proxy| &proxy.id)
    }

    /// Tells when the last tunnel to this proxy was lost.
    pub fn lost(&self, id: &str) -> Option<Time> {
        self.proxies.iter().find(|proxy| *proxy.id == *id)?.lost
    }

    /// Takes a list from gossip; tells whether a proxy is new in it.
    pub fn learn(&mut self, now: Time, ids: &[Name]) -> bool {
        let mut new = false;
        for id in ids.iter().take(PROXIES_MAX) {
            if let Some(proxy) = self.entry(id) {
                new |= !proxy.is_known(now);
                proxy.known_until = Some(now + KNOWN_FOR);
            }
        }
        new
    }

    /// Forgets proxies that gossip no longer names; tells whether there were any.
    pub fn expire(&mut self, now: Time) -> bool {
        let before = self.proxies.len();
        let mut expired = false;
        for proxy in &mut self.proxies {
            if proxy.known_until.is_some_and(|until| until <= now) {
                proxy.known_until = None;
                expired = true;
            }
        }
        self.proxies
            .retain(|p| p.known_until.is_some() || p.claimed.is_some() || p.lost.is_some());
        expired || self.proxies.len() != before
    }

    /// Gives the next instant at which a proxy is forgotten.
    pub fn expiry(&self) -> Option<Time> {
        self.proxies
            .iter()
            .filter_map(|proxy| proxy.known_until)
            .min()
    }

    /// Counts the proxies that gossip names.
    pub fn known(&self, now: Time) -> usize {
        self.proxies
            .iter()
            .filter(|proxy| proxy.is_known(now))
            .count()
    }

    /// Forgets everything, as a process that ended has.
    pub fn clear(&mut self) {
        // The loss of a tunnel is remembered for the figures alone; leases do not look at it.
        self.proxies.retain_mut(|proxy| {
            proxy.known_until = None;
            proxy.claimed = None;
            proxy.lost.is_some()
        });
        self.in_flight = 0;
    }

    fn entry(&mut self, id: &Name) -> Option<&mut Proxy> {
        let index = match self.proxies.iter().position(|proxy| proxy.id == *id) {
            Some(index) => index,
            None if self.proxies.len() < PROXIES_MAX => {
                let id = id.clone();
                self.proxies.push(Proxy {
                    id,
                    known_until: None,
                    claimed: None,
                    lost: None,
                });
                self.proxies.len() - 1
            }
            None => return None,
        };
        self.proxies.get_mut(index)
    }
}

impl Proxy {
    fn is_known(&self, now: Time) -> bool {
        self.known_until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESH: usize = usize::MAX;

    fn ids(names: &[&str]) -> Vec<Name> {
        names.iter().map(|name| Name::from(*name)).collect()
    }

    #[test]
    fn an_agent_that_knows_nothing_tries_one_connection_at_a_time() {
        let mut leases = Leases::default();
        assert!(leases.acquire(Time::ZERO, MESH));
        assert!(!leases.acquire(Time::ZERO, MESH));
        leases.release();
        assert!(leases.acquire(Time::ZERO, MESH));
    }

    #[test]
    fn it_dials_until_every_known_proxy_is_claimed_and_no_longer() {
        let mut leases = Leases::default();
        leases.learn(Time::ZERO, &ids(&["a", "b"]));
        assert!(leases.acquire(Time::ZERO, MESH));
        assert_eq!(leases.claim(&"a".into(), DialId(1)), Claim::Granted);
        assert!(leases.acquire(Time::ZERO, MESH));
        assert!(
            !leases.acquire(Time::ZERO, MESH),
            "one is claimed and one is being tried"
        );
        assert_eq!(leases.claim(&"a".into(), DialId(2)), Claim::Taken);
        leases.release();
        assert!(leases.acquire(Time::ZERO, MESH));
        assert_eq!(leases.claim(&"b".into(), DialId(3)), Claim::Granted);
        assert!(!leases.acquire(Time::ZERO, MESH));
    }

    #[test]
    fn a_proxy_that_gossip_forgets_is_no_longer_wanted_after_three_minutes() {
        let mut leases = Leases::default();
        leases.learn(Time::ZERO, &ids(&["a", "b"]));
        assert!(leases.acquire(Time::ZERO, MESH));
        leases.claim(&"a".into(), DialId(1));
        let later = Time::ZERO + KNOWN_FOR;
        leases.learn(Time::from_us(1), &ids(&["a"]));
        assert!(leases.available(Time::from_us(1), MESH));
        assert!(
            !leases.available(later, MESH),
            "only b was missing, and b has expired"
        );
        assert!(leases.expire(later));
    }

    #[test]
    fn a_lost_tunnel_frees_its_claim() {
        let mut leases = Leases::default();
        leases.learn(Time::ZERO, &ids(&["a", "b"]));
        for (id, dial) in [("a", 1), ("b", 2)] {
            assert!(leases.acquire(Time::ZERO, MESH));
            assert_eq!(leases.claim(&id.into(), DialId(dial)), Claim::Granted);
        }
        assert!(!leases.available(Time::ZERO, MESH));
        leases.unclaim(DialId(2), Some(Time::from_us(9)));
        assert!(leases.available(Time::ZERO, MESH));
        assert_eq!(leases.lost("b"), Some(Time::from_us(9)));
    }

    #[test]
    fn with_peering_it_wants_no_more_than_its_connections() {
        assert_eq!(cap(Strategy::AgentMesh), MESH);
        assert_eq!(cap(Strategy::ProxyPeering { connections: 0 }), MESH);
        let two = cap(Strategy::ProxyPeering { connections: 2 });
        let mut leases = Leases::default();
        leases.learn(Time::ZERO, &ids(&["a", "b", "c", "d"]));
        for (id, dial) in [("c", 1), ("a", 2)] {
            assert!(leases.acquire(Time::ZERO, two));
            assert_eq!(leases.claim(&id.into(), DialId(dial)), Claim::Granted);
        }
        assert!(!leases.acquire(Time::ZERO, two));
        assert!(
            leases.available(Time::ZERO, MESH),
            "the cap alone holds it back"
        );
        leases.unclaim(DialId(1), None);
        assert!(leases.available(Time::ZERO, two));
    }
}
