//! What needs Debian's programs. Nothing is skipped: a program that is missing fails with its name.

#![expect(clippy::unwrap_used, reason = "a test helper fails its test")]

mod dig;
mod dns;
#[expect(dead_code, reason = "the other tests use the rest of it")]
#[path = "../it/dns/kit.rs"]
mod kit;
mod lab;
mod named;
mod ports;
mod zones;
