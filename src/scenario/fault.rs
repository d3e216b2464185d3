//! Reads faults: which words there are, what each takes, and where it can act.
//!
//! In go plain texts, from a scenario or from someone who sets a fault by hand; out comes a fault
//! that the lab can do, or what is wrong with the texts. A link that no process of ours relays is
//! refused with the reason.

mod catalogue;

use crate::model::fault::{Effect, End, Fault, Link, Target};
use crate::model::id::{Name, Node};
use crate::model::time::Span;
use crate::model::topology::Topology;

use super::names::Names;
use super::{format, hint};

pub use self::catalogue::{CATALOGUE, Dose, TARGETS_MAX, Word, targets};
pub use super::format::Wrong;

/// Every word for a fault.
pub const WORDS: &[&str] = &[
    "blackhole",
    "drop",
    "half_open",
    "jitter",
    "latency",
    "partition",
    "pause",
    "refuse",
    "reset_peer",
    "servfail",
    "stale",
    "ttl_floor",
    "view_flip",
];

/// Reads one fault: `parse(&topology, "latency", "agent/orders <-> balancer/internal",
/// Some("50ms"), None)`.
///
/// `by` is the dose of `latency`, `jitter` and `ttl_floor`, `to` the other view of `view_flip`.
pub fn parse(
    topology: &Topology,
    word: &str,
    target: &str,
    by: Option<&str>,
    to: Option<&str>,
) -> Result<Fault, Wrong> {
    if !WORDS.contains(&word) {
        return Err(wrong(
            format!("there is no fault {word:?}"),
            hint::cure(word, WORDS),
        ));
    }
    let names = Names::of(topology);
    let effect = effect(&names, word, by, to).map_err(|(_, wrong)| wrong)?;
    let target = self::target(&names, word, target)?;
    let fault = Fault { target, effect };
    goes_elsewhere(&fault).map_or(Ok(fault), Err)
}

/// Reads what a fault does; a mistake comes with the key that it is about.
pub(super) fn effect(
    names: &Names,
    word: &str,
    by: Option<&str>,
    to: Option<&str>,
) -> Result<Effect, (&'static str, Wrong)> {
    let dose = || by.map_or(Ok(Span::ZERO), format::duration);
    let dosed = || {
        let span = dose().map_err(|wrong| ("by", wrong))?;
        if span == Span::ZERO {
            let what = if by.is_some() {
                format!("{word} by nothing changes nothing")
            } else {
                format!("{word} needs to know by how much")
            };
            let example = if word == "ttl_floor" { "60s" } else { "50ms" };
            return Err(("by", wrong(what, format!("add by: {example}"))));
        }
        Ok(span)
    };
    let effect = match word {
        "blackhole" => Effect::Blackhole,
        "drop" => Effect::Drop,
        "half_open" => Effect::HalfOpen,
        "jitter" => Effect::Jitter(dosed()?),
        "latency" => Effect::Latency(dosed()?),
        "partition" => Effect::Partition,
        "pause" => Effect::Pause,
        "refuse" => Effect::Refuse,
        "reset_peer" => Effect::ResetPeer,
        "servfail" => Effect::ServFail,
        "stale" => Effect::Stale,
        "ttl_floor" => Effect::TtlFloor(dosed()?),
        _ => {
            let to = to.ok_or_else(|| {
                let what = "view_flip needs to know whose answers are given instead";
                ("to", wrong(what, "add to: VIEW"))
            })?;
            let to = names.view(to).map_err(|wrong| ("to", wrong))?;
            Effect::ViewFlip { to }
        }
    };
    let takes_by = matches!(word, "jitter" | "latency" | "ttl_floor");
    if by.is_some() && !takes_by {
        return Err(("by", wrong(format!("{word} has no dose"), "take by out")));
    }
    if to.is_some() && word != "view_flip" {
        let what = format!("{word} goes to no view");
        return Err(("to", wrong(what, "take to out")));
    }
    Ok(effect)
}

/// Says what is wrong with a view that is to give its own answers instead of its own.
pub(super) fn goes_elsewhere(fault: &Fault) -> Option<Wrong> {
    match (&fault.target, &fault.effect) {
        (Target::View(view), Effect::ViewFlip { to }) if view == to => Some(wrong(
            format!("clients of {view} get the answers of {view} already"),
            "name another view",
        )),
        _ => None,
    }
}

/// Reads where a fault acts, and refuses where it cannot.
pub(super) fn target(names: &Names, word: &str, text: &str) -> Result<Target, Wrong> {
    let text = text.trim();
    if let Some(link) = names.link(text) {
        return on_link(names, word, link?);
    }
    if text.starts_with("view/") {
        let view = names.view(text)?;
        return if matches!(word, "servfail" | "drop" | "stale" | "view_flip") {
            Ok(Target::View(view))
        } else {
            Err(unfit(word, &format!("view/{view}")))
        };
    }
    if text.starts_with("network/") {
        let network = names.network(text)?;
        return Err(unfit(word, &format!("network/{network}")));
    }
    let node = names.node(text)?;
    let fits = match (word, &node) {
        ("drop" | "servfail" | "stale", Node::Dns)
        | ("ttl_floor", Node::Resolver(_))
        | ("pause" | "latency" | "jitter", Node::Agent(_) | Node::User(_))
        | ("latency" | "jitter", Node::Dns) => true,
        ("blackhole" | "jitter" | "latency" | "pause" | "refuse" | "reset_peer", node) => {
            matches!(node, Node::Balancer(_) | Node::Proxy(_))
        }
        _ => false,
    };
    if fits {
        Ok(Target::Node(node))
    } else {
        Err(unfit(word, &node.to_string()))
    }
}

