//! Features at their boundaries, over loopback sockets, with nothing but Rust.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail as tests do, and clippy knows only the tests themselves"
)]

mod balancer;
mod conduct;
mod databases;
mod dns;
mod explain;
mod faults;
mod findings;
mod fuzz;
mod http;
mod lab;
mod leaving;
mod logins;
mod parity;
mod peering;
mod pool;
mod process;
mod record;
mod report;
mod scenario;
mod sim;
mod stories;
mod support;
mod texts;
mod tidy;
mod tunnel;
mod turns;
