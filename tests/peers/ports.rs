//! Ports for the servers that the tests start.

use std::net::{TcpListener, UdpSocket};

/// Finds a port of 127.0.0.1 that is free for UDP and TCP.
pub(crate) fn free_port() -> u16 {
    for _ in 0..16 {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = udp.local_addr().unwrap();
        if TcpListener::bind(address).is_ok() {
            return address.port();
        }
    }
    panic!("no port is free for UDP and TCP");
}
