//! placeholder

/// Placeholder.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {}
