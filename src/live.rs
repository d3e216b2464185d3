//! Runs the machines of `policy/` on real sockets. Nothing here decides.
//!
//! One file per thing that the lab is made of, each beside the machine of the same name in
//! `policy/`; and what they share: clock, runner, tasks, the accept loop, TLS.

pub mod agent;
pub mod authority;
pub mod balancer;
pub mod browser;
pub mod clock;
pub mod cut;
pub mod dial;
pub mod dns;
pub mod faults;
mod forward;
pub mod gossip;
pub mod peer;
pub mod ping;
pub mod ports;
pub mod priority;
pub mod probe;
pub mod proxy;
pub mod proxy_protocol;
pub mod relay;
pub mod resolver;
pub mod resource;
pub mod runner;
pub mod serve;
pub mod session;
pub mod tasks;
pub mod tls;
pub mod tsh;
pub mod tunnel;
pub mod user;
pub mod webapi;
