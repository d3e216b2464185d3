//! Ports below 1024, which an ordinary user may not bind: they are bound 10,000 higher.
//!
//! In goes the address that the scenario says; out comes a listener, and for whoever dials in this
//! process the address that is really bound. Facts, answers, principals and explanations keep the
//! real port; only `ready` and the commands to try show the other one.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard};

use super::serve;

/// How far a port is moved: 443 is bound at 10443.
pub const MOVED_BY: u16 = 10_000;

/// The first port that everyone may bind.
const FREE_FROM: u16 = 1_024;

/// Which addresses of a lab were moved. Clones are the same map; its size is the scenario's.
#[derive(Clone, Debug, Default)]
pub struct Ports {
    moved: Arc<Mutex<BTreeMap<SocketAddr, SocketAddr>>>,
}

impl Ports {
    /// Knows these addresses of another process's lab, each with where it is bound.
    pub fn of(moved: impl IntoIterator<Item = (SocketAddr, SocketAddr)>) -> Self {
        Self {
            moved: Arc::new(Mutex::new(moved.into_iter().collect())),
        }
    }

    /// Binds an address and listens there, or 10,000 ports higher when the system forbids it.
    pub fn listen(&self, real: SocketAddr) -> io::Result<TcpListener> {
        self.bind(real, serve::listen)
    }

    /// Binds by `bind`, which is asked again for the higher port when the first may not be bound.
    pub fn bind<T>(
        &self,
        real: SocketAddr,
        bind: impl Fn(SocketAddr) -> io::Result<T>,
    ) -> io::Result<T> {
        let known = self.moved().get(&real).copied();
        if let Some(moved) = known {
            return bind(moved);
        }
        match bind(real) {
            Err(error)
                if error.kind() == io::ErrorKind::PermissionDenied
                    && (1..FREE_FROM).contains(&real.port()) =>
            {
                let moved = SocketAddr::new(real.ip(), real.port() + MOVED_BY);
                let listener = bind(moved)?;
                self.moved().insert(real, moved);
                Ok(listener)
            }
            bound => bound,
        }
    }

    /// Gives where to connect to reach an address of the scenario.
    pub fn bound(&self, real: SocketAddr) -> SocketAddr {
        let everywhere = match real {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, real.port())),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, real.port())),
        };
        let moved = self.moved();
        let found = moved.get(&real).or_else(|| moved.get(&everywhere));
        found.map_or(real, |found| SocketAddr::new(real.ip(), found.port()))
    }

    fn moved(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, SocketAddr>> {
        self.moved
            .lock()
            .expect("addresses are only put in and looked up")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// Binds as a system does that keeps ports below 1024 for root.
    fn ordinary(address: SocketAddr) -> io::Result<SocketAddr> {
        if address.port() < FREE_FROM {
            Err(io::ErrorKind::PermissionDenied.into())
        } else {
            Ok(address)
        }
    }

    #[test]
    fn an_ordinary_user_binds_443_at_10443_and_finds_it_there() {
        let ports = Ports::default();
        let same = ports.clone();
        let real = address("127.61.0.2:443");
        assert_eq!(
            ports.bind(real, ordinary).unwrap(),
            address("127.61.0.2:10443")
        );
        assert_eq!(ports.bound(real), address("127.61.0.2:10443"));
        assert_eq!(same.bound(real), ports.bound(real), "clones are one map");
        let other = address("127.61.0.3:443");
        assert_eq!(ports.bound(other), other, "nobody of the lab listens there");
    }

    #[test]
    fn root_binds_what_is_written() {
        let ports = Ports::default();
        let real = address("127.61.0.2:443");
        assert_eq!(ports.bind(real, Ok).unwrap(), real);
        assert_eq!(ports.bound(real), real);
    }

    #[test]
    fn a_listener_that_was_moved_is_moved_again() {
        let ports = Ports::default();
        let real = address("127.61.0.2:443");
        ports.bind(real, ordinary).unwrap();
        // Were it bound where it is written now, who dials would still look at the higher port.
        assert_eq!(ports.bind(real, Ok).unwrap(), address("127.61.0.2:10443"));
    }

    #[test]
    fn who_listens_everywhere_is_found_at_each_address() {
        let ports = Ports::default();
        ports.bind(address("0.0.0.0:443"), ordinary).unwrap();
        ports.bind(address("[::]:444"), ordinary).unwrap();
        assert_eq!(
            ports.bound(address("127.61.0.9:443")),
            address("127.61.0.9:10443")
        );
        assert_eq!(ports.bound(address("[::1]:444")), address("[::1]:10444"));
        let other = address("127.61.0.9:444");
        assert_eq!(ports.bound(other), other);
    }

    #[test]
    fn other_mistakes_are_no_reason_to_move() {
        let ports = Ports::default();
        let taken = |_| Err::<(), _>(io::ErrorKind::AddrInUse.into());
        let error = ports.bind(address("127.61.0.2:443"), taken).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let forbidden = |_| Err::<(), _>(io::ErrorKind::PermissionDenied.into());
        let error = ports
            .bind(address("127.61.0.2:3080"), forbidden)
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }
}
