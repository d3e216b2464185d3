//! The second connection of a flow, or a check's only one: from the door's own address, with the
//! PROXY header as its first bytes.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use crate::live::runner::Shared;
use crate::model::addr::BackendAddr;
use crate::model::id::Name;
use crate::model::time::Span;
use crate::policy::faults::{Connecting, Faults};

/// How many source ports are tried for one connection. The system gives each at random among those
/// that may be shared; one that has a connection to this very backend is of no use. With a door full
/// of flows to one backend, a third of the ports are: all of 8 in one case of 6,000.
const PORTS_TRIED: u32 = 8;

/// The link that a connect goes over.
pub(super) struct Way<'a> {
    pub(super) shared: &'a Shared,
    pub(super) balancer: &'a Name,
    pub(super) proxy: &'a Name,
    /// Whose connect it is, and which.
    pub(super) luck: (String, u64),
}

impl Way<'_> {
    /// Waits as long as the faults in force want; fails when they refuse.
    async fn pass(&self) -> Result<(), String> {
        let topology = &self.shared.topology;
        let meet = |faults: &Faults| faults.connecting(topology, self.balancer, self.proxy);
        let mut faults = self.shared.faults.watch();
        // A silence that ends in time does no more than delay, as a repeated SYN would.
        let heard = faults.wait_for(|faults| {
            let met = meet(faults);
            met.refused || !met.silent
        });
        let met = heard
            .await
            .map_or_else(|_| Connecting::default(), |faults| meet(&faults));
        if met.refused {
            return Err(io::ErrorKind::ConnectionRefused.to_string());
        }
        let (entity, number) = &self.luck;
        let seed = topology.seed;
        let most = met.latency + met.jitter;
        let longer = seed.span(entity, "connect jitter", *number, met.latency, most);
        if longer > Span::ZERO {
            tokio::time::sleep(longer.into()).await;
        }
        Ok(())
    }
}

/// Connects from `own` and sends the header, all within the timeout; the error is in words.
pub(super) async fn open(
    way: &Way<'_>,
    own: Option<IpAddr>,
    backend: BackendAddr,
    header: &[u8],
    timeout: Span,
) -> Result<TcpStream, String> {
    let open = async {
        way.pass().await?;
        let bound = way.shared.ports.bound(backend.0);
        let mut stream = connect_from(own, bound).await.map_err(|e| words(&e))?;
        stream.write_all(header).await.map_err(|e| words(&e))?;
        Ok(stream)
    };
    match tokio::time::timeout(Duration::from(timeout), open).await {
        Ok(result) => result,
        Err(_) => Err(format!("no answer within {timeout}")),
    }
}

/// Connects from `own`, when that is an address of the backend's family.
async fn connect_from(own: Option<IpAddr>, backend: SocketAddr) -> io::Result<TcpStream> {
    let own = own.filter(|own| !own.is_unspecified() && own.is_ipv4() == backend.is_ipv4());
    let mut tried = 1;
    loop {
        match connect_once(own, backend).await {
            Err(error) if port_taken(&error) && own.is_some() && tried < PORTS_TRIED => tried += 1,
            result => return result,
        }
    }
}

async fn connect_once(own: Option<IpAddr>, backend: SocketAddr) -> io::Result<TcpStream> {
    let socket = match backend {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if let Some(own) = own {
        // Without it a port in TIME_WAIT could not be taken again, and the door's address would run
        // out of them at 470 connections a second.
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::new(own, 0))?;
    }
    socket.connect(backend).await
}

fn port_taken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable
    )
}

/// Gives the kind where it says enough: `connection refused`, without the system's number.
fn words(error: &io::Error) -> String {
    const CLEAR: [io::ErrorKind; 8] = [
        io::ErrorKind::AddrInUse,
        io::ErrorKind::AddrNotAvailable,
        io::ErrorKind::BrokenPipe,
        io::ErrorKind::ConnectionRefused,
        io::ErrorKind::ConnectionReset,
        io::ErrorKind::HostUnreachable,
        io::ErrorKind::NetworkUnreachable,
        io::ErrorKind::TimedOut,
    ];
    if CLEAR.contains(&error.kind()) {
        error.kind().to_string()
    } else {
        error.to_string()
    }
}
