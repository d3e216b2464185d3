//! What needs nothing but Rust: features at their boundaries, over loopback.

mod dns;
mod fuzz;
mod scenario;
//! What the parts do together, over real sockets of this machine, with nothing but Rust.

mod tunnel;
mod http;
//! Tests of the library at its boundaries, on loopback sockets, with nothing but Rust.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail as tests do, and clippy knows only the tests themselves"
)]

mod balancer;
mod support;
