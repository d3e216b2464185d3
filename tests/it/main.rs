//! What needs nothing but Rust: features at their boundaries, over loopback.

mod dns;
mod fuzz;
mod scenario;
//! What the parts do together, over real sockets of this machine, with nothing but Rust.

mod tunnel;
mod http;
//! Tests of the library at its boundaries, on loopback sockets, with nothing but Rust.

mod balancer;
mod support;
