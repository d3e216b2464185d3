//! Counts what the limits of the loops take away: datagrams that nobody took in time, connections
//! that were refused or cut.
//!
//! It is told of connections by `tcp`; of datagrams the system keeps count, for each socket.

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::fact::DnsTraffic;

/// What befell a connection, or a number of datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// It was idle, and made room for another.
    Evicted,
    /// It was silent for too long.
    Idle,
    /// Its client has too many.
    RefusedClient,
    /// There are too many, and none is idle.
    RefusedTotal,
    /// It took too long to send a message, or to read an answer.
    Slow,
}

/// The counts of one server; they never go back.
#[derive(Debug, Default)]
pub(super) struct Losses {
    evicted: AtomicU64,
    idle: AtomicU64,
    refused_client: AtomicU64,
    refused_total: AtomicU64,
    slow: AtomicU64,
    overflowed: AtomicU64,
    /// The UDP sockets, as the system numbers them.
    sockets: Vec<u64>,
    /// What was taken before.
    told: Mutex<DnsTraffic>,
}

impl Losses {
    /// Counts for these sockets, which the system names by inode.
    pub(super) fn new(sockets: Vec<u64>) -> Self {
        Self {
            sockets,
            ..Self::default()
        }
    }

    pub(super) fn add(&self, loss: Loss) {
        let counter = match loss {
            Loss::Evicted => &self.evicted,
            Loss::Idle => &self.idle,
            Loss::RefusedClient => &self.refused_client,
            Loss::RefusedTotal => &self.refused_total,
            Loss::Slow => &self.slow,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Reads what the system dropped. Sockets that are closed are not there any more: what was known
    /// of them stays.
    pub(super) fn look(&self) {
        let tables = ["/proc/self/net/udp", "/proc/self/net/udp6"];
        // Where there are no such tables nothing is known.
        let read = |table| fs::read_to_string(table).unwrap_or_default();
        let sum = tables
            .map(|table| dropped(&read(table), &self.sockets))
            .iter()
            .sum();
        self.overflowed.fetch_max(sum, Ordering::Relaxed);
    }

    /// Takes what came since the last time, unless nothing did.
    pub(super) fn take(&self) -> Option<DnsTraffic> {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let now = DnsTraffic {
            evicted: read(&self.evicted),
            idle: read(&self.idle),
            refused_client: read(&self.refused_client),
            refused_total: read(&self.refused_total),
            slow: read(&self.slow),
            overflowed: read(&self.overflowed),
            ..DnsTraffic::default()
        };
        let mut told = self.told.lock().expect("counting does not panic");
        let since = now.since(*told);
        *told = now;
        (since != DnsTraffic::default()).then_some(since)
    }
}

/// Adds up the last column (drops) of the lines whose tenth names one of these sockets.
fn dropped(table: &str, sockets: &[u64]) -> u64 {
    let of = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let inode: u64 = words.nth(9)?.parse().ok()?;
        let drops = words.next_back()?.parse::<u64>().ok()?;
        sockets.contains(&inode).then_some(drops)
    };
    table.lines().filter_map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_is_not_taken_again() {
        let losses = Losses::default();
        assert_eq!(losses.take(), None);
        losses.add(Loss::Slow);
        losses.add(Loss::Slow);
        losses.add(Loss::Evicted);
        let taken = losses.take().unwrap();
        assert_eq!((taken.slow, taken.evicted, taken.idle), (2, 1, 0));
        assert_eq!(losses.take(), None);
    }

    #[test]
    fn only_drops_of_own_sockets_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
            1: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 41 2 0000000000000000 5\n\
            2: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 42 2 0000000000000000 7\n";
        assert_eq!(dropped(table, &[42]), 7);
        assert_eq!(dropped(table, &[41, 42]), 12);
        assert_eq!(dropped(table, &[5]), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_socket_is_seen() {
        use std::net::UdpSocket;
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket2::SockRef::from(&socket)
            .set_recv_buffer_size(0)
            .unwrap();
        let losses = Losses::new(super::super::udp::inode(&socket).into_iter().collect());
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        losses.look();
        assert_eq!(losses.take(), None);
        // Nobody reads: the system's smallest buffer does not hold these.
        for _ in 0..200 {
            client
                .send_to(&[0; 512], socket.local_addr().unwrap())
                .unwrap();
        }
        losses.look();
        let taken = losses.take().unwrap().overflowed;
        assert!((1..=200).contains(&taken), "{taken}");
    }
}
