//! What needs Debian's programs. Nothing is skipped: a program that is missing fails with its name.

#[path = "../it/dns/kit.rs"]
mod kit;
mod named;
