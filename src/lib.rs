//! twodoors: tries the separation of internal and external proxy traffic before production does.
//!
//! # The two data paths
//!
//! ```text
//! DNS  query ─ live/dns ─► policy/answer ─► policy/view (which view, why)
//!                                        ─► policy/zone (which records, why) ─► answer
//!
//! TCP  dial  ─ live/serve ─► live/balancer ─► policy/balancer (candidates, why) ─► connect
//!            ─► live/relay
//!            ─► live/proxy ─► policy/alpn (which service) ─► policy/route (which tunnel, why)
//!            ─► live/tunnel ─► live/agent ─► live/resource
//!
//! SIM  the same policy/*, with a queue (sim/world, sim/network) in place of every live/*
//! ```
//!
//! # The layers
//!
//! ```text
//! cli → http → lab → live | sim → journal → snapshot | judge → policy | scenario → model
//! ```
//!
//! A room uses those to its right only; a test reads the `use` lines. File names repeat across
//! `policy`, `live` and `sim` on purpose: whoever finds `balancer` in one knows where it is in the
//! others.
//!
//! # A tour, in reading order
//!
//! - [`model`]: the words. Start with `topology` (the guest list) and `fact` (what can be observed).
//! - [`policy`]: the decisions. Questions are pure functions; machines remember. Neither has a
//!   clock, a socket, a task or luck of its own.
//! - [`scenario`]: from YAML to a topology, or every mistake with its place.
//! - [`snapshot`] and [`journal`]: facts folded, and facts kept.
//! - [`judge`]: what a scenario expects, checked over facts alone.
//! - [`live`]: the machines on real sockets.
//! - [`sim`]: the machines in virtual time.
//! - [`lab`]: a whole lab, built, operated, reloaded; a run, played, judged, reported.
//! - [`http`] and [`cli`]: the faces.

pub mod cli;
pub mod http;
pub mod journal;
pub mod judge;
pub mod lab;
pub mod live;
pub mod model;
pub mod policy;
pub mod scenario;
pub mod sim;
pub mod snapshot;
