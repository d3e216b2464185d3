//! twodoors: tries the separation of internal and external proxy traffic before production does.

pub mod cli;
pub mod http;
pub mod journal;
pub mod lab;
pub mod live;
pub mod model;
pub mod policy;
pub mod scenario;
pub mod snapshot;
