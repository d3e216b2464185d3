//! Reads a state of the lab, as a step's `when` waits for it.
//!
//! The grammar is what [`Condition`] shows itself with.

use crate::model::id::Node;
use crate::model::timeline::Condition;

use super::format::{Wrong, wrong};
use super::names::Names;

/// Every form of a condition.
const FORMS: &str = "write mesh, agents have tunnels, agents use balancer/NAME, drained NODE, or \
                     balancer/NAME sees proxy/NAME up (or down)";

/// Reads a condition.
pub(super) fn read(names: &Names, text: &str) -> Result<Condition, Wrong> {
    let words: Vec<&str> = text.split_whitespace().collect();
    match words[..] {
        ["mesh"] => Ok(Condition::Mesh),
        ["agents", "have", "tunnels"] => Ok(Condition::Tunnels),
        ["agents", "use", balancer] => names.balancer(balancer).map(Condition::Through),
        ["drained", node] => match names.node(node)? {
            node @ (Node::Agent(_) | Node::Balancer(_) | Node::Proxy(_)) => {
                Ok(Condition::Drained(node))
            }
            other @ (Node::Dns | Node::Lab | Node::Resolver(_) | Node::User(_)) => Err(wrong(
                format!("{other} does not drain"),
                "name a balancer, a proxy or an agent",
            )),
        },
        [balancer, "sees", proxy, health @ ("up" | "down")] => {
            let balancer = names.balancer(balancer)?;
            let (Node::Proxy(proxy), up) = (names.node(proxy)?, health == "up") else {
                return Err(wrong(
                    format!("{proxy} is no proxy, and balancers look at nothing else"),
                    "write it like balancer/internal sees proxy/2 up",
                ));
            };
            Ok(Condition::Health {
                balancer,
                proxy,
                up,
            })
        }
        _ => Err(wrong(
            format!("{text:?} is not a state that can be waited for"),
            FORMS,
        )),
    }
}
