//! The words of the lab: plain data, its parsing and its display. Nothing here decides.

pub mod addr;
pub mod draw;
pub mod escaped;
pub mod expect;
pub mod fact;
pub mod fault;
pub mod finding;
pub mod histogram;
pub mod id;
pub mod mistake;
pub mod network;
pub mod places;
pub mod teleport;
pub mod time;
pub mod timeline;
pub mod topology;
