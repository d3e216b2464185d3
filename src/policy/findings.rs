//! What an operator should know: each finding's rule, its text beside it in `findings/ID.md`.

use crate::model::fact::Kind;
use crate::model::id::Node;

/// Every finding with its text, for `explain finding` and the page.
pub const TEXTS: &[(&str, &str)] = &[(
    "role-follows-network",
    include_str!("findings/role-follows-network.md"),
)];

/// A node came in through the door that is meant for the other role.
pub fn role_follows_network(node: &Node, network: &str, balancer: &str) -> Kind {
    let (role, other) = match node {
        Node::User(_) => ("user", "agents"),
        Node::Agent(_)
        | Node::Balancer(_)
        | Node::Dns
        | Node::Lab
        | Node::Proxy(_)
        | Node::Resolver(_) => ("agent", "users"),
    };
    Kind::Finding {
        id: "role-follows-network",
        detail: format!(
            "{role} {} is in network {network}, so DNS sends it through balancer/{balancer}, \
             the door meant for {other}",
            node.name()
        ),
    }
}
