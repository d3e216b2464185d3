//! Every kind of fault in words for people, and where each can act in a lab.
//!
//! Targets are found by trying: whatever the reader of faults takes is one.

use super::{Names, WORDS, target};
use crate::model::topology::Topology;

/// How many targets of one word a page offers.
pub const TARGETS_MAX: usize = 200;

/// How many agents and users are offered by name; those of fleets are alike.
const CLIENTS_MAX: usize = 30;

/// A kind of fault.
#[derive(Clone, Copy, Debug)]
pub struct Word {
    /// The word.
    pub word: &'static str,
    /// A heading.
    pub title: &'static str,
    /// What it does, in a sentence.
    pub text: &'static str,
    /// How much of it there may be.
    pub dose: Option<Dose>,
}

/// How much of a fault there may be.
#[derive(Clone, Copy, Debug)]
pub struct Dose {
    /// What is written after the number: `ms`.
    pub unit: &'static str,
    /// The most that is worth a try.
    pub max: u32,
    /// From one offer to the next.
    pub step: u32,
    /// What is offered first.
    pub default: u32,
}

const MILLISECONDS: Option<Dose> = Some(Dose {
    unit: "ms",
    max: 10_000,
    step: 1,
    default: 50,
});

const SECONDS: Option<Dose> = Some(Dose {
    unit: "s",
    max: 86_400,
    step: 1,
    default: 60,
});

/// Every kind of fault, in the order of [`WORDS`].
pub const CATALOGUE: [Word; WORDS.len()] = [
    word(
        "blackhole",
        "Black hole",
        "Bytes and connects get no answer; nobody is told.",
        None,
    ),
    word(
        "drop",
        "Drop answers",
        "Questions are taken, and no answer is sent.",
        None,
    ),
    word(
        "half_open",
        "Half open",
        "One direction falls silent, and the other side does not know.",
        None,
    ),
    word(
        "jitter",
        "Jitter",
        "Everything comes later, each time by up to so much.",
        MILLISECONDS,
    ),
    word(
        "latency",
        "Latency",
        "Everything comes so much later.",
        MILLISECONDS,
    ),
    word(
        "partition",
        "Partition",
        "Two networks do not reach each other.",
        None,
    ),
    word(
        "pause",
        "Pause",
        "The process stands still, as if the machine had frozen.",
        None,
    ),
    word("refuse", "Refuse", "Connects are refused at once.", None),
    word(
        "reset_peer",
        "Reset",
        "Connections are broken with a reset.",
        None,
    ),
    word(
        "servfail",
        "SERVFAIL",
        "Every answer is a server failure.",
        None,
    ),
    word(
        "stale",
        "Stale answers",
        "The rules before the last reload answer.",
        None,
    ),
    word(
        "ttl_floor",
        "Long memory",
        "The resolver keeps each answer at least so long.",
        SECONDS,
    ),
    word(
        "view_flip",
        "Wrong view",
        "Clients of a view get the answers of another one.",
        None,
    ),
];

const fn word(
    word: &'static str,
    title: &'static str,
    text: &'static str,
    dose: Option<Dose>,
) -> Word {
    Word {
        word,
        title,
        text,
        dose,
    }
}

/// Gives where a fault can act, the likeliest first, at most so many.
pub fn targets(topology: &Topology, word: &str, most: usize) -> Vec<String> {
    let names = Names::of(topology);
    let takes = |text: &str| target(&names, word, text).is_ok();
    let nodes = nodes(topology).into_iter().filter(|text| takes(text));
    let links = links(topology).into_iter().filter_map(|(from, to)| {
        let both = format!("{from} <-> {to}");
        let one = format!("{from} -> {to}");
        [both, one].into_iter().find(|text| takes(text))
    });
    nodes.chain(links).take(most).collect()
}

fn nodes(topology: &Topology) -> Vec<String> {
    let mut nodes = vec![String::from("dns")];
    nodes.extend(
        topology
            .dns
            .views
            .iter()
            .map(|view| format!("view/{}", view.name)),
    );
    nodes.extend(
        topology
            .balancers
            .iter()
            .map(|door| format!("balancer/{}", door.name)),
    );
    nodes.extend(
        topology
            .pool
            .proxies
            .iter()
            .map(|proxy| format!("proxy/{}", proxy.name)),
    );
    nodes.extend(
        topology
            .resolvers
            .iter()
            .map(|one| format!("resolver/{}", one.name)),
    );
    nodes.extend(clients(topology));
    nodes
}

fn clients(topology: &Topology) -> Vec<String> {
    let agents = topology.agents.iter().take(CLIENTS_MAX);
    let agents = agents.map(|agent| format!("agent/{}", agent.name));
    let users = topology.users.iter().take(CLIENTS_MAX);
    let users = users.map(|user| format!("user/{}", user.name));
    agents.chain(users).collect()
}

/// Gives what might be linked, from the client's side.
fn links(topology: &Topology) -> Vec<(String, String)> {
    let networks = topology.networks.iter();
    let networks: Vec<String> = networks
        .map(|network| format!("network/{}", network.name))
        .collect();
    let doors = topology.balancers.iter();
    let doors: Vec<String> = doors
        .map(|door| format!("balancer/{}", door.name))
        .collect();
    let mut links = Vec::new();
    for (place, one) in networks.iter().enumerate() {
        let others = networks[place + 1..].iter();
        links.extend(others.map(|other| (one.clone(), other.clone())));
    }
    for door in &doors {
        let proxies = topology.pool.proxies.iter();
        links.extend(proxies.map(|proxy| (door.clone(), format!("proxy/{}", proxy.name))));
    }
    for client in networks.iter().cloned().chain(clients(topology)) {
        links.push((client.clone(), String::from("dns")));
        links.extend(doors.iter().map(|door| (client.clone(), door.clone())));
    }
    let resolvers = topology.resolvers.iter();
    links.extend(resolvers.map(|one| (format!("resolver/{}", one.name), String::from("dns"))));
    links
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::scenario::fault::parse;
    use crate::scenario::{embedded, load};

    #[test]
    fn every_word_has_its_text_and_no_other_has() {
        let words: Vec<_> = CATALOGUE.iter().map(|word| word.word).collect();
        assert_eq!(words, WORDS);
    }

    #[test]
    fn what_is_offered_can_be_set_and_what_cannot_is_not_offered() {
        let path = Path::new(embedded::SCENARIO);
        let topology = load(path, &embedded::FILES).unwrap().topology;
        for Word { word, dose, .. } in CATALOGUE {
            let by = dose.map(|dose| format!("{}{}", dose.default, dose.unit));
            for target in targets(&topology, word, TARGETS_MAX) {
                let other = topology.dns.views.iter();
                let mut other = other.map(|view| &*view.name);
                let to = other.find(|view| target != format!("view/{view}"));
                let to = to.filter(|_| word == "view_flip");
                let set = parse(&topology, word, &target, by.as_deref(), to);
                assert!(set.is_ok(), "{word} on {target}: {set:?}");
            }
        }
        // The embedded example has no resolver, and two networks.
        assert!(targets(&topology, "ttl_floor", TARGETS_MAX).is_empty());
        let both = targets(&topology, "partition", TARGETS_MAX);
        assert_eq!(both, ["network/internal <-> network/external"]);
        let flips = targets(&topology, "view_flip", TARGETS_MAX);
        assert!(flips.iter().all(|target| target.starts_with("view/")));
        assert_eq!(flips.len(), topology.dns.views.len());
        assert_eq!(targets(&topology, "latency", 3).len(), 3, "the bound");
    }
}
