//! Runs the machines of `policy/` on real sockets. Nothing here decides.
//!
//! One file per thing that the lab is made of, each beside the machine of the same name in
//! `policy/`; and what they share: clock, runner, tasks, the accept loop, TLS.

pub mod balancer;
pub mod clock;
pub mod proxy_protocol;
pub mod relay;
pub mod runner;
pub mod serve;
pub mod tasks;
//! The lab with real sockets and a real clock: it does what `policy/` decides.

pub mod dns;
//! The lab with sockets: does what `policy` decides, and decides nothing itself.

pub mod authority;
pub mod tasks;
pub mod tls;
pub mod tunnel;
