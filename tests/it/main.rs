//! What needs nothing but Rust: features at their boundaries, over loopback.

mod dns;
mod fuzz;
mod scenario;
