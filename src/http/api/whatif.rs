//! What would change for somebody in another network.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::lab::whatif;

/// The body of `POST /api/whatif`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Move {
    /// Who: `agent/orders`.
    pub node: String,
    /// Where to.
    pub network: String,
}

/// What would change.
#[derive(Debug, Serialize, ToSchema)]
pub struct Moved {
    /// Who.
    pub node: String,
    /// How they go now.
    pub from: Way,
    /// How they would go.
    pub to: Way,
    /// What differs: `the door: internal → external`.
    pub changes: Vec<String>,
    /// The expectations that they would fail there, as they are written.
    pub expectations: Vec<String>,
    /// All of it in a sentence or two.
    pub text: String,
}

/// How somebody goes from a network.
#[derive(Debug, Serialize, ToSchema)]
pub struct Way {
    /// The network.
    pub network: String,
    /// The address there.
    pub client: String,
    /// What is dialled: an agent's tunnel address, or the first that a user visits.
    pub name: String,
    /// The view that answers; null for what is an address already.
    pub view: Option<String>,
    /// The address that is answered, or the response code.
    pub answer: Vec<String>,
    /// The door that listens there.
    pub door: Option<String>,
    /// Whether it lets them in.
    pub allowed: bool,
    /// Address and port that are dialled.
    pub address: Option<String>,
}

impl Way {
    fn new(way: &whatif::Way) -> Self {
        let lead = &way.lead;
        Self {
            network: way.network.to_string(),
            client: way.client.to_string(),
            name: lead.to.to_string(),
            view: lead.view.clone(),
            answer: vec![way.answer()],
            door: lead.door.as_ref().map(|(door, _)| door.clone()),
            allowed: lead.door.as_ref().is_some_and(|(_, allowed)| *allowed),
            address: lead.address.map(|address| address.to_string()),
        }
    }
}

impl Moved {
    /// Writes what would change.
    pub fn new(moved: &whatif::Moved) -> Self {
        Self {
            node: moved.node.to_string(),
            from: Way::new(&moved.from),
            to: Way::new(&moved.to),
            changes: moved.changes.clone(),
            expectations: moved.fails.iter().map(ToString::to_string).collect(),
            text: moved.text(),
        }
    }
}