/// The ways that bytes and questions take through a process of ours.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hop {
    ClientDoor,
    ClientDns,
    DoorPool,
}

fn on_link(names: &Names, word: &str, link: Link) -> Result<Target, Wrong> {
    if let (End::Network(from), End::Network(to)) = (&link.from, &link.to) {
        return partition(names, word, &link, from, to);
    }
    let takes = |hop: Hop| match word {
        "blackhole" | "half_open" | "jitter" | "latency" => true,
        "drop" | "servfail" => hop == Hop::ClientDns,
        "refuse" => hop == Hop::DoorPool,
        "reset_peer" => hop != Hop::ClientDns,
        _ => false,
    };
    if ![Hop::ClientDns, Hop::ClientDoor, Hop::DoorPool]
        .into_iter()
        .any(takes)
    {
        return Err(unfit(word, &format!("the link {link}")));
    }
    let hop = hop(names, &link)?;
    if !takes(hop) {
        return Err(unfit(word, &format!("the link {link}")));
    }
    if word == "half_open" && link.both {
        return Err(wrong(
            format!("half_open silences one direction, and {link} is both"),
            format!("write {} -> {}, or the other way", link.from, link.to),
        ));
    }
    if word == "refuse" && !link.both && matches!(link.from, End::Node(Node::Proxy(_))) {
        return Err(wrong(
            format!(
                "{} connects to no balancer, so nothing is refused",
                link.from
            ),
            format!("write {} -> {}", link.to, link.from),
        ));
    }
    Ok(Target::Link(link))
}

fn partition(
    names: &Names,
    word: &str,
    link: &Link,
    from: &Name,
    to: &Name,
) -> Result<Target, Wrong> {
    if word != "partition" {
        return Err(wrong(
            format!("{word} does not act between two networks; only partition does"),
            format!("write network/{from} <-> balancer/NAME, or do: partition"),
        ));
    }
    if from == to {
        return Err(wrong(
            format!("network/{from} cannot be cut off from itself"),
            "name two networks",
        ));
    }
    if !link.both {
        return Err(wrong(
            "a partition is both ways",
            format!("write network/{from} <-> network/{to}"),
        ));
    }
    let whole = names.networks.is_whole() && names.balancers.is_whole();
    if whole && !names.served.contains(from) && !names.served.contains(to) {
        return Err(wrong(
            format!(
                "neither {from} nor {to} holds a balancer, a proxy or the DNS server, so nothing \
                 passes between them"
            ),
            "name a network that a door is in",
        ));
    }
    Ok(Target::Networks(from.clone(), to.clone()))
}

/// Finds the way of ours that a link is; the error says why it is none.
fn hop(names: &Names, link: &Link) -> Result<Hop, Wrong> {
    use Node::{Agent, Balancer, Dns, Proxy, Resolver, User};
    let ends = [(&link.from, &link.to), (&link.to, &link.from)];
    for (near, far) in ends {
        let client = matches!(near, End::Network(_) | End::Node(Agent(_) | User(_)));
        match (near, far) {
            (_, End::Node(Balancer(_))) if client => return Ok(Hop::ClientDoor),
            (End::Node(node), End::Node(Dns)) if names.asks.contains_key(node) => {
                let resolver = &names.asks[node];
                return Err(wrong(
                    format!("{node} asks through resolver/{resolver}, not the DNS server itself"),
                    format!("name resolver/{resolver} in its place"),
                ));
            }
            (_, End::Node(Dns)) if client => return Ok(Hop::ClientDns),
            (End::Node(Balancer(_)), End::Node(Proxy(_))) => return Ok(Hop::DoorPool),
            (End::Node(Resolver(name)), End::Node(Dns)) => {
                let Some(on) = names.machines.get(name) else {
                    return Ok(Hop::ClientDns);
                };
                return Err(wrong(
                    format!("resolver/{name} asks from the address of {on}"),
                    format!("name {on} in its place"),
                ));
            }
            (_, End::Node(Proxy(_))) if client => {
                return Err(wrong(
                    format!("nothing goes from {near} to {far} but through a balancer"),
                    format!("name {near} and a balancer, or a balancer and {far}"),
                ));
            }
            (_, End::Node(Resolver(_))) if client => {
                return Err(wrong(
                    format!("no process of the lab stands between {near} and {far}"),
                    format!("put the fault between {far} and dns"),
                ));
            }
            _ => {}
        }
    }
    Err(wrong(
        format!(
            "no process of the lab relays anything between {} and {}",
            link.from, link.to
        ),
        "links are between a client and a balancer, a balancer and a proxy, or a client and dns",
    ))
}

fn unfit(word: &str, target: &str) -> Wrong {
    let cure = match word {
        "blackhole" => {
            "it acts on a balancer, on a proxy, or on a link of a balancer or of the DNS server"
        }
        "drop" | "servfail" => "it acts on dns, on a view, or on a link to dns",
        "half_open" => "it acts on a link, one way: network/internal -> balancer/internal",
        "jitter" | "latency" => "it acts on a node, or on a link of a balancer or of dns",
        "partition" => "it acts between two networks: network/internal <-> network/external",
        "pause" => "it acts on a balancer, a proxy, an agent or a user",
        "refuse" => "it acts on a balancer, on a proxy, or on balancer/NAME -> proxy/NAME",
        "reset_peer" => "it acts on a balancer, on a proxy, or on a link of a balancer",
        "stale" => "it acts on dns or on a view",
        "ttl_floor" => "it acts on a resolver: resolver/NAME",
        _ => "it acts on a view: view/NAME",
    };
    wrong(format!("{word} cannot act on {target}"), cure)
}

fn wrong(what: impl Into<String>, cure: impl Into<String>) -> Wrong {
    format::wrong(what, cure)
}

#[cfg(test)]
mod tests;
