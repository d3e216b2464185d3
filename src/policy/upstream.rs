//! The servers that a view passes questions on to: which is asked first, and which is left alone.
//!
//! In go how long each took, and which said nothing; out comes the order in which to ask. The fastest
//! is first, as BIND chooses among its forwarders; one that was never heard is tried before that, in
//! the order of the file. One that was silent twice is asked last for a while, longer each time, but
//! never given up: where all are silent, all are asked.

mod wrong;

use std::net::SocketAddr;

use crate::model::time::{Span, Time};

pub use self::wrong::{Wrong, wrong};

/// How long a server may be silent before the next one is asked beside it. What it says later still
/// counts: a resolver that has to ask the world may take longer.
pub const NEXT_AFTER: Span = Span::from_ms(800);

/// How many times servers are asked for one question, all together.
pub const ATTEMPTS_MAX: usize = 6;

/// How often in a row a server may be silent before it is left alone.
pub const SILENCES_MAX: u32 = 2;

/// How long it is left alone first; twice as long each time after that.
pub const REST_MIN: Span = Span::from_secs(5);

/// How long it is left alone at most.
pub const REST_MAX: Span = Span::from_secs(60);

/// How much of a new time goes into the smoothed one: one part of so many (RFC 6298 section 2).
const SMOOTHING: u64 = 8;

/// A server that is not asked is thought faster by one part of so many with each question to another,
/// so that it is tried again some day; BIND's factor.
const FORGETTING: u64 = 50;

/// What is known of some servers; as many as were named, no more.
#[derive(Debug)]
pub struct Upstreams {
    servers: Vec<Upstream>,
}

#[derive(Debug)]
struct Upstream {
    address: SocketAddr,
    /// How long it takes, smoothed; zero before it was heard.
    takes: Span,
    /// How often it was silent since it was heard.
    silences: u32,
    /// When the last silence was noticed: what was asked before that is the same silence.
    silent_at: Option<Time>,
    rests_until: Option<Time>,
}

impl Upstreams {
    /// Begins with servers that nothing is known of.
    pub fn new(addresses: &[SocketAddr]) -> Self {
        let servers = addresses.iter().map(|address| Upstream {
            address: *address,
            takes: Span::ZERO,
            silences: 0,
            silent_at: None,
            rests_until: None,
        });
        Self {
            servers: servers.collect(),
        }
    }

    /// Gives the servers in the order in which one question asks them.
    pub fn order(&mut self, now: Time) -> Vec<SocketAddr> {
        let mut servers: Vec<&mut Upstream> = self.servers.iter_mut().collect();
        // The order of the file decides between equals: the sort is stable.
        servers.sort_by_key(|server| (server.rests(now), server.takes));
        for other in servers.iter_mut().skip(1) {
            other.takes = other.takes - Span::from_us(other.takes.as_us() / FORGETTING);
        }
        servers.into_iter().map(|server| server.address).collect()
    }

    /// Takes that a server answered something.
    pub fn heard(&mut self, address: SocketAddr, took: Span) {
        let Some(server) = self.find(address) else {
            return;
        };
        // Nobody answers in no time, and zero means that it was never heard.
        let took = took.max(Span::from_us(1));
        server.takes = match server.takes {
            Span::ZERO => took,
            before => {
                let sum = before.times(SMOOTHING - 1) + took;
                Span::from_us((sum.as_us() / SMOOTHING).max(1))
            }
        };
        server.silences = 0;
        server.rests_until = None;
    }

    /// Takes that a server said nothing to a question that it was asked at `asked`.
    pub fn silent(&mut self, address: SocketAddr, asked: Time, now: Time) {
        let Some(server) = self.find(address) else {
            return;
        };
        // Many questions may have met the same silence.
        if server.silent_at.is_some_and(|before| asked <= before) {
            return;
        }
        server.silent_at = Some(now);
        server.silences = server.silences.saturating_add(1);
        server.takes = server.takes.max(now.since(asked));
        if let Some(times) = server.silences.checked_sub(SILENCES_MAX) {
            let rest = REST_MIN.times(1 << times.min(16)).min(REST_MAX);
            server.rests_until = Some(now + rest);
        }
    }

    fn find(&mut self, address: SocketAddr) -> Option<&mut Upstream> {
        let mut servers = self.servers.iter_mut();
        servers.find(|server| server.address == address)
    }
}

impl Upstream {
    fn rests(&self, now: Time) -> bool {
        self.rests_until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: SocketAddr = address(1);
    const B: SocketAddr = address(2);
    const C: SocketAddr = address(3);

    const fn address(last: u8) -> SocketAddr {
        let ip = std::net::Ipv4Addr::new(192, 0, 2, last);
        SocketAddr::new(std::net::IpAddr::V4(ip), 53)
    }

    const fn ms(ms: u64) -> Time {
        Time::from_us(ms * 1_000)
    }

    #[test]
    fn each_is_tried_and_then_the_fastest_is_first() {
        let mut servers = Upstreams::new(&[A, B, C]);
        assert_eq!(servers.order(ms(0)), [A, B, C]);
        servers.heard(A, Span::from_ms(30));
        assert_eq!(servers.order(ms(1)), [B, C, A]);
        servers.heard(B, Span::from_ms(10));
        servers.heard(C, Span::from_ms(20));
        assert_eq!(servers.order(ms(2)), [B, C, A]);
        // One slow answer does not change that.
        servers.heard(B, Span::from_ms(50));
        assert_eq!(servers.order(ms(3)), [B, C, A]);
    }

    #[test]
    fn a_slow_one_is_tried_again_some_day() {
        let mut servers = Upstreams::new(&[A, B]);
        servers.heard(A, Span::from_ms(10));
        servers.heard(B, Span::from_ms(800));
        let first = |servers: &mut Upstreams| servers.order(ms(1))[0];
        assert_eq!(first(&mut servers), A);
        let tries = (0..1_000).find(|_| first(&mut servers) == B);
        assert!(tries.is_some_and(|tries| tries > 100), "{tries:?}");
    }

    #[test]
    fn a_silent_one_rests_longer_each_time_and_is_never_given_up() {
        let mut servers = Upstreams::new(&[A, B]);
        servers.heard(B, Span::from_ms(900));
        let mut now = ms(0);
        for secs in [0, 5, 10, 20, 40, 60, 60] {
            servers.silent(A, now, now + NEXT_AFTER);
            now += NEXT_AFTER;
            // Asked meanwhile, and met by the same silence.
            servers.silent(A, now, now + NEXT_AFTER);
            let end = now + Span::from_secs(secs);
            let rests = |now| servers.servers[0].rests(now);
            assert!(!rests(end), "after {secs}");
            assert_eq!(rests(Time::from_us(end.as_us() - 1)), secs > 0);
            now = end + Span::from_ms(1);
        }
        servers.silent(B, now, now + NEXT_AFTER);
        assert_eq!(servers.order(now).len(), 2);
        // Heard once, all is forgiven.
        servers.heard(A, Span::from_ms(1));
        assert!(!servers.servers[0].rests(now));
        assert_eq!(servers.servers[0].silences, 0);
    }
}
