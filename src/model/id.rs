//! Names and numbers of things. Numbers are given by the machine that makes the thing, in order.

use std::fmt;
use std::sync::Arc;

/// A name from the scenario: of a network, view, balancer, proxy, agent, user or app.
pub type Name = Arc<str>;

/// A node of the lab: what a fact comes from and what an operator's act goes to.
///
/// Shown and read as `KIND/NAME`: `balancer/external`, `proxy/2`, `agent/orders`, `user/alice`;
/// the DNS server and the lab itself have no name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Node {
    /// An agent that holds reverse tunnels.
    Agent(Name),
    /// One of the two doors.
    Balancer(Name),
    /// The DNS server.
    Dns,
    /// The lab as a whole.
    Lab,
    /// An instance of the pool.
    Proxy(Name),
    /// A resolver with a cache, between clients and the DNS server.
    Resolver(Name),
    /// A user who visits apps.
    User(Name),
}

impl Node {
    /// Gives the word for the kind of node.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Agent(_) => "agent",
            Self::Balancer(_) => "balancer",
            Self::Dns => "dns",
            Self::Lab => "lab",
            Self::Proxy(_) => "proxy",
            Self::Resolver(_) => "resolver",
            Self::User(_) => "user",
        }
    }

    /// Makes a node from its kind and name; `None` for an unknown kind or one without names.
    pub fn named(kind: &str, name: &str) -> Option<Self> {
        match kind {
            "agent" => Some(Self::Agent(name.into())),
            "balancer" => Some(Self::Balancer(name.into())),
            "proxy" => Some(Self::Proxy(name.into())),
            "resolver" => Some(Self::Resolver(name.into())),
            "user" => Some(Self::User(name.into())),
            _ => None,
        }
    }

    /// Gives the node's own name; the kind for those that have none.
    pub fn name(&self) -> &str {
        match self {
            Self::Agent(name)
            | Self::Balancer(name)
            | Self::Proxy(name)
            | Self::Resolver(name)
            | Self::User(name) => name,
            Self::Dns | Self::Lab => self.kind(),
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent(name)
            | Self::Balancer(name)
            | Self::Proxy(name)
            | Self::Resolver(name)
            | Self::User(name) => {
                write!(f, "{}/{name}", self.kind())
            }
            Self::Dns | Self::Lab => f.write_str(self.kind()),
        }
    }
}

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    )*};
}

numbers! {
    /// A client connection at one balancer; numbered by that balancer.
    FlowId,
    /// A connection at one proxy; numbered by that proxy.
    ConnId,
    /// An attempt of one agent to get a tunnel; numbered by that agent.
    DialId,
    /// A fault in force, numbered by the conductor of the run.
    FaultId,
    /// A user's visit, numbered by that user; or a forwarded request, numbered by that proxy.
    RequestId,
    /// The place of a fact in the journal, from 1.
    Seq,
    /// The generation of the rules (zones, views), from 1; each reload that takes adds one.
    Generation,
}
